//! When each source record was due, by its index: the schedule of the worker that wrote the source. Pure.
//!
//! Indexes come nearly in order, and again from an earlier one after an abort: a window of due times is kept, and a
//! schedule is walked anew for what lies before it.

use std::collections::VecDeque;

use steadfast_verifier::workload::{Executor, Workload};

use crate::schedule::{Schedule, ScheduleError};

/// Due times kept: 32 MiB.
const WINDOW: usize = 4 << 20;
/// Due times made at a time.
const STEP: usize = 4_096;

/// See the module.
#[derive(Debug)]
pub(super) struct Due {
    fresh: Schedule,
    cursor: Schedule,
    base: u64,
    window: VecDeque<u64>,
    step: Vec<u64>,
    /// `unlimited`: records are due when they are handed over, and the index does not tell.
    untimed: bool,
}

impl Due {
    /// For the copy job that `workload` orders.
    pub(super) fn new(workload: &Workload) -> Result<Due, ScheduleError> {
        // The copy job's own order has the same schedule; only Poisson gaps depend on whose they are.
        let schedule = Schedule::new(&workload.of_source().unwrap_or_else(|| workload.clone()))?;
        Ok(Due {
            fresh: schedule.clone(),
            cursor: schedule,
            base: 0,
            window: VecDeque::new(),
            step: Vec::with_capacity(STEP),
            untimed: matches!(workload.executor, Executor::Unlimited { .. }),
        })
    }

    /// When the source record with this index was due, `u64::MAX` = whenever it comes; none when the schedule has no
    /// such record.
    pub(super) fn of(&mut self, index: u64) -> Option<u64> {
        if self.untimed {
            return Some(u64::MAX);
        }
        if index < self.base {
            self.cursor = self.fresh.clone();
            self.base = 0;
            self.window.clear();
        }
        while index >= self.base + self.window.len() as u64 {
            self.cursor.take_due(u64::MAX, STEP, &mut self.step);
            if self.step.is_empty() {
                return None;
            }
            self.window.extend(&self.step);
            let surplus = self.window.len().saturating_sub(WINDOW);
            self.window.drain(..surplus);
            self.base += surplus as u64;
        }
        self.window.get((index - self.base) as usize).copied()
    }

    /// How many source records are due by now.
    pub(super) fn by(&mut self, now_ns: u64) -> u64 {
        self.fresh.debt(now_ns)
    }
}

#[cfg(test)]
mod tests {
    use steadfast_verifier::workload::CopySource;

    use super::*;
    use crate::schedule::tests::workload;

    #[test]
    fn due_times_are_those_of_the_schedule_in_any_order() {
        let poisson = workload(Executor::Poisson { rate: 1_000.0 }, 0, 10_000_000_000);
        for mut order in [
            workload(
                Executor::ConstantArrivalRate { rate: 3_000.0 },
                1_000_000,
                2_000_000_000,
            ),
            poisson,
        ] {
            order.copy = Some(CopySource {
                topic: "source".into(),
                partitions: 3,
                group: "g".into(),
                complete: "complete".into(),
            });
            let mut schedule = Schedule::new(&order.of_source().unwrap()).unwrap();
            let mut all = Vec::new();
            schedule.take_due(u64::MAX, usize::MAX, &mut all);
            let mut due = Due::new(&order).unwrap();
            for index in [5, 4_999, 0, 17, 4_998] {
                assert_eq!(due.of(index), Some(all[index as usize]), "{index}");
            }
            assert_eq!(due.of(all.len() as u64), None);
        }
    }
}
