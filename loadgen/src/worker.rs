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

mod error; // why it could not do its work
mod transactional; // what it does about transactions

pub use error::WorkerError;
pub(crate) use transactional::refusal;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use steadfast_producer::clock::{monotonic_ns, wall_ms};
use steadfast_producer::config::ProducerConfig;
use steadfast_producer::driver::Driver;
use steadfast_producer::error::AppendError;
use steadfast_producer::record::{self, Record, TopicHandle};
use steadfast_producer::transaction::TransactionError;
use steadfast_verifier::history::{Completed, Header, Outcome, Writer};
use steadfast_verifier::workload::{Keys, PartitionChoice, Progress, Workload};

use crate::copy;
use crate::generator::{Generator, Material};
use crate::load::Load;
use crate::transactions::Transactions;
use crate::waking::{COARSE_LINGER_NS, HANDOVER_GAP_NS, WAKE_GAP_NS, Waking};

/// How long the producer may take to be ready, where the start of the load leaves it less, ns.
pub(crate) const READY_BOUND_NS: u64 = 10_000_000_000;
/// How long records in flight may take for their outcomes after SIGTERM, ns.
pub(crate) const STOP_BOUND_NS: u64 = 5_000_000_000;

/// Kafka's codes for records that our own producer refused.
const UNKNOWN_SERVER_ERROR: i16 = -1;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const REQUEST_TIMED_OUT: i16 = 7;
const MESSAGE_TOO_LARGE: i16 = 10;

/// Does what `workload` orders, from the first due record to the last outcome, and writes its history. `out` gets one
/// [`Progress`] as a JSON line about each second, the last with `done`.
///
/// SIGTERM and SIGINT end it in order: no further record, outcomes for at most 5 s, a finished history.
pub fn run(workload: &Workload, out: &mut dyn Write) -> Result<(), WorkerError> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(WorkerError::Signal)?;
    }
    if let Some(source) = &workload.copy {
        return copy::run(workload, source, out, &stop);
    }
    let config = settings(workload)?;
    let mut load = Load::new(
        workload,
        Waking::new(WAKE_GAP_NS, handover_gap_ns(config.linger_ns)),
    )?;
    let material = Material::new(workload)?;
    let generator = Generator::new(workload, &material)?;
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
            transactions: Transactions::new(workload, config.transaction_timeout_ns),
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
pub(crate) fn settings(workload: &Workload) -> Result<ProducerConfig, WorkerError> {
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

pub(crate) fn header(workload: &Workload) -> Header {
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
pub(crate) fn connect(
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
    let bound = bound.max(workload.start_ns);
    driver.ready(bound).map_err(not_ready)?;
    transactional::take_over(&mut driver, bound).map_err(|error| match error {
        TransactionError::Stopped(fatal) => not_ready(fatal),
        other => WorkerError::Transaction(other),
    })?;
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
    /// None: each record stands by itself.
    transactions: Option<Transactions>,
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
            if result.is_err() || self.load.is_over(now_ns, self.driver.pending() + self.owed()) {
                break;
            }
            let has_room = self.held == 0 && self.transaction_room() > 0;
            let wake_ns = self.load.next_wake(has_room, self.driver.pending() > 0);
            let end_ns = self.transactions.as_ref().map_or(u64::MAX, Transactions::wake_ns);
            result = self
                .driver
                .turn(Some(wake_ns.min(end_ns)))
                .map_err(WorkerError::Producer);
        }
        self.end(result)
    }

    /// All that one wake does. The `last` one hands over what is due whatever the gap.
    fn wake(&mut self, now_ns: u64, last: bool) -> Result<(), WorkerError> {
        self.book()?;
        self.step_transaction(now_ns)?;
        if self.load.woke(now_ns) || last {
            self.hand_over(now_ns)?;
            self.step_transaction(now_ns)?;
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
        let room = room.max(1).min(self.transaction_room());
        let Some((first, intended_ns)) = self.load.take(now_ns, room) else {
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
            if fresh {
                self.generator.advance();
            }
            let index = self.generator.current().index;
            if !self.may_append(index, now_ns)? {
                return Ok(());
            }
            let made = self.generator.current();
            let record = Record {
                topic: self.topic,
                partition: made.partition,
                key: made.key,
                value: Some(made.value),
                headers: made.headers,
                timestamp_ms,
            };
            let partition = made.partition.unwrap_or(-1);
            match self.driver.append(&record, index, now_ns) {
                Ok(()) => {
                    if let Some(transactions) = &mut self.transactions {
                        transactions.took();
                    }
                }
                Err(error) if error.is_retriable() => return Ok(()),
                // It stays for the next transaction: this one ends without it.
                Err(AppendError::TransactionFailed { .. }) => return Ok(()),
                Err(error) => self.refused(&[index], partition, code(error), now_ns)?,
            }
            self.held -= 1;
            fresh = true;
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
                transaction: completion.transaction,
                broker: completion.broker,
                correlation_id: completion.correlation_id,
            };
            match &mut self.transactions {
                // Acknowledged for good is what is committed.
                Some(transactions) if completed.outcome == Outcome::Acked => transactions.acked(
                    completed.indexes,
                    (completed.producer_id, completed.producer_epoch),
                ),
                _ => self
                    .load
                    .completed(completed.indexes, completed.outcome, completed.ack_ns),
            }
            let written = self.history.completed(&completed);
            written.map_err(|source| WorkerError::History {
                path: self.workload.history.clone(),
                source,
            })?;
        }
        self.book_transactions()
    }

    /// Work that is neither in the producer nor still to come.
    fn owed(&self) -> u64 {
        self.held as u64 + u64::from(self.in_transaction())
    }

    /// How many records the present transaction takes.
    fn transaction_room(&self) -> usize {
        self.transactions.as_ref().map_or(usize::MAX, Transactions::room)
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
        if let Some(transactions) = &mut self.transactions {
            transactions.refused(error_code);
        }
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
            broker: -1,
            correlation_id: -1,
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
        let had_room = alive && self.owed() == 0 && self.driver.free_bytes() >= self.charge;
        let open = self.driver.pending() > 0 || self.in_transaction();
        let patience = if open && self.load.is_stopped() {
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
    say(out, &progress)
}

/// One line of progress.
pub(crate) fn say(out: &mut dyn Write, progress: &Progress) -> Result<(), WorkerError> {
    let mut line = serde_json::to_vec(progress)
        .map_err(io::Error::from)
        .map_err(WorkerError::Output)?;
    line.push(b'\n');
    out.write_all(&line)
        .and_then(|()| out.flush())
        .map_err(WorkerError::Output)
}

pub(crate) fn outcome(outcome: record::Outcome) -> Outcome {
    match outcome {
        record::Outcome::Acked => Outcome::Acked,
        record::Outcome::NotWritten => Outcome::NotWritten,
        record::Outcome::Unknown => Outcome::Unknown,
    }
}

pub(crate) fn code(error: AppendError) -> i16 {
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
