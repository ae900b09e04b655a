//! The measured stretch: starts the worker, then wakes about once a second, when the worker says how far it is.
//!
//! On two cores every wake-up of the runner is stolen from what it measures, so one wake does everything: it takes the
//! worker's progress line, samples /proc into `samples.jsonl`, and moves the display.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use steadfast_chaos::client::Client;
use steadfast_chaos::{clock, sample};
use steadfast_verifier::timeline::{Role, Sample};
use steadfast_verifier::workload::Progress;

use super::RunError;
use super::display::Display;
use super::files::cannot_write;
use super::interrupt::Interrupt;
use crate::scenario::Scenario;

/// A worker says something every second; silent for this long, it hangs.
const SILENCE: Duration = Duration::from_secs(30);
/// While it was killed and is to be started again.
const DOWN_LOOK: Duration = Duration::from_millis(200);
/// A progress line longer than this is nonsense.
const LINE_CAP: usize = 64 * 1024;

/// How the load ended.
#[derive(Debug)]
pub(crate) enum LoadEnd {
    /// The worker reported every outcome.
    Done,
    /// The worker ended or fell silent before it was done.
    WorkerFailed(String),
    /// A check on the way asked to stop (a broker that died by itself, steady state missed).
    Stopped(RunError),
    /// The user wants to leave.
    Interrupted,
}

/// The planned instants of the load, monotonic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) start_ns: u64,
    pub(crate) warmup_end_ns: u64,
    /// None for `unlimited`: it ends with its records.
    pub(crate) end_ns: Option<u64>,
}

impl Span {
    /// The instants of a scenario whose first record is due at `start_ns`.
    pub(crate) fn of(scenario: &Scenario, start_ns: u64) -> Span {
        let warmup_end_ns = start_ns + nanos(scenario.warmup());
        Span {
            start_ns,
            warmup_end_ns,
            end_ns: scenario.duration().map(|span| warmup_end_ns + nanos(span)),
        }
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

enum Event {
    Progress(Progress),
    Nonsense(String),
    End,
    Interrupted,
}

/// What the loop looks at while load runs.
pub(crate) struct Watch<'a> {
    pub(crate) display: &'a mut Display,
    pub(crate) samples: &'a mut Samples,
    pub(crate) interrupt: &'a Interrupt,
    /// Processes to sample besides the worker.
    pub(crate) processes: &'a dyn Fn() -> Vec<(Role, String, u32)>,
    /// Called at each progress line; an error stops the load.
    pub(crate) check: &'a mut dyn FnMut(u64, &Progress) -> Result<(), RunError>,
    /// Name of the phase at an instant.
    pub(crate) phase: &'a dyn Fn(u64) -> String,
}

/// Follows `worker` to its end, from one incarnation to the next.
pub(crate) fn follow(worker: &Client, name: &str, span: Span, watch: &mut Watch<'_>) -> LoadEnd {
    let (events, inbox) = channel();
    if !listen(worker, &events) {
        return LoadEnd::WorkerFailed("its output is not connected".into());
    }
    let lines = events.clone();
    let (asked, stop_asked) = channel();
    watch.interrupt.wake(asked);
    std::thread::spawn(move || {
        if stop_asked.recv().is_ok() {
            let _ = events.send(Event::Interrupted);
        }
    });

    let mut last: Option<Progress> = None;
    // It was killed on purpose: nothing is heard of it until it runs again.
    let mut away = false;
    loop {
        away = away && !listen(worker, &lines);
        match inbox.recv_timeout(if away { DOWN_LOOK } else { SILENCE }) {
            Ok(Event::Progress(progress)) => {
                let now = clock::now_ns();
                watch
                    .samples
                    .take(now, name, worker.pid(), &progress, &(watch.processes)());
                watch.display.phase(&(watch.phase)(now));
                let left = span.end_ns.map_or(Duration::ZERO, |end| {
                    Duration::from_nanos(end.saturating_sub(now))
                });
                watch.display.load(now, &progress, left);
                let checked = watch.samples.whole().and_then(|()| (watch.check)(now, &progress));
                if let Err(stop) = checked {
                    return LoadEnd::Stopped(stop);
                }
                if let Some(note) = &progress.note {
                    watch.display.keep(&format!("{name}: {note}"));
                }
                last = Some(progress);
            }
            Ok(Event::Nonsense(line)) => {
                return LoadEnd::WorkerFailed(format!("it printed nonsense: {line}"));
            }
            Ok(Event::Interrupted) => return LoadEnd::Interrupted,
            Ok(Event::End) if worker.is_down() || listen(worker, &lines) => away = worker.is_down(),
            Ok(Event::End) => {
                return match last {
                    Some(progress) if progress.done => LoadEnd::Done,
                    // Its last words, when it had any.
                    last => LoadEnd::WorkerFailed(
                        last.and_then(|progress| progress.note)
                            .unwrap_or_else(|| "it ended before it was done".into()),
                    ),
                };
            }
            Err(RecvTimeoutError::Timeout) if away && worker.is_down() => {}
            // It came back between two looks.
            Err(RecvTimeoutError::Timeout) if away && listen(worker, &lines) => away = false,
            Err(RecvTimeoutError::Timeout) => {
                return LoadEnd::WorkerFailed(format!("no word from it for {} s", SILENCE.as_secs()));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return LoadEnd::WorkerFailed("its output was lost".into());
            }
        }
    }
}

/// Reads what the present incarnation says, if nobody does yet.
fn listen(worker: &Client, events: &Sender<Event>) -> bool {
    let Some(stdout) = worker.take_stdout() else {
        return false;
    };
    let events = events.clone();
    std::thread::spawn(move || read_lines(stdout, &events));
    true
}

fn read_lines(stdout: impl std::io::Read, events: &Sender<Event>) {
    let mut lines = BufReader::new(stdout);
    let mut line = String::new();
    loop {
        line.clear();
        let event = match std::io::Read::take(&mut lines, LINE_CAP as u64).read_line(&mut line) {
            Ok(0) | Err(_) => Event::End,
            Ok(_) => match serde_json::from_str(&line) {
                Ok(progress) => Event::Progress(progress),
                Err(_) => Event::Nonsense(line.trim_end().to_owned()),
            },
        };
        let last = !matches!(event, Event::Progress(_));
        if events.send(event).is_err() || last {
            return;
        }
    }
}

/// `samples.jsonl`, written as it comes, so that a killed run keeps what it saw.
pub(crate) struct Samples {
    path: PathBuf,
    file: File,
    failed: Option<std::io::Error>,
}

impl Samples {
    /// Creates the file in the run folder.
    pub(crate) fn create(folder: &Path) -> Result<Samples, RunError> {
        let path = folder.join("samples.jsonl");
        let file = File::create(&path).map_err(|error| cannot_write(&path, &error))?;
        Ok(Samples {
            path,
            file,
            failed: None,
        })
    }

    /// Appends one sample. A write error is kept and ends the run: the figures that rest on it must not look whole.
    pub(crate) fn write(&mut self, sample: &Sample) {
        let written = serde_json::to_string(sample)
            .map_err(std::io::Error::from)
            .and_then(|line| self.file.write_all(format!("{line}\n").as_bytes()));
        if let Err(error) = written {
            self.failed.get_or_insert(error);
        }
    }

    /// The first write error, if any.
    pub(crate) fn whole(&self) -> Result<(), RunError> {
        match &self.failed {
            None => Ok(()),
            Some(error) => Err(cannot_write(&self.path, error)),
        }
    }

    fn take(
        &mut self,
        at_ns: u64,
        name: &str,
        pid: u32,
        progress: &Progress,
        others: &[(Role, String, u32)],
    ) {
        let worker = (Role::Client, name.to_owned(), pid);
        for (role, name, pid) in std::iter::once(&worker).chain(others) {
            // A process that is down at this moment (killed by a fault) has no sample; its CPU so far was sampled before.
            if let Some((cpu_ns, rss_bytes)) = sample::read_process(*pid) {
                self.write(&Sample::Process {
                    at_ns,
                    role: *role,
                    name: name.clone(),
                    pid: *pid,
                    cpu_ns,
                    rss_bytes,
                });
            }
        }
        let run_queue_wait_ns = sample::run_queue_wait(pid, progress.generator_tid);
        self.write(&Sample::Machine {
            at_ns,
            run_queue_wait_ns,
            steal_ns: sample::steal_ns(),
        });
    }
}
