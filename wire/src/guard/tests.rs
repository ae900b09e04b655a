//! Every version of every response fits its shape exactly; bytes that lie are refused before they cost anything.

use bytes::BytesMut;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Encodable, Message, StrBytes};
use proptest::prelude::*;

use super::*;

/// Encodes a response in each version that kafka-protocol has, and finds that the guard accepts exactly that.
fn fits_every_version<R: Request>(response: impl Fn(i16) -> R::Response) {
    for version in R::Response::VERSIONS.min..=R::Response::VERSIONS.max {
        let mut body = BytesMut::new();
        response(version).encode(&mut body, version).unwrap();
        assert_eq!(
            check_response(R::KEY, version, &body),
            Ok(()),
            "version {version}"
        );
        // One byte less or more does not fit any more.
        assert!(
            check_response(R::KEY, version, &body[..body.len() - 1]).is_err(),
            "version {version}"
        );
        body.extend_from_slice(&[0]);
        assert!(
            check_response(R::KEY, version, &body).is_err(),
            "version {version}"
        );
    }
    let newest = R::Response::VERSIONS.max;
    assert!(matches!(
        check_response(R::KEY, newest + 1, &[]),
        Err(GuardError::UnknownShape { .. })
    ));
}

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn topic_name() -> TopicName {
    TopicName(text("orders"))
}

#[test]
fn produce() {
    use kafka_protocol::messages::produce_response::*;
    fits_every_version::<ProduceRequest>(|version| {
        let mut partition = PartitionProduceResponse::default();
        let mut topic = TopicProduceResponse::default();
        let mut response = ProduceResponse::default();
        if version >= 8 {
            let error = BatchIndexAndErrorMessage::default().with_batch_index_error_message(Some(text("no")));
            partition = partition
                .with_record_errors(vec![error; 2])
                .with_error_message(Some(text("no")));
        }
        if version >= 10 {
            partition = partition.with_current_leader(LeaderIdAndEpoch::default().with_leader_epoch(1));
            let node = NodeEndpoint::default()
                .with_host(text("host"))
                .with_rack(Some(text("r")));
            response = response.with_node_endpoints(vec![node; 2]);
        }
        if version < 13 {
            topic = topic.with_name(topic_name());
        }
        response.with_responses(vec![topic.with_partition_responses(vec![partition; 2]); 2])
    });
}

#[test]
fn fetch() {
    use kafka_protocol::messages::fetch_response::*;
    fits_every_version::<FetchRequest>(|version| {
        let mut partition = PartitionData::default()
            .with_aborted_transactions(Some(vec![AbortedTransaction::default(); 2]))
            .with_records(Some(Bytes::from_static(b"batch")));
        let mut topic = FetchableTopicResponse::default();
        let mut response = FetchResponse::default();
        if version >= 12 {
            partition = partition
                .with_diverging_epoch(EpochEndOffset::default().with_epoch(1))
                .with_current_leader(LeaderIdAndEpoch::default().with_leader_epoch(1))
                .with_snapshot_id(SnapshotId::default().with_epoch(1));
        }
        if version < 13 {
            topic = topic.with_topic(topic_name());
        }
        if version >= 16 {
            let node = NodeEndpoint::default()
                .with_host(text("host"))
                .with_rack(Some(text("r")));
            response = response.with_node_endpoints(vec![node; 2]);
        }
        response.with_responses(vec![topic.with_partitions(vec![partition; 2]); 2])
    });
}

#[test]
fn list_offsets() {
    use kafka_protocol::messages::list_offsets_response::*;
    fits_every_version::<ListOffsetsRequest>(|_| {
        let topic = ListOffsetsTopicResponse::default()
            .with_name(topic_name())
            .with_partitions(vec![ListOffsetsPartitionResponse::default(); 3]);
        ListOffsetsResponse::default().with_topics(vec![topic; 2])
    });
}

#[test]
fn metadata() {
    use kafka_protocol::messages::metadata_response::*;
    fits_every_version::<MetadataRequest>(|version| {
        let broker = MetadataResponseBroker::default().with_host(text("host"));
        let mut partition = MetadataResponsePartition::default()
            .with_replica_nodes(vec![BrokerId(1); 3])
            .with_isr_nodes(vec![BrokerId(1); 2]);
        if version >= 5 {
            partition = partition.with_offline_replicas(vec![BrokerId(1)]);
        }
        let topic = MetadataResponseTopic::default()
            .with_name(Some(topic_name()))
            .with_partitions(vec![partition; 2]);
        let mut response = MetadataResponse::default()
            .with_brokers(vec![broker; 3])
            .with_topics(vec![topic; 2]);
        if version >= 2 {
            response = response.with_cluster_id(Some(text("cluster")));
        }
        response
    });
}

#[test]
fn offset_fetch() {
    use kafka_protocol::messages::offset_fetch_response::*;
    fits_every_version::<OffsetFetchRequest>(|version| {
        if version >= 8 {
            let partition = OffsetFetchResponsePartitions::default().with_metadata(Some(text("m")));
            let mut topic = OffsetFetchResponseTopics::default().with_partitions(vec![partition; 2]);
            if version < 10 {
                topic = topic.with_name(topic_name());
            }
            let group = OffsetFetchResponseGroup::default()
                .with_group_id(GroupId(text("g")))
                .with_topics(vec![topic; 2]);
            return OffsetFetchResponse::default().with_groups(vec![group; 2]);
        }
        let partition = OffsetFetchResponsePartition::default().with_metadata(Some(text("m")));
        let topic = OffsetFetchResponseTopic::default()
            .with_name(topic_name())
            .with_partitions(vec![partition; 2]);
        OffsetFetchResponse::default().with_topics(vec![topic; 2])
    });
}

#[test]
fn find_coordinator() {
    use kafka_protocol::messages::find_coordinator_response::*;
    fits_every_version::<FindCoordinatorRequest>(|version| {
        if version >= 4 {
            let coordinator = Coordinator::default()
                .with_key(text("id"))
                .with_host(text("host"))
                .with_error_message(Some(text("no")));
            FindCoordinatorResponse::default().with_coordinators(vec![coordinator; 2])
        } else {
            FindCoordinatorResponse::default().with_host(text("host"))
        }
    });
}

#[test]
fn api_versions() {
    use kafka_protocol::messages::api_versions_response::*;
    fits_every_version::<ApiVersionsRequest>(|version| {
        let mut response = ApiVersionsResponse::default().with_api_keys(vec![ApiVersion::default(); 60]);
        if version >= 3 {
            response = response
                .with_supported_features(vec![SupportedFeatureKey::default().with_name(text("f")); 2])
                .with_finalized_features_epoch(7)
                .with_finalized_features(vec![FinalizedFeatureKey::default().with_name(text("f"))])
                .with_zk_migration_ready(true);
        }
        response
    });
}

#[test]
fn create_and_delete_topics() {
    use kafka_protocol::messages::create_topics_response::*;
    use kafka_protocol::messages::delete_topics_response::*;
    fits_every_version::<CreateTopicsRequest>(|version| {
        let mut topic = CreatableTopicResult::default()
            .with_name(topic_name())
            .with_error_message(Some(text("no")));
        if version >= 5 {
            let config = CreatableTopicConfigs::default().with_name(text("retention.ms"));
            topic = topic
                .with_topic_config_error_code(29)
                .with_configs(Some(vec![config; 2]));
        }
        CreateTopicsResponse::default().with_topics(vec![topic; 2])
    });
    fits_every_version::<DeleteTopicsRequest>(|version| {
        let mut topic = DeletableTopicResult::default().with_name(Some(topic_name()));
        if version >= 5 {
            topic = topic.with_error_message(Some(text("no")));
        }
        DeleteTopicsResponse::default().with_responses(vec![topic; 2])
    });
}

#[test]
fn init_producer_id() {
    fits_every_version::<InitProducerIdRequest>(|_| InitProducerIdResponse::default());
}

#[test]
fn transactions() {
    use kafka_protocol::messages::add_partitions_to_txn_response::*;
    use kafka_protocol::messages::txn_offset_commit_response::*;
    let topic = AddPartitionsToTxnTopicResult::default()
        .with_name(topic_name())
        .with_results_by_partition(vec![AddPartitionsToTxnPartitionResult::default(); 3]);
    fits_every_version::<AddPartitionsToTxnRequest>(|version| {
        let response = AddPartitionsToTxnResponse::default();
        if version < 4 {
            return response.with_results_by_topic_v3_and_below(vec![topic.clone(); 2]);
        }
        let result = AddPartitionsToTxnResult::default()
            .with_transactional_id(TransactionalId(text("id")))
            .with_topic_results(vec![topic.clone(); 2]);
        response.with_results_by_transaction(vec![result; 2])
    });
    fits_every_version::<AddOffsetsToTxnRequest>(|_| AddOffsetsToTxnResponse::default());
    fits_every_version::<EndTxnRequest>(|_| EndTxnResponse::default());
    fits_every_version::<TxnOffsetCommitRequest>(|_| {
        let topic = TxnOffsetCommitResponseTopic::default()
            .with_name(topic_name())
            .with_partitions(vec![TxnOffsetCommitResponsePartition::default(); 3]);
        TxnOffsetCommitResponse::default().with_topics(vec![topic; 2])
    });
}

#[test]
fn configs() {
    use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
    use kafka_protocol::messages::describe_configs_response::*;
    use kafka_protocol::messages::incremental_alter_configs_response as incremental;
    fits_every_version::<DescribeConfigsRequest>(|version| {
        let synonym = DescribeConfigsSynonym::default().with_name(text("log.retention.ms"));
        let mut config = DescribeConfigsResourceResult::default()
            .with_name(text("retention.ms"))
            .with_synonyms(vec![synonym; 2]);
        if version >= 3 {
            config = config.with_documentation(Some(text("how long")));
        }
        let result = DescribeConfigsResult::default().with_configs(vec![config; 2]);
        DescribeConfigsResponse::default().with_results(vec![result; 2])
    });
    fits_every_version::<AlterConfigsRequest>(|_| {
        let result = AlterConfigsResourceResponse::default().with_error_message(Some(text("no")));
        AlterConfigsResponse::default().with_responses(vec![result; 2])
    });
    fits_every_version::<IncrementalAlterConfigsRequest>(|_| {
        let result = incremental::AlterConfigsResourceResponse::default().with_resource_name(text("1"));
        IncrementalAlterConfigsResponse::default().with_responses(vec![result; 2])
    });
}

#[test]
fn quotas() {
    use kafka_protocol::messages::alter_client_quotas_response as altered;
    use kafka_protocol::messages::describe_client_quotas_response::*;
    fits_every_version::<DescribeClientQuotasRequest>(|_| {
        let entity = EntityData::default()
            .with_entity_type(text("client-id"))
            .with_entity_name(Some(text("c")));
        let value = ValueData::default()
            .with_key(text("producer_byte_rate"))
            .with_value(1e6);
        let entry = EntryData::default()
            .with_entity(vec![entity; 2])
            .with_values(vec![value; 3]);
        DescribeClientQuotasResponse::default().with_entries(Some(vec![entry; 2]))
    });
    fits_every_version::<AlterClientQuotasRequest>(|_| {
        let entity = altered::EntityData::default().with_entity_type(text("client-id"));
        let entry = altered::EntryData::default()
            .with_error_message(Some(text("no")))
            .with_entity(vec![entity; 2]);
        AlterClientQuotasResponse::default().with_entries(vec![entry; 2])
    });
}

#[test]
fn elect_leaders() {
    use kafka_protocol::messages::elect_leaders_response::*;
    fits_every_version::<ElectLeadersRequest>(|_| {
        let result = PartitionResult::default().with_error_message(Some(text("no")));
        let topic = ReplicaElectionResult::default()
            .with_topic(topic_name())
            .with_partition_result(vec![result; 2]);
        ElectLeadersResponse::default().with_replica_election_results(vec![topic; 2])
    });
}

#[test]
fn describe_cluster_and_producers() {
    use kafka_protocol::messages::describe_cluster_response::*;
    use kafka_protocol::messages::describe_producers_response::*;
    fits_every_version::<DescribeClusterRequest>(|version| {
        let broker = DescribeClusterBroker::default()
            .with_host(text("host"))
            .with_is_fenced(version >= 2);
        DescribeClusterResponse::default()
            .with_cluster_id(text("c"))
            .with_brokers(vec![broker; 3])
    });
    fits_every_version::<DescribeProducersRequest>(|_| {
        let partition = PartitionResponse::default().with_active_producers(vec![ProducerState::default(); 2]);
        let topic = TopicResponse::default()
            .with_name(topic_name())
            .with_partitions(vec![partition; 2]);
        DescribeProducersResponse::default().with_topics(vec![topic; 2])
    });
}

#[test]
fn placement() {
    use kafka_protocol::messages::alter_partition_reassignments_response::*;
    use kafka_protocol::messages::create_partitions_response::*;
    use kafka_protocol::messages::describe_quorum_response::*;
    fits_every_version::<CreatePartitionsRequest>(|_| {
        let result = CreatePartitionsTopicResult::default().with_error_message(Some(text("no")));
        CreatePartitionsResponse::default().with_results(vec![result; 2])
    });
    fits_every_version::<AlterPartitionReassignmentsRequest>(|_| {
        let partition = ReassignablePartitionResponse::default().with_error_message(Some(text("no")));
        let topic = ReassignableTopicResponse::default().with_partitions(vec![partition; 2]);
        AlterPartitionReassignmentsResponse::default().with_responses(vec![topic; 2])
    });
    fits_every_version::<DescribeQuorumRequest>(|version| {
        let partition = PartitionData::default()
            .with_current_voters(vec![ReplicaState::default(); 3])
            .with_observers(vec![ReplicaState::default(); 2]);
        let topic = TopicData::default()
            .with_topic_name(topic_name())
            .with_partitions(vec![partition; 2]);
        let node = Node::default().with_listeners(vec![Listener::default().with_host(text("host")); 2]);
        let nodes = if version >= 2 { vec![node; 2] } else { Vec::new() };
        DescribeQuorumResponse::default()
            .with_topics(vec![topic; 2])
            .with_nodes(nodes)
    });
}

fn refused(api_key: i16, version: i16, body: &[u8]) -> &'static str {
    match check_response(api_key, version, body) {
        Err(GuardError::Malformed { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn counts_beyond_the_bytes_are_refused_in_every_api() {
    /// InitProducerId, AddOffsetsToTxn and EndTxn have neither counts nor lengths.
    const PLAIN: [i16; 3] = [22, 25, 26];
    for shape in SHAPES.iter().filter(|shape| !PLAIN.contains(&shape.api_key)) {
        // Fixed fields are zero bytes, so the first length or count that a reader meets is the lie.
        let mut lie = [0_u8; 64];
        for at in 0..24 {
            lie.fill(0);
            lie[at..at + 5].copy_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x07]);
            assert!(
                check_response(shape.api_key, shape.newest, &lie).is_err(),
                "API {}",
                shape.api_key
            );
            lie.fill(0);
            lie[at..at + 4].copy_from_slice(&i32::MAX.to_be_bytes());
            assert!(
                check_response(shape.api_key, 0, &lie).is_err(),
                "API {}",
                shape.api_key
            );
        }
    }
}

#[test]
fn an_array_of_two_billion() {
    // Metadata version 0 begins with the count of brokers.
    assert_eq!(
        refused(3, 0, &i32::MAX.to_be_bytes()),
        "a count beyond the bytes that are left"
    );
    // ListOffsets version 6: throttle time, then a compact count.
    assert_eq!(
        refused(2, 6, &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]),
        "a count beyond the bytes that are left"
    );
}

#[test]
fn negative_lengths_and_endless_varints() {
    assert_eq!(refused(3, 0, &(-2_i32).to_be_bytes()), "a negative length");
    assert_eq!(
        refused(2, 6, &[0, 0, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 1]),
        "a varint without an end"
    );
    assert_eq!(
        refused(2, 6, &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x1f]),
        "a varint beyond 32 bits"
    );
    let brokers = [
        &1_i32.to_be_bytes()[..],
        &[0; 4],
        &(-5_i16).to_be_bytes(),
        &[0; 4],
    ]
    .concat();
    assert_eq!(refused(3, 0, &brokers), "a negative length");
}

#[test]
fn floods_of_tagged_fields() {
    // InitProducerId version 2: 16 fixed bytes, then tagged fields.
    let body = |count: u8, field: &[u8]| [&[0; 16][..], &[count], &field.repeat(count.into())].concat();
    assert_eq!(check_response(22, 2, &body(64, &[9, 0])), Ok(()));
    assert_eq!(
        refused(22, 2, &body(65, &[9, 0])),
        "more tagged fields than are allowed"
    );
    assert_eq!(refused(22, 2, &body(1, &[9, 7])), "cut short");
    // ApiVersions: tag 1 is a number of eight bytes.
    let versions = [&[0, 0, 1, 0, 0, 0, 0][..], &[1, 1, 9], &[0; 9]].concat();
    assert_eq!(
        refused(18, 3, &versions),
        "a tagged field of another size than it says"
    );
}

#[test]
fn more_structs_than_allowed() {
    // DescribeConfigs: a synonym takes four bytes on the wire and many more in memory.
    let count = MAX_STRUCTS as u32;
    let mut body = vec![0_u8; 4];
    let varint = |mut value: u32| {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    };
    // AlterConfigs: throttle time, then results of six bytes each.
    body.extend(varint(count + 1));
    body.extend(std::iter::repeat_n([0, 0, 1, 0, 1, 0], MAX_STRUCTS).flatten());
    body.push(0);
    assert_eq!(refused(33, 2, &body), "more structs than are allowed");
}

#[test]
fn an_old_broker_answers_api_versions_in_version_0() {
    use kafka_protocol::messages::api_versions_response::ApiVersion;
    let range = ApiVersion::default().with_api_key(18).with_max_version(2);
    let response = ApiVersionsResponse::default()
        .with_error_code(35)
        .with_api_keys(vec![range]);
    let mut frame = BytesMut::from(&7_i32.to_be_bytes()[..]);
    response.encode(&mut frame, 0).unwrap();
    let (correlation_id, found) = decode::<ApiVersionsRequest>(4, frame.freeze()).unwrap();
    assert_eq!((correlation_id, found), (7, response));
}

#[test]
fn what_the_decoder_refuses_is_an_error_too() {
    // A null topic name in ListOffsets, and one that is not UTF-8.
    for name in [&[0xff, 0xff][..], &[0, 1, 0xff]] {
        let frame = [&[0, 0, 0, 1][..], &[0, 0, 0, 1], name, &[0, 0, 0, 0]].concat();
        assert!(decode::<ListOffsetsRequest>(1, Bytes::from(frame)).is_err());
    }
}

/// Whatever passes the guard decodes or is refused, without panic, for every API and version.
fn decodes_without_panic<R: Request>(version: i16, bytes: &[u8]) {
    let range = R::Response::VERSIONS;
    let version = range.min + version.rem_euclid(range.max - range.min + 1);
    let _ = decode::<R>(version, Bytes::copy_from_slice(bytes));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn hostile_bytes_do_no_harm(
        // Mostly small bytes: they make counts and lengths that nearly fit.
        bytes in proptest::collection::vec(prop_oneof![3 => 0..8_u8, 1 => any::<u8>()], 0..200),
        version in 0..64_i16,
    ) {
        decodes_without_panic::<ApiVersionsRequest>(version, &bytes);
        decodes_without_panic::<MetadataRequest>(version, &bytes);
        decodes_without_panic::<CreateTopicsRequest>(version, &bytes);
        decodes_without_panic::<DeleteTopicsRequest>(version, &bytes);
        decodes_without_panic::<ListOffsetsRequest>(version, &bytes);
        decodes_without_panic::<FetchRequest>(version, &bytes);
        decodes_without_panic::<DescribeProducersRequest>(version, &bytes);
        decodes_without_panic::<InitProducerIdRequest>(version, &bytes);
        decodes_without_panic::<FindCoordinatorRequest>(version, &bytes);
        decodes_without_panic::<DescribeConfigsRequest>(version, &bytes);
        decodes_without_panic::<DescribeClusterRequest>(version, &bytes);
        decodes_without_panic::<AlterConfigsRequest>(version, &bytes);
        decodes_without_panic::<IncrementalAlterConfigsRequest>(version, &bytes);
        decodes_without_panic::<ElectLeadersRequest>(version, &bytes);
        decodes_without_panic::<CreatePartitionsRequest>(version, &bytes);
        decodes_without_panic::<AlterPartitionReassignmentsRequest>(version, &bytes);
        decodes_without_panic::<DescribeQuorumRequest>(version, &bytes);
        decodes_without_panic::<ProduceRequest>(version, &bytes);
        decodes_without_panic::<DescribeClientQuotasRequest>(version, &bytes);
        decodes_without_panic::<AlterClientQuotasRequest>(version, &bytes);
    }
}
