//! Whatever happens to requests, connections and coordinators: readers see committed transactions whole, once and in
//! order, and nothing of aborted ones.

use std::collections::BTreeMap;

use kafka_protocol::messages::ApiKey;
use proptest::prelude::*;

use super::coordinator::Trouble;
use super::log::Log;
use super::questions::{GROUP, TRANSACTIONAL_ID};
use super::script::{Fault, MS, Script};
use super::{append, script};
use crate::record::Outcome;
use crate::transaction::TransactionEvent::{Aborted, Committed, Initialized, Unknown};
use crate::transaction::{GroupOffset, TransactionState};

#[derive(Debug, Clone)]
enum Step {
    Append { partition: i32, records: usize },
    Offsets { offset: i64 },
    Pass { us: u64 },
    Commit,
    Abort,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..2, 1..20_usize).prop_map(|(partition, records)| Step::Append { partition, records }),
        1 => (1..1000_i64).prop_map(|offset| Step::Offsets { offset }),
        2 => (0..2000_u64).prop_map(|us| Step::Pass { us }),
        1 => (1000..3_000_000_u64).prop_map(|us| Step::Pass { us }),
        2 => Just(Step::Commit),
        1 => Just(Step::Abort),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    let which = 0..4_usize;
    prop_oneof![
        6 => Just(Fault::None),
        2 => (which.clone(), prop::sample::select(vec![3, 6, 19, 51, 74])).prop_map(|(which, code)| Fault::Refuse { which, code }),
        2 => (which.clone(), prop::sample::select(vec![10, 87, 45, 120, 2])).prop_map(|(which, code)| Fault::Refuse { which, code }),
        2 => (which, prop::sample::select(vec![7, 13, 20, 56, -1])).prop_map(|(which, code)| Fault::WriteThen { which, code }),
        1 => Just(Fault::CutBefore),
        2 => Just(Fault::CutAfter),
        2 => (1..6000_u64).prop_map(|ms| Fault::Late { ms }),
        1 => Just(Fault::Silent),
        1 => (1..5000_u64).prop_map(|ms| Fault::Restart { ms }),
        1 => any::<bool>().prop_map(|lose_tail| Fault::Move { lose_tail }),
    ]
}

fn trouble() -> impl Strategy<Value = (ApiKey, Trouble)> {
    let api = prop::sample::select(vec![
        ApiKey::EndTxn,
        ApiKey::EndTxn,
        ApiKey::AddPartitionsToTxn,
        ApiKey::InitProducerId,
        ApiKey::TxnOffsetCommit,
    ]);
    let trouble = prop_oneof![
        2 => Just(Trouble::None),
        2 => prop::sample::select(vec![14, 15, 16, 51]).prop_map(Trouble::Refuse),
        1 => prop::sample::select(vec![15, 7, -1]).prop_map(Trouble::DoneThen),
        1 => Just(Trouble::CutBefore),
        2 => Just(Trouble::CutAfter),
        2 => (1..20_000_u64).prop_map(|ms| Trouble::Late { ms }),
        1 => Just(Trouble::Silent),
        1 => Just(Trouble::Move),
    ];
    (api, trouble)
}

/// Begins one where none is open; false if the last has not ended.
fn ready(script: &mut Script) -> bool {
    if script.sender.transaction_state() == Some(TransactionState::Ready) {
        script.sender.begin_transaction(script.now_ns).unwrap();
    }
    script.sender.transaction_state() == Some(TransactionState::InTransaction)
}

fn carry_out(script: &mut Script, step: &Step, next_id: &mut u64, sent: &mut BTreeMap<u64, i64>) {
    let now_ns = script.now_ns;
    match step {
        Step::Pass { us } => script.run_for(us * 1000),
        Step::Append { partition, records } => {
            if ready(script) {
                *next_id = append(script, *partition, *next_id, *records);
            }
        }
        Step::Offsets { offset } => {
            if ready(script) {
                let position = GroupOffset {
                    topic: "source".to_owned(),
                    partition: 4,
                    offset: *offset,
                };
                script
                    .sender
                    .send_offsets_to_transaction(GROUP, &[position])
                    .unwrap();
                sent.insert(script.sender.transaction_number(), *offset);
            }
        }
        // Refused where none is open or it is ending already.
        Step::Commit => drop(script.sender.commit_transaction(now_ns)),
        Step::Abort => drop(script.sender.abort_transaction(now_ns)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn all_of_a_transaction_or_nothing(
        steps in prop::collection::vec(step(), 1..40),
        faults in prop::collection::vec(fault(), 0..20),
        troubles in prop::collection::vec(trouble(), 0..12),
        level in prop::sample::select(vec![0_i16, 2]),
        markers_ms in prop::sample::select(vec![0_u64, 30, 400]),
        delivery_ms in prop::sample::select(vec![2500, 120_000]),
        first_epoch in prop::sample::select(vec![0_i16, 32_745, 32_760]),
        seed in any::<u64>(),
    ) {
        let settings = [
            ("request.timeout.ms", "2000".to_owned()),
            ("delivery.timeout.ms", delivery_ms.to_string()),
            ("batch.size", "200".to_owned()),
            ("max.in.flight.requests.per.connection", "5".to_owned()),
            ("transactional.id", TRANSACTIONAL_ID.to_owned()),
        ];
        let mut script = script(&settings, 2, 2, seed);
        script.coordinator.level = level;
        script.coordinator.markers_ns = markers_ms * MS;
        if first_epoch > 0 {
            script.coordinator.identity = (77, first_epoch);
        }
        script.sender.init_transactions().unwrap();
        script.run_for(5000 * MS);
        let initialized = matches!(script.events[..], [Initialized { .. }]);
        prop_assert!(initialized, "{:?}", script.events);
        script.events.clear();
        script.faults = faults.into();
        // A copy of our own InitProducerId that comes late fences us as anybody else's would: a clear stop, and rare. Or it makes
        // the coordinator forget a commit that is in doubt.
        let may_fence_itself = troubles
            .iter()
            .any(|(api, trouble)| *api == ApiKey::InitProducerId && matches!(trouble, Trouble::Late { .. }));
        script.coordinator.trouble = troubles.into();
        let (mut next_id, mut sent) = (0, BTreeMap::new());
        for step in &steps {
            carry_out(&mut script, step, &mut next_id, &mut sent);
        }
        // Whatever is open ends; the faults run out with the requests.
        let now_ns = script.now_ns;
        drop(script.sender.commit_transaction(now_ns));
        script.run_for(300_000 * MS);
        if may_fence_itself && script.sender.fatal().is_some() {
            prop_assert_eq!(script.sender.pending(), 0, "a stop leaves nobody waiting");
            return Ok(());
        }
        prop_assert_eq!(script.sender.fatal(), None, "nobody else has our id");
        prop_assert_eq!(script.sender.transaction_state(), Some(TransactionState::Ready));
        prop_assert_eq!(script.sender.pending(), 0);
        judge(&mut script, &sent, may_fence_itself)?;
    }
}

fn judge(script: &mut Script, sent: &BTreeMap<u64, i64>, may_doubt: bool) -> Result<(), TestCaseError> {
    let mut committed = BTreeMap::new();
    for event in &script.events {
        match *event {
            Committed { transaction } => prop_assert_eq!(committed.insert(transaction, true), None),
            Aborted { transaction, .. } => prop_assert_eq!(committed.insert(transaction, false), None),
            // Whichever it was, it was all of it.
            Unknown {
                transaction,
                code: 48,
            } if may_doubt => {
                let of_it = |id: &u64| script.transaction_of[id] == transaction;
                let is_there = if script.transaction_of.keys().any(of_it) {
                    script.logs.iter().flat_map(Log::visible).any(|id| of_it(&id))
                } else {
                    let position = script.coordinator.committed.get(&("source".to_owned(), 4));
                    position.is_some() && position == sent.get(&transaction)
                };
                prop_assert_eq!(committed.insert(transaction, is_there), None);
            }
            Unknown { .. } | Initialized { .. } => prop_assert!(false, "{event:?} without need"),
        }
    }
    for (partition, log) in script.logs.iter().enumerate() {
        let appended = script
            .appended
            .get(&(partition as i32))
            .cloned()
            .unwrap_or_default();
        let expected = appended
            .into_iter()
            .filter(|id| committed[&script.transaction_of[id]]);
        prop_assert_eq!(
            log.visible(),
            expected.collect::<Vec<u64>>(),
            "partition {}",
            partition
        );
    }
    for (id, (outcome, ..)) in &script.outcomes {
        let acked = *outcome == Outcome::Acked;
        prop_assert!(acked || !committed[&script.transaction_of[id]], "B2: record {id}");
    }
    let last = sent
        .iter()
        .rfind(|(transaction, _)| committed.get(transaction) == Some(&true));
    let position = script.coordinator.committed.get(&("source".to_owned(), 4));
    prop_assert_eq!(position, last.map(|(_, offset)| offset));
    prop_assert_eq!(
        script.sender.free_bytes() as u64,
        script.sender.metrics().buffer_total_bytes,
        "memory leaks"
    );
    Ok(())
}
