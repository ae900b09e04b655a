//! Two runs made up second by second, and what is told of them.

use super::*;
use crate::measurements::{Phase, Point, ResourcePoint};
use crate::verdict::{
    Broker, ClaimVerdict, EnvironmentBrief, Inconclusive, Percentiles, PhaseLatency, Records, Resources,
    SCHEMA,
};

/// Twenty seconds at 1,000 records/s; p50 around this, p99 five times that.
fn run(p50_us: u64, cpu_percent: f64) -> (Verdict, Measurements) {
    let ack = Percentiles {
        p50: p50_us * 1_000,
        p99: p50_us * 5_000,
        p99_9: p50_us * 9_000,
        count: 20_000,
        ..Percentiles::default()
    };
    let verdict = Verdict {
        schema: SCHEMA.into(),
        scenario: "latency/test".into(),
        title: "Test".into(),
        seed: 1,
        subject: "steadfast".into(),
        broker: Broker {
            kind: "kafka".into(),
            version: "4.1.0".into(),
            nodes: 1,
            reason: "asked".into(),
        },
        verdict: Outcome::Pass,
        exit_code: 0,
        claims: vec![ClaimVerdict {
            id: "lost".into(),
            limit: 0,
            observed: 0,
            sample: 20_000,
            checked: vec!["L1".into()],
            verdict: Outcome::Pass,
            reason: None,
            limits: Vec::new(),
        }],
        thresholds: Vec::new(),
        inconclusive: Vec::new(),
        records: Records::default(),
        readers: Vec::new(),
        anomalies: Default::default(),
        examples: Vec::new(),
        faults: Vec::new(),
        latency_ns: [(
            "steady".to_owned(),
            PhaseLatency {
                ack_latency: ack,
                ..PhaseLatency::default()
            },
        )]
        .into(),
        resources: Resources {
            client_cpu_us_per_record: cpu_percent * 10.0,
            broker_cpu_us_per_record: 50.0,
            client_cpu_percent_of_core: cpu_percent,
            broker_cpu_percent_of_core: 5.0,
            client_rss_peak_bytes: 1 << 20,
            broker_rss_peak_bytes: 1 << 30,
        },
        environment: EnvironmentBrief {
            cores: 2,
            kernel: "6.0".into(),
            memory_bytes: 1 << 34,
        },
    };
    const SECOND: i64 = 1_000_000_000;
    let mut measurements = Measurements::default();
    measurements.phases.push(Phase {
        name: "warmup".into(),
        start_ns: 0,
        end_ns: 2 * SECOND,
    });
    measurements.phases.push(Phase {
        name: "steady".into(),
        start_ns: 2 * SECOND,
        end_ns: 22 * SECOND,
    });
    for second in 0..22 {
        // Warm-up is ten times as slow and must not count; the seconds vary by some percent.
        let level = if second < 2 {
            p50_us * 10
        } else {
            p50_us * (100 + second % 5) / 100
        };
        measurements.series.push(Point {
            t_ns: second as i64 * SECOND,
            intended: 1_000,
            acked: 1_000,
            p50_ns: Some(level * 1_000),
            p99_ns: Some(level * 5_000),
            ..Point::default()
        });
        measurements.resources.push(ResourcePoint {
            t_ns: (second as i64 + 1) * SECOND,
            client_cpu_percent: cpu_percent + (second % 3) as f64 * 0.01,
            broker_cpu_percent: 5.0,
            ..ResourcePoint::default()
        });
    }
    (verdict, measurements)
}

fn try_compared(
    before: &(Verdict, Measurements),
    after: &(Verdict, Measurements),
) -> Result<Difference, String> {
    fn of((verdict, measurements): &(Verdict, Measurements)) -> Run<'_> {
        Run {
            verdict,
            measurements,
        }
    }
    difference(of(before), of(after), 0.10)
}

fn compared(before: &(Verdict, Measurements), after: &(Verdict, Measurements)) -> Difference {
    try_compared(before, after).unwrap()
}

#[test]
fn a_slower_run_fails_by_name_and_an_equal_one_passes() {
    let (base, same, slow) = (run(300, 1.0), run(303, 1.0), run(400, 1.0));
    let equal = compared(&base, &same);
    assert_eq!(equal.verdict, Outcome::Pass, "{equal:?}");
    let slower = compared(&base, &slow);
    assert_eq!(slower.verdict, Outcome::Fail);
    let worse: Vec<&str> = slower
        .rows
        .iter()
        .filter(|row| row.worse)
        .map(|row| row.figure.as_str())
        .collect();
    assert_eq!(worse, ["ack_latency p(50)", "ack_latency p(99)"]);
    // The other way round it is no regression.
    assert_eq!(compared(&slow, &base).verdict, Outcome::Pass);
}

#[test]
fn more_cpu_and_fewer_records_are_worse_too() {
    let (base, dear) = (run(300, 1.0), run(300, 1.5));
    let worse = |difference: &Difference| -> Vec<String> {
        difference
            .rows
            .iter()
            .filter(|row| row.worse)
            .map(|row| row.figure.clone())
            .collect()
    };
    assert_eq!(worse(&compared(&base, &dear)), ["client CPU per record"]);
    let mut starved = run(300, 0.8);
    starved.1.series.iter_mut().for_each(|point| point.acked = 800);
    // The brokers had as much less to do: a record costs what it did.
    starved
        .1
        .resources
        .iter_mut()
        .for_each(|point| point.broker_cpu_percent = 4.0);
    assert_eq!(worse(&compared(&base, &starved)), ["acknowledged"]);
}

#[test]
fn a_claim_that_breaks_fails_and_a_run_that_does_not_vouch_for_itself_is_inconclusive() {
    let base = run(300, 1.0);
    let mut broken = base.clone();
    broken.0.claims[0].verdict = Outcome::Fail;
    broken.0.claims[0].observed = 3;
    let difference = compared(&base, &broken);
    assert_eq!(difference.verdict, Outcome::Fail);
    assert!(
        difference.notes[0].contains("lost held and is broken: 3"),
        "{:?}",
        difference.notes
    );
    let mut doubtful = base.clone();
    doubtful.0.inconclusive.push(Inconclusive {
        id: "H1".into(),
        phase: None,
        reason: "the generator was late".into(),
    });
    assert_eq!(compared(&base, &doubtful).verdict, Outcome::Inconclusive);
    let mut other = base.clone();
    other.0.scenario = "load/other".into();
    let told = try_compared(&base, &other).unwrap_err();
    assert!(told.contains("two scenarios"), "{told}");
}

#[test]
fn too_few_seconds_are_shown_and_not_judged() {
    let (base, mut slow) = (run(300, 1.0), run(900, 1.0));
    slow.1.series.truncate(5);
    let difference = compared(&base, &slow);
    let p50 = &difference.rows[0];
    assert!((p50.ratio - 3.0).abs() < 0.01 && p50.interval.is_none() && !p50.worse);
}

#[test]
fn what_was_measured_and_is_not_any_more_is_no_pass() {
    let (base, mut mute) = (run(300, 1.0), run(300, 1.0));
    mute.1.series.iter_mut().for_each(|point| {
        (point.acked, point.p50_ns, point.p99_ns) = (0, None, None);
    });
    mute.0.latency_ns.clear();
    let difference = compared(&base, &mute);
    assert_ne!(difference.verdict, Outcome::Pass);
    assert!(
        difference
            .notes
            .iter()
            .any(|note| note.starts_with("acknowledged was measured")),
        "{:?}",
        difference.notes
    );
}
