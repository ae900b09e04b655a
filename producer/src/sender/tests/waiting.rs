//! Rules B8 to B13: markers in progress, coordinators that move, offsets, epochs that run out, what comes late.

use std::collections::BTreeSet;

use kafka_protocol::messages::ApiKey;

use super::append;
use super::coordinator::Trouble;
use super::questions::GROUP;
use super::script::{Fault, MS, Script};
use super::transactions::{BOTH, abort, asked, begin, commit, transactional, untouched, visible, whole};
use crate::error::AppendError;
use crate::transaction::GroupOffset;
use crate::transaction::TransactionEvent::{Aborted, Committed};

const SECOND: u64 = 1000 * MS;

fn offsets(offset: i64) -> Vec<GroupOffset> {
    vec![GroupOffset {
        topic: "source".to_owned(),
        partition: 4,
        offset,
    }]
}

#[test]
fn b8_markers_in_progress_are_waited_for_in_short_steps() {
    for level in BOTH {
        let mut script = transactional(level, &[]);
        begin(&mut script);
        append(&mut script, 0, 0, 3);
        commit(&mut script);
        script.coordinator.markers_ns = 90 * MS;
        script.run_for(5 * MS);
        assert_eq!(script.events.pop(), Some(Committed { transaction: 1 }));
        script.requests.clear();
        begin(&mut script);
        append(&mut script, 0, 3, 3);
        commit(&mut script);
        script.run_for(5 * SECOND);
        assert_eq!(script.events.pop(), Some(Committed { transaction: 2 }));
        let at_ns: Vec<u64> = match level {
            2 => script.requests.iter().map(|seen| seen.at_ns).collect(),
            _ => asked(&script, ApiKey::AddPartitionsToTxn)[1..]
                .iter()
                .map(|q| q.at_ns)
                .collect(),
        };
        assert!((4..8).contains(&at_ns.len()), "{at_ns:?}");
        let steps = at_ns.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(
            steps.into_iter().all(|step| (20 * MS..22 * MS).contains(&step)),
            "{at_ns:?}"
        );
    }
}

#[test]
fn b8_the_transactions_own_time_bounds_the_waiting() {
    for level in BOTH {
        let mut script = transactional(level, &[("transaction.timeout.ms", "3000"), ("retries", "5")]);
        begin(&mut script);
        append(&mut script, 0, 0, 3);
        commit(&mut script);
        script.coordinator.markers_ns = 60 * SECOND;
        script.run_for(5 * MS);
        script.events.clear();
        begin(&mut script);
        append(&mut script, 0, 3, 3);
        commit(&mut script);
        script.run_for(2900 * MS);
        assert!(
            script.events.is_empty(),
            "not a failure before: {:?}",
            script.events
        );
        script.run_for(80 * SECOND);
        assert_eq!(
            script.events,
            [Aborted {
                transaction: 2,
                code: 51
            }],
            "level {level}"
        );
        assert_eq!(visible(&script), [0, 1, 2]);
    }
}

#[test]
fn b9_not_enough_replicas_may_hide_the_coordinator_and_is_sent_again() {
    for code in [19, 14, 15, 16] {
        let mut script = transactional(2, &[]);
        script.faults.extend([Fault::Refuse { which: 0, code }; 3]);
        assert_eq!(
            whole(&mut script, 0),
            Some(Committed { transaction: 1 }),
            "{code}"
        );
        assert_eq!(visible(&script).len(), 5);
    }
}

#[test]
fn b10_nothing_plain_ever_leaves() {
    let mut script = transactional(2, &[]);
    let refused = script
        .sender
        .append(&super::rules::record(b"x"), 9, script.now_ns);
    assert_eq!(refused, Err(AppendError::NoTransaction));
    whole(&mut script, 0);
    let refused = script
        .sender
        .append(&super::rules::record(b"x"), 9, script.now_ns);
    assert_eq!(refused, Err(AppendError::NoTransaction));
    assert!(
        script
            .logs
            .iter()
            .flat_map(|log| &log.entries)
            .all(|entry| entry.transactional)
    );
    // A batch that is split keeps its bit.
    script.faults.push_back(Fault::Refuse { which: 0, code: 10 });
    assert_eq!(whole(&mut script, 5), Some(Committed { transaction: 2 }));
    assert_eq!(script.sender.metrics().batch_split_total, 1);
    assert!(
        script
            .logs
            .iter()
            .flat_map(|log| &log.entries)
            .all(|entry| entry.transactional)
    );
    assert_eq!(visible(&script).len(), 10);
}

/// A position whose answer was lost may arrive again at any time: behind a newer one of the same transaction, or, as the
/// epoch of version 1 stays, inside the next.
#[test]
fn b11_a_position_that_comes_late_never_takes_the_place_of_a_newer_one() {
    for level in BOTH {
        let mut script = transactional(level, &[]);
        begin(&mut script);
        append(&mut script, 0, 0, 1);
        let late = (ApiKey::TxnOffsetCommit, Trouble::Late { ms: 1_000 });
        script.coordinator.trouble.push_back(late);
        script
            .sender
            .send_offsets_to_transaction(GROUP, &offsets(7))
            .unwrap();
        commit(&mut script);
        script.run_for(500 * MS);
        let event = script.events.pop();
        assert!(
            matches!(event, Some(Aborted { transaction: 1, .. })),
            "level {level}: {event:?}"
        );
        begin(&mut script);
        append(&mut script, 0, 1, 1);
        script
            .sender
            .send_offsets_to_transaction(GROUP, &offsets(9))
            .unwrap();
        script.run_for(2 * SECOND);
        commit(&mut script);
        script.run_for(SECOND);
        assert_eq!(
            script.events.pop(),
            Some(Committed { transaction: 2 }),
            "level {level}"
        );
        let position = script.coordinator.committed.get(&("source".to_owned(), 4));
        assert_eq!(position, Some(&9), "level {level}");
    }
}

#[test]
fn b11_offsets_are_committed_with_their_transaction_and_only_with_it() {
    for level in BOTH {
        let mut script = transactional(level, &[]);
        script.coordinator.group_node = 1;
        begin(&mut script);
        append(&mut script, 0, 0, 3);
        script
            .sender
            .send_offsets_to_transaction(GROUP, &offsets(7))
            .unwrap();
        script
            .sender
            .send_offsets_to_transaction(GROUP, &offsets(8))
            .unwrap();
        let troubles = [Trouble::Refuse(14), Trouble::Move, Trouble::Refuse(3)];
        script
            .coordinator
            .trouble
            .extend(troubles.map(|trouble| (ApiKey::TxnOffsetCommit, trouble)));
        commit(&mut script);
        script.run_for(10 * SECOND);
        assert_eq!(
            script.events.pop(),
            Some(Committed { transaction: 1 }),
            "level {level}"
        );
        let at = |script: &Script| {
            script
                .coordinator
                .committed
                .get(&("source".to_owned(), 4))
                .copied()
        };
        assert_eq!(at(&script), Some(8));
        assert_eq!(
            asked(&script, ApiKey::AddOffsetsToTxn).len(),
            usize::from(level == 0)
        );
        begin(&mut script);
        script
            .sender
            .send_offsets_to_transaction(GROUP, &offsets(20))
            .unwrap();
        script.run_for(SECOND);
        abort(&mut script);
        script.run_for(5 * SECOND);
        assert_eq!(
            script.events.pop(),
            Some(Aborted {
                transaction: 2,
                code: 0
            })
        );
        assert_eq!(at(&script), Some(8));
        // Offsets alone are a transaction too.
        begin(&mut script);
        script
            .sender
            .send_offsets_to_transaction(GROUP, &offsets(30))
            .unwrap();
        commit(&mut script);
        script.run_for(5 * SECOND);
        assert_eq!(script.events.pop(), Some(Committed { transaction: 3 }));
        assert_eq!(at(&script), Some(30));
        // A group that may not be written aborts the transaction.
        begin(&mut script);
        script
            .coordinator
            .trouble
            .push_back((ApiKey::TxnOffsetCommit, Trouble::Refuse(30)));
        script
            .sender
            .send_offsets_to_transaction(GROUP, &offsets(40))
            .unwrap();
        commit(&mut script);
        script.run_for(5 * SECOND);
        assert_eq!(
            script.events.pop(),
            Some(Aborted {
                transaction: 4,
                code: 30
            })
        );
    }
}

#[test]
fn b12_a_fresh_id_comes_before_the_epochs_run_out() {
    for level in BOTH {
        let mut script = untouched(level, &[]);
        script.coordinator.identity = (9, 32_747);
        script.sender.init_transactions().unwrap();
        script.run_for(SECOND);
        for n in 0..8 {
            begin(&mut script);
            append(&mut script, 0, n * 2, 1);
            script.run_for(SECOND);
            abort(&mut script);
            script.run_for(SECOND);
            whole(&mut script, 100 + n * 5);
        }
        let stamps = script
            .logs
            .iter()
            .flat_map(|log| &log.entries)
            .map(|entry| entry.stamp);
        let ids: BTreeSet<i64> = stamps.clone().map(|stamp| stamp.producer_id).collect();
        assert_eq!(ids.len(), 2, "{ids:?}");
        assert!(
            stamps.clone().all(|stamp| stamp.epoch < 32_750),
            "none in the last epochs"
        );
        assert_eq!(visible(&script).len(), 40);
    }
}

#[test]
fn b13_an_abort_waits_for_what_is_on_the_wire_and_keeps_late_copies_out() {
    for level in BOTH {
        let mut script = transactional(level, &[]);
        begin(&mut script);
        append(&mut script, 0, 0, 2);
        script.run_for(SECOND);
        script.faults.extend([Fault::Silent, Fault::Late { ms: 8000 }]);
        append(&mut script, 0, 2, 1);
        append(&mut script, 1, 3, 1);
        script.run_for(MS);
        abort(&mut script);
        script.run_for(SECOND);
        assert!(
            asked(&script, ApiKey::EndTxn).is_empty(),
            "a batch still waits for its answer"
        );
        script.run_for(4 * SECOND);
        assert_eq!(
            script.events.pop(),
            Some(Aborted {
                transaction: 1,
                code: 0
            })
        );
        assert_eq!(whole(&mut script, 4), Some(Committed { transaction: 2 }));
        script.run_for(20 * SECOND);
        assert_eq!(visible(&script), [4, 5, 6, 7, 8], "level {level}");
    }
}

#[test]
fn coordinators_are_followed_wherever_they_go() {
    for level in BOTH {
        for api in [ApiKey::AddPartitionsToTxn, ApiKey::EndTxn, ApiKey::InitProducerId] {
            for trouble in [
                Trouble::Move,
                Trouble::Refuse(14),
                Trouble::Refuse(15),
                Trouble::CutBefore,
                Trouble::CutAfter,
                Trouble::Silent,
            ] {
                let mut script = transactional(level, &[]);
                script.coordinator.trouble.push_back((api, trouble));
                script
                    .coordinator
                    .trouble
                    .push_back((ApiKey::FindCoordinator, Trouble::Refuse(15)));
                begin(&mut script);
                append(&mut script, 0, 0, 1);
                script.run_for(5 * SECOND);
                abort(&mut script);
                script.run_for(10 * SECOND);
                assert_eq!(
                    script.events.pop(),
                    Some(Aborted {
                        transaction: 1,
                        code: 0
                    })
                );
                assert_eq!(
                    whole(&mut script, 5),
                    Some(Committed { transaction: 2 }),
                    "{api:?} {trouble:?}"
                );
                assert_eq!(visible(&script).len(), 5);
            }
        }
        // A whole node goes away for a while, with data and coordinator.
        let mut script = transactional(level, &[]);
        begin(&mut script);
        append(&mut script, 0, 0, 3);
        script.run_for(SECOND);
        script.restart(0, 3000);
        append(&mut script, 0, 3, 2);
        commit(&mut script);
        script.run_for(30 * SECOND);
        assert_eq!(script.events, [Committed { transaction: 1 }]);
    }
}
