//! The few questions that verifier and chaos ask a cluster, in plain types.
//!
//! Each function is one request on one connection: which broker to ask, and what to do about an error, is the
//! caller's business ([`AdminError::disposition`]). Answers for partitions carry their own Kafka error codes.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    BrokerId, DescribeClusterRequest, DescribeProducersRequest, ElectLeadersRequest, ListOffsetsRequest,
    MetadataRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use crate::connection::{Connection, Disposition, WireError};

mod configs; // settings of topics and brokers
mod groups; // a consumer group's positions
mod placement; // leaders and replicas
mod quotas; // of client ids
mod topics; // made and deleted

pub use configs::{Config, Resource, alter_config, describe_configs};
pub use groups::{committed_offsets, group_coordinator};
pub use placement::{create_partitions, quorum_leader, reassign, transaction_coordinator};
pub use quotas::{Quota, alter_client_quota, describe_client_quota, throttled};
pub use topics::{create_topic, delete_topic, delete_topic_by_id};

/// How long a broker may take over creating or deleting a topic or electing leaders.
const ADMIN_TIMEOUT_MS: i32 = 15_000;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Nothing came back, or nonsense.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The broker refused.
    #[error("{what}: {name} ({code}){}", message.as_ref().map_or(String::new(), |text| format!(": {text}")))]
    Kafka {
        /// What was asked for.
        what: String,
        /// Kafka's error code.
        code: i16,
        /// Its name.
        name: String,
        /// The broker's own words.
        message: Option<String>,
    },
}

impl AdminError {
    /// What the caller may do next.
    pub fn disposition(&self) -> Disposition {
        match self {
            AdminError::Wire(error) => error.disposition(),
            // REQUEST_TIMED_OUT, and codes that we do not know.
            AdminError::Kafka { code: 7 | -1, .. } => Disposition::Unknown,
            AdminError::Kafka { code, .. } => match ResponseError::try_from_code(*code) {
                Some(error) if error.is_retriable() => Disposition::Retry,
                _ => Disposition::GiveUp,
            },
        }
    }
}

/// Kafka's own name for an error code.
pub fn error_name(code: i16) -> String {
    ResponseError::try_from_code(code).map_or_else(|| "None".to_owned(), |error| error.to_string())
}

/// What a broker believes of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// Empty when the broker does not say.
    pub cluster_id: String,
    /// In KRaft any broker that takes admin requests; -1 unknown.
    pub controller_id: i32,
    /// Brokers that are alive.
    pub brokers: Vec<Broker>,
    /// Topics asked for.
    pub topics: Vec<Topic>,
}

/// One broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Node id.
    pub id: i32,
    /// `host:port` as advertised on the listener that was asked.
    pub addr: String,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Name.
    pub name: String,
    /// Kafka's code; 3 = not there (any more, or yet).
    pub error_code: i16,
    /// Partitions, by number.
    pub partitions: Vec<Partition>,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Number.
    pub partition: i32,
    /// Kafka's code; 5 = no leader now.
    pub error_code: i16,
    /// Node id of the leader, -1 = none.
    pub leader: i32,
    /// Leader epoch, -1 unknown.
    pub leader_epoch: i32,
    /// Node ids of all replicas, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Node ids of those in sync.
    pub isr: Vec<i32>,
}

impl Metadata {
    /// The partition of a topic.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<&Partition> {
        let topic = self.topics.iter().find(|found| found.name == topic)?;
        topic.partitions.iter().find(|found| found.partition == partition)
    }

    /// The broker with this id.
    pub fn broker(&self, id: i32) -> Option<&Broker> {
        self.brokers.iter().find(|broker| broker.id == id)
    }
}

/// Brokers and the topics named (or all topics). Creates nothing.
pub fn metadata(connection: &mut Connection, topics: Option<&[&str]>) -> Result<Metadata, AdminError> {
    let wanted = |topics: &[&str]| {
        topics
            .iter()
            .map(|topic| MetadataRequestTopic::default().with_name(Some(topic_name(topic))))
            .collect()
    };
    let request = MetadataRequest::default()
        .with_topics(topics.map(wanted))
        .with_allow_auto_topic_creation(false);
    let response = connection.request(&request)?;
    check("metadata", response.error_code, None)?;
    let ids = |ids: &[BrokerId]| ids.iter().map(|id| id.0).collect();
    let partition =
        |found: &kafka_protocol::messages::metadata_response::MetadataResponsePartition| Partition {
            partition: found.partition_index,
            error_code: found.error_code,
            leader: found.leader_id.0,
            leader_epoch: found.leader_epoch,
            replicas: ids(&found.replica_nodes),
            isr: ids(&found.isr_nodes),
        };
    let mut metadata = Metadata {
        cluster_id: response.cluster_id.map(|id| id.to_string()).unwrap_or_default(),
        controller_id: response.controller_id.0,
        brokers: Vec::with_capacity(response.brokers.len()),
        topics: Vec::with_capacity(response.topics.len()),
    };
    for broker in &response.brokers {
        metadata.brokers.push(advertised(
            connection,
            broker.node_id.0,
            &broker.host,
            broker.port,
        )?);
    }
    for topic in &response.topics {
        let mut partitions: Vec<Partition> = topic.partitions.iter().map(partition).collect();
        partitions.sort_by_key(|partition| partition.partition);
        let name = topic
            .name
            .as_ref()
            .map(|name| name.to_string())
            .unwrap_or_default();
        metadata.topics.push(Topic {
            name,
            error_code: topic.error_code,
            partitions,
        });
    }
    Ok(metadata)
}

/// Which offset of a partition is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offset {
    /// The first that is still there.
    Earliest,
    /// The high watermark: the next record's, of those that are replicated.
    Latest,
    /// The last stable offset: everything below belongs to no open transaction.
    LastStable,
}

/// One partition's answer to [`list_offsets`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedOffset {
    /// Partition.
    pub partition: i32,
    /// Kafka's code; 78 OFFSET_NOT_AVAILABLE right after an election is to be asked again (KIP-207).
    pub error_code: i16,
    /// The offset, -1 unknown.
    pub offset: i64,
}

/// Offsets of partitions whose leader is at the other end. `partitions`: number and leader epoch (-1 unknown).
pub fn list_offsets(
    connection: &mut Connection,
    topic: &str,
    partitions: &[(i32, i32)],
    which: Offset,
) -> Result<Vec<ListedOffset>, AdminError> {
    let timestamp = if which == Offset::Earliest { -2 } else { -1 };
    let wanted = partitions.iter().map(|&(partition, leader_epoch)| {
        ListOffsetsPartition::default()
            .with_partition_index(partition)
            .with_current_leader_epoch(leader_epoch)
            .with_timestamp(timestamp)
    });
    let wanted = ListOffsetsTopic::default()
        .with_name(topic_name(topic))
        .with_partitions(wanted.collect());
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level(i8::from(which == Offset::LastStable))
        .with_topics(vec![wanted]);
    let response = connection.request(&request)?;
    let topics = response.topics.iter().filter(|found| *found.name.0 == *topic);
    let partitions = topics
        .flat_map(|topic| &topic.partitions)
        .map(|found| ListedOffset {
            partition: found.partition_index,
            error_code: found.error_code,
            offset: found.offset,
        });
    Ok(partitions.collect())
}

/// One partition's answer to [`describe_producers`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Producers {
    /// Partition.
    pub partition: i32,
    /// Kafka's code.
    pub error_code: i16,
    /// Producers that the leader remembers.
    pub producers: Vec<Producer>,
}

/// One producer that a leader remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Producer {
    /// Producer id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i32,
    /// Its last sequence number.
    pub last_sequence: i32,
    /// Offset of the first record of its open transaction, -1 = none open.
    pub transaction_start_offset: i64,
}

/// Producers of partitions whose leader is at the other end (KIP-664).
pub fn describe_producers(
    connection: &mut Connection,
    topic: &str,
    partitions: &[i32],
) -> Result<Vec<Producers>, AdminError> {
    let wanted = TopicRequest::default()
        .with_name(topic_name(topic))
        .with_partition_indexes(partitions.to_vec());
    let response = connection.request(&DescribeProducersRequest::default().with_topics(vec![wanted]))?;
    let topics = response.topics.iter().filter(|found| *found.name.0 == *topic);
    let partitions = topics.flat_map(|topic| &topic.partitions).map(|found| Producers {
        partition: found.partition_index,
        error_code: found.error_code,
        producers: found
            .active_producers
            .iter()
            .map(|producer| Producer {
                id: producer.producer_id.0,
                epoch: producer.producer_epoch,
                last_sequence: producer.last_sequence,
                transaction_start_offset: producer.current_txn_start_offset,
            })
            .collect(),
    });
    Ok(partitions.collect())
}

/// The cluster as its brokers see it: id, controller and brokers, no topics.
pub fn describe_cluster(connection: &mut Connection) -> Result<Metadata, AdminError> {
    // Endpoint type 1: brokers (KIP-919).
    let response = connection.request(&DescribeClusterRequest::default().with_endpoint_type(1))?;
    check(
        "describe cluster",
        response.error_code,
        response.error_message.as_deref(),
    )?;
    let mut brokers = Vec::with_capacity(response.brokers.len());
    for broker in &response.brokers {
        brokers.push(advertised(
            connection,
            broker.broker_id.0,
            &broker.host,
            broker.port,
        )?);
    }
    let cluster_id = response.cluster_id.to_string();
    Ok(Metadata {
        cluster_id,
        controller_id: response.controller_id.0,
        brokers,
        topics: Vec::new(),
    })
}

/// Makes the preferred replica the leader of these partitions again (KIP-460). A partition that has it already is
/// no error.
pub fn elect_preferred_leaders(
    connection: &mut Connection,
    topic: &str,
    partitions: &[i32],
) -> Result<(), AdminError> {
    /// ELECTION_NOT_NEEDED.
    const NOT_NEEDED: i16 = 84;
    let wanted = TopicPartitions::default()
        .with_topic(topic_name(topic))
        .with_partitions(partitions.to_vec());
    let request = ElectLeadersRequest::default()
        .with_topic_partitions(Some(vec![wanted]))
        .with_timeout_ms(ADMIN_TIMEOUT_MS);
    let response = connection.request(&request)?;
    check("elect leaders", response.error_code, None)?;
    for result in response
        .replica_election_results
        .iter()
        .flat_map(|topic| &topic.partition_result)
    {
        if result.error_code != NOT_NEEDED {
            let what = format!("elect the leader of {topic}-{}", result.partition_id);
            check(&what, result.error_code, result.error_message.as_deref())?;
        }
    }
    Ok(())
}

/// `host:port`, if it can be one: what a broker advertises ends up in messages, reports and connects.
fn advertised(connection: &Connection, id: i32, host: &str, port: i32) -> Result<Broker, AdminError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
    if host.is_empty() || host.len() > 255 || !host.chars().all(legal) || !(1..=65_535).contains(&port) {
        let what = format!(
            "broker {id} advertises {:?} port {port}",
            host.chars().take(64).collect::<String>()
        );
        return Err(WireError::Nonsense {
            addr: connection.addr().to_owned(),
            what,
        }
        .into());
    }
    let addr = if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    Ok(Broker { id, addr })
}

/// The one result to the one thing asked for.
fn only<T>(connection: &Connection, what: &str, results: Vec<T>) -> Result<T, AdminError> {
    let count = results.len();
    let mut results = results.into_iter();
    match (results.next(), count) {
        (Some(result), 1) => Ok(result),
        _ => {
            let what = format!("{count} answers to: {what}");
            Err(WireError::Nonsense {
                addr: connection.addr().to_owned(),
                what,
            }
            .into())
        }
    }
}

fn check(what: &str, code: i16, message: Option<&str>) -> Result<(), AdminError> {
    if code == 0 {
        return Ok(());
    }
    let message = message.map(str::to_owned);
    Err(AdminError::Kafka {
        what: what.to_owned(),
        code,
        name: error_name(code),
        message,
    })
}

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}
