//! One turn of one subject: fresh topics, a run that is judged as any other, and what it measured.

use std::fs;
use std::path::Path;

use steadfast_verifier::comparison::{Cell, Measured, latency_of, no_latency};
use steadfast_verifier::verdict::Outcome;

use super::Contestant;
use crate::runner::display::Display;
use crate::runner::figures::{delivery, figures};
use crate::runner::files::{drop_evidence, read_json};
use crate::runner::{Ground, RunError, Runner, Task};
use crate::scenario::Scenario;

/// Where a cell stands, in order and on disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) block: u32,
    pub(super) position: u32,
    pub(super) folder: &'a Path,
    pub(super) keep: bool,
}

/// Runs it. What goes wrong with the subject alone is part of the cell; what ends the comparison is an error.
pub(super) fn run(
    runner: &Runner,
    ground: &Ground,
    place: Place<'_>,
    (contestant, scenario): (&Contestant, &Scenario),
    display: &mut Display,
) -> Result<Measured, RunError> {
    ground.cluster.renew_topics(&scenario.cluster.topics)?;
    let below = format!(
        "block-{}/{}-{}",
        place.block,
        place.position,
        contestant.label.replace([':', '/'], "-")
    );
    let folder = place.folder.join(&below);
    let task = Task {
        scenario,
        subject: &contestant.subject,
        folder: &folder,
    };
    let ended = runner.run_on(task, ground, display);
    let mut cell = Cell {
        block: place.block,
        position: place.position,
        subject: contestant.label.clone(),
        folder: below,
        figures: None,
        delivery: Outcome::Inconclusive,
        note: None,
        steal: None,
        waited: None,
    };
    let mut latency = no_latency();
    match ended {
        Ok(done) => {
            cell.figures = figures(&done.verdict, &read_json(&folder, "measurements.json")?, scenario);
            (cell.delivery, cell.note) = delivery(&done);
            (cell.waited, cell.steal) = (done.disturbance, done.stolen);
            if scenario.duration().is_some() && cell.figures.is_some() {
                let log = fs::read(folder.join("latency.hlog")).unwrap_or_default();
                match latency_of(&log) {
                    Some(read) => latency = read,
                    None => {
                        cell.figures = None;
                        cell.note = Some("latency.hlog cannot be read".to_owned());
                    }
                }
            }
        }
        Err(RunError::Interrupted) => return Err(RunError::Interrupted),
        Err(error) => {
            // A broker that is gone ends it all; a subject that cannot do this is a finding.
            ground.cluster.check()?;
            display.keep(&format!("{}: {error}", contestant.label));
            cell.note = Some(error.to_string());
        }
    }
    if !place.keep {
        drop_evidence(&folder);
    }
    Ok(Measured { cell, latency })
}
