//! The main job in short: a real broker, 25,000 records/s, judged from the log, shown in a report, judged again.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libtest_mimic::{Failed, Trial};
use steadfast_verifier::verdict::Outcome;

use crate::support::{Need, expect, expect_exit, steadfast, trial, verdict};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "main_job::quickstart_passes_and_leaves_every_file",
            &[Need::Kafka],
            quickstart,
        ),
        trial(
            "main_job::verify_gives_the_same_verdict_again",
            &[Need::Kafka],
            verify_again,
        ),
        trial(
            "main_job::out_that_holds_something_is_refused",
            &[Need::Kafka],
            out_not_empty,
        ),
    ]
}

/// Every file of a run folder that the design names.
pub(crate) const FILES: [&str; 12] = [
    "scenario.toml",
    "environment.json",
    "samples.jsonl",
    "seal.json",
    "log",
    "history",
    "latency.hlog",
    "measurements.json",
    "verdict.json",
    "junit.xml",
    "report.html",
    "summary.md",
];

/// A run that the machine spoilt (exit code 4 or 5: nothing was claimed) is made again, up to so many in all.
const CLEAN_RUNS_MAX: usize = 3;

/// One short quickstart run, made once for every test that looks at a clean folder.
pub(crate) fn clean_run() -> Result<PathBuf, Failed> {
    static RUN: OnceLock<Result<(tempfile::TempDir, PathBuf), String>> = OnceLock::new();
    let run = RUN.get_or_init(|| {
        for again in 1.. {
            let dir = crate::support::temporary();
            let out = dir.path().join("run");
            let output = steadfast(&[
                "run",
                "scenarios/quickstart.toml",
                "--broker",
                "kafka",
                "--out",
                &out.to_string_lossy(),
                "--set",
                "workload.warmup=4s",
                "--set",
                "workload.duration=8s",
            ]);
            let Err(error) = expect_exit(&output, 0) else {
                return Ok((dir, out));
            };
            let message = error.message().unwrap_or("failed").to_owned();
            if again == CLEAN_RUNS_MAX || !matches!(output.status.code(), Some(4 | 5)) {
                return Err(message);
            }
            eprintln!("clean run {again} of {CLEAN_RUNS_MAX}: {message}");
        }
        Err("no run was made".to_owned())
    });
    match run {
        Ok((_, out)) => Ok(out.clone()),
        Err(error) => Err(error.clone().into()),
    }
}

fn quickstart() -> Result<(), Failed> {
    let out = clean_run()?;
    for name in FILES {
        expect(out.join(name).exists(), || {
            format!("{name} is missing in the run folder")
        })?;
    }
    let verdict = verdict(&out)?;
    expect(verdict.verdict == Outcome::Pass, || format!("{verdict:?}"))?;
    expect(
        verdict.broker.kind == "kafka" && verdict.broker.version == "4.1.0",
        || format!("{:?}", verdict.broker),
    )?;
    expect(verdict.records.intended > 100_000, || {
        format!("{:?}", verdict.records)
    })?;
    expect(verdict.records.acked == verdict.records.read, || {
        format!("{:?}", verdict.records)
    })?;
    for id in ["L1", "L2", "L3", "D1", "D2", "D3", "I1", "I2", "I3", "I4", "I5"] {
        expect(verdict.anomalies.get(id) == Some(&0), || {
            format!("{id} was not checked: {:?}", verdict.anomalies)
        })?;
    }
    let size = std::fs::metadata(out.join("report.html"))?.len();
    expect(size < 1_000_000, || format!("report.html has {size} bytes"))
}

fn verify_again() -> Result<(), Failed> {
    let out = copy(&clean_run()?)?;
    let before = verdict(out.path())?;
    std::fs::remove_file(out.path().join("verdict.json"))?;
    expect_exit(&steadfast(&["verify", &out.path().to_string_lossy()]), 0)?;
    let again = verdict(out.path())?;
    expect(before == again, || {
        format!("before: {before:?}\nagain: {again:?}")
    })
}

fn out_not_empty() -> Result<(), Failed> {
    let out = clean_run()?;
    let output = steadfast(&[
        "run",
        "scenarios/quickstart.toml",
        "--broker",
        "kafka",
        "--out",
        &out.to_string_lossy(),
    ]);
    expect_exit(&output, 2)
}

/// A copy of a run folder that a test may damage.
pub(crate) fn copy(from: &Path) -> Result<tempfile::TempDir, Failed> {
    let to = crate::support::temporary();
    copy_into(from, to.path())?;
    Ok(to)
}

fn copy_into(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            std::fs::create_dir_all(&target)?;
            copy_into(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
