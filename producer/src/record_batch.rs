//! Record batches (magic 2, KIP-98), encoded at append into the very bytes that go to the socket.
//!
//! ```text
//!   new(buffer) ── append ── append ── … ── seal(pid, epoch, sequence) ──► SealedBatch ──► socket, resent as it is
//!      ▲            61 bytes kept free in front;   header patched, one CRC pass                │
//!      └───────────────────────────── into_buffer() once it is answered ◄──────────────────────┘
//! ```
//!
//! Two rules of idempotent producing shape this file. The producer id, epoch and base sequence are known only when
//! the batch is first drained to a socket (A2), so they stand in the header and nowhere else. From the first byte
//! handed to a socket the batch is immutable (A3), so a [`SealedBatch`] shows its bytes and lets nobody change them;
//! the one exception, [`SealedBatch::renumber`], says when it is allowed.
//!
//! A record costs no allocation; the buffer is the caller's and comes back. The base timestamp is the first
//! record's (as in Kafka's Java client), deltas and sequences wrap.
//! Layout: <https://kafka.apache.org/documentation/#recordbatch>.

use thiserror::Error;

use crate::compression::{Compression, Compressor};
use crate::varint::{varint_size, varlong_size, write_varint, write_varlong};

/// Bytes of the batch header: what an empty batch takes.
pub const HEADER_BYTES: usize = 61;
/// The largest batch that the format can carry, bytes: its length field is a signed 32-bit number.
pub const MAX_BATCH_BYTES: usize = i32::MAX as usize;

/// One header of a record. Keys may repeat and keep their order; the value may be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// The key; Kafka defines it as UTF-8.
    pub key: &'a str,
    /// The value; `None` is Kafka's null.
    pub value: Option<&'a [u8]>,
}

/// Why a record was not appended; the batch is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoRoom {
    /// The batch holds records and has no room for this one: seal it, append to a new one.
    #[error("the batch is full: seal it and append to a new one")]
    Full,
    /// No batch can hold the record: its encoding alone passes 2 GiB.
    #[error("the record's encoding passes the 2 GiB that a batch can carry")]
    TooLarge,
}

/// A batch that still takes records.
#[derive(Debug)]
pub struct BatchBuilder {
    buffer: Vec<u8>,
    limit: usize,
    records: i32,
    base_timestamp_ms: i64,
    max_timestamp_ms: i64,
}

/// What is known only when the batch is first drained to a socket (A2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// From `InitProducerId`; -1 without idempotence.
    pub producer_id: i64,
    /// The producer id's epoch; -1 without idempotence.
    pub producer_epoch: i16,
    /// Sequence of the batch's first record on this (pid, epoch, partition); -1 without idempotence.
    pub base_sequence: i32,
    /// The batch belongs to a transaction.
    pub transactional: bool,
}

/// A batch with header and CRC, ready for the socket and immutable (A3).
#[derive(Debug, Clone)]
pub struct SealedBatch {
    bytes: Vec<u8>,
    seal: Seal,
    records: i32,
    compression: Compression,
    uncompressed_bytes: usize,
    base_timestamp_ms: i64,
    max_timestamp_ms: i64,
}

impl BatchBuilder {
    /// An empty batch in `buffer`, whose contents are dropped and whose capacity is kept. `limit` is the size in
    /// bytes, header included, past which only a first record is taken (`batch.size`).
    #[must_use]
    pub fn new(mut buffer: Vec<u8>, limit: usize) -> Self {
        buffer.clear();
        buffer.resize(HEADER_BYTES, 0);
        Self {
            buffer,
            limit,
            records: 0,
            base_timestamp_ms: 0,
            max_timestamp_ms: i64::MIN,
        }
    }

    /// Encodes one record at the end of the batch. The first record is taken whatever its size, as by Kafka's
    /// Java client: a record larger than `batch.size` travels in a batch of its own.
    #[inline]
    pub fn append(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) -> Result<(), NoRoom> {
        if headers.is_empty()
            && let Some(value) = value
            && self.append_short(timestamp_ms, key, value)
        {
            return Ok(());
        }
        self.append_any(timestamp_ms, key, value, headers)
    }

    /// What nearly all records are: short enough that none of their numbers takes more than two bytes, so that those in front
    /// of the key fit a machine word. The bytes are those of [`append_any`](Self::append_any). False = nothing is done: it is not
    /// such a record, or the batch is nearly full.
    #[inline]
    fn append_short(&mut self, timestamp_ms: i64, key: Option<&[u8]>, value: &[u8]) -> bool {
        let timestamp_delta = self.timestamp_delta(timestamp_ms) as u64;
        let key_bytes = key.map_or(0, <[u8]>::len);
        let bytes = key_bytes.saturating_add(value.len());
        if (timestamp_delta | self.records as u64 | bytes as u64) >= SHORT - SHORT_HEAD {
            return false;
        }
        let times = short_varint(timestamp_delta);
        let offset = short_varint(self.records as u64);
        let key_length = key.map_or(NULL, |key| short_varint(key.len() as u64));
        let value_length = short_varint(value.len() as u64);
        let numbers = times.1 + offset.1 + key_length.1 + value_length.1;
        // Beside them attributes and the number of headers.
        let body = numbers as usize / 8 + 2 + bytes;
        let length = short_varint(body as u64);
        // A word is written whole and then cut.
        if self.buffer.len() + body + 2 + size_of::<u64>() > self.limit {
            return false;
        }
        self.count(timestamp_ms);
        let (mut word, mut bits) = (length.0, length.1 + 8); // attributes: 0
        for (varint, size) in [times, offset] {
            word |= varint << bits;
            bits += size;
        }
        match key {
            None => {
                word |= NULL.0 << bits;
                put_bits(&mut self.buffer, (word, bits + NULL.1));
            }
            Some(key) => {
                put_bits(&mut self.buffer, (word, bits));
                put_bits(&mut self.buffer, key_length);
                self.buffer.extend_from_slice(key);
            }
        }
        put_bits(&mut self.buffer, value_length);
        self.buffer.extend_from_slice(value);
        self.buffer.push(0); // no headers
        true
    }

    /// Any record, encoded number by number.
    #[inline(never)]
    fn append_any(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) -> Result<(), NoRoom> {
        let tail = field_size(key) + field_size(value) + headers_size(headers);
        let out = self.begin_record(timestamp_ms, tail)?;
        let at = write_field(out, 0, key);
        let at = write_field(out, at, value);
        let mut at = write_varint(out, at, headers.len() as i32);
        for header in headers {
            at = write_field(out, at, Some(header.key.as_bytes()));
            at = write_field(out, at, header.value);
        }
        debug_assert_eq!(at, tail);
        Ok(())
    }

    /// Appends a record whose key, value and headers are encoded already (they carry nothing of their batch).
    pub(crate) fn append_encoded(&mut self, timestamp_ms: i64, tail: &[u8]) -> Result<(), NoRoom> {
        let out = self.begin_record(timestamp_ms, tail.len())?;
        out.copy_from_slice(tail);
        Ok(())
    }

    /// The exact size in bytes, header included and before compression, that the batch would have with this
    /// record in it. On an empty builder: what the record takes in a batch of its own.
    #[inline]
    #[must_use]
    pub fn size_with(
        &self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) -> usize {
        let tail = field_size(key) + field_size(value) + headers_size(headers);
        let body = self.body_size(self.timestamp_delta(timestamp_ms), tail);
        self.buffer.len() + varint_size(body as i32) + body
    }

    /// Size in bytes so far, header included, before compression.
    #[inline]
    #[must_use]
    pub fn size(&self) -> usize {
        self.buffer.len()
    }

    /// Records appended so far.
    #[inline]
    #[must_use]
    pub fn records(&self) -> u32 {
        self.records as u32
    }

    /// The newest timestamp so far, ms since 1970; the oldest possible while there is no record.
    #[inline]
    #[must_use]
    pub fn max_timestamp_ms(&self) -> i64 {
        self.max_timestamp_ms
    }

    /// Gives the buffer back without sending anything.
    #[must_use]
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// Compresses if asked to, fills in the header and the CRC. Never fails: where the codec does, or where it
    /// saves nothing, the batch goes uncompressed (as librdkafka does it), which every broker accepts.
    /// The builder must hold at least one record.
    #[must_use]
    pub fn seal(mut self, seal: &Seal, compressor: &mut Compressor) -> SealedBatch {
        debug_assert!(self.records > 0, "a broker refuses an empty batch");
        let uncompressed_bytes = self.buffer.len();
        let mut compression = Compression::None;
        if compressor.compression() != Compression::None {
            let mut spare = std::mem::take(&mut compressor.spare);
            spare.clear();
            spare.resize(HEADER_BYTES, 0);
            let compressed = compressor.compress(&self.buffer[HEADER_BYTES..], &mut spare);
            if compressed.is_ok() && spare.len() < self.buffer.len() {
                compression = compressor.compression();
                std::mem::swap(&mut spare, &mut self.buffer);
            }
            compressor.spare = spare;
        }
        let mut batch = SealedBatch {
            bytes: self.buffer,
            seal: *seal,
            records: self.records,
            compression,
            uncompressed_bytes,
            base_timestamp_ms: self.base_timestamp_ms,
            max_timestamp_ms: self.max_timestamp_ms,
        };
        batch.write_header();
        batch
    }

    /// Makes room for a record, whose size is known to the byte, and writes what depends on its batch. Returned is the place
    /// of the `tail` bytes that follow: everything from the key length on.
    #[inline]
    fn begin_record(&mut self, timestamp_ms: i64, tail: usize) -> Result<&mut [u8], NoRoom> {
        let timestamp_delta = self.timestamp_delta(timestamp_ms);
        let body = self.body_size(timestamp_delta, tail);
        let end = self.check_room(body)?;
        let offset_delta = self.records;
        self.count(timestamp_ms);
        let begin = self.buffer.len();
        self.buffer.resize(end, 0);
        let out = &mut self.buffer[begin..];
        let at = write_varint(out, 0, body as i32);
        let at = write_varlong(out, at + 1, timestamp_delta); // between them the attributes, 0
        let at = write_varint(out, at, offset_delta);
        Ok(&mut out[at..])
    }

    #[inline]
    fn timestamp_delta(&self, timestamp_ms: i64) -> i64 {
        if self.records == 0 {
            0
        } else {
            timestamp_ms.wrapping_sub(self.base_timestamp_ms)
        }
    }

    /// A record's size without its own length field; `tail` is everything from the key length on.
    #[inline]
    fn body_size(&self, timestamp_delta: i64, tail: usize) -> usize {
        1 + varlong_size(timestamp_delta) + varint_size(self.records) + tail
    }

    /// The size that the batch will have.
    #[inline]
    fn check_room(&self, body: usize) -> Result<usize, NoRoom> {
        let size = self.buffer.len() + varint_size(body as i32) + body;
        match self.records {
            _ if size <= self.limit => Ok(size),
            0 if size <= MAX_BATCH_BYTES => Ok(size),
            0 => Err(NoRoom::TooLarge),
            _ => Err(NoRoom::Full),
        }
    }

    #[inline]
    fn count(&mut self, timestamp_ms: i64) {
        if self.records == 0 {
            self.base_timestamp_ms = timestamp_ms;
        }
        self.max_timestamp_ms = self.max_timestamp_ms.max(timestamp_ms);
        self.records += 1;
    }
}

impl SealedBatch {
    /// The batch as it goes on the wire.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Records in the batch, at least 1.
    #[inline]
    #[must_use]
    pub fn records(&self) -> u32 {
        self.records as u32
    }

    /// Producer id, epoch, base sequence as sealed.
    #[inline]
    #[must_use]
    pub fn stamp(&self) -> &Seal {
        &self.seal
    }

    /// Sequence of the first record.
    #[inline]
    #[must_use]
    pub fn base_sequence(&self) -> i32 {
        self.seal.base_sequence
    }

    /// Sequence that the partition's next batch starts with.
    #[inline]
    #[must_use]
    pub fn next_sequence(&self) -> i32 {
        next_sequence(self.seal.base_sequence, self.records())
    }

    /// The codec really used; `None` also where the chosen one saved nothing.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Size in bytes, header included, before compression.
    #[must_use]
    pub fn uncompressed_bytes(&self) -> usize {
        self.uncompressed_bytes
    }

    /// Timestamp of the first record: the one that deltas count from, ms since 1970.
    #[must_use]
    pub fn base_timestamp_ms(&self) -> i64 {
        self.base_timestamp_ms
    }

    /// The newest timestamp of its records, ms since 1970: brokers remember their producer by it.
    #[inline]
    #[must_use]
    pub fn max_timestamp_ms(&self) -> i64 {
        self.max_timestamp_ms
    }

    /// Gives the buffer back. Only once the request is answered or its socket is closed (A3, KAFKA-19012).
    #[must_use]
    pub fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }

    /// Stamps the batch anew and computes the CRC again. Allowed only while it is known to be NOT_WRITTEN and no
    /// request of its partition is outstanding (A13, A14); a broker that has seen the old stamp could otherwise
    /// take new records for duplicates and drop them (M3).
    pub fn renumber(&mut self, seal: &Seal) {
        self.seal = *seal;
        self.write_header();
    }

    /// What A4 forbids: two batches in the place of one.
    #[must_use]
    pub(crate) fn with_behind(&self, other: &SealedBatch) -> SealedBatch {
        let mut both = self.clone();
        both.bytes.extend_from_slice(&other.bytes);
        both
    }

    fn write_header(&mut self) {
        let attributes = self.compression as i16 | if self.seal.transactional { 1 << 4 } else { 0 };
        let length = (self.bytes.len() - 12) as i32;
        let mut at = 0;
        let header = &mut self.bytes[..HEADER_BYTES];
        let mut put = |field: &[u8]| {
            header[at..at + field.len()].copy_from_slice(field);
            at += field.len();
        };
        put(&0_i64.to_be_bytes()); // base offset: the broker's to give
        put(&length.to_be_bytes());
        put(&(-1_i32).to_be_bytes()); // partition leader epoch: the broker's too
        put(&[2]); // magic
        put(&[0; 4]); // CRC, below
        put(&attributes.to_be_bytes());
        put(&(self.records - 1).to_be_bytes()); // last offset delta
        put(&self.base_timestamp_ms.to_be_bytes());
        put(&self.max_timestamp_ms.to_be_bytes());
        put(&self.seal.producer_id.to_be_bytes());
        put(&self.seal.producer_epoch.to_be_bytes());
        put(&self.seal.base_sequence.to_be_bytes());
        put(&self.records.to_be_bytes());
        let crc = crc32c::crc32c(&self.bytes[CRC_COVERS_FROM..]);
        self.bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
    }
}

/// Up to here, zigzag takes at most two bytes.
const SHORT: u64 = 1 << 13;
/// More than what a short record has beside key and value.
const SHORT_HEAD: u64 = 16;
/// The length of null: zigzag -1.
const NULL: (u64, u32) = (1, 8);

/// The zigzag varint of a number below [`SHORT`], lowest byte first, and its size in bits.
#[inline]
fn short_varint(value: u64) -> (u64, u32) {
    let raw = value << 1;
    if raw < 0x80 {
        (raw, 8)
    } else {
        (raw & 0x7f | 0x80 | (raw & 0x3f80) << 1, 16)
    }
}

/// Appends the lowest `bits` of a word.
#[inline]
fn put_bits(buffer: &mut Vec<u8>, (word, bits): (u64, u32)) {
    let end = buffer.len() + bits as usize / 8;
    buffer.extend_from_slice(&word.to_le_bytes());
    buffer.truncate(end);
}

const CRC_AT: usize = 17;
const CRC_COVERS_FROM: usize = 21;

/// The sequence `records` after `sequence`: modulo 2^31, so 2147483647 is followed by 0 (A2, M15).
/// "No sequence" (-1) stays -1.
#[inline]
#[must_use]
pub fn next_sequence(sequence: i32, records: u32) -> i32 {
    if sequence < 0 {
        sequence
    } else {
        sequence.wrapping_add(records as i32) & i32::MAX
    }
}

/// Writes a nullable byte field with its length at `at`, and returns the place after it.
#[inline]
fn write_field(out: &mut [u8], at: usize, field: Option<&[u8]>) -> usize {
    match field {
        None => write_varint(out, at, -1),
        Some(bytes) => {
            let at = write_varint(out, at, bytes.len() as i32);
            let end = at + bytes.len();
            out[at..end].copy_from_slice(bytes);
            end
        }
    }
}

/// A nullable byte field with its length. Lengths past 32 bits are sized wrongly here and refused by
/// `check_room`, whose sum still holds the true length.
#[inline]
fn field_size(field: Option<&[u8]>) -> usize {
    field.map_or(1, |bytes| varint_size(bytes.len() as i32) + bytes.len())
}

#[inline]
fn headers_size(headers: &[Header<'_>]) -> usize {
    let fields: usize = headers
        .iter()
        .map(|header| field_size(Some(header.key.as_bytes())) + field_size(header.value))
        .sum();
    varint_size(headers.len() as i32) + fields
}

#[cfg(test)]
pub(crate) mod tests;
