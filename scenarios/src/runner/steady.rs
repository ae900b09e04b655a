//! Steady state, looked at once, at the end of warm-up: a fault injected into a system that never stood proves nothing.
//!
//! Without a `[steady-state]` table: the rate was held over the last 5 s of warm-up and no record failed. With one, its
//! probes are measured on the same 5 s, from the history that the worker has written so far.

use std::collections::VecDeque;
use std::time::Duration;

use steadfast_verifier::workload::Progress;

use super::load::{Span, Stop};
use crate::scenario::Scenario;

/// How much of warm-up's end is looked at.
const WINDOW: Duration = Duration::from_secs(5);
/// Share of the intended rate that counts as held: a second's marks are taken when the worker speaks, not on the second.
const HELD: f64 = 0.9;

/// Decides once.
pub(crate) struct SteadyState<'a> {
    scenario: &'a Scenario,
    span: Span,
    decided: bool,
    marks: VecDeque<(u64, u64)>,
}

impl<'a> SteadyState<'a> {
    /// Nothing is known yet.
    pub(crate) fn new(scenario: &'a Scenario, span: Span) -> SteadyState<'a> {
        SteadyState {
            scenario,
            span,
            decided: false,
            marks: VecDeque::new(),
        }
    }

    /// True once warm-up is over and steady state stood; an error when it did not.
    pub(crate) fn holds(&mut self, now_ns: u64, progress: &Progress) -> Result<bool, Stop> {
        if self.decided {
            return Ok(true);
        }
        self.marks.push_back((now_ns, progress.acked));
        let horizon = now_ns
            .saturating_sub(WINDOW.as_nanos() as u64)
            .max(self.span.start_ns);
        while self.marks.len() > 2 && self.marks[1].0 <= horizon {
            self.marks.pop_front();
        }
        if now_ns < self.span.warmup_end_ns {
            return Ok(false);
        }
        self.decided = true;
        if self.span.warmup_end_ns == self.span.start_ns {
            return Ok(true);
        }
        self.rate_held()?;
        if progress.not_written > 0 {
            return Err(Stop::SteadyState(format!(
                "{} records were refused during warm-up",
                progress.not_written
            )));
        }
        Ok(true)
    }

    fn rate_held(&self) -> Result<(), Stop> {
        let (Some(rate), Some((t0, acked0)), Some((t1, acked1))) =
            (self.scenario.warmup_rate(), self.marks.front(), self.marks.back())
        else {
            return Ok(());
        };
        if t1 <= t0 {
            return Ok(());
        }
        let seen = (acked1 - acked0) as f64 * 1e9 / (t1 - t0) as f64;
        if seen < HELD * rate {
            return Err(Stop::SteadyState(format!(
                "{seen:.0} records/s were acknowledged at the end of warm-up, {rate:.0}/s were due; \
                 lower the rate or lengthen warmup"
            )));
        }
        Ok(())
    }
}
