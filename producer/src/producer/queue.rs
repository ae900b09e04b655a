//! The way from any thread to the producer's: bounded in records and bytes, woken only when it sleeps.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::transactions::{Call, Reply};
use super::{ProducerRecord, SendError};
use crate::error::Fatal;
use crate::metrics::Metrics;
use crate::ticket::Slot;
use crate::wake::Waker;

/// Records that may wait between the callers and the accumulator.
pub(super) const MAX_QUEUED_RECORDS: usize = 16_384;

/// What the thread is asked to do.
pub(super) enum Command {
    Record(Box<Queued>),
    /// Settle this slot when everything taken before has its outcome.
    Flush(Arc<Slot>),
    /// Something about transactions, and who waits for the answer.
    Transaction(Call, Reply),
    /// Flush until then, and end.
    Close(u64),
}

/// A record on its way.
pub(super) struct Queued {
    pub(super) record: ProducerRecord,
    pub(super) bytes: usize,
    pub(super) slot: Arc<Slot>,
    /// When it was handed over: `max.block.ms` counts from here.
    pub(super) taken_ns: u64,
}

pub(super) struct Queue {
    state: Mutex<State>,
    room: Condvar,
    waker: Arc<Waker>,
    max_bytes: usize,
}

#[derive(Default)]
struct State {
    commands: VecDeque<Command>,
    /// Records and bytes handed over and not appended yet, also those that the thread has already fetched.
    records: usize,
    bytes: usize,
    closing: bool,
    fatal: Option<Fatal>,
    metrics: Metrics,
}

impl Queue {
    pub(super) fn new(max_bytes: usize, waker: Arc<Waker>) -> Queue {
        Queue {
            state: Mutex::default(),
            room: Condvar::new(),
            waker,
            max_bytes,
        }
    }

    /// Queues a command; one with bytes counts as a record and waits for room.
    pub(super) fn push(&self, command: Command, bytes: usize, wait_ns: u64) -> Result<(), SendError> {
        let mut state = self.lock();
        let full = |state: &mut State| {
            let crowded = state.records > 0 && state.bytes + bytes > self.max_bytes;
            bytes > 0 && !state.closing && (state.records >= MAX_QUEUED_RECORDS || crowded)
        };
        if wait_ns > 0 && full(&mut state) {
            let wait = self
                .room
                .wait_timeout_while(state, Duration::from_nanos(wait_ns), full);
            state = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
        if let Some(fatal) = &state.fatal {
            return Err(fatal.clone().into());
        }
        if state.closing {
            return Err(SendError::Closed);
        }
        if full(&mut state) {
            return Err(SendError::QueueFull);
        }
        state.closing = matches!(command, Command::Close(_));
        state.records += usize::from(bytes > 0);
        state.bytes += bytes;
        state.commands.push_back(command);
        drop(state);
        self.waker.wake();
        Ok(())
    }

    /// Moves what is queued to `commands`.
    pub(super) fn fetch(&self, commands: &mut VecDeque<Command>, metrics: Metrics) {
        let mut state = self.lock();
        commands.append(&mut state.commands);
        state.metrics = metrics;
    }

    /// Records left the queue: `records` of them with `bytes` in all.
    pub(super) fn left(&self, records: usize, bytes: usize) {
        if records > 0 {
            let mut state = self.lock();
            state.records -= records;
            state.bytes -= bytes;
            drop(state);
            self.room.notify_all();
        }
    }

    /// Nothing is taken any more.
    pub(super) fn end(&self, fatal: Option<Fatal>) {
        let mut state = self.lock();
        state.closing = true;
        state.fatal = fatal;
        drop(state);
        self.room.notify_all();
    }

    pub(super) fn fatal(&self) -> Option<Fatal> {
        self.lock().fatal.clone()
    }

    pub(super) fn metrics(&self) -> Metrics {
        self.lock().metrics
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
