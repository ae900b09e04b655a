//! A world replays from its seed, and is what it claims to be.

use super::design::{Design, Writers};
use super::{campaign, plan, world};

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
fn a_world_without_faults_is_clean_and_loses_no_time() {
    for writers in [Writers::Idempotent, Writers::Transactional] {
        let design = Design { writers, ..short() };
        for seed in 1..=3 {
            let outcome = world::run(&design, seed, &[]).unwrap();
            assert!(outcome.is_clean(), "seed {seed}: {:?}", outcome.words);
            assert_eq!(
                outcome.records.acked + outcome.counts.aborted.min(1) * outcome.records.not_written,
                outcome.records.sent
            );
        }
    }
}

/// Each of these seeds once found a bug in the producer's core (see the commit that mended it).
#[test]
fn seeds_that_found_something_find_it_no_more() {
    for (writers, seed) in [
        (Writers::Idempotent, 79),     // 6 after the append was taken for "not written"
        (Writers::Idempotent, 188),    // the same
        (Writers::Idempotent, 896),    // a lost Metadata request was never asked again
        (Writers::Transactional, 150), // abort of a transaction that no partition was added to, version 1
    ] {
        let design = Design {
            writers,
            ..Design::default()
        };
        let outcome = world::run(&design, seed, &plan::draw(&design, seed)).unwrap();
        assert!(outcome.is_clean(), "seed {seed}: {:?}", outcome.words);
    }
}
