//! When transactions begin and end, by events and a clock of the test's own.

use super::*;

fn transactions(full: Full, abort_ratio: f64) -> Transactions {
    Transactions {
        order: Transaction { full, abort_ratio },
        longest_ns: 30_000,
        chance: Random::new(7, 0, Stream::Abort),
        stage: Stage::Idle,
        abort: false,
        refused: 0,
        acked: Vec::new(),
        identity: (-1, -1),
    }
}

fn fill(transactions: &mut Transactions, records: u64) {
    transactions.begun(0, 100);
    (0..records).for_each(|_| transactions.took());
}

#[test]
fn it_ends_when_it_is_full_and_takes_nothing_more() {
    let mut full = transactions(Full::Records(3), 0.0);
    assert_eq!(full.room(), 3);
    fill(&mut full, 2);
    assert_eq!((full.room(), full.step(1_000, 2, false, false)), (1, None));
    full.took();
    assert_eq!(full.step(1_000, 3, false, false), Some(Ask::Commit));
    assert_eq!((full.room(), full.is_idle()), (0, false));
    assert_eq!(full.step(2_000, 0, false, true), None, "asked once");
    full.acked(&[4, 5], (9, 1));
    let ended = full
        .ended(TransactionEvent::Committed { transaction: 1 }, 3_000)
        .unwrap();
    assert!(ended.as_asked && ended.acked == [4, 5]);
    assert_eq!((ended.entry.asked_ns, ended.entry.ended_ns), (1_000, 3_000));
    assert_eq!((full.room(), full.is_idle()), (3, true));
}

#[test]
fn it_ends_when_its_time_is_over_or_nothing_more_is_due() {
    let mut timed = transactions(Full::AfterNs(50), 0.0);
    fill(&mut timed, 1);
    assert_eq!((timed.wake_ns(), timed.step(149, 0, false, false)), (150, None));
    assert_eq!(timed.step(150, 0, false, false), Some(Ask::Commit));
    let mut slow = transactions(Full::Records(9), 0.0);
    fill(&mut slow, 1);
    assert_eq!(slow.step(30_099, 0, false, false), None);
    assert_eq!(
        slow.step(30_100, 0, false, false),
        Some(Ask::Commit),
        "before its time-out"
    );
    let mut last = transactions(Full::AfterNs(50), 0.0);
    fill(&mut last, 1);
    assert_eq!(last.step(101, 1, false, true), Some(Ask::Commit));
}

#[test]
fn on_purpose_it_aborts_only_what_the_log_has() {
    let mut aborting = transactions(Full::Records(1), 1.0);
    fill(&mut aborting, 1);
    assert_eq!(aborting.step(200, 1, false, false), None);
    assert_eq!(aborting.room(), 0, "nothing joins it meanwhile");
    assert_eq!(aborting.step(300, 0, false, false), Some(Ask::Abort));
    let event = TransactionEvent::Aborted {
        transaction: 1,
        code: 0,
    };
    assert!(aborting.ended(event, 400).unwrap().as_asked);
}

#[test]
fn what_failed_is_aborted_at_once_and_is_not_what_was_asked_for() {
    let mut failed = transactions(Full::Records(9), 0.0);
    fill(&mut failed, 1);
    assert_eq!(failed.step(200, 1, true, false), Some(Ask::Abort));
    let event = |code| TransactionEvent::Aborted { transaction: 1, code };
    assert!(!failed.ended(event(7), 300).unwrap().as_asked);
    // A record that was not even taken: the producer was asked to abort, and knows of no failure.
    fill(&mut failed, 1);
    failed.refused(10);
    assert_eq!(failed.step(400, 1, false, false), Some(Ask::Abort));
    let ended = failed.ended(event(0), 500).unwrap();
    assert!(!ended.as_asked && ended.entry.error_code == 10);
    fill(&mut failed, 9);
    assert_eq!(
        failed.step(600, 0, false, false),
        Some(Ask::Commit),
        "the next one is none the worse"
    );
    let unknown = TransactionEvent::Unknown {
        transaction: 3,
        code: 47,
    };
    assert!(!failed.ended(unknown, 700).unwrap().as_asked);
}

#[test]
fn the_seed_says_which_are_aborted() {
    let aborted = |ratio| {
        let mut some = transactions(Full::Records(1), ratio);
        (0..10_000u64)
            .filter(|&index| {
                some.begun(index, 0);
                some.abort
            })
            .count()
    };
    assert_eq!((aborted(0.0), aborted(1.0)), (0, 10_000));
    assert!((400..600).contains(&aborted(0.05)), "{}", aborted(0.05));
    assert_eq!(aborted(0.05), aborted(0.05));
}
