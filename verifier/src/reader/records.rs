//! The committed records of fetched bytes, whole: for a subject that copies them. Pure.
//!
//! A broker gives a read_committed reader everything below the last stable offset, and with it a list of the aborted
//! transactions among it: leaving those out is the reader's own work (KIP-98).

use std::collections::BTreeSet;

use super::batch::{self, Batch, Next};
use super::decompress;
use crate::varint::Cursor;

/// One record as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedRecord {
    /// Where it stands.
    pub offset: i64,
    /// Key; none for keyless.
    pub key: Option<Vec<u8>>,
    /// Value; none for a tombstone.
    pub value: Option<Vec<u8>>,
    /// Names and values, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// The committed records of an answer from offset `from` on, and the offset to go on from. `aborted`: producer id and
/// first offset of each aborted transaction, as the answer lists them. An error is a sentence: these bytes cannot be
/// copied.
pub fn committed_records(
    mut bytes: &[u8],
    from: i64,
    aborted: &[(i64, i64)],
) -> Result<(Vec<FetchedRecord>, i64), String> {
    let mut aborted = aborted.to_vec();
    aborted.sort_unstable_by_key(|&(_, first_offset)| first_offset);
    let mut aborted = aborted.into_iter().peekable();
    let mut aborting = BTreeSet::new();
    let mut records = Vec::new();
    let mut position = from;
    let mut decompressed = Vec::new();
    loop {
        let (batch, rest) = match batch::next(bytes) {
            Next::Batch(batch, rest) => (batch, rest),
            Next::Cut => return Ok((records, position)),
            Next::Lost(what) => return Err(format!("at offset {position}: no record batch: {what}")),
            Next::Magic(magic) => return Err(format!("at offset {position}: record format {magic}")),
        };
        bytes = rest;
        if !batch.intact {
            return Err(format!("the batch at offset {} is damaged", batch.base_offset));
        }
        while let Some((producer_id, _)) = aborted.next_if(|&(_, first)| first < batch.next_offset) {
            aborting.insert(producer_id);
        }
        // An answer may begin with batches before the offset asked for.
        if batch.next_offset > position {
            if batch.control() {
                aborting.remove(&batch.producer_id);
            } else if !(batch.transactional() && aborting.contains(&batch.producer_id)) {
                whole(&batch, position, &mut decompressed, &mut records)?;
            }
            position = batch.next_offset;
        }
    }
}

/// The records of one batch from `position` on.
fn whole(
    batch: &Batch<'_>,
    position: i64,
    decompressed: &mut Vec<u8>,
    records: &mut Vec<FetchedRecord>,
) -> Result<(), String> {
    let wrong = |what: &str| format!("the batch at offset {} {what}", batch.base_offset);
    let bytes = if batch.codec() == 0 {
        batch.records
    } else {
        decompress::decompress(batch.codec(), batch.records, decompressed)
            .map_err(|_| wrong("cannot be decompressed"))?;
        decompressed
    };
    let mut cursor = Cursor::new(bytes);
    for _ in 0..batch.count {
        let record = batch::record(&mut cursor, 0).ok_or_else(|| wrong("is malformed"))?;
        let offset = batch.base_offset + i64::from(record.offset_delta);
        if offset < position {
            continue;
        }
        let headers = batch::headers(record.headers).ok_or_else(|| wrong("has malformed headers"))?;
        records.push(FetchedRecord {
            offset,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::varint::{put, put_signed};

    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;

    fn record(delta: i64, value: &[u8]) -> Vec<u8> {
        let mut body = vec![0];
        put_signed(&mut body, 0);
        put_signed(&mut body, delta);
        put_signed(&mut body, -1);
        put_signed(&mut body, value.len() as i64);
        body.extend_from_slice(value);
        put_signed(&mut body, 1);
        put_signed(&mut body, 1);
        body.push(b'h');
        put_signed(&mut body, -1);
        let mut record = Vec::new();
        put(&mut record, (body.len() as u64) << 1);
        record.extend_from_slice(&body);
        record
    }

    fn batch(base_offset: i64, attributes: i16, producer_id: i64, values: &[&[u8]]) -> Vec<u8> {
        let mut tail = Vec::new();
        tail.extend_from_slice(&attributes.to_be_bytes());
        tail.extend_from_slice(&(values.len() as i32 - 1).to_be_bytes());
        tail.extend_from_slice(&[0; 16]);
        tail.extend_from_slice(&producer_id.to_be_bytes());
        tail.extend_from_slice(&[0; 6]);
        tail.extend_from_slice(&(values.len() as i32).to_be_bytes());
        for (delta, value) in values.iter().enumerate() {
            tail.extend_from_slice(&record(delta as i64, value));
        }
        let mut bytes = base_offset.to_be_bytes().to_vec();
        bytes.extend_from_slice(&(tail.len() as i32 + 9).to_be_bytes());
        bytes.extend_from_slice(&[0, 0, 0, 0, 2]);
        bytes.extend_from_slice(&crc32c::crc32c(&tail).to_be_bytes());
        bytes.extend_from_slice(&tail);
        bytes
    }

    fn values(records: &[FetchedRecord]) -> Vec<(i64, &[u8])> {
        records
            .iter()
            .map(|record| (record.offset, record.value.as_deref().unwrap_or_default()))
            .collect()
    }

    #[test]
    fn aborted_records_and_markers_are_left_out() {
        let bytes = [
            batch(0, TRANSACTIONAL, 7, &[b"aborted"]),
            batch(1, TRANSACTIONAL, 8, &[b"a", b"b"]),
            batch(3, TRANSACTIONAL | CONTROL, 7, &[b"abort"]),
            batch(4, TRANSACTIONAL | CONTROL, 8, &[b"commit"]),
            batch(5, TRANSACTIONAL, 7, &[b"c"]),
            batch(6, TRANSACTIONAL | CONTROL, 7, &[b"commit"]),
        ]
        .concat();
        let (records, next) = committed_records(&bytes, 0, &[(7, 0)]).unwrap();
        assert_eq!(
            values(&records),
            [(1, &b"a"[..]), (2, &b"b"[..]), (5, &b"c"[..])],
            "the next transaction of the same producer counts again"
        );
        assert_eq!(next, 7);
        assert_eq!(records[0].headers, [("h".to_owned(), None)]);
    }

    #[test]
    fn an_answer_may_begin_earlier_and_end_in_a_cut_batch() {
        let mut bytes = [batch(0, 0, -1, &[b"a", b"b"]), batch(2, 0, -1, &[b"c"])].concat();
        let (records, next) = committed_records(&bytes, 1, &[]).unwrap();
        assert_eq!(values(&records), [(1, &b"b"[..]), (2, &b"c"[..])]);
        assert_eq!(next, 3);
        bytes.pop();
        let (records, next) = committed_records(&bytes, 1, &[]).unwrap();
        assert_eq!((values(&records), next), (vec![(1, &b"b"[..])], 2));
    }

    #[test]
    fn damage_is_told_and_nothing_of_it_is_copied() {
        let mut bytes = batch(0, 0, -1, &[b"a"]);
        let last = bytes.len() - 4;
        bytes[last] ^= 1;
        assert!(committed_records(&bytes, 0, &[]).unwrap_err().contains("damaged"));
    }
}
