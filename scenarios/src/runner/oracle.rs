//! `run --oracle`: witnesses that share no code with us are asked while the cluster is still there, after our own reader has
//! sealed the log. The judge holds what they say against it (I6); one that says nothing is H5.

use std::path::Path;

use steadfast_chaos::ChaosError;
use steadfast_chaos::cluster::Cluster;
use steadfast_verifier::oracle::{ConsumerLines, DumpLines, FILE_NAME, Oracle, Witness};

use super::RunError;
use super::display::Display;
use super::files::cannot_write;

/// Notes, before the load, that they will be asked.
pub(crate) fn announce(topic: &str, folder: &Path) -> Result<(), RunError> {
    written(&Oracle::asked(topic), folder)
}

/// Asks both.
pub(crate) fn ask(
    topic: &str,
    folder: &Path,
    cluster: &Cluster,
    display: &mut Display,
) -> Result<(), RunError> {
    let logs = folder.join("logs");
    display.phase("asking Kafka's own consumer");
    let mut lines = ConsumerLines::default();
    let said = cluster.consume(topic, &logs, &mut |line| lines.line(line));
    let consumer = heard(said, |said| lines.finish(&said))?;
    display.phase("dumping Kafka's own segments");
    let mut lines = DumpLines::default();
    let said = cluster.dump_segments(topic, &logs, &mut |line| lines.line(topic, line));
    let segments = heard(said, |_| lines.finish())?;
    let oracle = Oracle {
        topic: topic.to_owned(),
        consumer,
        segments,
    };
    written(&oracle, folder)
}

/// Only an interruption ends the run: whatever else failed, the log is judged all the same.
fn heard(
    said: Result<String, ChaosError>,
    finish: impl FnOnce(String) -> Witness,
) -> Result<Witness, RunError> {
    match said {
        Ok(said) => Ok(finish(said)),
        Err(ChaosError::Interrupted) => Err(RunError::Interrupted),
        Err(error) => Ok(Witness::silent(error.to_string().replace('\n', "; "))),
    }
}

fn written(oracle: &Oracle, folder: &Path) -> Result<(), RunError> {
    oracle
        .write(folder)
        .map_err(|e| cannot_write(&folder.join(FILE_NAME), &e))
}
