//! Transactions, with the requests of both protocols: TV1 (KIP-98) and TV2 (KIP-890).

use crate::conformance::batch::Batch;
use crate::conformance::player::{Answer, Case, Player};
use crate::conformance::requests;
use crate::conformance::steps::{COMING, PRODUCED, Protocol, TV1, TV2, producer_of};

use super::NEEDS_TV2;
use steadfast_wire::kafka_protocol::messages::ApiKey;

pub(super) const CASES: &[Case] = &[
    both("transaction-tv1", None, |player| whole(player, TV1, "t1")),
    both("transaction-tv2", NEEDS_TV2, |player| whole(player, TV2, "t2")),
    both("m08-first-sequence-17-tv1", None, |player| {
        first_17(player, TV1, "m08-t1")
    }),
    both("m08-first-sequence-17-tv2", NEEDS_TV2, |player| {
        first_17(player, TV2, "m08-t2")
    }),
    both("m09-late-batch-after-commit-tv1", None, |player| {
        late(player, TV1, "m09-t1")
    }),
    both("m09-late-batch-after-commit-tv2", NEEDS_TV2, |player| {
        late(player, TV2, "m09-t2")
    }),
    both("m12-a-foreign-transaction-below", None, foreign),
    both("m14-end-again-tv1", None, |player| {
        end_again(player, TV1, "m14-t1")
    }),
    both("m14-end-again-tv2", NEEDS_TV2, |player| {
        end_again(player, TV2, "m14-t2")
    }),
    both("m17-aborted-barrier-tv1", None, |player| {
        barrier(player, TV1, "m17-t1")
    }),
    both("m17-aborted-barrier-tv2", NEEDS_TV2, |player| {
        barrier(player, TV2, "m17-t2")
    }),
    both("empty-transaction-tv1", None, |player| {
        empty(player, TV1, "empty-t1")
    }),
    both("empty-transaction-tv2", NEEDS_TV2, |player| {
        empty(player, TV2, "empty-t2")
    }),
    both("partition-not-added", None, not_added),
    both("plain-inside-a-transaction", None, plain_inside),
    both("transaction-times-out-tv1", None, |player| {
        times_out(player, TV1, "timeout-t1")
    }),
    both("transaction-times-out-tv2", NEEDS_TV2, |player| {
        times_out(player, TV2, "timeout-t2")
    }),
];

const fn both(
    name: &'static str,
    needs: Option<(ApiKey, i16)>,
    play: fn(&mut Player<'_, '_>) -> Result<(), String>,
) -> Case {
    Case { name, needs, play }
}

/// How often a race is run: on a real broker either answer comes within a few tries.
const RACES: i32 = 20;

fn whole(player: &mut Player<'_, '_>, protocol: Protocol, id: &str) -> Result<(), String> {
    let topic = player.topic(id, 1, &[])?;
    let at = (id, &topic, 0);
    let mut producer = player.init("the owner", Some(id))?;
    player.add(protocol, id, producer, &topic, &[0])?;
    player.send_in("first", protocol, at, Batch::of(producer, 0, &["a", "b"]))?;
    player.send_in("first again", protocol, at, Batch::of(producer, 0, &["a", "b"]))?;
    player.ends("open", &topic, 0)?;
    player.ask("open", 0, &requests::describe_producers(&topic, &[0]))?;
    player.log("open, read committed", &topic, 0, true)?;
    producer = player.end("commit", protocol, id, producer, true)?;
    player.closed(&topic, 0)?;
    player.ends("committed", &topic, 0)?;
    player.add(protocol, id, producer, &topic, &[0])?;
    let sequence = if protocol == TV1 { 2 } else { 0 };
    player.send_in("second", protocol, at, Batch::of(producer, sequence, &["c"]))?;
    producer = player.end("abort", protocol, id, producer, false)?;
    player.closed(&topic, 0)?;
    player.ask("closed", 0, &requests::describe_producers(&topic, &[0]))?;
    player.log("the log, read committed", &topic, 0, true)?;
    player.log("the log, read uncommitted", &topic, 0, false)?;
    player.add(protocol, id, producer, &topic, &[0])?;
    let sequence = if protocol == TV1 { 3 } else { 0 };
    player.send_in("third", protocol, at, Batch::of(producer, sequence, &["d"]))?;
    player.end("commit", protocol, id, producer, true)?;
    player.closed(&topic, 0)?;
    player.ends("at last", &topic, 0)
}

/// M8 inside a transaction.
fn first_17(player: &mut Player<'_, '_>, protocol: Protocol, id: &str) -> Result<(), String> {
    let topic = player.topic(id, 1, &[])?;
    let producer = player.init("the owner", Some(id))?;
    player.add(protocol, id, producer, &topic, &[0])?;
    let at = (id, &topic, 0);
    player.send_in("sequence 17 first", protocol, at, Batch::of(producer, 17, &["a"]))?;
    player.send_in("sequence 0", protocol, at, Batch::of(producer, 0, &["b"]))?;
    player.end("abort", protocol, id, producer, false)?;
    player.closed(&topic, 0)?;
    player.ends("what is left", &topic, 0)
}

/// M9, a race: commit is answered before the marker is written, and a batch of the same epoch may slip in between.
fn late(player: &mut Player<'_, '_>, protocol: Protocol, id: &str) -> Result<(), String> {
    let topic = player.topic(id, 1, &[])?;
    let mut codes = Vec::new();
    for race in 0..RACES {
        let id = format!("{id}-{race}");
        let owner = player.until("an owner", 4, &requests::init(Some(&id), (-1, -1)), |answer| {
            answer.int("errorCode") == Some(0)
        })?;
        let owner = producer_of(&owner)?;
        if protocol == TV1 {
            player.quiet(3, &requests::add_partitions(&id, owner, &topic, &[0]))?;
        }
        let produce = |sequence: i32| {
            let batch = Batch::of(owner, sequence, &["x"]).transactional();
            requests::produce(&topic, 0, batch.bytes())
                .with_transactional_id(Some(requests::text(&id).into()))
        };
        let first = player.quiet(protocol.produce, &produce(0))?;
        let committed = player.quiet(protocol.end, &requests::end_txn(&id, owner, true))?;
        if (first.int(PRODUCED), committed.int("errorCode")) != (Some(0), Some(0)) {
            return Err(format!("race {race}: {first:?}, then {committed:?}"));
        }
        codes.push(code(&player.quiet(protocol.produce, &produce(1))?));
        player.quiet_again(&id, protocol, &topic)?;
    }
    codes.sort_unstable();
    codes.dedup();
    // Accepted; or refused by a coordinator that is closing the transaction (51, which Produce below version 12 gives as 19)
    // or has closed it (48, which version 11 gives as 120); or by the epoch of the marker.
    let either = match protocol {
        TV1 => &[0, 19, 48, 120, 47][..],
        _ => &[0, 51, 48, 47][..],
    };
    let strange: Vec<&i64> = codes.iter().filter(|code| !either.contains(code)).collect();
    player.note(&format!(
        "# a late batch of the same epoch, {RACES} times: any of {either:?}, and nothing else but {strange:?}"
    ));
    Ok(())
}

fn code(answer: &Answer) -> i64 {
    answer.int(PRODUCED).unwrap_or(-2)
}

/// M12: somebody else's open transaction holds the last stable offset back, also after we begin anew.
fn foreign(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("m12", 1, &[])?;
    let (theirs, ours) = ("m12-theirs", "m12-ours");
    let them = player.init("they", Some(theirs))?;
    player.add(TV1, theirs, them, &topic, &[0])?;
    player.send_in(
        "theirs, left open",
        TV1,
        (theirs, &topic, 0),
        Batch::of(them, 0, &["t"]),
    )?;
    let us = player.init("we", Some(ours))?;
    player.add(TV1, ours, us, &topic, &[0])?;
    player.send_in("ours", TV1, (ours, &topic, 0), Batch::of(us, 0, &["o"]))?;
    player.end("ours committed", TV1, ours, us, true)?;
    player.init("we again: no transaction of ours is open any more", Some(ours))?;
    player.ends("theirs is open", &topic, 0)?;
    player.log("read committed", &topic, 0, true)?;
    player.end("theirs aborted", TV1, theirs, them, false)?;
    player.closed(&topic, 0)?;
    player.ends("nothing is open", &topic, 0)?;
    player.log("read committed", &topic, 0, true)
}

fn end_again(player: &mut Player<'_, '_>, protocol: Protocol, id: &str) -> Result<(), String> {
    let topic = player.topic(id, 1, &[])?;
    let first = player.init("the owner", Some(id))?;
    player.add(protocol, id, first, &topic, &[0])?;
    player.send_in("a record", protocol, (id, &topic, 0), Batch::of(first, 0, &["a"]))?;
    let second = player.end("commit", protocol, id, first, true)?;
    player.closed(&topic, 0)?;
    player.end("commit again", protocol, id, first, true)?;
    player.end("abort instead", protocol, id, first, false)?;
    player.end(
        "commit with the next epoch, nothing written",
        protocol,
        id,
        second,
        true,
    )?;
    player.end(
        "abort with the next epoch, nothing written",
        protocol,
        id,
        second,
        false,
    )?;
    Ok(())
}

/// M17: a fence, one record at the new epoch, its abort. Whoever came before is shut out of that partition.
fn barrier(player: &mut Player<'_, '_>, protocol: Protocol, id: &str) -> Result<(), String> {
    let topic = player.topic(id, 1, &[])?;
    let at = (id, &topic, 0);
    let old = player.init("the old owner", Some(id))?;
    player.add(protocol, id, old, &topic, &[0])?;
    player.send_in("a record", protocol, at, Batch::of(old, 0, &["a"]))?;
    let old = player.end("commit", protocol, id, old, true)?;
    player.closed(&topic, 0)?;
    let new = player.init("the new owner", Some(id))?;
    player.add(protocol, id, new, &topic, &[0])?;
    player.send_in("the barrier", protocol, at, Batch::of(new, 0, &["barrier"]))?;
    player.end("abort", protocol, id, new, false)?;
    player.closed(&topic, 0)?;
    let sequence = if protocol == TV1 { 1 } else { 0 };
    let late = || Batch::of(old, sequence, &["late"]);
    player.send_in("the old owner in a transaction", protocol, at, late())?;
    player.send("the old owner, plainly", &topic, &late())?;
    player.log("read committed", &topic, 0, true)
}

fn empty(player: &mut Player<'_, '_>, protocol: Protocol, id: &str) -> Result<(), String> {
    let producer = player.init("the owner", Some(id))?;
    let producer = player.end("abort of nothing", protocol, id, producer, false)?;
    player.end("commit of nothing", protocol, id, producer, true)?;
    let version = protocol.end;
    let stranger = requests::end_txn("nobody-has-this-id", producer, true);
    player.settled("an id that nobody has", version, &stranger, ("errorCode", COMING))?;
    let newer = requests::end_txn(id, (producer.0, producer.1 + 7), true);
    player.settled("an epoch from the future", version, &newer, ("errorCode", COMING))?;
    let other = requests::end_txn(id, (987_654_321, 0), true);
    player.settled(
        "somebody else's producer id",
        version,
        &other,
        ("errorCode", COMING),
    )?;
    Ok(())
}

/// A transactional batch to a partition that was not added (B13: the partition asks the coordinator).
fn not_added(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("not-added", 1, &[])?;
    let id = "not-added";
    let producer = player.init("the owner", Some(id))?;
    let batch = Batch::of(producer, 0, &["a"]).transactional();
    for version in [3, 9, 11] {
        let request = requests::produce(&topic, 0, batch.bytes());
        let named = request
            .clone()
            .with_transactional_id(Some(requests::text(id).into()));
        player.ask("not added", version, &named)?;
        player.ask("not added, and without the id", version, &request)?;
    }
    player.ends("nothing", &topic, 0)
}

/// B10: plain batches of a producer whose transaction is open there.
fn plain_inside(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("plain-inside", 2, &[])?;
    let id = "plain-inside";
    let producer = player.init("the owner", Some(id))?;
    player.add(TV1, id, producer, &topic, &[0])?;
    player.send_in(
        "in the transaction",
        TV1,
        (id, &topic, 0),
        Batch::of(producer, 0, &["a"]),
    )?;
    player.send("plainly, same partition", &topic, &Batch::of(producer, 1, &["b"]))?;
    player.send_to(
        "plainly, another partition",
        &topic,
        1,
        &Batch::of(producer, 0, &["c"]),
    )?;
    player.send("of nobody, same partition", &topic, &Batch::plain(&["d"]))?;
    player.end("abort", TV1, id, producer, false)?;
    player.closed(&topic, 0)?;
    player.send("plainly, after the end", &topic, &Batch::of(producer, 1, &["e"]))?;
    player.log("read committed", &topic, 0, true)
}

/// B7: the coordinator aborts, and the owner learns of it at its next word.
fn times_out(player: &mut Player<'_, '_>, protocol: Protocol, id: &str) -> Result<(), String> {
    let topic = player.topic(id, 1, &[])?;
    let request = requests::init(Some(id), (-1, -1)).with_transaction_timeout_ms(300);
    let answer = player.settled("an owner with 300 ms", 4, &request, ("errorCode", COMING))?;
    let owner = producer_of(&answer)?;
    player.add(protocol, id, owner, &topic, &[0])?;
    player.send_in("a record", protocol, (id, &topic, 0), Batch::of(owner, 0, &["a"]))?;
    player.closed(&topic, 0)?;
    player.note("# the coordinator has aborted it");
    player.ask(
        "as the leader knows it",
        0,
        &requests::describe_producers(&topic, &[0]),
    )?;
    player.send_in(
        "the next record",
        protocol,
        (id, &topic, 0),
        Batch::of(owner, 1, &["b"]),
    )?;
    player.end("commit", protocol, id, owner, true)?;
    player.end("abort", protocol, id, owner, false)?;
    let again = requests::init(Some(id), owner);
    player.settled("the owner begins anew (KIP-588)", 4, &again, ("errorCode", &[51]))?;
    player.log("the log", &topic, 0, false)
}

impl Player<'_, '_> {
    /// After a race: whatever it has left open is closed, so that the next one finds a quiet partition.
    fn quiet_again(&mut self, id: &str, protocol: Protocol, topic: &requests::Topic) -> Result<(), String> {
        if protocol == TV2 {
            // The late batch may have begun the next transaction: a new owner ends it.
            let begun = requests::init(Some(id), (-1, -1));
            self.until("a new owner", 4, &begun, |answer| {
                answer.int("errorCode") == Some(0)
            })?;
        }
        self.closed(topic, 0)
    }
}
