//! Judging a whole run: a million records, with and without keys, from files to verdict. `JUDGE_BENCH_RECORDS=10000000`
//! judges another number, `JUDGE_BENCH_KEYS` spreads them over another number of keys; the greatest memory the process
//! held is printed at the end.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench stops at its first error"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use steadfast_verifier::environment::{BrokerEnvironment, Environment};
use steadfast_verifier::expectations::{Claim, ClaimId, Expectations};
use steadfast_verifier::history::{self, Completed, Header, Outcome};
use steadfast_verifier::judge::{EXIT_PASS, judge};
use steadfast_verifier::log::{self, LogBatch, LogRecord};
use steadfast_verifier::seal::{PartitionSeal, Seal};
use steadfast_verifier::stamp::RecordId;
use steadfast_verifier::timeline::Sample;
use steadfast_verifier::verdict::Broker;
use steadfast_verifier::workload::{Executor, Keys, PartitionChoice, Workload};
use tempfile::TempDir;

const START_NS: u64 = 1_000_000_000_000;
/// 25,000 records a second.
const GAP_NS: u64 = 40_000;
const WARMUP_NS: u64 = 15_000_000_000;
const PARTITIONS: u64 = 6;
/// Records handed over together, and records of a batch.
const BATCH: u64 = 8;

fn main() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let records = number("JUDGE_BENCH_RECORDS", 1_000_000);
    let keys = number("JUDGE_BENCH_KEYS", 100_000);
    let mut criterion = Criterion::default()
        .sample_size(10)
        .measurement_time(Duration::from_secs(20))
        .configure_from_args();
    let mut group = criterion.benchmark_group("judge");
    group.throughput(Throughput::Elements(records));
    for keys in [None, Some(keys)] {
        let dir = TempDir::new().unwrap();
        write_run(dir.path(), records, keys);
        let (expectations, environment) = (expectations(keys.is_some()), environment());
        let name = if keys.is_some() { "keyed" } else { "keyless" };
        group.bench_function(BenchmarkId::new(name, records), |bencher| {
            bencher.iter(|| {
                let judgement = judge(dir.path(), &expectations, &environment).unwrap();
                assert_eq!(judgement.verdict.exit_code, EXIT_PASS, "{:?}", judgement.verdict);
                judgement.measurements.judge.table_bytes
            });
        });
        let judgement = judge(dir.path(), &expectations, &environment).unwrap();
        eprintln!(
            "{name}: tables {} MiB",
            judgement.measurements.judge.table_bytes >> 20
        );
    }
    group.finish();
    criterion.final_summary();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    eprintln!(
        "{}",
        status.lines().find(|line| line.starts_with("VmHWM")).unwrap()
    );
}

/// Key and partition of a record: round-robin without keys.
fn place(index: u64, keys: Option<u64>) -> (Option<u64>, u64) {
    let key = keys.map(|keys| index.wrapping_mul(0x9e37_79b9_7f4a_7c15) % keys);
    (key, key.unwrap_or(index) % PARTITIONS)
}

/// A clean run: handed over in runs of eight, one batch a partition as soon as eight have gathered there, each
/// acknowledged 300 µs after its last record was handed over.
fn write_run(dir: &Path, records: u64, keys: Option<u64>) {
    let (histories, logs) = (dir.join("history"), dir.join("log"));
    fs::create_dir_all(&histories).unwrap();
    fs::create_dir_all(&logs).unwrap();
    let header = header(records, keys);
    let mut history = history::Writer::create(&histories.join("0-0.bin"), &header).unwrap();
    let mut writers: Vec<log::Writer> = (0..PARTITIONS)
        .map(|p| log::Writer::create(&logs, "orders", p as i32).unwrap())
        .collect();
    let mut gathered: Vec<Vec<u64>> = vec![Vec::new(); PARTITIONS as usize];
    let mut offsets = [0_i64; PARTITIONS as usize];
    let mut sequences: BTreeMap<u64, u32> = BTreeMap::new();
    let mut next = 0;
    while next < records {
        let run: Vec<u64> = (next..(next + BATCH).min(records)).collect();
        let due: Vec<u64> = run.iter().map(|index| START_NS + index * GAP_NS).collect();
        let handover_ns = due[due.len() - 1] + 20_000;
        history.handed_over(next, &due, handover_ns).unwrap();
        next += run.len() as u64;
        for index in run {
            gathered[place(index, keys).1 as usize].push(index);
        }
        for partition in 0..PARTITIONS as usize {
            if gathered[partition].len() as u64 >= BATCH || next == records && !gathered[partition].is_empty()
            {
                let indexes = std::mem::take(&mut gathered[partition]);
                let base_offset = offsets[partition];
                offsets[partition] += indexes.len() as i64;
                history
                    .completed(&completed(
                        &indexes,
                        partition,
                        base_offset,
                        handover_ns + 300_000,
                    ))
                    .unwrap();
                let stands = |(i, &index): (usize, &u64)| {
                    let (key, _) = place(index, keys);
                    let sequence = key.map_or(index as u32, |key| {
                        let next = sequences.entry(key).or_default();
                        *next += 1;
                        *next - 1
                    });
                    LogRecord {
                        offset: base_offset + i as i64,
                        id: Some(RecordId::new(0, index)),
                        sequence,
                        key: key.map(|key| log::key_hash(&key.to_le_bytes())),
                        intact: true,
                        timestamp_ms: (index / 25) as i64,
                    }
                };
                let records = indexes.iter().enumerate().map(stands).collect();
                writers[partition].batch(&batch(base_offset, records)).unwrap();
            }
        }
    }
    history.finish().unwrap();
    for (writer, &end_offset) in writers.into_iter().zip(&offsets) {
        writer.finish(end_offset).unwrap();
    }
    let partitions = (0..).zip(&offsets).map(|(partition, &end_offset)| PartitionSeal {
        topic: "orders".into(),
        partition,
        end_offset,
        last_stable_offset: end_offset,
        open_transactions: 0,
        stable_stood_ns: 0,
        read_to: end_offset,
    });
    Seal {
        partitions: partitions.collect(),
        sealed: true,
        reason: None,
    }
    .write(dir)
    .unwrap();
    let plan = Sample::Plan {
        start_ns: START_NS,
        warmup_end_ns: START_NS + WARMUP_NS,
        end_ns: START_NS + records * GAP_NS,
    };
    fs::write(dir.join("samples.jsonl"), serde_json::to_string(&plan).unwrap()).unwrap();
}

fn completed(indexes: &[u64], partition: usize, base_offset: i64, ack_ns: u64) -> Completed<'_> {
    Completed {
        indexes,
        partition: partition as i32,
        base_offset,
        outcome: Outcome::Acked,
        error_code: 0,
        ack_ns,
        producer_id: 4_000,
        producer_epoch: 0,
        base_sequence: base_offset as i32,
        transaction: 0,
        broker: 1,
        correlation_id: base_offset as i32,
    }
}

fn batch(base_offset: i64, records: Vec<LogRecord>) -> LogBatch {
    LogBatch {
        leader_epoch: 0,
        base_offset,
        producer_id: 4_000,
        producer_epoch: 0,
        base_sequence: base_offset as i32,
        control: false,
        transactional: false,
        marker: None,
        records,
    }
}

fn header(records: u64, keys: Option<u64>) -> Header {
    let workload = Workload {
        seed: 1,
        worker: 0,
        incarnation: 0,
        first_index: 0,
        bootstrap_servers: vec!["127.0.0.1:9092".into()],
        topic: "orders".into(),
        partitions: PARTITIONS as u32,
        partition: if keys.is_some() {
            PartitionChoice::ByKey
        } else {
            PartitionChoice::RoundRobin
        },
        executor: Executor::ConstantArrivalRate { rate: 25_000.0 },
        start_ns: START_NS,
        warmup_ns: WARMUP_NS,
        duration_ns: (records * GAP_NS).saturating_sub(WARMUP_NS),
        drain_ns: 1_000_000_000,
        record_size: 100,
        keys: keys.map_or(Keys::None, |count| Keys::Uniform { count }),
        headers: Vec::new(),
        transaction: None,
        copy: None,
        producer: BTreeMap::new(),
        history: PathBuf::from("history/0-0.bin"),
    };
    Header {
        worker: 0,
        incarnation: 0,
        seed: 1,
        workload,
        started_ns: START_NS,
        started_wall_ms: 1_700_000_000_000,
    }
}

fn expectations(keyed: bool) -> Expectations {
    let claims = [
        ClaimId::Lost,
        ClaimId::Duplicated,
        ClaimId::ReorderedPerKey,
        ClaimId::ReorderedInTime,
        ClaimId::Corrupted,
    ];
    Expectations {
        scenario: "bench/judge".into(),
        title: "Judging".into(),
        seed: 1,
        subject: "steadfast".into(),
        broker: Broker {
            kind: "kafka".into(),
            version: "4.1.0".into(),
            nodes: 1,
            reason: "bench".into(),
        },
        faults: Vec::new(),
        claims: claims.map(|id| Claim { id, limit: 0 }).to_vec(),
        thresholds: Vec::new(),
        steady_state: Vec::new(),
        recovery: None,
        readers: 0,
        unlimited: false,
        keyed,
    }
}

fn environment() -> Environment {
    Environment {
        started: String::new(),
        steadfast: String::new(),
        subject: "steadfast".to_owned(),
        debug_build: false,
        cores: 2,
        cpu: String::new(),
        kernel: String::new(),
        memory_bytes: 0,
        log_file_system: String::new(),
        broker: BrokerEnvironment {
            kind: "kafka".into(),
            version: "4.1.0".into(),
            nodes: 1,
            reason: "bench".into(),
            java: String::new(),
            proxied: false,
        },
        differences: Vec::new(),
        rerun: String::new(),
    }
}
