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
const TRANSACTION_ENDED: u8 = 5;
const COPIED: u8 = 6;

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
    /// How a transaction ended. Where none is written the outcome is unknown.
    TransactionEnded(TransactionEnded),
    /// Where the records about to be handed over were copied from.
    Copied(Copied<'a>),
    /// The writer ended in order.
    End,
}

/// The three outcomes of a transaction, and no fourth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransactionOutcome {
    /// The coordinator says that it is committed.
    Committed,
    /// Aborted: by the client's wish, or because it failed and can never be committed.
    Aborted,
    /// Perhaps committed.
    Unknown,
}

/// The end of a transaction; its begin is implied by the first batch that bears its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionEnded {
    /// What [`Completed::transaction`] says: counted by the client from 1 within this history.
    pub number: u64,
    /// What became of it. An unknown one may be told again, once it is known.
    pub outcome: TransactionOutcome,
    /// Producer id, -1 = not known.
    pub producer_id: i64,
    /// Producer epoch that the records bore, -1 = not known.
    pub producer_epoch: i16,
    /// Kafka's error code, 0 = none: aborted with 0 means that the workload asked for it.
    pub error_code: i16,
    /// When the client was asked to end it, CLOCK_MONOTONIC: no marker can stand in the log before that.
    pub asked_ns: u64,
    /// When the answer was read (or given up).
    pub ended_ns: u64,
}

/// A run of records that a consume-transform-produce job makes from records of its source; written **before** they
/// are handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied<'a> {
    /// Index of the first; the others follow without gap.
    pub first_index: u64,
    /// Partition of the source topic.
    pub partition: i32,
    /// The offset of each source record.
    pub offsets: &'a [u64],
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
    /// Node that the batch was last sent to.
    pub broker: i32,
    /// Correlation id of the request that it was last sent in.
    pub correlation_id: i32,
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
    put_signed(body, completed.broker.into());
    put_signed(body, completed.correlation_id.into());
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

/// Replaces `body` by an entry of a transaction's end.
pub(super) fn encode_transaction_ended(body: &mut Vec<u8>, ended: &TransactionEnded) {
    body.clear();
    body.push(TRANSACTION_ENDED);
    put(body, ended.number);
    body.push(match ended.outcome {
        TransactionOutcome::Committed => 0,
        TransactionOutcome::Aborted => 1,
        TransactionOutcome::Unknown => 2,
    });
    put_signed(body, ended.producer_id);
    put_signed(body, ended.producer_epoch.into());
    put_signed(body, ended.error_code.into());
    put(body, ended.asked_ns);
    put(body, ended.ended_ns);
}

/// Replaces `body` by an entry of copies. At most [`MAX_RECORDS_PER_ENTRY`] records.
pub(super) fn encode_copied(body: &mut Vec<u8>, copied: &Copied<'_>) {
    body.clear();
    body.push(COPIED);
    put(body, copied.first_index);
    put_signed(body, copied.partition.into());
    put(body, copied.offsets.len() as u64);
    let mut last = 0_u64;
    for &offset in copied.offsets {
        put_signed(body, offset.wrapping_sub(last) as i64);
        last = offset;
    }
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
        TRANSACTION_ENDED => Entry::TransactionEnded(TransactionEnded {
            number: cursor.unsigned()?,
            outcome: match cursor.byte()? {
                0 => TransactionOutcome::Committed,
                1 => TransactionOutcome::Aborted,
                2 => TransactionOutcome::Unknown,
                _ => return None,
            },
            producer_id: cursor.signed()?,
            producer_epoch: cursor.narrow()?,
            error_code: cursor.narrow()?,
            asked_ns: cursor.unsigned()?,
            ended_ns: cursor.unsigned()?,
        }),
        COPIED => {
            let first_index = cursor.unsigned()?;
            let partition = cursor.narrow()?;
            decode_differences(&mut cursor, numbers)?;
            Entry::Copied(Copied {
                first_index,
                partition,
                offsets: numbers,
            })
        }
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
    let broker = cursor.narrow()?;
    let correlation_id = cursor.narrow()?;
    decode_differences(cursor, numbers)?;
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
        broker,
        correlation_id,
    })
}

/// A count and as many numbers, the first and then differences.
fn decode_differences(cursor: &mut Cursor<'_>, into: &mut Vec<u64>) -> Option<()> {
    let mut last = 0_u64;
    for _ in 0..cursor.count()? {
        last = last.wrapping_add(cursor.signed()? as u64);
        into.push(last);
    }
    Some(())
}
