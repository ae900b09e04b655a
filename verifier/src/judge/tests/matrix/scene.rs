//! A script played: the log that it makes, what readers see of it, and the evidence that the judge gets.
//!
//! ```text
//! Shape ─▶ Script ─▶ lay ─▶ logs, places, seal ─▶ watch ─▶ readers ─▶ found
//!      ▲         ▲                            ▲                  ▲
//!      └─────────┴──────── a plant changes one of them ──────────┘
//! ```

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use super::dice::Dice;
use super::script::{Append, Batch, Item, Script, Shape, Told, Written};
use super::watch::Reader;
use crate::history::{Completed, Copied, Outcome, Recorded, TransactionEnded};
use crate::judge::tests::fixture::{MS, START};
use crate::judge::tests::world::{HANGING_NS, marker};
use crate::judge::{Copy, Evidence, Found, Liveness, examine};
use crate::log::{LogBatch, LogRecord};
use crate::seal::{PartitionSeal, Seal};
use crate::stamp::RecordId;

/// What liveness is asked for, where a shape has an outage.
pub(super) const GAP_NS: u64 = 120 * MS;
pub(super) const PROGRESS_NS: u64 = 40 * MS;
pub(super) const RECOVERY_NS: u64 = 25 * MS;
pub(super) const BACKLOG_NS: u64 = 20 * MS;

/// When a batch of the log was written, and the offset behind it: what is left of it when its records are taken away.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) at_ns: u64,
    pub(super) end: i64,
}

/// Everything.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    script: Script,
    pub(super) logs: BTreeMap<i32, Vec<LogBatch>>,
    /// As [`Scene::logs`], batch by batch.
    pub(super) slots: BTreeMap<i32, Vec<Slot>>,
    pub(super) seal: Seal,
    pub(super) readers: Vec<Reader>,
    pub(super) liveness: Option<Liveness>,
}

impl Deref for Scene {
    type Target = Script;

    fn deref(&self) -> &Script {
        &self.script
    }
}

impl DerefMut for Scene {
    fn deref_mut(&mut self) -> &mut Script {
        &mut self.script
    }
}

impl Scene {
    /// The script alone; nothing is written yet.
    pub(super) fn draw(shape: Shape, dice: &mut Dice) -> Scene {
        let script = Script::draw(shape, dice);
        let liveness = script.outage.as_ref().map(|outage| Liveness {
            run: START..script.end_ns,
            healthy: vec![START..outage.start, outage.end..script.end_ns],
            gap_ns: Some(GAP_NS),
            progress_ns: Some(PROGRESS_NS),
            recovery_ns: Some(RECOVERY_NS),
            backlog_ns: Some(BACKLOG_NS),
        });
        Scene {
            script,
            logs: BTreeMap::new(),
            slots: BTreeMap::new(),
            seal: Seal {
                partitions: Vec::new(),
                sealed: true,
                reason: None,
            },
            readers: Vec::new(),
            liveness,
        }
    }

    /// Writes all appends in the order of their times, tells each batch its place, and seals.
    pub(super) fn lay(&mut self) {
        let partitions = 0..self.shape.partitions;
        self.logs = partitions
            .clone()
            .map(|partition| (partition, Vec::new()))
            .collect();
        self.slots = partitions.map(|partition| (partition, Vec::new())).collect();
        let mut appends = self.script.appends.clone();
        appends.sort_by_key(|append| append.at_ns);
        for append in &appends {
            self.write(append);
        }
        let seal = |topic: &str, (&partition, end): (&i32, i64)| PartitionSeal {
            topic: topic.to_owned(),
            partition,
            end_offset: end,
            last_stable_offset: end,
            open_transactions: 0,
            stable_stood_ns: 0,
            read_to: end,
        };
        let ends = self
            .slots
            .iter()
            .map(|(partition, slots)| (partition, end(slots)));
        self.seal.partitions = ends.map(|partition| seal("orders", partition)).collect();
        if let Some(source) = &self.script.source {
            let end = |log: &Vec<LogBatch>| log.last().map_or(0, |last| last.base_offset + 1);
            let ends = source.logs.iter().map(|(partition, log)| (partition, end(log)));
            self.seal
                .partitions
                .extend(ends.map(|partition| seal("source", partition)));
        }
    }

    fn write(&mut self, append: &Append) {
        let partition = append.partition;
        let slots = self.slots.entry(partition).or_default();
        let base = end(slots);
        let batch = match &append.what {
            Written::Vanished(batch) => {
                self.script.batches[*batch].place = Some((partition, base));
                return;
            }
            Written::Batch(batch) => {
                let of = &mut self.script.batches[*batch];
                of.place.get_or_insert((partition, base));
                stands(of, base)
            }
            Written::Marker(transaction) => {
                let of = &self.script.transactions[*transaction];
                LogBatch {
                    producer_epoch: of.epoch,
                    ..marker(base, of.producer_id, of.commit)
                }
            }
            Written::Foreign(records) => LogBatch {
                base_offset: base,
                producer_id: -1,
                producer_epoch: -1,
                records: renumbered(records, base),
                ..LogBatch::default()
            },
        };
        slots.push(Slot {
            at_ns: append.at_ns,
            end: base + batch.records.len() as i64,
        });
        self.logs.entry(partition).or_default().push(batch);
    }

    /// The record at this place, for changing.
    pub(super) fn at(&mut self, (partition, offset): (i32, i64)) -> Option<&mut LogRecord> {
        let log = self.logs.get_mut(&partition)?;
        let mut records = log.iter_mut().flat_map(|batch| &mut batch.records);
        records.find(|record| record.offset == offset)
    }

    /// The batch of the log at this offset, for changing.
    pub(super) fn batch_at(&mut self, (partition, base): (i32, i64)) -> Option<&mut LogBatch> {
        let log = self.logs.get_mut(&partition)?;
        log.iter_mut()
            .find(|batch| batch.base_offset == base && !batch.control)
    }

    /// Takes the records of a batch out of the log; their offsets stay empty.
    pub(super) fn take_out(&mut self, place: (i32, i64)) -> Vec<LogRecord> {
        self.batch_at(place)
            .map_or_else(Vec::new, |batch| std::mem::take(&mut batch.records))
    }

    /// The highest offset that holds a record.
    pub(super) fn highest(&self, partition: i32) -> i64 {
        let records = self.logs[&partition].iter().flat_map(|batch| &batch.records);
        records.map(|record| record.offset).max().unwrap_or(-1)
    }

    /// How this topic's partition is sealed.
    pub(super) fn sealed(&mut self, partition: i32) -> Option<&mut PartitionSeal> {
        let mut of_topic = self.seal.partitions.iter_mut().filter(|of| of.topic == "orders");
        of_topic.find(|of| of.partition == partition)
    }

    pub(super) fn found(&self) -> Found {
        let histories: Vec<Recorded> = (0..self.shape.workers)
            .flat_map(|worker| (0..self.shape.incarnations).map(move |incarnation| (worker, incarnation)))
            .map(|of| self.history(of))
            .collect();
        let reads: Vec<_> = self.readers.iter().map(Reader::recorded).collect();
        let evidence = Evidence {
            topic: "orders",
            partitions: self.shape.partitions as u32,
            keys_choose_partition: self.shape.keys.is_some(),
            histories: &histories,
            logs: &self.logs,
            seal: &self.seal,
            reads: &reads,
            copy: self.source.as_ref().map(|source| Copy {
                topic: "source",
                logs: &source.logs,
                committed: &source.committed,
            }),
            liveness: self.liveness.as_ref(),
            hanging_ns: HANGING_NS,
            calm_ns: 0,
        };
        examine(&evidence).expect("evidence that does not contradict itself")
    }

    /// Entries in the order of their times, as a worker writes them.
    fn history(&self, of: (u16, u32)) -> Recorded {
        let batches = || {
            let mine = |batch: &&Batch| (batch.worker, batch.incarnation) == of;
            self.batches.iter().filter(mine)
        };
        let indexes = |batch: &Batch| batch.items.iter().map(|item| item.index).collect::<Vec<_>>();
        let first_index = batches().flat_map(indexes).min().unwrap_or(0);
        let mut history = Recorded::new(of.0, of.1, first_index);
        let mut items: Vec<(Item, u64)> = batches()
            .flat_map(|batch| batch.items.iter().map(|&item| (item, batch.handover_ns)))
            .collect();
        items.sort_by_key(|(item, _)| item.index);
        for (item, handover_ns) in items {
            if let Some((partition, offset)) = item.origin {
                history.copied(&Copied {
                    first_index: item.index,
                    partition,
                    offsets: &[offset],
                });
            }
            history.handed_over(item.index, &[item.due_ns], handover_ns);
        }
        let mut told: Vec<(u64, Entry<'_>)> = Vec::new();
        for batch in batches() {
            told.extend(answers(batch).map(|(at_ns, outcome)| (at_ns, Entry::Batch(batch, outcome))));
        }
        for (i, transaction) in self.transactions.iter().enumerate() {
            if let Some((at_ns, _)) = transaction.told
                && (transaction.worker, transaction.incarnation) == of
            {
                told.push((at_ns, Entry::Transaction(i)));
            }
        }
        told.sort_by_key(|&(at_ns, _)| at_ns);
        for (at_ns, entry) in told {
            match entry {
                Entry::Batch(batch, outcome) => history.completed(&Completed {
                    indexes: &indexes(batch),
                    ..self.completed(batch, outcome, at_ns)
                }),
                Entry::Transaction(i) => self.tell_end(&mut history, i),
            }
        }
        if !self.killed.contains(&of) {
            history.finish();
        }
        history
    }

    fn completed(&self, batch: &Batch, outcome: Outcome, ack_ns: u64) -> Completed<'static> {
        let place = batch.place.filter(|_| outcome == Outcome::Acked);
        Completed {
            indexes: &[],
            partition: place.map_or(batch.partition, |(partition, _)| partition),
            base_offset: place.map_or(-1, |(_, offset)| offset),
            outcome,
            error_code: match outcome {
                Outcome::Acked => 0,
                Outcome::NotWritten => 10,
                Outcome::Unknown => 7,
            },
            ack_ns,
            producer_id: batch.producer_id,
            producer_epoch: batch.epoch,
            base_sequence: 0,
            transaction: batch.transaction.map_or(0, |of| self.transactions[of].number),
            broker: 1,
            correlation_id: 7,
        }
    }

    fn tell_end(&self, history: &mut Recorded, transaction: usize) {
        let of = &self.transactions[transaction];
        if let Some((ended_ns, outcome)) = of.told {
            history.transaction_ended(&TransactionEnded {
                number: of.number,
                outcome,
                producer_id: of.producer_id,
                producer_epoch: of.epoch,
                error_code: 0,
                asked_ns: of.asked_ns,
                ended_ns,
            });
        }
    }
}

enum Entry<'a> {
    Batch(&'a Batch, Outcome),
    Transaction(usize),
}

/// What the client is told of a batch, and when.
fn answers(batch: &Batch) -> impl Iterator<Item = (u64, Outcome)> + use<> {
    let (first, then) = match batch.told {
        Told::Acked { at_ns } => (Some((at_ns, Outcome::Acked)), None),
        Told::Found { unknown_ns, at_ns } => (
            Some((unknown_ns, Outcome::Unknown)),
            Some((at_ns, Outcome::Acked)),
        ),
        Told::NotWritten { at_ns } => (Some((at_ns, Outcome::NotWritten)), None),
        Told::Unknown { at_ns } => (Some((at_ns, Outcome::Unknown)), None),
        Told::Nothing => (None, None),
    };
    first.into_iter().chain(then)
}

/// A batch as the log holds it from this offset on.
fn stands(batch: &Batch, base_offset: i64) -> LogBatch {
    let record = |(offset, item): (i64, &Item)| LogRecord {
        offset,
        id: Some(RecordId::new(batch.worker, item.index)),
        sequence: item.sequence,
        key: item.key,
        intact: true,
        timestamp_ms: 0,
    };
    LogBatch {
        base_offset,
        producer_id: batch.producer_id,
        producer_epoch: batch.epoch,
        transactional: batch.transaction.is_some(),
        records: (base_offset..).zip(&batch.items).map(record).collect(),
        ..LogBatch::default()
    }
}

fn renumbered(records: &[LogRecord], base: i64) -> Vec<LogRecord> {
    let at = |(offset, &record): (i64, &LogRecord)| LogRecord { offset, ..record };
    (base..).zip(records).map(at).collect()
}

fn end(slots: &[Slot]) -> i64 {
    slots.last().map_or(0, |last| last.end)
}
