//! Claims on delivery: anomalies against their limit. Pure.
//!
//! More anomalies than allowed is a fail, whatever else went wrong. Fewer is a pass only if the log is sealed, the
//! histories are whole and something was acknowledged; else nobody knows.

use super::findings::{Anomaly, Findings};
use super::harness::Causes;
use crate::expectations::{Claim, ClaimId};
use crate::verdict::{ClaimVerdict, Inconclusive, Outcome};

/// The anomalies of a claim that are checked, those first that its observed number is the sum of.
struct Checks {
    counted: Vec<Anomaly>,
    /// Part of what is counted, or not proven yet.
    beside: &'static [Anomaly],
}

/// The name in scenario files and verdict.json.
pub(super) fn name(id: ClaimId) -> &'static str {
    match id {
        ClaimId::Lost => "lost",
        ClaimId::Duplicated => "duplicated",
        ClaimId::ReorderedPerKey => "reordered-per-key",
        ClaimId::ReorderedInTime => "reordered-in-time",
        ClaimId::Corrupted => "corrupted",
    }
}

/// Every anomaly that was checked in this run.
pub(super) fn checked(split_keys: bool) -> impl Iterator<Item = Anomaly> {
    let all = [
        ClaimId::Lost,
        ClaimId::Duplicated,
        ClaimId::ReorderedPerKey,
        ClaimId::ReorderedInTime,
        ClaimId::Corrupted,
    ];
    all.into_iter().flat_map(move |id| {
        let checks = checks(id, split_keys);
        checks.counted.into_iter().chain(checks.beside.iter().copied())
    })
}

/// One claim; `split_keys` = O7 was checked, `acked` = records it speaks of.
pub(super) fn judge(
    claim: Claim,
    findings: &Findings,
    causes: &Causes,
    split_keys: bool,
    acked: u64,
) -> ClaimVerdict {
    let checks = checks(claim.id, split_keys);
    let observed = checks
        .counted
        .iter()
        .map(|&anomaly| findings.count(anomaly))
        .sum();
    let (verdict, reason) = if observed > claim.limit {
        (Outcome::Fail, None)
    } else if let Some(cause) = voiding(claim.id, causes) {
        (
            Outcome::Inconclusive,
            Some(format!("{}: {}", cause.id, cause.reason)),
        )
    } else if acked == 0 {
        (
            Outcome::Inconclusive,
            Some("nothing was acknowledged, so nothing could go wrong".to_owned()),
        )
    } else {
        (Outcome::Pass, None)
    };
    let ids = checks.counted.iter().chain(checks.beside);
    let mut checked: Vec<String> = ids.map(|anomaly| anomaly.id().to_owned()).collect();
    checked.sort();
    ClaimVerdict {
        id: name(claim.id).to_owned(),
        limit: claim.limit,
        observed,
        sample: acked,
        checked,
        verdict,
        reason,
    }
}

fn voiding(id: ClaimId, causes: &Causes) -> Option<&Inconclusive> {
    let clock = causes.clock.first().filter(|_| id == ClaimId::ReorderedInTime);
    causes.absence.first().or(clock)
}

fn checks(id: ClaimId, split_keys: bool) -> Checks {
    use Anomaly::{D1, D2, D3, I1, I2, I3, I4, L1, L2, L3, O1, O2, O3, O7};
    let (counted, beside): (Vec<Anomaly>, &'static [Anomaly]) = match id {
        ClaimId::Lost => (vec![L1], &[L2, L3]),
        ClaimId::Duplicated => (vec![D1, D2, D3], &[]),
        ClaimId::ReorderedPerKey if split_keys => (vec![O1, O2, O7], &[]),
        ClaimId::ReorderedPerKey => (vec![O1, O2], &[]),
        ClaimId::ReorderedInTime => (vec![O3], &[]),
        ClaimId::Corrupted => (vec![I1, I2, I3, I4], &[]),
    };
    Checks { counted, beside }
}
