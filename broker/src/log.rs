//! A partition's batches, and which of them each replica has.
//!
//! ```text
//! entries of the partition:   0 1 2 3 4 5 6 7 8 9       appended once, by whoever led at the time
//! replica on node 1 (runs):   [0 ........ 4] [7 .. 9]   5 and 6 were written by a leader that lost them
//! replica on node 2 (runs):   [0 ........ 4] [7]        it lags
//! ```
//!
//! Replicas share entries and bytes; each has its own runs, so followers that lag, unclean elections and lost tails
//! diverge as in Kafka. In the usual case a replica is one run.

use std::collections::VecDeque;
use std::ops::Range;

use crate::batch::Header;

/// One batch in the index: all that the model must know of it without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) base_offset: i64,
    /// Where it begins in the store.
    pub(crate) position: u64,
    pub(crate) producer_id: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) size: u32,
    pub(crate) last_offset_delta: i32,
    pub(crate) base_sequence: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) producer_epoch: i16,
    pub(crate) kind: Kind,
}

/// What a batch is to a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Transactional,
    Commit,
    Abort,
}

impl Entry {
    pub(crate) fn new(header: &Header, kind: Kind, base_offset: i64, leader_epoch: i32) -> Entry {
        Entry {
            base_offset,
            position: 0,
            producer_id: header.producer_id,
            max_timestamp: header.max_timestamp,
            size: header.size as u32,
            last_offset_delta: header.last_offset_delta,
            base_sequence: header.base_sequence,
            leader_epoch,
            producer_epoch: header.producer_epoch,
            kind,
        }
    }

    pub(crate) fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    pub(crate) fn end_position(&self) -> u64 {
        self.position + u64::from(self.size)
    }

    pub(crate) fn control(&self) -> bool {
        matches!(self.kind, Kind::Commit | Kind::Abort)
    }
}

/// All entries of a partition, numbered in the order they were appended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entries {
    first: u64,
    list: VecDeque<Entry>,
}

impl Entries {
    pub(crate) fn push(&mut self, entry: Entry) -> u64 {
        self.list.push_back(entry);
        self.end() - 1
    }

    /// The number that the next entry gets.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.list.len() as u64
    }

    /// The entry of a number that some replica has.
    pub(crate) fn get(&self, number: u64) -> &Entry {
        &self.list[(number - self.first) as usize]
    }

    /// Drops all before this number.
    fn trim(&mut self, number: u64) {
        let count = number.saturating_sub(self.first).min(self.list.len() as u64);
        self.list.drain(..count as usize);
        self.first += count;
    }
}

/// Which entries a replica has, in the order of its log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Runs {
    ranges: Vec<Range<u64>>,
}

impl Runs {
    pub(crate) fn push(&mut self, number: u64) {
        match self.ranges.last_mut() {
            Some(last) if last.end == number => last.end += 1,
            _ => self.ranges.push(number..number + 1),
        }
    }

    pub(crate) fn ranges(&self) -> &[Range<u64>] {
        &self.ranges
    }

    pub(crate) fn last(&self) -> Option<u64> {
        self.ranges.last().map(|last| last.end - 1)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = u64> + '_ {
        self.ranges.iter().cloned().flatten()
    }

    /// Entries from the one that holds `offset` (or the first behind it) on.
    pub(crate) fn from<'a>(&'a self, entries: &'a Entries, offset: i64) -> impl Iterator<Item = u64> + 'a {
        let run = self
            .ranges
            .partition_point(|run| entries.get(run.end - 1).last_offset() < offset);
        let start = self.ranges.get(run).map_or(0, |range| {
            let mut low = range.start;
            let mut high = range.end;
            while low < high {
                let middle = low + (high - low) / 2;
                if entries.get(middle).last_offset() < offset {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            low
        });
        let rest = self.ranges.get(run..).unwrap_or(&[]);
        rest.iter()
            .enumerate()
            .flat_map(move |(i, range)| if i == 0 { start..range.end } else { range.clone() })
    }

    /// Entries behind the last one that both have: what `self` has and `other` lacks.
    pub(crate) fn behind(&self, common: Option<u64>) -> impl Iterator<Item = u64> + '_ {
        let from = common.map_or(0, |last| {
            self.ranges
                .iter()
                .position(|range| range.contains(&last))
                .unwrap_or(0)
        });
        self.ranges[from..]
            .iter()
            .cloned()
            .enumerate()
            .flat_map(move |(i, range)| match common {
                Some(last) if i == 0 => last + 1..range.end,
                _ => range,
            })
    }

    /// The last entry up to which both are the same; none when they share no beginning.
    pub(crate) fn common(&self, other: &Runs) -> Option<u64> {
        let mut last = None;
        for (mine, theirs) in self.ranges.iter().zip(&other.ranges) {
            if mine.start != theirs.start {
                return last;
            }
            last = Some(mine.end.min(theirs.end) - 1);
            if mine.end != theirs.end {
                return last;
            }
        }
        last
    }

    /// Keeps what stands up to and with this entry; none keeps nothing.
    pub(crate) fn cut(&mut self, last: Option<u64>) {
        let Some(last) = last else {
            self.ranges.clear();
            return;
        };
        if let Some(run) = self.ranges.iter().position(|range| range.contains(&last)) {
            self.ranges.truncate(run + 1);
            self.ranges[run].end = last + 1;
        }
    }

    /// Drops entries that lie wholly before `offset`.
    pub(crate) fn trim(&mut self, entries: &Entries, offset: i64) {
        let first = self.from(entries, offset).next();
        let Some(first) = first else {
            self.ranges.clear();
            return;
        };
        if let Some(run) = self.ranges.iter().position(|range| range.contains(&first)) {
            self.ranges.drain(..run);
            self.ranges[0].start = first;
        }
    }
}

/// Drops entries that no replica has any more at the beginning.
pub(crate) fn trim_entries<'a>(entries: &mut Entries, replicas: impl Iterator<Item = &'a Runs>) {
    let first = replicas
        .filter_map(|runs| runs.ranges.iter().map(|range| range.start).min())
        .min();
    entries.trim(first.unwrap_or(entries.end()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(base_offset: i64) -> Entry {
        Entry {
            base_offset,
            position: base_offset as u64 * 10,
            producer_id: -1,
            max_timestamp: 0,
            size: 10,
            last_offset_delta: 0,
            base_sequence: -1,
            leader_epoch: 0,
            producer_epoch: -1,
            kind: Kind::Plain,
        }
    }

    #[test]
    fn an_entry_stays_small() {
        assert!(size_of::<Entry>() <= 56);
    }

    #[test]
    fn replicas_diverge_and_meet_again() {
        let mut entries = Entries::default();
        let (mut one, mut two) = (Runs::default(), Runs::default());
        for offset in 0..5 {
            let number = entries.push(entry(offset));
            one.push(number);
            if offset < 3 {
                two.push(number);
            }
        }
        assert_eq!(one.common(&two), Some(2));
        // Two leads: its entry at offset 3 is another than one's.
        let number = entries.push(entry(3));
        two.push(number);
        assert_eq!(one.common(&two), Some(2));
        one.cut(Some(2));
        for number in two.behind(Some(2)).collect::<Vec<_>>() {
            one.push(number);
        }
        assert_eq!(one, two);
        assert_eq!(one.iter().collect::<Vec<_>>(), [0, 1, 2, 5]);
        assert_eq!(one.from(&entries, 2).collect::<Vec<_>>(), [2, 5]);
        assert_eq!(one.from(&entries, 3).collect::<Vec<_>>(), [5]);
        assert_eq!(one.from(&entries, 4).next(), None);
        one.trim(&entries, 2);
        two.trim(&entries, 2);
        assert_eq!(one.iter().collect::<Vec<_>>(), [2, 5]);
        trim_entries(&mut entries, [&one, &two].into_iter());
        assert_eq!(entries.get(2).base_offset, 2);
        one.cut(None);
        assert_eq!(one.common(&two), None);
        assert_eq!(two.behind(None).collect::<Vec<_>>(), [2, 5]);
    }
}
