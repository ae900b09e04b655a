//! Three nodes on a real cluster: each fault bites, leaves evidence, heals, and nothing is lost, doubled or reordered.

use libtest_mimic::{Failed, Trial};
use steadfast_verifier::verdict::Outcome;

use crate::running::expect_nothing_left;
use crate::support::{Need, expect, expect_exit, steadfast, temporary, trial, verdict};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "faults::nothing_is_injected_where_the_steady_state_is_not_reached",
            &[Need::Kafka],
            not_steady,
        ),
        trial("faults::leader_kill", &[Need::Kafka], || {
            scenario("scenarios/delivery/leader-kill.toml")
        }),
        trial(
            "faults::client_partition",
            &[Need::All, Need::Kafka, Need::Toxiproxy],
            || scenario("scenarios/delivery/client-partition.toml"),
        ),
        trial("faults::rolling_restart", &[Need::All, Need::Kafka], || {
            scenario("scenarios/delivery/rolling-restart.toml")
        }),
    ]
}

const NOT_STEADY: &str = r#"title = "no broker answers within a microsecond"
[cluster]
topics.records = { partitions = 1 }
[workload]
executor = "constant-arrival-rate"
rate = "500/s"
warmup = "6s"
duration = "12s"
[steady-state]
probes = ["ack_latency p(50)<1us"]
[[fault]]
name = "pause"
at = "2s"
for = "3s"
action = "pause"
target = "leader(records-0)"
[claims]
lost = 0
"#;

fn not_steady() -> Result<(), Failed> {
    let dir = temporary();
    let file = dir.path().join("not-steady.toml");
    std::fs::write(&file, NOT_STEADY)?;
    let out = dir.path().join("run");
    let output = steadfast(&[
        "run",
        &file.to_string_lossy(),
        "--broker",
        "kafka",
        "--out",
        &out.to_string_lossy(),
    ]);
    expect_exit(&output, 4)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for words in [
        "steady state not reached",
        "ack_latency p(50)<1us",
        "nothing was injected",
    ] {
        expect(said.contains(words), || {
            format!("{words:?} is missing in:\n{said}")
        })?;
    }
    let faults = std::fs::read_to_string(out.join("faults.jsonl")).unwrap_or_default();
    expect(faults.is_empty(), || format!("injected after all: {faults}"))?;
    expect(!out.join("verdict.json").exists(), || "it was judged".into())?;
    expect_nothing_left(&out)
}

fn scenario(file: &str) -> Result<(), Failed> {
    let dir = temporary();
    let out = dir.path().join("run");
    let output = steadfast(&["run", file, "--broker", "kafka", "--out", &out.to_string_lossy()]);
    expect_exit(&output, 0)?;
    let verdict = verdict(&out)?;
    expect(
        verdict.verdict == Outcome::Pass && verdict.broker.nodes == 3,
        || format!("{verdict:?}"),
    )?;
    expect(!verdict.faults.is_empty(), || "no fault in the verdict".into())?;
    for fault in &verdict.faults {
        expect(!fault.evidence.is_empty() && fault.healed_ns.is_some(), || {
            format!("no evidence: {fault:?}")
        })?;
    }
    Ok(())
}
