//! One turn of one subject: fresh topics, a run that is judged as any other, and what it measured.

use std::fs;
use std::path::Path;

use steadfast_verifier::comparison::{Cell, Figures, Measured, latency_of, no_latency};
use steadfast_verifier::measurements::Measurements;
use steadfast_verifier::verdict::{Outcome, Percentiles, Verdict};

use super::Contestant;
use crate::runner::display::Display;
use crate::runner::files::read_json;
use crate::runner::{Done, Ground, RunError, Runner, Task};
use crate::scenario::Scenario;

/// What is compared is the stretch between warm-up and end.
const PHASE: &str = "steady";
/// Of a run folder, what only a second judgement would need: about 150 bytes a record.
const EVIDENCE: [&str; 2] = ["history", "log"];

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
        for name in EVIDENCE {
            // What cannot be removed takes room and does no harm.
            let _left = fs::remove_dir_all(folder.join(name));
        }
    }
    Ok(Measured { cell, latency })
}

/// None when nothing was acknowledged in the measured stretch.
fn figures(verdict: &Verdict, measurements: &Measurements, scenario: &Scenario) -> Option<Figures> {
    let phase = verdict.latency_ns.get(PHASE)?;
    let spans = measurements.phases.iter().filter(|span| span.name == PHASE);
    let length_ns: i64 = spans.map(|span| span.end_ns - span.start_ns).sum();
    let count = phase.ack_latency.count;
    if count == 0 || length_ns <= 0 {
        return None;
    }
    let ack = match scenario.duration() {
        Some(_) => phase.ack_latency,
        // Records without a due time have no latency that could be compared.
        None => Percentiles {
            count,
            ..Percentiles::default()
        },
    };
    Some(Figures {
        ack,
        lag_p99_ns: phase.schedule_lag.p99,
        rate: count as f64 * 1e9 / length_ns as f64,
        client_us: verdict.resources.client_cpu_us_per_record,
        broker_us: verdict.resources.broker_cpu_us_per_record,
        client_rss: verdict.resources.client_rss_peak_bytes,
    })
}

/// The worst of its delivery claims, and what there is to say.
fn delivery(done: &Done) -> (Outcome, Option<String>) {
    let verdict = &done.verdict;
    let worst = verdict.claims.iter().max_by_key(|claim| claim.verdict);
    let outcome = worst.map_or(Outcome::Inconclusive, |claim| claim.verdict);
    let found = worst.filter(|_| outcome != Outcome::Pass).map(|claim| {
        let reason = claim.reason.as_deref().unwrap_or_default();
        format!("{}: {} {reason}", claim.id, claim.observed)
    });
    let cause = verdict
        .inconclusive
        .first()
        .map(|cause| format!("{}: {}", cause.id, cause.reason));
    (outcome, found.or(cause))
}
