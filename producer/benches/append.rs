//! What the core costs per record without a socket: append, seal, frame, parse the answer, complete.
//!
//! `cargo bench -p steadfast-producer --bench append`

mod fake_socket;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use crate::fake_socket::{Core, PARTITIONS};

fn append(criterion: &mut Criterion) {
    let value = [7; 100];
    let mut group = criterion.benchmark_group("append");
    // Records per request: the latency profile at 25,000/s sends about 6, the throughput profile thousands.
    for records in [1_u64, 6, 1200] {
        let mut core = Core::new(
            &[("batch.size", "262144"), ("linger.ms", "0")],
            PARTITIONS.min(records as i32),
        );
        group.throughput(Throughput::Elements(records));
        group.bench_function(format!("{records} records a request"), |bencher| {
            bencher.iter(|| {
                for i in 0..records {
                    core.append((i % PARTITIONS as u64) as i32, black_box(&value));
                }
                core.turn();
            });
        });
        assert_eq!(core.pending(), 0, "every record was completed");
        assert!(core.completed > 0);
    }
    group.finish();
}

criterion_group!(benches, append);
criterion_main!(benches);
