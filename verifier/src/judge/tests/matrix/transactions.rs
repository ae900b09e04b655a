//! Planted: transactions that are torn, seen too early, written by somebody who was fenced, or never ended.

use std::collections::BTreeMap;

use super::dice::Dice;
use super::plant::{Plant, Row};
use super::scene::Scene;
use super::script::{Append, Told, Written, copyable};
use super::shapes;
use super::watch::{Answer, Reader};
use crate::history::TransactionOutcome::{self, Aborted, Committed, Unknown};
use crate::judge::tests::fixture::MS;
use crate::judge::tests::world::{HANGING_NS, data};
use crate::log::LogBatch;
use crate::reads::Isolation;
use crate::stamp::RecordId;

pub(super) const ROWS: [Row; 17] = [
    Row {
        id: "T1",
        planted: "an aborted transaction has a commit marker in one of its partitions",
        beside: &["T3"],
        shape: shapes::transactional,
        plant: Plant::Log(|scene, dice| {
            let (transaction, partitions) = spread(scene, dice, Some(Aborted), 2)?;
            let partition = *partitions.keys().next()?;
            flip(scene, transaction, partition)?;
            Some(written(scene, transaction, Some(partition)))
        }),
    },
    Row {
        id: "T1",
        planted: "a batch of an aborted transaction was written as one of no transaction",
        beside: &["T2", "T3", "T4"],
        shape: shapes::transactional,
        plant: Plant::Log(outside_of_its_transaction),
    },
    Row {
        id: "T1",
        planted: "a reader at read_committed gets a batch of an aborted transaction",
        beside: &[],
        shape: shapes::transactional,
        plant: Plant::Reads(|scene, dice| {
            let (transaction, _) = spread(scene, dice, Some(Aborted), 1)?;
            let late_ns = scene.end_ns + 600 * MS;
            hasty(scene, dice, (transaction, late_ns))
        }),
    },
    Row {
        id: "T2",
        planted: "a reader at read_committed gets a batch before its client asked to commit",
        beside: &[],
        shape: shapes::transactional,
        plant: Plant::Reads(|scene, dice| {
            let (transaction, _) = spread(scene, dice, Some(Committed), 1)?;
            let early_ns = scene.transactions[transaction].asked_ns - 1;
            hasty(scene, dice, (transaction, early_ns))
        }),
    },
    Row {
        id: "T2",
        planted: "a reader at read_committed gets a batch whose transaction no marker ends",
        beside: &["L3"],
        shape: shapes::transactional,
        plant: Plant::Reads(|scene, dice| {
            let transaction = open(scene, dice, 1)?;
            scene.readers.clear();
            let late_ns = scene.end_ns + 600 * MS;
            hasty(scene, dice, (transaction, late_ns))
        }),
    },
    Row {
        id: "T3",
        planted: "a committed transaction has an abort marker in one of its partitions",
        beside: &["L1", "L2"],
        shape: shapes::transactional,
        plant: Plant::Log(|scene, dice| one_flipped(scene, dice, Some(Committed))),
    },
    Row {
        id: "T3",
        planted: "a transaction of unknown end is committed in one partition and aborted in another",
        beside: &[],
        shape: shapes::transactional,
        plant: Plant::Log(|scene, dice| one_flipped(scene, dice, Some(Unknown))),
    },
    Row {
        id: "T4",
        planted: "a transaction told as aborted has commit markers everywhere",
        beside: &["T1"],
        shape: shapes::transactional,
        plant: Plant::Log(|scene, dice| all_flipped(scene, dice, Aborted)),
    },
    Row {
        id: "T5",
        planted: "a transaction told as committed has abort markers everywhere",
        beside: &["L1", "L2"],
        shape: shapes::transactional,
        plant: Plant::Log(|scene, dice| all_flipped(scene, dice, Committed)),
    },
    Row {
        id: "T6",
        planted: "the committed position of a copy job covers records that were never copied",
        beside: &[],
        shape: shapes::copy,
        plant: Plant::Script(position_ahead),
    },
    Row {
        id: "T6",
        planted: "the committed position lies before records that are copied",
        beside: &[],
        shape: shapes::copy,
        plant: Plant::Script(position_behind),
    },
    Row {
        id: "T6",
        planted: "the position was committed, and the transaction of the copies aborted",
        beside: &[],
        shape: shapes::copy,
        plant: Plant::Script(position_alone),
    },
    Row {
        id: "T7",
        planted: "a batch that a killed worker left on its way is written into its successor's transaction",
        beside: &["O1", "O4"],
        shape: shapes::fenced,
        plant: Plant::Script(zombie),
    },
    Row {
        id: "T7",
        planted: "a batch bears an older epoch than one before it in its partition",
        beside: &[],
        shape: shapes::fenced,
        plant: Plant::Log(|scene, dice| older_epoch(scene, dice, true)),
    },
    Row {
        id: "T7",
        planted: "a batch bears an older epoch than one acknowledged in another partition before it was sent",
        beside: &[],
        shape: shapes::fenced,
        plant: Plant::Log(|scene, dice| older_epoch(scene, dice, false)),
    },
    Row {
        id: "T8",
        planted: "a transaction is open after everything, for longer than it may be",
        beside: &["L3"],
        shape: shapes::transactional,
        plant: Plant::Log(|scene, dice| {
            let stood_ns = HANGING_NS + 1 + dice.us(0, 9_000);
            open(scene, dice, stood_ns)?;
            Some(1)
        }),
    },
    Row {
        id: "T8",
        planted: "a reader sees the last stable offset stand for longer than a transaction may be open",
        beside: &[],
        shape: shapes::transactional,
        plant: Plant::Reads(stable_stands),
    },
];

/// A transaction that was told so and has acknowledged records in so many partitions; how many in each.
fn spread(
    scene: &Scene,
    dice: &mut Dice,
    told: Option<TransactionOutcome>,
    partitions: usize,
) -> Option<(usize, BTreeMap<i32, u64>)> {
    let mut fit: Vec<usize> = (0..scene.transactions.len()).collect();
    fit.retain(|&of| scene.transactions[of].told.map(|(_, told)| told) == told);
    fit.retain(|&of| acknowledged(scene, of).len() >= partitions);
    let transaction = dice.pick(&fit)?;
    Some((transaction, acknowledged(scene, transaction)))
}

/// Acknowledged records of a transaction, by partition.
fn acknowledged(scene: &Scene, transaction: usize) -> BTreeMap<i32, u64> {
    let mut counts = BTreeMap::new();
    for of in scene
        .batches
        .iter()
        .filter(|of| of.transaction == Some(transaction))
    {
        if of.told.acked_ns().is_some() {
            *counts.entry(of.partition).or_default() += of.items.len() as u64;
        }
    }
    counts
}

/// Records of a transaction that were written, to one partition or to all.
fn written(scene: &Scene, transaction: usize, partition: Option<i32>) -> u64 {
    let of = scene
        .batches
        .iter()
        .filter(|of| of.transaction == Some(transaction) && of.place.is_some());
    let here = of.filter(|of| partition.is_none_or(|partition| of.partition == partition));
    here.map(|of| of.items.len() as u64).sum()
}

/// The batch with the marker of a transaction in one partition.
fn marker_of(scene: &mut Scene, transaction: usize, partition: i32) -> Option<&mut LogBatch> {
    let (producer_id, at_ns) = {
        let of = &scene.transactions[transaction];
        (of.producer_id, of.marker_ns)
    };
    let slots = &scene.slots[&partition];
    let log = scene.logs.get_mut(&partition)?;
    let mut written = log.iter_mut().zip(slots);
    let marker = written
        .find(|(batch, slot)| batch.control && batch.producer_id == producer_id && slot.at_ns == at_ns);
    marker.map(|(batch, _)| batch)
}

fn flip(scene: &mut Scene, transaction: usize, partition: i32) -> Option<()> {
    let marker = marker_of(scene, transaction, partition)?.marker.as_mut()?;
    marker.commit ^= true;
    Some(())
}

fn one_flipped(scene: &mut Scene, dice: &mut Dice, told: Option<TransactionOutcome>) -> Option<u64> {
    let (transaction, partitions) = spread(scene, dice, told, 2)?;
    let partitions: Vec<i32> = partitions.into_keys().collect();
    flip(scene, transaction, dice.pick(&partitions)?)?;
    Some(1)
}

fn all_flipped(scene: &mut Scene, dice: &mut Dice, told: TransactionOutcome) -> Option<u64> {
    let (transaction, _) = spread(scene, dice, Some(told), 1)?;
    for partition in 0..scene.shape.partitions {
        // Not every partition has one.
        let _ = flip(scene, transaction, partition);
    }
    Some(1)
}

fn outside_of_its_transaction(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    let (transaction, _) = spread(scene, dice, Some(Aborted), 1)?;
    let acked =
        |of: &&super::script::Batch| of.transaction == Some(transaction) && of.told.acked_ns().is_some();
    let places: Vec<_> = scene
        .batches
        .iter()
        .filter(acked)
        .filter_map(|of| of.place)
        .collect();
    let batch = scene.batch_at(dice.pick(&places)?)?;
    batch.transactional = false;
    Some(batch.records.len() as u64)
}

/// A reader at read_committed that gets one written batch of a transaction at this time, and nothing else.
fn hasty(scene: &mut Scene, dice: &mut Dice, (transaction, at_ns): (usize, u64)) -> Option<u64> {
    let of = scene
        .batches
        .iter()
        .filter(|of| of.transaction == Some(transaction) && of.told.acked_ns().is_some());
    let (partition, base) = dice.pick(&of.filter_map(|of| of.place).collect::<Vec<_>>())?;
    let records = scene.batch_at((partition, base))?.records.clone();
    let next_offset = base + records.len() as i64;
    let got = records.len() as u64;
    scene.readers.push(Reader {
        isolation: Isolation::ReadCommitted,
        name: "hasty".into(),
        answers: vec![Answer {
            partition,
            at_ns,
            sought: Some(base),
            next_offset,
            high_watermark: next_offset,
            last_stable_offset: next_offset,
            records,
        }],
    });
    Some(got)
}

/// The last transaction of a partition loses its marker there, and has been open for so long when the log is sealed.
fn open(scene: &mut Scene, dice: &mut Dice, stood_ns: u64) -> Option<usize> {
    let partition = dice.between(0, scene.shape.partitions as u64 - 1) as i32;
    let here = |&of: &usize| acknowledged(scene, of).contains_key(&partition);
    let last = (0..scene.transactions.len())
        .filter(here)
        .max_by_key(|&of| scene.transactions[of].marker_ns)?;
    let told = scene.transactions[last].told.map(|(_, told)| told);
    // What the client believes to be committed, or to be neither.
    if told == Some(Aborted) || acknowledged(scene, last).len() > 1 {
        return None;
    }
    marker_of(scene, last, partition)?.marker = None;
    let of = scene.batches.iter().filter(|of| of.transaction == Some(last));
    let first = of.filter_map(|of| of.place).map(|(_, base)| base).min()?;
    let sealed = scene.sealed(partition)?;
    (sealed.last_stable_offset, sealed.open_transactions) = (first, 1);
    sealed.stable_stood_ns = stood_ns;
    scene.seal.sealed = false;
    Some(last)
}

fn stable_stands(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    let partition = dice.between(0, scene.shape.partitions as u64 - 1) as i32;
    let high_watermark = scene.highest(partition) + 1;
    let from_ns = scene.end_ns + dice.us(0, 9_000);
    let last_stable_offset = dice.between(0, (high_watermark - 1).max(0) as u64) as i64;
    if high_watermark < 1 {
        return None;
    }
    let seen = |at_ns| Answer {
        partition,
        at_ns,
        sought: None,
        next_offset: 0,
        high_watermark,
        last_stable_offset,
        records: Vec::new(),
    };
    scene.readers.push(Reader {
        isolation: Isolation::ReadUncommitted,
        name: "patient".into(),
        answers: vec![
            seen(from_ns),
            seen(from_ns + HANGING_NS / 2),
            seen(from_ns + HANGING_NS + 1),
        ],
    });
    Some(1)
}

fn position_ahead(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    let source = scene.source.as_mut()?;
    let partition = dice.between(0, 1) as i32;
    let more = dice.between(1, 5);
    let log = source.logs.get_mut(&partition)?;
    let end = log.last()?.base_offset + 1;
    for offset in end..end + more as i64 {
        log.push(LogBatch {
            transactional: false,
            ..data(offset, RecordId::new(44, offset as u64))
        });
    }
    source.committed.insert(partition, end + more as i64);
    Some(more)
}

fn position_behind(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    let source = scene.source.as_mut()?;
    let partition = dice.between(0, 1) as i32;
    let copied = copyable(source, partition);
    let back = dice.between(1, copied.len() as u64);
    let position = copied[copied.len() - back as usize];
    source.committed.insert(partition, position as i64);
    Some(back)
}

fn position_alone(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    let (transaction, counts) = spread(scene, dice, Some(Committed), 1)?;
    let of = &mut scene.transactions[transaction];
    of.commit = false;
    of.told = of.told.map(|(at_ns, _)| (at_ns, Aborted));
    let acked: u64 = counts.values().sum();
    (acked == records(scene, transaction)).then_some(acked)
}

fn records(scene: &Scene, transaction: usize) -> u64 {
    let of = scene
        .batches
        .iter()
        .filter(|of| of.transaction == Some(transaction));
    of.map(|of| of.items.len() as u64).sum()
}

fn zombie(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    let mut places = Vec::new();
    for (left, of) in scene.batches.iter().enumerate() {
        if of.told != Told::Nothing || scene.is_visible(left) {
            continue;
        }
        for (after, next) in scene.batches.iter().enumerate() {
            let successor = next.worker == of.worker
                && next.incarnation > of.incarnation
                && next.partition == of.partition
                && scene.is_visible(after);
            if successor && let Some(at_ns) = scene.appended_ns(after) {
                places.push((left, at_ns));
            }
        }
    }
    let (left, at_ns) = dice.pick(&places)?;
    scene
        .appends
        .retain(|append| !matches!(append.what, Written::Batch(of) if of == left));
    let partition = scene.batches[left].partition;
    scene.appends.push(Append {
        at_ns: at_ns + 1,
        partition,
        what: Written::Batch(left),
    });
    Some(scene.batches[left].items.len() as u64)
}

/// A batch that can be read gets the epoch before its own: one behind that epoch in its partition, or the first there while
/// others had been acknowledged elsewhere.
fn older_epoch(scene: &mut Scene, dice: &mut Dice, behind: bool) -> Option<u64> {
    let mut places = Vec::new();
    for (batch, of) in scene.batches.iter().enumerate() {
        let Some((partition, base)) = of.place.filter(|_| of.epoch > 0 && scene.is_visible(batch)) else {
            continue;
        };
        let before = scene.logs[&partition]
            .iter()
            .take_while(|other| other.base_offset < base);
        let mut same =
            before.filter(|other| (other.producer_id, other.producer_epoch) == (of.producer_id, of.epoch));
        let in_use = scene.batches.iter().any(|other| {
            let acked_ns = other.told.acked_ns().unwrap_or(u64::MAX);
            (other.producer_id, other.epoch) == (of.producer_id, of.epoch) && acked_ns < of.handover_ns
        });
        let fit = if same.next().is_some() {
            behind
        } else {
            !behind && in_use
        };
        places.extend(fit.then_some((partition, base)));
    }
    let batch = scene.batch_at(dice.pick(&places)?)?;
    batch.producer_epoch -= 1;
    Some(batch.records.len() as u64)
}
