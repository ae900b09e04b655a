//! UNKNOWN, and then refused for good (A8, A11 to A14): proven by a later batch, or UNKNOWN for its caller; either way
//! the partition goes on, and nothing is doubled.

use super::rules::{all_acked, one_by_one, outcomes, pipelined};
use super::script::{Fault, MS, Script};
use super::{append, check, script};
use crate::error::AppendError;
use crate::record::Outcome;

const TOO_LARGE: Fault = Fault::Refuse { which: 0, code: 10 };
const INVALID: Fault = Fault::Refuse { which: 0, code: 87 };

fn last_stamp(script: &Script) -> (i16, i32) {
    let stamp = script.logs[0].entries.last().unwrap().stamp;
    (stamp.epoch, stamp.base_sequence)
}

#[test]
fn a12_a_later_batch_proves_that_it_was_written() {
    let mut script = pipelined(&[]);
    // Both are in the log and nobody said so; then the first is found too large, as after a change of the topic.
    script.faults.extend([Fault::Silent, Fault::Silent, TOO_LARGE]);
    one_by_one(&mut script, 1, 2);
    script.run_for(10_000 * MS);
    assert_eq!(script.sender.metrics().epoch_bump_total, 0);
    all_acked(&mut script, 3);
}

#[test]
fn a12_the_batch_that_proves_it_may_be_any_behind_it() {
    let mut script = pipelined(&[]);
    // Three are in the log, the fourth is not. Refused: the first, and the probe of the third, once each.
    script
        .faults
        .extend([Fault::Silent, Fault::Silent, Fault::Silent, Fault::CutBefore]);
    script.faults.extend([TOO_LARGE, Fault::None, INVALID]);
    one_by_one(&mut script, 1, 4);
    script.run_for(10_000 * MS);
    assert_eq!(script.sender.metrics().epoch_bump_total, 0);
    all_acked(&mut script, 5);
}

#[test]
fn a14_what_nothing_can_prove_stays_unknown_and_the_partition_goes_on_in_a_new_epoch() {
    // In the log, and not.
    for (fault, entries) in [(Fault::CutAfter, 3), (Fault::CutBefore, 2)] {
        let mut script = pipelined(&[]);
        script.faults.extend([fault, TOO_LARGE]);
        one_by_one(&mut script, 1, 1);
        script.run_for(3000 * MS);
        assert_eq!(script.outcomes[&1].0, Outcome::Unknown, "{fault:?}");
        assert_eq!(script.outcomes[&1].3, 10);
        one_by_one(&mut script, 2, 1);
        script.run_for(3000 * MS);
        assert_eq!(script.sender.metrics().partitions_stopped_total, 0);
        assert_eq!(script.sender.metrics().epoch_bump_total, 1);
        assert_eq!(script.logs[0].entries.len(), entries, "sent again by nobody");
        assert_eq!(
            last_stamp(&script),
            (1, 0),
            "the next epoch keeps late copies out"
        );
        assert_eq!(outcomes(&script, Outcome::Acked), 2);
        check(&mut script);
    }
}

#[test]
fn a14_a_late_copy_finds_the_door_shut() {
    let mut script = pipelined(&[]);
    script.faults.extend([Fault::Late { ms: 4000 }, INVALID]);
    one_by_one(&mut script, 1, 1);
    script.run_for(2000 * MS);
    one_by_one(&mut script, 2, 2);
    script.run_for(10_000 * MS);
    assert_eq!(script.outcomes[&1].0, Outcome::Unknown);
    assert_eq!(script.logs[0].entries.len(), 3, "the late one was refused");
    assert_eq!(outcomes(&script, Outcome::Acked), 3);
    check(&mut script);
}

#[test]
fn a14_batches_behind_it_that_were_not_written_are_stamped_anew_and_keep_their_order() {
    let mut script = pipelined(&[]);
    // The first is lost; those behind it arrive on a new connection and are out of order each time.
    script.faults.push_back(Fault::CutBefore);
    one_by_one(&mut script, 1, 3);
    script.faults.push_back(INVALID);
    script.run_for(10_000 * MS);
    assert_eq!(script.outcomes[&1].0, Outcome::Unknown);
    assert_eq!(script.sender.metrics().partitions_stopped_total, 0);
    check(&mut script);
}

#[test]
fn a13_behind_a_gap_it_is_known_not_to_be_written() {
    let mut script = pipelined(&[]);
    // Not now; lost. Then both are refused for good, the first one definitely not written.
    script.faults.extend([
        Fault::Refuse { which: 0, code: 19 },
        Fault::CutBefore,
        INVALID,
        INVALID,
    ]);
    one_by_one(&mut script, 1, 2);
    script.run_for(5000 * MS);
    assert_eq!(outcomes(&script, Outcome::NotWritten), 2, "{:?}", script.outcomes);
    one_by_one(&mut script, 3, 1);
    script.run_for(5000 * MS);
    assert_eq!(
        last_stamp(&script),
        (1, 0),
        "a late copy may still bear the old numbers"
    );
    assert_eq!(outcomes(&script, Outcome::Acked), 2);
    check(&mut script);
}

/// The last epoch of an id cannot be followed by one that keeps late copies out.
#[test]
fn a14_without_a_next_epoch_it_stops_its_partition() {
    let properties = super::rules::PIPELINED.map(|(name, value)| (name, value.to_owned()));
    let mut script = script(&properties, 1, 1, 1);
    script.next_epoch = i16::MAX;
    script.run_for(1000 * MS);
    append(&mut script, 0, 0, 1);
    script.run_for(10 * MS);
    script.faults.extend([Fault::CutAfter, INVALID]);
    one_by_one(&mut script, 1, 1);
    script.run_for(3000 * MS);
    assert_eq!(
        (script.outcomes[&1].0, script.outcomes[&1].3),
        (Outcome::Unknown, 87)
    );
    assert_eq!(script.sender.metrics().partitions_stopped_total, 1);
    let refused = script
        .sender
        .append(&super::rules::record(b"x"), 9, script.now_ns);
    assert_eq!(refused, Err(AppendError::PartitionStopped { code: 87 }));
    check(&mut script);
}
