//! Questions and orders to a running cluster, over the listener that no proxy stands in front of.
//!
//! Questions try the servers in order and take the first answer: one of them may be dead, paused or just starting.
//! Errors here are ordinary while a cluster comes up, so callers loop under a bound of their own.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::DescribeConfigsRequest;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::protocol::StrBytes;
use steadfast_wire::admin::{Metadata, create_topic, metadata};
use steadfast_wire::connection::{Connection, Disposition};

use super::TopicSpec;

/// How long one server may take for one answer.
const ANSWER_BOUND: Duration = Duration::from_secs(3);
/// How long the controller may take to create a topic.
const CREATE_BOUND: Duration = Duration::from_secs(16);
const CLIENT_ID: &str = "steadfast-chaos";

/// A leader as one broker's metadata has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leader {
    /// Its node id.
    pub broker: u32,
    /// Leader epoch: each election raises it.
    pub epoch: i32,
}

/// A broker or topic setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Configured {
    /// Kafka's built-in default, under the name it has it by (a synonym may hold it).
    pub(crate) default: Option<(String, String)>,
}

/// Asks for all topics, or for one. Never creates any.
pub(crate) fn view(servers: &[String], topic: Option<&str>) -> Result<Metadata, String> {
    let mut last = "no server to ask".to_owned();
    for server in servers {
        let topics = topic.map(|name| [name]);
        let answer = connect(server, ANSWER_BOUND).and_then(|mut connection| {
            metadata(&mut connection, topics.as_ref().map(<[&str; 1]>::as_slice))
                .map_err(|error| error.to_string())
        });
        match answer {
            Ok(answer) => return Ok(answer),
            Err(reason) => last = reason,
        }
    }
    Err(last)
}

/// Whether a server answers at all within the bound.
pub(crate) fn probe(server: &str, bound: Duration) -> Result<(), String> {
    connect(server, bound).map(drop)
}

/// Creates a topic and gives its id, when the broker has one. That it exists already is an error. Never repeated at
/// another server: the first may have created the topic and lost the answer. On an error the second value says whether
/// the topic may exist now.
pub(crate) fn create_topic_at(server: &str, topic: &TopicSpec) -> Result<Option<String>, (String, bool)> {
    let not_sent = |reason: String| (reason, false);
    let partitions = i32::try_from(topic.partitions).map_err(|error| not_sent(error.to_string()))?;
    let copies = i16::try_from(topic.replication_factor).map_err(|error| not_sent(error.to_string()))?;
    let mut connection = connect(server, CREATE_BOUND).map_err(not_sent)?;
    create_topic(&mut connection, &topic.name, partitions, copies, &topic.configs)
        .map_err(|error| (error.to_string(), error.disposition() == Disposition::Unknown))
}

/// The settings of one broker with Kafka's defaults; the broker itself has to be asked.
pub(crate) fn broker_settings(server: &str, broker: u32) -> Result<BTreeMap<String, Configured>, String> {
    const BROKER: i8 = 4;
    describe(server, BROKER, &broker.to_string())
}

/// The settings of one topic with the defaults it would have had.
pub(crate) fn topic_settings(server: &str, topic: &str) -> Result<BTreeMap<String, Configured>, String> {
    const TOPIC: i8 = 2;
    describe(server, TOPIC, topic)
}

/// Source: KIP-226 (synonyms and their sources).
fn describe(server: &str, resource_type: i8, name: &str) -> Result<BTreeMap<String, Configured>, String> {
    const DEFAULT_CONFIG: i8 = 5;
    let resource = DescribeConfigsResource::default()
        .with_resource_type(resource_type)
        .with_resource_name(StrBytes::from_string(name.to_owned()))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![resource])
        .with_include_synonyms(true);
    let response = connect(server, ANSWER_BOUND)?
        .request(&request)
        .map_err(|error| error.to_string())?;
    let mut settings = BTreeMap::new();
    for result in &response.results {
        if let Some(error) = ResponseError::try_from_code(result.error_code) {
            return Err(format!(
                "{error:?} {}",
                result.error_message.as_deref().unwrap_or_default()
            ));
        }
        for config in &result.configs {
            let default = config
                .synonyms
                .iter()
                .find(|synonym| synonym.source == DEFAULT_CONFIG);
            let default = default.map(|synonym| {
                (
                    synonym.name.to_string(),
                    synonym.value.as_ref().map_or("none".into(), ToString::to_string),
                )
            });
            settings.insert(config.name.to_string(), Configured { default });
        }
    }
    Ok(settings)
}

pub(super) fn connect(server: &str, bound: Duration) -> Result<Connection, String> {
    connect_as(CLIENT_ID, server, bound)
}

/// As a client of this id: a broker treats all of one id alike.
pub(super) fn connect_as(client_id: &str, server: &str, bound: Duration) -> Result<Connection, String> {
    Connection::connect(server, client_id, bound).map_err(|error| error.to_string())
}
