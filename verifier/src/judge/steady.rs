//! Steady state: probes on the last 5 s of warm-up, weighed as thresholds are.
//!
//! ```text
//! run goes on: history so far, samples so far ─▶ look ─▶ load ─┐
//! run is over: the whole folder ─▶ judge ─▶ load ──────────────┴▶ weigh ─▶ SteadyState
//! ```
//! The look comes at the end of warm-up or up to a second later, before any fault. What was due in the window and has
//! no outcome by then:
//! - due less than a second before the look: on its way. It counts as acknowledged at the look, the least latency it
//!   can still get, and for rates as in flight over the end of the window (as the final judgement counts it).
//! - older: as never acknowledged. So too a record that the worker has not even handed over by then, as far as the
//!   schedule tells: a client that blocks does not flatter its latency.

use std::ops::Range;
use std::path::Path;

use super::availability::Availability;
use super::figures;
use super::findings::Findings;
use super::folder;
use super::histories::{self, Books, Source};
use super::liveness::Debts;
use super::load::{Load, ON_ITS_WAY_NS, PhaseLoad};
use super::phases::{Cuts, Phases, Plan, WARMUP};
use super::sources;
use super::tables::Tables;
use super::thresholds::{self, Measured};
use super::usage::Usage;
use super::{JudgeError, SteadyState, Warmup};
use crate::expectations::{Comparison, Expectations, Metric, Statistic, Threshold};
use crate::verdict::{Outcome, ThresholdVerdict};

/// One look at a run that goes on.
pub(super) fn look(
    run_dir: &Path,
    expectations: &Expectations,
    warmup: Warmup,
) -> Result<SteadyState, JudgeError> {
    let usage = Usage::of(match folder::json_lines(&run_dir.join("samples.jsonl")) {
        // Probes on CPU and memory then have nothing to go by, which is no pass.
        Err(JudgeError::Missing { .. }) => Vec::new(),
        samples => samples?,
    });
    let plan = Plan {
        start_ns: warmup.start_ns,
        warmup_end_ns: warmup.end_ns,
        end_ns: warmup.looked_ns.max(warmup.end_ns),
    };
    let phases = Phases::of(&plan, &[]);
    let mut load = Load::new(Cuts::of(&phases), plan.start_ns..plan.end_ns);
    let mut availability = Availability::new();
    let mut books = Books {
        tables: &mut Tables::default(),
        load: Some(&mut load),
        availability: &mut availability,
        debts: &mut Debts::default(),
        findings: &mut Findings::default(),
    };
    let source = Source {
        dir: &run_dir.join("history"),
        looked_ns: Some(warmup.looked_ns),
        expected: &usage.workers(),
        plan,
    };
    let histories = sources::history_files(source.dir, true)?;
    let account = histories::read(histories, source, &mut books)?;
    if let Some(phase) = phases.named.iter().find(|phase| phase.name == WARMUP) {
        let said = load.phase(phase).due;
        if let Some((span, records)) = overdue(warmup, account.due_in_warmup, said) {
            load.never_handed_over(&span, records);
            availability.failed(u64::MAX, span.start);
        }
    }
    let stretches = availability.stretches();
    let probe = figures::measured(&phases.probe, &load, &stretches, &usage);
    Ok(weigh(expectations, &probe))
}

/// Records of warm-up that were due long before the look and of which the histories say nothing. They are the last
/// ones: records are handed over in the order they are due.
fn overdue(warmup: Warmup, due: u64, said: u64) -> Option<(Range<u64>, u64)> {
    let unsaid = due.checked_sub(said).filter(|&unsaid| unsaid > 0)?;
    let length_ns = warmup.end_ns.saturating_sub(warmup.start_ns);
    let since = |records: u64| (u128::from(length_ns) * u128::from(records) / u128::from(due)) as u64;
    let from = warmup.end_ns - since(unsaid);
    let to = warmup.end_ns.min(warmup.looked_ns.saturating_sub(ON_ITS_WAY_NS));
    let waited = to.checked_sub(from).filter(|&waited| waited > 0)?;
    let records = u128::from(unsaid) * u128::from(waited) / u128::from(warmup.end_ns - from);
    (records > 0).then_some((from..to, records as u64))
}

/// The probes, each against its limit; no warm-up gives no figure, and no figure is no pass.
pub(super) fn weigh(expectations: &Expectations, probe: &Measured<'_>) -> SteadyState {
    let given = &expectations.steady_state;
    let probes = if given.is_empty() && !probe.phase.spans.is_empty() {
        default_probes(&probe.load, expectations.unlimited)
    } else {
        given.clone()
    };
    let judge = |threshold: &Threshold| {
        let measured = (!probe.phase.spans.is_empty()).then_some(probe);
        let verdict = thresholds::judge(threshold, expectations.unlimited, measured);
        ThresholdVerdict {
            phase: probe.phase.name.clone(),
            ..verdict
        }
    };
    let probes: Vec<_> = probes.iter().map(judge).collect();
    SteadyState {
        held: probes.iter().all(|probe| probe.verdict == Outcome::Pass),
        probes,
    }
}

/// Share of the rate that counts as held at the end of warm-up. Whether a rate is held all through is the business of an
/// `achieved_rate` limit; this only keeps faults away from a system that never stood, not from one that has just been
/// collecting garbage.
const HELD: f64 = 0.9;

/// Without `[steady-state]`: nine tenths of what was due acknowledged, and none in error.
fn default_probes(load: &PhaseLoad, unlimited: bool) -> Vec<Threshold> {
    let rate = HELD * load.due as f64 * 1e9 / load.length_ns as f64;
    let probe = |metric, comparison, expression: String, limit| Threshold {
        metric,
        phase: None,
        expression,
        statistic: Statistic::Rate,
        comparison,
        limit,
    };
    let mut probes = vec![probe(
        Metric::RecordError,
        Comparison::LessOrEqual,
        "rate<=0".to_owned(),
        0.0,
    )];
    if !unlimited {
        let expression = format!("rate>={rate:.1}/s");
        probes.push(probe(
            Metric::AchievedRate,
            Comparison::GreaterOrEqual,
            expression,
            rate,
        ));
    }
    probes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_handed_over_is_overdue_after_a_second() {
        let s = 1_000_000_000;
        let warmup = Warmup {
            start_ns: 100 * s,
            end_ns: 110 * s,
            looked_ns: 110 * s,
        };
        assert_eq!(overdue(warmup, 1_000, 1_000), None);
        assert_eq!(
            overdue(warmup, 1_000, 1_001),
            None,
            "a schedule's bound is from below"
        );
        assert_eq!(overdue(warmup, 1_000, 900), None, "due in the last second");
        assert_eq!(
            overdue(warmup, 1_000, 700),
            Some((107 * s..109 * s, 200)),
            "of three seconds without a word the last one may still be spoken of"
        );
        let late = Warmup {
            looked_ns: 111 * s,
            ..warmup
        };
        assert_eq!(overdue(late, 1_000, 900), Some((109 * s..110 * s, 100)));
    }
}
