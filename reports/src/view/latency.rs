//! Latency in figures: the tiles at the top and the table of percentiles per phase.

use steadfast_verifier::measurements::Measurements;
use steadfast_verifier::verdict::{Outcome, Percentiles, Verdict};

use super::{duration, rates};
use crate::folder::Folder;
use crate::number;
use crate::text::{Limits, plural};

/// One figure that is read from afar.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tile {
    pub label: String,
    pub value: String,
    pub note: String,
    /// `pass`, `fail`, `unknown` or empty.
    pub class: &'static str,
}

/// One phase and metric of the table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PhaseRow {
    pub phase: String,
    pub metric: &'static str,
    /// p50, p90, p99, p99.9, p99.99, max.
    pub values: Vec<String>,
    pub count: String,
    /// True for the first line of its phase.
    pub opens: bool,
}

/// The phase whose latency stands first: `steady`, else `after`, else the fullest after warm-up.
pub(crate) fn headline_phase(verdict: &Verdict) -> String {
    let measured = |name: &str| {
        verdict
            .latency_ns
            .get(name)
            .map_or(0, |phase| phase.ack_latency.count)
    };
    if let Some(calm) = ["steady", "after"].into_iter().find(|name| measured(name) > 0) {
        return calm.to_owned();
    }
    let others = verdict.latency_ns.keys().filter(|name| name.as_str() != "warmup");
    others
        .max_by_key(|name| measured(name))
        .cloned()
        .unwrap_or_else(|| "steady".to_owned())
}

pub(super) fn tiles(folder: &Folder, phase: &str) -> Vec<Tile> {
    let verdict = &folder.verdict;
    let latency = verdict
        .latency_ns
        .get(phase)
        .map(|phase| phase.ack_latency)
        .unwrap_or_default();
    let of_latency = |label: &str, ns| Tile {
        label: label.to_owned(),
        value: duration(ns, latency.count),
        note: format!("ack latency, {}", Limits::TIGHT.short(phase)),
        class: "",
    };
    let mut tiles = vec![delivery(verdict)];
    tiles.push(of_latency("p50", latency.p50));
    tiles.push(of_latency("p99", latency.p99));
    tiles.push(of_latency("p99.9", latency.p99_9));
    if let Some(rate) = rate_within(folder, phase) {
        let note = format!("achieved, {}", Limits::TIGHT.short(phase));
        tiles.push(Tile {
            label: "rate".to_owned(),
            value: number::with_unit(rate, "per_s"),
            note,
            class: "",
        });
    }
    let cpu = verdict.resources.client_cpu_us_per_record;
    if cpu > 0.0 {
        let value = number::nanoseconds(cpu * 1000.0);
        tiles.push(Tile {
            label: "client CPU".to_owned(),
            value,
            note: "per record".to_owned(),
            class: "",
        });
    }
    tiles
}

/// The sum of what the delivery claims found; `?` where nothing was found and that proves nothing.
pub(crate) fn delivery(verdict: &Verdict) -> Tile {
    let delivery = || verdict.claims.iter().filter(|claim| claim.limits.is_empty());
    let found: u64 = delivery().map(|claim| claim.observed).sum();
    let worst = delivery().map(|claim| claim.verdict).max();
    let (value, class) = match worst {
        None => ("–".to_owned(), ""),
        Some(Outcome::Inconclusive) if found == 0 => ("?".to_owned(), "unknown"),
        Some(Outcome::Pass) => (number::count(found), "pass"),
        Some(_) => (number::count(found), "fail"),
    };
    let sample = delivery().map(|claim| claim.sample).max().unwrap_or(0);
    let note = match worst {
        None => "nothing claimed".to_owned(),
        Some(Outcome::Inconclusive) if found == 0 => "not shown".to_owned(),
        Some(_) => format!("in {}", plural(sample, "record")),
    };
    Tile {
        label: "anomalies".to_owned(),
        value,
        note,
        class,
    }
}

/// Acknowledged records a second in `phase`: as judged where the scenario asks for it, else over the points of the
/// series that lie inside.
fn rate_within(folder: &Folder, phase: &str) -> Option<f64> {
    let mut judged = folder.verdict.thresholds.iter();
    let judged = judged.find(|threshold| threshold.metric == "achieved_rate" && threshold.phase == phase);
    if let Some(rate) = judged.and_then(|threshold| threshold.observed) {
        return Some(rate);
    }
    let Measurements { phases, series, .. } = &folder.measurements;
    let width_ns = rates::width_ns(series);
    let inside = |begin: i64| {
        let end = begin.saturating_add(width_ns);
        phases
            .iter()
            .any(|span| span.name == phase && span.start_ns <= begin && end <= span.end_ns)
    };
    let acked: Vec<u64> = series
        .iter()
        .filter(|point| inside(point.t_ns))
        .map(|point| point.acked)
        .collect();
    let seconds = acked.len() as f64 * width_ns as f64 / 1e9;
    (!acked.is_empty()).then(|| acked.iter().sum::<u64>() as f64 / seconds)
}

/// Phases in the order they began, the metrics of each.
pub(super) fn phases(folder: &Folder, limits: Limits) -> (Vec<PhaseRow>, usize) {
    let began = |name: &str| {
        folder
            .measurements
            .phases
            .iter()
            .position(|phase| phase.name == name)
    };
    let latencies = &folder.verdict.latency_ns;
    // Without faults the steady phase is all there is after warm-up: said once is enough.
    let steady = latencies.get("steady").map(|steady| steady.ack_latency.count);
    let twice = |name: &str, count| name == "all" && steady == Some(count);
    let shown = latencies
        .iter()
        .filter(|(name, latency)| !twice(name, latency.ack_latency.count));
    let mut all: Vec<_> = shown.collect();
    all.sort_by_key(|(name, _)| began(name).unwrap_or(usize::MAX));
    let (kept, more) = limits.rows(&all);
    let mut rows = Vec::with_capacity(kept.len() * 3);
    for (name, latency) in kept {
        rows.push(row(name, "ack latency", &latency.ack_latency, true, limits));
        rows.push(row(name, "service time", &latency.service_time, false, limits));
        rows.push(row(name, "schedule lag", &latency.schedule_lag, false, limits));
        if let Some(visible) = &latency.visible_latency {
            rows.push(row(name, "visible latency", visible, false, limits));
        }
    }
    (rows, more)
}

fn row(phase: &str, metric: &'static str, p: &Percentiles, opens: bool, limits: Limits) -> PhaseRow {
    let values = [p.p50, p.p90, p.p99, p.p99_9, p.p99_99, p.max];
    PhaseRow {
        phase: limits.short(phase),
        metric,
        values: values.iter().map(|ns| duration(*ns, p.count)).collect(),
        count: number::count(p.count),
        opens,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn the_tiles_show_delivery_first_then_latency_and_rate() {
        let tiles = tiles(&fixture::pass(), "steady");
        let facts: Vec<(&str, &str)> = tiles
            .iter()
            .map(|t| (t.label.as_str(), t.value.as_str()))
            .collect();
        assert_eq!(facts[0], ("anomalies", "0"));
        assert_eq!(facts[2], ("p99", "598 µs"));
        assert_eq!(facts[4], ("rate", "25,000/s"));
    }

    #[test]
    fn what_readers_saw_stands_beside_what_was_acknowledged() {
        let (rows, _) = phases(&fixture::watched(), Limits::USUAL);
        let steady: Vec<_> = rows.iter().filter(|row| row.phase == "steady").collect();
        let visible = steady.iter().find(|row| row.metric == "visible latency").unwrap();
        assert_eq!(
            (visible.values[2].as_str(), visible.count.as_str()),
            ("1.24 ms", "3,000,000")
        );
    }

    #[test]
    fn unknown_delivery_is_not_shown_as_zero() {
        assert_eq!(delivery(&fixture::inconclusive().verdict).value, "?");
        assert_eq!(delivery(&fixture::fail().verdict).class, "fail");
    }

    #[test]
    fn without_a_steady_phase_another_one_leads() {
        let mut verdict = fixture::fail().verdict;
        verdict.latency_ns.remove("steady");
        assert_eq!(headline_phase(&verdict), "after");
        verdict.latency_ns.remove("after");
        assert_eq!(headline_phase(&verdict), "fault:kill-leader");
        verdict.latency_ns.clear();
        assert_eq!(headline_phase(&verdict), "steady");
    }
}
