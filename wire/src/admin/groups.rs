//! Where a consumer group's positions are kept, and what they are. For groups without members: manual assignment.

use std::collections::BTreeMap;

use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::{FindCoordinatorRequest, GroupId, OffsetFetchRequest};

use super::{AdminError, Broker, advertised, check, text, topic_name};
use crate::connection::Connection;

/// The newest version of FindCoordinator that asks for one key.
const ONE_KEY: i16 = 3;
/// The newest version of OffsetFetch that asks for one group; the first that can ask for stable offsets (KIP-447).
const ONE_GROUP: i16 = 7;

/// The broker that keeps a group's positions. Errors 14, 15 and 16 are to be asked again.
pub fn group_coordinator(connection: &mut Connection, group: &str) -> Result<Broker, AdminError> {
    let request = FindCoordinatorRequest::default()
        .with_key(text(group))
        .with_key_type(0);
    let answer = connection.request_at(&request, ONE_KEY)?;
    check(
        &format!("find the coordinator of group {group}"),
        answer.error_code,
        answer.error_message.as_deref(),
    )?;
    advertised(connection, answer.node_id.0, &answer.host, answer.port)
}

/// The committed positions of a group, by partition; a partition without one is not there. Asks for stable ones: while a
/// transaction that would move one is about to end, the answer is 88 and is to be asked for again.
pub fn committed_offsets(
    coordinator: &mut Connection,
    group: &str,
    topic: &str,
    partitions: u32,
) -> Result<BTreeMap<i32, i64>, AdminError> {
    let wanted = OffsetFetchRequestTopic::default()
        .with_name(topic_name(topic))
        .with_partition_indexes((0..partitions as i32).collect());
    let request = OffsetFetchRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_topics(Some(vec![wanted]))
        .with_require_stable(true);
    let answer = coordinator.request_at(&request, ONE_GROUP)?;
    let what = format!("positions of group {group}");
    check(&what, answer.error_code, None)?;
    let mut committed = BTreeMap::new();
    let topics = answer.topics.iter().filter(|found| *found.name.0 == *topic);
    for partition in topics.flat_map(|topic| &topic.partitions) {
        check(&what, partition.error_code, None)?;
        if partition.committed_offset >= 0 {
            committed.insert(partition.partition_index, partition.committed_offset);
        }
    }
    Ok(committed)
}
