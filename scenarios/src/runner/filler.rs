//! The worker that writes the source of a copy job: an ordinary load generator on the source topic. What it costs and how
//! fast it is acknowledged is not judged; what it wrote is what the source's log holds.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::ChildStdout;
use std::thread::JoinHandle;

use steadfast_chaos::process::{Child, Spawner};
use steadfast_verifier::workload::{Progress, SOURCE_WORKER, Workload};

use super::files::cannot_write;
use super::subject::Subject;
use super::{RunError, spawn_worker};

/// A progress line longer than this is nonsense.
const LINE_CAP: u64 = 64 * 1024;

/// See the module. Dropping it ends the worker.
pub(crate) struct Filler {
    _child: Child,
    follower: Option<JoinHandle<Result<(), String>>>,
}

impl Filler {
    /// Starts it; none where the load is no copy job.
    pub(crate) fn start(
        spawner: &Spawner,
        folder: &Path,
        workload: &Workload,
    ) -> Result<Option<Filler>, RunError> {
        let (Some(order), Some(copy)) = (workload.of_source(), &workload.copy) else {
            return Ok(None);
        };
        let inner = folder.join("source");
        fs::create_dir(&inner).map_err(|e| cannot_write(&inner, &e))?;
        let order = Workload {
            history: inner.join(format!("{SOURCE_WORKER}-0.bin")),
            ..order
        };
        let mut child = spawn_worker(
            spawner,
            folder,
            ("source", "workload-source.json"),
            (&Subject::ours(), &order),
        )?;
        let stdout = child.take_stdout();
        let stdout = stdout.ok_or_else(|| RunError::Tool("the output of source is not connected".into()))?;
        let complete = copy.complete.clone();
        let follower = std::thread::spawn(move || follow(stdout, &complete));
        Ok(Some(Filler {
            _child: child,
            follower: Some(follower),
        }))
    }

    /// An error once it has ended without being done: the source is not what the run says.
    pub(crate) fn check(&mut self) -> Result<(), RunError> {
        let Some(follower) = self.follower.take_if(|follower| follower.is_finished()) else {
            return Ok(());
        };
        let ended = follower
            .join()
            .unwrap_or_else(|_| Err("its follower panicked".into()));
        ended.map_err(|why| {
            RunError::Tool(format!(
                "the source could not be written: {why} (see logs/source.log)"
            ))
        })
    }
}

/// Follows it to its end, and says by a file that the source is complete.
fn follow(stdout: ChildStdout, complete: &Path) -> Result<(), String> {
    let mut lines = BufReader::new(stdout);
    let mut last: Option<Progress> = None;
    loop {
        let mut line = String::new();
        match Read::take(&mut lines, LINE_CAP).read_line(&mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => last = serde_json::from_str(&line).map_err(|e| format!("it printed nonsense: {e}"))?,
        }
    }
    match last {
        Some(Progress { done: true, .. }) => {
            fs::write(complete, b"").map_err(|e| format!("cannot write {}: {e}", complete.display()))
        }
        last => Err(last
            .and_then(|progress| progress.note)
            .unwrap_or_else(|| "it ended before it was done".to_owned())),
    }
}
