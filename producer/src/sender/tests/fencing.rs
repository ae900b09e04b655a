//! Rules B6 and B7, and contract section 4 in a transaction: who may go on, and who must stop.

use kafka_protocol::messages::ApiKey;

use super::append;
use super::coordinator::Trouble;
use super::questions::GROUP;
use super::script::{Fault, MS, Script};
use super::transactions::{BOTH, abort, asked, begin, commit, transactional, untouched, visible, whole};
use crate::error::Fatal;
use crate::transaction::TransactionEvent::{Aborted, Committed, Unknown};
use crate::transaction::{GroupOffset, TransactionError, TransactionState};

const SECOND: u64 = 1000 * MS;

/// Another instance takes the transactional id over.
fn take_over(script: &mut Script) {
    let now_ns = script.now_ns;
    for _ in 0..2 {
        script.coordinator.init((-1, -1), 8000, now_ns);
        script.coordinator.pass(now_ns, &mut script.logs);
    }
}

fn is_fenced(script: &Script) -> bool {
    matches!(script.sender.fatal(), Some(Fatal::Fenced { .. }))
}

fn stopped(script: &mut Script) {
    assert_eq!(
        script.sender.transaction_state(),
        Some(TransactionState::FatalError)
    );
    script.coordinator.asked.clear();
    script.run_for(60 * SECOND);
    assert!(
        script.coordinator.asked.is_empty(),
        "B6: it takes nothing over by itself"
    );
    let refused = script.sender.begin_transaction(script.now_ns);
    assert!(
        matches!(refused, Err(TransactionError::Stopped(_))),
        "{refused:?}"
    );
}

#[test]
fn b6_a_newer_owner_stops_the_older_one_at_whatever_it_does_next() {
    for level in BOTH {
        // It appends.
        let mut script = transactional(level, &[]);
        take_over(&mut script);
        begin(&mut script);
        append(&mut script, 0, 0, 3);
        commit(&mut script);
        script.run_for(10 * SECOND);
        assert!(
            matches!(script.events[..], [Aborted { transaction: 1, .. }]),
            "{:?}",
            script.events
        );
        assert!(is_fenced(&script), "level {level}: {:?}", script.sender.fatal());
        stopped(&mut script);
        // It commits what it had.
        let mut script = transactional(level, &[]);
        begin(&mut script);
        append(&mut script, 0, 0, 3);
        script.run_for(SECOND);
        take_over(&mut script);
        commit(&mut script);
        script.run_for(10 * SECOND);
        assert_eq!(
            script.events,
            [Aborted {
                transaction: 1,
                code: 90
            }]
        );
        assert!(is_fenced(&script));
        assert!(visible(&script).is_empty());
        stopped(&mut script);
        // It appends to what it had.
        let mut script = transactional(level, &[]);
        begin(&mut script);
        append(&mut script, 0, 0, 3);
        script.run_for(SECOND);
        take_over(&mut script);
        append(&mut script, 0, 3, 3);
        script.run_for(10 * SECOND);
        abort(&mut script);
        script.run_for(10 * SECOND);
        assert!(
            matches!(script.events[..], [Aborted { transaction: 1, .. }]),
            "{:?}",
            script.events
        );
        assert!(is_fenced(&script));
        stopped(&mut script);
    }
}

#[test]
fn b6_codes_that_nobody_gets_over() {
    for level in BOTH {
        for code in [31, 47, 48, 53, 90, 42, 999] {
            let apis: &[ApiKey] = match level {
                0 => &[
                    ApiKey::AddPartitionsToTxn,
                    ApiKey::AddOffsetsToTxn,
                    ApiKey::TxnOffsetCommit,
                    ApiKey::EndTxn,
                ],
                _ => &[ApiKey::TxnOffsetCommit, ApiKey::EndTxn],
            };
            for api in apis {
                let mut script = transactional(level, &[]);
                script
                    .coordinator
                    .trouble
                    .push_back((*api, Trouble::Refuse(code)));
                begin(&mut script);
                append(&mut script, 0, 0, 3);
                let offset = GroupOffset {
                    topic: "source".to_owned(),
                    partition: 0,
                    offset: 1,
                };
                script
                    .sender
                    .send_offsets_to_transaction(GROUP, &[offset])
                    .unwrap();
                commit(&mut script);
                script.run_for(10 * SECOND);
                assert_eq!(
                    script.events,
                    [Aborted { transaction: 1, code }],
                    "{level} {api:?}"
                );
                assert!(script.sender.fatal().is_some());
                stopped(&mut script);
                assert!(visible(&script).is_empty());
            }
        }
    }
    let mut script = untouched(2, &[]);
    script
        .coordinator
        .trouble
        .push_back((ApiKey::InitProducerId, Trouble::Refuse(50)));
    script.sender.init_transactions().unwrap();
    script.run_for(SECOND);
    let told = script.sender.fatal().unwrap().to_string();
    assert!(told.contains("transaction.max.timeout.ms"), "{told}");
    stopped(&mut script);
}

#[test]
fn a_commit_whose_answer_a_newer_owner_swallowed_is_unknown() {
    for level in BOTH {
        let mut script = transactional(level, &[]);
        begin(&mut script);
        append(&mut script, 0, 0, 3);
        script.run_for(SECOND);
        script
            .coordinator
            .trouble
            .push_back((ApiKey::EndTxn, Trouble::CutAfter));
        commit(&mut script);
        script.run_for(5 * MS);
        take_over(&mut script);
        script.run_for(10 * SECOND);
        assert_eq!(
            script.events,
            [Unknown {
                transaction: 1,
                code: 90
            }],
            "level {level}"
        );
        assert!(is_fenced(&script));
        stopped(&mut script);
    }
}

/// Found by simulation, seed 3014401. Kafka takes the late copy for one said again, and begins from Empty.
#[test]
fn a_late_copy_of_our_own_init_leaves_a_commit_unknown_and_us_alive() {
    let mut script = transactional(0, &[]);
    let before = script.coordinator.identity;
    begin(&mut script);
    append(&mut script, 0, 0, 1);
    script.run_for(SECOND);
    abort(&mut script);
    script.run_for(SECOND);
    assert_eq!(script.coordinator.identity, (before.0, before.1 + 1));
    script.events.clear();
    begin(&mut script);
    append(&mut script, 0, 1, 3);
    script.run_for(SECOND);
    let lost = (ApiKey::EndTxn, Trouble::CutAfter);
    script.coordinator.trouble.push_back(lost);
    commit(&mut script);
    script.run_for(5 * MS);
    let copy = script.coordinator.init(before, 0, script.now_ns);
    assert_eq!(copy, (0, (before.0, before.1 + 1)), "the bump was done before");
    script.run_for(10 * SECOND);
    let (transaction, code) = (2, 48);
    assert_eq!(script.events, [Unknown { transaction, code }]);
    assert_eq!(script.sender.fatal(), None);
    assert_eq!(whole(&mut script, 4), Some(Committed { transaction: 3 }));
    let ends = asked(&script, ApiKey::EndTxn);
    assert!(
        ends.last().is_some_and(|end| end.identity.1 == before.1 + 2),
        "{ends:?}"
    );
}

#[test]
fn a_commit_that_is_refused_is_aborted_and_one_in_doubt_is_never_called_so() {
    for level in BOTH {
        for code in [49, 59, 120] {
            for lost in [false, true] {
                let mut script = transactional(level, &[]);
                begin(&mut script);
                append(&mut script, 0, 0, 3);
                let doubt = lost.then_some((ApiKey::EndTxn, Trouble::CutAfter));
                script.coordinator.trouble.extend(doubt);
                script
                    .coordinator
                    .trouble
                    .push_back((ApiKey::EndTxn, Trouble::Refuse(code)));
                commit(&mut script);
                script.run_for(10 * SECOND);
                let transaction = 1;
                let expected = if lost {
                    Unknown { transaction, code }
                } else {
                    Aborted { transaction, code }
                };
                assert_eq!(script.events, [expected], "level {level}, code {code}");
                let ends = asked(&script, ApiKey::EndTxn);
                assert!(
                    !lost || ends.iter().all(|end| end.commit),
                    "B3: the flag never flips"
                );
                assert_eq!(visible(&script).is_empty(), !lost);
                if lost && code == 120 {
                    stopped(&mut script);
                } else {
                    assert!(matches!(
                        whole(&mut script, 3),
                        Some(Committed { transaction: 2 })
                    ));
                }
            }
        }
    }
}

#[test]
fn a_close_in_the_middle_tells_what_is_known() {
    let mut script = transactional(2, &[]);
    begin(&mut script);
    append(&mut script, 0, 0, 3);
    script.run_for(SECOND);
    script.sender.abandon(script.now_ns);
    script.run_for(0);
    assert_eq!(
        script.events,
        [Aborted {
            transaction: 1,
            code: 7
        }],
        "no commit was ever asked for"
    );
    let mut script = transactional(2, &[]);
    begin(&mut script);
    append(&mut script, 0, 0, 3);
    script.run_for(SECOND);
    script
        .coordinator
        .trouble
        .push_back((ApiKey::EndTxn, Trouble::Silent));
    commit(&mut script);
    script.run_for(SECOND);
    script.sender.abandon(script.now_ns);
    script.run_for(0);
    assert_eq!(
        script.events,
        [Unknown {
            transaction: 1,
            code: 7
        }]
    );
}

#[test]
fn b7_what_lasts_too_long_is_aborted_by_the_coordinator_and_said_so() {
    for level in BOTH {
        let mut script = transactional(level, &[]);
        script.coordinator.timeout_ns = 2 * SECOND;
        begin(&mut script);
        append(&mut script, 0, 0, 3);
        script.run_for(4 * SECOND);
        append(&mut script, 0, 3, 3);
        script.run_for(SECOND);
        assert_eq!(
            script.sender.transaction_state(),
            Some(TransactionState::AbortableError)
        );
        abort(&mut script);
        script.run_for(10 * SECOND);
        assert_eq!(
            script.events,
            [Aborted {
                transaction: 1,
                code: 47
            }]
        );
        assert!(visible(&script).is_empty());
        if level == 0 {
            assert!(
                is_fenced(&script),
                "version 1 cannot tell its own time-out from a newer owner"
            );
        } else {
            // EndTxn(abort) is taken for a repetition, and gives the next epoch.
            assert_eq!(whole(&mut script, 6), Some(Committed { transaction: 2 }));
        }
    }
}

#[test]
fn b7_a_commit_that_comes_too_late_is_known_to_have_failed() {
    for level in BOTH {
        for trouble in [Trouble::None, Trouble::CutBefore] {
            let mut script = transactional(level, &[]);
            script.coordinator.timeout_ns = 2 * SECOND;
            begin(&mut script);
            append(&mut script, 0, 0, 3);
            script.run_for(4 * SECOND);
            script.coordinator.trouble.push_back((ApiKey::EndTxn, trouble));
            commit(&mut script);
            script.run_for(10 * SECOND);
            let transaction = 1;
            let expected = match (level, trouble) {
                // Version 2 recognises the epoch: it did not commit, and never will.
                (2, _) => Aborted {
                    transaction,
                    code: 48,
                },
                (_, Trouble::None) => Aborted {
                    transaction,
                    code: 90,
                },
                _ => Unknown {
                    transaction,
                    code: 90,
                },
            };
            assert_eq!(script.events, [expected], "{level} {trouble:?}");
            assert!(visible(&script).is_empty());
            stopped(&mut script);
        }
    }
}

#[test]
fn the_table_for_produce_within_a_transaction() {
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Expect {
        /// It goes on and commits.
        Commits,
        /// It is aborted, and the next one commits.
        Aborts,
        Stops,
    }
    use Expect::{Aborts, Commits, Stops};
    let refused = [
        (3, Commits),
        (5, Commits),
        (6, Commits),
        (74, Commits),
        (19, Commits),
        (51, Commits),
        (14, Commits),
        (15, Commits),
        (16, Commits),
        (2, Aborts),
        (17, Aborts),
        (18, Aborts),
        (21, Aborts),
        (29, Aborts),
        (32, Aborts),
        (43, Aborts),
        (44, Aborts),
        (76, Aborts),
        (87, Aborts),
        (45, Aborts),
        (59, Aborts),
        (49, Aborts),
        (120, Aborts),
        (31, Stops),
        (53, Stops),
        (58, Stops),
        (48, Stops),
        (90, Stops),
        (35, Stops),
        (42, Stops),
        (999, Stops),
    ];
    let written = [
        (7, Commits),
        (13, Commits),
        (20, Commits),
        (56, Commits),
        (-1, Commits),
    ];
    let refused = refused.map(|(code, expect)| (Fault::Refuse { which: 0, code }, code, expect));
    let written = written.map(|(code, expect)| (Fault::WriteThen { which: 0, code }, code, expect));
    for level in BOTH {
        for (fault, code, expect) in refused.into_iter().chain(written) {
            let mut script = transactional(level, &[]);
            begin(&mut script);
            append(&mut script, 0, 0, 2);
            script.run_for(SECOND);
            script.faults.push_back(fault);
            append(&mut script, 0, 2, 2);
            commit(&mut script);
            script.run_for(20 * SECOND);
            let transaction = 1;
            let expected = match expect {
                Commits => Committed { transaction },
                Aborts | Stops => Aborted { transaction, code },
            };
            assert_eq!(script.events, [expected], "level {level}, code {code}");
            if expect == Stops {
                stopped(&mut script);
                assert!(visible(&script).is_empty());
                continue;
            }
            let seen = if expect == Commits { 4 } else { 0 };
            assert_eq!(visible(&script).len(), seen, "level {level}, code {code}");
            let inits = asked(&script, ApiKey::InitProducerId);
            assert!(
                inits.iter().all(|init| init.identity.0 >= 0),
                "never fences anybody"
            );
            if code == 49 {
                assert!(
                    asked(&script, ApiKey::EndTxn).is_empty(),
                    "the coordinator has forgotten the id"
                );
            }
            assert_eq!(
                whole(&mut script, 10),
                Some(Committed { transaction: 2 }),
                "level {level}, code {code}"
            );
            assert_eq!(visible(&script).len(), seen + 5);
        }
    }
}

#[test]
fn a_coordinator_that_cannot_be_told_our_epoch_is_not_asked_for_another() {
    let mut script = untouched(0, &[]);
    script.coordinator.newest_init = 2;
    script.sender.init_transactions().unwrap();
    script.run_for(SECOND);
    script.events.clear();
    script.coordinator.asked.clear();
    assert_eq!(whole(&mut script, 0), Some(Committed { transaction: 1 }));
    begin(&mut script);
    append(&mut script, 0, 5, 3);
    script.run_for(SECOND);
    abort(&mut script);
    script.run_for(10 * SECOND);
    assert_eq!(
        script.events,
        [Aborted {
            transaction: 2,
            code: 0
        }]
    );
    assert!(asked(&script, ApiKey::InitProducerId).is_empty());
    stopped(&mut script);
}
