//! The look at the end of warm-up, while the worker still writes.

use std::fs;
use std::path::Path;

use super::fixture::{Fate, MS, Run, S, START, environment};
use super::limits::{limit, warmed_up};
use crate::expectations::{Comparison, Metric, Statistic, Threshold};
use crate::judge::{EXIT_INCONCLUSIVE, JudgeError, SteadyState, Warmup, judge, steady_state};
use crate::timeline::{FaultEvent, Sample};
use crate::verdict::Outcome;
use crate::workload::Executor;

/// Two seconds of warm-up with ten records a second, looked at 100 ms later.
const WARMUP: Warmup = Warmup {
    start_ns: START,
    end_ns: START + 2 * S,
    looked_ns: START + 2 * S + 100 * MS,
};

fn p99(limit_ns: u64) -> Threshold {
    let p99 = Statistic::Percentile(99.0);
    limit(Metric::AckLatency, p99, Comparison::Less, limit_ns as f64)
}

fn rate() -> Threshold {
    limit(
        Metric::AchievedRate,
        Statistic::Rate,
        Comparison::GreaterOrEqual,
        9.9,
    )
}

fn no_error() -> Threshold {
    limit(Metric::RecordError, Statistic::Rate, Comparison::LessOrEqual, 0.0)
}

/// A run at the end of its warm-up: the history has no end, the log was not read.
fn running(probes: &[Threshold]) -> Run {
    let mut run = warmed_up();
    run.torn = vec![0];
    run.seal = None;
    run.workload.executor = Executor::ConstantArrivalRate { rate: 10.0 };
    run.workload.warmup_ns = 2 * S;
    run.expectations.steady_state = probes.to_vec();
    run
}

fn look_at(run: &Run, dir: &Path) -> Result<SteadyState, JudgeError> {
    steady_state(dir, &run.expectations, WARMUP)
}

fn look(run: &Run) -> SteadyState {
    look_at(run, run.write().path()).unwrap()
}

fn verdicts(state: &SteadyState) -> Vec<Outcome> {
    state.probes.iter().map(|probe| probe.verdict).collect()
}

#[test]
fn held() {
    let cpu = limit(Metric::ClientCpu, Statistic::Value, Comparison::Less, 10.0);
    let rss = limit(Metric::BrokerRss, Statistic::Max, Comparison::Less, 1e9);
    let mut run = running(&[p99(10 * MS), rate(), no_error(), cpu, rss]);
    let state = look(&run);
    assert!(state.held, "{state:?}");
    // In the end the same figures come out.
    run.samples.push(Sample::Plan {
        start_ns: WARMUP.start_ns,
        warmup_end_ns: WARMUP.end_ns,
        end_ns: WARMUP.end_ns + S,
    });
    assert_eq!(run.judge().unwrap().steady_state, state);
    run.expectations.steady_state.clear();
    let default = look(&run);
    assert!(default.held && default.probes.len() == 2, "{default:?}");
}

#[test]
fn missed() {
    let state = look(&running(&[p99(2 * MS), no_error()]));
    assert!(!state.held);
    assert_eq!(verdicts(&state), [Outcome::Fail, Outcome::Pass]);
    assert_eq!(state.probes[0].phase, "steady-state");

    let mut refused = running(&[no_error()]);
    refused.sent(19).fate = Fate::NotWritten { at_ns: START + 2 * S };
    assert_eq!(verdicts(&look(&refused)), [Outcome::Fail]);
}

#[test]
fn what_is_on_its_way_is_no_error_but_has_waited() {
    let mut run = running(&[p99(2 * S), p99(200 * MS), rate(), no_error()]);
    for i in 17..20 {
        run.sent(i).fate = Fate::Open;
    }
    let state = look(&run);
    // Due 351 ms before the look, so no less than that.
    assert_eq!(
        verdicts(&state),
        [Outcome::Pass, Outcome::Fail, Outcome::Pass, Outcome::Pass]
    );
}

#[test]
fn what_waits_for_longer_counts_as_never_acknowledged() {
    let mut run = running(&[p99(10 * S), rate(), no_error()]);
    for i in 5..20 {
        run.sent(i).fate = Fate::Open;
    }
    let state = look(&run);
    assert_eq!(verdicts(&state), [Outcome::Fail; 3]);
    assert!(state.probes[0].reason.is_some());
}

#[test]
fn a_client_that_takes_no_more_does_not_look_fast() {
    let mut run = running(&[p99(10 * MS), no_error()]);
    run.sent.truncate(8);
    let state = look(&run);
    assert_eq!(verdicts(&state), [Outcome::Fail; 2]);
    run.workload.executor = Executor::ConstantArrivalRate { rate: 4.0 };
    assert!(look(&run).held, "all that was due was sent");
}

#[test]
fn without_samples_nothing_is_known_of_cpu() {
    let cpu = limit(Metric::BrokerCpu, Statistic::Value, Comparison::Less, 100.0);
    let run = running(&[cpu]);
    let dir = run.write();
    fs::remove_file(dir.path().join("samples.jsonl")).unwrap();
    let state = look_at(&run, dir.path()).unwrap();
    assert!(!state.held);
    assert_eq!(verdicts(&state), [Outcome::Inconclusive]);
    assert!(state.probes[0].reason.is_some());
}

#[test]
fn a_torn_tail_is_the_end_and_damage_is_an_error() {
    let run = running(&[p99(10 * MS), no_error()]);
    let dir = run.write();
    let path = dir.path().join("history/0-0.bin");
    let whole = fs::read(&path).unwrap();
    let frames = frames(&whole);
    let last = frames[frames.len() - 1];
    // The last acknowledgement is being written: its bytes stand there, its length does not.
    let mut torn = whole.clone();
    torn[last..last + 4].fill(0);
    fs::write(&path, &torn).unwrap();
    let state = look_at(&run, dir.path()).unwrap();
    assert_eq!(
        verdicts(&state),
        [Outcome::Fail, Outcome::Pass],
        "one record is on its way"
    );
    fs::write(&path, &whole[..last + 5]).unwrap();
    assert_eq!(look_at(&run, dir.path()).unwrap(), state);
    // It comes to stand there, and the next one behind it, after we have seen the gap.
    let before = frames[frames.len() - 2];
    let mut overtaken = whole.clone();
    overtaken[before..before + 4].fill(0);
    fs::write(&path, &overtaken).unwrap();
    assert_eq!(verdicts(&look_at(&run, dir.path()).unwrap())[1], Outcome::Pass);
    let over = judge(dir.path(), &run.expectations, &environment());
    assert!(
        matches!(over, Err(JudgeError::Format(_))),
        "nobody writes any more: a gap is damage"
    );

    let mut damaged = whole;
    damaged[last + 9] ^= 1;
    fs::write(&path, &damaged).unwrap();
    assert!(matches!(look_at(&run, dir.path()), Err(JudgeError::Format(_))));
    fs::remove_file(&path).unwrap();
    assert!(matches!(
        look_at(&run, dir.path()),
        Err(JudgeError::Missing { .. })
    ));
}

/// Where each frame of a history begins (frame.rs).
fn frames(bytes: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut at = 16;
    while at + 8 <= bytes.len() {
        let length = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        if length == 0 {
            break;
        }
        places.push(at);
        at += 8 + length.next_multiple_of(8);
    }
    places
}

#[test]
fn exit_code_4_promises_that_nothing_was_injected() {
    let mut run = warmed_up();
    run.expectations.steady_state = vec![p99(1)];
    run.faults = vec![FaultEvent::Started {
        name: "kill".into(),
        action: "kill".into(),
        target: "broker(1)".into(),
        resolved: "broker-1".into(),
        at_ns: START + 2 * S,
    }];
    let mut judgement = run.judge().unwrap();
    assert!(!judgement.steady_state.held);
    judgement.require_steady_state();
    assert_eq!(judgement.verdict.exit_code, EXIT_INCONCLUSIVE);
}
