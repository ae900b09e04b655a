//! Records of one partition, encoded where they are sent from. Pure.
//!
//! ```text
//! │partition│length│ batch header, 61 bytes │ record │ record │ … │       batch format: magic 2, kafka.apache.org
//! └── encoded once; sealed: length, last offset, time, count, CRC ──┘
//! record = length · attributes · time's difference (0) · offset's difference · key · value · headers
//! ```
//! The two fields in front belong to the request: so a whole partition is one slice of it. The buffer is used again.

use steadfast_loadgen::generator::GeneratedRecord;

/// Partition and length.
const FRONT_BYTES: usize = 8;
/// Of the batch header.
const HEADER_BYTES: usize = 61;
/// Base offset and length, which the batch's own length does not count.
const UNCOUNTED_BYTES: usize = 12;

// Places in the buffer.
const LENGTH: usize = 4;
const BATCH_LENGTH: usize = FRONT_BYTES + 8;
const CRC: usize = FRONT_BYTES + 17;
const CRC_COVERS_FROM: usize = FRONT_BYTES + 21;
const LAST_OFFSET_DELTA: usize = FRONT_BYTES + 23;
const BASE_TIMESTAMP: usize = FRONT_BYTES + 27;
const MAX_TIMESTAMP: usize = FRONT_BYTES + 35;
const COUNT: usize = FRONT_BYTES + 57;

/// One partition's part of a request.
pub(crate) struct Batch {
    bytes: Vec<u8>,
    indexes: Vec<u64>,
}

impl Batch {
    /// An empty one.
    pub(crate) fn new(partition: i32) -> Batch {
        let mut bytes = vec![0; FRONT_BYTES + HEADER_BYTES];
        bytes[..LENGTH].copy_from_slice(&partition.to_be_bytes());
        let header = &mut bytes[FRONT_BYTES..];
        header[12..16].copy_from_slice(&(-1_i32).to_be_bytes()); // leader epoch: the broker's to give
        header[16] = 2; // magic
        header[43..51].copy_from_slice(&(-1_i64).to_be_bytes()); // no producer id,
        header[51..53].copy_from_slice(&(-1_i16).to_be_bytes()); // no epoch,
        header[53..57].copy_from_slice(&(-1_i32).to_be_bytes()); // no sequence
        Batch {
            bytes,
            indexes: Vec::new(),
        }
    }

    /// Adds a record.
    pub(crate) fn append(&mut self, record: &GeneratedRecord<'_>) {
        let offset = self.indexes.len() as i32;
        let headers: usize = record
            .headers
            .iter()
            .map(|header| field_size(Some(header.key.as_bytes())) + field_size(header.value))
            .sum();
        let body = 2
            + varint_size(offset)
            + field_size(record.key)
            + field_size(Some(record.value))
            + varint_size(record.headers.len() as i32)
            + headers;
        put_varint(&mut self.bytes, body as i32);
        self.bytes.extend_from_slice(&[0, 0]); // no attributes; the batch's own time
        put_varint(&mut self.bytes, offset);
        put_field(&mut self.bytes, record.key);
        put_field(&mut self.bytes, Some(record.value));
        put_varint(&mut self.bytes, record.headers.len() as i32);
        for header in record.headers {
            put_field(&mut self.bytes, Some(header.key.as_bytes()));
            put_field(&mut self.bytes, header.value);
        }
        self.indexes.push(record.index);
    }

    /// Fills in what is known only now. No record may follow.
    pub(crate) fn seal(&mut self, timestamp_ms: i64) {
        let records = self.indexes.len() as i32;
        let length = (self.bytes.len() - FRONT_BYTES) as i32;
        self.put(LENGTH, length.to_be_bytes());
        self.put(BATCH_LENGTH, (length - UNCOUNTED_BYTES as i32).to_be_bytes());
        self.put(LAST_OFFSET_DELTA, (records - 1).to_be_bytes());
        self.put(BASE_TIMESTAMP, timestamp_ms.to_be_bytes());
        self.put(MAX_TIMESTAMP, timestamp_ms.to_be_bytes());
        self.put(COUNT, records.to_be_bytes());
        let crc = crc32c::crc32c(&self.bytes[CRC_COVERS_FROM..]);
        self.put(CRC, crc.to_be_bytes());
    }

    /// As it goes out: partition, length, batch.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its records, in order.
    pub(crate) fn indexes(&self) -> &[u64] {
        &self.indexes
    }

    /// It has no record.
    pub(crate) fn is_empty(&self) -> bool {
        self.indexes.is_empty()
    }

    /// Empties it.
    pub(crate) fn clear(&mut self) {
        self.bytes.truncate(FRONT_BYTES + HEADER_BYTES);
        self.indexes.clear();
    }

    fn put<const N: usize>(&mut self, at: usize, field: [u8; N]) {
        self.bytes[at..at + N].copy_from_slice(&field);
    }
}

/// Zigzag, then seven bits a byte, the lowest first.
fn put_varint(into: &mut Vec<u8>, value: i32) {
    let mut rest = zigzag(value);
    while rest >= 0x80 {
        into.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    into.push(rest as u8);
}

fn varint_size(value: i32) -> usize {
    (zigzag(value) | 1).ilog2() as usize / 7 + 1
}

fn zigzag(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

fn field_size(field: Option<&[u8]>) -> usize {
    field.map_or(1, |bytes| varint_size(bytes.len() as i32) + bytes.len())
}

fn put_field(into: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        None => put_varint(into, -1),
        Some(bytes) => {
            put_varint(into, bytes.len() as i32);
            into.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use steadfast_producer::compression::{Compression, Compressor};
    use steadfast_producer::record_batch::{BatchBuilder, Header, Seal};

    use super::*;

    #[test]
    fn it_is_the_batch_that_our_own_producer_would_send_without_a_producer_id() {
        let headers = [Header {
            key: "origin",
            value: Some(b"here"),
        }];
        let value = [7; 200];
        let mut ours = Batch::new(3);
        for round in 0..2 {
            let mut theirs = BatchBuilder::new(Vec::new(), usize::MAX);
            for index in 0..100 {
                let record = GeneratedRecord {
                    index,
                    partition: Some(3),
                    key: (index % 2 == 0).then_some(&b"key-1"[..]),
                    value: &value,
                    headers: if index % 3 == 0 { &headers } else { &[] },
                };
                ours.append(&record);
                theirs
                    .append(42, record.key, Some(record.value), record.headers)
                    .expect("fits");
            }
            let none = Seal {
                producer_id: -1,
                producer_epoch: -1,
                base_sequence: -1,
                transactional: false,
            };
            let mut plain = Compressor::new(Compression::None, -1).expect("no codec");
            let theirs = theirs.seal(&none, &mut plain);
            ours.seal(42);
            assert_eq!(ours.bytes()[..4], 3_i32.to_be_bytes());
            assert_eq!(ours.bytes()[4..8], (theirs.bytes().len() as i32).to_be_bytes());
            assert_eq!(&ours.bytes()[8..], theirs.bytes(), "round {round}");
            assert_eq!(ours.indexes().len(), 100);
            ours.clear();
            assert!(ours.is_empty());
        }
    }
}
