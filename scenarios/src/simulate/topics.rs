//! The topic deleted, made again and grown; and what is left of those that are gone.
//!
//! ```text
//! life 0: partitions 0 1 2          deleted: its log is kept for the judge, open transactions in it are undone
//! life 1: partitions SLOTS + 0 1 2  the same name, another topic id: other partitions to the judge
//! ```
//! A record stands in the life whose log has it. One that is in none is where its acknowledgement says, in the last
//! life, and is missing there.

use std::collections::{BTreeMap, HashMap};

use steadfast_broker::Order;
use steadfast_verifier::history::{Completed, Entry, Outcome, Recorded};
use steadfast_verifier::log::{LogBatch, LogRecord, Marker};
use steadfast_verifier::stamp::RecordId;

use super::evidence;
use super::world::{Event, World};
use super::{MS, TOPIC};

/// A topic may grow to so many times its first size.
const GROWTH_MAX: i32 = 2;
/// A topic that cannot be made yet, since nodes are down, is tried again after this.
const AGAIN_NS: u64 = 100 * MS;

/// The topic's lives.
#[derive(Debug)]
pub(crate) struct Lives {
    /// Partitions of the present one.
    pub(crate) partitions: i32,
    /// It exists.
    pub(crate) exists: bool,
    /// It has grown, or was made again: keys have changed their partitions.
    pub(crate) changed: bool,
    /// The partition number of the judge that its partition 0 has.
    pub(crate) base: i32,
    slots: i32,
    /// Logs of former lives, by the judge's numbers.
    pub(crate) former: BTreeMap<i32, Vec<LogBatch>>,
    places: HashMap<RecordId, Place>,
}

/// Where a record of a former life is.
#[derive(Debug, Clone, Copy)]
struct Place {
    partition: i32,
    offset: i64,
    /// Its transaction was open when the topic was deleted.
    undone: bool,
}

impl Lives {
    pub(crate) fn new(partitions: i32) -> Lives {
        Lives {
            partitions,
            exists: true,
            changed: false,
            base: 0,
            slots: partitions * GROWTH_MAX,
            former: BTreeMap::new(),
            places: HashMap::new(),
        }
    }

    /// Keeps a partition's log for the judge. Whose marker is not in it is undone.
    fn bury(&mut self, partition: i32, mut batches: Vec<LogBatch>) {
        let number = self.base + partition;
        let mut open: BTreeMap<i64, i64> = BTreeMap::new();
        for batch in batches.iter().filter(|batch| batch.transactional) {
            if batch.control {
                open.remove(&batch.producer_id);
            } else {
                open.entry(batch.producer_id).or_insert(batch.base_offset);
            }
        }
        for batch in batches.iter().filter(|batch| !batch.control) {
            let begun = open.get(&batch.producer_id);
            let place = Place {
                partition: number,
                offset: batch.base_offset,
                undone: begun.is_some_and(|begun| batch.base_offset >= *begun),
            };
            let ids = batch.records.iter().filter_map(|record| record.id);
            self.places.extend(ids.map(|id| (id, place)));
        }
        let last = batches.last().and_then(|batch| batch.records.last());
        let end = last.map_or(0, |last| last.offset + 1);
        batches.extend(
            (end..)
                .zip(open.into_keys())
                .map(|(offset, producer_id)| undo(offset, producer_id)),
        );
        self.former.insert(number, batches);
    }

    /// How many partitions the judge looks at.
    pub(crate) fn all(&self) -> i32 {
        self.base + self.partitions
    }

    /// The history with partitions as the judge numbers them. What was acknowledged inside a transaction that was
    /// still open when the topic was deleted is nobody's promise any more: it may be there or not.
    pub(crate) fn as_judged(&self, history: Recorded) -> Recorded {
        if self.base == 0 {
            return history;
        }
        let mut judged = Recorded::new(history.worker, history.incarnation, history.first_index);
        for entry in history.replay() {
            match entry {
                Entry::HandedOver {
                    first_index,
                    intended_ns,
                    handover_ns,
                } => judged.handed_over(first_index, intended_ns, handover_ns),
                Entry::Completed(completed) => {
                    judged.completed(&self.placed(history.worker, &completed));
                }
                Entry::Withheld(withheld) => judged.withheld(&withheld),
                Entry::TransactionEnded(ended) => judged.transaction_ended(&ended),
                Entry::Copied(copied) => judged.copied(&copied),
                Entry::End => judged.finish(),
            }
        }
        judged
    }

    fn placed<'a>(&self, worker: u16, completed: &Completed<'a>) -> Completed<'a> {
        let first = completed
            .indexes
            .first()
            .map(|&index| RecordId::new(worker, index));
        let here = |place: &&Place| completed.base_offset < 0 || place.offset == completed.base_offset;
        let place = first.and_then(|id| self.places.get(&id)).filter(here);
        let acked = completed.outcome == Outcome::Acked;
        let undone = acked && place.is_some_and(|place| place.undone);
        Completed {
            indexes: completed.indexes,
            partition: match place {
                Some(place) => place.partition,
                None if completed.partition >= 0 => self.base + completed.partition,
                None => completed.partition,
            },
            base_offset: if undone { -1 } else { completed.base_offset },
            outcome: if undone {
                Outcome::Unknown
            } else {
                completed.outcome
            },
            ..*completed
        }
    }
}

impl World<'_> {
    /// Deletes the topic. False if it is not there.
    pub(crate) fn delete_topic(&mut self) -> bool {
        if !self.lives.exists {
            return false;
        }
        // What is due by now happens before the deletion, acknowledgements included.
        self.model.advance(self.now());
        let mut logs = Vec::new();
        for partition in 0..self.lives.partitions {
            match evidence::read_partition(self, TOPIC, partition) {
                // A leader that lost power knows less than was acknowledged; who knows more has not been elected yet.
                Ok((batches, state)) if state.committed <= state.log_end => logs.push(batches),
                _ => return false,
            }
        }
        let deleted = Order::DeleteTopic { name: TOPIC.into() };
        let now = self.now();
        if self.model.order(deleted, now).is_err() {
            return false;
        }
        for (partition, batches) in logs.into_iter().enumerate() {
            self.lives.bury(partition as i32, batches);
        }
        self.lives.exists = false;
        self.lives.changed = true;
        self.lives.base += self.lives.slots;
        self.restart_readers();
        true
    }

    /// Makes the topic again, now or as soon as enough nodes are there.
    pub(crate) fn create_topic(&mut self) {
        if self.lives.exists {
            return;
        }
        let wanted = Order::CreateTopic {
            name: TOPIC.into(),
            partitions: self.lives.partitions,
            replication_factor: self.design.replication_factor,
            configs: self.design.topic.clone().into_iter().collect(),
        };
        let now = self.now();
        if self.model.order(wanted, now).is_err() {
            self.schedule.at(self.now_ns + AGAIN_NS, Event::Create);
            return;
        }
        self.say(|| "topic made again".to_owned());
        self.lives.exists = true;
    }

    /// Adds partitions. False if it has enough.
    pub(crate) fn grow_topic(&mut self) -> bool {
        if !self.lives.exists || self.lives.partitions == self.lives.slots {
            return false;
        }
        let grown = Order::GrowTopic {
            name: TOPIC.into(),
            partitions: self.lives.partitions + 1,
        };
        let now = self.now();
        if self.model.order(grown, now).is_err() {
            return false;
        }
        self.lives.partitions += 1;
        self.lives.changed = true;
        for reader in &mut self.readers {
            reader.grow(self.lives.base, self.lives.partitions, self.now_ns);
        }
        true
    }

    /// Readers are told to begin anew: the offsets of the old topic mean nothing in the new one.
    fn restart_readers(&mut self) {
        for reader in &mut self.readers {
            let life = (self.lives.base, self.lives.partitions);
            reader.restart(life, self.now_ns, &mut self.network, &mut self.schedule);
        }
    }
}

/// What deletion does to a transaction that is open.
fn undo(offset: i64, producer_id: i64) -> LogBatch {
    LogBatch {
        base_offset: offset,
        producer_id,
        // Nobody wrote it.
        leader_epoch: -1,
        control: true,
        transactional: true,
        marker: Some(Marker {
            commit: false,
            coordinator_epoch: 0,
        }),
        records: vec![LogRecord {
            offset,
            id: None,
            sequence: 0,
            key: None,
            intact: true,
            timestamp_ms: 0,
        }],
        ..LogBatch::default()
    }
}
