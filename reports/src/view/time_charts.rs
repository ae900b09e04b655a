//! Second by second: latency, throughput, what waits, CPU and memory; phases above each, lanes of faults under it.

use steadfast_verifier::measurements::{Point, ResourcePoint};

use super::Figure;
use super::fault_lanes;
use super::rates::rates;
use super::time_axis::Time;
use crate::chart::{Axis, Band, Chart, Lane, Limit, Line, Scale, Tip};
use crate::folder::Folder;
use crate::number;
use crate::text::Limits;

const MIB: f64 = 1048576.0;
const GIB: f64 = 1024.0 * MIB;

/// Latency and throughput over time; what waits where there were faults.
pub(super) fn load(folder: &Folder, limits: Limits) -> Vec<Figure> {
    let points = rates(&folder.measurements, limits.points);
    if points.is_empty() {
        return Vec::new();
    }
    let time = Time::of(folder, points.iter().map(|point| point.t_ns));
    let lanes = fault_lanes::under_charts(folder, &time, limits);
    let shared = Shared {
        time: &time,
        lanes: &lanes,
    };
    let mut figures = vec![latency(&points, &shared)];
    if points.iter().any(|point| point.visible_p99_ns.is_some()) {
        figures.push(visible(&points, &shared));
    }
    figures.push(throughput(folder, &points, &shared, limits));
    if !folder.verdict.faults.is_empty() && points.iter().any(|point| point.waiting.is_some()) {
        figures.push(waiting(&points, &shared));
    }
    figures.extend(fault_lanes::figure(folder, &time, limits));
    figures
}

/// What all charts over time have in common.
struct Shared<'a> {
    time: &'a Time,
    lanes: &'a [Lane],
}

/// CPU and memory over time.
pub(super) fn resources(folder: &Folder, limits: Limits) -> Vec<Figure> {
    let resources = &folder.measurements.resources;
    let every = resources.len().div_ceil(limits.points).max(1);
    let points: Vec<&ResourcePoint> = resources.iter().step_by(every).collect();
    if points.is_empty() {
        return Vec::new();
    }
    let time = Time::of(folder, points.iter().map(|point| point.t_ns));
    let cpu: Vec<_> = points
        .iter()
        .map(|p| (p.t_ns, p.client_cpu_percent, p.broker_cpu_percent))
        .collect();
    let rss: Vec<_> = points
        .iter()
        .map(|p| (p.t_ns, p.client_rss_bytes as f64, p.broker_rss_bytes as f64))
        .collect();
    vec![
        pair("cpu", "CPU", "% of one core.", &cpu, &time, |v| {
            number::with_unit(v, "percent")
        }),
        pair(
            "memory",
            "Memory",
            "Resident set; all brokers together.",
            &rss,
            &time,
            number::bytes,
        ),
    ]
}

/// A figure of each point: its name, the class of its line, and where it stands.
type Curve = (&'static str, &'static str, fn(&Point) -> Option<u64>);

fn latency(points: &[Point], shared: &Shared<'_>) -> Figure {
    let curves: [Curve; 3] = [
        ("max", "c", |point| point.max_ns),
        ("p99", "a", |point| point.p99_ns),
        ("p50", "b", |point| point.p50_ns),
    ];
    let words = (
        "latency-time",
        "Latency over time",
        "Each second's records by the time they were due, acknowledgement minus intended time.",
    );
    latencies(words, &curves, points, shared)
}

fn visible(points: &[Point], shared: &Shared<'_>) -> Figure {
    let curves: [Curve; 2] = [
        ("p99", "a", |point| point.visible_p99_ns),
        ("p50", "b", |point| point.visible_p50_ns),
    ];
    let words = (
        "visible-time",
        "Visible latency over time",
        "Each second's records by the time they were due, arrival at a reader minus intended time; every reader counts.",
    );
    latencies(words, &curves, points, shared)
}

fn latencies(
    (id, heading, note): (&str, &str, &str),
    curves: &[Curve],
    points: &[Point],
    shared: &Shared<'_>,
) -> Figure {
    let time = shared.time;
    let values = points
        .iter()
        .flat_map(|point| curves.iter().map(move |(_, _, of)| of(point)))
        .flatten()
        .filter(|ns| *ns > 0);
    let (low, high) = values.fold((f64::INFINITY, 0f64), |(low, high), ns| {
        (low.min(ns as f64), high.max(ns as f64))
    });
    let scale = Scale::around(low, high);
    let line = |(name, class, of): &Curve| {
        let middle = |point: &Point| time.seconds(point.t_ns) + 0.5;
        let points = points
            .iter()
            .map(|point| (middle(point), of(point).map(|ns| ns as f64)))
            .collect();
        Line {
            name: (*name).to_owned(),
            class,
            points,
        }
    };
    let told = |ns: Option<u64>| ns.map_or("–".to_owned(), |ns| number::nanoseconds(ns as f64));
    let p99 = curves
        .iter()
        .find(|(name, ..)| *name == "p99")
        .map(|(_, _, of)| of);
    let worst = p99.and_then(|of| points.iter().map(|point| (of(point), point.t_ns)).max());
    let description = worst.map_or(String::new(), |(ns, t_ns)| {
        let at = number::plain(time.seconds(t_ns), 6);
        format!("The highest p99 of a second is {} at {at} s.", told(ns))
    });
    let chart = Chart {
        id: id.to_owned(),
        title: heading.to_owned(),
        description,
        width: 960.0,
        right: 118.0,
        height: 290.0,
        x: time.axis(10),
        y: Axis {
            label: String::new(),
            scale,
            ticks: scale
                .ticks(8)
                .into_iter()
                .map(|ns| (ns, number::nanoseconds(ns)))
                .collect(),
        },
        bands: time.bands.clone(),
        lines: curves.iter().map(line).collect(),
        limits: Vec::new(),
        tips: tips(points, time, |point| {
            let each = curves.iter().rev();
            let each = each.map(|(name, _, of)| format!("{name} {}", told(of(point))));
            each.collect::<Vec<_>>().join("\n")
        }),
        lanes: shared.lanes.to_vec(),
    };
    Figure {
        heading: heading.to_owned(),
        note: format!("{note} {}", fault_lanes::legend(shared.lanes))
            .trim_end()
            .to_owned(),
        svg: chart.svg(),
    }
}

fn throughput(folder: &Folder, points: &[Point], shared: &Shared<'_>, limits: Limits) -> Figure {
    let time = shared.time;
    let thresholds = folder
        .verdict
        .thresholds
        .iter()
        .filter(|t| t.metric == "achieved_rate");
    let marks = thresholds.map(|t| Limit {
        name: limits.short(&t.expression),
        level: t.limit,
        until: None,
    });
    let marks: Vec<Limit> = marks.take(4).collect();
    let top = points
        .iter()
        .map(|p| p.intended.max(p.acked) as f64)
        .chain(marks.iter().map(|m| m.level));
    let scale = Scale::from_zero(top.fold(0.0, f64::max));
    let line = |name: &str, class, of: fn(&Point) -> u64| {
        let points = points
            .iter()
            .map(|p| (time.seconds(p.t_ns) + 0.5, Some(of(p) as f64)))
            .collect();
        Line {
            name: name.to_owned(),
            class,
            points,
        }
    };
    let per_s = |value: f64| number::with_unit(value, "per_s");
    let least = points.iter().map(|point| point.acked).min().unwrap_or(0);
    let most = points.iter().map(|point| point.acked).max().unwrap_or(0);
    let heading = "Throughput over time".to_owned();
    let chart = Chart {
        id: "throughput-time".to_owned(),
        title: heading.clone(),
        description: format!(
            "Between {} and {} records acknowledged a second.",
            number::count(least),
            number::count(most)
        ),
        width: 960.0,
        right: 118.0,
        height: 250.0,
        x: time.axis(10),
        y: Axis {
            label: String::new(),
            scale,
            ticks: scale.ticks(5).into_iter().map(|v| (v, per_s(v))).collect(),
        },
        bands: time.bands.clone(),
        lines: vec![
            line("intended", "c", |point| point.intended),
            line("acknowledged", "a", |point| point.acked),
        ],
        limits: marks,
        tips: tips(points, time, |p| {
            format!(
                "intended {}\nacknowledged {}",
                per_s(p.intended as f64),
                per_s(p.acked as f64)
            )
        }),
        lanes: shared.lanes.to_vec(),
    };
    let note = "Records due and records acknowledged in each second.".to_owned();
    Figure {
        heading,
        note,
        svg: chart.svg(),
    }
}

fn waiting(points: &[Point], shared: &Shared<'_>) -> Figure {
    let time = shared.time;
    let most = points.iter().filter_map(|point| point.waiting).max().unwrap_or(0);
    let scale = Scale::from_zero(most as f64);
    let words = |value: f64| number::plain(value, 6);
    let heading = "Records that wait".to_owned();
    // The count is taken at the end of each second.
    let place = |point: &Point| {
        (
            time.seconds(point.t_ns) + 1.0,
            point.waiting.map(|waiting| waiting as f64),
        )
    };
    let chart = Chart {
        id: "waiting-time".to_owned(),
        title: heading.clone(),
        description: format!("At most {} at the end of a second.", number::count(most)),
        width: 960.0,
        right: 118.0,
        height: 200.0,
        x: time.axis(10),
        y: Axis {
            label: String::new(),
            scale,
            ticks: scale.ticks(4).into_iter().map(|v| (v, words(v))).collect(),
        },
        bands: time.bands.clone(),
        lines: vec![Line {
            name: "waiting".to_owned(),
            class: "a",
            points: points.iter().map(place).collect(),
        }],
        limits: Vec::new(),
        tips: tips(points, time, |point| {
            let waiting = point.waiting.map_or("–".to_owned(), number::count);
            format!("waiting {waiting}")
        }),
        lanes: shared.lanes.to_vec(),
    };
    Figure {
        heading,
        note: "Records that were due and had no outcome at the end of each second: the backlog that a fault leaves, and \
               how it drains."
            .to_owned(),
        svg: chart.svg(),
    }
}

/// Client and broker in one chart of half the width.
fn pair(
    id: &str,
    heading: &str,
    note: &str,
    points: &[(i64, f64, f64)],
    time: &Time,
    told: fn(f64) -> String,
) -> Figure {
    let top = points
        .iter()
        .flat_map(|(_, client, broker)| [*client, *broker])
        .filter(|v| v.is_finite());
    let top = top.fold(0.0, f64::max);
    // Bytes are marked at round numbers of MiB or GiB, which are not round in tens.
    let unit = match (id, top) {
        ("memory", GIB..) => GIB,
        ("memory", _) => MIB,
        _ => 1.0,
    };
    let scale = Scale::from_zero(top / unit);
    let ticks = scale.ticks(4).into_iter().map(|tick| tick * unit);
    let scale = match scale {
        Scale::Linear { min, max } => Scale::Linear {
            min: min * unit,
            max: max * unit,
        },
        other => other,
    };
    let line = |name: &str, class, of: fn(&(i64, f64, f64)) -> f64| {
        let finite = |value: f64| Some(value).filter(|value| value.is_finite());
        let points = points
            .iter()
            .map(|point| (time.seconds(point.0), finite(of(point))))
            .collect();
        Line {
            name: name.to_owned(),
            class,
            points,
        }
    };
    let chart = Chart {
        id: id.to_owned(),
        title: format!("{heading} over time"),
        description: format!("The highest value is {}.", told(top)),
        width: 490.0,
        right: 58.0,
        height: 220.0,
        x: time.axis(5),
        y: Axis {
            label: String::new(),
            scale,
            ticks: ticks.map(|v| (v, told(v))).collect(),
        },
        bands: time
            .bands
            .iter()
            .map(|band| Band {
                name: String::new(),
                ..band.clone()
            })
            .collect(),
        lines: vec![
            line("broker", "b", |point| point.2),
            line("client", "a", |point| point.1),
        ],
        limits: Vec::new(),
        tips: Vec::new(),
        lanes: Vec::new(),
    };
    Figure {
        heading: heading.to_owned(),
        note: note.to_owned(),
        svg: chart.svg(),
    }
}

fn tips(points: &[Point], time: &Time, told: impl Fn(&Point) -> String) -> Vec<Tip> {
    let starts: Vec<f64> = points.iter().map(|point| time.seconds(point.t_ns)).collect();
    let tip = |(i, point): (usize, &Point)| {
        let from = starts[i];
        let to = starts.get(i + 1).copied().unwrap_or(from + 1.0).min(from + 60.0);
        Tip {
            from,
            to,
            text: format!("{} s\n{}", number::plain(from, 6), told(point)),
        }
    };
    points.iter().enumerate().map(tip).collect()
}

#[cfg(test)]
mod tests {
    use steadfast_verifier::measurements::Measurements;

    use super::*;
    use crate::fixture;

    #[test]
    fn a_fault_has_a_lane_under_latency_throughput_and_what_waits() {
        let figures = load(&fixture::fail(), Limits::USUAL);
        assert_eq!(figures.len(), 3);
        for figure in &figures {
            assert!(figure.svg.contains("lane-name"), "{}", figure.heading);
            assert!(figure.svg.contains(">kill-leader<"), "{}", figure.heading);
            assert!(figure.svg.contains("broker-2 (pid 4711)"), "{}", figure.heading);
            assert!(figure.svg.contains("warm-up"), "{}", figure.heading);
        }
        assert!(figures[0].svg.contains("The highest p99 of a second is"));
        assert_eq!(resources(&fixture::fail(), Limits::USUAL).len(), 2);
    }

    #[test]
    fn what_readers_saw_has_a_chart_of_its_own() {
        assert_eq!(load(&fixture::pass(), Limits::USUAL).len(), 2);
        let figures = load(&fixture::watched(), Limits::USUAL);
        assert_eq!(figures.len(), 3);
        assert_eq!(figures[1].heading, "Visible latency over time");
        assert!(figures[1].svg.contains("The highest p99 of a second is"));
    }

    #[test]
    fn nothing_measured_draws_nothing() {
        let mut folder = fixture::pass();
        folder.measurements = Measurements::default();
        assert!(load(&folder, Limits::USUAL).is_empty());
        assert!(resources(&folder, Limits::USUAL).is_empty());
    }
}
