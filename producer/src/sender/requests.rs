//! The requests that are not Produce: written and read with `kafka-protocol`, after wire's guard.
//!
//! | API | versions used | why the lower end |
//! |---|---|---|
//! | ApiVersions | 3, then 0 if the broker answers 35 (KIP-511) | - |
//! | Metadata | 4 to 12 | 4 says whether a missing topic may be created |
//! | InitProducerId | 0 to 5 | KIP-98 |
//! | DescribeConfigs | 1 to 4 | optional: only the durability status (A20) needs it |
//!
//! What transactions ask stands in `transaction/requests.rs`.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, DescribeConfigsRequest, InitProducerIdRequest, MetadataRequest,
    RequestHeader, TopicName, describe_configs_request::DescribeConfigsResource,
    metadata_request::MetadataRequestTopic,
};
use kafka_protocol::protocol::{Encodable, Request, StrBytes};

use super::transaction::TransactionVersions;
use crate::error::Fatal;
use crate::produce_request;

/// ApiVersions is asked in this version first.
pub(crate) const API_VERSIONS: i16 = 3;
const METADATA: (i16, i16) = (4, 12);
const INIT_PRODUCER_ID: (i16, i16) = (0, 5);
const DESCRIBE_CONFIGS: (i16, i16) = (1, 4);
/// `ConfigResource.Type.TOPIC`.
const TOPIC_RESOURCE: i8 = 2;

/// Topic configurations that the durability status and the size check look at.
pub(crate) const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";
pub(crate) const UNCLEAN_LEADER_ELECTION: &str = "unclean.leader.election.enable";
pub(crate) const MAX_MESSAGE_BYTES: &str = "max.message.bytes";

/// The version of each API that this producer and one broker both speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Versions {
    pub(crate) produce: i16,
    pub(crate) metadata: i16,
    pub(crate) init_producer_id: i16,
    /// `None` where the broker has none that we know.
    pub(crate) describe_configs: Option<i16>,
    pub(crate) transactions: TransactionVersions,
}

impl Versions {
    /// The highest versions that both sides know.
    pub(crate) fn agree(response: &ApiVersionsResponse, address: &str) -> Result<Versions, Fatal> {
        let pick = |api_key: i16, ours: (i16, i16)| common_version(response, api_key, ours);
        let need = |api: &'static str, api_key: i16, ours: (i16, i16)| {
            pick(api_key, ours).map_err(|theirs| Fatal::Unsupported {
                address: address.to_owned(),
                api,
                ours: format!("{} to {}", ours.0, ours.1),
                theirs: format!("{} to {}", theirs.0, theirs.1),
            })
        };
        let produce = (produce_request::MIN_VERSION, produce_request::MAX_VERSION);
        Ok(Versions {
            produce: need("Produce", produce_request::API_KEY, produce)?,
            metadata: need("Metadata", MetadataRequest::KEY, METADATA)?,
            init_producer_id: need("InitProducerId", InitProducerIdRequest::KEY, INIT_PRODUCER_ID)?,
            describe_configs: pick(DescribeConfigsRequest::KEY, DESCRIBE_CONFIGS).ok(),
            transactions: TransactionVersions::agree(response),
        })
    }
}

/// The highest version that both sides know, or else the range that the broker has (-1 to -1 = none).
pub(crate) fn common_version(
    response: &ApiVersionsResponse,
    api_key: i16,
    ours: (i16, i16),
) -> Result<i16, (i16, i16)> {
    let theirs = response.api_keys.iter().find(|api| api.api_key == api_key);
    let range = theirs.map_or((-1, -1), |api| (api.min_version, api.max_version));
    let best = ours.1.min(range.1);
    (best >= ours.0 && best >= range.0).then_some(best).ok_or(range)
}

pub(crate) fn api_versions() -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("steadfast"))
        .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")))
}

/// Metadata of these topics alone. Creation is allowed as in the Java client, but never of a topic that was seen
/// before: one that vanished must not come back empty.
pub(crate) fn metadata<'a>(topics: impl Iterator<Item = &'a str>, create: bool) -> MetadataRequest {
    let topics = topics.map(|name| MetadataRequestTopic::default().with_name(Some(TopicName(text(name)))));
    MetadataRequest::default()
        .with_topics(Some(topics.collect()))
        .with_allow_auto_topic_creation(create)
}

/// A fresh producer id: null transactional id, nobody is fenced (A1).
pub(crate) fn init_producer_id() -> InitProducerIdRequest {
    InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(i32::MAX)
        .with_producer_id((-1).into())
        .with_producer_epoch(-1)
}

pub(crate) fn describe_topics<'a>(topics: impl Iterator<Item = &'a str>) -> DescribeConfigsRequest {
    let keys = [MIN_INSYNC_REPLICAS, UNCLEAN_LEADER_ELECTION, MAX_MESSAGE_BYTES];
    let resources = topics.map(|name| {
        DescribeConfigsResource::default()
            .with_resource_type(TOPIC_RESOURCE)
            .with_resource_name(text(name))
            .with_configuration_keys(Some(keys.into_iter().map(StrBytes::from_static_str).collect()))
    });
    DescribeConfigsRequest::default().with_resources(resources.collect())
}

/// A whole frame, size field included. `None` where the request does not fit its version: our own mistake.
pub(crate) fn encode<R: Request>(
    request: &R,
    version: i16,
    correlation: i32,
    client_id: &str,
) -> Option<Bytes> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(text(client_id)));
    let mut frame = BytesMut::from(&[0; 4][..]);
    header.encode(&mut frame, R::header_version(version)).ok()?;
    request.encode(&mut frame, version).ok()?;
    let size = i32::try_from(frame.len() - 4).ok()?;
    frame[..4].copy_from_slice(&size.to_be_bytes());
    Some(frame.freeze())
}

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
