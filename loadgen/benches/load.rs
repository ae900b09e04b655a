//! What a record costs before the producer sees it: its due time and its bytes. At 25,000 records/s 100 ns a record is
//! a quarter of a percent of a core; `unlimited` wants more than 2 million records a second.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use steadfast_loadgen::generator::{Generator, Material};
use steadfast_loadgen::schedule::Schedule;
use steadfast_verifier::workload::{Executor, HeaderSpec, Keys, PartitionChoice, Stage, Workload};

const RUN: usize = 1000;
const HOUR_NS: u64 = 3600 * 1_000_000_000;

fn workload(executor: Executor, keys: Keys, record_size: u32) -> Workload {
    Workload {
        seed: 1,
        worker: 0,
        incarnation: 0,
        first_index: 0,
        bootstrap_servers: vec![],
        topic: "orders".into(),
        partitions: 6,
        partition: PartitionChoice::RoundRobin,
        executor,
        start_ns: 0,
        warmup_ns: 0,
        duration_ns: HOUR_NS,
        drain_ns: 0,
        record_size,
        keys,
        headers: vec![],
        transaction: None,
        copy: None,
        producer: Default::default(),
        history: "unused".into(),
    }
}

fn schedule(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("schedule");
    group.throughput(Throughput::Elements(RUN as u64));
    let rate = 1e6;
    let stages = vec![Stage {
        target: rate,
        duration_ns: HOUR_NS,
    }];
    for (name, executor) in [
        ("constant", Executor::ConstantArrivalRate { rate }),
        (
            "ramp",
            Executor::RampingArrivalRate {
                start_rate: 1000.0,
                stages,
            },
        ),
        ("poisson", Executor::Poisson { rate }),
    ] {
        let fresh = Schedule::new(&workload(executor, Keys::None, 100)).expect("a valid workload");
        let mut schedule = fresh.clone();
        let mut intended = Vec::with_capacity(RUN);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                schedule.take_due(u64::MAX >> 1, RUN, &mut intended);
                if intended.len() < RUN {
                    schedule = fresh.clone();
                }
                black_box(intended.last());
            });
        });
    }
    group.finish();
}

fn generate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("generate");
    group.throughput(Throughput::Elements(RUN as u64));
    let all = || Executor::Unlimited { records: 1 };
    let with_headers = Workload {
        headers: vec![HeaderSpec {
            name: "source".into(),
            size: 16,
        }],
        ..workload(all(), Keys::None, 100)
    };
    for (name, order) in [
        ("keyless-100B", workload(all(), Keys::None, 100)),
        ("keyless-1000B", workload(all(), Keys::None, 1000)),
        (
            "uniform-100B",
            workload(all(), Keys::Uniform { count: 10_000 }, 100),
        ),
        (
            "zipf-100B",
            workload(
                all(),
                Keys::Zipf {
                    count: 10_000,
                    exponent: 1.0,
                },
                100,
            ),
        ),
        ("header-100B", with_headers),
    ] {
        let material = Material::new(&order).expect("a valid workload");
        let mut generator = Generator::new(&order, &material).expect("a valid workload");
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for _ in 0..RUN {
                    black_box(generator.advance());
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, schedule, generate);
criterion_main!(benches);
