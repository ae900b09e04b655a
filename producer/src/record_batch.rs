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
use crate::varint::{put_varint, varint_size, varlong_size, write_varint, write_varlong};

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
        let timestamp_delta = self.timestamp_delta(timestamp_ms);
        let tail = field_size(key) + field_size(value) + headers_size(headers);
        let body = self.body_size(timestamp_delta, tail);
        self.check_room(body)?;

        // Length, attributes, timestamp delta, offset delta, key length: built aside, appended in one go.
        let mut head = [0; 26];
        let at = write_varint(&mut head, 0, body as i32);
        let at = write_varlong(&mut head, at + 1, timestamp_delta);
        let at = write_varint(&mut head, at, self.records);
        let at = write_varint(&mut head, at, key.map_or(-1, |key| key.len() as i32));
        self.buffer.extend_from_slice(&head[..at]);
        self.buffer.extend_from_slice(key.unwrap_or_default());
        put_field(&mut self.buffer, value);
        put_varint(&mut self.buffer, headers.len() as i32);
        for header in headers {
            put_field(&mut self.buffer, Some(header.key.as_bytes()));
            put_field(&mut self.buffer, header.value);
        }
        self.count(timestamp_ms);
        Ok(())
    }

    /// Appends a record whose key, value and headers are encoded already (they carry nothing of their batch).
    pub(crate) fn append_encoded(&mut self, timestamp_ms: i64, tail: &[u8]) -> Result<(), NoRoom> {
        let timestamp_delta = self.timestamp_delta(timestamp_ms);
        let body = self.body_size(timestamp_delta, tail.len());
        self.check_room(body)?;
        let mut head = [0; 26];
        let at = write_varint(&mut head, 0, body as i32);
        let at = write_varlong(&mut head, at + 1, timestamp_delta);
        let at = write_varint(&mut head, at, self.records);
        self.buffer.extend_from_slice(&head[..at]);
        self.buffer.extend_from_slice(tail);
        self.count(timestamp_ms);
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

    #[inline]
    fn check_room(&self, body: usize) -> Result<(), NoRoom> {
        let size = self.buffer.len() + varint_size(body as i32) + body;
        match self.records {
            _ if size <= self.limit => Ok(()),
            0 if size <= MAX_BATCH_BYTES => Ok(()),
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

#[inline]
fn put_field(buffer: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        None => put_varint(buffer, -1),
        Some(bytes) => {
            put_varint(buffer, bytes.len() as i32);
            buffer.extend_from_slice(bytes);
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
