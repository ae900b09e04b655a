//! Properties of topics and brokers: what they are, which may be set, and the two requests about them.

use std::collections::BTreeMap;

use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{
    DescribeConfigsRequest, DescribeConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use kafka_protocol::protocol::StrBytes;

use crate::code;
use crate::model::Model;
use crate::settings::Settings;
use crate::store::Store;
use crate::topics::Refusal;

/// Resource type of a topic.
const TOPIC: i8 = 2;
/// Resource type of a broker.
const BROKER: i8 = 4;
/// Config source of a topic's own property.
const OF_TOPIC: i8 = 1;
/// Config source of a property that the broker was started with.
const OF_BROKER: i8 = 4;
/// Config source of a default.
const DEFAULT: i8 = 5;
/// SET and DELETE of IncrementalAlterConfigs.
const SET: i8 = 0;
const DELETE: i8 = 1;

/// Types as DescribeConfigs numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Boolean = 1,
    String = 2,
    Int = 3,
    Long = 5,
    List = 7,
}

/// One property as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) source: i8,
    pub(crate) kind: Type,
}

/// Properties of a topic that the model knows, with their defaults.
fn topic_defaults(settings: &Settings) -> Vec<(&'static str, String, Type)> {
    vec![
        ("cleanup.policy", "delete".into(), Type::List),
        ("compression.type", "producer".into(), Type::String),
        ("delete.retention.ms", "86400000".into(), Type::Long),
        ("flush.messages", i64::MAX.to_string(), Type::Long),
        ("flush.ms", i64::MAX.to_string(), Type::Long),
        (
            "max.message.bytes",
            settings.message_max_bytes.to_string(),
            Type::Int,
        ),
        (
            "message.timestamp.after.max.ms",
            settings.timestamp_after_max_ms.to_string(),
            Type::Long,
        ),
        ("message.timestamp.type", "CreateTime".into(), Type::String),
        (
            "min.insync.replicas",
            settings.min_insync_replicas.to_string(),
            Type::Int,
        ),
        ("retention.bytes", "-1".into(), Type::Long),
        ("retention.ms", settings.log_retention_ms.to_string(), Type::Long),
        ("segment.bytes", "1073741824".into(), Type::Int),
        ("segment.ms", "604800000".into(), Type::Long),
        (
            "unclean.leader.election.enable",
            settings.unclean_leader_election.to_string(),
            Type::Boolean,
        ),
    ]
}

/// All properties of a topic.
pub(crate) fn of_topic(settings: &Settings, set: &BTreeMap<String, String>) -> Vec<Config> {
    let config = |(name, default, kind): (&'static str, String, Type)| match set.get(name) {
        Some(value) => Config {
            name,
            value: value.clone(),
            source: OF_TOPIC,
            kind,
        },
        None => Config {
            name,
            value: default,
            source: DEFAULT,
            kind,
        },
    };
    topic_defaults(settings).into_iter().map(config).collect()
}

fn of_broker(settings: &Settings, node: i32) -> Vec<Config> {
    let all: [(&'static str, String, Type); 14] = [
        (
            "auto.create.topics.enable",
            settings.auto_create_topics.to_string(),
            Type::Boolean,
        ),
        (
            "broker.session.timeout.ms",
            settings.session_timeout_ms.to_string(),
            Type::Int,
        ),
        (
            "default.replication.factor",
            settings.default_replication_factor.to_string(),
            Type::Int,
        ),
        (
            "log.retention.ms",
            settings.log_retention_ms.to_string(),
            Type::Long,
        ),
        (
            "message.max.bytes",
            settings.message_max_bytes.to_string(),
            Type::Int,
        ),
        (
            "min.insync.replicas",
            settings.min_insync_replicas.to_string(),
            Type::Int,
        ),
        ("node.id", node.to_string(), Type::Int),
        ("num.partitions", settings.num_partitions.to_string(), Type::Int),
        (
            "offsets.retention.minutes",
            (settings.offsets_retention_ms / 60_000).to_string(),
            Type::Int,
        ),
        (
            "producer.id.expiration.ms",
            settings.producer_id_expiration_ms.to_string(),
            Type::Int,
        ),
        (
            "replica.lag.time.max.ms",
            settings.replica_lag_time_max_ms.to_string(),
            Type::Long,
        ),
        (
            "transaction.max.timeout.ms",
            settings.transaction_max_timeout_ms.to_string(),
            Type::Int,
        ),
        (
            "transactional.id.expiration.ms",
            settings.transactional_id_expiration_ms.to_string(),
            Type::Int,
        ),
        (
            "unclean.leader.election.enable",
            settings.unclean_leader_election.to_string(),
            Type::Boolean,
        ),
    ];
    let config = |(name, value, kind)| Config {
        name,
        value,
        source: OF_BROKER,
        kind,
    };
    all.into_iter().map(config).collect()
}

/// Whether a topic may have this property with this value.
pub(crate) fn check_topic(name: &str, value: &str) -> Result<(), Refusal> {
    let known = topic_defaults(&Settings::default());
    let Some((_, _, kind)) = known.into_iter().find(|(known, ..)| *known == name) else {
        return Err((code::INVALID_CONFIG, format!("Unknown topic config name: {name}")));
    };
    let fits = match (name, kind) {
        ("min.insync.replicas", _) => value.parse::<i32>().is_ok_and(|n| n >= 1),
        ("max.message.bytes", _) => value.parse::<i32>().is_ok_and(|n| n >= 0),
        ("cleanup.policy", _) => value.split(',').all(|word| matches!(word, "delete" | "compact")),
        ("message.timestamp.type", _) => value == "CreateTime",
        (_, Type::Boolean) => matches!(value, "true" | "false"),
        (_, Type::Int) => value.parse::<i32>().is_ok(),
        (_, Type::Long) => value.parse::<i64>().is_ok(),
        _ => !value.is_empty(),
    };
    if fits {
        Ok(())
    } else {
        Err((
            code::INVALID_CONFIG,
            format!("Invalid value {value} for configuration {name}"),
        ))
    }
}

impl<S: Store> Model<S> {
    /// Sets a property of a topic, or takes it back to its default.
    pub(crate) fn set_topic_config(
        &mut self,
        topic: &str,
        name: &str,
        value: Option<String>,
    ) -> Result<(), Refusal> {
        let Some(at) = self.topics.index(topic) else {
            let why = format!("The topic '{topic}' does not exist.");
            return Err((code::UNKNOWN_TOPIC_OR_PARTITION, why));
        };
        let configs = &mut self.topics.all[at].configs;
        match value {
            Some(value) => {
                check_topic(name, &value)?;
                configs.insert(name.to_owned(), value);
            }
            None => {
                configs.remove(name);
            }
        }
        let fact = self.topic_fact(at);
        self.remember(fact);
        Ok(())
    }

    pub(crate) fn describe_configs(&mut self, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
        let describe = |configs: Vec<Config>, keys: &Option<Vec<StrBytes>>| {
            let wanted = |config: &Config| {
                keys.as_ref()
                    .is_none_or(|keys| keys.iter().any(|key| key.as_str() == config.name))
            };
            configs
                .into_iter()
                .filter(wanted)
                .map(|config| {
                    DescribeConfigsResourceResult::default()
                        .with_name(StrBytes::from_static_str(config.name))
                        .with_value(Some(StrBytes::from_string(config.value)))
                        .with_read_only(config.source == OF_BROKER)
                        .with_config_source(config.source)
                        .with_config_type(config.kind as i8)
                })
                .collect()
        };
        let mut results = Vec::new();
        for resource in request.resources {
            let name = resource.resource_name.as_str();
            let found = match resource.resource_type {
                TOPIC => match self.topics.by_name(name) {
                    Some(topic) => Ok(of_topic(&self.settings, &topic.configs)),
                    None => Err((code::UNKNOWN_TOPIC_OR_PARTITION, String::new())),
                },
                BROKER => match name.parse().ok().filter(|id| self.node(*id).is_some()) {
                    Some(node) => Ok(of_broker(&self.settings, node)),
                    None => Err((code::INVALID_REQUEST, format!("Unexpected broker id {name}"))),
                },
                other => Err((
                    code::INVALID_REQUEST,
                    format!("Unsupported resource type: {other}"),
                )),
            };
            let result = DescribeConfigsResult::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone());
            results.push(match found {
                Ok(configs) => result
                    .with_error_message(Some(StrBytes::new()))
                    .with_configs(describe(configs, &resource.configuration_keys)),
                Err((code, why)) => result
                    .with_error_code(code)
                    .with_error_message(Some(StrBytes::from_string(why))),
            });
        }
        DescribeConfigsResponse::default().with_results(results)
    }

    pub(crate) fn alter_configs(
        &mut self,
        request: IncrementalAlterConfigsRequest,
    ) -> IncrementalAlterConfigsResponse {
        let mut responses = Vec::new();
        for resource in request.resources {
            let mut done = Ok(());
            for config in &resource.configs {
                let value = config.value.as_ref().map(|value| value.to_string());
                let step = match (resource.resource_type, config.config_operation) {
                    (TOPIC, SET) if request.validate_only => {
                        check_topic(&config.name, value.as_deref().unwrap_or(""))
                    }
                    (TOPIC, DELETE) if request.validate_only => Ok(()),
                    (TOPIC, SET) => self.set_topic_config(
                        &resource.resource_name,
                        &config.name,
                        Some(value.unwrap_or_default()),
                    ),
                    (TOPIC, DELETE) => self.set_topic_config(&resource.resource_name, &config.name, None),
                    _ => Err((
                        code::INVALID_REQUEST,
                        "only topics' properties can be changed here".into(),
                    )),
                };
                done = done.and(step);
            }
            let response = AlterConfigsResourceResponse::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name)
                .with_error_message(None);
            responses.push(match done {
                Ok(()) => response,
                Err((code, why)) => response
                    .with_error_code(code)
                    .with_error_message(Some(StrBytes::from_string(why))),
            });
        }
        IncrementalAlterConfigsResponse::default().with_responses(responses)
    }
}
