//! One test per rule of the contract, each failing when the rule is dropped.

use super::script::{Fault, MS, START_MS, Script};
use super::{append, check, script};
use crate::error::AppendError;
use crate::record::{Outcome, Record, TopicHandle};

pub(super) const PIPELINED: [(&str, &str); 4] = [
    ("max.in.flight.requests.per.connection", "5"),
    ("request.timeout.ms", "2000"),
    ("delivery.timeout.ms", "60000"),
    ("batch.size", "200"),
];

/// Two nodes, one partition, five requests in flight, one record acked already.
pub(super) fn pipelined(more: &[(&str, &str)]) -> Script {
    let mut properties: Vec<(&str, String)> = PIPELINED.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
    properties.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
    properties.extend(more.iter().map(|(k, v)| (*k, (*v).to_owned())));
    let mut script = script(&properties, 2, 1, 1);
    script.run_for(1000 * MS);
    assert!(script.sender.is_ready(), "{}", script.sender.not_ready_reason());
    append(&mut script, 0, 0, 1);
    script.run_for(10 * MS);
    assert_eq!(outcomes(&script, Outcome::Acked), 1);
    script.requests.clear();
    script
}

/// Appends single records, each in a request of its own as long as slots are free.
pub(super) fn one_by_one(script: &mut Script, first: u64, count: u64) {
    for id in first..first + count {
        append(script, 0, id, 1);
        script.run_for(1);
    }
}

pub(super) fn outcomes(script: &Script, outcome: Outcome) -> usize {
    script
        .outcomes
        .values()
        .filter(|entry| entry.0 == outcome)
        .count()
}

pub(super) fn all_acked(script: &mut Script, count: usize) {
    assert_eq!(outcomes(script, Outcome::Acked), count, "{:?}", script.outcomes);
    check(script);
}

/// The way of "Done when": connect, ack, cut connection, retry, close, by events alone.
#[test]
fn connects_acks_survives_a_cut_and_closes_in_virtual_time() {
    let mut script = pipelined(&[]);
    script.faults.push_back(Fault::CutAfter);
    append(&mut script, 0, 1, 10);
    script.run_for(5000 * MS);
    assert_eq!(script.sender.metrics().record_retry_total, 10);
    all_acked(&mut script, 11);
    let refused = script.sender.append(&record(b"late"), 99, script.now_ns);
    assert_eq!(refused, Err(AppendError::Closed));
}

#[test]
fn a2_a_sequence_is_given_when_a_batch_is_first_sent() {
    let mut script = pipelined(&[("delivery.timeout.ms", "3000")]);
    // Nobody answers, connects or leads for longer than the delivery timeout.
    script.restart(0, 4000);
    script.run_for(10 * MS);
    append(&mut script, 0, 1, 5);
    script.run_for(3500 * MS);
    assert_eq!(
        outcomes(&script, Outcome::NotWritten),
        5,
        "never sent, so NOT_WRITTEN at the deadline"
    );
    append(&mut script, 0, 6, 1);
    script.run_for(5000 * MS);
    assert_eq!(
        script.logs[0].entries.last().unwrap().stamp.base_sequence,
        1,
        "the five had no numbers"
    );
    assert_eq!(outcomes(&script, Outcome::Acked), 2);
    check(&mut script);
}

#[test]
fn a5_the_first_batch_of_an_epoch_travels_alone() {
    let properties: Vec<(&str, String)> = PIPELINED.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
    let mut script = script(&properties, 1, 1, 1);
    script.run_for(1000 * MS);
    append(&mut script, 0, 0, 100);
    script.run_for(1);
    assert_eq!(script.requests.len(), 1);
    script.run_for(MS);
    assert!(script.requests.len() > 3, "then up to five at once");
    script.run_for(100 * MS);
    all_acked(&mut script, 100);
}

#[test]
fn a6_nothing_goes_to_a_new_leader_while_the_old_one_owes_an_answer() {
    let mut script = pipelined(&[]);
    script.faults.push_back(Fault::Silent);
    one_by_one(&mut script, 1, 1);
    script.logs[0].move_leader(2, false);
    script.sender.control.want_metadata();
    script.run_for(500 * MS);
    one_by_one(&mut script, 2, 3);
    script.run_for(1000 * MS);
    assert!(
        script.requests.iter().all(|seen| seen.node == 0),
        "{:?}",
        script.requests
    );
    script.run_for(3000 * MS);
    assert!(script.requests.iter().any(|seen| seen.node == 1));
    all_acked(&mut script, 5);
}

#[test]
fn a7_unknown_stays_unknown_whatever_is_answered_later() {
    let mut script = pipelined(&[("delivery.timeout.ms", "4000")]);
    script.faults.push_back(Fault::WriteThen { which: 0, code: 7 });
    script.faults.extend([Fault::Refuse { which: 0, code: 19 }; 12]);
    append(&mut script, 0, 1, 3);
    script.run_for(6000 * MS);
    assert_eq!(outcomes(&script, Outcome::Unknown), 3);
    check(&mut script);
}

#[test]
fn a8_an_unknown_batch_is_resolved_after_its_deadline_and_its_numbers_are_not_given_again() {
    let mut script = pipelined(&[("delivery.timeout.ms", "3000")]);
    script.faults.extend([Fault::CutAfter; 7]);
    append(&mut script, 0, 1, 3);
    script.run_for(3500 * MS);
    assert_eq!(
        outcomes(&script, Outcome::Unknown),
        3,
        "told once, at the deadline"
    );
    append(&mut script, 0, 4, 2);
    script.run_for(20_000 * MS);
    assert_eq!(outcomes(&script, Outcome::Acked), 3);
    assert_eq!(
        script.logs[0].entries.len(),
        3,
        "written once, although the caller was told UNKNOWN"
    );
    check(&mut script);
}

#[test]
fn a9_out_of_order_behind_a_refused_head_waits_for_the_head() {
    let mut script = pipelined(&[]);
    script.faults.push_back(Fault::Refuse { which: 0, code: 19 });
    one_by_one(&mut script, 1, 4);
    script.run_for(3000 * MS);
    assert_eq!(script.sender.metrics().epoch_bump_total, 0);
    assert!(script.sender.metrics().batch_retry_total >= 4);
    all_acked(&mut script, 5);
}

#[test]
fn a10_a_broker_that_lost_acked_records_stops_the_partition() {
    let mut script = pipelined(&[]);
    append(&mut script, 0, 1, 3);
    script.run_for(10 * MS);
    script.logs[0].entries.truncate(1);
    one_by_one(&mut script, 4, 3);
    script.run_for(5000 * MS);
    assert_eq!(script.sender.metrics().partitions_stopped_total, 1);
    assert_eq!(
        script.logs[0].entries.len(),
        1,
        "nothing was written behind the hole"
    );
    let refused = script.sender.append(&record(b"x"), 9, script.now_ns);
    assert_eq!(refused, Err(AppendError::PartitionStopped { code: 45 }));
    assert_eq!(
        outcomes(&script, Outcome::NotWritten),
        3,
        "all were refused, each time"
    );
}

#[test]
fn a11_after_a_restart_that_kept_one_batch_the_newest_is_probed_first() {
    let mut script = pipelined(&[]);
    script.faults.extend([Fault::Silent; 5]);
    one_by_one(&mut script, 1, 5);
    script.restart(0, 1000);
    script.run_for(10_000 * MS);
    assert_eq!(script.sender.metrics().epoch_bump_total, 0);
    assert_eq!(script.logs[0].entries.len(), 6);
    all_acked(&mut script, 6);
}

#[test]
fn a11_a_probe_goes_down_to_what_the_broker_has_and_up_again() {
    let mut script = pipelined(&[]);
    // Two reach the log, three do not; then the broker forgets all but the last.
    script
        .faults
        .extend([Fault::Silent, Fault::Silent, Fault::CutBefore]);
    one_by_one(&mut script, 1, 5);
    script.logs[0].restart();
    script.run_for(20_000 * MS);
    all_acked(&mut script, 6);
}

#[test]
fn a12_a_batch_too_large_for_the_topic_is_split_and_keeps_its_numbers() {
    let mut script = pipelined(&[]);
    script.faults.push_back(Fault::Refuse { which: 0, code: 10 });
    append(&mut script, 0, 1, 5);
    script.run_for(3000 * MS);
    let sequences: Vec<i32> = script.logs[0]
        .entries
        .iter()
        .map(|entry| entry.stamp.base_sequence)
        .collect();
    assert!(sequences.len() >= 3 && sequences[1] == 1, "{sequences:?}");
    assert_eq!(script.sender.metrics().batch_split_total, 1);
    all_acked(&mut script, 6);
}

#[test]
fn a12_a_single_record_too_large_is_rejected_for_good() {
    let mut script = pipelined(&[]);
    script.faults.push_back(Fault::Refuse { which: 0, code: 10 });
    one_by_one(&mut script, 1, 2);
    script.run_for(3000 * MS);
    assert_eq!(script.outcomes[&1].0, Outcome::NotWritten);
    assert_eq!(script.outcomes[&1].3, 10);
    assert_eq!(script.outcomes[&2].0, Outcome::Acked);
    check(&mut script);
}

#[test]
fn a13_behind_a_rejected_batch_the_others_are_numbered_on() {
    let mut script = pipelined(&[]);
    script.faults.push_back(Fault::Refuse { which: 0, code: 87 });
    one_by_one(&mut script, 1, 4);
    script.run_for(3000 * MS);
    let sequences: Vec<i32> = script.logs[0]
        .entries
        .iter()
        .map(|entry| entry.stamp.base_sequence)
        .collect();
    assert_eq!(sequences, [0, 1, 2, 3]);
    assert_eq!(script.sender.metrics().epoch_bump_total, 0, "no bump is needed");
    assert_eq!(outcomes(&script, Outcome::NotWritten), 1);
    assert_eq!(outcomes(&script, Outcome::Acked), 4);
    check(&mut script);
}

#[test]
fn a13_the_numbers_of_a_rejected_batch_are_given_to_the_next() {
    let mut script = pipelined(&[]);
    script.faults.push_back(Fault::Refuse { which: 0, code: 87 });
    append(&mut script, 0, 1, 3);
    script.run_for(1000 * MS);
    append(&mut script, 0, 4, 2);
    script.run_for(1000 * MS);
    assert_eq!(script.logs[0].entries.last().unwrap().stamp.base_sequence, 1);
    assert_eq!(outcomes(&script, Outcome::NotWritten), 3);
    assert_eq!(outcomes(&script, Outcome::Acked), 3);
    check(&mut script);
}

#[test]
fn a14_numbers_that_a_late_copy_may_still_bear_are_left_behind_with_their_epoch() {
    let mut script = pipelined(&[]);
    // The first is refused for now, the second's connection is cut; then the first is rejected for good.
    let faults = [
        Fault::Refuse { which: 0, code: 19 },
        Fault::CutBefore,
        Fault::Refuse { which: 0, code: 87 },
    ];
    script.faults.extend(faults);
    one_by_one(&mut script, 1, 3);
    script.run_for(10_000 * MS);
    assert_eq!(script.sender.metrics().epoch_bump_total, 1);
    let last = script.logs[0].entries.last().unwrap().stamp;
    assert_eq!(
        (last.epoch, last.base_sequence),
        (1, 1),
        "a new epoch starts at 0"
    );
    assert_eq!(outcomes(&script, Outcome::Acked), 3);
    check(&mut script);
}

#[test]
fn a15_a_topic_that_is_missing_for_a_while_keeps_its_numbers() {
    let mut script = pipelined(&[]);
    append(&mut script, 0, 1, 3);
    script.run_for(10 * MS);
    script.topic_hidden = true;
    script.restart(0, 500);
    script.run_for(2000 * MS);
    append(&mut script, 0, 4, 2);
    script.run_for(1000 * MS);
    script.topic_hidden = false;
    script.run_for(5000 * MS);
    assert_eq!(script.logs[0].entries.last().unwrap().stamp.base_sequence, 4);
    all_acked(&mut script, 6);
}

#[test]
fn a15_a_topic_made_again_starts_with_numbers_of_its_own() {
    let mut script = pipelined(&[]);
    append(&mut script, 0, 1, 3);
    script.run_for(10 * MS);
    script.topic_id = 8;
    script.logs[0].entries.clear();
    append(&mut script, 0, 4, 2);
    script.run_for(5000 * MS);
    assert_eq!(script.logs[0].entries[0].stamp.base_sequence, 0);
    assert_eq!(outcomes(&script, Outcome::Acked), 6);
}

/// An answer that speaks of the old topic's number 0 says nothing of the new one's: found by simulation, where it
/// acknowledged a record that was never written.
#[test]
fn a15_an_answer_from_before_the_topic_was_made_again_is_not_for_the_same_number_now() {
    for version in [9, 13] {
        let mut properties: Vec<(&str, String)> =
            PIPELINED.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
        properties.push(("metadata.max.age.ms", "300".to_owned()));
        let mut script = script(&properties, 2, 1, 1);
        script.newest_produce = version;
        script.run_for(1000 * MS);
        script.faults.push_back(Fault::Slow { ms: 1500 });
        append(&mut script, 0, 0, 1);
        script.run_for(100 * MS);
        script.topic_id = 8;
        script.logs[0].entries.clear();
        script.run_for(600 * MS);
        assert_eq!(
            outcomes(&script, Outcome::Unknown),
            1,
            "v{version}: the old one is in doubt"
        );
        script.faults.extend([Fault::Refuse { which: 0, code: 19 }; 8]);
        append(&mut script, 0, 1, 1);
        script.run_for(1000 * MS);
        assert_eq!(
            outcomes(&script, Outcome::Acked),
            0,
            "v{version}: nothing is written yet"
        );
        script.faults.clear();
        script.run_for(5000 * MS);
        assert_eq!(outcomes(&script, Outcome::Acked), 1, "v{version}");
        assert_eq!(script.logs[0].entries.len(), 1, "v{version}");
    }
}

/// By name, a batch may come into the new topic before we hear of it; its number must not be given again.
#[test]
fn a15_numbers_that_the_new_topic_may_have_are_not_given_again() {
    let mut properties: Vec<(&str, String)> = PIPELINED.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
    properties.push(("metadata.max.age.ms", "300".to_owned()));
    let mut script = script(&properties, 2, 1, 1);
    script.newest_produce = 9;
    script.run_for(1000 * MS);
    script.topic_id = 8;
    append(&mut script, 0, 0, 1);
    script.run_for(10 * MS);
    assert_eq!(outcomes(&script, Outcome::Acked), 1);
    script.run_for(600 * MS);
    append(&mut script, 0, 1, 1);
    script.run_for(5000 * MS);
    assert_eq!(outcomes(&script, Outcome::Acked), 2);
    let stamps: Vec<(i16, i32)> = script.logs[0]
        .entries
        .iter()
        .map(|entry| (entry.stamp.epoch, entry.stamp.base_sequence))
        .collect();
    assert_eq!(stamps, [(0, 0), (1, 0)]);
}

#[test]
fn a16_an_answer_that_was_not_asked_for_closes_the_connection() {
    let mut script = pipelined(&[]);
    script.faults.push_back(Fault::Garbage);
    one_by_one(&mut script, 1, 3);
    let connections = script.sender.metrics().connection_creation_total;
    script.run_for(3000 * MS);
    assert_eq!(script.sender.metrics().connection_creation_total, connections + 1);
    all_acked(&mut script, 4);
}

#[test]
fn a17_a_throttled_connection_is_left_alone_that_long() {
    let mut script = pipelined(&[]);
    script.faults.push_back(Fault::Throttle { ms: 300 });
    append(&mut script, 0, 1, 1);
    script.run_for(MS);
    append(&mut script, 0, 2, 1);
    script.run_for(1000 * MS);
    let gap_ns = script.requests[1].at_ns - script.requests[0].at_ns;
    assert!((300 * MS..301 * MS).contains(&gap_ns), "{gap_ns}");
    assert_eq!(script.sender.metrics().produce_throttle_time_ms_max, 300);
    all_acked(&mut script, 3);
}

#[test]
fn a18_retries_back_off_and_double() {
    let mut script = pipelined(&[]);
    script.faults.extend([Fault::Refuse { which: 0, code: 19 }; 3]);
    append(&mut script, 0, 1, 1);
    script.run_for(3000 * MS);
    let at: Vec<u64> = script.requests.iter().map(|seen| seen.at_ns).collect();
    for (n, plain_ms) in [100, 200, 400].into_iter().enumerate() {
        let waited = at[n + 1] - at[n];
        assert!(
            (plain_ms * MS * 8 / 10..plain_ms * MS * 13 / 10).contains(&waited),
            "{n}: {waited}"
        );
    }
    all_acked(&mut script, 2);
}

#[test]
fn a19_a_newer_leader_named_in_the_answer_is_followed_at_once_and_only_once() {
    let mut script = pipelined(&[]);
    script.faults.push_back(Fault::Move { lose_tail: false });
    append(&mut script, 0, 1, 1);
    script.run_for(5 * MS);
    assert_eq!(script.requests.len(), 2, "no backoff");
    assert_eq!(script.requests[1].node, 1);
    all_acked(&mut script, 2);
    let (before, after) = (script.known_as[&0], script.known_as[&1]);
    assert_eq!((before.0, after.0), (0, 1), "told with the node that answered");

    let mut script = pipelined(&[]);
    script.newest_produce = 9; // no hints before v10
    script.restart(0, 1);
    script.run_for(1000 * MS);
    append(&mut script, 0, 1, 1);
    script.run_for(1000 * MS);
    script.faults.push_back(Fault::Move { lose_tail: false });
    append(&mut script, 0, 2, 1);
    script.run_for(50 * MS);
    assert_eq!(
        outcomes(&script, Outcome::Acked),
        2,
        "metadata and a backoff first"
    );
    script.run_for(1000 * MS);
    all_acked(&mut script, 3);
}

#[test]
fn a20_durability_is_looked_up() {
    let script = pipelined(&[]);
    let topic = script.sender.durability().next().unwrap();
    assert_eq!(
        (topic.replication_factor, topic.min_insync_replicas),
        (Some(2), Some(1))
    );
    assert_eq!(topic.unclean_leader_election, None);
    assert_eq!(topic.warnings().len(), 3);
}

pub(super) fn record(value: &[u8]) -> Record<'_> {
    Record {
        topic: TopicHandle(0),
        partition: Some(0),
        key: None,
        value: Some(value),
        headers: &[],
        timestamp_ms: START_MS,
    }
}
