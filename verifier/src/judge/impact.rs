//! What each fault did to the load: outage, seconds that missed the limit, records that waited. Pure.
//!
//! ```text
//!            fault          healed                       next fault, or end of the load
//! ─────────────┤░░░░░░░░░░░░░░├──────────────────────────────┤
//!              ├─────────────────── the look ────────────────┤
//! acks ││││││││   ├ outage ┤│││││││││││││││││││││││││││││││││││
//! seconds  . . × × × × × . . . . . . .     × = missed its limit
//! ```
//! Figures for people. What counts is judged elsewhere: `recovered` by `liveness.rs`, thresholds by phase.

use std::collections::BTreeSet;
use std::ops::Range;

use super::availability;
use super::backlog::Backlogs;
use super::liveness;
use super::thresholds;
use crate::expectations::{Comparison, Expectations, Metric, Threshold};
use crate::measurements::{Backlog, Impact, LimitKept, Point};
use crate::timeline::Fault;

/// What is known of the load. Absolute times, but for the points.
pub(super) struct Seen<'a> {
    /// When it began and ended.
    pub(super) run: Range<u64>,
    /// Stretches without an acknowledgement while records were due.
    pub(super) stretches: &'a [Range<u64>],
    /// Second by second, from the begin of the run.
    pub(super) points: &'a [Point],
    /// Nanoseconds that a point stands for.
    pub(super) width_ns: u64,
    pub(super) backlogs: &'a Backlogs,
    /// The limit that recovery is held against, if there is one.
    pub(super) limit: Option<&'a Threshold>,
}

/// The limit on latency of the scenario: that of `recovered`, else the one for the time after the faults, for all, or for
/// the time before them. Seconds must be able to tell it.
pub(super) fn limit(expectations: &Expectations) -> Option<&Threshold> {
    let asked = expectations.recovery.as_ref();
    let asked = asked.and_then(|recovery| recovery.condition.as_ref());
    let tells = |limit: &&Threshold| {
        let upper = matches!(limit.comparison, Comparison::Less | Comparison::LessOrEqual);
        upper && limit.metric == Metric::AckLatency && liveness::figure(limit).is_some()
    };
    let of_phase = |phase: Option<&str>| {
        let mut all = expectations.thresholds.iter().filter(tells);
        all.find(|limit| limit.phase.as_deref() == phase)
    };
    asked
        .filter(tells)
        .or_else(|| of_phase(Some("after")))
        .or_else(|| of_phase(None))
        .or_else(|| of_phase(Some("steady")))
}

/// One for each fault, in their order.
pub(super) fn impacts(faults: &[Fault], seen: &Seen<'_>) -> Vec<Impact> {
    let one = |(i, fault): (usize, &Fault)| {
        let look = look(fault, faults, seen.run.end);
        let relative = |at_ns: u64| at_ns as i64 - seen.run.start as i64;
        let others = faults.iter().enumerate().filter(|(other, _)| *other != i);
        let beside: BTreeSet<&str> = others
            .filter(|(_, other)| {
                other.started_ns < look.end && other.healed_ns.unwrap_or(u64::MAX) > look.start
            })
            .map(|(_, other)| other.name.as_str())
            .collect();
        Impact {
            fault: fault.name.clone(),
            start_ns: relative(fault.started_ns),
            healed_ns: fault.healed_ns.map(relative),
            until_ns: relative(look.end),
            beside: beside.into_iter().map(str::to_owned).collect(),
            outage_ns: availability::longest(seen.stretches, std::slice::from_ref(&look)),
            limit: seen.limit.map(|limit| seen.kept(limit, &look)),
            backlog: seen.backlog(fault, &look),
        }
    };
    faults.iter().enumerate().map(one).collect()
}

/// From the begin of a fault to the begin of the first one after its heal.
fn look(fault: &Fault, faults: &[Fault], end_ns: u64) -> Range<u64> {
    let healed_ns = fault.healed_ns.unwrap_or(u64::MAX);
    let next = faults
        .iter()
        .map(|next| next.started_ns)
        .filter(|&started_ns| started_ns >= healed_ns && started_ns > fault.started_ns)
        .min();
    let end_ns = next.unwrap_or(end_ns).min(end_ns);
    fault.started_ns..end_ns.max(fault.started_ns)
}

impl Seen<'_> {
    /// The points that lie in the look, each with its span. One that the next fault cuts short belongs to that.
    fn within<'s>(&'s self, look: &'s Range<u64>) -> impl Iterator<Item = (Range<u64>, &'s Point)> + 's {
        let spans = self.points.iter().map(move |point| {
            let start = self.run.start.saturating_add_signed(point.t_ns);
            (start..start + self.width_ns, point)
        });
        let end_ns = if look.end < self.run.end {
            look.end
        } else {
            u64::MAX
        };
        spans.filter(move |(span, _)| span.end > look.start && span.start < look.end && span.end <= end_ns)
    }

    fn kept(&self, limit: &Threshold, look: &Range<u64>) -> LimitKept {
        let mut kept = LimitKept {
            expression: format!("{} {}", thresholds::name(limit.metric), limit.expression),
            missed: 0,
            missed_for_ns: 0,
            back: true,
        };
        let Some(figure) = liveness::figure(limit) else {
            return kept;
        };
        for (span, point) in self.within(look) {
            let met = figure(point).map(|ns| liveness::holds(limit, ns as f64));
            match met.unwrap_or(point.intended == 0) {
                true => kept.back |= point.intended > 0,
                false => {
                    kept.missed += 1;
                    kept.missed_for_ns = span.end - look.start;
                    kept.back = false;
                }
            }
        }
        kept
    }

    fn backlog(&self, fault: &Fault, look: &Range<u64>) -> Option<Backlog> {
        let most = self.within(look).filter_map(|(_, point)| point.waiting).max()?;
        let healed = fault.healed_ns.and_then(|healed_ns| self.backlogs.at(healed_ns));
        let drained_ns = |owed: super::backlog::Owed| match owed.last_ns {
            u64::MAX => None,
            last_ns => Some(last_ns.saturating_sub(owed.heal_ns)),
        };
        Some(Backlog {
            most,
            at_heal: healed.map(|owed| owed.records),
            drained_ns: healed.and_then(drained_ns),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::expectations::Statistic;

    const S: u64 = 1_000_000_000;
    const START: u64 = 100 * S;

    fn fault(name: &str, from_s: u64, to_s: Option<u64>) -> Fault {
        Fault {
            name: name.to_owned(),
            action: "kill".to_owned(),
            target: "broker-1".to_owned(),
            resolved: String::new(),
            started_ns: START + from_s * S,
            healed_ns: to_s.map(|to_s| START + to_s * S),
            evidence: BTreeMap::new(),
            failed: None,
        }
    }

    /// 30 s of load whose p99 is 9 ms in these seconds and 1 ms in all others.
    fn seen_with(slow: Range<i64>, look: impl FnOnce(&Seen<'_>)) {
        let point = |second: i64| Point {
            t_ns: second * S as i64,
            intended: 10,
            p99_ns: Some(if slow.contains(&second) {
                9_000_000
            } else {
                1_000_000
            }),
            waiting: Some(if slow.contains(&second) { 40 } else { 1 }),
            ..Point::default()
        };
        let points: Vec<Point> = (0..30).map(point).collect();
        let limit = Threshold {
            metric: Metric::AckLatency,
            phase: None,
            expression: "p(99)<5ms".to_owned(),
            statistic: Statistic::Percentile(99.0),
            comparison: Comparison::Less,
            limit: 5e6,
        };
        let mut backlogs = Backlogs::of([START + 15 * S].into_iter());
        backlogs.ended(START + 14 * S, START + 17 * S);
        look(&Seen {
            run: START..START + 30 * S,
            stretches: &[START + 9 * S..START + 13 * S, START + 28 * S..u64::MAX],
            points: &points,
            width_ns: S,
            backlogs: &backlogs,
            limit: Some(&limit),
        });
    }

    #[test]
    fn a_fault_is_told_by_outage_limit_and_backlog() {
        seen_with(10..14, |seen| {
            let told = &impacts(&[fault("kill", 10, Some(15))], seen)[0];
            assert_eq!(
                (told.start_ns, told.healed_ns),
                (10 * S as i64, Some(15 * S as i64))
            );
            assert_eq!(told.outage_ns, 3 * S, "only what lies in the look");
            let limit = told.limit.as_ref().unwrap();
            assert_eq!(
                (
                    limit.expression.as_str(),
                    limit.missed,
                    limit.missed_for_ns,
                    limit.back
                ),
                ("ack_latency p(99)<5ms", 4, 4 * S, true)
            );
            let backlog = told.backlog.as_ref().unwrap();
            assert_eq!(
                (backlog.most, backlog.at_heal, backlog.drained_ns),
                (40, Some(1), Some(2 * S))
            );
        });
    }

    #[test]
    fn the_look_ends_where_the_next_fault_begins() {
        seen_with(20..23, |seen| {
            let told = impacts(&[fault("kill", 10, Some(15)), fault("pause", 20, Some(21))], seen);
            assert_eq!(told[0].until_ns, 20 * S as i64);
            assert_eq!(told[0].limit.as_ref().unwrap().missed, 0);
            assert_eq!(told[0].backlog.as_ref().unwrap().most, 1);
            assert_eq!(told[1].limit.as_ref().unwrap().missed, 3);
            assert!(told.iter().all(|impact| impact.beside.is_empty()));
        });
    }

    #[test]
    fn faults_that_overlap_name_each_other() {
        seen_with(10..14, |seen| {
            let told = impacts(&[fault("kill", 10, Some(15)), fault("pause", 12, Some(20))], seen);
            assert_eq!(
                (told[0].beside.join(""), told[1].beside.join("")),
                ("pause".into(), "kill".into())
            );
            assert_eq!(told[0].until_ns, 30 * S as i64, "no fault begins after its heal");
        });
    }

    #[test]
    fn what_never_comes_back_is_not_called_back() {
        seen_with(12..30, |seen| {
            let told = &impacts(&[fault("kill", 10, None)], seen)[0];
            let limit = told.limit.as_ref().unwrap();
            assert!(!limit.back && limit.missed_for_ns == 20 * S);
            assert_eq!(told.backlog.as_ref().unwrap().at_heal, None);
        });
    }
}
