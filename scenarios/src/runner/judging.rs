//! From a finished load to a verdict: the log is read and sealed, then the folder alone is judged and drawn.

use std::path::Path;
use std::time::Duration;

use steadfast_chaos::cluster::Cluster;
use steadfast_verifier::environment::Environment;
use steadfast_verifier::expectations::Expectations;
use steadfast_verifier::seal::POSITIONS_FILE_NAME;
use steadfast_verifier::verdict;
use steadfast_verifier::{judge, reader};

use super::display::Display;
use super::files::{append_step_summary, cannot_write, failed, read_json};
use super::{Done, RunError};
use crate::scenario::Scenario;

/// How long reading the log to its sealed end may take.
const SEAL_DEADLINE: Duration = Duration::from_secs(120);

/// Reads the log to the end offset recorded after the last outcome.
pub(crate) fn seal(
    scenario: &Scenario,
    folder: &Path,
    cluster: &Cluster,
    display: &mut Display,
) -> Result<(), RunError> {
    display.phase("reading the log");
    let servers = cluster.admin_servers();
    let mut progress = |read: u64, of: u64| display.note(&format!("{read} of {of} records"));
    let copy = scenario.copy();
    let topics: Vec<&str> = std::iter::once(scenario.topic.as_str())
        .chain(copy.map(|copy| copy.topic.as_str()))
        .collect();
    reader::seal_and_read(&servers, &topics, folder, SEAL_DEADLINE, &mut progress)
        .map_err(|e| failed("cannot read the log back", &e))?;
    let Some(copy) = copy else { return Ok(()) };
    // Without them the judge says that nothing is shown; the rest of the evidence stands.
    match reader::read_positions(
        &servers,
        &copy.group,
        (&copy.topic, copy.partitions),
        SEAL_DEADLINE,
    ) {
        Ok(positions) => positions
            .write(folder)
            .map_err(|e| cannot_write(&folder.join(POSITIONS_FILE_NAME), &e)),
        Err(error) => {
            display.keep(&error.to_string());
            Ok(())
        }
    }
}

/// Judges a run folder and draws its report; `verify` does the same with a folder of yesterday.
pub(crate) fn judge_folder(
    scenario: &Scenario,
    folder: &Path,
    display: &mut Display,
) -> Result<Done, RunError> {
    display.phase("judging");
    let environment = read_json::<Environment>(folder, "environment.json")?;
    let expectations = expectations(scenario, &environment);
    let mut judgement =
        judge::judge(folder, &expectations, &environment).map_err(|e| RunError::Tool(e.to_string()))?;
    judgement.require_steady_state();
    judgement
        .write(folder)
        .map_err(|e| cannot_write(&folder.join("verdict.json"), &e))?;
    steadfast_reports::write_all(folder).map_err(|e| failed("cannot draw the report", &e))?;
    append_step_summary(folder);
    let disturbances = &judgement.measurements.disturbance;
    let steady = disturbances.iter().find(|phase| phase.phase == "steady");
    let (disturbance, stolen) = steady.map_or((None, None), |phase| (phase.share, phase.stolen));
    Ok(Done {
        verdict: judgement.verdict,
        dossiers: judgement.dossiers,
        disturbance,
        stolen,
    })
}

/// What the judge is to hold the run against, on the cluster that it had.
pub(crate) fn expectations(scenario: &Scenario, environment: &Environment) -> Expectations {
    let broker = &environment.broker;
    let broker = verdict::Broker {
        kind: broker.kind.clone(),
        version: broker.version.clone(),
        nodes: broker.nodes,
        reason: broker.reason.clone(),
    };
    scenario.expectations(&environment.subject, broker)
}
