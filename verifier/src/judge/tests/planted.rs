//! Random clean runs with one bug planted: it is named, and nothing of another family is raised beside what follows
//! from it.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::fixture::{COUNTED, END, Fate, MS, Run, Sent, batch, stands};
use crate::log::LogRecord;
use crate::stamp::RecordId;
use crate::workload::{Keys, PartitionChoice};

/// The shape of a clean run.
#[derive(Debug, Clone)]
struct Shape {
    workers: u16,
    partitions: i32,
    keys: Option<u64>,
    /// One entry a record: which worker, which key, and what became of it (mostly acknowledged).
    records: Vec<(u16, u64, u8)>,
    /// Records per batch of the log.
    batch: usize,
}

fn shape() -> impl Strategy<Value = Shape> {
    let records = proptest::collection::vec((0..3_u16, 0..6_u64, 0..20_u8), 8..60);
    (
        1..=3_u16,
        1..=3_i32,
        proptest::option::of(1..=6_u64),
        records,
        1..4_usize,
    )
        .prop_map(|(workers, partitions, keys, records, batch)| Shape {
            workers,
            partitions,
            keys,
            records,
            batch,
        })
}

/// A clean run: every log in send order, acknowledgements 50 ms after, so that several are in flight at once.
fn clean(shape: &Shape) -> Run {
    let mut run = Run::empty();
    run.workload.partitions = shape.partitions as u32;
    run.expectations.keyed = shape.keys.is_some();
    if shape.keys.is_none() {
        (run.workload.keys, run.workload.partition) = (Keys::None, PartitionChoice::RoundRobin);
    }
    run.logs = (0..shape.partitions)
        .map(|partition| (partition, Vec::new()))
        .collect();
    let mut next_index = BTreeMap::new();
    let mut next_sequence = BTreeMap::new();
    let mut next_offset = BTreeMap::new();
    let mut standing: BTreeMap<i32, Vec<LogRecord>> = BTreeMap::new();
    for (i, &(worker, key, fate)) in shape.records.iter().enumerate() {
        // Each begins with one: a worker that never sent has no history, and the judge rightly asks for it (H5).
        let worker = if i < usize::from(shape.workers) {
            i as u16
        } else {
            worker % shape.workers
        };
        let index: &mut u64 = next_index.entry(worker).or_default();
        let key = shape.keys.map(|keys| key % keys);
        let sequence = match key {
            Some(_) => {
                let next: &mut u32 = next_sequence.entry((worker, key)).or_default();
                *next += 1;
                *next - 1
            }
            None => *index as u32,
        };
        let partition = key.unwrap_or(*index) as i32 % shape.partitions;
        let offset: &mut i64 = next_offset.entry(partition).or_default();
        let sent_ns = COUNTED + i as u64 * 10 * MS;
        let (fate, written) = match fate {
            0 => (
                Fate::NotWritten {
                    at_ns: sent_ns + 50 * MS,
                },
                false,
            ),
            1 => (
                Fate::Unknown {
                    at_ns: sent_ns + 50 * MS,
                },
                true,
            ),
            2 => (
                Fate::Unknown {
                    at_ns: sent_ns + 50 * MS,
                },
                false,
            ),
            3 => (Fate::Open, true),
            _ => (
                Fate::Acked {
                    at_ns: sent_ns + 50 * MS,
                    partition,
                    offset: *offset,
                },
                true,
            ),
        };
        let sent = Sent {
            id: RecordId::new(worker, *index),
            key,
            sequence,
            due_ns: sent_ns - MS,
            sent_ns,
            fate,
        };
        *index += 1;
        run.sent.push(sent);
        if written {
            standing
                .entry(partition)
                .or_default()
                .push(stands(&sent, *offset));
            *offset += 1;
        }
    }
    for (partition, records) in standing {
        let batches = records.chunks(shape.batch).map(|records| batch(records.to_vec()));
        run.logs.insert(partition, batches.collect());
    }
    run.seal_logs();
    run
}

/// The bugs.
#[derive(Debug, Clone, Copy)]
enum Plant {
    Drop,
    Duplicate,
    DuplicateAcross,
    Swap,
    Corrupt,
    MisplacedAck,
    Phantom,
    Resurrect,
}

fn plants() -> impl Strategy<Value = Plant> {
    use Plant::*;
    prop::sample::select(vec![
        Drop,
        Duplicate,
        DuplicateAcross,
        Swap,
        Corrupt,
        MisplacedAck,
        Phantom,
        Resurrect,
    ])
}

/// An acknowledged record and its place.
fn acked(run: &Run, pick: prop::sample::Index) -> Option<(Sent, i32, i64)> {
    let acked: Vec<_> = run
        .sent
        .iter()
        .filter_map(|sent| match sent.fate {
            Fate::Acked {
                partition, offset, ..
            } => Some((*sent, partition, offset)),
            _ => None,
        })
        .collect();
    (!acked.is_empty()).then(|| acked[pick.index(acked.len())])
}

/// Plants a bug. Gives the names that must be raised and those that may be; none where this run has no place for it.
fn plant(
    run: &mut Run,
    plant: Plant,
    pick: prop::sample::Index,
) -> Option<(&'static [&'static str], &'static str)> {
    let (sent, partition, offset) = acked(run, pick)?;
    match plant {
        Plant::Drop => {
            run.remove(partition, offset);
            Some((&["L1"], "L2"))
        }
        Plant::Duplicate => {
            let copy = *run.at(partition, offset);
            run.append(partition, copy);
            Some((&["D1"], ""))
        }
        Plant::DuplicateAcross => {
            let other = (partition + 1) % run.logs.len() as i32;
            let copy = *run.at(partition, offset);
            run.append(other, copy);
            Some((if other == partition { &["D1"] } else { &["D2"] }, ""))
        }
        Plant::Swap => {
            // With the next acknowledged record of the same worker and key in that partition.
            let (later, _, at) = run
                .sent
                .iter()
                .filter_map(|other| match other.fate {
                    Fate::Acked {
                        partition: p, offset, ..
                    } if p == partition => Some((*other, p, offset)),
                    _ => None,
                })
                .find(|(other, _, at)| {
                    *at > offset && other.key == sent.key && other.id.worker() == sent.id.worker()
                })?;
            *run.at(partition, offset) = stands(&later, offset);
            *run.at(partition, at) = stands(&sent, at);
            Some((&["I4"], "O1 O2 O3"))
        }
        Plant::Corrupt => {
            run.at(partition, offset).intact = false;
            Some((&["I2"], ""))
        }
        Plant::MisplacedAck => {
            let change = run.sent.iter_mut().find(|other| other.id == sent.id)?;
            change.fate = Fate::Acked {
                at_ns: END,
                partition,
                offset: offset + 10_000,
            };
            Some((&["I4"], ""))
        }
        Plant::Phantom => {
            let id = Some(RecordId::new(sent.id.worker(), 1_000_000));
            run.append(
                partition,
                LogRecord {
                    offset: 0,
                    id,
                    ..stands(&sent, 0)
                },
            );
            Some((&["I3"], ""))
        }
        Plant::Resurrect => {
            let change = run.sent.iter_mut().find(|other| other.id == sent.id)?;
            change.fate = Fate::NotWritten { at_ns: END };
            Some((&["D3"], ""))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn clean_runs_raise_nothing(shape in shape()) {
        let run = clean(&shape);
        prop_assert_eq!(run.anomalies(), Vec::new());
        prop_assert!(run.found().is_clean());
        let judgement = run.judge().unwrap();
        prop_assert!(judgement.verdict.inconclusive.is_empty(), "{:?}", judgement.verdict.inconclusive);
    }

    #[test]
    fn a_planted_bug_is_named(shape in shape(), bug in plants(), pick: prop::sample::Index) {
        let mut run = clean(&shape);
        let Some((must, may)) = plant(&mut run, bug, pick) else { return Ok(()) };
        let found: Vec<String> = run.anomalies().into_iter().map(|(id, _)| id).collect();
        let from_memory = run.found();
        let mut also: Vec<&str> = from_memory.anomalies.keys().map(|anomaly| anomaly.id()).collect();
        also.sort_unstable();
        prop_assert_eq!(&also, &found, "memory and files are judged alike");
        for id in must {
            prop_assert!(found.iter().any(|found| found == id), "{bug:?}: {found:?} lacks {id}");
        }
        for id in &found {
            let expected = must.contains(&id.as_str()) || may.split(' ').any(|may| may == id);
            prop_assert!(expected, "{bug:?} raised {id} as well");
        }
        if matches!(bug, Plant::Swap) {
            prop_assert!(found.iter().any(|id| id == "O1" || id == "O2"), "a swap is out of order: {found:?}");
        }
        let verdict = run.judge().unwrap().verdict;
        prop_assert_eq!(verdict.exit_code, crate::judge::EXIT_DELIVERY);
    }

    /// Whatever is planted, a log without a seal never gives a pass.
    #[test]
    fn an_unsealed_run_never_passes(shape in shape(), bug in proptest::option::of(plants()), pick: prop::sample::Index) {
        let mut run = clean(&shape);
        if let Some(bug) = bug {
            let _ = plant(&mut run, bug, pick);
        }
        run.seal.as_mut().unwrap().sealed = false;
        prop_assert_ne!(run.judge().unwrap().verdict.verdict, crate::verdict::Outcome::Pass);
    }
}
