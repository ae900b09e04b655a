//! The requests of the script, each with the few values that a case wants to vary.

use steadfast_wire::kafka_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use steadfast_wire::kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use steadfast_wire::kafka_protocol::messages::describe_producers_request::TopicRequest;
use steadfast_wire::kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use steadfast_wire::kafka_protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsTopic,
};
use steadfast_wire::kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use steadfast_wire::kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use steadfast_wire::kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use steadfast_wire::kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use steadfast_wire::kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use steadfast_wire::kafka_protocol::messages::*;
use steadfast_wire::kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

/// A topic of a case.
#[derive(Debug, Clone)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) id: [u8; 16],
}

/// Producer id and epoch.
pub(crate) type Producer = (i64, i16);

pub(crate) fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

pub(crate) fn topic_name(value: &str) -> TopicName {
    TopicName(text(value))
}

/// The old form, which every version from 0 to 2 can carry.
pub(crate) fn api_versions() -> ApiVersionsRequest {
    ApiVersionsRequest::default()
}

pub(crate) fn metadata(topics: &[&str]) -> MetadataRequest {
    let topics = topics
        .iter()
        .map(|name| MetadataRequestTopic::default().with_name(Some(topic_name(name))));
    MetadataRequest::default()
        .with_topics(Some(topics.collect()))
        .with_allow_auto_topic_creation(false)
}

pub(crate) fn create_topic(name: &str, partitions: i32, configs: &[(&str, &str)]) -> CreateTopicsRequest {
    let configs = configs.iter().map(|(name, value)| {
        CreatableTopicConfig::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
    });
    let topic = CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(partitions)
        .with_replication_factor(1)
        .with_configs(configs.collect());
    CreateTopicsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(10_000)
}

pub(crate) fn produce(topic: &Topic, partition: i32, records: Vec<u8>) -> ProduceRequest {
    let data = PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(records.into()));
    let data = TopicProduceData::default()
        .with_name(topic_name(&topic.name))
        .with_topic_id(Uuid::from_bytes(topic.id))
        .with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(5_000)
        .with_topic_data(vec![data])
}

pub(crate) fn fetch(topic: &Topic, partition: i32, offset: i64, committed: bool) -> FetchRequest {
    let wanted = FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    let wanted = FetchTopic::default()
        .with_topic(topic_name(&topic.name))
        .with_topic_id(Uuid::from_bytes(topic.id))
        .with_partitions(vec![wanted]);
    FetchRequest::default()
        .with_max_wait_ms(100)
        .with_min_bytes(1)
        .with_max_bytes(4 << 20)
        .with_isolation_level(i8::from(committed))
        // A full fetch outside any session.
        .with_session_epoch(-1)
        .with_topics(vec![wanted])
}

pub(crate) fn list_offsets(
    topic: &Topic,
    partition: i32,
    timestamp: i64,
    committed: bool,
) -> ListOffsetsRequest {
    let wanted = ListOffsetsPartition::default()
        .with_partition_index(partition)
        .with_timestamp(timestamp);
    let wanted = ListOffsetsTopic::default()
        .with_name(topic_name(&topic.name))
        .with_partitions(vec![wanted]);
    ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level(i8::from(committed))
        .with_topics(vec![wanted])
}

pub(crate) fn init(transactional_id: Option<&str>, expected: Producer) -> InitProducerIdRequest {
    InitProducerIdRequest::default()
        .with_transactional_id(transactional_id.map(|id| TransactionalId(text(id))))
        .with_transaction_timeout_ms(60_000)
        .with_producer_id(ProducerId(expected.0))
        .with_producer_epoch(expected.1)
}

pub(crate) fn add_partitions(
    transactional_id: &str,
    producer: Producer,
    topic: &Topic,
    partitions: &[i32],
) -> AddPartitionsToTxnRequest {
    AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(TransactionalId(text(transactional_id)))
        .with_v3_and_below_producer_id(ProducerId(producer.0))
        .with_v3_and_below_producer_epoch(producer.1)
        .with_v3_and_below_topics(vec![added(topic, partitions)])
}

/// The form of version 4 and newer, which only brokers may send.
pub(crate) fn add_partitions_batched(
    transactional_id: &str,
    producer: Producer,
    topic: &Topic,
    partitions: &[i32],
) -> AddPartitionsToTxnRequest {
    let transaction = AddPartitionsToTxnTransaction::default()
        .with_transactional_id(TransactionalId(text(transactional_id)))
        .with_producer_id(ProducerId(producer.0))
        .with_producer_epoch(producer.1)
        .with_verify_only(true)
        .with_topics(vec![added(topic, partitions)]);
    AddPartitionsToTxnRequest::default().with_transactions(vec![transaction])
}

fn added(topic: &Topic, partitions: &[i32]) -> AddPartitionsToTxnTopic {
    AddPartitionsToTxnTopic::default()
        .with_name(topic_name(&topic.name))
        .with_partitions(partitions.to_vec())
}

pub(crate) fn add_offsets(transactional_id: &str, producer: Producer, group: &str) -> AddOffsetsToTxnRequest {
    AddOffsetsToTxnRequest::default()
        .with_transactional_id(TransactionalId(text(transactional_id)))
        .with_producer_id(ProducerId(producer.0))
        .with_producer_epoch(producer.1)
        .with_group_id(GroupId(text(group)))
}

pub(crate) fn end_txn(transactional_id: &str, producer: Producer, commit: bool) -> EndTxnRequest {
    EndTxnRequest::default()
        .with_transactional_id(TransactionalId(text(transactional_id)))
        .with_producer_id(ProducerId(producer.0))
        .with_producer_epoch(producer.1)
        .with_committed(commit)
}

pub(crate) fn txn_offset_commit(
    transactional_id: &str,
    producer: Producer,
    group: &str,
    topic: &Topic,
    offset: i64,
) -> TxnOffsetCommitRequest {
    let partition = TxnOffsetCommitRequestPartition::default()
        .with_partition_index(0)
        .with_committed_offset(offset)
        .with_committed_metadata(Some(text("m")));
    let topic = TxnOffsetCommitRequestTopic::default()
        .with_name(topic_name(&topic.name))
        .with_partitions(vec![partition]);
    TxnOffsetCommitRequest::default()
        .with_transactional_id(TransactionalId(text(transactional_id)))
        .with_group_id(GroupId(text(group)))
        .with_producer_id(ProducerId(producer.0))
        .with_producer_epoch(producer.1)
        .with_topics(vec![topic])
}

pub(crate) fn offset_commit(group: &str, topic: &Topic, offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(0)
        .with_committed_offset(offset)
        .with_committed_metadata(Some(text("m")));
    let topic = OffsetCommitRequestTopic::default()
        .with_name(topic_name(&topic.name))
        .with_topic_id(Uuid::from_bytes(topic.id))
        .with_partitions(vec![partition]);
    OffsetCommitRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_topics(vec![topic])
}

/// One group and one partition, in the form that the version has.
pub(crate) fn offset_fetch(version: i16, group: &str, topic: &Topic, stable: bool) -> OffsetFetchRequest {
    let request = OffsetFetchRequest::default().with_require_stable(stable);
    if version < 8 {
        let topic = OffsetFetchRequestTopic::default()
            .with_name(topic_name(&topic.name))
            .with_partition_indexes(vec![0]);
        return request
            .with_group_id(GroupId(text(group)))
            .with_topics(Some(vec![topic]));
    }
    let topic = OffsetFetchRequestTopics::default()
        .with_name(topic_name(&topic.name))
        .with_topic_id(Uuid::from_bytes(topic.id))
        .with_partition_indexes(vec![0]);
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(text(group)))
        .with_topics(Some(vec![topic]));
    request.with_groups(vec![group])
}

/// One key, in the form that the version has. Kind 0 is a group, 1 a transactional id.
pub(crate) fn find_coordinator(version: i16, kind: i8, key: &str) -> FindCoordinatorRequest {
    let request = FindCoordinatorRequest::default();
    match version {
        0 => request.with_key(text(key)),
        1..=3 => request.with_key(text(key)).with_key_type(kind),
        _ => request.with_key_type(kind).with_coordinator_keys(vec![text(key)]),
    }
}

pub(crate) fn describe_producers(topic: &Topic, partitions: &[i32]) -> DescribeProducersRequest {
    let topic = TopicRequest::default()
        .with_name(topic_name(&topic.name))
        .with_partition_indexes(partitions.to_vec());
    DescribeProducersRequest::default().with_topics(vec![topic])
}
