//! Pure: one load, from its first due record to its last outcome. As `load.rs` of the load generator, whose schedule and
//! wake-ups these are; what that one does for transactions is left out.
//!
//! ```text
//! woke(now) ─▶ take(now, room) ─▶ a run of records, each with its own due time
//!                 what finds no room stays due, is never dropped, and keeps its due time
//! next_wake(room) ◀─ completed(outcomes)          is_over(now): all is known, or drain_ns has passed; then give_up(now)
//! ```

use steadfast_loadgen::schedule::{Schedule, ScheduleError};
use steadfast_loadgen::waking::Waking;
use steadfast_verifier::history::{MAX_RECORDS_PER_ENTRY, Outcome, Withheld};
use steadfast_verifier::workload::{Progress, Workload};

use crate::live::Live;

/// Most records handed over in one go.
const RUN_RECORDS: usize = 1_000;
/// Time between two lines of progress, ns.
const PROGRESS_NS: u64 = 1_000_000_000;

/// See the module.
#[derive(Debug)]
pub struct Load {
    schedule: Schedule,
    waking: Waking,
    /// None for `unlimited`, whose latency means nothing.
    live: Option<Live>,
    intended: Vec<u64>,
    first_index: u64,
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
            first_index: workload.first_index,
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

    /// Records handed over that have no outcome yet.
    pub fn owed(&self) -> u64 {
        self.sent
            .saturating_sub(self.acked + self.not_written + self.unknown)
    }

    /// Index of the record that is handed over next.
    pub fn next_index(&self) -> u64 {
        self.first_index + self.sent
    }

    /// When to wake if nothing happens before; a moment already past means at once.
    pub fn next_wake(&self, has_room: bool) -> u64 {
        let due = if self.stopped {
            None
        } else {
            self.schedule.next_due().filter(|_| has_room)
        };
        if let (Some(start), true) = (due, self.schedule.is_unlimited()) {
            return start;
        }
        // Outcomes come by themselves: none of them is a wake of this thread's.
        let wake = self.waking.next_wake(due, false, self.progress_ns);
        wake.min(self.deadline_ns())
    }

    /// True when the load has ended: every outcome is known, or the time to wait for them is over.
    pub fn is_over(&self, now_ns: u64) -> bool {
        let all_taken = self.stopped || self.schedule.next_due().is_none();
        (all_taken && (self.owed() == 0 || self.stopped)) || now_ns >= self.deadline_ns()
    }

    /// True for `unlimited`.
    pub fn is_unlimited(&self) -> bool {
        self.schedule.is_unlimited()
    }

    /// True after [`Load::stop`].
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// No further record is handed over.
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

    /// True when a line of progress is due; then the next one is due a second later.
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
pub(crate) mod tests {
    use steadfast_loadgen::waking::WAKE_GAP_NS;
    use steadfast_verifier::workload::{Executor, Keys, PartitionChoice};

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    pub(crate) fn workload(executor: Executor) -> Workload {
        Workload {
            seed: 1,
            worker: 0,
            incarnation: 0,
            first_index: 7,
            bootstrap_servers: vec![],
            topic: "orders".into(),
            partitions: 6,
            partition: PartitionChoice::RoundRobin,
            executor,
            start_ns: 10 * SECOND,
            warmup_ns: 0,
            duration_ns: SECOND,
            drain_ns: 2 * SECOND,
            record_size: 100,
            keys: Keys::None,
            headers: vec![],
            transaction: None,
            copy: None,
            producer: Default::default(),
            history: "h".into(),
        }
    }

    fn load(executor: Executor) -> Load {
        Load::new(&workload(executor), Waking::new(WAKE_GAP_NS, 0)).expect("legal")
    }

    #[test]
    fn what_finds_no_room_stays_due_and_keeps_its_due_time() {
        let mut load = load(Executor::ConstantArrivalRate { rate: 1000.0 });
        let now = 10 * SECOND + 5_000_000;
        assert!(load.woke(now));
        let (first, due) = load.take(now, 4).expect("six are due");
        assert_eq!((first, due.len(), due[3]), (7, 4, 10 * SECOND + 3_000_000));
        assert_eq!(load.progress(now, 1).debt, 2);
        assert_eq!((load.owed(), load.next_index()), (4, 11));
        let (first, due) = load.take(now, 4).expect("two are left");
        assert_eq!((first, due), (11, &[10 * SECOND + 4_000_000, now][..]));
        assert!(load.take(now, 4).is_none());
        assert!(load.progress_due(now) && !load.progress_due(now));
        assert_eq!(load.next_wake(true), now + 1_000_000, "nothing is due before");
    }

    #[test]
    fn it_is_over_with_the_last_outcome_or_with_the_drain() {
        let mut load = load(Executor::ConstantArrivalRate { rate: 2.0 });
        let end = 11 * SECOND;
        load.take(end, 10).expect("all are due");
        assert!(!load.is_over(end) && load.is_over(end + 2 * SECOND));
        load.completed(&[7], Outcome::Unknown, end);
        assert!(!load.is_over(end));
        load.completed(&[8], Outcome::Acked, end);
        assert!(load.is_over(end));
        assert!(
            load.progress(end, 1).p99_ns > 400_000_000,
            "due half a second before"
        );
    }

    #[test]
    fn what_is_never_handed_over_is_told_and_a_stop_ends_all() {
        let mut load = load(Executor::Unlimited { records: 100_000 });
        let now = 12 * SECOND;
        assert!(load.woke(now));
        assert_eq!(load.next_wake(true), 10 * SECOND, "at once");
        let (_, due) = load.take(now, usize::MAX).expect("always due");
        assert_eq!((due.len(), due[0]), (RUN_RECORDS, now));
        load.stop();
        assert!(load.take(now, 1).is_none() && load.is_over(now));
        let withheld = load.give_up(now, true);
        assert_eq!((withheld.first_index, withheld.count), (1_007, 99_000));
    }
}
