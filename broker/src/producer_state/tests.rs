//! Epochs, markers and expiry; the window itself is in tests/facts.rs.

use super::*;
use crate::batch::Header;
use crate::testing::{numbered, transactional};

fn header(made: &crate::testing::Made) -> Header {
    Header::parse(&made.bytes()).expect("a header")
}

fn entry(made: &crate::testing::Made, offset: i64, kind: Kind) -> Entry {
    Entry::new(&header(made), kind, offset, 0)
}

fn code(producers: &Producers, made: &crate::testing::Made) -> i16 {
    match producers.check(&header(made), Verified::No) {
        Ok(Check::Append) => 0,
        Ok(Check::Duplicate { .. }) => -100,
        Err(refused) => refused.code,
    }
}

#[test]
fn a_new_epoch_begins_at_zero_and_shuts_out_the_old_one() {
    let mut producers = Producers::default();
    producers.note(&entry(&numbered((1, 0), 0, 3), 0, Kind::Plain));
    assert_eq!(code(&producers, &numbered((1, 1), 3, 1)), 45);
    assert_eq!(code(&producers, &numbered((1, 1), 0, 1)), 0);
    producers.note(&entry(&numbered((1, 1), 0, 1), 3, Kind::Plain));
    assert_eq!(code(&producers, &numbered((1, 0), 0, 3)), 47);
    assert_eq!(code(&producers, &numbered((1, 1), 0, 1)), -100);
}

#[test]
fn a_marker_of_a_higher_epoch_starts_sequences_again() {
    let mut producers = Producers::default();
    let first = transactional((1, 0), 0, 2);
    assert_eq!(code(&producers, &first), 48, "nobody was asked");
    assert_eq!(
        producers.check(&header(&first), Verified::Yes { fresh_at_zero: true }),
        Ok(Check::Append)
    );
    assert_eq!(producers.note(&entry(&first, 10, Kind::Transactional)), None);
    assert_eq!(producers.transaction_start(1), Some(10));
    assert_eq!(
        code(&producers, &transactional((1, 0), 2, 1)),
        0,
        "inside the open transaction"
    );
    assert_eq!(code(&producers, &numbered((1, 0), 2, 1)), 48, "B10");
    let done = producers.note(&entry(&numbered((1, 1), -1, 1), 12, Kind::Abort));
    let completed = Completed {
        producer_id: 1,
        first_offset: 10,
        last_offset: 12,
        aborted: true,
    };
    assert_eq!(done, Some(completed));
    assert_eq!(code(&producers, &numbered((1, 1), 0, 1)), 0);
    assert_eq!(code(&producers, &numbered((1, 1), 2, 1)), 45);
    assert_eq!(code(&producers, &numbered((1, 0), 2, 1)), 47);
    assert!(!producers.check_marker(1, 0, 0) && producers.check_marker(1, 1, 0));
    producers.note_coordinator(1, 4);
    assert!(!producers.check_marker(1, 1, 3), "a coordinator of before");
}

#[test]
fn an_open_transaction_keeps_its_producer() {
    let mut producers = Producers::default();
    producers.note(&entry(&transactional((1, 0), 0, 1), 0, Kind::Transactional));
    producers.note(&entry(&numbered((2, 0), 0, 1), 1, Kind::Plain));
    producers.expire(1_000_000, 10);
    let left: Vec<i64> = producers.iter().map(|(id, _)| id).collect();
    assert_eq!(left, [1]);
}

/// Five batches each; the records of the second producer are as old as may be, those of the third older.
#[test]
fn a_restart_finds_the_last_batch_of_those_whose_records_are_young() {
    const NOW: i64 = 1_000_000;
    const EXPIRATION: i64 = 1_000;
    let ages = [0, EXPIRATION - 1, EXPIRATION];
    let mut producers = Producers::default();
    let mut offset = 0;
    for (id, age) in (1..).zip(ages) {
        for sequence in 0..5 {
            let mut entry = entry(&numbered((id, 0), sequence, 1), offset, Kind::Plain);
            entry.max_timestamp = NOW - age;
            producers.note(&entry);
            offset += 1;
        }
    }
    let again =
        |producers: &Producers, id: i64, sequence: i32| code(producers, &numbered((id, 0), sequence, 1));
    assert_eq!([1, 2, 3].map(|id| again(&producers, id, 0)), [-100; 3]);
    producers.restart(NOW, EXPIRATION);
    assert_eq!([1, 2, 3].map(|id| again(&producers, id, 3)), [45, 45, 0]);
    assert_eq!([1, 2, 3].map(|id| again(&producers, id, 4)), [-100, -100, 0]);
}
