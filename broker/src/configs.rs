//! Properties of topics and brokers: what they are, which may be set, and the two requests about them.

mod known; // the properties that there are

use std::collections::BTreeMap;

use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{
    DescribeConfigsRequest, DescribeConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use kafka_protocol::protocol::StrBytes;

use self::known::{KNOWN, Known, SET_FOR_THE_CLUSTER, Type};
use crate::code;
use crate::connection::At;
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
/// Config source of a property that is set for all brokers.
const OF_CLUSTER: i8 = 3;
/// Config source of a property that the broker was started with.
const OF_BROKER: i8 = 4;
/// Config source of a default.
const DEFAULT: i8 = 5;
/// SET and DELETE of IncrementalAlterConfigs.
const SET: i8 = 0;
const DELETE: i8 = 1;

/// One property as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) source: i8,
    kind: Type,
    read_only: bool,
    /// Where it would come from if what stands before were not set: name, value and source of each, the valid one first.
    synonyms: Vec<(&'static str, String, i8)>,
}

/// All properties of a topic.
pub(crate) fn of_topic(settings: &Settings, set: &BTreeMap<String, String>) -> Vec<Config> {
    let config = |known: &Known| {
        let name = known.topic?;
        let own = set.get(name).map(|value| (name, value.clone(), OF_TOPIC));
        let synonyms = own.into_iter().chain(sources(known, settings)).collect();
        told(name, known, false, synonyms)
    };
    KNOWN.iter().filter_map(config).collect()
}

fn of_broker(settings: &Settings, node: i32) -> Vec<Config> {
    let config = |known: &Known| told(known.broker, known, !known.dynamic, sources(known, settings));
    let id = Config {
        name: "node.id",
        value: node.to_string(),
        source: OF_BROKER,
        kind: Type::Int,
        read_only: true,
        synonyms: vec![("node.id", node.to_string(), OF_BROKER)],
    };
    KNOWN.iter().filter_map(config).chain([id]).collect()
}

/// What a broker has, and what it would have otherwise.
fn sources(known: &Known, settings: &Settings) -> Vec<(&'static str, String, i8)> {
    let value = known.of_broker(settings);
    let mut sources = Vec::new();
    if known.broker == SET_FOR_THE_CLUSTER {
        sources.push((known.broker, value.clone(), OF_CLUSTER));
    }
    if value != known.default {
        sources.push((known.broker, value, OF_BROKER));
    }
    sources.push((known.broker, known.default.to_owned(), DEFAULT));
    sources
}

fn told(
    name: &'static str,
    known: &Known,
    read_only: bool,
    synonyms: Vec<(&'static str, String, i8)>,
) -> Option<Config> {
    let (_, value, source) = synonyms.first()?.clone();
    Some(Config {
        name,
        value,
        source,
        kind: known.kind,
        read_only,
        synonyms,
    })
}

/// Whether a topic may have this property with this value.
pub(crate) fn check_topic(name: &str, value: &str) -> Result<(), Refusal> {
    let Some(known) = known::of_topic(name) else {
        return Err((code::INVALID_CONFIG, format!("Unknown topic config name: {name}")));
    };
    let number = match known.kind {
        Type::Int => value.parse::<i32>().ok().map(i64::from),
        Type::Long => value.parse::<i64>().ok(),
        _ => None,
    };
    let one_of = || format!("String must be one of: {}", known.words.join(", "));
    let why = match (known.kind, number) {
        (Type::Int | Type::Long, None) => format!("Not a number of type {}", known.kind.name()),
        (_, Some(number)) => match known.least.filter(|least| number < *least) {
            Some(least) => format!("Value must be at least {least}"),
            None => return Ok(()),
        },
        (Type::Boolean, _) if !matches!(value, "true" | "false") => {
            "Expected value to be either true or false".into()
        }
        (Type::String, _) if !known.words.contains(&value) => one_of(),
        (Type::List, _) if !value.split(',').all(|word| known.words.contains(&word.trim())) => one_of(),
        _ => return Ok(()),
    };
    Err((
        code::INVALID_CONFIG,
        format!("Invalid value {value} for configuration {name}: {why}"),
    ))
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

    pub(crate) fn describe_configs(
        &mut self,
        at: &At,
        request: DescribeConfigsRequest,
    ) -> DescribeConfigsResponse {
        let mut results = Vec::new();
        for resource in request.resources {
            let result = DescribeConfigsResult::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone());
            let keys = resource.configuration_keys.as_ref();
            let wanted =
                |config: &Config| keys.is_none_or(|keys| keys.iter().any(|key| key.as_str() == config.name));
            results.push(
                match self.configs_of(at.node, resource.resource_type, &resource.resource_name) {
                    Ok(configs) => {
                        let wanted = configs.into_iter().filter(wanted);
                        let described = wanted.map(|config| describe(config, request.include_synonyms));
                        result
                            .with_error_message(Some(StrBytes::new()))
                            .with_configs(described.collect())
                    }
                    Err((code, why)) => result
                        .with_error_code(code)
                        .with_error_message(Some(StrBytes::from_string(why))),
                },
            );
        }
        DescribeConfigsResponse::default().with_results(results)
    }

    fn configs_of(&self, node: i32, kind: i8, name: &str) -> Result<Vec<Config>, Refusal> {
        match kind {
            TOPIC => match self.topics.by_name(name) {
                Some(topic) => Ok(of_topic(&self.settings, &topic.configs)),
                None => Err((code::UNKNOWN_TOPIC_OR_PARTITION, String::new())),
            },
            // No name means what is set for all brokers.
            BROKER if name.is_empty() => {
                let mut all = of_broker(&self.settings, node);
                all.retain(|config| config.source == OF_CLUSTER);
                Ok(all)
            }
            BROKER => match name.parse::<i32>() {
                Ok(id) if id == node => Ok(of_broker(&self.settings, node)),
                Ok(_) => Err((
                    code::INVALID_REQUEST,
                    format!("Unexpected broker id, expected {node} or empty string, but received {name}"),
                )),
                Err(_) => Err((
                    code::INVALID_REQUEST,
                    format!("Broker id must be an integer, but it is: {name}"),
                )),
            },
            _ => Err((code::INVALID_REQUEST, code::MALFORMED.to_owned())),
        }
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

fn describe(config: Config, synonyms: bool) -> DescribeConfigsResourceResult {
    let synonym = |(name, value, source): (&'static str, String, i8)| {
        DescribeConfigsSynonym::default()
            .with_name(StrBytes::from_static_str(name))
            .with_value(Some(StrBytes::from_string(value)))
            .with_source(source)
    };
    let told = config.synonyms.into_iter().filter(|_| synonyms).map(synonym);
    DescribeConfigsResourceResult::default()
        .with_name(StrBytes::from_static_str(config.name))
        .with_value(Some(StrBytes::from_string(config.value)))
        .with_read_only(config.read_only)
        .with_config_source(config.source)
        .with_config_type(config.kind as i8)
        .with_documentation(None)
        .with_synonyms(told.collect())
}
