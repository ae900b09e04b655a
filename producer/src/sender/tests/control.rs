//! Who we are and where the cluster is: producer ids, epochs that run out, a cluster that moved, topics out of use.

use super::rules::{all_acked, one_by_one, outcomes, pipelined, record};
use super::script::{Fault, MS};
use super::{TOPIC, append, check, sender};
use crate::error::AppendError;
use crate::record::Outcome;

#[test]
fn a1_a_start_is_a_producer_of_its_own_that_fences_nobody_and_remembers_nothing() {
    let mut script = pipelined(&[]);
    let mut second = sender(&[("request.timeout.ms", "2000".to_owned())], 2);
    second.topic(TOPIC);
    let first = script.replace_sender(second);
    script.run_for(1000 * MS);
    one_by_one(&mut script, 1, 2);
    script.run_for(10 * MS);
    for asked in &script.asked.identities {
        assert_eq!(
            asked.transactional_id, None,
            "an id would be fenced by its next owner"
        );
        assert_eq!(
            (asked.producer_id.0, asked.producer_epoch),
            (-1, -1),
            "nobody goes on from here"
        );
    }
    let stamps: Vec<_> = script.logs[0].entries.iter().map(|entry| entry.stamp).collect();
    assert_eq!(stamps.len(), 3);
    assert_ne!(stamps[0].producer_id, stamps[1].producer_id);
    assert_eq!((stamps[1].epoch, stamps[1].base_sequence), (0, 0));
    // The first one is still there: its connections are gone, its id is not.
    script.replace_sender(first);
    one_by_one(&mut script, 3, 1);
    script.run_for(10_000 * MS);
    let last = script.logs[0].entries.last().unwrap().stamp;
    assert_eq!((last.producer_id, last.base_sequence), (stamps[0].producer_id, 1));
    all_acked(&mut script, 4);
}

#[test]
fn a14_after_the_last_epoch_comes_a_fresh_id() {
    let properties = super::rules::PIPELINED.map(|(name, value)| (name, value.to_owned()));
    let mut script = super::script(&properties, 2, 2, 1);
    script.next_epoch = i16::MAX;
    script.run_for(1000 * MS);
    append(&mut script, 0, 0, 1);
    append(&mut script, 1, 100, 1);
    script.run_for(10 * MS);
    // The other partition has a batch that is surely not written: its broker says that nobody leads it, and nobody says who
    // will.
    script.topic_hidden = true;
    (script.logs[1].leader, script.logs[1].not_leader) = (0, 5);
    append(&mut script, 1, 101, 1);
    script.run_for(900 * MS); // now its backoff is long enough not to meet the faults below
    // As in A14's own test: the numbers of a lost batch behind a rejected one must be left behind.
    script.faults.push_back(Fault::Refuse { which: 0, code: 19 });
    script.faults.push_back(Fault::CutBefore);
    one_by_one(&mut script, 1, 2);
    script.faults.push_back(Fault::Refuse { which: 0, code: 87 });
    script.run_for(5000 * MS);
    script.logs[1].leader = 1;
    script.topic_hidden = false;
    one_by_one(&mut script, 3, 1);
    script.run_for(10_000 * MS);
    assert_eq!(script.asked.identities.len(), 2);
    for log in &script.logs {
        let old = log.entries[0].stamp;
        assert_eq!(old.epoch, i16::MAX);
        let new: Vec<_> = log.entries[1..].iter().map(|entry| entry.stamp).collect();
        assert!(!new.is_empty());
        for (n, stamp) in new.iter().enumerate() {
            assert_ne!(stamp.producer_id, old.producer_id);
            assert_eq!(
                (stamp.epoch, stamp.base_sequence),
                (0, n as i32),
                "numbers from 0, on every partition"
            );
        }
    }
    assert_eq!(outcomes(&script, Outcome::NotWritten), 1);
    assert_eq!(outcomes(&script, Outcome::Acked), 5);
    check(&mut script);
}

#[test]
fn a_cluster_that_moved_as_a_whole_is_found_again_through_the_bootstrap_servers() {
    let mut script = pipelined(&[]);
    // KIP-899: every known address is dead, the bootstrap name leads to the new ones.
    script.first_port = 9100;
    for node in 0..2 {
        script.restart(node, 1);
    }
    append(&mut script, 0, 1, 3);
    script.run_for(10_000 * MS);
    all_acked(&mut script, 4);
}

#[test]
fn a_topic_out_of_use_is_not_asked_for_and_comes_back_with_its_numbers() {
    let mut script = pipelined(&[("metadata.max.idle.ms", "5000"), ("metadata.max.age.ms", "1000")]);
    script.run_for(4000 * MS);
    let while_used = script.asked.metadata.len();
    assert!(while_used >= 4, "once a second");
    script.run_for(60_000 * MS);
    assert!(
        script.asked.metadata.len() <= while_used + 3,
        "{:?}",
        script.asked.metadata
    );
    let asked = script.asked.metadata.len();
    // What is known of it is too old to choose a partition by.
    let pending = script.sender.append(&record(b"x"), 1, script.now_ns);
    assert_eq!(pending, Err(AppendError::MetadataPending));
    script.run_for(100 * MS);
    assert_eq!(script.asked.metadata[asked..], [1]);
    append(&mut script, 0, 1, 1);
    script.run_for(100 * MS);
    assert_eq!(script.logs[0].entries[1].stamp.base_sequence, 1, "A15");
    all_acked(&mut script, 2);
}

#[test]
fn a_topic_whose_records_wait_is_in_use() {
    let mut script = pipelined(&[("metadata.max.idle.ms", "5000"), ("metadata.max.age.ms", "1000")]);
    script.restart(0, 20_000);
    append(&mut script, 0, 1, 1);
    script.run_for(15_000 * MS);
    let asked = script.asked.metadata.len();
    script.run_for(3000 * MS);
    assert!(script.asked.metadata.len() > asked);
    script.run_for(10_000 * MS);
    all_acked(&mut script, 2);
}
