//! Sound histories of every shape: whatever is found in one of them is a false alarm.

use super::dice::Dice;
use super::harness;
use super::scene::Scene;
use super::script::{Shape, Told};
use super::shapes;
use crate::history::TransactionOutcome;

/// Of each shape.
const HISTORIES: u64 = 30;

/// What came of one shape.
pub(super) struct Silence {
    pub(super) shape: &'static str,
    pub(super) histories: u64,
    pub(super) alarms: u64,
    pub(super) wrong: Vec<String>,
}

/// Draws a shape.
type Draw = fn(&mut Dice) -> Shape;

const SHAPES: [(&str, Draw); 6] = [
    ("keys or none, several workers and starts, readers", shapes::plain),
    ("keys that choose among several partitions", shapes::keyed),
    (
        "transactions committed, aborted and of unknown end, workers killed within one",
        shapes::transactional,
    ),
    (
        "the same, with killed workers and their successors each time",
        shapes::fenced,
    ),
    (
        "copy jobs, killed or not, with aborted records in their source",
        shapes::copy,
    ),
    ("an outage within its limits, liveness looked at", shapes::live),
];

pub(super) fn play() -> Vec<Silence> {
    let mut all: Vec<Silence> = SHAPES.iter().map(|&(name, shape)| of(name, shape)).collect();
    all.push(folders());
    all
}

fn of(name: &'static str, shape: Draw) -> Silence {
    let mut silence = Silence {
        shape: name,
        histories: HISTORIES,
        alarms: 0,
        wrong: Vec::new(),
    };
    for seed in 1..=HISTORIES {
        // Other ones than those that something is planted in.
        let found = played(shape, 10_000 + seed).found();
        if !found.is_clean() {
            silence.alarms += 1;
            let (names, doubts) = (found.names(), &found.doubts);
            silence.wrong.push(format!(
                "sound ({name}), seed {seed}: {names} {doubts:?} {:?}",
                found.examples
            ));
        }
    }
    silence
}

fn folders() -> Silence {
    let silent = |seed: &u64| harness::is_silent(&harness::sound(&mut Dice::new(10_000 + seed)));
    let loud: Vec<u64> = (1..=HISTORIES).filter(|seed| !silent(seed)).collect();
    Silence {
        shape: "whole run folders with limits that hold and a fault that left evidence",
        histories: HISTORIES,
        alarms: loud.len() as u64,
        wrong: loud
            .iter()
            .map(|seed| format!("sound folder, seed {seed}"))
            .collect(),
    }
}

fn played(shape: Draw, seed: u64) -> Scene {
    let mut dice = Dice::new(seed);
    let mut scene = Scene::draw(shape(&mut dice), &mut dice);
    scene.lay();
    scene.watch(&mut dice);
    scene
}

/// Silence over histories in which nothing happens would prove nothing.
#[test]
fn sound_histories_hold_whatever_makes_a_judge_err() {
    let mut seen = [0_usize; 9];
    for (_, shape) in SHAPES {
        for seed in 1..=HISTORIES {
            let scene = played(shape, 10_000 + seed);
            let told = |of: fn(&Told) -> bool| scene.batches.iter().filter(|batch| of(&batch.told)).count();
            let ended = |outcome| {
                let told = scene.transactions.iter().filter_map(|of| of.told);
                told.filter(|(_, told)| *told == outcome).count()
            };
            let counts = [
                told(|told| matches!(told, Told::Acked { .. })),
                told(|told| matches!(told, Told::Found { .. })),
                told(|told| matches!(told, Told::Unknown { .. })),
                told(|told| matches!(told, Told::NotWritten { .. })),
                scene.killed.len(),
                ended(TransactionOutcome::Committed),
                ended(TransactionOutcome::Aborted),
                ended(TransactionOutcome::Unknown),
                scene.readers.iter().map(|reader| reader.full().len()).sum(),
            ];
            seen.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
    }
    assert!(seen.iter().all(|&count| count >= 100), "{seen:?}");
}
