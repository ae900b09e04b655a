//! A run small enough to read, written through the formats' own writers and judged like any other.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::environment::{BrokerEnvironment, Environment};
use crate::expectations::{Claim, ClaimId, Expectations, Threshold};
use crate::history::{Completed, Header, Outcome, Withheld, Writer};
use crate::judge::{JudgeError, Judgement, judge};
use crate::log::{self, LogBatch, LogRecord};
use crate::reads::{self, Seen};
use crate::seal::{PartitionSeal, Seal};
use crate::stamp::RecordId;
use crate::timeline::{FaultEvent, Role, Sample};
use crate::verdict::Broker;
use crate::workload::{Executor, Keys, PartitionChoice, Workload};

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const S: u64 = 1_000_000_000;
/// The load begins here, counts one second later, and lasts for nine.
pub(crate) const START: u64 = 1_000 * S;
pub(crate) const COUNTED: u64 = START + S;
pub(crate) const END: u64 = START + 10 * S;

/// One record's whole story. Due `sent - 1 ms`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) id: RecordId,
    pub(crate) key: Option<u64>,
    pub(crate) sequence: u32,
    pub(crate) due_ns: u64,
    pub(crate) sent_ns: u64,
    pub(crate) fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Acked {
        at_ns: u64,
        partition: i32,
        offset: i64,
    },
    NotWritten {
        at_ns: u64,
    },
    Unknown {
        at_ns: u64,
    },
    /// Handed over, and never heard of again.
    Open,
}

/// A run: what was sent, what the log holds, and the rest of the folder.
pub(crate) struct Run {
    pub(crate) workload: Workload,
    pub(crate) sent: Vec<Sent>,
    /// By worker: entries of records that were never handed over.
    pub(crate) withheld: BTreeMap<u16, Withheld>,
    /// Workers whose history has no end.
    pub(crate) torn: Vec<u16>,
    pub(crate) logs: BTreeMap<i32, Vec<LogBatch>>,
    pub(crate) seal: Option<Seal>,
    /// The reader stopped where the log's last record stands, whatever the seal says.
    pub(crate) stopped_short: bool,
    /// What concurrent readers wrote.
    pub(crate) reads: Vec<reads::Recorded>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) faults: Vec<FaultEvent>,
    pub(crate) expectations: Expectations,
}

/// An order to worker 0, for topic `orders` with two partitions.
pub(crate) fn workload() -> Workload {
    Workload {
        seed: 7,
        worker: 0,
        incarnation: 0,
        first_index: 0,
        bootstrap_servers: vec!["127.0.0.1:9092".into()],
        topic: "orders".into(),
        partitions: 2,
        partition: PartitionChoice::ByKey,
        executor: Executor::Unlimited { records: 0 },
        start_ns: START,
        warmup_ns: S,
        duration_ns: 9 * S,
        drain_ns: S,
        record_size: 100,
        keys: Keys::Uniform { count: 4 },
        headers: Vec::new(),
        transaction: None,
        copy: None,
        producer: BTreeMap::new(),
        history: PathBuf::from("history/0-0.bin"),
    }
}

/// A record as the log should hold it.
pub(crate) fn stands(sent: &Sent, offset: i64) -> LogRecord {
    LogRecord {
        offset,
        id: Some(sent.id),
        sequence: sent.sequence,
        key: sent.key,
        intact: true,
        timestamp_ms: 0,
    }
}

/// A batch of records.
pub(crate) fn batch(records: Vec<LogRecord>) -> LogBatch {
    LogBatch {
        base_offset: records.first().map_or(0, |record| record.offset),
        producer_id: 1,
        producer_epoch: 0,
        base_sequence: 0,
        leader_epoch: 3,
        control: false,
        transactional: false,
        marker: None,
        records,
    }
}

impl Run {
    /// Two partitions, four keys (`key % 2` chooses the partition), record i with key `i % 4`; each sent 100 ms after
    /// the one before and acknowledged after 2 ms; one batch a record.
    pub(crate) fn clean(records: u64) -> Run {
        let mut run = Run::empty();
        for i in 0..records {
            let partition = (i % 2) as i32;
            let sent_ns = COUNTED + i * 100 * MS;
            let fate = Fate::Acked {
                at_ns: sent_ns + 2 * MS,
                partition,
                offset: (i / 2) as i64,
            };
            let sent = Sent {
                id: RecordId::new(0, i),
                key: Some(i % 4),
                sequence: (i / 4) as u32,
                due_ns: sent_ns - MS,
                sent_ns,
                fate,
            };
            run.sent.push(sent);
            run.logs
                .entry(partition)
                .or_default()
                .push(batch(vec![stands(&sent, (i / 2) as i64)]));
        }
        run.seal_logs();
        run
    }

    /// The same without keys, round-robin.
    pub(crate) fn keyless(records: u64) -> Run {
        let mut run = Run::clean(records);
        run.workload.keys = Keys::None;
        run.workload.partition = PartitionChoice::RoundRobin;
        run.expectations.keyed = false;
        for sent in &mut run.sent {
            sent.key = None;
            sent.sequence = sent.id.index() as u32;
        }
        for record in run
            .logs
            .values_mut()
            .flatten()
            .flat_map(|batch| &mut batch.records)
        {
            record.key = None;
            record.sequence = record.id.unwrap().index() as u32;
        }
        run
    }

    pub(crate) fn empty() -> Run {
        let claim = |id| Claim { id, limit: 0 };
        Run {
            workload: workload(),
            sent: Vec::new(),
            withheld: BTreeMap::new(),
            torn: Vec::new(),
            logs: BTreeMap::from([(0, Vec::new()), (1, Vec::new())]),
            seal: None,
            stopped_short: false,
            reads: Vec::new(),
            samples: samples(),
            faults: Vec::new(),
            expectations: Expectations {
                scenario: "ordering/per-key".into(),
                title: "Order per key".into(),
                seed: 7,
                subject: "steadfast".into(),
                broker: Broker {
                    kind: "kafka".into(),
                    version: "4.1.0".into(),
                    nodes: 1,
                    reason: "--broker kafka".into(),
                },
                faults: Vec::new(),
                claims: [
                    ClaimId::Lost,
                    ClaimId::Duplicated,
                    ClaimId::ReorderedPerKey,
                    ClaimId::ReorderedInTime,
                    ClaimId::Corrupted,
                ]
                .map(claim)
                .to_vec(),
                thresholds: Vec::new(),
                steady_state: Vec::new(),
                recovery: None,
                readers: 0,
                unlimited: false,
                keyed: true,
            },
        }
    }

    /// Seals the logs as they are.
    pub(crate) fn seal_logs(&mut self) {
        let partition = |(&partition, batches): (&i32, &Vec<LogBatch>)| {
            let end_offset = end_offset(batches);
            PartitionSeal {
                topic: "orders".into(),
                partition,
                end_offset,
                last_stable_offset: end_offset,
                open_transactions: 0,
                stable_stood_ns: 0,
                read_to: end_offset,
            }
        };
        let partitions = self.logs.iter().map(partition).collect();
        self.seal = Some(Seal {
            partitions,
            sealed: true,
            reason: None,
        });
    }

    /// The record with this index of worker 0, for changing.
    pub(crate) fn sent(&mut self, index: u64) -> &mut Sent {
        self.sent
            .iter_mut()
            .find(|sent| sent.id == RecordId::new(0, index))
            .unwrap()
    }

    /// The log record at this place, for changing.
    pub(crate) fn at(&mut self, partition: i32, offset: i64) -> &mut LogRecord {
        let batches = self.logs.get_mut(&partition).unwrap();
        batches
            .iter_mut()
            .flat_map(|b| &mut b.records)
            .find(|r| r.offset == offset)
            .unwrap()
    }

    /// Takes the log record at this place away; its offset stays empty.
    pub(crate) fn remove(&mut self, partition: i32, offset: i64) -> LogRecord {
        let batches = self.logs.get_mut(&partition).unwrap();
        for batch in batches.iter_mut() {
            if let Some(i) = batch.records.iter().position(|record| record.offset == offset) {
                return batch.records.remove(i);
            }
        }
        panic!("nothing at {partition}, {offset}")
    }

    /// Appends a batch of one to a partition's log, and gives its offset.
    pub(crate) fn append(&mut self, partition: i32, record: LogRecord) -> i64 {
        let batches = self.logs.get_mut(&partition).unwrap();
        let offset = end_offset(batches);
        batches.push(batch(vec![LogRecord { offset, ..record }]));
        offset
    }

    /// Writes the folder.
    pub(crate) fn write(&self) -> TempDir {
        let dir = TempDir::new().unwrap();
        let folder = |name| {
            let path = dir.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        let (histories, logs) = (folder("history"), folder("log"));
        let mut workers: Vec<u16> = self.sent.iter().map(|sent| sent.id.worker()).collect();
        workers.push(self.workload.worker);
        workers.sort_unstable();
        workers.dedup();
        workers
            .iter()
            .for_each(|&worker| self.write_history(worker, &histories));
        for (&partition, batches) in &self.logs {
            let mut writer = log::Writer::create(&logs, "orders", partition).unwrap();
            batches.iter().for_each(|batch| writer.batch(batch).unwrap());
            writer
                .finish(self.read_to(partition).max(end_offset(batches)))
                .unwrap();
        }
        if let Some(seal) = &self.seal {
            seal.write(dir.path()).unwrap();
        }
        if !self.reads.is_empty() {
            let reads = folder("reads");
            self.reads.iter().for_each(|read| write_reads(read, &reads));
        }
        write_lines(&dir.path().join("samples.jsonl"), &self.samples);
        write_lines(&dir.path().join("faults.jsonl"), &self.faults);
        dir
    }

    pub(crate) fn judge(&self) -> Result<Judgement, JudgeError> {
        judge(self.write().path(), &self.expectations, &environment())
    }

    /// The anomalies that judging names, with their counts.
    pub(crate) fn anomalies(&self) -> Vec<(String, u64)> {
        let found = self.judge().unwrap().verdict.anomalies;
        found.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    pub(crate) fn threshold(mut self, threshold: Threshold) -> Run {
        self.expectations.thresholds.push(threshold);
        self
    }

    fn read_to(&self, partition: i32) -> i64 {
        let seals = self
            .seal
            .iter()
            .filter(|_| !self.stopped_short)
            .flat_map(|seal| &seal.partitions);
        seals
            .filter(|seal| seal.partition == partition)
            .map(|seal| seal.read_to)
            .max()
            .unwrap_or(0)
    }

    fn write_history(&self, worker: u16, dir: &Path) {
        let mut sent: Vec<Sent> = self
            .sent
            .iter()
            .filter(|s| s.id.worker() == worker)
            .copied()
            .collect();
        sent.sort_by_key(|sent| sent.id.index());
        let workload = Workload {
            worker,
            executor: match self.workload.executor {
                Executor::Unlimited { .. } => Executor::Unlimited {
                    records: sent.len() as u64,
                },
                _ => self.workload.executor.clone(),
            },
            ..self.workload.clone()
        };
        let header = Header {
            worker,
            incarnation: workload.incarnation,
            seed: 7,
            started_ns: START,
            started_wall_ms: 1_700_000_000_000,
            workload,
        };
        let path = dir.join(format!("{worker}-{}.bin", header.incarnation));
        let mut writer = Writer::create(&path, &header).unwrap();
        for sent in &sent {
            writer
                .handed_over(sent.id.index(), &[sent.due_ns], sent.sent_ns)
                .unwrap();
        }
        if let Some(withheld) = self.withheld.get(&worker) {
            writer.withheld(withheld).unwrap();
        }
        for sent in &sent {
            if let Some(completed) = completed(sent, &[sent.id.index()]) {
                writer.completed(&completed).unwrap();
            }
        }
        if !self.torn.contains(&worker) {
            writer.finish().unwrap();
        }
    }
}

fn write_reads(recorded: &reads::Recorded, dir: &Path) {
    let path = dir.join(format!("{}.bin", recorded.header.reader));
    let mut writer = reads::Writer::create(&path, &recorded.header).unwrap();
    for seen in recorded.replay() {
        match seen {
            Seen::Assigned {
                partition,
                at_ns,
                offset,
            } => writer.assigned(partition, at_ns, offset).unwrap(),
            Seen::Poll(poll) => writer.poll(&poll).unwrap(),
            Seen::Ended { at_ns } => return writer.finish(at_ns).unwrap(),
        }
    }
    writer.flush().unwrap();
}

/// What the client told of it; none for one that it never told of.
pub(super) fn completed<'a>(sent: &Sent, indexes: &'a [u64]) -> Option<Completed<'a>> {
    let (outcome, ack_ns, partition, base_offset, error_code) = match sent.fate {
        Fate::Acked {
            at_ns,
            partition,
            offset,
        } => (Outcome::Acked, at_ns, partition, offset, 0),
        Fate::NotWritten { at_ns } => (Outcome::NotWritten, at_ns, 0, -1, 10),
        Fate::Unknown { at_ns } => (Outcome::Unknown, at_ns, 0, -1, 7),
        Fate::Open => return None,
    };
    Some(Completed {
        indexes,
        partition,
        base_offset,
        outcome,
        error_code,
        ack_ns,
        producer_id: 1,
        producer_epoch: 0,
        base_sequence: 0,
        transaction: 0,
        broker: 1,
        correlation_id: 7,
    })
}

/// One round a second: a worker with 5 % of a core and 10 MB, a broker with 40 % and 500 MB; nothing disturbed.
fn samples() -> Vec<Sample> {
    let mut samples = vec![Sample::Plan {
        start_ns: START,
        warmup_end_ns: COUNTED,
        end_ns: END,
    }];
    for s in 0..=11 {
        let at_ns = START + s * S;
        samples.push(process(at_ns, Role::Client, "worker-0", s * S / 20, 10_000_000));
        samples.push(process(
            at_ns,
            Role::Broker,
            "broker-1",
            s * S * 2 / 5,
            500_000_000,
        ));
        samples.push(Sample::Machine {
            at_ns,
            run_queue_wait_ns: Some(0),
            steal_ns: 0,
        });
    }
    samples
}

fn process(at_ns: u64, role: Role, name: &str, cpu_ns: u64, rss_bytes: u64) -> Sample {
    Sample::Process {
        at_ns,
        role,
        name: name.into(),
        pid: role as u32 + 1,
        cpu_ns,
        rss_bytes,
    }
}

pub(crate) fn environment() -> Environment {
    Environment {
        started: "2026-01-01T00:00:00Z".into(),
        steadfast: "0.1.0".into(),
        subject: "steadfast".to_owned(),
        debug_build: true,
        cores: 2,
        cpu: "test".into(),
        kernel: "6.0".into(),
        memory_bytes: 1 << 34,
        log_file_system: "tmpfs".into(),
        broker: BrokerEnvironment {
            kind: "kafka".into(),
            version: "4.1.0".into(),
            nodes: 1,
            reason: "--broker kafka".into(),
            java: "17".into(),
            proxied: false,
        },
        differences: Vec::new(),
        rerun: "steadfast run x.toml".into(),
    }
}

fn end_offset(batches: &[LogBatch]) -> i64 {
    batches
        .iter()
        .flat_map(|batch| &batch.records)
        .map(|record| record.offset + 1)
        .max()
        .unwrap_or(0)
}

fn write_lines<T: serde::Serialize>(path: &Path, values: &[T]) {
    let lines: Vec<String> = values
        .iter()
        .map(|value| serde_json::to_string(value).unwrap())
        .collect();
    fs::write(path, lines.join("\n") + "\n").unwrap();
}
