//! ListOffsets (ends, starts, times) and OffsetForLeaderEpoch.

use bytes::BytesMut;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{
    ListOffsetsRequest, ListOffsetsResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
};

use crate::batch::{self, HEADER_BYTES, Header};
use crate::code;
use crate::connection::At;
use crate::log::Entry;
use crate::model::Model;
use crate::store::{LogId, Store};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
/// First version that is told to try again while a new leader's high watermark may still go back (KIP-207).
const OFFSET_MAY_BE_UNKNOWN: i16 = 5;
const READ_COMMITTED: i8 = 1;

/// An offset with its timestamp and leader epoch; -1 where there is none.
type Found = (i64, i64, i32);
const NOTHING: Found = (-1, -1, -1);

impl<S: Store> Model<S> {
    pub(crate) fn list_offsets(&mut self, at: &At, request: ListOffsetsRequest) -> ListOffsetsResponse {
        let committed = request.isolation_level == READ_COMMITTED;
        let mut topics = Vec::new();
        for topic in request.topics {
            let mut partitions = Vec::new();
            for wanted in topic.partitions {
                let found = match self.topics.partition(&topic.name, wanted.partition_index) {
                    Some(partition) => self.offset_for(at, partition, &wanted, committed),
                    None => Err(code::UNKNOWN_TOPIC_OR_PARTITION),
                };
                let (offset, timestamp, epoch) = found.unwrap_or(NOTHING);
                let response = ListOffsetsPartitionResponse::default()
                    .with_partition_index(wanted.partition_index)
                    .with_error_code(found.err().unwrap_or(code::NONE))
                    .with_offset(offset)
                    .with_timestamp(timestamp);
                partitions.push(if at.version >= 4 {
                    response.with_leader_epoch(epoch)
                } else {
                    response
                });
            }
            topics.push(
                ListOffsetsTopicResponse::default()
                    .with_name(topic.name)
                    .with_partitions(partitions),
            );
        }
        ListOffsetsResponse::default().with_topics(topics)
    }

    fn offset_for(
        &mut self,
        at: &At,
        partition: usize,
        wanted: &ListOffsetsPartition,
        committed: bool,
    ) -> Result<Found, i16> {
        let replica = self.leading(at.node, partition, wanted.current_leader_epoch)?;
        let found = &self.partitions[partition];
        let to = if committed {
            replica.last_stable_offset()
        } else {
            replica.high_watermark
        };
        let epoch = replica.view.epoch;
        // A new leader may not know yet how far its predecessor had committed.
        let epoch_start = replica.epochs.last().map_or(0, |(_, from)| *from);
        let unsettled = replica.high_watermark < epoch_start;
        let not_yet = if at.version >= OFFSET_MAY_BE_UNKNOWN {
            code::OFFSET_NOT_AVAILABLE
        } else {
            code::LEADER_NOT_AVAILABLE
        };
        let epoch_at = |offset: i64| {
            let behind = replica.epochs.partition_point(|(_, from)| *from <= offset);
            behind.checked_sub(1).map_or(-1, |at| replica.epochs[at].0)
        };
        let log = found.log;
        // KafkaApis: what an older version does not know is no timestamp of it.
        let since = match wanted.timestamp {
            MAX_TIMESTAMP => 7,
            EARLIEST_LOCAL => 8,
            LATEST_TIERED => 9,
            _ => 0,
        };
        match wanted.timestamp {
            _ if at.version < since => Err(code::UNSUPPORTED_VERSION),
            LATEST if unsettled => Err(not_yet),
            LATEST => Ok((to, -1, epoch)),
            EARLIEST | EARLIEST_LOCAL => Ok((replica.start, -1, epoch_at(replica.start))),
            LATEST_TIERED => Ok(NOTHING),
            MAX_TIMESTAMP => {
                let entries = replica.runs.iter().map(|number| found.entries.get(number));
                // Of equal ones the first, as Kafka.
                let newest =
                    entries
                        .filter(|entry| !entry.control())
                        .fold(None, |best: Option<&Entry>, entry| match best {
                            Some(best) if best.max_timestamp >= entry.max_timestamp => Some(best),
                            _ => Some(entry),
                        });
                let newest = newest.copied();
                Ok(newest.map_or(NOTHING, |entry| {
                    self.first_since(log, &entry, entry.max_timestamp)
                }))
            }
            timestamp if timestamp < 0 => Err(code::UNSUPPORTED_VERSION),
            _ if unsettled => Err(not_yet),
            timestamp => {
                let first = {
                    let mut entries = replica.runs.iter().map(|number| found.entries.get(number));
                    entries.find(|entry| entry.max_timestamp >= timestamp).copied()
                };
                let hit = first.map_or(NOTHING, |entry| self.first_since(log, &entry, timestamp));
                Ok(if hit.0 < to { hit } else { NOTHING })
            }
        }
    }

    /// The first record of a batch at or after a time; of a compressed batch, which is not unpacked, the first one.
    fn first_since(&mut self, log: LogId, entry: &Entry, timestamp: i64) -> Found {
        let whole = (entry.base_offset, entry.max_timestamp, entry.leader_epoch);
        let mut bytes = BytesMut::new();
        if self
            .store
            .read(log, entry.position, entry.size as usize, &mut bytes)
            .is_err()
        {
            return whole;
        }
        let Some(header) = Header::parse(&bytes).filter(|header| !header.compressed()) else {
            return whole;
        };
        let mut hit = None;
        let walked = batch::records(&header, &bytes[HEADER_BYTES..], |record| {
            if hit.is_none() && record.timestamp >= timestamp {
                hit = Some(record);
            }
        });
        match (walked, hit) {
            (Ok(_), Some(record)) => (
                entry.base_offset + i64::from(record.offset_delta),
                record.timestamp,
                entry.leader_epoch,
            ),
            _ => whole,
        }
    }

    pub(crate) fn offset_for_leader_epoch(
        &mut self,
        at: &At,
        request: OffsetForLeaderEpochRequest,
    ) -> OffsetForLeaderEpochResponse {
        let mut topics = Vec::new();
        for topic in request.topics {
            let mut partitions = Vec::new();
            for wanted in topic.partitions {
                let found = match self.topics.partition(&topic.topic, wanted.partition) {
                    Some(partition) => self
                        .leading(at.node, partition, wanted.current_leader_epoch)
                        .map(|replica| replica.end_of_epoch(wanted.leader_epoch)),
                    None => Err(code::UNKNOWN_TOPIC_OR_PARTITION),
                };
                let (epoch, end) = found.unwrap_or((-1, -1));
                partitions.push(
                    EpochEndOffset::default()
                        .with_partition(wanted.partition)
                        .with_error_code(found.err().unwrap_or(code::NONE))
                        .with_leader_epoch(epoch)
                        .with_end_offset(end),
                );
            }
            topics.push(
                OffsetForLeaderTopicResult::default()
                    .with_topic(topic.topic)
                    .with_partitions(partitions),
            );
        }
        OffsetForLeaderEpochResponse::default().with_topics(topics)
    }
}
