//! Each claim and threshold as a row: its limit, what was observed, and how far apart the two are.

use steadfast_verifier::verdict::{ClaimVerdict, LimitVerdict, Outcome, ThresholdVerdict, Verdict};

use super::{Badge, badge, names};
use crate::number;
use crate::text::Limits;

/// One judged line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub badge: Badge,
    pub name: String,
    /// What it speaks of: a phase, or the anomalies that were looked for.
    pub scope: String,
    pub limit: String,
    pub observed: String,
    pub margin: String,
    /// How much of the limit was used, 0 to 100; none where that has no meaning.
    pub meter: Option<u8>,
    pub reason: Option<String>,
    pub outcome: Outcome,
}

/// All rows, delivery claims first.
pub(crate) fn rows(verdict: &Verdict, limits: Limits) -> Vec<Row> {
    let claims = verdict.claims.iter().flat_map(|claim| {
        let own = claim
            .limits
            .iter()
            .map(move |limit| of_limit(claim, limit, limits));
        std::iter::once(of_claim(claim, limits)).chain(own)
    });
    claims
        .chain(
            verdict
                .thresholds
                .iter()
                .map(|threshold| of_threshold(threshold, limits)),
        )
        .collect()
}

/// The rows that fit, broken ones before the others where some must be left out, and the number left out.
pub(super) fn bounded(verdict: &Verdict, limits: Limits) -> (Vec<Row>, usize) {
    let mut all = rows(verdict, limits);
    let more = all.len().saturating_sub(limits.rows);
    if more > 0 {
        all.sort_by_key(|row| std::cmp::Reverse(row.outcome));
        all.truncate(limits.rows);
    }
    (all, more)
}

fn of_claim(claim: &ClaimVerdict, limits: Limits) -> Row {
    Row {
        badge: badge(claim.verdict),
        name: limits.short(&names::claim(&claim.id)),
        scope: limits.short(&claim.checked.join(" ")),
        // What is asked stands in the rows below; here no more than whether all of it holds.
        limit: if claim.limits.is_empty() {
            number::count(claim.limit)
        } else {
            "all below".to_owned()
        },
        observed: if claim.limits.is_empty() {
            format!(
                "{} of {}",
                number::count(claim.observed),
                number::count(claim.sample)
            )
        } else {
            format!("{} broken", number::count(claim.observed))
        },
        margin: if claim.limits.is_empty() {
            claim_margin(claim)
        } else {
            String::new()
        },
        meter: None,
        reason: claim.reason.as_ref().map(|reason| limits.long(reason)),
        outcome: claim.verdict,
    }
}

/// One limit of `recovered`.
fn of_limit(claim: &ClaimVerdict, limit: &LimitVerdict, limits: Limits) -> Row {
    let figure = limit.observed_ns.map(|ns| ns as f64);
    let allowed = limit.limit_ns as f64;
    Row {
        badge: badge(limit.verdict),
        name: limits.short(&format!("{} {}", names::claim(&claim.id), limit.key)),
        scope: limits.short(&limit.what),
        limit: format!("≤ {}", number::with_unit(allowed, "ns")),
        observed: figure.map_or("–".to_owned(), |ns| number::beside_limit(ns, allowed, "ns")),
        margin: figure.map_or("not judged".to_owned(), |ns| apart(ns, allowed, true)),
        meter: figure.and_then(|ns| used(ns, allowed)),
        reason: None,
        outcome: limit.verdict,
    }
}

/// "None" out of n is not "never": the rule of three bounds the true rate (Hanley & Lippman-Hand, JAMA 1983).
fn claim_margin(claim: &ClaimVerdict) -> String {
    match (claim.verdict, claim.observed) {
        (Outcome::Inconclusive, _) => "not shown".to_owned(),
        (_, 0) if claim.sample >= 3 => {
            format!("true rate below 1 in {} (95 %)", number::count(claim.sample / 3))
        }
        (_, 0) => "too few records to say more".to_owned(),
        (_, n) if n > claim.limit => format!("{} too many", number::count(n - claim.limit)),
        (_, n) => format!("{} more allowed", number::count(claim.limit - n)),
    }
}

fn of_threshold(threshold: &ThresholdVerdict, limits: Limits) -> Row {
    let (limit, unit) = (threshold.limit, threshold.unit.as_str());
    let (sign, _) = comparison(&threshold.expression);
    let statistic = threshold
        .expression
        .split(['<', '>', '='])
        .next()
        .unwrap_or_default();
    let name = match statistic.trim() {
        "" | "rate" | "value" => threshold.metric.clone(),
        statistic => format!("{} {statistic}", threshold.metric),
    };
    Row {
        badge: badge(threshold.verdict),
        name: limits.short(&name),
        scope: limits.short(&threshold.phase),
        limit: format!("{sign} {}", number::with_unit(limit, unit))
            .trim()
            .to_owned(),
        observed: threshold
            .observed
            .map_or("–".to_owned(), |value| number::beside_limit(value, limit, unit)),
        margin: margin(threshold),
        meter: meter(threshold),
        reason: threshold.reason.as_ref().map(|reason| limits.long(reason)),
        outcome: threshold.verdict,
    }
}

/// The comparison in an expression such as `p(99)<1ms`, and whether smaller is better.
fn comparison(expression: &str) -> (&'static str, Option<bool>) {
    let known = [
        ("<=", "≤", Some(true)),
        (">=", "≥", Some(false)),
        ("==", "=", None),
        ("<", "<", Some(true)),
        (">", ">", Some(false)),
    ];
    let found = known.iter().find(|(text, _, _)| expression.contains(text));
    found.map_or(("", None), |(_, sign, smaller)| (sign, *smaller))
}

fn margin(threshold: &ThresholdVerdict) -> String {
    let Some(observed) = threshold.observed.filter(|value| value.is_finite()) else {
        return match threshold.verdict {
            // Records that were never acknowledged stand behind all others: the judge's reason says how many.
            Outcome::Pass | Outcome::Fail => "no end".to_owned(),
            Outcome::Inconclusive => "nothing to measure".to_owned(),
        };
    };
    let limit = threshold.limit;
    let (_, smaller_is_better) = comparison(&threshold.expression);
    let Some(smaller_is_better) = smaller_is_better.filter(|_| limit > 0.0) else {
        return String::new();
    };
    apart(observed, limit, smaller_is_better)
}

/// How far a figure is from its limit, in words.
fn apart(observed: f64, limit: f64, smaller_is_better: bool) -> String {
    let apart = (observed / limit - 1.0).abs() * 100.0;
    let share = number::plain(apart, if apart < 10.0 { 2 } else { 3 });
    match (observed < limit, observed > limit, smaller_is_better) {
        (true, _, true) => format!("{share} % below"),
        (true, _, false) => format!("{share} % short"),
        (_, true, false) => format!("{share} % above"),
        (_, true, true) if observed >= 2.0 * limit => {
            format!("{} × the limit", number::plain(observed / limit, 2))
        }
        (_, true, true) => format!("{share} % over"),
        _ => "on the limit".to_owned(),
    }
}

fn meter(threshold: &ThresholdVerdict) -> Option<u8> {
    let observed = threshold
        .observed
        .filter(|value| value.is_finite() && *value >= 0.0)?;
    used(observed, threshold.limit)
}

/// Per cent of the limit.
fn used(observed: f64, limit: f64) -> Option<u8> {
    (limit > 0.0).then(|| (observed / limit * 100.0).clamp(0.0, 100.0).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn limits_observations_and_margins_are_told_in_words() {
        let rows = rows(&fixture::pass().verdict, Limits::USUAL);
        let lost = &rows[0];
        assert_eq!((lost.name.as_str(), lost.limit.as_str()), ("lost", "0"));
        assert_eq!(lost.observed, "0 of 1,875,000");
        assert_eq!(lost.margin, "true rate below 1 in 625,000 (95 %)");
        let p99 = rows.iter().find(|row| row.name == "ack_latency p(99)").unwrap();
        assert_eq!((p99.limit.as_str(), p99.observed.as_str()), ("< 1 ms", "598 µs"));
        assert_eq!((p99.margin.as_str(), p99.meter), ("40.2 % below", Some(60)));
        let rate = rows.iter().find(|row| row.name == "achieved_rate").unwrap();
        assert_eq!(
            (rate.limit.as_str(), rate.margin.as_str()),
            ("≥ 25,000/s", "on the limit")
        );
    }

    #[test]
    fn each_limit_of_recovered_has_a_row_of_its_own() {
        let mut verdict = fixture::pass().verdict;
        verdict.claims = vec![fixture::recovered(Outcome::Fail)];
        verdict.thresholds.clear();
        let told: Vec<_> = rows(&verdict, Limits::USUAL)
            .into_iter()
            .map(|row| [row.name, row.limit, row.observed, row.margin].join(" | "))
            .collect();
        assert_eq!(
            told,
            [
                "recovered | all below | 1 broken | ",
                "recovered gap | ≤ 6 s | 3.12 s | 48 % below",
                "recovered within | ≤ 2 s | 2.4 s | 20 % over",
            ]
        );
    }

    #[test]
    fn a_broken_limit_says_by_how_much() {
        let threshold = |expression: &str, observed: f64, limit: f64| ThresholdVerdict {
            metric: "m".to_owned(),
            phase: "steady".to_owned(),
            expression: expression.to_owned(),
            observed: Some(observed),
            limit,
            unit: "ns".to_owned(),
            verdict: Outcome::Fail,
            reason: None,
        };
        assert_eq!(margin(&threshold("p(99)<1ms", 1.4e6, 1e6)), "40 % over");
        assert_eq!(margin(&threshold("p(99)<=1ms", 3.24e6, 1e6)), "3.2 × the limit");
        assert_eq!(margin(&threshold("rate>=100/s", 97.0, 100.0)), "3 % short");
        assert_eq!(margin(&threshold("rate==0", 0.5, 0.0)), "");
        assert_eq!(margin(&threshold("p(99)<1ms", f64::NAN, 1e6)), "no end");
    }

    #[test]
    fn what_is_broken_is_never_left_out_for_what_is_not() {
        let mut verdict = fixture::pass().verdict;
        let mut broken = verdict.thresholds[0].clone();
        broken.verdict = Outcome::Fail;
        verdict.thresholds = vec![verdict.thresholds[0].clone(); 200];
        verdict.thresholds.push(broken);
        let (kept, more) = bounded(&verdict, Limits::USUAL);
        assert_eq!((kept.len(), more), (60, verdict.claims.len() + 201 - 60));
        assert_eq!(kept[0].outcome, Outcome::Fail);
    }
}
