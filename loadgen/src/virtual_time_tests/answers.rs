//! The script's answers to everything but Produce: one node that leads every partition of one topic.

use bytes::BytesMut;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{ApiKey, ApiVersionsResponse, MetadataResponse, ResponseHeader, TopicName};
use kafka_protocol::protocol::{Encodable, HeaderVersion, StrBytes};

use super::TOPIC;

/// Produce and Metadata as far as topics go by name there.
pub(super) fn api_versions() -> ApiVersionsResponse {
    let api = |key: ApiKey, min, max| {
        let api = ApiVersion::default().with_api_key(key as i16);
        api.with_min_version(min).with_max_version(max)
    };
    ApiVersionsResponse::default().with_api_keys(vec![
        api(ApiKey::Produce, 3, 12),
        api(ApiKey::Metadata, 0, 9),
        api(ApiKey::InitProducerId, 0, 5),
        api(ApiKey::DescribeConfigs, 1, 4),
    ])
}

pub(super) fn metadata(port: u16, partitions: usize) -> MetadataResponse {
    let broker = MetadataResponseBroker::default()
        .with_node_id(1.into())
        .with_host(StrBytes::from_static_str("node"))
        .with_port(i32::from(port));
    let partition = |number| {
        MetadataResponsePartition::default()
            .with_partition_index(number)
            .with_leader_id(1.into())
            .with_replica_nodes(vec![1.into()])
    };
    let topic = MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_static_str(TOPIC))))
        .with_partitions((0..partitions as i32).map(partition).collect());
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_topics(vec![topic])
}

/// A response frame without its size field.
pub(super) fn encode<R: Encodable + HeaderVersion>(correlation: i32, version: i16, response: &R) -> Vec<u8> {
    let mut frame = BytesMut::new();
    let header = ResponseHeader::default().with_correlation_id(correlation);
    header.encode(&mut frame, R::header_version(version)).unwrap();
    response.encode(&mut frame, version).unwrap();
    frame.to_vec()
}
