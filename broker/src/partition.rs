//! One partition: what the controller decided about it, and its replicas.

use bytes::Bytes;

use crate::batch::{HEAD_BYTES, Header, Marker, Refused, refused};
use crate::code;
use crate::log::{Entries, Entry, Kind, trim_entries};
use crate::producer_state::{Check, Verified};
use crate::replica::{Replica, View};
use crate::store::{LogId, Store};

/// One partition.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) log: LogId,
    /// Index of its topic.
    pub(crate) topic: usize,
    pub(crate) index: i32,
    /// What the controller decided last.
    pub(crate) decided: View,
    pub(crate) entries: Entries,
    /// In the order of the assignment: the first is preferred.
    pub(crate) replicas: Vec<Replica>,
    /// Highest offset that ever was below a leader's high watermark: what must never be lost.
    pub(crate) committed: i64,
}

/// Where a batch stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) base_offset: i64,
    /// The high watermark that means that all in-sync replicas have it.
    pub(crate) needs: i64,
    /// False: it had been appended before.
    pub(crate) new: bool,
    /// What the answer says of the time of the append: -1 where the topic has no such thing. Of a batch that had been
    /// appended before it says the newest timestamp.
    pub(crate) append_time: i64,
}

impl Partition {
    pub(crate) fn new(log: LogId, topic: usize, index: i32, nodes: &[i32], decided: View) -> Partition {
        let replicas = nodes.iter().map(|node| Replica::new(*node, decided.clone()));
        Partition {
            log,
            topic,
            index,
            entries: Entries::default(),
            replicas: replicas.collect(),
            decided,
            committed: 0,
        }
    }

    /// A new partition's leader begins its first epoch.
    pub(crate) fn start_epoch(&mut self, node: i32, now_ns: u64) {
        let others: Vec<i32> = self.replicas.iter().map(|replica| replica.node).collect();
        if let Some(replica) = self.replica_mut(node).filter(|replica| replica.leads()) {
            replica.lead(&others, now_ns);
        }
    }

    /// Its topic is deleted: nothing is left of it.
    pub(crate) fn empty(&mut self, gone: View) {
        self.entries = Entries::default();
        for replica in &mut self.replicas {
            *replica = Replica::new(replica.node, gone.clone());
        }
        self.decided = gone;
    }

    pub(crate) fn replica(&self, node: i32) -> Option<&Replica> {
        self.replicas.iter().find(|replica| replica.node == node)
    }

    pub(crate) fn replica_mut(&mut self, node: i32) -> Option<&mut Replica> {
        self.replicas.iter_mut().find(|replica| replica.node == node)
    }

    /// Appends a client's batch on a node that believes to lead, or finds that it was appended before.
    pub(crate) fn append<S: Store>(
        &mut self,
        node: i32,
        header: &Header,
        batch: &Bytes,
        verified: Verified,
        store: &mut S,
    ) -> Result<Appended, Refused> {
        let replica = self
            .replicas
            .iter_mut()
            .find(|replica| replica.node == node && replica.leads())
            .ok_or(refused(
                code::NOT_LEADER_OR_FOLLOWER,
                "this node does not lead it",
            ))?;
        if header.producer_id >= 0
            && let Check::Duplicate {
                base_offset,
                last_offset,
                timestamp,
            } = replica.producers.check(header, verified)?
        {
            return Ok(Appended {
                base_offset,
                needs: last_offset + 1,
                new: false,
                append_time: timestamp,
            });
        }
        let kind = if header.transactional() {
            Kind::Transactional
        } else {
            Kind::Plain
        };
        let entry = Entry::new(header, kind, replica.end, replica.view.epoch);
        self.write(node, entry, &batch[..header.size], store)
    }

    /// Appends a marker on a node that believes to lead.
    pub(crate) fn append_marker<S: Store>(
        &mut self,
        node: i32,
        marker: &Marker,
        store: &mut S,
    ) -> Result<Appended, Refused> {
        let replica = self
            .replicas
            .iter()
            .find(|replica| replica.node == node && replica.leads())
            .ok_or(refused(
                code::NOT_LEADER_OR_FOLLOWER,
                "this node does not lead it",
            ))?;
        if !replica.producers.check_marker(
            marker.producer_id,
            marker.producer_epoch,
            marker.coordinator_epoch,
        ) {
            return Err(refused(
                code::INVALID_PRODUCER_EPOCH,
                "a marker of an older epoch",
            ));
        }
        let bytes = marker.encode();
        let header =
            Header::parse(&bytes).ok_or(refused(code::UNKNOWN_SERVER_ERROR, "a marker without a header"))?;
        let kind = if marker.commit { Kind::Commit } else { Kind::Abort };
        let entry = Entry::new(&header, kind, replica.end, replica.view.epoch);
        let appended = self.write(node, entry, &bytes, store)?;
        if let Some(replica) = self.replica_mut(node) {
            replica
                .producers
                .note_coordinator(marker.producer_id, marker.coordinator_epoch);
        }
        Ok(appended)
    }

    fn write<S: Store>(
        &mut self,
        node: i32,
        mut entry: Entry,
        batch: &[u8],
        store: &mut S,
    ) -> Result<Appended, Refused> {
        let mut head = [0; HEAD_BYTES];
        head.copy_from_slice(&batch[..HEAD_BYTES]);
        head[..8].copy_from_slice(&entry.base_offset.to_be_bytes());
        head[12..].copy_from_slice(&entry.leader_epoch.to_be_bytes());
        entry.position = store
            .append(self.log, &head, &batch[HEAD_BYTES..])
            .map_err(|_| refused(code::KAFKA_STORAGE_ERROR, "the log could not be written"))?;
        let number = self.entries.push(entry);
        if let Some(replica) = self.replica_mut(node) {
            replica.append(number, &entry);
        }
        Ok(Appended {
            base_offset: entry.base_offset,
            needs: entry.last_offset() + 1,
            new: true,
            append_time: -1,
        })
    }

    /// A follower fetches: it drops what its leader does not have, and takes what it lacks. Answers whether it can:
    /// both must agree on who leads.
    pub(crate) fn replicate(&mut self, follower: i32) -> bool {
        let Some(at) = self.replicas.iter().position(|replica| replica.node == follower) else {
            return false;
        };
        let mut replica = std::mem::replace(
            &mut self.replicas[at],
            Replica::new(follower, self.decided.clone()),
        );
        let leader = self.replicas.iter().find(|other| {
            other.node == replica.view.leader && other.leads() && other.view.epoch == replica.view.epoch
        });
        let agreed = leader.is_some() && !replica.leads();
        if let Some(leader) = leader.filter(|_| agreed) {
            let common = replica.runs.common(&leader.runs);
            replica.truncate(&self.entries, common);
            if replica.end < leader.start {
                replica.trim(&self.entries, leader.start);
            }
            for number in leader.runs.behind(common) {
                replica.append(number, self.entries.get(number));
            }
            for epoch in &leader.epochs {
                if replica.epochs.last().is_none_or(|last| last.0 < epoch.0) {
                    replica.epochs.push(*epoch);
                }
            }
            replica.raise_high_watermark(leader.high_watermark);
        }
        self.replicas[at] = replica;
        agreed
    }

    /// The leader's high watermark follows what the in-sync replicas have; answers whether it moved.
    pub(crate) fn commit(&mut self, leader: i32) -> bool {
        let Some(replica) = self.replica_mut(leader).filter(|replica| replica.leads()) else {
            return false;
        };
        let others = replica
            .followers
            .iter()
            .filter(|follower| replica.view.isr.contains(&follower.node))
            .map(|follower| follower.end);
        let to = others.fold(replica.end, i64::min);
        let moved = replica.raise_high_watermark(to);
        if moved {
            self.committed = self.committed.max(to);
        }
        moved
    }

    /// Deletes records below `offset` everywhere; answers the first position still needed.
    pub(crate) fn trim(&mut self, offset: i64) -> Option<u64> {
        for replica in &mut self.replicas {
            replica.trim(&self.entries, offset);
        }
        let first = self
            .replicas
            .iter()
            .filter_map(|replica| replica.runs.iter().next());
        let position = first.map(|number| self.entries.get(number).position).min();
        trim_entries(
            &mut self.entries,
            self.replicas.iter().map(|replica| &replica.runs),
        );
        position
    }
}
