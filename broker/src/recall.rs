//! A cluster that died whole comes back: facts first, then every log is read, and cut where its tail is torn.
//!
//! What comes back is what Kafka would show after kill -9 of every node: replicas are equal, a new leader epoch begins,
//! of each producer one batch is known (M5), and transactions that were being ended get their markers.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::BytesMut;

use crate::batch::{self, Header};
use crate::coordinator::transaction::Transaction;
use crate::fact::{Fact, OffsetFact, TransactionFact};
use crate::log::{Entry, Kind};
use crate::model::{Model, Now};
use crate::partition::Partition;
use crate::replica::View;
use crate::store::{LogId, Store, StoreError};
use crate::timer::Timer;
use crate::topics::Topic;

/// Bytes of a log read at once; a batch larger than it is read whole.
const READ_BYTES: usize = 1 << 20;

/// Why a cluster does not come back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecallError {
    /// A log could not be read or cut.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A fact that no cluster of these settings remembers: facts of another version, or damaged.
    #[error("a fact that does not fit: {0}")]
    Fact(String),
}

/// What facts say of a log that only its bytes can complete.
#[derive(Debug, Default)]
struct Logs {
    cuts: BTreeMap<LogId, Vec<Range<u64>>>,
    starts: BTreeMap<LogId, (i64, u64)>,
}

impl<S: Store> Model<S> {
    /// Rebuilds what a cluster knew from its facts, in the order they were remembered, and the store's logs.
    /// Call it on a new model, before anything else.
    pub fn recall(&mut self, facts: Vec<Fact>, now: Now) -> Result<(), RecallError> {
        self.now = now;
        let mut logs = Logs::default();
        for fact in facts {
            self.recall_fact(fact, &mut logs)?;
        }
        for partition in 0..self.partitions.len() {
            if !self.topics.is_deleted(self.partitions[partition].topic) {
                self.recall_log(partition, &logs)?;
                self.begin_epoch(partition);
            }
        }
        let ending = self.transactions.values().filter(|found| found.state.ending());
        let ending: Vec<String> = ending.map(|found| found.id.clone()).collect();
        for id in ending {
            self.timers.set(self.now.mono_ns, Timer::Markers { id });
        }
        Ok(())
    }

    fn recall_fact(&mut self, fact: Fact, logs: &mut Logs) -> Result<(), RecallError> {
        match fact {
            Fact::Topic {
                name,
                id,
                partitions,
                configs,
            } => {
                let known = self
                    .topics
                    .by_id(id)
                    .and_then(|topic| self.topics.index(&topic.name));
                let topic = match known {
                    Some(topic) => topic,
                    None => self.topics.add(Topic {
                        name,
                        id,
                        partitions: Vec::new(),
                        configs: BTreeMap::new(),
                        deleted: false,
                    }),
                };
                self.topics.all[topic].configs = configs.into_iter().collect();
                let has = self.topics.all[topic].partitions.len();
                for (log, nodes) in partitions.into_iter().skip(has) {
                    self.recall_partition(topic, log, &nodes)?;
                }
            }
            Fact::Logs { next } => self.fill_up_to(next as usize)?,
            Fact::TopicDeleted { id } => {
                if let Some(at) = self
                    .topics
                    .by_id(id)
                    .and_then(|topic| self.topics.index(&topic.name))
                {
                    self.topics.remove(at);
                }
            }
            Fact::Leader {
                log,
                leader,
                epoch,
                isr,
            } => {
                self.partition_of_log(log)?.decided = View { leader, epoch, isr };
            }
            Fact::Cut { log, from, to } => {
                let cuts = logs.cuts.entry(log).or_default();
                cuts.retain(|cut| cut.start != from);
                cuts.push(from..to);
            }
            Fact::LogStart {
                log,
                offset,
                position,
            } => {
                logs.starts.insert(log, (offset, position));
            }
            Fact::ProducerIds { next } => self.next_producer_id = next,
            Fact::Transaction(fact) => self.recall_transaction(fact)?,
            Fact::TransactionForgotten { id } => {
                self.transactions.remove(&id);
            }
            Fact::Offset(fact) => self.recall_offset(fact),
            Fact::PendingOffsetsDone { group, producer_id } => {
                self.groups.drop_pending(producer_id, &group);
            }
            Fact::OffsetForgotten {
                group,
                topic,
                partition,
            } => {
                self.groups.forget(&group, &(topic, partition));
            }
        }
        Ok(())
    }

    fn recall_partition(&mut self, topic: usize, log: LogId, nodes: &[i32]) -> Result<(), RecallError> {
        if nodes.is_empty() || nodes.iter().any(|node| self.node(*node).is_none()) {
            return Err(RecallError::Fact(format!(
                "log {} lies on nodes {nodes:?}",
                log.0
            )));
        }
        let at = log.0 as usize;
        self.fill_up_to(at)?;
        let index = self.topics.all[topic].partitions.len() as i32;
        let view = View {
            leader: nodes[0],
            epoch: 0,
            isr: nodes.to_vec(),
        };
        let partition = Partition::new(log, topic, index, nodes, view);
        if at < self.partitions.len() {
            self.partitions[at] = partition;
        } else {
            self.partitions.push(partition);
        }
        self.topics.all[topic].partitions.push(at);
        Ok(())
    }

    /// Logs of topics deleted long ago leave their numbers.
    fn fill_up_to(&mut self, count: usize) -> Result<(), RecallError> {
        if count > self.settings.max_partitions {
            return Err(RecallError::Fact(format!(
                "more than {} logs",
                self.settings.max_partitions
            )));
        }
        if self.partitions.len() < count {
            let topic = self.topics.add_deleted();
            for at in self.partitions.len()..count {
                let view = View {
                    leader: -1,
                    epoch: 0,
                    isr: Vec::new(),
                };
                self.partitions
                    .push(Partition::new(LogId(at as u32), topic, -1, &[], view));
            }
        }
        Ok(())
    }

    fn partition_of_log(&mut self, log: LogId) -> Result<&mut Partition, RecallError> {
        self.partitions
            .get_mut(log.0 as usize)
            .ok_or_else(|| RecallError::Fact(format!("log {} belongs to no topic", log.0)))
    }

    fn recall_transaction(&mut self, fact: TransactionFact) -> Result<(), RecallError> {
        for log in &fact.partitions {
            self.partition_of_log(*log)?;
        }
        let id = fact.id.clone();
        let state = fact.state.clone();
        let transaction = Transaction::recall(fact)
            .ok_or_else(|| RecallError::Fact(format!("transaction {id} is in state {state}")))?;
        self.transactions.insert(id, transaction);
        Ok(())
    }

    fn recall_offset(&mut self, fact: OffsetFact) {
        self.groups.recall(fact);
    }

    /// Reads a log from its first kept position on; what does not hold together is cut off.
    fn recall_log(&mut self, partition: usize, logs: &Logs) -> Result<(), RecallError> {
        let log = self.partitions[partition].log;
        let (start, mut position) = logs.starts.get(&log).copied().unwrap_or((0, 0));
        let cuts = logs.cuts.get(&log).map_or(&[][..], Vec::as_slice);
        for replica in &mut self.partitions[partition].replicas {
            replica.start = start;
            replica.end = start;
        }
        let end = self.store.end(log);
        let mut bytes = BytesMut::new();
        let mut want = READ_BYTES;
        while position < end {
            bytes.clear();
            let length = want.min((end - position) as usize);
            self.store.read(log, position, length, &mut bytes)?;
            let read = self.recall_batches(partition, position, &bytes, cuts);
            if read > 0 {
                position += read as u64;
                want = READ_BYTES;
                continue;
            }
            // Not one whole batch: the chunk is too small for it, or it is torn.
            match Header::parse(&bytes) {
                Some(header) if header.size > length && header.size as u64 <= end - position => {
                    want = header.size;
                }
                _ => {
                    self.store.truncate(log, position)?;
                    break;
                }
            }
        }
        let (wall_ms, after_ms) = (self.now.wall_ms, self.settings.producer_id_expiration_ms);
        for replica in &mut self.partitions[partition].replicas {
            replica.high_watermark = replica.end;
            replica.durable = replica.end;
            replica.dirty = replica.end;
            replica.settle();
            replica.producers.restart(wall_ms, after_ms);
        }
        self.partitions[partition].committed = self.partitions[partition]
            .replicas
            .first()
            .map_or(0, |replica| replica.end);
        Ok(())
    }

    /// Takes whole, sound batches over; answers how many bytes they have.
    fn recall_batches(
        &mut self,
        partition: usize,
        position: u64,
        bytes: &[u8],
        cuts: &[Range<u64>],
    ) -> usize {
        let mut at = 0;
        while let Some(header) = Header::parse(&bytes[at..]) {
            let Some(batch) = bytes
                .get(at..at + header.size)
                .filter(|batch| batch::sound(&header, batch))
            else {
                break;
            };
            let here = position + at as u64;
            at += header.size;
            let kind = match (header.control(), header.transactional()) {
                (true, _) if batch::commits(batch) => Kind::Commit,
                (true, _) => Kind::Abort,
                (false, true) => Kind::Transactional,
                (false, false) => Kind::Plain,
            };
            let mut entry = Entry::new(&header, kind, header.base_offset, header.leader_epoch);
            entry.position = here;
            let found = &mut self.partitions[partition];
            // What was cut off keeps its number, so that the gap stays known.
            let number = found.entries.push(entry);
            if cuts.iter().any(|cut| cut.contains(&here)) {
                continue;
            }
            for replica in &mut found.replicas {
                replica.append(number, &entry);
            }
        }
        at
    }

    /// Every node was restarted: the same leader where there was one, in a new epoch, and all replicas in sync.
    fn begin_epoch(&mut self, partition: usize) {
        let now_ns = self.now.mono_ns;
        let found = &mut self.partitions[partition];
        let nodes: Vec<i32> = found.replicas.iter().map(|replica| replica.node).collect();
        let leader = if found.decided.leader == -1 {
            nodes[0]
        } else {
            found.decided.leader
        };
        let mut isr = nodes.clone();
        isr.sort_unstable();
        let view = View {
            leader,
            epoch: found.decided.epoch + 1,
            isr,
        };
        found.decided = view.clone();
        for replica in &mut found.replicas {
            replica.view = view.clone();
            if replica.leads() {
                replica.lead(&nodes, now_ns);
            }
        }
        let log = found.log;
        self.remember(Fact::Leader {
            log,
            leader,
            epoch: view.epoch,
            isr: view.isr,
        });
        self.kick(partition);
    }

    /// Everything true now, as facts: what a new file of facts begins with.
    pub fn facts(&self) -> Vec<Fact> {
        let mut facts = vec![
            Fact::Logs {
                next: self.partitions.len() as u32,
            },
            Fact::ProducerIds {
                next: self.next_producer_id,
            },
        ];
        for topic in self.topics.iter() {
            if let Some(at) = self.topics.index(&topic.name) {
                facts.push(self.topic_fact(at));
            }
            for partition in &topic.partitions {
                let found = &self.partitions[*partition];
                let view = found.decided.clone();
                facts.push(Fact::Leader {
                    log: found.log,
                    leader: view.leader,
                    epoch: view.epoch,
                    isr: view.isr,
                });
                facts.extend(self.log_facts(*partition));
            }
        }
        let transactions = self.transactions.values();
        facts.extend(transactions.map(|found| Fact::Transaction(found.fact(|at| LogId(at as u32)))));
        facts.extend(self.groups.facts());
        facts
    }

    fn log_facts(&self, partition: usize) -> Vec<Fact> {
        let found = &self.partitions[partition];
        let Some(replica) = found.replica(found.decided.leader).or(found.replicas.first()) else {
            return Vec::new();
        };
        let mut facts = self.cuts_of(replica.node, partition);
        if replica.start > 0 {
            let first = replica.runs.iter().next();
            let position = first.map_or(self.store.end(found.log), |number| {
                found.entries.get(number).position
            });
            facts.push(Fact::LogStart {
                log: found.log,
                offset: replica.start,
                position,
            });
        }
        facts
    }
}

#[cfg(test)]
mod tests;
