//! T1, T3 to T8, L4, D6: one tiny world for each, and clean ones that raise nothing.

use std::collections::BTreeMap;

use super::fixture::MS;
use super::world::{HANGING_NS, PRODUCER, World, data, marker};
use crate::history::{Outcome, TransactionOutcome};
use crate::log::LogBatch;
use crate::stamp::RecordId;

#[test]
fn committed_and_aborted_transactions_are_as_they_should_be() {
    let found = World::clean().found();
    assert!(found.is_clean(), "{found:?}");
    assert_eq!((found.records.acked, found.records.read), (12, 12));
}

#[test]
fn t1_a_record_of_an_aborted_transaction_can_be_read() {
    let mut world = World::clean();
    world.flip_marker(2, 0);
    assert_eq!(world.names(), "T1=2 T3=1");
}

#[test]
fn t1_also_when_the_batch_bears_no_transaction() {
    let mut world = World::clean();
    world.at(0, 3).transactional = false;
    assert_eq!(world.names(), "T1=1 T3=1");
}

#[test]
fn t4_a_transaction_reported_as_aborted_is_there_as_a_whole() {
    let mut world = World::clean();
    world.flip_marker(2, 0);
    world.flip_marker(2, 1);
    assert_eq!(world.names(), "T1=4 T4=1");
}

#[test]
fn t3_a_committed_transaction_is_there_in_part() {
    let mut world = World::clean();
    world.flip_marker(1, 1);
    assert_eq!(world.names(), "L1=2 L2=2 T3=1");
}

#[test]
fn t5_a_committed_transaction_is_not_there_at_all() {
    let mut world = World::clean();
    world.flip_marker(1, 0);
    world.flip_marker(1, 1);
    assert_eq!(world.names(), "L1=4 L2=4 T5=1");
}

#[test]
fn an_unknown_transaction_is_there_as_a_whole_or_not_at_all() {
    for outcome in [None, Some(TransactionOutcome::Unknown)] {
        let mut world = World::clean();
        world.told(1).outcome = outcome;
        world.told(2).outcome = outcome;
        assert!(world.found().is_clean());
        world.flip_marker(1, 0);
        assert_eq!(world.names(), "T3=1");
    }
}

#[test]
fn records_that_were_not_acknowledged_tear_nothing() {
    let mut world = World::clean();
    world.told(1).records[1].outcome = Some(Outcome::Unknown);
    world.told(3).records[0].outcome = Some(Outcome::NotWritten);
    world.logs.get_mut(&1).unwrap().remove(0);
    world.logs.get_mut(&0).unwrap().remove(6);
    assert_eq!(world.names(), "");
}

#[test]
fn a_copy_that_was_aborted_is_no_duplicate() {
    let mut world = World::clean();
    let log = world.logs.get_mut(&0).unwrap();
    log.extend([data(9, RecordId::new(0, 0)), marker(10, PRODUCER, false)]);
    assert_eq!(world.names(), "");
    world.at(0, 10).marker.as_mut().unwrap().commit = true;
    assert_eq!(world.names(), "D1=1");
}

#[test]
fn t7_an_epoch_behind_a_later_one_in_the_log() {
    let mut world = World::clean();
    for batch in world.logs.get_mut(&0).unwrap() {
        batch.producer_epoch = i16::from(batch.base_offset >= 5);
    }
    assert_eq!(world.names(), "", "epochs that rise are in order");
    world.at(0, 7).producer_epoch = 0;
    assert_eq!(world.names(), "T7=1");
    // What nobody can read is no zombie's success.
    let mut hidden = World::clean();
    for batch in hidden.logs.get_mut(&0).unwrap() {
        batch.producer_epoch = 1;
    }
    hidden.at(0, 4).producer_epoch = 0;
    assert_eq!(hidden.names(), "");
}

#[test]
fn t7_an_epoch_sent_after_a_later_one_was_in_use_elsewhere() {
    // The client of transaction 1 had epoch 1 acknowledged; those of 2 (aborted) and 3 were sent later, with epoch 0.
    let mut world = World::clean();
    world.told(1).epoch = 1;
    for partition in [0, 1] {
        for offset in [0, 1, 2] {
            world.at(partition, offset).producer_epoch = 1;
        }
    }
    world.at(0, 0).producer_epoch = 0;
    world.at(0, 1).producer_epoch = 0;
    world.at(0, 2).producer_epoch = 0;
    // Partition 0 never saw epoch 1, so only time tells; partition 1 did.
    assert_eq!(world.names(), "T7=4");
    // Without a transaction an epoch belongs to one partition only.
    let mut plain = world;
    for batch in plain.logs.values_mut().flatten().filter(|batch| !batch.control) {
        batch.transactional = false;
    }
    plain.story.iter_mut().for_each(|story| story.outcome = None);
    assert_eq!(
        plain.names(),
        "T7=4",
        "in partition 1, by its own log: records 5, 7, 9 and 11"
    );
}

#[test]
fn t8_a_last_stable_offset_that_stands_for_longer_than_a_transaction_may_last() {
    let mut world = World::clean();
    world.logs.get_mut(&0).unwrap().push(LogBatch {
        producer_id: 99,
        records: Vec::new(),
        ..data(9, RecordId(0))
    });
    world.open = Some((9, HANGING_NS));
    assert_eq!(world.names(), "", "it may be ended yet");
    assert!(!world.found().doubts.is_empty(), "an open transaction is no seal");
    world.open = Some((9, HANGING_NS + 1));
    assert_eq!(world.names(), "T8=1");
}

#[test]
fn what_an_open_transaction_holds_is_not_lost_yet() {
    // Committed, says the client; the marker of partition 0 was not there yet when the log was read.
    let mut world = World::clean();
    world.logs.get_mut(&0).unwrap().pop();
    world.open = Some((6, 1));
    assert_eq!(world.names(), "L3=2");
}

#[test]
fn l4_a_client_that_closed_in_order_and_never_said_what_became_of_a_record() {
    let mut world = World::clean();
    world.told(3).records[0].outcome = None;
    assert_eq!(world.names(), "", "it is in the log");
    world.logs.get_mut(&0).unwrap().remove(6);
    assert_eq!(world.names(), "L4=1");
    world.killed = vec![0];
    assert_eq!(world.names(), "", "a client that was killed promised nothing");
}

/// A copy job: twelve source records, of which transaction 2 would have copied four; it was aborted, and they were
/// copied again by nobody, so the position stands where transaction 3 began... in a world of two committed ones.
fn copy_job() -> World {
    let mut world = World::clean();
    for partition in [0, 1] {
        world.flip_marker(2, partition);
    }
    world.told(2).outcome = Some(TransactionOutcome::Committed);
    let source = (0..12).map(|offset| LogBatch {
        transactional: false,
        ..data(offset, RecordId::new(1, offset as u64))
    });
    world.copy = Some((BTreeMap::from([(0, source.collect())]), BTreeMap::from([(0, 12)])));
    world
}

#[test]
fn t6_the_position_covers_a_record_that_has_no_copy() {
    let mut world = copy_job();
    assert_eq!(world.names(), "");
    // Two more in the source; the position covers one of them.
    let (source, committed) = world.copy.as_mut().unwrap();
    let more = [12, 13].map(|offset| LogBatch {
        transactional: false,
        ..data(offset, RecordId::new(1, offset as u64))
    });
    source.get_mut(&0).unwrap().extend(more);
    committed.insert(0, 13);
    assert_eq!(world.names(), "T6=1");
}

#[test]
fn t6_a_copy_lies_beyond_the_position() {
    let mut world = copy_job();
    world.copy.as_mut().unwrap().1.insert(0, 10);
    assert_eq!(world.names(), "T6=2");
    world.copy.as_mut().unwrap().1.clear();
    assert_eq!(world.names(), "T6=12");
}

#[test]
fn t6_speaks_of_what_can_be_read_at_both_ends() {
    // The third transaction and its copies were aborted, and so the position did not move.
    let mut world = copy_job();
    for partition in [0, 1] {
        world.flip_marker(3, partition);
    }
    world.told(3).outcome = Some(TransactionOutcome::Aborted);
    world.copy.as_mut().unwrap().1.insert(0, 8);
    assert_eq!(world.names(), "");
    // A source record that was aborted there need not be copied.
    let (source, committed) = world.copy.as_mut().unwrap();
    let log = source.get_mut(&0).unwrap();
    log[8].transactional = true;
    log.push(marker(12, PRODUCER + 1, false));
    committed.insert(0, 9);
    assert_eq!(world.names(), "");
}

#[test]
fn d6_one_source_record_has_two_copies() {
    // Offset 12 is where a thirteenth record of worker 0 says it comes from, and so does a second history's.
    let mut world = copy_job();
    let mut again = world.told(3).clone();
    (again.worker, again.number, again.first_index) = (1, 1, 4);
    again.handover_ns += 500 * MS;
    for (told, index) in again.records.iter_mut().zip(4..) {
        let log = world.logs.get_mut(&told.partition).unwrap();
        told.offset = log.last().unwrap().base_offset + 1;
        told.ack_ns += 500 * MS;
        log.push(data(told.offset, RecordId::new(1, index)));
    }
    for log in world.logs.values_mut() {
        log.push(marker(log.last().unwrap().base_offset + 1, PRODUCER + 1, true));
    }
    again.asked_ns += 500 * MS;
    world.story.push(again);
    assert_eq!(world.names(), "D6=4");
}
