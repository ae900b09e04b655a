//! Every API at both ends of its range: the oldest version that Kafka 4 speaks, the ones where its form changes, the newest.

use crate::conformance::batch::Batch;
use crate::conformance::player::{Case, Player};
use crate::conformance::requests::{self, text, topic_name};
use crate::conformance::steps::{COMING, COMING_OR_CLOSING, PRODUCED, producer_of};
use steadfast_wire::kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use steadfast_wire::kafka_protocol::messages::{ApiVersionsRequest, DeleteTopicsRequest};

pub(super) const CASES: &[Case] = &[
    case("versions-api-versions", api_versions),
    case("versions-find-coordinator", find_coordinator),
    case("versions-init-producer-id", init_producer_id),
    case("versions-produce", produce),
    case("versions-fetch", fetch),
    case("versions-list-offsets", list_offsets),
    case("versions-transactions", transactions),
    case("versions-offsets", offsets),
    case("versions-topics", topics),
];

const fn case(name: &'static str, play: fn(&mut Player<'_, '_>) -> Result<(), String>) -> Case {
    Case {
        name,
        needs: None,
        play,
    }
}

fn api_versions(player: &mut Player<'_, '_>) -> Result<(), String> {
    player.ask("the oldest form", 0, &ApiVersionsRequest::default())?;
    let named = ApiVersionsRequest::default()
        .with_client_software_name(text("conformance"))
        .with_client_software_version(text("1"));
    for version in [3, 4] {
        player.ask("with features", version, &named)?;
    }
    player.ask("a client without a name", 3, &ApiVersionsRequest::default())?;
    Ok(())
}

fn find_coordinator(player: &mut Player<'_, '_>) -> Result<(), String> {
    for (kind, word) in [(0, "group"), (1, "transactional id")] {
        for version in [0, 1, 2, 3, 4, 5, 6] {
            if (version, kind) == (0, 1) {
                continue;
            }
            let path = if version < 4 {
                "errorCode"
            } else {
                "coordinators.0.errorCode"
            };
            let request = requests::find_coordinator(version, kind, "a-key");
            player.settled(word, version, &request, (path, COMING))?;
        }
    }
    for version in [1, 4] {
        player.ask(
            "an unknown kind",
            version,
            &requests::find_coordinator(version, 77, "x"),
        )?;
        player.ask("no key", version, &requests::find_coordinator(version, 1, ""))?;
    }
    Ok(())
}

fn init_producer_id(player: &mut Player<'_, '_>) -> Result<(), String> {
    for version in 0..=5 {
        player.ask("idempotent", version, &requests::init(None, (-1, -1)))?;
        let request = requests::init(Some("versions-init"), (-1, -1));
        player.settled(
            "transactional",
            version,
            &request,
            ("errorCode", COMING_OR_CLOSING),
        )?;
    }
    let idempotent = requests::init(None, (5, 3));
    player.ask("idempotent, expecting a producer id", 3, &idempotent)?;
    Ok(())
}

fn produce(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("versions-produce", 1, &[])?;
    let producer = player.init("a producer", None)?;
    for (sequence, version) in (0..).zip(3..=13) {
        let batch = Batch::of(producer, sequence, &["a"]);
        player.ask("a record", version, &requests::produce(&topic, 0, batch.bytes()))?;
    }
    Ok(())
}

fn fetch(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("versions-fetch", 1, &[])?;
    player.send("a record", &topic, &Batch::plain(&["a"]))?;
    for version in 4..=18 {
        player.ask("it", version, &requests::fetch(&topic, 0, 0, false))?;
    }
    Ok(())
}

fn list_offsets(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("versions-list-offsets", 1, &[])?;
    player.send("a record", &topic, &Batch::plain(&["a"]))?;
    for version in 1..=10 {
        player.ask("latest", version, &requests::list_offsets(&topic, 0, -1, false))?;
    }
    Ok(())
}

/// A transaction with the oldest forms, one with the newest that clients of TV1 speak, one with TV2's.
fn transactions(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("versions-transactions", 1, &[])?;
    for (round, (produce, add, end)) in [(3, 0, 0), (8, 2, 2), (11, 3, 4), (12, -1, 5), (13, -1, 5)]
        .into_iter()
        .enumerate()
    {
        let id = format!("versions-transactions-{round}");
        let producer = player.init("an owner", Some(&id))?;
        if add >= 0 {
            let request = requests::add_partitions(&id, producer, &topic, &[0]);
            player.ask("into the transaction", add, &request)?;
        }
        let batch = Batch::of(producer, 0, &["a"]).transactional();
        let request =
            requests::produce(&topic, 0, batch.bytes()).with_transactional_id(Some(text(&id).into()));
        player.settled("a record", produce, &request, (PRODUCED, COMING_OR_CLOSING))?;
        player.ask("commit", end, &requests::end_txn(&id, producer, true))?;
        player.closed(&topic, 0)?;
    }
    let id = "versions-transactions-batched";
    let answer = player.quiet(4, &requests::init(Some(id), (-1, -1)))?;
    let producer = producer_of(&answer)?;
    for version in [4, 5] {
        let request = requests::add_partitions_batched(id, producer, &topic, &[0]);
        player.ask("is it in the transaction?", version, &request)?;
    }
    Ok(())
}

fn offsets(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("versions-offsets", 1, &[])?;
    let group = "versions-offsets-group";
    let code = "topics.0.partitions.0.errorCode";
    for version in 2..=9 {
        let request = requests::offset_commit(group, &topic, i64::from(version));
        player.settled("its version", version, &request, (code, COMING))?;
    }
    for version in 1..=9 {
        let request = requests::offset_fetch(version, group, &topic, version >= 7);
        player.ask("the last", version, &request)?;
    }
    let id = "versions-offsets";
    let producer = player.init("an owner", Some(id))?;
    for version in 0..=4 {
        let request = requests::add_offsets(id, producer, group);
        player.settled(
            "the group into the transaction",
            version,
            &request,
            ("errorCode", COMING_OR_CLOSING),
        )?;
    }
    for version in 0..=5 {
        let request = requests::txn_offset_commit(id, producer, group, &topic, 50 + i64::from(version));
        player.settled("50 and its version", version, &request, (code, COMING_OR_CLOSING))?;
    }
    player.ask("abort", 4, &requests::end_txn(id, producer, false))?;
    Ok(())
}

fn topics(player: &mut Player<'_, '_>) -> Result<(), String> {
    for version in [2, 3, 4] {
        let name = format!("versions-topics-{version}");
        player.ask("make", version, &requests::create_topic(&name, 1, &[]))?;
    }
    for version in [5, 7] {
        let name = format!("versions-topics-{version}");
        let answer = player.quiet(version, &requests::create_topic(&name, 1, &[]))?;
        let told = ["errorCode", "numPartitions", "replicationFactor"]
            .map(|field| answer.int(&format!("topics.0.{field}")));
        player.note(&format!(
            "# CreateTopics v{version}: code, partitions, copies: {told:?}"
        ));
    }
    for version in [1, 4, 5] {
        let names = [2, 3, 4, 5, 7].map(|made| topic_name(&format!("versions-topics-{made}")));
        let at = [1, 4, 5].iter().position(|known| *known == version).unwrap_or(0);
        let request = DeleteTopicsRequest::default()
            .with_topic_names(vec![names[at].clone()])
            .with_timeout_ms(10_000);
        player.ask("delete", version, &request)?;
    }
    let state = DeleteTopicState::default().with_name(Some(topic_name("versions-topics-7")));
    let request = DeleteTopicsRequest::default()
        .with_topics(vec![state])
        .with_timeout_ms(10_000);
    player.ask("delete", 6, &request)?;
    Ok(())
}
