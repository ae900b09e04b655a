//! A run under way: what it says is read as it comes, and it is ended with the value.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;

use crate::support::{STEADFAST, expect, processes_with, root};

/// How long a run may take to the phase that a test waits for.
const PHASE_BOUND: Duration = Duration::from_secs(90);

/// A run as a child process of the test.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    said: String,
}

impl Running {
    /// `steadfast run ARGS`.
    pub(crate) fn start(args: &[&str]) -> Result<Running, Failed> {
        let mut command = Command::new(STEADFAST);
        command.arg("run").args(args);
        Running::of(command)
    }

    /// Any command that becomes a run; it starts in the repository's root.
    pub(crate) fn of(mut command: Command) -> Result<Running, Failed> {
        let mut child = command
            .current_dir(root())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().ok_or("no stderr")?;
        let (told, lines) = channel();
        // Reads on whoever listens, so that the run never blocks on a full pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _nobody_listens = told.send(line);
            }
        });
        Ok(Running {
            child,
            lines,
            said: String::new(),
        })
    }

    /// Waits for a phase. Progress without a terminal is one line a phase.
    pub(crate) fn until(&mut self, phase: &str) -> Result<(), Failed> {
        let begin = Instant::now();
        loop {
            match self
                .lines
                .recv_timeout(PHASE_BOUND.saturating_sub(begin.elapsed()))
            {
                Ok(line) => {
                    self.hear(&line);
                    if line.trim() == phase {
                        return Ok(());
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!("it ended before {phase}:\n{}", self.said).into());
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("no {phase} within {PHASE_BOUND:?}:\n{}", self.said).into());
                }
            }
        }
    }

    fn hear(&mut self, line: &str) {
        self.said.push_str(line);
        self.said.push('\n');
    }

    /// Sends a signal, `INT` say.
    pub(crate) fn signal(&self, signal: &str) -> Result<(), Failed> {
        Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(self.child.id().to_string())
            .status()?;
        Ok(())
    }

    /// Waits for its end; gives how it ended and all that it said on standard error.
    pub(crate) fn end(mut self, bound: Duration) -> Result<(ExitStatus, String), Failed> {
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            while let Ok(line) = self.lines.try_recv() {
                self.hear(&line);
            }
            expect(begin.elapsed() < bound, || {
                format!("it did not end within {bound:?}:\n{}", self.said)
            })?;
            std::thread::sleep(Duration::from_millis(50));
        };
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(1)) {
            self.hear(&line);
        }
        Ok((status, std::mem::take(&mut self.said)))
    }

    /// As [`Running::end`], and it must be with `code`.
    pub(crate) fn end_with(self, code: i32, bound: Duration) -> Result<String, Failed> {
        let (status, said) = self.end(bound)?;
        expect(status.code() == Some(code), || {
            format!("expected exit {code}, got {status}\n{said}")
        })?;
        Ok(said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed on the way leaves no run behind: its children carry the death signal.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// No process may be left whose command line names this run folder.
pub(crate) fn expect_nothing_left(folder: &Path) -> Result<(), Failed> {
    let marker = folder.to_string_lossy();
    for _ in 0..20 {
        if processes_with(&marker).is_empty() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(format!("still running: {:?}", processes_with(&marker)).into())
}
