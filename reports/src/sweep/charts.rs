//! A setting's values from left to right, equally far apart: latency on a logarithmic axis, CPU from zero.

use steadfast_verifier::comparison::Figures;
use steadfast_verifier::sweep::Series;

use crate::chart::{Axis, Chart, Line, Scale, Tip};
use crate::number;
use crate::text::Limits;
use crate::view::Figure;

/// Name and class of a line, and its figure.
type Curve = (&'static str, &'static str, fn(&Figures) -> f64);

const LATENCY: [Curve; 3] = [
    ("p50", "a", |f| f.ack.p50 as f64),
    ("p99", "c", |f| f.ack.p99 as f64),
    ("p99.9", "b", |f| f.ack.p99_9 as f64),
];
const CPU: [Curve; 2] = [("client", "a", |f| f.client_us), ("broker", "b", |f| f.broker_us)];

/// `nth` makes their ids unique. Without a schedule there is no latency to draw.
pub(super) fn figures(nth: usize, series: &Series) -> Vec<Figure> {
    let key = Limits::USUAL.short(&series.key);
    let scheduled = series.points.iter().any(|point| point.offered.is_some());
    let mut figures = Vec::new();
    let levels = |curves: &[Curve]| {
        let measured = series.points.iter().filter_map(|point| point.figures);
        let levels: Vec<f64> = measured
            .flat_map(|figures| curves.iter().map(|(_, _, of)| of(&figures)).collect::<Vec<_>>())
            .filter(|level| *level > 0.0)
            .collect();
        let low = levels.iter().copied().fold(f64::INFINITY, f64::min);
        (low, levels.iter().copied().fold(0.0, f64::max))
    };
    if scheduled {
        let (low, high) = levels(&LATENCY);
        let axis = vertical(Scale::around(low, high), number::nanoseconds, String::new());
        let heading = format!("Ack latency by {key}");
        figures.push(figure(
            (&format!("sweep-{nth}-latency"), heading),
            series,
            &LATENCY,
            axis,
        ));
    }
    let (_, high) = levels(&CPU);
    let axis = vertical(
        Scale::from_zero(high),
        |us| number::plain(us, 3),
        "µs a record".to_owned(),
    );
    let heading = format!("CPU by {key}, µs a record");
    figures.push(figure((&format!("sweep-{nth}-cpu"), heading), series, &CPU, axis));
    figures
}

fn vertical(scale: Scale, text: fn(f64) -> String, label: String) -> Axis {
    Axis {
        label,
        scale,
        ticks: scale.ticks(9).into_iter().map(|at| (at, text(at))).collect(),
    }
}

fn figure((id, heading): (&str, String), series: &Series, curves: &[Curve], y: Axis) -> Figure {
    let limits = Limits::USUAL;
    let last = series.points.len().saturating_sub(1).max(1) as f64;
    let places = || (0..).map(f64::from).zip(&series.points);
    let lines = curves.iter().map(|(name, class, of)| Line {
        name: (*name).to_owned(),
        class,
        points: places()
            .map(|(at, point)| (at, point.figures.as_ref().map(of)))
            .collect(),
    });
    let tips = places().map(|(at, point)| Tip {
        from: at - 0.5,
        to: at + 0.5,
        text: told(&limits.short(&point.value), point.figures.as_ref(), curves, &y),
    });
    let description = places()
        .map(|(_, point)| {
            told(&limits.short(&point.value), point.figures.as_ref(), curves, &y).replace('\n', ", ")
        })
        .collect::<Vec<_>>()
        .join("; ");
    let chart = Chart {
        id: id.to_owned(),
        title: heading.clone(),
        description,
        width: 960.0,
        right: 118.0,
        height: 300.0,
        x: Axis {
            label: limits.short(&series.key),
            scale: Scale::Linear { min: 0.0, max: last },
            ticks: places()
                .map(|(at, point)| (at, limits.short(&point.value)))
                .collect(),
        },
        bands: Vec::new(),
        lines: lines.collect(),
        limits: Vec::new(),
        tips: tips.collect(),
        lanes: Vec::new(),
        y,
    };
    Figure {
        heading,
        note: String::new(),
        svg: chart.svg(),
    }
}

/// What the pointer tells: each line's figure, in the axis' unit.
fn told(value: &str, figures: Option<&Figures>, curves: &[Curve], y: &Axis) -> String {
    let Some(figures) = figures else {
        return format!("{value}: not measured");
    };
    let mut out = value.to_owned();
    for (name, _, of) in curves {
        let figure = of(figures);
        let figure = if y.label.is_empty() {
            number::nanoseconds(figure)
        } else {
            format!("{} {}", number::plain(figure, 3), y.label)
        };
        out.push_str(&format!("\n{name} {figure}"));
    }
    out
}
