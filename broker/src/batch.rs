//! One record batch (magic 2) as it comes in a Produce request: what Kafka checks before it looks at sequences.
//!
//! ```text
//! base offset 8 · length 4 · leader epoch 4 · magic 1 · crc 4 · attributes 2 · last offset delta 4 · base timestamp 8
//! · max timestamp 8 · producer id 8 · producer epoch 2 · base sequence 4 · count 4 · records
//! ```
//!
//! The broker writes base offset and leader epoch, which the CRC leaves out; nothing else changes. Order of checks and
//! codes: ProduceRequest.validateRecords, UnifiedLog.analyzeAndValidateRecords, LogValidator of Kafka 4.1. Records in
//! a compressed batch are not unpacked: of them the header alone is checked.

use bytes::{BufMut, BytesMut};

use crate::code;

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
    pub(crate) why: &'static str,
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
pub(crate) fn refused(code: i16, why: &'static str) -> Refused {
    Refused {
        code,
        why,
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

    /// Sequence of the last record; sequences wrap from 2^31-1 to 0 (M15).
    pub(crate) fn last_sequence(&self) -> i32 {
        add_sequence(self.base_sequence, self.last_offset_delta)
    }
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
        return Err(refused(
            code::CORRUPT_MESSAGE,
            "a record batch smaller than any can be",
        ));
    }
    if records.len() <= MAGIC_OFFSET {
        return Ok(None);
    }
    if records[MAGIC_OFFSET] > 2 {
        return Err(refused(code::CORRUPT_MESSAGE, "an unknown magic"));
    }
    let size = LOG_OVERHEAD + length as usize;
    Ok((records.len() >= size).then_some(size))
}

/// What a batch is checked against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) max_bytes: i32,
    /// The newest timestamp that is taken.
    pub(crate) newest_ms: i64,
    /// Every record needs a key (cleanup.policy=compact).
    pub(crate) keyed: bool,
}

/// Checks all that can be checked without the partition's state.
pub(crate) fn validate(header: &Header, batch: &[u8], limits: Limits) -> Result<(), Refused> {
    if header.base_offset != 0 {
        return Err(refused(
            code::INVALID_RECORD,
            "the base offset of a batch sent must be 0",
        ));
    }
    if header.size > limits.max_bytes.max(0) as usize {
        return Err(refused(
            code::MESSAGE_TOO_LARGE,
            "the batch is larger than max.message.bytes",
        ));
    }
    if crc32c::crc32c(&batch[CRC_COVERS_FROM..header.size]) != header.crc {
        return Err(refused(
            code::CORRUPT_MESSAGE,
            "the checksum does not fit the bytes",
        ));
    }
    let invalid = |why| Err(refused(code::INVALID_RECORD, why));
    if header.last_offset_delta < 0 || header.count <= 0 {
        return invalid("a batch without records");
    }
    if i64::from(header.last_offset_delta) + 1 != i64::from(header.count) {
        return invalid("count and last offset delta differ");
    }
    if header.producer_id > NONE && header.base_sequence < 0 {
        return invalid("a producer id without a sequence");
    }
    if header.control() {
        return invalid("clients may not write control records");
    }
    if header.attributes & LOG_APPEND_TIME != 0 {
        return Err(refused(
            code::INVALID_TIMESTAMP,
            "clients may not set the timestamp type",
        ));
    }
    if header.attributes & COMPRESSION_MASK > ZSTD {
        return invalid("an unknown compression");
    }
    let newest = if header.compressed() {
        header.max_timestamp
    } else {
        records(header, &batch[HEADER_BYTES..header.size], |record| {
            !limits.keyed || record.keyed
        })?
    };
    if newest > limits.newest_ms {
        return Err(refused(
            code::INVALID_TIMESTAMP,
            "a timestamp too far ahead of the broker's clock",
        )
        .told());
    }
    Ok(())
}

/// What the model looks at in a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub(crate) offset_delta: i32,
    pub(crate) timestamp: i64,
    pub(crate) keyed: bool,
}

/// Walks the records of an uncompressed batch; answers their newest timestamp.
pub(crate) fn records(
    header: &Header,
    mut rest: &[u8],
    mut visit: impl FnMut(Record) -> bool,
) -> Result<i64, Refused> {
    let invalid = |why| refused(code::INVALID_RECORD, why);
    let mut newest = NONE;
    for _ in 0..header.count {
        let length = varint(&mut rest).ok_or(invalid("a batch that ends before its last record"))?;
        let length = usize::try_from(length).map_err(|_| invalid("a negative record length"))?;
        let (body, behind) = rest
            .split_at_checked(length)
            .ok_or(invalid("a record longer than its batch"))?;
        rest = behind;
        let record = record(header, body).ok_or(invalid("a record that does not fit its length"))?;
        newest = newest.max(record.timestamp);
        if !visit(record) {
            return Err(invalid("a record without a key in a compacted topic").told());
        }
    }
    if rest.is_empty() {
        Ok(newest)
    } else {
        Err(invalid("bytes behind the last record"))
    }
}

fn record(header: &Header, mut body: &[u8]) -> Option<Record> {
    skip(&mut body, 1)?;
    let timestamp_delta = varint(&mut body)?;
    let offset_delta = i32::try_from(varint(&mut body)?).ok()?;
    let key = varint(&mut body)?;
    skip(&mut body, key.max(0))?;
    let value = varint(&mut body)?;
    skip(&mut body, value.max(0))?;
    let headers = varint(&mut body)?;
    // A header takes two bytes at least.
    if headers < 0 || headers > body.len() as i64 {
        return None;
    }
    for _ in 0..headers {
        let key = varint(&mut body)?;
        if key < 0 {
            return None;
        }
        skip(&mut body, key)?;
        let value = varint(&mut body)?;
        skip(&mut body, value.max(0))?;
    }
    body.is_empty().then_some(Record {
        offset_delta,
        timestamp: header.base_timestamp.saturating_add(timestamp_delta),
        keyed: key >= 0,
    })
}

fn skip(rest: &mut &[u8], count: i64) -> Option<()> {
    *rest = rest.get(usize::try_from(count).ok()?..)?;
    Some(())
}

/// A zigzag varint of up to ten bytes.
fn varint(rest: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

/// A control batch that ends a transaction on one partition (KIP-98): key = version, type; value = version, coordinator
/// epoch.
pub(crate) struct Marker {
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) commit: bool,
    pub(crate) coordinator_epoch: i32,
    pub(crate) timestamp: i64,
}

impl Marker {
    pub(crate) fn encode(&self) -> BytesMut {
        let mut bytes = BytesMut::with_capacity(78);
        bytes.put_i64(0);
        bytes.put_i32((HEADER_BYTES - LOG_OVERHEAD + 17) as i32);
        bytes.put_i32(0);
        bytes.put_u8(2);
        bytes.put_u32(0);
        bytes.put_i16(TRANSACTIONAL | CONTROL);
        bytes.put_i32(0);
        bytes.put_i64(self.timestamp);
        bytes.put_i64(self.timestamp);
        bytes.put_i64(self.producer_id);
        bytes.put_i16(self.producer_epoch);
        bytes.put_i32(-1);
        bytes.put_i32(1);
        // One record of 16 bytes; lengths are zigzag varints.
        bytes.put_slice(&[32, 0, 0, 0, 8]);
        bytes.put_i16(0);
        bytes.put_i16(i16::from(self.commit));
        bytes.put_u8(12);
        bytes.put_i16(0);
        bytes.put_i32(self.coordinator_epoch);
        bytes.put_u8(0);
        let crc = crc32c::crc32c(&bytes[CRC_COVERS_FROM..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        bytes
    }
}

/// Whether a control batch commits; its bytes begin with the header.
pub(crate) fn commits(batch: &[u8]) -> bool {
    batch.get(HEADER_BYTES + 7..HEADER_BYTES + 9) == Some(&[0, 1])
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
