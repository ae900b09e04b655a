//! Clients that make the usual mistakes go through the same scenarios and are found guilty, under the right names. A harness
//! that passes everything proves nothing. The client: tests/naive; the whole table: docs/naive.md.

use std::path::PathBuf;
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use steadfast_verifier::verdict::Outcome;

use crate::support::{Need, STEADFAST, expect, expect_exit, root, temporary, trial, verdict};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("naive::a_leader_is_killed", &[Need::All, Need::Kafka], || {
            guilty(
                "leader-kill",
                "retries",
                &["workload.rate=5000/s", "workload.duration=32s"],
            )
        }),
        trial(
            "naive::answers_are_lost",
            &[Need::All, Need::Kafka, Need::Toxiproxy],
            || guilty("ack-blackhole", "retries", &["workload.duration=28s"]),
        ),
        trial(
            "naive::a_broker_restarts_blind",
            &[Need::All, Need::Kafka],
            || guilty("blind-restart", "renumbers", &[]),
        ),
        trial("naive::what_is_no_program_is_refused", &[], refused),
    ]
}

/// Runs the naive client through a scenario that ours passes: it must be found to have written something twice.
fn guilty(scenario: &str, mistake: &str, sets: &[&str]) -> Result<(), Failed> {
    let dir = temporary();
    let out = dir.path().join("run");
    let file = format!("scenarios/delivery/{scenario}.toml");
    let mut run = Command::new(STEADFAST);
    run.current_dir(root());
    run.args(["run", &file, "--broker", "kafka", "--out"]).arg(&out);
    run.arg("--subject").arg(naive()?).env("NAIVE", mistake);
    // It is ready after a few records; ours needs the warm-up for its figures.
    run.args(["--set", "workload.warmup=6s"]);
    run.args(sets.iter().flat_map(|set| ["--set", *set]));
    let output = run.output()?;
    expect_exit(&output, 10)?;
    let verdict = verdict(&out)?;
    expect(
        verdict.subject == "naive" && verdict.verdict == Outcome::Fail,
        || format!("{verdict:?}"),
    )?;
    expect(
        verdict.anomalies.get("D1").is_some_and(|found| *found > 0),
        || format!("{:?}", verdict.anomalies),
    )?;
    for fault in &verdict.faults {
        expect(!fault.evidence.is_empty(), || format!("no evidence: {fault:?}"))?;
    }
    println!("naive ({mistake}) in {scenario}: {:?}", verdict.anomalies);
    Ok(())
}

fn refused() -> Result<(), Failed> {
    let output = Command::new(STEADFAST)
        .args([
            "run",
            "scenarios/quickstart.toml",
            "--subject",
            "scenarios/quickstart.toml",
        ])
        .args(["--broker", "simulated"])
        .current_dir(root())
        .output()?;
    expect_exit(&output, 2)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    expect(
        said.contains("not a program") && said.contains("docs/subject.md"),
        || said,
    )
}

/// Built by cargo beside the binary.
fn naive() -> Result<PathBuf, Failed> {
    let target = PathBuf::from(STEADFAST);
    let path = target.parent().unwrap_or(&target).join("examples/naive");
    expect(path.is_file(), || {
        format!(
            "{} is not there; mend: cargo build -p steadfast-scenarios --example naive",
            path.display()
        )
    })?;
    Ok(path)
}
