//! What the core costs per record without a socket: append, seal, frame, parse the answer, complete.
//!
//! `cargo bench -p steadfast-producer --bench append`

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::IoSlice;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, DescribeConfigsResponse, InitProducerIdResponse, MetadataResponse,
    ProduceResponse, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Encodable, HeaderVersion, StrBytes};
use steadfast_producer::config::ProducerConfig;
use steadfast_producer::record::{Record, TopicHandle};
use steadfast_producer::sender::{Action, Frame, LinkId, Sender};

const PARTITIONS: i32 = 6;

/// A core whose requests are answered here, at once.
struct Bench {
    sender: Sender,
    topic: TopicHandle,
    now_ns: u64,
    /// Data answer, correlation id to be patched.
    acked: Vec<u8>,
    completed: u64,
}

impl Bench {
    /// `asked`: how many partitions each request will have; the core refuses answers about others.
    fn new(properties: &[(&str, &str)], asked: i32) -> Bench {
        let mut all = BTreeMap::from([("bootstrap.servers".to_owned(), "127.0.0.1:9092".to_owned())]);
        all.extend(
            properties
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let config = ProducerConfig::from_properties(&all).unwrap_or_else(|errors| panic!("{errors:?}"));
        let mut sender = Sender::new(&config, 1).unwrap_or_else(|fatal| panic!("{fatal}"));
        let topic = sender.topic("bench");
        let partitions = (0..asked).map(|p| {
            PartitionProduceResponse::default()
                .with_index(p)
                .with_base_offset(7)
        });
        let answer = TopicProduceResponse::default()
            .with_name(name())
            .with_partition_responses(partitions.collect());
        // Metadata below gives no topic id, so Produce goes out as v12.
        let acked = encode(0, 12, &ProduceResponse::default().with_responses(vec![answer]));
        let mut bench = Bench {
            sender,
            topic,
            now_ns: 1,
            acked,
            completed: 0,
        };
        while !bench.sender.is_ready() {
            bench.turn();
        }
        bench
    }

    fn append(&mut self, partition: i32, value: &[u8]) {
        let record = Record {
            topic: self.topic,
            partition: Some(partition),
            key: None,
            value: Some(value),
            headers: &[],
            timestamp_ms: 1_700_000_000_000,
        };
        self.sender
            .append(&record, 1, self.now_ns)
            .unwrap_or_else(|error| panic!("{error}"));
    }

    fn turn(&mut self) {
        self.now_ns += 1_000_000;
        self.sender.advance(self.now_ns, 1_700_000_000_000);
        while let Some(action) = self.sender.next_action() {
            match action {
                Action::Connect { link, .. } => self.sender.connected(link, self.now_ns),
                Action::Close { .. } => panic!("the core refused an answer"),
                Action::Send {
                    link,
                    frame: Frame::Produce(frame),
                } => {
                    let mut slices = [IoSlice::new(&[]); 16];
                    black_box(frame.slices(0, &mut slices));
                    self.acked[..4].copy_from_slice(&slices[0][8..12]);
                    self.sender.recycle(frame);
                    self.sender.received(link, &self.acked, self.now_ns);
                }
                Action::Send {
                    link,
                    frame: Frame::Plain(request),
                } => self.answer(link, &request),
            }
        }
        while let Some(done) = self.sender.next_completion() {
            self.completed += done.tokens.len() as u64;
        }
    }

    fn answer(&mut self, link: LinkId, request: &Bytes) {
        let api = i16::from_be_bytes([request[4], request[5]]);
        let version = i16::from_be_bytes([request[6], request[7]]);
        let correlation = i32::from_be_bytes([request[8], request[9], request[10], request[11]]);
        let api_version = |key: ApiKey, max| {
            ApiVersion::default()
                .with_api_key(key as i16)
                .with_max_version(max)
        };
        let answer = match ApiKey::try_from(api) {
            Ok(ApiKey::ApiVersions) => {
                let keys = vec![
                    api_version(ApiKey::Produce, 12),
                    api_version(ApiKey::Metadata, 12),
                    api_version(ApiKey::InitProducerId, 5),
                ];
                encode(
                    correlation,
                    version,
                    &ApiVersionsResponse::default().with_api_keys(keys),
                )
            }
            Ok(ApiKey::Metadata) => {
                let broker = MetadataResponseBroker::default()
                    .with_host(StrBytes::from_static_str("b"))
                    .with_port(1);
                let partitions =
                    (0..PARTITIONS).map(|p| MetadataResponsePartition::default().with_partition_index(p));
                let topic = MetadataResponseTopic::default()
                    .with_name(Some(name()))
                    .with_partitions(partitions.collect());
                let metadata = MetadataResponse::default()
                    .with_brokers(vec![broker])
                    .with_topics(vec![topic]);
                encode(correlation, version, &metadata)
            }
            Ok(ApiKey::InitProducerId) => {
                let identity = InitProducerIdResponse::default().with_producer_id(1.into());
                encode(correlation, version, &identity.with_producer_epoch(0))
            }
            _ => encode(correlation, version, &DescribeConfigsResponse::default()),
        };
        self.sender.received(link, &answer, self.now_ns);
    }
}

fn name() -> TopicName {
    TopicName(StrBytes::from_static_str("bench"))
}

fn encode<R: Encodable + HeaderVersion>(correlation: i32, version: i16, response: &R) -> Vec<u8> {
    let mut frame = BytesMut::new();
    let header = ResponseHeader::default().with_correlation_id(correlation);
    let encoded = header.encode(&mut frame, R::header_version(version));
    encoded
        .and_then(|()| response.encode(&mut frame, version))
        .unwrap_or_else(|error| panic!("{error}"));
    frame.to_vec()
}

fn append(criterion: &mut Criterion) {
    let value = [7; 100];
    let mut group = criterion.benchmark_group("append");
    // Records per request: the latency profile at 25,000/s sends about 6, the throughput profile thousands.
    for records in [1_u64, 6, 1200] {
        let mut bench = Bench::new(
            &[("batch.size", "262144"), ("linger.ms", "0")],
            PARTITIONS.min(records as i32),
        );
        group.throughput(Throughput::Elements(records));
        group.bench_function(format!("{records} records a request"), |bencher| {
            bencher.iter(|| {
                for i in 0..records {
                    bench.append((i % PARTITIONS as u64) as i32, black_box(&value));
                }
                bench.turn();
            });
        });
        assert_eq!(bench.sender.pending(), 0, "every record was completed");
        assert!(bench.completed > 0);
    }
    group.finish();
}

criterion_group!(benches, append);
criterion_main!(benches);
