//! What a record costs the producer's encoding side: append, seal with CRC, request glue, answer.
//!
//! `cargo bench -p steadfast-producer --bench encode`; target: append + seal at most 80 ns per 100-byte record.
//! The figure of a batch of n records is divided by n by criterion's throughput line (elements/s).

use std::hint::black_box;
use std::io::IoSlice;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use steadfast_producer::compression::{Compression, Compressor};
use steadfast_producer::partitioner::partition_for_key;
use steadfast_producer::produce_request::{Frame, Head, Part};
use steadfast_producer::produce_response::parse;
use steadfast_producer::record_batch::{BatchBuilder, Header, Seal};

const SEAL: Seal = Seal {
    producer_id: 4711,
    producer_epoch: 0,
    base_sequence: 17,
    transactional: false,
};
/// Wall-clock milliseconds of our days: a base timestamp that deltas of a run are small against.
const NOW_MS: i64 = 1_790_000_000_000;

/// 100 bytes a record, in batches of few (25,000/s in 200 us cycles) and of many records (throughput mode).
fn append_and_seal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append+seal");
    let value = [0x5a; 100];
    for records in [1_usize, 5, 100, 2000] {
        group.throughput(Throughput::Elements(records as u64));
        group.bench_function(format!("{records} x 100 B"), |bencher| {
            let mut buffer = Vec::with_capacity(300_000);
            let mut compressor = Compressor::none();
            bencher.iter(|| {
                let batch = filled(std::mem::take(&mut buffer), records, &value).seal(&SEAL, &mut compressor);
                black_box(batch.bytes());
                buffer = batch.into_buffer();
            });
        });
    }
    group.throughput(Throughput::Elements(100));
    group.bench_function("100 x 1000 B", |bencher| {
        let value = [0x5a; 1000];
        let mut buffer = Vec::with_capacity(300_000);
        bencher.iter(|| {
            let batch = filled(std::mem::take(&mut buffer), 100, &value).seal(&SEAL, &mut Compressor::none());
            black_box(batch.bytes());
            buffer = batch.into_buffer();
        });
    });
    group.finish();
}

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append");
    group.throughput(Throughput::Elements(100));
    group.bench_function("100 x 100 B", |bencher| {
        let mut buffer = Vec::with_capacity(20_000);
        bencher.iter(|| {
            buffer = filled(std::mem::take(&mut buffer), 100, &[0x5a; 100]).into_buffer();
            black_box(&buffer);
        });
    });
    group.bench_function("100 x 100 B, key of 16 B, 2 headers", |bencher| {
        let headers = [
            Header {
                key: "trace",
                value: Some(&[1; 16]),
            },
            Header {
                key: "kind",
                value: None,
            },
        ];
        let mut buffer = Vec::with_capacity(30_000);
        bencher.iter(|| {
            let mut builder = BatchBuilder::new(std::mem::take(&mut buffer), usize::MAX);
            for index in 0..100 {
                let key = black_box([index as u8; 16]);
                let room = builder.append(
                    NOW_MS + index,
                    Some(&key),
                    Some(black_box(&[0x5a; 100])),
                    &headers,
                );
                debug_assert!(room.is_ok());
            }
            buffer = builder.into_buffer();
            black_box(&buffer);
        });
    });
    group.bench_function("partition of 100 keys of 16 B", |bencher| {
        bencher.iter(|| {
            (0..100_u8)
                .map(|index| partition_for_key(&black_box([index; 16]), 6))
                .sum::<i32>()
        });
    });
    group.finish();
}

fn compressed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("seal compressed, 16 KiB of half-random text");
    let value: Vec<u8> = (0..100_u32)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 28) as u8 + b'a')
        .collect();
    for (name, codec) in Compression::NAMES {
        let Ok(mut compressor) = Compressor::new(codec, if codec == Compression::Zstd { 3 } else { -1 })
        else {
            continue;
        };
        group.throughput(Throughput::Bytes(16_384));
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || filled(Vec::with_capacity(20_000), 148, &value),
                |builder| builder.seal(&SEAL, &mut compressor),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// Six partitions a request, five records each: 25,000/s in cycles of about a millisecond.
fn request_and_answer(criterion: &mut Criterion) {
    let batches: Vec<_> = (0..6)
        .map(|_| filled(Vec::new(), 5, &[0x5a; 100]).seal(&SEAL, &mut Compressor::none()))
        .collect();
    let head = Head {
        version: 13,
        correlation_id: 1,
        client_id: "bench",
        transactional_id: None,
        acks: -1,
        timeout_ms: 30_000,
    };
    let mut frame = Frame::default();
    criterion.bench_function("frame and slices of 6 batches", |bencher| {
        bencher.iter(|| {
            let parts = batches.iter().zip(0..).map(|(batch, partition)| Part {
                topic: "orders",
                topic_id: [9; 16],
                partition,
                batch_bytes: batch.bytes().len(),
            });
            let encoded = frame.encode(black_box(&head), parts);
            debug_assert!(encoded.is_ok());
            let mut slices = [IoSlice::new(&[]); 16];
            black_box(frame.slices(0, |index| batches[index].bytes(), &mut slices))
        });
    });
    let answer = answer_v13(6);
    criterion.bench_function("answer for 6 partitions", |bencher| {
        bencher.iter(|| parse(13, black_box(&answer)).map(|answer| answer.partitions.len()));
    });
}

fn filled(buffer: Vec<u8>, records: usize, value: &[u8]) -> BatchBuilder {
    let mut builder = BatchBuilder::new(buffer, usize::MAX);
    for index in 0..records {
        let room = builder.append(NOW_MS + (index as i64 & 7), None, Some(black_box(value)), &[]);
        debug_assert!(room.is_ok());
    }
    builder
}

/// An answer as a broker sends it: one topic, no error, no tagged fields.
fn answer_v13(partitions: u8) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 1, 0, 2];
    bytes.extend_from_slice(&[9; 16]);
    bytes.push(partitions + 1);
    for partition in 0..partitions {
        bytes.extend_from_slice(&i32::from(partition).to_be_bytes());
        bytes.extend_from_slice(&0_i16.to_be_bytes());
        for field in [123_456_i64, -1, 0] {
            bytes.extend_from_slice(&field.to_be_bytes());
        }
        bytes.extend_from_slice(&[1, 0, 0]);
    }
    bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0]);
    assert_eq!(
        parse(13, &bytes).map(|answer| answer.partitions.len()),
        Ok(usize::from(partitions))
    );
    bytes
}

criterion_group!(benches, append_and_seal, append, compressed, request_and_answer);
criterion_main!(benches);
