//! Unavailability: the longest stretch without an acknowledgement while records were due. Pure.
//!
//! ```text
//! acks     │││││││││                    │││││││││
//! due           ····························        (some record is due and not acknowledged)
//! stretch          ├───────────────────┤
//! ```
//! Acknowledgements less than a resolution (1 ms) apart are one burst; a gap shorter than that counts as none. So the
//! list stays short at high rates; at low ones the resolution doubles whenever the list is full.

use std::ops::Range;

/// Gaps below this are none, to begin with.
const RESOLUTION_NS: u64 = 1_000_000;
/// Bursts kept at most: 24 bytes each.
const BURSTS_MAX: usize = 1 << 20;

/// Resolutions of records close to each other in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Burst {
    first_ns: u64,
    last_ns: u64,
    /// The earliest intended time among its records.
    due_ns: u64,
}

/// When records were resolved, and since when they had been due.
#[derive(Debug)]
pub(super) struct Availability {
    acked: Vec<Burst>,
    /// Records that were refused or given up: they were due until then, but nothing was acknowledged.
    failed: Vec<Burst>,
    resolution_ns: u64,
}

impl Availability {
    pub(super) fn new() -> Availability {
        Availability {
            acked: Vec::new(),
            failed: Vec::new(),
            resolution_ns: RESOLUTION_NS,
        }
    }

    /// Records of one batch were acknowledged; `due_ns` = the earliest intended time among them.
    pub(super) fn acked(&mut self, at_ns: u64, due_ns: u64) {
        add(&mut self.acked, &mut self.resolution_ns, at_ns, due_ns);
    }

    /// Records were given up at this time (`u64::MAX`: never).
    pub(super) fn failed(&mut self, at_ns: u64, due_ns: u64) {
        add(&mut self.failed, &mut self.resolution_ns, at_ns, due_ns);
    }

    /// Bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        (self.acked.capacity() + self.failed.capacity()) * size_of::<Burst>()
    }

    /// All stretches, in order. The last one may reach to `u64::MAX`.
    pub(super) fn stretches(&mut self) -> Vec<Range<u64>> {
        coalesce(&mut self.acked, self.resolution_ns);
        coalesce(&mut self.failed, self.resolution_ns);
        // From the end: what is due before a burst is the earliest of all that is resolved in it or later.
        let mut stretches = Vec::new();
        let mut failed = self.failed.iter().rev().peekable();
        let mut due_ns = u64::MAX;
        let mut next_ack_ns = u64::MAX;
        for burst in self.acked.iter().rev().map(Some).chain([None]) {
            let ack_before_ns = burst.map_or(0, |burst| burst.last_ns);
            while let Some(given_up) = failed.next_if(|given_up| given_up.last_ns >= ack_before_ns) {
                due_ns = due_ns.min(given_up.due_ns);
            }
            let from = ack_before_ns.max(due_ns);
            if from < next_ack_ns && next_ack_ns - from >= self.resolution_ns {
                stretches.push(from..next_ack_ns);
            }
            if let Some(burst) = burst {
                due_ns = due_ns.min(burst.due_ns);
                next_ack_ns = burst.first_ns;
            }
        }
        stretches.reverse();
        stretches
    }
}

/// The longest part of a stretch within these spans; 0 when there is none.
pub(super) fn longest(stretches: &[Range<u64>], spans: &[Range<u64>]) -> u64 {
    let overlap = |a: &Range<u64>, b: &Range<u64>| a.end.min(b.end).saturating_sub(a.start.max(b.start));
    let each = stretches
        .iter()
        .flat_map(|stretch| spans.iter().map(move |span| overlap(stretch, span)));
    each.max().unwrap_or(0)
}

fn add(bursts: &mut Vec<Burst>, resolution_ns: &mut u64, at_ns: u64, due_ns: u64) {
    if let Some(last) = bursts.last_mut()
        && at_ns >= last.first_ns
        && at_ns <= last.last_ns.saturating_add(*resolution_ns)
    {
        last.last_ns = last.last_ns.max(at_ns);
        last.due_ns = last.due_ns.min(due_ns);
        return;
    }
    while bursts.len() >= BURSTS_MAX {
        coalesce(bursts, *resolution_ns);
        if bursts.len() >= BURSTS_MAX {
            *resolution_ns = resolution_ns.saturating_mul(2);
        }
    }
    bursts.push(Burst {
        first_ns: at_ns,
        last_ns: at_ns,
        due_ns,
    });
}

fn coalesce(bursts: &mut Vec<Burst>, resolution_ns: u64) {
    bursts.sort_unstable_by_key(|burst| burst.first_ns);
    bursts.dedup_by(|next, before| {
        let joined = next.first_ns <= before.last_ns.saturating_add(resolution_ns);
        if joined {
            before.last_ns = before.last_ns.max(next.last_ns);
            before.due_ns = before.due_ns.min(next.due_ns);
        }
        joined
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn silence_counts_only_while_something_is_due() {
        let mut availability = Availability::new();
        // Two records a second apart, each acknowledged 2 ms after it was due.
        availability.acked(2 * MS, 0);
        availability.acked(1_002 * MS, 1_000 * MS);
        assert_eq!(availability.stretches(), [0..2 * MS, 1_000 * MS..1_002 * MS]);
    }

    #[test]
    fn an_outage_lasts_from_the_last_ack_to_the_next() {
        let mut availability = Availability::new();
        (0..1_000).for_each(|i| availability.acked(i * MS / 2 + 1, i * MS / 2));
        availability.acked(6_000 * MS, 500 * MS);
        let stretches = availability.stretches();
        assert_eq!(stretches, [500 * MS..6_000 * MS]);
        assert_eq!(
            longest(&stretches, &[0..1_000 * MS, 2_000 * MS..2_001 * MS]),
            500 * MS
        );
        assert_eq!(longest(&stretches, &[0..100 * MS]), 0);
    }

    #[test]
    fn records_given_up_were_due_until_then() {
        let mut availability = Availability::new();
        availability.acked(MS / 2, 0);
        availability.failed(120_000 * MS, MS);
        availability.acked(130_000 * MS, 129_999 * MS);
        assert_eq!(availability.stretches(), [MS..130_000 * MS]);
    }

    #[test]
    fn what_is_never_resolved_is_due_to_the_end() {
        let mut availability = Availability::new();
        availability.acked(MS / 2, 0);
        availability.failed(u64::MAX, 5 * MS);
        assert_eq!(availability.stretches(), [5 * MS..u64::MAX]);
    }

    #[test]
    fn files_of_several_workers_may_come_in_any_order() {
        let mut availability = Availability::new();
        availability.acked(10 * MS, 9 * MS);
        availability.acked(30 * MS, 29 * MS);
        availability.acked(20 * MS, 0);
        assert_eq!(
            availability.stretches(),
            [0..10 * MS, 10 * MS..20 * MS, 29 * MS..30 * MS]
        );
    }

    #[test]
    fn the_list_stays_within_its_bound() {
        let mut availability = Availability::new();
        for i in 0..2 * BURSTS_MAX as u64 {
            availability.acked(i * 2 * MS, i * 2 * MS);
        }
        assert!(availability.acked.len() <= BURSTS_MAX);
    }
}
