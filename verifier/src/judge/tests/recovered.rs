//! `recovered` of whole run folders: each limit broken alone, how close the others came, and what cannot be judged.

use super::fixture::{COUNTED, END, Fate, MS, Run, S};
use crate::expectations::{Claim, ClaimId, Comparison, Metric, Recovery, Statistic, Threshold};
use crate::judge::{EXIT_DELIVERY, EXIT_INCONCLUSIVE, EXIT_PASS, EXIT_THRESHOLD};
use crate::timeline::{FaultEvent, Sample};
use crate::verdict::{ClaimVerdict, LimitVerdict, Outcome, Verdict};

/// The fault stands from here, and is healed two seconds later.
const BROKEN: u64 = COUNTED + 2 * S;
const HEALED: u64 = COUNTED + 4 * S;

/// A record each 100 ms for 9 s, acknowledged after 2 ms; those of the fault 400 ms after the heal.
fn run() -> Run {
    let mut run = Run::clean(88);
    for index in 20..40 {
        answer(&mut run, index, HEALED + 400 * MS);
    }
    let name = || "kill".to_owned();
    run.faults = vec![
        FaultEvent::Started {
            name: name(),
            action: "kill".into(),
            target: "broker-1".into(),
            resolved: "broker-1".into(),
            at_ns: BROKEN,
        },
        FaultEvent::Bit {
            name: name(),
            what: "exit_status".into(),
            value: "signal 9".into(),
            at_ns: BROKEN + MS,
        },
        FaultEvent::Healed {
            name: name(),
            at_ns: HEALED,
        },
    ];
    run.expectations.faults = vec![name()];
    run.expectations.claims.push(Claim {
        id: ClaimId::Recovered,
        limit: 0,
    });
    run.expectations.recovery = Some(Recovery {
        gap_ns: Some(2_600 * MS),
        within_ns: Some(S),
        condition: None,
        backlog_ns: Some(500 * MS),
    });
    run
}

fn answer(run: &mut Run, index: u64, at: u64) {
    let Fate::Acked {
        partition, offset, ..
    } = run.sent(index).fate
    else {
        panic!("{index} was not acknowledged")
    };
    run.sent(index).fate = Fate::Acked {
        at_ns: at,
        partition,
        offset,
    };
}

fn judged(run: &Run) -> (Verdict, ClaimVerdict) {
    let verdict = run.judge().unwrap().verdict;
    let of = |claim: &&ClaimVerdict| claim.id == "recovered";
    let claim = verdict.claims.iter().find(of).unwrap().clone();
    (verdict, claim)
}

fn broken(run: &Run) -> (u8, Vec<String>) {
    let (verdict, claim) = judged(run);
    let fail = |limit: &&LimitVerdict| limit.verdict == Outcome::Fail;
    let ids = claim
        .limits
        .iter()
        .filter(fail)
        .flat_map(|limit| limit.checked.clone());
    (verdict.exit_code, ids.collect())
}

fn condition(limit_ns: f64) -> Threshold {
    Threshold {
        metric: Metric::AckLatency,
        phase: None,
        expression: "p(99)<5ms".into(),
        statistic: Statistic::Percentile(99.0),
        comparison: Comparison::Less,
        limit: limit_ns,
    }
}

#[test]
fn a_run_that_recovered_tells_how_close_it_came() {
    let (verdict, claim) = judged(&run());
    assert_eq!(
        (verdict.exit_code, claim.verdict),
        (EXIT_PASS, Outcome::Pass),
        "{claim:?}"
    );
    assert_eq!(claim.checked, ["V1", "V2", "V3", "V4", "V6"]);
    let told: Vec<_> = claim
        .limits
        .iter()
        .map(|limit| (limit.key.as_str(), limit.limit_ns, limit.observed_ns.unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            // From when the first record of the fault was due to the first answer after the heal.
            ("gap", 2_600 * MS, 2_003 * MS),
            ("within", S, 400 * MS),
            ("within", S, 400 * MS),
            // All were handed over in time: no backlog.
            ("backlog", 500 * MS, 0),
        ]
    );
}

#[test]
fn each_limit_fails_alone_with_99() {
    let mut gap = run();
    gap.expectations.recovery.as_mut().unwrap().gap_ns = Some(2_002 * MS);
    assert_eq!(broken(&gap), (EXIT_THRESHOLD, vec!["V1".to_owned()]));

    // One record of the fault is answered 1.1 s after the heal: of one partition, so V4 too; all others went on.
    let mut late = run();
    answer(&mut late, 39, HEALED + 1_100 * MS);
    late.expectations
        .claims
        .retain(|claim| claim.id != ClaimId::ReorderedInTime);
    assert_eq!(broken(&late).0, EXIT_THRESHOLD);
    assert_eq!(broken(&late).1, ["V3", "V2", "V4"]);

    // A record due in the fault is handed over 600 ms after the heal.
    let mut debt = run();
    let (due, sent) = (debt.sent(39).due_ns, HEALED + 600 * MS);
    (debt.sent(39).due_ns, debt.sent(39).sent_ns) = (due, sent);
    answer(&mut debt, 39, sent + MS);
    for index in 40..46 {
        debt.sent(index).sent_ns = sent;
        answer(&mut debt, index, sent + MS);
    }
    assert_eq!(broken(&debt), (EXIT_THRESHOLD, vec!["V6".to_owned()]));
}

#[test]
fn a_condition_is_looked_at_second_by_second() {
    let mut run = run();
    run.expectations.recovery.as_mut().unwrap().condition = Some(condition(5e6));
    let (verdict, claim) = judged(&run);
    assert_eq!(verdict.exit_code, EXIT_PASS, "{claim:?}");
    let v3 = |claim: &ClaimVerdict| claim.limits[1].clone();
    assert_eq!(v3(&claim).observed_ns, Some(0));
    assert!(
        v3(&claim).what.contains("ack_latency p(99)<5ms"),
        "{}",
        v3(&claim).what
    );

    // Slow again, three seconds after the heal.
    let due = run.sent(75).due_ns;
    answer(&mut run, 75, due + 7 * MS);
    let (verdict, claim) = judged(&run);
    assert_eq!(
        (verdict.exit_code, claim.verdict),
        (EXIT_THRESHOLD, Outcome::Fail)
    );
    assert_eq!(v3(&claim).observed_ns, Some(3 * S));

    // What kept the generator from its work says nothing about the cluster.
    for (i, sample) in run.samples.iter_mut().enumerate() {
        if let Sample::Machine {
            run_queue_wait_ns, ..
        } = sample
        {
            *run_queue_wait_ns = Some(i as u64 * S / 10);
        }
    }
    let (verdict, claim) = judged(&run);
    assert_eq!(
        (verdict.exit_code, claim.verdict),
        (EXIT_INCONCLUSIVE, Outcome::Inconclusive)
    );
    assert!(claim.reason.unwrap().starts_with("H1"));
}

#[test]
fn what_could_not_be_seen_is_no_pass() {
    let inconclusive = |run: &Run, why: &str| {
        let (verdict, claim) = judged(run);
        assert_eq!(
            (verdict.exit_code, claim.verdict),
            (EXIT_INCONCLUSIVE, Outcome::Inconclusive),
            "{why}: {claim:?}"
        );
        let reason = claim.reason.unwrap();
        assert!(reason.contains(why), "{reason}");
        assert!(claim.limits.iter().any(|limit| limit.observed_ns.is_none()));
    };
    let mut never_healed = run();
    never_healed.faults.pop();
    never_healed.expectations.recovery.as_mut().unwrap().within_ns = Some(6 * S);
    inconclusive(&never_healed, "no fault was healed");

    let mut too_short = run();
    too_short.expectations.recovery.as_mut().unwrap().within_ns = Some(6 * S);
    inconclusive(&too_short, "before `within` had passed");

    let mut no_second = run();
    let asked = no_second.expectations.recovery.as_mut().unwrap();
    (asked.within_ns, asked.condition) = (Some(END - HEALED - S / 2), Some(condition(5e6)));
    inconclusive(&no_second, "before `within` had passed");
}

#[test]
fn a_lost_record_is_still_worse() {
    let mut run = run();
    run.remove(0, 3);
    run.expectations.recovery.as_mut().unwrap().gap_ns = Some(MS);
    assert_eq!(run.judge().unwrap().verdict.exit_code, EXIT_DELIVERY);
}

#[test]
fn measurements_tell_what_the_fault_did_and_how_it_came_back() {
    let mut run = run();
    run.expectations.recovery.as_mut().unwrap().condition = Some(condition(5e6));
    let measurements = run.judge().unwrap().measurements;
    let [impact] = measurements.impacts.as_slice() else {
        panic!("{:?}", measurements.impacts)
    };
    assert_eq!(
        (impact.start_ns, impact.healed_ns),
        (3 * S as i64, Some(5 * S as i64))
    );
    assert_eq!(impact.outage_ns, 2 * S + 2 * MS);
    let limit = impact.limit.as_ref().unwrap();
    assert_eq!(limit.expression, "ack_latency p(99)<5ms");
    assert_eq!((limit.missed, limit.missed_for_ns, limit.back), (2, 2 * S, true));
    let backlog = impact.backlog.as_ref().unwrap();
    // Record 40 is due 1 ms before the heal.
    assert_eq!(
        (backlog.most, backlog.at_heal, backlog.drained_ns),
        (21, Some(21), Some(400 * MS))
    );
    let all = measurements.histograms.iter().find(|told| told.phase == "all");
    let all = all.unwrap();
    // The first is due within warm-up.
    assert_eq!(all.buckets.iter().map(|bucket| bucket.2).sum::<u64>(), 87);
}

#[test]
fn measurements_resolve_what_the_client_could_not_tell() {
    let mut run = Run::clean(20);
    run.sent(8).fate = Fate::Unknown {
        at_ns: COUNTED + 900 * MS,
    };
    run.sent(9).fate = Fate::Open;
    run.remove(1, 4);
    let judgement = run.judge().unwrap();
    let unknown = judgement.measurements.unknown.unwrap();
    assert_eq!((unknown.told.written, unknown.untold.absent), (1, 1));
    assert_eq!(unknown.runs[0].place, Some((0, 4)));
    assert_eq!(judgement.verdict.records.unknown, 2);
    // One is given up, the other waits to the end.
    let waiting = judgement
        .measurements
        .series
        .last()
        .and_then(|point| point.waiting);
    assert_eq!(waiting, Some(1));
}
