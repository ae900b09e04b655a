//! What a run prints on standard output when it is over: the verdict in a few lines, and a table over several runs.

use std::fmt::Write as _;
use std::path::Path;

use steadfast_verifier::verdict::Outcome;

use super::{Done, Finished, dossiers};

/// The verdict of one run, for a person at a terminal.
pub(crate) fn one(done: &Done, folder: &Path) -> String {
    let verdict = &done.verdict;
    let mut text = String::new();
    let word = word(verdict.verdict);
    let broker = &verdict.broker;
    let nodes = if broker.nodes == 1 {
        "1 node".to_owned()
    } else {
        format!("{} nodes", broker.nodes)
    };
    let _ = writeln!(
        text,
        "{word}  {}  ({} {}, {nodes}: {})",
        verdict.scenario, broker.kind, broker.version, broker.reason
    );
    let records = &verdict.records;
    let _ = writeln!(
        text,
        "  records     {} intended, {} acknowledged, {} not written, {} unknown, {} read from the log",
        grouped(records.intended),
        grouped(records.acked),
        grouped(records.not_written),
        grouped(records.unknown),
        grouped(records.read),
    );
    for claim in &verdict.claims {
        let reason = claim
            .reason
            .as_ref()
            .map(|r| format!("  ({r})"))
            .unwrap_or_default();
        let measured = if claim.limits.is_empty() {
            format!(
                "{} of {} read, limit {}",
                grouped(claim.observed),
                grouped(records.read),
                claim.limit
            )
        } else {
            "each limit below".to_owned()
        };
        let _ = writeln!(
            text,
            "  {:<11} {:<18} {measured}  [{}]{reason}",
            self::word(claim.verdict),
            claim.id,
            claim.checked.join(" "),
        );
        for limit in &claim.limits {
            let observed = limit
                .observed_ns
                .map_or("not judged".to_owned(), |ns| figure(ns as f64, "ns"));
            let _ = writeln!(
                text,
                "  {:<11}   {:<16} {observed}, limit {}  ({})",
                self::word(limit.verdict),
                limit.key,
                figure(limit.limit_ns as f64, "ns"),
                limit.what,
            );
        }
    }
    for threshold in &verdict.thresholds {
        let observed = threshold
            .observed
            .map_or("nothing measured".to_owned(), |v| figure(v, &threshold.unit));
        let reason = threshold
            .reason
            .as_ref()
            .map(|r| format!("  ({r})"))
            .unwrap_or_default();
        let _ = writeln!(
            text,
            "  {:<11} {}{{phase:{}}} {}: {observed}{reason}",
            self::word(threshold.verdict),
            threshold.metric,
            threshold.phase,
            threshold.expression,
        );
    }
    if let Some(latency) = verdict.latency_ns.get("steady") {
        let ack = &latency.ack_latency;
        let _ = writeln!(
            text,
            "  latency     from intended time, steady: p50 {} · p99 {} · p99.9 {} · max {}",
            figure(ack.p50 as f64, "ns"),
            figure(ack.p99 as f64, "ns"),
            figure(ack.p99_9 as f64, "ns"),
            figure(ack.max as f64, "ns"),
        );
    }
    let seen = verdict
        .latency_ns
        .get("steady")
        .and_then(|phase| phase.visible_latency);
    if let Some(seen) = seen.filter(|seen| seen.count > 0) {
        let _ = writeln!(
            text,
            "  visible     to readers, from intended time, steady: p50 {} · p99 {} · p99.9 {} · max {}",
            figure(seen.p50 as f64, "ns"),
            figure(seen.p99 as f64, "ns"),
            figure(seen.p99_9 as f64, "ns"),
            figure(seen.max as f64, "ns"),
        );
    }
    let _ = writeln!(
        text,
        "  cpu         client {:.1} % of a core ({:.1} µs a record), broker {:.1} % ({:.1} µs a record)",
        verdict.resources.client_cpu_percent_of_core,
        verdict.resources.client_cpu_us_per_record,
        verdict.resources.broker_cpu_percent_of_core,
        verdict.resources.broker_cpu_us_per_record,
    );
    if let Some(first) = verdict.readers.first() {
        let behind: u64 = verdict.readers.iter().map(|reader| reader.behind).sum();
        let records: u64 = verdict.readers.iter().map(|reader| reader.records).sum();
        let died = verdict.readers.iter().filter(|reader| !reader.ended).count();
        let _ = writeln!(
            text,
            "  readers     {} at {}: {} records, {} behind at the end, {died} died",
            verdict.readers.len(),
            first.isolation.word(),
            grouped(records),
            grouped(behind),
        );
    }
    for cause in &verdict.inconclusive {
        let phase = cause
            .phase
            .as_ref()
            .map(|p| format!(" in {p}"))
            .unwrap_or_default();
        let _ = writeln!(text, "  {}{phase}: {}", cause.id, cause.reason);
    }
    for example in verdict.examples.iter().take(EXAMPLES) {
        let record = example.record.as_deref().unwrap_or("-");
        let _ = writeln!(text, "  {} record {record}: {}", example.id, example.detail);
    }
    text.push_str(&dossiers::text(&done.dossiers));
    let _ = writeln!(text, "  report      {}", folder.join("report.html").display());
    text
}

/// Examples shown at a terminal; the report has more.
const EXAMPLES: usize = 6;

/// A line a run: what a user compares over repeats and directories.
pub(crate) fn table(runs: &[Finished]) -> String {
    let mut text = String::new();
    let width = runs
        .iter()
        .map(|run| run.label.chars().count())
        .max()
        .unwrap_or(0)
        .max(8);
    let _ = writeln!(
        text,
        "{:<12} {:<width$} {:>9} {:>9} {:>9} {:>8} {:>9} {:>5}  note",
        "verdict", "scenario", "p50", "p99", "p99.9", "H1 (b)", "client", "exit"
    );
    for run in runs {
        let (word, cells, note) = match &run.result {
            Ok(done) => {
                let ack = done
                    .verdict
                    .latency_ns
                    .get("steady")
                    .map(|l| l.ack_latency)
                    .unwrap_or_default();
                let cells = [
                    figure(ack.p50 as f64, "ns"),
                    figure(ack.p99 as f64, "ns"),
                    figure(ack.p99_9 as f64, "ns"),
                    done.disturbance
                        .map_or("-".into(), |share| format!("{:.1} %", share * 100.0)),
                    format!("{:.1} %", done.verdict.resources.client_cpu_percent_of_core),
                ];
                (
                    word(done.verdict.verdict),
                    cells,
                    done.verdict.inconclusive.first().map(|c| c.reason.clone()),
                )
            }
            Err(error) => (
                "ERROR",
                std::array::from_fn(|_| "-".to_owned()),
                Some(error.to_string()),
            ),
        };
        let [p50, p99, p99_9, disturbance, client] = cells;
        let _ = writeln!(
            text,
            "{word:<12} {:<width$} {p50:>9} {p99:>9} {p99_9:>9} {disturbance:>8} {client:>9} {:>5}  {}",
            run.label,
            run.exit() as u8,
            note.unwrap_or_default(),
        );
    }
    let passed = runs
        .iter()
        .filter(|run| run.exit() == crate::exit::Exit::Pass)
        .count();
    let _ = writeln!(text, "{passed} of {} passed", runs.len());
    text
}

pub(crate) fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "PASS",
        Outcome::Inconclusive => "INCONCLUSIVE",
        Outcome::Fail => "FAIL",
    }
}

/// A figure with a unit that a person reads without counting zeros.
pub(crate) fn figure(value: f64, unit: &str) -> String {
    match unit {
        "ns" if value < 1e6 => format!("{:.0} µs", value / 1e3),
        "ns" if value < 1e9 => format!("{:.2} ms", value / 1e6),
        "ns" => format!("{:.2} s", value / 1e9),
        "per_s" => format!("{value:.0}/s"),
        "ratio" => format!("{value:.6}"),
        "percent" => format!("{value:.2} %"),
        "bytes" => format!("{:.1} MiB", value / 1_048_576.0),
        _ => format!("{value}"),
    }
}

fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_without_counting_zeros() {
        assert_eq!(grouped(1_500_000), "1,500,000");
        assert_eq!(grouped(12), "12");
        assert_eq!(figure(312_400.0, "ns"), "312 µs");
        assert_eq!(figure(1_310_000.0, "ns"), "1.31 ms");
    }
}
