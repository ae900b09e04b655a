//! The scripted cluster's answers to everything but Produce.

use bytes::BytesMut;
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey};
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_request::TopicProduceData;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, BrokerId, DescribeConfigsResponse, MetadataResponse, ResponseHeader,
    TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};

use super::TOPIC;
use super::log::Log;

pub(super) fn api_versions(newest_produce: i16, newest_init: i16, level: i16) -> ApiVersionsResponse {
    let api = |key: ApiKey, min, max| {
        ApiVersion::default()
            .with_api_key(key as i16)
            .with_min_version(min)
            .with_max_version(max)
    };
    // What belongs to version 2 of transactions comes with Produce v12.
    let v2 = i16::from(newest_produce >= 12);
    let feature = FinalizedFeatureKey::default()
        .with_name(StrBytes::from_static_str("transaction.version"))
        .with_max_version_level(level);
    let response = ApiVersionsResponse::default().with_api_keys(vec![
        api(ApiKey::Produce, 3, newest_produce),
        api(ApiKey::Metadata, 0, 13),
        api(ApiKey::InitProducerId, 0, newest_init),
        api(ApiKey::DescribeConfigs, 1, 4),
        api(ApiKey::FindCoordinator, 0, 5),
        api(ApiKey::AddPartitionsToTxn, 0, 5),
        api(ApiKey::AddOffsetsToTxn, 0, 4),
        api(ApiKey::TxnOffsetCommit, 0, 4 + v2),
        api(ApiKey::EndTxn, 0, 4 + v2),
    ]);
    if level == 0 {
        return response;
    }
    response
        .with_finalized_features_epoch(12)
        .with_finalized_features(vec![feature])
}

pub(super) fn metadata(
    logs: &[Log],
    nodes: i32,
    first_port: i32,
    topic_id: Option<u128>,
) -> MetadataResponse {
    let brokers = (0..nodes).map(|node| {
        MetadataResponseBroker::default()
            .with_node_id(node.into())
            .with_host(StrBytes::from_static_str("node"))
            .with_port(first_port + node)
    });
    let partitions = logs.iter().enumerate().map(|(p, log)| {
        MetadataResponsePartition::default()
            .with_partition_index(p as i32)
            .with_leader_id(log.leader.into())
            .with_leader_epoch(log.epoch)
            .with_replica_nodes((0..nodes).map(BrokerId::from).collect())
    });
    let mut topic =
        MetadataResponseTopic::default().with_name(Some(TopicName(StrBytes::from_static_str(TOPIC))));
    if let Some(topic_id) = topic_id {
        // A topic without partitions, as Produce v13 has it, is the shortest way to a UUID.
        let encoded = [&topic_id.to_be_bytes()[..], &[1, 0]].concat();
        topic.topic_id = TopicProduceData::decode(&mut &encoded[..], 13).unwrap().topic_id;
        topic.partitions = partitions.collect();
    } else {
        topic.error_code = 3;
    }
    MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_topics(vec![topic])
}

pub(super) fn configs() -> DescribeConfigsResponse {
    let config = |name, value| {
        DescribeConfigsResourceResult::default()
            .with_name(StrBytes::from_static_str(name))
            .with_value(Some(StrBytes::from_static_str(value)))
    };
    let topic = DescribeConfigsResult::default()
        .with_resource_type(2)
        .with_resource_name(StrBytes::from_static_str(TOPIC))
        .with_configs(vec![
            config("min.insync.replicas", "1"),
            config("max.message.bytes", "1048588"),
        ]);
    DescribeConfigsResponse::default().with_results(vec![topic])
}

/// A response frame without its size field.
pub(super) fn encode<R: Encodable + HeaderVersion>(correlation: i32, version: i16, response: &R) -> Vec<u8> {
    let mut frame = BytesMut::new();
    let header = ResponseHeader::default().with_correlation_id(correlation);
    header.encode(&mut frame, R::header_version(version)).unwrap();
    response.encode(&mut frame, version).unwrap();
    frame.to_vec()
}
