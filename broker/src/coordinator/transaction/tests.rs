//! The state machine by itself; through the wire it is in tests/facts.rs.

use super::*;

const NOW: i64 = 1_000;
const FRESH: i64 = 77;

fn owned() -> Transaction {
    let mut transaction = Transaction::new("t".into(), 5, 60_000, NOW);
    assert_eq!(transaction.init(None, 60_000, FRESH, NOW), Ok(false));
    assert_eq!((transaction.producer_id, transaction.epoch), (5, 0));
    transaction
}

#[test]
fn v1_and_v2_ends() {
    let mut one = owned();
    assert_eq!(one.add((5, 0), &[3], None, NOW), Ok(true));
    assert_eq!(
        one.add((5, 0), &[3], None, NOW),
        Ok(false),
        "nothing new to remember"
    );
    assert_eq!(
        one.end((5, 0), End::V1 { commit: true }, FRESH, NOW),
        Ok(Ended::Now)
    );
    assert_eq!(
        one.end((5, 0), End::V1 { commit: true }, FRESH, NOW),
        Err(code::CONCURRENT_TRANSACTIONS)
    );
    one.complete(NOW);
    assert_eq!((one.state, one.epoch), (State::CompleteCommit, 0));
    let mut two = owned();
    assert_eq!(two.add((5, 0), &[3], Some("g"), NOW), Ok(true));
    assert_eq!(
        two.end((5, 0), End::V2 { commit: true }, FRESH, NOW),
        Ok(Ended::Now)
    );
    assert_eq!(two.next_identity(), (5, 1));
    two.complete(NOW);
    assert_eq!(two.add((5, 0), &[3], None, NOW), Err(code::PRODUCER_FENCED));
    assert_eq!(
        two.add((4, 1), &[3], None, NOW),
        Err(code::INVALID_PRODUCER_ID_MAPPING)
    );
    assert_eq!(two.add((5, 1), &[3], None, NOW), Ok(true));
    // A resend of the end before now would end the new transaction, were it not for the epoch.
    assert_eq!(
        two.end((5, 0), End::V2 { commit: true }, FRESH, NOW),
        Err(code::PRODUCER_FENCED)
    );
}

#[test]
fn used_up_epochs_take_a_new_producer_id() {
    let mut transaction = owned();
    transaction.epoch = i16::MAX - 1;
    assert!(transaction.exhausted());
    assert_eq!(transaction.init(None, 60_000, FRESH, NOW), Ok(false));
    assert_eq!(
        (
            transaction.producer_id,
            transaction.epoch,
            transaction.previous_producer_id
        ),
        (FRESH, 0, 5)
    );
    // A caller that still expects the old one is let in once more: it may have missed the answer.
    assert_eq!(
        transaction.init(Some((5, i16::MAX - 1)), 60_000, 78, NOW),
        Err(code::PRODUCER_FENCED)
    );
    let mut open = owned();
    open.epoch = i16::MAX - 1;
    assert_eq!(open.add((5, i16::MAX - 1), &[0], None, NOW), Ok(true));
    assert_eq!(open.init(None, 60_000, FRESH, NOW), Ok(true));
    assert_eq!((open.epoch, open.state), (i16::MAX, State::PrepareAbort));
    open.complete(NOW);
    assert_eq!(open.init(None, 60_000, FRESH, NOW), Ok(false));
    assert_eq!((open.producer_id, open.epoch), (FRESH, 0));
}

#[test]
fn timeouts_and_expiry() {
    let mut transaction = owned();
    assert!(!transaction.timed_out(NOW + 1_000_000), "nothing is open");
    transaction.add((5, 0), &[0], None, NOW).expect("is added");
    assert!(!transaction.timed_out(NOW + 60_000) && transaction.timed_out(NOW + 60_001));
    assert!(!transaction.expired(NOW + 1_000_000, 10));
    transaction.fence(NOW);
    transaction.complete(NOW);
    assert!(transaction.expired(NOW + 10, 10));
    let fact = transaction.fact(|partition| crate::store::LogId(partition as u32));
    assert_eq!(Transaction::recall(fact.clone()), Some(transaction));
    let strange = TransactionFact {
        state: "Strange".into(),
        ..fact
    };
    assert_eq!(Transaction::recall(strange), None);
}
