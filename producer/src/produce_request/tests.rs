//! Requests against kafka-protocol, byte for byte, for every version; and `writev` cut anywhere.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, RequestHeader, TopicName, TransactionalId};
use kafka_protocol::protocol::{Encodable, HeaderVersion, StrBytes};
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
struct Topic {
    name: String,
    id: TopicId,
    partitions: Vec<(i32, Vec<u8>)>,
}

fn topics_of_a_request() -> impl Strategy<Value = Vec<Topic>> {
    let batch = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        (127..300_usize).prop_map(|n| vec![7; n])
    ];
    let topic = (
        "[a-z._-]{1,200}",
        any::<TopicId>(),
        prop::collection::vec((any::<i32>(), batch), 1..5),
    )
        .prop_map(|(name, id, partitions)| Topic { name, id, partitions });
    prop::collection::vec(topic, 1..5).prop_map(|mut topics| {
        // Topics differ; two alike side by side would be one.
        for (index, topic) in topics.iter_mut().enumerate() {
            topic.name.push_str(&index.to_string());
        }
        topics
    })
}

fn parts(topics: &[Topic]) -> impl Iterator<Item = Part<'_>> + Clone {
    topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|(partition, batch)| Part {
            topic: &topic.name,
            topic_id: topic.id,
            partition: *partition,
            batch_bytes: batch.len(),
        })
    })
}

fn batches(topics: &[Topic]) -> Vec<&[u8]> {
    topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|(_, batch)| &batch[..]))
        .collect()
}

fn reference(head: &Head<'_>, topics: &[Topic]) -> Vec<u8> {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let mut body = BytesMut::new();
    RequestHeader::default()
        .with_request_api_key(API_KEY)
        .with_request_api_version(head.version)
        .with_correlation_id(head.correlation_id)
        .with_client_id(Some(text(head.client_id)))
        .encode(&mut body, ProduceRequest::header_version(head.version))
        .unwrap();
    let topics = topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|(index, batch)| {
            PartitionProduceData::default()
                .with_index(*index)
                .with_records(Some(Bytes::from(batch.clone())))
        });
        let data = TopicProduceData::default().with_partition_data(partitions.collect());
        if head.version >= 13 {
            data.with_topic_id(topic.id.to_vec().try_into().unwrap())
        } else {
            data.with_name(TopicName(text(&topic.name)))
        }
    });
    ProduceRequest::default()
        .with_transactional_id(head.transactional_id.map(|id| TransactionalId(text(id))))
        .with_acks(-1)
        .with_timeout_ms(head.timeout_ms)
        .with_topic_data(topics.collect())
        .encode(&mut body, head.version)
        .unwrap();
    let mut frame = (body.len() as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(&body);
    frame
}

/// Gathers the frame as short writes of `write_bytes` through `slots` slices at a time would.
fn written(frame: &Frame, batches: &[&[u8]], slots: usize, write_bytes: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    loop {
        let mut slices = vec![IoSlice::new(&[]); slots];
        let filled = frame.slices(wire.len(), |index| batches[index], &mut slices);
        if filled == 0 {
            return wire;
        }
        let offered: Vec<u8> = slices[..filled]
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect();
        assert!(!offered.is_empty());
        wire.extend_from_slice(&offered[..write_bytes.min(offered.len())]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_version_is_encoded_as_the_reference_does(
        topics in topics_of_a_request(),
        correlation_id: i32,
        timeout_ms: i32,
        client_id in ".{0,20}",
        transactional_id in prop::option::of(".{0,20}"),
        slots in 1..12_usize,
        write_bytes in 1..400_usize,
    ) {
        let mut frame = Frame::default();
        for version in MIN_VERSION..=MAX_VERSION {
            let head = Head {
                version,
                correlation_id,
                client_id: &client_id,
                transactional_id: transactional_id.as_deref(),
                acks: -1,
                timeout_ms,
            };
            frame.encode(&head, parts(&topics)).unwrap();
            let expected = reference(&head, &topics);
            let batches = batches(&topics);
            prop_assert_eq!(frame.batches(), batches.len());
            prop_assert_eq!(frame.total_bytes(), expected.len());
            prop_assert_eq!(&written(&frame, &batches, 2 * batches.len() + 1, usize::MAX), &expected, "v{}", version);
            prop_assert_eq!(&written(&frame, &batches, slots, write_bytes), &expected, "v{}, cut", version);
        }
    }

    #[test]
    fn one_more_batch_never_adds_more_than_its_bound(topics in topics_of_a_request(), version in MIN_VERSION..=MAX_VERSION) {
        let head = Head { version, correlation_id: 1, client_id: "c", transactional_id: None, acks: -1, timeout_ms: 1 };
        let parts: Vec<_> = parts(&topics).collect();
        let mut frame = Frame::default();
        let mut before = 0;
        for count in 1..=parts.len() {
            frame.encode(&head, parts[..count].iter().copied()).unwrap();
            let part = &parts[count - 1];
            if count > 1 {
                prop_assert!(frame.total_bytes() <= before + part.batch_bytes + overhead_bound(part.topic));
            }
            before = frame.total_bytes();
        }
    }
}

#[test]
fn what_cannot_be_encoded_is_an_error() {
    let head = Head {
        version: 9,
        correlation_id: 1,
        client_id: "c",
        transactional_id: None,
        acks: -1,
        timeout_ms: 1,
    };
    let part = Part {
        topic: "t",
        topic_id: [0; 16],
        partition: 0,
        batch_bytes: 10,
    };
    let long = "x".repeat(40_000);
    let mut frame = Frame::default();
    let mut encode = |head: &Head<'_>, part: Option<Part<'_>>| frame.encode(head, part.into_iter());
    assert_eq!(
        encode(&Head { version: 2, ..head }, Some(part)),
        Err(FrameError::Version(2))
    );
    assert_eq!(
        encode(&Head { version: 14, ..head }, Some(part)),
        Err(FrameError::Version(14))
    );
    assert_eq!(encode(&head, None), Err(FrameError::Empty));
    assert_eq!(
        encode(&head, Some(Part { topic: &long, ..part })),
        Err(FrameError::NameTooLong(40_000))
    );
    assert_eq!(
        encode(
            &head,
            Some(Part {
                batch_bytes: i32::MAX as usize,
                ..part
            })
        ),
        Err(FrameError::TooLarge)
    );
    assert_eq!(encode(&head, Some(part)), Ok(()));
}
