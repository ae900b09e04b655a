//! A world replays from its seed, and is what it claims to be.

use std::collections::BTreeSet;

use steadfast_verifier::log::{LogBatch, LogRecord};

use super::class::Class;
use super::design::{Design, Writers};
use super::outcome::Outcome;
use super::plan::{Fault, Kind};
use super::{MS, campaign, plan, shrink, world};

/// What somebody does wrong on purpose, to see who is accused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Readers at read_committed do not look at the list of aborted transactions.
    IgnoresAborted,
    /// They ask for everything, and say that it is committed.
    ReadsOpen,
    /// Readers skip a record now and then.
    Skips,
    /// Producers' users write a record only after later ones of its key.
    HoldsBack,
    /// A copier commits its records without its position.
    NoPosition,
}

impl Flaw {
    /// What a reader with this flaw makes of an answer.
    pub(crate) fn see(flaw: Option<Flaw>, batches: &[LogBatch], records: Vec<LogRecord>) -> Vec<LogRecord> {
        let data = || batches.iter().filter(|batch| !batch.control);
        match flaw {
            Some(Flaw::IgnoresAborted | Flaw::ReadsOpen) => {
                data().flat_map(|batch| batch.records.clone()).collect()
            }
            Some(Flaw::Skips) => records
                .into_iter()
                .filter(|record| record.offset % 50 != 49)
                .collect(),
            _ => records,
        }
    }
}

/// Anomalies found in a few short worlds without faults in which somebody does this.
fn accused(flaw: Flaw, writers: Writers) -> BTreeSet<&'static str> {
    let design = Design {
        writers,
        flaw: Some(flaw),
        ..short()
    };
    let found = (1..=6).flat_map(|seed| world::run(&design, seed, &[]).unwrap().anomalies.into_keys());
    found.collect()
}

/// What readers see counts: each of these is found by the judge that found nothing in the worlds without a flaw.
#[test]
fn readers_that_see_something_wrong_are_believed() {
    assert_eq!(
        accused(Flaw::IgnoresAborted, Writers::Transactional),
        BTreeSet::from(["T1"])
    );
    assert_eq!(
        accused(Flaw::ReadsOpen, Writers::Transactional),
        BTreeSet::from(["T1", "T2"])
    );
    assert_eq!(accused(Flaw::Skips, Writers::Mixed), BTreeSet::from(["O5"]));
    let late = accused(Flaw::HoldsBack, Writers::Idempotent);
    assert!(late.is_superset(&BTreeSet::from(["O1", "O4"])), "{late:?}");
}

/// A world of each class keeps its promises, and is what it says.
#[test]
fn every_class_of_worlds_is_clean() {
    for class in [Class::Plain, Class::Topics, Class::Unclean, Class::Copy] {
        let design = Design {
            class: Some(class),
            ..Design::default()
        };
        let campaign = campaign::run(&design, (1, 12), 1, &|_| {}).unwrap();
        assert!(campaign.failures.is_empty(), "{class:?}: {:?}", campaign.failures);
        let struck = |kind: &str| campaign.faults.get(kind).copied().unwrap_or(0);
        match class {
            Class::Plain => assert_eq!(struck("recreate-topic") + struck("elect-unclean"), 0),
            Class::Topics => assert!(struck("recreate-topic") > 5 && struck("grow-topic") > 2),
            Class::Unclean => assert!(struck("elect-unclean") > 5 && campaign.void["L1"] > 0),
            Class::Copy => assert!(campaign.counts.committed > 500 && campaign.records.acked > 40_000),
        }
    }
}

/// Seeds that failed once: three worlds that were called over while a copier held records, one in which a producer stopped
/// after a late copy of its own InitProducerId, and one in which TCP asked a machine without power once only. They mean that
/// only for as long as nobody changes what a seed draws.
#[test]
fn seeds_that_failed_once_do_not_again() {
    for seed in [3_009_418, 3_014_401, 3_044_041, 3_097_394, 5_007_287] {
        let campaign = campaign::run(&Design::default(), (seed, 1), 1, &|_| {}).unwrap();
        assert!(campaign.failures.is_empty(), "{seed}: {:?}", campaign.failures);
    }
}

#[test]
fn a_copier_that_does_not_commit_its_position_is_found() {
    let design = Design {
        class: Some(Class::Copy),
        flaw: Some(Flaw::NoPosition),
        ..short()
    };
    let crash = fault(5_000, 500, Kind::Crash { client: 1 });
    let without = world::run(&design, 1, &[]).unwrap().anomalies;
    assert!(
        without.contains_key("T6") && !without.contains_key("D6"),
        "{without:?}"
    );
    let crashed = world::run(&design, 1, &[crash]).unwrap().anomalies;
    assert!(crashed.contains_key("D6"), "{crashed:?}");
}

fn short() -> Design {
    Design {
        seconds: 10,
        fault_every_ms: 500,
        ..Design::default()
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let design = short();
    for seed in 1..=4 {
        let [first, again] = [(); 2].map(|()| world::run(&design, seed, &plan::draw(&design, seed)).unwrap());
        assert_eq!(first, again, "seed {seed}");
        assert!(first.records.acked > 100, "seed {seed}: {first:?}");
    }
    let hash = |from| campaign::run(&design, (from, 1), 1, &|_| {}).unwrap().hash;
    assert_ne!(hash(1), hash(2), "the seed changes nothing: is it used?");
}

#[test]
fn threads_change_nothing() {
    let design = short();
    let [one, two] = [1, 2].map(|jobs| campaign::run(&design, (1, 6), jobs, &|_| {}).unwrap());
    assert_eq!((one.hash, one.events, one.seeds), (two.hash, two.events, 6));
}

#[test]
fn a_world_without_faults_is_clean_and_all_is_acknowledged() {
    for writers in [Writers::Idempotent, Writers::Transactional] {
        let design = Design { writers, ..short() };
        for seed in 1..=3 {
            let outcome = world::run(&design, seed, &[]).unwrap();
            assert!(outcome.is_clean(), "seed {seed}: {:?}", outcome.words);
            let records = &outcome.records;
            assert!(
                records.acked > 100 && records.unknown == 0,
                "seed {seed}: {records:?}"
            );
            if writers == Writers::Idempotent {
                assert_eq!(records.acked, records.sent, "seed {seed}");
            }
        }
    }
}

fn fault(at_ms: u64, for_ms: u64, kind: Kind) -> Fault {
    Fault {
        at_ns: at_ms * MS,
        for_ns: for_ms * MS,
        kind,
    }
}

/// Runs the plan that a failure was shrunk to.
fn stays_clean(writers: Writers, seed: u64, plan: &[Fault]) {
    let design = Design {
        writers,
        ..Design::default()
    };
    let outcome = world::run(&design, seed, plan).unwrap();
    assert!(outcome.is_clean(), "seed {seed}: {:?}", outcome.words);
}

/// A Produce that waits for replicas is answered with 6 when its leader loses the partition, and may be in the log.
#[test]
fn not_leader_after_the_append_is_no_proof() {
    let elect = |node| Kind::Elect { partition: 2, node };
    let plan = [
        fault(31_331, 1, elect(2)),
        fault(36_324, 2_043, Kind::Pause { node: 3 }),
        fault(37_568, 1, elect(1)),
    ];
    stays_clean(Writers::Idempotent, 188, &plan);
}

/// A Metadata request that is never answered is asked again.
#[test]
fn a_new_client_survives_silence_at_its_first_question() {
    let plan = [
        fault(1_000, 100, Kind::Crash { client: 1 }),
        fault(1_050, 50_000, Kind::DropAnswer { api_key: 3, nth: 1 }),
    ];
    stays_clean(Writers::Idempotent, 896, &plan);
}

/// Version 1: a transaction to which no partition could be added in time is aborted, and that is no error.
#[test]
fn an_abort_of_nothing_is_no_error() {
    let plan = [fault(35_146, 199, Kind::Pause { node: 1 })];
    stays_clean(Writers::Transactional, 150, &plan);
}

/// A topic deleted and made again every second, with everything under way: what was acknowledged by the instant of a
/// deletion is in the log that is kept, and no answer from before it is taken for one of the new topic's (A15).
#[test]
fn a_topic_made_again_every_second_keeps_every_promise() {
    for writers in [Writers::Idempotent, Writers::Transactional] {
        let design = Design {
            writers,
            class: Some(Class::Topics),
            ..Design::default()
        };
        for seed in 1..=8 {
            let again = |n: u64| fault(n * 1_000 + seed, 300, Kind::Recreate);
            let plan: Vec<Fault> = (1..=50).map(again).collect();
            let outcome = world::run(&design, seed, &plan).unwrap();
            assert!(outcome.is_clean(), "seed {seed}: {:?}", outcome.words);
            assert!(outcome.faults["recreate-topic"] > 40, "seed {seed}");
        }
    }
}

/// An assertion that fails is an outcome like others: it has a seed, and is shrunk.
#[test]
fn a_panic_is_an_outcome() {
    let outcome = Outcome::of_panic("plain", &"the words");
    assert_eq!(
        (outcome.names().as_str(), outcome.words[0].as_str()),
        ("panic=1", "panic: the words")
    );
    assert_eq!(outcome.worst(), Some("panic"));
}

/// Shrinking keeps the anomaly and drops what it does not need.
#[test]
fn a_failure_is_shrunk_to_what_it_takes() {
    // A client that may not retry gives records up for good when a node is gone: nothing is drained in time.
    let forever = fault(
        0,
        120_000,
        Kind::Quota {
            client: 0,
            bytes_per_second: 1,
        },
    );
    let noise = fault(5_000, 10, Kind::Cut { client: 1, node: 1 });
    let plan = [noise.clone(), forever, noise];
    let found = Outcome {
        anomalies: [("V4", 1)].into(),
        ..Outcome::default()
    };
    let broken = |plan: &[Fault]| {
        let quota = plan.iter().any(|fault| matches!(fault.kind, Kind::Quota { .. }));
        Ok(if quota { found.clone() } else { Outcome::default() })
    };
    let shrunk = shrink::shrink_with(&Design::default(), &plan, &found, &|_, plan| broken(plan));
    assert_eq!(shrunk.plan.len(), 1);
    assert_eq!(shrunk.records_max, 1);
    assert!(shrunk.tries < 40, "{} tries", shrunk.tries);
}
