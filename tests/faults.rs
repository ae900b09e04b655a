//! Three nodes on a real cluster: each fault bites, leaves evidence, heals, and nothing is lost, doubled or reordered.

use libtest_mimic::{Failed, Trial};
use steadfast_verifier::verdict::Outcome;

use crate::support::{Need, expect, expect_exit, steadfast, temporary, trial, verdict};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
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
