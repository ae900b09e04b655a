//! Record batches: written by hand, so that they can lie, and read by hand, so that no lie is mended.
//!
//! Layout: `DefaultRecordBatch` (magic 2) and `LegacyRecord` (magic 0 and 1) of the Kafka protocol guide.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use super::text::Names;

/// 14 November 2023: older than any producer that a partition remembers.
pub(crate) const OLD_TIMESTAMP: i64 = 1_700_000_000_000;
/// Bit of `attributes`.
pub(crate) const TRANSACTIONAL: i16 = 1 << 4;
/// Bit of `attributes`.
pub(crate) const CONTROL: i16 = 1 << 5;
/// Length of a batch without its records.
const HEADER_BYTES: usize = 61;

/// When the script began. Its records carry this, and answers tell it back: not a fixed time, since a partition forgets
/// a producer whose last record is older than producer.id.expiration.ms.
pub(crate) fn base_timestamp() -> i64 {
    static BEGAN: OnceLock<i64> = OnceLock::new();
    *BEGAN.get_or_init(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.as_millis() as i64
    })
}

/// Leader epochs after the first depend on how often the broker lost and won the partition while it came up.
pub(crate) fn epoch_name(epoch: i64) -> String {
    if epoch > 0 {
        "<later>".into()
    } else {
        epoch.to_string()
    }
}

/// A timestamp as it can be compared: the script's own, or a clock's.
pub(crate) fn timestamp_name(timestamp: i64) -> String {
    match timestamp - base_timestamp() {
        0 => "<script>".into(),
        // The script's records lie no further apart.
        later @ (100 | 200) => format!("<script+{later}>"),
        _ if timestamp <= OLD_TIMESTAMP => timestamp.to_string(),
        _ => "<now>".into(),
    }
}

/// A batch of magic 2, with room to lie.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) base_offset: i64,
    pub(crate) attributes: i16,
    pub(crate) base_timestamp: i64,
    pub(crate) producer: (i64, i16),
    pub(crate) sequence: i32,
    /// Claimed instead of the true one.
    pub(crate) count: Option<i32>,
    /// Claimed instead of the true one.
    pub(crate) last_offset_delta: Option<i32>,
    pub(crate) key: Option<&'static [u8]>,
    pub(crate) values: Vec<Vec<u8>>,
}

impl Batch {
    /// Of nobody: no producer id.
    pub(crate) fn plain(values: &[&str]) -> Batch {
        Batch::of((-1, -1), -1, values)
    }

    /// Of a producer (id and epoch).
    pub(crate) fn of(producer: (i64, i16), sequence: i32, values: &[&str]) -> Batch {
        Batch {
            base_offset: 0,
            attributes: 0,
            base_timestamp: base_timestamp(),
            producer,
            sequence,
            count: None,
            last_offset_delta: None,
            key: Some(b"k"),
            values: values.iter().map(|value| value.as_bytes().to_vec()).collect(),
        }
    }

    /// Part of a transaction.
    pub(crate) fn transactional(mut self) -> Batch {
        self.attributes |= TRANSACTIONAL;
        self
    }

    /// The bytes, with a right CRC.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut records = Vec::new();
        for (delta, value) in self.values.iter().enumerate() {
            let mut body = vec![0];
            varint(&mut body, 0);
            varint(&mut body, delta as i64);
            match self.key {
                Some(key) => {
                    varint(&mut body, key.len() as i64);
                    body.extend(key);
                }
                None => varint(&mut body, -1),
            }
            varint(&mut body, value.len() as i64);
            body.extend(value);
            varint(&mut body, 0);
            varint(&mut records, body.len() as i64);
            records.extend(body);
        }
        let count = self.values.len() as i32;
        let mut covered = Vec::new();
        covered.extend(self.attributes.to_be_bytes());
        covered.extend(self.last_offset_delta.unwrap_or(count - 1).to_be_bytes());
        covered.extend(self.base_timestamp.to_be_bytes());
        covered.extend(self.base_timestamp.to_be_bytes());
        covered.extend(self.producer.0.to_be_bytes());
        covered.extend(self.producer.1.to_be_bytes());
        covered.extend(self.sequence.to_be_bytes());
        covered.extend(self.count.unwrap_or(count).to_be_bytes());
        covered.extend(records);
        let mut bytes = Vec::new();
        bytes.extend(self.base_offset.to_be_bytes());
        bytes.extend((9 + covered.len() as i32).to_be_bytes());
        bytes.extend((-1_i32).to_be_bytes());
        bytes.push(2);
        bytes.extend(crc32c::crc32c(&covered).to_be_bytes());
        bytes.extend(covered);
        bytes
    }
}

/// One message of the formats before magic 2.
pub(crate) fn legacy(magic: u8, value: &str) -> Vec<u8> {
    let mut covered = vec![magic, 0];
    if magic > 0 {
        covered.extend(base_timestamp().to_be_bytes());
    }
    covered.extend((-1_i32).to_be_bytes());
    covered.extend((value.len() as i32).to_be_bytes());
    covered.extend(value.as_bytes());
    let mut bytes = 0_i64.to_be_bytes().to_vec();
    bytes.extend((4 + covered.len() as i32).to_be_bytes());
    bytes.extend(crc32(&covered).to_be_bytes());
    bytes.extend(covered);
    bytes
}

/// One line a batch, as a broker sent them.
pub(crate) fn batches(mut bytes: &[u8], names: &mut Names) -> Vec<String> {
    let mut lines = Vec::new();
    while !bytes.is_empty() {
        let length = bytes
            .get(8..12)
            .and_then(|field| field.try_into().ok())
            .map(i32::from_be_bytes);
        let whole = length.and_then(|length| bytes.split_at_checked(12 + usize::try_from(length).ok()?));
        let Some((batch, rest)) = whole else {
            lines.push(format!("{} bytes of a cut batch", bytes.len()));
            break;
        };
        lines.push(one(batch, names).unwrap_or_else(|| format!("{} bytes that are no batch", batch.len())));
        bytes = rest;
    }
    lines
}

fn one(batch: &[u8], names: &mut Names) -> Option<String> {
    let at = |from: usize, size: usize| -> Option<i64> {
        let bytes = batch.get(from..from + size)?;
        let start = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
        Some(
            bytes
                .iter()
                .fold(start, |value, byte| value << 8 | i64::from(*byte)),
        )
    };
    let crc = u32::from_be_bytes(batch.get(17..21)?.try_into().ok()?);
    let crc = if crc == crc32c::crc32c(batch.get(21..)?) {
        "right"
    } else {
        "wrong"
    };
    let attributes = at(21, 2)? as i16;
    let control = attributes & CONTROL != 0;
    let mut records = Vec::new();
    let mut rest = &batch[HEADER_BYTES.min(batch.len())..];
    for _ in 0..at(57, 4)? {
        records.push(record(&mut rest, control)?);
    }
    let mut kinds = Vec::new();
    if attributes & TRANSACTIONAL != 0 {
        kinds.push("transactional ");
    }
    if control {
        kinds.push("control ");
    }
    let timestamps = [timestamp_name(at(27, 8)?), timestamp_name(at(35, 8)?)].join("..");
    Some(format!(
        "{}batch offsets={}..{} leaderEpoch={} magic={} crc={crc} attributes={attributes} timestamps={timestamps} \
         pid={} epoch={} sequence={} records=[{}]",
        kinds.concat(),
        at(0, 8)?,
        at(0, 8)? + at(23, 4)?,
        epoch_name(at(12, 4)?),
        at(16, 1)?,
        names.pid(at(43, 8)?),
        at(51, 2)?,
        at(53, 4)?,
        records.join(" ")
    ))
}

fn record(rest: &mut &[u8], control: bool) -> Option<String> {
    let size = usize::try_from(unvarint(rest)?).ok()?;
    let (mut body, tail) = rest.split_at_checked(size)?;
    *rest = tail;
    body = body.get(1..)?;
    unvarint(&mut body)?;
    let delta = unvarint(&mut body)?;
    let mut bytes = || -> Option<Option<&[u8]>> {
        let Ok(length) = usize::try_from(unvarint(&mut body)?) else {
            return Some(None);
        };
        let (head, tail) = body.split_at_checked(length)?;
        body = tail;
        Some(Some(head))
    };
    let (key, value) = (bytes()?, bytes()?);
    if control {
        let kind = match key? {
            [_, _, 0, 0, ..] => "ABORT",
            [_, _, 0, 1, ..] => "COMMIT",
            _ => "unknown",
        };
        let epoch = i32::from_be_bytes(value?.get(2..6)?.try_into().ok()?);
        return Some(format!("{delta}:{kind} coordinatorEpoch={epoch}"));
    }
    let text =
        |bytes: Option<&[u8]>| bytes.map_or("null".into(), |b| String::from_utf8_lossy(b).into_owned());
    Some(format!("{delta}:{}={}", text(key), text(value)))
}

/// Zigzag, seven bits a byte.
fn varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest > 0x7f {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn unvarint(rest: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

/// The CRC of magic 0 and 1 (IEEE 802.3).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    })
}
