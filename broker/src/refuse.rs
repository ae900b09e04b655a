//! What a request is answered with when a hook wants an error: the code wherever the answer has room for one.

use bytes::Bytes;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::*;

use crate::answer::Answer;
use crate::request::{Header, Request};

/// The answer, size field and all, to a request frame (without its size field) that says an error code and nothing else;
/// none where the request is none that could be answered.
pub fn refusal(frame: &Bytes, code: i16) -> Option<Bytes> {
    let header = Header::parse(frame).ok()?;
    let request = Request::decode(&header, frame).ok()?;
    refuse(&request, header.version, code).encode(header.version, header.correlation_id)
}

/// The answer to a request that says an error code and nothing else.
pub(crate) fn refuse(request: &Request, version: i16, code: i16) -> Answer {
    match request {
        Request::Produce(request) => produce(request, version, code).into(),
        Request::Fetch(request) => fetch(request, version, code).into(),
        Request::ListOffsets(request) => list_offsets(request, version, code).into(),
        Request::Metadata(request) => metadata(request, version, code).into(),
        Request::OffsetCommit(request) => offset_commit(request, code).into(),
        Request::OffsetFetch(request) => offset_fetch(request, version, code).into(),
        Request::FindCoordinator(request) => find_coordinator(request, version, code).into(),
        Request::ApiVersions(_) => ApiVersionsResponse::default().with_error_code(code).into(),
        Request::CreateTopics(request) => {
            let topic = |topic: &create_topics_request::CreatableTopic| {
                let result = CreatableTopicResult::default()
                    .with_name(topic.name.clone())
                    .with_configs(None);
                result.with_error_code(code)
            };
            CreateTopicsResponse::default()
                .with_topics(request.topics.iter().map(topic).collect())
                .into()
        }
        Request::InitProducerId(_) => InitProducerIdResponse::default()
            .with_error_code(code)
            .with_producer_id((-1).into())
            .with_producer_epoch(-1)
            .into(),
        Request::AddPartitionsToTxn(request) => add_partitions(request, version, code).into(),
        Request::AddOffsetsToTxn(_) => AddOffsetsToTxnResponse::default().with_error_code(code).into(),
        Request::EndTxn(_) => EndTxnResponse::default().with_error_code(code).into(),
        Request::TxnOffsetCommit(request) => txn_offset_commit(request, code).into(),
        Request::DescribeCluster(_) => DescribeClusterResponse::default().with_error_code(code).into(),
        Request::ElectLeaders(_) if version >= 1 => {
            ElectLeadersResponse::default().with_error_code(code).into()
        }
        Request::ListTransactions(_) => ListTransactionsResponse::default().with_error_code(code).into(),
        // Answers about named things, none of which is named here: the caller finds its thing missing.
        Request::DeleteTopics(_) => DeleteTopicsResponse::default().into(),
        Request::OffsetForLeaderEpoch(_) => OffsetForLeaderEpochResponse::default().into(),
        Request::DescribeConfigs(_) => DescribeConfigsResponse::default().into(),
        Request::CreatePartitions(_) => CreatePartitionsResponse::default().into(),
        Request::ElectLeaders(_) => ElectLeadersResponse::default().into(),
        Request::IncrementalAlterConfigs(_) => IncrementalAlterConfigsResponse::default().into(),
        Request::DescribeProducers(_) => DescribeProducersResponse::default().into(),
        Request::DescribeTransactions(_) => DescribeTransactionsResponse::default().into(),
    }
}

fn produce(request: &ProduceRequest, version: i16, code: i16) -> ProduceResponse {
    let mut response = ProduceResponse::default();
    for topic in &request.topic_data {
        let partition = |data: &produce_request::PartitionProduceData| {
            PartitionProduceResponse::default()
                .with_index(data.index)
                .with_error_code(code)
                .with_base_offset(-1)
        };
        let found = TopicProduceResponse::default()
            .with_partition_responses(topic.partition_data.iter().map(partition).collect());
        response.responses.push(if version >= 13 {
            found.with_topic_id(topic.topic_id)
        } else {
            found.with_name(topic.name.clone())
        });
    }
    response
}

fn fetch(request: &FetchRequest, version: i16, code: i16) -> FetchResponse {
    let mut response = FetchResponse::default();
    for topic in &request.topics {
        let partition = |wanted: &fetch_request::FetchPartition| {
            PartitionData::default()
                .with_partition_index(wanted.partition)
                .with_error_code(code)
                .with_high_watermark(-1)
                .with_aborted_transactions(None)
                .with_records(Some(bytes::Bytes::new()))
        };
        let found = FetchableTopicResponse::default()
            .with_partitions(topic.partitions.iter().map(partition).collect());
        response.responses.push(if version >= 13 {
            found.with_topic_id(topic.topic_id)
        } else {
            found.with_topic(topic.topic.clone())
        });
    }
    response
}

fn list_offsets(request: &ListOffsetsRequest, version: i16, code: i16) -> ListOffsetsResponse {
    let partition = |wanted: &list_offsets_request::ListOffsetsPartition| {
        let found = ListOffsetsPartitionResponse::default()
            .with_partition_index(wanted.partition_index)
            .with_error_code(code);
        if version >= 4 {
            found.with_leader_epoch(-1)
        } else {
            found
        }
    };
    let topic = |topic: &list_offsets_request::ListOffsetsTopic| {
        ListOffsetsTopicResponse::default()
            .with_name(topic.name.clone())
            .with_partitions(topic.partitions.iter().map(partition).collect())
    };
    ListOffsetsResponse::default().with_topics(request.topics.iter().map(topic).collect())
}

fn metadata(request: &MetadataRequest, version: i16, code: i16) -> MetadataResponse {
    let topic = |topic: &metadata_request::MetadataRequestTopic| {
        let name = topic.name.clone().or((version < 12).then(TopicName::default));
        let found = MetadataResponseTopic::default()
            .with_name(name)
            .with_error_code(code);
        if version >= 10 {
            found.with_topic_id(topic.topic_id)
        } else {
            found
        }
    };
    let topics = request.topics.iter().flatten().map(topic).collect();
    MetadataResponse::default().with_topics(topics)
}

fn offset_commit(request: &OffsetCommitRequest, code: i16) -> OffsetCommitResponse {
    let partition = |wanted: &offset_commit_request::OffsetCommitRequestPartition| {
        OffsetCommitResponsePartition::default()
            .with_partition_index(wanted.partition_index)
            .with_error_code(code)
    };
    let topic = |topic: &offset_commit_request::OffsetCommitRequestTopic| {
        OffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(topic.partitions.iter().map(partition).collect())
    };
    OffsetCommitResponse::default().with_topics(request.topics.iter().map(topic).collect())
}

fn offset_fetch(request: &OffsetFetchRequest, version: i16, code: i16) -> OffsetFetchResponse {
    if version >= 8 {
        let group = |wanted: &offset_fetch_request::OffsetFetchRequestGroup| {
            let found = OffsetFetchResponseGroup::default().with_group_id(wanted.group_id.clone());
            found.with_error_code(code)
        };
        OffsetFetchResponse::default().with_groups(request.groups.iter().map(group).collect())
    } else if version >= 2 {
        OffsetFetchResponse::default().with_error_code(code)
    } else {
        OffsetFetchResponse::default()
    }
}

fn find_coordinator(request: &FindCoordinatorRequest, version: i16, code: i16) -> FindCoordinatorResponse {
    if version < 4 {
        return FindCoordinatorResponse::default()
            .with_error_code(code)
            .with_node_id(BrokerId(-1))
            .with_port(-1);
    }
    let coordinators = request.coordinator_keys.iter().map(|key| {
        Coordinator::default()
            .with_key(key.clone())
            .with_error_code(code)
            .with_node_id(BrokerId(-1))
            .with_port(-1)
    });
    FindCoordinatorResponse::default().with_coordinators(coordinators.collect())
}

fn add_partitions(
    request: &AddPartitionsToTxnRequest,
    version: i16,
    code: i16,
) -> AddPartitionsToTxnResponse {
    let by_topic = |topics: &[add_partitions_to_txn_request::AddPartitionsToTxnTopic]| {
        let partition = |index: &i32| {
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(*index)
                .with_partition_error_code(code)
        };
        let topic = |topic: &add_partitions_to_txn_request::AddPartitionsToTxnTopic| {
            AddPartitionsToTxnTopicResult::default()
                .with_name(topic.name.clone())
                .with_results_by_partition(topic.partitions.iter().map(partition).collect())
        };
        topics.iter().map(topic).collect()
    };
    if version < 4 {
        return AddPartitionsToTxnResponse::default()
            .with_results_by_topic_v3_and_below(by_topic(&request.v3_and_below_topics));
    }
    let transaction = |transaction: &add_partitions_to_txn_request::AddPartitionsToTxnTransaction| {
        AddPartitionsToTxnResult::default()
            .with_transactional_id(transaction.transactional_id.clone())
            .with_topic_results(by_topic(&transaction.topics))
    };
    let results = request.transactions.iter().map(transaction).collect();
    AddPartitionsToTxnResponse::default().with_results_by_transaction(results)
}

fn txn_offset_commit(request: &TxnOffsetCommitRequest, code: i16) -> TxnOffsetCommitResponse {
    let partition = |wanted: &txn_offset_commit_request::TxnOffsetCommitRequestPartition| {
        TxnOffsetCommitResponsePartition::default()
            .with_partition_index(wanted.partition_index)
            .with_error_code(code)
    };
    let topic = |topic: &txn_offset_commit_request::TxnOffsetCommitRequestTopic| {
        TxnOffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(topic.partitions.iter().map(partition).collect())
    };
    TxnOffsetCommitResponse::default().with_topics(request.topics.iter().map(topic).collect())
}
