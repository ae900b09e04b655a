//! Files and memory give back what was put in; torn tails are cut; other changes are noticed.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::frame::FormatError;
use crate::stamp::RecordId;

fn header() -> Header {
    Header {
        reader: "reader-0".into(),
        topic: "orders".into(),
        isolation: Isolation::ReadCommitted,
    }
}

fn records(from: i64, count: i64) -> Vec<LogRecord> {
    let record = |offset| LogRecord {
        offset,
        id: Some(RecordId::new(2, offset as u64 * 3)),
        sequence: offset as u32,
        key: (offset % 2 == 0).then_some(77),
        intact: offset % 5 != 0,
        timestamp_ms: 1_000 + offset,
    };
    (from..from + count).map(record).collect()
}

fn poll(records: &[LogRecord], next_offset: i64) -> Poll<'_> {
    Poll {
        partition: 1,
        at_ns: 99,
        next_offset,
        high_watermark: 500,
        last_stable_offset: 400,
        records,
    }
}

/// A file with an assignment, an empty poll and a poll of seven.
fn written(dir: &TempDir) -> std::path::PathBuf {
    let path = dir.path().join("reader-0.bin");
    let mut writer = Writer::create(&path, &header()).unwrap();
    writer.assigned(1, 98, 3).unwrap();
    writer.poll(&poll(&[], 3)).unwrap();
    writer.poll(&poll(&records(3, 7), 12)).unwrap();
    writer.finish(100).unwrap();
    path
}

#[test]
fn file_and_memory_give_the_same() {
    let dir = TempDir::new().unwrap();
    let mut reader = Reader::open(&written(&dir)).unwrap();
    assert_eq!(reader.header(), &header());
    let seven = records(3, 7);
    let mut recorded = Recorded::new(header());
    recorded.assigned(1, 98, 3);
    recorded.poll(&poll(&[], 3));
    recorded.poll(&poll(&seven, 12));
    recorded.ended(100);
    let mut count = 0;
    for expected in recorded.replay() {
        assert_eq!(reader.next_seen().unwrap(), Some(expected));
        count += 1;
    }
    assert_eq!((count, reader.next_seen().unwrap()), (4, None));
}

#[test]
fn a_long_poll_is_written_as_several_that_go_on() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("reader-0.bin");
    let long = records(0, MAX_RECORDS_PER_POLL as i64 + 2);
    let mut writer = Writer::create(&path, &header()).unwrap();
    writer.poll(&poll(&long, 80_000)).unwrap();
    drop(writer);
    let mut reader = Reader::open(&path).unwrap();
    let mut ends = Vec::new();
    let mut read = Vec::new();
    while let Some(Seen::Poll(poll)) = reader.next_seen().unwrap() {
        ends.push(poll.next_offset);
        read.extend_from_slice(poll.records);
    }
    assert_eq!(ends, [MAX_RECORDS_PER_POLL as i64, 80_000]);
    assert_eq!(read, long);
}

#[test]
fn a_torn_tail_is_cut_and_a_flipped_bit_is_damage() {
    let dir = TempDir::new().unwrap();
    let path = written(&dir);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 3]).unwrap();
    let mut reader = Reader::open(&path).unwrap();
    let mut count = 0;
    while reader.next_seen().unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 3, "all but its end");

    let mut flipped = whole.clone();
    let at = whole.len() - 20;
    flipped[at] ^= 4;
    fs::write(&path, &flipped).unwrap();
    let mut reader = Reader::open(&path).unwrap();
    let damaged = loop {
        match reader.next_seen() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the flipped bit went unnoticed"),
            Err(error) => break error,
        }
    };
    assert!(matches!(damaged, FormatError::Damaged { .. }));
}
