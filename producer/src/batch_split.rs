//! Splits a sealed batch that a broker found too large (`MESSAGE_TOO_LARGE`, rule A12).
//!
//! The pieces hold the same records in the same order and together cover the original sequence range, each record
//! under the number it had: a broker that did take part of the range would still see every number once. Allowed
//! only for a batch that is known to be NOT_WRITTEN; an UNKNOWN one is resolved first (A8, A11).

use thiserror::Error;

use crate::compression::{Compression, CompressionError, Compressor, expand};
use crate::record_batch::{BatchBuilder, HEADER_BYTES, NoRoom, Seal, SealedBatch};
use crate::varint::{take_varint, take_varlong};

/// A batch could not be split; it is unchanged. Give up on the batch, not on the partition.
#[derive(Debug, Error)]
pub enum SplitError {
    /// One record cannot be split: the topic's `max.message.bytes` refuses it for good.
    #[error("the batch holds one record, which is larger than the topic takes")]
    OneRecord,
    /// The batch could not be expanded again.
    #[error(transparent)]
    Expand(#[from] CompressionError),
    /// The batch is not what this producer encoded: memory was overwritten.
    #[error("record {index} of the batch is not as it was encoded")]
    Damaged {
        /// Place in the batch, from 0.
        index: u32,
    },
}

/// Splits `batch` into two or more pieces of at most `limit` bytes before compression (a single larger record
/// excepted), and at most about half of the batch each, so that splitting again and again comes to an end.
/// `compressor` compresses the pieces.
pub fn split(
    batch: &SealedBatch,
    limit: usize,
    compressor: &mut Compressor,
) -> Result<Vec<SealedBatch>, SplitError> {
    if batch.records() < 2 {
        return Err(SplitError::OneRecord);
    }
    let payload_bytes = batch.uncompressed_bytes() - HEADER_BYTES;
    let limit = limit.min(HEADER_BYTES + payload_bytes / 2);
    let expanded;
    let mut payload = &batch.bytes()[HEADER_BYTES..];
    if batch.compression() != Compression::None {
        expanded = expand(batch.compression(), payload, payload_bytes)?;
        payload = &expanded;
    }

    let mut pieces = Vec::new();
    let mut stamp = *batch.stamp();
    let mut piece = BatchBuilder::new(Vec::new(), limit);
    for index in 0..batch.records() {
        let (timestamp_delta, tail) = take_record(&mut payload).ok_or(SplitError::Damaged { index })?;
        let timestamp_ms = batch.base_timestamp_ms().wrapping_add(timestamp_delta);
        if piece.append_encoded(timestamp_ms, tail) == Err(NoRoom::Full) {
            finish(&mut piece, limit, &mut stamp, compressor, &mut pieces);
            piece
                .append_encoded(timestamp_ms, tail)
                .map_err(|_| SplitError::Damaged { index })?;
        }
    }
    if !payload.is_empty() {
        return Err(SplitError::Damaged {
            index: batch.records(),
        });
    }
    finish(&mut piece, limit, &mut stamp, compressor, &mut pieces);
    Ok(pieces)
}

/// Seals `piece` and puts a fresh one in its place, numbered on.
fn finish(
    piece: &mut BatchBuilder,
    limit: usize,
    stamp: &mut Seal,
    compressor: &mut Compressor,
    pieces: &mut Vec<SealedBatch>,
) {
    let full = std::mem::replace(piece, BatchBuilder::new(Vec::new(), limit));
    let sealed = full.seal(stamp, compressor);
    stamp.base_sequence = sealed.next_sequence();
    pieces.push(sealed);
}

/// Takes one encoded record: its timestamp delta, and the bytes from the key length on.
fn take_record<'a>(payload: &mut &'a [u8]) -> Option<(i64, &'a [u8])> {
    let length = usize::try_from(take_varint(payload)?).ok()?;
    let (mut body, rest) = payload.split_at_checked(length)?;
    *payload = rest;
    body = body.split_first()?.1; // attributes, unused by Kafka
    let timestamp_delta = take_varlong(&mut body)?;
    take_varint(&mut body)?; // offset delta: the piece counts its own
    Some((timestamp_delta, body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record_batch::Header;
    use crate::record_batch::tests::{Sample, build, decode, sample};
    use proptest::prelude::*;

    fn check(samples: &[Sample], limit: usize, codec: Compression, base_sequence: i32) {
        let stamp = Seal {
            producer_id: 9,
            producer_epoch: 2,
            base_sequence,
            transactional: false,
        };
        let mut compressor = Compressor::new(codec, 1).unwrap();
        let whole = build(samples, usize::MAX).seal(&stamp, &mut compressor);
        let pieces = split(&whole, limit, &mut compressor).unwrap();

        assert!(pieces.len() >= 2);
        let mut expected = base_sequence;
        for piece in &pieces {
            assert_eq!(piece.base_sequence(), expected, "the range goes on without a gap");
            expected = piece.next_sequence();
            assert!(piece.records() == 1 || piece.uncompressed_bytes() <= limit);
            assert_eq!(piece.stamp().producer_id, 9);
        }
        assert_eq!(expected, whole.next_sequence(), "and covers the original one");
        let records: Vec<_> = pieces.iter().flat_map(|piece| decode(piece.bytes())).collect();
        let original = decode(whole.bytes());
        assert_eq!(records.len(), original.len());
        for (piece, original) in records.iter().zip(&original) {
            assert_eq!(
                (&piece.key, &piece.value, &piece.headers, piece.timestamp),
                (
                    &original.key,
                    &original.value,
                    &original.headers,
                    original.timestamp
                )
            );
            // The decoder numbers past 2^31 - 1 without wrapping to 0.
            assert_eq!(piece.sequence & i32::MAX, original.sequence & i32::MAX);
        }
    }

    #[test]
    fn one_record_is_not_split() {
        let stamp = Seal {
            producer_id: 9,
            producer_epoch: 0,
            base_sequence: 0,
            transactional: false,
        };
        let mut builder = BatchBuilder::new(Vec::new(), 100);
        builder
            .append(
                1,
                None,
                Some(b"v"),
                &[Header {
                    key: "a",
                    value: None,
                }],
            )
            .unwrap();
        let batch = builder.seal(&stamp, &mut Compressor::none());
        assert!(matches!(
            split(&batch, 10, &mut Compressor::none()),
            Err(SplitError::OneRecord)
        ));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn pieces_hold_the_same_records_under_the_same_numbers(
            samples in prop::collection::vec(sample(), 2..40),
            limit in 0..3000_usize,
            codec in prop::sample::select(Compression::NAMES.map(|(_, codec)| codec).to_vec()),
            base_sequence in prop_oneof![0..100, i32::MAX - 20..=i32::MAX],
        ) {
            check(&samples, limit, codec, base_sequence);
        }
    }
}
