//! What the reader read, compact: one file per partition, `log/<topic>-<partition>.bin`.
//!
//! ```text
//! file   = "STFRLOG1" · 8 zeros · frame(header) · frame(block) · ... · frame(footer)     frames: see frame.rs
//! header = kind 0 · length of topic, topic · partition                      numbers: varints (varint.rs)
//! block  = kind 1 · batch · batch · ...               at least one; each block can be read without those before it
//! batch  = flags (1 control, 2 transactional, 4 commit marker, 8 abort marker, 16 other leader epoch than the batch before) ·
//!          base offset minus the offset after the batch before · producer id · epoch · base sequence · leader epoch minus
//!          that before (first: -1), if another · coordinator epoch, if a marker · count · record · record · ...
//! record = flags · fields that the flags ask for, in this order:
//!          8 offset is not the one after the record before (first: the batch's base offset): its difference to that
//!          1 has an id · 16 worker, if not that of the record before · index minus the index before
//!          32 sequence, if not the low half of the index (without an id: if not 0)
//!          2 key: hash, 8 bytes
//!          64 timestamp, if not that of the record before: the difference
//!          4 intact
//! footer = kind 2 · batches · records · end offset
//! ```
//! A keyless record takes about 3 bytes, one with a key about 12. Every byte is covered by a checksum, and the footer
//! must be the last frame: any change, any missing or added byte is a [`crate::frame::FormatError`].

pub(crate) mod block;
mod reader;
mod writer;

use std::path::{Path, PathBuf};

pub use reader::Reader;
pub use writer::Writer;

/// Records in one [`LogBatch`] at most; the reader cuts a longer batch into several that go on where the one before
/// ended.
pub const MAX_RECORDS_PER_BATCH: usize = 65_536;

/// Names the format and its version.
const MAGIC: [u8; 8] = *b"STFRLOG1";
/// A block is written once it has this many bytes.
const BLOCK_BYTES: usize = 64 << 10;
/// Longest body of a frame: a block that was nearly full and one more batch of records of 50 bytes (1 + 10 + 3 + 10 +
/// 5 + 8 + 10, rounded up).
const MAX_BODY_BYTES: usize = BLOCK_BYTES + 64 + MAX_RECORDS_PER_BATCH * 50;

/// The name of a partition's file in the folder `log/`.
pub fn path(dir: &Path, topic: &str, partition: i32) -> PathBuf {
    dir.join(format!("{topic}-{partition}.bin"))
}

/// One batch as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogBatch {
    /// Offset of the batch.
    pub base_offset: i64,
    /// Producer id, -1 = none.
    pub producer_id: i64,
    /// Producer epoch, -1 = none.
    pub producer_epoch: i16,
    /// Sequence number of the first record, -1 = none.
    pub base_sequence: i32,
    /// Leader epoch that the broker wrote it under, -1 = not known.
    pub leader_epoch: i32,
    /// A control batch (transaction markers): its records are no data.
    pub control: bool,
    /// Part of a transaction.
    pub transactional: bool,
    /// What a control batch says of the transaction of its producer; none for data, and for other control batches.
    pub marker: Option<Marker>,
    /// Its records in order; none for a batch that compaction emptied.
    pub records: Vec<LogRecord>,
}

/// A transaction marker: the end of whatever its producer id has open in this partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    /// True for COMMIT, false for ABORT.
    pub commit: bool,
    /// Epoch of the transaction coordinator that wrote it.
    pub coordinator_epoch: i32,
}

/// One record as it stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRecord {
    /// Its offset.
    pub offset: i64,
    /// Who it says it is; none when the value is too short to hold a stamp (a foreign or destroyed record).
    pub id: Option<crate::stamp::RecordId>,
    /// Position among the records of its key, as stamped.
    pub sequence: u32,
    /// [`key_hash`] of its key; none without a key.
    pub key: Option<u64>,
    /// The stamp fits topic, key, value and headers, and the batch's own checksum fits its bytes.
    pub intact: bool,
    /// Its timestamp, ms since 1970.
    pub timestamp_ms: i64,
}

/// What stands for a key in the compact log: 64-bit FNV-1a. Among 10 million keys two share a hash once in 370,000
/// runs.
pub fn key_hash(key: &[u8]) -> u64 {
    key.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The last frame of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footer {
    /// Batches in the file.
    pub batches: u64,
    /// Records in the file, those of control batches included.
    pub records: u64,
    /// The partition's end offset up to which it was read.
    pub end_offset: i64,
}

#[cfg(test)]
mod tests;
