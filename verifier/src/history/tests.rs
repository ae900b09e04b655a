//! What is written is read again; what a SIGKILL leaves is cut; what somebody changed is an error.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::frame::FormatError;
use crate::workload::{Executor, Keys, PartitionChoice, Workload};

/// An entry that owns its numbers.
#[derive(Debug, Clone, PartialEq)]
enum Owned {
    HandedOver {
        first_index: u64,
        intended_ns: Vec<u64>,
        handover_ns: u64,
    },
    Completed {
        indexes: Vec<u64>,
        base_offset: i64,
        outcome: Outcome,
        base_sequence: i32,
    },
    Withheld(Withheld),
}

pub(super) fn header() -> Header {
    let workload = Workload {
        seed: 7,
        worker: 3,
        incarnation: 1,
        first_index: 0,
        bootstrap_servers: vec!["127.0.0.1:9092".into()],
        topic: "orders".into(),
        partitions: 6,
        partition: PartitionChoice::RoundRobin,
        executor: Executor::ConstantArrivalRate { rate: 25_000.0 },
        start_ns: 1,
        warmup_ns: 2,
        duration_ns: 3,
        drain_ns: 4,
        record_size: 100,
        keys: Keys::None,
        headers: Vec::new(),
        transaction: None,
        copy: None,
        producer: Default::default(),
        history: PathBuf::from("history/3-1.bin"),
    };
    Header {
        worker: 3,
        incarnation: 1,
        seed: 7,
        workload,
        started_ns: 11,
        started_wall_ms: 12,
    }
}

fn completed(indexes: &[u64], base_offset: i64, outcome: Outcome, base_sequence: i32) -> Completed<'_> {
    Completed {
        indexes,
        partition: 2,
        base_offset,
        outcome,
        error_code: 7,
        ack_ns: 99,
        producer_id: 4_000,
        producer_epoch: 1,
        base_sequence,
        transaction: 0,
        broker: 3,
        correlation_id: i32::MAX,
    }
}

fn write(path: &std::path::Path, entries: &[Owned]) -> Writer {
    let mut writer = Writer::create(path, &header()).unwrap();
    for entry in entries {
        match entry {
            Owned::HandedOver {
                first_index,
                intended_ns,
                handover_ns,
            } => {
                writer
                    .handed_over(*first_index, intended_ns, *handover_ns)
                    .unwrap();
            }
            Owned::Completed {
                indexes,
                base_offset,
                outcome,
                base_sequence,
            } => {
                writer
                    .completed(&completed(indexes, *base_offset, *outcome, *base_sequence))
                    .unwrap();
            }
            Owned::Withheld(withheld) => writer.withheld(withheld).unwrap(),
        }
    }
    writer
}

/// All entries; true when the end entry was there.
fn read(path: &std::path::Path) -> Result<(Vec<Owned>, bool), FormatError> {
    let mut reader = Reader::open(path)?;
    assert_eq!(reader.header(), &header());
    let (mut entries, mut ended) = (Vec::new(), false);
    while let Some(entry) = reader.next_entry()? {
        match entry {
            Entry::HandedOver {
                first_index,
                intended_ns,
                handover_ns,
            } => {
                entries.push(Owned::HandedOver {
                    first_index,
                    intended_ns: intended_ns.to_vec(),
                    handover_ns,
                });
            }
            Entry::Completed(found) => {
                let rest = completed(
                    found.indexes,
                    found.base_offset,
                    found.outcome,
                    found.base_sequence,
                );
                assert_eq!(found, rest);
                entries.push(Owned::Completed {
                    indexes: found.indexes.to_vec(),
                    base_offset: found.base_offset,
                    outcome: found.outcome,
                    base_sequence: found.base_sequence,
                });
            }
            Entry::Withheld(withheld) => entries.push(Owned::Withheld(withheld)),
            Entry::TransactionEnded(_) | Entry::Copied(_) => panic!("not written here"),
            Entry::End => ended = true,
        }
    }
    assert_eq!(reader.torn(), !ended);
    Ok((entries, ended))
}

fn sample(entries: u64) -> Vec<Owned> {
    (0..entries)
        .flat_map(|i| {
            let intended_ns = (0..3).map(|j| (i * 3 + j) * 40_000).collect();
            let indexes = vec![i * 3, i * 3 + 2, i * 3 + 1];
            let (base_offset, base_sequence) = (i as i64, i as i32);
            [
                Owned::HandedOver {
                    first_index: i * 3,
                    intended_ns,
                    handover_ns: i * 120_000 + 50,
                },
                Owned::Completed {
                    indexes,
                    base_offset,
                    outcome: Outcome::Acked,
                    base_sequence,
                },
            ]
        })
        .collect()
}

#[test]
fn a_finished_history_is_cut_to_size_and_ends() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("3-1.bin");
    let entries = sample(1_000);
    write(&path, &entries).finish().unwrap();
    assert_eq!(read(&path).unwrap(), (entries, true));
    let size = fs::metadata(&path).unwrap().len();
    assert!(size < 100_000, "{size} bytes for 3,000 records");
}

#[test]
fn a_killed_writer_leaves_all_it_wrote() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("3-1.bin");
    let entries = sample(10);
    // Dropping is what a kill does: nothing is flushed, cut or marked.
    drop(write(&path, &entries));
    assert_eq!(fs::metadata(&path).unwrap().len(), 16 << 20);
    assert_eq!(read(&path).unwrap(), (entries, false));
}

/// Called by itself with the variable set, this test is the process that is killed.
#[test]
fn a_real_sigkill_loses_nothing() {
    const CHILD: &str = "STEADFAST_TEST_HISTORY";
    if let Some(path) = std::env::var_os(CHILD) {
        let mut writer = Writer::create(&PathBuf::from(path), &header()).unwrap();
        for i in 0.. {
            writer.handed_over(i, &[i], i).unwrap();
            println!("{i}");
        }
    }
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("3-1.bin");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "history::tests::a_real_sigkill_loses_nothing",
            "--nocapture",
        ])
        .env(CHILD, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let mut numbers = lines.filter_map(|line| line.parse::<usize>().ok());
    let seen = numbers.find(|&number| number >= 20_000);
    child.kill().unwrap();
    // What it had said before it died, it had written before.
    let said = numbers.last().or(seen).expect("the child died by itself");
    child.wait().unwrap();
    let (entries, ended) = read(&path).unwrap();
    assert!(!ended);
    assert!(
        entries.len() > said,
        "{} entries, but it had come to {said}",
        entries.len()
    );
    for (i, entry) in entries.iter().enumerate() {
        let i = i as u64;
        assert_eq!(
            *entry,
            Owned::HandedOver {
                first_index: i,
                intended_ns: vec![i],
                handover_ns: i
            }
        );
    }
}

#[test]
fn grows_over_chunks() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("3-1.bin");
    // Random differences, so that each record takes ten bytes: 40 MB in all.
    let mut x = 1_u64;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x
    };
    let entries: Vec<Owned> = (0..160)
        .map(|i| Owned::HandedOver {
            first_index: i,
            intended_ns: (0..25_000).map(|_| next()).collect(),
            handover_ns: i,
        })
        .collect();
    write(&path, &entries).finish().unwrap();
    assert!(fs::metadata(&path).unwrap().len() > 33 << 20);
    assert_eq!(read(&path).unwrap(), (entries, true));
}

#[test]
fn long_runs_and_batches_are_split() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("3-1.bin");
    let count = MAX_RECORDS_PER_ENTRY as u64 + 5;
    let numbers: Vec<u64> = (0..count).collect();
    let mut writer = Writer::create(&path, &header()).unwrap();
    writer.handed_over(10, &numbers, 3).unwrap();
    writer
        .completed(&completed(&numbers, 100, Outcome::Acked, i32::MAX))
        .unwrap();
    writer.finish().unwrap();
    let (entries, _) = read(&path).unwrap();
    let [
        _,
        Owned::HandedOver { first_index, .. },
        _,
        Owned::Completed {
            base_offset,
            base_sequence,
            indexes,
            ..
        },
    ] = entries.as_slice()
    else {
        panic!("{} entries", entries.len());
    };
    assert_eq!(*first_index, 10 + MAX_RECORDS_PER_ENTRY as u64);
    assert_eq!(*base_offset, 100 + MAX_RECORDS_PER_ENTRY as i64);
    // Sequences wrap from 2^31 - 1 to 0.
    assert_eq!(*base_sequence, MAX_RECORDS_PER_ENTRY as i32 - 1);
    assert_eq!(indexes.len(), 5);
}

#[test]
fn never_overwrites_a_history() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("3-1.bin");
    write(&path, &sample(1)).finish().unwrap();
    assert_eq!(
        Writer::create(&path, &header()).unwrap_err().kind(),
        std::io::ErrorKind::AlreadyExists
    );
}

#[test]
fn torn_at_every_byte_gives_what_was_complete() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("3-1.bin");
    let entries = sample(4);
    let writer = write(&path, &entries);
    let used = writer.length() as usize;
    drop(writer);
    let whole = fs::read(&path).unwrap();
    let header_end = 16 + crate::frame::frame_bytes(1 + serde_json::to_vec(&header()).unwrap().len());
    let mut seen = 0;
    for cut in header_end..=used {
        // Cut short, and followed by zeros as in a preallocated file.
        for tail in [0, 8, 4_096] {
            let mut bytes = whole[..cut].to_vec();
            bytes.resize(cut + tail, 0);
            // A torn entry has no length yet, since that is written last.
            let torn = dir.path().join("torn.bin");
            fs::write(&torn, &bytes).unwrap();
            match read(&torn) {
                Ok((found, ended)) => {
                    assert!(!ended);
                    assert_eq!(found, entries[..found.len()], "cut at {cut}");
                    seen = seen.max(found.len());
                }
                // With its length but not its body an entry was not torn by a kill: it was damaged.
                Err(damaged @ FormatError::Damaged { .. }) => assert_ne!(tail, 0, "cut at {cut}: {damaged}"),
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert_eq!(seen, entries.len());
}

#[test]
fn an_entry_without_its_length_is_cut() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("3-1.bin");
    let entries = sample(4);
    let before = {
        let writer = write(&dir.path().join("before.bin"), &entries[..7]);
        writer.length() as usize
    };
    drop(write(&path, &entries));
    let mut bytes = fs::read(&path).unwrap();
    bytes[before..before + 4].fill(0);
    fs::write(&path, &bytes).unwrap();
    assert_eq!(read(&path).unwrap(), (entries[..7].to_vec(), false));
}

#[test]
fn damage_before_the_tail_is_an_error() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("3-1.bin");
    let entries = sample(6);
    let second_to_last = write(&dir.path().join("before.bin"), &entries[..11]).length() as usize;
    drop(write(&path, &entries));
    let mut bytes = fs::read(&path).unwrap();
    bytes.truncate(second_to_last + 4_096);
    for at in (0..8).chain(16..second_to_last) {
        for flip in [1, 0x80] {
            bytes[at] ^= flip;
            fs::write(&path, &bytes).unwrap();
            assert!(read(&path).is_err(), "byte {at}");
            bytes[at] ^= flip;
        }
    }
    // A length that was zeroed later is no torn tail.
    let third = write(&dir.path().join("third.bin"), &entries[..3]).length() as usize;
    bytes[third..third + 4].fill(0);
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(read(&path), Err(FormatError::Damaged { .. })));
}

#[test]
fn any_changed_or_missing_byte_of_a_finished_history_is_an_error() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("3-1.bin");
    write(&path, &sample(2)).finish().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        for flip in [0x01, 0xff, bytes[at]].into_iter().filter(|&flip| flip != 0) {
            bytes[at] ^= flip;
            fs::write(&path, &bytes).unwrap();
            assert!(read(&path).is_err(), "byte {at} flipped by {flip:#x}");
            bytes[at] ^= flip;
        }
        fs::write(&path, &bytes[..at]).unwrap();
        assert!(read(&path).is_err(), "cut at {at}");
    }
    bytes.extend_from_slice(&[0; 8]);
    fs::write(&path, &bytes).unwrap();
    assert!(read(&path).is_err(), "longer than finished");
}

fn any_entry() -> impl Strategy<Value = Owned> {
    let outcome = prop_oneof![
        Just(Outcome::Acked),
        Just(Outcome::NotWritten),
        Just(Outcome::Unknown)
    ];
    prop_oneof![
        (
            any::<u64>(),
            proptest::collection::vec(any::<u64>(), 1..20),
            any::<u64>()
        )
            .prop_map(|(first_index, intended_ns, handover_ns)| Owned::HandedOver {
                first_index,
                intended_ns,
                handover_ns
            }),
        (
            proptest::collection::vec(any::<u64>(), 1..20),
            any::<i64>(),
            outcome,
            any::<i32>()
        )
            .prop_map(
                |(indexes, base_offset, outcome, base_sequence)| Owned::Completed {
                    indexes,
                    base_offset,
                    outcome,
                    base_sequence
                }
            ),
        (any::<[u64; 5]>(), any::<bool>()).prop_map(|(n, had_room)| {
            Owned::Withheld(Withheld {
                first_index: n[0],
                count: n[1].max(1),
                first_due_ns: n[2],
                last_due_ns: n[3],
                had_room,
                at_ns: n[4],
            })
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn round_trip(entries in proptest::collection::vec(any_entry(), 0..40)) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("3-1.bin");
        write(&path, &entries).finish().unwrap();
        prop_assert_eq!(read(&path).unwrap(), (entries, true));
    }
}
