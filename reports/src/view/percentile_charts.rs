//! Latency by percentile: intended-time and service-time curves with their limits, then the phases side by side.

use steadfast_verifier::measurements::Curve;
use steadfast_verifier::verdict::ThresholdVerdict;

use super::Figure;
use crate::chart::{Axis, Chart, Limit, Line, Scale, Tip};
use crate::folder::Folder;
use crate::number;
use crate::text::Limits;

/// The name that a curve or threshold over everything after warm-up carries.
const ALL: &str = "all";
/// Lines that one chart can hold and a reader can tell apart.
const MAX_PHASES: usize = 4;
const CLASSES: [&str; MAX_PHASES] = ["a", "c", "b", "d"];
/// Of subjects side by side; from the ninth on colours come again.
const SUBJECTS: [&str; 8] = ["g", "a", "c", "b", "d", "e", "f", "h"];

/// One chart for the phase shown first, and one across phases where there are several.
pub(super) fn figures(folder: &Folder, phase: &str, limits: Limits) -> Vec<Figure> {
    let curve_of = |phase: &str, metric: &str| {
        let curves = &folder.measurements.curves;
        curves
            .iter()
            .find(|curve| curve.phase == phase && curve.metric == metric && !curve.points.is_empty())
    };
    let phase = if curve_of(phase, "ack_latency").is_some() {
        phase
    } else {
        ALL
    };
    let mut figures = Vec::new();
    let lines: Vec<(String, &'static str, &Curve)> = [
        ("intended time", "a", curve_of(phase, "ack_latency")),
        ("service time", "b", curve_of(phase, "service_time")),
        ("visible to readers", "c", curve_of(phase, "visible_latency")),
    ]
    .into_iter()
    .filter_map(|(name, class, curve)| curve.map(|curve| (name.to_owned(), class, curve)))
    .collect();
    let marks = limit_marks(&folder.verdict.thresholds, phase, limits);
    let shown = limits.short(phase);
    if !lines.is_empty() {
        let heading = format!("Latency by percentile, phase {shown}");
        let note = "“Intended time” counts from the moment a record was due, so a stalled sender cannot hide \
                    its queue; “service time” counts from the hand-over to the client. Dashed: limits.";
        let readers = " “Visible to readers” counts from the intended time to the arrival at a reader.";
        let seen = lines
            .iter()
            .any(|(_, _, curve)| curve.metric == "visible_latency");
        let note = format!("{note}{}", if seen { readers } else { "" });
        figures.push(figure("percentiles", heading, &note, &lines, marks, limits));
    }
    let across = across_phases(folder, limits);
    if across.len() > 1 {
        let heading = "Latency by percentile, phases side by side".to_owned();
        let note = "Counted from intended time. A record belongs to the phase in which it was due.";
        figures.push(figure("phases", heading, note, &across, Vec::new(), limits));
    }
    figures
}

/// Curves of several subjects over each other, each under the name in its `phase`; none without a curve.
pub(crate) fn overlaid(heading: String, note: &str, curves: &[Curve]) -> Option<Figure> {
    let limits = Limits::USUAL;
    let named: Vec<(String, &'static str, &Curve)> = curves
        .iter()
        .zip(SUBJECTS.into_iter().cycle())
        .map(|(curve, class)| (limits.short(&curve.phase), class, curve))
        .collect();
    (!named.is_empty()).then(|| figure("subjects", heading, note, &named, Vec::new(), limits))
}

/// Ack latency of each phase after warm-up, in order of begin, once each.
fn across_phases(folder: &Folder, limits: Limits) -> Vec<(String, &'static str, &Curve)> {
    let mut names: Vec<&str> = Vec::new();
    for phase in &folder.measurements.phases {
        if phase.name != "warmup" && !names.contains(&phase.name.as_str()) {
            names.push(&phase.name);
        }
    }
    let curves = names.into_iter().filter_map(|name| {
        let mut curves = folder.measurements.curves.iter();
        curves.find(|c| c.phase == name && c.metric == "ack_latency" && !c.points.is_empty())
    });
    let classes = CLASSES.into_iter();
    curves
        .zip(classes)
        .map(|(curve, class)| (limits.short(&curve.phase), class, curve))
        .collect()
}

/// Limits on ack latency, service time and visible latency that count for this phase.
fn limit_marks(thresholds: &[ThresholdVerdict], phase: &str, limits: Limits) -> Vec<Limit> {
    let here = thresholds
        .iter()
        .filter(|t| ["ack_latency", "service_time", "visible_latency"].contains(&t.metric.as_str()));
    let here = here.filter(|t| (t.phase == phase || t.phase == ALL) && t.expression.contains('<'));
    let marks = here.filter_map(|t| {
        let of = if t.metric == "visible_latency" {
            "visible "
        } else {
            ""
        };
        let name = limits.short(&format!("{of}{}", t.expression));
        Some(Limit {
            name,
            level: t.limit,
            until: Some(percentile_in(&t.expression)?),
        })
    });
    marks.take(limits.rows.min(8)).collect()
}

/// 99.9 in `p(99.9)<1ms`, 100 in `max<2ms`.
fn percentile_in(expression: &str) -> Option<f64> {
    if expression.trim_start().starts_with("max") {
        return Some(100.0);
    }
    let inside = expression.split_once("p(")?.1.split_once(')')?.0;
    inside
        .trim()
        .parse()
        .ok()
        .filter(|p: &f64| (0.0..=100.0).contains(p))
}

fn figure(
    id: &str,
    heading: String,
    note: &str,
    curves: &[(String, &'static str, &Curve)],
    marks: Vec<Limit>,
    limits: Limits,
) -> Figure {
    // A record in a million is the sixth nine: what the count cannot fill is not drawn.
    let count = curves.iter().map(|(_, _, curve)| curve.count).max().unwrap_or(0);
    let nines = (count.max(1) as f64).log10().clamp(2.0, 6.0);
    let levels = curves
        .iter()
        .flat_map(|(_, _, curve)| curve.points.iter().map(|(_, ns)| *ns as f64));
    let levels: Vec<f64> = levels
        .chain(marks.iter().map(|mark| mark.level))
        .filter(|ns| *ns > 0.0)
        .collect();
    let low = levels.iter().copied().fold(f64::INFINITY, f64::min);
    let high = levels.iter().copied().fold(0.0, f64::max);
    let longest = curves
        .iter()
        .map(|(name, _, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    let (x, y) = (Scale::Nines { nines }, Scale::around(low, high));
    let description = curves
        .iter()
        .map(|(name, _, curve)| describe(name, curve))
        .collect::<Vec<_>>()
        .join(" ");
    let chart = Chart {
        id: id.to_owned(),
        title: heading.clone(),
        description,
        width: 960.0,
        right: (longest as f64 * 7.4 + 16.0).clamp(118.0, 260.0),
        height: 360.0,
        x: Axis {
            label: "percentile, every nine takes the same room".to_owned(),
            scale: x,
            ticks: x.ticks(9).into_iter().map(|p| (p, format!("{p} %"))).collect(),
        },
        y: Axis {
            label: String::new(),
            scale: y,
            ticks: y
                .ticks(12)
                .into_iter()
                .map(|ns| (ns, number::nanoseconds(ns)))
                .collect(),
        },
        bands: Vec::new(),
        lines: curves
            .iter()
            .map(|(name, class, curve)| line(name, class, curve, limits))
            .collect(),
        limits: marks,
        tips: tips(curves),
        lanes: Vec::new(),
    };
    Figure {
        heading,
        note: note.to_owned(),
        svg: chart.svg(),
    }
}

fn line(name: &str, class: &'static str, curve: &Curve, limits: Limits) -> Line {
    let every = curve.points.len().div_ceil(limits.points).max(1);
    let last = curve.points.len().saturating_sub(1);
    let kept = curve
        .points
        .iter()
        .enumerate()
        .filter(|(i, _)| i % every == 0 || *i == last);
    let points = kept.map(|(_, (p, ns))| (*p, Some(*ns as f64))).collect();
    Line {
        name: name.to_owned(),
        class,
        points,
    }
}

fn describe(name: &str, curve: &Curve) -> String {
    let figures = [50.0, 99.0, 99.9].into_iter().filter_map(|p| {
        let ns = at(curve, p)?;
        Some(format!("{p} % within {}", number::nanoseconds(ns)))
    });
    format!("{name}: {}.", figures.collect::<Vec<_>>().join(", "))
}

/// What the pointer tells around each marked percentile.
fn tips(curves: &[(String, &'static str, &Curve)]) -> Vec<Tip> {
    let edges = [0.0, 30.0, 75.0, 95.0, 98.0, 99.5, 99.8, 99.95, 99.98, 99.995];
    let at_percentile = [10.0, 50.0, 90.0, 97.0, 99.0, 99.7, 99.9, 99.97, 99.99];
    let ranges = edges.windows(2).zip(at_percentile);
    let text = |p: f64| {
        let values = curves
            .iter()
            .filter_map(|(name, _, c)| Some(format!("\n{name} {}", number::nanoseconds(at(c, p)?))));
        format!("{p} %{}", values.collect::<String>())
    };
    ranges
        .map(|(edges, p)| Tip {
            from: edges[0],
            to: edges[1],
            text: text(p),
        })
        .collect()
}

/// The curve's value at a percentile: that of the first point at or above it.
fn at(curve: &Curve, percentile: f64) -> Option<f64> {
    let reached = curve
        .points
        .iter()
        .find(|(p, _)| *p >= percentile - 1e-9)
        .or(curve.points.last());
    reached.map(|(_, ns)| *ns as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn both_curves_and_the_limits_of_the_phase_are_drawn() {
        let figures = figures(&fixture::pass(), "steady", Limits::USUAL);
        assert_eq!(figures.len(), 1, "one phase needs no comparison");
        let svg = &figures[0].svg;
        for fact in [
            "intended time",
            "service time",
            "p(50)&lt;500us",
            "p(99)&lt;1ms",
            "99.99 %",
            "500 µs",
        ] {
            assert!(svg.contains(fact), "{fact} is missing");
        }
    }

    #[test]
    fn phases_of_a_faulted_run_stand_side_by_side() {
        let figures = figures(&fixture::fail(), "steady", Limits::USUAL);
        assert_eq!(figures.len(), 2);
        assert!(figures[1].svg.contains("fault:kill-leader"));
    }

    #[test]
    fn percentiles_are_read_out_of_expressions() {
        assert_eq!(percentile_in("p(99.9)<10ms"), Some(99.9));
        assert_eq!(percentile_in("max<6s"), Some(100.0));
        assert_eq!(percentile_in("avg<1ms"), None);
        assert_eq!(percentile_in("p(nonsense"), None);
    }
}
