//! The worker process: a thin shell around [`Load`], one thread for generator, producer, history and progress.
//!
//! ```text
//!     ┌───────────────────────────── one wake ─────────────────────────────┐
//!     │ outcomes ─▶ history.completed                                      │
//!     │ due records ─▶ history.handed_over ─▶ producer.append (buffered)   │
//!     │ a line of progress on stdout, once a second                        │
//!     └──────────────── producer.turn(next wake): write, sleep, read ──────┘
//! ```
//!
//! A record stands in the history before the producer gets it, and the producer writes only in `turn`: whatever kills
//! the worker, no record reaches the cluster that the history does not know. Clocks are read once a wake.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use steadfast_producer::clock::{monotonic_ns, wall_ms};
use steadfast_producer::config::ProducerConfig;
use steadfast_producer::driver::Driver;
use steadfast_producer::error::{AppendError, Fatal};
use steadfast_producer::record::{self, Record, TopicHandle};
use steadfast_verifier::history::{Completed, Header, Outcome, Writer};
use steadfast_verifier::workload::{Keys, PartitionChoice, Workload};

use crate::generator::{Generator, GeneratorError, Material};
use crate::load::Load;
use crate::schedule::ScheduleError;
use crate::waking::{COARSE_LINGER_NS, HANDOVER_GAP_NS, WAKE_GAP_NS, Waking};

/// How long the producer may take to be ready, where the start of the load leaves it less, ns.
const READY_BOUND_NS: u64 = 10_000_000_000;
/// How long records in flight may take for their outcomes after SIGTERM, ns.
const STOP_BOUND_NS: u64 = 5_000_000_000;

/// Kafka's codes for records that our own producer refused.
const UNKNOWN_SERVER_ERROR: i16 = -1;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const REQUEST_TIMED_OUT: i16 = 7;
const MESSAGE_TOO_LARGE: i16 = 10;

/// Why a worker could not do its work, or not to the end. What it did until then stands in the history.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Mend the workload.
    #[error("the schedule: {0}")]
    Schedule(#[from] ScheduleError),
    /// Mend the workload.
    #[error("the records: {0}")]
    Generator(#[from] GeneratorError),
    /// Mend the producer's properties.
    #[error("the producer's settings: {0}")]
    Settings(String),
    /// The topic is not as the workload says.
    #[error(
        "topic {topic} has {found} partitions, the workload says {expected}: create the topic anew or mend the workload"
    )]
    Partitions {
        /// The topic.
        topic: String,
        /// As the workload says.
        expected: u32,
        /// As the cluster says.
        found: u32,
    },
    /// Give the producer more memory.
    #[error(
        "buffer.memory holds {free} bytes, one batch needs {needed}: raise buffer.memory or lower batch.size"
    )]
    Buffer {
        /// All there is.
        free: usize,
        /// Bytes of a batch.
        needed: usize,
    },
    /// The folder is missing, the file is there already, or the disk is full.
    #[error(
        "cannot write the history {path}: {source}\n  mend: it needs an existing folder with room, and a new name: choose another --out"
    )]
    History {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// No usable cluster behind the bootstrap servers in time. Nothing was sent.
    #[error("no usable cluster at {servers}: {source}; check that it runs and that the topic exists")]
    NotReady {
        /// Bootstrap servers.
        servers: String,
        /// The last thing that went wrong.
        source: Fatal,
    },
    /// The producer gave up on the way. Outcomes of all it had taken stand in the history.
    #[error("the producer stopped: {0}")]
    Producer(Fatal),
    /// Nobody reads the progress any more, so the load was ended in order.
    #[error("cannot write progress: {0}; who started this worker has gone")]
    Output(io::Error),
    /// No handler for SIGTERM.
    #[error("cannot handle SIGTERM: {0}")]
    Signal(io::Error),
}

impl WorkerError {
    /// True when the machine or the cluster lacks something, and neither the workload nor we are wrong.
    pub fn is_environment(&self) -> bool {
        match self {
            WorkerError::NotReady { .. } => true,
            WorkerError::History { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::ReadOnlyFilesystem
            ),
            _ => false,
        }
    }
}

/// Does what `workload` orders, from the first due record to the last outcome, and writes its history. `out` gets one
/// [`Progress`](steadfast_verifier::workload::Progress) as a JSON line about each second, the last with `done`.
///
/// SIGTERM and SIGINT end it in order: no further record, outcomes for at most 5 s, a finished history.
pub fn run(workload: &Workload, out: &mut dyn Write) -> Result<(), WorkerError> {
    let config = settings(workload)?;
    let mut load = Load::new(
        workload,
        Waking::new(WAKE_GAP_NS, handover_gap_ns(config.linger_ns)),
    )?;
    let material = Material::new(workload)?;
    let generator = Generator::new(workload, &material)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(WorkerError::Signal)?;
    }
    let history_error = |source| WorkerError::History {
        path: workload.history.clone(),
        source,
    };
    let history = Writer::create(&workload.history, &header(workload))
        .map_err(history_error)
        .inspect_err(|error| last_words(&mut load, out, error))?;
    let charge = config.batch_size.max(generator.max_record_bytes());
    match connect(workload, &config, charge) {
        Ok((driver, topic)) => Worker {
            workload,
            load,
            generator,
            history,
            driver,
            topic,
            charge,
            held: 0,
            out,
        }
        .work(&stop),
        Err(error) => {
            last_words(&mut load, out, &error);
            history.finish().map_err(history_error)?;
            Err(error)
        }
    }
}

/// The producer's settings, with what the workload says elsewhere.
fn settings(workload: &Workload) -> Result<ProducerConfig, WorkerError> {
    let mut properties = workload.producer.clone();
    properties.insert("bootstrap.servers".into(), workload.bootstrap_servers.join(","));
    if workload.partition == PartitionChoice::Sticky && workload.keys != Keys::None {
        // A sticky choice that keys overrule would be none.
        properties
            .entry("partitioner.ignore.keys".into())
            .or_insert("true".into());
    }
    ProducerConfig::from_properties(&properties).map_err(|errors| {
        let lines = errors
            .iter()
            .map(|error| format!("{}: {}; {}", error.key, error.reason, error.mend));
        WorkerError::Settings(lines.collect::<Vec<_>>().join(" · "))
    })
}

/// A producer that lingers for milliseconds sends that often and no oftener, so the generator wakes once per linger too:
/// what that adds to a record is in its latency, and `schedule_lag` shows it.
fn handover_gap_ns(linger_ns: u64) -> u64 {
    if linger_ns >= COARSE_LINGER_NS {
        linger_ns
    } else {
        HANDOVER_GAP_NS
    }
}

fn header(workload: &Workload) -> Header {
    Header {
        worker: workload.worker,
        incarnation: workload.incarnation,
        seed: workload.seed,
        workload: workload.clone(),
        started_ns: monotonic_ns(),
        started_wall_ms: wall_ms(),
    }
}

/// A producer that is ready to write to the workload's topic and has room for one batch at least.
fn connect(
    workload: &Workload,
    config: &ProducerConfig,
    charge: usize,
) -> Result<(Driver, TopicHandle), WorkerError> {
    let servers = workload.bootstrap_servers.join(",");
    let not_ready = |source| WorkerError::NotReady {
        servers: servers.clone(),
        source,
    };
    let mut driver = Driver::new(config).map_err(not_ready)?;
    let topic = driver.topic(&workload.topic);
    let bound = monotonic_ns().saturating_add(READY_BOUND_NS);
    driver.ready(bound.max(workload.start_ns)).map_err(not_ready)?;
    if driver.free_bytes() < charge {
        return Err(WorkerError::Buffer {
            free: driver.free_bytes(),
            needed: charge,
        });
    }
    match driver.partition_count(topic) {
        Some(found) if found != workload.partitions => Err(WorkerError::Partitions {
            topic: workload.topic.clone(),
            expected: workload.partitions,
            found,
        }),
        _ => Ok((driver, topic)),
    }
}

struct Worker<'a> {
    workload: &'a Workload,
    load: Load,
    generator: Generator<'a>,
    history: Writer,
    driver: Driver,
    topic: TopicHandle,
    /// Free bytes of the producer that are sure to take any one record.
    charge: usize,
    /// Records that the history has and the producer has not, for want of room: the generator's current one first.
    held: usize,
    out: &'a mut dyn Write,
}

impl Worker<'_> {
    fn work(mut self, stop: &AtomicBool) -> Result<(), WorkerError> {
        let late_ns = monotonic_ns().saturating_sub(self.workload.start_ns);
        let note =
            (late_ns > 0).then(|| format!("ready {} ms after the start of the load", late_ns / 1_000_000));
        self.load.progress_due(monotonic_ns());
        let mut result = report(&mut self.load, self.out, false, note);
        while result.is_ok() {
            let now_ns = monotonic_ns();
            let stopping = stop.load(Ordering::Relaxed) && !self.load.is_stopped();
            result = self.wake(now_ns, stopping);
            if stopping {
                self.load.stop();
            }
            if result.is_err()
                || self
                    .load
                    .is_over(now_ns, self.driver.pending() + self.held as u64)
            {
                break;
            }
            let wake_ns = self.load.next_wake(self.held == 0, self.driver.pending() > 0);
            result = self.driver.turn(Some(wake_ns)).map_err(WorkerError::Producer);
        }
        self.end(result)
    }

    /// All that one wake does. The `last` one hands over what is due whatever the gap.
    fn wake(&mut self, now_ns: u64, last: bool) -> Result<(), WorkerError> {
        self.book()?;
        if self.load.woke(now_ns) || last {
            self.hand_over(now_ns)?;
        }
        if self.load.progress_due(now_ns) {
            report(&mut self.load, self.out, false, None)
        } else {
            Ok(())
        }
    }

    /// Gives the producer what is due, as far as it has room.
    fn hand_over(&mut self, now_ns: u64) -> Result<(), WorkerError> {
        let timestamp_ms = wall_ms();
        if self.held > 0 {
            self.append(false, now_ns, timestamp_ms)?;
        }
        if self.held > 0 {
            return Ok(());
        }
        let room = if self.load.is_unlimited() {
            // A whole run: what finds no room stays held and is tried again, and its latency is never judged.
            usize::MAX
        } else {
            // As many as are sure to fit. A batch that is open may have room when no new one has: so try one.
            self.driver.free_bytes() / self.charge
        };
        let Some((first, intended_ns)) = self.load.take(now_ns, room.max(1)) else {
            return Ok(());
        };
        self.held = intended_ns.len();
        let written = self.history.handed_over(first, intended_ns, now_ns);
        written.map_err(|source| self.history_error(source))?;
        self.append(true, now_ns, timestamp_ms)
    }

    /// Appends the records held, until one finds no room. `fresh`: the generator has yet to make the first of them.
    fn append(&mut self, mut fresh: bool, now_ns: u64, timestamp_ms: i64) -> Result<(), WorkerError> {
        while self.held > 0 {
            let made = if fresh {
                self.generator.advance()
            } else {
                self.generator.current()
            };
            fresh = true;
            let record = Record {
                topic: self.topic,
                partition: made.partition,
                key: made.key,
                value: Some(made.value),
                headers: made.headers,
                timestamp_ms,
            };
            let (index, partition) = (made.index, made.partition.unwrap_or(-1));
            match self.driver.append(&record, index, now_ns) {
                Ok(()) => {}
                Err(error) if error.is_retriable() => return Ok(()),
                Err(error) => self.refused(&[index], partition, code(error), now_ns)?,
            }
            self.held -= 1;
        }
        Ok(())
    }

    /// Writes down what became of records.
    fn book(&mut self) -> Result<(), WorkerError> {
        while let Some(completion) = self.driver.next_completion() {
            let completed = Completed {
                indexes: completion.tokens,
                partition: completion.partition,
                base_offset: completion.base_offset,
                outcome: outcome(completion.outcome),
                error_code: completion.error_code,
                ack_ns: completion.ack_ns,
                producer_id: completion.producer_id,
                producer_epoch: completion.producer_epoch,
                base_sequence: completion.base_sequence,
                transaction: 0,
            };
            self.load
                .completed(completed.indexes, completed.outcome, completed.ack_ns);
            let written = self.history.completed(&completed);
            written.map_err(|source| WorkerError::History {
                path: self.workload.history.clone(),
                source,
            })?;
        }
        Ok(())
    }

    /// Writes down records that never left this process.
    fn refused(
        &mut self,
        indexes: &[u64],
        partition: i32,
        error_code: i16,
        now_ns: u64,
    ) -> Result<(), WorkerError> {
        self.load.completed(indexes, Outcome::NotWritten, now_ns);
        let written = self.history.completed(&Completed {
            indexes,
            partition,
            base_offset: -1,
            outcome: Outcome::NotWritten,
            error_code,
            ack_ns: now_ns,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            transaction: 0,
        });
        written.map_err(|source| self.history_error(source))
    }

    /// Ends the load in order, whatever ended it: an outcome for everything, a finished history, the last line.
    fn end(mut self, result: Result<(), WorkerError>) -> Result<(), WorkerError> {
        let now_ns = monotonic_ns();
        if let Err(error @ WorkerError::History { .. }) = &result {
            // What the history does not know must not be sent: no further turn.
            last_words(&mut self.load, self.out, error);
            return result;
        }
        let alive = !matches!(result, Err(WorkerError::Producer(_)));
        let had_room = alive && self.held == 0 && self.driver.free_bytes() >= self.charge;
        let patience = if self.driver.pending() > 0 && self.load.is_stopped() {
            STOP_BOUND_NS
        } else {
            0
        };
        let closed = self
            .driver
            .close(now_ns.saturating_add(patience))
            .map_err(WorkerError::Producer);
        self.book()?;
        let next = self.workload.first_index + self.load.sent();
        let held: Vec<u64> = (next - self.held as u64..next).collect();
        self.refused(&held, -1, REQUEST_TIMED_OUT, now_ns)?;
        let withheld = self.load.give_up(now_ns, had_room);
        let result = result.and(closed);
        let mut note = result.as_ref().err().map(ToString::to_string);
        if withheld.count > 0 && note.is_none() {
            note = Some(format!(
                "{} records were due and never handed over",
                withheld.count
            ));
        }
        let history_error = |source| WorkerError::History {
            path: self.workload.history.clone(),
            source,
        };
        self.history.withheld(&withheld).map_err(history_error)?;
        self.history.finish().map_err(history_error)?;
        result.and(report(&mut self.load, self.out, true, note))
    }

    fn history_error(&self, source: io::Error) -> WorkerError {
        WorkerError::History {
            path: self.workload.history.clone(),
            source,
        }
    }
}

/// Why it ends before it is done, to whoever started it: a log on a full disk cannot say it.
fn last_words(load: &mut Load, out: &mut dyn Write, error: &WorkerError) {
    // Nobody there to hear it is no further news.
    let _unheard = report(load, out, false, Some(error.to_string()));
}

/// Writes a line of progress in one go, so that its reader wakes once.
fn report(load: &mut Load, out: &mut dyn Write, done: bool, note: Option<String>) -> Result<(), WorkerError> {
    let tid = rustix::thread::gettid().as_raw_nonzero().get();
    let mut progress = load.progress(monotonic_ns(), tid.unsigned_abs());
    (progress.done, progress.note) = (done, note);
    let mut line = serde_json::to_vec(&progress)
        .map_err(io::Error::from)
        .map_err(WorkerError::Output)?;
    line.push(b'\n');
    out.write_all(&line)
        .and_then(|()| out.flush())
        .map_err(WorkerError::Output)
}

fn outcome(outcome: record::Outcome) -> Outcome {
    match outcome {
        record::Outcome::Acked => Outcome::Acked,
        record::Outcome::NotWritten => Outcome::NotWritten,
        record::Outcome::Unknown => Outcome::Unknown,
    }
}

fn code(error: AppendError) -> i16 {
    match error {
        AppendError::TooLarge { .. } => MESSAGE_TOO_LARGE,
        AppendError::NoSuchPartition { .. } => UNKNOWN_TOPIC_OR_PARTITION,
        AppendError::PartitionStopped { code } => code,
        _ => UNKNOWN_SERVER_ERROR,
    }
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
