//! What is written is read again; any changed, missing or added byte is an error.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::frame::FormatError;
use crate::stamp::RecordId;

fn write(dir: &Path, batches: &[LogBatch]) -> PathBuf {
    let mut writer = Writer::create(dir, "orders", 3).unwrap();
    for batch in batches {
        writer.batch(batch).unwrap();
    }
    writer.finish(1_000).unwrap();
    path(dir, "orders", 3)
}

fn read(path: &Path) -> Result<(Vec<LogBatch>, Footer), FormatError> {
    let mut reader = Reader::open(path)?;
    assert_eq!((reader.topic(), reader.partition()), ("orders", 3));
    let mut batches = Vec::new();
    while let Some(batch) = reader.next_batch()? {
        batches.push(batch.clone());
    }
    Ok((batches, reader.footer().unwrap()))
}

/// Round-robin over six partitions, keyless, batches of ten.
fn keyless(batches: u64) -> Vec<LogBatch> {
    let record = |i: u64| LogRecord {
        offset: i as i64,
        id: Some(RecordId::new(2, i * 6 + 3)),
        sequence: (i * 6 + 3) as u32,
        key: None,
        intact: true,
        timestamp_ms: 1_700_000_000_000 + i as i64 / 40,
    };
    (0..batches)
        .map(|b| LogBatch {
            base_offset: b as i64 * 10,
            producer_id: 4_000,
            producer_epoch: 0,
            base_sequence: b as i32 * 10,
            leader_epoch: 2,
            control: false,
            transactional: false,
            marker: None,
            records: (b * 10..b * 10 + 10).map(record).collect(),
        })
        .collect()
}

#[test]
fn a_keyless_record_takes_about_three_bytes() {
    let dir = TempDir::new().unwrap();
    let batches = keyless(10_000);
    let path = write(dir.path(), &batches);
    let size = fs::metadata(&path).unwrap().len();
    assert!(size < 100_000 * 4, "{size} bytes for 100,000 records");
    let (found, footer) = read(&path).unwrap();
    assert_eq!(found, batches);
    assert_eq!(
        footer,
        Footer {
            batches: 10_000,
            records: 100_000,
            end_offset: 1_000
        }
    );
}

#[test]
fn an_empty_partition_has_a_log_too() {
    let dir = TempDir::new().unwrap();
    let (found, footer) = read(&write(dir.path(), &[])).unwrap();
    assert!(found.is_empty());
    assert_eq!(footer.end_offset, 1_000);
}

#[test]
fn without_a_footer_it_is_unfinished() {
    let dir = TempDir::new().unwrap();
    let mut writer = Writer::create(dir.path(), "orders", 3).unwrap();
    keyless(9_000)
        .iter()
        .for_each(|batch| writer.batch(batch).unwrap());
    drop(writer);
    assert!(matches!(
        read(&path(dir.path(), "orders", 3)),
        Err(FormatError::Unfinished { .. })
    ));
}

#[test]
fn names_that_are_no_topics_are_refused() {
    let dir = TempDir::new().unwrap();
    for name in ["", "../up", "a/b", "a b", &"x".repeat(250)] {
        assert!(Writer::create(dir.path(), name, 0).is_err(), "{name}");
    }
}

#[test]
fn batches_beyond_the_bound_are_refused_and_those_at_it_fit() {
    let dir = TempDir::new().unwrap();
    let worst = |i: usize| LogRecord {
        // Everything differs from the record before by as much as possible.
        offset: if i.is_multiple_of(2) { i64::MIN } else { i64::MAX },
        id: Some(RecordId(if i.is_multiple_of(2) { u64::MAX } else { 0 })),
        sequence: u32::MAX - 7,
        key: Some(u64::MAX),
        intact: false,
        timestamp_ms: if i.is_multiple_of(2) { 1 << 62 } else { -(1 << 62) },
    };
    let mut batch = LogBatch {
        records: (0..MAX_RECORDS_PER_BATCH).map(worst).collect(),
        ..keyless(1).remove(0)
    };
    let (found, _) = read(&write(dir.path(), std::slice::from_ref(&batch))).unwrap();
    assert_eq!(found, [batch.clone()]);
    batch.records.push(worst(0));
    assert!(
        Writer::create(dir.path(), "orders", 3)
            .unwrap()
            .batch(&batch)
            .is_err()
    );
}

#[test]
fn any_changed_missing_or_added_byte_is_an_error() {
    let dir = TempDir::new().unwrap();
    let path = write(dir.path(), &keyless(20));
    let mut bytes = fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff, bytes[at]]
            .into_iter()
            .filter(|&flip| flip != 0)
        {
            bytes[at] ^= flip;
            fs::write(&path, &bytes).unwrap();
            assert!(read(&path).is_err(), "byte {at} flipped by {flip:#x}");
            bytes[at] ^= flip;
        }
        fs::write(&path, &bytes[..at]).unwrap();
        assert!(read(&path).is_err(), "cut at {at}");
    }
    bytes.push(0);
    fs::write(&path, &bytes).unwrap();
    assert!(read(&path).is_err(), "one byte more");
}

fn any_record() -> impl Strategy<Value = LogRecord> {
    let id = proptest::option::of(any::<u64>().prop_map(RecordId));
    let key = proptest::option::of(any::<u64>());
    (any::<i64>(), id, any::<u32>(), key, any::<bool>(), any::<i64>()).prop_map(
        |(offset, id, sequence, key, intact, timestamp_ms)| LogRecord {
            offset,
            id,
            sequence,
            key,
            intact,
            timestamp_ms,
        },
    )
}

fn any_batch() -> impl Strategy<Value = LogBatch> {
    let records = proptest::collection::vec(any_record(), 0..20);
    (
        any::<i64>(),
        any::<i64>(),
        any::<i16>(),
        any::<i32>(),
        any::<(bool, bool)>(),
        proptest::option::of(any::<(bool, i32)>()),
        records,
    )
        .prop_map(
            |(
                base_offset,
                producer_id,
                producer_epoch,
                base_sequence,
                (control, transactional),
                marker,
                records,
            )| {
                LogBatch {
                    base_offset,
                    producer_id,
                    producer_epoch,
                    base_sequence,
                    leader_epoch: producer_epoch.into(),
                    control,
                    transactional,
                    marker: marker.map(|(commit, coordinator_epoch)| Marker {
                        commit,
                        coordinator_epoch,
                    }),
                    records,
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn round_trip(batches in proptest::collection::vec(any_batch(), 0..40)) {
        let dir = TempDir::new().unwrap();
        let (found, _) = read(&write(dir.path(), &batches)).unwrap();
        prop_assert_eq!(found, batches);
    }
}
