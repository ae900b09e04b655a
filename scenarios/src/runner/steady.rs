//! Steady state, looked at once, at the end of warm-up: a fault injected into a system that never stood proves nothing.
//!
//! Without a `[steady-state]` table: the rate was held over the last 5 s of warm-up and no record failed, as far as the
//! worker's progress lines tell, which costs nothing. With one, the judge measures its probes on the same 5 s, from the
//! history that the worker has written so far. Either way before the nemesis starts: exit 4 means that nothing was
//! injected.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use steadfast_verifier::environment::Environment;
use steadfast_verifier::judge::{self, Warmup};
use steadfast_verifier::verdict::{Outcome, ThresholdVerdict};
use steadfast_verifier::workload::Progress;

use super::RunError;
use super::files::read_json;
use super::judging::expectations;
use super::load::Span;
use super::summary::figure;
use crate::scenario::Scenario;

/// How much of warm-up's end is looked at.
const WINDOW: Duration = Duration::from_secs(5);
/// Share of the intended rate that counts as held: a second's marks are taken when the worker speaks, not on the second.
const HELD: f64 = 0.9;

/// Decides once.
pub(crate) struct SteadyState<'a> {
    scenario: &'a Scenario,
    span: Span,
    folder: &'a Path,
    decided: bool,
    marks: Marks,
}

/// How far the load was at moments of warm-up.
#[derive(Debug)]
struct Marks(VecDeque<Mark>);

#[derive(Debug, Clone, Copy)]
struct Mark {
    at_ns: u64,
    /// Records due by then, and those of them that were acknowledged.
    due: u64,
    acked: u64,
}

impl Marks {
    /// Nothing is due before the start.
    fn new(start_ns: u64) -> Marks {
        Marks(VecDeque::from([Mark {
            at_ns: start_ns,
            due: 0,
            acked: 0,
        }]))
    }

    /// Lines before the start say nothing.
    fn add(&mut self, mark: Mark) {
        if self.0.back().is_some_and(|last| last.at_ns < mark.at_ns) {
            self.0.push_back(mark);
        }
        let horizon = mark.at_ns.saturating_sub(WINDOW.as_nanos() as u64);
        while self.0.len() > 2 && self.0[1].at_ns <= horizon {
            self.0.pop_front();
        }
    }

    /// Records acknowledged and due a second, over the window, or since the start where that is later.
    fn rates(&self) -> Option<(f64, f64)> {
        let (first, last) = (self.0.front()?, self.0.back()?);
        let seconds = last.at_ns.checked_sub(first.at_ns).filter(|&ns| ns > 0)? as f64 / 1e9;
        let a_second = |from: u64, to: u64| to.saturating_sub(from) as f64 / seconds;
        Some((a_second(first.acked, last.acked), a_second(first.due, last.due)))
    }
}

impl<'a> SteadyState<'a> {
    /// Nothing is known yet; `folder` is the run's.
    pub(crate) fn new(scenario: &'a Scenario, span: Span, folder: &'a Path) -> SteadyState<'a> {
        SteadyState {
            scenario,
            span,
            folder,
            decided: false,
            marks: Marks::new(span.start_ns),
        }
    }

    /// True once warm-up is over and steady state stood; an error when it did not.
    pub(crate) fn holds(&mut self, now_ns: u64, progress: &Progress) -> Result<bool, RunError> {
        if self.decided {
            return Ok(true);
        }
        self.marks.add(Mark {
            at_ns: progress.at_ns,
            due: progress.sent + progress.debt,
            acked: progress.acked,
        });
        if now_ns < self.span.warmup_end_ns {
            return Ok(false);
        }
        self.decided = true;
        if !self.scenario.steady_state.is_empty() {
            return self.probes_hold(now_ns).map(|()| true);
        }
        if self.span.warmup_end_ns == self.span.start_ns {
            return Ok(true);
        }
        self.rate_held()?;
        if progress.not_written > 0 {
            return Err(RunError::SteadyState(format!(
                "{} records were refused during warm-up",
                progress.not_written
            )));
        }
        Ok(true)
    }

    /// The probes of `[steady-state]`, by the judge.
    fn probes_hold(&self, now_ns: u64) -> Result<(), RunError> {
        let environment: Environment = read_json(self.folder, "environment.json")?;
        let expectations = expectations(self.scenario, &environment);
        let warmup = Warmup {
            start_ns: self.span.start_ns,
            end_ns: self.span.warmup_end_ns,
            looked_ns: now_ns,
        };
        let state = judge::steady_state(self.folder, &expectations, warmup)
            .map_err(|error| RunError::Tool(format!("cannot measure the steady state: {error}")))?;
        if state.held {
            return Ok(());
        }
        let missed = state.probes.iter().filter(|probe| probe.verdict != Outcome::Pass);
        let missed: Vec<String> = missed.map(in_words).collect();
        Err(RunError::SteadyState(format!(
            "{} over the end of warm-up; nothing was injected",
            missed.join("; ")
        )))
    }

    fn rate_held(&self) -> Result<(), RunError> {
        let (Some(rate), Some((seen, due))) = (self.scenario.warmup_rate(), self.marks.rates()) else {
            return Ok(());
        };
        // The last line may come up to a second after warm-up, when less is due. And a copy job hands over more than is due
        // where it copies again.
        let rate = rate.min(due);
        if seen < HELD * rate {
            return Err(RunError::SteadyState(format!(
                "{seen:.0} records/s were acknowledged at the end of warm-up, {rate:.0}/s were due; \
                 lower the rate or lengthen warmup"
            )));
        }
        Ok(())
    }
}

/// `ack_latency p(99)<1ms: 3.20 ms`, or why there is no figure.
fn in_words(probe: &ThresholdVerdict) -> String {
    let observed = probe.observed.map(|value| figure(value, &probe.unit));
    let said = observed.or_else(|| probe.reason.clone());
    format!(
        "{} {}: {}",
        probe.metric,
        probe.expression,
        said.as_deref().unwrap_or("nothing measured")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn mark(at_ms: u64, due: u64, acked: u64) -> Mark {
        let at_ns = at_ms * MS;
        Mark { at_ns, due, acked }
    }

    /// The rates that a worker shows which acknowledges one record a millisecond from 10 s on, and speaks every second.
    fn rates(first_ms: u64, until_ms: u64) -> (f64, f64) {
        let mut marks = Marks::new(10_000 * MS);
        for at_ms in (first_ms..=until_ms).step_by(1_000) {
            let done = at_ms.saturating_sub(10_000);
            marks.add(mark(at_ms, done, done));
        }
        marks.rates().unwrap()
    }

    #[test]
    fn a_rate_is_seen_wherever_the_lines_of_the_worker_fall() {
        for first_ms in [8_100, 8_950, 9_000, 9_050, 9_999] {
            for warmup_ms in [2_000, 4_000, 5_000, 30_000] {
                let (seen, due) = rates(first_ms, 10_000 + warmup_ms + 999);
                let near = (seen - 1_000.0).abs() < 1.0 && (due - 1_000.0).abs() < 1.0;
                assert!(near, "{first_ms} {warmup_ms}: {seen} {due}");
            }
        }
    }

    #[test]
    fn only_the_end_of_warmup_counts_and_no_line_is_no_rate() {
        let mut marks = Marks::new(0);
        assert_eq!(marks.rates(), None);
        for second in 1..=20 {
            marks.add(mark(second * 1_000, second * 100, second.min(12) * 100));
        }
        assert_eq!(marks.rates(), Some((0.0, 100.0)), "it stopped 8 s ago");
    }

    #[test]
    fn less_is_due_where_the_last_line_comes_behind_the_end_of_warmup() {
        let mut marks = Marks::new(0);
        for second in 1..=10_u64 {
            let at_ms = second * 1_000 + 600;
            let due = at_ms.min(10_000) * 20 + at_ms.saturating_sub(10_000);
            marks.add(mark(at_ms, due, due));
        }
        let (seen, due) = marks.rates().unwrap();
        assert!(seen < 18_000.0 && (seen - due).abs() < 1.0, "{seen} {due}");
    }
}
