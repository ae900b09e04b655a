//! Timing, cancelling and failing, on a cluster of which nothing runs. Faults on real brokers: `tests/` of the workspace.

use super::*;
use crate::cluster::external;
use crate::fault::{Action, Target};
use crate::process::tests::test_spawner;

/// A cluster whose only broker, somebody else's, is not there.
fn nobody(home: &Path) -> Arc<Cluster> {
    Arc::new(external::of(
        &["127.0.0.1:1".into()],
        &test_spawner(&home.join("journals")),
    ))
}

fn kill_at(at: Duration, target: Target) -> PlannedFault {
    PlannedFault {
        name: "kill".into(),
        at,
        when: None,
        hold: None,
        action: Action::Kill,
        target,
    }
}

fn events(path: &Path) -> Vec<FaultEvent> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_fault_that_cannot_be_done_is_written_down_as_failed() {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("faults.jsonl");
    let plan = vec![kill_at(Duration::from_millis(50), Target::Broker(1))];
    let begun_ns = now_ns();
    let result = start(plan, 1, (nobody(home.path()), None), begun_ns, &log)
        .unwrap()
        .join();
    assert!(result.unwrap_err().to_string().contains("broker 1"));
    let [FaultEvent::Failed { name, reason, at_ns }] = &events(&log)[..] else {
        panic!("{:?}", events(&log))
    };
    assert_eq!(name, "kill");
    assert!(reason.contains("not one that steadfast has started"), "{reason}");
    assert!(*at_ns >= begun_ns + 50_000_000, "not before its time");
}

#[test]
fn a_dropped_plan_ends_at_once_and_what_has_not_begun_never_does() {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("faults.jsonl");
    let plan = vec![kill_at(Duration::from_secs(3600), Target::Broker(1))];
    let nemesis = start(plan, 1, (nobody(home.path()), None), now_ns(), &log).unwrap();
    let dropped_ns = now_ns();
    drop(nemesis);
    assert!(now_ns() - dropped_ns < nanos(Duration::from_secs(5)));
    assert_eq!(events(&log), []);
}

#[test]
fn a_target_without_meaning_is_looked_for_until_the_plan_is_dropped() {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("faults.jsonl");
    let target = Target::Leader {
        topic: "orders".into(),
        partition: 0,
    };
    let nemesis = start(
        vec![kill_at(Duration::ZERO, target)],
        1,
        (nobody(home.path()), None),
        now_ns(),
        &log,
    )
    .unwrap();
    sleep(Duration::from_millis(500));
    assert_eq!(events(&log), [], "still looking");
    drop(nemesis);
    let [FaultEvent::Failed { reason, .. }] = &events(&log)[..] else {
        panic!("{:?}", events(&log))
    };
    assert!(reason.contains("leader of orders-0"), "{reason}");
}

#[test]
fn a_target_that_is_nobody_here_is_told_at_once() {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("faults.jsonl");
    for target in [Target::All, Target::Random, Target::Minority] {
        let begun_ns = now_ns();
        let plan = vec![kill_at(Duration::ZERO, target.clone())];
        let result = start(plan, 1, (nobody(home.path()), None), begun_ns, &log)
            .unwrap()
            .join();
        let told = result.unwrap_err().to_string();
        assert!(told.contains(&format!("{target} is nobody here")), "{told}");
        assert!(now_ns() - begun_ns < nanos(RESOLVE_BOUND), "nothing to wait for");
    }
}
