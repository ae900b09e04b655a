//! One partition as a broker sees it: Kafka's ProducerStateManager and UnifiedLog, as far as a producer can tell.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::records::RecordBatchDecoder;

/// Batches that a broker remembers per producer (M2), and how many of them survive its restart (M5).
const REMEMBERED: usize = 5;
const REMEMBERED_AFTER_RESTART: usize = 1;
/// `producer.id.expiration.ms`, counted from the newest timestamp of a producer's last batch.
const EXPIRATION_MS: i64 = 24 * 3600 * 1000;

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) base_offset: i64,
    pub(super) stamp: Stamp,
    pub(super) ids: Vec<u64>,
    /// Newest timestamp of its records.
    dated_ms: i64,
    /// Acknowledged, or followed by what was: never lost with a leader.
    pub(super) committed: bool,
    /// Belongs to a transaction: the next marker of the same producer decides over it.
    pub(super) transactional: bool,
}

/// The end of a transaction in this log: behind so many entries, of this producer, committed or not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marker {
    at: usize,
    producer_id: i64,
    commit: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Log {
    pub(super) entries: Vec<Entry>,
    pub(super) markers: Vec<Marker>,
    pub(super) leader: i32,
    pub(super) epoch: i32,
    /// What a node that does not lead answers.
    pub(super) not_leader: i16,
    /// Of these producers nothing before this entry is known any more.
    forgotten: BTreeMap<i64, usize>,
    remembered: usize,
}

/// What a batch says of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stamp {
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
    pub(super) base_sequence: i32,
    pub(super) records: i32,
}

impl Log {
    pub(super) fn new(leader: i32) -> Log {
        Log {
            entries: Vec::new(),
            markers: Vec::new(),
            leader,
            epoch: 0,
            not_leader: 6,
            forgotten: BTreeMap::new(),
            remembered: REMEMBERED,
        }
    }

    /// Error code and base offset for a batch; `commit` = the answer will reach nobody but says success.
    pub(super) fn write(&mut self, node: i32, batch: &Bytes, commit: bool, wall_ms: i64) -> (i16, i64) {
        if self.leader != node {
            return (self.not_leader, -1);
        }
        let stamp = stamp(batch);
        let ids = ids(batch);
        assert_eq!(ids.len(), stamp.records as usize);
        self.forget(stamp.producer_id, wall_ms);
        let mine: Vec<&Entry> = self.known(stamp.producer_id).collect();
        // A producer that is not known may begin with any sequence (M8).
        if let Some(last) = mine.last().map(|entry| entry.stamp) {
            let next = (last.base_sequence as u32).wrapping_add(last.records as u32) & 0x7fff_ffff;
            let newest = mine.iter().rev().take(self.remembered);
            let duplicate = newest
                .into_iter()
                .find(|entry| entry.stamp == stamp)
                .map(|entry| entry.base_offset);
            if stamp.epoch < last.epoch {
                return (47, -1);
            }
            if let Some(offset) = duplicate {
                if commit {
                    self.commit_to(offset);
                }
                return (0, offset);
            }
            let expected = if stamp.epoch > last.epoch { 0 } else { next as i32 };
            if stamp.base_sequence != expected {
                return (45, -1);
            }
        }
        let base_offset = self
            .entries
            .last()
            .map_or(0, |entry| entry.base_offset + entry.ids.len() as i64);
        self.entries.push(Entry {
            base_offset,
            stamp,
            ids,
            dated_ms: i64::from_be_bytes(batch[35..43].try_into().unwrap()),
            committed: false,
            transactional: is_transactional(batch),
        });
        if commit {
            self.commit_to(base_offset);
        }
        self.remembered = (self.remembered + 1).min(REMEMBERED);
        (0, base_offset)
    }

    /// What the broker knows of a producer.
    fn known(&self, producer_id: i64) -> impl DoubleEndedIterator<Item = &Entry> {
        let from = self.forgotten.get(&producer_id).copied().unwrap_or(0);
        let known = self.entries.iter().skip(from);
        known.filter(move |entry| entry.stamp.producer_id == producer_id)
    }

    /// As if the broker looked for expired producers all the time. A transaction keeps its producer known, and its
    /// marker bears the broker's own time.
    fn forget(&mut self, producer_id: i64, wall_ms: i64) {
        let last = self.known(producer_id).next_back();
        if last.is_some_and(|last| !last.transactional && last.dated_ms <= wall_ms - EXPIRATION_MS) {
            self.forgotten.insert(producer_id, self.entries.len());
        }
    }

    /// Writes the marker of a transaction. Markers are replicated before anybody hears of them.
    pub(super) fn mark(&mut self, producer_id: i64, commit: bool) {
        self.commit_to(i64::MAX);
        self.markers.push(Marker {
            at: self.entries.len(),
            producer_id,
            commit,
        });
    }

    /// What a reader with `isolation.level=read_committed` sees, up to the first open transaction or not.
    pub(super) fn visible(&self) -> Vec<u64> {
        let seen = |(place, entry): (usize, &Entry)| {
            let mut ends = self.markers.iter();
            let end = ends.find(|marker| marker.at > place && marker.producer_id == entry.stamp.producer_id);
            let visible = !entry.transactional || end.is_some_and(|marker| marker.commit);
            if visible { entry.ids.clone() } else { Vec::new() }
        };
        self.entries.iter().enumerate().flat_map(seen).collect()
    }

    /// The next node leads. It may lack what was not committed; what it has is committed with it.
    pub(super) fn move_leader(&mut self, nodes: i32, lose_tail: bool) {
        self.leader = (self.leader + 1) % nodes;
        self.epoch += 1;
        while lose_tail && self.entries.last().is_some_and(|entry| !entry.committed) {
            self.entries.pop();
        }
        // What comes in the place of a lost entry is news.
        let end = self.entries.len();
        self.forgotten
            .values_mut()
            .for_each(|from| *from = end.min(*from));
        self.commit_to(i64::MAX);
    }

    /// The leader comes back from its disk.
    pub(super) fn restart(&mut self) {
        self.remembered = REMEMBERED_AFTER_RESTART;
        self.commit_to(i64::MAX);
    }

    fn commit_to(&mut self, offset: i64) {
        self.entries
            .iter_mut()
            .filter(|entry| entry.base_offset <= offset)
            .for_each(|entry| entry.committed = true);
    }
}

pub(super) fn stamp(batch: &Bytes) -> Stamp {
    Stamp {
        producer_id: i64::from_be_bytes(batch[43..51].try_into().unwrap()),
        epoch: i16::from_be_bytes(batch[51..53].try_into().unwrap()),
        base_sequence: i32::from_be_bytes(batch[53..57].try_into().unwrap()),
        records: i32::from_be_bytes(batch[57..61].try_into().unwrap()),
    }
}

pub(super) fn is_transactional(batch: &Bytes) -> bool {
    batch[22] & 0x10 != 0
}

/// The first eight bytes of each value.
fn ids(batch: &Bytes) -> Vec<u64> {
    let mut bytes = batch.clone();
    let records = RecordBatchDecoder::decode(&mut bytes)
        .expect("a batch that the reference decoder reads")
        .records;
    assert!(bytes.is_empty(), "one batch per partition");
    let id = |value: &Option<Bytes>| u64::from_be_bytes(value.as_ref().unwrap()[..8].try_into().unwrap());
    records.iter().map(|record| id(&record.value)).collect()
}
