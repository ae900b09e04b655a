//! What a record costs the producer in instructions: `docs/instructions.md`, kept by this test.
//!
//! ```text
//! cargo bench --bench instructions ─▶ callgrind's counts ─▶ within 1 % of the page
//! ```
//! Counts are the same on a busy machine, but not from one compiler to the next: with another than the page was written with,
//! they may be off by more. `STEADFAST_BLESS=1` writes the page anew.

use std::process::Command;

use libtest_mimic::{Failed, Trial};

use crate::support::{Need, expect, root, trial};

/// How far the page may be off.
const SLACK: f64 = 0.01;
/// With another compiler than the page's.
const OTHER_COMPILER: f64 = 0.25;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial(
        "instructions::a_record_costs_what_is_written_down",
        &[Need::All, Need::Valgrind],
        counted,
    )]
}

fn counted() -> Result<(), Failed> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "bench",
            "--locked",
            "-p",
            "steadfast-producer",
            "--bench",
            "instructions",
        ])
        .current_dir(root())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    expect(output.status.success(), || {
        format!(
            "{}\n{text}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )
    })?;
    let counts: Vec<(u32, f64)> = text.lines().filter_map(count).collect();
    expect(counts.len() == 3, || format!("expected three counts:\n{text}"))?;
    let compiler = Command::new("rustc").arg("--version").output()?;
    let compiler = String::from_utf8_lossy(&compiler.stdout).trim().to_owned();
    let page = page(&counts, &compiler);
    print!("{page}");
    let path = root().join("docs/instructions.md");
    if std::env::var("STEADFAST_BLESS").as_deref() == Ok("1") {
        std::fs::write(&path, &page)?;
    }
    let written = std::fs::read_to_string(&path)?;
    let same = written.contains(&compiler);
    let wrong = stale(&counts, &written, if same { SLACK } else { OTHER_COMPILER });
    expect(wrong.is_empty(), || wrong.join("\n"))
}

/// What is not as written.
fn stale(counts: &[(u32, f64)], written: &str, slack: f64) -> Vec<String> {
    let mut wrong = Vec::new();
    for (records, each) in counts {
        let row = written
            .lines()
            .find_map(|line| line.strip_prefix(&format!("| {records} | ")));
        let told: Option<f64> = row.and_then(|row| row.split(' ').next()?.parse().ok());
        if told.is_none_or(|told| (each / told - 1.0).abs() > slack) {
            wrong.push(format!(
                "{records} records a batch: {each:.1} instructions a record, docs/instructions.md says {told:?}; \
                 STEADFAST_BLESS=1 writes it anew"
            ));
        }
    }
    wrong
}

/// `100 records a batch: 243.7 instructions a record`
fn count(line: &str) -> Option<(u32, f64)> {
    let (records, rest) = line.split_once(" records a batch: ")?;
    let each = rest.strip_suffix(" instructions a record")?;
    Some((records.parse().ok()?, each.parse().ok()?))
}

fn page(counts: &[(u32, f64)], compiler: &str) -> String {
    let rows: String = counts
        .iter()
        .map(|(records, each)| format!("| {records} | {each:.1} |\n"))
        .collect();
    format!("{HEAD}{rows}{REST}Counted with {compiler}.\n")
}

const HEAD: &str = "# Instructions a record

What a record with a value of 100 bytes and no key costs the producer from `append` to its completion: its bytes encoded, the
batch sealed with its CRC, the request framed, the answer parsed. The core (`producer/src/sender.rs`) runs as in production, with
a socket that answers at once; callgrind counts (`cargo bench -p steadfast-producer --bench instructions`). System calls are not
in it.

| records a batch | instructions a record |
|---|---|
";

const REST: &str = "
`tests/run --all` fails when a count is off by more than 1 %. The goal is 250 for a record of a full batch.

";
