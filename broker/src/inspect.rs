//! For judges: the truth about the cluster, past every client's view of it.

use bytes::{Bytes, BytesMut};

use crate::fact::TransactionFact;
use crate::log::Kind;
use crate::model::{ConnectionId, Model};
use crate::partition::Partition;
use crate::replica::Replica;
use crate::store::{LogId, Store, StoreError};

/// A partition as the controller and its leader know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionState {
    /// Its log in the store.
    pub log: LogId,
    /// Node, or -1.
    pub leader: i32,
    /// Leader epoch.
    pub leader_epoch: i32,
    /// All replicas, the preferred one first.
    pub replicas: Vec<i32>,
    /// In-sync replicas.
    pub isr: Vec<i32>,
    /// First offset kept.
    pub log_start: i64,
    /// What a read_committed reader sees ends here.
    pub last_stable_offset: i64,
    /// What any reader sees ends here.
    pub high_watermark: i64,
    /// The offset that the next record gets.
    pub log_end: i64,
    /// The highest that the high watermark ever was: what lies below it must never be lost.
    pub committed: i64,
    /// First offset and producer id of transactions open here.
    pub open_transactions: Vec<(i64, i64)>,
}

/// One batch in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Offset of its first record.
    pub base_offset: i64,
    /// Offset of its last record.
    pub last_offset: i64,
    /// Where it begins in the store.
    pub position: u64,
    /// Its bytes.
    pub size: u32,
    /// Producer id, or -1.
    pub producer_id: i64,
    /// Producer epoch, or -1.
    pub producer_epoch: i16,
    /// Sequence of its first record, or -1.
    pub base_sequence: i32,
    /// Epoch of the leader that appended it.
    pub leader_epoch: i32,
    /// Written inside a transaction.
    pub transactional: bool,
    /// A marker: true commits, false aborts.
    pub marker: Option<bool>,
}

/// What a partition's leader remembers of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerSeen {
    /// Producer id.
    pub producer_id: i64,
    /// Its newest epoch here.
    pub epoch: i16,
    /// Sequence of its last record, or -1.
    pub last_sequence: i32,
    /// Where its open transaction begins, or -1.
    pub transaction_start: i64,
}

impl<S: Store> Model<S> {
    /// Names and numbers of partitions of all topics.
    pub fn topics(&self) -> impl Iterator<Item = (&str, i32)> {
        self.topics
            .iter()
            .map(|topic| (topic.name.as_str(), topic.partitions.len() as i32))
    }

    /// A partition's state.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<PartitionState> {
        let (found, replica) = self.truth(topic, partition)?;
        Some(PartitionState {
            log: found.log,
            leader: found.decided.leader,
            leader_epoch: found.decided.epoch,
            replicas: found.replicas.iter().map(|replica| replica.node).collect(),
            isr: found.decided.isr.clone(),
            log_start: replica.start,
            last_stable_offset: replica.last_stable_offset(),
            high_watermark: replica.high_watermark,
            log_end: replica.end,
            committed: found.committed,
            open_transactions: replica.ongoing().collect(),
        })
    }

    /// The batches of a partition, as its leader has them.
    pub fn batches(&self, topic: &str, partition: i32) -> impl Iterator<Item = Batch> + '_ {
        let truth = self.truth(topic, partition);
        truth.into_iter().flat_map(|(found, replica)| {
            replica.runs.iter().map(|number| {
                let entry = found.entries.get(number);
                Batch {
                    base_offset: entry.base_offset,
                    last_offset: entry.last_offset(),
                    position: entry.position,
                    size: entry.size,
                    producer_id: entry.producer_id,
                    producer_epoch: entry.producer_epoch,
                    base_sequence: entry.base_sequence,
                    leader_epoch: entry.leader_epoch,
                    transactional: entry.kind != Kind::Plain,
                    marker: entry.control().then_some(entry.kind == Kind::Commit),
                }
            })
        })
    }

    /// The bytes of a batch.
    pub fn read(&mut self, log: LogId, batch: &Batch) -> Result<Bytes, StoreError> {
        let mut bytes = BytesMut::with_capacity(batch.size as usize);
        self.store
            .read(log, batch.position, batch.size as usize, &mut bytes)?;
        Ok(bytes.freeze())
    }

    /// What a partition's leader remembers of producers.
    pub fn producers(&self, topic: &str, partition: i32) -> Vec<ProducerSeen> {
        let Some((_, replica)) = self.truth(topic, partition) else {
            return Vec::new();
        };
        let seen = replica
            .producers
            .iter()
            .map(|(producer_id, producer)| ProducerSeen {
                producer_id,
                epoch: producer.epoch,
                last_sequence: producer.last_sequence(),
                transaction_start: producer.transaction_start.unwrap_or(-1),
            });
        seen.collect()
    }

    /// A transactional id as its coordinator knows it.
    pub fn transaction(&self, id: &str) -> Option<TransactionFact> {
        self.transactions
            .get(id)
            .map(|found| found.fact(|partition| LogId(partition as u32)))
    }

    /// The offset that a group committed.
    pub fn group_offset(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        self.groups.get(group, topic, partition)
    }

    /// The node that coordinates a group (0) or a transactional id (1); -1 when none does.
    pub fn coordinator_of(&self, key_type: i8, key: &str) -> i32 {
        self.coordinator(key_type, key)
    }

    /// All nodes, whatever their state.
    pub fn node_ids(&self) -> impl Iterator<Item = i32> + '_ {
        self.nodes.iter().map(|node| node.id)
    }

    /// Whether a connection to a node is taken: also while it is paused, since the kernel takes it.
    pub fn accepts(&self, node: i32) -> bool {
        self.node(node).is_some_and(|node| node.accepts())
    }

    /// Whether a request of this connection is being served. It is served to its end, whether or not the client waits.
    pub fn works_on(&self, connection: ConnectionId) -> bool {
        let found = self.connections.get(&connection);
        found.is_some_and(|found| found.current.is_some())
    }

    /// Whether a node is up, and not paused.
    pub fn is_serving(&self, node: i32) -> bool {
        self.node(node).is_some_and(|node| node.serves())
    }

    /// The replica that counts: the leader's, or while there is none the longest of those in sync.
    fn truth(&self, topic: &str, partition: i32) -> Option<(&Partition, &Replica)> {
        let found = &self.partitions[self.topics.partition(topic, partition)?];
        let in_sync = |replica: &&Replica| found.decided.isr.contains(&replica.node);
        let longest = || {
            found
                .replicas
                .iter()
                .filter(in_sync)
                .max_by_key(|replica| replica.end)
        };
        let leader = found.replica(found.decided.leader);
        leader.or_else(longest).map(|replica| (found, replica))
    }
}
