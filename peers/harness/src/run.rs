//! The shell around a [`Load`]: its history, its lines of progress, the signals that end it. All of it belongs to the one
//! thread that generates.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use steadfast_loadgen::load::Load;
use steadfast_loadgen::waking::Waking;
use steadfast_verifier::history::{Completed, Header, Outcome, Writer};
use steadfast_verifier::workload::Workload;

use crate::clock::{monotonic_ns, precise_timers, wall_ms};
use crate::failure::Failure;

/// How long the client may take to be ready, where the start of the load leaves it less, ns.
const READY_BOUND_NS: u64 = 10_000_000_000;
/// Kafka's REQUEST_TIMED_OUT: what is said of records that their client never got.
const REQUEST_TIMED_OUT: i16 = 7;

/// A load with a history.
pub struct Run<'a> {
    /// What is due, and how far it is.
    pub load: Load,
    workload: &'a Workload,
    history: Writer,
    stop: Arc<AtomicBool>,
    generator_tid: u32,
}

/// How things stood when the last record had been handed over.
#[derive(Debug, Clone, Copy)]
pub struct Ending {
    /// Records, the last handed over, that the client never got.
    pub held: usize,
    /// It would have taken more.
    pub had_room: bool,
    /// When that was: what was due by then and is not handed over is withheld.
    pub at_ns: u64,
}

impl Ending {
    /// The client never was ready.
    pub fn unready() -> Ending {
        Ending {
            held: 0,
            had_room: false,
            at_ns: monotonic_ns(),
        }
    }
}

impl<'a> Run<'a> {
    /// Makes the history. The calling thread is the one that generates.
    pub fn begin(workload: &'a Workload, waking: Waking) -> Result<Run<'a>, Failure> {
        precise_timers();
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(Failure::System)?;
        }
        let mut load = Load::new(workload, waking)?;
        let generator_tid = rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs();
        let header = Header {
            worker: workload.worker,
            incarnation: workload.incarnation,
            seed: workload.seed,
            workload: workload.clone(),
            started_ns: monotonic_ns(),
            started_wall_ms: wall_ms(),
        };
        let history = Writer::create(&workload.history, &header).map_err(|source| {
            let failure = failed(workload, source);
            // Nobody there to hear it is no further news.
            let _unheard = report(&mut load, generator_tid, false, Some(failure.to_string()));
            failure
        })?;
        Ok(Run {
            load,
            workload,
            history,
            stop,
            generator_tid,
        })
    }

    /// Until when the client may take to be ready, CLOCK_MONOTONIC.
    pub fn ready_bound_ns(&self) -> u64 {
        monotonic_ns()
            .saturating_add(READY_BOUND_NS)
            .max(self.workload.start_ns)
    }

    /// The first line of progress; says if the load should have begun already.
    pub fn announce(&mut self) -> Result<(), Failure> {
        let now_ns = monotonic_ns();
        let late_ns = now_ns.saturating_sub(self.workload.start_ns);
        self.load.progress_due(now_ns);
        let note =
            (late_ns > 0).then(|| format!("ready {} ms after the start of the load", late_ns / 1_000_000));
        report(&mut self.load, self.generator_tid, false, note)
    }

    /// Takes what is due, at most `room` records, and writes its hand-over to the history: **before** the client gets it.
    /// Returns how many.
    pub fn hand_over(&mut self, now_ns: u64, room: usize) -> Result<usize, Failure> {
        let Some((first, intended_ns)) = self.load.take(now_ns, room) else {
            return Ok(0);
        };
        let written = self.history.handed_over(first, intended_ns, now_ns);
        written.map_err(|source| failed(self.workload, source))?;
        Ok(intended_ns.len())
    }

    /// Writes down what became of a batch.
    pub fn completed(&mut self, completed: &Completed<'_>) -> Result<(), Failure> {
        self.load
            .completed(completed.indexes, completed.outcome, completed.ack_ns);
        let written = self.history.completed(completed);
        written.map_err(|source| failed(self.workload, source))
    }

    /// Writes down that record `index` never left this process.
    pub fn refused(&mut self, index: u64, error_code: i16, now_ns: u64) -> Result<(), Failure> {
        self.completed(&Completed {
            error_code,
            ..outcome(&[index], -1, Outcome::NotWritten, now_ns)
        })
    }

    /// True when every outcome is known, or the time to wait for them is over.
    pub fn is_over(&self, now_ns: u64) -> bool {
        self.load.is_over(now_ns, self.load.owed())
    }

    /// True once somebody wants it to end.
    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A line of progress, if one is due.
    pub fn tell(&mut self, now_ns: u64) -> Result<(), Failure> {
        if self.load.progress_due(now_ns) {
            report(&mut self.load, self.generator_tid, false, None)
        } else {
            Ok(())
        }
    }

    /// Ends the load in order: a finished history and the last line.
    pub fn end(mut self, result: Result<(), Failure>, ending: &Ending) -> Result<(), Failure> {
        if let Err(failure @ Failure::History { .. }) = &result {
            // Nothing more can be written, and a log on a full disk cannot say why.
            let _unheard = report(
                &mut self.load,
                self.generator_tid,
                false,
                Some(failure.to_string()),
            );
            return result;
        }
        let next = self.workload.first_index + self.load.sent();
        let held: Vec<u64> = (next - ending.held as u64..next).collect();
        if !held.is_empty() {
            self.completed(&Completed {
                error_code: REQUEST_TIMED_OUT,
                ..outcome(&held, -1, Outcome::NotWritten, ending.at_ns)
            })?;
        }
        let withheld = self.load.give_up(ending.at_ns, ending.had_room && result.is_ok());
        let mut note = result.as_ref().err().map(ToString::to_string);
        if withheld.count > 0 && note.is_none() {
            note = Some(format!(
                "{} records were due and never handed over",
                withheld.count
            ));
        }
        let Run {
            workload,
            mut history,
            mut load,
            generator_tid,
            ..
        } = self;
        let written = history.withheld(&withheld).and_then(|()| history.finish());
        written.map_err(|source| failed(workload, source))?;
        result.and(report(&mut load, generator_tid, true, note))
    }
}

/// An outcome with all that is not known left open.
pub fn outcome(indexes: &[u64], partition: i32, outcome: Outcome, ack_ns: u64) -> Completed<'_> {
    Completed {
        indexes,
        partition,
        base_offset: -1,
        outcome,
        error_code: 0,
        ack_ns,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        transaction: 0,
        broker: -1,
        correlation_id: -1,
    }
}

fn failed(workload: &Workload, source: io::Error) -> Failure {
    Failure::History {
        path: workload.history.clone(),
        source,
    }
}

/// Writes a line of progress in one go, so that its reader wakes once.
fn report(load: &mut Load, generator_tid: u32, done: bool, note: Option<String>) -> Result<(), Failure> {
    let mut progress = load.progress(monotonic_ns(), generator_tid);
    (progress.done, progress.note) = (done, note);
    let mut line = serde_json::to_vec(&progress)
        .map_err(io::Error::from)
        .map_err(Failure::Output)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)
        .and_then(|()| out.flush())
        .map_err(Failure::Output)
}
