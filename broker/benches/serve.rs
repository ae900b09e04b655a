//! What a request costs the model by itself: no socket, bytes in memory.
//!
//! Produce with one batch of 10 records of 100 bytes (what a low-latency producer sends at 25,000 records/s), and a
//! Fetch that reads a hundred such batches.

use std::hint::black_box;

use bytes::{BufMut, Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{BrokerId, FetchRequest, ProduceRequest, RequestHeader, TopicName};
use kafka_protocol::protocol::{Encodable, Request, StrBytes};
use steadfast_broker::{Action, ConnectionId, Memory, Model, Now, Order, Settings};

const RECORDS: i32 = 10;
const VALUE_BYTES: usize = 100;
const FETCHED_BATCHES: usize = 100;

fn batch() -> Bytes {
    let mut bytes = BytesMut::zeroed(61);
    for index in 0..RECORDS {
        // attributes, timestamp delta, offset delta, no key, value, no headers; lengths are zigzag varints.
        bytes.put_slice(&[0xd6, 0x01, 0, 0, index as u8 * 2, 1, 0xc8, 0x01]);
        bytes.put_bytes(b'x', VALUE_BYTES);
        bytes.put_u8(0);
    }
    let length = bytes.len() as i32 - 12;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[16] = 2;
    bytes[23..27].copy_from_slice(&(RECORDS - 1).to_be_bytes());
    bytes[43..57].fill(0xff);
    bytes[57..61].copy_from_slice(&RECORDS.to_be_bytes());
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes.freeze()
}

fn frame<R: Request>(version: i16, request: &R) -> Bytes {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_client_id(Some(StrBytes::from_static_str("bench")));
    let mut bytes = BytesMut::new();
    header
        .encode(&mut bytes, R::header_version(version))
        .expect("a header");
    request.encode(&mut bytes, version).expect("a request");
    bytes.freeze()
}

fn topic() -> TopicName {
    TopicName(StrBytes::from_static_str("bench"))
}

fn model() -> Model<Memory> {
    let now = Now {
        mono_ns: 0,
        wall_ms: 1_000,
    };
    let mut model = Model::new(Settings::default(), Vec::new(), Memory::default(), 1, now);
    let create = Order::CreateTopic {
        name: "bench".into(),
        partitions: 1,
        replication_factor: 1,
        configs: Vec::new(),
    };
    model.order(create, now).expect("a topic");
    model.opened(ConnectionId(1), 1, 0, now);
    while model.next_action().is_some() {}
    model
}

fn serve(model: &mut Model<Memory>, frame: &Bytes) -> Bytes {
    let now = Now {
        mono_ns: 1,
        wall_ms: 1_000,
    };
    model.received(ConnectionId(1), frame.clone(), now);
    match model.next_action() {
        Some(Action::Answer { frame, .. }) => frame,
        other => panic!("{other:?}"),
    }
}

fn requests(criterion: &mut Criterion) {
    let data = PartitionProduceData::default().with_records(Some(batch()));
    let produce = ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![
            TopicProduceData::default()
                .with_name(topic())
                .with_partition_data(vec![data]),
        ]);
    let produce = frame(9, &produce);
    let mut group = criterion.benchmark_group("serve");
    group.throughput(Throughput::Elements(RECORDS as u64));
    let mut writing = model();
    group.bench_function("produce", |bencher| {
        bencher.iter(|| black_box(serve(&mut writing, &produce)));
    });

    let mut reading = model();
    for _ in 0..FETCHED_BATCHES {
        serve(&mut reading, &produce);
    }
    let partition = FetchPartition::default()
        .with_partition_max_bytes(1 << 20)
        .with_current_leader_epoch(-1);
    let fetch = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_bytes(1 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![
            FetchTopic::default()
                .with_topic(topic())
                .with_partitions(vec![partition]),
        ]);
    let fetch = frame(12, &fetch);
    assert!(serve(&mut reading, &fetch).len() > FETCHED_BATCHES * VALUE_BYTES);
    group.throughput(Throughput::Elements((FETCHED_BATCHES as i32 * RECORDS) as u64));
    group.bench_function("fetch", |bencher| {
        bencher.iter(|| black_box(serve(&mut reading, &fetch)));
    });
    group.finish();
}

criterion_group!(benches, requests);
criterion_main!(benches);
