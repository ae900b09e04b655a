//! A tiny transactional world in memory, to be changed and judged.
//!
//! ```text
//! worker 0, producer id 7, four records a transaction: two to each of two partitions, alternating
//! partition 0:  r0 r2 C  r4 r6 A  r8 r10 C        C commit marker, A abort marker
//! partition 1:  r1 r3 C  r5 r7 A  r9 r11 C
//! offsets        0  1 2   3  4 5   6   7 8
//! ```

use std::collections::BTreeMap;

use super::fixture::{MS, START};
use crate::history::{Completed, Copied, Outcome, Recorded, TransactionEnded, TransactionOutcome};
use crate::judge::{Copy, Evidence, Found, Liveness, TRANSACTION_SLACK_NS, examine};
use crate::log::{LogBatch, LogRecord, Marker};
use crate::reads::{self, Isolation, Poll};
use crate::seal::{PartitionSeal, Seal};
use crate::stamp::RecordId;

pub(crate) const PRODUCER: i64 = 7;
pub(crate) const HANGING_NS: u64 = 60_000 * MS + TRANSACTION_SLACK_NS;

/// A record as its client tells of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// None: no outcome at all.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) ack_ns: u64,
}

/// A transaction as its client tells of it.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    pub(crate) worker: u16,
    pub(crate) number: u64,
    pub(crate) epoch: i16,
    pub(crate) first_index: u64,
    pub(crate) handover_ns: u64,
    pub(crate) asked_ns: u64,
    /// None: it has no end.
    pub(crate) outcome: Option<TransactionOutcome>,
    pub(crate) records: Vec<Told>,
}

/// Batches by partition.
type PartitionLogs = BTreeMap<i32, Vec<LogBatch>>;

/// A world.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) story: Vec<Story>,
    pub(crate) logs: PartitionLogs,
    pub(crate) reads: Vec<reads::Recorded>,
    /// The source topic's log and the committed positions; record i is made from offset i of its partition 0.
    pub(crate) copy: Option<(PartitionLogs, BTreeMap<i32, i64>)>,
    pub(crate) liveness: Option<Liveness>,
    /// A last stable offset of partition 0 below its end, and how long it stood there.
    pub(crate) open: Option<(i64, u64)>,
    /// Workers that did not end in order.
    pub(crate) killed: Vec<u16>,
    pub(crate) calm_ns: u64,
}

/// When transaction `number` began.
pub(crate) fn begin_ns(number: u64) -> u64 {
    START + number * 100 * MS
}

/// A data batch of one record.
pub(crate) fn data(offset: i64, id: RecordId) -> LogBatch {
    LogBatch {
        base_offset: offset,
        producer_id: PRODUCER + i64::from(id.worker()),
        transactional: true,
        records: vec![record(offset, id)],
        ..LogBatch::default()
    }
}

/// A keyless record.
pub(crate) fn record(offset: i64, id: RecordId) -> LogRecord {
    LogRecord {
        offset,
        id: Some(id),
        sequence: id.index() as u32,
        key: None,
        intact: true,
        timestamp_ms: 0,
    }
}

/// A transaction marker.
pub(crate) fn marker(offset: i64, producer_id: i64, commit: bool) -> LogBatch {
    let no_data = LogRecord {
        id: None,
        sequence: 0,
        ..record(offset, RecordId(0))
    };
    LogBatch {
        base_offset: offset,
        producer_id,
        control: true,
        transactional: true,
        marker: Some(Marker {
            commit,
            coordinator_epoch: 0,
        }),
        records: vec![no_data],
        ..LogBatch::default()
    }
}

impl World {
    /// Transactions 1 and 3 are committed, 2 is aborted; all is as it should be.
    pub(crate) fn clean() -> World {
        let mut logs: BTreeMap<i32, Vec<LogBatch>> = BTreeMap::from([(0, Vec::new()), (1, Vec::new())]);
        let mut story = Vec::new();
        for number in 1..=3 {
            let first_index = (number - 1) * 4;
            let mut records = Vec::new();
            for index in first_index..first_index + 4 {
                let partition = (index % 2) as i32;
                let log = logs.get_mut(&partition).unwrap();
                let offset = log.len() as i64;
                log.push(data(offset, RecordId::new(0, index)));
                records.push(Told {
                    partition,
                    offset,
                    outcome: Some(Outcome::Acked),
                    ack_ns: begin_ns(number) + 10 * MS,
                });
            }
            let commit = number != 2;
            for log in logs.values_mut() {
                log.push(marker(log.len() as i64, PRODUCER, commit));
            }
            story.push(Story {
                worker: 0,
                number,
                epoch: 0,
                first_index,
                handover_ns: begin_ns(number),
                asked_ns: begin_ns(number) + 20 * MS,
                outcome: Some(if commit {
                    TransactionOutcome::Committed
                } else {
                    TransactionOutcome::Aborted
                }),
                records,
            });
        }
        World {
            story,
            logs,
            reads: Vec::new(),
            copy: None,
            liveness: None,
            open: None,
            killed: Vec::new(),
            calm_ns: 0,
        }
    }

    /// Transaction `number` as its client tells of it.
    pub(crate) fn told(&mut self, number: u64) -> &mut Story {
        &mut self.story[number as usize - 1]
    }

    /// The batch at this place.
    pub(crate) fn at(&mut self, partition: i32, offset: i64) -> &mut LogBatch {
        let log = self.logs.get_mut(&partition).unwrap();
        log.iter_mut().find(|batch| batch.base_offset == offset).unwrap()
    }

    /// Makes the marker of transaction `number` in one partition say the opposite.
    pub(crate) fn flip_marker(&mut self, number: i64, partition: i32) {
        let marker = &mut self.at(partition, number * 3 - 1).marker;
        marker.as_mut().unwrap().commit ^= true;
    }

    /// A reader of this isolation.
    pub(crate) fn reader(&mut self, isolation: Isolation) -> &mut reads::Recorded {
        self.reads.push(reads::Recorded::new(reads::Header {
            reader: format!("reader-{}", self.reads.len()),
            topic: "orders".into(),
            isolation,
        }));
        self.reads.last_mut().unwrap()
    }

    pub(crate) fn found(&self) -> Found {
        let histories: Vec<Recorded> = (0..=1).map(|worker| self.history(worker)).collect();
        let partitions = self.logs.iter().map(|(&partition, log)| {
            let end_offset = log.last().map_or(0, |last| last.base_offset + 1);
            let open = self.open.filter(|_| partition == 0);
            PartitionSeal {
                topic: "orders".into(),
                partition,
                end_offset,
                last_stable_offset: open.map_or(end_offset, |(offset, _)| offset),
                open_transactions: open.map_or(0, |_| 1),
                stable_stood_ns: open.map_or(0, |(_, stood_ns)| stood_ns),
                read_to: end_offset,
            }
        });
        let source = |log: &Vec<LogBatch>| PartitionSeal {
            topic: "source".into(),
            partition: 0,
            end_offset: log.len() as i64,
            last_stable_offset: log.len() as i64,
            open_transactions: 0,
            stable_stood_ns: 0,
            read_to: log.len() as i64,
        };
        let sources = self.copy.iter().map(|(logs, _)| source(&logs[&0]));
        let seal = Seal {
            partitions: partitions.chain(sources).collect(),
            sealed: self.open.is_none(),
            reason: None,
        };
        examine(&Evidence {
            topic: "orders",
            partitions: 2,
            keys_choose_partition: false,
            histories: &histories,
            logs: &self.logs,
            seal: &seal,
            reads: &self.reads,
            copy: self.copy.as_ref().map(|(logs, committed)| Copy {
                topic: "source",
                logs,
                committed,
            }),
            liveness: self.liveness.as_ref(),
            hanging_ns: HANGING_NS,
            calm_ns: self.calm_ns,
        })
        .unwrap()
    }

    /// Names and counts of what is found.
    pub(crate) fn names(&self) -> String {
        self.found().names()
    }

    fn history(&self, worker: u16) -> Recorded {
        let mut history = Recorded::new(worker, 0, 0);
        for story in self.story.iter().filter(|story| story.worker == worker) {
            let due = vec![story.handover_ns; story.records.len()];
            if self.copy.is_some() {
                let offsets: Vec<u64> = (story.first_index..).take(due.len()).collect();
                history.copied(&Copied {
                    first_index: story.first_index,
                    partition: 0,
                    offsets: &offsets,
                });
            }
            history.handed_over(story.first_index, &due, story.handover_ns);
            for (index, told) in (story.first_index..).zip(&story.records) {
                let Some(outcome) = told.outcome else { continue };
                history.completed(&Completed {
                    indexes: &[index],
                    partition: told.partition,
                    base_offset: if outcome == Outcome::Acked {
                        told.offset
                    } else {
                        -1
                    },
                    outcome,
                    error_code: 0,
                    ack_ns: told.ack_ns,
                    producer_id: PRODUCER + i64::from(worker),
                    producer_epoch: story.epoch,
                    base_sequence: 0,
                    transaction: story.number,
                    broker: 1,
                    correlation_id: 7,
                });
            }
            if let Some(outcome) = story.outcome {
                history.transaction_ended(&TransactionEnded {
                    number: story.number,
                    outcome,
                    producer_id: PRODUCER + i64::from(worker),
                    producer_epoch: story.epoch,
                    error_code: 0,
                    asked_ns: story.asked_ns,
                    ended_ns: story.asked_ns + 10 * MS,
                });
            }
        }
        if !self.killed.contains(&worker) {
            history.finish();
        }
        history
    }
}

/// An answer of partition 0 that ends behind its last record; both of its marks lie at the end of the clean log.
pub(crate) fn answer(records: &[LogRecord], at_ns: u64) -> Poll<'_> {
    Poll {
        partition: 0,
        at_ns,
        next_offset: records.last().map_or(0, |last| last.offset + 1),
        high_watermark: 9,
        last_stable_offset: 9,
        records,
    }
}
