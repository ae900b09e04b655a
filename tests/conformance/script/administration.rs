//! Topics made, grown and deleted, and settings told.

use crate::conformance::batch::Batch;
use crate::conformance::player::{Case, Player};
use crate::conformance::requests::{self, create_topic, text, topic_name};
use steadfast_wire::kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use steadfast_wire::kafka_protocol::messages::create_topics_request::CreatableReplicaAssignment;
use steadfast_wire::kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use steadfast_wire::kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use steadfast_wire::kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use steadfast_wire::kafka_protocol::messages::{
    BrokerId, CreatePartitionsRequest, DeleteTopicsRequest, DescribeConfigsRequest, MetadataRequest,
};
use uuid::Uuid;

pub(super) const CASES: &[Case] = &[
    case("create-topics", created),
    case("delete-topics", deleted),
    case("create-partitions", grown),
    case("describe-configs", configs),
    case("metadata-of-topics", metadata),
];

const fn case(name: &'static str, play: fn(&mut Player<'_, '_>) -> Result<(), String>) -> Case {
    Case {
        name,
        needs: None,
        play,
    }
}

fn created(player: &mut Player<'_, '_>) -> Result<(), String> {
    // Version 4, since from version 5 on every setting there is comes back.
    let mut fresh = create_topic("created", 2, &[("retention.ms", "1000000")]);
    player.ask("only tried", 4, &fresh.clone().with_validate_only(true))?;
    player.ask("two partitions", 4, &fresh)?;
    player.ask("again", 4, &fresh)?;
    let many = fresh.topics[0].clone().with_name(topic_name("created-twice"));
    fresh.topics = vec![many.clone(), many];
    player.ask("twice in one request", 4, &fresh)?;
    let mut ask = |what: &str, name: &str, partitions: i32, configs: &[(&str, &str)]| {
        player
            .ask(what, 4, &create_topic(name, partitions, configs))
            .map(drop)
    };
    ask("partitions by default", "created-default", -1, &[])?;
    ask("no partition", "created-none", 0, &[])?;
    ask("-2 partitions", "created-negative", -2, &[])?;
    ask("a name that none can have", "a/b", 1, &[])?;
    ask("an empty name", "", 1, &[])?;
    ask("a name of dots", "..", 1, &[])?;
    ask("a name of 250", &"n".repeat(250), 1, &[])?;
    ask("a name that collides", "created_x.y", 1, &[])?;
    ask("a name that collides with that", "created_x_y", 1, &[])?;
    ask(
        "a setting that is none",
        "created-odd",
        1,
        &[("no.such.setting", "1")],
    )?;
    ask(
        "a setting that is no number",
        "created-odd",
        1,
        &[("retention.ms", "soon")],
    )?;
    ask(
        "a segment of 10 bytes",
        "created-tiny",
        1,
        &[("segment.bytes", "10")],
    )?;
    let factor = |factor: i16| {
        let mut request = create_topic("created-factor", 1, &[]);
        request.topics[0].replication_factor = factor;
        request
    };
    for copies in [2, 0, -2] {
        player.ask(&format!("{copies} copies of one broker"), 4, &factor(copies))?;
    }
    let assigned = |brokers: &[i32]| {
        let mut request = create_topic(&format!("created-by-hand-{}", brokers.len()), -1, &[]);
        request.topics[0].replication_factor = -1;
        let assignment = CreatableReplicaAssignment::default()
            .with_partition_index(0)
            .with_broker_ids(brokers.iter().map(|id| BrokerId(*id)).collect());
        request.topics[0].assignments = vec![assignment];
        request
    };
    player.ask("assigned to the broker", 4, &assigned(&[1]))?;
    player.ask("assigned to nobody", 4, &assigned(&[]))?;
    player.ask("assigned to one that is not there", 4, &assigned(&[1, 9]))?;
    Ok(())
}

fn deleted(player: &mut Player<'_, '_>) -> Result<(), String> {
    let first = player.topic("deleted-1", 1, &[])?;
    let second = player.topic("deleted-2", 1, &[])?;
    let by_name = |name: &str| {
        DeleteTopicsRequest::default()
            .with_topic_names(vec![topic_name(name)])
            .with_timeout_ms(10_000)
    };
    let by = |state: DeleteTopicState| {
        DeleteTopicsRequest::default()
            .with_topics(vec![state])
            .with_timeout_ms(10_000)
    };
    player.ask("one that is not there", 5, &by_name("nowhere"))?;
    player.ask("the first, by name", 5, &by_name("deleted-1"))?;
    player.ask("the first again", 5, &by_name("deleted-1"))?;
    let id = DeleteTopicState::default().with_topic_id(Uuid::from_bytes(second.id));
    player.ask("the second, by id", 6, &by(id.clone()))?;
    player.ask("the second, by id, again", 6, &by(id.clone()))?;
    player.ask(
        "by id and name",
        6,
        &by(id.with_name(Some(topic_name("deleted-2")))),
    )?;
    player.ask("by nothing", 6, &by(DeleteTopicState::default()))?;
    for (topic, version) in [(&first, 9), (&second, 13)] {
        let request = requests::produce(topic, 0, Batch::plain(&["a"]).bytes());
        let path = "responses.0.partitionResponses.0.errorCode";
        // The broker learns of it a moment after the controller.
        player.settled("what is gone", version, &request, (path, &[0]))?;
    }
    player.topic("deleted-1", 1, &[])?;
    let old = requests::produce(&first, 0, Batch::plain(&["a"]).bytes());
    player.ask("made anew: its old id", 13, &old)?;
    player.ask("made anew: its name", 9, &old)?;
    let old = requests::fetch(&first, 0, 0, false);
    player.ask("made anew: its old id", 13, &old)?;
    player.ask("made anew: its name", 12, &old)?;
    Ok(())
}

fn grown(player: &mut Player<'_, '_>) -> Result<(), String> {
    player.topic("grown", 2, &[])?;
    let to = |name: &str, count: i32| {
        let topic = CreatePartitionsTopic::default()
            .with_name(topic_name(name))
            .with_count(count)
            .with_assignments(None);
        CreatePartitionsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(10_000)
    };
    player.ask("only tried: 4", 3, &to("grown", 4).with_validate_only(true))?;
    for count in [2, 1, 0, -1, 3] {
        player.ask(&format!("to {count}"), 3, &to("grown", count))?;
    }
    player.ask("a topic that is not there", 3, &to("nowhere", 3))?;
    player.until("the third", 12, &requests::metadata(&["grown"]), |answer| {
        answer.int("topics.0.partitions.2.leaderId") >= Some(0)
    })?;
    player.ask("three", 9, &requests::metadata(&["grown"]))?;
    Ok(())
}

fn configs(player: &mut Player<'_, '_>) -> Result<(), String> {
    player.topic("configured", 1, &[("max.message.bytes", "5000")])?;
    let of = |kind: i8, name: &str, keys: &[&str]| {
        let resource = DescribeConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(name))
            .with_configuration_keys(Some(keys.iter().map(|key| text(key)).collect()));
        DescribeConfigsRequest::default().with_resources(vec![resource])
    };
    let of_topic = of(
        2,
        "configured",
        &["max.message.bytes", "min.insync.replicas", "cleanup.policy"],
    );
    for version in [1, 3, 4] {
        player.ask(
            "of a topic",
            version,
            &of_topic.clone().with_include_synonyms(true),
        )?;
    }
    player.ask("of a topic, without synonyms", 4, &of_topic)?;
    player.ask(
        "a setting that is none",
        4,
        &of(2, "configured", &["no.such.setting"]),
    )?;
    player.ask(
        "of a topic that is not there",
        4,
        &of(2, "nowhere", &["cleanup.policy"]),
    )?;
    let keys = [
        "min.insync.replicas",
        "auto.create.topics.enable",
        "unclean.leader.election.enable",
    ];
    player.ask("of the broker", 4, &of(4, "1", &keys).with_include_synonyms(true))?;
    player.ask("of a broker that is not there", 4, &of(4, "9", &keys))?;
    player.ask("of what is no broker", 4, &of(4, "one", &keys))?;
    player.ask("of an unknown kind", 4, &of(77, "x", &[]))?;
    Ok(())
}

fn metadata(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("told", 2, &[])?;
    for version in [0, 1, 4, 5, 7, 9, 12, 13] {
        // Before version 4 a question could not forbid that the topic is made.
        let question = requests::metadata(&["told"]).with_allow_auto_topic_creation(version < 4);
        player.ask("a topic", version, &question)?;
    }
    player.ask("one that is not there", 9, &requests::metadata(&["nowhere"]))?;
    let wish = requests::metadata(&["nowhere"]).with_allow_auto_topic_creation(true);
    player.ask("one that is not there, to be made", 9, &wish)?;
    player.ask("a name that none can have", 9, &requests::metadata(&["a/b"]))?;
    player.ask("no topic", 9, &requests::metadata(&[]))?;
    let by_id = |id: [u8; 16]| {
        let topic = MetadataRequestTopic::default()
            .with_name(None)
            .with_topic_id(Uuid::from_bytes(id));
        MetadataRequest::default().with_topics(Some(vec![topic]))
    };
    player.ask("by id", 12, &by_id(topic.id))?;
    player.ask("by an id that is not there", 12, &by_id([7; 16]))?;
    Ok(())
}
