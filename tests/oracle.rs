//! A witness that shares no code with us: Kafka's own console consumer counts the records of a run, on a cluster that
//! the test started itself and the run was only pointed at (`--broker external`).

use std::path::Path;
use std::process::{Command, Stdio};

use libtest_mimic::{Failed, Trial};

use crate::node::{Node, jars};
use crate::support::{Need, expect, expect_exit, steadfast, temporary, trial, verdict};

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial(
        "oracle::kafkas_own_consumer_counts_the_same_records",
        &[Need::Kafka],
        same_count,
    )]
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
