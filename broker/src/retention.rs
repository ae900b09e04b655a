//! What time takes away: old records, idle producers, idle transactional ids, old group offsets.

use crate::fact::Fact;
use crate::model::Model;
use crate::store::Store;

impl<S: Store> Model<S> {
    /// Everything that expires, at every log.retention.check.interval.ms.
    pub(crate) fn expire(&mut self) {
        let wall_ms = self.now.wall_ms;
        for partition in 0..self.partitions.len() {
            self.expire_records(partition);
        }
        let after_ms = self.settings.transactional_id_expiration_ms;
        let idle = self
            .transactions
            .values()
            .filter(|found| found.expired(wall_ms, after_ms));
        let idle: Vec<String> = idle.map(|found| found.id.clone()).collect();
        for id in idle {
            self.transactions.remove(&id);
            self.remember(Fact::TransactionForgotten { id });
        }
        self.expire_offsets();
    }

    /// By the timestamps of their records, at every producer.id.expiration.check.interval.ms.
    pub(crate) fn expire_producers(&mut self) {
        let (wall_ms, after_ms) = (self.now.wall_ms, self.settings.producer_id_expiration_ms);
        for partition in &mut self.partitions {
            for replica in &mut partition.replicas {
                replica.producers.expire(wall_ms, after_ms);
            }
        }
    }

    /// Kafka deletes whole segments; here a batch is its own segment, so records go as soon as they may.
    fn expire_records(&mut self, partition: usize) {
        let found = &self.partitions[partition];
        let deletes = self
            .topics
            .word(found.topic, "cleanup.policy", "delete")
            .contains("delete");
        let retention_ms = self
            .topics
            .number(found.topic, "retention.ms", self.settings.log_retention_ms);
        let Some(leader) = found
            .replica(found.decided.leader)
            .filter(|replica| replica.leads())
        else {
            return;
        };
        if !deletes || retention_ms < 0 || !self.node(leader.node).is_some_and(|node| node.serves()) {
            return;
        }
        let oldest_ms = self.now.wall_ms.saturating_sub(retention_ms);
        let entries = leader.runs.iter().map(|number| found.entries.get(number));
        let old =
            |last_offset: i64, timestamp: i64| last_offset < leader.high_watermark && timestamp < oldest_ms;
        let start = entries
            .take_while(|entry| old(entry.last_offset(), entry.max_timestamp))
            .last()
            .map(|entry| entry.last_offset() + 1);
        if let Some(start) = start {
            self.delete_before(partition, start);
        }
    }

    fn delete_before(&mut self, partition: usize, offset: i64) {
        let log = self.partitions[partition].log;
        let position = self.partitions[partition]
            .trim(offset)
            .unwrap_or_else(|| self.store.end(log));
        self.store.trim(log, position);
        self.remember(Fact::LogStart {
            log,
            offset,
            position,
        });
    }
}
