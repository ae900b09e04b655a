//! One tiny run for each anomaly: it, exactly it, and exactly as often as planted.

use super::fixture::{COUNTED, Fate, MS, Run, batch, stands};
use crate::judge::{EXIT_DELIVERY, EXIT_PASS};
use crate::log::LogRecord;
use crate::stamp::RecordId;
use crate::verdict::Outcome;

/// The names and counts that judging gives, as text.
fn names(run: &Run) -> String {
    let anomalies = run.anomalies();
    anomalies
        .iter()
        .map(|(id, count)| format!("{id}={count}"))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn a_clean_run_raises_nothing_and_says_of_how_many() {
    for run in [Run::clean(20), Run::keyless(20)] {
        let judgement = run.judge().unwrap();
        let verdict = &judgement.verdict;
        assert_eq!(
            (names(&run), verdict.verdict, verdict.exit_code),
            (String::new(), Outcome::Pass, EXIT_PASS)
        );
        assert_eq!(
            (verdict.records.sent, verdict.records.acked, verdict.records.read),
            (20, 20, 20)
        );
        assert!(
            verdict
                .claims
                .iter()
                .all(|claim| claim.sample == 20 && claim.verdict == Outcome::Pass)
        );
        assert!(verdict.inconclusive.is_empty() && verdict.examples.is_empty());
    }
}

#[test]
fn o7_is_checked_only_where_the_key_chooses_the_partition() {
    let checked = |run: &Run| run.judge().unwrap().verdict.claims[2].checked.join(" ");
    assert_eq!(checked(&Run::clean(4)), "O1 O2 O7");
    assert_eq!(checked(&Run::keyless(4)), "O1 O2");
}

#[test]
fn l1_the_last_record_of_a_sealed_log_is_gone() {
    let mut run = Run::clean(20);
    run.remove(0, 9);
    assert_eq!(names(&run), "L1=1");
    let verdict = run.judge().unwrap().verdict;
    assert_eq!(
        (verdict.verdict, verdict.exit_code),
        (Outcome::Fail, EXIT_DELIVERY)
    );
    assert_eq!(verdict.examples[0].record.as_deref(), Some("0:18"));
}

#[test]
fn l2_a_record_is_gone_and_later_ones_are_there() {
    let mut run = Run::clean(20);
    run.remove(0, 4);
    assert_eq!(names(&run), "L1=1 L2=1");
}

#[test]
fn l2_needs_no_seal() {
    let mut run = Run::clean(20);
    run.remove(0, 4);
    run.seal.as_mut().unwrap().sealed = false;
    let verdict = run.judge().unwrap().verdict;
    assert_eq!(
        (names(&run).as_str(), verdict.exit_code),
        ("L1=1 L2=1", EXIT_DELIVERY)
    );
}

#[test]
fn l3_the_log_was_not_read_so_far() {
    let mut run = Run::clean(20);
    run.remove(0, 9);
    run.remove(0, 8);
    let seal = run.seal.as_mut().unwrap();
    (seal.sealed, seal.partitions[0].read_to) = (false, 8);
    assert_eq!(names(&run), "L3=2");
}

#[test]
fn d1_the_same_record_twice_in_a_partition() {
    let mut run = Run::clean(20);
    let copy = *run.at(0, 4);
    run.append(0, copy);
    run.append(0, copy);
    assert_eq!(names(&run), "D1=2");
}

#[test]
fn d1_also_when_the_copy_comes_first() {
    // Record 8 was acknowledged at offset 4; its copy overtook it, to offset 1. What it pushed aside is gone (L1).
    let mut run = Run::clean(20);
    let copy = *run.at(0, 4);
    *run.at(0, 1) = LogRecord { offset: 1, ..copy };
    assert_eq!(names(&run), "D1=1 L1=1 L2=1");
}

#[test]
fn d2_the_same_record_in_two_partitions() {
    let mut run = Run::clean(20);
    let copy = *run.at(0, 4);
    run.append(1, copy);
    assert_eq!(names(&run), "D2=1");
}

#[test]
fn d3_a_record_that_was_reported_as_not_written() {
    let mut run = Run::clean(20);
    run.sent(8).fate = Fate::NotWritten {
        at_ns: COUNTED + 900 * MS,
    };
    assert_eq!(names(&run), "D3=1");
}

#[test]
fn an_unknown_record_may_appear_once_or_not_at_all() {
    for fate in [
        Fate::Unknown {
            at_ns: COUNTED + 900 * MS,
        },
        Fate::Open,
    ] {
        let mut there = Run::clean(20);
        there.sent(8).fate = fate;
        assert_eq!(names(&there), "");
        assert_eq!(there.judge().unwrap().verdict.records.unknown, 1);
        let mut absent = Run::clean(20);
        absent.sent(8).fate = fate;
        absent.remove(0, 4);
        // A client that closes in order must say that it does not know.
        let silent = fate == Fate::Open;
        assert_eq!(names(&absent), if silent { "L4=1" } else { "" });
        let copy = *there.at(0, 4);
        there.append(1, copy);
        assert_eq!(names(&there), "D2=1");
    }
}

#[test]
fn o1_a_record_behind_a_later_one_of_its_key() {
    // Records 8 and 12 have key 0. Both were in flight together, so time says nothing.
    let mut run = Run::clean(20);
    run.sent(8).fate = Fate::Acked {
        at_ns: COUNTED + 1_300 * MS,
        partition: 0,
        offset: 6,
    };
    run.sent(12).fate = Fate::Acked {
        at_ns: COUNTED + 1_300 * MS,
        partition: 0,
        offset: 4,
    };
    run.sent(10).fate = Fate::Acked {
        at_ns: COUNTED + 1_300 * MS,
        partition: 0,
        offset: 5,
    };
    let (first, second) = (*run.sent(8), *run.sent(12));
    *run.at(0, 4) = stands(&second, 4);
    *run.at(0, 6) = stands(&first, 6);
    assert_eq!(names(&run), "O1=1");
}

#[test]
fn o1_without_keys_is_per_worker_and_partition() {
    let mut run = Run::keyless(20);
    for (index, offset) in [(8, 5), (10, 4)] {
        run.sent(index).fate = Fate::Acked {
            at_ns: COUNTED + 1_100 * MS,
            partition: 0,
            offset,
        };
        let sent = *run.sent(index);
        *run.at(0, offset) = stands(&sent, offset);
    }
    assert_eq!(names(&run), "O1=1");
}

#[test]
fn o2_the_same_inside_one_batch() {
    let mut run = Run::keyless(20);
    let mut records = Vec::new();
    for (index, offset) in [(10, 4), (8, 5)] {
        run.sent(index).fate = Fate::Acked {
            at_ns: COUNTED + 1_100 * MS,
            partition: 0,
            offset,
        };
        records.push(stands(run.sent(index), offset));
    }
    run.logs.get_mut(&0).unwrap().splice(4..6, [batch(records)]);
    assert_eq!(names(&run), "O2=1");
}

#[test]
fn o3_overtaken_by_a_record_sent_after_the_acknowledgement() {
    // Records 8 (key 0) and 10 (key 2) change places: different keys, but 8 was acknowledged before 10 was sent.
    let mut run = Run::clean(20);
    for (index, offset) in [(8, 5), (10, 4)] {
        let sent = run.sent(index);
        sent.fate = Fate::Acked {
            at_ns: sent.sent_ns + 2 * MS,
            partition: 0,
            offset,
        };
        let sent = *sent;
        *run.at(0, offset) = stands(&sent, offset);
    }
    assert_eq!(names(&run), "O3=1");
}

#[test]
fn o7_one_key_in_two_partitions() {
    let mut run = Run::clean(20);
    // The last record of key 0 goes to partition 1.
    let record = run.remove(0, 8);
    let offset = run.append(1, record);
    let sent = run.sent(16);
    sent.fate = Fate::Acked {
        at_ns: COUNTED + 5_000 * MS,
        partition: 1,
        offset,
    };
    run.at(0, 9).offset = 9;
    assert_eq!(names(&run), "O7=1");
}

#[test]
fn i1_two_acknowledgements_claim_one_place() {
    // The log has both, at one offset: whoever reads it twice may get either.
    let mut run = Run::clean(20);
    let sent = run.sent(10);
    sent.fate = Fate::Acked {
        at_ns: sent.sent_ns + 2 * MS,
        partition: 0,
        offset: 4,
    };
    run.at(0, 5).offset = 4;
    assert_eq!(names(&run), "I1=1");
}

#[test]
fn i1_an_offset_that_comes_twice() {
    let mut run = Run::clean(20);
    for index in [8, 10] {
        run.sent(index).fate = Fate::Unknown {
            at_ns: COUNTED + 2_000 * MS,
        };
    }
    run.at(0, 5).offset = 4;
    assert_eq!(names(&run), "I1=1");
}

#[test]
fn i2_a_record_is_not_as_it_was_sent() {
    let mut run = Run::clean(20);
    run.at(0, 4).intact = false;
    run.at(1, 9).intact = false;
    assert_eq!(names(&run), "I2=2");
}

#[test]
fn i2_also_when_the_id_was_hit_and_nobody_is_taken_for_somebody_else() {
    for id in [None, Some(RecordId::new(0, 12)), Some(RecordId::new(9, 1 << 40))] {
        let mut run = Run::clean(20);
        let record = run.at(0, 4);
        (record.intact, record.id) = (false, id);
        assert_eq!(names(&run), "I2=1", "{id:?}");
    }
}

#[test]
fn i3_a_record_that_nobody_sent() {
    for (id, intact) in [
        (None, false),
        (Some(RecordId::new(0, 99)), true),
        (Some(RecordId::new(5, 0)), true),
    ] {
        let mut run = Run::clean(20);
        run.append(
            0,
            LogRecord {
                offset: 0,
                id,
                sequence: 0,
                key: Some(0),
                intact,
                timestamp_ms: 0,
            },
        );
        assert_eq!(names(&run), "I3=1", "{id:?}");
    }
}

#[test]
fn i4_the_record_stands_elsewhere_than_acknowledged() {
    let mut run = Run::clean(20);
    let sent = run.sent(18);
    sent.fate = Fate::Acked {
        at_ns: sent.sent_ns + 2 * MS,
        partition: 0,
        offset: 12,
    };
    assert_eq!(names(&run), "I4=1");
}

#[test]
fn i4_acknowledged_without_a_place() {
    let mut run = Run::clean(20);
    let sent = run.sent(18);
    sent.fate = Fate::Acked {
        at_ns: sent.sent_ns + 2 * MS,
        partition: 0,
        offset: -1,
    };
    assert_eq!(names(&run), "I4=1");
}

#[test]
fn control_records_and_gaps_are_no_holes() {
    let mut run = Run::clean(20);
    let mut marker = batch(vec![LogRecord {
        offset: 10,
        id: None,
        sequence: 0,
        key: None,
        intact: false,
        timestamp_ms: 0,
    }]);
    marker.control = true;
    run.logs.get_mut(&0).unwrap().push(marker);
    run.at(1, 9).offset = 17;
    let sent = run.sent(19);
    sent.fate = Fate::Acked {
        at_ns: sent.sent_ns + 2 * MS,
        partition: 1,
        offset: 17,
    };
    run.seal_logs();
    assert_eq!(names(&run), "");
    assert_eq!(run.judge().unwrap().verdict.records.read, 20);
}

#[test]
fn limits_allow_what_they_say() {
    let mut run = Run::clean(20);
    let copy = *run.at(0, 4);
    run.append(0, copy);
    run.expectations.claims[1].limit = 1;
    let verdict = run.judge().unwrap().verdict;
    assert_eq!((verdict.exit_code, verdict.claims[1].observed), (EXIT_PASS, 1));
}
