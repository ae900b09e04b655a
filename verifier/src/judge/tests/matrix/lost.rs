//! Planted: records that are lost, late, or were never heard of again.

use super::dice::Dice;
use super::plant::{Plant, Row};
use super::scene::Scene;
use super::script::{Told, Written};
use super::shapes;

pub(super) const ROWS: [Row; 7] = [
    Row {
        id: "L1",
        planted: "the last batch of a partition is acknowledged, and not in the log",
        beside: &[],
        shape: shapes::plain,
        plant: Plant::Log(|scene, dice| cut(scene, dice, false)),
    },
    Row {
        id: "L1",
        planted: "a batch of a committed transaction is not in the log",
        beside: &["L2", "T3"],
        shape: shapes::transactional,
        plant: Plant::Log(|scene, dice| cut(scene, dice, true)),
    },
    Row {
        id: "L2",
        planted: "an acknowledged batch is missing, and later ones were read",
        beside: &["L1"],
        shape: shapes::plain,
        plant: Plant::Log(|scene, dice| cut(scene, dice, true)),
    },
    Row {
        id: "L3",
        planted: "the log of a partition was read to a place below acknowledged records",
        beside: &[],
        shape: shapes::plain,
        plant: Plant::Log(read_short),
    },
    Row {
        id: "L4",
        planted: "a client that ended in order told nothing of a batch, and it is not in the log",
        beside: &[],
        shape: shapes::plain,
        plant: Plant::Script(unspoken),
    },
    Row {
        id: "L6",
        planted: "readers got a batch of unknown outcome, and it is not there any more",
        beside: &[],
        shape: shapes::read,
        plant: Plant::Reads(|scene, dice| gone(scene, dice, false)),
    },
    Row {
        id: "L6",
        planted: "readers got an acknowledged batch, and it is not there any more",
        beside: &["L1", "L2"],
        shape: shapes::read,
        plant: Plant::Reads(|scene, dice| gone(scene, dice, true)),
    },
];

/// Takes a promised batch out of the log: one with something read behind it, or the last.
fn cut(scene: &mut Scene, dice: &mut Dice, below: bool) -> Option<u64> {
    let mut promised = scene.promised();
    promised.retain(|&batch| {
        let of = &scene.batches[batch];
        of.place.is_some_and(|(partition, base)| {
            let last = base + of.items.len() as i64 - 1;
            (scene.highest(partition) > last) == below
        })
    });
    let batch = dice.pick(&promised)?;
    Some(scene.take_out(scene.batches[batch].place?).len() as u64)
}

fn read_short(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    let partition = dice.between(0, scene.shape.partitions as u64 - 1) as i32;
    let length = scene.logs[&partition].len() as u64;
    let left = dice.between(0, length.checked_sub(1)?) as usize;
    let end = scene.logs[&partition][left].base_offset;
    scene.logs.get_mut(&partition)?.truncate(left);
    scene.slots.get_mut(&partition)?.truncate(left);
    scene.sealed(partition)?.read_to = end;
    scene.seal.sealed = false;
    let unread = scene.promised().into_iter().filter(|&batch| {
        let place = scene.batches[batch].place;
        place.is_some_and(|(of, base)| of == partition && base >= end)
    });
    let lost: usize = unread.map(|batch| scene.batches[batch].items.len()).sum();
    (lost > 0).then_some(lost as u64)
}

fn unspoken(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    let mut batches = scene.promised();
    batches.retain(|&batch| {
        let of = &scene.batches[batch];
        !scene.killed.contains(&(of.worker, of.incarnation))
    });
    let batch = dice.pick(&batches)?;
    scene.batches[batch].told = Told::Nothing;
    scene
        .appends
        .retain(|append| !matches!(append.what, Written::Batch(of) if of == batch));
    Some(scene.batches[batch].items.len() as u64)
}

fn gone(scene: &mut Scene, dice: &mut Dice, acked: bool) -> Option<u64> {
    let mut batches: Vec<usize> = (0..scene.batches.len()).collect();
    batches.retain(|&batch| {
        let of = &scene.batches[batch];
        of.place.is_some() && of.told.acked_ns().is_some() == acked
    });
    let batch = dice.pick(&batches)?;
    let records = scene.take_out(scene.batches[batch].place?).len();
    Some((records * scene.readers.len()) as u64)
}
