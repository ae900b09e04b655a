//! A witness that shares no code with us: Kafka's own console consumer counts the records of a run, on a cluster that
//! the test started itself and the run was only pointed at (`--broker external`). And the same on demand, with a dump of the
//! segments: `run --oracle`.

use std::path::Path;
use std::process::{Command, Stdio};

use libtest_mimic::{Failed, Trial};
use steadfast_verifier::oracle::{Oracle, Witness};
use steadfast_verifier::verdict::Outcome;

use crate::node::{Node, jars};
use crate::support::{Need, expect, expect_exit, steadfast, temporary, trial, verdict};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "oracle::kafkas_own_consumer_counts_the_same_records",
            &[Need::Kafka],
            same_count,
        ),
        trial(
            "oracle::consumer_and_segment_dump_confirm_the_log_and_a_forged_one_is_I6",
            &[Need::Kafka],
            on_demand,
        ),
        trial("oracle::only_real_kafka_can_be_asked", &[], refused),
    ]
}

const WITNESSED: &str = r#"title = "Kafka's own tools have the same log"
[cluster]
nodes = 1
topics.payments = { partitions = 2 }
[producer]
transactional.id = "payments-1"
[workload]
executor = "constant-arrival-rate"
# A coordinator that starts cold takes seconds over its first transactions.
rate = "500/s"
warmup = "10s"
duration = "4s"
record-size = "100 B"
keys = { distribution = "uniform", count = 100 }
partition = "by-key"
[workload.transaction]
records = 50
abort-ratio = 0.1
"#;

/// Transactions, some of them aborted: markers are no records, and what was aborted is one to who reads uncommitted.
fn on_demand() -> Result<(), Failed> {
    let dir = temporary();
    let out = dir.path().join("run");
    let folder = out.to_string_lossy().into_owned();
    let file = dir.path().join("witnessed.toml");
    std::fs::write(&file, WITNESSED)?;
    let args = ["run", &file.to_string_lossy(), "--broker", "kafka", "--oracle"];
    let run = steadfast(&[&args[..], &["--out", &folder]].concat());
    // On a busy machine latency may fail or be void; the log is what counts here.
    expect(matches!(run.status.code(), Some(0 | 5 | 99)), || {
        String::from_utf8_lossy(&run.stderr).into_owned()
    })?;
    let told = agreed(&out)?;
    expect(told > 5_000, || format!("only {told} records"))?;
    // A reader of ours that had missed one would be found out.
    let file = out.join("oracle.json");
    let mut forged: serde_json::Value = serde_json::from_slice(&std::fs::read(&file)?)?;
    let partition = forged["segments"]["partitions"]["0"]["offsets"]
        .as_array_mut()
        .ok_or("no offsets")?;
    partition.remove(0);
    std::fs::write(&file, serde_json::to_vec(&forged)?)?;
    expect_exit(&steadfast(&["verify", &folder]), 10)?;
    expect(verdict(&out)?.anomalies["I6"] > 0, || "I6 is not named".into())?;
    // One that was asked and is gone says nothing.
    forged["segments"]["failed"] = "no Java".into();
    forged["consumer"]["failed"] = "no Java".into();
    std::fs::write(&file, serde_json::to_vec(&forged)?)?;
    let output = steadfast(&["verify", &folder]);
    expect(matches!(output.status.code(), Some(5 | 99)), || {
        String::from_utf8_lossy(&output.stdout).into_owned()
    })
}

/// Both spoke, and nothing differs; gives the records that they have.
fn agreed(folder: &Path) -> Result<u64, Failed> {
    let oracle: Oracle = serde_json::from_slice(&std::fs::read(folder.join("oracle.json"))?)?;
    for witness in [&oracle.consumer, &oracle.segments] {
        expect(witness.failed.is_none(), || format!("{:?}", witness.failed))?;
    }
    let verdict = verdict(folder)?;
    let claim = verdict.claims.iter().find(|claim| claim.id == "oracle");
    expect(claim.is_some_and(|claim| claim.verdict == Outcome::Pass), || {
        format!("{claim:?} {:?}", verdict.examples)
    })?;
    let count = |witness: &Witness| witness.partitions.values().map(|told| told.records).sum::<u64>();
    let (consumer, segments) = (count(&oracle.consumer), count(&oracle.segments));
    expect(consumer == segments && consumer == verdict.records.read, || {
        format!("{consumer}, {segments} and {}", verdict.records.read)
    })?;
    Ok(consumer)
}

fn refused() -> Result<(), Failed> {
    let dir = temporary();
    let out = dir.path().join("run");
    let folder = out.to_string_lossy().into_owned();
    let args = [
        "run",
        "scenarios/quickstart.toml",
        "--broker",
        "simulated",
        "--oracle",
    ];
    let output = steadfast(&[&args[..], &["--out", &folder]].concat());
    expect_exit(&output, 2)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    expect(said.contains("mend:") && !out.exists(), || said)
}

fn same_count() -> Result<(), Failed> {
    let dir = temporary();
    let jars = jars()?;
    let node = Node::start(dir.path())?;
    let server = node.server();
    let out = dir.path().join("run");
    let run = steadfast(&[
        "run",
        "scenarios/quickstart.toml",
        "--broker",
        "external",
        "--bootstrap-server",
        &server,
        "--out",
        &out.to_string_lossy(),
        // It is counted after the run.
        "--keep-topics",
        "--set",
        "workload.warmup=8s",
        "--set",
        "workload.duration=4s",
    ]);
    expect_exit(&run, 0)?;
    let verdict = verdict(&out)?;
    let environment: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.join("workload-0.json"))?)?;
    let topic = environment["topic"]
        .as_str()
        .ok_or("no topic in the workload")?
        .to_owned();
    let counted = count(&jars, &server, &topic)?;
    expect(counted == verdict.records.read && counted > 50_000, || {
        format!(
            "the console consumer counts {counted}, the verifier read {}",
            verdict.records.read
        )
    })
}

fn count(jars: &Path, server: &str, topic: &str) -> Result<u64, Failed> {
    let output = Command::new("java")
        .args(["-Xmx256m", "-cp"])
        .arg(jars.join("*"))
        .args([
            "org.apache.kafka.tools.consumer.ConsoleConsumer",
            "--bootstrap-server",
            server,
            "--topic",
            topic,
        ])
        .args([
            "--from-beginning",
            "--timeout-ms",
            "8000",
            "--property",
            "print.value=false",
        ])
        .args(["--property", "print.offset=true"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()?;
    let lines = output.stdout.iter().filter(|byte| **byte == b'\n').count() as u64;
    let stderr = String::from_utf8_lossy(&output.stderr);
    let said = stderr.lines().find_map(|line| {
        line.strip_prefix("Processed a total of ")?
            .split(' ')
            .next()?
            .parse()
            .ok()
    });
    match said {
        Some(total) if total == lines => Ok(total),
        _ => Err(format!("{lines} lines, and it said:\n{stderr}").into()),
    }
}
