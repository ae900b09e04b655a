//! Records and reads that a broker refuses, with the code of each: the error table, as far as one healthy broker gives it.

use crate::conformance::batch::{Batch, CONTROL, OLD_TIMESTAMP, legacy};
use crate::conformance::player::{Case, Player};
use crate::conformance::requests::{Topic, fetch, list_offsets, produce};
use crate::conformance::socket::SILENCE;
use steadfast_wire::kafka_protocol::messages::ApiKey;

pub(super) const CASES: &[Case] = &[
    case("produce-to-what-is-not-there", not_there),
    case("produce-acks", acks),
    case("produce-lying-batches", lies),
    case("produce-old-formats", old_formats),
    case("produce-against-the-topics-settings", settings),
    case("produce-min-insync-above-the-copies", min_insync),
    case("fetch-refused", fetch_refused),
    case("list-offsets", listed),
];

const fn case(name: &'static str, play: fn(&mut Player<'_, '_>) -> Result<(), String>) -> Case {
    Case {
        name,
        needs: None,
        play,
    }
}

fn nowhere() -> Topic {
    Topic {
        name: "nowhere".into(),
        id: [7; 16],
    }
}

fn not_there(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("there", 1, &[])?;
    let batch = || Batch::plain(&["a"]).bytes();
    for version in [3, 9, 13] {
        player.ask(
            "a topic that is not there",
            version,
            &produce(&nowhere(), 0, batch()),
        )?;
        player.ask(
            "a partition that is not there",
            version,
            &produce(&topic, 5, batch()),
        )?;
        player.ask("partition -1", version, &produce(&topic, -1, batch()))?;
    }
    let named = |name: &str| Topic {
        name: name.into(),
        id: [7; 16],
    };
    player.ask(
        "a name that none can have",
        9,
        &produce(&named("a/b"), 0, batch()),
    )?;
    player.ask("an empty name", 9, &produce(&named(""), 0, batch()))?;
    let internal = named("__transaction_state");
    player.init("so that the internal topic is there", Some("internal"))?;
    player.ask("an internal topic", 9, &produce(&internal, 0, batch()))?;
    let mut two = produce(&topic, 0, batch());
    two.topic_data.extend(produce(&nowhere(), 0, batch()).topic_data);
    player.ask("one that is there and one that is not", 9, &two)?;
    let mut twice = produce(&topic, 0, batch());
    let again = twice.topic_data[0].partition_data[0].clone();
    twice.topic_data[0].partition_data.push(again);
    player.ask("the same partition twice", 9, &twice)?;
    player.ends("afterwards", &topic, 0)
}

fn acks(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("acks", 1, &[])?;
    let with = |acks: i16| produce(&topic, 0, Batch::plain(&["a"]).bytes()).with_acks(acks);
    for acks in [1, -1, 2, -2] {
        player.ask(&format!("acks={acks}"), 9, &with(acks))?;
    }
    let frame = player.frame(9, &with(0))?;
    player.raw("Produce v9: acks=0", &frame, (ApiKey::Produce, 9), SILENCE)?;
    let bad = produce(&nowhere(), 0, Batch::plain(&["a"]).bytes()).with_acks(0);
    let frame = player.frame(9, &bad)?;
    player.raw(
        "Produce v9: acks=0, a topic that is not there",
        &frame,
        (ApiKey::Produce, 9),
        SILENCE,
    )?;
    player.ends("afterwards", &topic, 0)
}

/// A batch, and bytes of it that are changed afterwards: where, and to what.
type Lie = (&'static str, fn(&mut Batch), fn(&mut Vec<u8>));

fn lies(player: &mut Player<'_, '_>) -> Result<(), String> {
    let keep: fn(&mut Vec<u8>) = |_| {};
    let lies: &[Lie] = &[
        ("none: two records", |_| {}, keep),
        ("a wrong CRC", |_| {}, |bytes| bytes[17] ^= 1),
        (
            "a changed value under the old CRC",
            |_| {},
            |bytes| {
                let last = bytes.len() - 2;
                bytes[last] ^= 1;
            },
        ),
        ("cut by one byte", |_| {}, |bytes| bytes.truncate(bytes.len() - 1)),
        ("cut in the header", |_| {}, |bytes| bytes.truncate(40)),
        ("no bytes at all", |_| {}, Vec::clear),
        ("one byte more", |_| {}, |bytes| bytes.push(0)),
        (
            "a length of 0",
            |_| {},
            |bytes| bytes[8..12].copy_from_slice(&[0; 4]),
        ),
        (
            "a length of -1",
            |_| {},
            |bytes| bytes[8..12].copy_from_slice(&[0xff; 4]),
        ),
        ("magic 3", |_| {}, |bytes| bytes[16] = 3),
        ("magic -1", |_| {}, |bytes| bytes[16] = 0xff),
        ("count 3 over 2 records", |batch| batch.count = Some(3), keep),
        ("count 1 over 2 records", |batch| batch.count = Some(1), keep),
        ("count 0", |batch| batch.count = Some(0), keep),
        ("count -1", |batch| batch.count = Some(-1), keep),
        (
            "a last offset delta of 5",
            |batch| batch.last_offset_delta = Some(5),
            keep,
        ),
        (
            "a last offset delta of 0",
            |batch| batch.last_offset_delta = Some(0),
            keep,
        ),
        ("no record", |batch| batch.values.clear(), keep),
        ("a base offset of 77", |batch| batch.base_offset = 77, keep),
        ("a control batch", |batch| batch.attributes |= CONTROL, keep),
        ("compressed with codec 5", |batch| batch.attributes |= 5, keep),
        ("gzip that is none", |batch| batch.attributes |= 1, keep),
        ("an unknown attribute", |batch| batch.attributes |= 1 << 9, keep),
        (
            "log append time by its own word",
            |batch| batch.attributes |= 1 << 3,
            keep,
        ),
        (
            "transactional without a producer",
            |batch| batch.attributes |= 1 << 4,
            keep,
        ),
        ("no key", |batch| batch.key = None, keep),
    ];
    let topic = player.topic("lies", 1, &[])?;
    for (what, bend, spoil) in lies {
        let mut batch = Batch::plain(&["a", "b"]);
        bend(&mut batch);
        let mut bytes = batch.bytes();
        spoil(&mut bytes);
        player.ask(what, 9, &produce(&topic, 0, bytes))?;
    }
    let mut null = produce(&topic, 0, Vec::new());
    null.topic_data[0].partition_data[0].records = None;
    let frame = player.frame(9, &null)?;
    player.raw("Produce v9: null records", &frame, (ApiKey::Produce, 9), SILENCE)?;
    player.log("what was written", &topic, 0, false)
}

fn old_formats(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("old-formats", 1, &[])?;
    for magic in [0, 1] {
        for version in [3, 9] {
            let request = produce(&topic, 0, legacy(magic, "old"));
            player.ask(&format!("magic {magic}"), version, &request)?;
        }
    }
    let mut zstd = Batch::plain(&["a"]);
    zstd.attributes |= 4;
    for version in [6, 7] {
        let request = produce(&topic, 0, zstd.bytes());
        player.ask("zstd that is none", version, &request)?;
    }
    player.ends("nothing", &topic, 0)
}

fn settings(player: &mut Player<'_, '_>) -> Result<(), String> {
    let small = player.topic("small", 1, &[("max.message.bytes", "200")])?;
    let long = "x".repeat(300);
    player.ask(
        "a batch beyond max.message.bytes",
        9,
        &produce(&small, 0, Batch::plain(&[&long]).bytes()),
    )?;
    let producer = player.init("a producer", None)?;
    player.send(
        "the same of a producer",
        &small,
        &Batch::of(producer, 0, &[&long]),
    )?;
    player.send("its next", &small, &Batch::of(producer, 1, &["a"]))?;
    player.send("its first, smaller", &small, &Batch::of(producer, 0, &["a"]))?;

    let configs = [("segment.bytes", "1048576"), ("max.message.bytes", "3000000")];
    let segment = player.topic("segment", 1, &configs)?;
    let longer = "x".repeat(2_000_000);
    player.ask(
        "a batch beyond segment.bytes",
        9,
        &produce(&segment, 0, Batch::plain(&[&longer]).bytes()),
    )?;

    let compacted = player.topic("compacted", 1, &[("cleanup.policy", "compact")])?;
    let mut keyless = Batch::plain(&["a", "b"]);
    keyless.key = None;
    player.ask(
        "no key where the topic is compacted",
        9,
        &produce(&compacted, 0, keyless.bytes()),
    )?;

    let now = player.topic("append-time", 1, &[("message.timestamp.type", "LogAppendTime")])?;
    player.send(
        "a record that gets the broker's time",
        &now,
        &Batch::plain(&["a"]),
    )?;
    player.log("its timestamp", &now, 0, false)?;

    let strict = [("message.timestamp.before.max.ms", "3600000")];
    let strict = player.topic("strict-time", 1, &strict)?;
    let mut old = Batch::plain(&["a"]);
    old.base_timestamp = OLD_TIMESTAMP;
    player.ask("a record of 2023", 9, &produce(&strict, 0, old.bytes()))?;
    let any = player.topic("any-time", 1, &[])?;
    let mut future = Batch::plain(&["a"]);
    future.base_timestamp = 32_503_680_000_000;
    player.ask("a record of the year 3000", 9, &produce(&any, 0, future.bytes()))?;
    let mut before = Batch::plain(&["a"]);
    before.base_timestamp = -2;
    player.ask("timestamp -2", 9, &produce(&any, 0, before.bytes()))?;
    before.base_timestamp = -1;
    player.ask("timestamp -1, none", 9, &produce(&any, 0, before.bytes()))?;
    Ok(())
}

/// KIP-966: a partition with one copy asks for one in sync, whatever the topic says. NOT_ENOUGH_REPLICAS needs more brokers.
fn min_insync(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("min-insync", 1, &[("min.insync.replicas", "2")])?;
    let producer = player.init("a producer", None)?;
    player.send("acks=-1", &topic, &Batch::of(producer, 0, &["a"]))?;
    let one = produce(&topic, 0, Batch::of(producer, 0, &["a"]).bytes()).with_acks(1);
    player.ask("acks=1 of an idempotent producer", 9, &one)?;
    player.send("acks=-1 again", &topic, &Batch::of(producer, 0, &["a"]))?;
    player.send("acks=-1, the next", &topic, &Batch::of(producer, 1, &["b"]))?;
    player.ends("afterwards", &topic, 0)
}

fn fetch_refused(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("fetch-refused", 1, &[])?;
    player.send("two records", &topic, &Batch::plain(&["a", "b"]))?;
    player.send("one more", &topic, &Batch::plain(&["c"]))?;
    for version in [4, 12, 13] {
        player.ask(
            "a topic that is not there",
            version,
            &fetch(&nowhere(), 0, 0, false),
        )?;
        player.ask(
            "a partition that is not there",
            version,
            &fetch(&topic, 5, 0, false),
        )?;
        player.ask("offset 3, the end", version, &fetch(&topic, 0, 3, false))?;
        player.ask("offset 4, beyond it", version, &fetch(&topic, 0, 4, false))?;
        player.ask("offset -1", version, &fetch(&topic, 0, -1, false))?;
    }
    player.ask("offset 1, inside a batch", 12, &fetch(&topic, 0, 1, false))?;
    let epoch = |epoch: i32, last: i32| {
        let mut request = fetch(&topic, 0, 0, false);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        request.topics[0].partitions[0].last_fetched_epoch = last;
        request
    };
    player.ask("a leader epoch from the future", 12, &epoch(9, -1))?;
    player.ask("the leader epoch of now", 12, &epoch(0, -1))?;
    player.ask("a last fetched epoch from the future", 12, &epoch(0, 9))?;
    let bounded = |most: i32, most_of_partition: i32| {
        let mut request = fetch(&topic, 0, 0, false).with_max_bytes(most);
        request.topics[0].partitions[0].partition_max_bytes = most_of_partition;
        request
    };
    player.ask(
        "one byte at most: the first batch comes whole",
        12,
        &bounded(1, 1),
    )?;
    player.ask("one byte of the partition", 12, &bounded(1000, 1))?;
    player.ask(
        "a session that is not there",
        12,
        &fetch(&topic, 0, 0, false)
            .with_session_id(77)
            .with_session_epoch(3),
    )?;
    player.ask(
        "a new session",
        12,
        &fetch(&topic, 0, 0, false).with_session_epoch(0),
    )?;
    Ok(())
}

fn listed(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("listed", 1, &[])?;
    player.ask("empty: latest", 7, &list_offsets(&topic, 0, -1, false))?;
    player.ask("empty: earliest", 7, &list_offsets(&topic, 0, -2, false))?;
    player.ask(
        "empty: the newest timestamp",
        7,
        &list_offsets(&topic, 0, -3, false),
    )?;
    for n in 0..3 {
        let mut batch = Batch::plain(&["a", "b"]);
        batch.base_timestamp += n * 100;
        player.ask(
            &format!("two records, {n}00 ms later"),
            9,
            &produce(&topic, 0, batch.bytes()),
        )?;
    }
    let base = crate::conformance::batch::base_timestamp();
    for (what, timestamp) in [
        ("latest", -1),
        ("earliest", -2),
        ("the newest timestamp", -3),
        ("earliest on this disk", -4),
        ("latest elsewhere", -5),
        ("timestamp 0", 0),
        ("the first timestamp", base),
        ("between first and second", base + 50),
        ("the last", base + 200),
        ("after the last", base + 201),
        ("-99", -99),
    ] {
        player.ask(what, 8, &list_offsets(&topic, 0, timestamp, false))?;
    }
    player.ask(
        "a topic that is not there",
        7,
        &list_offsets(&nowhere(), 0, -1, false),
    )?;
    player.ask(
        "a partition that is not there",
        7,
        &list_offsets(&topic, 5, -1, false),
    )?;
    let mut request = list_offsets(&topic, 0, -1, false);
    request.topics[0].partitions[0].current_leader_epoch = 9;
    player.ask("a leader epoch from the future", 7, &request)?;
    Ok(())
}
