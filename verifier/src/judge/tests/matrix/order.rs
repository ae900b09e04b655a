//! Planted: records in the wrong order, in the log and for readers.

use std::collections::BTreeSet;

use super::dice::Dice;
use super::plant::{Plant, Row};
use super::scene::Scene;
use super::script::{Told, Written};
use super::shapes;
use super::watch::{Answer, Reader};

pub(super) const ROWS: [Row; 9] = [
    Row {
        id: "O1",
        planted: "of two batches on their way the later one is written first",
        beside: &["O4"],
        shape: shapes::plain,
        plant: Plant::Script(overtaken),
    },
    Row {
        id: "O1",
        planted: "the same within a transaction",
        beside: &["O4"],
        shape: shapes::transactional,
        plant: Plant::Script(overtaken),
    },
    Row {
        id: "O2",
        planted: "within one batch two records of a key (keyless: of the worker) change places",
        beside: &[],
        shape: shapes::plain,
        plant: Plant::Script(exchanged),
    },
    Row {
        id: "O3",
        planted: "a batch was acknowledged before it was written, and one sent after that stands before it",
        beside: &[],
        shape: shapes::crowded,
        plant: Plant::Script(acknowledged_early),
    },
    Row {
        id: "O4",
        planted: "readers get a later record first, and the gap filled in a later answer",
        beside: &["O1"],
        shape: shapes::eager,
        plant: Plant::Script(|scene, dice| Some(overtaken(scene, dice)? * scene.shape.readers.len() as u64)),
    },
    Row {
        id: "O5",
        planted: "a reader gets an answer twice",
        beside: &[],
        shape: shapes::read,
        plant: Plant::Reads(|scene, dice| {
            reread(scene, dice, |answers, i| {
                let again = Answer {
                    sought: None,
                    ..answers[i].clone()
                };
                answers.insert(i + 1, again);
                1
            })
        }),
    },
    Row {
        id: "O5",
        planted: "a reader never gets an answer and reads on behind it",
        beside: &[],
        shape: shapes::read,
        plant: Plant::Reads(|scene, dice| {
            reread(scene, dice, |answers, i| {
                answers.remove(i);
                1
            })
        }),
    },
    Row {
        id: "O5",
        planted: "a reader gets the records of one answer in reverse",
        beside: &[],
        shape: shapes::eager,
        plant: Plant::Reads(|scene, dice| {
            reread(scene, dice, |answers, i| {
                // The first to come jumps over all the others, and each of those goes back.
                answers[i].records.reverse();
                2
            })
        }),
    },
    Row {
        id: "O7",
        planted: "a batch of one key goes to another partition than the key's",
        beside: &[],
        shape: shapes::keyed,
        plant: Plant::Script(strayed),
    },
];

/// The first of two batches of one worker and partition is written right behind the second, and answered later.
fn overtaken(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    let mut pairs: Vec<(usize, usize, u64)> = Vec::new();
    for first in 0..scene.batches.len() {
        if let Some((second, records)) = next_on_its_way(scene, first) {
            pairs.push((first, second, records));
        }
    }
    let (first, second, records) = dice.pick(&pairs)?;
    let behind_ns = scene.appended_ns(second)? + 1;
    let later_ns = behind_ns - scene.appended_ns(first)?;
    let of_first = |append: &Written| matches!(append, Written::Batch(of) if *of == first);
    let append = scene.appends.iter_mut().find(|append| of_first(&append.what))?;
    append.at_ns = behind_ns;
    if let Told::Acked { at_ns } = &mut scene.batches[first].told {
        *at_ns += later_ns;
    }
    Some(records)
}

/// The next batch of the same worker and partition, sent before this one was written, and the records of this one that it
/// overtakes if it is written first.
fn next_on_its_way(scene: &Scene, first: usize) -> Option<(usize, u64)> {
    let of = &scene.batches[first];
    let at_ns = scene.appended_ns(first).filter(|_| scene.is_visible(first))?;
    let second = (first + 1..scene.batches.len()).find(|&batch| {
        let next = &scene.batches[batch];
        (next.worker, next.partition) == (of.worker, of.partition) && scene.appended_ns(batch).is_some()
    })?;
    let next = &scene.batches[second];
    let acked = |told: Told| matches!(told, Told::Acked { .. });
    let same = (of.incarnation, of.transaction) == (next.incarnation, next.transaction);
    if !same || !acked(of.told) || !acked(next.told) || next.handover_ns >= at_ns {
        return None;
    }
    let keys: BTreeSet<Option<u64>> = next.items.iter().map(|item| item.key).collect();
    let overtaken = of.items.iter().filter(|item| keys.contains(&item.key)).count();
    (overtaken > 0).then_some((second, overtaken as u64))
}

fn exchanged(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    let mut places = Vec::new();
    for batch in scene.promised() {
        let items = &scene.batches[batch].items;
        for i in 0..items.len() {
            let of_key = (i + 1..items.len()).find(|&j| items[j].key == items[i].key);
            places.extend(of_key.map(|j| (batch, i, j)));
        }
    }
    let (batch, i, j) = dice.pick(&places)?;
    scene.batches[batch].items.swap(i, j);
    Some(1)
}

fn acknowledged_early(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    let mut pairs = Vec::new();
    for batch in scene.promised() {
        let of = &scene.batches[batch];
        let (Told::Acked { at_ns }, Some(written_ns)) = (of.told, scene.appended_ns(batch)) else {
            continue;
        };
        let others = || {
            let numbers = 0..scene.batches.len();
            let here = numbers.filter(|&other| scene.batches[other].partition == of.partition);
            here.filter_map(|other| Some((&scene.batches[other], scene.appended_ns(other)?)))
        };
        let own = others().filter(|(other, at_ns)| other.worker == of.worker && *at_ns > written_ns);
        let until_ns = own.map(|(_, at_ns)| at_ns).min().unwrap_or(u64::MAX);
        let overtakes =
            others().filter(|(other, written_ns)| other.handover_ns > at_ns && *written_ns < until_ns);
        pairs.extend(overtakes.map(|(_, other_ns)| (batch, other_ns)));
    }
    let (batch, other_ns) = dice.pick(&pairs)?;
    let of_batch = |what: &Written| matches!(what, Written::Batch(of) if *of == batch);
    let append = scene.appends.iter_mut().find(|append| of_batch(&append.what))?;
    append.at_ns = other_ns + 1;
    Some(scene.batches[batch].items.len() as u64)
}

/// Changes one answer with at least two records of one reader, not its first.
fn reread(scene: &mut Scene, dice: &mut Dice, change: fn(&mut Vec<Answer>, usize) -> u64) -> Option<u64> {
    let place = |(reader, of): (usize, &Reader)| {
        let fit = of
            .full()
            .into_iter()
            .filter(|&i| of.answers[i].sought.is_none() && of.answers[i].records.len() > 1);
        fit.map(|i| (reader, i)).collect::<Vec<_>>()
    };
    let places: Vec<_> = scene.readers.iter().enumerate().flat_map(place).collect();
    let (reader, i) = dice.pick(&places)?;
    let records = scene.readers[reader].answers[i].records.len() as u64;
    let times = change(&mut scene.readers[reader].answers, i);
    // Reversed, the last one is the first to come: it is no step back, and the first is none that was jumped over twice.
    Some(if times == 2 { 2 * (records - 1) } else { records })
}

fn strayed(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    let mut batches = scene.promised();
    batches.retain(|&batch| {
        let of = &scene.batches[batch];
        let key = of.items[0].key;
        of.items.iter().all(|item| item.key == key) && others_of(scene, batch) > 0
    });
    let batch = dice.pick(&batches)?;
    let home = scene.batches[batch].partition;
    let other = (home + 1) % scene.shape.partitions;
    // Partitions are read in order: the first with the key is its home, and every worker's first record elsewhere is named.
    let named = if other > home { 1 } else { others_of(scene, batch) };
    scene.batches[batch].partition = other;
    let of_batch = |what: &Written| matches!(what, Written::Batch(of) if *of == batch);
    let append = scene.appends.iter_mut().find(|append| of_batch(&append.what))?;
    append.partition = other;
    Some(named)
}

/// Workers that have other records of this batch's key in the log.
fn others_of(scene: &Scene, batch: usize) -> u64 {
    let key = scene.batches[batch].items[0].key;
    let others =
        (0..scene.batches.len()).filter(|&other| other != batch && scene.appended_ns(other).is_some());
    let with_key = others.filter(|&other| scene.batches[other].items.iter().any(|item| item.key == key));
    with_key
        .map(|other| scene.batches[other].worker)
        .collect::<BTreeSet<_>>()
        .len() as u64
}
