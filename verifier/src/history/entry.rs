//! Entries of a history and their bytes. Pure.

use serde::{Deserialize, Serialize};

use crate::varint::{Cursor, put, put_signed};
use crate::workload::Workload;

/// Records in one entry at most; a longer run is written as several entries.
pub const MAX_RECORDS_PER_ENTRY: usize = 65_536;

const HANDED_OVER: u8 = 1;
const COMPLETED: u8 = 2;
const END: u8 = 3;
const WITHHELD: u8 = 4;

/// The first entry: whose history this is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Worker number.
    pub worker: u16,
    /// How many times this worker was started before in this run.
    pub incarnation: u32,
    /// Seed of the run.
    pub seed: u64,
    /// The whole order: with it, key and sequence of any record can be computed again.
    pub workload: Workload,
    /// CLOCK_MONOTONIC when the file was made.
    pub started_ns: u64,
    /// Wall clock at the same moment, ms since 1970.
    pub started_wall_ms: i64,
}

/// The three outcomes, and no fourth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Written, at the partition and offset given.
    Acked,
    /// Provably not written.
    NotWritten,
    /// Perhaps written.
    Unknown,
}

/// One entry after the header. A record handed over without an outcome is UNKNOWN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A run of records is about to be given to the client.
    HandedOver {
        /// Index of the first; the others follow without gap.
        first_index: u64,
        /// When each was due, CLOCK_MONOTONIC.
        intended_ns: &'a [u64],
        /// When they were handed over: *actual send*, for every subject.
        handover_ns: u64,
    },
    /// The outcome of one batch, or of a part of one that was cut at [`MAX_RECORDS_PER_ENTRY`].
    Completed(Completed<'a>),
    /// Records that were due and that the subject never gave to its client.
    Withheld(Withheld),
    /// The writer ended in order.
    End,
}

/// A run of records that were due and never handed over, written once the subject gave them up: what H1 (a) asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withheld {
    /// Index of the first; the others follow without gap.
    pub first_index: u64,
    /// How many.
    pub count: u64,
    /// When the first was due, CLOCK_MONOTONIC.
    pub first_due_ns: u64,
    /// When the last was due.
    pub last_due_ns: u64,
    /// True when the client would have taken them: a fault of the harness. False when its buffer was full or it had
    /// failed: schedule debt.
    pub had_room: bool,
    /// When they were given up.
    pub at_ns: u64,
}

/// The outcome of one batch. Fields that a subject does not know are -1 (`transaction`: 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completed<'a> {
    /// Its records, in the order in which they stand in the batch.
    pub indexes: &'a [u64],
    /// Partition written to.
    pub partition: i32,
    /// Offset of the first record; the others follow without gap.
    pub base_offset: i64,
    /// What became of them.
    pub outcome: Outcome,
    /// Kafka's error code, 0 = none.
    pub error_code: i16,
    /// When the answer was read from the socket (or given up), CLOCK_MONOTONIC.
    pub ack_ns: u64,
    /// Producer id.
    pub producer_id: i64,
    /// Producer epoch.
    pub producer_epoch: i16,
    /// Sequence number of the first record.
    pub base_sequence: i32,
    /// Number of the transaction, counted by the client; 0 = none.
    pub transaction: u64,
}

/// Replaces `body` by a hand-over entry. At most [`MAX_RECORDS_PER_ENTRY`] records.
pub(super) fn encode_handed_over(
    body: &mut Vec<u8>,
    first_index: u64,
    intended_ns: &[u64],
    handover_ns: u64,
) {
    body.clear();
    body.push(HANDED_OVER);
    put(body, first_index);
    put(body, intended_ns.len() as u64);
    put(body, handover_ns);
    let (mut last, mut interval) = (handover_ns, 0_u64);
    for (i, &intended) in intended_ns.iter().enumerate() {
        let step = intended.wrapping_sub(last);
        put_signed(body, step.wrapping_sub(interval) as i64);
        // The first step leads to the hand-over and says nothing of those that follow.
        interval = if i == 0 { 0 } else { step };
        last = intended;
    }
}

/// Replaces `body` by a completion entry. At most [`MAX_RECORDS_PER_ENTRY`] records.
pub(super) fn encode_completed(body: &mut Vec<u8>, completed: &Completed<'_>) {
    body.clear();
    body.push(COMPLETED);
    body.push(match completed.outcome {
        Outcome::Acked => 0,
        Outcome::NotWritten => 1,
        Outcome::Unknown => 2,
    });
    put_signed(body, completed.partition.into());
    put_signed(body, completed.base_offset);
    put_signed(body, completed.error_code.into());
    put(body, completed.ack_ns);
    put_signed(body, completed.producer_id);
    put_signed(body, completed.producer_epoch.into());
    put_signed(body, completed.base_sequence.into());
    put(body, completed.transaction);
    put(body, completed.indexes.len() as u64);
    let mut last = 0_u64;
    for &index in completed.indexes {
        put_signed(body, index.wrapping_sub(last) as i64);
        last = index;
    }
}

/// Replaces `body` by an entry of records never handed over.
pub(super) fn encode_withheld(body: &mut Vec<u8>, withheld: &Withheld) {
    body.clear();
    body.push(WITHHELD);
    put(body, withheld.first_index);
    put(body, withheld.count);
    put(body, withheld.first_due_ns);
    put(body, withheld.last_due_ns);
    body.push(withheld.had_room.into());
    put(body, withheld.at_ns);
}

/// Replaces `body` by the end entry.
pub(super) fn encode_end(body: &mut Vec<u8>, entries_before: u64) {
    body.clear();
    body.push(END);
    put(body, entries_before);
}

/// The entry in a body; `numbers` is scratch space that it borrows. None when the body is malformed.
pub(super) fn decode<'a>(body: &[u8], entries_before: u64, numbers: &'a mut Vec<u64>) -> Option<Entry<'a>> {
    let mut cursor = Cursor::new(body);
    numbers.clear();
    let entry = match cursor.byte()? {
        HANDED_OVER => {
            let first_index = cursor.unsigned()?;
            let count = cursor.unsigned()?;
            let handover_ns = cursor.unsigned()?;
            if count > cursor.remaining() as u64 {
                return None;
            }
            decode_intended(&mut cursor, count, handover_ns, numbers)?;
            Entry::HandedOver {
                first_index,
                intended_ns: numbers,
                handover_ns,
            }
        }
        COMPLETED => Entry::Completed(decode_completed(&mut cursor, numbers)?),
        WITHHELD => Entry::Withheld(Withheld {
            first_index: cursor.unsigned()?,
            count: cursor.unsigned()?,
            first_due_ns: cursor.unsigned()?,
            last_due_ns: cursor.unsigned()?,
            had_room: match cursor.byte()? {
                0 => false,
                1 => true,
                _ => return None,
            },
            at_ns: cursor.unsigned()?,
        }),
        END => (cursor.unsigned()? == entries_before).then_some(Entry::End)?,
        _ => return None,
    };
    (cursor.remaining() == 0).then_some(entry)
}

fn decode_intended(cursor: &mut Cursor<'_>, count: u64, handover_ns: u64, into: &mut Vec<u64>) -> Option<()> {
    let (mut last, mut interval) = (handover_ns, 0_u64);
    for i in 0..count {
        let step = interval.wrapping_add(cursor.signed()? as u64);
        interval = if i == 0 { 0 } else { step };
        last = last.wrapping_add(step);
        into.push(last);
    }
    Some(())
}

fn decode_completed<'a>(cursor: &mut Cursor<'_>, numbers: &'a mut Vec<u64>) -> Option<Completed<'a>> {
    let outcome = match cursor.byte()? {
        0 => Outcome::Acked,
        1 => Outcome::NotWritten,
        2 => Outcome::Unknown,
        _ => return None,
    };
    let partition = cursor.narrow()?;
    let base_offset = cursor.signed()?;
    let error_code = cursor.narrow()?;
    let ack_ns = cursor.unsigned()?;
    let producer_id = cursor.signed()?;
    let producer_epoch = cursor.narrow()?;
    let base_sequence = cursor.narrow()?;
    let transaction = cursor.unsigned()?;
    let mut last = 0_u64;
    for _ in 0..cursor.count()? {
        last = last.wrapping_add(cursor.signed()? as u64);
        numbers.push(last);
    }
    Some(Completed {
        indexes: numbers,
        partition,
        base_offset,
        outcome,
        error_code,
        ack_ns,
        producer_id,
        producer_epoch,
        base_sequence,
        transaction,
    })
}
