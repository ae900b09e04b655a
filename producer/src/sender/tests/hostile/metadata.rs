//! Metadata that cannot be true: nodes, leaders, epochs, topics, partitions.

use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{MetadataResponse, TopicName};

use super::Expect::{Ends, NotReady, Recovers, Unmoved};
use super::{ALWAYS, EPOCH, ONCE, at_start, run_all, text, when_ready};
use crate::record::Outcome;
use crate::sender::tests::tamper::Tamper;

fn partitions(response: &mut MetadataResponse) -> impl Iterator<Item = &mut MetadataResponsePartition> {
    response.topics.iter_mut().flat_map(|topic| &mut topic.partitions)
}

fn hosts(response: &mut MetadataResponse, host: &str) {
    for broker in &mut response.brokers {
        broker.host = text(host);
    }
}

fn ports(response: &mut MetadataResponse, port: i32) {
    for broker in &mut response.brokers {
        broker.port = port;
    }
}

fn brokers(response: &mut MetadataResponse, count: i32) {
    for n in 0..count {
        let broker = MetadataResponseBroker::default().with_node_id((100 + n).into());
        response.brokers.push(broker.with_host(text("node")).with_port(1));
    }
}

fn topics(response: &mut MetadataResponse, count: usize) {
    for n in 0..count {
        let name = TopicName(text(&format!("foreign{n}")));
        response
            .topics
            .push(MetadataResponseTopic::default().with_name(Some(name)));
    }
}

#[test]
fn metadata_of_nodes_and_leaders() {
    let leaderless = Ends(Outcome::NotWritten, 7);
    let no_brokers = Tamper::Metadata(|r| r.brokers.clear());
    let no_leader = Tamper::Metadata(|r| partitions(r).for_each(|p| p.leader_id = (-2).into()));
    let foreign = Tamper::Metadata(|r| partitions(r).for_each(|p| p.leader_id = 77.into()));
    let older = Tamper::Metadata(|r| {
        for (n, partition) in partitions(r).enumerate() {
            partition.leader_epoch = EPOCH - 1;
            partition.leader_id = (1 - n as i32).into();
        }
    });
    let minus_one = Tamper::Metadata(|r| {
        r.brokers[0].node_id = (-1).into();
        partitions(r).for_each(|p| p.leader_id = (-1).into());
    });
    let control_characters = Tamper::Metadata(|r| hosts(r, "evil\r\nhost\0\u{1b}[2J"));
    let long = Tamper::Metadata(|r| hosts(r, &"a".repeat(30_000)));
    run_all(&[
        at_start("0 brokers", ALWAYS, no_brokers, leaderless),
        at_start("0 brokers once", ONCE, no_brokers, Recovers),
        when_ready("0 brokers later", ALWAYS, no_brokers, Unmoved),
        at_start("leader -2", ALWAYS, no_leader, leaderless),
        at_start("leader -2 once", ONCE, no_leader, Recovers),
        when_ready("leader -2 later", ONCE, no_leader, Recovers),
        at_start("node -1 leads", ALWAYS, minus_one, leaderless),
        at_start("a leader that is no broker", ALWAYS, foreign, leaderless),
        when_ready("an epoch going back", ALWAYS, older, Unmoved),
        at_start(
            "hosts with control characters",
            ALWAYS,
            control_characters,
            leaderless,
        ),
        when_ready(
            "hosts with control characters later",
            ALWAYS,
            control_characters,
            Unmoved,
        ),
        at_start("no host", ALWAYS, Tamper::Metadata(|r| hosts(r, "")), leaderless),
        at_start("a host of 30,000 bytes", ALWAYS, long, leaderless),
        at_start("port 0", ALWAYS, Tamper::Metadata(|r| ports(r, 0)), leaderless),
        at_start("port -1", ALWAYS, Tamper::Metadata(|r| ports(r, -1)), leaderless),
        at_start(
            "port 2^16 + 9000",
            ALWAYS,
            Tamper::Metadata(|r| ports(r, 65_536 + 9000)),
            leaderless,
        ),
        at_start(
            "20,000 brokers",
            ONCE,
            Tamper::Metadata(|r| brokers(r, 20_000)),
            Recovers,
        ),
    ]);
}

#[test]
fn metadata_of_topics() {
    let none = Tamper::Metadata(|r| r.topics.clear());
    let nameless = Tamper::Metadata(|r| r.topics[0].name = None);
    let twice = Tamper::Metadata(|r| r.topics.push(r.topics[0].clone()));
    let empty = Tamper::Metadata(|r| r.topics[0].partitions.clear());
    let beyond = Tamper::Metadata(|r| partitions(r).last().unwrap().partition_index = i32::MAX);
    let negative = Tamper::Metadata(|r| partitions(r).for_each(|p| p.partition_index = -1));
    let same = Tamper::Metadata(|r| partitions(r).for_each(|p| p.partition_index = 0));
    let no_replicas = Tamper::Metadata(|r| partitions(r).for_each(|p| p.replica_nodes.clear()));
    let no_id = Tamper::Metadata(|r| r.topics[0].topic_id = Default::default());
    let code = Tamper::Metadata(|r| r.topics[0].error_code = 999);
    run_all(&[
        at_start("no topic", ALWAYS, none, NotReady("no metadata")),
        when_ready("no topic later", ALWAYS, none, Unmoved),
        at_start("no name", ALWAYS, nameless, NotReady("no metadata")),
        at_start("the topic twice", ALWAYS, twice, Recovers),
        at_start(
            "100,000 topics",
            ONCE,
            Tamper::Metadata(|r| topics(r, 100_000)),
            Recovers,
        ),
        at_start("an unheard-of code", ALWAYS, code, NotReady("999")),
        at_start("no partitions", ALWAYS, empty, NotReady("no metadata")),
        // Believed, it would ask for the memory of 2^31 partitions.
        at_start("partition 2^31 - 1", ALWAYS, beyond, NotReady("not believed")),
        when_ready("partition 2^31 - 1 later", ALWAYS, beyond, Unmoved),
        at_start("partition -1", ALWAYS, negative, NotReady("not believed")),
        at_start("partition -1 once", ONCE, negative, Recovers),
        at_start("one partition twice", ONCE, same, Recovers),
        at_start("no replicas", ALWAYS, no_replicas, Recovers),
        at_start("no topic id", ALWAYS, no_id, Recovers),
    ]);
}
