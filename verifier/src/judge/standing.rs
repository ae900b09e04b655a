//! What stands where in the log: 32 bytes a record, kept only where readers' observations are held against it. Pure.

use std::collections::BTreeMap;

use super::visibility::Visibility;
use crate::log::LogRecord;
use crate::reads::Isolation;
use crate::stamp::RecordId;

/// One data record of the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    pub(super) offset: i64,
    id: u64,
    key: u64,
    sequence: u32,
    has_id: bool,
    has_key: bool,
    intact: bool,
    pub(super) visibility: Visibility,
}

const _: () = assert!(size_of::<Standing>() == 32);

impl Standing {
    /// Who it says it is; none for one without a stamp.
    pub(super) fn id(&self) -> Option<RecordId> {
        self.has_id.then_some(RecordId(self.id))
    }

    /// Whether this is the same record, as far as the two were read; that of the reader may not be told apart by its id.
    pub(super) fn same_content(&self, record: &LogRecord) -> bool {
        let key = self.has_key.then_some(self.key);
        (self.sequence, key, self.intact) == (record.sequence, record.key, record.intact)
    }

    /// Whether a reader gets it.
    pub(super) fn is_for(&self, isolation: Isolation) -> bool {
        isolation == Isolation::ReadUncommitted || self.visibility == Visibility::Committed
    }
}

/// All of them, by partition, in offset order.
#[derive(Debug, Default)]
pub(super) struct Standings(BTreeMap<i32, Vec<Standing>>);

impl Standings {
    pub(super) fn push(&mut self, partition: i32, record: &LogRecord, visibility: Visibility) {
        self.0.entry(partition).or_default().push(Standing {
            offset: record.offset,
            id: record.id.map_or(0, |id| id.0),
            key: record.key.unwrap_or(0),
            sequence: record.sequence,
            has_id: record.id.is_some(),
            has_key: record.key.is_some(),
            intact: record.intact,
            visibility,
        });
    }

    /// Those at these offsets; `near` is where the last look ended, and moves on: readers go forward.
    pub(super) fn between(&self, partition: i32, from: i64, to: i64, near: &mut usize) -> &[Standing] {
        let all = self.0.get(&partition).map_or(&[][..], Vec::as_slice);
        let fits = |at: usize| {
            (at == 0 || all[at - 1].offset < from) && all.get(at).is_none_or(|there| there.offset >= from)
        };
        if *near > all.len() || !fits(*near) {
            *near = all.partition_point(|there| there.offset < from);
        }
        let begin = *near;
        let count = if all.get(begin).is_some_and(|there| there.offset < to)
            && all.get(begin + 1).is_none_or(|next| next.offset >= to)
        {
            1
        } else {
            all[begin..].partition_point(|there| there.offset < to)
        };
        *near = begin + count;
        &all[begin..begin + count]
    }

    /// How many records that a reader gets stand at `from` or behind it.
    pub(super) fn behind(&self, partition: i32, from: i64, isolation: Isolation) -> u64 {
        let all = self.0.get(&partition).map_or(&[][..], Vec::as_slice);
        let begin = all.partition_point(|there| there.offset < from);
        all[begin..]
            .iter()
            .filter(|there| there.is_for(isolation))
            .count() as u64
    }

    /// Partitions that hold something.
    pub(super) fn partitions(&self) -> impl Iterator<Item = i32> {
        self.0.keys().copied()
    }

    /// Bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        self.0
            .values()
            .map(|all| all.capacity() * size_of::<Standing>())
            .sum()
    }
}
