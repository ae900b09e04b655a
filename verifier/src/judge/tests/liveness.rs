//! V1 to V4 and V6: one tiny world for each, and worlds that went on as they should.

use std::ops::Range;

use super::fixture::{MS, S, START};
use super::world::{World, begin_ns};
use crate::judge::Liveness;

/// Asked of three transactions 100 ms apart, each acknowledged after 10 ms; the fault ended 250 ms after the start.
fn liveness(healthy: Vec<Range<u64>>) -> Liveness {
    Liveness {
        run: START + 100 * MS..START + 400 * MS,
        healthy,
        gap_ns: Some(150 * MS),
        progress_ns: Some(120 * MS),
        recovery_ns: Some(40 * MS),
        backlog_ns: Some(60 * MS),
    }
}

const HEALED: u64 = START + 250 * MS;

fn world() -> World {
    let mut world = World::clean();
    world.liveness = Some(liveness(vec![
        START + 100 * MS..START + 200 * MS,
        HEALED..START + 400 * MS,
    ]));
    world
}

fn acked_at(world: &mut World, number: u64, partition: Option<i32>, ack_ns: u64) {
    for told in &mut world.told(number).records {
        if partition.is_none_or(|partition| partition == told.partition) {
            told.ack_ns = ack_ns;
        }
    }
}

#[test]
fn a_world_that_goes_on_raises_nothing() {
    assert!(world().found().is_clean());
}

#[test]
fn v1_a_silence_longer_than_the_gap() {
    let mut world = world();
    acked_at(&mut world, 2, None, begin_ns(2) + 160 * MS);
    acked_at(&mut world, 3, None, begin_ns(2) + 160 * MS);
    world.liveness.as_mut().unwrap().recovery_ns = None;
    assert_eq!(world.names(), "V1=1");
}

#[test]
fn v2_silence_while_the_core_stood() {
    let mut world = world();
    let liveness = world.liveness.as_mut().unwrap();
    liveness.healthy = vec![START + 100 * MS..START + 400 * MS];
    (liveness.gap_ns, liveness.recovery_ns) = (None, None);
    acked_at(&mut world, 2, None, begin_ns(2) + 130 * MS);
    acked_at(&mut world, 3, None, begin_ns(2) + 130 * MS);
    assert_eq!(
        world.names(),
        "V2=1 V4=2",
        "and with all, each of the two partitions"
    );
}

#[test]
fn v3_what_was_sent_before_the_heal_is_still_open_too_long_after() {
    let mut world = world();
    acked_at(&mut world, 2, None, HEALED + 39 * MS);
    assert_eq!(world.names(), "");
    acked_at(&mut world, 2, None, HEALED + 41 * MS);
    assert_eq!(world.names(), "V3=1");
}

#[test]
fn v4_one_partition_stands_while_the_other_goes_on() {
    let mut world = world();
    let liveness = world.liveness.as_mut().unwrap();
    liveness.healthy = vec![START + 100 * MS..START + 400 * MS];
    acked_at(&mut world, 2, Some(1), begin_ns(2) + 121 * MS);
    assert_eq!(world.names(), "V4=1");
}

#[test]
fn v4_a_record_without_an_outcome_to_the_end() {
    let mut world = world();
    world.liveness.as_mut().unwrap().run.end = START + S;
    world.liveness.as_mut().unwrap().healthy[1].end = START + S;
    world.liveness.as_mut().unwrap().recovery_ns = None;
    (
        world.told(3).records[3].outcome,
        world.told(3).records[3].partition,
    ) = (None, 1);
    // Later ones go on, so that it is no silence of all.
    let found = world.names();
    assert_eq!(
        found, "V1=1 V2=1 V4=1",
        "nothing else was due, so all is silent with it"
    );
}

#[test]
fn v6_what_was_due_before_the_heal_is_handed_over_too_late() {
    let mut world = world();
    world.told(2).handover_ns = HEALED + 61 * MS;
    acked_at(&mut world, 2, None, HEALED + 62 * MS);
    // The fixture's records are due when they are handed over; this one's story needs an earlier due time.
    let mut debts = world.liveness.as_ref().unwrap().debts();
    debts.handed_over(HEALED - 1, HEALED + 60 * MS);
    debts.handed_over(HEALED, HEALED + 90 * MS);
    let mut findings = crate::judge::findings::Findings::default();
    let tables = crate::judge::tables::Tables::default();
    let liveness = world.liveness.as_ref().unwrap();
    liveness.find(&[], &debts, &tables, &mut findings);
    assert_eq!(findings.counts().len(), 0);
    debts.handed_over(HEALED - 1, HEALED + 60 * MS + 1);
    liveness.find(&[], &debts, &tables, &mut findings);
    assert_eq!(findings.count(crate::judge::Anomaly::V6), 1);
}
