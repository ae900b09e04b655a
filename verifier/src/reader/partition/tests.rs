//! Batches as Kafka writes them, and as nobody should: read, written down as damage, or refused with the reason.

use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::log;
use crate::log::Marker;
use crate::reader::decompress::tests::compress;
use crate::stamp::RecordId;
use crate::varint::{put, put_signed};

/// A record to be encoded.
#[derive(Debug, Clone, Default)]
struct Plain {
    offset_delta: i64,
    timestamp_delta: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

fn put_nullable(bytes: &mut Vec<u8>, value: Option<&[u8]>) {
    put_signed(bytes, value.map_or(-1, |value| value.len() as i64));
    bytes.extend_from_slice(value.unwrap_or_default());
}

fn encode_records(records: &[Plain]) -> Vec<u8> {
    let mut all = Vec::new();
    for record in records {
        let mut body = vec![0];
        put_signed(&mut body, record.timestamp_delta);
        put_signed(&mut body, record.offset_delta);
        put_nullable(&mut body, record.key.as_deref());
        put_nullable(&mut body, record.value.as_deref());
        put_signed(&mut body, record.headers.len() as i64);
        for (name, value) in &record.headers {
            put_nullable(&mut body, Some(name));
            put_nullable(&mut body, value.as_deref());
        }
        put_signed(&mut all, body.len() as i64);
        all.extend(body);
    }
    all
}

/// A batch header over anything.
fn wrap(base_offset: i64, attributes: i16, last_offset_delta: i32, count: i32, records: &[u8]) -> Vec<u8> {
    let mut covered = attributes.to_be_bytes().to_vec();
    covered.extend(last_offset_delta.to_be_bytes());
    covered.extend(1_000_i64.to_be_bytes());
    covered.extend(2_000_i64.to_be_bytes());
    covered.extend(4_000_i64.to_be_bytes());
    covered.extend(1_i16.to_be_bytes());
    covered.extend((i32::MAX - 1).to_be_bytes());
    covered.extend(count.to_be_bytes());
    covered.extend(records);
    let mut batch = base_offset.to_be_bytes().to_vec();
    batch.extend((covered.len() as i32 + 9).to_be_bytes());
    batch.extend(0_i32.to_be_bytes());
    batch.push(2);
    batch.extend(crc32c::crc32c(&covered).to_be_bytes());
    batch.extend(covered);
    batch
}

fn batch(base_offset: i64, codec: u8, records: &[Plain]) -> Vec<u8> {
    let mut bytes = encode_records(records);
    if codec != 0 {
        bytes = compress(codec, &bytes);
    }
    let bits = if codec == 5 { 2 } else { codec };
    wrap(
        base_offset,
        bits.into(),
        records.len() as i32 - 1,
        records.len() as i32,
        &bytes,
    )
}

fn stamped(i: u64, key: Option<&[u8]>, headers: &[(&[u8], &[u8])]) -> Plain {
    let mut value = vec![7; 100];
    stamp::write(&mut value, RecordId::new(1, i), i as u32, "orders", key, headers);
    let headers = headers
        .iter()
        .map(|(name, value)| (name.to_vec(), Some(value.to_vec())))
        .collect();
    Plain {
        offset_delta: i as i64,
        timestamp_delta: i as i64,
        key: key.map(<[u8]>::to_vec),
        value: Some(value),
        headers,
    }
}

fn three() -> Vec<Plain> {
    (0..3).map(|i| stamped(i, Some(b"k"), &[])).collect()
}

/// Reads answers one after another and gives what the compact log then holds.
fn read(answers: &[&[u8]]) -> Result<(Vec<LogBatch>, i64), Stuck> {
    let dir = TempDir::new().unwrap();
    let mut partition = PartitionLog::create(dir.path(), "orders", 0, 0)?;
    for answer in answers {
        partition.accept(answer)?;
    }
    let position = partition.position();
    partition.finish(position)?;
    let mut reader = log::Reader::open(&log::path(dir.path(), "orders", 0)).unwrap();
    let mut batches = Vec::new();
    while let Some(batch) = reader.next_batch().unwrap() {
        batches.push(batch.clone());
    }
    assert_eq!(reader.footer().unwrap().end_offset, position);
    Ok((batches, position))
}

fn unreadable(answer: &[u8]) -> String {
    match read(&[answer]) {
        Err(Stuck::Unreadable { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

/// The only batch, which must not be in order.
fn damaged(answer: &[u8]) -> LogBatch {
    let (mut batches, _) = read(&[answer, answer]).unwrap();
    assert_eq!(batches.len(), 1, "{batches:?}");
    assert!(
        batches[0]
            .records
            .iter()
            .any(|record| !record.intact && !batches[0].control),
        "{batches:?}"
    );
    batches.remove(0)
}

#[test]
fn every_codec_gives_the_same_records() {
    for codec in 0..=5 {
        let (batches, position) = read(&[&batch(0, codec, &three())]).unwrap();
        assert_eq!(position, 3);
        let [found] = batches.as_slice() else {
            panic!("{batches:?}")
        };
        assert_eq!(
            (found.producer_id, found.producer_epoch, found.base_sequence),
            (4_000, 1, i32::MAX - 1)
        );
        let record = |i: u64| LogRecord {
            offset: i as i64,
            id: Some(RecordId::new(1, i)),
            sequence: i as u32,
            key: Some(key_hash(b"k")),
            intact: true,
            timestamp_ms: 1_000 + i as i64,
        };
        assert_eq!(found.records, [record(0), record(1), record(2)]);
    }
}

#[test]
fn headers_that_repeat_or_are_no_text_are_in_order() {
    let headers: &[(&[u8], &[u8])] = &[(b"a", b"1"), (b"a", b"2"), (b"\xff\xfe", b"")];
    let (batches, _) = read(&[&batch(0, 0, &[stamped(0, None, headers)])]).unwrap();
    assert!(batches[0].records[0].intact);
    assert_eq!(batches[0].records[0].key, None);
    // Exchanged, they are not the record that was stamped; nor is one with a value of null.
    let mut exchanged = stamped(0, None, headers);
    exchanged.headers.swap(0, 1);
    assert!(!damaged(&batch(0, 0, &[exchanged])).records[0].intact);
    let mut null = stamped(0, None, headers);
    null.headers[2].1 = None;
    assert!(!damaged(&batch(0, 0, &[null])).records[0].intact);
}

#[test]
fn a_cut_batch_waits_for_the_next_answer() {
    let (one, two) = (batch(0, 0, &three()), batch(3, 0, &three()));
    let both = [one.as_slice(), &two].concat();
    for cut in one.len()..both.len() {
        let (batches, position) = read(&[&both[..cut]]).unwrap();
        assert_eq!((batches.len(), position), (1, 3), "cut at {cut}");
    }
    // The next answer may begin with what was read already.
    let (batches, position) = read(&[&both[..both.len() - 1], &both]).unwrap();
    assert_eq!((batches.len(), position), (2, 6));
}

#[test]
fn control_batches_are_no_data_even_without_a_body() {
    let marker = Plain {
        key: Some(vec![0, 0, 0, 1]),
        value: Some(vec![0; 6]),
        ..Plain::default()
    };
    let (batches, _) = read(&[&wrap(0, 0x30, 0, 1, &encode_records(&[marker]))]).unwrap();
    assert!(batches[0].control && batches[0].transactional);
    let (batches, position) = read(&[&wrap(0, 0x30, 0, 0, &[])]).unwrap();
    assert!(batches[0].control && batches[0].records.is_empty());
    assert_eq!(position, 1);
}

#[test]
fn markers_say_commit_or_abort_and_of_which_coordinator() {
    let control = |kind: u8| {
        let record = Plain {
            key: Some(vec![0, 0, 0, kind]),
            value: Some(vec![0, 0, 0, 0, 1, 2]),
            ..Plain::default()
        };
        let (batches, _) = read(&[&wrap(0, 0x30, 0, 1, &encode_records(&[record]))]).unwrap();
        batches[0].marker
    };
    let marker = |commit| {
        Some(Marker {
            commit,
            coordinator_epoch: 258,
        })
    };
    assert_eq!((control(0), control(1)), (marker(false), marker(true)));
    assert_eq!(
        control(3),
        None,
        "a control record of another kind ends no transaction"
    );
    // Data is none, whatever its key looks like.
    let plain = Plain {
        key: Some(vec![0, 0, 0, 1]),
        value: Some(vec![0; 16]),
        ..Plain::default()
    };
    let (batches, _) = read(&[&wrap(0, 0x10, 0, 1, &encode_records(&[plain]))]).unwrap();
    assert_eq!(batches[0].marker, None);
}

#[test]
fn gaps_of_compaction_are_in_order() {
    let mut records = three();
    records.remove(1);
    let bytes = wrap(10, 0, 5, 2, &encode_records(&records));
    let (batches, position) = read(&[&bytes]).unwrap();
    assert_eq!(
        batches[0]
            .records
            .iter()
            .map(|record| record.offset)
            .collect::<Vec<_>>(),
        [10, 12]
    );
    assert_eq!(position, 16);
}

#[test]
fn log_append_time_is_the_time_of_all() {
    let bytes = wrap(0, 0x08, 2, 3, &encode_records(&three()));
    let (batches, _) = read(&[&bytes]).unwrap();
    assert!(
        batches[0]
            .records
            .iter()
            .all(|record| record.timestamp_ms == 2_000)
    );
}

#[test]
fn longer_batches_than_the_compact_log_takes_are_split() {
    let count = MAX_RECORDS_PER_BATCH as u64 + 3;
    let records: Vec<Plain> = (0..count).map(|i| stamped(i, None, &[])).collect();
    let (batches, position) = read(&[&batch(0, 4, &records)]).unwrap();
    assert_eq!(position, count as i64);
    assert_eq!(
        batches
            .iter()
            .map(|batch| batch.records.len())
            .collect::<Vec<_>>(),
        [MAX_RECORDS_PER_BATCH, 3]
    );
    assert_eq!(batches[1].base_offset, MAX_RECORDS_PER_BATCH as i64);
    assert_eq!(batches[1].base_sequence, MAX_RECORDS_PER_BATCH as i32 - 2);
}

#[test]
fn a_checksum_that_does_not_fit_gets_a_second_chance() {
    let good = batch(0, 0, &three());
    for at in 21..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        // Once: nothing is written yet, and the good bytes then count.
        assert_eq!(read(&[&bad]).unwrap().1, 0, "byte {at}");
        let (batches, position) = read(&[&bad, &good]).unwrap();
        assert!(
            position == 3 && batches[0].records.iter().all(|record| record.intact),
            "byte {at}"
        );
        // Twice: it is the log itself. (A last offset delta out of range is no batch at all.)
        match read(&[&bad, &bad]) {
            Ok((batches, _)) => assert!(
                batches[0].control || batches[0].records.iter().all(|r| !r.intact),
                "byte {at}"
            ),
            Err(stuck) => assert!(matches!(stuck, Stuck::Unreadable { .. }), "byte {at}: {stuck}"),
        }
    }
}

#[test]
fn records_that_are_none_are_damage() {
    let good = encode_records(&three());
    // Fewer and more records than the header says, and bytes behind the last.
    damaged(&wrap(0, 0, 2, 4, &good));
    damaged(&wrap(0, 0, 2, 2, &good));
    damaged(&wrap(0, 0, 2, -1, &good));
    damaged(&wrap(0, 0, 2, i32::MAX, &good));
    damaged(&wrap(0, 0, 2, 3, &[&good[..], &[0]].concat()));
    // Compressed with something else than it says.
    for codec in 1..=4 {
        damaged(&wrap(0, codec, 2, 3, b"no such stream"));
    }
    // A header count of 2^31 - 1, a negative length, offsets that go back or out of the batch.
    let mut body = vec![0, 0, 0, 1, 1];
    put(&mut body, u64::from(u32::MAX) - 1);
    let mut record = Vec::new();
    put_signed(&mut record, body.len() as i64);
    damaged(&wrap(0, 0, 0, 1, &[record, body].concat()));
    damaged(&wrap(0, 0, 0, 1, &[1]));
    for offset_delta in [-1, 3, i64::from(i32::MAX)] {
        let mut records = three();
        records[1].offset_delta = offset_delta;
        damaged(&wrap(0, 0, 2, 3, &encode_records(&records)));
    }
}

#[test]
fn values_without_a_stamp_are_foreign() {
    let (batches, _) = read(&[&batch(
        0,
        0,
        &[Plain {
            value: Some(b"short".to_vec()),
            ..Plain::default()
        }],
    )])
    .unwrap();
    assert_eq!(batches[0].records[0].id, None);
    let (batches, _) = read(&[&batch(0, 0, &[Plain::default()])]).unwrap();
    assert_eq!(
        (batches[0].records[0].id, batches[0].records[0].intact),
        (None, false)
    );
}

#[test]
fn what_this_reader_does_not_know_is_said() {
    let mut old = batch(0, 0, &three());
    for magic in [0, 1, 3] {
        old[16] = magic;
        assert!(unreadable(&old).contains(&format!("record format {magic}")));
    }
    assert!(unreadable(&wrap(0, 5, 0, 1, b"")).contains("codec 5"));
    let bomb = compress(4, &vec![0; decompress::MAX_DECOMPRESSED_BYTES + 1]);
    assert!(unreadable(&wrap(0, 4, 0, 1, &bomb)).contains("64 MiB"));
}

#[test]
fn lengths_and_offsets_that_cannot_be() {
    let good = batch(0, 0, &three());
    for length in [0, 4, 48, -1, i32::MIN] {
        let mut bytes = good.clone();
        bytes[8..12].copy_from_slice(&i32::to_be_bytes(length));
        assert!(unreadable(&bytes).contains("no record batch"), "{length}");
    }
    assert!(unreadable(&wrap(0, 0, -1, 1, b"")).contains("offsets"));
    assert!(unreadable(&wrap(-1, 0, 0, 1, b"")).contains("offsets"));
    assert!(unreadable(&wrap(i64::MAX, 0, 0, 1, b"")).contains("offsets"));
    // Times that overflow wrap; they are no reason to stop.
    let late = Plain {
        timestamp_delta: i64::MAX,
        ..stamped(0, None, &[])
    };
    assert!(read(&[&batch(0, 0, &[late])]).unwrap().0[0].records[0].intact);
}

#[test]
fn a_batch_as_long_as_a_frame_that_never_comes() {
    let mut endless = batch(0, 0, &three());
    endless[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
    assert_eq!(read(&[&endless]).unwrap().1, 0);
}

#[test]
fn a_full_disk_is_no_verdict() {
    let dir = TempDir::new().unwrap();
    let blocked = dir.path().join("log");
    fs::write(&blocked, b"a file where the folder should be").unwrap();
    assert!(PartitionLog::create(&blocked, "orders", 0, 0).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn changed_bytes_never_panic_and_never_pass(
        codec in 0..=5_u8,
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
        length in any::<prop::sample::Index>(),
    ) {
        let good = batch(0, codec, &three());
        let mut bad = good.clone();
        let at = at.index(bad.len());
        bad[at] = to;
        let _ = read(&[&bad, &bad]);
        let _ = read(&[&bad[..length.index(bad.len())]]);
        // Behind the leader epoch and magic everything is under the batch's checksum.
        if at >= 17 && to != good[at] && let Ok((batches, _)) = read(&[&bad, &bad]) {
            prop_assert!(batches.iter().all(|batch| batch.control || batch.records.iter().all(|r| !r.intact)));
        }
    }

    #[test]
    fn noise_under_a_good_header_never_panics(
        attributes in 0..64_i16,
        count in -2..50_i32,
        last in -2..50_i32,
        noise in proptest::collection::vec(prop_oneof![3 => 0..16_u8, 1 => any::<u8>()], 0..300),
    ) {
        let bytes = wrap(0, attributes, last, count, &noise);
        let _ = read(&[&bytes, &bytes]);
    }
}

#[test]
fn memory_gets_what_the_file_gets() {
    let plain = |key: &str| Plain {
        key: Some(key.into()),
        value: Some(b"v".to_vec()),
        ..Plain::default()
    };
    let second = Plain {
        offset_delta: 1,
        ..plain("b")
    };
    let mut bytes = batch(0, 0, &[plain("a"), second.clone()]);
    let mut damaged = batch(2, 0, &[plain("c"), second]);
    *damaged.last_mut().unwrap() ^= 1;
    bytes.extend(damaged);
    let (from_file, _) = read(&[&bytes, &bytes]).unwrap();
    let in_memory = crate::reader::batches("orders", &bytes).unwrap();
    assert_eq!(in_memory, from_file);
    assert_eq!(in_memory.len(), 2);
    assert!(!in_memory[1].records[0].intact);
    assert!(crate::reader::batches("orders", &[0; 70]).is_err());
}
