//! Two runs of one scenario, figure by figure: has the second become worse? Pure.
//!
//! One pair of runs shows little on a shared machine, and this says how little: beside each figure stands what its own
//! seconds vary by (a bootstrap over the seconds of the steady phase of both runs). A figure is worse only when even the
//! favourable end of that interval is beyond the tolerance. Seconds of one run resemble each other more than two runs do,
//! which is what the tolerance is for; `steadfast compare` shows more.

use serde::{Deserialize, Serialize};

use super::statistics;
use crate::measurements::Measurements;
use crate::verdict::{Outcome, Percentiles, Verdict};

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
    let seconds = (Steady::of(before), Steady::of(after));
    let rows: Vec<Row> = FIGURES
        .iter()
        .filter_map(|figure| figure.row((before, after), (&seconds.0, &seconds.1), tolerance))
        .collect();
    if rows.is_empty() {
        verdict = verdict.max(Outcome::Inconclusive);
        notes.push("the first run has no figure of a steady phase".to_owned());
    }
    for row in rows.iter().filter(|row| row.after <= 0.0) {
        verdict = verdict.max(Outcome::Inconclusive);
        notes.push(format!(
            "{} was measured in the first run and not in the second",
            row.figure
        ));
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

/// What is compared.
struct Figure {
    name: &'static str,
    unit: &'static str,
    /// Of the whole run; 0 where it was not measured.
    of: fn(Run<'_>) -> f64,
    /// Second by second, where seconds tell.
    seconds: Option<fn(&Steady) -> &[f64]>,
    more_is_better: bool,
}

/// All of them, in the order of the table.
const FIGURES: [Figure; 7] = [
    less(
        "ack_latency p(50)",
        "ns",
        |run| ack(run).p50 as f64,
        Some(|s| &s.p50),
    ),
    less(
        "ack_latency p(99)",
        "ns",
        |run| ack(run).p99 as f64,
        Some(|s| &s.p99),
    ),
    less("ack_latency p(99.9)", "ns", |run| ack(run).p99_9 as f64, None),
    Figure {
        more_is_better: true,
        ..less(
            "acknowledged",
            "per_s",
            |run| mean(&Steady::of(run).acked),
            Some(|s| &s.acked),
        )
    },
    less(
        "client CPU per record",
        "us",
        |run| run.verdict.resources.client_cpu_us_per_record,
        Some(|s| &s.client),
    ),
    less(
        "broker CPU per record",
        "us",
        |run| run.verdict.resources.broker_cpu_us_per_record,
        Some(|s| &s.broker),
    ),
    less(
        "client memory, peak",
        "bytes",
        |run| run.verdict.resources.client_rss_peak_bytes as f64,
        None,
    ),
];

/// A figure of which less is better.
const fn less(
    name: &'static str,
    unit: &'static str,
    of: fn(Run<'_>) -> f64,
    seconds: Option<fn(&Steady) -> &[f64]>,
) -> Figure {
    Figure {
        name,
        unit,
        of,
        seconds,
        more_is_better: false,
    }
}

impl Figure {
    /// None when it was not measured in the first run.
    fn row(
        &self,
        (before, after): (Run<'_>, Run<'_>),
        (old, new): (&Steady, &Steady),
        tolerance: f64,
    ) -> Option<Row> {
        let (was, is) = ((self.of)(before), (self.of)(after));
        if was <= 0.0 {
            return None;
        }
        let seconds = self.seconds.map(|of| (of(old), of(new)));
        let interval = seconds
            .filter(|(was, is)| was.len().min(is.len()) >= MIN_SECONDS)
            .and_then(|(was, is)| statistics::ratio_interval(was, is));
        let worse = interval.is_some_and(|(low, high)| {
            if self.more_is_better {
                high < 1.0 / (1.0 + tolerance)
            } else {
                low > 1.0 + tolerance
            }
        });
        Some(Row {
            figure: self.name.to_owned(),
            unit: self.unit.to_owned(),
            before: was,
            after: is,
            ratio: is / was,
            interval,
            worse,
        })
    }
}

fn ack(run: Run<'_>) -> Percentiles {
    let phase = run.verdict.latency_ns.get(PHASE);
    phase.map(|phase| phase.ack_latency).unwrap_or_default()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
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
        let acked: Vec<f64> = points.iter().map(|point| point.acked as f64).collect();
        let rate = mean(&acked);
        // % of a core over records a second is 10^4 µs a record.
        let per_record = |percent: f64| percent * 1e4 / rate.max(1.0);
        Steady {
            p50: latency(|point| point.p50_ns),
            p99: latency(|point| point.p99_ns),
            acked,
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
}

#[cfg(test)]
mod tests;
