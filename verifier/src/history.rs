//! The history: what a subject says it did, appended while it does it. One file per worker incarnation,
//! `history/<worker>-<incarnation>.bin`.
//!
//! ```text
//! file  = "STFHIST2" · end word · frame(header) · frame(entry) · ... · frame(end)      frames: see frame.rs
//! entry = kind (1 byte) · fields as varints (varint.rs)
//!   0 header       JSON of Header
//!   1 handed over  first index, count, hand-over ns, then per record its intended ns: the first as the difference to
//!                  the hand-over, the second to the first, each later one as the change of that difference
//!   2 completed    outcome, partition, base offset, error code, ack ns, pid, epoch, base sequence, transaction,
//!                  broker, correlation id, count, then the indexes: the first, then differences
//!   4 withheld     first index, count, due ns of first and last, whether the client had room, ns of giving up
//!   5 txn ended    number, outcome, pid, epoch, error code, ns of asking for the end, ns of the answer
//!   6 copied       first index, source partition, count, then the source offsets: the first, then differences
//!   3 end          number of entries before it, header included
//! end word = 0 while the writer lives; then file length / 8 (u32) and its CRC-32C (u32)
//! ```
//!
//! **Why it survives SIGKILL.** The file is mapped, so what was stored is in the page cache whatever becomes of the
//! process. A frame's body and checksum are stored before its length: at worst the tail holds one frame without a
//! length. [`Reader::torn`] tells that the end entry is missing; what stands before the tear counts.
//!
//! **Why it does not disturb.** Space is allocated 16 MiB at a time (so a full disk is an error and not SIGBUS), and
//! pages are faulted in 64 KiB ahead of the writing, so that no page fault falls between a record's due time and its
//! hand-over.
//!
//! Size: about 3 bytes a record for large batches, about 20 where batches are of one or two.

mod entry;
mod map;
mod reader;
mod recorded;
mod writer;

pub use entry::{
    Completed, Copied, Entry, Header, MAX_RECORDS_PER_ENTRY, Outcome, TransactionEnded, TransactionOutcome,
    Withheld,
};
pub use reader::Reader;
pub use recorded::{Recorded, Replay};
pub use writer::Writer;

/// Names the format and its version.
const MAGIC: [u8; 8] = *b"STFHIST2";
/// Longest body of a frame. 65,536 records of ten bytes each and the fields before them fit; so does any workload.
const MAX_BODY_BYTES: usize = 1 << 20;

/// The end word of a finished file of this length.
fn end_word(length: u64) -> [u8; 8] {
    let units = ((length / 8) as u32).to_le_bytes();
    let mut word = [0; 8];
    word[..4].copy_from_slice(&units);
    word[4..].copy_from_slice(&crc32c::crc32c(&units).to_le_bytes());
    word
}

#[cfg(test)]
mod tests;
