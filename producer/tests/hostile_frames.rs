//! Frames that were valid once: read or refused, never a panic, and never more memory than the frame and a little.
//!
//! A test binary of its own, because it counts the allocations of the thread that reads.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{
    LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, BrokerId, InitProducerIdRequest, InitProducerIdResponse,
    MetadataRequest, MetadataResponse, ProduceResponse, ResponseHeader, TopicName,
    api_versions_response::ApiVersion,
};
use kafka_protocol::protocol::{Encodable, HeaderVersion, Request, StrBytes};
use proptest::prelude::*;
use proptest::sample::Index;
use steadfast_producer::produce_response::{MAX_GROWTH, parse};

/// What reading may take beyond the frame itself. The frames here are of a few KiB.
const MAX_EXTRA_BYTES: u64 = 64 * 1024;

/// The most that was allocated at once while `read` ran.
fn allocated(read: impl FnOnce()) -> u64 {
    allocation_counter::measure(read).bytes_max
}

#[derive(Debug, Clone)]
enum Damage {
    Set(Index, u8),
    /// The largest count or length, as old and as compact encoding.
    Huge(Index, bool),
    Remove(Index, usize),
    Insert(Index, Vec<u8>),
    /// A piece of the frame once more.
    Repeat(Index, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    // Mostly small bytes: they make counts and lengths that nearly fit.
    let byte = prop_oneof![3 => 0..16_u8, 1 => any::<u8>()];
    let bytes = prop::collection::vec(byte.clone(), 1..20);
    prop_oneof![
        4 => (any::<Index>(), byte).prop_map(|(at, byte)| Damage::Set(at, byte)),
        2 => (any::<Index>(), any::<bool>()).prop_map(|(at, compact)| Damage::Huge(at, compact)),
        1 => (any::<Index>(), 1..40_usize).prop_map(|(at, length)| Damage::Remove(at, length)),
        1 => (any::<Index>(), bytes).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        1 => (any::<Index>(), 1..200_usize).prop_map(|(at, length)| Damage::Repeat(at, length)),
    ]
}

fn damaged(mut frame: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    let splice = |frame: &mut Vec<u8>, at: usize, removed: usize, bytes: &[u8]| {
        let end = (at + removed).min(frame.len());
        frame.splice(at..end, bytes.iter().copied());
    };
    for damage in damages {
        if frame.is_empty() {
            break;
        }
        match damage {
            Damage::Set(at, byte) => {
                let at = at.index(frame.len());
                frame[at] = *byte;
            }
            Damage::Huge(at, compact) => {
                let huge: &[u8] = if *compact {
                    &[0xff, 0xff, 0xff, 0xff, 0x0f]
                } else {
                    &[0x7f, 0xff, 0xff, 0xff]
                };
                let removed = if *compact { 1 } else { 4 };
                let at = at.index(frame.len());
                splice(&mut frame, at, removed, huge);
            }
            Damage::Remove(at, length) => {
                let at = at.index(frame.len());
                splice(&mut frame, at, *length, &[]);
            }
            Damage::Insert(at, bytes) => {
                let at = at.index(frame.len());
                splice(&mut frame, at, 0, bytes);
            }
            Damage::Repeat(at, length) => {
                let at = at.index(frame.len());
                let piece = frame[at..(at + length).min(frame.len())].to_vec();
                splice(&mut frame, at, 0, &piece);
            }
        }
    }
    frame
}

fn frame<R: Encodable + HeaderVersion>(response: &R, version: i16) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    let header = ResponseHeader::default().with_correlation_id(77);
    header
        .encode(&mut bytes, R::header_version(version))
        .expect("a response that the version can carry");
    response
        .encode(&mut bytes, version)
        .expect("a response that the version can carry");
    bytes.to_vec()
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// An answer of `topics` topics of `partitions` partitions each.
fn produce(topics: usize, partitions: usize, version: i16) -> Vec<u8> {
    let mut partition = PartitionProduceResponse::default().with_error_code(6);
    if version >= 8 {
        partition.error_message = Some(text("not the leader"));
    }
    if version >= 10 {
        let leader = LeaderIdAndEpoch::default().with_leader_id(BrokerId(1));
        partition.current_leader = leader.with_leader_epoch(3);
    }
    let mut topic = TopicProduceResponse::default().with_partition_responses(vec![partition; partitions]);
    if version < 13 {
        topic.name = TopicName(text("orders"));
    }
    let mut response = ProduceResponse::default().with_responses(vec![topic; topics]);
    if version >= 10 {
        response.node_endpoints = vec![
            NodeEndpoint::default()
                .with_host(text("broker-1"))
                .with_port(9092),
        ];
    }
    frame(&response, version)
}

fn metadata(topics: usize, partitions: usize, version: i16) -> Vec<u8> {
    let nodes = vec![BrokerId(0), BrokerId(1), BrokerId(2)];
    let partition = MetadataResponsePartition::default()
        .with_replica_nodes(nodes.clone())
        .with_isr_nodes(nodes);
    let topic = MetadataResponseTopic::default()
        .with_name(Some(TopicName(text("orders"))))
        .with_partitions(vec![partition; partitions]);
    let broker = MetadataResponseBroker::default()
        .with_host(text("broker-1"))
        .with_port(9092);
    let response = MetadataResponse::default()
        .with_brokers(vec![broker; 3])
        .with_topics(vec![topic; topics]);
    frame(&response, version)
}

fn guarded<R: Request>(version: i16, frame: &[u8]) {
    let bytes = Bytes::copy_from_slice(frame);
    let used = allocated(|| drop(steadfast_wire::guard::decode::<R>(version, bytes)));
    assert!(
        used <= frame.len() as u64 + MAX_EXTRA_BYTES,
        "{used} bytes for {} of a frame",
        frame.len()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn a_damaged_produce_answer_costs_no_more_than_itself(
        (topics, partitions) in (0..4_usize, 0..6_usize),
        version in 3..14_i16,
        damages in prop::collection::vec(damage(), 1..8),
    ) {
        let frame = damaged(produce(topics, partitions, version), &damages);
        let used = allocated(|| drop(parse(version, &frame)));
        prop_assert!(used <= frame.len() as u64 + MAX_EXTRA_BYTES, "{} bytes for {}", used, frame.len());
        prop_assert!(used <= (MAX_GROWTH * frame.len()) as u64, "{} bytes for {}", used, frame.len());
    }

    #[test]
    fn a_damaged_control_answer_costs_no_more_than_itself(
        (topics, partitions) in (0..4_usize, 0..6_usize),
        (of_metadata, of_identity, of_versions) in (4..13_i16, 0..6_i16, 0..5_i16),
        damages in prop::collection::vec(damage(), 1..8),
    ) {
        let whole = damaged(metadata(topics, partitions, of_metadata), &damages);
        guarded::<MetadataRequest>(of_metadata, &whole);
        let identity = frame(&InitProducerIdResponse::default(), of_identity);
        guarded::<InitProducerIdRequest>(of_identity, &damaged(identity, &damages));
        let apis = vec![ApiVersion::default().with_max_version(9); 20];
        let versions = frame(&ApiVersionsResponse::default().with_api_keys(apis), of_versions);
        guarded::<ApiVersionsRequest>(of_versions, &damaged(versions, &damages));
    }
}

/// What an undamaged frame costs: the bound above is not met by refusing everything.
#[test]
fn valid_frames_are_read() {
    for version in 3..14 {
        let frame = produce(3, 5, version);
        assert_eq!(parse(version, &frame).unwrap().partitions.len(), 15);
        assert!(
            allocated(|| drop(parse(version, &frame))) > 0,
            "the counter counts"
        );
    }
    for version in 4..13 {
        let bytes = Bytes::from(metadata(3, 5, version));
        let (_, response) = steadfast_wire::guard::decode::<MetadataRequest>(version, bytes).unwrap();
        assert_eq!(response.topics[2].partitions.len(), 5);
    }
}
