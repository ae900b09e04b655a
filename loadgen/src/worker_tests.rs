//! What a worker says when it cannot begin. Loads against a real broker stand in `tests/`.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;

use steadfast_verifier::history::{Entry, Reader};
use steadfast_verifier::workload::{Executor, Progress};

use super::*;

fn workload(history: PathBuf, bootstrap: &str) -> Workload {
    Workload {
        seed: 1,
        worker: 0,
        incarnation: 0,
        first_index: 0,
        bootstrap_servers: vec![bootstrap.into()],
        topic: "orders".into(),
        partitions: 6,
        partition: PartitionChoice::RoundRobin,
        executor: Executor::ConstantArrivalRate { rate: 1000.0 },
        start_ns: 0,
        warmup_ns: 1_000_000,
        duration_ns: 1_000_000,
        drain_ns: 1_000_000,
        record_size: 100,
        keys: Keys::None,
        headers: vec![],
        transaction: None,
        copy: None,
        producer: BTreeMap::new(),
        history,
    }
}

fn refused(workload: &Workload) -> WorkerError {
    let mut out = Vec::new();
    let error = run(workload, &mut out).unwrap_err();
    // It may say why it ends, and nothing else.
    for line in String::from_utf8(out).unwrap().lines() {
        let last: Progress = serde_json::from_str(line).unwrap();
        assert!(!last.done && last.sent == 0, "no progress was made: {line}");
        assert_eq!(last.note, Some(error.to_string()));
    }
    error
}

#[test]
fn mistakes_are_told_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let order = workload(folder.path().join("0-0.bin"), "127.0.0.1:1");
    let no_rate = Executor::ConstantArrivalRate { rate: 0.0 };
    assert!(matches!(
        refused(&Workload {
            executor: no_rate,
            ..order.clone()
        }),
        WorkerError::Schedule(_)
    ));
    assert!(matches!(
        refused(&Workload {
            record_size: 3,
            ..order.clone()
        }),
        WorkerError::Generator(_)
    ));
    let producer = BTreeMap::from([("acks".to_owned(), "1".to_owned())]);
    let settings = refused(&Workload {
        producer,
        ..order.clone()
    })
    .to_string();
    assert!(settings.contains("acks"), "{settings}");
    assert!(!order.history.exists());
}

#[test]
fn a_history_is_never_overwritten_and_needs_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let order = workload(folder.path().join("0-0.bin"), "127.0.0.1:1");
    std::fs::write(&order.history, "of an earlier run").unwrap();
    let there = refused(&order);
    assert!(matches!(there, WorkerError::History { .. }) && !there.is_environment());
    assert_eq!(std::fs::read(&order.history).unwrap(), b"of an earlier run");
    let nowhere = workload(folder.path().join("missing/0-0.bin"), "127.0.0.1:1");
    assert!(matches!(refused(&nowhere), WorkerError::History { .. }));
}

#[test]
fn no_cluster_is_told_in_time_and_leaves_an_empty_history() {
    let folder = tempfile::tempdir().unwrap();
    // A port that was free a moment ago: nobody listens.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let order = workload(folder.path().join("0-0.bin"), &format!("127.0.0.1:{port}"));
    let error = refused(&order);
    assert!(matches!(error, WorkerError::NotReady { .. }), "{error}");
    assert!(error.is_environment());
    assert!(error.to_string().contains(&port.to_string()), "{error}");
    let mut reader = Reader::open(&order.history).unwrap();
    assert_eq!(reader.next_entry().unwrap(), Some(Entry::End));
    assert!(!reader.torn());
}
