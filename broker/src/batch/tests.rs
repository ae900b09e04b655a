//! Marker bytes against kafka-protocol's own decoder, sequence arithmetic, and batches against its encoder.

use bytes::Bytes;
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
        max_bytes: 1_000,
        newest_ms: 1_002,
        keyed: false,
    };
    assert_eq!(validate(&header, &bytes, limits), Ok(()));
    let code = |limits| validate(&header, &bytes, limits).expect_err("refused").code;
    assert_eq!(
        code(Limits {
            newest_ms: 1_001,
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
            max_bytes: 10,
            ..limits
        }),
        code::MESSAGE_TOO_LARGE
    );
    assert_eq!(header.last_sequence(), 2);
}
