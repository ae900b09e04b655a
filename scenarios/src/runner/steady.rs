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
    marks: VecDeque<(u64, u64)>,
}

impl<'a> SteadyState<'a> {
    /// Nothing is known yet; `folder` is the run's.
    pub(crate) fn new(scenario: &'a Scenario, span: Span, folder: &'a Path) -> SteadyState<'a> {
        SteadyState {
            scenario,
            span,
            folder,
            decided: false,
            marks: VecDeque::new(),
        }
    }

    /// True once warm-up is over and steady state stood; an error when it did not.
    pub(crate) fn holds(&mut self, now_ns: u64, progress: &Progress) -> Result<bool, RunError> {
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
