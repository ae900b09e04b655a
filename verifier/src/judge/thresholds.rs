//! Thresholds and steady-state probes: a figure against its limit. Pure.
//!
//! A phase in which nothing was due or sampled gives no figure, and no figure is no pass. Records that were never
//! acknowledged have no latency, so they stand behind all others: a percentile that falls among them has no end.

use super::load::PhaseLoad;
use super::phases::{Phase, STEADY};
use super::usage::Rss;
use crate::expectations::{Comparison, Metric, Statistic, Threshold};
use crate::verdict::{Outcome, ThresholdVerdict};

/// All that was measured in one phase.
#[derive(Debug)]
pub(super) struct Measured<'a> {
    pub(super) phase: &'a Phase,
    pub(super) load: PhaseLoad,
    /// Longest stretch without an acknowledgement while records were due.
    pub(super) unavailable_ns: u64,
    pub(super) client_cpu: Option<f64>,
    pub(super) broker_cpu: Option<f64>,
    pub(super) client_rss: Option<Rss>,
    pub(super) broker_rss: Option<Rss>,
}

/// What a harness cause can void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rests {
    /// On intended and acknowledged times.
    Latency,
    /// On the rate that was offered, or on CPU.
    RateOrCpu,
    /// On neither.
    Neither,
}

/// What a metric rests on.
pub(super) fn rests(metric: Metric) -> Rests {
    match metric {
        Metric::AckLatency
        | Metric::ServiceTime
        | Metric::ScheduleLag
        | Metric::VisibleLatency
        | Metric::Unavailability => Rests::Latency,
        Metric::AchievedRate
        | Metric::ClientCpu
        | Metric::BrokerCpu
        | Metric::ClientCpuPerRecord
        | Metric::BrokerCpuPerRecord => Rests::RateOrCpu,
        Metric::RecordError | Metric::ClientRss | Metric::BrokerRss => Rests::Neither,
    }
}

/// The phase that a threshold speaks of.
pub(super) fn phase_name(threshold: &Threshold) -> &str {
    let default = match threshold.metric {
        Metric::ClientCpu
        | Metric::BrokerCpu
        | Metric::ClientCpuPerRecord
        | Metric::BrokerCpuPerRecord
        | Metric::ClientRss
        | Metric::BrokerRss => STEADY,
        _ => super::phases::ALL,
    };
    threshold.phase.as_deref().unwrap_or(default)
}

/// The verdict before any harness cause; `measured` is none when the run had no such phase.
pub(super) fn judge(
    threshold: &Threshold,
    unlimited: bool,
    measured: Option<&Measured<'_>>,
) -> ThresholdVerdict {
    let (observed, verdict, reason) = match measured {
        None => (
            None,
            Outcome::Inconclusive,
            Some("the run had no such phase".to_owned()),
        ),
        Some(_) if unlimited && rests(threshold.metric) == Rests::Latency => {
            let reason =
                "the load took whatever the producer gave (executor unlimited): latency is not judged";
            (None, Outcome::Inconclusive, Some(reason.to_owned()))
        }
        Some(measured) => weigh(threshold, measured),
    };
    ThresholdVerdict {
        metric: name(threshold.metric).to_owned(),
        phase: phase_name(threshold).to_owned(),
        expression: threshold.expression.clone(),
        observed,
        limit: threshold.limit,
        unit: unit(threshold.metric).to_owned(),
        verdict,
        reason,
    }
}

fn weigh(threshold: &Threshold, measured: &Measured<'_>) -> (Option<f64>, Outcome, Option<String>) {
    match figure(threshold, measured) {
        Figure::Value(observed) => {
            let plainly = holds(threshold.comparison, observed, threshold.limit);
            let with_flight = allowed(threshold, &measured.load, observed);
            let passes = plainly || holds(threshold.comparison, with_flight, threshold.limit);
            let allowance = || {
                let records = measured.load.in_flight;
                format!("counting {records} records in flight at the ends of the phase, and one")
            };
            (
                Some(observed),
                if passes { Outcome::Pass } else { Outcome::Fail },
                (passes && !plainly).then(allowance),
            )
        }
        Figure::Endless { unacked } => {
            let load = &measured.load;
            let reason = match threshold.metric {
                Metric::VisibleLatency => format!(
                    "{unacked} of {} times a reader never saw a record due in the phase: the figure has no end",
                    load.to_be_seen
                ),
                _ => format!(
                    "{unacked} of {} records due in the phase were never acknowledged: the figure has no end",
                    load.due
                ),
            };
            let upper = matches!(
                threshold.comparison,
                Comparison::Less | Comparison::LessOrEqual | Comparison::Equal
            );
            (
                None,
                if upper { Outcome::Fail } else { Outcome::Pass },
                Some(reason),
            )
        }
        Figure::Nothing(reason) => (None, Outcome::Inconclusive, Some(reason.to_owned())),
    }
}

enum Figure {
    Value(f64),
    /// The figure falls among records that were never acknowledged.
    Endless {
        unacked: u64,
    },
    Nothing(&'static str),
}

fn figure(threshold: &Threshold, measured: &Measured<'_>) -> Figure {
    let load = &measured.load;
    if load.due == 0
        && !matches!(
            threshold.metric,
            Metric::ClientCpu | Metric::BrokerCpu | Metric::ClientRss | Metric::BrokerRss
        )
    {
        return Figure::Nothing("no record was due in this phase");
    }
    let seconds = load.length_ns as f64 / 1e9;
    let sampled = |value: Option<f64>| {
        value.map_or(
            Figure::Nothing("the samples do not cover this phase"),
            Figure::Value,
        )
    };
    let per_record = |cpu: Option<f64>| match cpu {
        Some(_) if load.acked == 0 => Figure::Nothing("no record was acknowledged in this phase"),
        Some(percent) => Figure::Value(percent / 100.0 * load.length_ns as f64 / load.acked as f64),
        None => sampled(None),
    };
    match threshold.metric {
        Metric::AckLatency => latency(threshold.statistic, &load.ack_latency, load.due),
        Metric::ServiceTime => latency(threshold.statistic, &load.service_time, load.due),
        Metric::ScheduleLag => latency(threshold.statistic, &load.schedule_lag, load.due),
        Metric::VisibleLatency if load.to_be_seen == 0 => Figure::Nothing("no reader watched the run"),
        Metric::VisibleLatency => latency(threshold.statistic, &load.visible_latency, load.to_be_seen),
        Metric::AchievedRate => Figure::Value(load.acked as f64 / seconds),
        Metric::RecordError => {
            Figure::Value((load.due - load.due_and_acked.min(load.due)) as f64 / load.due as f64)
        }
        Metric::Unavailability => Figure::Value(measured.unavailable_ns as f64),
        Metric::ClientCpu => sampled(measured.client_cpu),
        Metric::BrokerCpu => sampled(measured.broker_cpu),
        Metric::ClientCpuPerRecord => per_record(measured.client_cpu),
        Metric::BrokerCpuPerRecord => per_record(measured.broker_cpu),
        Metric::ClientRss => sampled(measured.client_rss.map(|rss| memory(threshold.statistic, rss))),
        Metric::BrokerRss => sampled(measured.broker_rss.map(|rss| memory(threshold.statistic, rss))),
    }
}

fn latency(statistic: Statistic, histogram: &hdrhistogram::Histogram<u64>, due: u64) -> Figure {
    let unacked = due.saturating_sub(histogram.len());
    let at_quantile = |quantile: f64| {
        let rank = (quantile * due as f64).ceil().max(1.0);
        if rank > histogram.len() as f64 {
            return Figure::Endless { unacked };
        }
        Figure::Value(histogram.value_at_quantile((rank / histogram.len() as f64).min(1.0)) as f64)
    };
    match statistic {
        Statistic::Percentile(percentile) => at_quantile(percentile / 100.0),
        Statistic::Max | Statistic::Avg if unacked > 0 => Figure::Endless { unacked },
        Statistic::Max => Figure::Value(histogram.max() as f64),
        Statistic::Avg => Figure::Value(histogram.mean()),
        Statistic::Min if histogram.is_empty() => Figure::Endless { unacked },
        Statistic::Min => Figure::Value(histogram.min() as f64),
        Statistic::Rate | Statistic::Value => Figure::Nothing("a latency has percentiles, avg, min and max"),
    }
}

fn memory(statistic: Statistic, rss: Rss) -> f64 {
    match statistic {
        Statistic::Avg => rss.mean,
        Statistic::Min => rss.min as f64,
        Statistic::Percentile(_) | Statistic::Max | Statistic::Rate | Statistic::Value => rss.max as f64,
    }
}

/// The value at the limit's best: a rate may count or leave out what was in flight at the two ends of the phase, and one
/// record, since a half-open stretch of a regular schedule holds one more or less.
fn allowed(threshold: &Threshold, load: &PhaseLoad, observed: f64) -> f64 {
    if threshold.metric != Metric::AchievedRate {
        return observed;
    }
    let slack = (load.in_flight + 1) as f64 * 1e9 / load.length_ns as f64;
    match threshold.comparison {
        Comparison::Greater | Comparison::GreaterOrEqual => observed + slack,
        Comparison::Less | Comparison::LessOrEqual => (observed - slack).max(0.0),
        // Equal to the limit within the slack.
        Comparison::Equal if (observed - threshold.limit).abs() <= slack => threshold.limit,
        Comparison::Equal => observed,
    }
}

#[expect(clippy::float_cmp, reason = "`==` in a scenario means equal")]
fn holds(comparison: Comparison, value: f64, limit: f64) -> bool {
    match comparison {
        Comparison::Less => value < limit,
        Comparison::LessOrEqual => value <= limit,
        Comparison::Greater => value > limit,
        Comparison::GreaterOrEqual => value >= limit,
        Comparison::Equal => value == limit,
    }
}

/// The name in scenario files and verdict.json.
pub(super) fn name(metric: Metric) -> &'static str {
    match metric {
        Metric::AckLatency => "ack_latency",
        Metric::ServiceTime => "service_time",
        Metric::ScheduleLag => "schedule_lag",
        Metric::VisibleLatency => "visible_latency",
        Metric::AchievedRate => "achieved_rate",
        Metric::RecordError => "record_error",
        Metric::Unavailability => "unavailability",
        Metric::ClientCpu => "client_cpu",
        Metric::BrokerCpu => "broker_cpu",
        Metric::ClientCpuPerRecord => "client_cpu_per_record",
        Metric::BrokerCpuPerRecord => "broker_cpu_per_record",
        Metric::ClientRss => "client_rss",
        Metric::BrokerRss => "broker_rss",
    }
}

fn unit(metric: Metric) -> &'static str {
    match metric {
        Metric::AckLatency
        | Metric::ServiceTime
        | Metric::ScheduleLag
        | Metric::VisibleLatency
        | Metric::Unavailability
        | Metric::ClientCpuPerRecord
        | Metric::BrokerCpuPerRecord => "ns",
        Metric::AchievedRate => "per_s",
        Metric::RecordError => "ratio",
        Metric::ClientCpu | Metric::BrokerCpu => "percent",
        Metric::ClientRss | Metric::BrokerRss => "bytes",
    }
}
