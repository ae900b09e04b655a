//! A log without a history: what it shows, and what it must not claim.

use std::collections::BTreeMap;

use super::fixture::Run;
use super::world::{self, World};
use crate::judge::alone::Alone;
use crate::judge::sources::{Logs, Topic};
use crate::log::LogBatch;
use crate::log_verdict::LogVerdict;
use crate::seal::{PartitionSeal, Seal};
use crate::stamp::RecordId;
use crate::verdict::Outcome;

type PartitionLogs = BTreeMap<i32, Vec<LogBatch>>;

/// Judges a log that was read whole, changed by `plant` before.
fn judged(
    mut logs: PartitionLogs,
    plant: impl FnOnce(&mut PartitionLogs, &mut BTreeMap<i32, i64>),
) -> LogVerdict {
    let end = |batches: &Vec<LogBatch>| {
        let last = batches.last().and_then(|batch| batch.records.last());
        last.map_or(0, |record| record.offset + 1)
    };
    let mut begins = logs.keys().map(|&partition| (partition, 0)).collect();
    plant(&mut logs, &mut begins);
    let partitions = logs.iter().map(|(&partition, batches)| PartitionSeal {
        topic: "orders".into(),
        partition,
        end_offset: end(batches),
        last_stable_offset: end(batches),
        open_transactions: 0,
        stable_stood_ns: 0,
        read_to: end(batches),
    });
    let seal = Seal {
        partitions: partitions.collect(),
        sealed: true,
        reason: None,
    };
    let evidence = Alone {
        topic: Topic {
            name: "orders",
            partitions: logs.len() as u32,
            by_key: false,
        },
        logs: Logs::Memory(&logs),
        seal: &seal,
        begins: &begins,
    };
    evidence.examine().unwrap()
}

fn clean(plant: impl FnOnce(&mut PartitionLogs, &mut BTreeMap<i32, i64>)) -> LogVerdict {
    judged(Run::clean(40).logs, plant)
}

fn found(verdict: &LogVerdict) -> Vec<(&str, u64)> {
    let found = verdict.anomalies.iter().filter(|(_, count)| **count > 0);
    found.map(|(id, &count)| (id.as_str(), count)).collect()
}

/// Offsets from `from` on move up by one.
fn make_room(batches: &mut [LogBatch], from: usize) {
    for batch in &mut batches[from..] {
        batch.base_offset += 1;
        batch.records.iter_mut().for_each(|record| record.offset += 1);
    }
}

#[test]
fn a_clean_log_passes_and_says_what_it_cannot_show() {
    for logs in [Run::clean(40).logs, Run::keyless(40).logs] {
        let verdict = judged(logs, |_, _| ());
        assert_eq!(
            (verdict.verdict, verdict.exit_code),
            (Outcome::Pass, 0),
            "{verdict:?}"
        );
        assert_eq!((verdict.records.read, verdict.records.intact), (40, 40));
        assert_eq!(verdict.writers.len(), 1);
        let writer = verdict.writers[0];
        assert_eq!(
            (writer.first_index, writer.last_index, writer.present),
            (0, 39, 40)
        );
        assert!(
            verdict
                .not_checked
                .iter()
                .any(|not| not.ids.contains(&"L1".into()))
        );
    }
}

#[test]
fn a_copy_is_a_duplicate_and_nothing_else() {
    let verdict = clean(|logs, _| {
        let batches = logs.get_mut(&0).unwrap();
        let copy = batches[3].clone();
        make_room(batches, 8);
        batches.insert(8, copy);
        batches[8].base_offset = 8;
        batches[8].records[0].offset = 8;
    });
    assert_eq!(found(&verdict), [("D1", 1)]);
    assert_eq!(verdict.exit_code, 10);
    let example = &verdict.examples[0];
    assert_eq!(example.record.as_deref(), Some("0:6"));
    assert_eq!(
        example.detail,
        "stands at orders-0 offset 8 and at orders-0 offset 3"
    );

    let verdict = clean(|logs, _| {
        let mut copy = logs[&0][3].clone();
        let batches = logs.get_mut(&1).unwrap();
        copy.base_offset = 20;
        copy.records[0].offset = 20;
        batches.push(copy);
    });
    assert_eq!(found(&verdict), [("D2", 1)]);
}

#[test]
fn two_records_of_a_key_exchanged_are_out_of_order() {
    for logs in [Run::clean(40).logs, Run::keyless(40).logs] {
        let verdict = judged(logs, |logs, _| {
            let batches = logs.get_mut(&0).unwrap();
            let [first, second] = batches.get_disjoint_mut([3, 5]).unwrap();
            std::mem::swap(&mut first.records[0], &mut second.records[0]);
            first.records[0].offset = 3;
            second.records[0].offset = 5;
        });
        let ids: Vec<&str> = found(&verdict).iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, ["O1"]);
    }
}

#[test]
fn a_gap_is_possible_loss_and_no_more() {
    let verdict = clean(|logs, _| {
        let batches = logs.get_mut(&1).unwrap();
        batches.remove(7);
        for batch in &mut batches[7..] {
            batch.base_offset -= 1;
            batch.records[0].offset -= 1;
        }
    });
    assert_eq!((verdict.verdict, verdict.exit_code), (Outcome::Inconclusive, 5));
    assert_eq!(found(&verdict), []);
    assert_eq!(verdict.writers[0].missing, 1);
    assert_eq!(verdict.gaps[0].first, "0:15");
    assert_eq!(verdict.inconclusive.len(), 1);
    assert!(verdict.inconclusive[0].reason.contains("possible loss"));
}

#[test]
fn each_start_of_a_worker_counts_from_a_number_of_its_own() {
    let again = |index: u64| 1 << 40 | index;
    let verdict = clean(|logs, _| {
        for record in logs.values_mut().flatten().flat_map(|batch| &mut batch.records) {
            let index = record.id.unwrap().index();
            if index >= 30 {
                record.id = Some(RecordId::new(0, again(index - 30)));
            }
        }
    });
    assert_eq!(verdict.verdict, Outcome::Pass, "{verdict:?}");
    let spans: Vec<_> = verdict
        .writers
        .iter()
        .map(|w| (w.incarnation, w.first_index, w.missing))
        .collect();
    assert_eq!(spans, [(0, 0, 0), (1, 1 << 40, 0)]);
}

#[test]
fn damage_is_named_and_another_kind_of_topic_is_not_called_damaged() {
    let verdict = clean(|logs, _| {
        logs.get_mut(&0).unwrap()[2].records[0].intact = false;
        logs.get_mut(&0).unwrap()[4].records[0].id = None;
        logs.get_mut(&0).unwrap()[4].records[0].intact = false;
    });
    assert_eq!(found(&verdict), [("I2", 1), ("I3", 1)]);
    assert_eq!(verdict.exit_code, 10);

    let verdict = clean(|logs, _| {
        for record in logs.values_mut().flatten().flat_map(|batch| &mut batch.records) {
            record.intact = false;
        }
    });
    assert_eq!((found(&verdict), verdict.exit_code), (vec![], 5));
    assert!(verdict.inconclusive[0].reason.contains("stamp"));

    let verdict = clean(|logs, _| logs.values_mut().for_each(Vec::clear));
    assert_eq!(verdict.exit_code, 5, "nothing there is no pass");
}

#[test]
fn an_offset_that_comes_twice_is_two_contents() {
    let verdict = clean(|logs, _| {
        let batches = logs.get_mut(&0).unwrap();
        batches[9].records[0].offset = 8;
        batches[9].base_offset = 8;
    });
    assert_eq!(found(&verdict), [("I1", 1)]);
}

#[test]
fn what_was_deleted_or_compacted_is_no_pass() {
    let verdict = clean(|logs, begins| {
        logs.get_mut(&0).unwrap().drain(..5);
        begins.insert(0, 5);
    });
    assert_eq!(verdict.exit_code, 5);
    let reasons: Vec<&str> = verdict.inconclusive.iter().map(|i| i.reason.as_str()).collect();
    assert!(reasons[0].contains("begins at offset 5"), "{reasons:?}");

    let verdict = clean(|logs, _| {
        logs.get_mut(&0).unwrap().remove(5);
    });
    assert!(
        verdict.inconclusive[0].reason.contains("compacted"),
        "{verdict:?}"
    );
    assert_eq!(verdict.partitions[0].empty_offsets, 1);

    // Deleted by offset, in the middle of a batch: what is below is not there.
    let verdict = clean(|_, begins| {
        begins.insert(0, 5);
    });
    assert_eq!((found(&verdict), verdict.partitions[0].records), (vec![], 15));
}

#[test]
fn aborted_records_are_neither_copies_nor_gaps() {
    let logs = World::clean().logs;
    let verdict = judged(logs.clone(), |_, _| ());
    assert_eq!((found(&verdict), verdict.exit_code), (vec![], 0), "{verdict:?}");
    assert_eq!((verdict.records.aborted, verdict.writers[0].hidden), (4, 4));

    // The records of the aborted transaction, written again by the one that is committed.
    let verdict = judged(logs.clone(), |logs, _| {
        for batches in logs.values_mut() {
            batches[6].records[0].id = batches[3].records[0].id;
            batches[6].records[0].sequence = batches[3].records[0].sequence;
        }
    });
    assert_eq!(found(&verdict), []);

    // Without its marker a transaction is open, and nobody knows what becomes of it.
    let verdict = judged(logs, |logs, _| {
        logs.get_mut(&0).unwrap().pop();
    });
    assert_eq!(verdict.records.open, 2);
}

#[test]
fn an_epoch_that_was_left_behind_is_a_zombie() {
    let mut logs = World::clean().logs;
    let last: &mut Vec<LogBatch> = logs.get_mut(&0).unwrap();
    for batch in last.iter_mut().take(3) {
        batch.producer_epoch = 4;
    }
    let verdict = judged(logs, |_, _| ());
    assert_eq!(found(&verdict), [("T7", 2)], "{}", world::PRODUCER);
}
