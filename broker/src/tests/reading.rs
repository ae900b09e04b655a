//! Fetch, ListOffsets, Metadata, and what an operator asks for.

use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;

use crate::testing::*;
use crate::{Order, Settings};

#[test]
fn a_fetch_in_the_middle_of_a_batch_gets_the_batch() {
    let mut world = World::new(one_node());
    let (_, producer) = world.init(None, None);
    world.produce(1, &numbered(producer, 0, 5));
    world.produce(1, &numbered(producer, 5, 5));
    assert_eq!(world.fetch(1, 7, false).0, [5]);
    assert_eq!(world.fetch(1, 0, false).0, [0, 5]);
    let (batches, data) = world.fetch(1, 10, false);
    assert_eq!((batches.len(), data.error_code, data.high_watermark), (0, 0, 10));
    assert_eq!(world.fetch(1, 11, false).1.error_code, 1);
}

#[test]
fn bounds_cut_but_never_the_first_batch() {
    let mut world = World::new(one_node());
    for _ in 0..4 {
        world.produce(1, &plain());
    }
    let size = plain().bytes().len() as i32;
    let connection = world.connect(1);
    let mut bytes_for = |max_bytes| {
        let mut request = fetch_request(0, false, 0);
        request.topics[0].partitions[0].partition_max_bytes = max_bytes;
        let response = world.ask(connection, 12, &request);
        response.responses[0].partitions[0]
            .records
            .as_ref()
            .map_or(0, |records| records.len() as i32)
    };
    assert_eq!(bytes_for(1), size);
    assert_eq!(bytes_for(size + 10), size + 10, "cut in the middle of the second");
    assert_eq!(bytes_for(1 << 20), 4 * size);
}

#[test]
fn a_long_poll_ends_with_data_or_with_time() {
    let mut world = World::new(one_node());
    let reader = world.connect(1);
    world.send(reader, 12, &fetch_request(0, false, 500));
    world.run(499);
    assert!(world.answer::<FetchRequest>(reader, 12).is_none());
    world.run(1);
    assert!(world.answer::<FetchRequest>(reader, 12).is_some());
    world.send(reader, 12, &fetch_request(0, false, 500));
    world.run(100);
    world.produce(1, &plain());
    let response = world.answer::<FetchRequest>(reader, 12).expect("data woke it");
    assert_eq!(response.responses[0].partitions[0].high_watermark, 1);
    assert!(world.model.waiting.is_empty());
}

#[test]
fn leader_epochs_fence_readers() {
    let mut world = World::new(Settings {
        nodes: 2,
        default_replication_factor: 2,
        ..one_node()
    });
    let old = world.leader();
    let new = 3 - old;
    world.order(Order::Elect {
        topic: TOPIC.into(),
        partition: 0,
        node: new,
        unclean: false,
    });
    world.run(50);
    let connection = world.connect(new);
    let mut code_for = |epoch| {
        let mut request = fetch_request(0, false, 0);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        world.ask(connection, 12, &request).responses[0].partitions[0].error_code
    };
    assert_eq!([code_for(0), code_for(1), code_for(2)], [74, 0, 75]);
    let (batches, data) = world.fetch(old, 0, false);
    assert_eq!((batches.len(), data.error_code), (0, 6));
}

#[test]
fn offsets_by_time() {
    let mut world = World::new(one_node());
    for timestamp in [1_000, 3_000, 2_000] {
        world.produce(1, &Made { timestamp, ..plain() });
    }
    assert_eq!(world.list(1, -2, false), (0, 0));
    assert_eq!(world.list(1, -1, false), (0, 3));
    assert_eq!(world.list(1, 1_500, false), (0, 1));
    assert_eq!(world.list(1, 3_500, false), (0, -1));
    assert_eq!(
        world.list(1, -3, false),
        (0, 1),
        "the newest timestamp, not the newest record"
    );
}

#[test]
fn epochs_and_where_they_end() {
    use offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
    let mut world = World::new(Settings {
        nodes: 2,
        default_replication_factor: 2,
        ..one_node()
    });
    let old = world.leader();
    world.produce(old, &plain());
    world.order(Order::Elect {
        topic: TOPIC.into(),
        partition: 0,
        node: 3 - old,
        unclean: false,
    });
    world.run(50);
    world.produce(3 - old, &plain());
    let connection = world.connect(3 - old);
    let mut end_of = |epoch| {
        let partition = OffsetForLeaderPartition::default()
            .with_leader_epoch(epoch)
            .with_current_leader_epoch(-1);
        let topic = OffsetForLeaderTopic::default()
            .with_topic(topic_name(TOPIC))
            .with_partitions(vec![partition]);
        let request = OffsetForLeaderEpochRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_topics(vec![topic]);
        let answer = world.ask(connection, 4, &request);
        let found = &answer.topics[0].partitions[0];
        (found.leader_epoch, found.end_offset)
    };
    assert_eq!([end_of(0), end_of(1), end_of(2)], [(0, 1), (1, 2), (-1, -1)]);
}

#[test]
fn metadata_in_every_version() {
    let mut world = World::new(three_nodes());
    let connection = world.connect(2);
    for version in 0..=13 {
        let topic = metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name(TOPIC)));
        let request = MetadataRequest::default()
            .with_topics(Some(vec![topic]))
            .with_allow_auto_topic_creation(true);
        let answer = world.ask(connection, version, &request);
        let found = &answer.topics[0];
        assert_eq!(
            (answer.brokers.len(), found.error_code),
            (3, 0),
            "version {version}"
        );
        assert_eq!(found.partitions[0].replica_nodes.len(), 3);
    }
    let absent = metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name("absent")));
    let request = MetadataRequest::default().with_topics(Some(vec![absent]));
    assert_eq!(world.ask(connection, 9, &request).topics[0].error_code, 3);
}

#[test]
fn topics_are_made_grown_and_deleted() {
    use create_partitions_request::CreatePartitionsTopic;
    use create_topics_request::{CreatableTopic, CreatableTopicConfig};
    let mut world = World::new(three_nodes());
    let connection = world.connect(1);
    let make = |world: &mut World, name: &str, factor: i16, config: &'static str| {
        let config = CreatableTopicConfig::default()
            .with_name(StrBytes::from_static_str(config))
            .with_value(Some(StrBytes::from_static_str("1")));
        let topic = CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(2)
            .with_replication_factor(factor)
            .with_configs(vec![config]);
        let request = CreateTopicsRequest::default().with_topics(vec![topic]);
        world.ask(connection, 7, &request).topics[0].error_code
    };
    assert_eq!(make(&mut world, "made", 3, "min.insync.replicas"), 0);
    assert_eq!(make(&mut world, "made", 3, "min.insync.replicas"), 36);
    assert_eq!(make(&mut world, "other", 4, "min.insync.replicas"), 38);
    assert_eq!(make(&mut world, "other", 3, "no.such.config"), 40);
    assert_eq!(make(&mut world, "a/b", 3, "retention.ms"), 17);
    let grow = |count| {
        let topic = CreatePartitionsTopic::default()
            .with_name(topic_name("made"))
            .with_count(count)
            .with_assignments(None);
        CreatePartitionsRequest::default().with_topics(vec![topic])
    };
    assert_eq!(world.ask(connection, 3, &grow(2)).results[0].error_code, 37);
    assert_eq!(world.ask(connection, 3, &grow(4)).results[0].error_code, 0);
    assert!(world.model.topics().any(|topic| topic == ("made", 4)));
    let delete = DeleteTopicsRequest::default().with_topic_names(vec![topic_name("made")]);
    assert_eq!(world.ask(connection, 5, &delete).responses[0].error_code, 0);
    assert_eq!(world.ask(connection, 5, &delete).responses[0].error_code, 3);
    assert_eq!(make(&mut world, "made", 3, "min.insync.replicas"), 0);
}

#[test]
fn properties_are_told_and_changed() {
    use describe_configs_request::DescribeConfigsResource;
    let mut world = World::new(three_nodes());
    let connection = world.connect(1);
    let value = |world: &mut World, kind: i8, name: &str, key: &'static str| {
        let resource = DescribeConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(StrBytes::from_string(name.to_owned()))
            .with_configuration_keys(Some(vec![StrBytes::from_static_str(key)]));
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
        let answer = world.ask(connection, 4, &request);
        let found = answer.results[0].configs[0].clone();
        (
            found.value.map(|value| value.to_string()).unwrap_or_default(),
            found.config_source,
        )
    };
    assert_eq!(
        value(&mut world, 2, TOPIC, "min.insync.replicas"),
        ("2".into(), 3)
    );
    assert_eq!(value(&mut world, 4, "1", "node.id").0, "1");
    world.order(Order::TopicConfig {
        topic: TOPIC.into(),
        name: "min.insync.replicas".into(),
        value: Some("3".into()),
    });
    assert_eq!(
        value(&mut world, 2, TOPIC, "min.insync.replicas"),
        ("3".into(), 1)
    );
}

#[test]
fn old_records_go_and_producers_are_forgotten() {
    let settings = Settings {
        log_retention_ms: 60_000,
        producer_id_expiration_ms: 120_000,
        retention_check_interval_ms: 1_000,
        producer_id_check_interval_ms: 1_000,
        ..one_node()
    };
    let mut world = World::new(settings);
    let (_, producer) = world.init(None, None);
    let now = |world: &World, made: Made| Made {
        timestamp: world.now.wall_ms,
        ..made
    };
    let first = now(&world, numbered(producer, 0, 3));
    world.produce(1, &first);
    world.run(30_000);
    let second = now(&world, numbered(producer, 3, 1));
    world.produce(1, &second);
    world.run(32_000);
    let state = world.state();
    assert_eq!((state.log_start, state.log_end), (3, 4));
    assert_eq!(world.fetch(1, 0, false).1.error_code, 1);
    assert_eq!(
        world.produce(1, &first),
        (0, 0),
        "the producer is known longer than its records"
    );
    world.run(120_000);
    assert!(world.model.producers(TOPIC, 0).is_empty());
    assert_eq!((world.state().log_start, world.state().log_end), (4, 4));
    assert_eq!(world.produce(1, &now(&world, numbered(producer, 17, 1))), (0, 4));
}

#[test]
fn offsets_of_groups() {
    use offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
    use offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
    use txn_offset_commit_request::{TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic};
    let mut world = World::new(one_node());
    let connection = world.connect(1);
    let group = || GroupId(StrBytes::from_static_str("g"));
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(5);
    let topic = OffsetCommitRequestTopic::default()
        .with_name(topic_name(TOPIC))
        .with_partitions(vec![partition]);
    let commit = OffsetCommitRequest::default()
        .with_group_id(group())
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    assert_eq!(
        world.ask(connection, 8, &commit).topics[0].partitions[0].error_code,
        0
    );
    let fetched = |world: &mut World| {
        let topic = OffsetFetchRequestTopics::default()
            .with_name(topic_name(TOPIC))
            .with_partition_indexes(vec![0]);
        let wanted = OffsetFetchRequestGroup::default()
            .with_group_id(group())
            .with_topics(Some(vec![topic]));
        let request = OffsetFetchRequest::default()
            .with_groups(vec![wanted])
            .with_require_stable(true);
        let answer = world.ask(connection, 8, &request);
        let found = &answer.groups[0].topics[0].partitions[0];
        (found.error_code, found.committed_offset)
    };
    assert_eq!(fetched(&mut world), (0, 5));
    let in_transaction = |owner: (i64, i16), offset| {
        let partition = TxnOffsetCommitRequestPartition::default().with_committed_offset(offset);
        let topic = TxnOffsetCommitRequestTopic::default()
            .with_name(topic_name(TOPIC))
            .with_partitions(vec![partition]);
        TxnOffsetCommitRequest::default()
            .with_transactional_id(transactional_id("t"))
            .with_group_id(group())
            .with_producer_id(owner.0.into())
            .with_producer_epoch(owner.1)
            .with_topics(vec![topic])
    };
    let mut owner = world.own("t");
    for (commit, offset, after) in [(true, 9, 9), (false, 12, 9)] {
        let answer = world.ask(connection, 5, &in_transaction(owner, offset));
        assert_eq!(answer.topics[0].partitions[0].error_code, 0);
        assert_eq!(fetched(&mut world), (88, -1), "it may still change");
        let (code, next) = world.end(5, "t", owner, commit);
        assert_eq!(code, 0);
        world.run(20);
        assert_eq!(fetched(&mut world), (0, after));
        let answer = world.ask(connection, 5, &in_transaction(owner, 99));
        assert_eq!(answer.topics[0].partitions[0].error_code, 47, "the old epoch");
        owner = next;
    }
    let answer = world.ask(connection, 4, &in_transaction(owner, 1));
    assert_eq!(answer.topics[0].partitions[0].error_code, 120, "TV1: never added");
}
