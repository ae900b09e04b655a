//! The core driven by events alone, in virtual time: no socket, no clock, no runtime.

mod answers;
mod atomicity;
mod behaviour;
mod control;
mod coordinator;
mod costs;
mod fault;
mod fencing;
mod hostile;
mod log;
mod matrix;
mod old_records;
mod properties;
mod refused;
mod rules;
mod questions;
mod script;
mod tamper;
mod transactions;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};

use self::script::Script;
use super::Sender;
use crate::config::ProducerConfig;
use crate::error::AppendError;
use crate::record::{Outcome, Record, TopicHandle};

/// The topic of all tests.
const TOPIC: &str = "orders";

/// A core with these settings, connected to nothing yet.
fn sender(properties: &[(&str, String)], seed: u64) -> Sender {
    let mut all: BTreeMap<String, String> = BTreeMap::from([
        (
            "bootstrap.servers".to_owned(),
            format!("boot:{}", script::BOOTSTRAP_PORT),
        ),
        ("linger.ms".to_owned(), "0".to_owned()),
    ]);
    all.extend(
        properties
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone())),
    );
    let config = ProducerConfig::from_properties(&all).unwrap_or_else(|errors| panic!("{errors:?}"));
    Sender::new(&config, seed).unwrap()
}

/// A core and the cluster that it talks to; its topic is registered.
fn script(properties: &[(&str, String)], nodes: i32, partitions: usize, seed: u64) -> Script {
    let mut sender = sender(properties, seed);
    sender.topic(TOPIC);
    Script::new(sender, nodes, partitions)
}

/// Appends records with ids from `first` on (id = token = first bytes of the value); returns the next id.
fn append(script: &mut Script, partition: i32, first: u64, records: usize) -> u64 {
    let now_ms = script.wall_ms();
    append_dated(script, partition, first, records, now_ms)
}

/// The same with this timestamp.
fn append_dated(script: &mut Script, partition: i32, first: u64, records: usize, timestamp_ms: i64) -> u64 {
    let mut id = first;
    for _ in 0..records {
        let value = id.to_be_bytes();
        let record = Record {
            topic: TopicHandle(0),
            partition: Some(partition),
            key: None,
            value: Some(&value),
            headers: &[],
            timestamp_ms,
        };
        match script.sender.append(&record, id, script.now_ns) {
            Ok(()) => {
                script.appended.entry(partition).or_default().push(id);
                id += 1;
            }
            Err(
                AppendError::PartitionStopped { .. } | AppendError::BufferFull | AppendError::MetadataPending,
            ) => {}
            Err(error) => panic!("{error}"),
        }
    }
    id
}

/// The invariants, once everything has come to rest.
fn check(script: &mut Script) {
    let now_ns = script.now_ns;
    script.sender.abandon(now_ns);
    script.run_for(0);
    for (partition, log) in script.logs.iter().enumerate() {
        let written: Vec<u64> = log
            .entries
            .iter()
            .flat_map(|entry| entry.ids.iter().copied())
            .collect();
        let unique: BTreeSet<u64> = written.iter().copied().collect();
        assert_eq!(
            unique.len(),
            written.len(),
            "duplicates in the log of partition {partition}: {written:?}"
        );
        assert!(
            written.is_sorted(),
            "order in the log of partition {partition}: {written:?}"
        );
        let appended = script
            .appended
            .get(&(partition as i32))
            .cloned()
            .unwrap_or_default();
        for id in &appended {
            let (outcome, offset, at, code) = script.outcomes.get(id).copied().unwrap_or_else(|| {
                panic!("record {id} of partition {partition} has no outcome");
            });
            assert_eq!(at, partition as i32);
            let there = unique.contains(id);
            match outcome {
                Outcome::Acked => {
                    assert!(there, "LOST: record {id} was acked and is not in the log");
                    assert_eq!(
                        code,
                        if offset < 0 { 46 } else { 0 },
                        "code of record {id} at {offset}"
                    );
                }
                Outcome::NotWritten => {
                    assert!(!there, "record {id} is in the log, but was NOT_WRITTEN ({code})");
                }
                Outcome::Unknown => assert_ne!(code, 0),
            }
            if outcome == Outcome::Acked && offset >= 0 {
                assert_eq!(written.get(offset as usize), Some(id), "offset of record {id}");
            }
        }
        let known: BTreeSet<u64> = appended.into_iter().collect();
        assert!(
            unique.is_subset(&known),
            "the log holds records that nobody appended"
        );
    }
    assert_eq!(script.sender.pending(), 0);
    assert_eq!(
        script.sender.free_bytes() as u64,
        script.sender.metrics().buffer_total_bytes,
        "memory leaks"
    );
}
