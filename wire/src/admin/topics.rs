//! Topics, made and deleted. A topic's id is its own for ever (KIP-516): who deletes by id can never hit another topic that
//! somebody made under the same name since.

use std::collections::BTreeMap;

use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::{ApiKey, CreateTopicsRequest, DeleteTopicsRequest};

use super::{ADMIN_TIMEOUT_MS, AdminError, check, only, text, topic_name};
use crate::connection::Connection;

/// From this version of DeleteTopics on, topics are named in a list of states, which take ids too.
const STATES: i16 = 6;
/// UNKNOWN_TOPIC_ID.
const UNKNOWN_TOPIC_ID: i16 = 100;

/// Creates a topic and gives its id, none from a broker that knows no ids (before 2.8). In KRaft any broker forwards this
/// to the controller. Leaders may be known only a moment later.
pub fn create_topic(
    connection: &mut Connection,
    name: &str,
    partitions: i32,
    replication_factor: i16,
    configs: &BTreeMap<String, String>,
) -> Result<Option<String>, AdminError> {
    let configs = configs.iter().map(|(name, value)| {
        CreatableTopicConfig::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
    });
    let topic = CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(partitions)
        .with_replication_factor(replication_factor)
        .with_configs(configs.collect());
    let request = CreateTopicsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(ADMIN_TIMEOUT_MS);
    let response = connection.request(&request)?;
    let what = format!("create topic {name}");
    let result = only(connection, &what, response.topics)?;
    check(&what, result.error_code, result.error_message.as_deref())?;
    Ok((!result.topic_id.is_nil()).then(|| result.topic_id.to_string()))
}

/// Deletes the topic that has this name now.
pub fn delete_topic(connection: &mut Connection, name: &str) -> Result<(), AdminError> {
    let request = DeleteTopicsRequest::default()
        .with_topics(vec![
            DeleteTopicState::default().with_name(Some(topic_name(name))),
        ])
        .with_topic_names(Vec::new())
        .with_timeout_ms(ADMIN_TIMEOUT_MS);
    // Before version 6 topics are named in another field.
    let old = DeleteTopicsRequest::default()
        .with_topic_names(vec![topic_name(name)])
        .with_timeout_ms(ADMIN_TIMEOUT_MS);
    let version = connection.version(ApiKey::DeleteTopics as i16).unwrap_or(STATES);
    let response = connection.request(if version >= STATES { &request } else { &old })?;
    let what = format!("delete topic {name}");
    let result = only(connection, &what, response.responses)?;
    check(&what, result.error_code, result.error_message.as_deref())
}

/// Deletes the topic of this id, whatever its name. False when there is none (any more).
pub fn delete_topic_by_id(connection: &mut Connection, id: &str) -> Result<bool, AdminError> {
    let what = format!("delete the topic of id {id}");
    let refused = |why: &str| AdminError::Kafka {
        what: what.clone(),
        code: UNKNOWN_TOPIC_ID,
        name: super::error_name(UNKNOWN_TOPIC_ID),
        message: Some(why.to_owned()),
    };
    let topic = DeleteTopicState::default()
        .with_name(None)
        .with_topic_id(id.parse().map_err(|_| refused("that is no topic id"))?);
    // Below that version the id would be left out of the request without a word.
    if connection
        .version(ApiKey::DeleteTopics as i16)
        .is_none_or(|version| version < STATES)
    {
        return Err(refused("this broker deletes by name only"));
    }
    let request = DeleteTopicsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(ADMIN_TIMEOUT_MS);
    let response = connection.request(&request)?;
    let result = only(connection, &what, response.responses)?;
    if result.error_code == UNKNOWN_TOPIC_ID {
        return Ok(false);
    }
    check(&what, result.error_code, result.error_message.as_deref())?;
    Ok(true)
}
