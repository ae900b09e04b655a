//! What transactions ask, in which versions, and what the error codes of the answers mean.
//!
//! | question | whom | versions | asked again after a lost answer? |
//! |---|---|---|---|
//! | FindCoordinator | any broker | 1 to 6 | yes |
//! | InitProducerId | transaction coordinator | 0 to 5; 3 tells which id we have (KIP-360) | yes (M13) |
//! | AddPartitionsToTxn, AddOffsetsToTxn | transaction coordinator | 0 to 3, version 1 only | yes |
//! | TxnOffsetCommit | the group's coordinator | 0 to 4, 5 under version 2 | yes |
//! | EndTxn | transaction coordinator | 0 to 4, 5 under version 2 | yes, with the same words (B3) |

use bytes::Bytes;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, ApiVersionsResponse, EndTxnRequest,
    FindCoordinatorRequest, GroupId, InitProducerIdRequest, ProduceRequest, TopicName, TransactionalId,
    TxnOffsetCommitRequest,
};
use kafka_protocol::protocol::Request;

use super::{Offsets, Protocol};
use crate::produce_request;
use crate::sender::identity::Identity;
use crate::sender::requests::{common_version, encode, text};

/// First versions that belong to transaction version 2: below, a broker expects version 1.
pub(super) const PRODUCE_V2: i16 = 12;
const END_TXN_V2: i16 = 5;
const COMMIT_OFFSETS_V2: i16 = 5;
/// First InitProducerId that says which id and epoch it goes on from (KIP-360).
pub(super) const INIT_KNOWN: i16 = 3;
/// First FindCoordinator with several keys in one request (KIP-699).
const FIND_MANY: i16 = 4;
/// The finalized feature (KIP-584, KIP-890).
const FEATURE: &str = "transaction.version";

/// A question that is not about batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    FindCoordinator,
    FindGroup,
    InitProducerId,
    AddPartitions,
    AddOffsets,
    CommitOffsets,
    EndTxn,
}

impl Question {
    pub(crate) fn api(self) -> &'static str {
        match self {
            Question::FindCoordinator | Question::FindGroup => "FindCoordinator",
            Question::InitProducerId => "InitProducerId",
            Question::AddPartitions => "AddPartitionsToTxn",
            Question::AddOffsets => "AddOffsetsToTxn",
            Question::CommitOffsets => "TxnOffsetCommit",
            Question::EndTxn => "EndTxn",
        }
    }
}

/// What one broker speaks of all this; `None` = no version that we do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TransactionVersions {
    produce: i16,
    pub(super) find_coordinator: Option<i16>,
    add_partitions: Option<i16>,
    add_offsets: Option<i16>,
    commit_offsets: Option<i16>,
    end: Option<i16>,
    /// Epoch and level of the finalized feature; -1 and 0 where none was told.
    pub(super) features: (i64, i16),
}

impl TransactionVersions {
    pub(crate) fn agree(response: &ApiVersionsResponse) -> TransactionVersions {
        let pick = |api_key: i16, ours: (i16, i16)| common_version(response, api_key, ours).ok();
        let mut finalized = response.finalized_features.iter();
        let level = finalized
            .find(|feature| feature.name.as_str() == FEATURE)
            .map_or(0, |feature| feature.max_version_level);
        TransactionVersions {
            produce: pick(ProduceRequest::KEY, (0, produce_request::MAX_VERSION)).unwrap_or(-1),
            find_coordinator: pick(FindCoordinatorRequest::KEY, (1, 6)),
            add_partitions: pick(AddPartitionsToTxnRequest::KEY, (0, 3)),
            add_offsets: pick(AddOffsetsToTxnRequest::KEY, (0, 3)),
            commit_offsets: pick(TxnOffsetCommitRequest::KEY, (0, COMMIT_OFFSETS_V2)),
            end: pick(EndTxnRequest::KEY, (0, END_TXN_V2)),
            features: (response.finalized_features_epoch, level),
        }
    }

    /// Version 2 is a matter of the finalized feature; the API versions must go with it, but never decide alone.
    pub(super) fn protocol(&self, level: i16) -> Protocol {
        let spoken = self.produce >= PRODUCE_V2
            && self.commit_offsets >= Some(COMMIT_OFFSETS_V2)
            && self.end >= Some(END_TXN_V2);
        if level >= 2 && spoken {
            Protocol::V2
        } else {
            Protocol::V1
        }
    }

    /// The version for a question, within the protocol of its transaction.
    pub(super) fn of(&self, question: Question, protocol: Protocol) -> Option<i16> {
        let below = |version: Option<i16>, v2: i16| match protocol {
            Protocol::V1 => version.map(|version| version.min(v2 - 1)),
            Protocol::V2 => version.filter(|version| *version >= v2),
        };
        match question {
            Question::FindCoordinator | Question::FindGroup => self.find_coordinator,
            Question::InitProducerId => None, // agreed on with the APIs that every producer needs
            Question::AddPartitions => self.add_partitions,
            Question::AddOffsets => self.add_offsets,
            Question::CommitOffsets => below(self.commit_offsets, COMMIT_OFFSETS_V2),
            Question::EndTxn => below(self.end, END_TXN_V2),
        }
    }
}

/// What an error code in an answer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Done,
    /// Not done; ask again after the backoff.
    Again,
    /// As `Again`, but soon: markers are being written (B8).
    Soon,
    /// Another broker is the coordinator. Also what a failed append to the coordinator's own log looks like, so an
    /// EndTxn with this answer may have taken effect.
    Elsewhere,
    /// Done or not: as if the answer had been lost.
    InDoubt,
    /// The transaction cannot commit.
    Abort,
    /// The same, and the producer id needs a new epoch.
    AbortAndInit,
    /// The coordinator does not know the producer id: no EndTxn, InitProducerId.
    Forgotten,
    /// This instance must stop (B6).
    Fatal,
}

/// Contract section 4, seen from coordinators.
pub(super) fn meaning(question: Question, code: i16) -> Meaning {
    let of_group = matches!(
        question,
        Question::CommitOffsets | Question::AddOffsets | Question::FindGroup
    );
    let of_partitions = matches!(question, Question::CommitOffsets | Question::AddPartitions);
    match code {
        0 => Meaning::Done,
        14 => Meaning::Again,
        51 => Meaning::Soon,
        15 | 16 => Meaning::Elsewhere,
        -1 | 7 | 13 | 56 => Meaning::InDoubt,
        // UNKNOWN_TOPIC_OR_PARTITION: as with Produce, it may be a gap in a broker's metadata.
        3 if of_partitions => Meaning::Again,
        // OFFSET_METADATA_TOO_LARGE, ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, INVALID_COMMIT_OFFSET_SIZE,
        // GROUP_AUTHORIZATION_FAILED, GROUP_ID_NOT_FOUND, FENCED_INSTANCE_ID
        12 | 22 | 25 | 28 | 30 | 69 | 82 if of_group => Meaning::Abort,
        // TOPIC_AUTHORIZATION_FAILED, OPERATION_NOT_ATTEMPTED
        29 | 55 if of_partitions => Meaning::Abort,
        120 => Meaning::Abort,
        59 => Meaning::AbortAndInit,
        49 => Meaning::Forgotten,
        _ => Meaning::Fatal,
    }
}

/// Key types of FindCoordinator.
pub(super) const GROUP_KEY: i8 = 0;
pub(super) const TRANSACTION_KEY: i8 = 1;

pub(super) fn find_coordinator(key: &str, key_type: i8, version: i16) -> FindCoordinatorRequest {
    let request = FindCoordinatorRequest::default().with_key_type(key_type);
    if version >= FIND_MANY {
        request.with_coordinator_keys(vec![text(key)])
    } else {
        request.with_key(text(key))
    }
}

/// `known` = the id and epoch that we have; `None` takes the transactional id over from whoever has it.
pub(super) fn init_producer_id(
    id: &str,
    timeout_ms: i32,
    known: Option<(i64, i16)>,
) -> InitProducerIdRequest {
    let (producer_id, producer_epoch) = known.unwrap_or((-1, -1));
    InitProducerIdRequest::default()
        .with_transactional_id(Some(TransactionalId(text(id))))
        .with_transaction_timeout_ms(timeout_ms)
        .with_producer_id(producer_id.into())
        .with_producer_epoch(producer_epoch)
}

/// `partitions` in order of topics.
pub(super) fn add_partitions<'a>(
    id: &str,
    identity: Identity,
    partitions: impl Iterator<Item = (&'a str, i32)>,
) -> AddPartitionsToTxnRequest {
    let mut topics: Vec<AddPartitionsToTxnTopic> = Vec::new();
    for (name, partition) in partitions {
        match topics.last_mut() {
            Some(topic) if topic.name.0.as_str() == name => topic.partitions.push(partition),
            _ => topics.push(
                AddPartitionsToTxnTopic::default()
                    .with_name(TopicName(text(name)))
                    .with_partitions(vec![partition]),
            ),
        }
    }
    AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(TransactionalId(text(id)))
        .with_v3_and_below_producer_id(identity.id.into())
        .with_v3_and_below_producer_epoch(identity.epoch)
        .with_v3_and_below_topics(topics)
}

pub(super) fn add_offsets(id: &str, identity: Identity, group: &str) -> AddOffsetsToTxnRequest {
    AddOffsetsToTxnRequest::default()
        .with_transactional_id(TransactionalId(text(id)))
        .with_producer_id(identity.id.into())
        .with_producer_epoch(identity.epoch)
        .with_group_id(GroupId(text(group)))
}

/// B11: manual assignment has generation -1 and an empty member id, which is what the defaults say.
pub(super) fn commit_offsets(id: &str, identity: Identity, offsets: &Offsets) -> TxnOffsetCommitRequest {
    let mut topics: Vec<TxnOffsetCommitRequestTopic> = Vec::new();
    for ((name, partition), offset) in &offsets.positions {
        let position = TxnOffsetCommitRequestPartition::default()
            .with_partition_index(*partition)
            .with_committed_offset(*offset)
            .with_committed_leader_epoch(-1)
            .with_committed_metadata(Some(text("")));
        match topics.last_mut() {
            Some(topic) if topic.name.0.as_str() == name => topic.partitions.push(position),
            _ => topics.push(
                TxnOffsetCommitRequestTopic::default()
                    .with_name(TopicName(text(name)))
                    .with_partitions(vec![position]),
            ),
        }
    }
    TxnOffsetCommitRequest::default()
        .with_transactional_id(TransactionalId(text(id)))
        .with_group_id(GroupId(text(&offsets.group)))
        .with_producer_id(identity.id.into())
        .with_producer_epoch(identity.epoch)
        .with_generation_id(-1)
        .with_member_id(text(""))
        .with_group_instance_id(None)
        .with_topics(topics)
}

pub(super) fn end_txn(id: &str, identity: Identity, commit: bool) -> EndTxnRequest {
    EndTxnRequest::default()
        .with_transactional_id(TransactionalId(text(id)))
        .with_producer_id(identity.id.into())
        .with_producer_epoch(identity.epoch)
        .with_committed(commit)
}

/// A request ready to be given a version and a correlation id.
pub(super) fn encoder<R: Request>(request: R) -> impl FnOnce(i16, i32, &str) -> Option<Bytes> {
    move |version, correlation, client_id| encode(&request, version, correlation, client_id)
}
