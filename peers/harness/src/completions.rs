//! What became of records, on its way from the client's threads, which call back, to the generator, which books it.
//!
//! ```text
//! callback ─▶ push (with its own time) ─▶ ▒▒▒▒ ─▶ take: the whole queue against an empty one ─▶ batches ─▶ history
//! ```
//! Records of one batch come back in one row: they make one entry of the history, with the time of its first callback,
//! which is when the client knew.

use std::sync::{Mutex, PoisonError};

use steadfast_verifier::history::Outcome;

use crate::clock::monotonic_ns;

/// Callbacks of one batch follow each other at once. A longer pause means another batch, or that the thread stood.
const BATCH_PAUSE_NS: u64 = 5_000;

/// What a client says of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completion {
    /// Which record.
    pub index: u64,
    /// Where it was written to; -1 = not known.
    pub partition: i32,
    /// At which place; -1 = not known.
    pub offset: i64,
    /// What became of it.
    pub outcome: Outcome,
    /// Kafka's error code, 0 = none.
    pub error_code: i16,
    /// When the client called back, CLOCK_MONOTONIC.
    pub at_ns: u64,
}

impl Completion {
    /// Whether it belongs to the same batch as the one `before` it.
    fn follows(&self, before: &Completion) -> bool {
        let place = if before.offset < 0 {
            self.offset < 0
        } else {
            self.offset == before.offset + 1
        };
        place
            && (self.partition, self.outcome, self.error_code)
                == (before.partition, before.outcome, before.error_code)
            && self.at_ns < before.at_ns.saturating_add(BATCH_PAUSE_NS)
    }
}

/// Parts completions, in the order of their callbacks, into batches.
pub fn batches(completions: &[Completion]) -> impl Iterator<Item = &[Completion]> {
    completions.chunk_by(|before, after| after.follows(before))
}

/// The queue between the two.
#[derive(Debug, Default)]
pub struct Completions(Mutex<Vec<Completion>>);

impl Completions {
    /// Record `index` is written at this place.
    pub fn acked(&self, index: u64, partition: i32, offset: i64, error_code: i16) {
        self.push(Completion {
            index,
            partition,
            offset,
            outcome: Outcome::Acked,
            error_code,
            at_ns: monotonic_ns(),
        });
    }

    /// Record `index` failed.
    pub fn failed(&self, index: u64, partition: i32, outcome: Outcome, error_code: i16) {
        self.push(Completion {
            index,
            partition,
            offset: -1,
            outcome,
            error_code,
            at_ns: monotonic_ns(),
        });
    }

    /// Exchanges all that was pushed for the emptied `into`, so that both keep their memory.
    pub fn take(&self, into: &mut Vec<Completion>) {
        into.clear();
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut *queue, into);
    }

    fn push(&self, completion: Completion) {
        // A thread that panicked while it pushed left a whole queue behind.
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push(completion);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acked(index: u64, partition: i32, offset: i64, at_ns: u64) -> Completion {
        Completion {
            index,
            partition,
            offset,
            outcome: Outcome::Acked,
            error_code: 0,
            at_ns,
        }
    }

    fn indexes(completions: &[Completion]) -> Vec<Vec<u64>> {
        batches(completions)
            .map(|batch| batch.iter().map(|one| one.index).collect())
            .collect()
    }

    #[test]
    fn neighbours_of_one_partition_make_a_batch() {
        let row = [
            acked(0, 1, 10, 100),
            acked(6, 1, 11, 200),
            acked(1, 2, 12, 300),
            acked(12, 1, 12, 400),
            acked(18, 1, 14, 500),
        ];
        assert_eq!(indexes(&row), [vec![0, 6], vec![1], vec![12], vec![18]]);
        assert_eq!(indexes(&[]), Vec::<Vec<u64>>::new());
    }

    #[test]
    fn a_pause_ends_a_batch_and_a_long_row_of_callbacks_does_not() {
        let row: Vec<_> = (0..100)
            .map(|i| acked(i, 0, i as i64, i * (BATCH_PAUSE_NS - 1)))
            .collect();
        assert_eq!(indexes(&row).len(), 1);
        let row = [acked(0, 0, 0, 0), acked(1, 0, 1, BATCH_PAUSE_NS)];
        assert_eq!(indexes(&row).len(), 2);
    }

    #[test]
    fn failures_keep_to_their_like() {
        let failed = |index, outcome, error_code| Completion {
            offset: -1,
            outcome,
            error_code,
            ..acked(index, 0, 0, 0)
        };
        let row = [
            acked(0, 0, 5, 0),
            failed(1, Outcome::Unknown, 7),
            failed(2, Outcome::Unknown, 7),
            failed(3, Outcome::NotWritten, 7),
            failed(4, Outcome::NotWritten, 10),
        ];
        assert_eq!(indexes(&row), [vec![0], vec![1, 2], vec![3], vec![4]]);
    }

    #[test]
    fn what_was_pushed_is_taken_once() {
        let completions = Completions::default();
        let mut taken = vec![acked(9, 9, 9, 9)];
        completions.acked(1, 2, 3, 0);
        completions.failed(2, 2, Outcome::Unknown, 7);
        completions.take(&mut taken);
        let seen: Vec<_> = taken.iter().map(|one| (one.index, one.offset)).collect();
        assert_eq!(seen, [(1, 3), (2, -1)]);
        completions.take(&mut taken);
        assert!(taken.is_empty());
    }
}
