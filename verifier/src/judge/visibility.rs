//! What of a partition a reader at read_committed gets (KIP-98): found from the log itself, never believed. Pure.
//!
//! ```text
//! offset    0    1    2      3        4      5
//! batch    [A0] [B0] [A1] (A abort) [A2] (B commit)        A0, A1 aborted · B0 visible · A2 open
//! ```
//! A transactional batch belongs to the next marker of its producer id in the same partition. Without one its
//! transaction is open.

use std::collections::HashMap;

use crate::log::LogBatch;

/// Whether readers get a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visibility {
    /// At every isolation level.
    Committed,
    /// At read_uncommitted only.
    Aborted,
    /// At read_uncommitted only, for now.
    Open,
}

/// The markers of one partition.
#[derive(Debug, Default)]
pub(super) struct Markers {
    /// By producer id, in offset order: where, and whether it commits.
    ends: HashMap<i64, Vec<(i64, bool)>>,
    /// A transactional batch of data was noted.
    pub(super) transactional: bool,
}

impl Markers {
    /// Notes the next batch of the partition.
    pub(super) fn note(&mut self, batch: &LogBatch) {
        if let Some(marker) = batch.marker {
            let ends = self.ends.entry(batch.producer_id).or_default();
            ends.push((batch.base_offset, marker.commit));
        } else if batch.transactional && !batch.control {
            self.transactional = true;
        }
    }

    /// Whether readers get a batch; asked after all were noted.
    pub(super) fn visibility(&self, batch: &LogBatch) -> Visibility {
        if !batch.transactional || batch.control {
            return Visibility::Committed;
        }
        let ends = self.ends.get(&batch.producer_id).map_or(&[][..], Vec::as_slice);
        let next = ends.partition_point(|&(offset, _)| offset <= batch.base_offset);
        match ends.get(next) {
            Some((_, true)) => Visibility::Committed,
            Some((_, false)) => Visibility::Aborted,
            None => Visibility::Open,
        }
    }

    /// Bytes it holds, about.
    pub(super) fn bytes(&self) -> usize {
        self.ends
            .values()
            .map(|ends| ends.capacity() * size_of::<(i64, bool)>())
            .sum()
    }
}

/// T7 within one partition: the highest epoch of each producer id so far, in offset order.
#[derive(Debug, Default)]
pub(super) struct Epochs(HashMap<i64, i16>);

impl Epochs {
    /// A higher epoch that this batch's producer id used before it in the log.
    pub(super) fn superseded(&mut self, batch: &LogBatch) -> Option<i16> {
        if batch.producer_id < 0 {
            return None;
        }
        let highest = self.0.entry(batch.producer_id).or_insert(batch.producer_epoch);
        if batch.producer_epoch < *highest {
            return Some(*highest);
        }
        *highest = batch.producer_epoch;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Marker;

    fn data(producer_id: i64, base_offset: i64) -> LogBatch {
        LogBatch {
            base_offset,
            producer_id,
            transactional: true,
            ..LogBatch::default()
        }
    }

    fn marker(producer_id: i64, base_offset: i64, commit: bool) -> LogBatch {
        LogBatch {
            control: true,
            marker: Some(Marker {
                commit,
                coordinator_epoch: 0,
            }),
            ..data(producer_id, base_offset)
        }
    }

    #[test]
    fn a_batch_belongs_to_the_next_marker_of_its_producer() {
        let log = [
            data(1, 0),
            data(2, 1),
            data(1, 2),
            marker(1, 3, false),
            data(1, 4),
            marker(2, 5, true),
        ];
        let mut markers = Markers::default();
        log.iter().for_each(|batch| markers.note(batch));
        let found: Vec<_> = [0, 1, 2, 4].map(|i: usize| markers.visibility(&log[i])).to_vec();
        use Visibility::{Aborted, Committed, Open};
        assert_eq!(found, [Aborted, Committed, Aborted, Open]);
        let plain = LogBatch {
            transactional: false,
            ..data(1, 6)
        };
        assert_eq!(markers.visibility(&plain), Committed);
    }
}
