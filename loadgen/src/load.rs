//! Pure: the load of one worker incarnation, from the first due record to the last outcome. Takes `now` and how much the
//! producer has room for; says which records to hand over, when to wake next, and when it is over.
//!
//! ```text
//! woke(now) ──▶ take(now, room) ──▶ run of records, each with its own due time
//!    ▲              no room: they stay due (schedule debt), are never dropped, and keep their due time
//!    │
//! next_wake(room) ◀── completed(outcomes) ◀── producer
//!                                           is_over(now, pending): all is known, or drain_ns has passed; then give_up(now)
//! ```

use steadfast_verifier::history::{MAX_RECORDS_PER_ENTRY, Outcome, Withheld};
use steadfast_verifier::workload::{Progress, Workload};

use crate::live::Live;
use crate::schedule::{Schedule, ScheduleError};
use crate::waking::Waking;

/// Most records handed over in one go; after so many the producer may write and read.
pub const RUN_RECORDS: usize = 1_000;

/// Time between two progress lines, ns.
const PROGRESS_NS: u64 = 1_000_000_000;

/// See the module.
#[derive(Debug)]
pub struct Load {
    schedule: Schedule,
    waking: Waking,
    /// None for `unlimited`, whose latency means nothing.
    live: Option<Live>,
    intended: Vec<u64>,
    drain_ns: u64,
    /// For `unlimited`: when something was last handed over, since it has no end on the clock.
    moved_ns: u64,
    stopped: bool,
    progress_ns: u64,
    sent: u64,
    acked: u64,
    not_written: u64,
    unknown: u64,
}

impl Load {
    /// Nothing is handed over yet.
    pub fn new(workload: &Workload, waking: Waking) -> Result<Load, ScheduleError> {
        let schedule = Schedule::new(workload)?;
        let live =
            (!schedule.is_unlimited()).then(|| Live::new(workload.first_index, schedule.warmup_end_ns()));
        Ok(Load {
            waking,
            live,
            intended: Vec::with_capacity(RUN_RECORDS),
            drain_ns: workload.drain_ns,
            moved_ns: workload.start_ns,
            stopped: false,
            progress_ns: 0,
            sent: 0,
            acked: 0,
            not_written: 0,
            unknown: 0,
            schedule,
        })
    }

    /// The thread runs again. True when what is due is to be handed over now.
    pub fn woke(&mut self, now_ns: u64) -> bool {
        // `unlimited` keeps no grid: records are due whenever there is room.
        self.waking.woke(now_ns) || self.schedule.is_unlimited()
    }

    /// Takes the records to hand over now, as many as are due and `room` allows: index of the first and their due times.
    pub fn take(&mut self, now_ns: u64, room: usize) -> Option<(u64, &[u64])> {
        if self.stopped {
            return None;
        }
        let first = self
            .schedule
            .take_due(now_ns, room.min(RUN_RECORDS), &mut self.intended);
        if self.intended.is_empty() {
            return None;
        }
        self.waking.handed_over(now_ns);
        self.moved_ns = now_ns;
        self.sent += self.intended.len() as u64;
        if let Some(live) = &mut self.live {
            live.handed_over(&self.intended);
        }
        Some((first, &self.intended))
    }

    /// What became of records handed over.
    pub fn completed(&mut self, indexes: &[u64], outcome: Outcome, ack_ns: u64) {
        let count = indexes.len() as u64;
        match outcome {
            Outcome::Acked => self.acked += count,
            Outcome::NotWritten => self.not_written += count,
            Outcome::Unknown => self.unknown += count,
        }
        if let Some(live) = &mut self.live {
            live.completed(indexes, (outcome == Outcome::Acked).then_some(ack_ns));
        }
    }

    /// When to wake if nothing happens before; a moment already past means at once. `answer_owed`: the producer has
    /// records without an outcome, so that an answer will wake the thread.
    pub fn next_wake(&self, has_room: bool, answer_owed: bool) -> u64 {
        let due = if self.stopped {
            None
        } else {
            self.schedule.next_due()
        };
        let due = due.filter(|_| has_room);
        if let (Some(start), true) = (due, self.schedule.is_unlimited()) {
            return start;
        }
        let wake = self.waking.next_wake(due, answer_owed, self.progress_ns);
        // When draining, the bound of the wait is worth a wake too.
        wake.min(self.deadline_ns())
    }

    /// True when the load has ended: every outcome is known, or the time to wait for them is over.
    pub fn is_over(&self, now_ns: u64, pending: u64) -> bool {
        (self.all_taken() && (pending == 0 || self.stopped)) || now_ns >= self.deadline_ns()
    }

    /// True when no further record will be handed over.
    pub fn all_taken(&self) -> bool {
        self.stopped || self.schedule.next_due().is_none()
    }

    /// True for `unlimited`.
    pub fn is_unlimited(&self) -> bool {
        self.schedule.is_unlimited()
    }

    /// Records handed over so far.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Records handed over that have no outcome yet.
    pub fn owed(&self) -> u64 {
        self.sent
            .saturating_sub(self.acked + self.not_written + self.unknown)
    }

    /// True after [`Load::stop`].
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// No further record is handed over (SIGTERM, or a producer that failed for good).
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// The records that were due by now and will never be handed over.
    pub fn give_up(&mut self, now_ns: u64, had_room: bool) -> Withheld {
        let mut withheld = Withheld {
            first_index: 0,
            count: 0,
            first_due_ns: 0,
            last_due_ns: 0,
            had_room,
            at_ns: now_ns,
        };
        loop {
            let first = self
                .schedule
                .take_due(now_ns, MAX_RECORDS_PER_ENTRY, &mut self.intended);
            let (Some(&first_due), Some(&last_due)) = (self.intended.first(), self.intended.last()) else {
                return withheld;
            };
            if withheld.count == 0 {
                (withheld.first_index, withheld.first_due_ns) = (first, first_due);
            }
            withheld.last_due_ns = last_due;
            withheld.count += self.intended.len() as u64;
        }
    }

    /// True when a progress line is due; then the next one is due a second later.
    pub fn progress_due(&mut self, now_ns: u64) -> bool {
        let due = now_ns >= self.progress_ns;
        if due {
            // On a grid, except after a pause longer than it.
            self.progress_ns = (self.progress_ns + PROGRESS_NS).max(now_ns + PROGRESS_NS / 2);
        }
        due
    }

    /// How far the load is.
    pub fn progress(&mut self, now_ns: u64, generator_tid: u32) -> Progress {
        Progress {
            at_ns: now_ns,
            sent: self.sent,
            acked: self.acked,
            not_written: self.not_written,
            debt: if self.stopped {
                0
            } else {
                self.schedule.debt(now_ns)
            },
            p99_ns: self.live.as_ref().map_or(0, Live::p99_ns),
            generator_tid,
            done: false,
            note: None,
        }
    }

    /// Until when outcomes are waited for.
    fn deadline_ns(&self) -> u64 {
        let from = if self.schedule.is_unlimited() {
            self.moved_ns
        } else {
            self.schedule.end_ns()
        };
        from.saturating_add(self.drain_ns)
    }
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
