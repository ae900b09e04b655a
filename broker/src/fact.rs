//! Facts: what must be remembered beside the logs, so that a cluster that died whole goes on where it was.
//!
//! ```text
//! model ── Action::Remember(fact) ──▶ shell's file        in order; a later fact about the same thing replaces it
//! shell's file ── Model::recall(facts) ──▶ model          then the logs themselves are read from the store
//! ```
//!
//! [`crate::Model::facts`] gives all that is true now, to start a new file with.

use crate::store::LogId;

/// One thing to remember.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Fact {
    /// A topic, whole: made or changed.
    Topic {
        /// Name.
        name: String,
        /// Kafka's topic id.
        id: [u8; 16],
        /// Log and replicas of each partition.
        partitions: Vec<(LogId, Vec<i32>)>,
        /// Properties that were set.
        configs: Vec<(String, String)>,
    },
    /// Logs below this are given away, those of deleted topics included.
    Logs {
        /// The next one.
        next: u32,
    },
    /// A topic is gone.
    TopicDeleted {
        /// Its id.
        id: [u8; 16],
    },
    /// Who leads a partition.
    Leader {
        /// The partition's log.
        log: LogId,
        /// Node, or -1.
        leader: i32,
        /// Leader epoch.
        epoch: i32,
        /// In-sync replicas.
        isr: Vec<i32>,
    },
    /// Bytes from `from` up to `to` are in the log file and not in the log: an election or a power loss cut them off.
    Cut {
        /// Which log.
        log: LogId,
        /// First position that is out.
        from: u64,
        /// First position that is in again.
        to: u64,
    },
    /// Records before this offset are deleted.
    LogStart {
        /// Which log.
        log: LogId,
        /// The first offset kept.
        offset: i64,
        /// Where its batch begins.
        position: u64,
    },
    /// Producer ids below this are given away.
    ProducerIds {
        /// The next one.
        next: i64,
    },
    /// A transactional id's state, whole.
    Transaction(TransactionFact),
    /// A transactional id expired.
    TransactionForgotten {
        /// Which.
        id: String,
    },
    /// A group's committed offset.
    Offset(OffsetFact),
    /// The transaction that held a group's pending offsets is decided; those that count follow as [`Fact::Offset`].
    PendingOffsetsDone {
        /// Group.
        group: String,
        /// Whose transaction.
        producer_id: i64,
    },
    /// A group's offset expired or was deleted.
    OffsetForgotten {
        /// Group.
        group: String,
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
    },
}

/// A transactional id as its coordinator knows it (TransactionMetadata).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TransactionFact {
    /// transactional.id.
    pub id: String,
    /// Its producer id.
    pub producer_id: i64,
    /// The producer id before the last rotation, or -1.
    pub previous_producer_id: i64,
    /// The producer id after this transaction, or -1.
    pub next_producer_id: i64,
    /// Epoch; -1 before the first.
    pub epoch: i16,
    /// Epoch before the last bump, or -1.
    pub last_epoch: i16,
    /// transaction.timeout.ms.
    pub timeout_ms: i32,
    /// TransactionState's name.
    pub state: String,
    /// Partitions of the open transaction, by log.
    pub partitions: Vec<LogId>,
    /// Groups whose offsets are in the open transaction.
    pub groups: Vec<String>,
    /// When the transaction began, or -1.
    pub started_ms: i64,
    /// When the state last changed.
    pub updated_ms: i64,
}

/// An offset of a group.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OffsetFact {
    /// Group.
    pub group: String,
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Next offset to read.
    pub offset: i64,
    /// Leader epoch of the record before it, or -1.
    pub leader_epoch: i32,
    /// The committer's own text.
    pub metadata: String,
    /// When.
    pub committed_ms: i64,
    /// The producer whose open transaction holds it, or -1: committed.
    pub pending_producer_id: i64,
}
