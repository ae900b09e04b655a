//! Pure: the p99 that lines of progress show. For people who watch, never evidence.

use std::collections::VecDeque;

use hdrhistogram::Histogram;

/// Shortest latency told apart and longest, ns; digits that are enough to watch.
const SHORTEST_NS: u64 = 1_000;
const LONGEST_NS: u64 = 3_600_000_000_000;
const DIGITS: u8 = 2;
/// Most records whose due times are remembered; beyond it the oldest are left out (32 MiB).
const MAX_REMEMBERED: usize = 4 << 20;

/// Due times of records without an outcome, and the latencies of those with one.
#[derive(Debug)]
pub(crate) struct Live {
    latency: Histogram<u64>,
    /// Records due before do not count.
    from_ns: u64,
    /// Due times of record `base` and those after it; 0 once the outcome is known.
    due: VecDeque<u64>,
    base: u64,
}

impl Live {
    pub(crate) fn new(first_index: u64, from_ns: u64) -> Live {
        Live {
            latency: Histogram::new_with_bounds(SHORTEST_NS, LONGEST_NS, DIGITS)
                .expect("constant bounds that the histogram accepts"),
            from_ns,
            due: VecDeque::new(),
            base: first_index,
        }
    }

    pub(crate) fn handed_over(&mut self, intended_ns: &[u64]) {
        self.due.extend(intended_ns);
        let surplus = self.due.len().saturating_sub(MAX_REMEMBERED);
        self.due.drain(..surplus);
        self.base += surplus as u64;
    }

    /// `acked_ns` where they were acknowledged.
    pub(crate) fn completed(&mut self, indexes: &[u64], acked_ns: Option<u64>) {
        for &index in indexes {
            let place = index
                .checked_sub(self.base)
                .and_then(|place| self.due.get_mut(place as usize));
            let Some(due) = place else { continue };
            let due = std::mem::take(due);
            if let Some(acked_ns) = acked_ns
                && due >= self.from_ns
            {
                self.latency.saturating_record(acked_ns.saturating_sub(due));
            }
        }
        while self.due.front() == Some(&0) {
            self.due.pop_front();
            self.base += 1;
        }
    }

    /// 0 before the first.
    pub(crate) fn p99_ns(&self) -> u64 {
        if self.latency.is_empty() {
            0
        } else {
            self.latency.value_at_quantile(0.99)
        }
    }
}
