//! Hooks, quotas, bad frames, one request at a time.

use bytes::Bytes;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use proptest::prelude::*;

use crate::testing::*;
use crate::{Hook, Order, What, When};

fn hook(when: When, what: What) -> Hook {
    Hook {
        node: None,
        api_key: 0,
        nth: 2,
        when,
        what,
    }
}

/// Two batches on one connection, the second of which is hooked; whether each was answered and with what, and how many
/// records were written.
fn two_batches(when: When, what: What) -> (World, crate::ConnectionId, crate::HookId) {
    let mut world = World::new(one_node());
    let id = world.model.hook(hook(when, what));
    let connection = world.connect(1);
    for _ in 0..2 {
        world.send(connection, 9, &produce_request(None, -1, plain().bytes()));
    }
    let first = world
        .answer::<ProduceRequest>(connection, 9)
        .expect("only the second is hooked");
    assert_eq!(first.responses[0].partition_responses[0].error_code, 0);
    (world, connection, id)
}

#[test]
fn a_held_request_goes_on_when_released() {
    for (when, written) in [(When::BeforeEffect, 1), (When::AfterEffect, 2)] {
        let (mut world, connection, id) = two_batches(when, What::Hold);
        // A third waits behind it.
        world.send(connection, 9, &produce_request(None, -1, plain().bytes()));
        world.run(1_000);
        assert!(world.answer::<ProduceRequest>(connection, 9).is_none());
        assert_eq!(world.state().log_end, written);
        world.model.release(id, world.now);
        world.collect();
        for offset in 1..3 {
            let answer = world.answer::<ProduceRequest>(connection, 9).expect("released");
            assert_eq!(answer.responses[0].partition_responses[0].base_offset, offset);
        }
    }
}

#[test]
fn dropped_and_cut_requests_took_effect_or_not() {
    for (when, written) in [(When::BeforeEffect, 1), (When::AfterEffect, 2)] {
        let (mut world, connection, _) = two_batches(when, What::Drop);
        world.run(1_000);
        assert!(world.answer::<ProduceRequest>(connection, 9).is_none());
        assert!(!world.closed.contains(&connection));
        assert_eq!(world.state().log_end, written);
        let (world, connection, _) = two_batches(when, What::Disconnect);
        assert!(world.closed.contains(&connection));
        assert_eq!(world.state().log_end, written);
        let (mut world, connection, _) = two_batches(when, What::AnswerError(6));
        let answer = world.answer::<ProduceRequest>(connection, 9).expect("an error");
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 6);
        assert_eq!(world.state().log_end, written);
    }
}

#[test]
fn a_throttled_client_is_told_and_muted() {
    let mut world = World::new(one_node());
    world.order(Order::Quota {
        client_id: "test".into(),
        bytes_per_second: Some(1),
    });
    let connection = world.connect(1);
    let answer = world.ask(connection, 9, &produce_request(None, -1, plain().bytes()));
    assert_eq!(
        answer.responses[0].partition_responses[0].error_code, 0,
        "the batch is taken (A17)"
    );
    let throttle_ms = answer.throttle_time_ms;
    assert!(throttle_ms > 1_000, "{throttle_ms}");
    assert!(!world.model.reads(connection));
    world.send(connection, 9, &produce_request(None, -1, plain().bytes()));
    world.run(throttle_ms as u64 - 1);
    assert!(world.answer::<ProduceRequest>(connection, 9).is_none());
    world.run(1);
    assert!(world.answer::<ProduceRequest>(connection, 9).is_some());
}

#[test]
fn too_many_frames_at_once_close_the_connection() {
    let mut world = World::new(one_node());
    world.order(Order::Slow {
        node: 1,
        delay_ns: 1_000_000_000,
    });
    let connection = world.connect(1);
    for _ in 0..=world.model.settings.max_queued_frames {
        world.send(connection, 0, &MetadataRequest::default());
    }
    assert!(!world.closed.contains(&connection));
    world.send(connection, 0, &MetadataRequest::default());
    assert!(world.closed.contains(&connection));
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_and_any_other_closed() {
    let mut world = World::new(one_node());
    let connection = world.connect(1);
    let raw = |key: u8, version: u8| Bytes::from(vec![0, key, 0, version, 0, 0, 0, 9, 0xff, 0xff, 0]);
    world.model.received(connection, raw(18, 77), world.now);
    world.collect();
    let answer = world
        .answer::<ApiVersionsRequest>(connection, 0)
        .expect("version 0 of the answer");
    assert_eq!((answer.error_code, answer.api_keys.len()), (35, 1));
    world.model.received(connection, raw(3, 99), world.now);
    world.collect();
    assert!(world.closed.contains(&connection));
}

#[test]
fn api_versions_tell_what_is_served() {
    let mut world = World::new(one_node());
    let connection = world.connect(1);
    let request = ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("test"))
        .with_client_software_version(StrBytes::from_static_str("1.0"));
    let answer = world.ask(connection, 4, &request);
    let range = |key| {
        let api = answer
            .api_keys
            .iter()
            .find(|api| api.api_key == key)
            .expect("is told");
        (api.min_version, api.max_version)
    };
    assert_eq!(
        [range(0), range(3), range(18), range(26)],
        [(0, 13), (0, 13), (0, 4), (0, 5)]
    );
    let feature = &answer.finalized_features[0];
    assert_eq!(
        (feature.name.as_str(), feature.max_version_level),
        ("transaction.version", 2)
    );
    assert_eq!(
        world
            .ask(connection, 3, &ApiVersionsRequest::default())
            .error_code,
        42,
        "no name"
    );
    assert_eq!(
        world
            .ask(connection, 0, &ApiVersionsRequest::default())
            .error_code,
        0
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn hostile_frames_close_and_do_no_harm(
        key in 0..70_u8,
        version in 0..14_u8,
        body in proptest::collection::vec(prop_oneof![3 => 0..8_u8, 1 => any::<u8>()], 0..120),
    ) {
        let mut world = World::new(one_node());
        let connection = world.connect(1);
        let frame = [&[0, key, 0, version, 0, 0, 0, 1, 0xff, 0xff][..], &body].concat();
        world.model.received(connection, frame.into(), world.now);
        world.collect();
        world.run(10);
        prop_assert_eq!(world.produce(1, &plain()).0, 0);
    }

    #[test]
    fn hostile_batches_are_refused_or_taken_whole(
        at in 0..70_usize,
        byte in any::<u8>(),
        resealed in any::<bool>(),
    ) {
        let mut world = World::new(one_node());
        let mut bytes = numbered((4, 0), 0, 2).bytes().to_vec();
        let at = at.min(bytes.len() - 1);
        bytes[at] = byte;
        if resealed && at >= 21 {
            seal(&mut bytes);
        }
        let connection = world.connect(1);
        let answer = world.ask(connection, 9, &produce_request(None, -1, bytes.into()));
        let code = answer.responses[0].partition_responses[0].error_code;
        prop_assert_eq!(world.state().log_end, if code == 0 { 2 } else { 0 });
    }
}
