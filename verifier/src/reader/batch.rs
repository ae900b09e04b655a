//! Record batches of format 2 (KIP-98, `DefaultRecordBatch`), read tolerantly: a cut last batch, control batches,
//! header keys that repeat or are not UTF-8, gaps from compaction are all in order. Pure; nothing is allocated.
//!
//! ```text
//! 0 base offset i64 · 8 length i32 · 12 leader epoch i32 · 16 magic i8 · 17 crc u32 · 21 attributes i16 ·
//! 23 last offset delta i32 · 27 base timestamp i64 · 35 max timestamp i64 · 43 producer id i64 · 51 epoch i16 ·
//! 53 base sequence i32 · 57 records i32 · 61 records, compressed as a whole           big-endian
//! record = length · attributes i8 · timestamp delta · offset delta · key · value · headers     zigzag varints
//! ```

use crate::log::Marker;
use crate::stamp;
use crate::varint::Cursor;

/// Bytes before the length of a batch counts, the length included.
const PREFIX_BYTES: usize = 12;
/// Where the part begins that the checksum covers.
const CRC_FROM: usize = 21;
/// Bytes of a batch before its records.
const HEADER_BYTES: usize = 61;

/// One batch, as its header says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch<'a> {
    pub(super) base_offset: i64,
    /// Offset behind the batch: where the next one may begin.
    pub(super) next_offset: i64,
    pub(super) leader_epoch: i32,
    pub(super) base_timestamp: i64,
    pub(super) max_timestamp: i64,
    pub(super) producer_id: i64,
    pub(super) producer_epoch: i16,
    pub(super) base_sequence: i32,
    /// Records that it says it has.
    pub(super) count: i32,
    /// The records, as compressed.
    pub(super) records: &'a [u8],
    attributes: i16,
    /// The checksum fits the bytes.
    pub(super) intact: bool,
}

impl Batch<'_> {
    /// 0 = not compressed.
    pub(super) fn codec(&self) -> u8 {
        self.attributes as u8 & 7
    }

    pub(super) fn transactional(&self) -> bool {
        self.attributes & 0x10 != 0
    }

    pub(super) fn control(&self) -> bool {
        self.attributes & 0x20 != 0
    }

    /// The time of a record: the broker's own clock where the topic says `LogAppendTime`.
    pub(super) fn timestamp(&self, delta: i64) -> i64 {
        if self.attributes & 0x08 != 0 {
            self.max_timestamp
        } else {
            self.base_timestamp.wrapping_add(delta)
        }
    }
}

/// What stands at the begin of fetched bytes.
#[derive(Debug)]
pub(super) enum Next<'a> {
    /// A whole batch, and the bytes behind it.
    Batch(Batch<'a>, &'a [u8]),
    /// Nothing more, or the begin of a batch that the answer had no room for.
    Cut,
    /// Bytes that are no batch; nothing behind them can be found.
    Lost(&'static str),
    /// Format 0 or 1, of brokers before 0.11, or one yet to come.
    Magic(u8),
}

/// The batch at the begin of fetched bytes.
pub(super) fn next(bytes: &[u8]) -> Next<'_> {
    let Some((prefix, _)) = bytes.split_first_chunk::<PREFIX_BYTES>() else {
        return Next::Cut;
    };
    let mut prefix = Fixed(prefix);
    let (base_offset, length) = (prefix.i64(), prefix.i32());
    let Ok(length) = usize::try_from(length) else {
        return Next::Lost("a negative length");
    };
    let Some((whole, rest)) = bytes.split_at_checked(PREFIX_BYTES.saturating_add(length)) else {
        return Next::Cut;
    };
    match whole.get(16) {
        Some(2) => {}
        Some(&magic) => return Next::Magic(magic),
        None => return Next::Lost("a length too short for any batch"),
    }
    let Some((header, records)) = whole.split_first_chunk::<HEADER_BYTES>() else {
        return Next::Lost("a length too short for a batch");
    };
    let leader_epoch = Fixed(&header[PREFIX_BYTES..]).i32();
    let mut fixed = Fixed(&header[17..]);
    let crc = fixed.i32() as u32;
    let attributes = fixed.i16();
    let last_offset_delta = fixed.i32();
    let (base_timestamp, max_timestamp) = (fixed.i64(), fixed.i64());
    let (producer_id, producer_epoch, base_sequence) = (fixed.i64(), fixed.i16(), fixed.i32());
    let count = fixed.i32();
    let next_offset = match base_offset.checked_add(i64::from(last_offset_delta) + 1) {
        Some(next) if last_offset_delta >= 0 && base_offset >= 0 => next,
        _ => return Next::Lost("offsets that cannot be"),
    };
    let batch = Batch {
        base_offset,
        next_offset,
        leader_epoch,
        base_timestamp,
        max_timestamp,
        producer_id,
        producer_epoch,
        base_sequence,
        count,
        records,
        attributes,
        intact: crc32c::crc32c(&whole[CRC_FROM..]) == crc,
    };
    Next::Batch(batch, rest)
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i32,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    /// As they stand there, their number first.
    pub(super) headers: &'a [u8],
    /// What the stamp's checksum must be (see stamp.rs).
    pub(super) checksum: u32,
}

/// The record at the begin of decompressed bytes; `topic` is [`stamp::topic_checksum`]. None when it is malformed.
pub(super) fn record<'a>(records: &mut Cursor<'a>, topic: u32) -> Option<Record<'a>> {
    let length: i32 = records.narrow()?;
    let mut body = Cursor::new(records.take(usize::try_from(length).ok()?)?);
    body.byte()?;
    let timestamp_delta = body.signed()?;
    let offset_delta = body.narrow()?;
    let key = nullable(&mut body)?;
    let value = nullable(&mut body)?;
    let rest = value.and_then(|value| value.get(stamp::STAMP_BYTES..));
    let mut checksum = stamp::piece(stamp::piece(topic, key), rest);
    let all = body.rest();
    let headers: i32 = body.narrow()?;
    // Each header takes two bytes at least, so the loop ends with the body at the latest.
    for _ in 0..u32::try_from(headers).ok()? {
        let name = nullable(&mut body)??;
        checksum = stamp::piece(stamp::piece(checksum, Some(name)), nullable(&mut body)?);
    }
    (body.remaining() == 0).then_some(Record {
        timestamp_delta,
        offset_delta,
        key,
        value,
        headers: all,
        checksum,
    })
}

/// The headers of a record, taken apart; none when they are malformed, or a name is no text.
pub(super) fn headers(bytes: &[u8]) -> Option<Vec<(String, Option<Vec<u8>>)>> {
    let mut body = Cursor::new(bytes);
    let count: i32 = body.narrow()?;
    let mut headers = Vec::new();
    for _ in 0..u32::try_from(count).ok()? {
        let name = String::from_utf8(nullable(&mut body)??.to_vec()).ok()?;
        headers.push((name, nullable(&mut body)?.map(<[u8]>::to_vec)));
    }
    Some(headers)
}

/// The transaction marker in a record of a control batch; none for another kind of control record.
///
/// ```text
/// key = version i16 · type i16 (0 abort, 1 commit)     value = version i16 · coordinator epoch i32
/// ```
pub(super) fn marker(record: &Record<'_>) -> Option<Marker> {
    let (_, kind) = record.key?.split_first_chunk::<2>()?;
    let commit = match i16::from_be_bytes(*kind.first_chunk()?) {
        0 => false,
        1 => true,
        _ => return None,
    };
    let (_, epoch) = record.value?.split_first_chunk::<2>()?;
    Some(Marker {
        commit,
        coordinator_epoch: i32::from_be_bytes(*epoch.first_chunk()?),
    })
}

/// A length and that many bytes; -1 is null.
fn nullable<'a>(body: &mut Cursor<'a>) -> Option<Option<&'a [u8]>> {
    match body.narrow::<i32>()? {
        -1 => Some(None),
        length => Some(Some(body.take(usize::try_from(length).ok()?)?)),
    }
}

/// Takes numbers off the front of a slice that is known to be long enough.
struct Fixed<'a>(&'a [u8]);

impl Fixed<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let (head, tail) = self.0.split_at(N);
        bytes.copy_from_slice(head);
        self.0 = tail;
        bytes
    }

    fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take())
    }

    fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.take())
    }

    fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.take())
    }
}
