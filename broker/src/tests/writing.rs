//! Produce: what is refused with which code, versions at both ends, acks.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::*;

use crate::testing::*;
use crate::{Order, Settings};

fn code_of(world: &mut World, acks: i16, version: i16, records: Bytes) -> i16 {
    let connection = world.connect(1);
    let response = world.ask(connection, version, &produce_request(None, acks, records));
    response.responses[0].partition_responses[0].error_code
}

fn spoiled(at: usize, value: &[u8], sealed: bool) -> Bytes {
    let mut bytes = BytesMut::from(&numbered((4, 0), 0, 2).bytes()[..]);
    bytes[at..at + value.len()].copy_from_slice(value);
    if sealed {
        seal(&mut bytes);
    }
    bytes.freeze()
}

#[test]
fn each_damage_has_its_code() {
    let whole = numbered((4, 0), 0, 2).bytes();
    let future = Made {
        timestamp: 1_000_000 + 3_600_001 + 60_000,
        ..plain()
    };
    let cases: Vec<(&str, Bytes, i16)> = vec![
        ("checksum", spoiled(65, b"x", false), 2),
        ("magic 0", spoiled(16, &[0], false), 87),
        ("magic 3", spoiled(16, &[3], false), 2),
        ("a length too small", spoiled(8, &[0, 0, 0, 13], false), 2),
        ("cut short", whole.slice(..whole.len() - 1), 87),
        ("nothing", Bytes::new(), 87),
        ("base offset", spoiled(7, &[1], false), 87),
        ("count", spoiled(60, &[3], true), 87),
        ("last offset delta", spoiled(26, &[5], true), 87),
        ("no sequence", spoiled(53, &[0xff; 4], true), 87),
        ("control", spoiled(22, &[0x20], true), 87),
        ("too far ahead", future.bytes(), 32),
        ("a record that is too long", spoiled(61, &[0x7e], true), 87),
    ];
    for (what, records, code) in cases {
        let mut world = World::new(one_node());
        assert_eq!(code_of(&mut world, -1, 9, records), code, "{what}");
        assert_eq!(world.state().log_end, 0, "{what}");
    }
}

#[test]
fn too_large_and_unknown_and_wrong_acks() {
    let mut world = World::new(Settings {
        message_max_bytes: 100,
        ..one_node()
    });
    let large = Made { count: 20, ..plain() };
    assert_eq!(code_of(&mut world, -1, 9, large.bytes()), 10);
    assert_eq!(code_of(&mut world, 2, 9, plain().bytes()), 21);
    let connection = world.connect(1);
    let mut request = produce_request(None, -1, plain().bytes());
    request.topic_data[0].partition_data[0].index = 7;
    let response = world.ask(connection, 9, &request);
    assert_eq!(response.responses[0].partition_responses[0].error_code, 3);
    request.topic_data[0].name = topic_name("absent");
    let response = world.ask(connection, 9, &request);
    assert_eq!(response.responses[0].partition_responses[0].error_code, 3);
}

#[test]
fn every_version_from_3_to_12_and_by_topic_id() {
    let mut world = World::new(one_node());
    for version in 3..=12 {
        assert_eq!(
            code_of(&mut world, -1, version, plain().bytes()),
            0,
            "version {version}"
        );
    }
    let id = world.model.topics.by_name(TOPIC).expect("is there").id;
    let mut request = produce_request(None, -1, plain().bytes());
    request.topic_data[0].name = TopicName::default();
    request.topic_data[0].topic_id = uuid::Uuid::from_bytes(id);
    let connection = world.connect(1);
    let answer = world.ask(connection, 13, &request);
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    request.topic_data[0].topic_id = uuid::Uuid::from_bytes([9; 16]);
    let answer = world.ask(connection, 13, &request);
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 100);
    assert_eq!(world.state().log_end, 11);
}

#[test]
fn acks_0_is_silent_and_an_error_closes() {
    let mut world = World::new(one_node());
    let connection = world.connect(1);
    world.send(connection, 9, &produce_request(None, 0, plain().bytes()));
    assert_eq!(world.state().log_end, 1);
    assert!(world.answer::<ProduceRequest>(connection, 9).is_none());
    assert!(world.model.reads(connection));
    world.send(connection, 9, &produce_request(None, 0, Bytes::new()));
    assert!(world.closed.contains(&connection));
}

#[test]
fn a_compacted_topic_wants_keys() {
    let mut world = World::new(one_node());
    world.order(Order::TopicConfig {
        topic: TOPIC.into(),
        name: "cleanup.policy".into(),
        value: Some("compact".into()),
    });
    assert_eq!(code_of(&mut world, -1, 9, plain().bytes()), 87);
}

#[test]
fn a_topic_made_again_under_its_name_is_another_one() {
    let mut world = World::new(one_node());
    let (_, producer) = world.init(None, None);
    world.produce(1, &numbered(producer, 0, 3));
    world.order(Order::DeleteTopic { name: TOPIC.into() });
    assert_eq!(world.produce(1, &numbered(producer, 3, 1)).0, 3);
    world.order(Order::CreateTopic {
        name: TOPIC.into(),
        partitions: 1,
        replication_factor: 1,
        configs: Vec::new(),
    });
    // Its state is new: any first sequence is taken (A15).
    assert_eq!(world.produce(1, &numbered(producer, 3, 1)), (0, 0));
}
