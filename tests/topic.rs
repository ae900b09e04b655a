//! `steadfast verify --bootstrap-server HOST:PORT --topic T`: whoever stamps records is judged, by the log alone. The writer
//! here is rskafka, which shares no code with us but the stamp.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::DateTime;
use libtest_mimic::{Failed, Trial};
use rskafka::BackoffConfig;
use rskafka::client::partition::{Compression, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::Record;
use serde_json::Value;
use steadfast_verifier::log_verdict::{LogVerdict, SCHEMA};
use steadfast_verifier::stamp::{self, RecordId};

use crate::broker::Broker;
use crate::support::{expect, expect_exit, steadfast, temporary, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "topic::a_foreign_writer_is_judged_by_its_log",
            &[],
            foreign_writer,
        ),
        trial("topic::what_a_run_wrote_passes_without_its_folder", &[], own_run),
        trial("topic::mistakes_and_nobody_there_are_told", &[], mistakes),
    ]
}

const PARTITIONS: i32 = 2;
const KEYS: u64 = 4;
const CREATE_MS: i32 = 10_000;
const PATIENCE: Duration = Duration::from_secs(20);
const FIRST_TIMESTAMP_MS: i64 = 1_700_000_000_000;

/// Record `index` of worker 5: its key chooses the partition.
fn record(topic: &str, index: u64) -> Record {
    let key = format!("key-{}", index % KEYS).into_bytes();
    let mut value = vec![b'.'; 40];
    let sequence = (index / KEYS) as u32;
    stamp::write(
        &mut value,
        RecordId::new(5, index),
        sequence,
        topic,
        Some(&key),
        &[],
    );
    Record {
        key: Some(key),
        value: Some(value),
        headers: BTreeMap::new(),
        timestamp: DateTime::from_timestamp_millis(FIRST_TIMESTAMP_MS).unwrap_or_default(),
    }
}

/// Records `indexes`, each into the partition of its key.
async fn write(client: &Client, topic: &str, indexes: &[u64]) -> Result<(), Failed> {
    for partition in 0..PARTITIONS {
        let of_partition = indexes
            .iter()
            .filter(|&&index| (index % KEYS) as i32 % PARTITIONS == partition);
        let records: Vec<Record> = of_partition.map(|&index| record(topic, index)).collect();
        if !records.is_empty() {
            let writer = client
                .partition_client(topic, partition, UnknownTopicHandling::Retry)
                .await?;
            writer.produce(records, Compression::NoCompression).await?;
        }
    }
    Ok(())
}

fn foreign_writer() -> Result<(), Failed> {
    let dir = temporary();
    // The records are old, and must not be deleted for it.
    let broker = Broker::start(&dir.path().join("data"), &["-X", "log.retention.ms=-1"])?;
    let whole: Vec<u64> = (0..1_000).collect();
    let gap: Vec<u64> = (0..1_000).filter(|index| *index != 500).collect();
    // What came first is written once more, behind all the rest.
    let twice: Vec<u64> = (0..1_000).chain(0..4).collect();
    // A later record of the key stands first.
    let late: Vec<u64> = (0..500).chain(504..1_000).chain(500..504).collect();
    let topics = [
        ("whole", whole, 0, ""),
        ("gap", gap, 5, ""),
        ("twice", twice, 10, "D1"),
        ("late", late, 10, "O"),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let patience = BackoffConfig {
            deadline: Some(PATIENCE),
            ..BackoffConfig::default()
        };
        let builder = ClientBuilder::new(vec![broker.server.clone()]).backoff_config(patience);
        let client = builder.build().await?;
        for (topic, indexes, _, _) in &topics {
            let controller = client.controller_client()?;
            controller.create_topic(*topic, PARTITIONS, 1, CREATE_MS).await?;
            write(&client, topic, indexes).await?;
        }
        Ok::<(), Failed>(())
    })?;
    for (topic, indexes, code, id) in &topics {
        let output = verify(&broker.server, topic, &["--json"]);
        expect_exit(&output, *code)?;
        let verdict: LogVerdict = serde_json::from_slice(&output.stdout)?;
        expect(
            verdict.schema == SCHEMA && verdict.exit_code == *code as u8,
            || format!("{verdict:?}"),
        )?;
        expect(verdict.records.read == indexes.len() as u64, || {
            format!("{verdict:?}")
        })?;
        let found = verdict.anomalies.iter().filter(|(_, count)| **count > 0);
        let found: Vec<&str> = found.map(|(id, _)| id.as_str()).collect();
        let named = found.iter().all(|found| found.starts_with(id)) && found.is_empty() == id.is_empty();
        expect(named, || format!("{topic}: found {found:?} instead of {id}"))?;
        let missing = u64::from(*topic == "gap");
        expect(
            verdict.writers.len() == 1 && verdict.writers[0].missing == missing,
            || format!("{:?}", verdict.writers),
        )?;
    }
    let said = verify(&broker.server, "gap", &[]);
    expect_exit(&said, 5)?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    for words in ["INCONCLUSIVE", "possible loss", "5:500", "not seen"] {
        expect(said.contains(words), || {
            format!("{words:?} is missing in:\n{said}")
        })?;
    }
    broker.stop()
}

fn own_run() -> Result<(), Failed> {
    let dir = temporary();
    let broker = Broker::start(&dir.path().join("data"), &[])?;
    let out = dir.path().join("run");
    let mut args = vec![
        "run",
        "scenarios/quickstart.toml",
        "--broker",
        "external",
        "--keep-topics",
    ];
    let folder = out.to_string_lossy();
    args.extend(["--bootstrap-server", &broker.server, "--out", &folder]);
    for set in [
        "workload.warmup=2s",
        "workload.duration=3s",
        "workload.rate=5000/s",
    ] {
        args.extend(["--set", set]);
    }
    // Latency is nothing to us here.
    let run = steadfast(&args);
    let code = run.status.code();
    expect(code == Some(0) || code == Some(99) || code == Some(5), || {
        String::from_utf8_lossy(&run.stderr).into_owned()
    })?;
    let order: Value = serde_json::from_slice(&std::fs::read(out.join("workload-0.json"))?)?;
    let topic = order["topic"].as_str().ok_or("no topic in the workload")?;
    let output = verify(&broker.server, topic, &["--json"]);
    expect_exit(&output, 0)?;
    let verdict: LogVerdict = serde_json::from_slice(&output.stdout)?;
    expect(verdict.records.read > 15_000, || format!("{:?}", verdict.records))?;
    broker.stop()
}

fn mistakes() -> Result<(), Failed> {
    let dir = temporary();
    let auto = ["-X", "auto.create.topics.enable=true"];
    let broker = Broker::start(&dir.path().join("data"), &auto)?;
    // Asking for a topic must not make it.
    for _ in 0..2 {
        let output = verify(&broker.server, "nowhere", &[]);
        expect_exit(&output, 3)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        expect(said.contains("nowhere") && said.contains("mend:"), || said)?;
    }
    let folder = dir.path().to_string_lossy().into_owned();
    let here = broker.server.clone();
    let usage: [&[&str]; 7] = [
        &["--topic", "orders"],
        &["--bootstrap-server", &here],
        &["--bootstrap-server", &here, "--topic", "orders", &folder],
        &["--bootstrap-server", "192.0.2.1:9092", "--topic", "orders"],
        &["--bootstrap-server", "nonsense", "--topic", "orders"],
        &["--bootstrap-server", &here, "--topic", "../orders"],
        &[],
    ];
    for args in usage {
        let args: Vec<&str> = ["verify"].iter().chain(args).copied().collect();
        expect_exit(&steadfast(&args), 2)?;
    }
    broker.stop()?;
    expect_exit(&verify(&here, "orders", &[]), 3)
}

fn verify(server: &str, topic: &str, more: &[&str]) -> std::process::Output {
    let args = ["verify", "--bootstrap-server", server, "--topic", topic];
    steadfast(&[&args[..], more].concat())
}
