//! The limits of `recovered` and how close a run came to each, as verdict.json tells them. Pure.

use super::findings::Anomaly::{self, V1, V2, V3, V4, V6};
use super::findings::Findings;
use super::liveness::Observed;
use super::thresholds;
use crate::expectations::Recovery;
use crate::verdict::{ClaimVerdict, LimitVerdict, Outcome};

/// One entry for each thing measured, in the order of the keys.
pub(super) fn limits(
    asked: &Recovery,
    claim: &ClaimVerdict,
    observed: Observed,
    findings: &Findings,
) -> Vec<LimitVerdict> {
    let limit = |key: &str, what: &str, (limit_ns, observed_ns): (Option<u64>, u64), ids: &[Anomaly]| {
        let limit_ns = limit_ns?;
        let judged = ids
            .iter()
            .all(|id| claim.checked.iter().any(|checked| checked == id.id()));
        let broken = ids.iter().any(|&id| findings.count(id) > 0);
        let verdict = match (judged, broken) {
            (true, _) if claim.verdict == Outcome::Inconclusive => Outcome::Inconclusive,
            (true, true) => Outcome::Fail,
            (true, false) => Outcome::Pass,
            (false, _) => Outcome::Inconclusive,
        };
        Some(LimitVerdict {
            key: key.to_owned(),
            what: what.to_owned(),
            limit_ns,
            observed_ns: judged.then_some(observed_ns),
            checked: ids.iter().map(|id| id.id().to_owned()).collect(),
            verdict,
        })
    };
    let recovered = match &asked.condition {
        Some(condition) => {
            let metric = thresholds::name(condition.metric);
            format!(
                "from a heal to the last second without {metric} {}",
                condition.expression
            )
        }
        None => "from a heal until all that was sent before has an outcome".to_owned(),
    };
    let all = [
        limit(
            "gap",
            "longest stretch without an acknowledgement",
            (asked.gap_ns, observed.gap_ns),
            &[V1],
        ),
        limit(
            "within",
            &recovered,
            (asked.within_ns, observed.recovered_ns),
            &[V3],
        ),
        limit(
            "within",
            "longest stand while no fault stood",
            (asked.within_ns, observed.stood_ns),
            &[V2, V4],
        ),
        limit(
            "backlog",
            "from a heal until all that was due before is sent",
            (asked.backlog_ns, observed.backlog_ns),
            &[V6],
        ),
    ];
    all.into_iter().flatten().collect()
}
