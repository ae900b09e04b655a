//! A lane for each fault under the charts over time: when it stood, and how long its limit was missed after it.
//!
//! A few lanes stand under every chart. Many would push the charts apart: they get a figure of their own.

use std::collections::BTreeMap;

use super::Figure;
use super::faults;
use super::time_axis::Time;
use crate::chart::{Axis, Chart, Lane, Scale, Strip};
use crate::folder::Folder;
use crate::number;
use crate::text::Limits;

/// Lanes that stand under every chart.
const MAX_EACH: usize = 8;
/// Characters of a name that fit beside a lane.
const NAME: usize = 14;

/// What stands under every chart: nothing where there are too many lanes for that.
pub(super) fn under_charts(folder: &Folder, time: &Time, limits: Limits) -> Vec<Lane> {
    let all = lanes(folder, time, limits);
    if all.len() > MAX_EACH { Vec::new() } else { all }
}

/// All lanes in a figure of their own, where there are too many for each chart.
pub(super) fn figure(folder: &Folder, time: &Time, limits: Limits) -> Option<Figure> {
    let all = lanes(folder, time, limits);
    if all.len() <= MAX_EACH {
        return None;
    }
    let more = match folder.verdict.faults.len().saturating_sub(limits.rows) {
        0 => String::new(),
        more => format!(" {} more in verdict.json.", number::count(more as u64)),
    };
    let legend = legend(&all);
    let heading = "Faults over time".to_owned();
    let chart = Chart {
        id: "fault-lanes".to_owned(),
        title: heading.clone(),
        description: format!("{} lanes; the table of faults says the same.", all.len()),
        width: 960.0,
        right: 118.0,
        // No plot at all: the lanes alone.
        height: 58.0,
        x: time.axis(10),
        y: Axis {
            label: String::new(),
            scale: Scale::Linear { min: 0.0, max: 1.0 },
            ticks: Vec::new(),
        },
        bands: Vec::new(),
        lines: Vec::new(),
        limits: Vec::new(),
        tips: Vec::new(),
        lanes: all,
    };
    Some(Figure {
        heading,
        note: format!("{legend}{more}"),
        svg: chart.svg(),
    })
}

/// What the colours of the lanes say; nothing where there are none.
pub(super) fn legend(lanes: &[Lane]) -> &'static str {
    let mut strips = lanes.iter().flat_map(|lane| &lane.strips);
    if lanes.is_empty() {
        ""
    } else if strips.any(|strip| strip.class != "fault") {
        "Lanes, pale: the fault stood; red: the limit on latency was missed meanwhile; amber: it was still missed \
         after the heal."
    } else {
        "Lanes: when each fault stood."
    }
}

/// One lane for each name of a fault, by begin; what was told of each time it struck is what the pointer tells.
fn lanes(folder: &Folder, time: &Time, limits: Limits) -> Vec<Lane> {
    let mut lanes: Vec<Lane> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let (kept, _) = limits.rows(&folder.verdict.faults);
    for (i, fault) in kept.iter().enumerate() {
        let Some(span) = faults::span(folder, i) else {
            continue;
        };
        // Some are over at once, and have happened all the same.
        let Some((from, to)) = time.clip(span.start, span.end.max(span.start + 1)) else {
            continue;
        };
        let place = *places.entry(fault.name.as_str()).or_insert(lanes.len());
        if place == lanes.len() {
            lanes.push(Lane {
                name: cut(&limits.short(&fault.name)),
                strips: Vec::new(),
            });
        }
        let told = faults::told(folder, i, limits);
        let mut strip = |class, (from, to): (f64, f64), note: &str| {
            lanes[place].strips.push(Strip {
                class,
                from,
                to,
                tip: format!("{told}{note}"),
            });
        };
        strip("fault", (from, to), "");
        let Some(until) = faults::missed_until(folder, i) else {
            continue;
        };
        if let Some(span) = time.clip(span.start, until.min(span.end)) {
            strip("hurt", span, "\nthe limit on latency was missed");
        }
        if let Some((from, to)) = time.clip(span.end, until) {
            let seconds = number::nanoseconds((to - from) * 1e9);
            let note = format!("\nthe limit on latency was missed for {seconds} after the heal");
            strip("late", (from, to), &note);
        }
    }
    lanes
}

/// The begin of a name that is too long for the margin; the whole stands in the table and in the pointer's text.
fn cut(name: &str) -> String {
    if name.chars().count() <= NAME {
        return name.to_owned();
    }
    name.chars().take(NAME - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn of(folder: &Folder) -> (Vec<Lane>, Option<Figure>) {
        let stamps: Vec<i64> = folder
            .measurements
            .series
            .iter()
            .map(|point| point.t_ns)
            .collect();
        let time = Time::of(folder, stamps.into_iter());
        let limits = Limits::USUAL;
        (under_charts(folder, &time, limits), figure(folder, &time, limits))
    }

    #[test]
    fn a_lane_tells_when_where_and_what_shows_it() {
        let (lanes, alone) = of(&fixture::fail());
        assert!(alone.is_none());
        assert_eq!(lanes.len(), 1);
        assert_eq!(lanes[0].name, "kill-leader");
        let fault = lanes[0]
            .strips
            .iter()
            .find(|strip| strip.class == "fault")
            .unwrap();
        assert_eq!((fault.from, fault.to), (20.0, 35.0));
        let hurt = lanes[0]
            .strips
            .iter()
            .find(|strip| strip.class == "hurt")
            .unwrap();
        assert_eq!((hurt.from, hurt.to), (20.0, 26.0));
        assert!(lanes[0].strips.iter().all(|strip| strip.class != "late"));
        assert!(legend(&lanes).contains("red:") && legend(&[]).is_empty());
        for fact in ["leader(orders-0)", "broker-2 (pid 4711)", "signal 9"] {
            assert!(fault.tip.contains(fact), "{fact}: {}", fault.tip);
        }
    }

    #[test]
    fn what_is_missed_after_the_heal_has_a_colour_of_its_own() {
        let mut folder = fixture::fail();
        folder.measurements.impacts[0]
            .limit
            .as_mut()
            .unwrap()
            .missed_for_ns = 17_000_000_000;
        let (lanes, _) = of(&folder);
        let late = lanes[0]
            .strips
            .iter()
            .find(|strip| strip.class == "late")
            .unwrap();
        assert_eq!((late.from, late.to), (35.0, 37.0));
        assert!(
            late.tip.ends_with("missed for 2 s after the heal"),
            "{}",
            late.tip
        );
    }

    #[test]
    fn a_campaign_has_its_lanes_in_one_figure() {
        let folder = fixture::campaign();
        let (under, alone) = of(&folder);
        assert!(under.is_empty());
        let svg = alone.unwrap().svg;
        assert_eq!(svg.matches("lane-name").count(), folder.verdict.faults.len());
    }

    #[test]
    fn without_impacts_the_phases_tell_when_a_fault_stood() {
        let mut folder = fixture::fail();
        folder.measurements.impacts.clear();
        let (lanes, _) = of(&folder);
        assert_eq!((lanes[0].strips[0].from, lanes[0].strips[0].to), (20.0, 35.0));
    }

    #[test]
    fn a_fault_that_strikes_twice_has_one_lane() {
        let mut folder = fixture::fail();
        let mut again = folder.verdict.faults[0].clone();
        again.started_ns += 20_000_000_000;
        folder.verdict.faults.push(again);
        let mut impact = folder.measurements.impacts[0].clone();
        impact.start_ns += 20_000_000_000;
        impact.healed_ns = Some(impact.start_ns + 1_000_000_000);
        folder.measurements.impacts.push(impact);
        let (lanes, _) = of(&folder);
        assert_eq!(lanes.len(), 1);
        assert_eq!(
            lanes[0]
                .strips
                .iter()
                .filter(|strip| strip.class == "fault")
                .count(),
            2
        );
    }
}
