//! The way of a record that an anomaly names.

use super::fixture::{MS, Run, S};
use crate::dossier::{Dossier, FILE_NAME};
use crate::reads::{Header, Isolation, Poll, Recorded};

#[test]
fn a_clean_run_has_none() {
    assert_eq!(Run::clean(20).judge().unwrap().dossiers, []);
}

#[test]
fn a_lost_record_is_followed_from_its_hand_over_to_the_reader_that_saw_it() {
    let mut run = Run::clean(20);
    let gone = run.remove(0, 4);
    let mut reader = Recorded::new(Header {
        reader: "reader-1".into(),
        topic: "orders".into(),
        isolation: Isolation::ReadUncommitted,
    });
    let at_ns = run.sent(8).sent_ns + 5 * MS;
    reader.assigned(0, at_ns, 4);
    reader.poll(&Poll {
        partition: 0,
        at_ns,
        next_offset: 5,
        high_watermark: 5,
        last_stable_offset: 5,
        records: &[gone],
    });
    reader.ended(at_ns + S);
    run.reads.push(reader);
    let judgement = run.judge().unwrap();
    let [dossier] = &judgement.dossiers[..] else {
        panic!("{:?}", judgement.dossiers);
    };
    assert_eq!(dossier.record, "0:8");
    let ids: Vec<&str> = dossier
        .findings
        .iter()
        .map(|finding| finding.id.as_str())
        .collect();
    assert_eq!(ids, ["L1", "L2", "L6"]);
    let sent = *run.sent(8);
    let source = dossier.source.unwrap();
    assert_eq!((source.worker, source.index), (0, 8));
    assert_eq!(
        source.handed_over_ns - source.due_ns,
        (sent.sent_ns - sent.due_ns) as i64
    );
    let told = &dossier.outcomes[0];
    assert_eq!(
        (told.outcome.as_str(), told.partition, told.offset),
        ("acked", 0, 4)
    );
    assert_eq!(told.at_ns - source.handed_over_ns, 2 * MS as i64);
    assert_eq!(dossier.places, []);
    assert_eq!(
        (dossier.readers[0].reader.as_str(), dossier.readers[0].offset),
        ("reader-1", 4)
    );

    let folder = run.write();
    judgement.write(folder.path()).unwrap();
    let written = std::fs::read(folder.path().join(FILE_NAME)).unwrap();
    assert_eq!(
        serde_json::from_slice::<Vec<Dossier>>(&written).unwrap(),
        judgement.dossiers
    );
}

#[test]
fn a_copy_stands_in_its_dossier_with_both_places() {
    let mut run = Run::clean(20);
    let copy = *run.at(0, 4);
    let at = run.append(0, copy);
    let judgement = run.judge().unwrap();
    let places: Vec<_> = judgement.dossiers[0]
        .places
        .iter()
        .map(|place| {
            (
                place.partition,
                place.offset,
                place.leader_epoch,
                place.visibility.as_str(),
            )
        })
        .collect();
    assert_eq!(places, [(0, 4, 3, "committed"), (0, at, 3, "committed")]);
}
