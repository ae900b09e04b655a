//! A small histogram of ack latency for each phase, with the limits that count there. All share both axes, so that phases
//! can be compared by eye.

use steadfast_verifier::measurements::Histogram;
use steadfast_verifier::verdict::{Outcome, Percentiles, ThresholdVerdict};

use super::Figure;
use crate::chart::{Bar, Bars, Mark, Scale};
use crate::folder::Folder;
use crate::number;
use crate::text::{Limits, plural};

/// The name that everything after warm-up carries.
const ALL: &str = "all";
/// Histograms shown: a campaign has a hundred phases.
const MAX_SHOWN: usize = 12;
/// Limits drawn in one histogram.
const MAX_LIMITS: usize = 4;

/// The histograms, in order of begin; and how many phases were left out. Those with limits of their own come before others
/// where not all fit.
pub(super) fn figures(folder: &Folder, limits: Limits) -> (Vec<Figure>, usize) {
    let all = shown(folder);
    let most = MAX_SHOWN.min(limits.rows);
    let more = all.len().saturating_sub(most);
    let has_limit = |told: &Histogram| !of_phase(folder, &told.phase).is_empty();
    let mut kept: Vec<&Histogram> = all.clone();
    if more > 0 {
        kept.sort_by_key(|told| !has_limit(told));
        kept.truncate(most);
        kept.sort_by_key(|told| all.iter().position(|other| other.phase == told.phase));
    }
    let levels = kept
        .iter()
        .flat_map(|told| of_phase(folder, &told.phase))
        .map(|limit| limit.limit);
    let ends = kept
        .iter()
        .flat_map(|told| &told.buckets)
        .flat_map(|(from, to, _)| [*from as f64, *to as f64]);
    let (low, high) = ends
        .chain(levels)
        .filter(|ns| *ns > 0.0)
        .fold((f64::INFINITY, 0f64), |(low, high), ns| {
            (low.min(ns), high.max(ns))
        });
    let scale = Scale::around(low, high);
    let tallest = kept
        .iter()
        .flat_map(|told| &told.buckets)
        .map(|(_, _, records)| *records as f64)
        .fold(1.0, f64::max);
    let draw = |(i, told): (usize, &&Histogram)| figure(folder, told, (i, scale, tallest), limits);
    (kept.iter().enumerate().map(draw).collect(), more)
}

/// Phases in order of begin, then `all`; that only where it is more than the steady phase.
fn shown(folder: &Folder) -> Vec<&Histogram> {
    let measured = &folder.measurements;
    let began = |told: &Histogram| {
        let mut phases = measured.phases.iter();
        phases.position(|phase| phase.name == told.phase)
    };
    let records = |told: &Histogram| told.buckets.iter().map(|bucket| bucket.2).sum::<u64>();
    let steady = measured.histograms.iter().find(|told| told.phase == "steady");
    let twice =
        |told: &Histogram| told.phase == ALL && steady.is_some_and(|steady| records(steady) == records(told));
    let mut all: Vec<_> = measured.histograms.iter().filter(|told| !twice(told)).collect();
    all.sort_by_key(|told| began(told).unwrap_or(usize::MAX));
    all
}

/// Upper limits on ack latency that are judged on this phase.
fn of_phase<'a>(folder: &'a Folder, phase: &str) -> Vec<&'a ThresholdVerdict> {
    let all = folder.verdict.thresholds.iter();
    all.filter(|limit| {
        limit.metric == "ack_latency" && limit.phase == phase && limit.expression.contains('<')
    })
    .take(MAX_LIMITS)
    .collect()
}

fn figure(
    folder: &Folder,
    told: &Histogram,
    (number, scale, tallest): (usize, Scale, f64),
    limits: Limits,
) -> Figure {
    let records: u64 = told.buckets.iter().map(|bucket| bucket.2).sum();
    let figures = folder.verdict.latency_ns.get(&told.phase);
    let figures = figures.map(|latency| latency.ack_latency).unwrap_or_default();
    let judged = of_phase(folder, &told.phase);
    let heading = limits.short(&told.phase);
    let note = note(&judged, &figures, told, records, limits);
    let time = number::nanoseconds;
    let bar = |(from, to, records): &(u64, u64, u64)| Bar {
        from: *from as f64,
        to: *to as f64,
        records: *records,
        tip: format!(
            "{} to {}\n{}",
            time(*from as f64),
            time(*to as f64),
            plural(*records, "record")
        ),
    };
    let own = [("p50", figures.p50), ("p99", figures.p99)];
    let own = own.into_iter().filter(|(_, ns)| *ns > 0).map(|(name, ns)| Mark {
        at: ns as f64,
        name: name.to_owned(),
        class: "own",
    });
    let asked = judged.iter().map(|limit| Mark {
        at: limit.limit,
        name: limits.short(&limit.expression),
        class: match limit.verdict {
            Outcome::Pass => "held",
            Outcome::Fail => "missed",
            Outcome::Inconclusive => "open",
        },
    });
    let bars = Bars {
        id: format!("histogram-{number}"),
        title: format!("Ack latency in phase {heading}"),
        description: note.clone(),
        width: 490.0,
        height: 96.0,
        x: scale,
        ticks: scale.ticks(7).into_iter().map(|ns| (ns, time(ns))).collect(),
        most: tallest,
        bars: told.buckets.iter().map(bar).collect(),
        marks: own.chain(asked).collect(),
    };
    Figure {
        heading,
        note,
        svg: bars.svg(),
    }
}

/// What stands over a histogram: how many records, how each limit was kept, and what no bar shows.
fn note(
    judged: &[&ThresholdVerdict],
    figures: &Percentiles,
    told: &Histogram,
    records: u64,
    limits: Limits,
) -> String {
    let mut parts = vec![plural(records, "record")];
    for limit in judged {
        let word = match limit.verdict {
            Outcome::Pass => "held",
            Outcome::Fail => "missed",
            Outcome::Inconclusive => "not shown",
        };
        let observed = limit.observed.filter(|ns| ns.is_finite()).map_or_else(
            || "no end".to_owned(),
            |ns| number::beside_limit(ns, limit.limit, "ns"),
        );
        parts.push(format!("{} {word}: {observed}", limits.short(&limit.expression)));
    }
    if judged.is_empty() && figures.count > 0 {
        parts.push("no limit here".to_owned());
    }
    if told.unacknowledged > 0 {
        parts.push(format!(
            "{} more never acknowledged",
            number::count(told.unacknowledged)
        ));
    }
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn each_phase_has_its_own_limits() {
        let (figures, more) = figures(&fixture::fail(), Limits::USUAL);
        let told: Vec<_> = figures.iter().map(|figure| figure.heading.as_str()).collect();
        assert_eq!(
            told,
            [
                "warmup",
                "steady",
                "fault:kill-leader",
                "heal:kill-leader",
                "after"
            ]
        );
        assert_eq!(more, 0);
        let svg = |phase: &str| figures.iter().find(|figure| figure.heading == phase).unwrap();
        assert!(svg("steady").svg.contains("mark held") && svg("steady").svg.contains("p(99)&lt;5ms"));
        assert!(svg("after").svg.contains("mark missed") && svg("after").svg.contains("p(99)&lt;500us"));
        assert!(
            !svg("fault:kill-leader").svg.contains("&lt;"),
            "no limit counts there"
        );
        assert!(
            svg("after").note.contains("p(99)<500us missed: 598 µs"),
            "{}",
            svg("after").note
        );
    }

    #[test]
    fn what_has_no_bar_is_told() {
        let mut folder = fixture::fail();
        folder.measurements.histograms[2].unacknowledged = 17;
        let (figures, _) = figures(&folder, Limits::USUAL);
        assert!(
            figures[2].note.contains("17 more never acknowledged"),
            "{}",
            figures[2].note
        );
    }

    #[test]
    fn of_many_phases_those_with_limits_are_shown() {
        let mut folder = fixture::fail();
        let other = folder.measurements.histograms[2].clone();
        for i in 0..40 {
            let phase = format!("fault:{i}");
            folder.measurements.histograms.insert(
                0,
                Histogram {
                    phase,
                    ..other.clone()
                },
            );
        }
        let (figures, more) = figures(&folder, Limits::USUAL);
        assert_eq!((figures.len(), more), (MAX_SHOWN, 45 - MAX_SHOWN));
        for phase in ["steady", "after"] {
            assert!(figures.iter().any(|figure| figure.heading == phase), "{phase}");
        }
    }

    #[test]
    fn folders_of_an_older_judge_have_none() {
        let mut folder = fixture::fail();
        folder.measurements.histograms.clear();
        assert_eq!(figures(&folder, Limits::USUAL), (Vec::new(), 0));
    }
}
