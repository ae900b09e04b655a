//! V1 to V4 and V6: one tiny world for each, and worlds that went on as they should.

use std::ops::Range;

use super::fixture::{MS, S, START};
use super::world::{World, begin_ns};
use crate::expectations::{Comparison, Metric, Recovery, Statistic, Threshold};
use crate::judge::findings::Findings;
use crate::judge::liveness::Debts;
use crate::judge::phases::Plan;
use crate::judge::tables::Tables;
use crate::judge::{Anomaly, Liveness};
use crate::measurements::Point;
use crate::timeline::Fault;

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
    let story = world.told(number);
    // With all of them, the answer to its end is late too: only then they count. Of one partition alone only that is late.
    if partition.is_none() {
        story.asked_ns = story.asked_ns.max(ack_ns);
    }
    for told in &mut story.records {
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
    let liveness = liveness(vec![HEALED..START + 400 * MS]);
    let mut debts = liveness.debts();
    let found = |debts: &Debts| {
        let mut findings = Findings::default();
        liveness.find(&[], debts, &Tables::default(), &mut findings);
        findings.count(Anomaly::V6)
    };
    debts.handed_over(HEALED - 1, HEALED + 60 * MS);
    debts.handed_over(HEALED, HEALED + 90 * MS);
    assert_eq!(found(&debts), 0);
    debts.handed_over(HEALED - 1, HEALED + 60 * MS + 1);
    debts.handed_over(HEALED - 2, HEALED + 70 * MS);
    assert_eq!(found(&debts), 1, "once a heal, however many");
}

#[test]
fn a_run_is_healthy_where_no_fault_stands() {
    let plan = Plan {
        start_ns: 0,
        warmup_end_ns: 10,
        end_ns: 100,
    };
    let fault = |started_ns, healed_ns| Fault {
        name: String::new(),
        action: String::new(),
        target: String::new(),
        resolved: String::new(),
        started_ns,
        healed_ns,
        evidence: Default::default(),
        failed: None,
    };
    let healthy = |faults: &[Fault]| Liveness::of(&Recovery::default(), &plan, faults).healthy;
    assert_eq!(healthy(&[]), [10..100]);
    let overlapping = [fault(30, Some(50)), fault(20, Some(40)), fault(80, Some(200))];
    assert_eq!(healthy(&overlapping), [10..20, 50..80]);
    assert_eq!(healthy(&[fault(5, Some(15)), fault(60, None)]), [15..60]);
}

#[test]
fn v3_by_a_condition_looks_at_every_second_after_the_time_to_recover() {
    let liveness = Liveness {
        run: 0..20 * S,
        healthy: vec![0..5 * S, 10 * S..20 * S],
        ..Liveness::default()
    };
    let points = |slow: Range<i64>| -> Vec<Point> {
        let point = |s| Point {
            t_ns: s * S as i64,
            intended: 10,
            acked: 10,
            p50_ns: Some(1),
            p99_ns: Some(if slow.contains(&s) { 2_000_000 } else { 500_000 }),
            max_ns: Some(3_000_000),
            ..Point::default()
        };
        (0..20).map(point).collect()
    };
    let condition = |statistic| Threshold {
        metric: Metric::AckLatency,
        phase: None,
        expression: "p(99)<1ms".into(),
        statistic,
        comparison: Comparison::Less,
        limit: 1e6,
    };
    let found = |points: &[Point], statistic| {
        let mut findings = Findings::default();
        let judged = liveness.find_unmet((&condition(statistic), 3 * S), (points, 0), &mut findings);
        (judged.ok(), findings.count(Anomaly::V3))
    };
    let p99 = Statistic::Percentile(99.0);
    assert_eq!(found(&points(0..0), p99), (Some(0), 0));
    assert_eq!(
        found(&points(4..13), p99),
        (Some(2 * S), 0),
        "the fault and three seconds"
    );
    assert_eq!(found(&points(4..14), p99), (Some(3 * S), 1));
    let mut silent = points(0..0);
    silent[15] = Point {
        p99_ns: None,
        acked: 0,
        ..silent[15].clone()
    };
    assert_eq!(
        found(&silent, p99),
        (Some(5 * S), 1),
        "a second in which nothing due was acknowledged"
    );
    assert_eq!(found(&points(0..0), Statistic::Avg), (None, 0));
    assert_eq!(
        found(&points(0..0)[..13], p99),
        (None, 0),
        "the load ended before there was anything to look at"
    );
}
