//! Thresholds and steady state: each metric against its limit, and no figure where there is nothing to measure.

use super::fixture::{COUNTED, END, Fate, MS, Run, S, START, batch, stands};
use crate::expectations::{Comparison, Metric, Statistic, Threshold};
use crate::judge::{EXIT_INCONCLUSIVE, EXIT_STEADY_STATE, EXIT_THRESHOLD};
use crate::timeline::Sample;
use crate::verdict::{Outcome, ThresholdVerdict};

pub(super) fn limit(metric: Metric, statistic: Statistic, comparison: Comparison, limit: f64) -> Threshold {
    Threshold {
        metric,
        phase: None,
        expression: "as in the file".into(),
        statistic,
        comparison,
        limit,
    }
}

fn observed(run: &Run, metric: Metric, statistic: Statistic) -> Option<f64> {
    weigh(run, limit(metric, statistic, Comparison::Less, 0.0)).observed
}

fn weigh(run: &Run, threshold: Threshold) -> ThresholdVerdict {
    let mut expectations = run.expectations.clone();
    expectations.thresholds = vec![threshold];
    let dir = run.write();
    let judgement = crate::judge::judge(dir.path(), &expectations, &super::fixture::environment()).unwrap();
    judgement.verdict.thresholds[0].clone()
}

fn near(value: Option<f64>, expected: f64) -> bool {
    value.is_some_and(|value| (value - expected).abs() <= expected.abs() * 0.002)
}

#[test]
fn every_metric_is_measured_in_its_unit() {
    // 20 records, one each 100 ms: due 1 ms before they were sent, acknowledged 2 ms after.
    let run = Run::clean(20);
    let p = Statistic::Percentile(99.0);
    assert!(near(observed(&run, Metric::AckLatency, p), 3e6));
    assert!(near(observed(&run, Metric::ServiceTime, Statistic::Max), 2e6));
    assert!(near(observed(&run, Metric::ScheduleLag, Statistic::Avg), 1e6));
    // One was due in warm-up (1 ms before it ended), all were acknowledged after it: 20 in 9 s.
    assert!(near(
        observed(&run, Metric::AchievedRate, Statistic::Rate),
        20.0 / 9.0
    ));
    assert_eq!(observed(&run, Metric::RecordError, Statistic::Rate), Some(0.0));
    assert!(near(observed(&run, Metric::Unavailability, Statistic::Max), 3e6));
    assert!(near(observed(&run, Metric::ClientCpu, Statistic::Value), 5.0));
    assert!(near(observed(&run, Metric::BrokerCpu, Statistic::Value), 40.0));
    assert!(near(
        observed(&run, Metric::ClientCpuPerRecord, Statistic::Value),
        0.05 * 9e9 / 20.0
    ));
    assert!(near(
        observed(&run, Metric::BrokerCpuPerRecord, Statistic::Value),
        0.4 * 9e9 / 20.0
    ));
    assert_eq!(observed(&run, Metric::ClientRss, Statistic::Max), Some(10e6));
    assert_eq!(observed(&run, Metric::BrokerRss, Statistic::Avg), Some(500e6));
    let resources = run.judge().unwrap().verdict.resources;
    assert!(near(Some(resources.client_cpu_us_per_record), 0.05 * 9e6 / 20.0));
}

#[test]
fn comparisons_are_strict_where_they_say_so() {
    let run = Run::clean(20);
    for (comparison, at, verdict) in [
        (Comparison::Less, 0.0, Outcome::Fail),
        (Comparison::LessOrEqual, 0.0, Outcome::Pass),
        (Comparison::Greater, 0.0, Outcome::Fail),
        (Comparison::GreaterOrEqual, 0.0, Outcome::Pass),
        (Comparison::Equal, 0.0, Outcome::Pass),
        (Comparison::Equal, 0.1, Outcome::Fail),
    ] {
        let threshold = limit(Metric::RecordError, Statistic::Rate, comparison, at);
        assert_eq!(weigh(&run, threshold).verdict, verdict, "{comparison:?} {at}");
    }
}

#[test]
fn a_failed_threshold_is_99() {
    let threshold = limit(Metric::AckLatency, Statistic::Max, Comparison::Less, 1e6);
    let verdict = Run::clean(20).threshold(threshold).judge().unwrap().verdict;
    assert_eq!(
        (verdict.verdict, verdict.exit_code),
        (Outcome::Fail, EXIT_THRESHOLD)
    );
}

#[test]
fn records_never_acknowledged_stand_behind_all_others() {
    let mut run = Run::clean(20);
    run.sent(19).fate = Fate::Unknown { at_ns: END };
    let weigh = |p| {
        weigh(
            &run,
            limit(
                Metric::AckLatency,
                Statistic::Percentile(p),
                Comparison::Less,
                10e6,
            ),
        )
    };
    assert_eq!(weigh(90.0).verdict, Outcome::Pass);
    let p99 = weigh(99.0);
    assert_eq!((p99.verdict, p99.observed), (Outcome::Fail, None));
    assert!(p99.reason.unwrap().contains("never acknowledged"));
    // One of the 19 due after warm-up.
    assert!(near(
        observed(&run, Metric::RecordError, Statistic::Rate),
        1.0 / 19.0
    ));
}

#[test]
fn an_outage_is_as_long_as_nothing_was_acknowledged() {
    let mut run = Run::clean(20);
    // The records due in the second second all waited for its end.
    for index in 10..20 {
        let sent = *run.sent(index);
        if let Fate::Acked {
            partition, offset, ..
        } = sent.fate
        {
            run.sent(index).fate = Fate::Acked {
                at_ns: COUNTED + 2_500 * MS,
                partition,
                offset,
            };
        }
    }
    let unavailable = observed(&run, Metric::Unavailability, Statistic::Max);
    assert!(near(unavailable, 1_501e6), "{unavailable:?}");
}

#[test]
fn a_rate_may_count_what_was_in_flight_at_both_ends() {
    let mut run = Run::clean(20);
    run.sent(0).sent_ns = run.sent(0).due_ns;
    // 20 in 9 s were acknowledged, one of them was in flight when warm-up ended, one more is the schedule's rounding.
    let least = |limit_per_s| {
        weigh(
            &run,
            limit(
                Metric::AchievedRate,
                Statistic::Rate,
                Comparison::GreaterOrEqual,
                limit_per_s,
            ),
        )
        .verdict
    };
    assert_eq!(least(21.9 / 9.0), Outcome::Pass);
    assert_eq!(least(22.1 / 9.0), Outcome::Fail);
    let most = |limit_per_s| {
        weigh(
            &run,
            limit(
                Metric::AchievedRate,
                Statistic::Rate,
                Comparison::LessOrEqual,
                limit_per_s,
            ),
        )
        .verdict
    };
    assert_eq!(most(18.1 / 9.0), Outcome::Pass);
    assert_eq!(most(17.9 / 9.0), Outcome::Fail);
}

#[test]
fn waiting_for_the_generators_grid_is_in_flight_and_backlog_is_not() {
    let with_one_due_before = |ns: u64| {
        let mut run = Run::clean(20);
        let sent = run.sent(0);
        sent.due_ns = sent.sent_ns - ns;
        let least = limit(
            Metric::AchievedRate,
            Statistic::Rate,
            Comparison::GreaterOrEqual,
            21.9 / 9.0,
        );
        weigh(&run, least).verdict
    };
    assert_eq!(with_one_due_before(MS), Outcome::Pass);
    assert_eq!(with_one_due_before(MS + 1), Outcome::Fail);
}

#[test]
fn no_figure_is_no_pass() {
    let steady = |phase: &str, metric| Threshold {
        phase: Some(phase.into()),
        ..limit(metric, Statistic::Value, Comparison::Less, 1e18)
    };
    let mut run = Run::clean(20);
    // No such phase.
    assert_eq!(
        weigh(&run, steady("fault:kill", Metric::RecordError)).verdict,
        Outcome::Inconclusive
    );
    // Not sampled.
    run.samples.retain(|sample| matches!(sample, Sample::Plan { .. }));
    assert_eq!(
        weigh(&run, steady("steady", Metric::ClientCpu)).verdict,
        Outcome::Inconclusive
    );
    assert_eq!(
        weigh(&run, steady("steady", Metric::BrokerRss)).verdict,
        Outcome::Inconclusive
    );
    // Nothing due.
    run.samples = vec![Sample::Plan {
        start_ns: START,
        warmup_end_ns: END - S,
        end_ns: END,
    }];
    let verdict = weigh(&run, steady("steady", Metric::RecordError));
    assert_eq!((verdict.verdict, verdict.observed), (Outcome::Inconclusive, None));
    let judged = run
        .threshold(steady("steady", Metric::RecordError))
        .judge()
        .unwrap()
        .verdict;
    assert_eq!(judged.exit_code, EXIT_INCONCLUSIVE);
}

#[test]
fn unlimited_load_has_no_latency_to_judge() {
    let mut run = Run::clean(20);
    run.expectations.unlimited = true;
    let p99 = limit(
        Metric::AckLatency,
        Statistic::Percentile(99.0),
        Comparison::Less,
        1e9,
    );
    assert_eq!(weigh(&run, p99).verdict, Outcome::Inconclusive);
    let rate = limit(Metric::AchievedRate, Statistic::Rate, Comparison::Greater, 1.0);
    assert_eq!(weigh(&run, rate).verdict, Outcome::Pass);
}

/// A run with a record each 100 ms of warm-up as well.
pub(super) fn warmed_up() -> Run {
    let mut run = Run::clean(20);
    for i in 0..20_u64 {
        let sent_ns = START + 50 * MS + i * 100 * MS;
        let sent = run.sent(i);
        (sent.due_ns, sent.sent_ns) = (sent_ns - MS, sent_ns);
        sent.fate = Fate::Acked {
            at_ns: sent_ns + 2 * MS,
            partition: (i % 2) as i32,
            offset: (i / 2) as i64,
        };
    }
    run
}

#[test]
fn steady_state_without_a_table_is_rate_held_and_no_error() {
    let mut judgement = warmed_up().judge().unwrap();
    assert!(judgement.steady_state.held);
    assert_eq!(judgement.steady_state.probes.len(), 2);
    judgement.require_steady_state();
    assert_eq!(judgement.verdict.exit_code, 0);

    let mut failing = warmed_up();
    failing.sent(4).fate = Fate::NotWritten { at_ns: START + S };
    failing.remove(0, 2);
    let mut judgement = failing.judge().unwrap();
    assert!(!judgement.steady_state.held);
    judgement.require_steady_state();
    assert_eq!(
        (judgement.verdict.exit_code, judgement.verdict.verdict),
        (EXIT_STEADY_STATE, Outcome::Inconclusive)
    );

    let mut late = warmed_up();
    for i in 0..8 {
        late.sent(i).fate = Fate::Acked {
            at_ns: COUNTED + 3 * S,
            partition: (i % 2) as i32,
            offset: (i / 2) as i64,
        };
    }
    let held = late.judge().unwrap().steady_state.held;
    assert!(held, "what was in flight at the end of warm-up counts");
}

#[test]
fn steady_state_probes_look_at_the_end_of_warm_up() {
    let mut run = warmed_up();
    let p = Statistic::Percentile(50.0);
    run.expectations.steady_state = vec![limit(Metric::AckLatency, p, Comparison::Less, 1e6)];
    let mut judgement = run.judge().unwrap();
    assert!(!judgement.steady_state.held);
    assert_eq!(judgement.steady_state.probes[0].phase, "steady-state");
    // What was found stands, whatever the state.
    let copy = *run.at(0, 4);
    run.append(0, copy);
    judgement = run.judge().unwrap();
    judgement.require_steady_state();
    assert_eq!(judgement.verdict.exit_code, crate::judge::EXIT_DELIVERY);
}

#[test]
fn a_fault_parts_the_run_into_phases_with_their_own_latency() {
    use crate::timeline::FaultEvent;
    let mut run = Run::clean(20);
    let name = || "kill".to_owned();
    run.faults = vec![
        FaultEvent::Started {
            name: name(),
            action: "kill".into(),
            target: "broker(1)".into(),
            resolved: "broker-1".into(),
            at_ns: COUNTED + 950 * MS,
        },
        FaultEvent::Bit {
            name: name(),
            what: "pid".into(),
            value: "1".into(),
            at_ns: COUNTED + 951 * MS,
        },
        FaultEvent::Healed {
            name: name(),
            at_ns: COUNTED + 1_450 * MS,
        },
    ];
    let judgement = run.judge().unwrap();
    let counts: Vec<(String, u64)> = judgement
        .verdict
        .latency_ns
        .iter()
        .map(|(phase, latency)| (phase.clone(), latency.ack_latency.count))
        .collect();
    let expected = [
        ("all", 19),
        ("fault:kill", 5),
        ("heal:kill", 5),
        ("steady", 9),
        ("warmup", 1),
    ];
    assert_eq!(counts, expected.map(|(phase, count)| (phase.to_owned(), count)));
    let names: Vec<_> = judgement
        .measurements
        .phases
        .iter()
        .map(|phase| phase.name.as_str())
        .collect();
    assert_eq!(names, ["warmup", "steady", "fault:kill", "heal:kill"]);
    assert_eq!(judgement.measurements.phases[2].start_ns, (S + 950 * MS) as i64);
    let intended: u64 = judgement
        .measurements
        .series
        .iter()
        .map(|point| point.intended)
        .sum();
    assert_eq!(intended, 20);
}

#[test]
fn batches_count_as_often_as_they_have_records() {
    let mut run = Run::keyless(20);
    let records: Vec<_> = (0..10).map(|i| stands(&run.sent[i * 2], i as i64)).collect();
    run.logs.insert(0, vec![batch(records)]);
    assert!(run.anomalies().is_empty());
}
