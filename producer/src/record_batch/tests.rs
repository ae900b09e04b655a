//! Record batches against kafka-protocol: byte for byte on the way out, record for record on the way back.

use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression as TheirCompression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions,
    TimestampType,
};
use proptest::prelude::*;

use super::*;
use crate::compression::expand;
use crate::varint::{take_varint, take_varlong};

/// A record to be appended. Header keys are unique here, because the reference encoder cannot repeat them.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    timestamp_ms: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: IndexMap<String, Option<Vec<u8>>>,
}

pub(crate) fn sample() -> impl Strategy<Value = Sample> {
    let bytes = |longest| prop::option::of(prop::collection::vec(any::<u8>(), 0..longest));
    let headers = prop::collection::vec((".{0,12}", bytes(80)), 0..4);
    (0..1_i64 << 45, bytes(200), bytes(300), headers).prop_map(|(timestamp_ms, key, value, headers)| Sample {
        timestamp_ms,
        key,
        value,
        headers: headers.into_iter().collect(),
    })
}

pub(crate) fn build(samples: &[Sample], limit: usize) -> BatchBuilder {
    let mut builder = BatchBuilder::new(vec![0xaa; 100], limit);
    for sample in samples {
        let headers: Vec<_> = sample
            .headers
            .iter()
            .map(|(key, value)| Header {
                key,
                value: value.as_deref(),
            })
            .collect();
        let foretold = builder.size_with(
            sample.timestamp_ms,
            sample.key.as_deref(),
            sample.value.as_deref(),
            &headers,
        );
        builder
            .append(
                sample.timestamp_ms,
                sample.key.as_deref(),
                sample.value.as_deref(),
                &headers,
            )
            .unwrap();
        assert_eq!(builder.size(), foretold, "size_with must be exact");
    }
    builder
}

/// Decodes with kafka-protocol; it checks the CRC.
pub(crate) fn decode(batch: &[u8]) -> Vec<Record> {
    let expand_theirs = |payload: &mut Bytes, compression: TheirCompression| {
        // The decoder needs the expanded bytes; their length is not on the wire, so try what the test could make.
        let codec = Compression::NAMES[compression as usize].1;
        Ok(Bytes::from(expand_any(codec, payload)))
    };
    let mut bytes = Bytes::copy_from_slice(batch);
    let set = RecordBatchDecoder::decode_with_custom_compression(&mut bytes, Some(expand_theirs)).unwrap();
    assert!(bytes.is_empty(), "one batch and nothing after it");
    set.records
}

/// Expands by the codec's own reader, not by ours, to whatever length it has.
fn expand_any(codec: Compression, payload: &[u8]) -> Vec<u8> {
    use std::io::Read;
    let mut out = Vec::new();
    match codec {
        Compression::None => out.extend_from_slice(payload),
        Compression::Gzip => {
            flate2::read::MultiGzDecoder::new(payload)
                .read_to_end(&mut out)
                .unwrap();
        }
        Compression::Snappy => {
            let mut rest = &payload[16..];
            while !rest.is_empty() {
                let (length, tail) = rest.split_first_chunk::<4>().unwrap();
                let (block, tail) = tail.split_at(u32::from_be_bytes(*length) as usize);
                out.extend(snap::raw::Decoder::new().decompress_vec(block).unwrap());
                rest = tail;
            }
        }
        Compression::Lz4 => {
            lz4_flex::frame::FrameDecoder::new(payload)
                .read_to_end(&mut out)
                .unwrap();
        }
        Compression::Zstd => out = zstd::stream::decode_all(payload).unwrap(),
    }
    out
}

fn reference(samples: &[Sample], seal: &Seal) -> Vec<Record> {
    let mut sequence = seal.base_sequence;
    let mut records = Vec::new();
    for (index, sample) in samples.iter().enumerate() {
        let headers = sample
            .headers
            .iter()
            .map(|(key, value)| (StrBytes::from_string(key.clone()), value.clone().map(Bytes::from)));
        records.push(Record {
            transactional: seal.transactional,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id: seal.producer_id,
            producer_epoch: seal.producer_epoch,
            timestamp_type: TimestampType::Creation,
            offset: index as i64,
            sequence,
            timestamp: sample.timestamp_ms,
            key: sample.key.clone().map(Bytes::from),
            value: sample.value.clone().map(Bytes::from),
            headers: headers.collect(),
        });
        // The reference takes any other rule for the start of a new batch, even at the wrap.
        sequence = sequence.wrapping_add(1);
    }
    records
}

fn seal() -> impl Strategy<Value = Seal> {
    let sequence = prop_oneof![0..1000, i32::MAX - 30..=i32::MAX, Just(-1)];
    (any::<i64>(), any::<i16>(), sequence, any::<bool>()).prop_map(
        |(producer_id, producer_epoch, base_sequence, transactional)| Seal {
            producer_id,
            producer_epoch,
            base_sequence,
            transactional,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn bytes_are_those_of_the_reference_encoder(
        mut samples in prop::collection::vec(sample(), 1..40),
        seal in seal(),
    ) {
        // The reference counts deltas from the smallest timestamp, Java and we from the first: make them one.
        let least = samples.iter().map(|sample| sample.timestamp_ms).min().unwrap();
        samples[0].timestamp_ms = least;
        let mut theirs = BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression: TheirCompression::None };
        RecordBatchEncoder::encode(&mut theirs, &reference(&samples, &seal), &options).unwrap();
        let ours = build(&samples, usize::MAX).seal(&seal, &mut Compressor::none());
        prop_assert_eq!(ours.bytes(), &theirs[..]);
        prop_assert_eq!(ours.uncompressed_bytes(), theirs.len());
    }

    #[test]
    fn every_codec_is_decoded_to_the_records_appended(
        samples in prop::collection::vec(sample(), 1..40),
        seal in seal(),
        codec in prop::sample::select(Compression::NAMES.map(|(_, codec)| codec).to_vec()),
    ) {
        let mut compressor = Compressor::new(codec, 3).unwrap();
        let batch = build(&samples, usize::MAX).seal(&seal, &mut compressor);
        let mut expected = reference(&samples, &seal);
        let decoded = decode(batch.bytes());
        for (expected, decoded) in expected.iter_mut().zip(&decoded) {
            expected.sequence = decoded.sequence; // past the wrap the decoder numbers on without it
        }
        prop_assert_eq!(decoded, expected);
        prop_assert!(batch.bytes().len() <= batch.uncompressed_bytes());
    }

    #[test]
    fn renumbering_is_sealing_with_the_new_numbers(
        samples in prop::collection::vec(sample(), 1..10),
        first in seal(),
        second in seal(),
    ) {
        let mut renumbered = build(&samples, usize::MAX).seal(&first, &mut Compressor::none());
        renumbered.renumber(&second);
        let fresh = build(&samples, usize::MAX).seal(&second, &mut Compressor::none());
        prop_assert_eq!(renumbered.bytes(), fresh.bytes());
    }

    #[test]
    fn a_full_batch_refuses_and_stays_as_it_was(
        samples in prop::collection::vec(sample(), 2..40),
        limit in 61..4000_usize,
    ) {
        let mut builder = BatchBuilder::new(Vec::new(), limit);
        for sample in &samples {
            let (before, records) = (builder.size(), builder.records());
            let size = builder.size_with(sample.timestamp_ms, sample.key.as_deref(), sample.value.as_deref(), &[]);
            let result = builder.append(sample.timestamp_ms, sample.key.as_deref(), sample.value.as_deref(), &[]);
            if records == 0 || size <= limit {
                prop_assert_eq!(result, Ok(()));
            } else {
                prop_assert_eq!(result, Err(NoRoom::Full));
                prop_assert_eq!((builder.size(), builder.records()), (before, records));
            }
        }
    }
}

#[test]
fn header_keys_may_repeat_and_keep_their_order() {
    let headers = [
        Header {
            key: "trace",
            value: Some(b"1"),
        },
        Header { key: "", value: None },
        Header {
            key: "trace",
            value: Some(b"2"),
        },
    ];
    let mut builder = BatchBuilder::new(Vec::new(), usize::MAX);
    builder.append(5, None, None, &headers).unwrap();
    let seal = Seal {
        producer_id: 1,
        producer_epoch: 0,
        base_sequence: 0,
        transactional: false,
    };
    let batch = builder.seal(&seal, &mut Compressor::none());
    let mut rest = &batch.bytes()[HEADER_BYTES..];
    assert_eq!(take_varint(&mut rest), Some(rest.len() as i32), "record length");
    rest = &rest[1..];
    assert_eq!(take_varlong(&mut rest), Some(0));
    // Offset delta 0, null key, null value, three headers.
    assert_eq!(rest, b"\x00\x01\x01\x06\x0atrace\x021\x00\x01\x0atrace\x022");
}

#[test]
fn sequences_wrap_to_zero_after_the_largest() {
    // M15: base 2147483640 and 20 records; the next sequence is 12.
    assert_eq!(next_sequence(2_147_483_640, 20), 12);
    assert_eq!(next_sequence(i32::MAX, 1), 0);
    assert_eq!(next_sequence(0, 0), 0);
    assert_eq!(
        next_sequence(-1, 5),
        -1,
        "without idempotence there is no sequence"
    );
}

#[test]
fn timestamp_deltas_wrap_instead_of_panicking() {
    let mut builder = BatchBuilder::new(Vec::new(), usize::MAX);
    for timestamp_ms in [i64::MIN, i64::MAX, 0, -1] {
        builder.append(timestamp_ms, None, Some(b"v"), &[]).unwrap();
    }
    assert_eq!(builder.records(), 4);
}

#[test]
fn what_does_not_shrink_goes_uncompressed() {
    let mut builder = BatchBuilder::new(Vec::new(), usize::MAX);
    builder.append(0, None, Some(b"short"), &[]).unwrap();
    let seal = Seal {
        producer_id: 1,
        producer_epoch: 0,
        base_sequence: 0,
        transactional: false,
    };
    let batch = builder.seal(&seal, &mut Compressor::new(Compression::Gzip, 9).unwrap());
    assert_eq!(batch.compression(), Compression::None);
    assert_eq!(decode(batch.bytes()).len(), 1);
}

#[test]
fn buffers_go_round_between_batches_and_the_compressor() {
    let seal = Seal {
        producer_id: 1,
        producer_epoch: 0,
        base_sequence: 0,
        transactional: false,
    };
    let mut compressor = Compressor::new(Compression::Lz4, -1).unwrap();
    let mut buffer = Vec::with_capacity(20_000);
    for round in 0..3 {
        let mut builder = BatchBuilder::new(buffer, usize::MAX);
        for _ in 0..100 {
            builder.append(round, None, Some(&[7; 100]), &[]).unwrap();
        }
        let batch = builder.seal(&seal, &mut compressor);
        assert_eq!(batch.compression(), Compression::Lz4);
        let payload = batch.uncompressed_bytes() - HEADER_BYTES;
        assert_eq!(
            expand(Compression::Lz4, &batch.bytes()[HEADER_BYTES..], payload)
                .unwrap()
                .len(),
            payload
        );
        buffer = batch.into_buffer();
    }
}

/// Room for the word that is written whole must not make a buffer of the pool grow: `buffer.memory` counts its capacity.
#[test]
fn short_records_up_to_the_limit_leave_the_buffer_as_large_as_it_was() {
    for size in 0..60 {
        let mut builder = BatchBuilder::new(Vec::with_capacity(300), 300);
        while builder.append(0, None, Some(&vec![7; size]), &[]).is_ok() {}
        assert_eq!(builder.into_buffer().capacity(), 300, "{size}");
    }
}

/// Lengths about which a number takes another byte, and about the end of the short way.
fn edge() -> impl Strategy<Value = usize> {
    prop_oneof![0..3_usize, 62..67_usize, 8_150..8_200_usize, 16_380..16_390_usize]
}

proptest! {
    #[test]
    fn short_records_have_the_same_bytes_as_any(
        records in prop::collection::vec((0..9_000_i64, prop::option::of(edge()), edge()), 1..200),
        limit in prop_oneof![Just(usize::MAX), 100..40_000_usize],
    ) {
        let bytes = [0x5a; 20_000];
        let mut builders = [(); 2].map(|()| BatchBuilder::new(Vec::new(), limit));
        for (time, key, value) in records {
            let (key, value) = (key.map(|size| &bytes[..size]), Some(&bytes[..value]));
            let [one, other] = &mut builders;
            let taken = one.append(time - 500, key, value, &[]);
            prop_assert_eq!(taken, other.append_any(time - 500, key, value, &[]));
            prop_assert_eq!(&one.buffer, &other.buffer);
            prop_assert_eq!(one.max_timestamp_ms(), other.max_timestamp_ms());
        }
    }
}
