//! Replication: followers fetch, the high watermark moves, the ISR shrinks and grows (KIP-966 aside).
//!
//! ```text
//! append on the leader ──▶ delay ──▶ follower has it ──▶ all of the ISR have it ──▶ high watermark ──▶ who waits
//! ```

use crate::model::{Model, ms};
use crate::replica::Follower;
use crate::store::Store;
use crate::timer::Timer;

impl<S: Store> Model<S> {
    /// Replicas that must be in sync before a write counts. More than there are copies is asked of nobody
    /// (Partition.effectiveMinIsr, KIP-966).
    pub(crate) fn min_isr(&self, partition: usize) -> usize {
        let found = &self.partitions[partition];
        let default = self.settings.min_insync_replicas.into();
        let wanted = self.topics.number(found.topic, "min.insync.replicas", default);
        found.replicas.len().min(usize::try_from(wanted).unwrap_or(1))
    }

    /// Something is new on a leader: the followers will fetch.
    pub(crate) fn kick(&mut self, partition: usize) {
        let found = &mut self.partitions[partition];
        if found.replicas.len() < 2 {
            return;
        }
        let at = self
            .now
            .mono_ns
            .saturating_add(self.settings.replication_delay_ns);
        for replica in &mut found.replicas {
            if !replica.leads() && !replica.fetching {
                replica.fetching = true;
                let node = replica.node;
                self.timers.set(at, Timer::Replicate { partition, node });
            }
        }
    }

    /// After a change of who reaches whom.
    pub(crate) fn kick_all(&mut self) {
        for partition in 0..self.partitions.len() {
            self.kick(partition);
        }
    }

    /// A follower fetches from the leader that it knows.
    pub(crate) fn replicate(&mut self, partition: usize, node: i32) {
        let Some(replica) = self.partitions[partition].replica_mut(node) else {
            return;
        };
        replica.fetching = false;
        let leader = replica.view.leader;
        if leader == -1 || !self.linked(node, leader) || !self.partitions[partition].replicate(node) {
            return;
        }
        let now_ns = self.now.mono_ns;
        let Some(end) = self.partitions[partition]
            .replica(node)
            .map(|replica| replica.end)
        else {
            return;
        };
        if let Some(replica) = self.partitions[partition].replica_mut(leader) {
            let caught_up = replica.end == end;
            for follower in replica
                .followers
                .iter_mut()
                .filter(|follower| follower.node == node)
            {
                follower.end = end;
                if caught_up {
                    follower.caught_up_ns = now_ns;
                }
            }
        }
        self.grow_isr(partition, leader, node);
        if self.partitions[partition].commit(leader) {
            self.high_watermark_moved(partition);
        }
        let found = &self.partitions[partition];
        let behind = found
            .replica(leader)
            .zip(found.replica(node))
            .is_some_and(|(leader, follower)| {
                follower.end < leader.end || follower.high_watermark < leader.high_watermark
            });
        if behind {
            self.kick(partition);
        }
    }

    /// A follower that has all that is committed joins the ISR.
    fn grow_isr(&mut self, partition: usize, leader: i32, node: i32) {
        let found = &self.partitions[partition];
        let Some(replica) = found.replica(leader).filter(|replica| replica.leads()) else {
            return;
        };
        let same = found.decided.leader == leader && found.decided.epoch == replica.view.epoch;
        let fenced = self.node(node).is_none_or(|node| node.fenced);
        let epoch_start = replica.epochs.last().map_or(0, |(_, from)| *from);
        let caught_up = replica
            .followers
            .iter()
            .any(|follower| follower.node == node && follower.end >= replica.high_watermark.max(epoch_start));
        if same && !fenced && caught_up && !replica.view.isr.contains(&node) && self.in_touch(leader) {
            let mut view = found.decided.clone();
            view.isr.push(node);
            view.isr.sort_unstable();
            self.decide(partition, view);
            self.apply(leader, partition);
        }
    }

    /// Followers that did not catch up for replica.lag.time.max.ms leave the ISR.
    pub(crate) fn shrink_isr(&mut self) {
        let lag_ns = ms(self.settings.replica_lag_time_max_ms);
        let now_ns = self.now.mono_ns;
        for partition in 0..self.partitions.len() {
            let found = &self.partitions[partition];
            let leader = found.decided.leader;
            let Some(replica) = found.replica(leader).filter(|replica| replica.leads()) else {
                continue;
            };
            let lags = |follower: &&Follower| {
                follower.end != replica.end && now_ns.saturating_sub(follower.caught_up_ns) > lag_ns
            };
            let gone: Vec<i32> = replica
                .followers
                .iter()
                .filter(lags)
                .map(|follower| follower.node)
                .collect();
            let same = replica.view.epoch == found.decided.epoch;
            let mut view = found.decided.clone();
            view.isr.retain(|node| !gone.contains(node));
            if same && view != found.decided && self.in_touch(leader) {
                self.decide(partition, view);
                self.apply(leader, partition);
            }
        }
    }

    /// More is committed: followers hear of it, and whoever waits looks again.
    pub(crate) fn high_watermark_moved(&mut self, partition: usize) {
        self.kick(partition);
        self.wake(partition);
    }
}
