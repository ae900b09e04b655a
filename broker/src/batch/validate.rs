//! One batch against the settings of its topic: all that can be checked without the partition's state.
//!
//! Records in a compressed batch are not unpacked: of them the header is checked, and how the first frame begins.

use std::fmt::Write;

use super::{COMPRESSION_MASK, CRC_COVERS_FROM, HEADER_BYTES, Header, NONE, Refused, ZSTD, refused};
use crate::code;

/// Records that are named in the words about a batch; all of them stand in the answer's list.
const NAMED_IN_WORDS: usize = 3;

/// What a batch is checked against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) max_bytes: i32,
    /// A batch must have room in one segment.
    pub(crate) segment_bytes: i32,
    /// The oldest and the newest timestamp that are taken.
    pub(crate) times_ms: (i64, i64),
    /// Every record needs a key (cleanup.policy=compact).
    pub(crate) keyed: bool,
    /// message.timestamp.type=LogAppendTime.
    pub(crate) append_time: bool,
}

/// Answers the newest timestamp of its records.
pub(crate) fn validate(header: &Header, batch: &[u8], limits: Limits<'_>) -> Result<i64, Refused> {
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
    let invalid = |why: &'static str| Err(refused(code::INVALID_RECORD, why));
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
    let body = &batch[HEADER_BYTES..header.size];
    if !begins_as_its_codec(header.attributes & COMPRESSION_MASK, body) {
        return Err(refused(
            code::UNKNOWN_SERVER_ERROR,
            "the records cannot be decompressed",
        ));
    }
    let mut faults = Faults::default();
    let newest = if header.compressed() {
        if !limits.append_time && !in_time(header.max_timestamp, limits) {
            faults.out_of_time(0, header.max_timestamp, limits);
        }
        header.max_timestamp
    } else {
        let mut number = 0;
        records(header, body, |record| {
            faults.look_at(number, record, header, limits);
            number += 1;
        })?
    };
    faults.judge()?;
    if header.size > limits.segment_bytes.max(0) as usize {
        return Err(refused(
            code::RECORD_LIST_TOO_LARGE,
            "the batch is larger than segment.bytes",
        ));
    }
    Ok(newest)
}

/// Records that are not taken.
#[derive(Debug, Default)]
struct Faults {
    records: Vec<(i32, String)>,
    of_time: bool,
}

impl Faults {
    fn look_at(&mut self, number: i32, record: Record, header: &Header, limits: Limits<'_>) {
        if limits.keyed && !record.keyed {
            let (topic, partition) = (limits.topic, limits.partition);
            let why = "Compacted topic cannot accept message without key in topic partition";
            self.records.push((number, format!("{why} {topic}-{partition}")));
        } else if !limits.append_time && !in_time(record.timestamp, limits) {
            self.out_of_time(number, record.timestamp, limits);
        } else if limits.append_time && header.append_time() {
            self.of_time = true;
            let why = "Producer should not set timestamp type to LogAppendTime.";
            self.records.push((
                number,
                format!("Invalid timestamp type in message {number}. {why}"),
            ));
        }
    }

    fn out_of_time(&mut self, number: i32, timestamp: i64, limits: Limits<'_>) {
        let (oldest, newest) = limits.times_ms;
        self.of_time = true;
        self.records.push((
            number,
            format!(
                "Timestamp {timestamp} of message with offset {number} is out of range. The timestamp should be within \
                 [{oldest}, {newest}]"
            ),
        ));
    }

    /// LogValidator.processRecordErrors.
    fn judge(self) -> Result<(), Refused> {
        let refusal = match self.records.len() {
            0 => return Ok(()),
            _ if self.of_time => refused(
                code::INVALID_TIMESTAMP,
                "One or more records have been rejected due to invalid timestamp",
            ),
            count => {
                let mut named = String::new();
                for (number, why) in self.records.iter().take(NAMED_IN_WORDS) {
                    let comma = if named.is_empty() { "" } else { ", " };
                    // Writing to a string cannot fail.
                    let _ = write!(named, "{comma}RecordError(batchIndex={number}, message='{why}')");
                }
                let why = format!(
                    "One or more records have been rejected due to {count} record errors in total, and only showing the \
                     first three errors at most: [{named}]"
                );
                refused(code::INVALID_RECORD, why)
            }
        };
        Err(Refused {
            records: self.records,
            ..refusal.told()
        })
    }
}

/// No timestamp at all is always in time.
fn in_time(timestamp: i64, limits: Limits<'_>) -> bool {
    let (oldest, newest) = limits.times_ms;
    timestamp == NONE || (oldest..=newest).contains(&timestamp)
}

/// Whether the bytes begin as what the codec writes; none of the codecs leaves it at nothing.
fn begins_as_its_codec(codec: i16, bytes: &[u8]) -> bool {
    match codec {
        0 => true,
        1 => bytes.starts_with(&[0x1f, 0x8b]),
        // Snappy with or without the frames of xerial: without them anything may come first.
        2 => !bytes.is_empty(),
        3 => bytes.starts_with(&[0x04, 0x22, 0x4d, 0x18]),
        ZSTD => bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]),
        _ => false,
    }
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
    mut visit: impl FnMut(Record),
) -> Result<i64, Refused> {
    let invalid = |why: &'static str| refused(code::INVALID_RECORD, why);
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
        visit(record);
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
