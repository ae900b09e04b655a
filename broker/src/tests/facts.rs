//! M1 to M17: what was measured on a real Kafka 4.1.0, each a test of the model.

use crate::testing::*;
use crate::{Settings, Stop};

const OUT_OF_ORDER: (i16, i64) = (45, -1);
const FENCED: (i16, i64) = (47, -1);

fn five_in_flight(world: &mut World, producer: (i64, i16)) {
    for batch in 0..5 {
        assert_eq!(
            world.produce(1, &numbered(producer, batch * 2, 2)),
            (0, i64::from(batch) * 2)
        );
    }
}

#[test]
fn m1_five_batches_in_flight_are_known_again() {
    let mut world = World::new(one_node());
    let (_, producer) = world.init(None, None);
    five_in_flight(&mut world, producer);
    five_in_flight(&mut world, producer);
    assert_eq!(world.state().log_end, 10);
}

#[test]
fn m2_the_sixth_newest_is_out_of_order() {
    let mut world = World::new(one_node());
    let (_, producer) = world.init(None, None);
    five_in_flight(&mut world, producer);
    assert_eq!(world.produce(1, &numbered(producer, 10, 2)), (0, 10));
    assert_eq!(world.produce(1, &numbered(producer, 0, 2)), OUT_OF_ORDER);
    assert_eq!(world.produce(1, &numbered(producer, 2, 2)), (0, 2));
}

#[test]
fn m3_another_payload_under_the_same_sequences_is_swallowed() {
    let mut world = World::new(one_node());
    let (_, producer) = world.init(None, None);
    assert_eq!(world.produce(1, &numbered(producer, 0, 2)), (0, 0));
    let other = Made {
        value: "another",
        ..numbered(producer, 0, 2)
    };
    assert_eq!(world.produce(1, &other), (0, 0));
    assert_eq!(world.state().log_end, 2);
}

#[test]
fn m4_another_count_under_the_same_base_sequence_is_refused() {
    let mut world = World::new(one_node());
    let (_, producer) = world.init(None, None);
    assert_eq!(world.produce(1, &numbered(producer, 0, 2)), (0, 0));
    assert_eq!(world.produce(1, &numbered(producer, 0, 3)), OUT_OF_ORDER);
}

#[test]
fn m5_a_restart_leaves_one_batch_of_five() {
    for stop in [Stop::Clean, Stop::Hard] {
        let mut world = World::new(one_node());
        let (_, producer) = world.init(None, None);
        five_in_flight(&mut world, producer);
        world.restart(1, stop);
        for batch in 0..4 {
            assert_eq!(
                world.produce(1, &numbered(producer, batch * 2, 2)),
                OUT_OF_ORDER,
                "{stop:?}"
            );
        }
        assert_eq!(world.produce(1, &numbered(producer, 8, 2)), (0, 8), "{stop:?}");
        assert_eq!(world.state().log_end, 10);
    }
}

#[test]
fn m6_a_bump_after_a_restart_writes_twice() {
    let mut world = World::new(one_node());
    let (_, producer) = world.init(None, None);
    five_in_flight(&mut world, producer);
    world.restart(1, Stop::Hard);
    assert_eq!(world.produce(1, &numbered(producer, 0, 2)), OUT_OF_ORDER);
    assert_eq!(
        world.produce(1, &numbered((producer.0, producer.1 + 1), 0, 2)),
        (0, 10)
    );
    assert_eq!(world.state().log_end, 12);
}

#[test]
fn m7_newest_first_then_up_finds_the_exact_log() {
    for written in 1..=5 {
        for stop in [Stop::Clean, Stop::Hard] {
            let mut world = World::new(one_node());
            let (_, producer) = world.init(None, None);
            // An acknowledged batch, then five of which only some were written.
            assert_eq!(world.produce(1, &numbered(producer, 0, 2)), (0, 0));
            for batch in 1..written {
                world.produce(1, &numbered(producer, batch * 2, 2));
            }
            world.restart(1, stop);
            let probe = |world: &mut World, batch: i32| world.produce(1, &numbered(producer, batch * 2, 2)).0;
            let settled = (1..=5)
                .rev()
                .find(|batch| probe(&mut world, *batch) == 0)
                .expect("one is taken");
            for batch in settled + 1..=5 {
                assert_eq!(probe(&mut world, batch), 0);
            }
            let sequences: Vec<i32> = world
                .model
                .batches(TOPIC, 0)
                .map(|batch| batch.base_sequence)
                .collect();
            assert_eq!(sequences, [0, 2, 4, 6, 8, 10], "{written} written, {stop:?}");
        }
    }
}

/// M5 beyond its edge: what counts is the age of the records, so of old ones a start finds nothing, and a batch sent again is
/// appended again.
#[test]
fn m5_a_restart_forgets_whoever_sends_old_records() {
    for reborn in [false, true] {
        let settings = Settings {
            producer_id_expiration_ms: 10_000,
            ..one_node()
        };
        let mut world = World::new(settings);
        let (_, producer) = world.init(None, None);
        let old_ms = world.now.wall_ms - 10_000;
        let batch = |sequence: i32| Made {
            timestamp: old_ms,
            ..numbered(producer, sequence, 1)
        };
        assert_eq!(world.produce(1, &batch(0)), (0, 0));
        assert_eq!(world.produce(1, &batch(1)), (0, 1));
        assert_eq!(world.produce(1, &batch(0)), (0, 0), "known while the broker runs");
        if reborn {
            let facts = world.model.facts();
            world = world.reborn(facts);
        } else {
            world.restart(1, Stop::Clean);
        }
        assert_eq!(world.produce(1, &batch(1)), (0, 2), "reborn: {reborn}");
        assert_eq!(world.produce(1, &batch(0)), OUT_OF_ORDER);
    }
}

#[test]
fn m8_a_first_sequence_of_17_is_taken_and_0_never_again() {
    let mut world = World::new(one_node());
    let (_, producer) = world.init(None, None);
    assert_eq!(world.produce(1, &numbered(producer, 17, 1)), (0, 0));
    assert_eq!(world.produce(1, &numbered(producer, 0, 1)), OUT_OF_ORDER);
    // A transaction of TV2 is told so at once.
    let owner = world.own("t");
    assert_eq!(
        world.produce_in(PRODUCE_V2, "t", &transactional(owner, 17, 1)),
        OUT_OF_ORDER
    );
}

/// A transaction of TV2 with one record, and its EndTxn.
fn committed(world: &mut World, id: &str) -> ((i64, i16), (i64, i16)) {
    let owner = world.own(id);
    assert_eq!(world.produce_in(PRODUCE_V2, id, &transactional(owner, 0, 1)).0, 0);
    let (code, next) = world.end(5, id, owner, true);
    assert_eq!((code, next), (0, (owner.0, owner.1 + 1)));
    (owner, next)
}

#[test]
fn m9_a_late_batch_gets_into_a_committed_transaction_until_the_marker_is_in() {
    let mut world = World::new(one_node());
    let (owner, _) = committed(&mut world, "t");
    assert_eq!(
        world.produce_in(PRODUCE_V2, "t", &transactional(owner, 1, 1)),
        (0, 1)
    );
    world.run(10);
    assert_eq!(
        world.produce_in(PRODUCE_V2, "t", &transactional(owner, 2, 1)),
        FENCED
    );
    // Record, late record, commit marker.
    let markers: Vec<_> = world.model.batches(TOPIC, 0).map(|batch| batch.marker).collect();
    assert_eq!(markers, [None, None, Some(true)]);
    assert_eq!(world.fetch(1, 0, true).0, [0, 1, 2]);
}

#[test]
fn m10_the_old_owner_writes_plainly_until_the_new_epoch_is_there() {
    let mut world = World::new(one_node());
    let old = world.own("t");
    let new = world.own("t");
    assert_eq!(new, (old.0, old.1 + 1));
    assert_eq!(world.produce(1, &numbered(old, 0, 1)), (0, 0));
    assert_eq!(
        world.produce_in(PRODUCE_V2, "t", &transactional(old, 1, 1)),
        FENCED
    );
    assert_eq!(world.produce(1, &numbered(new, 0, 1)), (0, 1));
    assert_eq!(world.produce(1, &numbered(old, 1, 1)), FENCED);
}

#[test]
fn m11_init_aborts_what_is_open() {
    for (version, produce) in [(4, PRODUCE_V1), (5, PRODUCE_V2)] {
        let mut world = World::new(one_node());
        let first = world.own("t");
        let owner = world.own("t");
        assert_eq!(owner.1, first.1 + 1);
        if version == 4 {
            assert_eq!(world.add("t", owner), 0);
        }
        assert_eq!(
            world.produce_in(produce, "t", &transactional(owner, 0, 1)),
            (0, 0)
        );
        assert_eq!(world.init(Some("t"), None).0, 51);
        world.run(20);
        assert_eq!(world.init(Some("t"), None), (0, (owner.0, owner.1 + 2)));
        let state = world.state();
        assert_eq!(state.last_stable_offset, state.high_watermark);
        assert_eq!(world.end(version, "t", owner, true).0, 90);
        // The old clients' name for it.
        assert_eq!(world.end(1, "t", owner, true).0, 47);
    }
}

#[test]
fn m12_a_foreign_open_transaction_hides_what_is_committed_above_it() {
    let mut world = World::new(one_node());
    let foreign = world.own("foreign");
    assert_eq!(
        world.produce_in(PRODUCE_V2, "foreign", &transactional(foreign, 0, 1)),
        (0, 0)
    );
    committed(&mut world, "ours");
    world.run(20);
    world.own("ours");
    let state = world.state();
    assert_eq!((state.last_stable_offset, state.high_watermark), (0, 3));
    assert!(world.fetch(1, 0, true).0.is_empty());
    assert_eq!(world.list(1, -1, true), (0, 0));
    assert_eq!(world.list(1, -1, false), (0, 3));
    assert_eq!(state.open_transactions, [(0, foreign.0)]);
}

#[test]
fn m13_two_contenders_with_the_same_expectation_get_the_same_epoch() {
    let mut world = World::new(one_node());
    let owner = world.own("t");
    let bumped = (owner.0, owner.1 + 1);
    assert_eq!(world.init(Some("t"), Some(owner)), (0, bumped));
    assert_eq!(world.init(Some("t"), Some(owner)), (0, bumped));
    assert_eq!(world.init(Some("t"), None), (0, (owner.0, owner.1 + 2)));
    assert_eq!(world.init(Some("t"), None), (0, (owner.0, owner.1 + 3)));
    assert_eq!(world.init(Some("t"), Some(owner)).0, 90);
}

#[test]
fn m14_the_same_end_again_is_known_and_the_other_end_is_refused() {
    let mut world = World::new(one_node());
    let (owner, next) = committed(&mut world, "t");
    assert_eq!(
        world.end(5, "t", owner, true).0,
        51,
        "the markers are on their way"
    );
    world.run(20);
    assert_eq!(world.end(5, "t", owner, true), (0, next));
    assert_eq!(world.end(5, "t", owner, false).0, 48);
    // The abort of an empty transaction is answered, and bumps.
    let (code, after) = world.end(5, "t", next, false);
    assert_eq!((code, after), (0, (next.0, next.1 + 1)));
    assert_eq!(
        world.end(5, "t", after, true).0,
        48,
        "an empty transaction cannot commit"
    );
}

#[test]
fn m15_a_batch_may_straddle_the_end_of_sequences() {
    let mut world = World::new(one_node());
    let (_, producer) = world.init(None, None);
    let straddling = numbered(producer, 2_147_483_640, 20);
    assert_eq!(world.produce(1, &straddling), (0, 0));
    assert_eq!(world.produce(1, &numbered(producer, 12, 1)), (0, 20));
    assert_eq!(world.produce(1, &straddling), (0, 0));
}

#[test]
fn m16_two_batches_in_one_partition_are_refused() {
    let mut world = World::new(one_node());
    let two = [plain().bytes(), plain().bytes()].concat();
    let connection = world.connect(1);
    let response = world.ask(connection, 9, &produce_request(None, -1, two.into()));
    assert_eq!(response.responses[0].partition_responses[0].error_code, 87);
    assert_eq!(world.state().log_end, 0);
}

#[test]
fn m17_an_aborted_barrier_fences_and_shows_nothing() {
    let mut world = World::new(one_node());
    let old = world.own("t");
    let new = world.own("t");
    assert_eq!(
        world.produce_in(PRODUCE_V2, "t", &transactional(new, 0, 1)),
        (0, 0)
    );
    assert_eq!(world.end(5, "t", new, false).0, 0);
    world.run(20);
    assert_eq!(world.produce(1, &numbered(old, 0, 1)), FENCED);
    assert_eq!(
        world.produce_in(PRODUCE_V2, "t", &transactional(old, 0, 1)),
        FENCED
    );
    let (batches, data) = world.fetch(1, 0, true);
    let aborted = data.aborted_transactions.expect("a list");
    assert_eq!(
        (batches, aborted.len(), aborted[0].first_offset),
        (vec![0, 1], 1, 0)
    );
    assert_eq!(aborted[0].producer_id.0, new.0);
}

#[test]
fn tv1_adds_first_and_keeps_its_epoch() {
    let mut world = World::new(Settings {
        transaction_version: 1,
        ..one_node()
    });
    let owner = world.own("t");
    assert_eq!(
        world.produce_in(10, "t", &transactional(owner, 0, 1)).0,
        48,
        "never added"
    );
    assert_eq!(
        world.produce_in(PRODUCE_V1, "t", &transactional(owner, 0, 1)).0,
        120
    );
    assert_eq!(world.end(4, "t", owner, true).0, 48, "nothing to end (B4)");
    assert_eq!(world.add("t", owner), 0);
    assert_eq!(world.produce_in(10, "t", &transactional(owner, 0, 1)), (0, 0));
    assert_eq!(
        world.produce(1, &numbered(owner, 1, 1)).0,
        48,
        "plain inside a transaction (B10)"
    );
    assert_eq!(world.end(4, "t", owner, true).0, 0);
    assert_eq!(world.add("t", owner), 51);
    assert_eq!(
        world
            .produce_as(1, 10, Some("t"), &transactional(owner, 1, 1))
            .error_code,
        0,
        "M9 in TV1"
    );
    world.run(20);
    assert_eq!(world.end(4, "t", owner, true).0, 0);
    assert_eq!(world.end(4, "t", owner, false).0, 48);
    assert_eq!(world.add("t", owner), 0);
    assert_eq!(world.produce_in(10, "t", &transactional(owner, 2, 1)), (0, 3));
}

#[test]
fn tv2_takes_a_new_producer_id_when_epochs_are_used_up() {
    let mut world = World::new(one_node());
    let mut owner = world.own("t");
    world.model.transactions.get_mut("t").expect("is there").epoch = i16::MAX - 1;
    owner.1 = i16::MAX - 1;
    assert_eq!(
        world.produce_in(PRODUCE_V2, "t", &transactional(owner, 0, 1)),
        (0, 0)
    );
    let (code, next) = world.end(5, "t", owner, true);
    assert_eq!((code, next.1), (0, 0));
    assert_ne!(next.0, owner.0);
    assert_eq!(
        world.produce_in(PRODUCE_V2, "t", &transactional(next, 0, 1)).0,
        51,
        "B8"
    );
    world.run(20);
    assert_eq!(world.end(5, "t", owner, true), (0, next), "resent");
    assert_eq!(
        world.produce_in(PRODUCE_V2, "t", &transactional(next, 0, 1)),
        (0, 2)
    );
    assert_eq!(
        world.produce_in(PRODUCE_V2, "t", &transactional(owner, 1, 1)).0,
        49
    );
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted_and_its_owner_fenced() {
    let mut world = World::new(one_node());
    let owner = world.own("t");
    assert_eq!(
        world.produce_in(PRODUCE_V2, "t", &transactional(owner, 0, 1)),
        (0, 0)
    );
    world.run(75_000);
    assert!(world.state().open_transactions.is_empty());
    assert_eq!(
        world.produce_in(PRODUCE_V2, "t", &transactional(owner, 1, 1)),
        FENCED
    );
    // The coordinator's own bump looks to it like that of a resent end: the other flag than its own is refused.
    assert_eq!(world.end(5, "t", owner, true).0, 48);
    assert_eq!(world.own("t"), (owner.0, owner.1 + 2));
}
