//! `index.html`: a line per run of a folder, the worst verdict on top.

use std::path::{Path, PathBuf};

use askama::Template;
use steadfast_verifier::verdict::{Outcome, Verdict};

use crate::folder::{self, ReportError};
use crate::html::STYLE;
use crate::number;
use crate::text::{Limits, plural};
use crate::view::{Badge, badge, broker, delivery, headline_phase, sentence};

/// Runs shown on one page.
const MAX_RUNS: usize = 500;

#[derive(Template)]
#[template(path = "index.html")]
struct Index {
    style: &'static str,
    badge: Badge,
    place: String,
    sentence: String,
    runs: Vec<Run>,
    more: usize,
}

struct Run {
    badge: Badge,
    name: String,
    link: Option<String>,
    note: String,
    broker: String,
    anomalies: String,
    p50: String,
    p99: String,
    p99_9: String,
    acked: String,
}

/// Writes `index.html` into `out_dir` for `run_dirs`, in the order given, linking to the `report.html` of each.
/// A run without a readable verdict is listed as inconclusive with the reason: it is never left out.
///
/// # Errors
/// [`ReportError::Write`] when `out_dir` cannot be written to.
pub fn index(out_dir: &Path, run_dirs: &[PathBuf]) -> Result<(), ReportError> {
    let verdicts: Vec<Result<Verdict, ReportError>> =
        run_dirs.iter().map(|dir| folder::verdict(dir)).collect();
    let outcomes: Vec<Outcome> = verdicts
        .iter()
        .map(|run| {
            run.as_ref()
                .map_or(Outcome::Inconclusive, |verdict| verdict.verdict)
        })
        .collect();
    let runs = run_dirs
        .iter()
        .zip(&verdicts)
        .take(MAX_RUNS)
        .map(|(dir, verdict)| run(out_dir, dir, verdict));
    let page = Index {
        style: STYLE,
        badge: badge(outcomes.iter().copied().max().unwrap_or(Outcome::Inconclusive)),
        place: Limits::USUAL.short(&out_dir.file_name().unwrap_or_default().to_string_lossy()),
        sentence: summed_up(&outcomes),
        runs: runs.collect(),
        more: run_dirs.len().saturating_sub(MAX_RUNS),
    };
    let html = page
        .render()
        .map_err(|error| ReportError::Draw(error.to_string()))?;
    crate::replace(&out_dir.join("index.html"), html.as_bytes())
}

fn summed_up(outcomes: &[Outcome]) -> String {
    let of = |outcome| outcomes.iter().filter(|o| **o == outcome).count();
    let (pass, fail, open) = (of(Outcome::Pass), of(Outcome::Fail), of(Outcome::Inconclusive));
    let mut text = format!("{pass} of {} passed", plural(outcomes.len() as u64, "run"));
    if fail > 0 {
        text.push_str(&format!(", {fail} failed"));
    }
    if open > 0 {
        text.push_str(&format!(", {open} inconclusive"));
    }
    text + "."
}

fn run(out_dir: &Path, dir: &Path, verdict: &Result<Verdict, ReportError>) -> Run {
    let limits = Limits::USUAL;
    let dash = || "–".to_owned();
    let folder_name = limits.short(&dir.file_name().unwrap_or_default().to_string_lossy());
    let verdict = match verdict {
        Ok(verdict) => verdict,
        Err(error) => {
            return Run {
                badge: badge(Outcome::Inconclusive),
                name: folder_name,
                link: None,
                note: limits.long(&error.to_string()),
                broker: dash(),
                anomalies: dash(),
                p50: dash(),
                p99: dash(),
                p99_9: dash(),
                acked: dash(),
            };
        }
    };
    let latency = verdict
        .latency_ns
        .get(&headline_phase(verdict))
        .map(|phase| phase.ack_latency);
    let latency = latency.filter(|latency| latency.count > 0);
    let of = |ns: fn(&steadfast_verifier::verdict::Percentiles) -> u64| {
        latency
            .as_ref()
            .map_or_else(dash, |latency| number::nanoseconds(ns(latency) as f64))
    };
    Run {
        badge: badge(verdict.verdict),
        name: limits.short(&verdict.scenario),
        link: link(out_dir, dir),
        note: match verdict.verdict {
            Outcome::Pass => folder_name,
            _ => limits.long(&sentence(verdict)),
        },
        broker: limits.short(&broker(&verdict.broker)),
        anomalies: delivery(verdict).value,
        p50: of(|latency| latency.p50),
        p99: of(|latency| latency.p99),
        p99_9: of(|latency| latency.p99_9),
        acked: number::count(verdict.records.acked),
    }
}

/// A relative address of the run's report, or none when the run lies outside `out_dir`.
fn link(out_dir: &Path, dir: &Path) -> Option<String> {
    let below = dir.strip_prefix(out_dir).ok()?;
    let mut address = String::from("./");
    for part in below.components() {
        let std::path::Component::Normal(part) = part else {
            return None;
        };
        for byte in part.to_str()?.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    address.push(char::from(byte));
                }
                _ => address.push_str(&format!("%{byte:02X}")),
            }
        }
        address.push('/');
    }
    Some(address + "report.html")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn the_worst_verdict_leads_and_a_broken_run_is_listed() {
        let out = tempfile::tempdir().unwrap();
        let dirs: Vec<PathBuf> = ["one", "two\"><script>", "three"]
            .map(|name| out.path().join(name))
            .to_vec();
        fixture::write(&fixture::pass(), &dirs[0]);
        fixture::write(&fixture::fail(), &dirs[1]);
        std::fs::create_dir_all(&dirs[2]).unwrap();
        index(out.path(), &dirs).unwrap();
        let html = std::fs::read_to_string(out.path().join("index.html")).unwrap();
        for fact in [
            "1 of 3 runs passed, 1 failed, 1 inconclusive.",
            "./one/report.html",
            "3 records lost",
            "three",
        ] {
            assert!(html.contains(fact), "{fact} is missing");
        }
        assert!(html.contains("./two%22%3E%3Cscript%3E/report.html"));
        assert!(!html.contains("<script"));
    }

    #[test]
    fn no_run_is_no_pass() {
        let out = tempfile::tempdir().unwrap();
        index(out.path(), &[]).unwrap();
        let html = std::fs::read_to_string(out.path().join("index.html")).unwrap();
        assert!(html.contains("INCONCLUSIVE"));
    }
}
