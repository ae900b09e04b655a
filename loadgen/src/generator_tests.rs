//! Same seed, same bytes; and the stamp of every record is intact.

use proptest::prelude::*;
use steadfast_verifier::workload::{Executor, HeaderSpec, Keys, PartitionChoice, Workload};

use super::*;

fn workload(keys: Keys, record_size: u32, headers: &[(&str, u32)]) -> Workload {
    Workload {
        seed: 1,
        worker: 3,
        incarnation: 0,
        first_index: 0,
        bootstrap_servers: vec![],
        topic: "orders".into(),
        partitions: 6,
        partition: PartitionChoice::RoundRobin,
        executor: Executor::Unlimited { records: 1 },
        start_ns: 0,
        warmup_ns: 0,
        duration_ns: 0,
        drain_ns: 0,
        record_size,
        keys,
        headers: headers
            .iter()
            .map(|&(name, size)| HeaderSpec {
                name: name.into(),
                size,
            })
            .collect(),
        transaction: None,
        copy: None,
        producer: Default::default(),
        history: "h".into(),
    }
}

/// CRC-32C over everything that `count` records carry.
fn fingerprint(workload: &Workload, count: u64) -> u32 {
    let material = Material::new(workload).unwrap();
    let mut generator = Generator::new(workload, &material).unwrap();
    let mut crc = 0;
    for _ in 0..count {
        let record = generator.advance();
        crc = crc32c::crc32c_append(crc, &record.index.to_le_bytes());
        crc = crc32c::crc32c_append(crc, &record.partition.unwrap_or(-1).to_le_bytes());
        crc = crc32c::crc32c_append(crc, record.key.unwrap_or(b"none"));
        crc = crc32c::crc32c_append(crc, record.value);
        for header in record.headers {
            crc = crc32c::crc32c_append(crc, header.key.as_bytes());
            crc = crc32c::crc32c_append(crc, header.value.unwrap());
        }
    }
    crc
}

/// Committed: a change here means that old seeds no longer replay, which is to be said in the changelog.
#[test]
fn bytes_of_a_seed_never_change() {
    let headers = [("source", 8), ("trace", 0)];
    let prints = [
        fingerprint(&workload(Keys::None, 100, &[]), 1000),
        fingerprint(&workload(Keys::Uniform { count: 50 }, 64, &headers), 1000),
        fingerprint(
            &workload(
                Keys::Zipf {
                    count: 50,
                    exponent: 1.0,
                },
                16,
                &[],
            ),
            1000,
        ),
        fingerprint(&workload(Keys::RoundRobin { count: 7 }, 100_000, &[]), 20),
    ];
    assert_eq!(prints, [1_024_951_627, 899_210_231, 2_605_443_325, 1_641_867_120]);
}

#[test]
fn seed_worker_and_index_all_count() {
    let base = workload(Keys::None, 100, &[]);
    let other_seed = Workload {
        seed: 2,
        ..base.clone()
    };
    let other_worker = Workload {
        worker: 4,
        ..base.clone()
    };
    let later = Workload {
        first_index: 1,
        ..base.clone()
    };
    let prints = [&base, &other_seed, &other_worker, &later].map(|workload| fingerprint(workload, 10));
    for (i, a) in prints.iter().enumerate() {
        assert!(prints[i + 1..].iter().all(|b| a != b), "{prints:?}");
    }
}

#[test]
fn partition_and_key_are_as_documented() {
    let order = Workload {
        first_index: 10,
        ..workload(Keys::RoundRobin { count: 1000 }, 32, &[])
    };
    let material = Material::new(&order).unwrap();
    let mut generator = Generator::new(&order, &material).unwrap();
    for i in 10..20 {
        let record = generator.advance();
        assert_eq!((record.index, record.partition), (i, Some((i % 6) as i32)));
        assert_eq!(record.key, Some(format!("key-{i}").as_bytes()));
    }
    let sticky = Workload {
        partition: PartitionChoice::Sticky,
        ..order
    };
    let mut generator = Generator::new(&sticky, &material).unwrap();
    assert_eq!(generator.advance().partition, None);
    let mut text = *b"key-00000000000000000000";
    assert_eq!(write_key(&mut text, u64::MAX), 0);
    assert_eq!(&text, b"key-18446744073709551615");
}

#[test]
fn mistakes_are_named() {
    let material = |workload: &Workload| Material::new(workload).map(|_| ());
    let small = workload(Keys::None, 15, &[]);
    assert_eq!(material(&small), Err(GeneratorError::RecordSize(15)));
    let large = workload(Keys::None, u32::MAX, &[]);
    assert_eq!(material(&large), Err(GeneratorError::RecordSize(u32::MAX)));
    let header = workload(Keys::None, 16, &[("h", u32::MAX)]);
    assert_eq!(material(&header), Err(GeneratorError::Headers));
    let nowhere = Workload {
        partitions: 0,
        ..workload(Keys::None, 16, &[])
    };
    let made = Material::new(&nowhere).unwrap();
    assert_eq!(
        Generator::new(&nowhere, &made).map(|_| ()).unwrap_err(),
        GeneratorError::Partitions(0)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_stamp_is_intact_and_later_incarnations_make_the_same_records(
        seed: u64, worker: u16, size in 16..300u32, header in 0..40u32, cut in 0..50u64, keys in 0..4u8,
    ) {
        let keys = match keys {
            0 => Keys::None,
            1 => Keys::Uniform { count: 9 },
            2 => Keys::Zipf { count: 9, exponent: 0.9 },
            _ => Keys::RoundRobin { count: 9 },
        };
        let order = Workload { seed, worker, ..workload(keys, size, &[("a", header), ("b", 3)]) };
        let later = Workload { first_index: cut, ..order.clone() };
        let material = Material::new(&order).unwrap();
        let mut first = Generator::new(&order, &material).unwrap();
        let mut second = Generator::new(&later, &material).unwrap();
        for i in 0..60 {
            let record = first.advance();
            let pairs = record.headers.iter().map(|header| (header.key.as_bytes(), header.value.unwrap()));
            let headers: Vec<(&[u8], &[u8])> = pairs.collect();
            prop_assert!(stamp::intact(record.value, "orders", record.key, &headers));
            let stamp = stamp::read(record.value).unwrap();
            prop_assert_eq!(stamp.id, RecordId::new(worker, i));
            if record.key.is_none() {
                prop_assert_eq!(stamp.sequence, i as u32);
            }
            let bytes = record.value.len() + record.key.map_or(0, <[u8]>::len) + 2 + header as usize + 3;
            let value = record.value.to_vec();
            prop_assert!(bytes <= first.max_record_bytes());
            if i >= cut {
                prop_assert_eq!(second.advance().value, value);
            }
        }
    }
}
