//! What a restart forgets: the snapshot of a partition's producers keeps one batch of each, so five known ones become one.
//! And a producer counts as expired by the timestamp of its *records*: whoever sends old ones is forgotten altogether.

use crate::conformance::batch::{Batch, OLD_TIMESTAMP};
use crate::conformance::player::{Case, Player, Restart};
use crate::conformance::requests;
use crate::conformance::steps::{PRODUCED, TV1};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "m05-m07-after-a-clean-restart",
        needs: None,
        play: |player| after(player, Restart::Clean, "clean"),
    },
    Case {
        name: "m05-m07-after-a-hard-restart",
        needs: None,
        play: |player| after(player, Restart::Hard, "hard"),
    },
];

/// M5 on partition 0, M6 on 1, M7 on 2; an open transaction on 3; on 4 records of 2023, so that their producer has expired.
fn after(player: &mut Player<'_, '_>, how: Restart, word: &str) -> Result<(), String> {
    let topic = player.topic(&format!("restart-{word}"), 5, &[])?;
    let id = format!("restart-{word}");
    let producer = player.init("a producer", None)?;
    let batch = |n: i32| Batch::of(producer, n, &[&format!("v{n}")]);
    for partition in 0..3 {
        for n in 0..5 {
            let answer = player.quiet(9, &requests::produce(&topic, partition, batch(n).bytes()))?;
            if answer.int(PRODUCED) != Some(0) {
                return Err(format!("batch {n}: {answer:?}"));
            }
        }
    }
    let old = |n: i32| Batch {
        base_timestamp: OLD_TIMESTAMP,
        ..batch(n)
    };
    for n in [0, 1, 0] {
        player.send_to(&format!("old records: batch {n}"), &topic, 4, &old(n))?;
    }
    player.note("# five batches in each of partitions 0 to 2");
    let owner = player.init("a transactional one", Some(&id))?;
    player.add(TV1, &id, owner, &topic, &[3])?;
    let record = |n: i32| Batch::of(owner, n, &[&format!("t{n}")]);
    player.send_in("in a transaction", TV1, (&id, &topic, 3), record(0))?;

    player.restart(how)?;
    player.led(&topic, 5)?;

    for n in 0..5 {
        player.send(&format!("M5: batch {n} again"), &topic, &batch(n))?;
    }
    player.send("M5: batch 5, the next", &topic, &batch(5))?;
    player.ends("M5: six records", &topic, 0)?;

    player.send_to("M6: batch 0 again", &topic, 1, &batch(0))?;
    let (pid, epoch) = producer;
    for n in 0..2 {
        let again = Batch::of((pid, epoch + 1), n, &[&format!("v{n}")]);
        player.send_to(&format!("M6: batch {n} under the next epoch"), &topic, 1, &again)?;
    }
    player.ends("M6: two records are there twice", &topic, 1)?;

    for n in [4, 3, 4, 5] {
        player.send_to(&format!("M7: batch {n}"), &topic, 2, &batch(n))?;
    }
    player.ends("M7: six records", &topic, 2)?;

    for n in [1, 0] {
        player.send_to(&format!("old records: batch {n} again"), &topic, 4, &old(n))?;
    }
    player.ends("old records: their producer was forgotten", &topic, 4)?;

    player.ends("the open transaction", &topic, 3)?;
    player.send_in("in the transaction again", TV1, (&id, &topic, 3), record(0))?;
    player.send_in("in the transaction, the next", TV1, (&id, &topic, 3), record(1))?;
    player.end("commit", TV1, &id, owner, true)?;
    player.closed(&topic, 3)?;
    player.ends("the closed transaction", &topic, 3)
}
