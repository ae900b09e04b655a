//! The run second by second: records due, acknowledged, and their latency. Pure.

use hdrhistogram::Histogram;

use crate::measurements::Point;

const SECOND_NS: u64 = 1_000_000_000;
/// Points at most; a run longer than so many seconds (two hours) has points of two seconds, or three, ...
const POINTS_MAX: u64 = 7_200;
/// Two digits are more than a plot shows, and keep a point at 13 KB where three would take 130.
const DIGITS: u8 = 2;
/// The finest step of a point's histogram: 0.5 µs.
const LOWEST_NS: u64 = 512;

/// One point a second (or so) of intended time.
#[derive(Debug)]
pub(super) struct Series {
    start_ns: u64,
    width_ns: u64,
    points: Vec<Interval>,
}

#[derive(Debug, Default)]
struct Interval {
    intended: u64,
    acked: u64,
    /// Records that got their outcome in it, whichever.
    ended: u64,
    max_ns: u64,
    latency: Option<Histogram<u32>>,
    /// Until readers saw it; every reader counts.
    visible: Option<Histogram<u32>>,
}

impl Series {
    /// For a run from `start_ns` to `end_ns`; what is acknowledged later makes it longer.
    pub(super) fn new(start_ns: u64, end_ns: u64) -> Series {
        let seconds = end_ns.saturating_sub(start_ns) / SECOND_NS + 1;
        Series {
            start_ns,
            width_ns: seconds.div_ceil(POINTS_MAX) * SECOND_NS,
            points: Vec::new(),
        }
    }

    /// A record was due.
    pub(super) fn intended(&mut self, at_ns: u64) {
        self.point(at_ns).intended += 1;
    }

    /// So many records were acknowledged at this time.
    pub(super) fn acked(&mut self, at_ns: u64, records: u64) {
        self.point(at_ns).acked += records;
    }

    /// A record got its outcome, whichever, at this time.
    pub(super) fn ended(&mut self, at_ns: u64) {
        self.point(at_ns).ended += 1;
    }

    /// The record due at `intended_ns` was acknowledged after `latency_ns`.
    pub(super) fn latency(&mut self, intended_ns: u64, latency_ns: u64) {
        let point = self.point(intended_ns);
        point.max_ns = point.max_ns.max(latency_ns);
        // It resizes itself, so recording cannot fail on a 64-bit machine.
        let _ = point.latency.get_or_insert_with(histogram).record(latency_ns);
    }

    /// A reader saw the record due at `intended_ns` after `latency_ns`.
    pub(super) fn visible(&mut self, intended_ns: u64, latency_ns: u64) {
        let visible = &mut self.point(intended_ns).visible;
        let _ = visible.get_or_insert_with(histogram).record(latency_ns);
    }

    /// Bytes it holds, about.
    pub(super) fn bytes(&self) -> usize {
        let histograms = self
            .points
            .iter()
            .flat_map(|point| point.latency.iter().chain(&point.visible));
        self.points.capacity() * size_of::<Interval>()
            + histograms.map(|h| h.distinct_values() * 4).sum::<usize>()
    }

    /// Nanoseconds that a point stands for.
    pub(super) fn width_ns(&self) -> u64 {
        self.width_ns
    }

    /// The points, times relative to `zero_ns`.
    pub(super) fn points(&self, zero_ns: u64) -> Vec<Point> {
        let begin = self.start_ns as i64 - zero_ns as i64;
        let at = |i: usize| begin + i as i64 * self.width_ns as i64;
        let quantile = |point: &Interval, q| {
            // A bucket's upper end may lie above what was really measured.
            point
                .latency
                .as_ref()
                .map(|latency| latency.value_at_quantile(q).min(point.max_ns))
        };
        let mut waiting = 0_u64;
        let mut waiting_after = |point: &Interval| {
            waiting = (waiting + point.intended).saturating_sub(point.ended);
            waiting
        };
        self.points
            .iter()
            .enumerate()
            .map(|(i, point)| Point {
                t_ns: at(i),
                intended: point.intended,
                acked: point.acked,
                p50_ns: quantile(point, 0.5),
                p99_ns: quantile(point, 0.99),
                max_ns: point.latency.as_ref().map(|_| point.max_ns),
                visible_p50_ns: point.visible.as_ref().map(|seen| seen.value_at_quantile(0.5)),
                visible_p99_ns: point.visible.as_ref().map(|seen| seen.value_at_quantile(0.99)),
                waiting: Some(waiting_after(point)),
            })
            .collect()
    }

    fn point(&mut self, at_ns: u64) -> &mut Interval {
        let i = at_ns.saturating_sub(self.start_ns) / self.width_ns;
        // Drain time comes on top of the run; whatever lies even further out joins the last point.
        let i = i.min(2 * POINTS_MAX) as usize;
        if i >= self.points.len() {
            self.points.resize_with(i + 1, Interval::default);
        }
        &mut self.points[i]
    }
}

fn histogram() -> Histogram<u32> {
    match Histogram::new_with_bounds(LOWEST_NS, 2 * LOWEST_NS, DIGITS) {
        Ok(mut histogram) => {
            histogram.auto(true);
            histogram
        }
        Err(_) => unreachable!("the bounds are constants that hdrhistogram takes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_belongs_to_the_second_it_was_due_in_and_acks_to_their_own() {
        let mut series = Series::new(10 * SECOND_NS, 12 * SECOND_NS);
        series.intended(10 * SECOND_NS + 5);
        series.latency(10 * SECOND_NS + 5, 3 * SECOND_NS);
        series.acked(13 * SECOND_NS + 5, 1);
        let points = series.points(10 * SECOND_NS);
        assert_eq!(points.len(), 4);
        assert_eq!(
            (points[0].intended, points[0].acked, points[0].max_ns),
            (1, 0, Some(3 * SECOND_NS))
        );
        assert_eq!(points[0].p50_ns, Some(3 * SECOND_NS));
        assert_eq!(
            (points[3].t_ns, points[3].acked, points[3].p99_ns),
            (3 * SECOND_NS as i64, 1, None)
        );
    }

    #[test]
    fn what_is_due_waits_until_it_has_an_outcome() {
        let mut series = Series::new(0, 3 * SECOND_NS);
        (0..5).for_each(|i| series.intended(i));
        series.ended(SECOND_NS - 1);
        (0..3).for_each(|i| series.ended(2 * SECOND_NS + i));
        let waiting: Vec<_> = series.points(0).iter().map(|point| point.waiting).collect();
        assert_eq!(waiting, [Some(4), Some(4), Some(1)]);
    }

    #[test]
    fn a_long_run_has_wider_points_and_no_more_of_them() {
        let eight_hours = 8 * 3_600 * SECOND_NS;
        let mut series = Series::new(0, eight_hours);
        series.acked(eight_hours, 1);
        series.acked(u64::MAX, 1);
        assert!(series.points.len() as u64 <= 2 * POINTS_MAX + 1);
        assert_eq!(series.width_ns % SECOND_NS, 0);
    }

    #[test]
    fn figures_are_within_one_percent() {
        let mut series = Series::new(0, SECOND_NS);
        (1..=1_000).for_each(|i| series.latency(0, i * 1_000));
        let point = &series.points(0)[0];
        let p99 = point.p99_ns.unwrap() as f64;
        assert!((p99 - 990_000.0).abs() < 9_900.0, "{p99}");
    }
}
