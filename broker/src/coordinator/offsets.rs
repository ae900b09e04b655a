//! Committed offsets of groups, without the group protocol: generation -1 and no member (manual assignment).
//!
//! ```text
//! OffsetCommit ────────────────────────────▶ committed
//! TxnOffsetCommit ──▶ pending of a producer ──▶ commit marker ──▶ committed
//!                                           └─▶ abort marker  ──▶ gone
//! ```

use std::collections::BTreeMap;

use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse, TopicName,
    TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::transaction::{State, Transaction};
use super::{GROUP, Supports, TRANSACTION};
use crate::code;
use crate::connection::At;
use crate::fact::{Fact, OffsetFact};
use crate::model::Model;
use crate::store::Store;

/// offset.metadata.max.bytes.
const MAX_METADATA_BYTES: usize = 4_096;
/// First version of OffsetFetch that asks for several groups.
const MANY_GROUPS: i16 = 8;

/// Topic and partition.
type Place = (String, i32);

/// An offset with what its committer said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
    pub(crate) committed_ms: i64,
}

/// All groups.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    committed: BTreeMap<String, BTreeMap<Place, Committed>>,
    /// By producer id and group.
    pending: BTreeMap<(i64, String), BTreeMap<Place, Committed>>,
}

impl Groups {
    /// Takes a fact over.
    pub(crate) fn recall(&mut self, fact: OffsetFact) {
        let place = (fact.topic, fact.partition);
        let committed = Committed {
            offset: fact.offset,
            leader_epoch: fact.leader_epoch,
            metadata: fact.metadata,
            committed_ms: fact.committed_ms,
        };
        if fact.pending_producer_id >= 0 {
            let key = (fact.pending_producer_id, fact.group);
            self.pending.entry(key).or_default().insert(place, committed);
        } else {
            self.committed
                .entry(fact.group)
                .or_default()
                .insert(place, committed);
        }
    }

    /// Forgets an offset.
    pub(crate) fn forget(&mut self, group: &str, place: &Place) {
        if let Some(found) = self.committed.get_mut(group) {
            found.remove(place);
            if found.is_empty() {
                self.committed.remove(group);
            }
        }
    }

    /// Forgets what waits for a transaction.
    pub(crate) fn drop_pending(&mut self, producer_id: i64, group: &str) -> BTreeMap<Place, Committed> {
        self.pending
            .remove(&(producer_id, group.to_owned()))
            .unwrap_or_default()
    }

    fn knows(&self, group: &str) -> bool {
        self.committed.contains_key(group) || self.pending.keys().any(|(_, of)| of == group)
    }

    fn is_pending(&self, group: &str, place: &Place) -> bool {
        let mut of_group = self.pending.iter().filter(|((_, of), _)| of == group);
        of_group.any(|(_, places)| places.contains_key(place))
    }

    pub(crate) fn facts(&self) -> Vec<Fact> {
        let mut facts = Vec::new();
        for (group, places) in &self.committed {
            facts.extend(places.iter().map(|(place, found)| fact(group, place, found, -1)));
        }
        for ((producer_id, group), places) in &self.pending {
            facts.extend(
                places
                    .iter()
                    .map(|(place, found)| fact(group, place, found, *producer_id)),
            );
        }
        facts
    }

    /// Offsets committed so long ago.
    fn expired(&self, now_ms: i64, after_ms: i64) -> Vec<(String, Place)> {
        let mut expired = Vec::new();
        for (group, places) in &self.committed {
            let old = places
                .iter()
                .filter(|(_, found)| now_ms.saturating_sub(found.committed_ms) >= after_ms);
            expired.extend(old.map(|(place, _)| (group.clone(), place.clone())));
        }
        expired
    }

    /// A group's committed offset.
    pub(crate) fn get(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        let place = (topic.to_owned(), partition);
        self.committed.get(group)?.get(&place).map(|found| found.offset)
    }
}

fn fact(group: &str, place: &Place, found: &Committed, pending_producer_id: i64) -> Fact {
    Fact::Offset(OffsetFact {
        group: group.to_owned(),
        topic: place.0.clone(),
        partition: place.1,
        offset: found.offset,
        leader_epoch: found.leader_epoch,
        metadata: found.metadata.clone(),
        committed_ms: found.committed_ms,
        pending_producer_id,
    })
}

impl<S: Store> Model<S> {
    /// Whether a caller may commit: no group has members here, so it must not say that it is one of a generation
    /// (OffsetMetadataManager.validateOffsetCommit).
    fn admits(&self, group: &str, generation: i32) -> Result<(), i16> {
        if generation < 0 {
            Ok(())
        } else if self.groups.knows(group) {
            Err(code::UNKNOWN_MEMBER_ID)
        } else {
            Err(code::ILLEGAL_GENERATION)
        }
    }

    /// Takes one offset, committed or pending.
    fn take_offset(
        &mut self,
        group: &str,
        place: Place,
        offset: (i64, i32),
        metadata: Option<StrBytes>,
        pending_producer_id: i64,
    ) -> i16 {
        if self.topics.partition(&place.0, place.1).is_none() {
            return code::UNKNOWN_TOPIC_OR_PARTITION;
        }
        let metadata = metadata.map(|text| text.to_string()).unwrap_or_default();
        if metadata.len() > MAX_METADATA_BYTES {
            return code::OFFSET_METADATA_TOO_LARGE;
        }
        let fact = OffsetFact {
            group: group.to_owned(),
            topic: place.0,
            partition: place.1,
            offset: offset.0,
            leader_epoch: offset.1,
            metadata,
            committed_ms: self.now.wall_ms,
            pending_producer_id,
        };
        self.groups.recall(fact.clone());
        self.remember(Fact::Offset(fact));
        code::NONE
    }

    pub(crate) fn offset_commit(&mut self, at: &At, request: OffsetCommitRequest) -> OffsetCommitResponse {
        let group = request.group_id.0.to_string();
        let generation = request.generation_id_or_member_epoch;
        let coordinates = self.coordinates(at.node, GROUP, &group);
        let admitted = coordinates.and_then(|()| self.admits(&group, generation));
        let mut topics = Vec::new();
        for topic in request.topics {
            let mut partitions = Vec::new();
            for wanted in topic.partitions {
                let place = (topic.name.0.to_string(), wanted.partition_index);
                let offset = (wanted.committed_offset, wanted.committed_leader_epoch);
                let code = match admitted {
                    Ok(()) => self.take_offset(&group, place, offset, wanted.committed_metadata, -1),
                    Err(code) => code,
                };
                partitions.push(
                    OffsetCommitResponsePartition::default()
                        .with_partition_index(wanted.partition_index)
                        .with_error_code(code),
                );
            }
            topics.push(
                OffsetCommitResponseTopic::default()
                    .with_name(topic.name)
                    .with_partitions(partitions),
            );
        }
        OffsetCommitResponse::default().with_topics(topics)
    }

    pub(crate) fn txn_offset_commit(
        &mut self,
        at: &At,
        request: TxnOffsetCommitRequest,
    ) -> TxnOffsetCommitResponse {
        let group = request.group_id.0.to_string();
        let id = request.transactional_id.0.to_string();
        let producer = (request.producer_id.0, request.producer_epoch);
        let supports = Supports::of_txn_offset_commit(at.version);
        let coordinates = match group.is_empty() {
            true => Err(code::INVALID_GROUP_ID),
            false => self.coordinates(at.node, GROUP, &group),
        };
        let admitted = coordinates
            .and_then(|()| self.ask_about_group(at.node, &id, producer, &group, supports))
            .and_then(|()| self.admits(&group, request.generation_id));
        let mut topics = Vec::new();
        for topic in request.topics {
            let mut partitions = Vec::new();
            for wanted in topic.partitions {
                let place = (topic.name.0.to_string(), wanted.partition_index);
                let offset = (wanted.committed_offset, wanted.committed_leader_epoch);
                let code = match admitted {
                    Ok(()) => self.take_offset(&group, place, offset, wanted.committed_metadata, producer.0),
                    Err(code) => code,
                };
                partitions.push(
                    TxnOffsetCommitResponsePartition::default()
                        .with_partition_index(wanted.partition_index)
                        .with_error_code(code),
                );
            }
            topics.push(
                TxnOffsetCommitResponseTopic::default()
                    .with_name(topic.name)
                    .with_partitions(partitions),
            );
        }
        TxnOffsetCommitResponse::default().with_topics(topics)
    }

    /// The group's coordinator asks the transaction's whether the group is in it, or (TV2) puts it in.
    fn ask_about_group(
        &mut self,
        node: i32,
        id: &str,
        producer: (i64, i16),
        group: &str,
        supports: Supports,
    ) -> Result<(), i16> {
        let coordinator = self.coordinator(TRANSACTION, id);
        if !self.linked(node, coordinator) {
            return Err(code::COORDINATOR_LOAD_IN_PROGRESS);
        }
        let now_ms = self.now.wall_ms;
        let asked = match self.coordinates(coordinator, TRANSACTION, id) {
            Err(code) => Err(code),
            Ok(()) => match self.transactions.get_mut(id) {
                None => Err(code::INVALID_PRODUCER_ID_MAPPING),
                Some(transaction) if supports == Supports::EpochBump => {
                    transaction.add(producer, &[], Some(group), now_ms)
                }
                Some(transaction) => transaction.verify_group(producer, group).map(|()| false),
            },
        };
        match asked {
            Ok(changed) => {
                if changed {
                    self.remember_transaction(id);
                }
                Ok(())
            }
            Err(asked) => Err(match supports.translate(asked).code {
                code::NOT_ENOUGH_REPLICAS => code::COORDINATOR_NOT_AVAILABLE,
                code => code,
            }),
        }
    }

    /// The markers of a transaction reach the groups: pending offsets are committed or dropped.
    pub(crate) fn settle_groups(&mut self, coordinator: i32, transaction: &mut Transaction) {
        let commit = transaction.state == State::PrepareCommit;
        for group in transaction.groups.clone() {
            let node = self.coordinator(GROUP, &group);
            if !self.linked(coordinator, node) || self.coordinates(node, GROUP, &group).is_err() {
                continue;
            }
            let pending = self.groups.drop_pending(transaction.producer_id, &group);
            self.remember(Fact::PendingOffsetsDone {
                group: group.clone(),
                producer_id: transaction.producer_id,
            });
            for (place, found) in pending.into_iter().filter(|_| commit) {
                let fact = OffsetFact {
                    group: group.clone(),
                    topic: place.0,
                    partition: place.1,
                    offset: found.offset,
                    leader_epoch: found.leader_epoch,
                    metadata: found.metadata,
                    committed_ms: self.now.wall_ms,
                    pending_producer_id: -1,
                };
                self.groups.recall(fact.clone());
                self.remember(Fact::Offset(fact));
            }
            transaction.groups.remove(&group);
        }
    }

    pub(crate) fn offset_fetch(&mut self, at: &At, request: OffsetFetchRequest) -> OffsetFetchResponse {
        let stable = request.require_stable;
        if at.version >= MANY_GROUPS {
            let mut groups = Vec::new();
            for wanted in request.groups {
                let group = wanted.group_id.0.to_string();
                let places = wanted.topics.map(|topics| {
                    let topic =
                        |topic: kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopics| {
                            (topic.name.0.to_string(), topic.partition_indexes)
                        };
                    topics.into_iter().map(topic).collect()
                });
                let response = OffsetFetchResponseGroup::default().with_group_id(wanted.group_id);
                groups.push(match self.offsets_of(at, &group, places, stable) {
                    Ok(topics) => response.with_topics(topics),
                    Err(code) => response.with_error_code(code),
                });
            }
            return OffsetFetchResponse::default().with_groups(groups);
        }
        let group = request.group_id.0.to_string();
        let places = request.topics.map(|topics| {
            let topics = topics
                .into_iter()
                .map(|topic| (topic.name.0.to_string(), topic.partition_indexes));
            topics.collect()
        });
        match self.offsets_of(at, &group, places, stable) {
            Ok(topics) => {
                OffsetFetchResponse::default().with_topics(topics.into_iter().map(old_topic).collect())
            }
            Err(code) if at.version >= 2 => OffsetFetchResponse::default().with_error_code(code),
            Err(_) => OffsetFetchResponse::default(),
        }
    }

    fn offsets_of(
        &self,
        at: &At,
        group: &str,
        wanted: Option<Vec<(String, Vec<i32>)>>,
        stable: bool,
    ) -> Result<Vec<OffsetFetchResponseTopics>, i16> {
        self.coordinates(at.node, GROUP, group)?;
        let known = self.groups.committed.get(group);
        let wanted = wanted.unwrap_or_else(|| {
            let mut all: BTreeMap<String, Vec<i32>> = BTreeMap::new();
            for (topic, partition) in known.into_iter().flat_map(BTreeMap::keys) {
                all.entry(topic.clone()).or_default().push(*partition);
            }
            all.into_iter().collect()
        });
        let mut topics = Vec::new();
        for (name, indexes) in wanted {
            let mut partitions = Vec::new();
            for index in indexes {
                let place = (name.clone(), index);
                let unstable = stable && self.groups.is_pending(group, &place);
                let found = known.and_then(|known| known.get(&place)).filter(|_| !unstable);
                let response = OffsetFetchResponsePartitions::default()
                    .with_partition_index(index)
                    .with_error_code(if unstable {
                        code::UNSTABLE_OFFSET_COMMIT
                    } else {
                        code::NONE
                    })
                    .with_committed_offset(found.map_or(-1, |found| found.offset))
                    .with_committed_leader_epoch(found.map_or(-1, |found| found.leader_epoch));
                let metadata = found.map(|found| found.metadata.clone()).unwrap_or_default();
                partitions.push(response.with_metadata(Some(StrBytes::from_string(metadata))));
            }
            topics.push(
                OffsetFetchResponseTopics::default()
                    .with_name(TopicName(StrBytes::from_string(name)))
                    .with_partitions(partitions),
            );
        }
        Ok(topics)
    }

    /// A topic is gone, and with it what groups had committed in it.
    pub(crate) fn forget_offsets_of(&mut self, topic: &str) {
        let mut gone = Vec::new();
        for (group, places) in &self.groups.committed {
            let of_topic = places.keys().filter(|(name, _)| name == topic);
            gone.extend(of_topic.map(|place| (group.clone(), place.clone())));
        }
        self.forget_offsets(gone);
    }

    /// offsets.retention.minutes.
    pub(crate) fn expire_offsets(&mut self) {
        let expired = self
            .groups
            .expired(self.now.wall_ms, self.settings.offsets_retention_ms);
        self.forget_offsets(expired);
    }

    fn forget_offsets(&mut self, gone: Vec<(String, Place)>) {
        for (group, place) in gone {
            self.groups.forget(&group, &place);
            self.remember(Fact::OffsetForgotten {
                group,
                topic: place.0,
                partition: place.1,
            });
        }
    }
}

fn old_topic(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let partition = |found: OffsetFetchResponsePartitions| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(found.partition_index)
            .with_error_code(found.error_code)
            .with_committed_offset(found.committed_offset)
            .with_committed_leader_epoch(found.committed_leader_epoch)
            .with_metadata(found.metadata)
    };
    OffsetFetchResponseTopic::default()
        .with_name(topic.name)
        .with_partitions(topic.partitions.into_iter().map(partition).collect())
}
