//! What of an answer a consumer gets at its isolation level. Pure.
//!
//! At read_committed a broker sends everything below the last stable offset, aborted records too, and a list of the aborted
//! transactions among them; the consumer leaves these out (KIP-98, `CompletedFetch` of Kafka's consumer). The list is
//! believed here as every consumer believes it. The judge does not: it reads the markers in the log.

use std::collections::BTreeSet;

use crate::log::{LogBatch, LogRecord};
use crate::reads::Isolation;

/// One aborted transaction of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Aborted {
    pub(super) producer_id: i64,
    pub(super) first_offset: i64,
}

/// The records for the application, in order.
pub(super) fn visible(batches: &[LogBatch], isolation: Isolation, aborted: &[Aborted]) -> Vec<LogRecord> {
    let mut aborted: Vec<Aborted> = match isolation {
        Isolation::ReadUncommitted => Vec::new(),
        Isolation::ReadCommitted => aborted.to_vec(),
    };
    // The earliest last, to be popped.
    aborted.sort_by_key(|aborted| std::cmp::Reverse(aborted.first_offset));
    let mut open: BTreeSet<i64> = BTreeSet::new();
    let mut records = Vec::new();
    for batch in batches {
        let last_offset = batch.records.last().map_or(batch.base_offset, |last| last.offset);
        while let Some(next) = aborted.pop_if(|next| next.first_offset <= last_offset) {
            open.insert(next.producer_id);
        }
        if batch.control {
            if batch.marker.is_some_and(|marker| !marker.commit) {
                open.remove(&batch.producer_id);
            }
        } else if !(batch.transactional && open.contains(&batch.producer_id)) {
            records.extend_from_slice(&batch.records);
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Marker;

    fn record(offset: i64) -> LogRecord {
        LogRecord {
            offset,
            id: None,
            sequence: 0,
            key: None,
            intact: true,
            timestamp_ms: 0,
        }
    }

    fn data(offset: i64, producer_id: i64, transactional: bool) -> LogBatch {
        LogBatch {
            base_offset: offset,
            producer_id,
            transactional,
            records: vec![record(offset)],
            ..LogBatch::default()
        }
    }

    fn marker(offset: i64, producer_id: i64, commit: bool) -> LogBatch {
        LogBatch {
            control: true,
            marker: Some(Marker {
                commit,
                coordinator_epoch: 0,
            }),
            ..data(offset, producer_id, true)
        }
    }

    /// Producer 7 aborts offsets 0 and 2, then commits 5; 8 commits 1; 7 without a transaction writes 6.
    fn answer() -> (Vec<LogBatch>, Vec<Aborted>) {
        let batches = vec![
            data(0, 7, true),
            data(1, 8, true),
            data(2, 7, true),
            marker(3, 7, false),
            marker(4, 8, true),
            data(5, 7, true),
            data(6, 7, false),
            marker(7, 7, true),
        ];
        let aborted = vec![Aborted {
            producer_id: 7,
            first_offset: 0,
        }];
        (batches, aborted)
    }

    fn offsets(batches: &[LogBatch], isolation: Isolation, aborted: &[Aborted]) -> Vec<i64> {
        let records = visible(batches, isolation, aborted);
        records.iter().map(|record| record.offset).collect()
    }

    #[test]
    fn aborted_records_and_markers_are_no_data_at_read_committed() {
        let (batches, aborted) = answer();
        assert_eq!(offsets(&batches, Isolation::ReadCommitted, &aborted), [1, 5, 6]);
        assert_eq!(
            offsets(&batches, Isolation::ReadUncommitted, &aborted),
            [0, 1, 2, 5, 6]
        );
    }

    #[test]
    fn a_transaction_that_was_aborted_once_is_not_aborted_for_good() {
        let (mut batches, mut aborted) = answer();
        batches.extend([
            data(8, 7, true),
            marker(9, 7, false),
            data(10, 7, true),
            marker(11, 7, true),
        ]);
        aborted.insert(
            0,
            Aborted {
                producer_id: 7,
                first_offset: 8,
            },
        );
        assert_eq!(
            offsets(&batches, Isolation::ReadCommitted, &aborted),
            [1, 5, 6, 10]
        );
    }

    #[test]
    fn an_answer_that_begins_within_an_aborted_transaction_leaves_it_out() {
        let (batches, aborted) = answer();
        assert_eq!(offsets(&batches[2..], Isolation::ReadCommitted, &aborted), [5, 6]);
    }
}
