//! The time axis that all charts over time share: phases above it, overlapping ones in rows, and faults as a tint behind
//! the curves. Their lanes are the business of `fault_lanes`.

use crate::chart::{Axis, Band, Scale};
use crate::folder::Folder;
use crate::number;
use crate::text::Limits;

const SECOND: f64 = 1e9;
/// Rows of phases above a chart; what overlaps more deeply shares the last one.
const MAX_ROWS: usize = 3;
/// Phases beyond these are not drawn: their strips could not be told apart.
const MAX_BANDS: usize = 150;

/// The time axis that all these charts share: 0 is the end of warm-up, as in the scenario file.
pub(super) struct Time {
    zero_ns: i64,
    min: f64,
    max: f64,
    pub(super) scale: Scale,
    pub(super) bands: Vec<Band>,
}

impl Time {
    pub(super) fn of(folder: &Folder, stamps: impl Iterator<Item = i64>) -> Time {
        let zero_ns = zero_ns(folder);
        let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
        let mut time = Time {
            zero_ns,
            min,
            max,
            scale: Scale::Linear { min, max },
            bands: Vec::new(),
        };
        for stamp in stamps {
            min = min.min(time.seconds(stamp));
            max = max.max(time.seconds(stamp) + 1.0);
        }
        (time.min, time.max, time.scale) = (min, max, Scale::Linear { min, max });
        let mut rows: Vec<f64> = Vec::new();
        for phase in folder.measurements.phases.iter().take(MAX_BANDS) {
            let Some((from, to)) = time.clip(phase.start_ns, phase.end_ns) else {
                continue;
            };
            let (name, class) = phase_words(&phase.name);
            // Where many faults heal at once, that is one strip and not a staircase.
            let mut bands = time.bands.iter_mut().rev();
            if class == "heal"
                && let Some(last) = bands.find(|band| band.class == "heal")
                && from <= last.to
            {
                last.to = last.to.max(to);
                if let Some(end) = last.lane.and_then(|row| rows.get_mut(row)) {
                    *end = end.max(to);
                }
                continue;
            }
            let lane = (class != "fault").then(|| {
                let free = rows.iter().position(|end| *end <= from + 1e-6);
                let row = free.unwrap_or(rows.len()).min(MAX_ROWS - 1);
                rows.resize(rows.len().max(row + 1), f64::NEG_INFINITY);
                rows[row] = rows[row].max(to);
                row
            });
            time.bands.push(Band {
                name: Limits::TIGHT.short(name),
                class,
                lane,
                from,
                to,
            });
        }
        time
    }

    pub(super) fn seconds(&self, ns: i64) -> f64 {
        (ns as f64 - self.zero_ns as f64) / SECOND
    }

    /// What of a span lies on the axis; none if nothing does.
    pub(super) fn clip(&self, from_ns: i64, to_ns: i64) -> Option<(f64, f64)> {
        let (from, to) = (
            self.seconds(from_ns).max(self.min),
            self.seconds(to_ns).min(self.max),
        );
        (to > from).then_some((from, to))
    }

    pub(super) fn axis(&self, about: usize) -> Axis {
        let ticks = self
            .scale
            .ticks(about)
            .into_iter()
            .map(|s| (s, number::plain(s, 6)))
            .collect();
        Axis {
            label: "seconds from the end of warm-up".to_owned(),
            scale: self.scale,
            ticks,
        }
    }
}

/// Where the seconds of scenario files begin: the end of warm-up.
pub(super) fn zero_ns(folder: &Folder) -> i64 {
    let mut phases = folder.measurements.phases.iter();
    let warmup = phases.find(|phase| phase.name == "warmup");
    warmup.map_or(0, |phase| phase.end_ns)
}

/// `fault:kill-leader` is a tint named "kill-leader".
fn phase_words(name: &str) -> (&str, &'static str) {
    match name.split_once(':') {
        Some(("fault", fault)) => (fault, "fault"),
        Some(("heal", _)) => ("heal", "heal"),
        _ if name == "warmup" => ("warm-up", "warmup"),
        _ => (name, "calm"),
    }
}

#[cfg(test)]
mod tests {
    use steadfast_verifier::measurements::Phase;

    use super::*;
    use crate::fixture;

    #[test]
    fn phases_that_overlap_get_rows_of_their_own_and_faults_none() {
        let mut folder = fixture::fail();
        let phase = |name: &str, from: i64, to: i64| Phase {
            name: name.to_owned(),
            start_ns: from * 1_000_000_000,
            end_ns: to * 1_000_000_000,
        };
        let phases = &mut folder.measurements.phases;
        phases.insert(4, phase("heal:other", 55, 65));
        phases.push(phase("later", 70, 75));
        let stamps: Vec<i64> = folder
            .measurements
            .series
            .iter()
            .map(|point| point.t_ns)
            .collect();
        let time = Time::of(&folder, stamps.into_iter());
        let told: Vec<_> = time
            .bands
            .iter()
            .map(|band| (band.name.as_str(), band.lane, band.from, band.to))
            .collect();
        assert!(told.contains(&("kill-leader", None, 20.0, 35.0)), "{told:?}");
        assert!(
            told.contains(&("heal", Some(0), 35.0, 50.0)),
            "heals join: {told:?}"
        );
        assert!(told.contains(&("after", Some(1), 45.0, 60.0)), "{told:?}");
        assert!(told.contains(&("later", Some(0), 55.0, 60.0)), "{told:?}");
    }

    #[test]
    fn what_lies_outside_of_the_axis_is_cut_or_left_out() {
        let folder = fixture::fail();
        let time = Time::of(&folder, [0, 74_000_000_000].into_iter());
        assert_eq!(time.clip(-5_000_000_000, 1_000_000_000), Some((-15.0, -14.0)));
        assert_eq!(time.clip(76_000_000_000, 80_000_000_000), None);
    }
}
