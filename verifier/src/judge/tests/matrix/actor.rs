//! One worker's part of a script: hand-overs, batches on their way, transactions, copies, SIGKILL.

use std::collections::{BTreeMap, BTreeSet};

use super::dice::Dice;
use super::script::{
    Append, Batch, CopySource, Item, Kind, Script, Shape, Told, Transaction, Written, copyable,
};
use crate::history::TransactionOutcome;
use crate::judge::tests::fixture::{MS, START};
use crate::judge::tests::world::{data, marker};
use crate::log::LogBatch;
use crate::stamp::RecordId;

/// A source of two partitions; some of its records are aborted, and nobody copies those.
pub(super) fn source(dice: &mut Dice) -> CopySource {
    let mut source = CopySource::default();
    for partition in 0..2 {
        let log: &mut Vec<LogBatch> = source.logs.entry(partition).or_default();
        for index in 0..dice.between(8, 24) {
            let id = RecordId::new(40 + partition as u16, index);
            let offset = log.last().map_or(0, |last| last.base_offset + 1);
            let aborted = dice.chance(15);
            log.push(LogBatch {
                transactional: aborted,
                producer_id: 500,
                ..data(offset, id)
            });
            if aborted {
                log.push(marker(offset + 1, 500, false));
            }
        }
    }
    source
}

/// One worker while its story is drawn.
pub(super) struct Actor {
    worker: u16,
    incarnation: u32,
    now_ns: u64,
    next_index: u64,
    sequences: BTreeMap<u64, u32>,
    /// By partition, its last append.
    last_append_ns: BTreeMap<i32, u64>,
    producer_id: i64,
    epoch: i16,
    /// Where its copying goes on, by partition of the source: to be sent next, and committed.
    positions: BTreeMap<i32, (usize, usize)>,
}

impl Actor {
    pub(super) fn new(worker: u16, dice: &mut Dice) -> Actor {
        Actor {
            worker,
            incarnation: 0,
            now_ns: START + dice.us(0, 5_000),
            next_index: 0,
            sequences: BTreeMap::new(),
            last_append_ns: BTreeMap::new(),
            producer_id: 0,
            epoch: 0,
            positions: BTreeMap::new(),
        }
    }

    pub(super) fn play(mut self, script: &mut Script, dice: &mut Dice) {
        for incarnation in 0..script.shape.incarnations {
            let last = incarnation + 1 == script.shape.incarnations;
            self.incarnation = incarnation;
            if script.shape.kind == Kind::Plain {
                // Each start is a producer of its own.
                self.producer_id = 1_000 + i64::from(self.worker) * 10 + i64::from(incarnation);
                self.plain(script, dice);
            } else {
                // One transactional id, one producer id; each start fences the one before.
                self.producer_id = 1_000 + i64::from(self.worker) * 10;
                self.transactional(script, dice, last);
            }
            if !last {
                self.killed(script, dice);
            }
        }
        let positions = self.positions.into_iter();
        let ends = positions.map(|(partition, (_, committed))| (partition, committed));
        if let Some(source) = &mut script.source {
            for (partition, committed) in ends {
                let open = copyable(source, partition);
                let position = committed.checked_sub(1).map_or(0, |last| open[last] as i64 + 1);
                source.committed.insert(partition, position);
            }
        }
    }

    fn plain(&mut self, script: &mut Script, dice: &mut Dice) {
        for _ in 0..script.shape.rounds {
            self.now_ns += dice.us(1_000, 4_000);
            for (partition, items) in self.hand_over(&script.shape, dice) {
                self.send(script, dice, (partition, items), None);
            }
        }
    }

    /// Records that are handed over now, by partition.
    fn hand_over(&mut self, shape: &Shape, dice: &mut Dice) -> BTreeMap<i32, Vec<Item>> {
        let mut batches: BTreeMap<i32, Vec<Item>> = BTreeMap::new();
        for _ in 0..dice.between(1, shape.together) {
            let due_ns = self.now_ns - dice.us(0, 900);
            let (partition, item) = self.item(shape, due_ns, dice);
            batches.entry(partition).or_default().push(item);
        }
        batches
    }

    fn item(&mut self, shape: &Shape, due_ns: u64, dice: &mut Dice) -> (i32, Item) {
        let index = self.next_index;
        self.next_index += 1;
        let key = shape.keys.map(|keys| dice.between(0, keys - 1));
        let sequence = match key {
            Some(key) => {
                let next = self.sequences.entry(key).or_default();
                *next += 1;
                *next - 1
            }
            None => index as u32,
        };
        let partition = (key.unwrap_or(index) % shape.partitions as u64) as i32;
        let item = Item {
            index,
            key,
            sequence,
            due_ns,
            origin: None,
        };
        (partition, item)
    }

    /// One batch on its way: when it is written, and what its client hears.
    fn send(
        &mut self,
        script: &mut Script,
        dice: &mut Dice,
        (partition, items): (i32, Vec<Item>),
        transaction: Option<usize>,
    ) {
        let arrived_ns = self.now_ns + dice.us(1_000, 10_000);
        let arrived_ns = match &script.outage {
            Some(outage) if outage.contains(&arrived_ns) => outage.end + dice.us(1_000, 5_000),
            _ => arrived_ns,
        };
        let last_ns = self
            .last_append_ns
            .get(&partition)
            .map_or(0, |&last| last + 1_000);
        let mut at_ns = arrived_ns.max(last_ns);
        let answered_ns = at_ns + dice.us(200, 3_000);
        let calm = script.outage.is_some();
        let mut written = true;
        let told = match if script.shape.doubts {
            dice.between(0, 99)
        } else {
            99
        } {
            0..4 => {
                written = false;
                Told::NotWritten { at_ns: answered_ns }
            }
            4..8 => Told::Unknown { at_ns: answered_ns },
            8..10 => {
                written = false;
                Told::Unknown { at_ns: answered_ns }
            }
            10..14 if !calm => Told::Found {
                unknown_ns: answered_ns,
                at_ns: answered_ns + 50 * MS,
            },
            // The request was lost, and the batch sent again.
            14..18 if !calm => {
                at_ns += 30 * MS;
                Told::Acked {
                    at_ns: answered_ns + 30 * MS,
                }
            }
            _ => Told::Acked { at_ns: answered_ns },
        };
        let batch = script.batches.len();
        script.batches.push(Batch {
            worker: self.worker,
            incarnation: self.incarnation,
            partition,
            items,
            handover_ns: self.now_ns,
            producer_id: self.producer_id,
            epoch: self.epoch,
            transaction,
            told,
            place: None,
        });
        if written {
            self.last_append_ns.insert(partition, at_ns);
            script.appends.push(Append {
                at_ns,
                partition,
                what: Written::Batch(batch),
            });
        }
        let heard_ns = told.acked_ns().unwrap_or(answered_ns);
        script.end_ns = script.end_ns.max(heard_ns);
    }

    fn transactional(&mut self, script: &mut Script, dice: &mut Dice, last_incarnation: bool) {
        let mut number = 0;
        loop {
            let copying = script.shape.kind == Kind::Copy;
            let enough = number >= script.shape.rounds;
            let copied = copying && self.left(script) == 0;
            if (!copying && enough) || copied || (copying && !last_incarnation && number >= 3) {
                return;
            }
            number += 1;
            // The last of a killed one is open when it dies.
            let dies = !last_incarnation && (number == script.shape.rounds || copying && number == 3);
            self.transaction(script, dice, (number, dies));
        }
    }

    fn transaction(&mut self, script: &mut Script, dice: &mut Dice, (number, dies): (u64, bool)) {
        let transaction = script.transactions.len();
        let commit = !dies && dice.chance(70);
        let known = script.shape.kind == Kind::Copy && commit || dice.chance(80);
        script.transactions.push(Transaction {
            worker: self.worker,
            incarnation: self.incarnation,
            number,
            producer_id: self.producer_id,
            epoch: self.epoch,
            asked_ns: 0,
            told: None,
            commit,
            marker_ns: 0,
        });
        let first = script.batches.len();
        // What is in a transaction that shall be committed was acknowledged; one that fails may leave doubts.
        let doubts = std::mem::replace(&mut script.shape.doubts, false);
        for _ in 0..dice.between(1, 3) {
            self.now_ns += dice.us(500, 2_000);
            script.shape.doubts = doubts && !commit;
            let batches = match script.shape.kind {
                Kind::Copy => self.copies(script, dice),
                _ => self.hand_over(&script.shape, dice),
            };
            for batch in batches {
                self.send(script, dice, batch, Some(transaction));
            }
        }
        script.shape.doubts = doubts;
        let heard = script.batches[first..]
            .iter()
            .filter_map(|batch| batch.told.acked_ns());
        let written = (first..script.batches.len()).filter_map(|batch| script.appended_ns(batch));
        let asked_ns = heard.chain(written).max().unwrap_or(self.now_ns) + dice.us(200, 3_000);
        let marker_ns = asked_ns + dice.us(200, 4_000);
        let ended_ns = marker_ns + dice.us(200, 3_000);
        let told = match (commit, known) {
            (true, true) => TransactionOutcome::Committed,
            (false, true) => TransactionOutcome::Aborted,
            _ => TransactionOutcome::Unknown,
        };
        let of = &mut script.transactions[transaction];
        (of.asked_ns, of.marker_ns) = (asked_ns, marker_ns);
        of.told = (!dies).then_some((ended_ns, told));
        let partitions: BTreeSet<i32> = script.batches[first..]
            .iter()
            .map(|batch| batch.partition)
            .collect();
        for partition in partitions {
            self.last_append_ns.insert(partition, marker_ns);
            script.appends.push(Append {
                at_ns: marker_ns,
                partition,
                what: Written::Marker(transaction),
            });
        }
        for (next, committed) in self.positions.values_mut() {
            if commit {
                *committed = *next;
            } else {
                *next = *committed;
            }
        }
        self.now_ns = ended_ns;
        script.end_ns = script.end_ns.max(ended_ns);
    }

    /// Source records that are not committed yet.
    fn left(&mut self, script: &Script) -> usize {
        let source = script.source.as_ref();
        let left = |partition: i32| {
            let all = source.map_or(0, |source| copyable(source, partition).len());
            all - self.positions.entry(partition).or_default().1
        };
        [0, 1].map(left).iter().sum()
    }

    /// The next records of one partition of the source.
    fn copies(&mut self, script: &Script, dice: &mut Dice) -> BTreeMap<i32, Vec<Item>> {
        let mut batches: BTreeMap<i32, Vec<Item>> = BTreeMap::new();
        let Some(source) = &script.source else {
            return batches;
        };
        let from = dice.between(0, 1) as i32;
        let open = copyable(source, from);
        for _ in 0..dice.between(1, script.shape.together) {
            let (next, _) = self.positions.entry(from).or_default();
            let Some(&offset) = open.get(*next) else { break };
            *next += 1;
            let (partition, item) = self.item(&script.shape, self.now_ns, dice);
            let origin = Some((from, offset));
            batches
                .entry(partition)
                .or_default()
                .push(Item { origin, ..item });
        }
        batches
    }

    /// SIGKILL: the last batches are told nothing, whether they were written or not; the next start comes after all of
    /// it has settled, and a coordinator has aborted what was open.
    fn killed(&mut self, script: &mut Script, dice: &mut Dice) {
        let mine = (self.worker, self.incarnation);
        script.killed.insert(mine);
        let of_mine = |batch: &&mut Batch| (batch.worker, batch.incarnation) == mine;
        for batch in script.batches.iter_mut().filter(of_mine).rev().take(2) {
            batch.told = Told::Nothing;
        }
        let settled_ns = self.last_append_ns.values().max().copied().unwrap_or(0);
        self.now_ns = settled_ns.max(self.now_ns) + dice.us(20_000, 40_000);
        self.epoch += 1;
    }
}
