//! Marker bytes against kafka-protocol's own decoder, sequence arithmetic, and batches against its encoder.

use bytes::{Bytes, BytesMut};
use kafka_protocol::records::{
    Compression, Record as KafkaRecord, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions,
    TimestampType,
};

use super::*;

#[test]
fn a_marker_is_what_readers_expect() {
    for commit in [true, false] {
        let marker = Marker {
            producer_id: 7,
            producer_epoch: 3,
            commit,
            coordinator_epoch: 5,
            timestamp: 99,
        };
        let bytes = marker.encode();
        let header = Header::parse(&bytes).expect("a header");
        assert!(sound(&header, &bytes) && header.control() && header.transactional());
        assert_eq!(header.size, bytes.len());
        assert_eq!(commits(&bytes), commit);
        let mut buffer: Bytes = bytes.freeze();
        let set = RecordBatchDecoder::decode(&mut buffer).expect("decodes");
        let record = &set.records[0];
        assert_eq!(
            (record.producer_id, record.producer_epoch, record.control),
            (7, 3, true)
        );
        assert_eq!(record.key.as_deref(), Some(&[0, 0, 0, u8::from(commit)][..]));
        assert_eq!(record.value.as_deref(), Some(&[0, 0, 0, 0, 0, 5][..]));
    }
}

#[test]
fn sequences_wrap_after_two_to_the_31() {
    assert_eq!(add_sequence(i32::MAX, 1), 0);
    assert_eq!(add_sequence(2_147_483_640, 19), 11);
    assert_eq!(add_sequence(5, 0), 5);
}

#[test]
fn what_kafka_protocol_encodes_is_taken() {
    let record = |offset: i64| KafkaRecord {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: 4,
        producer_epoch: 0,
        timestamp_type: TimestampType::Creation,
        offset,
        sequence: offset as i32,
        timestamp: 1_000 + offset,
        key: (offset > 0).then(|| Bytes::from_static(b"key")),
        value: Some(Bytes::from_static(b"value")),
        headers: [("h".into(), Some(Bytes::from_static(b"x")))]
            .into_iter()
            .collect(),
    };
    let records: Vec<KafkaRecord> = (0..3).map(record).collect();
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    let mut bytes = BytesMut::new();
    RecordBatchEncoder::encode(&mut bytes, &records, &options).expect("encodes");
    let header = only_batch(&bytes, 9).expect("one batch");
    let limits = Limits {
        topic: "t",
        partition: 0,
        max_bytes: 1_000,
        segment_bytes: 1_000,
        times_ms: (1_000, 1_002),
        keyed: false,
        append_time: false,
    };
    assert_eq!(validate(&header, &bytes, limits), Ok(1_002));
    let code = |limits| validate(&header, &bytes, limits).expect_err("refused").code;
    assert_eq!(
        code(Limits {
            times_ms: (1_000, 1_001),
            ..limits
        }),
        code::INVALID_TIMESTAMP
    );
    assert_eq!(
        code(Limits {
            keyed: true,
            ..limits
        }),
        code::INVALID_RECORD
    );
    assert_eq!(
        code(Limits {
            segment_bytes: 10,
            ..limits
        }),
        code::RECORD_LIST_TOO_LARGE
    );
    assert_eq!(
        code(Limits {
            max_bytes: 10,
            ..limits
        }),
        code::MESSAGE_TOO_LARGE
    );
    assert_eq!(header.last_sequence(), 2);
}

#[test]
fn every_record_to_blame_is_named_and_the_words_stop_at_three() {
    let batch = crate::testing::numbered((1, 0), 0, 4).bytes();
    let header = Header::parse(&batch).expect("a header");
    let limits = Limits {
        topic: "t",
        partition: 2,
        max_bytes: 1_000,
        segment_bytes: 1_000,
        times_ms: (i64::MIN, i64::MAX),
        keyed: true,
        append_time: false,
    };
    let refused = validate(&header, &batch, limits).expect_err("no keys");
    assert_eq!((refused.code, refused.records.len()), (code::INVALID_RECORD, 4));
    assert_eq!(refused.why.matches("RecordError(").count(), 3, "{}", refused.why);
    assert!(
        refused.records[3].1.ends_with("topic partition t-2"),
        "{refused:?}"
    );
    let late = Limits {
        keyed: false,
        times_ms: (i64::MIN, header.max_timestamp - 1),
        ..limits
    };
    let refused = validate(&header, &batch, late).expect_err("too new");
    assert_eq!(refused.code, code::INVALID_TIMESTAMP);
}

#[test]
fn the_topic_decides_what_timestamps_mean() {
    let batch = crate::testing::numbered((1, 0), 0, 2).bytes();
    let sent = Header::parse(&batch).expect("a header");
    let mut header = sent;
    let same = stamped(&mut header, &batch, false, sent.max_timestamp);
    assert_eq!((same, header), (batch.clone(), sent));
    let appended = stamped(&mut header, &batch, true, 77);
    let read = Header::parse(&appended).expect("a header");
    assert!(read == header && read.append_time() && read.max_timestamp == 77 && sound(&read, &appended));
    assert_eq!(appended[HEADER_BYTES..], batch[HEADER_BYTES..]);
    let back = stamped(&mut header, &appended, false, sent.max_timestamp);
    assert_eq!(back, batch);
}
