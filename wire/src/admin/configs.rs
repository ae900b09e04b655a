//! Settings of topics and brokers: read, set, taken back.

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};
use kafka_protocol::protocol::StrBytes;

use super::{AdminError, check, only, text};
use crate::connection::Connection;

/// Whose settings are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// A topic's.
    Topic(&'a str),
    /// A broker's, by id; ask that broker itself.
    Broker(i32),
}

impl Resource<'_> {
    fn parts(self) -> (i8, StrBytes) {
        match self {
            Resource::Topic(name) => (2, text(name)),
            Resource::Broker(id) => (4, StrBytes::from_string(id.to_string())),
        }
    }
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Kafka's name.
    pub name: String,
    /// None for secrets and for settings without a value.
    pub value: Option<String>,
    /// True when nobody set it.
    pub is_default: bool,
    /// True when it was set on this very topic or broker while that existed: what [`alter_config`] takes back.
    pub is_own: bool,
}

/// All settings of a topic or broker.
pub fn describe_configs(
    connection: &mut Connection,
    resource: Resource<'_>,
) -> Result<Vec<Config>, AdminError> {
    let (kind, name) = resource.parts();
    let wanted = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(name)
        .with_configuration_keys(None);
    let response = connection.request(&DescribeConfigsRequest::default().with_resources(vec![wanted]))?;
    let what = format!("describe configs of {resource:?}");
    let result = only(connection, &what, response.results)?;
    check(&what, result.error_code, result.error_message.as_deref())?;
    // Sources 1 and 2: dynamic, of the topic and of the broker; 5: DEFAULT_CONFIG.
    let config = |found: DescribeConfigsResourceResult| Config {
        name: found.name.to_string(),
        value: found.value.map(|value| value.to_string()),
        is_default: found.config_source == 5,
        is_own: matches!(found.config_source, 1 | 2),
    };
    Ok(result.configs.into_iter().map(config).collect())
}

/// Sets one setting of a topic or broker, or (with none) takes it back to its default.
pub fn alter_config(
    connection: &mut Connection,
    resource: Resource<'_>,
    name: &str,
    value: Option<&str>,
) -> Result<(), AdminError> {
    let (kind, resource_name) = resource.parts();
    // Operation 0: SET, 1: DELETE.
    let config = AlterableConfig::default()
        .with_name(text(name))
        .with_config_operation(i8::from(value.is_none()))
        .with_value(value.map(text));
    let wanted = AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(resource_name)
        .with_configs(vec![config]);
    let response =
        connection.request(&IncrementalAlterConfigsRequest::default().with_resources(vec![wanted]))?;
    let what = format!("set {name} of {resource:?}");
    let result = only(connection, &what, response.responses)?;
    check(&what, result.error_code, result.error_message.as_deref())
}
