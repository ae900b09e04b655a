//! Three runs for tests that look like real ones: one that passes, one that lost records, one that proves nothing.
//! Shapes are computed, never random, so that a chart can be compared by eye with the one before.

use std::collections::BTreeMap;
use std::path::Path;

use steadfast_verifier::dossier::{self, Dossier, Finding, Place, Source, Told};
use steadfast_verifier::environment::{BrokerEnvironment, Environment, Setting};
use steadfast_verifier::measurements::{
    Backlog, Curve, Disturbance, Fate, Fates, Histogram, Impact, JudgeCost, LimitKept, Measurements, Phase,
    Point, ResourcePoint, Unknown, UnknownRun,
};
use steadfast_verifier::reads::Isolation;
use steadfast_verifier::timeline::Fault;
use steadfast_verifier::verdict::{
    Broker, ClaimVerdict, EnvironmentBrief, Example, Inconclusive, LimitVerdict, Outcome, Percentiles,
    PhaseLatency, ReaderVerdict, Records, Resources, SCHEMA, ThresholdVerdict, Verdict,
};

use crate::folder::Folder;

const SECOND: i64 = 1_000_000_000;
const RATE: u64 = 25_000;

/// `latency/steady-25k`, passed.
pub(crate) fn pass() -> Folder {
    let records = Records {
        intended: 1_875_000,
        sent: 1_875_000,
        acked: 1_875_000,
        not_written: 0,
        unknown: 0,
        read: 1_875_000,
    };
    let phases = vec![phase("warmup", 0, 15), phase("steady", 15, 75)];
    let verdict = Verdict {
        schema: SCHEMA.to_owned(),
        scenario: "latency/steady-25k".to_owned(),
        title: "25,000 records a second, acknowledged in under a millisecond".to_owned(),
        seed: 20_261_122,
        subject: "steadfast".to_owned(),
        broker: Broker {
            kind: "kafka".to_owned(),
            version: "4.1.0".to_owned(),
            nodes: 1,
            reason: "--broker kafka".to_owned(),
        },
        verdict: Outcome::Pass,
        exit_code: 0,
        claims: claims(0, 0),
        thresholds: vec![
            threshold("ack_latency", "steady", "p(50)<500us", 268_000.0, 500_000.0, "ns"),
            threshold("ack_latency", "steady", "p(99)<1ms", 598_000.0, 1_000_000.0, "ns"),
            threshold(
                "achieved_rate",
                "steady",
                "rate>=25000/s",
                25_000.0,
                25_000.0,
                "per_s",
            ),
            threshold("client_cpu", "steady", "value<90%", 41.3, 90.0, "percent"),
        ],
        inconclusive: Vec::new(),
        records,
        readers: Vec::new(),
        anomalies: anomaly_counts(&[]),
        examples: Vec::new(),
        faults: Vec::new(),
        latency_ns: latencies(&phases),
        resources: Resources {
            client_cpu_us_per_record: 16.5,
            broker_cpu_us_per_record: 38.2,
            client_cpu_percent_of_core: 41.3,
            broker_cpu_percent_of_core: 95.5,
            client_rss_peak_bytes: 148 << 20,
            broker_rss_peak_bytes: 1190 << 20,
        },
        environment: EnvironmentBrief {
            cores: 2,
            kernel: "6.8.0-45-generic".to_owned(),
            memory_bytes: 25 << 30,
        },
    };
    Folder {
        verdict,
        measurements: measurements(&phases, None),
        environment: environment(),
        dossiers: Vec::new(),
    }
}

/// The same, watched by two readers of which one died.
pub(crate) fn watched() -> Folder {
    let mut folder = pass();
    let reader = |number: u32, records, ended| ReaderVerdict {
        reader: format!("reader-{number}"),
        isolation: Isolation::ReadCommitted,
        answers: records / 9,
        records,
        behind: 1_875_000 - records,
        ended,
    };
    folder.verdict.readers = vec![reader(0, 1_875_000, true), reader(1, 1_200_034, false)];
    for latency in folder.verdict.latency_ns.values_mut() {
        let count = 2 * latency.ack_latency.count;
        latency.visible_latency = Some(percentiles(410_000, 1_240_000, count));
    }
    for point in &mut folder.measurements.series {
        point.visible_p50_ns = point.p50_ns.map(|ns| ns + 140_000);
        point.visible_p99_ns = point.p99_ns.map(|ns| 2 * ns);
    }
    let seen = curve("steady", "visible_latency", 160_000.0, 1.0);
    folder.measurements.curves.push(seen);
    folder
}

/// `delivery/leader-kill`, with three records lost, one doubled and two limits missed.
pub(crate) fn fail() -> Folder {
    let phases = vec![
        phase("warmup", 0, 15),
        phase("steady", 15, 35),
        phase("fault:kill-leader", 35, 50),
        phase("heal:kill-leader", 50, 60),
        phase("after", 60, 75),
    ];
    let mut folder = pass();
    let verdict = &mut folder.verdict;
    verdict.scenario = "delivery/leader-kill".to_owned();
    verdict.title = "The leader of a partition is killed while 25,000 records a second arrive".to_owned();
    verdict.broker.nodes = 3;
    verdict.verdict = Outcome::Fail;
    verdict.exit_code = 10;
    verdict.claims = claims(3, 1);
    verdict.thresholds = vec![
        threshold("ack_latency", "steady", "p(99)<5ms", 598_000.0, 5_000_000.0, "ns"),
        threshold("ack_latency", "after", "p(99)<500us", 598_000.0, 500_000.0, "ns"),
        threshold("unavailability", "all", "max<2s", 4.2e9, 2e9, "ns"),
    ];
    verdict.thresholds[1].verdict = Outcome::Fail;
    verdict.thresholds[2].verdict = Outcome::Fail;
    verdict.anomalies = anomaly_counts(&[("L1", 3), ("D1", 1)]);
    verdict.examples = vec![
        example(
            "L1",
            "0:912338",
            "acknowledged at orders-0 offset 152056, which holds 0:912344",
        ),
        example(
            "L1",
            "0:912340",
            "acknowledged at orders-0 offset 152057, which holds 0:912345",
        ),
        example("D1", "0:912344", "at orders-0 offsets 152056 and 152061"),
    ];
    verdict.faults = vec![Fault {
        name: "kill-leader".to_owned(),
        action: "kill".to_owned(),
        target: "leader(orders-0)".to_owned(),
        resolved: "broker-2 (pid 4711)".to_owned(),
        started_ns: 9_035_000_000_000,
        healed_ns: Some(9_050_000_000_000),
        evidence: BTreeMap::from([
            ("exit_status".to_owned(), "signal 9".to_owned()),
            ("leader_epoch".to_owned(), "0 → 1".to_owned()),
        ]),
        failed: None,
    }];
    verdict.latency_ns = latencies(&phases);
    verdict.records.unknown = 61;
    folder.measurements = measurements(&phases, Some((35, 40)));
    folder.measurements.impacts = vec![impact("kill-leader", 35, 50, 75)];
    folder.measurements.unknown = Some(unknown());
    folder.dossiers = vec![
        dossier("L1", 912_338, 152_056, &[]),
        dossier("L1", 912_340, 152_057, &[]),
        dossier("D1", 912_344, 152_056, &[152_056, 152_061]),
    ];
    folder.environment.broker.nodes = 3;
    folder
}

/// Twelve faults of one campaign, some of them together.
pub(crate) fn campaign() -> Folder {
    let mut folder = fail();
    let actions = ["kill", "pause", "partition", "latency"];
    let fault = |i: i64| {
        let (from, to) = (18 + i * 4, 18 + i * 4 + 2 + i % 4);
        let name = format!("{:02}-{}-of-broker-{}", i + 1, actions[i as usize % 4], i % 3 + 1);
        let mut fault = folder.verdict.faults[0].clone();
        fault.name.clone_from(&name);
        fault.action = actions[i as usize % 4].to_owned();
        fault.started_ns = (9_000 + from as u64) * SECOND as u64;
        fault.healed_ns = Some((9_000 + to as u64) * SECOND as u64);
        (fault, impact(&name, from, to, to + 3))
    };
    let (faults, impacts): (Vec<_>, Vec<_>) = (0..12).map(fault).unzip();
    let mut phases = vec![phase("warmup", 0, 15), phase("steady", 15, 18)];
    for impact in &impacts {
        let span = (impact.start_ns / SECOND, impact.healed_ns.unwrap_or(0) / SECOND);
        phases.push(phase(&format!("fault:{}", impact.fault), span.0, span.1));
        phases.push(phase(&format!("heal:{}", impact.fault), span.1, span.1 + 10));
    }
    folder.verdict.latency_ns = latencies(&phases);
    folder.verdict.faults = faults;
    let unknown = folder.measurements.unknown.take();
    folder.measurements = measurements(&phases, Some((35, 40)));
    folder.measurements.impacts = impacts;
    folder.measurements.unknown = unknown;
    folder
}

fn impact(name: &str, from: i64, to: i64, until: i64) -> Impact {
    Impact {
        fault: name.to_owned(),
        start_ns: from * SECOND,
        healed_ns: Some(to * SECOND),
        until_ns: until * SECOND,
        beside: Vec::new(),
        outage_ns: 4_200_000_000,
        limit: Some(LimitKept {
            expression: "ack_latency p(99)<5ms".to_owned(),
            missed: 6,
            missed_for_ns: 6_000_000_000,
            back: true,
        }),
        backlog: Some(Backlog {
            most: 125_000,
            at_heal: Some(14),
            drained_ns: Some(610_000),
        }),
    }
}

/// Acknowledged at one offset, and found at these.
fn dossier(id: &str, index: u64, offset: i64, places: &[i64]) -> Dossier {
    let due_ns = index as i64 * SECOND / RATE as i64;
    let place = |(i, offset): (usize, &i64)| Place {
        partition: 0,
        offset: *offset,
        batch_offset: offset - 6,
        producer_id: 4000,
        producer_epoch: 0,
        base_sequence: 152_050 + 5 * i as i32,
        leader_epoch: 0,
        visibility: "committed".to_owned(),
        intact: true,
    };
    Dossier {
        record: format!("0:{index}"),
        findings: vec![Finding {
            id: id.to_owned(),
            detail: match places {
                [] => format!("acknowledged at orders-0 offset {offset}, and not in the log"),
                _ => format!("at orders-0 offsets {places:?}"),
            },
        }],
        source: Some(Source {
            worker: 0,
            incarnation: 0,
            index,
            due_ns,
            handed_over_ns: due_ns + 180_000,
        }),
        outcomes: vec![Told {
            outcome: "acked".to_owned(),
            error_code: 0,
            at_ns: due_ns + 800_000,
            partition: 0,
            offset,
            producer_id: 4000,
            producer_epoch: 0,
            base_sequence: 152_050,
            transaction: 0,
            broker: 1,
            correlation_id: 30_410,
        }],
        places: places.iter().enumerate().map(place).collect(),
        readers: Vec::new(),
    }
}

fn unknown() -> Unknown {
    let run = |first: u64, records, fate, place| UnknownRun {
        first: format!("0:{first}"),
        records,
        told: true,
        handed_over_ns: 35_049_000_000,
        fate,
        place,
    };
    Unknown {
        told: Fates {
            written: 40,
            absent: 21,
            ..Fates::default()
        },
        untold: Fates::default(),
        runs: vec![
            run(501_220, 40, Fate::Written, Some((0, 83_536))),
            run(501_260, 21, Fate::Absent, None),
        ],
    }
}

/// The same load on a machine that was busy with something else; nothing was read back.
pub(crate) fn inconclusive() -> Folder {
    let mut folder = pass();
    let verdict = &mut folder.verdict;
    verdict.verdict = Outcome::Inconclusive;
    verdict.exit_code = 5;
    verdict.inconclusive = vec![
        Inconclusive {
            id: "H3".to_owned(),
            phase: None,
            reason: "the reader had read 1,803,112 of 1,875,000 records when its 60 s were over".to_owned(),
        },
        Inconclusive {
            id: "H1".to_owned(),
            phase: Some("steady".to_owned()),
            reason: "the generator waited for a core during 8.3 % of the phase (limit 5 %)".to_owned(),
        },
    ];
    for claim in &mut verdict.claims {
        claim.verdict = Outcome::Inconclusive;
        claim.reason = Some("the log is not sealed (H3)".to_owned());
    }
    let p99 = &mut verdict.thresholds[1];
    (p99.verdict, p99.observed) = (Outcome::Inconclusive, Some(1_410_000.0));
    p99.reason = Some("the harness was disturbed (H1)".to_owned());
    verdict.records.read = 1_803_112;
    folder.measurements.disturbance[1].share = Some(0.083);
    folder
}

/// Writes the documents of a run folder.
pub(crate) fn write(folder: &Folder, run_dir: &Path) {
    std::fs::create_dir_all(run_dir).unwrap();
    let document = |name: &str, json: Result<Vec<u8>, serde_json::Error>| {
        std::fs::write(run_dir.join(name), json.unwrap()).unwrap();
    };
    document("verdict.json", serde_json::to_vec_pretty(&folder.verdict));
    document("measurements.json", serde_json::to_vec(&folder.measurements));
    document(dossier::FILE_NAME, serde_json::to_vec_pretty(&folder.dossiers));
    document("environment.json", serde_json::to_vec_pretty(&folder.environment));
}

fn claims(lost: u64, duplicated: u64) -> Vec<ClaimVerdict> {
    let claim = |id: &str, observed, checked: &[&str]| ClaimVerdict {
        id: id.to_owned(),
        limit: 0,
        observed,
        sample: 1_875_000,
        checked: checked.iter().map(|id| (*id).to_owned()).collect(),
        verdict: if observed == 0 {
            Outcome::Pass
        } else {
            Outcome::Fail
        },
        reason: None,
        limits: Vec::new(),
    };
    vec![
        claim("lost", lost, &["L1", "L2"]),
        claim("duplicated", duplicated, &["D1", "D2", "D3"]),
        claim("reordered-per-key", 0, &["O1", "O2"]),
        claim("corrupted", 0, &["I1", "I2", "I3", "I4"]),
    ]
}

/// A leader came back after 2.4 s, asked for within 2 or 5.
pub(crate) fn recovered(verdict: Outcome) -> ClaimVerdict {
    let limit = |key: &str, what: &str, limit_ns, observed_ns, checked: &[&str]| LimitVerdict {
        key: key.to_owned(),
        what: what.to_owned(),
        limit_ns,
        observed_ns: Some(observed_ns),
        checked: checked.iter().map(|id| (*id).to_owned()).collect(),
        verdict: if observed_ns <= limit_ns {
            Outcome::Pass
        } else {
            Outcome::Fail
        },
    };
    let within = if verdict == Outcome::Pass {
        5_000_000_000
    } else {
        2_000_000_000
    };
    ClaimVerdict {
        id: "recovered".to_owned(),
        limit: 0,
        observed: u64::from(verdict == Outcome::Fail),
        sample: 1_875_000,
        checked: ["V1", "V2", "V3", "V4"].map(str::to_owned).to_vec(),
        verdict,
        reason: None,
        limits: vec![
            limit(
                "gap",
                "longest stretch without an acknowledgement",
                6_000_000_000,
                3_120_000_000,
                &["V1"],
            ),
            limit(
                "within",
                "from a heal to the last second without ack_latency p(99)<5ms",
                within,
                2_400_000_000,
                &["V3"],
            ),
        ],
    }
}

fn anomaly_counts(found: &[(&str, u64)]) -> BTreeMap<String, u64> {
    let checked = ["L1", "L2", "D1", "D2", "D3", "O1", "O2", "I1", "I2", "I3", "I4"];
    let all = checked.iter().map(|id| ((*id).to_owned(), 0));
    all.chain(found.iter().map(|(id, count)| ((*id).to_owned(), *count)))
        .collect()
}

fn threshold(
    metric: &str,
    phase: &str,
    text: &str,
    observed: f64,
    limit: f64,
    unit: &str,
) -> ThresholdVerdict {
    ThresholdVerdict {
        metric: metric.to_owned(),
        phase: phase.to_owned(),
        expression: text.to_owned(),
        observed: Some(observed),
        limit,
        unit: unit.to_owned(),
        verdict: Outcome::Pass,
        reason: None,
    }
}

fn example(id: &str, record: &str, detail: &str) -> Example {
    Example {
        id: id.to_owned(),
        record: Some(record.to_owned()),
        detail: detail.to_owned(),
    }
}

fn phase(name: &str, from: i64, to: i64) -> Phase {
    Phase {
        name: name.to_owned(),
        start_ns: from * SECOND,
        end_ns: to * SECOND,
    }
}

fn latencies(phases: &[Phase]) -> BTreeMap<String, PhaseLatency> {
    let latency = |phase: &Phase| {
        let count = (phase.end_ns - phase.start_ns) as u64 / SECOND as u64 * RATE;
        let slow = if phase.name.starts_with("fault:") { 900 } else { 1 };
        let ack = percentiles(268_000, 598_000 * slow, count);
        let lag = percentiles(18_000, 95_000, count);
        PhaseLatency {
            ack_latency: ack,
            service_time: percentiles(231_000, 540_000 * slow, count),
            schedule_lag: lag,
            visible_latency: None,
        }
    };
    phases
        .iter()
        .map(|phase| (phase.name.clone(), latency(phase)))
        .collect()
}

fn percentiles(p50: u64, p99: u64, count: u64) -> Percentiles {
    Percentiles {
        p50,
        p90: (p50 + p99) / 2,
        p99,
        p99_9: p99 * 4,
        p99_99: p99 * 7,
        max: p99 * 9,
        count,
    }
}

fn measurements(phases: &[Phase], outage: Option<(i64, i64)>) -> Measurements {
    let end = phases.iter().map(|phase| phase.end_ns).max().unwrap_or(0) / SECOND;
    let down = |second: i64| outage.is_some_and(|(from, to)| (from..to).contains(&second));
    let series = (0..end).map(|second| {
        let ripple = (second * 37 % 11) as u64;
        let cold = if second < 6 {
            (6 - second) as u64 * 160_000
        } else {
            0
        };
        let waiting = if down(second) {
            outage.map_or(0, |(_, to)| (to - second) as u64 * SECOND as u64)
        } else {
            0
        };
        let recovered = outage.is_some_and(|(from, to)| second == to && to > from);
        Point {
            t_ns: second * SECOND,
            intended: RATE,
            acked: if down(second) {
                0
            } else if recovered {
                RATE * 6
            } else {
                RATE
            },
            p50_ns: (!down(second) || waiting > 0)
                .then_some(262_000 + ripple * 3_000 + cold / 4 + waiting / 2),
            p99_ns: Some(560_000 + ripple * 14_000 + cold + waiting),
            max_ns: Some(1_600_000 + ripple * ripple * 40_000 + cold * 6 + waiting),
            waiting: Some(match outage {
                Some((from, _)) if down(second) => (second - from + 1) as u64 * RATE,
                _ => 9 + ripple,
            }),
            ..Point::default()
        }
    });
    let resources = (1..=end).map(|second| ResourcePoint {
        t_ns: second * SECOND,
        client_cpu_percent: 40.0 + (second * 29 % 7) as f64 * 0.8,
        broker_cpu_percent: if second < 8 {
            150.0 - second as f64 * 7.0
        } else {
            94.0 + (second * 13 % 5) as f64
        },
        client_rss_bytes: (120 << 20) + second as u64 * (380 << 10),
        broker_rss_bytes: (980 << 20) + (second as u64).min(40) * (5 << 20),
    });
    let curves = phases.iter().flat_map(|phase| {
        let slow = if phase.name.starts_with("fault:") {
            60.0
        } else {
            1.0
        };
        [
            curve(&phase.name, "ack_latency", 118_000.0, slow),
            curve(&phase.name, "service_time", 96_000.0, slow),
        ]
    });
    Measurements {
        phases: phases.to_vec(),
        series: series.collect(),
        resources: resources.collect(),
        curves: curves.collect(),
        histograms: phases.iter().map(histogram).collect(),
        impacts: Vec::new(),
        unknown: Some(Unknown::default()),
        disturbance: phases
            .iter()
            .map(|phase| Disturbance {
                phase: phase.name.clone(),
                share: Some(0.012),
                stolen: Some(0.001),
            })
            .collect(),
        judge: JudgeCost {
            records: 1_875_000,
            table_bytes: 61 << 20,
        },
    }
}

/// Ten steps to a factor of ten: most records around 300 µs, a tail that thins out, of a fault a second hill at seconds.
fn histogram(phase: &Phase) -> Histogram {
    let count = (phase.end_ns - phase.start_ns) as f64 / SECOND as f64 * RATE as f64;
    let slow = phase.name.starts_with("fault:");
    let edge = |step: i32| 10f64.powf(f64::from(step) / 10.0).round() as u64;
    let share = |step: i32| {
        let x = f64::from(step) / 10.0 - 5.45;
        let body = (-(x * x) / 0.02).exp() * 0.2;
        let tail = if x > 0.0 { 0.02 * 10f64.powf(-3.2 * x) } else { 0.0 };
        let y = f64::from(step) / 10.0 - 9.4;
        let hill = if slow && y < 0.2 {
            (-(y * y) / 0.12).exp() * 0.04
        } else {
            0.0
        };
        body + tail + hill
    };
    let buckets = (50..98).map(|step| (edge(step), edge(step + 1), (share(step) * count) as u64));
    Histogram {
        phase: phase.name.clone(),
        buckets: buckets.filter(|bucket| bucket.2 > 0).collect(),
        unacknowledged: 0,
    }
}

/// Rises gently to p99 and then steeply, as real ones do.
fn curve(phase: &str, metric: &str, floor: f64, slow: f64) -> Curve {
    let points = (0..=120).map(|step| {
        let nines = f64::from(step) / 20.0;
        let percentile = 100.0 * (1.0 - 10f64.powf(-nines));
        let tail = (nines - 1.7).max(0.0);
        (
            percentile,
            (floor * (1.0 + nines).powf(1.35) * (1.0 + tail * tail * slow.sqrt() * 0.9)) as u64,
        )
    });
    Curve {
        phase: phase.to_owned(),
        metric: metric.to_owned(),
        points: points.collect(),
        count: 1_500_000,
    }
}

fn environment() -> Environment {
    let setting = |scope: &str, name: &str, value: &str, default: &str, reason: &str| Setting {
        scope: scope.to_owned(),
        name: name.to_owned(),
        value: value.to_owned(),
        default: default.to_owned(),
        reason: reason.to_owned(),
    };
    Environment {
        started: "2026-11-22T14:05:09Z".to_owned(),
        steadfast: "0.1.0".to_owned(),
        subject: "steadfast".to_owned(),
        debug_build: false,
        cores: 2,
        cpu: "AMD EPYC 7B13".to_owned(),
        kernel: "6.8.0-45-generic".to_owned(),
        memory_bytes: 25 << 30,
        log_file_system: "ext4".to_owned(),
        broker: BrokerEnvironment {
            kind: "kafka".to_owned(),
            version: "4.1.0".to_owned(),
            nodes: 1,
            reason: "--broker kafka".to_owned(),
            java: "openjdk version \"17.0.12\" 2024-07-16".to_owned(),
            proxied: false,
        },
        differences: vec![
            setting(
                "producer",
                "linger.ms",
                "0",
                "5",
                "low-latency profile: batches clock themselves",
            ),
            setting(
                "producer",
                "batch.size",
                "65536",
                "16384",
                "low-latency profile: fewer, fuller requests under load",
            ),
            setting(
                "jvm",
                "-Xmx",
                "1g",
                "1g (kafka-server-start.sh)",
                "fits beside the harness on a small machine",
            ),
            setting(
                "broker",
                "num.network.threads",
                "2",
                "3",
                "as many as there are cores",
            ),
        ],
        rerun: "steadfast run scenarios/latency/steady-25k.toml --broker kafka --seed 20261122".to_owned(),
    }
}
