//! `steadfast simulate`: CI's share of seeds, the same bytes from the same seed, and usage.

use libtest_mimic::{Failed, Trial};

use crate::support::{Need, expect, expect_exit, steadfast, trial};

/// Seeds of the quick suite and of the long one.
const QUICK: &str = "100";
const LONG: &str = "2000";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("simulate::a_hundred_worlds_are_clean", &[], || worlds(QUICK)),
        trial("simulate::two_thousand_worlds_are_clean", &[Need::All], || {
            worlds(LONG)
        }),
        trial("simulate::the_same_seed_gives_the_same_bytes", &[], same_bytes),
        trial("simulate::a_scenario_file_makes_worlds", &[], file),
        trial("simulate::what_virtual_time_cannot_do_is_refused", &[], refused),
        trial("simulate::no_seed_at_all_is_usage", &[], usage),
    ]
}

fn worlds(seeds: &str) -> Result<(), Failed> {
    let output = steadfast(&["simulate", "--seeds", seeds, "--jobs", "2"]);
    expect_exit(&output, 0)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    expect(text.contains(&format!("0 of {seeds} seeds failed")), || {
        text.clone()
    })
}

fn same_bytes() -> Result<(), Failed> {
    let hash = |jobs: &str| -> Result<String, Failed> {
        let output = steadfast(&[
            "simulate", "--seeds", "6", "--from", "40", "--jobs", jobs, "--json",
        ]);
        expect_exit(&output, 0)?;
        let summary: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        Ok(summary["hash"].as_str().unwrap_or_default().to_owned())
    };
    let [first, again, two] = [hash("1")?, hash("1")?, hash("2")?];
    expect(first.len() == 16 && first == again && first == two, || {
        format!("hashes {first}, {again} and, on two threads, {two}")
    })
}

/// 6 partitions, one node, 25,000 records a virtual second without keys.
fn file() -> Result<(), Failed> {
    let output = steadfast(&[
        "simulate",
        "scenarios/quickstart.toml",
        "--seeds",
        "2",
        "--seconds",
        "3",
    ]);
    expect_exit(&output, 0)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    expect(
        text.contains("1 nodes, 6 partitions, 2 clients, 25000 records/s, 3 s of faults"),
        || text.clone(),
    )
}

fn refused() -> Result<(), Failed> {
    let output = steadfast(&["simulate", "scenarios/latency/steady-25k.toml", "--seeds", "1"]);
    expect_exit(&output, 2)?;
    let frames = String::from_utf8_lossy(&output.stderr).into_owned();
    expect(
        frames.contains("[thresholds] in virtual time") && frames.contains("steady-25k.toml:"),
        || frames.clone(),
    )
}

fn usage() -> Result<(), Failed> {
    expect_exit(&steadfast(&["simulate", "--seeds", "0"]), 2)
}
