//! Planted: records that are not what was sent, or not where it was said.

use super::dice::Dice;
use super::plant::{Plant, Row};
use super::scene::Scene;
use super::script::{Append, Told, Written};
use super::shapes;
use crate::log::LogRecord;
use crate::stamp::RecordId;

pub(super) const ROWS: [Row; 13] = [
    Row {
        id: "I1",
        planted: "the log was cut behind an acknowledged batch's begin, and another one acknowledged in its place",
        beside: &["L1", "L2"],
        shape: shapes::unread,
        plant: Plant::Script(cut_and_rewritten),
    },
    Row {
        id: "I1",
        planted: "the log has two records at one offset",
        beside: &[],
        shape: shapes::read,
        plant: Plant::Log(two_at_one_offset),
    },
    Row {
        id: "I1",
        planted: "a reader got a record with another content than stands there",
        beside: &[],
        shape: shapes::read,
        plant: Plant::Reads(another_content),
    },
    Row {
        id: "I2",
        planted: "the content of a record changed on the way, its id did not",
        beside: &[],
        shape: shapes::plain,
        plant: Plant::Log(|scene, dice| {
            changed(scene, dice)?.intact = false;
            Some(1)
        }),
    },
    Row {
        id: "I2",
        planted: "the same in a transaction",
        beside: &[],
        shape: shapes::transactional,
        plant: Plant::Log(|scene, dice| {
            changed(scene, dice)?.intact = false;
            Some(1)
        }),
    },
    Row {
        id: "I2",
        planted: "the content changed, and the id is another one now",
        beside: &[],
        shape: shapes::plain,
        plant: Plant::Log(|scene, dice| {
            let record = changed(scene, dice)?;
            (record.intact, record.id) = (false, Some(RecordId::new(0, 5_000_000)));
            Some(1)
        }),
    },
    Row {
        id: "I2",
        planted: "the content is cut off, its stamp too",
        beside: &[],
        shape: shapes::plain,
        plant: Plant::Log(|scene, dice| {
            let record = changed(scene, dice)?;
            (record.intact, record.id) = (false, None);
            Some(1)
        }),
    },
    Row {
        id: "I3",
        planted: "an intact record bears an id that was never given",
        beside: &[],
        shape: shapes::plain,
        plant: Plant::Script(|scene, dice| {
            let worker = dice.pick(&[0, 60])?;
            let index = dice.between(1_000_000, 2_000_000);
            phantom(scene, dice, Some(RecordId::new(worker, index)))
        }),
    },
    Row {
        id: "I3",
        planted: "a record without a stamp where nothing was acknowledged",
        beside: &[],
        shape: shapes::plain,
        plant: Plant::Script(|scene, dice| phantom(scene, dice, None)),
    },
    Row {
        id: "I4",
        planted: "a batch was acknowledged at another place than where it stands",
        beside: &[],
        shape: shapes::plain,
        plant: Plant::Log(|scene, dice| {
            let batch = dice.pick(&scene.promised())?;
            let (partition, offset) = scene.batches[batch].place?;
            scene.batches[batch].place = Some((partition, offset + 10_000));
            Some(scene.batches[batch].items.len() as u64)
        }),
    },
    Row {
        id: "I4",
        planted: "a batch was acknowledged without a place",
        beside: &[],
        shape: shapes::transactional,
        plant: Plant::Log(|scene, dice| {
            let batch = dice.pick(&scene.promised())?;
            scene.batches[batch].place = None;
            Some(scene.batches[batch].items.len() as u64)
        }),
    },
    Row {
        id: "I5",
        planted: "a batch in the middle of the log was written in an older leader epoch than those before it",
        beside: &[],
        shape: shapes::transactional,
        plant: Plant::Log(older_leader),
    },
    Row {
        id: "I5",
        planted: "an empty answer moved a reader back",
        beside: &[],
        shape: shapes::read,
        plant: Plant::Reads(moved_back),
    },
];

/// One leader after the other, and a batch of the first among those of the second.
fn older_leader(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    let partition = dice.between(0, scene.shape.partitions as u64 - 1) as i32;
    let log = scene.logs.get_mut(&partition)?;
    let last = (log.len() as u64).checked_sub(1).filter(|&last| last >= 2)?;
    let old = dice.between(2, last) as usize;
    for (number, batch) in log.iter_mut().enumerate() {
        batch.leader_epoch = if number == 0 || number == old { 4 } else { 7 };
    }
    Some(1)
}

fn moved_back(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    let reader = dice.between(0, scene.readers.len() as u64 - 1) as usize;
    let answers = &mut scene.readers[reader].answers;
    let empty = |answer: &super::watch::Answer| {
        answer.records.is_empty() && answer.sought.is_none() && answer.next_offset > 0
    };
    let places: Vec<usize> = (0..answers.len()).filter(|&i| empty(&answers[i])).collect();
    answers[dice.pick(&places)?].next_offset -= 1;
    Some(1)
}

/// The batch is gone, and the next one of its partition, no shorter, has its offsets.
fn cut_and_rewritten(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    let mut appends: Vec<usize> = (0..scene.appends.len()).collect();
    appends.sort_by_key(|&append| scene.appends[append].at_ns);
    let of = |append: usize| match scene.appends[append].what {
        Written::Batch(batch) => Some(&scene.batches[batch]),
        _ => None,
    };
    let mut gone = Vec::new();
    for (i, &append) in appends.iter().enumerate() {
        let here = |other: &&usize| scene.appends[**other].partition == scene.appends[append].partition;
        let next = appends[i + 1..].iter().find(here);
        let (Some(first), Some(next)) = (of(append), next.and_then(|&next| of(next))) else {
            continue;
        };
        let acked = |told: Told| told.acked_ns().is_some();
        if acked(first.told) && acked(next.told) && first.items.len() <= next.items.len() {
            gone.push(append);
        }
    }
    let gone = dice.pick(&gone)?;
    let Written::Batch(batch) = scene.appends[gone].what else {
        return None;
    };
    scene.appends[gone].what = Written::Vanished(batch);
    Some(scene.batches[batch].items.len() as u64)
}

/// A record of a batch that nobody was told of bears the offset of the one before it.
fn two_at_one_offset(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    scene.shape.readers.clear();
    let mut places: Vec<(i32, i64)> = Vec::new();
    for of in &scene.batches {
        if let Some((partition, base)) = of.place.filter(|_| of.told.acked_ns().is_none()) {
            places.extend((base > 0).then_some((partition, base)));
        }
    }
    let (partition, base) = dice.pick(&places)?;
    scene.at((partition, base))?.offset = base - 1;
    Some(1)
}

fn another_content(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    let reader = dice.between(0, scene.readers.len() as u64 - 1) as usize;
    let answer = dice.pick(&scene.readers[reader].full())?;
    // Not its number: that decides about its order, which is O4's.
    scene.readers[reader].answers[answer].records.last_mut()?.intact = false;
    Some(1)
}

/// A record that must be in the log.
fn changed<'a>(scene: &'a mut Scene, dice: &mut Dice) -> Option<&'a mut LogRecord> {
    let batch = dice.pick(&scene.promised())?;
    let (partition, base) = scene.batches[batch].place?;
    let last = scene.batches[batch].items.len() as u64 - 1;
    scene.at((partition, base + dice.between(0, last) as i64))
}

fn phantom(scene: &mut Scene, dice: &mut Dice, id: Option<RecordId>) -> Option<u64> {
    let partition = dice.between(0, scene.shape.partitions as u64 - 1) as i32;
    let append = dice.between(0, scene.appends.len() as u64 - 1) as usize;
    let at_ns = scene.appends[append].at_ns + dice.us(1, 5_000);
    let record = LogRecord {
        offset: 0,
        id,
        sequence: 0,
        key: None,
        intact: id.is_some(),
        timestamp_ms: 0,
    };
    scene.appends.push(Append {
        at_ns,
        partition,
        what: Written::Foreign(vec![record]),
    });
    Some(1)
}
