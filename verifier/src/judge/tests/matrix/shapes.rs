//! Shapes of sound histories: what a plant is planted in, and what must raise nothing by itself.

use super::dice::Dice;
use super::script::{Kind, Shape};
use crate::judge::tests::fixture::MS;
use crate::reads::Isolation;

/// No transactions; keyed or keyless, up to four workers with up to three starts each, up to three readers.
pub(super) fn plain(dice: &mut Dice) -> Shape {
    Shape {
        kind: Kind::Plain,
        keys: dice.chance(60).then(|| dice.between(2, 8)),
        partitions: dice.between(1, 6) as i32,
        workers: dice.between(1, 4) as u16,
        incarnations: dice.between(1, 3) as u32,
        rounds: dice.between(8, 30),
        together: dice.between(1, 6),
        doubts: dice.chance(70),
        readers: readers(dice),
        batches_an_answer: dice.between(1, 4),
        outage_ns: None,
    }
}

/// The same in transactions: committed, aborted, with ends that the client never hears of.
pub(super) fn transactional(dice: &mut Dice) -> Shape {
    Shape {
        kind: Kind::Transactional,
        partitions: dice.between(2, 4) as i32,
        rounds: dice.between(3, 10),
        together: dice.between(2, 6),
        ..plain(dice)
    }
}

/// A copy job, killed up to two times.
pub(super) fn copy(dice: &mut Dice) -> Shape {
    Shape {
        kind: Kind::Copy,
        keys: None,
        workers: 1,
        rounds: u64::MAX,
        ..transactional(dice)
    }
}

/// With an outage in it that stays within its limits, and liveness looked at.
pub(super) fn live(dice: &mut Dice) -> Shape {
    Shape {
        incarnations: 1,
        partitions: dice.between(2, 4) as i32,
        keys: dice.chance(50).then_some(24),
        rounds: dice.between(120, 160),
        together: dice.between(4, 8),
        outage_ns: Some(dice.us(50_000, 90_000)),
        ..plain(dice)
    }
}

pub(super) fn keyed(dice: &mut Dice) -> Shape {
    Shape {
        keys: Some(dice.between(2, 6)),
        partitions: dice.between(2, 6) as i32,
        ..plain(dice)
    }
}

pub(super) fn unread(dice: &mut Dice) -> Shape {
    Shape {
        readers: Vec::new(),
        ..plain(dice)
    }
}

/// With a reader at least, and doubts.
pub(super) fn read(dice: &mut Dice) -> Shape {
    let shape = Shape {
        doubts: true,
        ..plain(dice)
    };
    with_reader(shape)
}

/// Readers that get a batch an answer: they see every gap that there is.
pub(super) fn eager(dice: &mut Dice) -> Shape {
    let shape = Shape {
        batches_an_answer: 1,
        ..plain(dice)
    };
    with_reader(shape)
}

/// Many workers, few batches of each in a partition.
pub(super) fn crowded(dice: &mut Dice) -> Shape {
    Shape {
        workers: 4,
        partitions: dice.between(2, 6) as i32,
        incarnations: 1,
        together: 1,
        ..plain(dice)
    }
}

/// A worker with a transactional id was killed and started again.
pub(super) fn fenced(dice: &mut Dice) -> Shape {
    Shape {
        incarnations: dice.between(2, 3) as u32,
        ..transactional(dice)
    }
}

fn with_reader(mut shape: Shape) -> Shape {
    if shape.readers.is_empty() {
        shape.readers.push(Isolation::ReadUncommitted);
    }
    shape
}

fn readers(dice: &mut Dice) -> Vec<Isolation> {
    let isolation = |dice: &mut Dice| match dice.chance(50) {
        true => Isolation::ReadCommitted,
        false => Isolation::ReadUncommitted,
    };
    (0..dice.between(0, 3)).map(|_| isolation(dice)).collect()
}

/// How long a stall in a healthy time is that liveness must not pass over: longer than progress may take, shorter than the
/// gap allowed.
pub(super) fn stall_ns(dice: &mut Dice) -> u64 {
    dice.us(60_000, 90_000).max(MS)
}
