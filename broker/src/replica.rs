//! One replica of a partition: which batches it has, how far they are committed, what it remembers of producers.
//!
//! ```text
//! log start ..... last stable offset ..... high watermark ..... end
//!                 first open transaction   all in-sync replicas have it
//! ```

use std::collections::BTreeMap;

use crate::log::{Entries, Entry, Kind, Runs};
use crate::producer_state::{Completed, Producers};

/// What a node knows of who leads a partition; it may be old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    /// Node, or -1.
    pub(crate) leader: i32,
    pub(crate) epoch: i32,
    pub(crate) isr: Vec<i32>,
}

/// A transaction that was aborted, as a reader must know it (TransactionIndex).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Aborted {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    pub(crate) last_offset: i64,
}

/// What a leader knows of a follower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Follower {
    pub(crate) node: i32,
    /// End of its log when it fetched last; -1 before it did in this epoch.
    pub(crate) end: i64,
    pub(crate) caught_up_ns: u64,
}

/// One replica.
#[derive(Debug, Clone)]
pub(crate) struct Replica {
    pub(crate) node: i32,
    pub(crate) view: View,
    pub(crate) runs: Runs,
    /// First offset it has.
    pub(crate) start: i64,
    /// The offset that the next record gets.
    pub(crate) end: i64,
    pub(crate) high_watermark: i64,
    pub(crate) producers: Producers,
    /// First offsets of transactions that are open here, with their producers.
    ongoing: BTreeMap<i64, i64>,
    /// First and last offset of transactions whose marker is above the high watermark.
    undecided: BTreeMap<i64, i64>,
    pub(crate) aborted: Vec<Aborted>,
    /// Leader epochs and where each began (LeaderEpochFileCache).
    pub(crate) epochs: Vec<(i32, i64)>,
    /// While it leads: what it knows of the others.
    pub(crate) followers: Vec<Follower>,
    /// Records below this are on disk.
    pub(crate) durable: i64,
    /// Records below this will be on disk at the next writeback.
    pub(crate) dirty: i64,
    /// A fetch from the leader is on its way.
    pub(crate) fetching: bool,
}

impl Replica {
    pub(crate) fn new(node: i32, view: View) -> Replica {
        Replica {
            node,
            view,
            runs: Runs::default(),
            start: 0,
            end: 0,
            high_watermark: 0,
            producers: Producers::default(),
            ongoing: BTreeMap::new(),
            undecided: BTreeMap::new(),
            aborted: Vec::new(),
            epochs: Vec::new(),
            followers: Vec::new(),
            durable: 0,
            dirty: 0,
            fetching: false,
        }
    }

    /// Whether its node believes that it leads.
    pub(crate) fn leads(&self) -> bool {
        self.view.leader == self.node
    }

    /// Begins to lead in the epoch of its view: of the others it knows nothing yet.
    pub(crate) fn lead(&mut self, replicas: &[i32], now_ns: u64) {
        let others = replicas.iter().filter(|node| **node != self.node);
        self.followers = others
            .map(|node| Follower {
                node: *node,
                end: -1,
                caught_up_ns: now_ns,
            })
            .collect();
        self.epochs.push((self.view.epoch, self.end));
    }

    /// LSO: what a read_committed reader may see ends here.
    pub(crate) fn last_stable_offset(&self) -> i64 {
        let open = self.ongoing.first_key_value().map(|(first, _)| *first);
        let undecided = self.undecided.first_key_value().map(|(first, _)| *first);
        let first = open.into_iter().chain(undecided).min();
        first.map_or(self.high_watermark, |first| first.min(self.high_watermark))
    }

    /// First offsets and producers of transactions open here.
    pub(crate) fn ongoing(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.ongoing
            .iter()
            .map(|(first, producer_id)| (*first, *producer_id))
    }

    /// Takes an entry over as its own last one.
    pub(crate) fn append(&mut self, number: u64, entry: &Entry) {
        self.runs.push(number);
        self.end = entry.last_offset() + 1;
        if self.epochs.last().is_none_or(|last| last.0 < entry.leader_epoch) {
            self.epochs.push((entry.leader_epoch, entry.base_offset));
        }
        self.note(entry);
    }

    fn note(&mut self, entry: &Entry) {
        if let Some(done) = self.producers.note(entry) {
            self.complete(done);
        } else if entry.kind == Kind::Transactional
            && self.producers.transaction_start(entry.producer_id) == Some(entry.base_offset)
        {
            self.ongoing.insert(entry.base_offset, entry.producer_id);
        }
    }

    fn complete(&mut self, done: Completed) {
        self.ongoing.remove(&done.first_offset);
        self.undecided.insert(done.first_offset, done.last_offset);
        if done.aborted {
            self.aborted.push(Aborted {
                producer_id: done.producer_id,
                first_offset: done.first_offset,
                last_offset: done.last_offset,
            });
        }
    }

    /// Moves the high watermark forward; answers whether it moved.
    pub(crate) fn raise_high_watermark(&mut self, to: i64) -> bool {
        let to = to.min(self.end);
        if to <= self.high_watermark {
            return false;
        }
        self.high_watermark = to;
        self.undecided.retain(|_, last| *last >= to);
        true
    }

    /// Keeps what stands up to and with an entry, and forgets the rest, as Kafka does when it truncates: producers are
    /// rebuilt from what is left.
    pub(crate) fn truncate(&mut self, entries: &Entries, last: Option<u64>) {
        if self.runs.last() == last {
            return;
        }
        self.runs.cut(last);
        self.end = self
            .runs
            .last()
            .map_or(self.start, |number| entries.get(number).last_offset() + 1);
        self.high_watermark = self.high_watermark.min(self.end);
        self.durable = self.durable.min(self.end);
        self.dirty = self.dirty.min(self.end);
        let end = self.end;
        self.epochs.retain(|(_, from)| *from < end);
        self.rebuild(entries);
    }

    /// Reads its log again.
    pub(crate) fn rebuild(&mut self, entries: &Entries) {
        self.producers = Producers::default();
        self.ongoing.clear();
        self.undecided.clear();
        self.aborted.clear();
        let numbers: Vec<u64> = self.runs.iter().collect();
        for number in numbers {
            self.note(entries.get(number));
        }
        self.settle();
    }

    /// Transactions whose marker is below the high watermark are decided.
    pub(crate) fn settle(&mut self) {
        let mark = self.high_watermark;
        self.undecided.retain(|_, last| *last >= mark);
    }

    /// Deletes records below `offset`.
    pub(crate) fn trim(&mut self, entries: &Entries, offset: i64) {
        self.runs.trim(entries, offset);
        self.start = self.start.max(offset);
        self.end = self.end.max(self.start);
        self.high_watermark = self.high_watermark.max(self.start);
        self.aborted.retain(|aborted| aborted.last_offset >= offset);
        let kept = self.epochs.partition_point(|(_, from)| *from <= offset);
        self.epochs.drain(..kept.saturating_sub(1));
    }

    /// The largest epoch that is not larger than `epoch`, and where it ended (OffsetForLeaderEpoch); the epoch of the
    /// view ends at the end of the log.
    pub(crate) fn end_of_epoch(&self, epoch: i32) -> (i32, i64) {
        if epoch == self.view.epoch && self.leads() {
            return (epoch, self.end);
        }
        let behind = self.epochs.partition_point(|(known, _)| *known <= epoch);
        match (self.epochs.get(behind.wrapping_sub(1)), self.epochs.get(behind)) {
            (Some((known, _)), Some((_, end))) => (*known, *end),
            // Kafka knows nothing of an epoch beyond its newest, nor of one before its oldest but where the log begins.
            (None, Some((_, from))) => (epoch, *from),
            _ => (-1, -1),
        }
    }
}

#[cfg(test)]
mod tests;
