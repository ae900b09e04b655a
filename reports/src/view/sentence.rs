//! The verdict in one plain sentence: what was shown, what was broken, or why neither.

use steadfast_verifier::verdict::{ClaimVerdict, Outcome, ThresholdVerdict, Verdict};

use super::names;
use crate::number;
use crate::text::{Limits, plural};

/// How many broken things the sentence names before it says "and n more".
const NAMED: usize = 2;

/// The claim that speaks of time and not of records.
const RECOVERED: &str = "recovered";

/// The sentence. Its strings are not yet made visible: callers pass it through [`Limits`].
pub(crate) fn sentence(verdict: &Verdict) -> String {
    match verdict.verdict {
        Outcome::Pass => pass(verdict),
        Outcome::Fail => fail(verdict),
        Outcome::Inconclusive => inconclusive(verdict),
    }
}

fn pass(verdict: &Verdict) -> String {
    let clean: Vec<String> = verdict
        .claims
        .iter()
        .filter(|claim| claim.observed == 0 && claim.id != RECOVERED)
        .map(|claim| names::claim(&claim.id))
        .collect();
    let acked = plural(verdict.records.acked, "record");
    let records = match clean.as_slice() {
        [] => format!("{acked} acknowledged and every delivery claim held"),
        clean => format!("Of {acked} acknowledged none was {}", list(clean, "or")),
    };
    let records = match verdict.claims.iter().any(|claim| claim.id == RECOVERED) {
        true => format!("{records}, each fault was recovered from in time"),
        false => records,
    };
    match verdict.thresholds.len() {
        0 => format!("{records}."),
        1 => format!("{records}, and its threshold held."),
        n => format!("{records}, and all {n} thresholds held."),
    }
}

fn fail(verdict: &Verdict) -> String {
    let claims = verdict
        .claims
        .iter()
        .filter(|claim| claim.verdict == Outcome::Fail)
        .map(broken_claim);
    let thresholds = verdict
        .thresholds
        .iter()
        .filter(|t| t.verdict == Outcome::Fail)
        .map(broken_threshold);
    let broken: Vec<String> = claims.chain(thresholds).collect();
    if broken.is_empty() {
        return match verdict.anomalies.iter().find(|(_, count)| **count > 0) {
            Some((id, count)) => format!("{} of {id}: {}.", plural(*count, "case"), names::anomaly(id)),
            None => "The run failed.".to_owned(),
        };
    }
    let more = broken.len().saturating_sub(NAMED);
    let mut text = broken[..broken.len() - more].join("; ");
    if more > 0 {
        text.push_str(&format!("; and {more} more broken"));
    }
    text.push('.');
    text
}

fn broken_claim(claim: &ClaimVerdict) -> String {
    if claim.id == RECOVERED {
        let broken = claim.limits.iter().filter(|limit| limit.verdict == Outcome::Fail);
        let keys: Vec<String> = broken.map(|limit| limit.key.clone()).collect();
        return format!("not recovered as asked ({})", list(&keys, "and"));
    }
    let allowed = if claim.limit == 0 {
        String::new()
    } else {
        format!(" (allowed: {})", number::count(claim.limit))
    };
    format!(
        "{} {}{allowed}",
        plural(claim.observed, "record"),
        names::claim(&claim.id)
    )
}

fn broken_threshold(threshold: &ThresholdVerdict) -> String {
    let (limit, unit) = (threshold.limit, threshold.unit.as_str());
    let observed = threshold.observed.map_or("no end".to_owned(), |value| {
        number::beside_limit(value, limit, unit)
    });
    format!(
        "{} in {} missed {}: {observed}",
        threshold.metric, threshold.phase, threshold.expression
    )
}

fn inconclusive(verdict: &Verdict) -> String {
    let causes = verdict.inconclusive.iter().map(|cause| cause.reason.as_str());
    let reasons = verdict.claims.iter().filter_map(|claim| claim.reason.as_deref());
    let reasons = reasons.chain(
        verdict
            .thresholds
            .iter()
            .filter_map(|threshold| threshold.reason.as_deref()),
    );
    let mut all: Vec<&str> = causes.collect();
    if all.is_empty() {
        all = reasons.collect();
    }
    let Some(first) = all.first() else {
        return "Neither shown nor refuted.".to_owned();
    };
    // Bounded here, so that a long reason cannot hide how many more there are.
    let first = Limits::USUAL.long(first.trim_end_matches('.'));
    match all.len() - 1 {
        0 => format!("Neither shown nor refuted: {first}."),
        1 => format!("Neither shown nor refuted: {first}, and one more cause."),
        n => format!("Neither shown nor refuted: {first}, and {n} more causes."),
    }
}

/// `a, b or c`.
fn list(words: &[String], last: &str) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., end] => format!("{} {last} {end}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn the_sentence_says_what_was_shown_broken_or_left_open() {
        let pass = sentence(&fixture::pass().verdict);
        let wanted = "Of 1,875,000 records acknowledged none was lost, duplicated, reordered per key or corrupted, \
                      and all 4 thresholds held.";
        assert_eq!(pass, wanted);
        let fail = sentence(&fixture::fail().verdict);
        assert_eq!(fail, "3 records lost; 1 record duplicated; and 2 more broken.");
        let open = sentence(&fixture::inconclusive().verdict);
        assert!(open.starts_with("Neither shown nor refuted: "), "{open}");
        assert!(open.ends_with("and one more cause."), "{open}");
    }

    #[test]
    fn recovery_is_told_as_time_and_not_as_records() {
        let mut verdict = fixture::pass().verdict;
        verdict.claims.push(fixture::recovered(Outcome::Pass));
        let pass = sentence(&verdict);
        assert!(
            pass.contains("reordered per key or corrupted, each fault was recovered from in time,"),
            "{pass}"
        );
        verdict.verdict = Outcome::Fail;
        verdict.claims.pop();
        verdict.claims.push(fixture::recovered(Outcome::Fail));
        assert_eq!(sentence(&verdict), "not recovered as asked (within).");
    }

    #[test]
    fn a_failure_without_a_claim_names_its_anomaly() {
        let mut verdict = fixture::pass().verdict;
        verdict.verdict = Outcome::Fail;
        verdict.anomalies.insert("I5".to_owned(), 2);
        assert_eq!(
            sentence(&verdict),
            "2 cases of I5: offset or leader epoch went back."
        );
    }
}
