//! Positions of groups without the group protocol (manual assignment: generation -1, no member), in and out of transactions.

use crate::conformance::player::{Case, Player};
use crate::conformance::requests::{self, Topic, offset_commit, offset_fetch};
use crate::conformance::steps::{COMING, Protocol, TV1, TV2};

use super::NEEDS_TV2;

pub(super) const CASES: &[Case] = &[
    case("offset-commit-and-fetch", plain),
    case("offset-commit-refused", refused),
    case("txn-offset-commit-tv1", |player| {
        in_transaction(player, TV1, "offsets-t1")
    }),
    Case {
        name: "txn-offset-commit-tv2",
        needs: NEEDS_TV2,
        play: |player| in_transaction(player, TV2, "offsets-t2"),
    },
    case("txn-offset-commit-refused", refused_in_transaction),
];

const fn case(name: &'static str, play: fn(&mut Player<'_, '_>) -> Result<(), String>) -> Case {
    Case {
        name,
        needs: None,
        play,
    }
}

const COMMITTED: &str = "topics.0.partitions.0.errorCode";

fn plain(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("offsets", 1, &[])?;
    let group = "offsets-group";
    player.settled(
        "the first group's coordinator",
        1,
        &requests::find_coordinator(1, 0, group),
        ("errorCode", COMING),
    )?;
    player.settled(
        "nothing yet",
        7,
        &offset_fetch(7, group, &topic, false),
        ("errorCode", COMING),
    )?;
    let commit = offset_commit(group, &topic, 42);
    player.settled("42", 8, &commit, (COMMITTED, COMING))?;
    for version in [1, 5, 7, 8, 9] {
        player.ask("42", version, &offset_fetch(version, group, &topic, false))?;
    }
    player.ask("back to 41", 2, &offset_commit(group, &topic, 41))?;
    player.ask("41", 7, &offset_fetch(7, group, &topic, true))?;
    Ok(())
}

fn refused(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("offsets-refused", 1, &[])?;
    let group = "offsets-refused-group";
    let commit = || offset_commit(group, &topic, 1);
    player.settled("a group of nobody", 8, &commit(), (COMMITTED, COMING))?;
    let generation = commit().with_generation_id_or_member_epoch(5);
    player.ask("generation 5 of an empty group", 8, &generation)?;
    let member = commit()
        .with_generation_id_or_member_epoch(0)
        .with_member_id(requests::text("somebody"));
    player.ask("a member that nobody knows", 8, &member)?;
    player.ask("no group", 8, &offset_commit("", &topic, 1))?;
    player.ask("no group", 7, &offset_fetch(7, "", &topic, false))?;
    player.ask(
        "a topic that is not there",
        8,
        &offset_commit(group, &nowhere(), 1),
    )?;
    player.ask(
        "a topic that is not there",
        7,
        &offset_fetch(7, group, &nowhere(), false),
    )?;
    player.ask("offset -1", 8, &offset_commit(group, &topic, -1))?;
    player.ask("afterwards", 7, &offset_fetch(7, group, &topic, false))?;
    Ok(())
}

fn in_transaction(player: &mut Player<'_, '_>, protocol: Protocol, id: &str) -> Result<(), String> {
    let topic = player.topic(id, 1, &[])?;
    let group = format!("{id}-group");
    let mut producer = player.init("the owner", Some(id))?;
    for (offset, commit) in [(7, true), (9, false)] {
        if protocol == TV1 {
            let add = requests::add_offsets(id, producer, &group);
            player.settled(
                "the group into the transaction",
                3,
                &add,
                ("errorCode", &[14, 15, 16, 51]),
            )?;
        }
        let request = requests::txn_offset_commit(id, producer, &group, &topic, offset);
        player.settled(
            &offset.to_string(),
            protocol.offset_commit,
            &request,
            (COMMITTED, &[14, 15, 16, 51]),
        )?;
        player.ask("any", 7, &offset_fetch(7, &group, &topic, false))?;
        player.ask("only what is stable", 7, &offset_fetch(7, &group, &topic, true))?;
        player.ask("only what is stable", 9, &offset_fetch(9, &group, &topic, true))?;
        let word = if commit { "commit" } else { "abort" };
        producer = player.end(word, protocol, id, producer, commit)?;
        let stable = offset_fetch(7, &group, &topic, true);
        player.settled("only what is stable, in the end", 7, &stable, (COMMITTED, &[88]))?;
    }
    Ok(())
}

fn refused_in_transaction(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("txn-offsets-refused", 1, &[])?;
    let id = "txn-offsets-refused";
    let group = "txn-offsets-refused-group";
    let producer = player.init("the owner", Some(id))?;
    let request = || requests::txn_offset_commit(id, producer, group, &topic, 3);
    let code = |version: i16| (version, (COMMITTED, COMING));
    let (version, passing) = code(3);
    player.settled("a group that was not added", version, &request(), passing)?;
    let add = requests::add_offsets(id, producer, group);
    player.settled("the group into the transaction", 3, &add, ("errorCode", COMING))?;
    let generation = request().with_generation_id(5);
    player.ask("generation 5 of an empty group", 3, &generation)?;
    let member = request().with_member_id(requests::text("somebody"));
    player.ask("a member that nobody knows", 3, &member)?;
    let there = requests::txn_offset_commit(id, producer, group, &nowhere(), 4);
    player.ask("a topic that is not there", 3, &there)?;
    player.end("abort", TV1, id, producer, false)?;
    player.settled(
        "nothing, in the end",
        7,
        &offset_fetch(7, group, &topic, true),
        (COMMITTED, &[88]),
    )?;
    let id = "txn-offsets-future";
    let (pid, epoch) = player.init("another owner", Some(id))?;
    let group = "txn-offsets-future-group";
    let add = requests::add_offsets(id, (pid, epoch), group);
    player.settled("its group into the transaction", 3, &add, ("errorCode", COMING))?;
    let newer = requests::txn_offset_commit(id, (pid, epoch + 3), group, &topic, 4);
    player.ask("an epoch from the future", 3, &newer)?;
    Ok(())
}

fn nowhere() -> Topic {
    Topic {
        name: "nowhere".into(),
        id: [7; 16],
    }
}
