//! Last stable offset, truncation, epochs.

use super::*;
use crate::batch::Header;
use crate::testing::{Made, numbered, plain, transactional};

fn replica() -> (Entries, Replica) {
    let view = View {
        leader: 1,
        epoch: 0,
        isr: vec![1],
    };
    (Entries::default(), Replica::new(1, view))
}

fn put(entries: &mut Entries, replica: &mut Replica, made: &Made, kind: Kind, epoch: i32) {
    let header = Header::parse(&made.bytes()).expect("a header");
    let entry = Entry::new(&header, kind, replica.end, epoch);
    let number = entries.push(entry);
    replica.append(number, &entry);
}

#[test]
fn a_decided_transaction_is_stable_once_its_marker_is_committed() {
    let (mut entries, mut replica) = replica();
    put(&mut entries, &mut replica, &plain(), Kind::Plain, 0);
    put(
        &mut entries,
        &mut replica,
        &transactional((1, 0), 0, 1),
        Kind::Transactional,
        0,
    );
    replica.raise_high_watermark(2);
    assert_eq!(replica.last_stable_offset(), 1);
    put(
        &mut entries,
        &mut replica,
        &numbered((1, 0), -1, 1),
        Kind::Abort,
        0,
    );
    assert_eq!(replica.last_stable_offset(), 1, "the marker is not committed yet");
    replica.raise_high_watermark(3);
    assert_eq!(replica.last_stable_offset(), 3);
    assert_eq!(
        replica.aborted,
        [Aborted {
            producer_id: 1,
            first_offset: 1,
            last_offset: 2
        }]
    );
    // The marker is cut off: the transaction is open again.
    replica.truncate(&entries, Some(1));
    assert_eq!(
        (replica.end, replica.high_watermark, replica.last_stable_offset()),
        (2, 2, 1)
    );
    assert_eq!(replica.ongoing().collect::<Vec<_>>(), [(1, 1)]);
    assert!(replica.aborted.is_empty());
}

#[test]
fn truncation_forgets_producers_of_what_is_gone() {
    let (mut entries, mut replica) = replica();
    put(
        &mut entries,
        &mut replica,
        &numbered((1, 0), 0, 2),
        Kind::Plain,
        0,
    );
    put(
        &mut entries,
        &mut replica,
        &numbered((1, 0), 2, 2),
        Kind::Plain,
        1,
    );
    assert_eq!(replica.epochs, [(0, 0), (1, 2)]);
    replica.truncate(&entries, Some(0));
    assert_eq!(replica.epochs, [(0, 0)]);
    let last: Vec<i32> = replica
        .producers
        .iter()
        .map(|(_, producer)| producer.last_sequence())
        .collect();
    assert_eq!(last, [1]);
    replica.truncate(&entries, None);
    assert_eq!((replica.end, replica.producers.iter().count()), (0, 0));
}
