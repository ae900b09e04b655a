//! Sequence numbers of an idempotent producer: what counts as the same batch, and what is out of order.

use crate::conformance::batch::Batch;
use crate::conformance::player::{Case, Player};
use crate::conformance::requests;
use crate::conformance::steps::PRODUCED;

pub(super) const CASES: &[Case] = &[
    case("m01-m02-resend-the-newest-six", newest_six),
    case("m03-same-sequence-other-payload", other_payload),
    case("m04-same-sequence-other-count", other_count),
    case("m08-first-sequence-17", first_sequence_17),
    case("m15-sequence-wraps", wraps),
    case("m16-two-batches-in-one-partition", two_batches),
    case("epoch-goes-up-and-back", epochs),
    case("describe-producers", described),
];

const fn case(name: &'static str, play: fn(&mut Player<'_, '_>) -> Result<(), String>) -> Case {
    Case {
        name,
        needs: None,
        play,
    }
}

/// M1: the five newest are known. M2: the sixth newest is out of order, not a duplicate.
fn newest_six(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("m01", 1, &[])?;
    let producer = player.init("a producer", None)?;
    let batch = |n: i32| Batch::of(producer, n, &[&format!("v{n}")]);
    for n in 0..6 {
        player.send(&format!("batch {n}"), &topic, &batch(n))?;
    }
    for n in 1..6 {
        player.send(&format!("batch {n} again"), &topic, &batch(n))?;
    }
    player.send("batch 0 again, the sixth newest", &topic, &batch(0))?;
    player.send("batch 7, with a gap", &topic, &batch(7))?;
    player.send("batch 6, the next", &topic, &batch(6))?;
    player.ends("six and one", &topic, 0)
}

fn other_payload(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("m03", 1, &[])?;
    let producer = player.init("a producer", None)?;
    player.send("the first payload", &topic, &Batch::of(producer, 0, &["first"]))?;
    player.send("another payload", &topic, &Batch::of(producer, 0, &["second"]))?;
    player.log("what was written", &topic, 0, false)
}

fn other_count(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("m04", 1, &[])?;
    let producer = player.init("a producer", None)?;
    player.send("two records", &topic, &Batch::of(producer, 0, &["a", "b"]))?;
    player.send("one record", &topic, &Batch::of(producer, 0, &["a"]))?;
    player.send("three records", &topic, &Batch::of(producer, 0, &["a", "b", "c"]))?;
    player.send("the second record alone", &topic, &Batch::of(producer, 1, &["b"]))?;
    player.send(
        "the two records again",
        &topic,
        &Batch::of(producer, 0, &["a", "b"]),
    )?;
    player.ends("two records", &topic, 0)
}

fn first_sequence_17(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("m08", 1, &[])?;
    let producer = player.init("a producer", None)?;
    player.send("sequence 17 first", &topic, &Batch::of(producer, 17, &["q17"]))?;
    player.send("sequence 0", &topic, &Batch::of(producer, 0, &["q0"]))?;
    player.send("sequence 16", &topic, &Batch::of(producer, 16, &["q16"]))?;
    player.send("sequence 18", &topic, &Batch::of(producer, 18, &["q18"]))?;
    player.log("what was written", &topic, 0, false)
}

fn wraps(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("m15", 1, &[])?;
    let producer = player.init("a producer", None)?;
    let values: Vec<String> = (0..20).map(|n| format!("w{n}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let straddling = Batch::of(producer, 2_147_483_640, &values);
    player.send("20 records from 2147483640", &topic, &straddling)?;
    player.send("the same again", &topic, &straddling)?;
    player.send(
        "sequence 13, with a gap",
        &topic,
        &Batch::of(producer, 13, &["x"]),
    )?;
    player.send("sequence 12, the next", &topic, &Batch::of(producer, 12, &["x"]))?;
    player.send("the 20 records once more", &topic, &straddling)?;
    player.ask(
        "the producer as the leader remembers it",
        0,
        &requests::describe_producers(&topic, &[0]),
    )?;
    player.ends("21 records", &topic, 0)
}

fn two_batches(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("m16", 2, &[])?;
    let producer = player.init("a producer", None)?;
    let two = |first: Batch, second: Batch| [first.bytes(), second.bytes()].concat();
    let of_producer = two(Batch::of(producer, 0, &["a"]), Batch::of(producer, 1, &["b"]));
    player.ask("two batches", 9, &requests::produce(&topic, 0, of_producer))?;
    let plain = two(Batch::plain(&["a"]), Batch::plain(&["b"]));
    player.ask("two of nobody", 9, &requests::produce(&topic, 1, plain))?;
    player.ends("nothing", &topic, 0)
}

fn epochs(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("epochs", 2, &[])?;
    let (pid, epoch) = player.init("a producer", None)?;
    let batch = |epoch: i16, n: i32| Batch::of((pid, epoch), n, &[&format!("e{epoch}q{n}")]);
    player.send("epoch 0, sequence 0", &topic, &batch(epoch, 0))?;
    player.send("epoch 0, sequence 1", &topic, &batch(epoch, 1))?;
    player.send("epoch 1, sequence 2", &topic, &batch(epoch + 1, 2))?;
    player.send("epoch 1, sequence 0", &topic, &batch(epoch + 1, 0))?;
    player.send("epoch 0, sequence 1 again", &topic, &batch(epoch, 1))?;
    player.send("epoch 0, sequence 2", &topic, &batch(epoch, 2))?;
    player.send("epoch 1, sequence 0 again", &topic, &batch(epoch + 1, 0))?;
    player.send("epoch 3, sequence 0", &topic, &batch(epoch + 3, 0))?;
    player.send_to("epoch 0 where no newer one was", &topic, 1, &batch(epoch, 0))?;
    player.send("epoch -1 with a producer id", &topic, &batch(-1, 0))?;
    player.send("sequence -1 with a producer id", &topic, &batch(epoch + 3, -1))?;
    let stranger = Batch::of((987_654_321, 0), 0, &["stranger"]);
    let code = player.quiet(9, &requests::produce(&topic, 1, stranger.bytes()))?;
    player.note(&format!(
        "# a producer id that nobody was given, sequence 0: {:?}",
        code.int(PRODUCED)
    ));
    player.log("what was written", &topic, 0, false)
}

fn described(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("described", 2, &[])?;
    player.ask("nobody yet", 0, &requests::describe_producers(&topic, &[0]))?;
    let first = player.init("a producer", None)?;
    let second = player.init("another", None)?;
    player.send("of the first", &topic, &Batch::of(first, 0, &["a", "b", "c"]))?;
    player.ask("one of them", 0, &requests::describe_producers(&topic, &[0, 1]))?;
    player.send_to("of the second", &topic, 1, &Batch::of(second, 5, &["d"]))?;
    player.ask("both", 0, &requests::describe_producers(&topic, &[0, 1]))?;
    player.ask(
        "a partition that is not there",
        0,
        &requests::describe_producers(&topic, &[9]),
    )?;
    Ok(())
}
