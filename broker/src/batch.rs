//! One record batch (magic 2) as it comes in a Produce request: what Kafka checks before it looks at sequences.
//!
//! ```text
//! base offset 8 · length 4 · leader epoch 4 · magic 1 · crc 4 · attributes 2 · last offset delta 4 · base timestamp 8
//! · max timestamp 8 · producer id 8 · producer epoch 2 · base sequence 4 · count 4 · records
//! ```
//!
//! The broker writes base offset and leader epoch, which the CRC leaves out, and where they are not as the topic wants
//! them the type of the timestamps and the newest one. Order of checks and codes: ProduceRequest.validateRecords,
//! UnifiedLog.analyzeAndValidateRecords, LogValidator of Kafka 4.1.

mod marker; // what ends a transaction
mod validate; // one batch against the settings of its topic

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

use crate::code;

pub(crate) use marker::{Marker, commits};
pub(crate) use validate::{Limits, records, validate};

/// Bytes before the records.
pub(crate) const HEADER_BYTES: usize = 61;
/// Bytes that the broker may write: base offset, length, leader epoch.
pub(crate) const HEAD_BYTES: usize = 16;
/// Where what the CRC covers begins.
const CRC_COVERS_FROM: usize = 21;
/// Base offset and length.
const LOG_OVERHEAD: usize = 12;
/// The smallest record of magic 0; a batch that claims less is corrupt.
const SMALLEST_RECORD: i32 = 14;
const MAGIC_OFFSET: usize = 16;
const COMPRESSION_MASK: i16 = 0x07;
const ZSTD: i16 = 4;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
/// No producer id, epoch, sequence or timestamp.
pub(crate) const NONE: i64 = -1;

/// Why a batch is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: i16,
    pub(crate) why: Cow<'static, str>,
    /// The records that are to blame, with what Kafka says of each.
    pub(crate) records: Vec<(i32, String)>,
    /// Kafka tells the reason in its answer; of most refusals it tells the code alone.
    pub(crate) told: bool,
    /// Kafka tells where the log begins: it had found the log when it refused.
    pub(crate) tells_start: bool,
}

impl Refused {
    /// A refusal whose reason the client reads.
    pub(crate) fn told(self) -> Refused {
        Refused { told: true, ..self }
    }

    /// A refusal by the log itself (ReplicaManager.processFailedRecord): but for these codes it tells its start.
    pub(crate) fn by_log(self) -> Refused {
        let silent = matches!(
            self.code,
            code::CORRUPT_MESSAGE
                | code::MESSAGE_TOO_LARGE
                | code::RECORD_LIST_TOO_LARGE
                | code::NOT_LEADER_OR_FOLLOWER
                | code::KAFKA_STORAGE_ERROR
        );
        Refused {
            tells_start: !silent,
            ..self
        }
    }
}

/// A refusal in short.
pub(crate) fn refused(code: i16, why: impl Into<Cow<'static, str>>) -> Refused {
    Refused {
        code,
        why: why.into(),
        records: Vec::new(),
        told: false,
        tells_start: false,
    }
}

/// The fields of a batch's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) base_offset: i64,
    /// Of the whole batch.
    pub(crate) size: usize,
    pub(crate) leader_epoch: i32,
    pub(crate) crc: u32,
    pub(crate) attributes: i16,
    pub(crate) last_offset_delta: i32,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) count: i32,
}

impl Header {
    /// Reads a header; none when the bytes are too few or not of magic 2.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Header> {
        let head = bytes.first_chunk::<HEADER_BYTES>()?;
        let length = i32_at(head, 8);
        if head[MAGIC_OFFSET] != 2 || length < (HEADER_BYTES - LOG_OVERHEAD) as i32 {
            return None;
        }
        Some(Header {
            base_offset: i64_at(head, 0),
            size: LOG_OVERHEAD + length as usize,
            leader_epoch: i32_at(head, 12),
            crc: i32_at(head, 17) as u32,
            attributes: i16_at(head, 21),
            last_offset_delta: i32_at(head, 23),
            base_timestamp: i64_at(head, 27),
            max_timestamp: i64_at(head, 35),
            producer_id: i64_at(head, 43),
            producer_epoch: i16_at(head, 51),
            base_sequence: i32_at(head, 53),
            count: i32_at(head, 57),
        })
    }

    pub(crate) fn transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    pub(crate) fn control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    pub(crate) fn compressed(&self) -> bool {
        self.attributes & COMPRESSION_MASK != 0
    }

    /// The timestamps are those of the append.
    pub(crate) fn append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    /// Sequence of the last record; sequences wrap from 2^31-1 to 0 (M15).
    pub(crate) fn last_sequence(&self) -> i32 {
        add_sequence(self.base_sequence, self.last_offset_delta)
    }
}

/// The batch as it goes into the log: whoever sent it, the topic decides what its timestamps mean, and the newest of them
/// stands in the header (DefaultRecordBatch.setMaxTimestamp). `header` is brought in line.
pub(crate) fn stamped(header: &mut Header, batch: &Bytes, append_time: bool, newest: i64) -> Bytes {
    if header.append_time() == append_time && header.max_timestamp == newest {
        return batch.slice(..header.size);
    }
    header.attributes = header.attributes & !LOG_APPEND_TIME | if append_time { LOG_APPEND_TIME } else { 0 };
    header.max_timestamp = newest;
    let mut bytes = BytesMut::from(&batch[..header.size]);
    bytes[21..23].copy_from_slice(&header.attributes.to_be_bytes());
    bytes[35..43].copy_from_slice(&newest.to_be_bytes());
    header.crc = crc32c::crc32c(&bytes[CRC_COVERS_FROM..]);
    bytes[17..21].copy_from_slice(&header.crc.to_be_bytes());
    bytes.freeze()
}

/// Sequence arithmetic modulo 2^31.
pub(crate) fn add_sequence(sequence: i32, more: i32) -> i32 {
    (i64::from(sequence) + i64::from(more)).rem_euclid(1 << 31) as i32
}

/// Finds the one batch that a partition of a Produce request may hold (ProduceRequest.validateRecords).
pub(crate) fn only_batch(records: &[u8], version: i16) -> Result<Header, Refused> {
    let none = refused(
        code::INVALID_RECORD,
        "a partition must have exactly one record batch, and has none",
    );
    let Some(size) = next_size(records)? else {
        return Err(none);
    };
    if records[MAGIC_OFFSET] != 2 {
        return Err(refused(code::INVALID_RECORD, "record batches must have magic 2"));
    }
    let header = Header::parse(records).ok_or(refused(
        code::CORRUPT_MESSAGE,
        "a record batch shorter than its header",
    ))?;
    if version < 7 && header.attributes & COMPRESSION_MASK == ZSTD {
        return Err(refused(
            code::UNSUPPORTED_COMPRESSION_TYPE,
            "zstd needs Produce version 7",
        ));
    }
    match next_size(&records[size..])? {
        None => Ok(header),
        Some(_) => Err(refused(
            code::INVALID_RECORD,
            "a partition must have exactly one record batch, and has more",
        )),
    }
}

/// Bytes of the batch that `records` begins with; none when no whole one is there (ByteBufferLogInputStream).
fn next_size(records: &[u8]) -> Result<Option<usize>, Refused> {
    if records.len() < LOG_OVERHEAD {
        return Ok(None);
    }
    let length = i32_at(records, 8);
    if length < SMALLEST_RECORD {
        let why =
            format!("Record size {length} is less than the minimum record overhead ({SMALLEST_RECORD})");
        return Err(refused(code::CORRUPT_MESSAGE, why).told());
    }
    if records.len() <= MAGIC_OFFSET {
        return Ok(None);
    }
    if records[MAGIC_OFFSET] > 2 {
        let why = format!("Invalid magic found in record: {}", records[MAGIC_OFFSET] as i8);
        return Err(refused(code::CORRUPT_MESSAGE, why).told());
    }
    let size = LOG_OVERHEAD + length as usize;
    Ok((records.len() >= size).then_some(size))
}

/// Whether the checksum fits: a torn tail does not.
pub(crate) fn sound(header: &Header, batch: &[u8]) -> bool {
    batch.len() >= header.size && crc32c::crc32c(&batch[CRC_COVERS_FROM..header.size]) == header.crc
}

fn i16_at(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    i32::from_be_bytes(value)
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    i64::from_be_bytes(value)
}

#[cfg(test)]
mod tests;
