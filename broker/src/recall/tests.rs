//! Death of the whole cluster: what was remembered is there again, and a torn tail is not.

use super::*;
use crate::Stop;
use crate::testing::*;

/// A cluster with a bit of everything.
fn lived() -> World {
    let mut world = World::new(three_nodes());
    let leader = world.leader();
    let (_, producer) = world.init(None, None);
    for batch in 0..3 {
        world.produce(leader, &numbered(producer, batch, 1));
    }
    let owner = world.own("t");
    let made = transactional(owner, 0, 1);
    assert_eq!(
        world.produce_as(leader, PRODUCE_V2, Some("t"), &made).error_code,
        0
    );
    assert_eq!(world.end(5, "t", owner, true).0, 0);
    world
}

#[test]
fn everything_remembered_is_there_again() {
    for compact in [false, true] {
        let world = lived();
        let facts = if compact {
            world.model.facts()
        } else {
            world.facts.clone()
        };
        let before = world.state();
        let transaction = world.model.transaction("t").expect("is there");
        let mut world = world.reborn(facts);
        let after = world.state();
        assert_eq!(
            (after.log_end, after.high_watermark),
            (before.log_end, before.log_end)
        );
        assert_eq!(after.leader_epoch, before.leader_epoch + 1);
        assert_eq!(transaction.state, "PrepareCommit");
        world.run(100);
        let transaction = world.model.transaction("t").expect("is there");
        assert_eq!(
            (transaction.state.as_str(), transaction.epoch),
            ("CompleteCommit", 1)
        );
        let state = world.state();
        assert_eq!(
            (state.log_end, state.last_stable_offset),
            (5, 5),
            "the marker came after all"
        );
        let leader = world.leader();
        assert_eq!(
            world.produce(leader, &numbered((0, 0), 1, 1)).0,
            45,
            "one batch is known (M5)"
        );
        assert_eq!(world.produce(leader, &numbered((0, 0), 2, 1)), (0, 2));
        assert_ne!(world.init(None, None).1.0, 0, "no producer id twice");
    }
}

#[test]
fn a_torn_tail_is_cut() {
    let mut world = lived();
    let log = world.state().log;
    let end = world.model.store().end(log);
    let whole = world.model.batches(TOPIC, 0).last().expect("a batch");
    // Half a batch, as a process that dies while it writes leaves it.
    let torn = plain().bytes();
    world
        .model
        .store()
        .append(log, &torn[..40], &[])
        .expect("appends");
    let facts = world.facts.clone();
    let mut world = world.reborn(facts);
    assert_eq!(world.model.store().end(log), end);
    assert_eq!(
        world.model.batches(TOPIC, 0).last().map(|batch| batch.position),
        Some(whole.position)
    );
    // A whole batch with a flipped bit is torn too.
    let mut flipped = plain().bytes().to_vec();
    flipped[65] ^= 1;
    world.model.store().append(log, &flipped, &[]).expect("appends");
    let facts = world.model.facts();
    let mut world = world.reborn(facts);
    assert_eq!(world.model.store().end(log), end);
}

#[test]
fn what_an_election_cut_off_stays_off() {
    let mut world = World::new(crate::Settings {
        min_insync_replicas: 1,
        ..three_nodes()
    });
    let old = world.leader();
    let new = (1..=3).find(|node| *node != old).expect("three nodes");
    world.produce(old, &plain());
    world.lose_by_election(new);
    world.produce(
        new,
        &Made {
            value: "kept",
            ..plain()
        },
    );
    for compact in [false, true] {
        let facts = if compact {
            world.model.facts()
        } else {
            world.facts.clone()
        };
        world = world.reborn(facts);
        let batches: Vec<_> = world.model.batches(TOPIC, 0).collect();
        assert_eq!(
            batches.iter().map(|batch| batch.base_offset).collect::<Vec<_>>(),
            [0, 1]
        );
        let log = world.state().log;
        let bytes = world.model.read(log, &batches[1]).expect("reads");
        assert!(bytes.windows(4).any(|window| window == b"kept"));
    }
    world.restart(new, Stop::Hard);
}

#[test]
fn facts_that_do_not_fit_are_refused() {
    let settings = one_node();
    let mut model = Model::new(settings, Vec::new(), crate::Memory::default(), 1, Now::default());
    let topic = Fact::Topic {
        name: "t".into(),
        id: [1; 16],
        partitions: vec![(LogId(0), vec![5])],
        configs: Vec::new(),
    };
    let refused = model
        .recall(vec![topic], Now::default())
        .expect_err("there is no node 5");
    assert!(refused.to_string().contains("does not fit"));
    let far = model.recall(vec![Fact::Logs { next: u32::MAX }], Now::default());
    assert!(far.is_err(), "an allocation that a damaged fact asks for");
}
