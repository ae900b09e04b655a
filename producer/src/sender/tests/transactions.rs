//! The two protocols, and rules B1 to B5, each test failing when its rule is dropped.

use kafka_protocol::messages::ApiKey;

use super::coordinator::{Question, State, Trouble};
use super::questions::TRANSACTIONAL_ID;
use super::rules::PIPELINED;
use super::script::{Fault, MS, Script};
use super::{append, script};
use crate::error::AppendError;
use crate::record::Outcome;
use crate::transaction::TransactionEvent::{Aborted, Committed, Initialized};
use crate::transaction::{TransactionError, TransactionEvent, TransactionState};

pub(super) const BOTH: [i16; 2] = [0, 2];
const SECOND: u64 = 1000 * MS;

/// A transactional core that has not begun: two nodes, two partitions, this level of `transaction.version`.
pub(super) fn untouched(level: i16, more: &[(&str, &str)]) -> Script {
    let mut properties: Vec<(&str, String)> = PIPELINED.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
    properties.push(("transactional.id", TRANSACTIONAL_ID.to_owned()));
    properties.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
    properties.extend(more.iter().map(|(k, v)| (*k, (*v).to_owned())));
    let mut script = script(&properties, 2, 2, 1);
    script.coordinator.level = level;
    script
}

/// The same, initialized.
pub(super) fn transactional(level: i16, more: &[(&str, &str)]) -> Script {
    let mut script = untouched(level, more);
    script.sender.init_transactions().unwrap();
    script.run_for(SECOND);
    assert!(
        matches!(script.events[..], [Initialized { .. }]),
        "{:?}",
        script.events
    );
    script.events.clear();
    script.coordinator.asked.clear();
    script
}

pub(super) fn begin(script: &mut Script) -> u64 {
    script.sender.begin_transaction(script.now_ns).unwrap()
}

pub(super) fn commit(script: &mut Script) {
    script.sender.commit_transaction(script.now_ns).unwrap();
}

pub(super) fn abort(script: &mut Script) {
    script.sender.abort_transaction(script.now_ns).unwrap();
}

/// A transaction of records in both partitions, until it has ended.
pub(super) fn whole(script: &mut Script, first: u64) -> Option<TransactionEvent> {
    begin(script);
    append(script, 0, first, 3);
    append(script, 1, first + 3, 2);
    commit(script);
    script.run_for(10 * SECOND);
    script.events.pop()
}

/// What readers see: everything of the transactions that were committed, once and in order, and nothing else.
pub(super) fn visible(script: &Script) -> Vec<u64> {
    script.logs.iter().flat_map(super::log::Log::visible).collect()
}

pub(super) fn asked(script: &Script, api: ApiKey) -> Vec<Question> {
    let all = script.coordinator.asked.iter();
    all.filter(|question| question.api == api).copied().collect()
}

#[test]
fn both_protocols_commit_and_abort() {
    for level in BOTH {
        let mut script = transactional(level, &[]);
        assert_eq!(whole(&mut script, 0), Some(Committed { transaction: 1 }));
        assert_eq!(begin(&mut script), 2);
        append(&mut script, 0, 5, 4);
        script.run_for(SECOND);
        abort(&mut script);
        script.run_for(SECOND);
        assert_eq!(
            script.events.pop(),
            Some(Aborted {
                transaction: 2,
                code: 0
            })
        );
        assert_eq!(whole(&mut script, 9), Some(Committed { transaction: 3 }));
        assert_eq!(
            visible(&script),
            [0, 1, 2, 9, 10, 11, 3, 4, 12, 13],
            "level {level}"
        );
        assert_eq!(
            script.outcomes[&5].0,
            Outcome::Acked,
            "in the log, and never seen"
        );
        let number = |id: u64| script.transaction_of[&id];
        assert_eq!((number(0), number(5), number(13)), (1, 2, 3));
    }
}

#[test]
fn the_finalized_feature_chooses_the_protocol_and_no_api_version_does() {
    // (level, newest Produce, Produce that is used, EndTxn that is used)
    for (level, newest, produce, end) in [
        (0, 13, 11, 4),
        (1, 13, 11, 4),
        (2, 13, 13, 5),
        (2, 12, 12, 5),
        (2, 11, 11, 4),
    ] {
        let mut script = untouched(level, &[]);
        script.newest_produce = newest;
        script.sender.init_transactions().unwrap();
        script.run_for(SECOND);
        assert_eq!(whole(&mut script, 0), Some(Committed { transaction: 1 }));
        assert!(
            script
                .requests
                .iter()
                .all(|seen| seen.version == produce && seen.transactional)
        );
        let ends = asked(&script, ApiKey::EndTxn);
        assert_eq!(
            (ends.len(), ends[0].version),
            (1, end),
            "level {level}, Produce {newest}"
        );
        let enlisted = !asked(&script, ApiKey::AddPartitionsToTxn).is_empty();
        assert_eq!(enlisted, end < 5, "version 2 enlists by Produce itself");
    }
}

#[test]
fn a_protocol_that_changes_begins_with_an_epoch_of_its_own() {
    let mut script = transactional(0, &[]);
    assert_eq!(whole(&mut script, 0), Some(Committed { transaction: 1 }));
    script.coordinator.level = 2;
    script.restart(0, 1);
    script.run_for(SECOND);
    // Connections tell what is finalized when they are made: in the course of this one.
    assert_eq!(whole(&mut script, 5), Some(Committed { transaction: 2 }));
    script.coordinator.asked.clear();
    assert_eq!(whole(&mut script, 10), Some(Committed { transaction: 3 }));
    assert_eq!(asked(&script, ApiKey::InitProducerId).len(), 1);
    assert_eq!(asked(&script, ApiKey::EndTxn)[0].version, 5);
    assert_eq!(visible(&script).len(), 15);
}

#[test]
fn b1_init_goes_on_until_the_predecessor_has_ended() {
    let mut script = untouched(2, &[]);
    script.coordinator.identity = (9, 3);
    script.coordinator.join((9, 3), Some(0), 0);
    script.coordinator.markers_ns = 200 * MS;
    let troubles = [
        Trouble::Refuse(14),
        Trouble::Refuse(15),
        Trouble::Move,
        Trouble::CutBefore,
        Trouble::Refuse(51),
    ];
    script
        .coordinator
        .trouble
        .extend(troubles.map(|trouble| (ApiKey::InitProducerId, trouble)));
    script.sender.init_transactions().unwrap();
    script.run_for(10 * SECOND);
    let [
        Initialized {
            producer_id: 9,
            producer_epoch: 5,
        },
    ] = script.events[..]
    else {
        panic!("{:?}", script.events);
    };
    assert_eq!(
        script.coordinator.ends,
        [false],
        "the predecessor's transaction is aborted"
    );
    let inits = asked(&script, ApiKey::InitProducerId);
    assert!(
        inits.iter().all(|init| init.identity == (-1, -1)),
        "plain: it takes over"
    );
    let states = [script.sender.transaction_state(), Some(TransactionState::Ready)];
    assert_eq!(states[0], states[1]);
    let again = script.sender.init_transactions();
    assert!(
        matches!(again, Err(TransactionError::WrongState { .. })),
        "{again:?}"
    );
}

#[test]
fn b2_a_batch_that_is_refused_for_good_aborts_all_of_it() {
    for level in BOTH {
        let mut script = transactional(level, &[]);
        begin(&mut script);
        append(&mut script, 0, 0, 3);
        script.run_for(SECOND);
        script.faults.push_back(Fault::Refuse { which: 0, code: 87 });
        append(&mut script, 1, 3, 2);
        commit(&mut script);
        script.run_for(5 * SECOND);
        let code = 87;
        assert_eq!(script.events, [Aborted { transaction: 1, code }]);
        assert!(asked(&script, ApiKey::EndTxn).iter().all(|end| !end.commit));
        assert_eq!(script.outcomes[&3], (Outcome::NotWritten, -1, 1, 87));
        assert!(visible(&script).is_empty());
        assert_eq!(whole(&mut script, 5), Some(Committed { transaction: 2 }));
        assert_eq!(visible(&script).len(), 5);
    }
}

#[test]
fn b2_a_deadline_within_a_transaction_aborts_it() {
    for level in BOTH {
        let mut script = transactional(level, &[("delivery.timeout.ms", "3000")]);
        begin(&mut script);
        append(&mut script, 1, 0, 3);
        script.run_for(SECOND);
        script.faults.extend([Fault::CutAfter; 8]);
        append(&mut script, 1, 3, 3);
        commit(&mut script);
        script.run_for(30 * SECOND);
        assert_eq!(
            script.events,
            [Aborted {
                transaction: 1,
                code: 7
            }],
            "level {level}"
        );
        assert_eq!(script.outcomes[&4].0, Outcome::Unknown, "told as it is");
        assert!(visible(&script).is_empty());
        script.faults.clear();
        assert_eq!(whole(&mut script, 6), Some(Committed { transaction: 2 }));
        assert_eq!(visible(&script).len(), 5);
    }
}

#[test]
fn b3_a_lost_answer_to_a_commit_is_asked_for_with_the_same_words() {
    let lost = [
        Trouble::CutBefore,
        Trouble::CutAfter,
        Trouble::Silent,
        Trouble::Late { ms: 700 },
        Trouble::DoneThen(15),
        Trouble::DoneThen(7),
        Trouble::DoneThen(-1),
    ];
    for level in BOTH {
        for trouble in lost {
            let mut script = transactional(level, &[]);
            script.coordinator.markers_ns = 50 * MS;
            script
                .coordinator
                .trouble
                .extend([(ApiKey::EndTxn, trouble), (ApiKey::EndTxn, trouble)]);
            assert_eq!(
                whole(&mut script, 0),
                Some(Committed { transaction: 1 }),
                "{level} {trouble:?}"
            );
            let ends = asked(&script, ApiKey::EndTxn);
            assert!(
                ends.iter()
                    .all(|end| end.commit && end.identity == ends[0].identity),
                "{ends:?}"
            );
            assert_eq!(visible(&script), [0, 1, 2, 3, 4]);
            assert_eq!(script.coordinator.ends, [true]);
        }
    }
}

#[test]
fn b3_a_late_copy_of_a_commit_never_ends_the_next_transaction() {
    for level in BOTH {
        let mut script = transactional(level, &[]);
        script
            .coordinator
            .trouble
            .push_back((ApiKey::EndTxn, Trouble::Late { ms: 20_000 }));
        assert_eq!(whole(&mut script, 0), Some(Committed { transaction: 1 }));
        begin(&mut script);
        append(&mut script, 0, 5, 3);
        script.run_for(30 * SECOND);
        assert_eq!(
            script.coordinator.state,
            State::Ongoing,
            "level {level}: the copy has come and done nothing"
        );
        abort(&mut script);
        script.run_for(5 * SECOND);
        assert_eq!(visible(&script), [0, 1, 2, 3, 4]);
        if level == 0 {
            let init = asked(&script, ApiKey::InitProducerId)[0];
            assert_ne!(init.identity, (-1, -1), "told which epoch it goes on from");
        }
    }
}

#[test]
fn b4_nothing_tried_is_nothing_to_end() {
    for level in BOTH {
        let mut script = transactional(level, &[]);
        begin(&mut script);
        commit(&mut script);
        script.run_for(SECOND);
        begin(&mut script);
        abort(&mut script);
        script.run_for(SECOND);
        assert_eq!(
            script.events,
            [
                Committed { transaction: 1 },
                Aborted {
                    transaction: 2,
                    code: 0
                }
            ]
        );
        assert!(
            script.coordinator.asked.is_empty(),
            "{:?}",
            script.coordinator.asked
        );
    }
}

#[test]
fn b4_tried_and_not_written_is_aborted_all_the_same() {
    for level in BOTH {
        let mut script = transactional(level, &[]);
        begin(&mut script);
        script.faults.push_back(Fault::Refuse { which: 0, code: 87 });
        append(&mut script, 0, 0, 3);
        script.run_for(SECOND);
        assert_eq!(
            script.sender.transaction_state(),
            Some(TransactionState::AbortableError)
        );
        let refused = script
            .sender
            .append(&super::rules::record(b"x"), 9, script.now_ns);
        assert_eq!(refused, Err(AppendError::TransactionFailed { code: 87 }));
        commit(&mut script); // which aborts
        script.run_for(SECOND);
        assert_eq!(
            script.events,
            [Aborted {
                transaction: 1,
                code: 87
            }]
        );
        let ends = asked(&script, ApiKey::EndTxn);
        assert_eq!((ends.len(), ends[0].commit), (1, false));
    }
}

#[test]
fn b5_after_an_abort_the_next_transaction_has_its_own_epoch_and_numbers_from_0() {
    for level in BOTH {
        let mut script = transactional(level, &[]);
        begin(&mut script);
        append(&mut script, 0, 0, 3);
        script.run_for(SECOND);
        abort(&mut script);
        script.run_for(SECOND);
        let inits = asked(&script, ApiKey::InitProducerId);
        assert_eq!(
            inits.len(),
            usize::from(level == 0),
            "version 2 has its epoch from EndTxn"
        );
        begin(&mut script);
        append(&mut script, 0, 3, 3);
        commit(&mut script);
        script.run_for(SECOND);
        let stamps: Vec<(i16, i32)> = script.logs[0]
            .entries
            .iter()
            .map(|entry| (entry.stamp.epoch, entry.stamp.base_sequence))
            .collect();
        assert_eq!(stamps, [(0, 0), (1, 0)], "level {level}");
        assert_eq!(visible(&script), [3, 4, 5]);
    }
}

#[test]
fn b5_under_version_2_every_partition_starts_at_0_after_every_transaction() {
    let mut script = transactional(2, &[]);
    whole(&mut script, 0);
    whole(&mut script, 5);
    for log in &script.logs {
        let stamps = log
            .entries
            .iter()
            .map(|entry| (entry.stamp.epoch, entry.stamp.base_sequence));
        assert_eq!(stamps.collect::<Vec<_>>(), [(0, 0), (1, 0)]);
    }
    let mut script = transactional(0, &[]);
    whole(&mut script, 0);
    whole(&mut script, 5);
    let stamps = script.logs[0]
        .entries
        .iter()
        .map(|entry| (entry.stamp.epoch, entry.stamp.base_sequence));
    assert_eq!(
        stamps.collect::<Vec<_>>(),
        [(0, 0), (0, 3)],
        "version 1 counts on"
    );
}
