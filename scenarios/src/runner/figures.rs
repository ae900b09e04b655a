//! What a run without faults measured between warm-up and end, in the few figures by which runs are compared.

use steadfast_verifier::comparison::Figures;
use steadfast_verifier::measurements::Measurements;
use steadfast_verifier::verdict::{Outcome, Percentiles, Verdict};

use super::Done;
use crate::scenario::Scenario;

/// What is compared is the stretch between warm-up and end.
const PHASE: &str = "steady";

/// None when nothing was acknowledged in the measured stretch.
pub(crate) fn figures(
    verdict: &Verdict,
    measurements: &Measurements,
    scenario: &Scenario,
) -> Option<Figures> {
    let phase = verdict.latency_ns.get(PHASE)?;
    let spans = measurements.phases.iter().filter(|span| span.name == PHASE);
    let length_ns: i64 = spans.map(|span| span.end_ns - span.start_ns).sum();
    let count = phase.ack_latency.count;
    if count == 0 || length_ns <= 0 {
        return None;
    }
    let ack = match scenario.duration() {
        Some(_) => phase.ack_latency,
        // Records without a due time have no latency that could be compared.
        None => Percentiles {
            count,
            ..Percentiles::default()
        },
    };
    Some(Figures {
        ack,
        lag_p99_ns: phase.schedule_lag.p99,
        rate: count as f64 * 1e9 / length_ns as f64,
        client_us: verdict.resources.client_cpu_us_per_record,
        broker_us: verdict.resources.broker_cpu_us_per_record,
        client_rss: verdict.resources.client_rss_peak_bytes,
    })
}

/// The worst of its delivery claims, and what there is to say.
pub(crate) fn delivery(done: &Done) -> (Outcome, Option<String>) {
    let verdict = &done.verdict;
    let worst = verdict.claims.iter().max_by_key(|claim| claim.verdict);
    let outcome = worst.map_or(Outcome::Inconclusive, |claim| claim.verdict);
    let found = worst.filter(|_| outcome != Outcome::Pass).map(|claim| {
        let reason = claim.reason.as_deref().unwrap_or_default();
        format!("{}: {} {reason}", claim.id, claim.observed)
    });
    let cause = verdict
        .inconclusive
        .first()
        .map(|cause| format!("{}: {}", cause.id, cause.reason));
    (outcome, found.or(cause))
}
