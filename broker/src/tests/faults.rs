//! Nodes that die, pause, are cut off or lose power; elections; coordinators that move.

use kafka_protocol::messages::ProduceRequest;

use crate::testing::*;
use crate::{Order, OrderError, Settings, Stop};

fn pause(world: &mut World, node: i32) {
    world.order(Order::Pause { node });
}

fn other(world: &World) -> i32 {
    let leader = world.leader();
    (1..=3).find(|node| *node != leader).expect("three nodes")
}

#[test]
fn all_in_sync_replicas_have_what_is_acknowledged() {
    let mut world = World::new(three_nodes());
    let leader = world.leader();
    assert_eq!(world.produce(leader, &plain()), (0, 0));
    let state = world.state();
    assert_eq!((state.high_watermark, state.log_end), (1, 1));
    let ends: Vec<i64> = world.model.partitions[0]
        .replicas
        .iter()
        .map(|replica| replica.end)
        .collect();
    assert_eq!(ends, [1, 1, 1]);
}

#[test]
fn a_killed_leader_is_replaced_after_its_session_and_nothing_is_lost() {
    let mut world = World::new(three_nodes());
    let old = world.leader();
    let (_, producer) = world.init(None, None);
    assert_eq!(world.produce(old, &numbered(producer, 0, 1)), (0, 0));
    let connection = world.connect(old);
    world.order(Order::Kill {
        node: old,
        stop: Stop::Hard,
    });
    assert!(world.closed.contains(&connection));
    world.run(8_900);
    assert_eq!(world.leader(), old, "nobody knows yet");
    world.run(200);
    let state = world.state();
    assert_ne!(state.leader, old);
    assert_eq!(
        (state.leader_epoch, state.isr.len(), state.high_watermark),
        (1, 2, 1)
    );
    // The new leader knows the producer from replication: no window is lost.
    assert_eq!(world.produce(state.leader, &numbered(producer, 0, 1)), (0, 0));
    assert_eq!(world.produce(state.leader, &numbered(producer, 1, 1)), (0, 1));
    world.order(Order::Start { node: old });
    world.run(1_000);
    assert_eq!(world.state().isr, [1, 2, 3], "it caught up");
}

#[test]
fn a_clean_stop_moves_leaders_first() {
    let mut world = World::new(three_nodes());
    let old = world.leader();
    world.order(Order::Kill {
        node: old,
        stop: Stop::Clean,
    });
    assert_ne!(world.leader(), old);
    world.run(10);
    let leader = world.leader();
    assert_eq!(world.produce(leader, &plain()), (0, 0));
}

#[test]
fn a_paused_leader_that_goes_on_cannot_acknowledge() {
    let mut world = World::new(three_nodes());
    let old = world.leader();
    let zombie = world.connect(old);
    pause(&mut world, old);
    world.run(10_000);
    let new = world.leader();
    assert_ne!(new, old);
    assert_eq!(world.produce(new, &plain()), (0, 0));
    // What was sent to it meanwhile is served with what it knew.
    let stale = Made {
        value: "stale",
        ..plain()
    };
    world.send(zombie, 11, &produce_request(None, -1, stale.bytes()));
    world.order(Order::Resume { node: old });
    let answer = world.wait_for::<ProduceRequest>(zombie, 11);
    let partition = &answer.responses[0].partition_responses[0];
    assert_eq!(partition.error_code, 6);
    assert_eq!(
        (
            partition.current_leader.leader_id.0,
            partition.current_leader.leader_epoch
        ),
        (new, 1)
    );
    assert_eq!(answer.node_endpoints[0].node_id.0, new, "KIP-951");
    world.run(1_000);
    assert_eq!(world.state().isr, [1, 2, 3]);
    let ends: Vec<_> = world.model.partitions[0]
        .replicas
        .iter()
        .map(|replica| replica.runs.clone())
        .collect();
    assert!(
        ends.iter().all(|runs| *runs == ends[0]),
        "its own batch was cut off: {ends:?}"
    );
    assert_eq!(world.fetch(new, 0, false).0, [0]);
}

#[test]
fn a_leader_that_is_cut_off_commits_nothing() {
    let mut world = World::new(three_nodes());
    let old = world.leader();
    for node in (1..=3).filter(|node| *node != old) {
        world.order(Order::Cut { a: old, b: node });
    }
    assert_eq!(
        world.produce(old, &plain()),
        (7, 0),
        "the request times out, and tells where the batch is"
    );
    let state = world.state();
    assert_eq!((state.high_watermark, state.log_end), (0, 1));
    world.run(10_000);
    assert_ne!(world.leader(), old);
    for node in (1..=3).filter(|node| *node != old) {
        world.order(Order::Mend { a: old, b: node });
    }
    world.run(1_000);
    assert_eq!(world.state().log_end, 0, "it is gone with the leader that had it");
    assert_eq!(world.state().isr, [1, 2, 3]);
}

#[test]
fn too_few_in_sync_refuses_before_and_tells_after() {
    let mut world = World::new(three_nodes());
    let leader = world.leader();
    let followers: Vec<i32> = (1..=3).filter(|node| *node != leader).collect();
    for node in &followers {
        pause(&mut world, *node);
    }
    // Sent while the ISR is still three: it waits, the ISR shrinks, and it is told that it is not safe.
    let connection = world.connect(leader);
    let request = produce_request(None, -1, plain().bytes()).with_timeout_ms(120_000);
    world.send(connection, 11, &request);
    let answer = world.wait_for::<ProduceRequest>(connection, 11);
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 20);
    assert_eq!(world.state().log_end, 1, "it is in the log");
    assert_eq!(world.produce(leader, &plain()).0, 19);
    assert_eq!(world.state().log_end, 1, "and this one is not");
    let acks_1 = world.connect(leader);
    let answer = world.ask(acks_1, 11, &produce_request(None, 1, plain().bytes()));
    assert_eq!(
        answer.responses[0].partition_responses[0].error_code, 0,
        "acks=1 does not ask for them"
    );
}

#[test]
fn an_unclean_election_loses_what_the_new_leader_lacks() {
    let mut world = World::new(Settings {
        min_insync_replicas: 1,
        ..three_nodes()
    });
    let old = world.leader();
    let new = other(&world);
    world.produce(old, &plain());
    world.lose_by_election(new);
    let state = world.state();
    assert_eq!(
        (state.leader, state.log_end, state.committed),
        (new, 1, 2),
        "a committed record is gone"
    );
    assert_eq!(world.produce(new, &plain()), (0, 1));
    world.run(1_000);
    assert_eq!(world.state().isr, [1, 2, 3]);
}

#[test]
fn power_loss_takes_an_unsynced_tail_and_kill_9_does_not() {
    let mut lost = 0;
    for stop in [Stop::Hard, Stop::PowerLoss] {
        let mut world = World::new(one_node());
        for offset in 0..20 {
            assert_eq!(world.produce(1, &plain()), (0, offset));
        }
        world.run(40_000);
        for offset in 20..40 {
            assert_eq!(world.produce(1, &plain()), (0, offset));
        }
        world.restart(1, stop);
        let end = world.state().log_end;
        match stop {
            Stop::PowerLoss => {
                assert!((20..40).contains(&end), "{end}");
                lost = 40 - end;
                assert_eq!(world.produce(1, &plain()), (0, end));
            }
            _ => assert_eq!(end, 40),
        }
    }
    assert!(lost > 0);
}

#[test]
fn a_moved_coordinator_reads_its_state_first() {
    let mut world = World::new(three_nodes());
    let owner = world.own("t");
    let old = world.model.coordinator_of(1, "t");
    world.order(Order::MoveCoordinator {
        key_type: 1,
        key: "t".into(),
    });
    assert_ne!(world.model.coordinator_of(1, "t"), old);
    assert_eq!(world.end(5, "t", owner, false).0, 14);
    world.run(50);
    assert_eq!(world.end(5, "t", owner, false), (0, (owner.0, owner.1 + 1)));
}

#[test]
fn markers_reach_a_partition_whose_leader_died_meanwhile() {
    let mut world = World::new(three_nodes());
    let owner = world.own("t");
    let leader = world.leader();
    let made = transactional(owner, 0, 1);
    assert_eq!(
        world.produce_as(leader, PRODUCE_V2, Some("t"), &made).error_code,
        0
    );
    let coordinator = world.model.coordinator_of(1, "t");
    assert_eq!(world.end(5, "t", owner, true).0, 0);
    world.order(Order::Kill {
        node: leader,
        stop: Stop::Hard,
    });
    world.run(if coordinator == leader { 11_000 } else { 10_000 });
    let state = world.state();
    assert_eq!((state.open_transactions.len(), state.last_stable_offset), (0, 2));
    let markers: Vec<_> = world.model.batches(TOPIC, 0).map(|batch| batch.marker).collect();
    assert_eq!(markers, [None, Some(true)]);
}

#[test]
fn a_transaction_is_complete_only_when_its_markers_are_safe() {
    let mut world = World::new(three_nodes());
    let owner = world.own("t");
    let leader = world.leader();
    let made = transactional(owner, 0, 1);
    assert_eq!(
        world.produce_as(leader, PRODUCE_V2, Some("t"), &made).error_code,
        0
    );
    let coordinator = world.model.coordinator_of(1, "t");
    let far: Vec<i32> = (1..=3)
        .filter(|node| *node != leader && *node != coordinator)
        .collect();
    for node in &far {
        pause(&mut world, *node);
    }
    assert_eq!(world.end(5, "t", owner, true).0, 0);
    let state = |world: &World| world.model.transaction("t").expect("is there").state;
    world.run(1_000);
    assert_eq!(
        state(&world),
        "PrepareCommit",
        "a follower in sync lacks the marker"
    );
    assert_eq!(world.state().log_end, 2);
    for node in far {
        world.order(Order::Resume { node });
    }
    world.run(100);
    assert_eq!(state(&world), "CompleteCommit");
    assert_eq!(world.state().log_end, 2, "one marker");
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let story = || {
        let mut world = World::new(three_nodes());
        let owner = world.own("t");
        let leader = world.leader();
        world.produce_as(leader, PRODUCE_V2, Some("t"), &transactional(owner, 0, 3));
        world.order(Order::Kill {
            node: leader,
            stop: Stop::PowerLoss,
        });
        world.run(20_000);
        world.order(Order::Start { node: leader });
        world.run(20_000);
        (format!("{:?}", world.facts), format!("{:?}", world.model.store()))
    };
    assert_eq!(story(), story());
}

#[test]
fn a_topic_grows_only_where_each_replica_has_a_live_node() {
    let mut world = World::new(three_nodes());
    let node = other(&world);
    world.order(Order::Kill {
        node,
        stop: Stop::Clean,
    });
    let grow = Order::GrowTopic {
        name: TOPIC.into(),
        partitions: 2,
    };
    let refused = world.model.order(grow.clone(), world.now);
    assert!(
        matches!(refused, Err(OrderError::Kafka { code: 38, .. })),
        "{refused:?}"
    );
    world.order(Order::Start { node });
    world.run(1_000);
    world.order(grow);
    let mut replicas = world.model.partition(TOPIC, 1).expect("it is there").replicas;
    replicas.sort_unstable();
    assert_eq!(replicas, [1, 2, 3], "three nodes, not one of them twice");
}
