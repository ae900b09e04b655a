//! CreateTopics, DeleteTopics, CreatePartitions.

use std::collections::BTreeMap;

use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::{Refusal, Wanted, uuid};
use crate::code;
use crate::configs;
use crate::connection::At;
use crate::model::Model;
use crate::store::Store;

impl<S: Store> Model<S> {
    pub(crate) fn create_topics(&mut self, at: &At, request: CreateTopicsRequest) -> CreateTopicsResponse {
        let mut results = Vec::new();
        let mut names = BTreeMap::new();
        for topic in &request.topics {
            *names.entry(topic.name.clone()).or_insert(0) += 1;
        }
        for topic in request.topics {
            match names.insert(topic.name.clone(), 0) {
                Some(1) => {}
                Some(0) => continue,
                _ => {
                    let result = CreatableTopicResult::default()
                        .with_name(topic.name)
                        .with_configs(None);
                    results.push(not_created(
                        result,
                        at.version,
                        (code::INVALID_REQUEST, "Duplicate topic name.".into()),
                    ));
                    continue;
                }
            }
            let text = |value: Option<StrBytes>| value.map(|value| value.to_string()).unwrap_or_default();
            let wanted = Wanted {
                name: topic.name.to_string(),
                partitions: topic.num_partitions,
                replication_factor: topic.replication_factor,
                assignments: topic
                    .assignments
                    .iter()
                    .map(|assignment| assignment.broker_ids.iter().map(|id| id.0).collect())
                    .collect(),
                configs: topic
                    .configs
                    .into_iter()
                    .map(|config| (config.name.to_string(), text(config.value)))
                    .collect(),
            };
            let result = CreatableTopicResult::default()
                .with_name(topic.name)
                .with_error_message(None)
                .with_configs(None);
            results.push(match self.create_topic(wanted, request.validate_only) {
                Ok((made, assignments)) => self.created(result, at.version, made, &assignments),
                Err(refusal) => not_created(result, at.version, refusal),
            });
        }
        CreateTopicsResponse::default().with_topics(results)
    }

    fn created(
        &self,
        mut result: CreatableTopicResult,
        version: i16,
        made: Option<usize>,
        assignments: &[Vec<i32>],
    ) -> CreatableTopicResult {
        if version >= 7
            && let Some(topic) = made
        {
            result = result.with_topic_id(uuid(self.topics.all[topic].id));
        }
        if version < 5 {
            return result;
        }
        let set = made
            .map(|topic| self.topics.all[topic].configs.clone())
            .unwrap_or_default();
        let configs = configs::of_topic(&self.settings, &set).into_iter().map(|config| {
            CreatableTopicConfigs::default()
                .with_name(StrBytes::from_static_str(config.name))
                .with_value(Some(StrBytes::from_string(config.value)))
                .with_config_source(config.source)
        });
        result
            .with_num_partitions(assignments.len() as i32)
            .with_replication_factor(assignments.first().map_or(-1, |nodes| nodes.len() as i16))
            .with_configs(Some(configs.collect()))
    }

    pub(crate) fn delete_topics(&mut self, at: &At, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
        let mut results = Vec::new();
        let by_id = request.topics.into_iter().map(|topic| {
            let name = topic.name.map(|name| name.to_string());
            (name, Some(topic.topic_id).filter(|id| !id.is_nil()))
        });
        let by_name = request
            .topic_names
            .into_iter()
            .map(|name| (Some(name.to_string()), None));
        for (name, id) in by_id.chain(by_name) {
            let found = match (&name, id) {
                (Some(_), Some(_)) => None,
                (Some(name), None) => self.topics.by_name(name),
                (None, id) => id.and_then(|id| self.topics.by_id(id.into_bytes())),
            };
            let found = found.map(|topic| (topic.name.clone(), topic.id));
            let done = match (&found, &name, id) {
                (Some((name, _)), ..) => self.delete_topic(name),
                (None, Some(_), Some(_)) => Err((
                    code::INVALID_REQUEST,
                    "You may not specify both topic name and topic id.".into(),
                )),
                (None, Some(name), None) => self.delete_topic(name),
                (None, None, Some(_)) => Err((
                    code::UNKNOWN_TOPIC_ID,
                    "This server does not host this topic ID.".into(),
                )),
                (None, None, None) => Err((
                    code::INVALID_REQUEST,
                    "Neither topic name nor id were specified.".into(),
                )),
            };
            let (found_name, found_id) = match found {
                Some((name, id)) => (Some(name), Some(uuid(id))),
                None => (name, id),
            };
            let mut result = DeletableTopicResult::default()
                .with_name(found_name.map(|name| TopicName(StrBytes::from_string(name))));
            if at.version >= 6
                && let Some(id) = found_id
            {
                result = result.with_topic_id(id);
            }
            if let Err((code, why)) = done {
                result = result.with_error_code(code);
                if at.version >= 5 {
                    result = result.with_error_message(Some(StrBytes::from_string(why)));
                }
            }
            results.push(result);
        }
        DeleteTopicsResponse::default().with_responses(results)
    }

    pub(crate) fn create_partitions(&mut self, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
        let mut results = Vec::new();
        for topic in request.topics {
            let wanted: Option<Vec<Vec<i32>>> = topic.assignments.map(|all| {
                all.into_iter()
                    .map(|one| one.broker_ids.into_iter().map(|id| id.0).collect())
                    .collect()
            });
            let done = self.grow(&topic.name, topic.count, wanted, request.validate_only);
            let result = CreatePartitionsTopicResult::default()
                .with_name(topic.name)
                .with_error_message(None);
            results.push(match done {
                Ok(()) => result,
                Err((code, why)) => result
                    .with_error_code(code)
                    .with_error_message((!why.is_empty()).then(|| StrBytes::from_string(why))),
            });
        }
        CreatePartitionsResponse::default().with_results(results)
    }
}

fn not_created(result: CreatableTopicResult, version: i16, (code, why): Refusal) -> CreatableTopicResult {
    let result = result
        .with_error_code(code)
        .with_error_message(Some(StrBytes::from_string(why)));
    if version >= 5 {
        result.with_num_partitions(-1).with_replication_factor(-1)
    } else {
        result
    }
}
