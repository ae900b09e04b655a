//! The time axis that all charts over time share, and the phases that stand above it, overlapping ones in rows.

use steadfast_verifier::measurements::Measurements;

use crate::chart::{Axis, Band, Scale};
use crate::number;
use crate::text::Limits;

const SECOND: f64 = 1e9;
/// Rows of phases above a chart; what overlaps more deeply shares the last one.
const MAX_LANES: usize = 4;
/// Faults beyond these are not drawn: their strips could not be told apart.
const MAX_BANDS: usize = 60;

/// The time axis that all these charts share: 0 is the end of warm-up, as in the scenario file.
pub(super) struct Time {
    zero_ns: i64,
    pub(super) scale: Scale,
    pub(super) bands: Vec<Band>,
}

impl Time {
    pub(super) fn of(measurements: &Measurements, stamps: impl Iterator<Item = i64>) -> Time {
        let phases = &measurements.phases;
        let zero_ns = phases
            .iter()
            .find(|phase| phase.name == "warmup")
            .map_or(0, |phase| phase.end_ns);
        let seconds = |ns: i64| (ns as f64 - zero_ns as f64) / SECOND;
        let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
        for stamp in stamps {
            min = min.min(seconds(stamp));
            max = max.max(seconds(stamp) + 1.0);
        }
        let mut lanes: Vec<f64> = Vec::new();
        let mut bands = Vec::new();
        for phase in phases.iter().take(MAX_BANDS) {
            let (from, to) = (seconds(phase.start_ns).max(min), seconds(phase.end_ns).min(max));
            if to > from {
                let lane = lanes
                    .iter()
                    .position(|end| *end <= from + 1e-6)
                    .unwrap_or(lanes.len())
                    .min(MAX_LANES - 1);
                lanes.resize(lanes.len().max(lane + 1), f64::NEG_INFINITY);
                lanes[lane] = lanes[lane].max(to);
                let (name, class) = phase_words(&phase.name);
                bands.push(Band {
                    name: Limits::TIGHT.short(name),
                    class,
                    lane,
                    from,
                    to,
                });
            }
        }
        Time {
            zero_ns,
            scale: Scale::Linear { min, max },
            bands,
        }
    }

    pub(super) fn seconds(&self, ns: i64) -> f64 {
        (ns as f64 - self.zero_ns as f64) / SECOND
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

/// `fault:kill-leader` is the strip "kill-leader".
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
    use super::*;
    use crate::fixture;

    #[test]
    fn overlapping_faults_get_lanes_of_their_own() {
        let mut measurements = fixture::fail().measurements;
        let fault = measurements
            .phases
            .iter()
            .find(|phase| phase.name.starts_with("fault:"))
            .cloned()
            .unwrap();
        measurements.phases.push(steadfast_verifier::measurements::Phase {
            name: "fault:other".to_owned(),
            ..fault
        });
        let time = Time::of(&measurements, measurements.series.iter().map(|point| point.t_ns));
        let lane = |name: &str| time.bands.iter().find(|band| band.name == name).unwrap().lane;
        assert_ne!(lane("kill-leader"), lane("other"));
    }
}
