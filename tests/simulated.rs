//! Runs on our own broker: what they show, what they can never show, and that nothing but this binary is needed.

use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use steadfast_verifier::verdict::{Outcome, Verdict};

use crate::main_job::FILES;
use crate::support::{Need, expect, expect_exit, on_a_bare_machine, steadfast, temporary, trial, verdict};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("simulated::quickstart_passes_on_a_bare_machine", &[], quickstart),
        trial(
            "simulated::a_limit_on_kafkas_speed_is_inconclusive",
            &[],
            headline,
        ),
        trial(
            "simulated::what_the_model_lacks_is_exit_3_with_the_mend",
            &[],
            unknown_property,
        ),
        trial(
            "simulated::leader_kill_doubles_and_reorders_nothing",
            &[],
            leader_kill,
        ),
        trial(
            "simulated::rolling_restart_doubles_and_reorders_nothing",
            &[Need::All],
            rolling_restart,
        ),
        trial(
            "simulated::client_partition_passes",
            &[Need::All, Need::Toxiproxy],
            client_partition,
        ),
    ]
}

fn quickstart() -> Result<(), Failed> {
    let dir = temporary();
    let out = dir.path().join("run");
    let (output, took) = on_a_bare_machine(&[
        "run",
        "scenarios/quickstart.toml",
        "--out",
        &out.to_string_lossy(),
    ])?;
    expect_exit(&output, 0)?;
    expect(took < Duration::from_secs(60), || format!("it took {took:?}"))?;
    for name in FILES {
        expect(out.join(name).exists(), || {
            format!("{name} is missing in the run folder")
        })?;
    }
    expect(!out.join("broker-data").exists(), || {
        "the broker's data was left".into()
    })?;
    let verdict = verdict(&out)?;
    let broker = &verdict.broker;
    expect(
        broker.kind == "simulated" && broker.reason.contains("no Kafka jars"),
        || format!("{broker:?}"),
    )?;
    expect(verdict.records.acked == verdict.records.read, || {
        format!("{:?}", verdict.records)
    })?;
    let first = String::from_utf8_lossy(&output.stdout)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned();
    let junit = std::fs::read_to_string(out.join("junit.xml"))?;
    let report = std::fs::read_to_string(out.join("report.html"))?;
    for (what, text) in [
        ("the first line", &first),
        ("junit.xml", &junit),
        ("the report", &report),
    ] {
        for word in ["simulated", broker.version.as_str(), "no Kafka jars"] {
            expect(text.contains(word), || format!("{what} lacks {word:?}"))?;
        }
    }
    Ok(())
}

fn headline() -> Result<(), Failed> {
    let (verdict, text) = run(
        "scenarios/latency/steady-25k.toml",
        &["--set", "workload.warmup=3s", "--set", "workload.duration=5s"],
        5,
    )?;
    expect(
        verdict
            .thresholds
            .iter()
            .all(|limit| limit.verdict == Outcome::Inconclusive),
        || text.clone(),
    )?;
    expect(
        verdict.claims.iter().all(|claim| claim.verdict == Outcome::Pass),
        || text.clone(),
    )?;
    expect(text.contains("the broker is simulated"), || text.clone())?;
    let plan = steadfast(&[
        "plan",
        "scenarios/latency/steady-25k.toml",
        "--broker",
        "simulated",
    ]);
    let plan = String::from_utf8_lossy(&plan.stdout).into_owned();
    expect(
        plan.contains("INCONCLUSIVE") && plan.contains("provable    lost"),
        || plan,
    )
}

fn unknown_property() -> Result<(), Failed> {
    let dir = temporary();
    let out = dir.path().join("run");
    let output = steadfast(&[
        "run",
        "scenarios/quickstart.toml",
        "--broker",
        "simulated",
        "--set",
        "cluster.properties.queued.max.requests=7",
        "--out",
        &out.to_string_lossy(),
    ]);
    expect_exit(&output, 3)?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    expect(
        text.contains("queued.max.requests") && text.contains("--broker kafka"),
        || text,
    )
}

fn leader_kill() -> Result<(), Failed> {
    faults(
        "scenarios/delivery/leader-kill.toml",
        &[
            "--set",
            "workload.warmup=5s",
            "--set",
            "workload.duration=25s",
            "--set",
            "fault.kill-leader.at=5s",
            "--set",
            "fault.kill-leader.for=8s",
        ],
    )
}

fn rolling_restart() -> Result<(), Failed> {
    faults("scenarios/delivery/rolling-restart.toml", &[])
}

/// Every claim passes but `lost`, which rests on replication that is not Kafka's.
fn faults(file: &str, more: &[&str]) -> Result<(), Failed> {
    let (verdict, text) = run(file, more, 5)?;
    for claim in &verdict.claims {
        let wanted = if claim.id == "lost" {
            Outcome::Inconclusive
        } else {
            Outcome::Pass
        };
        expect(claim.verdict == wanted && claim.observed == 0, || text.clone())?;
    }
    for fault in &verdict.faults {
        expect(fault.evidence.len() > 1 && fault.healed_ns.is_some(), || {
            format!("{fault:?}")
        })?;
    }
    expect(!verdict.faults.is_empty(), || text)
}

fn client_partition() -> Result<(), Failed> {
    let (verdict, text) = run("scenarios/delivery/client-partition.toml", &[], 0)?;
    expect(
        !verdict.faults.is_empty() && verdict.faults.iter().all(|fault| !fault.evidence.is_empty()),
        || text,
    )
}

fn run(file: &str, more: &[&str], exit: i32) -> Result<(Verdict, String), Failed> {
    let dir = temporary();
    let out = dir.path().join("run");
    let out = out.to_string_lossy();
    let output = steadfast(&[&["run", file, "--broker", "simulated", "--out", &out], more].concat());
    expect_exit(&output, exit)?;
    Ok((
        verdict(&dir.path().join("run"))?,
        String::from_utf8_lossy(&output.stdout).into_owned(),
    ))
}
