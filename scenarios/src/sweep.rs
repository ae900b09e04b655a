//! What a scenario costs as one of its settings grows: `steadfast sweep`.
//!
//! ```text
//! --vary KEY=V1,V2 ─▶ a scenario for each value ─▶ a judged run each, on a cluster of its own ─▶ sweep.json ─▶ sweep.html, .md
//! ```
//! A value at which the load is not held (a rate beyond the knee) is a point without figures that says why; the others go on.

use std::path::{Path, PathBuf};

use steadfast_verifier::environment::Environment;
use steadfast_verifier::measurements::Measurements;
use steadfast_verifier::sweep::{self, Point};
use steadfast_verifier::verdict::Outcome;
use steadfast_verifier::workload::Executor;

use crate::cli::Overrides;
use crate::quiet::{self, Refused, Stretch};
use crate::runner::display::Display;
use crate::runner::figures::{delivery, figures};
use crate::runner::files::{drop_evidence, read_json, write_json};
use crate::runner::subject::Subject;
use crate::runner::{Done, RunError, Runner, Task};
use crate::scenario::Scenario;

/// Runs of one sweep, at most.
const MOST: usize = 200;

/// A sweep that is checked and may begin.
pub(crate) struct Sweep {
    pub(crate) series: Vec<Series>,
    pub(crate) subject: Subject,
    pub(crate) folder: PathBuf,
    /// Each run keeps its history and its copy of the log.
    pub(crate) keep: bool,
}

/// A setting and its values, each with the scenario that it makes.
pub(crate) struct Series {
    key: String,
    steps: Vec<(String, Scenario)>,
}

/// Reads the file once for each value. Nothing is started before all is checked.
pub(crate) fn series(
    file: &Path,
    vary: &[String],
    overrides: &Overrides,
    stretch: Stretch,
) -> Result<Vec<Series>, Refused> {
    let read: Vec<Series> = vary
        .iter()
        .map(|wish| {
            let (key, values) = wish.split_once('=').ok_or_else(|| {
                Refused::usage(format!(
                    "--vary {wish}: expected KEY=VALUE,VALUE,..., such as workload.rate=1000/s,10000/s"
                ))
            })?;
            let steps = values.split(',').map(|value| {
                let these = varied(key, value, overrides)?;
                Ok((value.to_owned(), quiet::timed(file, &these, stretch)?))
            });
            Ok(Series {
                key: key.to_owned(),
                steps: steps.collect::<Result<_, Refused>>()?,
            })
        })
        .collect::<Result<_, Refused>>()?;
    if let Some(short) = read.iter().find(|series| series.steps.len() < 2) {
        return Err(Refused::usage(format!(
            "--vary {}: give two values or more, with commas between them",
            short.key
        )));
    }
    let runs: usize = read.iter().map(|series| series.steps.len()).sum();
    if runs > MOST {
        return Err(Refused::usage(format!("{runs} runs; give at most {MOST} values")));
    }
    Ok(read)
}

/// `a+b` = `1+x` sets a to 1 and b to x. What is no key of the file is a property of the producer.
fn varied(key: &str, value: &str, overrides: &Overrides) -> Result<Overrides, Refused> {
    let mut these = overrides.clone();
    let (keys, values): (Vec<&str>, Vec<&str>) = (key.split('+').collect(), value.split('+').collect());
    if keys.len() != values.len() {
        return Err(Refused::usage(format!(
            "--vary {key}: {value:?} has {} parts for {} keys",
            values.len(),
            keys.len()
        )));
    }
    for (key, value) in keys.iter().zip(values) {
        let tables = ["workload.", "cluster.", "producer."];
        let list = if tables.iter().any(|table| key.starts_with(table)) {
            &mut these.set
        } else {
            &mut these.property
        };
        list.push(format!("{key}={value}"));
    }
    Ok(these)
}

impl Sweep {
    /// All runs, in order. What was measured before Ctrl-C is kept, and told.
    pub(crate) fn make(&self, runner: &Runner, display: &mut Display) -> Result<sweep::Sweep, RunError> {
        std::fs::create_dir_all(&self.folder)
            .map_err(|error| RunError::Usage(format!("cannot create {}: {error}", self.folder.display())))?;
        let mut made: Vec<sweep::Series> = Vec::new();
        for series in &self.series {
            made.push(sweep::Series {
                key: series.key.clone(),
                points: Vec::new(),
            });
            for (nth, (value, scenario)) in (1..).zip(&series.steps) {
                let said = format!("{} = {value} ({nth} of {})", series.key, series.steps.len());
                display.keep(&said);
                let place = format!("{}/{nth}-{}", named(&series.key), named(value));
                let point = self.point(runner, (value, scenario), place, display)?;
                if let Some(last) = made.last_mut() {
                    last.points.push(point);
                }
                self.write(&made)?;
            }
        }
        self.write(&made)
    }

    fn point(
        &self,
        runner: &Runner,
        (value, scenario): (&str, &Scenario),
        place: String,
        display: &mut Display,
    ) -> Result<Point, RunError> {
        let folder = self.folder.join(&place);
        let task = Task {
            scenario,
            subject: &self.subject,
            folder: &folder,
        };
        let mut point = Point {
            value: value.to_owned(),
            folder: place,
            offered: match scenario.load().executor {
                Executor::ConstantArrivalRate { rate } | Executor::Poisson { rate } => Some(rate),
                _ => None,
            },
            figures: None,
            cores: (0.0, 0),
            delivery: Outcome::Inconclusive,
            note: None,
        };
        match runner.run_once(task, display) {
            Ok(done) => measured(&mut point, &done, scenario, &folder)?,
            // What is missing is missing for every value.
            Err(error @ (RunError::Interrupted | RunError::Environment(_) | RunError::Usage(_))) => {
                return Err(error);
            }
            Err(error) => {
                display.keep(&format!("{value}: {error}"));
                point.note = Some(error.to_string());
            }
        }
        if !self.keep {
            drop_evidence(&folder);
        }
        Ok(point)
    }

    /// sweep.json and its pages, as far as it got.
    fn write(&self, made: &[sweep::Series]) -> Result<sweep::Sweep, RunError> {
        let scenario = &self.series[0].steps[0].1;
        let points = made.iter().rev().flat_map(|series| series.points.iter().rev());
        let environments = points
            .map(|point| read_json::<Environment>(&self.folder.join(&point.folder), "environment.json"));
        let mut last = Err(RunError::Tool("no run was begun".to_owned()));
        for environment in environments {
            last = environment;
            if last.is_ok() {
                break;
            }
        }
        let sweep = sweep::Sweep {
            schema: sweep::SCHEMA.to_owned(),
            scenario: scenario.name.clone(),
            title: scenario.title.clone(),
            seed: scenario.seed,
            subject: self.subject.name.clone(),
            series: made.to_vec(),
            environment: last?,
        };
        write_json(&self.folder, sweep::FILE_NAME, &sweep)?;
        steadfast_reports::sweep(&self.folder).map_err(|error| RunError::Tool(error.to_string()))?;
        Ok(sweep)
    }
}

fn measured(point: &mut Point, done: &Done, scenario: &Scenario, folder: &Path) -> Result<(), RunError> {
    let measurements: Measurements = read_json(folder, "measurements.json")?;
    point.figures = figures(&done.verdict, &measurements, scenario);
    let used = &done.verdict.resources;
    point.cores = (
        (used.client_cpu_percent_of_core + used.broker_cpu_percent_of_core) / 100.0,
        done.verdict.environment.cores,
    );
    (point.delivery, point.note) = delivery(done);
    Ok(())
}

/// As part of a path.
fn named(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || ".-_".contains(letter);
    text.chars()
        .map(|letter| if plain(letter) { letter } else { '-' })
        .collect()
}
