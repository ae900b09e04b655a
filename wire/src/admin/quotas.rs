//! Quotas of a client id: read, set, taken back (KIP-546); and whether a broker makes such a client wait (KIP-219).

use std::time::Duration;

use kafka_protocol::messages::alter_client_quotas_request::{EntityData, EntryData as AlterEntry, OpData};
use kafka_protocol::messages::describe_client_quotas_request::ComponentData;
use kafka_protocol::messages::{
    AlterClientQuotasRequest, DescribeClientQuotasRequest, FetchRequest, MetadataRequest, ProduceRequest,
};

use super::{AdminError, check, only, text};
use crate::connection::Connection;

/// Kafka's word for this kind of entity.
const CLIENT_ID: &str = "client-id";

/// A quota, by what it limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quota {
    /// Bytes per second of Produce requests, at each broker.
    ProducerByteRate,
    /// Bytes per second of answers to Fetch, at each broker.
    ConsumerByteRate,
    /// Share of the time of one request thread, at each broker.
    RequestPercentage,
}

impl Quota {
    /// All of them.
    pub const ALL: [Quota; 3] = [
        Quota::ProducerByteRate,
        Quota::ConsumerByteRate,
        Quota::RequestPercentage,
    ];

    /// Kafka's name.
    pub const fn name(self) -> &'static str {
        match self {
            Quota::ProducerByteRate => "producer_byte_rate",
            Quota::ConsumerByteRate => "consumer_byte_rate",
            Quota::RequestPercentage => "request_percentage",
        }
    }
}

/// The quota of exactly this client id of any user; none when it has none of its own.
pub fn describe_client_quota(
    connection: &mut Connection,
    client_id: &str,
    quota: Quota,
) -> Result<Option<f64>, AdminError> {
    // Match type 0: exactly this name. Strict: an entity of a user and this client id is another one.
    let component = ComponentData::default()
        .with_entity_type(text(CLIENT_ID))
        .with_match_type(0)
        .with_match(Some(text(client_id)));
    let request = DescribeClientQuotasRequest::default()
        .with_components(vec![component])
        .with_strict(true);
    let response = connection.request(&request)?;
    let what = format!("describe the quotas of {client_id}");
    check(&what, response.error_code, response.error_message.as_deref())?;
    let entries = response.entries.unwrap_or_default();
    let found = entries
        .iter()
        .flat_map(|entry| &entry.values)
        .find(|value| *value.key == *quota.name());
    Ok(found.map(|value| value.value))
}

/// Sets one quota of a client id, or (with none) takes it away.
pub fn alter_client_quota(
    connection: &mut Connection,
    client_id: &str,
    quota: Quota,
    value: Option<f64>,
) -> Result<(), AdminError> {
    let entity = EntityData::default()
        .with_entity_type(text(CLIENT_ID))
        .with_entity_name(Some(text(client_id)));
    let order = OpData::default()
        .with_key(text(quota.name()))
        .with_value(value.unwrap_or_default())
        .with_remove(value.is_none());
    let entry = AlterEntry::default()
        .with_entity(vec![entity])
        .with_ops(vec![order]);
    let response = connection.request(&AlterClientQuotasRequest::default().with_entries(vec![entry]))?;
    let what = format!("set {} of {client_id}", quota.name());
    let result = only(connection, &what, response.entries)?;
    check(&what, result.error_code, result.error_message.as_deref())
}

/// How long the broker at the other end would have the client of this connection wait because of this quota, as it says to
/// an empty request of the kind that the quota counts: no record, no partition. Nothing is written or read by it.
pub fn throttled(connection: &mut Connection, quota: Quota) -> Result<Duration, AdminError> {
    let ms = match quota {
        Quota::ProducerByteRate => {
            let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(1_000);
            connection.request(&request)?.throttle_time_ms
        }
        Quota::ConsumerByteRate => {
            // Epoch -1: no fetch session is made for it.
            let request = FetchRequest::default().with_max_wait_ms(0).with_session_epoch(-1);
            connection.request(&request)?.throttle_time_ms
        }
        Quota::RequestPercentage => {
            let request = MetadataRequest::default()
                .with_topics(Some(Vec::new()))
                .with_allow_auto_topic_creation(false);
            connection.request(&request)?.throttle_time_ms
        }
    };
    Ok(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
}
