//! Every version of every request that a broker may get, encoded by kafka-protocol, fits its shape exactly.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use proptest::prelude::*;

use super::*;

/// Encodes a request in each version that kafka-protocol has, and finds that the guard accepts exactly that.
fn fits<R: Request>(request: impl Fn(i16) -> R) {
    for version in R::VERSIONS.min..=R::VERSIONS.max {
        let mut body = BytesMut::new();
        request(version).encode(&mut body, version).unwrap();
        assert_eq!(
            check(REQUEST_SHAPES, R::KEY, version, &body, Behind::Nothing),
            Ok(()),
            "API {} version {version}",
            R::KEY
        );
        let cut = body.len().saturating_sub(1);
        if !body.is_empty() {
            assert!(
                check_request(R::KEY, version, &body[..cut]).is_err(),
                "API {} version {version}",
                R::KEY
            );
        }
        body.extend_from_slice(&[0]);
        assert_eq!(
            check_request(R::KEY, version, &body),
            Ok(()),
            "a byte behind API {} version {version}",
            R::KEY
        );
    }
    assert!(check_request(R::KEY, R::VERSIONS.max + 1, &[]).is_err());
}

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn topic_name() -> TopicName {
    TopicName(text("orders"))
}

#[test]
fn produce_and_fetch() {
    fits::<ProduceRequest>(|version| {
        use produce_request::*;
        let data = PartitionProduceData::default().with_records(Some(Bytes::from_static(b"batch")));
        let topic = TopicProduceData::default().with_partition_data(vec![data; 2]);
        let topic = if version < 13 {
            topic.with_name(topic_name())
        } else {
            topic
        };
        ProduceRequest::default()
            .with_transactional_id(Some(TransactionalId(text("t"))))
            .with_topic_data(vec![topic; 2])
    });
    fits::<FetchRequest>(|version| {
        use fetch_request::*;
        let topic = FetchTopic::default().with_partitions(vec![FetchPartition::default(); 2]);
        let topic = if version < 13 {
            topic.with_topic(topic_name())
        } else {
            topic
        };
        let request = FetchRequest::default().with_topics(vec![topic; 2]);
        if version < 7 {
            return request;
        }
        let forgotten = ForgottenTopic::default().with_partitions(vec![1, 2]);
        let forgotten = if version < 13 {
            forgotten.with_topic(topic_name())
        } else {
            forgotten
        };
        let request = request.with_forgotten_topics_data(vec![forgotten]);
        if version < 12 {
            request
        } else {
            request.with_cluster_id(Some(text("c")))
        }
    });
}

#[test]
fn offsets() {
    fits::<ListOffsetsRequest>(|_| {
        use list_offsets_request::*;
        let topic = ListOffsetsTopic::default().with_partitions(vec![ListOffsetsPartition::default(); 2]);
        ListOffsetsRequest::default().with_topics(vec![topic; 2])
    });
    fits::<OffsetForLeaderEpochRequest>(|_| {
        use offset_for_leader_epoch_request::*;
        let topic =
            OffsetForLeaderTopic::default().with_partitions(vec![OffsetForLeaderPartition::default(); 2]);
        OffsetForLeaderEpochRequest::default().with_topics(vec![topic; 2])
    });
    fits::<OffsetCommitRequest>(|_| {
        use offset_commit_request::*;
        let partition = OffsetCommitRequestPartition::default().with_committed_metadata(Some(text("m")));
        let topic = OffsetCommitRequestTopic::default().with_partitions(vec![partition; 2]);
        OffsetCommitRequest::default().with_topics(vec![topic; 2])
    });
    fits::<TxnOffsetCommitRequest>(|_| {
        use txn_offset_commit_request::*;
        let partition = TxnOffsetCommitRequestPartition::default();
        let topic = TxnOffsetCommitRequestTopic::default().with_partitions(vec![partition; 2]);
        TxnOffsetCommitRequest::default().with_topics(vec![topic; 2])
    });
    fits::<OffsetFetchRequest>(|version| {
        use offset_fetch_request::*;
        if version >= 8 {
            let topic = OffsetFetchRequestTopics::default()
                .with_name(topic_name())
                .with_partition_indexes(vec![1, 2]);
            let group = OffsetFetchRequestGroup::default().with_topics(Some(vec![topic; 2]));
            OffsetFetchRequest::default().with_groups(vec![group; 2])
        } else {
            let topic = OffsetFetchRequestTopic::default()
                .with_name(topic_name())
                .with_partition_indexes(vec![1, 2]);
            OffsetFetchRequest::default().with_topics(Some(vec![topic; 2]))
        }
    });
}

#[test]
fn transactions() {
    fits::<InitProducerIdRequest>(|_| InitProducerIdRequest::default());
    fits::<AddOffsetsToTxnRequest>(|_| AddOffsetsToTxnRequest::default());
    fits::<EndTxnRequest>(|_| EndTxnRequest::default());
    fits::<AddPartitionsToTxnRequest>(|version| {
        use add_partitions_to_txn_request::*;
        let topic = AddPartitionsToTxnTopic::default().with_partitions(vec![1, 2]);
        if version < 4 {
            AddPartitionsToTxnRequest::default().with_v3_and_below_topics(vec![topic; 2])
        } else {
            let transaction = AddPartitionsToTxnTransaction::default().with_topics(vec![topic; 2]);
            AddPartitionsToTxnRequest::default().with_transactions(vec![transaction; 2])
        }
    });
    fits::<FindCoordinatorRequest>(|version| {
        if version < 4 {
            FindCoordinatorRequest::default().with_key(text("k"))
        } else {
            FindCoordinatorRequest::default().with_coordinator_keys(vec![text("k"); 2])
        }
    });
    fits::<DescribeTransactionsRequest>(|_| {
        DescribeTransactionsRequest::default().with_transactional_ids(vec![TransactionalId(text("t")); 2])
    });
    fits::<ListTransactionsRequest>(|_| {
        ListTransactionsRequest::default().with_state_filters(vec![text("Ongoing"); 2])
    });
    fits::<DescribeProducersRequest>(|_| {
        let topic = describe_producers_request::TopicRequest::default().with_partition_indexes(vec![1, 2]);
        DescribeProducersRequest::default().with_topics(vec![topic; 2])
    });
}

#[test]
fn administration() {
    fits::<ApiVersionsRequest>(|_| ApiVersionsRequest::default());
    fits::<DescribeClusterRequest>(|_| DescribeClusterRequest::default());
    fits::<MetadataRequest>(|_| {
        let topic = metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name()));
        MetadataRequest::default()
            .with_topics(Some(vec![topic; 2]))
            .with_allow_auto_topic_creation(true)
    });
    fits::<CreateTopicsRequest>(|_| {
        use create_topics_request::*;
        let assignment = CreatableReplicaAssignment::default().with_broker_ids(vec![BrokerId(1); 2]);
        let config = CreatableTopicConfig::default().with_value(Some(text("v")));
        let topic = CreatableTopic::default()
            .with_assignments(vec![assignment; 2])
            .with_configs(vec![config; 2]);
        CreateTopicsRequest::default().with_topics(vec![topic; 2])
    });
    fits::<DeleteTopicsRequest>(|version| {
        if version >= 6 {
            let topic = delete_topics_request::DeleteTopicState::default().with_name(Some(topic_name()));
            DeleteTopicsRequest::default().with_topics(vec![topic; 2])
        } else {
            DeleteTopicsRequest::default().with_topic_names(vec![topic_name(); 2])
        }
    });
    fits::<CreatePartitionsRequest>(|_| {
        use create_partitions_request::*;
        let assignment = CreatePartitionsAssignment::default().with_broker_ids(vec![BrokerId(1); 2]);
        let topic = CreatePartitionsTopic::default().with_assignments(Some(vec![assignment; 2]));
        CreatePartitionsRequest::default().with_topics(vec![topic; 2])
    });
    fits::<DescribeConfigsRequest>(|_| {
        let resource = describe_configs_request::DescribeConfigsResource::default()
            .with_configuration_keys(Some(vec![text("k"); 2]));
        DescribeConfigsRequest::default().with_resources(vec![resource; 2])
    });
    fits::<IncrementalAlterConfigsRequest>(|_| {
        use incremental_alter_configs_request::*;
        let resource = AlterConfigsResource::default().with_configs(vec![AlterableConfig::default(); 2]);
        IncrementalAlterConfigsRequest::default().with_resources(vec![resource; 2])
    });
    fits::<ElectLeadersRequest>(|_| {
        let topic = elect_leaders_request::TopicPartitions::default().with_partitions(vec![1, 2]);
        ElectLeadersRequest::default().with_topic_partitions(Some(vec![topic; 2]))
    });
}

/// Whatever passes the guard decodes or is refused, without panic.
fn decodes_without_panic<R: Request + Decodable>(version: i16, bytes: &[u8]) {
    let range = R::VERSIONS;
    let version = range.min + version.rem_euclid(range.max - range.min + 1);
    if check_request(R::KEY, version, bytes).is_ok() {
        let _ = R::decode(&mut Bytes::copy_from_slice(bytes), version);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn hostile_requests_do_no_harm(
        bytes in proptest::collection::vec(prop_oneof![3 => 0..8_u8, 1 => any::<u8>()], 0..200),
        version in 0..64_i16,
    ) {
        decodes_without_panic::<ProduceRequest>(version, &bytes);
        decodes_without_panic::<FetchRequest>(version, &bytes);
        decodes_without_panic::<ListOffsetsRequest>(version, &bytes);
        decodes_without_panic::<MetadataRequest>(version, &bytes);
        decodes_without_panic::<OffsetCommitRequest>(version, &bytes);
        decodes_without_panic::<OffsetFetchRequest>(version, &bytes);
        decodes_without_panic::<CreateTopicsRequest>(version, &bytes);
        decodes_without_panic::<DeleteTopicsRequest>(version, &bytes);
        decodes_without_panic::<AddPartitionsToTxnRequest>(version, &bytes);
        decodes_without_panic::<TxnOffsetCommitRequest>(version, &bytes);
        decodes_without_panic::<DescribeConfigsRequest>(version, &bytes);
    }
}
