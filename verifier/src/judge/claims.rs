//! Claims: anomalies against their limit. Pure.
//!
//! More anomalies than allowed is a fail, whatever else went wrong. Fewer is a pass only if the log is sealed, the
//! histories are whole, something was acknowledged, and there was evidence to look at; else nobody knows.

use super::findings::{Anomaly, Findings};
use super::harness::Causes;
use crate::expectations::{Claim, ClaimId, Recovery};
use crate::verdict::{ClaimVerdict, Inconclusive, Outcome};

/// What a run had evidence for: no anomaly counts as checked that nothing could have shown.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Looked<'a> {
    /// Keys were to choose the partition.
    pub(super) split_keys: bool,
    pub(super) transactions: bool,
    /// There were readers during the run; some at read_committed.
    pub(super) readers: bool,
    pub(super) committed_readers: bool,
    /// Kafka's own tools were asked what they read.
    pub(super) witnessed: bool,
    /// It was a copy job, and its source was read.
    pub(super) copied: bool,
    pub(super) recovery: Option<&'a Recovery>,
    /// Why V3 cannot be judged.
    pub(super) unjudged: Option<&'static str>,
}

/// The anomalies of a claim that are checked.
#[derive(Debug, Default)]
struct Checks {
    /// Those that its observed number is the sum of.
    counted: Vec<Anomaly>,
    /// Part of what is counted, or not proven yet.
    beside: &'static [Anomaly],
}

/// All claims.
const ALL: [ClaimId; 8] = [
    ClaimId::Lost,
    ClaimId::Duplicated,
    ClaimId::ReorderedPerKey,
    ClaimId::ReorderedInTime,
    ClaimId::ReorderedForReaders,
    ClaimId::Torn,
    ClaimId::Corrupted,
    ClaimId::Recovered,
];

/// What verdict.json calls the agreement of witnesses.
const ORACLE: &str = "oracle";

/// The name in scenario files and verdict.json.
pub(super) fn name(id: ClaimId) -> &'static str {
    match id {
        ClaimId::Lost => "lost",
        ClaimId::Duplicated => "duplicated",
        ClaimId::ReorderedPerKey => "reordered-per-key",
        ClaimId::ReorderedInTime => "reordered-in-time",
        ClaimId::ReorderedForReaders => "reordered-for-readers",
        ClaimId::Torn => "torn",
        ClaimId::Corrupted => "corrupted",
        ClaimId::Recovered => "recovered",
    }
}

/// Every anomaly that was checked in this run.
pub(super) fn checked(looked: &Looked<'_>) -> impl Iterator<Item = Anomaly> {
    let claimed = ALL.into_iter().flat_map(move |id| {
        let checks = checks(id, looked);
        checks.counted.into_iter().chain(checks.beside.iter().copied())
    });
    claimed.chain(looked.witnessed.then_some(Anomaly::I6))
}

/// I6 always counts, where witnesses were asked: no file claims it, and no limit excuses it.
pub(super) fn oracle(findings: &Findings, causes: &Causes, acked: u64) -> ClaimVerdict {
    let observed = findings.count(Anomaly::I6);
    let void = causes.witnesses.first().or(causes.absence.first());
    let (verdict, reason) = match void {
        _ if observed > 0 => (Outcome::Fail, None),
        Some(cause) => (
            Outcome::Inconclusive,
            Some(format!("{}: {}", cause.id, cause.reason)),
        ),
        None => (Outcome::Pass, None),
    };
    ClaimVerdict {
        id: ORACLE.to_owned(),
        limit: 0,
        observed,
        sample: acked,
        checked: vec![Anomaly::I6.id().to_owned()],
        verdict,
        reason,
        limits: Vec::new(),
    }
}

/// One claim; `acked` = records it speaks of.
pub(super) fn judge(
    claim: Claim,
    findings: &Findings,
    causes: &Causes,
    looked: &Looked<'_>,
    acked: u64,
) -> ClaimVerdict {
    let checks = checks(claim.id, looked);
    let observed = checks
        .counted
        .iter()
        .map(|&anomaly| findings.count(anomaly))
        .sum();
    // Seconds in which the generator itself was kept from its work say nothing about latency, here as in any threshold.
    let timed = looked
        .recovery
        .is_some_and(|recovery| recovery.condition.is_some());
    let excuse = (claim.id == ClaimId::Recovered && timed)
        .then(|| causes.disturbed_after_faults())
        .flatten();
    let excused = excuse.as_ref().map_or(0, |_| findings.count(Anomaly::V3));
    let (verdict, reason) = if observed - excused > claim.limit {
        (Outcome::Fail, None)
    } else if let Some(why) = excuse.filter(|_| observed > claim.limit) {
        (Outcome::Inconclusive, Some(why))
    } else if let Some(cause) = voiding(claim.id, causes) {
        (
            Outcome::Inconclusive,
            Some(format!("{}: {}", cause.id, cause.reason)),
        )
    } else if let Some(why) = unshown(claim.id, &checks, looked) {
        (Outcome::Inconclusive, Some(why.to_owned()))
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
        limits: Vec::new(),
    }
}

/// The harness cause that voids a pass: stamps that cannot be compared, where the claim rests on them; for liveness also
/// records that were never sent.
fn voiding(id: ClaimId, causes: &Causes) -> Option<Inconclusive> {
    let timed = matches!(
        id,
        ClaimId::ReorderedInTime | ClaimId::ReorderedForReaders | ClaimId::Torn | ClaimId::Recovered
    );
    let clock = || causes.clock.first().filter(|_| timed);
    let unsent = || (id == ClaimId::Recovered).then(|| causes.not_sent()).flatten();
    let unread = || causes.readers.first().filter(|_| rests_on_readers(id));
    let known = causes.absence.first().or_else(clock).or_else(unread);
    known.cloned().or_else(unsent)
}

/// Claims that readers are asked for where there are any.
fn rests_on_readers(id: ClaimId) -> bool {
    match id {
        ClaimId::Lost
        | ClaimId::ReorderedPerKey
        | ClaimId::ReorderedForReaders
        | ClaimId::Torn
        | ClaimId::Corrupted
        | ClaimId::Recovered => true,
        ClaimId::Duplicated | ClaimId::ReorderedInTime => false,
    }
}

/// Why nothing could have shown the opposite.
fn unshown(id: ClaimId, checks: &Checks, looked: &Looked<'_>) -> Option<&'static str> {
    match id {
        ClaimId::ReorderedForReaders if checks.counted.is_empty() => Some("no reader watched the run"),
        ClaimId::Torn if checks.counted.is_empty() => Some("no transaction was used"),
        ClaimId::Recovered if checks.counted.is_empty() => Some("it asks for nothing"),
        ClaimId::Recovered => looked.unjudged,
        _ => None,
    }
}

fn checks(id: ClaimId, looked: &Looked<'_>) -> Checks {
    use Anomaly::*;
    let with = |counted: &[Anomaly], more: &[(bool, Anomaly)]| {
        let more = more
            .iter()
            .filter(|(there, _)| *there)
            .map(|&(_, anomaly)| anomaly);
        counted.iter().copied().chain(more).collect::<Vec<_>>()
    };
    let asked = |of: fn(&Recovery) -> bool| looked.recovery.is_some_and(of);
    let (counted, beside): (Vec<Anomaly>, &'static [Anomaly]) = match id {
        ClaimId::Lost => (with(&[L1, L4], &[(looked.readers, L6)]), &[L2, L3]),
        ClaimId::Duplicated => (with(&[D1, D2, D3], &[(looked.copied, D6)]), &[]),
        ClaimId::ReorderedPerKey => {
            let more = [(looked.readers, O4), (looked.split_keys, O7)];
            (with(&[O1, O2], &more), &[])
        }
        ClaimId::ReorderedInTime => (vec![O3], &[]),
        ClaimId::ReorderedForReaders => (with(&[], &[(looked.readers, O5)]), &[]),
        ClaimId::Torn if looked.transactions => {
            let more = [(looked.committed_readers, T2), (looked.copied, T6)];
            (with(&[T1, T3, T5, T7, T8], &more), &[T4])
        }
        // A copy job without transactions can still disagree with its position.
        ClaimId::Torn => (with(&[], &[(looked.copied, T6)]), &[]),
        ClaimId::Corrupted => (vec![I1, I2, I3, I4, I5], &[]),
        ClaimId::Recovered => {
            let within = asked(|recovery| recovery.within_ns.is_some());
            let more = [
                (asked(|recovery| recovery.gap_ns.is_some()), V1),
                (within, V2),
                (within && looked.unjudged.is_none(), V3),
                (within, V4),
                (asked(|recovery| recovery.backlog_ns.is_some()), V6),
            ];
            (with(&[], &more), &[])
        }
    };
    Checks { counted, beside }
}
