//! What one row of the matrix is, and how it is played.

use std::collections::BTreeSet;

use super::dice::Dice;
use super::scene::Scene;
use super::script::{Append, Shape, Written};

/// Histories that each row is planted in.
pub(super) const HISTORIES: usize = 10;
/// Seeds that may have no place for a plant (nothing aborted, say) before the row counts as unplantable.
const SEEDS_MAX: u64 = 400;

/// One row: what is planted, and what must be found.
pub(super) struct Row {
    pub(super) id: &'static str,
    pub(super) planted: &'static str,
    /// What follows from it and may be found beside it; each of them must show at least once.
    pub(super) beside: &'static [&'static str],
    pub(super) shape: fn(&mut Dice) -> Shape,
    pub(super) plant: Plant,
}

/// Where it is planted; it gives how often the anomaly must be found, or none where this history has no place for it.
#[derive(Clone, Copy)]
pub(super) enum Plant {
    /// Before anything is drawn.
    Shape(fn(&mut Shape, &mut Dice) -> u64),
    /// Who sends what, when it is written, what the client hears.
    Script(fn(&mut Scene, &mut Dice) -> Option<u64>),
    /// The log as it was written; readers read what is planted.
    Log(fn(&mut Scene, &mut Dice) -> Option<u64>),
    /// After readers have read.
    Reads(fn(&mut Scene, &mut Dice) -> Option<u64>),
}

/// What came of a row.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) id: &'static str,
    pub(super) planted: &'static str,
    pub(super) found: usize,
    pub(super) of: usize,
    pub(super) beside: BTreeSet<String>,
    /// What is not as the row says, in words.
    pub(super) wrong: Vec<String>,
}

impl Row {
    pub(super) fn play(&self) -> Found {
        let mut told = Found {
            id: self.id,
            planted: self.planted,
            found: 0,
            of: 0,
            beside: BTreeSet::new(),
            wrong: Vec::new(),
        };
        for seed in 1..=SEEDS_MAX {
            if told.of == HISTORIES {
                break;
            }
            let Some((scene, times)) = self.planted_in(seed) else {
                continue;
            };
            told.of += 1;
            self.weigh(seed, &scene, times, &mut told);
        }
        let name = format!("{} ({})", self.id, self.planted);
        if told.of < HISTORIES {
            let of = told.of;
            told.wrong.push(format!(
                "{name}: {of} of {SEEDS_MAX} histories had a place for it"
            ));
        }
        for beside in self
            .beside
            .iter()
            .filter(|beside| !told.beside.contains(**beside))
        {
            told.wrong.push(format!("{name}: {beside} never comes beside it"));
        }
        told
    }

    fn weigh(&self, seed: u64, scene: &Scene, times: u64, told: &mut Found) {
        let found = scene.found();
        let named = found.names();
        let count = |id: &str| {
            let mut of_id = found.anomalies.iter().filter(|(anomaly, _)| anomaly.id() == id);
            of_id.next().map_or(0, |(_, &count)| count)
        };
        told.found += usize::from(count(self.id) > 0);
        let mut complain = |what: &str| {
            let (id, planted) = (self.id, self.planted);
            told.wrong
                .push(format!("{id} ({planted}), seed {seed}: {what}; found {named:?}"));
        };
        if count(self.id) != times {
            complain(&format!("it was planted {times} times"));
        }
        for anomaly in found.anomalies.keys().map(|anomaly| anomaly.id()) {
            if anomaly != self.id && !self.beside.contains(&anomaly) {
                complain(&format!("{anomaly} does not follow from it"));
            } else if anomaly != self.id {
                told.beside.insert(anomaly.to_owned());
            }
        }
    }

    fn planted_in(&self, seed: u64) -> Option<(Scene, u64)> {
        let mut dice = Dice::new(seed);
        let mut shape = (self.shape)(&mut dice);
        let mut times = None;
        if let Plant::Shape(plant) = self.plant {
            times = Some(plant(&mut shape, &mut dice));
        }
        let mut scene = Scene::draw(shape, &mut dice);
        if let Plant::Script(plant) = self.plant {
            times = Some(plant(&mut scene, &mut dice)?);
        }
        scene.lay();
        if let Plant::Log(plant) = self.plant {
            times = Some(plant(&mut scene, &mut dice)?);
        }
        scene.watch(&mut dice);
        if let Plant::Reads(plant) = self.plant {
            times = Some(plant(&mut scene, &mut dice)?);
        }
        Some((scene, times?))
    }
}

/// Writes a batch once more, later, to this partition; within its transaction if it has one.
pub(super) fn again(scene: &mut Scene, dice: &mut Dice, (batch, partition): (usize, i32)) -> Option<u64> {
    let of = &scene.batches[batch];
    let (records, transaction) = (of.items.len() as u64, of.transaction);
    let at_ns = scene.appended_ns(batch)?;
    let until_ns = transaction.map_or(u64::MAX, |of| scene.transactions[of].marker_ns);
    let at_ns = (at_ns + dice.us(1, 30_000)).min(until_ns - 1);
    scene.appends.push(Append {
        at_ns,
        partition,
        what: Written::Batch(batch),
    });
    Some(records)
}
