//! The schedule in virtual time: no clock, only numbers.

use proptest::prelude::*;
use steadfast_verifier::workload::{Executor, Keys, PartitionChoice, Stage, Workload};

use super::*;

const SECOND: u64 = 1_000_000_000;

pub(crate) fn workload(executor: Executor, warmup_ns: u64, duration_ns: u64) -> Workload {
    Workload {
        seed: 1,
        worker: 0,
        incarnation: 0,
        first_index: 0,
        bootstrap_servers: vec![],
        topic: "t".into(),
        partitions: 6,
        partition: PartitionChoice::RoundRobin,
        executor,
        start_ns: 5 * SECOND,
        warmup_ns,
        duration_ns,
        drain_ns: SECOND,
        record_size: 100,
        keys: Keys::None,
        headers: vec![],
        transaction: None,
        copy: None,
        producer: Default::default(),
        history: "h".into(),
    }
}

fn constant(rate: f64) -> Executor {
    Executor::ConstantArrivalRate { rate }
}

fn ramping(start_rate: f64, stages: &[(u64, f64)]) -> (Executor, u64) {
    let stages: Vec<Stage> = stages
        .iter()
        .map(|&(duration_ns, target)| Stage { target, duration_ns })
        .collect();
    let duration = stages.iter().map(|stage| stage.duration_ns).sum();
    (Executor::RampingArrivalRate { start_rate, stages }, duration)
}

/// Drives the schedule to its end in steps of `step_ns`, at most `max` records at a time.
fn drive(schedule: &mut Schedule, step_ns: u64, max: usize) -> Vec<u64> {
    let (mut all, mut run, mut now) = (Vec::new(), Vec::new(), 0);
    while let Some(due) = schedule.next_due() {
        now = due.max(now + step_ns);
        let first = schedule.take_due(now, max, &mut run);
        assert_eq!(first, all.len() as u64);
        assert!(!run.is_empty(), "a record due at {due} was not taken at {now}");
        all.extend_from_slice(&run);
    }
    all
}

#[test]
fn a_constant_rate_is_exact_after_three_hours() {
    let hours = 3 * 3600;
    let mut schedule = Schedule::new(&workload(constant(33.3), 0, hours * SECOND)).unwrap();
    let due = drive(&mut schedule, 1, 1000);
    assert_eq!(due.len() as u64, (33.3 * hours as f64).ceil() as u64);
    for (i, &due) in due.iter().enumerate() {
        // 33.3/s is 33,300,000 millionths.
        let exact = i as u128 * 1_000_000_000_000_000 / 33_300_000;
        assert_eq!(u128::from(due), u128::from(5 * SECOND) + exact);
    }
}

#[test]
fn warm_up_runs_at_the_first_rate_and_the_load_goes_on_without_a_seam() {
    let schedule = Schedule::new(&workload(constant(1000.0), 2 * SECOND, 3 * SECOND)).unwrap();
    assert_eq!(schedule.intended_records(), 5000);
    assert_eq!(schedule.warmup_end_ns(), 7 * SECOND);
    assert_eq!(schedule.end_ns(), 10 * SECOND);

    let (executor, duration) = ramping(
        100.0,
        &[(0, 1000.0), (SECOND, 1000.0), (0, 100.0), (SECOND, 100.0)],
    );
    let mut schedule = Schedule::new(&workload(executor, 2 * SECOND, duration)).unwrap();
    let due = drive(&mut schedule, 1_000_000, 10_000);
    let within = |from: u64, to: u64| {
        due.iter()
            .filter(|&&due| ((5 + from) * SECOND..(5 + to) * SECOND).contains(&due))
            .count()
    };
    assert_eq!((within(0, 2), within(2, 3), within(3, 4)), (200, 1000, 100));
}

#[test]
fn a_ramp_has_the_closed_form_of_a_parabola() {
    let (executor, duration) = ramping(0.0, &[(10 * SECOND, 1000.0)]);
    let mut schedule = Schedule::new(&workload(executor, 0, duration)).unwrap();
    assert_eq!(schedule.intended_records(), 5000);
    let due = drive(&mut schedule, 1, 10_000);
    for (i, due) in due.iter().enumerate() {
        // N(t) = 50 t^2, so t = sqrt(i / 50).
        let expected = 5e9 + (i as f64 / 50.0).sqrt() * 1e9;
        assert!(
            (*due as f64 - expected).abs() <= 1.0,
            "record {i}: {due} is not {expected}"
        );
    }
}

#[test]
fn what_nobody_takes_is_debt_and_keeps_its_due_time() {
    let (ramp, duration) = ramping(0.0, &[(SECOND, 2000.0), (SECOND, 0.0)]);
    for (executor, duration) in [
        (constant(1000.0), 2 * SECOND),
        (ramp, duration),
        (Executor::Poisson { rate: 1000.0 }, 2 * SECOND),
    ] {
        let mut punctual = Schedule::new(&workload(executor.clone(), 0, duration)).unwrap();
        let on_time = drive(&mut punctual, 1, 1);
        let mut late = Schedule::new(&workload(executor, 0, duration)).unwrap();
        assert_eq!(late.debt(4 * SECOND), 0);
        assert_eq!(late.debt(on_time[99] - 1), 99);
        assert_eq!(late.debt(on_time[99]), 100);
        assert_eq!(late.debt(8 * SECOND), on_time.len() as u64);
        let mut run = Vec::new();
        assert_eq!(late.take_due(8 * SECOND, 30, &mut run), 0);
        assert_eq!(run, on_time[..30]);
        assert_eq!(late.debt(8 * SECOND), on_time.len() as u64 - 30);
        assert_eq!(late.take_due(8 * SECOND, usize::MAX, &mut run), 30);
        assert_eq!(run, on_time[30..]);
        assert_eq!((late.debt(9 * SECOND), late.next_due()), (0, None));
    }
}

#[test]
fn unlimited_is_due_whenever_asked_and_ends_after_its_records() {
    let mut order = workload(Executor::Unlimited { records: 2500 }, SECOND, 0);
    order.first_index = 70;
    let mut schedule = Schedule::new(&order).unwrap();
    let mut run = Vec::new();
    assert_eq!(schedule.take_due(4 * SECOND, 1000, &mut run), 70);
    assert!(run.is_empty(), "not before the start");
    for (now, first, count) in [(6, 70, 1000), (7, 1070, 1000), (8, 2070, 500)] {
        assert_eq!(schedule.next_due(), Some(5 * SECOND));
        assert_eq!(schedule.take_due(now * SECOND, 1000, &mut run), first);
        assert_eq!(run, vec![now * SECOND; count]);
        assert_eq!(schedule.debt(now * SECOND), 0);
    }
    assert_eq!(schedule.next_due(), None);
}

#[test]
fn contradictions_are_named() {
    let refuse = |executor, duration| Schedule::new(&workload(executor, 0, duration)).unwrap_err();
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 2e9, 1e-9] {
        assert!(
            matches!(refuse(constant(rate), SECOND), ScheduleError::Rate(_)),
            "{rate}"
        );
    }
    let (flat, duration) = ramping(0.0, &[(SECOND, 0.0)]);
    assert_eq!(refuse(flat, duration), ScheduleError::NoRecords);
    let (ramp, _) = ramping(1.0, &[(SECOND, 2.0)]);
    let mismatch = ScheduleError::Stages {
        stages_ns: SECOND,
        duration_ns: 3 * SECOND,
    };
    assert_eq!(refuse(ramp, 3 * SECOND), mismatch);
    assert!(matches!(
        refuse(constant(1.0), u64::MAX),
        ScheduleError::TooLong(_)
    ));
    let all = Executor::Unlimited {
        records: MAX_INDEX + 1,
    };
    assert!(matches!(refuse(all, 0), ScheduleError::TooLong(_)));
}

fn any_load() -> impl Strategy<Value = (Executor, u64)> {
    let rate = 0.0..20_000.0f64;
    let stage = (prop_oneof![Just(0u64), 1..SECOND], rate.clone());
    prop_oneof![
        (1.0..50_000.0f64, 1..2 * SECOND).prop_map(|(rate, duration)| (constant(rate), duration)),
        (1.0..20_000.0f64, 1..SECOND).prop_map(|(rate, d)| (Executor::Poisson { rate }, d)),
        (rate, prop::collection::vec(stage, 1..6)).prop_map(|(start, mut stages)| {
            stages.push((SECOND / 10, 100.0));
            ramping(start, &stages)
        }),
    ]
}

/// Area under the rate, in records, by the trapezoid of each stage.
fn integral(executor: &Executor, warmup_ns: u64, duration_ns: u64) -> f64 {
    match executor {
        Executor::ConstantArrivalRate { rate } | Executor::Poisson { rate } => {
            rate * (warmup_ns + duration_ns) as f64 / 1e9
        }
        Executor::RampingArrivalRate { start_rate, stages } => {
            let mut rate = *start_rate;
            let mut sum = rate * warmup_ns as f64 / 1e9;
            for stage in stages {
                sum += (rate + stage.target) / 2.0 * stage.duration_ns as f64 / 1e9;
                rate = stage.target;
            }
            sum
        }
        Executor::Unlimited { records } => *records as f64,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn due_times_rise_stay_inside_the_load_and_count_the_area(
        (executor, duration) in any_load(), warmup in 0..SECOND, step in 1..10_000_000u64, max in 1..500usize,
    ) {
        let order = workload(executor.clone(), warmup, duration);
        let mut schedule = Schedule::new(&order).unwrap();
        let due = drive(&mut schedule, step, max);
        prop_assert!(due.windows(2).all(|pair| pair[0] <= pair[1]));
        prop_assert!(due.iter().all(|&due| due >= order.start_ns && due < schedule.end_ns()));
        let area = integral(&executor, warmup, duration);
        let count = due.len() as f64;
        if matches!(executor, Executor::Poisson { .. }) {
            // Six standard deviations of a Poisson count.
            prop_assert!((count - area).abs() <= 6.0 * area.sqrt() + 6.0, "{count} of {area}");
        } else {
            prop_assert_eq!(due.len() as u64, schedule.intended_records());
            prop_assert!((count - area).abs() <= 1.01, "{count} of {area}");
        }
        // The same order again, in other steps, gives the same schedule.
        prop_assert_eq!(due, drive(&mut Schedule::new(&order).unwrap(), 1, 7));
    }

    #[test]
    fn poisson_gaps_follow_the_seed(seed in any::<u64>()) {
        let mut order = workload(Executor::Poisson { rate: 1000.0 }, 0, SECOND);
        let first = drive(&mut Schedule::new(&order).unwrap(), 1, 100);
        order.seed = seed;
        let second = drive(&mut Schedule::new(&order).unwrap(), 1, 100);
        prop_assert_eq!(seed == 1, first == second);
    }
}
