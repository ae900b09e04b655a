//! Who leads what and which broker has which replica: asked, and moved.

use kafka_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, ApiKey, BrokerId, CreatePartitionsRequest, DescribeQuorumRequest,
    FindCoordinatorRequest,
};

use super::{ADMIN_TIMEOUT_MS, AdminError, check, only, text, topic_name};
use crate::connection::Connection;

/// The log of the controllers (KIP-595).
const QUORUM_TOPIC: &str = "__cluster_metadata";
/// From this version of FindCoordinator on, keys come in a list.
const KEYS: i16 = 4;
/// FindCoordinator's key type for transactional ids.
const TRANSACTION: i8 = 1;

/// Node id of the controller that leads the quorum, -1 during an election. Metadata does not tell it: in KRaft it names
/// any broker.
pub fn quorum_leader(connection: &mut Connection) -> Result<i32, AdminError> {
    let partition = PartitionData::default().with_partition_index(0);
    let topic = TopicData::default()
        .with_topic_name(topic_name(QUORUM_TOPIC))
        .with_partitions(vec![partition]);
    let response = connection.request(&DescribeQuorumRequest::default().with_topics(vec![topic]))?;
    let what = "describe the quorum";
    check(what, response.error_code, response.error_message.as_deref())?;
    let topic = only(connection, what, response.topics)?;
    let partition = only(connection, what, topic.partitions)?;
    check(what, partition.error_code, partition.error_message.as_deref())?;
    Ok(partition.leader_id.0)
}

/// Node id of the broker that coordinates the transactions of a transactional id.
pub fn transaction_coordinator(
    connection: &mut Connection,
    transactional_id: &str,
) -> Result<i32, AdminError> {
    let request = FindCoordinatorRequest::default().with_key_type(TRANSACTION);
    let version = connection.version(ApiKey::FindCoordinator as i16).unwrap_or(KEYS);
    let request = if version >= KEYS {
        request.with_coordinator_keys(vec![text(transactional_id)])
    } else {
        request.with_key(text(transactional_id))
    };
    let response = connection.request(&request)?;
    let what = format!("find the coordinator of {transactional_id}");
    check(&what, response.error_code, response.error_message.as_deref())?;
    if version < KEYS {
        return Ok(response.node_id.0);
    }
    let found = only(connection, &what, response.coordinators)?;
    check(&what, found.error_code, found.error_message.as_deref())?;
    Ok(found.node_id.0)
}

/// Gives a topic `count` partitions in all. Brokers and leaders are Kafka's choice, and known only a moment later.
pub fn create_partitions(connection: &mut Connection, topic: &str, count: i32) -> Result<(), AdminError> {
    let wanted = CreatePartitionsTopic::default()
        .with_name(topic_name(topic))
        .with_count(count)
        .with_assignments(None);
    let request = CreatePartitionsRequest::default()
        .with_topics(vec![wanted])
        .with_timeout_ms(ADMIN_TIMEOUT_MS);
    let response = connection.request(&request)?;
    let what = format!("give {topic} {count} partitions");
    let result = only(connection, &what, response.results)?;
    check(&what, result.error_code, result.error_message.as_deref())
}

/// Begins to move the replicas of partitions to these brokers, the preferred leader first (KIP-455). Where the set stays
/// the same only the order changes, and no leader moves by it.
pub fn reassign(
    connection: &mut Connection,
    topic: &str,
    replicas: &[(i32, Vec<i32>)],
) -> Result<(), AdminError> {
    let partitions = replicas.iter().map(|(partition, brokers)| {
        ReassignablePartition::default()
            .with_partition_index(*partition)
            .with_replicas(Some(brokers.iter().map(|id| BrokerId(*id)).collect()))
    });
    let wanted = ReassignableTopic::default()
        .with_name(topic_name(topic))
        .with_partitions(partitions.collect());
    let request = AlterPartitionReassignmentsRequest::default()
        .with_timeout_ms(ADMIN_TIMEOUT_MS)
        .with_topics(vec![wanted]);
    let response = connection.request(&request)?;
    let what = format!("reassign {topic}");
    check(&what, response.error_code, response.error_message.as_deref())?;
    for partition in response.responses.iter().flat_map(|topic| &topic.partitions) {
        let what = format!("{what}-{}", partition.partition_index);
        check(&what, partition.error_code, partition.error_message.as_deref())?;
    }
    Ok(())
}
