//! Scenarios that are measured for speed: nothing is disturbed on purpose, and the rate stays what it is.

use std::path::Path;
use std::time::Duration;

use steadfast_verifier::workload::Executor;

use crate::cli::Overrides;
use crate::exit::Exit;
use crate::runner::RunError;
use crate::scenario::diagnostics::Diagnostics;
use crate::scenario::{self, Scenario};

/// Why measuring does not begin.
pub(crate) enum Refused {
    /// Mistakes of the file or of settings.
    File(Diagnostics),
    /// All else.
    Error(RunError),
}

impl From<RunError> for Refused {
    fn from(error: RunError) -> Refused {
        Refused::Error(error)
    }
}

impl Refused {
    /// Says why, and what to exit with.
    pub(crate) fn tell(&self) -> Exit {
        match self {
            Refused::File(diagnostics) => {
                eprint!("{diagnostics}");
                Exit::Usage
            }
            Refused::Error(error) => {
                eprintln!("error: {error}");
                error.exit()
            }
        }
    }

    pub(crate) fn usage(text: String) -> Refused {
        Refused::Error(RunError::Usage(text))
    }
}

/// How long the load lasts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch {
    pub(crate) warmup: Duration,
    pub(crate) measured: Duration,
}

/// The file's one scenario; a mistake when it orders what is not measured for speed.
pub(crate) fn load(file: &Path, overrides: &Overrides) -> Result<Scenario, Refused> {
    let scenario = read(file, overrides)?;
    measurable(&scenario)?;
    Ok(scenario)
}

/// As [`load`], with these lengths where the load has any: `unlimited` ends with its records.
pub(crate) fn timed(file: &Path, overrides: &Overrides, stretch: Stretch) -> Result<Scenario, Refused> {
    let plain = load(file, overrides)?;
    if plain.duration().is_none() {
        return Ok(plain);
    }
    let mut these = overrides.clone();
    let millis = |key: &str, length: Duration| format!("workload.{key}={}ms", length.as_millis());
    these.set.push(millis("warmup", stretch.warmup));
    these.set.push(millis("duration", stretch.measured));
    read(file, &these)
}

fn read(file: &Path, overrides: &Overrides) -> Result<Scenario, Refused> {
    let mut scenarios = scenario::load_all(&[file.to_owned()], overrides).map_err(Refused::File)?;
    match (scenarios.pop(), scenarios.len()) {
        (Some(scenario), 0) => Ok(scenario),
        _ => Err(Refused::usage(format!(
            "{}: give one scenario file",
            file.display()
        ))),
    }
}

/// What is disturbed on purpose, or changes its rate, is not measured for speed.
fn measurable(scenario: &Scenario) -> Result<(), Refused> {
    let name = &scenario.name;
    if !scenario.faults.is_empty() {
        return Err(Refused::usage(format!(
            "{name} orders faults, and what they do to a client is no matter of its speed; use `steadfast run --subject`"
        )));
    }
    match scenario.load().executor {
        Executor::RampingArrivalRate { .. } => Err(Refused::usage(format!(
            "{name} changes its rate, so its seconds cannot be put together; use constant-arrival-rate, poisson or unlimited"
        ))),
        _ if scenario.copy().is_some() || scenario.load().transaction.is_some() => Err(Refused::usage(
            format!("{name} has transactions, which the other clients' programs do not have; leave them out"),
        )),
        _ => Ok(()),
    }
}
