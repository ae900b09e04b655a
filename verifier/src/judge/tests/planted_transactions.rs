//! Random transactional worlds: clean ones raise nothing, and one bug planted is named, with what follows from it and
//! nothing else.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::fixture::{MS, START};
use super::world::{PRODUCER, Story, Told, World, data, marker, record};
use crate::history::{Outcome, TransactionOutcome};
use crate::log::LogBatch;
use crate::reads::{Isolation, Poll};
use crate::stamp::RecordId;

/// How a transaction ends: what the coordinator does, and what the client knows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Committed,
    Aborted,
    CommittedUnknown,
    AbortedUnknown,
}

/// One transaction: whose, the partition of each record, which of them were never acknowledged, and its end.
#[derive(Debug, Clone)]
struct Shape {
    worker: u16,
    partitions: Vec<i32>,
    ending: Ending,
}

fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    use Ending::{Aborted, AbortedUnknown, Committed, CommittedUnknown};
    let ending = prop_oneof![
        4 => Just(Committed),
        2 => Just(Aborted),
        1 => Just(CommittedUnknown),
        1 => Just(AbortedUnknown),
    ];
    let partitions = proptest::collection::vec(0..2_i32, 1..6);
    let shape = (0..2_u16, partitions, ending).prop_map(|(worker, partitions, ending)| Shape {
        worker,
        partitions,
        ending,
    });
    proptest::collection::vec(shape, 1..12)
}

/// Where each transaction's markers stand, by partition.
type Ends = Vec<BTreeMap<i32, i64>>;

/// Transactions of two workers; each pair of neighbours of different workers overlaps in the log.
fn build(shapes: &[Shape]) -> (World, Ends) {
    let mut world = World::clean();
    world.story.clear();
    world.logs = BTreeMap::from([(0, Vec::new()), (1, Vec::new())]);
    let mut next_index = [0_u64; 2];
    let mut numbers = [0_u64; 2];
    let mut ends: Ends = Vec::new();
    // A transaction whose markers are still to be written, behind the records of the next worker's.
    let mut open: Option<(usize, u16, bool)> = None;
    for (i, shape) in shapes.iter().enumerate() {
        if let Some(still) = open.take_if(|still| still.1 == shape.worker) {
            close(&mut world, still, &mut ends);
        }
        let begin_ns = START + i as u64 * 50 * MS;
        let worker = usize::from(shape.worker);
        let first_index = next_index[worker];
        let mut records = Vec::new();
        for &partition in &shape.partitions {
            let log = world.logs.get_mut(&partition).unwrap();
            let offset = log.len() as i64;
            log.push(data(offset, RecordId::new(shape.worker, next_index[worker])));
            next_index[worker] += 1;
            records.push(Told {
                partition,
                offset,
                outcome: Some(Outcome::Acked),
                ack_ns: begin_ns + 10 * MS,
            });
        }
        numbers[worker] += 1;
        let commit = matches!(shape.ending, Ending::Committed | Ending::CommittedUnknown);
        world.story.push(Story {
            worker: shape.worker,
            number: numbers[worker],
            epoch: 0,
            first_index,
            handover_ns: begin_ns,
            asked_ns: begin_ns + 20 * MS,
            outcome: match shape.ending {
                Ending::Committed => Some(TransactionOutcome::Committed),
                Ending::Aborted => Some(TransactionOutcome::Aborted),
                Ending::CommittedUnknown => Some(TransactionOutcome::Unknown),
                Ending::AbortedUnknown => None,
            },
            records,
        });
        ends.push(BTreeMap::new());
        if let Some(still) = open.replace((i, shape.worker, commit)) {
            close(&mut world, still, &mut ends);
        }
    }
    if let Some(still) = open {
        close(&mut world, still, &mut ends);
    }
    (world, ends)
}

fn close(world: &mut World, (i, worker, commit): (usize, u16, bool), ends: &mut Ends) {
    let partitions: Vec<i32> = world.story[i].records.iter().map(|told| told.partition).collect();
    for partition in partitions {
        let log = world.logs.get_mut(&partition).unwrap();
        let offset = log.len() as i64;
        if ends[i].contains_key(&partition) {
            continue;
        }
        ends[i].insert(partition, offset);
        log.push(marker(offset, PRODUCER + i64::from(worker), commit));
    }
}

/// A reader at read_committed that got all of both partitions, a record an answer, after everything.
fn watch(world: &mut World, committed: &dyn Fn(i32, &LogBatch) -> bool) {
    let late_ns = START + 3_600_000 * MS;
    let logs = world.logs.clone();
    let reader = world.reader(Isolation::ReadCommitted);
    for (&partition, log) in &logs {
        reader.assigned(partition, late_ns, 0);
        let end = log.len() as i64;
        for batch in log
            .iter()
            .filter(|batch| !batch.control && committed(partition, batch))
        {
            let id = batch.records[0].id.unwrap();
            reader.poll(&Poll {
                partition,
                at_ns: late_ns,
                next_offset: batch.base_offset + 1,
                high_watermark: end,
                last_stable_offset: end,
                records: &[record(batch.base_offset, id)],
            });
        }
    }
}

/// Which transaction a record belongs to.
fn transaction_of(world: &World, id: RecordId) -> usize {
    let of = |story: &Story| {
        story.worker == id.worker()
            && (story.first_index..story.first_index + story.records.len() as u64).contains(&id.index())
    };
    world.story.iter().position(of).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn clean_worlds_raise_nothing(shapes in shapes()) {
        let (mut world, _) = build(&shapes);
        let found = world.found();
        prop_assert!(found.is_clean(), "{found:?}");
        let story = world.story.clone();
        let told = World { story, ..World::clean() };
        watch(&mut world, &|_, batch| {
            let i = transaction_of(&told, batch.records[0].id.unwrap());
            matches!(shapes[i].ending, Ending::Committed | Ending::CommittedUnknown)
        });
        let found = world.found();
        prop_assert!(found.is_clean(), "{found:?}");
    }

    /// One marker says the opposite: what that makes of the transaction is read off its ending and its partitions.
    #[test]
    fn a_marker_that_says_the_opposite_is_named(shapes in shapes(), pick: prop::sample::Index, which: prop::sample::Index) {
        let (mut world, ends) = build(&shapes);
        let i = pick.index(shapes.len());
        let (&partition, &offset) = ends[i].iter().nth(which.index(ends[i].len())).unwrap();
        world.at(partition, offset).marker.as_mut().unwrap().commit ^= true;
        let torn = ends[i].len() > 1;
        let found = world.found();
        let mut named: Vec<&str> = found.anomalies.keys().map(|anomaly| anomaly.id()).collect();
        named.retain(|&id| id != "L2");
        let expected: &[&str] = match (shapes[i].ending, torn) {
            (Ending::Committed, true) => &["L1", "T3"],
            (Ending::Committed, false) => &["L1", "T5"],
            (Ending::Aborted, true) => &["T1", "T3"],
            (Ending::Aborted, false) => &["T1", "T4"],
            (Ending::CommittedUnknown | Ending::AbortedUnknown, true) => &["T3"],
            (Ending::CommittedUnknown | Ending::AbortedUnknown, false) => &[],
        };
        prop_assert_eq!(named, expected);
    }

    /// One record of a committed transaction is gone from the log: lost, and torn if it was not alone.
    #[test]
    fn a_record_missing_from_a_transaction_is_named(shapes in shapes(), pick: prop::sample::Index, which: prop::sample::Index) {
        let (mut world, _) = build(&shapes);
        let i = pick.index(shapes.len());
        let told = world.story[i].records[which.index(world.story[i].records.len())];
        world.at(told.partition, told.offset).records.clear();
        let alone = shapes[i].partitions.len() == 1;
        let found = world.found();
        let mut named: Vec<&str> = found.anomalies.keys().map(|anomaly| anomaly.id()).collect();
        named.retain(|&id| id != "L2");
        let expected: &[&str] = match shapes[i].ending {
            Ending::Committed if alone => &["L1", "T5"],
            Ending::Committed => &["L1", "T3"],
            Ending::CommittedUnknown if !alone => &["T3"],
            _ => &[],
        };
        prop_assert_eq!(named, expected);
    }

    /// A reader at read_committed gets one record of an aborted transaction.
    #[test]
    fn an_aborted_read_is_named(shapes in shapes(), pick: prop::sample::Index) {
        let (mut world, _) = build(&shapes);
        let told = World { story: world.story.clone(), ..World::clean() };
        let commits = |batch: &LogBatch| {
            let i = transaction_of(&told, batch.records[0].id.unwrap());
            matches!(shapes[i].ending, Ending::Committed | Ending::CommittedUnknown)
        };
        let aborted: Vec<RecordId> = world.logs.values().flatten()
            .filter(|batch| !batch.control && !commits(batch))
            .map(|batch| batch.records[0].id.unwrap())
            .collect();
        prop_assume!(!aborted.is_empty());
        let one = aborted[pick.index(aborted.len())];
        watch(&mut world, &|_, batch| commits(batch) || batch.records[0].id == Some(one));
        prop_assert_eq!(world.names(), "T1=1");
    }
}
