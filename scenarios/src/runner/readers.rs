//! The concurrent readers of a run: started before the first record, and stopped after the last outcome.
//!
//! One that dies does not end the run: what it saw counts, and the judge says what is not proven without the rest.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use steadfast_chaos::process::{Child, ChildSpec, Output, Program, Spawner, describe_status};
use steadfast_verifier::reader::live::STOP_BOUND;
use steadfast_verifier::timeline::Role;

use super::RunError;
use super::display::Display;
use super::files::{cannot_write, failed, write_json};
use crate::exit::Exit;
use crate::scenario::Scenario;

/// How long a reader may take to end beyond what it takes to read on: its last answer, its file.
const END_SLACK: Duration = Duration::from_secs(15);

/// Those that run.
#[derive(Default)]
pub(crate) struct Readers {
    running: Vec<Child>,
}

impl Readers {
    /// Starts those that the scenario asks for; none is no process.
    pub(crate) fn start(
        scenario: &Scenario,
        servers: &[String],
        folder: &Path,
        spawner: &Spawner,
    ) -> Result<Readers, RunError> {
        let mut readers = Readers::default();
        let Some(asked) = &scenario.readers else {
            return Ok(readers);
        };
        let reads = folder.join("reads");
        std::fs::create_dir(&reads).map_err(|error| cannot_write(&reads, &error))?;
        for number in 0..asked.count {
            let order = asked.order(number, &scenario.topic, servers.to_vec(), folder);
            let file = format!("{}.json", order.reader);
            write_json(folder, &file, &order)?;
            let log = folder.join(format!("logs/{}.log", order.reader));
            let spec = ChildSpec {
                name: order.reader,
                program: Program::Myself,
                args: vec!["reader".into(), "--order".into(), folder.join(file).into()],
                env: Vec::new(),
                cwd: None,
                stdout: Output::File(log.clone()),
                stderr: log,
            };
            let child = spawner
                .spawn(&spec)
                .map_err(|e| failed("cannot start a reader", &e))?;
            readers.running.push(child);
        }
        Ok(readers)
    }

    /// Processes to sample.
    pub(crate) fn processes(&self) -> Vec<(Role, String, u32)> {
        let one = |child: &Child| (Role::Reader, child.name.clone(), child.pid);
        self.running.iter().map(one).collect()
    }

    /// Asks all to read on to the end and stop, waits for them, and tells of each that died.
    pub(crate) fn stop(mut self, display: &mut Display) -> Result<(), RunError> {
        for child in &mut self.running {
            // One that has ended by itself is told of below.
            let _ended = child.signal(Signal::TERM);
        }
        for mut child in self.running {
            let name = child.name.clone();
            let ended = match child.wait(STOP_BOUND + END_SLACK) {
                Ok(None) => child.kill(),
                Ok(Some(status)) => Ok(status),
                Err(error) => Err(error),
            };
            let status = ended.map_err(|e| RunError::Tool(format!("{name} does not end: {e}")))?;
            if !status.success() {
                let status_text = describe_status(status);
                let note = format!("{name} died ({status_text}; see logs/{name}.log)");
                if status.code() == Some(Exit::Environment as i32) {
                    return Err(RunError::Environment(note));
                }
                display.keep(&note);
            }
        }
        Ok(())
    }
}
