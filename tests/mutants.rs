//! Each rule of the producer broken on purpose, and what notices: `docs/mutants.md`, kept by this test.
//!
//! ```text
//! cargo build --cfg steadfast_mutants ─▶ simulate --mutants ─▶ matrix ─▶ compared with the page
//! cargo test  --cfg steadfast_mutants ─▶ unit tests of cost rules must fail without their rule
//! ```
//!
//! What the page says must stay true, not exact: the anomaly found must be one of those it names, within ten times the
//! seeds it names. `STEADFAST_BLESS=1` writes it anew.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::support::{Need, STEADFAST, expect, trial};

/// Seeds that a mutant may take before it counts as not caught.
const SEEDS_MAX: &str = "5000";
/// Seeds that must stay silent with all rules on, in the same build: some of its clients begin near the last number and
/// the last epoch.
const SILENT_SEEDS: &str = "300";
/// Safety rules that are caught, at least.
const SAFETY_MIN: usize = 25;
/// How much more than written down it may take.
const SLACK: u64 = 10;

/// Rules whose breaking only costs work, or shows only where a late copy arrives just between two batches; and the unit
/// test that fails then.
const UNIT_TESTS: [(&str, &str); 10] = [
    ("settle-before-numbering", LATE_COPY),
    ("late-copy-needs-epoch", LATE_COPY),
    (
        "window",
        "a4_at_most_five_batches_of_a_partition_are_unacknowledged",
    ),
    (
        "old-leader-first",
        "a6_nothing_goes_to_a_new_leader_while_the_old_one_owes_an_answer",
    ),
    ("one-by-one", LATE_COPY),
    ("throttled", "a17_a_throttled_connection_is_left_alone_that_long"),
    ("back-off", "a18_retries_back_off_and_double"),
    (
        "follow-hint",
        "a19_a_newer_leader_named_in_the_answer_is_followed_at_once_and_only_once",
    ),
    ("newer-leaders", "a19_a_leader_of_an_older_epoch_is_not_believed"),
    (
        "by-feature",
        "the_finalized_feature_chooses_the_protocol_and_no_api_version_does",
    ),
];

const LATE_COPY: &str = "a14_numbers_that_a_late_copy_may_still_bear_are_left_behind_with_their_epoch";

/// Clauses that depend on others than the producer, and the unit test of how it reacts.
const REACTIONS: [(&str, &str); 6] = [
    (
        "A1",
        "a1_a_start_is_a_producer_of_its_own_that_fences_nobody_and_remembers_nothing",
    ),
    ("A20", "a20_durability_is_looked_up"),
    (
        "B6",
        "b6_a_newer_owner_stops_the_older_one_at_whatever_it_does_next",
    ),
    (
        "B11",
        "b11_a_position_that_comes_late_never_takes_the_place_of_a_newer_one",
    ),
    ("B12", "b12_a_fresh_id_comes_before_the_epochs_run_out"),
    (
        "B13",
        "b13_an_abort_waits_for_what_is_on_the_wire_and_keeps_late_copies_out",
    ),
];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("mutants::each_is_caught_as_written_down", &[Need::All], matrix),
        trial(
            "mutants::with_all_rules_on_the_same_worlds_are_silent",
            &[Need::All],
            silent,
        ),
        trial(
            "mutants::unit_tests_notice_what_no_log_tells",
            &[Need::All],
            unit_tests,
        ),
    ]
}

fn matrix() -> Result<(), Failed> {
    let output = Command::new(binary()?)
        .args([
            "simulate",
            "--mutants",
            "--seeds",
            SEEDS_MAX,
            "--jobs",
            "2",
            "--json",
        ])
        .output()?;
    succeeded(&output)?;
    let found: Value = serde_json::from_slice(&output.stdout)?;
    let rows: Vec<Row> = found
        .as_array()
        .into_iter()
        .flatten()
        .map(Row::of)
        .collect::<Result<_, _>>()?;
    let page = page(&rows);
    print!("{page}");
    let mut wrong: Vec<String> = rows.iter().filter_map(Row::uncaught).collect();
    let safety = rows
        .iter()
        .filter(|row| row.kind == "safety" && !row.anomalies.is_empty());
    let safety = safety.count();
    if safety < SAFETY_MIN {
        wrong.push(format!(
            "{safety} safety rules are caught, fewer than {SAFETY_MIN}"
        ));
    }
    let path = root().join("docs/mutants.md");
    if std::env::var("STEADFAST_BLESS").as_deref() == Ok("1") {
        std::fs::write(&path, &page)?;
    } else {
        let written = std::fs::read_to_string(&path)?;
        wrong.extend(stale(&rows, &written));
    }
    expect(wrong.is_empty(), || wrong.join("\n"))
}

fn silent() -> Result<(), Failed> {
    let output = Command::new(binary()?)
        .args(["simulate", "--seeds", SILENT_SEEDS, "--jobs", "2"])
        .output()?;
    succeeded(&output)
}

fn unit_tests() -> Result<(), Failed> {
    for (_, test) in REACTIONS {
        expect(exists(test)?, || format!("there is no unit test {test}"))?;
    }
    let mut wrong = Vec::new();
    for (rule, test) in UNIT_TESTS {
        for (without, passes) in [("", true), (rule, false)] {
            let output = cargo("test")
                .args(["-p", "steadfast-producer", "--lib", "--", test])
                .env("STEADFAST_WITHOUT", without)
                .output()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            if !text.contains("running 1 test") {
                return Err(format!(
                    "{test} did not run:\n{text}{}",
                    String::from_utf8_lossy(&output.stderr)
                )
                .into());
            }
            if output.status.success() != passes {
                wrong.push(format!(
                    "{test} {} without {without:?}",
                    if passes { "fails" } else { "passes" }
                ));
            }
        }
    }
    expect(wrong.is_empty(), || wrong.join("\n"))
}

/// One broken rule.
#[derive(Debug)]
struct Row {
    rule: String,
    clause: String,
    kind: String,
    broken: String,
    seeds: u64,
    anomalies: Vec<String>,
}

impl Row {
    fn of(value: &Value) -> Result<Row, Failed> {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        let row = || {
            let anomalies = value["anomalies"].as_array()?.iter();
            Some(Row {
                rule: text("rule")?,
                clause: text("clause")?,
                kind: text("kind")?,
                broken: text("broken")?,
                seeds: value["seeds"].as_u64()?,
                anomalies: anomalies
                    .filter_map(|name| name.as_str().map(str::to_owned))
                    .collect(),
            })
        };
        row().ok_or_else(|| format!("not a row: {value}").into())
    }

    /// What is wrong with it, whatever is written down: caught by nothing, or by more than its kind says.
    fn uncaught(&self) -> Option<String> {
        let delivery = self.anomalies.iter().any(|name| !name.starts_with(['V', 'H']));
        let (rule, seeds) = (&self.rule, self.seeds);
        match self.kind.as_str() {
            "cost" if self.anomalies.is_empty() => None,
            "liveness" if !delivery && !self.anomalies.is_empty() => None,
            "cost" | "liveness" if !self.anomalies.is_empty() => Some(format!(
                "{rule} is marked {}, and {} came of it",
                self.kind,
                self.found()
            )),
            _ if self.anomalies.is_empty() && self.unit_test().is_none() => {
                Some(format!("{rule} is not caught in {seeds} seeds"))
            }
            _ => None,
        }
    }

    fn unit_test(&self) -> Option<&'static str> {
        let found = UNIT_TESTS.iter().find(|(of, _)| *of == self.rule);
        found.map(|(_, test)| *test)
    }

    fn found(&self) -> String {
        self.anomalies.join(" ")
    }

    /// The power of ten that it took at most.
    fn within(&self) -> u64 {
        (1..)
            .map(|power| 10_u64.pow(power))
            .find(|&most| self.seeds <= most)
            .unwrap_or(u64::MAX)
    }

    /// Its line on the page: all but what was found, and that.
    fn cells(&self) -> (String, String) {
        let Row {
            rule,
            clause,
            kind,
            broken,
            ..
        } = self;
        let found = match self.unit_test() {
            Some(test) => format!("`{test}` | -"),
            None => format!("{} | {}", self.found(), self.within()),
        };
        (format!("| `{rule}` | {clause} | {kind} | {broken} |"), found)
    }
}

/// What the page says that is not so.
fn stale(rows: &[Row], page: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let written: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    if written.len() != rows.len() {
        wrong.push(format!(
            "docs/mutants.md has {} rules, the producer {}",
            written.len(),
            rows.len()
        ));
    }
    for row in rows {
        let (head, found) = row.cells();
        let Some(rest) = written.iter().find_map(|line| line.strip_prefix(&*head)) else {
            wrong.push(format!("docs/mutants.md lacks this line: {head} {found} |"));
            continue;
        };
        let mut cells = rest.split('|').map(str::trim);
        let (names, most) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
        let names: BTreeSet<&str> = names.split(' ').collect();
        let most = most.parse().unwrap_or(u64::MAX / SLACK);
        let still = row.unit_test().is_some() || row.anomalies.iter().any(|name| names.contains(&**name));
        if !still || row.seeds > SLACK * most {
            wrong.push(format!(
                "{}: found by {found} now; docs/mutants.md says {rest}",
                row.rule
            ));
        }
    }
    if !wrong.is_empty() {
        wrong.push("STEADFAST_BLESS=1 writes the page anew".to_owned());
    }
    wrong
}

/// The whole page.
fn page(rows: &[Row]) -> String {
    let mut page = String::from(HEAD);
    for row in rows {
        let (head, found) = row.cells();
        let _ = writeln!(page, "{head} {found} |");
    }
    page.push_str(REST);
    for (clause, test) in REACTIONS {
        let _ = writeln!(page, "| {clause} | `{test}` |");
    }
    page
}

const HEAD: &str = "# Rules, broken one at a time

Every rule that keeps records exactly once stands in `producer/src/rules.rs` and is always on. A build with
`--cfg steadfast_mutants`, in a target folder of its own, can leave one out; then somebody has to notice: simulation, by an
anomaly (safety: L, D, O, T, I, S; liveness: V), or a unit test of the producer, for what only costs work or shows only where
a late copy arrives just between two batches. `tests/mutants.rs` tries all of them in `tests/run --all` and fails when this
page is stale. Seeds count from 1; the number is an upper power of ten.

| rule | clause | kind | without it | found by | within seeds |
|---|---|---|---|---|---|
";

const REST: &str = "
Clauses that depend on others than the producer have a unit test of how it reacts:

| clause | unit test |
|---|---|
";

/// The binary that can break its rules.
fn binary() -> Result<PathBuf, Failed> {
    let output = cargo("build")
        .args(["-p", "steadfast-scenarios", "--bin", "steadfast"])
        .output()?;
    succeeded(&output)?;
    Ok(target().join("mutants/steadfast"))
}

fn cargo(command: &str) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args([command, "--locked", "--profile", "mutants"])
        .env("CARGO_TARGET_DIR", target())
        .env("RUSTFLAGS", "--cfg steadfast_mutants")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .current_dir(root());
    cargo
}

/// A folder of its own beside that of the binary under test: no other build shares a file with it.
fn target() -> PathBuf {
    let own = Path::new(STEADFAST)
        .ancestors()
        .nth(2)
        .unwrap_or(Path::new("target"));
    own.join("steadfast-mutants")
}

fn exists(test: &str) -> Result<bool, Failed> {
    let folder = root().join("producer/src/sender/tests");
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() && std::fs::read_to_string(path)?.contains(&format!("fn {test}()")) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn succeeded(output: &Output) -> Result<(), Failed> {
    expect(output.status.success(), || {
        let [out, err] =
            [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
        format!("{}\n{out}\n{err}", output.status)
    })
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
