//! Several producers on one scenario, side by side: `steadfast compare`.
//!
//! ```text
//! --subjects ─▶ contestants ─▶ one cluster ─▶ blocks of cells ─▶ comparison.json ─▶ comparison.html, .md
//!               a scenario each   stays up      a judged run each,   verifier's comparison.rs
//!                                                on fresh topics
//! ```
//! Who runs when and what the cells say is arithmetic of `verifier`; here are the processes.

mod cells; // one turn: topics made anew, a run, its figures
mod contestants; // who takes part, with which settings

use std::path::{Path, PathBuf};
use std::time::Duration;

use steadfast_chaos::clock;
use steadfast_verifier::comparison::goal::Goal;
use steadfast_verifier::comparison::{self, Comparison, Measured, order};
use steadfast_verifier::environment::Environment;

pub(crate) use contestants::{Contestant, Lengths, enter};

use crate::runner::display::Display;
use crate::runner::files::{read_json, write_json};
use crate::runner::{Ground, RunError, Runner};

/// A comparison that is checked and may begin.
pub(crate) struct Contest {
    pub(crate) contestants: Vec<Contestant>,
    pub(crate) goals: Vec<Goal>,
    /// So many must count.
    pub(crate) blocks: u32,
    /// And so many are held for that, at most.
    pub(crate) most_blocks: u32,
    pub(crate) folder: PathBuf,
    /// Each cell keeps its history and its copy of the log.
    pub(crate) keep: bool,
}

impl Contest {
    /// Everything, from the cluster's start to the page. What was measured before Ctrl-C is kept, and told.
    pub(crate) fn hold(&self, runner: &Runner, display: &mut Display) -> Result<Comparison, RunError> {
        std::fs::create_dir_all(&self.folder)
            .map_err(|error| RunError::Usage(format!("cannot create {}: {error}", self.folder.display())))?;
        let first = &self.contestants[self.under_test()];
        let ground = runner.start_cluster(&first.scenario, &self.folder.join("cluster"), display)?;
        let mut measured = Vec::new();
        let held = self.blocks(runner, &ground, &mut measured, display);
        ground.clear(display);
        match held {
            Ok(()) => self.write(&measured),
            Err(error) => {
                // What there is, is worth a page; why it is not more, is the error.
                if !measured.is_empty() {
                    self.write(&measured)?;
                }
                Err(error)
            }
        }
    }

    fn blocks(
        &self,
        runner: &Runner,
        ground: &Ground,
        measured: &mut Vec<Measured>,
        display: &mut Display,
    ) -> Result<(), RunError> {
        let began = clock::now_ns();
        let under_test = &self.contestants[self.under_test()];
        if let Some(warming) = &under_test.broker_warmup {
            display.keep("warming the broker up");
            measured.push(cells::run(
                runner,
                ground,
                cells::Place {
                    block: 0,
                    position: 1,
                    folder: &self.folder,
                    keep: self.keep,
                },
                (under_test, warming),
                display,
            )?);
        }
        let slow: Vec<bool> = self.contestants.iter().map(|one| one.slow).collect();
        let (mut cells, mut counting) = (0, 0);
        for block in 1..=self.most_blocks.max(self.blocks) {
            if counting >= self.blocks {
                break;
            }
            let turns = order::of_block(block, self.control(), &slow);
            for (position, turn) in (1..).zip(&turns) {
                let one = &self.contestants[turn.subject];
                let ahead = turns.len() * self.blocks.max(block) as usize;
                let left = left(began, cells, ahead);
                display.keep(&format!(
                    "block {block}, cell {position} of {}: {}{left}",
                    turns.len(),
                    one.label
                ));
                let scenario = if turn.single { &one.single } else { &one.scenario };
                measured.push(cells::run(
                    runner,
                    ground,
                    cells::Place {
                        block,
                        position,
                        folder: &self.folder,
                        keep: self.keep,
                    },
                    (one, scenario),
                    display,
                )?);
                cells += 1;
            }
            let sum = self.write(measured)?;
            counting = sum.blocks.iter().filter(|block| block.dropped.is_none()).count() as u32;
            if let Some(why) = sum.blocks.last().and_then(|block| block.dropped.as_ref()) {
                display.keep(&format!("block {block} does not count: {why}"));
            }
        }
        Ok(())
    }

    /// comparison.json and its pages, as far as it got.
    fn write(&self, measured: &[Measured]) -> Result<Comparison, RunError> {
        let sum = comparison::sum(&self.plan(), measured, self.environment(measured)?);
        write_json(&self.folder, comparison::FILE_NAME, &sum)?;
        steadfast_reports::comparison(&self.folder).map_err(|error| RunError::Tool(error.to_string()))?;
        Ok(sum)
    }

    fn plan(&self) -> comparison::Plan {
        let scenario = &self.contestants[self.under_test()].scenario;
        comparison::Plan {
            scenario: scenario.name.clone(),
            title: scenario.title.clone(),
            seed: scenario.seed,
            subjects: self.contestants.iter().map(|one| one.label.clone()).collect(),
            under_test: self.under_test(),
            control: self.control(),
            goals: self.goals.clone(),
            scheduled: scenario.duration().is_some(),
        }
    }

    /// Of a cell of the subject under test, else of any: they differ in the producer's settings alone.
    fn environment(&self, measured: &[Measured]) -> Result<Environment, RunError> {
        let ours = &self.contestants[self.under_test()].label;
        let of_ours = measured.iter().filter(|one| &one.cell.subject == ours);
        let mut last = RunError::Tool("no cell was begun".to_owned());
        for one in of_ours.chain(measured) {
            match read_json(&self.folder.join(&one.cell.folder), "environment.json") {
                Ok(environment) => return Ok(environment),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Ours where it takes part, else the first that is not the floor.
    fn under_test(&self) -> usize {
        let named = |name: &str| self.contestants.iter().position(|one| one.label == name);
        let other = || self.contestants.iter().position(|one| one.label != FLOOR);
        named(crate::runner::subject::OURS).or_else(other).unwrap_or(0)
    }

    /// The floor where it takes part, else the first.
    fn control(&self) -> usize {
        self.contestants
            .iter()
            .position(|one| one.label == FLOOR)
            .unwrap_or(0)
    }
}

/// What every client is measured against.
const FLOOR: &str = "floor";

/// How long the rest takes, by what was needed so far; nothing before the first cell.
fn left(began: u64, done: usize, all: usize) -> String {
    if done == 0 {
        return String::new();
    }
    let so_far = Duration::from_nanos(clock::now_ns().saturating_sub(began));
    let left = so_far.mul_f64((all - done) as f64 / done as f64);
    format!(" (about {} min left)", left.as_secs().div_ceil(60))
}

/// `runs/compare-<scenario>-<time>`, or what `--out` says.
pub(crate) fn folder(out: Option<&Path>, scenario: &str, stamp: &str) -> PathBuf {
    let flat = scenario.replace('/', "-");
    out.map_or_else(
        || Path::new("runs").join(format!("compare-{flat}-{stamp}")),
        Path::to_owned,
    )
}
