//! How the load went: what was due, acknowledged and in flight, with its latency, per segment of time. Pure.
//!
//! Fed in pass 1 with each record once; a phase is the sum of its segments.

use std::ops::Range;

use hdrhistogram::Histogram;

use super::backlog::Backlogs;
use super::latency::histogram;
use super::phases::{Cuts, Phase};
use super::series::Series;

/// While the workers still write: an outcome that is awaited for less than this is on its way, an older one counts as
/// never come. As long as the runner may be late for its look at the end of warm-up.
pub(super) const ON_ITS_WAY_NS: u64 = 1_000_000_000;

/// One segment's counts and histograms.
#[derive(Debug)]
struct Segment {
    /// Records due in it.
    due: u64,
    /// Those of them that were acknowledged, whenever.
    due_and_acked: u64,
    /// Records acknowledged in it, whenever due.
    acked: u64,
    ack_latency: Histogram<u64>,
    service_time: Histogram<u64>,
    schedule_lag: Histogram<u64>,
    /// Times that a record due in it was to be seen: by each reader once.
    to_be_seen: u64,
    visible_latency: Histogram<u64>,
}

/// A generator hands over what is due on a grid of less than this. A record that waits there counts as on its way: its
/// acknowledgement belongs to either side of a cut. What waits longer is backlog and no excuse.
const HAND_OVER_GRID_NS: u64 = 1_000_000;

/// What was measured of the load.
#[derive(Debug)]
pub(super) struct Load {
    cuts: Cuts,
    segments: Vec<Segment>,
    /// Per cut: records on their way before it and acknowledged after it.
    in_flight: Vec<u64>,
    near: usize,
    pub(super) series: Series,
    /// What waited when faults were healed.
    pub(super) backlogs: Backlogs,
}

/// One phase's share of the load.
#[derive(Debug)]
pub(super) struct PhaseLoad {
    /// Nanoseconds.
    pub(super) length_ns: u64,
    /// Records due in the phase.
    pub(super) due: u64,
    /// Those of them that were acknowledged, whenever.
    pub(super) due_and_acked: u64,
    /// Records acknowledged within the phase, whenever due.
    pub(super) acked: u64,
    /// Records in flight at the begins and ends of the phase, together.
    pub(super) in_flight: u64,
    pub(super) ack_latency: Histogram<u64>,
    pub(super) service_time: Histogram<u64>,
    pub(super) schedule_lag: Histogram<u64>,
    /// Times that records due in the phase were to be seen by readers.
    pub(super) to_be_seen: u64,
    pub(super) visible_latency: Histogram<u64>,
}

impl Load {
    pub(super) fn new(cuts: Cuts, run: Range<u64>) -> Load {
        let segment = || Segment {
            due: 0,
            due_and_acked: 0,
            acked: 0,
            ack_latency: histogram(),
            service_time: histogram(),
            schedule_lag: histogram(),
            to_be_seen: 0,
            visible_latency: histogram(),
        };
        Load {
            segments: (0..cuts.segments()).map(|_| segment()).collect(),
            in_flight: vec![0; cuts.segments()],
            cuts,
            near: 0,
            series: Series::new(run.start, run.end),
            backlogs: Backlogs::default(),
        }
    }

    /// A record was handed over.
    pub(super) fn handed_over(&mut self, intended_ns: u64, handover_ns: u64) {
        self.near = self.cuts.segment(intended_ns, self.near);
        let segment = &mut self.segments[self.near];
        segment.due += 1;
        record(&mut segment.schedule_lag, handover_ns.saturating_sub(intended_ns));
        self.series.intended(intended_ns);
    }

    /// A record was acknowledged.
    pub(super) fn acked(&mut self, intended_ns: u64, handover_ns: u64, ack_ns: u64) {
        self.answered(intended_ns, handover_ns, ack_ns, ack_ns);
    }

    /// A record whose batch was acknowledged at `ack_ns` and that counts from `answered_ns` on: with transactions, when
    /// the end of its own was answered. Service time is that of the batch.
    pub(super) fn answered(&mut self, intended_ns: u64, handover_ns: u64, ack_ns: u64, answered_ns: u64) {
        self.near = self.cuts.segment(intended_ns, self.near);
        let latency = answered_ns.saturating_sub(intended_ns);
        let segment = &mut self.segments[self.near];
        segment.due_and_acked += 1;
        record(&mut segment.ack_latency, latency);
        record(&mut segment.service_time, ack_ns.saturating_sub(handover_ns));
        self.series.latency(intended_ns, latency);
        let acked_in = self.cuts.segment(answered_ns, self.near);
        if acked_in != self.near {
            let on_time = handover_ns.saturating_sub(intended_ns) <= HAND_OVER_GRID_NS;
            let sent_ns = if on_time { intended_ns } else { handover_ns };
            let sent_in = self.cuts.segment(sent_ns, self.near);
            (sent_in..acked_in).for_each(|cut| self.in_flight[cut] += 1);
        }
    }

    /// The record due at `intended_ns` got its first outcome, whichever; `u64::MAX`: it never gets one.
    pub(super) fn ended(&mut self, intended_ns: u64, at_ns: u64) {
        self.backlogs.ended(intended_ns, at_ns);
        if at_ns < u64::MAX {
            self.series.ended(at_ns);
        }
    }

    /// A record is to be seen by so many readers.
    pub(super) fn will_be_seen(&mut self, intended_ns: u64, readers: u64) {
        self.near = self.cuts.segment(intended_ns, self.near);
        self.segments[self.near].to_be_seen += readers;
    }

    /// A reader saw a record for the first time.
    pub(super) fn visible(&mut self, intended_ns: u64, seen_ns: u64) {
        self.near = self.cuts.segment(intended_ns, self.near);
        let latency = seen_ns.saturating_sub(intended_ns);
        record(&mut self.segments[self.near].visible_latency, latency);
        self.series.visible(intended_ns, latency);
    }

    /// A batch of so many records was acknowledged.
    pub(super) fn batch_acked(&mut self, records: u64, ack_ns: u64) {
        let acked_in = self.cuts.segment(ack_ns, self.near);
        self.segments[acked_in].acked += records;
        self.series.acked(ack_ns, records);
    }

    /// A record has no outcome yet while the run goes on: it counts as acknowledged at the look, which is the least
    /// latency that it can still get. A stall shows, and the trip of a healthy record does not.
    pub(super) fn on_its_way(&mut self, intended_ns: u64, handover_ns: u64, looked_ns: u64) {
        self.acked(intended_ns, handover_ns, looked_ns);
        self.ended(intended_ns, looked_ns);
        self.batch_acked(1, looked_ns);
    }

    /// So many records, due evenly over `span`, were never handed over.
    pub(super) fn never_handed_over(&mut self, span: &Range<u64>, records: u64) {
        let length = (span.end - span.start).max(1);
        let mut left = records;
        for i in 0..self.segments.len() {
            let segment = self.cuts.span(i);
            let overlap = segment
                .end
                .min(span.end)
                .saturating_sub(segment.start.max(span.start));
            let share = (u128::from(records) * u128::from(overlap)).div_ceil(u128::from(length)) as u64;
            let share = share.min(left);
            self.segments[i].due += share;
            left -= share;
        }
    }

    /// The sum of a phase's segments.
    pub(super) fn phase(&self, phase: &Phase) -> PhaseLoad {
        let (begins, ends) = self.cuts.ends_of(phase);
        let mut sum = PhaseLoad {
            length_ns: phase.length_ns(),
            due: 0,
            due_and_acked: 0,
            acked: 0,
            in_flight: begins.iter().chain(&ends).map(|&cut| self.in_flight[cut]).sum(),
            ack_latency: histogram(),
            service_time: histogram(),
            schedule_lag: histogram(),
            to_be_seen: 0,
            visible_latency: histogram(),
        };
        for segment in self.cuts.segments_of(phase).map(|i| &self.segments[i]) {
            sum.due += segment.due;
            sum.due_and_acked += segment.due_and_acked;
            sum.acked += segment.acked;
            add(&mut sum.ack_latency, &segment.ack_latency);
            add(&mut sum.service_time, &segment.service_time);
            add(&mut sum.schedule_lag, &segment.schedule_lag);
            sum.to_be_seen += segment.to_be_seen;
            add(&mut sum.visible_latency, &segment.visible_latency);
        }
        sum
    }
}

/// Both grow as needed, so neither can fail on a 64-bit machine.
fn record(histogram: &mut Histogram<u64>, value_ns: u64) {
    let recorded = histogram.record(value_ns);
    debug_assert!(recorded.is_ok());
}

fn add(sum: &mut Histogram<u64>, part: &Histogram<u64>) {
    let added = sum.add(part);
    debug_assert!(added.is_ok());
}

#[cfg(test)]
mod tests {
    use super::super::phases::{Phases, Plan};
    use super::*;

    const S: u64 = 1_000_000_000;

    fn load() -> (Phases, Load) {
        let plan = Plan {
            start_ns: 10 * S,
            warmup_end_ns: 12 * S,
            end_ns: 20 * S,
        };
        let phases = Phases::of(&plan, &[]);
        let load = Load::new(Cuts::of(&phases), 10 * S..20 * S);
        (phases, load)
    }

    #[test]
    fn a_record_counts_where_it_was_due_and_its_ack_where_it_came() {
        let (phases, mut load) = load();
        load.handed_over(12 * S - 5, 12 * S - 4);
        load.acked(12 * S - 5, 12 * S - 4, 12 * S + 6);
        load.batch_acked(1, 12 * S + 6);
        let warmup = load.phase(&phases.named[0]);
        assert_eq!(
            (warmup.due, warmup.due_and_acked, warmup.acked, warmup.in_flight),
            (1, 1, 0, 1)
        );
        assert_eq!(
            (
                warmup.ack_latency.max(),
                warmup.service_time.max(),
                warmup.schedule_lag.max()
            ),
            (11, 10, 1)
        );
        let steady = load.phase(&phases.named[1]);
        assert_eq!(
            (steady.due, steady.due_and_acked, steady.acked, steady.in_flight),
            (0, 0, 1, 1)
        );
    }

    #[test]
    fn what_was_never_handed_over_was_due_all_the_same() {
        let (phases, mut load) = load();
        load.never_handed_over(&(11 * S..13 * S), 1_001);
        let due = |phase| load.phase(phase).due;
        assert_eq!(due(&phases.named[0]) + due(&phases.named[1]), 1_001);
        assert!(due(&phases.named[0]).abs_diff(500) <= 1);
    }
}
