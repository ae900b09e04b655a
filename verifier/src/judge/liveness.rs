//! V1 to V4 and V6: whether the system went on, and came back. Pure.
//!
//! ```text
//!            fault             healed = begin of a healthy span
//! ────────────┤░░░░░░░░░░░░░░░░├──────────────────────────────────┤
//! acks │││││││                       │││││││││││││││││││││
//!             ├── V1: longer than gap? ─┤
//!                              ├─────┤ V2: longer than progress, within the span?
//! sent before ─────────────────┤ all have an outcome by healed + recovery?                  else V3
//! due before  ─────────────────┤ all were handed over by healed + backlog?                  else V6
//! ```
//! V4 is V2 for one partition: a record whose acknowledgement took longer than *progress* of a healthy span, or never
//! came. It counts once a span and partition; records without an outcome have none and count as one more. Only time
//! within healthy spans counts for V2 and V4: what a fault stops is the fault's.
//!
//! A limit that held says how close it came ([`Observed`]): a recovery time is what people run such a scenario for.

use std::collections::BTreeMap;
use std::ops::Range;

use super::findings::{Anomaly, Findings};
use super::phases::Plan;
use super::tables::{State, Stretch, Tables};
use crate::expectations::{Comparison, Metric, Recovery, Statistic, Threshold};
use crate::measurements::Point;
use crate::timeline::Fault;

/// Why V3 cannot be judged.
const NO_FIGURE: &str = "its condition is none on p(50), p(99) or max of ack_latency";
const TOO_SHORT: &str = "the load ended, or another fault began, before `within` had passed after a heal";

/// What is asked of liveness; what is none is not checked. CLOCK_MONOTONIC ns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Liveness {
    /// From the first record that counts to the last look.
    pub run: Range<u64>,
    /// Spans in which the declared core stood, in order. Each that begins later than the run begins with a heal.
    pub healthy: Vec<Range<u64>>,
    /// V1: the longest stretch without an acknowledgement while records were due.
    pub gap_ns: Option<u64>,
    /// V2, V4: the same within a healthy span, for all and for each partition and reader.
    pub progress_ns: Option<u64>,
    /// V3: after a heal, how long until all that was sent before it has an outcome.
    pub recovery_ns: Option<u64>,
    /// V6: after a heal, how long until all that was due before it is handed over.
    pub backlog_ns: Option<u64>,
}

impl Liveness {
    /// For a run with faults: healthy is every time after warm-up in which no fault stands. A fault that was never
    /// healed stands to the end. V2 and V4 allow as long as recovery does.
    pub(super) fn of(recovery: &Recovery, plan: &Plan, faults: &[Fault]) -> Liveness {
        let run = plan.warmup_end_ns..plan.end_ns.max(plan.warmup_end_ns);
        let mut healthy = Vec::new();
        let mut from = run.start;
        let mut broken: Vec<Range<u64>> = faults
            .iter()
            .map(|fault| fault.started_ns..fault.healed_ns.unwrap_or(u64::MAX))
            .collect();
        broken.sort_by_key(|span| span.start);
        for fault in broken {
            if fault.start > from {
                healthy.push(from..fault.start.min(run.end));
            }
            from = from.max(fault.end);
        }
        if from < run.end {
            healthy.push(from..run.end);
        }
        healthy.retain(|span| span.start < span.end);
        Liveness {
            run,
            healthy,
            gap_ns: recovery.gap_ns,
            progress_ns: recovery.within_ns,
            recovery_ns: recovery.within_ns.filter(|_| recovery.condition.is_none()),
            backlog_ns: recovery.backlog_ns,
        }
    }

    /// V3 with a condition: every second that begins later than `within_ns` after a heal must meet it. Gives when the last
    /// second that did not began, after the heal that took longest; or why the seconds cannot tell: they know p(50), p(99)
    /// and max of `ack_latency`.
    pub(super) fn find_unmet(
        &self,
        (condition, within_ns): (&Threshold, u64),
        (points, zero_ns): (&[Point], u64),
        findings: &mut Findings,
    ) -> Result<u64, &'static str> {
        let figure = figure(condition).ok_or(NO_FIGURE)?;
        let at = |point: &Point| zero_ns.saturating_add_signed(point.t_ns);
        let mut longest_ns = 0;
        for heal in self.heals() {
            let from = heal.start.saturating_add(within_ns);
            let of_heal = || {
                points
                    .iter()
                    .filter(|point| (heal.start..heal.end).contains(&at(point)))
            };
            if !of_heal().any(|point| at(point) >= from) {
                return Err(TOO_SHORT);
            }
            let unmet = |point: &&Point| match figure(point) {
                Some(ns) => !holds(condition, ns as f64),
                None => point.intended > 0,
            };
            if let Some(point) = of_heal().rfind(unmet) {
                longest_ns = longest_ns.max(at(point) - heal.start);
            }
            if let Some(point) = of_heal().filter(|point| at(point) >= from).find(unmet) {
                findings.add(Anomaly::V3, None, || {
                    let after_ns = at(point).saturating_sub(heal.start);
                    format!(
                        "{} did not hold {after_ns} ns after the heal at {}",
                        condition.expression, heal.start
                    )
                });
            }
        }
        Ok(longest_ns)
    }

    /// Why recovery cannot be judged, whatever was seen: nothing was healed, or the load ended too soon afterwards.
    pub(super) fn unjudged(&self) -> Option<&'static str> {
        if self.heals().next().is_none() {
            return Some("no fault was healed while the load ran");
        }
        let too_short = |span: &Range<u64>| {
            self.recovery_ns
                .is_some_and(|within_ns| span.end - span.start < within_ns)
        };
        self.heals().any(too_short).then_some(TOO_SHORT)
    }

    /// The longest part of a stretch within one healthy span, if that is longer than progress may take.
    pub(super) fn stood_ns(&self, stretch: Range<u64>) -> Option<u64> {
        let within = self.healthy.iter().map(|span| overlap(&stretch, span));
        let longest = within.max().unwrap_or(0);
        self.progress_ns
            .filter(|&progress_ns| longest > progress_ns)
            .map(|_| longest)
    }

    /// Healthy spans that begin with a heal.
    pub(super) fn heals(&self) -> impl Iterator<Item = &Range<u64>> {
        self.healthy.iter().filter(|span| span.start > self.run.start)
    }

    /// Per heal, the time by which all that was due before it must be handed over.
    pub(super) fn debts(&self) -> Debts {
        let backlog_ns = self.backlog_ns.unwrap_or(u64::MAX);
        let debt = |span: &Range<u64>| (span.start, span.start.saturating_add(backlog_ns));
        Debts {
            heals: self.heals().map(debt).filter(|&(_, by)| by < u64::MAX).collect(),
            ..Debts::default()
        }
    }

    /// Finds V1 to V4 and V6, once all histories are read.
    pub(super) fn find(
        &self,
        stretches: &[Range<u64>],
        debts: &Debts,
        tables: &Tables,
        findings: &mut Findings,
    ) -> Observed {
        let mut observed = Observed {
            backlog_ns: debts.longest_ns,
            ..Observed::default()
        };
        for stretch in stretches {
            let silent_ns = overlap(stretch, &self.run);
            observed.gap_ns = observed.gap_ns.max(silent_ns);
            if longer_than(self.gap_ns, silent_ns) {
                findings.add(Anomaly::V1, None, || {
                    format!("no acknowledgement for {silent_ns} ns from {} on", stretch.start)
                });
            }
            for span in &self.healthy {
                let silent_ns = overlap(stretch, span);
                observed.stood_ns = observed.stood_ns.max(silent_ns);
                if longer_than(self.progress_ns, silent_ns) {
                    findings.add(Anomaly::V2, None, || {
                        format!(
                            "no acknowledgement for {silent_ns} ns of the healthy span from {} on",
                            span.start
                        )
                    });
                }
            }
        }
        for (heal_ns, records) in &debts.late {
            findings.add(Anomaly::V6, None, || {
                format!("{records} records due before {heal_ns} were handed over too late after it")
            });
        }
        self.find_slow(tables, &mut observed, findings);
        observed
    }

    /// V3 and V4: over all records, per healthy span.
    fn find_slow(&self, tables: &Tables, observed: &mut Observed, findings: &mut Findings) {
        if self.progress_ns.is_none() && self.recovery_ns.is_none() {
            return;
        }
        let rows = || tables.stretches.iter().flat_map(Stretch::waiting);
        for span in &self.healthy {
            // By partition, the longest wait of a record in this span.
            let mut waits: BTreeMap<i32, u64> = BTreeMap::new();
            let mut late = 0_u64;
            for (row, left_ns) in rows() {
                let until_ns = match row.state() {
                    State::Acked => row.time_ns,
                    State::Open => left_ns,
                    State::NotWritten | State::Unknown => continue,
                };
                let waited_ns = overlap(&(row.handover_ns..until_ns), span);
                observed.stood_ns = observed.stood_ns.max(waited_ns);
                if row.handover_ns < span.start && span.start > self.run.start {
                    observed.recovered_ns = observed.recovered_ns.max(waited_ns);
                }
                if longer_than(self.progress_ns, waited_ns) {
                    let longest = waits.entry(row.partition).or_default();
                    *longest = waited_ns.max(*longest);
                }
                late += u64::from(row.handover_ns < span.start && longer_than(self.recovery_ns, waited_ns));
            }
            for (partition, waited_ns) in waits {
                findings.add(Anomaly::V4, None, || match partition {
                    ..0 => format!(
                        "records waited {waited_ns} ns from {} on and have no outcome",
                        span.start
                    ),
                    _ => format!(
                        "a record of partition {partition} waited {waited_ns} ns from {} on",
                        span.start
                    ),
                });
            }
            if late > 0 && span.start > self.run.start {
                findings.add(Anomaly::V3, None, || {
                    format!(
                        "{late} records sent before the heal at {} had no outcome in time after it",
                        span.start
                    )
                });
            }
        }
    }
}

/// How close liveness came to its limits, whether these held or not.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Observed {
    /// The longest stretch without an acknowledgement while records were due.
    pub(super) gap_ns: u64,
    /// The longest that all, or one record, stood within a healthy span.
    pub(super) stood_ns: u64,
    /// The longest that what was sent before a heal had no outcome after it, or that the condition was not met.
    pub(super) recovered_ns: u64,
    /// The longest that what was due before a heal was not handed over after it.
    pub(super) backlog_ns: u64,
}

/// V6 while histories are read: only then is it known when a record was due and when it was handed over.
#[derive(Debug, Default)]
pub(super) struct Debts {
    /// Heals, and by when debts are to be paid.
    heals: Vec<(u64, u64)>,
    /// By heal, records that were late.
    late: BTreeMap<u64, u64>,
    /// The longest debt after a heal.
    longest_ns: u64,
}

impl Debts {
    /// A record was due and handed over.
    pub(super) fn handed_over(&mut self, intended_ns: u64, handover_ns: u64) {
        for &(heal_ns, by_ns) in &self.heals {
            if intended_ns < heal_ns {
                self.longest_ns = self.longest_ns.max(handover_ns.saturating_sub(heal_ns));
                if handover_ns > by_ns {
                    *self.late.entry(heal_ns).or_default() += 1;
                }
            }
        }
    }
}

/// The figure of a second that a condition is about, if seconds know it.
pub(super) fn figure(condition: &Threshold) -> Option<fn(&Point) -> Option<u64>> {
    match (condition.metric, condition.statistic) {
        (Metric::AckLatency, Statistic::Max) => Some(|point| point.max_ns),
        (Metric::AckLatency, Statistic::Percentile(50.0)) => Some(|point| point.p50_ns),
        (Metric::AckLatency, Statistic::Percentile(99.0)) => Some(|point| point.p99_ns),
        _ => None,
    }
}

/// Whether a figure meets a condition.
pub(super) fn holds(condition: &Threshold, figure: f64) -> bool {
    match condition.comparison {
        Comparison::Less => figure < condition.limit,
        Comparison::LessOrEqual => figure <= condition.limit,
        Comparison::Greater => figure > condition.limit,
        Comparison::GreaterOrEqual => figure >= condition.limit,
        Comparison::Equal => figure == condition.limit,
    }
}

fn longer_than(limit: Option<u64>, ns: u64) -> bool {
    limit.is_some_and(|limit| ns > limit)
}

fn overlap(a: &Range<u64>, b: &Range<u64>) -> u64 {
    a.end.min(b.end).saturating_sub(a.start.max(b.start))
}
