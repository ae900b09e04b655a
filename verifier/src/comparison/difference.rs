//! Two runs of one scenario, figure by figure: has the second become worse? Pure.
//!
//! One pair of runs shows little on a shared machine, and this says how little: beside each figure stands what its own
//! seconds vary by (a bootstrap over the seconds of the steady phase of both runs). A figure is worse only when even the
//! favourable end of that interval is beyond the tolerance. Seconds of one run resemble each other more than two runs do,
//! which is what the tolerance is for; `steadfast compare` shows more.

use serde::{Deserialize, Serialize};

use super::statistics;
use crate::measurements::Measurements;
use crate::verdict::{Outcome, Verdict};

/// The stretch that is compared.
const PHASE: &str = "steady";
/// Fewest seconds that an interval is formed of.
const MIN_SECONDS: usize = 5;

/// A run folder's two documents.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// `verdict.json`.
    pub verdict: &'a Verdict,
    /// `measurements.json`.
    pub measurements: &'a Measurements,
}

/// What became of the figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Fail: a claim broke or a figure became worse. Inconclusive: either run does not vouch for itself.
    pub verdict: Outcome,
    /// Scenario of both.
    pub scenario: String,
    /// A claim that held before and does not now, or a run that was not conclusive.
    pub notes: Vec<String>,
    /// By figure.
    pub rows: Vec<Row>,
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Which.
    pub figure: String,
    /// `ns`, `per_s`, `us`, `bytes`.
    pub unit: String,
    /// In the first run.
    pub before: f64,
    /// In the second.
    pub after: f64,
    /// After ÷ before.
    pub ratio: f64,
    /// 95 %, from the seconds of both runs; none where seconds do not tell.
    pub interval: Option<(f64, f64)>,
    /// It is worse beyond tolerance and interval. Without an interval it is shown, never judged.
    pub worse: bool,
}

/// Compares; the error says why the two cannot be.
pub fn difference(before: Run<'_>, after: Run<'_>, tolerance: f64) -> Result<Difference, String> {
    let (old, new) = (before.verdict, after.verdict);
    if old.scenario != new.scenario {
        return Err(format!(
            "the folders hold two scenarios, {} and {}; give two runs of one",
            old.scenario, new.scenario
        ));
    }
    let mut notes: Vec<String> = Vec::new();
    let mut verdict = Outcome::Pass;
    for (which, run) in [("first", old), ("second", new)] {
        if let Some(cause) = run.inconclusive.first() {
            verdict = verdict.max(Outcome::Inconclusive);
            notes.push(format!(
                "the {which} run does not vouch for itself: {}: {}",
                cause.id, cause.reason
            ));
        }
    }
    for claim in &new.claims {
        let held = old
            .claims
            .iter()
            .any(|was| was.id == claim.id && was.verdict == Outcome::Pass);
        if held && claim.verdict == Outcome::Fail {
            verdict = Outcome::Fail;
            notes.push(format!(
                "{} held and is broken: {} found, limit {}",
                claim.id, claim.observed, claim.limit
            ));
        }
    }
    let rows = rows(before, after, tolerance);
    if rows.is_empty() {
        verdict = verdict.max(Outcome::Inconclusive);
        notes.push("no figure of a steady phase is in both".to_owned());
    }
    if rows.iter().any(|row| row.worse) {
        verdict = Outcome::Fail;
    }
    Ok(Difference {
        verdict,
        scenario: new.scenario.clone(),
        notes,
        rows,
    })
}

fn rows(before: Run<'_>, after: Run<'_>, tolerance: f64) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut push =
        |figure: &str, unit: &str, values: (f64, f64), interval: Option<(f64, f64)>, more_is_better: bool| {
            let (was, is) = values;
            if !(was > 0.0 && is > 0.0) {
                return;
            }
            let worse = interval.is_some_and(|(low, high)| {
                if more_is_better {
                    high < 1.0 / (1.0 + tolerance)
                } else {
                    low > 1.0 + tolerance
                }
            });
            rows.push(Row {
                figure: figure.to_owned(),
                unit: unit.to_owned(),
                before: was,
                after: is,
                ratio: is / was,
                interval,
                worse,
            });
        };
    let (old, new) = (Steady::of(before), Steady::of(after));
    let between = |of: fn(&Steady) -> &Vec<f64>| {
        let (was, is) = (of(&old), of(&new));
        (was.len().min(is.len()) >= MIN_SECONDS)
            .then(|| statistics::ratio_interval(was, is))
            .flatten()
    };
    let ack = |run: Run<'_>| {
        run.verdict
            .latency_ns
            .get(PHASE)
            .map(|phase| phase.ack_latency)
            .unwrap_or_default()
    };
    let (was, is) = (ack(before), ack(after));
    push(
        "ack_latency p(50)",
        "ns",
        (was.p50 as f64, is.p50 as f64),
        between(|s| &s.p50),
        false,
    );
    push(
        "ack_latency p(99)",
        "ns",
        (was.p99 as f64, is.p99 as f64),
        between(|s| &s.p99),
        false,
    );
    push(
        "ack_latency p(99.9)",
        "ns",
        (was.p99_9 as f64, is.p99_9 as f64),
        None,
        false,
    );
    push(
        "acknowledged",
        "per_s",
        (old.mean_acked(), new.mean_acked()),
        between(|s| &s.acked),
        true,
    );
    let (was, is) = (&before.verdict.resources, &after.verdict.resources);
    let cpu = (was.client_cpu_us_per_record, is.client_cpu_us_per_record);
    push("client CPU per record", "us", cpu, between(|s| &s.client), false);
    let cpu = (was.broker_cpu_us_per_record, is.broker_cpu_us_per_record);
    push("broker CPU per record", "us", cpu, between(|s| &s.broker), false);
    let rss = (was.client_rss_peak_bytes as f64, is.client_rss_peak_bytes as f64);
    push("client memory, peak", "bytes", rss, None, false);
    rows
}

/// The seconds of the steady phase.
struct Steady {
    p50: Vec<f64>,
    p99: Vec<f64>,
    acked: Vec<f64>,
    client: Vec<f64>,
    broker: Vec<f64>,
}

impl Steady {
    fn of(run: Run<'_>) -> Steady {
        let spans: Vec<(i64, i64)> = run
            .measurements
            .phases
            .iter()
            .filter(|phase| phase.name == PHASE)
            .map(|phase| (phase.start_ns, phase.end_ns))
            .collect();
        let inside = |from: i64, to: i64| spans.iter().any(|(start, end)| *start <= from && to <= *end);
        const SECOND: i64 = 1_000_000_000;
        let points = run
            .measurements
            .series
            .iter()
            .filter(|point| inside(point.t_ns, point.t_ns + SECOND));
        let points: Vec<_> = points.collect();
        let latency = |of: fn(&crate::measurements::Point) -> Option<u64>| {
            points
                .iter()
                .filter_map(|point| of(point))
                .map(|ns| ns as f64)
                .collect()
        };
        let resources = run.measurements.resources.iter();
        let resources: Vec<_> = resources
            .filter(|point| inside(point.t_ns - SECOND, point.t_ns))
            .collect();
        let rate: f64 =
            points.iter().map(|point| point.acked as f64).sum::<f64>() / points.len().max(1) as f64;
        // % of a core over records a second is 10^4 µs a record.
        let per_record = |percent: f64| percent * 1e4 / rate.max(1.0);
        Steady {
            p50: latency(|point| point.p50_ns),
            p99: latency(|point| point.p99_ns),
            acked: points.iter().map(|point| point.acked as f64).collect(),
            client: resources
                .iter()
                .map(|point| per_record(point.client_cpu_percent))
                .collect(),
            broker: resources
                .iter()
                .map(|point| per_record(point.broker_cpu_percent))
                .collect(),
        }
    }

    fn mean_acked(&self) -> f64 {
        self.acked.iter().sum::<f64>() / self.acked.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests;
