//! L6, O4, O5, T1, T2, T8, V4 as concurrent readers show them: one tiny world for each, and readers that saw nothing
//! wrong.

use super::fixture::{MS, S, START};
use super::world::{HANGING_NS, World, answer, begin_ns, record};
use crate::judge::Liveness;
use crate::log::LogRecord;
use crate::reads::{Isolation, Poll};
use crate::stamp::RecordId;

/// The records of partition 0 that a reader at read_committed gets, one transaction after the other.
fn committed() -> [Vec<LogRecord>; 2] {
    let at = |offset, index| record(offset, RecordId::new(0, index));
    [vec![at(0, 0), at(1, 2)], vec![at(6, 8), at(7, 10)]]
}

/// After everything.
const LATE: u64 = START + 5 * S;

/// A reader at read_committed that saw the whole of partition 0 as it should, in two answers.
fn watched() -> World {
    let mut world = World::clean();
    let reader = world.reader(Isolation::ReadCommitted);
    reader.assigned(0, LATE, 0);
    for (i, records) in committed().iter().enumerate() {
        reader.poll(&answer(records, LATE + i as u64 * MS));
    }
    reader.poll(&Poll {
        next_offset: 9,
        ..answer(&[], LATE + 9 * MS)
    });
    world
}

/// A world whose one reader got these answers of partition 0.
fn world_of(isolation: Isolation, answers: &[&[LogRecord]]) -> World {
    let mut world = World::clean();
    let reader = world.reader(isolation);
    for (i, records) in answers.iter().enumerate() {
        reader.poll(&answer(records, LATE + i as u64 * MS));
    }
    world
}

#[test]
fn a_reader_that_got_everything_accuses_nobody() {
    assert!(watched().found().is_clean());
    // Uncommitted, the aborted ones come too.
    let all: Vec<LogRecord> = [(0, 0), (1, 2), (3, 4), (4, 6), (6, 8), (7, 10)]
        .map(|(offset, index)| record(offset, RecordId::new(0, index)))
        .to_vec();
    assert_eq!(world_of(Isolation::ReadUncommitted, &[&all]).names(), "");
}

#[test]
fn l6_what_a_reader_got_is_gone_or_another_one_now() {
    let mut world = watched();
    world.at(0, 7).records[0].id = Some(RecordId::new(0, 8));
    // The sealed log has record 8 twice and lost record 10; the reader had seen it.
    assert_eq!(world.names(), "L1=1 L2=1 L6=1 D1=1 T3=1");
    let mut world = watched();
    world.at(0, 7).records.clear();
    assert_eq!(world.names(), "L1=1 L2=1 L6=1 T3=1");
}

#[test]
fn l6_says_nothing_of_what_was_not_read() {
    let mut world = watched();
    world.logs.get_mut(&0).unwrap().truncate(6);
    world.open = Some((5, 1));
    assert_eq!(world.names(), "L3=2");
}

#[test]
fn o4_a_later_record_came_in_an_earlier_answer() {
    // Offsets 6 and 7 hold records 10 and 8: O1 in the log; a reader saw the gap and later how it was filled.
    let swapped = || {
        let mut world = World::clean();
        world.at(0, 6).records[0] = record(6, RecordId::new(0, 10));
        world.at(0, 7).records[0] = record(7, RecordId::new(0, 8));
        world.told(3).records[0].offset = 7;
        world.told(3).records[2].offset = 6;
        world
    };
    let (later, earlier) = (record(6, RecordId::new(0, 10)), record(7, RecordId::new(0, 8)));
    let mut world = swapped();
    let reader = world.reader(Isolation::ReadUncommitted);
    reader.assigned(0, LATE, 6);
    reader.poll(&answer(&[later], LATE));
    reader.poll(&answer(&[earlier], LATE + MS));
    assert_eq!(world.names(), "O1=1 O4=1");
    let mut world = swapped();
    let reader = world.reader(Isolation::ReadUncommitted);
    reader.assigned(0, LATE, 6);
    reader.poll(&answer(&[later, earlier], LATE));
    assert_eq!(world.names(), "O1=1", "nobody saw the gap");
}

#[test]
fn o5_a_reader_went_back_or_jumped() {
    let [first, last] = committed();
    assert_eq!(
        world_of(Isolation::ReadCommitted, &[&first, &first[1..], &last]).names(),
        "O5=1"
    );
    let inside = [first[1], first[0]];
    assert_eq!(
        world_of(Isolation::ReadCommitted, &[&inside]).names(),
        "O5=1",
        "also within one answer"
    );
    assert_eq!(
        world_of(Isolation::ReadCommitted, &[&first, &last[1..]]).names(),
        "O5=1"
    );
    assert_eq!(
        world_of(Isolation::ReadUncommitted, &[&first, &last]).names(),
        "O5=2",
        "uncommitted, the aborted ones were to be got as well"
    );
}

#[test]
fn o5_does_not_speak_of_seeks() {
    let [first, last] = committed();
    let mut world = World::clean();
    let reader = world.reader(Isolation::ReadCommitted);
    for (records, offset) in [(&last, 6), (&first, 0), (&last, 6)] {
        reader.assigned(0, LATE, offset);
        reader.poll(&answer(records, LATE));
    }
    assert_eq!(world.names(), "");
}

#[test]
fn t1_a_reader_at_read_committed_got_an_aborted_record() {
    let aborted = record(3, RecordId::new(0, 4));
    let [first, last] = committed();
    let answers: [&[LogRecord]; 3] = [&first, &[aborted], &last];
    assert_eq!(world_of(Isolation::ReadCommitted, &answers).names(), "T1=1");
    let uncommitted = world_of(Isolation::ReadUncommitted, &[&first, &[aborted]]);
    assert_eq!(uncommitted.names(), "");
}

#[test]
fn t2_a_reader_at_read_committed_got_a_record_before_its_commit() {
    let [first, _] = committed();
    let got = |poll: Poll<'_>| {
        let mut world = World::clean();
        world.reader(Isolation::ReadCommitted).poll(&poll);
        world.names()
    };
    let before_the_end_was_asked = answer(&first, begin_ns(1) + 19 * MS);
    assert_eq!(got(before_the_end_was_asked), "T2=2");
    assert_eq!(got(answer(&first, begin_ns(1) + 21 * MS)), "");
    let above_the_last_stable_offset = Poll {
        last_stable_offset: 1,
        ..answer(&first, LATE)
    };
    assert_eq!(
        got(above_the_last_stable_offset),
        "",
        "a broker may note that offset before it reads"
    );
    // No marker at all: neither is the log sealed.
    let mut world = World::clean();
    world.logs.get_mut(&0).unwrap().pop();
    world.open = Some((6, 1));
    let [_, last] = committed();
    let reader = world.reader(Isolation::ReadCommitted);
    reader.poll(&answer(&last, LATE));
    assert_eq!(world.names(), "L3=2 T2=2");
}

#[test]
fn t8_readers_saw_the_last_stable_offset_stand() {
    let seen = |calm_ns: u64, until_ns: u64, moved: bool| {
        let mut world = World::clean();
        world.calm_ns = calm_ns;
        let reader = world.reader(Isolation::ReadUncommitted);
        for (at_ns, last_stable_offset) in [(LATE, 6), (LATE + S, if moved { 7 } else { 6 }), (until_ns, 6)] {
            reader.poll(&Poll {
                last_stable_offset,
                ..answer(&[], at_ns)
            });
        }
        world.names()
    };
    let too_long = LATE + HANGING_NS + 1;
    assert_eq!(seen(0, too_long, false), "T8=1");
    assert_eq!(seen(0, too_long - 1, false), "");
    assert_eq!(seen(0, too_long, true), "", "it moved");
    assert_eq!(seen(LATE + 1, too_long, false), "", "a fault stood at first");
}

#[test]
fn v4_a_reader_stands_below_the_end() {
    let stood = |healthy: Vec<std::ops::Range<u64>>| {
        let mut world = World::clean();
        world.liveness = Some(Liveness {
            run: START..LATE + 10 * S,
            healthy,
            progress_ns: Some(2 * S),
            ..Liveness::default()
        });
        let [first, _] = committed();
        let reader = world.reader(Isolation::ReadCommitted);
        reader.poll(&answer(&first, LATE));
        for s in 0..4 {
            reader.poll(&Poll {
                next_offset: 2,
                ..answer(&[], LATE + s * S)
            });
        }
        world.names()
    };
    assert_eq!(stood(vec![LATE..LATE + 10 * S]), "V4=1");
    assert_eq!(
        stood(vec![LATE + 2 * S..LATE + 10 * S]),
        "",
        "mostly while something was broken"
    );
}

#[test]
fn an_observation_of_another_partition_is_held_against_that_one() {
    let mut world = World::clean();
    let other = [record(0, RecordId::new(0, 1)), record(1, RecordId::new(0, 3))];
    let reader = world.reader(Isolation::ReadCommitted);
    reader.poll(&Poll {
        partition: 1,
        ..answer(&other, LATE)
    });
    assert_eq!(world.names(), "");
}
