//! Planted: records that are there twice, or should not be there at all.

use super::dice::Dice;
use super::plant::{Plant, Row, again};
use super::scene::Scene;
use super::script::{Append, Batch, Item, Kind, Told, Transaction, Written};
use super::shapes;
use crate::history::TransactionOutcome;
use crate::log::LogRecord;
use crate::stamp::RecordId;

pub(super) const ROWS: [Row; 8] = [
    Row {
        id: "D1",
        planted: "an acknowledged batch is written once more (sent again without numbers)",
        beside: &[],
        shape: shapes::plain,
        plant: Plant::Script(written_twice),
    },
    Row {
        id: "D1",
        planted: "a batch is written once more within its committed transaction",
        beside: &[],
        shape: shapes::transactional,
        plant: Plant::Script(written_twice),
    },
    Row {
        id: "D1",
        planted: "a batch of unknown outcome was numbered anew, and both are there",
        beside: &[],
        shape: shapes::read,
        plant: Plant::Script(renumbered),
    },
    Row {
        id: "D1",
        planted: "one acknowledged record stands in another batch too",
        beside: &[],
        shape: shapes::plain,
        plant: Plant::Script(one_again),
    },
    Row {
        id: "D2",
        planted: "an acknowledged batch is written to another partition too",
        beside: &[],
        shape: shapes::crowded,
        plant: Plant::Script(elsewhere),
    },
    Row {
        id: "D3",
        planted: "a batch in the log was told as not written",
        beside: &[],
        shape: shapes::plain,
        plant: Plant::Script(denied),
    },
    Row {
        id: "D3",
        planted: "a batch was given up as not written, and its request arrives later",
        beside: &["O4"],
        shape: shapes::read,
        plant: Plant::Script(resurrected),
    },
    Row {
        id: "D6",
        planted: "a copy job copies what it has committed once more",
        beside: &[],
        shape: shapes::copy,
        plant: Plant::Script(copied_twice),
    },
];

fn written_twice(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    let batch = dice.pick(&scene.promised())?;
    again(scene, dice, (batch, scene.batches[batch].partition))
}

fn renumbered(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    let mut unknown: Vec<usize> = (0..scene.batches.len()).collect();
    unknown.retain(|&batch| {
        matches!(scene.batches[batch].told, Told::Unknown { .. }) && scene.appended_ns(batch).is_some()
    });
    let batch = dice.pick(&unknown)?;
    again(scene, dice, (batch, scene.batches[batch].partition))
}

fn elsewhere(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    let batch = dice.pick(&scene.promised())?;
    let other = (scene.batches[batch].partition + 1) % scene.shape.partitions;
    again(scene, dice, (batch, other))
}

fn one_again(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    let batch = dice.pick(&scene.promised())?;
    let (of, at_ns) = (&scene.batches[batch], scene.appended_ns(batch)?);
    let item = dice.pick(&of.items)?;
    let append = Append {
        at_ns: at_ns + dice.us(1_000, 30_000),
        partition: of.partition,
        what: Written::Foreign(vec![LogRecord {
            offset: 0,
            id: Some(RecordId::new(of.worker, item.index)),
            sequence: item.sequence,
            key: item.key,
            intact: true,
            timestamp_ms: 0,
        }]),
    };
    scene.appends.push(append);
    Some(1)
}

fn denied(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    let batch = dice.pick(&scene.promised())?;
    let at_ns = scene.batches[batch].told.acked_ns()?;
    scene.batches[batch].told = Told::NotWritten { at_ns };
    Some(scene.batches[batch].items.len() as u64)
}

fn resurrected(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    let mut refused: Vec<usize> = (0..scene.batches.len()).collect();
    refused.retain(|&batch| matches!(scene.batches[batch].told, Told::NotWritten { .. }));
    let batch = dice.pick(&refused)?;
    let (partition, sent_ns) = (scene.batches[batch].partition, scene.batches[batch].handover_ns);
    scene.appends.push(Append {
        at_ns: sent_ns + dice.us(5_000, 60_000),
        partition,
        what: Written::Batch(batch),
    });
    Some(scene.batches[batch].items.len() as u64)
}

/// After everything, one more transaction with what a committed one had.
fn copied_twice(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    debug_assert_eq!(scene.shape.kind, Kind::Copy);
    let committed = |of: &Transaction| matches!(of.told, Some((_, TransactionOutcome::Committed)));
    let mut first: Vec<usize> = (0..scene.transactions.len()).collect();
    first.retain(|&of| {
        let has_records = scene.batches.iter().any(|batch| batch.transaction == Some(of));
        committed(&scene.transactions[of]) && has_records
    });
    let first = dice.pick(&first)?;
    let last = scene.transactions.last()?.clone();
    if scene.killed.contains(&(last.worker, last.incarnation)) {
        return None;
    }
    let begin_ns = scene.end_ns + dice.us(1_000, 5_000);
    let items = scene
        .batches
        .iter()
        .filter(|batch| batch.transaction == Some(first));
    let items: Vec<Item> = items.flat_map(|batch| batch.items.clone()).collect();
    let next_index = scene
        .batches
        .iter()
        .flat_map(|batch| &batch.items)
        .map(|item| item.index + 1);
    let next_index = next_index.max()?;
    let items: Vec<Item> = (next_index..)
        .zip(items)
        .map(|(index, item)| Item {
            index,
            sequence: index as u32,
            due_ns: begin_ns,
            ..item
        })
        .collect();
    let copied = items.len() as u64;
    let (batch, transaction) = (scene.batches.len(), scene.transactions.len());
    let ms = crate::judge::tests::fixture::MS;
    scene.batches.push(Batch {
        worker: last.worker,
        incarnation: last.incarnation,
        partition: 0,
        items,
        handover_ns: begin_ns,
        producer_id: last.producer_id,
        epoch: last.epoch,
        transaction: Some(transaction),
        told: Told::Acked {
            at_ns: begin_ns + 2 * ms,
        },
        place: None,
    });
    scene.transactions.push(Transaction {
        number: last.number + 1,
        asked_ns: begin_ns + 3 * ms,
        told: Some((begin_ns + 5 * ms, TransactionOutcome::Committed)),
        commit: true,
        marker_ns: begin_ns + 4 * ms,
        ..last
    });
    let parts = [(1, Written::Batch(batch)), (4, Written::Marker(transaction))];
    scene.appends.extend(parts.map(|(after, what)| Append {
        at_ns: begin_ns + after * ms,
        partition: 0,
        what,
    }));
    scene.end_ns = begin_ns + 5 * ms;
    Some(copied)
}
