//! What was measured on real Kafka, in `expected/`, and how an answer may differ from it.
//!
//! ```text
//! expected/<case>.txt             measured on the default version
//! expected/<version>/<case>.txt   where another version answers differently
//! ```
//! `STEADFAST_BLESS=1` writes them anew from what was just heard; the change is then read before it is committed.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use crate::support::root;

/// The version whose answers stand in `expected/` itself.
pub(crate) const BASELINE: &str = "4.1.0";
/// Lines around a difference that are shown with it.
const AROUND: usize = 3;
/// Cases whose differences are shown in full; of the others only the names.
const SHOWN: usize = 12;

/// A difference between two players of the script that is right as it is.
#[derive(Debug)]
pub(crate) struct Allowed {
    /// Prefix of the names of the cases.
    pub(crate) case: &'static str,
    /// What both lines contain up to where they differ; empty allows any line.
    pub(crate) line: &'static str,
    /// Why.
    pub(crate) reason: &'static str,
}

/// Nothing may differ between two runs of the script on the same version.
pub(crate) const ALLOWED: &[Allowed] = &[];

/// What is expected of a version in a case; none when nothing was ever measured.
pub(crate) fn expected(version: &str, case: &str) -> Option<String> {
    fs::read_to_string(file(version, case))
        .or_else(|_| fs::read_to_string(file(BASELINE, case)))
        .ok()
}

/// Writes down what a version answers: beside the baseline only where it differs.
pub(crate) fn bless(version: &str, played: &[(&'static str, String)]) -> std::io::Result<()> {
    for (case, text) in played {
        let path = file(version, case);
        let baseline = fs::read_to_string(file(BASELINE, case)).ok();
        if version != BASELINE && baseline.as_deref() == Some(text) {
            // It may have differed before.
            let _gone = fs::remove_file(path);
            continue;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, text)?;
    }
    Ok(())
}

/// Every case that differs, for people; empty when none does.
pub(crate) fn differences(
    played: &[(&'static str, String)],
    expected: impl Fn(&str) -> Option<String>,
    allowed: &[Allowed],
) -> String {
    let mut report = String::new();
    let mut more = Vec::new();
    for (case, text) in played {
        let allowed: Vec<&Allowed> = allowed
            .iter()
            .filter(|rule| case.starts_with(rule.case))
            .collect();
        let shown = match expected(case) {
            Some(expected) => difference(&expected, text, &allowed),
            None => Some("  nothing was ever measured; STEADFAST_BLESS=1 writes it down\n".into()),
        };
        match shown {
            Some(shown) if report.matches("\n== ").count() < SHOWN => {
                // Writing to a string cannot fail.
                let _ = write!(report, "\n== {case}\n{shown}");
            }
            Some(_) => more.push(*case),
            None => {}
        }
    }
    if !more.is_empty() {
        let _ = write!(report, "\n== and {}\n", more.join(", "));
    }
    if !report.is_empty() {
        for rule in allowed {
            let _ = writeln!(
                report,
                "(allowed in {}: {:?}, {})",
                rule.case, rule.line, rule.reason
            );
        }
    }
    report
}

/// The lines that differ, with what stands before them; none when the texts agree as far as they must.
fn difference(expected: &str, found: &str, allowed: &[&Allowed]) -> Option<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), found.lines().collect());
    let same = |a: &str, b: &str| {
        a == b
            || allowed
                .iter()
                .any(|rule| a.contains(rule.line) && b.contains(rule.line))
    };
    let steps = steps(&old, &new, same);
    if steps.iter().all(|step| matches!(step, Step::Both(_))) {
        return None;
    }
    let mut out = String::new();
    let mut before: Vec<&str> = Vec::new();
    let mut after = 0;
    for step in steps {
        match step {
            Step::Both(line) if after > 0 => {
                let _ = writeln!(out, "    {line}");
                after -= 1;
            }
            Step::Both(line) => before.push(line),
            Step::Old(line) | Step::New(line) => {
                for line in before
                    .drain(..)
                    .rev()
                    .take(AROUND)
                    .collect::<Vec<_>>()
                    .iter()
                    .rev()
                {
                    let _ = writeln!(out, "    {line}");
                }
                let mark = if matches!(step, Step::Old(_)) { '-' } else { '+' };
                let _ = writeln!(out, "  {mark} {line}");
                after = 1;
            }
        }
    }
    Some(out)
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Both(&'a str),
    Old(&'a str),
    New(&'a str),
}

/// The longest common subsequence, the plain way: a case has a few hundred lines at most.
fn steps<'a>(old: &[&'a str], new: &[&'a str], same: impl Fn(&str, &str) -> bool) -> Vec<Step<'a>> {
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for a in (0..old.len()).rev() {
        for b in (0..new.len()).rev() {
            common[a][b] = if same(old[a], new[b]) {
                common[a + 1][b + 1] + 1
            } else {
                common[a + 1][b].max(common[a][b + 1])
            };
        }
    }
    let (mut a, mut b) = (0, 0);
    let mut steps = Vec::new();
    while a < old.len() || b < new.len() {
        if a < old.len() && b < new.len() && same(old[a], new[b]) {
            steps.push(Step::Both(new[b]));
            (a, b) = (a + 1, b + 1);
        } else if b == new.len() || (a < old.len() && common[a + 1][b] >= common[a][b + 1]) {
            steps.push(Step::Old(old[a]));
            a += 1;
        } else {
            steps.push(Step::New(new[b]));
            b += 1;
        }
    }
    steps
}

fn file(version: &str, case: &str) -> PathBuf {
    let folder = root().join("tests/conformance/expected");
    let folder = if version == BASELINE {
        folder
    } else {
        folder.join(version)
    };
    folder.join(format!("{case}.txt"))
}
