//! The core with a socket that answers at once: every request is acknowledged as soon as it is written.
//!
//! ```text
//!   append ─▶ Sender ─▶ Send: slices as for writev ─┐
//!               ▲                                   │ correlation id into the answer made before
//!               └──────────── received ◀────────────┘
//! ```

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::IoSlice;

use bytes::{Bytes, BytesMut};
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

/// Of the topic.
pub(crate) const PARTITIONS: i32 = 6;

/// A core whose requests are answered here, at once.
pub(crate) struct Core {
    sender: Sender,
    topic: TopicHandle,
    now_ns: u64,
    /// Data answer, correlation id to be patched.
    acked: Vec<u8>,
    /// Records that were acknowledged.
    pub(crate) completed: u64,
}

impl Core {
    /// `asked`: how many partitions each request will have; the core refuses answers about others.
    pub(crate) fn new(properties: &[(&str, &str)], asked: i32) -> Core {
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
        let mut core = Core {
            sender,
            topic,
            now_ns: 1,
            acked,
            completed: 0,
        };
        while !core.sender.is_ready() {
            core.turn();
        }
        core
    }

    /// Takes one record.
    pub(crate) fn append(&mut self, partition: i32, value: &[u8]) {
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

    /// A millisecond passes: what was appended leaves and is acknowledged, as far as the core lets it.
    pub(crate) fn turn(&mut self) {
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

    /// Records without an outcome.
    pub(crate) fn pending(&self) -> u64 {
        self.sender.pending()
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
