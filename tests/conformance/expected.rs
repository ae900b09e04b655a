//! What was measured on real Kafka, in `expected/`, and how an answer may differ from it.
//!
//! ```text
//! expected/<case>.txt             measured on the default version
//! expected/<version>/<case>.txt   where another version answers differently
//! ```
//! `STEADFAST_BLESS=1` writes them anew from what was just heard; the change is then read before it is committed.

use std::collections::BTreeSet;
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
    /// Any of these stands in the line.
    pub(crate) lines: &'static [&'static str],
    pub(crate) how: How,
    /// Why.
    pub(crate) reason: &'static str,
}

/// How a line may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// The same stands in both, and the rest may be another.
    Otherwise,
    /// It may stand in one of the two alone.
    Alone,
}

impl Allowed {
    fn fits(&self, case: &str, line: &str, other: Option<&str>) -> bool {
        let how = if other.is_some() {
            How::Otherwise
        } else {
            How::Alone
        };
        let stands = |word: &&str| line.contains(word) && other.is_none_or(|other| other.contains(word));
        self.how == how && case.starts_with(self.case) && self.lines.iter().any(stands)
    }
}

/// What our own broker may answer otherwise than the Kafka it is modelled on. Each stands in README.md too.
pub(crate) const ALLOWED: &[Allowed] = &[
    Allowed {
        case: "versions-api-versions",
        lines: NOT_SERVED,
        how: How::Alone,
        reason: "requests of groups, security, brokers and operators that the model does not serve",
    },
    Allowed {
        case: "versions-api-versions",
        lines: &[
            "  supportedFeatures:",
            "- name=eligible.leader.replicas.version ",
            "- name=group.version ",
            "- name=kraft.version ",
            "- name=metadata.version ",
            "- name=share.version ",
        ],
        how: How::Alone,
        reason: "features of what the model lacks; of those that clients look at, it has transaction.version",
    },
    Allowed {
        case: "fetch-refused",
        lines: &["< throttleTimeMs=* errorCode=0 sessionId="],
        how: How::Otherwise,
        reason: "session 0: the broker keeps none, as one of Kafka's whose cache is full (KIP-227)",
    },
    Allowed {
        case: "coordinators-come-up",
        lines: &["< throttleTimeMs=*"],
        how: How::Otherwise,
        reason: COORDINATORS,
    },
    Allowed {
        case: "coordinators-come-up",
        lines: &[
            "  topics:",
            "    - name=nowhere",
            "      partitions:",
            "        - partitionIndex=0 committedOffset=-1 ",
        ],
        how: How::Alone,
        reason: COORDINATORS,
    },
];

const COORDINATORS: &str =
    "coordinators are there from the start; Kafka's come with the first FindCoordinator";

/// API keys of Kafka 4.1 that the model does not serve.
const NOT_SERVED: &[&str] = &[
    "- apiKey=11 ",
    "- apiKey=12 ",
    "- apiKey=13 ",
    "- apiKey=14 ",
    "- apiKey=15 ",
    "- apiKey=16 ",
    "- apiKey=17 ",
    "- apiKey=21 ",
    "- apiKey=27 ",
    "- apiKey=29 ",
    "- apiKey=30 ",
    "- apiKey=31 ",
    "- apiKey=33 ",
    "- apiKey=34 ",
    "- apiKey=35 ",
    "- apiKey=36 ",
    "- apiKey=38 ",
    "- apiKey=39 ",
    "- apiKey=40 ",
    "- apiKey=41 ",
    "- apiKey=42 ",
    "- apiKey=45 ",
    "- apiKey=46 ",
    "- apiKey=47 ",
    "- apiKey=48 ",
    "- apiKey=49 ",
    "- apiKey=50 ",
    "- apiKey=51 ",
    "- apiKey=55 ",
    "- apiKey=57 ",
    "- apiKey=64 ",
    "- apiKey=68 ",
    "- apiKey=69 ",
    "- apiKey=74 ",
    "- apiKey=75 ",
    "- apiKey=76 ",
    "- apiKey=77 ",
    "- apiKey=78 ",
    "- apiKey=79 ",
    "- apiKey=80 ",
    "- apiKey=81 ",
    "- apiKey=83 ",
    "- apiKey=84 ",
    "- apiKey=85 ",
    "- apiKey=86 ",
    "- apiKey=87 ",
    "- apiKey=90 ",
    "- apiKey=91 ",
    "- apiKey=92 ",
];

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

/// Every case that differs, for people, and every rule that allows what nobody does; empty when there is neither.
pub(crate) fn differences(
    played: &[(&'static str, String)],
    expected: impl Fn(&str) -> Option<String>,
    allowed: &[Allowed],
) -> String {
    let mut report = String::new();
    let mut more = Vec::new();
    let mut needed = BTreeSet::new();
    for (case, text) in played {
        let shown = match expected(case) {
            Some(expected) => difference(case, &expected, text, allowed, &mut needed),
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
    for (number, rule) in allowed.iter().enumerate() {
        if !needed.contains(&number) {
            let _ = writeln!(
                report,
                "allowed, and nothing needs it: {:?} in {}",
                rule.lines, rule.case
            );
        } else if !report.is_empty() {
            let _ = writeln!(
                report,
                "(allowed in {}: {:?}, {})",
                rule.case, rule.lines, rule.reason
            );
        }
    }
    report
}

/// The lines that differ, with what stands before them; none when the texts agree as far as they must. `needed` takes the
/// numbers of the rules that allowed something.
fn difference(
    case: &str,
    expected: &str,
    found: &str,
    allowed: &[Allowed],
    needed: &mut BTreeSet<usize>,
) -> Option<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), found.lines().collect());
    let rule = |line: &str, other: Option<&str>| allowed.iter().position(|rule| rule.fits(case, line, other));
    let same = |a: &str, b: &str| a == b || rule(a, Some(b)).is_some();
    let mut steps = steps(&old, &new, same);
    steps.retain_mut(|step| match step {
        Step::Both(a, b) => {
            needed.extend(rule(a, Some(b)).filter(|_| a != b));
            true
        }
        Step::Old(line) | Step::New(line) => {
            let rule = rule(line, None);
            needed.extend(rule);
            rule.is_none()
        }
    });
    if steps.iter().all(|step| matches!(step, Step::Both(..))) {
        return None;
    }
    let mut out = String::new();
    let mut before: Vec<&str> = Vec::new();
    let mut after = 0;
    for step in steps {
        match step {
            Step::Both(_, line) if after > 0 => {
                let _ = writeln!(out, "    {line}");
                after -= 1;
            }
            Step::Both(_, line) => before.push(line),
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
    Both(&'a str, &'a str),
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
            steps.push(Step::Both(old[a], new[b]));
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
