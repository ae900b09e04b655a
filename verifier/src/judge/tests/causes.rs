//! H1 to H5: each voids what rests on it, nothing else, and never a found anomaly.

use super::fixture::{COUNTED, END, Fate, MS, Run, S, START};
use crate::expectations::{Comparison, Metric, Statistic, Threshold};
use crate::history::Withheld;
use crate::judge::{EXIT_DELIVERY, EXIT_INCONCLUSIVE, EXIT_PASS, EXIT_THRESHOLD};
use crate::log::LogRecord;
use crate::stamp::RecordId;
use crate::timeline::{FaultEvent, Sample};
use crate::verdict::{Outcome, Verdict};
use crate::workload::Executor;

fn p99(limit_ns: u64) -> Threshold {
    Threshold {
        metric: Metric::AckLatency,
        phase: Some("steady".into()),
        expression: "p(99)<limit".into(),
        statistic: Statistic::Percentile(99.0),
        comparison: Comparison::Less,
        limit: limit_ns as f64,
    }
}

fn error_rate() -> Threshold {
    Threshold {
        metric: Metric::RecordError,
        phase: None,
        expression: "rate<=1".into(),
        statistic: Statistic::Rate,
        comparison: Comparison::LessOrEqual,
        limit: 1.0,
    }
}

fn causes(verdict: &Verdict) -> String {
    verdict
        .inconclusive
        .iter()
        .map(|cause| cause.id.as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Every run here, with a duplicate planted as well: what is found stays found.
fn still_finds_a_duplicate(mut run: Run) {
    let copy = *run.at(0, 4);
    run.append(0, copy);
    let verdict = run.judge().unwrap().verdict;
    assert_eq!(
        (verdict.exit_code, verdict.claims[1].verdict),
        (EXIT_DELIVERY, Outcome::Fail)
    );
}

fn withheld(had_room: bool) -> Withheld {
    Withheld {
        first_index: 20,
        count: 7,
        first_due_ns: COUNTED + 3 * S,
        last_due_ns: COUNTED + 4 * S,
        had_room,
        at_ns: END,
    }
}

#[test]
fn h1_a_voids_latency_passed_or_failed_and_not_delivery() {
    for limit in [MS, 100 * MS] {
        let mut run = Run::clean(20).threshold(p99(limit)).threshold(error_rate());
        run.withheld.insert(0, withheld(true));
        let verdict = run.judge().unwrap().verdict;
        assert_eq!(
            (verdict.exit_code, causes(&verdict)),
            (EXIT_INCONCLUSIVE, "H1".into())
        );
        assert_eq!(verdict.thresholds[0].verdict, Outcome::Inconclusive);
        assert_eq!(verdict.thresholds[1].verdict, Outcome::Pass);
        assert!(verdict.claims.iter().all(|claim| claim.verdict == Outcome::Pass));
        assert_eq!((verdict.records.intended, verdict.records.sent), (27, 20));
        still_finds_a_duplicate(run);
    }
}

#[test]
fn waiting_for_buffer_room_is_no_h1() {
    let mut run = Run::clean(20).threshold(p99(MS));
    run.withheld.insert(0, withheld(false));
    let verdict = run.judge().unwrap().verdict;
    assert_eq!(
        (verdict.exit_code, causes(&verdict)),
        (EXIT_THRESHOLD, String::new())
    );
}

#[test]
fn h1_a_spares_the_phases_that_it_did_not_touch() {
    let mut run = Run::clean(20).threshold(Threshold {
        phase: Some("fault:kill".into()),
        ..p99(100 * MS)
    });
    run.faults = kill(Some("9"));
    run.withheld.insert(0, withheld(true));
    // The fault lasts for half a second after 1 s; what was withheld was due from 3 s on.
    assert_eq!(run.judge().unwrap().verdict.exit_code, EXIT_PASS);
}

#[test]
fn h1_a_also_when_the_history_does_not_admit_it() {
    let mut run = Run::clean(20).threshold(p99(100 * MS));
    run.workload.executor = Executor::ConstantArrivalRate { rate: 10.0 };
    let verdict = run.judge().unwrap().verdict;
    assert_eq!(
        (verdict.exit_code, causes(&verdict)),
        (EXIT_INCONCLUSIVE, "H1".into())
    );
}

/// The generator stood waiting for so many per cent of the time.
fn disturb(run: &mut Run, percent: u64) {
    for sample in &mut run.samples {
        if let Sample::Machine {
            at_ns,
            run_queue_wait_ns,
            ..
        } = sample
        {
            *run_queue_wait_ns = Some((*at_ns - START) * percent / 100);
        }
    }
}

#[test]
fn h1_b_excuses_a_failed_latency_and_leaves_a_passed_one() {
    for (limit, percent, exit_code, cause) in [
        (MS, 6, EXIT_INCONCLUSIVE, "H1"),
        (MS, 4, EXIT_THRESHOLD, ""),
        (100 * MS, 6, EXIT_PASS, ""),
    ] {
        let mut run = Run::clean(20).threshold(p99(limit));
        disturb(&mut run, percent);
        let judgement = run.judge().unwrap();
        let verdict = &judgement.verdict;
        assert_eq!(
            (verdict.exit_code, causes(verdict).as_str()),
            (exit_code, cause),
            "{limit} {percent}"
        );
        let share = judgement
            .measurements
            .disturbance
            .iter()
            .find(|d| d.phase == "steady")
            .unwrap()
            .share;
        assert!((share.unwrap() - percent as f64 / 100.0).abs() < 1e-6);
        still_finds_a_duplicate(run);
    }
}

fn kill(evidence: Option<&str>) -> Vec<FaultEvent> {
    let mut events = vec![FaultEvent::Started {
        name: "kill".into(),
        action: "kill".into(),
        target: "leader(orders-0)".into(),
        resolved: "broker-1 (pid 7)".into(),
        at_ns: COUNTED + S,
    }];
    events.extend(evidence.map(|value| FaultEvent::Bit {
        name: "kill".into(),
        what: "exit_status".into(),
        value: value.into(),
        at_ns: COUNTED + S + MS,
    }));
    events.push(FaultEvent::Healed {
        name: "kill".into(),
        at_ns: COUNTED + S + S / 2,
    });
    events
}

#[test]
fn h2_voids_a_pass_of_the_run_and_nothing_below_it() {
    let failed = FaultEvent::Failed {
        name: "kill".into(),
        reason: "no such process".into(),
        at_ns: COUNTED + S,
    };
    let mut with_failure = kill(Some("9"));
    with_failure.push(failed);
    for (events, exit_code, cause) in [
        (kill(Some("signal 9")), EXIT_PASS, ""),
        (kill(None), EXIT_INCONCLUSIVE, "H2"),
        (with_failure, EXIT_INCONCLUSIVE, "H2"),
        (Vec::new(), EXIT_INCONCLUSIVE, "H2"),
    ] {
        let mut run = Run::clean(20).threshold(p99(100 * MS));
        run.expectations.faults = vec!["kill".into()];
        run.faults = events;
        let verdict = run.judge().unwrap().verdict;
        assert_eq!((verdict.exit_code, causes(&verdict).as_str()), (exit_code, cause));
        assert!(verdict.claims.iter().all(|claim| claim.verdict == Outcome::Pass));
        assert_eq!(verdict.thresholds[0].verdict, Outcome::Pass);
        still_finds_a_duplicate(run);
    }
}

#[test]
fn h3_an_unsealed_log_never_passes() {
    let changes: [fn(&mut Run); 6] = [
        |run| run.seal.as_mut().unwrap().sealed = false,
        |run| run.seal.as_mut().unwrap().partitions[1].read_to -= 1,
        |run| run.seal.as_mut().unwrap().partitions[1].open_transactions = 1,
        |run| run.seal.as_mut().unwrap().partitions[0].last_stable_offset -= 1,
        |run| run.seal.as_mut().unwrap().partitions.truncate(1),
        |run| run.seal = None,
    ];
    for change in changes {
        let mut run = Run::clean(20).threshold(p99(100 * MS));
        change(&mut run);
        let verdict = run.judge().unwrap().verdict;
        assert_eq!(
            (verdict.exit_code, verdict.verdict),
            (EXIT_INCONCLUSIVE, Outcome::Inconclusive)
        );
        assert!(causes(&verdict).starts_with("H3"));
        assert!(
            verdict
                .claims
                .iter()
                .all(|claim| claim.verdict == Outcome::Inconclusive)
        );
        assert_eq!(
            verdict.thresholds[0].verdict,
            Outcome::Pass,
            "latency does not rest on the seal"
        );
        still_finds_a_duplicate(run);
    }
}

#[test]
fn h3_a_log_that_ends_before_its_seal() {
    let mut run = Run::clean(20);
    run.stopped_short = true;
    run.seal.as_mut().unwrap().partitions[0].end_offset += 5;
    run.seal.as_mut().unwrap().partitions[0].read_to += 5;
    run.seal.as_mut().unwrap().partitions[0].last_stable_offset += 5;
    assert_eq!(causes(&run.judge().unwrap().verdict), "H3");
}

#[test]
fn h4_voids_latency_and_order_in_time() {
    let changes: [fn(&mut Run); 4] = [
        |run| run.sent(3).due_ns = run.sent(3).sent_ns + 1,
        |run| {
            let sent = run.sent(3);
            sent.fate = Fate::Acked {
                at_ns: sent.sent_ns - 1,
                partition: 1,
                offset: 1,
            };
        },
        |run| run.sent(3).due_ns = START - 1,
        |run| run.samples.swap(1, 4),
    ];
    for change in changes {
        let mut run = Run::clean(20).threshold(p99(100 * MS));
        change(&mut run);
        let verdict = run.judge().unwrap().verdict;
        assert_eq!(
            (verdict.exit_code, causes(&verdict).as_str()),
            (EXIT_INCONCLUSIVE, "H4")
        );
        assert_eq!(verdict.thresholds[0].verdict, Outcome::Inconclusive);
        let outcomes: Vec<_> = verdict.claims.iter().map(|claim| claim.verdict).collect();
        let (pass, open) = (Outcome::Pass, Outcome::Inconclusive);
        assert_eq!(outcomes, [pass, pass, pass, open, pass]);
        still_finds_a_duplicate(run);
    }
}

#[test]
fn h5_a_history_that_lacks_something_proves_no_absence() {
    let changes: [fn(&mut Run); 4] = [
        // Cut off, and nobody accounts for the rest.
        |run| run.torn.push(0),
        // A gap in the indexes; the log has nothing of it.
        |run| {
            run.sent.retain(|sent| sent.id.index() != 7);
            run.remove(1, 3);
        },
        // Worker 1 ran and left no history.
        |run| {
            let extra = match run.samples[1].clone() {
                Sample::Process {
                    at_ns,
                    role,
                    cpu_ns,
                    rss_bytes,
                    ..
                } => Sample::Process {
                    at_ns,
                    role,
                    name: "worker-1".into(),
                    pid: 99,
                    cpu_ns,
                    rss_bytes,
                },
                other => other,
            };
            run.samples.push(extra);
        },
        // Incarnation 0 left no history.
        |run| run.workload.incarnation = 1,
    ];
    for change in changes {
        let mut run = Run::clean(20).threshold(p99(100 * MS));
        change(&mut run);
        let verdict = run.judge().unwrap().verdict;
        assert_eq!(
            (verdict.exit_code, causes(&verdict).as_str()),
            (EXIT_INCONCLUSIVE, "H5")
        );
        assert!(
            verdict
                .claims
                .iter()
                .all(|claim| claim.verdict == Outcome::Inconclusive)
        );
        assert_eq!(verdict.thresholds[0].verdict, Outcome::Pass);
        still_finds_a_duplicate(run);
    }
}

#[test]
fn a_record_without_its_history_is_no_phantom() {
    let mut run = Run::clean(20);
    run.torn.push(0);
    let id = Some(RecordId::new(0, 20));
    run.append(
        0,
        LogRecord {
            offset: 0,
            id,
            sequence: 5,
            key: Some(0),
            intact: true,
            timestamp_ms: 0,
        },
    );
    let verdict = run.judge().unwrap().verdict;
    assert_eq!((verdict.anomalies["I3"], causes(&verdict).as_str()), (0, "H5 H5"));
}

#[test]
fn what_the_runner_noted_voids_a_pass() {
    let mut run = Run::clean(20);
    run.samples.push(Sample::Note {
        at_ns: END,
        text: "broker-2 ended by itself".into(),
    });
    let verdict = run.judge().unwrap().verdict;
    assert_eq!(
        (verdict.exit_code, causes(&verdict).as_str()),
        (EXIT_INCONCLUSIVE, "check")
    );
}

#[test]
fn nothing_acknowledged_proves_nothing() {
    let mut run = Run::clean(2);
    for index in 0..2 {
        run.sent(index).fate = Fate::NotWritten { at_ns: END };
        run.remove(index as i32, 0);
    }
    let verdict = run.judge().unwrap().verdict;
    assert_eq!(verdict.exit_code, EXIT_INCONCLUSIVE);
    assert!(
        verdict
            .claims
            .iter()
            .all(|claim| claim.verdict == Outcome::Inconclusive)
    );
}
