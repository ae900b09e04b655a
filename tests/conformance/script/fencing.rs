//! Who owns a transactional id, and what an owner of yesterday can still do.

use crate::conformance::batch::Batch;
use crate::conformance::player::{Case, Player};
use crate::conformance::requests;
use crate::conformance::steps::{COMING, COMING_OR_CLOSING, TV1, TV2, producer_of};

use super::NEEDS_TV2;

pub(super) const CASES: &[Case] = &[
    case("m10-plain-batches-of-an-old-owner", plain_of_old_owner),
    case("m11-a-new-owner-while-a-transaction-is-open", new_owner),
    Case {
        name: "m11-a-new-owner-while-a-transaction-is-open-tv2",
        needs: NEEDS_TV2,
        play: new_owner_tv2,
    },
    case("old-owner-begins-anew-first", old_owner_first),
    case("m13-two-contenders-expect-the-same", contenders),
    case("m13-a-late-copy-behind-a-commit", late_copy),
    case("fenced-at-the-coordinator", at_the_coordinator),
    case("init-producer-id-refused", refused),
];

const fn case(name: &'static str, play: fn(&mut Player<'_, '_>) -> Result<(), String>) -> Case {
    Case {
        name,
        needs: None,
        play,
    }
}

fn plain_of_old_owner(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("m10", 2, &[])?;
    let id = "m10";
    let old = player.init("the old owner", Some(id))?;
    player.send("plainly, before", &topic, &Batch::of(old, 0, &["a"]))?;
    player.send_to(
        "plainly, before, elsewhere",
        &topic,
        1,
        &Batch::of(old, 0, &["a"]),
    )?;
    let new = player.init("the new owner", Some(id))?;
    player.send("the old owner, plainly", &topic, &Batch::of(old, 1, &["b"]))?;
    player.add(TV1, id, new, &topic, &[0])?;
    player.send_in(
        "the new owner writes",
        TV1,
        (id, &topic, 0),
        Batch::of(new, 0, &["n"]),
    )?;
    player.send(
        "the old owner, plainly, there",
        &topic,
        &Batch::of(old, 2, &["c"]),
    )?;
    player.send_to(
        "the old owner, plainly, elsewhere",
        &topic,
        1,
        &Batch::of(old, 1, &["c"]),
    )?;
    for partition in [0, 1] {
        let batch = Batch::of(old, 2, &["d"]);
        player.send_in(
            &format!("the old owner in a transaction, partition {partition}"),
            TV1,
            (id, &topic, partition),
            batch,
        )?;
    }
    player.end("the new owner commits", TV1, id, new, true)?;
    player.closed(&topic, 0)?;
    player.log("what is there", &topic, 0, true)
}

/// M11 with the requests of TV1: the transaction in the way is aborted first.
fn new_owner(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("m11", 1, &[])?;
    let id = "m11";
    let old = player.init("the old owner", Some(id))?;
    player.add(TV1, id, old, &topic, &[0])?;
    player.send_in("left open", TV1, (id, &topic, 0), Batch::of(old, 0, &["a"]))?;
    let request = requests::init(Some(id), (-1, -1));
    player.ask("the new owner at once", 4, &request)?;
    let answer = player.settled("the new owner", 4, &request, ("errorCode", COMING_OR_CLOSING))?;
    let new = producer_of(&answer)?;
    player.ends("as soon as there is a new owner", &topic, 0)?;
    player.end("the old owner commits", TV1, id, old, true)?;
    player.send_in(
        "the old owner writes",
        TV1,
        (id, &topic, 0),
        Batch::of(old, 1, &["b"]),
    )?;
    player.add(TV1, id, old, &topic, &[0])?;
    player.add(TV1, id, new, &topic, &[0])?;
    player.end("the new owner commits", TV1, id, new, true)?;
    // A marker is written though no record was: nothing but the end of the log tells when.
    let end = requests::list_offsets(&topic, 0, -1, true);
    player.until("its marker", 7, &end, |answer| {
        answer.int("topics.0.partitions.0.offset") >= Some(3)
    })?;
    player.log("the log", &topic, 0, false)
}

fn new_owner_tv2(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("m11-t2", 1, &[])?;
    let id = "m11-t2";
    let old = player.init("the old owner", Some(id))?;
    player.send_in("left open", TV2, (id, &topic, 0), Batch::of(old, 0, &["a"]))?;
    let request = requests::init(Some(id), (-1, -1));
    player.ask("the new owner at once", 4, &request)?;
    player.settled("the new owner", 4, &request, ("errorCode", COMING_OR_CLOSING))?;
    player.ends("as soon as there is a new owner", &topic, 0)?;
    player.end("the old owner commits", TV2, id, old, true)?;
    player.send_in(
        "the old owner writes",
        TV2,
        (id, &topic, 0),
        Batch::of(old, 1, &["b"]),
    )?;
    player.log("the log", &topic, 0, false)
}

/// Between the abort for a new owner and its next word, the old owner asks to go on.
fn old_owner_first(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("anew-first", 1, &[])?;
    let id = "anew-first";
    let old = player.init("the old owner", Some(id))?;
    player.add(TV1, id, old, &topic, &[0])?;
    player.send_in("left open", TV1, (id, &topic, 0), Batch::of(old, 0, &["a"]))?;
    let anyone = requests::init(Some(id), (-1, -1));
    player.ask("the new owner at once", 4, &anyone)?;
    player.closed(&topic, 0)?;
    for round in ["", " again"] {
        let what = format!("the old owner begins anew{round}");
        player.settled(
            &what,
            4,
            &requests::init(Some(id), old),
            ("errorCode", COMING_OR_CLOSING),
        )?;
    }
    player.settled("the new owner", 4, &anyone, ("errorCode", COMING_OR_CLOSING))?;
    player.ask("the old owner once more", 4, &requests::init(Some(id), old))?;
    Ok(())
}

fn contenders(player: &mut Player<'_, '_>) -> Result<(), String> {
    let id = "m13";
    let first = player.init("the owner", Some(id))?;
    let expecting = requests::init(Some(id), first);
    player.ask("one contender expects the owner", 4, &expecting)?;
    player.ask("another expects the same", 4, &expecting)?;
    let anyone = requests::init(Some(id), (-1, -1));
    player.ask("one expects nothing", 4, &anyone)?;
    player.ask("another expects nothing", 4, &anyone)?;
    player.ask("one that expects what was two epochs ago", 4, &expecting)?;
    let stranger = requests::init(Some(id), (987_654_321, 0));
    player.ask("one that expects somebody else's producer id", 4, &stranger)?;
    Ok(())
}

/// A bump said again is answered again, and behind it the coordinator has forgotten how the last transaction ended.
fn late_copy(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("late-copy", 1, &[])?;
    let id = "late-copy";
    let before = player.init("the owner", Some(id))?;
    let bump = requests::init(Some(id), before);
    player.ask("a bump", 4, &bump)?;
    let owner = (before.0, before.1 + 1);
    player.add(TV1, id, owner, &topic, &[0])?;
    player.send_in("written", TV1, (id, &topic, 0), Batch::of(owner, 0, &["a"]))?;
    player.end("commit", TV1, id, owner, true)?;
    player.closed(&topic, 0)?;
    player.end("commit again", TV1, id, owner, true)?;
    player.ask("the bump again", 4, &bump)?;
    player.end("commit once more", TV1, id, owner, true)?;
    player.end("abort", TV1, id, owner, false)?;
    player.ask("the next bump", 4, &requests::init(Some(id), owner))?;
    player.log("the log", &topic, 0, false)
}

/// The same refusal has another code before an API knew PRODUCER_FENCED (KIP-588).
fn at_the_coordinator(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("fenced", 1, &[])?;
    let id = "fenced";
    let old = player.init("the old owner", Some(id))?;
    player.init("the new owner", Some(id))?;
    for version in [1, 3] {
        let request = requests::add_partitions(id, old, &topic, &[0]);
        player.ask("the old owner", version, &request)?;
    }
    for version in [1, 3] {
        player.ask("the old owner", version, &requests::add_offsets(id, old, "g"))?;
    }
    for version in [0, 2, 4] {
        player.ask("the old owner", version, &requests::end_txn(id, old, true))?;
    }
    for version in [3, 4] {
        let request = requests::init(Some(id), (old.0, old.1 + 5));
        player.ask("an epoch from the future", version, &request)?;
    }
    let stranger = requests::add_partitions(id, (987_654_321, 0), &topic, &[0]);
    player.ask("somebody else's producer id", 3, &stranger)?;
    let nobody = requests::add_partitions("fenced-nobody", old, &topic, &[0]);
    let path = "resultsByTopicV3AndBelow.0.resultsByPartition.0.partitionErrorCode";
    player.settled("an id that nobody has", 3, &nobody, (path, COMING))?;
    Ok(())
}

fn refused(player: &mut Player<'_, '_>) -> Result<(), String> {
    let id = Some("refused");
    let base = || requests::init(id, (-1, -1));
    player.init("accepted", id)?;
    player.ask("a time-out of 0", 4, &base().with_transaction_timeout_ms(0))?;
    player.ask("a time-out of -1", 4, &base().with_transaction_timeout_ms(-1))?;
    let long = base().with_transaction_timeout_ms(900_001);
    player.ask("a time-out above the broker's most", 4, &long)?;
    player.ask("an empty id", 4, &requests::init(Some(""), (-1, -1)))?;
    player.ask("a producer id without an epoch", 4, &requests::init(id, (5, -1)))?;
    player.ask("an epoch without a producer id", 4, &requests::init(id, (-1, 5)))?;
    player.ask(
        "a time-out of 0 without an id",
        4,
        &requests::init(None, (-1, -1)).with_transaction_timeout_ms(0),
    )?;
    Ok(())
}
