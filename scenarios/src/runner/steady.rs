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

/// Records acknowledged at moments of warm-up.
#[derive(Debug)]
struct Marks {
    warmup_end_ns: u64,
    /// When, and how many by then.
    marks: VecDeque<(u64, u64)>,
}

impl Marks {
    /// Nothing is due before the start.
    fn new(span: Span) -> Marks {
        Marks {
            warmup_end_ns: span.warmup_end_ns,
            marks: VecDeque::from([(span.start_ns, 0)]),
        }
    }

    /// Lines before the start say nothing. One behind the end tells of another load, and counts only where it is all there is.
    fn add(&mut self, at_ns: u64, acked: u64) {
        let late = at_ns > self.warmup_end_ns && self.marks.len() > 1;
        if late || self.marks.back().is_some_and(|last| at_ns <= last.0) {
            return;
        }
        self.marks.push_back((at_ns, acked));
        let horizon = at_ns.saturating_sub(WINDOW.as_nanos() as u64);
        while self.marks.len() > 2 && self.marks[1].0 <= horizon {
            self.marks.pop_front();
        }
    }

    /// Records a second over the window, or since the start where that is later.
    fn rate(&self) -> Option<f64> {
        let (&(t0, acked0), &(t1, acked1)) = (self.marks.front()?, self.marks.back()?);
        (t1 > t0).then(|| acked1.saturating_sub(acked0) as f64 * 1e9 / (t1 - t0) as f64)
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
            marks: Marks::new(span),
        }
    }

    /// True once warm-up is over and steady state stood; an error when it did not.
    pub(crate) fn holds(&mut self, now_ns: u64, progress: &Progress) -> Result<bool, RunError> {
        if self.decided {
            return Ok(true);
        }
        self.marks.add(progress.at_ns, progress.acked);
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
        let (Some(rate), Some(seen)) = (self.scenario.warmup_rate(), self.marks.rate()) else {
            return Ok(());
        };
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

    fn marks(start_ms: u64, warmup_ms: u64) -> Marks {
        Marks::new(Span {
            start_ns: start_ms * MS,
            warmup_end_ns: (start_ms + warmup_ms) * MS,
            end_ns: None,
        })
    }

    /// One record a millisecond is acknowledged from 10 s on, nothing behind warm-up, and the worker speaks every second.
    #[test]
    fn a_rate_is_seen_wherever_the_lines_of_the_worker_fall() {
        for first_ms in [8_100, 8_950, 9_000, 9_050, 9_999] {
            for warmup_ms in [2_000, 4_000, 5_000, 30_000] {
                let mut marks = marks(10_000, warmup_ms);
                for at_ms in (first_ms..=10_000 + warmup_ms + 999).step_by(1_000) {
                    marks.add(at_ms * MS, at_ms.saturating_sub(10_000).min(warmup_ms));
                }
                let seen = marks.rate().unwrap();
                assert!((seen - 1_000.0).abs() < 1.0, "{first_ms} {warmup_ms}: {seen}");
            }
        }
    }

    #[test]
    fn only_the_end_of_warmup_counts_and_no_line_is_no_rate() {
        let mut marks = marks(0, 20_000);
        assert_eq!(marks.rate(), None);
        for second in 1..=20 {
            marks.add(second * 1_000 * MS, second.min(12) * 100);
        }
        assert_eq!(marks.rate(), Some(0.0), "it stopped 8 s ago");
    }

    #[test]
    fn a_warmup_shorter_than_a_line_is_seen_by_the_first_behind_it() {
        let mut marks = marks(0, 500);
        marks.add(1_000 * MS, 1_000);
        marks.add(2_000 * MS, 1_000);
        assert_eq!(marks.rate(), Some(1_000.0));
    }
}
