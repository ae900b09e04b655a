//! Records that a broker forgets its producer by: dated long ago, or waiting since then (A5, A8, A11).
//!
//! The log of these tests forgets a producer at the very moment that Kafka may.

use super::rules::{all_acked, one_by_one, outcomes, pipelined, record};
use super::script::{Fault, MS, Script};
use super::transactions::{BOTH, begin, commit, transactional, visible};
use super::{append, append_dated, check};
use crate::error::AppendError;
use crate::record::{Outcome, Record};
use crate::sender::forgetting::{FORGOTTEN, KNOWN_MS};
use crate::transaction::TransactionEvent;

const HOUR_MS: i64 = 3600 * 1000;
const TWO_DAYS_MS: i64 = 48 * HOUR_MS;
/// A week for each record, and a minute between two connections.
const PATIENT: [(&str, &str); 2] = [
    ("delivery.timeout.ms", "604800000"),
    ("reconnect.backoff.max.ms", "60000"),
];

fn hours(hours: i64) -> u64 {
    (hours * HOUR_MS) as u64 * MS
}

/// Nobody reaches the broker for so long.
fn down(script: &mut Script, ms: i64) {
    script.restart(0, ms as u64);
    script.run_for((ms as u64 + 100_000) * MS);
}

#[test]
fn an_old_record_is_refused_at_the_door() {
    let mut script = pipelined(&[]);
    let oldest_ms = script.wall_ms() - KNOWN_MS;
    for timestamp_ms in [-1, 0, oldest_ms - 1000] {
        let old = Record {
            timestamp_ms,
            ..record(b"x")
        };
        let refused = script.sender.append(&old, 1, script.now_ns);
        assert_eq!(refused, Err(AppendError::TooOld { timestamp_ms }));
        assert!(!AppendError::TooOld { timestamp_ms }.is_retriable());
    }
    append_dated(&mut script, 0, 1, 1, oldest_ms);
    script.run_for(10 * MS);
    all_acked(&mut script, 2);
}

/// As measured on Kafka 4.1.0: the batch is in the log, its producer is not known, and sent again it would be there twice.
#[test]
fn what_may_be_written_and_has_waited_too_long_is_unknown_and_not_sent_again() {
    for waited_ms in [KNOWN_MS - HOUR_MS, KNOWN_MS + HOUR_MS, TWO_DAYS_MS] {
        for age_ms in [0, -TWO_DAYS_MS] {
            // A date in the future proves nothing: its topic may keep the time of the append.
            let mut script = pipelined(&PATIENT);
            let dated_ms = script.wall_ms() - age_ms;
            append_dated(&mut script, 0, 1, 1, dated_ms);
            script.faults.push_back(Fault::CutAfter);
            script.run_for(1);
            down(&mut script, waited_ms);
            let given_up = waited_ms > KNOWN_MS;
            let told = if given_up {
                (Outcome::Unknown, FORGOTTEN)
            } else {
                (Outcome::Acked, 0)
            };
            let (outcome, _, _, code) = script.outcomes[&1];
            assert_eq!((outcome, code), told, "{waited_ms} ms");
            assert_eq!(
                script.sender.metrics().epoch_bump_total,
                u64::from(given_up),
                "A14"
            );
            one_by_one(&mut script, 2, 3);
            script.run_for(10 * MS);
            assert_eq!(
                outcomes(&script, Outcome::Acked),
                4 + usize::from(!given_up),
                "the partition goes on"
            );
            let written: usize = script.logs[0].entries.iter().map(|entry| entry.ids.len()).sum();
            assert_eq!(written, 5, "each once");
            check(&mut script);
        }
    }
}

#[test]
fn every_code_after_which_nobody_knows_counts_from_the_first_sending() {
    for code in [7, 20, 56, -1, 6, 3] {
        let mut script = pipelined(&PATIENT);
        script.faults.push_back(Fault::WriteThen { which: 0, code });
        script.faults.push_back(Fault::CutBefore);
        append(&mut script, 0, 1, 1);
        script.run_for(200 * MS);
        down(&mut script, TWO_DAYS_MS);
        assert_eq!(script.outcomes[&1].0, Outcome::Unknown, "{code}");
        assert_eq!(script.outcomes[&1].3, FORGOTTEN, "{code}");
        check(&mut script);
    }
}

#[test]
fn what_was_never_written_and_has_waited_too_long_is_not_written() {
    let mut script = pipelined(&PATIENT);
    // One was refused, the others never left.
    script.faults.push_back(Fault::Refuse { which: 0, code: 19 });
    append(&mut script, 0, 1, 1);
    script.run_for(MS);
    append(&mut script, 0, 2, 30);
    down(&mut script, TWO_DAYS_MS);
    for id in 1..32 {
        assert_eq!(script.outcomes[&id].0, Outcome::NotWritten);
        assert_eq!(script.outcomes[&id].3, FORGOTTEN);
    }
    append(&mut script, 0, 32, 2);
    script.run_for(10 * MS);
    assert_eq!(outcomes(&script, Outcome::Acked), 3, "the partition goes on");
    assert_eq!(script.sender.metrics().epoch_bump_total, 0);
    check(&mut script);
}

/// A broker that has forgotten us takes any number: the second would be taken for proof of the first.
#[test]
fn a5_once_the_last_one_is_old_nothing_counts_on_the_broker_to_refuse_a_gap() {
    for (age_hours, idle_hours) in [(0, 25), (11, 14), (11, 2)] {
        // Neither the topic nor the connection is given up meanwhile.
        let kept = [
            ("metadata.max.idle.ms", "604800000"),
            ("connections.max.idle.ms", "-1"),
        ];
        let mut script = pipelined(&kept);
        let dated_ms = script.wall_ms() - age_hours * HOUR_MS;
        append_dated(&mut script, 0, 1, 1, dated_ms);
        script.run_for(hours(idle_hours));
        script.requests.clear();
        script.faults.push_back(Fault::Refuse { which: 0, code: 6 });
        one_by_one(&mut script, 2, 3);
        assert_eq!(script.requests.len(), 1, "it travels alone");
        script.run_for(10_000 * MS);
        all_acked(&mut script, 5);
    }
}

#[test]
fn within_a_transaction_old_records_are_as_good_as_new_ones() {
    for level in BOTH {
        let mut script = transactional(level, &[]);
        begin(&mut script);
        script
            .faults
            .extend([Fault::CutAfter, Fault::None, Fault::Silent]);
        for id in 0..4 {
            let long_ago_ms = script.wall_ms() - TWO_DAYS_MS;
            append_dated(&mut script, 0, id, 1, long_ago_ms);
            script.run_for(MS);
        }
        commit(&mut script);
        script.run_for(20_000 * MS);
        assert_eq!(script.events, [TransactionEvent::Committed { transaction: 1 }]);
        assert_eq!(visible(&script), [0, 1, 2, 3]);
    }
}
