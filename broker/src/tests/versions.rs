//! Every API at every version that is served: an answer comes, and it decodes to the last byte. With a hook's error in
//! it too.

use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Message, Request, StrBytes};

use crate::testing::*;
use crate::{Hook, What, When};

/// Asks in every version, plainly and with an error in place of the answer.
fn answers<R: Request>(mut request: impl FnMut(i16) -> R) {
    let mut world = World::new(three_nodes());
    for version in <R as Message>::VERSIONS.min..=<R as Message>::VERSIONS.max {
        for node in 1..=3 {
            let connection = world.connect(node);
            world.ask(connection, version, &request(version));
        }
        for when in [When::BeforeEffect, When::AfterEffect] {
            let what = What::AnswerError(13);
            world.model.hook(Hook {
                node: None,
                api_key: R::KEY,
                nth: 1,
                when,
                what,
            });
            let connection = world.connect(1);
            world.ask(connection, version, &request(version));
        }
    }
}

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

/// One name that is there and one that is not.
fn names() -> [TopicName; 2] {
    [topic_name(TOPIC), topic_name("absent")]
}

#[test]
fn reading() {
    answers::<FetchRequest>(|version| {
        let mut request = fetch_request(0, version % 2 == 0, 0);
        let mut absent = request.topics[0].clone();
        absent.topic = topic_name("absent");
        request.topics.push(absent);
        if version >= 13 {
            for topic in &mut request.topics {
                topic.topic = TopicName::default();
                topic.topic_id = uuid::Uuid::from_bytes([7; 16]);
            }
        }
        request
    });
    answers::<ListOffsetsRequest>(|_| {
        use list_offsets_request::*;
        let times =
            [-1, -2, -3, -4, -5, -9, 500].map(|time| ListOffsetsPartition::default().with_timestamp(time));
        let topics = names().map(|name| {
            let topic = ListOffsetsTopic::default().with_name(name);
            topic.with_partitions(times.to_vec())
        });
        ListOffsetsRequest::default().with_topics(topics.to_vec())
    });
    answers::<OffsetForLeaderEpochRequest>(|_| {
        use offset_for_leader_epoch_request::*;
        let topics = names().map(|name| {
            let topic = OffsetForLeaderTopic::default().with_topic(name);
            topic.with_partitions(vec![OffsetForLeaderPartition::default()])
        });
        OffsetForLeaderEpochRequest::default().with_topics(topics.to_vec())
    });
    answers::<DescribeProducersRequest>(|_| {
        let topics = names().map(|name| {
            let topic = describe_producers_request::TopicRequest::default().with_name(name);
            topic.with_partition_indexes(vec![0, 9])
        });
        DescribeProducersRequest::default().with_topics(topics.to_vec())
    });
}

#[test]
fn writing() {
    answers::<ProduceRequest>(|version| {
        let mut request = produce_request(None, -1, plain().bytes());
        if version >= 13 {
            request.topic_data[0].name = TopicName::default();
            request.topic_data[0].topic_id = uuid::Uuid::from_bytes([7; 16]);
        }
        request
    });
    answers::<InitProducerIdRequest>(|version| {
        let id = (version % 2 == 0).then(|| transactional_id("t"));
        InitProducerIdRequest::default()
            .with_transactional_id(id)
            .with_transaction_timeout_ms(60_000)
    });
    answers::<AddPartitionsToTxnRequest>(|version| {
        use add_partitions_to_txn_request::*;
        let topics = names().map(|name| {
            AddPartitionsToTxnTopic::default()
                .with_name(name)
                .with_partitions(vec![0])
        });
        if version < 4 {
            return AddPartitionsToTxnRequest::default()
                .with_v3_and_below_transactional_id(transactional_id("t"))
                .with_v3_and_below_topics(topics.to_vec());
        }
        let transaction = |verify| {
            AddPartitionsToTxnTransaction::default()
                .with_transactional_id(transactional_id("t"))
                .with_verify_only(verify)
                .with_topics(topics.to_vec())
        };
        AddPartitionsToTxnRequest::default().with_transactions(vec![transaction(true), transaction(false)])
    });
    answers::<AddOffsetsToTxnRequest>(|_| {
        AddOffsetsToTxnRequest::default().with_transactional_id(transactional_id("t"))
    });
    answers::<EndTxnRequest>(|_| EndTxnRequest::default().with_transactional_id(transactional_id("t")));
}

#[test]
fn coordinating() {
    answers::<FindCoordinatorRequest>(|version| match version {
        0 => FindCoordinatorRequest::default().with_key(text("k")),
        1..=3 => FindCoordinatorRequest::default()
            .with_key(text("k"))
            .with_key_type(1),
        _ => FindCoordinatorRequest::default()
            .with_key_type((version % 3) as i8)
            .with_coordinator_keys(vec![text("k"), text("l")]),
    });
    answers::<OffsetCommitRequest>(|_| {
        use offset_commit_request::*;
        let topics = names().map(|name| {
            let topic = OffsetCommitRequestTopic::default().with_name(name);
            topic.with_partitions(vec![OffsetCommitRequestPartition::default()])
        });
        OffsetCommitRequest::default()
            .with_group_id(GroupId(text("g")))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(topics.to_vec())
    });
    answers::<TxnOffsetCommitRequest>(|_| {
        use txn_offset_commit_request::*;
        let topics = names().map(|name| {
            let topic = TxnOffsetCommitRequestTopic::default().with_name(name);
            topic.with_partitions(vec![TxnOffsetCommitRequestPartition::default()])
        });
        TxnOffsetCommitRequest::default()
            .with_group_id(GroupId(text("g")))
            .with_topics(topics.to_vec())
    });
    answers::<OffsetFetchRequest>(|version| {
        use offset_fetch_request::*;
        if version < 8 {
            let topics = names().map(|name| {
                let topic = OffsetFetchRequestTopic::default().with_name(name);
                topic.with_partition_indexes(vec![0])
            });
            return OffsetFetchRequest::default()
                .with_group_id(GroupId(text("g")))
                .with_topics(Some(topics.to_vec()));
        }
        let all = OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(text("g")))
            .with_topics(None);
        OffsetFetchRequest::default().with_groups(vec![all])
    });
    answers::<DescribeTransactionsRequest>(|_| {
        DescribeTransactionsRequest::default().with_transactional_ids(vec![transactional_id("t")])
    });
    answers::<ListTransactionsRequest>(|_| {
        ListTransactionsRequest::default().with_state_filters(vec![text("Ongoing"), text("Strange")])
    });
}

#[test]
fn administration() {
    answers::<ApiVersionsRequest>(|_| ApiVersionsRequest::default());
    answers::<MetadataRequest>(|_| {
        let topics =
            names().map(|name| metadata_request::MetadataRequestTopic::default().with_name(Some(name)));
        MetadataRequest::default()
            .with_topics(Some(topics.to_vec()))
            .with_allow_auto_topic_creation(true)
    });
    answers::<DescribeClusterRequest>(|version| {
        let endpoint_type = if version >= 1 { 2 } else { 1 };
        DescribeClusterRequest::default().with_endpoint_type(endpoint_type)
    });
    answers::<CreateTopicsRequest>(|version| {
        let topics = [
            topic_name(TOPIC),
            topic_name(&format!("made-{version}")),
            topic_name("no/name"),
        ];
        let topics = topics.map(|name| {
            let topic = create_topics_request::CreatableTopic::default().with_name(name);
            topic.with_num_partitions(1).with_replication_factor(1)
        });
        CreateTopicsRequest::default().with_topics(topics.to_vec())
    });
    answers::<CreatePartitionsRequest>(|version| {
        let topics = names().map(|name| {
            let topic = create_partitions_request::CreatePartitionsTopic::default().with_name(name);
            topic.with_count(2 + i32::from(version)).with_assignments(None)
        });
        CreatePartitionsRequest::default().with_topics(topics.to_vec())
    });
    answers::<DeleteTopicsRequest>(|version| {
        if version < 6 {
            return DeleteTopicsRequest::default().with_topic_names(names().to_vec());
        }
        use delete_topics_request::DeleteTopicState;
        let by_name = names().map(|name| DeleteTopicState::default().with_name(Some(name)));
        let by_id = DeleteTopicState::default().with_topic_id(uuid::Uuid::from_bytes([7; 16]));
        let mut topics = by_name.to_vec();
        topics.push(by_id.with_name(None));
        DeleteTopicsRequest::default().with_topics(topics)
    });
    answers::<DescribeConfigsRequest>(|_| {
        let resource = |kind, name| {
            describe_configs_request::DescribeConfigsResource::default()
                .with_resource_type(kind)
                .with_resource_name(text(name))
                .with_configuration_keys(None)
        };
        let resources = vec![
            resource(2, TOPIC),
            resource(2, "absent"),
            resource(4, "1"),
            resource(9, "x"),
        ];
        DescribeConfigsRequest::default().with_resources(resources)
    });
    answers::<IncrementalAlterConfigsRequest>(|_| {
        use incremental_alter_configs_request::*;
        let config = AlterableConfig::default()
            .with_name(text("retention.ms"))
            .with_value(Some(text("5")));
        let resource = |kind, name| {
            AlterConfigsResource::default()
                .with_resource_type(kind)
                .with_resource_name(text(name))
                .with_configs(vec![config.clone()])
        };
        IncrementalAlterConfigsRequest::default().with_resources(vec![resource(2, TOPIC), resource(4, "1")])
    });
    answers::<ElectLeadersRequest>(|version| {
        let topics = names().map(|name| {
            let topic = elect_leaders_request::TopicPartitions::default().with_topic(name);
            topic.with_partitions(vec![0])
        });
        let wanted = (version != 2).then(|| topics.to_vec());
        ElectLeadersRequest::default().with_topic_partitions(wanted)
    });
}
