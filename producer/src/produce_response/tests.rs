//! Answers: every valid one read as kafka-protocol reads it, every other one an error and never a panic.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint as TheirEndpoint, PartitionProduceResponse,
    ProduceResponse as Theirs, TopicProduceResponse,
};
use kafka_protocol::messages::{BrokerId, ResponseHeader, TopicName};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use proptest::prelude::*;

use super::*;

fn text() -> impl Strategy<Value = StrBytes> {
    ".{0,30}".prop_map(StrBytes::from_string)
}

fn partition() -> impl Strategy<Value = PartitionProduceResponse> {
    let record_errors = prop::collection::vec(
        (any::<i32>(), prop::option::of(text())).prop_map(|(index, message)| {
            BatchIndexAndErrorMessage::default()
                .with_batch_index(index)
                .with_batch_index_error_message(message)
        }),
        0..3,
    );
    let leader = (any::<i32>(), any::<i32>(), any::<bool>());
    (
        any::<[i64; 3]>(),
        any::<(i32, i16)>(),
        record_errors,
        prop::option::of(text()),
        leader,
        any::<bool>(),
    )
        .prop_map(
            |(longs, (index, code), record_errors, message, (leader, epoch, has_leader), tagged)| {
                let mut partition = PartitionProduceResponse::default()
                    .with_index(index)
                    .with_error_code(code)
                    .with_base_offset(longs[0])
                    .with_log_append_time_ms(longs[1])
                    .with_log_start_offset(longs[2])
                    .with_record_errors(record_errors)
                    .with_error_message(message);
                if has_leader {
                    partition = partition.with_current_leader(
                        LeaderIdAndEpoch::default()
                            .with_leader_id(BrokerId(leader))
                            .with_leader_epoch(epoch),
                    );
                }
                if tagged {
                    // A field of the future: to be stepped over.
                    partition = partition.with_unknown_tagged_field(7, Bytes::from_static(b"later"));
                }
                partition
            },
        )
}

fn response() -> impl Strategy<Value = Theirs> {
    let topic = (
        text(),
        any::<[u8; 16]>(),
        prop::collection::vec(partition(), 0..4),
    )
        .prop_map(|(name, id, partitions)| {
            TopicProduceResponse::default()
                .with_name(TopicName(name))
                .with_topic_id(id.to_vec().try_into().unwrap())
                .with_partition_responses(partitions)
        });
    let endpoint =
        (any::<i32>(), text(), any::<i32>(), prop::option::of(text())).prop_map(|(id, host, port, rack)| {
            TheirEndpoint::default()
                .with_node_id(BrokerId(id))
                .with_host(host)
                .with_port(port)
                .with_rack(rack)
        });
    (
        prop::collection::vec(topic, 0..4),
        any::<i32>(),
        prop::collection::vec(endpoint, 0..3),
    )
        .prop_map(|(topics, throttle, endpoints)| {
            Theirs::default()
                .with_responses(topics)
                .with_throttle_time_ms(throttle)
                .with_node_endpoints(endpoints)
        })
}

/// Leaves out what a version cannot carry: the reference encoder refuses instead of dropping it.
fn for_version(mut response: Theirs, version: i16) -> Theirs {
    for topic in &mut response.responses {
        if version >= 13 {
            topic.name = TopicName::default();
        } else {
            topic.topic_id = Default::default();
        }
        for partition in &mut topic.partition_responses {
            if version < 5 {
                partition.log_start_offset = -1;
            }
            if version < 8 {
                partition.record_errors.clear();
                partition.error_message = None;
            }
            if version < 9 {
                partition.unknown_tagged_fields.clear();
            }
            if version < 10 {
                partition.current_leader = LeaderIdAndEpoch::default();
            }
        }
    }
    if version < 10 {
        response.node_endpoints.clear();
    }
    response
}

fn frame(response: &Theirs, version: i16) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    ResponseHeader::default()
        .with_correlation_id(77)
        .encode(&mut bytes, Theirs::header_version(version))
        .unwrap();
    response.encode(&mut bytes, version).unwrap();
    bytes.to_vec()
}

fn same(ours: &ProduceResponse<'_>, theirs: &Theirs) {
    assert_eq!(ours.throttle_time_ms, theirs.throttle_time_ms);
    let flat: Vec<_> = theirs
        .responses
        .iter()
        .flat_map(|topic| {
            topic
                .partition_responses
                .iter()
                .map(move |partition| (topic, partition))
        })
        .collect();
    assert_eq!(ours.partitions.len(), flat.len());
    for (ours, (topic, theirs)) in ours.partitions.iter().zip(flat) {
        match ours.topic {
            TopicRef::Name(name) => assert_eq!(name, topic.name.as_str()),
            TopicRef::Id(id) => assert_eq!(&id, topic.topic_id.as_bytes()),
        }
        assert_eq!(
            (
                ours.partition,
                ours.error_code,
                ours.base_offset,
                ours.log_append_time_ms,
                ours.log_start_offset
            ),
            (
                theirs.index,
                theirs.error_code,
                theirs.base_offset,
                theirs.log_append_time_ms,
                theirs.log_start_offset
            )
        );
        let message = |message: &Option<StrBytes>| message.as_ref().map(|text| text.to_string());
        assert_eq!(
            ours.error_message.map(str::to_owned),
            message(&theirs.error_message)
        );
        let errors: Vec<_> = theirs
            .record_errors
            .iter()
            .map(|error| (error.batch_index, message(&error.batch_index_error_message)))
            .collect();
        let our_errors: Vec<_> = ours
            .record_errors
            .iter()
            .map(|error| (error.batch_index, error.message.map(str::to_owned)))
            .collect();
        assert_eq!(our_errors, errors);
        let leader = ours.current_leader.unwrap_or(CurrentLeader {
            leader_id: -1,
            leader_epoch: -1,
        });
        let their_leader = &theirs.current_leader;
        assert_eq!(
            (leader.leader_id, leader.leader_epoch),
            (their_leader.leader_id.0, their_leader.leader_epoch)
        );
    }
    assert_eq!(ours.node_endpoints.len(), theirs.node_endpoints.len());
    for (ours, theirs) in ours.node_endpoints.iter().zip(&theirs.node_endpoints) {
        assert_eq!(
            (ours.node_id, ours.host, ours.port),
            (theirs.node_id.0, theirs.host.as_str(), theirs.port)
        );
        assert_eq!(ours.rack, theirs.rack.as_deref());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn valid_answers_are_read_as_the_reference_reads_them(response in response()) {
        for version in MIN_VERSION..=MAX_VERSION {
            let frame = frame(&for_version(response.clone(), version), version);
            prop_assert_eq!(correlation_id(&frame), Some(77));
            let mut bytes = Bytes::copy_from_slice(&frame);
            ResponseHeader::decode(&mut bytes, Theirs::header_version(version)).unwrap();
            let theirs = Theirs::decode(&mut bytes, version).unwrap();
            same(&parse(version, &frame).unwrap(), &theirs);
        }
    }

    #[test]
    fn an_answer_cut_anywhere_is_an_error(response in response(), version in MIN_VERSION..=MAX_VERSION) {
        let frame = frame(&for_version(response, version), version);
        for length in 0..frame.len() {
            prop_assert!(parse(version, &frame[..length]).is_err(), "{} of {} bytes", length, frame.len());
        }
        let mut longer = frame;
        longer.push(0);
        let trailing = matches!(parse(version, &longer), Err(ResponseError::Trailing { left: 1, .. }));
        prop_assert!(trailing);
    }

    #[test]
    fn changed_bytes_never_panic(
        response in response(),
        version in MIN_VERSION..=MAX_VERSION,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut frame = frame(&for_version(response, version), version);
        for (place, byte) in changes {
            let place = place.index(frame.len());
            frame[place] = byte;
        }
        let _ = parse(version, &frame);
    }

    #[test]
    fn random_bytes_never_panic_and_cost_bounded_memory(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        version in MIN_VERSION - 1..=MAX_VERSION + 1,
    ) {
        if let Ok(response) = parse(version, &bytes) {
            let used = response.partitions.capacity() * size_of::<PartitionResponse<'_>>()
                + response.node_endpoints.capacity() * size_of::<NodeEndpoint<'_>>();
            prop_assert!(used <= MAX_GROWTH * bytes.len());
        }
    }
}

#[test]
fn counts_that_cannot_be_true_ask_for_no_memory() {
    // v3: correlation id, then 2^31 - 1 topics.
    let mut bytes = vec![0, 0, 0, 77];
    bytes.extend_from_slice(&i32::MAX.to_be_bytes());
    bytes.resize(100, 0);
    assert!(matches!(
        parse(3, &bytes),
        Err(ResponseError::Count {
            field: "topics",
            claimed: 2_147_483_647,
            ..
        })
    ));
    // A null array where there must be one, old and flexible.
    assert!(matches!(
        parse(3, &[0, 0, 0, 77, 0xff, 0xff, 0xff, 0xff]),
        Err(ResponseError::Count { .. })
    ));
    assert!(matches!(
        parse(9, &[0, 0, 0, 77, 0, 0]),
        Err(ResponseError::Count { claimed: -1, .. })
    ));
    // A flood of tagged fields, each of 2^32 - 1 bytes.
    let flood = [
        &[0, 0, 0, 77][..],
        &[0xff, 0xff, 0xff, 0xff, 0x0f, 1, 0xff, 0xff, 0xff, 0xff, 0x0f],
    ]
    .concat();
    assert!(matches!(
        parse(9, &flood),
        Err(ResponseError::Count {
            field: "response header",
            ..
        })
    ));
}

#[test]
fn a_known_tagged_field_must_fill_its_length() {
    // v10, no topics, throttle 0, one tag 0 (node endpoints) of 3 bytes: an empty array and two bytes too many.
    let bytes = [0, 0, 0, 77, 0, 1, 0, 0, 0, 0, 1, 0, 3, 1, 0, 0];
    assert!(matches!(
        parse(10, &bytes),
        Err(ResponseError::Trailing { left: 2, .. })
    ));
    // In v9 nothing is known under tag 0, so it is stepped over.
    assert_eq!(parse(9, &bytes).unwrap().node_endpoints, []);
}
