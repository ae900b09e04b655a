//! Pure: what a worker can tell about itself while it runs. For people who watch, never evidence: the judge computes
//! everything from the history.

use std::collections::VecDeque;

use hdrhistogram::Histogram;

/// Shortest latency told apart, ns.
const SHORTEST_NS: u64 = 1_000;
/// Longest; a longer one counts as this.
const LONGEST_NS: u64 = 3_600_000_000_000;
/// Two digits are enough to watch.
const DIGITS: u8 = 2;
/// Most records whose due times are remembered; beyond it the oldest are left out of the percentile (32 MiB).
const MAX_REMEMBERED: usize = 4 << 20;

/// Due times of records without an outcome, and the latencies of those with one.
#[derive(Debug)]
pub(crate) struct Live {
    latency: Histogram<u64>,
    /// Latencies count for records due from here on.
    from_ns: u64,
    /// Due times of `base` and the indexes after it; 0 once the outcome is known.
    due: VecDeque<u64>,
    base: u64,
}

impl Live {
    /// Remembers nothing yet. Records due before `from_ns` do not count.
    pub(crate) fn new(first_index: u64, from_ns: u64) -> Live {
        let latency = Histogram::new_with_bounds(SHORTEST_NS, LONGEST_NS, DIGITS);
        Live {
            latency: latency.expect("constant bounds that the histogram accepts"),
            from_ns,
            due: VecDeque::new(),
            base: first_index,
        }
    }

    /// Records that follow those before without a gap were handed over.
    pub(crate) fn handed_over(&mut self, intended_ns: &[u64]) {
        self.due.extend(intended_ns);
        let surplus = self.due.len().saturating_sub(MAX_REMEMBERED);
        self.due.drain(..surplus);
        self.base += surplus as u64;
    }

    /// The outcome of these is known; `acked_ns` where they were acknowledged.
    pub(crate) fn completed(&mut self, indexes: &[u64], acked_ns: Option<u64>) {
        for &index in indexes {
            let place = index
                .checked_sub(self.base)
                .and_then(|place| self.due.get_mut(place as usize));
            let Some(due) = place else { continue };
            let due = std::mem::take(due);
            if let Some(acked) = acked_ns
                && due >= self.from_ns
            {
                self.latency.saturating_record(acked.saturating_sub(due));
            }
        }
        while self.due.front() == Some(&0) {
            self.due.pop_front();
            self.base += 1;
        }
    }

    /// 99th percentile of the latencies so far, ns; 0 before the first.
    pub(crate) fn p99_ns(&self) -> u64 {
        if self.latency.is_empty() {
            0
        } else {
            self.latency.value_at_quantile(0.99)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_counts_from_the_due_time_and_only_after_warm_up() {
        let mut live = Live::new(10, 2_000_000);
        live.handed_over(&[1_000_000, 2_000_000, 3_000_000]);
        live.completed(&[10], Some(900_000_000));
        assert_eq!(live.p99_ns(), 0, "warm-up does not count");
        live.completed(&[12, 11], Some(4_000_000));
        assert!(
            (1_980_000..2_020_000).contains(&live.p99_ns()),
            "{}",
            live.p99_ns()
        );
        assert!(live.due.is_empty());
        assert_eq!(live.base, 13);
        // A second outcome or an unknown index changes nothing.
        live.completed(&[11, 99], Some(900_000_000));
        assert!(live.p99_ns() < 2_020_000);
    }

    #[test]
    fn memory_is_bounded() {
        let mut live = Live::new(0, 0);
        let run = vec![1; 100_000];
        for _ in 0..50 {
            live.handed_over(&run);
        }
        assert_eq!(live.due.len(), MAX_REMEMBERED);
        assert_eq!(live.base + live.due.len() as u64, 5_000_000);
    }
}
