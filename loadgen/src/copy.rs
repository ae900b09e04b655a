//! A consume-transform-produce job, exactly once: reads the committed records of a source topic, writes each with a new
//! stamp in front to the target topic, and commits its positions in the source within the same transaction (KIP-98,
//! KIP-447; manual assignment).
//!
//! ```text
//! positions of the group ─▶ fetch ─▶ history: copied, handed over ─▶ producer ─┬▶ commit with positions ─▶ go on
//!      ▲                                                                       └▶ anything else ─▶ back to the last
//!      └───────────── unknown outcome: asked for anew ◀──────────────────────────  committed positions
//! ```
//! One thread, in turns, as most such applications are written. Each copy is due when its source record was, so what is
//! measured is the whole way from there to the commit of the copy. A record that is copied again after an abort is a new
//! record with the same origin; the judge sees to it that only one of them can be read.

mod due; // when a source record was due
mod source; // reading the source topic
mod tally; // what it can tell while it runs

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use steadfast_producer::clock::{monotonic_ns, wall_ms};
use steadfast_producer::driver::Driver;
use steadfast_producer::record::{Record, TopicHandle};
use steadfast_producer::record_batch;
use steadfast_producer::transaction::{GroupOffset, TransactionState};
use steadfast_verifier::history::{Completed, Copied, Outcome, TransactionOutcome, Writer};
use steadfast_verifier::stamp::{self, RecordId, STAMP_BYTES};
use steadfast_verifier::workload::{CopySource, Executor, PartitionChoice, Progress, Workload};

use self::due::Due;
pub use self::source::COPY_CLIENT_ID;
use self::source::{Fetched, Source};
use self::tally::Tally;
use crate::transactions::{Ask, Transactions};
use crate::worker::{
    READY_BOUND_NS, STOP_BOUND_NS, WorkerError, code, connect, header, outcome, refusal, say, settings,
};

/// Most records handed over in one go; after so many the producer may write and read.
const RUN_RECORDS: usize = 1_000;
/// Between two looks whether the source is complete.
const LOOK_NS: u64 = 100_000_000;
/// Between two progress lines.
const PROGRESS_NS: u64 = 1_000_000_000;
/// What a copy needs beside its value, key and headers: lengths and deltas of the batch format.
const RECORD_OVERHEAD: usize = 64;
/// Longest key of our generator, and what the lengths of a header take.
const KEY_BYTES: usize = 32;
const HEADER_OVERHEAD: usize = 10;
/// So many transactions in a row without a commit: the job is stuck, and would be for ever.
const MAX_FAILED_IN_A_ROW: u32 = 100;

/// Copies until the source is complete and all of it is committed, or until it is told to `stop`.
pub(crate) fn run(
    workload: &Workload,
    order: &CopySource,
    out: &mut dyn Write,
    stop: &AtomicBool,
) -> Result<(), WorkerError> {
    let config = settings(workload)?;
    let transactions = Transactions::new(workload, config.transaction_timeout_ns);
    let transactions = transactions.ok_or_else(|| {
        WorkerError::Settings("a copy job needs transactions and a transactional.id".into())
    })?;
    let due = Due::new(workload)?;
    let history_error = |source| WorkerError::History {
        path: workload.history.clone(),
        source,
    };
    let history = Writer::create(&workload.history, &header(workload)).map_err(history_error)?;
    let charge = config.batch_size.max(max_copy_bytes(workload));
    let begun = connect(workload, &config, charge).and_then(|(driver, topic)| {
        let mut source = Source::new(&workload.bootstrap_servers, order);
        let deadline_ns = (monotonic_ns() + READY_BOUND_NS).max(workload.start_ns);
        let committed = source.committed_by(deadline_ns)?;
        source.seek(&committed);
        Ok((driver, topic, source, committed))
    });
    let (driver, topic, source, committed) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            let last = Tally::new(workload).progress((monotonic_ns(), 0), false, Some(error.to_string()));
            // Nobody there to hear it is no further news.
            let _unheard = say(out, &last);
            history.finish().map_err(history_error)?;
            return Err(error);
        }
    };
    let mut copier = Copier {
        workload,
        order,
        source,
        due,
        driver,
        topic,
        charge,
        history,
        transactions,
        fetched: VecDeque::new(),
        reached: BTreeMap::new(),
        committed,
        at_end: false,
        looked_ns: 0,
        next_index: workload.first_index,
        failed: 0,
        moved_ns: monotonic_ns().max(workload.start_ns),
        tally: Tally::new(workload),
        value: Vec::new(),
    };
    let result = copier.work(out, stop);
    copier.end(result, out, stop)
}

struct Copier<'a> {
    workload: &'a Workload,
    order: &'a CopySource,
    source: Source,
    due: Due,
    driver: Driver,
    topic: TopicHandle,
    /// Free bytes of the producer that are sure to take any one copy.
    charge: usize,
    history: Writer,
    transactions: Transactions,
    /// Read and not handed over; at most one answer of each leader.
    fetched: VecDeque<Fetched>,
    /// By source partition, where the open transaction leaves off.
    reached: BTreeMap<i32, i64>,
    /// And where the last committed one left off.
    committed: BTreeMap<i32, i64>,
    /// The source is complete, and all of it is handed over.
    at_end: bool,
    looked_ns: u64,
    next_index: u64,
    /// Transactions in a row that were not committed although they should have been.
    failed: u32,
    /// When a transaction was last committed.
    moved_ns: u64,
    tally: Tally,
    value: Vec<u8>,
}

impl Copier<'_> {
    fn work(&mut self, out: &mut dyn Write, stop: &AtomicBool) -> Result<(), WorkerError> {
        self.say(out, false, None)?;
        let mut spoke_ns = monotonic_ns();
        while !stop.load(Ordering::Relaxed) {
            let now_ns = monotonic_ns();
            self.book()?;
            self.step(now_ns)?;
            if self.at_end && self.transactions.is_idle() {
                return Ok(());
            }
            if now_ns >= self.deadline_ns() {
                let trouble = self.source.trouble();
                return Err(WorkerError::Unfinished(trouble));
            }
            let mut until_ns = spoke_ns + PROGRESS_NS;
            if self.transactions.room() > 0 {
                if self.fetched.is_empty() {
                    self.fetched.extend(self.source.poll(now_ns));
                    self.look(monotonic_ns());
                }
                self.hand_over(monotonic_ns())?;
                self.step(monotonic_ns())?;
                if self.fetched.is_empty() {
                    // Fetching is the only wait, but for leaders that are to be left in peace for a moment.
                    until_ns = until_ns.min(self.source.wake_ns());
                }
            }
            if now_ns >= spoke_ns + PROGRESS_NS {
                spoke_ns = now_ns;
                self.say(out, false, None)?;
            }
            let until_ns = until_ns.min(self.transactions.wake_ns());
            self.driver.turn(Some(until_ns)).map_err(WorkerError::Producer)?;
        }
        Ok(())
    }

    /// Whether anything is left to copy, asked now and then once nothing more is written to the source.
    fn look(&mut self, now_ns: u64) {
        if self.at_end || !self.fetched.is_empty() || now_ns < self.looked_ns + LOOK_NS {
            return;
        }
        self.looked_ns = now_ns;
        self.at_end = self.order.complete.exists() && self.source.is_at_end(now_ns);
    }

    /// Gives the producer what was fetched, as far as both it and the transaction have room.
    fn hand_over(&mut self, now_ns: u64) -> Result<(), WorkerError> {
        loop {
            let room = self
                .transactions
                .room()
                .min(self.driver.free_bytes() / self.charge)
                .min(RUN_RECORDS);
            let Some(partition) = self.fetched.front().map(|fetched| fetched.partition) else {
                return Ok(());
            };
            let same = self.fetched.iter().take(room);
            let run = same.take_while(|fetched| fetched.partition == partition).count();
            if run == 0 {
                return Ok(());
            }
            let run: Vec<Fetched> = self.fetched.drain(..run).collect();
            self.copy(partition, &run, now_ns)?;
        }
    }

    /// Copies a run of records of one source partition.
    fn copy(&mut self, partition: i32, run: &[Fetched], now_ns: u64) -> Result<(), WorkerError> {
        let mut intended_ns = Vec::with_capacity(run.len());
        let mut offsets = Vec::with_capacity(run.len());
        let mut stamps = Vec::with_capacity(run.len());
        for Fetched { record, .. } in run {
            let stamp = record.value.as_deref().and_then(stamp::read);
            let due_ns = stamp.and_then(|stamp| self.due.of(stamp.id.index()));
            let (Some(stamp), Some(due_ns)) = (stamp, due_ns) else {
                let (topic, offset) = (&self.order.topic, record.offset);
                return Err(WorkerError::Source(format!(
                    "{topic}-{partition} offset {offset} is no record of this run"
                )));
            };
            stamps.push(stamp);
            offsets.push(record.offset as u64);
            intended_ns.push(due_ns.min(now_ns));
        }
        let first_index = self.next_index;
        let copied = Copied {
            first_index,
            partition,
            offsets: &offsets,
        };
        let written = self.history.copied(&copied);
        let written = written.and_then(|()| self.history.handed_over(first_index, &intended_ns, now_ns));
        written.map_err(|source| self.history_error(source))?;
        self.next_index += run.len() as u64;
        self.tally.handed_over(&intended_ns);
        if self.transactions.is_idle() {
            self.driver.begin_transaction().map_err(refusal)?;
            self.transactions.begun(first_index, now_ns);
        }
        for ((index, Fetched { record, .. }), stamp) in (first_index..).zip(run).zip(&stamps) {
            self.append(index, record, stamp.sequence, now_ns)?;
            self.reached.insert(partition, record.offset + 1);
        }
        Ok(())
    }

    fn append(
        &mut self,
        index: u64,
        record: &steadfast_verifier::reader::FetchedRecord,
        source_sequence: u32,
        now_ns: u64,
    ) -> Result<(), WorkerError> {
        let headers: Vec<(&[u8], &[u8])> = record
            .headers
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_deref().unwrap_or_default()))
            .collect();
        self.value.clear();
        self.value.resize(STAMP_BYTES, 0);
        self.value
            .extend_from_slice(record.value.as_deref().unwrap_or_default());
        // The key and its order are the source's; without one the order is the job's own.
        let sequence = record.key.as_ref().map_or(index as u32, |_| source_sequence);
        let id = RecordId::new(self.workload.worker, index);
        let key = record.key.as_deref();
        stamp::write(&mut self.value, id, sequence, &self.workload.topic, key, &headers);
        let headers: Vec<record_batch::Header<'_>> = record
            .headers
            .iter()
            .map(|(name, value)| record_batch::Header {
                key: name,
                value: Some(value.as_deref().unwrap_or_default()),
            })
            .collect();
        let round = self.workload.partition == PartitionChoice::RoundRobin;
        let made = Record {
            topic: self.topic,
            partition: round.then(|| (index % u64::from(self.workload.partitions)) as i32),
            key,
            value: Some(&self.value),
            headers: &headers,
            timestamp_ms: wall_ms(),
        };
        match self.driver.append(&made, index, now_ns) {
            Ok(()) => {
                self.transactions.took();
                Ok(())
            }
            // The transaction is aborted for it, and this record is copied again with the others.
            Err(error) => self.refused(index, code(error), now_ns),
        }
    }

    /// Ends the open transaction when it is time to: a commit takes the positions with it.
    fn step(&mut self, now_ns: u64) -> Result<(), WorkerError> {
        let failed = self.driver.transaction_state() == Some(TransactionState::AbortableError);
        let last = self.at_end && self.fetched.is_empty();
        let asked = match self
            .transactions
            .step(now_ns, self.driver.pending(), failed, last)
        {
            None => return Ok(()),
            Some(Ask::Abort) => self.driver.abort_transaction(),
            Some(Ask::Commit) => {
                let offsets: Vec<GroupOffset> = self
                    .reached
                    .iter()
                    .map(|(&partition, &offset)| GroupOffset {
                        topic: self.order.topic.clone(),
                        partition,
                        offset,
                    })
                    .collect();
                self.driver
                    .send_offsets_to_transaction(&self.order.group, &offsets)
                    .and_then(|()| self.driver.commit_transaction())
            }
        };
        asked.map_err(refusal)
    }

    /// Writes down outcomes, and goes on or back as transactions end.
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
            if completed.outcome == Outcome::Acked {
                let identity = (completion.producer_id, completion.producer_epoch);
                self.transactions.acked(completed.indexes, identity);
            } else {
                self.tally
                    .completed(completed.indexes, completed.outcome, completed.ack_ns);
            }
            let written = self.history.completed(&completed);
            written.map_err(|source| WorkerError::History {
                path: self.workload.history.clone(),
                source,
            })?;
        }
        while let Some(event) = self.driver.next_transaction_event() {
            let now_ns = monotonic_ns();
            let Some(ended) = self.transactions.ended(event, now_ns) else {
                continue;
            };
            let outcome = if ended.as_asked {
                Outcome::Acked
            } else {
                Outcome::Unknown
            };
            self.tally.completed(&ended.acked, outcome, now_ns);
            let written = self.history.transaction_ended(&ended.entry);
            written.map_err(|source| self.history_error(source))?;
            self.go_on(ended.entry.outcome, ended.as_asked, now_ns)?;
        }
        Ok(())
    }

    /// From here after a transaction: behind what it has committed, else from where it began.
    fn go_on(&mut self, outcome: TransactionOutcome, as_asked: bool, now_ns: u64) -> Result<(), WorkerError> {
        let reached = std::mem::take(&mut self.reached);
        if as_asked {
            self.failed = 0;
        } else {
            self.failed += 1;
            if self.failed == MAX_FAILED_IN_A_ROW {
                return Err(WorkerError::Source(format!(
                    "{MAX_FAILED_IN_A_ROW} transactions in a row could not be committed"
                )));
            }
        }
        match outcome {
            TransactionOutcome::Committed => {
                self.committed.extend(reached);
                self.moved_ns = now_ns;
                return Ok(());
            }
            TransactionOutcome::Aborted => {}
            // A producer that is done for asks nothing any more: whoever takes over will.
            TransactionOutcome::Unknown
                if self.driver.transaction_state() == Some(TransactionState::FatalError) =>
            {
                return Ok(());
            }
            TransactionOutcome::Unknown => {
                self.committed = self.source.committed_by(now_ns + READY_BOUND_NS)?;
            }
        }
        self.fetched.clear();
        self.at_end = false;
        self.source.seek(&self.committed);
        Ok(())
    }

    /// Writes down a record that never left this process.
    fn refused(&mut self, index: u64, error_code: i16, now_ns: u64) -> Result<(), WorkerError> {
        self.transactions.refused(error_code);
        self.tally.completed(&[index], Outcome::NotWritten, now_ns);
        let written = self.history.completed(&Completed {
            indexes: &[index],
            partition: -1,
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

    /// Until when it may take: a source that is never complete must not keep it for ever.
    fn deadline_ns(&self) -> u64 {
        let workload = self.workload;
        let from_ns = match workload.executor {
            Executor::Unlimited { .. } => self.moved_ns,
            _ => workload.start_ns + workload.warmup_ns + workload.duration_ns,
        };
        from_ns.saturating_add(workload.drain_ns)
    }

    /// Ends in order, whatever ended it: an outcome for everything, a finished history, the last line.
    fn end(
        mut self,
        result: Result<(), WorkerError>,
        out: &mut dyn Write,
        stop: &AtomicBool,
    ) -> Result<(), WorkerError> {
        if let Err(error @ WorkerError::History { .. }) = &result {
            // What the history does not know must not be sent: no further turn.
            // Nobody there to hear it is no further news.
            let _unheard = self.say(out, false, Some(error.to_string()));
            return result;
        }
        let patience = if stop.load(Ordering::Relaxed) {
            STOP_BOUND_NS
        } else {
            0
        };
        let closed = self
            .driver
            .close(monotonic_ns().saturating_add(patience))
            .map_err(WorkerError::Producer);
        // Only what became of it is still of interest, not where to go on.
        let booked = self.book();
        let path = self.workload.history.clone();
        let result = result.and(closed).and(booked);
        let last = self.progress(true, result.as_ref().err().map(ToString::to_string));
        let finished = self.history.finish();
        finished.map_err(|source| WorkerError::History { path, source })?;
        result.and(say(out, &last))
    }

    fn say(&mut self, out: &mut dyn Write, done: bool, note: Option<String>) -> Result<(), WorkerError> {
        say(out, &self.progress(done, note))
    }

    fn progress(&mut self, done: bool, note: Option<String>) -> Progress {
        let now_ns = monotonic_ns();
        let debt = self.due.by(now_ns).saturating_sub(self.source.read());
        self.tally.progress((now_ns, debt), done, note)
    }

    fn history_error(&self, source: std::io::Error) -> WorkerError {
        WorkerError::History {
            path: self.workload.history.clone(),
            source,
        }
    }
}

/// No copy is longer than this in a batch.
fn max_copy_bytes(workload: &Workload) -> usize {
    let headers = workload
        .headers
        .iter()
        .map(|header| header.name.len() + header.size as usize + HEADER_OVERHEAD);
    RECORD_OVERHEAD + KEY_BYTES + STAMP_BYTES + workload.record_size as usize + headers.sum::<usize>()
}
