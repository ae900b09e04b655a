//! Witnesses that share no code with us, held against the log.

use super::fixture::{Run, environment};
use crate::judge::{Judgement, judge};
use crate::oracle::{Oracle, Told, Witness};
use crate::verdict::Outcome;

/// Both witnesses have what the log has: twice ten records.
fn agreeing() -> Oracle {
    let witness = || {
        let mut witness = Witness {
            failed: None,
            partitions: [(0, Told::default()), (1, Told::default())].into(),
        };
        witness
            .partitions
            .values_mut()
            .for_each(|told| told.add(10, 0, 10));
        witness
    };
    Oracle {
        topic: "orders".into(),
        consumer: witness(),
        segments: witness(),
    }
}

fn judged(oracle: &Oracle) -> Judgement {
    let run = Run::clean(20);
    let folder = run.write();
    oracle.write(folder.path()).unwrap();
    judge(folder.path(), &run.expectations, &environment()).unwrap()
}

/// The outcome of the run, and how often I6 was found.
fn found(change: impl FnOnce(&mut Oracle)) -> (Outcome, u8, u64) {
    let mut oracle = agreeing();
    change(&mut oracle);
    let verdict = judged(&oracle).verdict;
    assert_eq!(verdict.claims.last().unwrap().id, "oracle");
    (verdict.verdict, verdict.exit_code, verdict.anomalies["I6"])
}

#[test]
fn witnesses_that_agree_pass_and_nobody_asked_is_not_checked() {
    assert_eq!(found(|_| ()), (Outcome::Pass, 0, 0));
    let unasked = Run::clean(20).judge().unwrap().verdict;
    assert!(!unasked.anomalies.contains_key("I6"));
    assert!(unasked.claims.iter().all(|claim| claim.id != "oracle"));
}

#[test]
fn a_witness_that_has_less_more_or_something_else_is_i6() {
    let failed = |count| (Outcome::Fail, 10, count);
    let less =
        |oracle: &mut Oracle| oracle.consumer.partitions.get_mut(&1).unwrap().offsets = vec![(0, 4), (5, 10)];
    assert_eq!(found(less), failed(1));
    let nothing = |oracle: &mut Oracle| drop(oracle.segments.partitions.remove(&0));
    assert_eq!(found(nothing), failed(10));
    let twice = |oracle: &mut Oracle| oracle.consumer.partitions.get_mut(&0).unwrap().add(1, 3, 4);
    assert_eq!(found(twice), failed(1));
    let damaged = |oracle: &mut Oracle| oracle.segments.partitions.get_mut(&0).unwrap().invalid.push(2);
    assert_eq!(found(damaged), failed(1));
    // Behind the sealed end anything may have come since.
    let later = |oracle: &mut Oracle| oracle.consumer.partitions.get_mut(&0).unwrap().add(5, 10, 15);
    assert_eq!(found(later), (Outcome::Pass, 0, 0));
}

#[test]
fn a_log_that_our_reader_has_and_nobody_else_is_i6() {
    let mut run = Run::clean(20);
    run.remove(0, 4);
    let folder = run.write();
    agreeing().write(folder.path()).unwrap();
    let verdict = judge(folder.path(), &run.expectations, &environment())
        .unwrap()
        .verdict;
    assert_eq!((verdict.anomalies["L1"], verdict.anomalies["I6"]), (1, 2));
    let example = verdict
        .examples
        .iter()
        .find(|example| example.id == "I6")
        .unwrap();
    assert_eq!(
        example.detail,
        "our own reader has no record at orders-0 offset 4"
    );
}

#[test]
fn a_witness_that_was_asked_and_did_not_speak_is_inconclusive() {
    let silent = |oracle: &mut Oracle| oracle.segments = Witness::silent("no Java");
    assert_eq!(found(silent), (Outcome::Inconclusive, 5, 0));
    let verdict = judged(&Oracle::asked("orders")).verdict;
    assert_eq!(verdict.exit_code, 5);
    assert_eq!(verdict.inconclusive.len(), 2);
    assert!(verdict.inconclusive.iter().all(|cause| cause.id == "H5"));
    // What was found is not voided by it.
    let both = |oracle: &mut Oracle| {
        oracle.segments = Witness::silent("no Java");
        oracle.consumer.partitions.clear();
    };
    assert_eq!(found(both), (Outcome::Fail, 10, 20));
    assert_eq!(
        found(|oracle| oracle.topic = "others".into()),
        (Outcome::Inconclusive, 5, 0)
    );
}
