//! The series of a run as rates per second, thinned to what a chart can show.

use steadfast_verifier::measurements::{Measurements, Point};

const SECOND: f64 = 1e9;
/// Share of a point that the load must cover for its rates to mean something.
const LEAST_COVERED: f64 = 0.2;

/// Nanoseconds that one point of the series stands for.
pub(super) fn width_ns(series: &[Point]) -> i64 {
    match series {
        [first, second, ..] => (second.t_ns - first.t_ns).max(1),
        _ => SECOND as i64,
    }
}

/// Counts as rates per second, and at most `most` points: of neighbours that are joined the rates are averaged and the
/// worst latencies kept. The load ends within a point: what it covers of it counts, too little is left out.
pub(super) fn rates(measurements: &Measurements, most: usize) -> Vec<Point> {
    let series = &measurements.series;
    let width_ns = width_ns(series) as f64;
    let end_ns = measurements
        .phases
        .iter()
        .map(|phase| phase.end_ns)
        .max()
        .unwrap_or(i64::MAX);
    let rate = |point: &Point| {
        let covered = (end_ns.saturating_sub(point.t_ns) as f64 / width_ns).min(1.0);
        let late = covered <= 0.0;
        if (late && point.acked == 0) || (!late && covered < LEAST_COVERED) {
            return None;
        }
        let seconds = if late { 1.0 } else { covered } * width_ns / SECOND;
        let per_second = |count: u64| (count as f64 / seconds).round() as u64;
        Some(Point {
            intended: per_second(point.intended),
            acked: per_second(point.acked),
            ..point.clone()
        })
    };
    let rates: Vec<Point> = series.iter().filter_map(rate).collect();
    let join = |group: &[Point]| {
        let points = group.len().max(1) as u64;
        Point {
            t_ns: group.first().map_or(0, |point| point.t_ns),
            intended: group.iter().map(|point| point.intended).sum::<u64>() / points,
            acked: group.iter().map(|point| point.acked).sum::<u64>() / points,
            p50_ns: group.iter().filter_map(|point| point.p50_ns).max(),
            p99_ns: group.iter().filter_map(|point| point.p99_ns).max(),
            max_ns: group.iter().filter_map(|point| point.max_ns).max(),
            visible_p50_ns: group.iter().filter_map(|point| point.visible_p50_ns).max(),
            visible_p99_ns: group.iter().filter_map(|point| point.visible_p99_ns).max(),
            waiting: group.iter().filter_map(|point| point.waiting).max(),
        }
    };
    rates
        .chunks(rates.len().div_ceil(most.max(1)).max(1))
        .map(join)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_long_run_is_thinned_and_its_worst_second_survives() {
        let point = |i: i64| Point {
            t_ns: i * 1_000_000_000,
            intended: 10,
            acked: 10,
            ..Point::default()
        };
        let mut series: Vec<Point> = (0..10_000).map(point).collect();
        series[7777].max_ns = Some(9_000_000);
        let rates = rates(
            &Measurements {
                series,
                ..Measurements::default()
            },
            480,
        );
        assert!(rates.len() <= 480);
        assert!(rates.iter().all(|point| point.intended == 10));
        assert_eq!(
            rates.iter().filter_map(|point| point.max_ns).max(),
            Some(9_000_000)
        );
    }

    #[test]
    fn the_end_of_the_load_does_not_look_like_an_outage() {
        let mut measurements = fixture::pass().measurements;
        let end_ns = measurements.phases[1].end_ns;
        // Half a second more of load, then a sliver, then acknowledgements that came late.
        measurements.phases[1].end_ns = end_ns + 500_000_000;
        measurements.series.push(Point {
            t_ns: end_ns,
            intended: 12_500,
            acked: 12_400,
            ..Point::default()
        });
        measurements.series.push(Point {
            t_ns: end_ns + 1_000_000_000,
            acked: 100,
            ..Point::default()
        });
        let halved = rates(&measurements, 480);
        assert_eq!(
            (halved[75].intended, halved[75].acked, halved[76].acked),
            (25_000, 24_800, 100)
        );
        measurements.phases[1].end_ns = end_ns + 1;
        assert_eq!(
            rates(&measurements, 480).len(),
            76,
            "one record due at the very end is no second of its own"
        );
        // Points of two seconds each are rates per second all the same.
        let point = |i: i64| Point {
            t_ns: i * 2_000_000_000,
            intended: 50_000,
            ..Point::default()
        };
        let wide = Measurements {
            series: (0..9).map(point).collect(),
            ..Measurements::default()
        };
        assert!(rates(&wide, 480).iter().all(|point| point.intended == 25_000));
    }
}
