//! Workers beside the judged one: the one that writes the source of a copy job, and a neighbour. Ordinary load generators on
//! topics of their own. What they cost and how fast they are acknowledged is not judged.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::ChildStdout;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use steadfast_chaos::process::{Child, Spawner};
use steadfast_verifier::workload::{Progress, SOURCE_WORKER, Workload};

use super::files::cannot_write;
use super::subject::Subject;
use super::{RunError, spawn_worker};
use crate::scenario::Scenario;

/// A progress line longer than this is nonsense.
const LINE_CAP: u64 = 64 * 1024;
const NEIGHBOUR: &str = "neighbour";

/// See the module. Dropping it ends the worker.
pub(crate) struct Beside {
    name: &'static str,
    _child: Child,
    latest: Arc<Mutex<Option<Progress>>>,
    follower: Option<JoinHandle<Result<(), String>>>,
}

impl Beside {
    /// Starts all that the scenario asks for; `workload` is the judged worker's order.
    pub(crate) fn start(
        spawner: &Spawner,
        folder: &Path,
        scenario: &Scenario,
        workload: &Workload,
    ) -> Result<Vec<Beside>, RunError> {
        let mut all = Vec::new();
        if let (Some(order), Some(copy)) = (workload.of_source(), &workload.copy) {
            let complete = copy.complete.clone();
            let done = move || {
                fs::write(&complete, b"").map_err(|e| format!("cannot write {}: {e}", complete.display()))
            };
            all.push(Beside::one(spawner, folder, ("source", order), done)?);
        }
        if let Some(neighbour) = &scenario.neighbour {
            let order = neighbour.order(workload);
            all.push(Beside::one(spawner, folder, (NEIGHBOUR, order), || Ok(()))?);
        }
        Ok(all)
    }

    /// One worker, and what is to be done when it is done.
    fn one(
        spawner: &Spawner,
        folder: &Path,
        (name, order): (&'static str, Workload),
        done: impl FnOnce() -> Result<(), String> + Send + 'static,
    ) -> Result<Beside, RunError> {
        let inner = folder.join(name);
        fs::create_dir(&inner).map_err(|e| cannot_write(&inner, &e))?;
        let order = Workload {
            history: inner.join(format!("{SOURCE_WORKER}-0.bin")),
            ..order
        };
        let file = format!("workload-{name}.json");
        let mut child = spawn_worker(spawner, folder, (name, &file), (&Subject::ours(), &order))?;
        let stdout = child.take_stdout();
        let stdout =
            stdout.ok_or_else(|| RunError::Tool(format!("the output of {name} is not connected")))?;
        let latest = Arc::default();
        let told = Arc::clone(&latest);
        let follower = std::thread::spawn(move || follow(stdout, &told).and_then(|()| done()));
        Ok(Beside {
            name,
            _child: child,
            latest,
            follower: Some(follower),
        })
    }

    /// At the end of the load: how many records of a neighbour were sent, and how many of these acknowledged.
    pub(crate) fn neighbour(&self) -> Option<(u64, u64)> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = latest.as_ref().map(|progress| (progress.sent, progress.acked));
        (self.name == NEIGHBOUR).then(|| counts.unwrap_or_default())
    }

    /// An error once it has ended without being done: the load beside is not what the run says.
    pub(crate) fn check(&mut self) -> Result<(), RunError> {
        let Some(follower) = self.follower.take_if(|follower| follower.is_finished()) else {
            return Ok(());
        };
        let ended = follower
            .join()
            .unwrap_or_else(|_| Err("its follower panicked".into()));
        let name = self.name;
        ended.map_err(|why| RunError::Tool(format!("{name} could not write: {why} (see logs/{name}.log)")))
    }
}

/// Follows a worker to its end; an error when it was not done by then.
fn follow(stdout: ChildStdout, latest: &Mutex<Option<Progress>>) -> Result<(), String> {
    let mut lines = BufReader::new(stdout);
    loop {
        let mut line = String::new();
        match Read::take(&mut lines, LINE_CAP).read_line(&mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {
                let progress =
                    serde_json::from_str(&line).map_err(|e| format!("it printed nonsense: {e}"))?;
                *latest.lock().unwrap_or_else(PoisonError::into_inner) = progress;
            }
        }
    }
    let last = latest.lock().unwrap_or_else(PoisonError::into_inner);
    match &*last {
        Some(Progress { done: true, .. }) => Ok(()),
        last => Err(last
            .as_ref()
            .and_then(|progress| progress.note.clone())
            .unwrap_or_else(|| "it ended before it was done".to_owned())),
    }
}
