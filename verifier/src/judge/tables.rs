//! What the judge remembers of every record: 32 bytes each, in dense tables by record index. Pure.
//!
//! ```text
//! id 3:17 ──▶ stretch (worker 3, indexes 0..5000) ──▶ row 17: when sent, when acked, where
//! (partition, offset) ──▶ claimed by some acknowledgement? (ranges, joined where they touch)
//! ```
//! Bound: 48 bytes a record (32 for its row, 16 more if no two acknowledgements of a partition were ever adjacent),
//! plus the per-key maps of `order.rs`; with readers or a copy job, 16 or 24 more. 10 million records stay under 1 GiB.

use std::collections::BTreeMap;
use std::ops::Range;

use super::transactions::Transactions;
use crate::stamp::RecordId;

/// Rows are allocated so many at a time (32 MiB): doubling would waste up to half of the bound.
const ROWS_AT_A_TIME: usize = 1 << 20;

/// What is known of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    /// Due time; once acknowledged, the time of that.
    pub(super) time_ns: u64,
    /// Hand-over to the client.
    pub(super) handover_ns: u64,
    /// Where it was acknowledged; for any other outcome where the log first had it. -1 = not known.
    pub(super) offset: i64,
    /// Likewise.
    pub(super) partition: i32,
    /// State in the lowest two bits, then three marks, then the transaction from bit 8 on.
    bits: u32,
}

const HOME: u32 = 1 << 2;
const SEEN: u32 = 1 << 3;
const HIDDEN: u32 = 1 << 4;
const TRANSACTION_SHIFT: u32 = 8;

impl Row {
    fn new(intended_ns: u64, handover_ns: u64) -> Row {
        Row {
            time_ns: intended_ns,
            handover_ns,
            offset: -1,
            partition: -1,
            bits: State::Open as u32,
        }
    }

    pub(super) fn state(&self) -> State {
        match self.bits & 3 {
            0 => State::Open,
            1 => State::Acked,
            2 => State::NotWritten,
            _ => State::Unknown,
        }
    }

    pub(super) fn set_state(&mut self, state: State) {
        self.bits = self.bits & !3 | state as u32;
    }

    /// The log has it, to be read, at the place where it was acknowledged.
    pub(super) fn home(&self) -> bool {
        self.bits & HOME != 0
    }

    pub(super) fn set_home(&mut self) {
        self.bits |= HOME;
    }

    /// The log has it somewhere, to be read.
    pub(super) fn seen(&self) -> bool {
        self.bits & SEEN != 0
    }

    pub(super) fn set_seen(&mut self) {
        self.bits |= SEEN;
    }

    /// The log has it in a transaction that is aborted or open.
    pub(super) fn hidden(&self) -> bool {
        self.bits & HIDDEN != 0
    }

    pub(super) fn set_hidden(&mut self) {
        self.bits |= HIDDEN;
    }

    /// Which of [`Tables::transactions`]; 0 = none.
    pub(super) fn transaction(&self) -> u32 {
        self.bits >> TRANSACTION_SHIFT
    }

    /// At most [`super::transactions::TRANSACTIONS_MAX`].
    pub(super) fn set_transaction(&mut self, transaction: u32) {
        self.bits = self.bits & ((1 << TRANSACTION_SHIFT) - 1) | transaction << TRANSACTION_SHIFT;
    }
}

const _: () = assert!(size_of::<Row>() == 32);

/// What became of a record, as far as its history tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Handed over; no outcome so far. In the end the same as unknown.
    Open = 0,
    Acked = 1,
    NotWritten = 2,
    Unknown = 3,
}

/// A run of indexes without a gap, of one worker.
#[derive(Debug)]
pub(super) struct Stretch {
    pub(super) worker: u16,
    pub(super) first_index: u64,
    /// Its history ended in order: what it says of these records is all there is to say.
    pub(super) orderly: bool,
    /// When records without an outcome stopped waiting for one: their worker was killed, and another follows it.
    pub(super) until_ns: u64,
    pub(super) rows: Vec<Row>,
    /// When each was due, if the tables keep that: a row forgets it once it is acknowledged.
    due_ns: Vec<u64>,
}

impl Stretch {
    /// Its rows, each with the time to which it waits if it never gets an outcome.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (&Row, u64)> {
        let until_ns = self.until_ns;
        self.rows.iter().map(move |row| (row, until_ns))
    }

    /// A run that begins here and is not over yet.
    pub(super) fn begin(worker: u16, first_index: u64) -> Stretch {
        Stretch {
            worker,
            first_index,
            orderly: false,
            until_ns: u64::MAX,
            rows: Vec::new(),
            due_ns: Vec::new(),
        }
    }

    /// Its rows and when each was due; nothing where that is not kept.
    pub(super) fn due(&self) -> impl Iterator<Item = (&Row, u64)> {
        self.rows.iter().zip(self.due_ns.iter().copied())
    }

    fn end(&self) -> u64 {
        self.first_index + self.rows.len() as u64
    }
}

/// Where a copy comes from: partition and offset in the source topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Origin {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) id: RecordId,
}

/// All records of a run.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Ordered by worker and first index once [`Tables::seal`] was called.
    pub(super) stretches: Vec<Stretch>,
    pub(super) transactions: Transactions,
    /// Whether to keep when records were due, 8 bytes each: readers' latency needs it.
    pub(super) keep_due: bool,
    /// Where records were copied from; empty but for copy jobs.
    pub(super) origins: Vec<Origin>,
    /// Per partition, the offsets that acknowledgements claim.
    claimed: BTreeMap<i32, Vec<Range<i64>>>,
    /// Offsets that more than one acknowledgement claims, found by [`Tables::seal`].
    contested: BTreeMap<i32, Vec<Range<i64>>>,
}

impl Tables {
    /// Appends records of a worker. False when their indexes do not follow on those before in this stretch.
    pub(super) fn hand_over(
        &mut self,
        stretch: usize,
        first_index: u64,
        intended_ns: &[u64],
        handover_ns: u64,
    ) -> bool {
        let stretch = &mut self.stretches[stretch];
        if stretch.end() != first_index {
            return false;
        }
        let rows = &mut stretch.rows;
        if rows.capacity() - rows.len() < intended_ns.len() {
            rows.reserve_exact(intended_ns.len().max(ROWS_AT_A_TIME));
        }
        rows.extend(
            intended_ns
                .iter()
                .map(|&intended_ns| Row::new(intended_ns, handover_ns)),
        );
        if self.keep_due {
            let due = &mut stretch.due_ns;
            if due.capacity() - due.len() < intended_ns.len() {
                due.reserve_exact(intended_ns.len().max(ROWS_AT_A_TIME));
            }
            due.extend(intended_ns);
        }
        true
    }

    /// An acknowledgement claims these offsets.
    pub(super) fn claim(&mut self, partition: i32, offsets: Range<i64>) {
        let claimed = self.claimed.entry(partition).or_default();
        match claimed.last_mut() {
            Some(last) if last.end == offsets.start => last.end = offsets.end,
            _ => claimed.push(offsets),
        }
    }

    /// Orders everything for look-ups, after the last history was read. Gives two stretches whose indexes overlap.
    pub(super) fn seal(&mut self) -> Option<(&Stretch, &Stretch)> {
        self.transactions.seal();
        self.stretches.retain(|stretch| !stretch.rows.is_empty());
        self.stretches
            .sort_by_key(|stretch| (stretch.worker, stretch.first_index));
        for (&partition, claimed) in &mut self.claimed {
            claimed.sort_unstable_by_key(|range| (range.start, range.end));
            let mut contested: Vec<Range<i64>> = Vec::new();
            claimed.dedup_by(|next, before| {
                let overlap = next.start..next.end.min(before.end);
                if !overlap.is_empty() {
                    join(&mut contested, overlap);
                }
                let joined = next.start <= before.end;
                if joined {
                    before.end = before.end.max(next.end);
                }
                joined
            });
            if !contested.is_empty() {
                self.contested.insert(partition, contested);
            }
        }
        let overlapping =
            |pair: &&[Stretch]| pair[0].worker == pair[1].worker && pair[0].end() > pair[1].first_index;
        self.stretches
            .windows(2)
            .find(overlapping)
            .map(|pair| (&pair[0], &pair[1]))
    }

    /// The row of a record, if it was ever handed over.
    pub(super) fn find(&mut self, id: RecordId) -> Option<&mut Row> {
        let (stretch, row) = self.position(id)?;
        self.stretches[stretch].rows.get_mut(row)
    }

    /// The same, for reading.
    pub(super) fn get(&self, id: RecordId) -> Option<&Row> {
        let (stretch, row) = self.position(id)?;
        self.stretches[stretch].rows.get(row)
    }

    /// When a record was due, where that is kept.
    pub(super) fn due_ns(&self, id: RecordId) -> Option<u64> {
        let (stretch, row) = self.position(id)?;
        self.stretches[stretch].due_ns.get(row).copied()
    }

    /// Whether a record was ever handed over.
    pub(super) fn contains(&self, id: RecordId) -> bool {
        self.position(id)
            .is_some_and(|(stretch, row)| row < self.stretches[stretch].rows.len())
    }

    /// Whether some acknowledgement claims this place.
    pub(super) fn is_claimed(&self, partition: i32, offset: i64) -> bool {
        self.claimed
            .get(&partition)
            .is_some_and(|ranges| contains(ranges, offset))
    }

    /// Whether more than one acknowledgement claims this place.
    pub(super) fn is_contested(&self, partition: i32, offset: i64) -> bool {
        self.contested
            .get(&partition)
            .is_some_and(|ranges| contains(ranges, offset))
    }

    /// Places that more than one acknowledgement claims: partition and offsets.
    pub(super) fn contested(&self) -> impl Iterator<Item = (i32, &Range<i64>)> {
        self.contested
            .iter()
            .flat_map(|(&partition, ranges)| ranges.iter().map(move |range| (partition, range)))
    }

    /// The stretch where a record would stand, and its place there, which may lie behind the end.
    fn position(&self, id: RecordId) -> Option<(usize, usize)> {
        let (worker, index) = (id.worker(), id.index());
        let after = self
            .stretches
            .partition_point(|s| (s.worker, s.first_index) <= (worker, index));
        let stretch = after.checked_sub(1)?;
        let first_index =
            (self.stretches[stretch].worker == worker).then_some(self.stretches[stretch].first_index)?;
        Some((stretch, usize::try_from(index - first_index).ok()?))
    }

    /// Bytes of everything that grows with the records.
    pub(super) fn bytes(&self) -> usize {
        let rows: usize = self.stretches.iter().map(|stretch| stretch.rows.capacity()).sum();
        let due: usize = self
            .stretches
            .iter()
            .map(|stretch| stretch.due_ns.capacity())
            .sum();
        let ranges: usize = self.claimed.values().map(Vec::capacity).sum();
        rows * size_of::<Row>()
            + due * size_of::<u64>()
            + ranges * size_of::<Range<i64>>()
            + self.origins.capacity() * size_of::<Origin>()
            + self.transactions.bytes()
    }
}

/// Adds a range to ascending ones, joining it with the last where they touch.
fn join(ranges: &mut Vec<Range<i64>>, range: Range<i64>) {
    match ranges.last_mut() {
        Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
        _ => ranges.push(range),
    }
}

fn contains(ranges: &[Range<i64>], offset: i64) -> bool {
    let after = ranges.partition_point(|range| range.start <= offset);
    after > 0 && ranges[after - 1].contains(&offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(stretches: &[(u16, u64, usize)]) -> Tables {
        let mut tables = Tables::default();
        for (i, &(worker, first_index, records)) in stretches.iter().enumerate() {
            tables.stretches.push(Stretch::begin(worker, first_index));
            assert!(tables.hand_over(i, first_index, &vec![7; records], 8));
        }
        tables
    }

    #[test]
    fn records_are_found_by_worker_and_index_across_incarnations() {
        let mut tables = tables(&[(1, 0, 3), (0, 10, 5), (0, 0, 5)]);
        assert!(tables.seal().is_none());
        for (worker, index, found) in [
            (0, 4, true),
            (0, 5, false),
            (0, 10, true),
            (0, 14, true),
            (0, 15, false),
            (1, 2, true),
            (1, 3, false),
            (2, 0, false),
        ] {
            assert_eq!(
                tables.find(RecordId::new(worker, index)).is_some(),
                found,
                "{worker}:{index}"
            );
        }
    }

    #[test]
    fn indexes_used_twice_and_indexes_left_out_are_noticed() {
        assert!(tables(&[(0, 0, 5), (0, 4, 5)]).seal().is_some());
        assert!(tables(&[(0, 0, 5), (0, 5, 5)]).seal().is_none());
        assert!(!tables(&[(0, 0, 5)]).hand_over(0, 6, &[1], 1));
    }

    #[test]
    fn claims_that_overlap_are_contested() {
        let mut tables = Tables::default();
        for range in [0..10, 10..20, 30..40, 15..18, 39..41] {
            tables.claim(2, range);
        }
        assert!(tables.seal().is_none());
        assert!(tables.is_claimed(2, 0) && tables.is_claimed(2, 40));
        assert!(!tables.is_claimed(2, 20) && !tables.is_claimed(2, 41) && !tables.is_claimed(1, 0));
        assert_eq!(
            tables.contested().collect::<Vec<_>>(),
            [(2, &(15..18)), (2, &(39..40))]
        );
        assert!(tables.is_contested(2, 17) && !tables.is_contested(2, 18));
    }

    #[test]
    fn adjacent_claims_take_one_range() {
        let mut tables = Tables::default();
        (0..1_000).for_each(|i| tables.claim(0, i * 5..i * 5 + 5));
        assert!(tables.bytes() <= 4 * size_of::<Range<i64>>());
    }
}
