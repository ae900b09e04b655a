//! O1, O2, O3 and O7: each record against those before it in its partition. Pure.
//!
//! One forward reading is enough. For O1 and O2 the highest sequence so far of each key is kept; for O3 the latest
//! hand-over so far: whoever was acknowledged before that and stands behind it was overtaken by a record that did not
//! even exist yet.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use super::findings::{Anomaly, Findings};
use super::logs::Place;
use super::tables::{Row, State};
use crate::stamp::RecordId;

/// The last of a key (or, keyless, of a worker) in this partition: highest sequence, and the batch that had it.
#[derive(Debug, Clone, Copy)]
struct Last {
    sequence: u64,
    batch: u32,
}

/// The same in 8 bytes, for keys: there may be as many as records.
#[derive(Debug, Clone, Copy)]
struct LastOfKey {
    sequence: u32,
    batch: u32,
}

type ByKey<V> = HashMap<u64, V, BuildHasherDefault<Mix>>;

/// What order remembers from record to record.
#[derive(Debug)]
pub(super) struct Order {
    /// By worker and key, this partition.
    keys: ByKey<LastOfKey>,
    /// Records without a key: by worker, this partition.
    workers: BTreeMap<u16, Last>,
    /// The latest hand-over in this partition so far, and whose it was.
    latest_send: Option<(u64, RecordId)>,
    /// By key, the partition it was first read in; none where the key does not choose the partition.
    home: Option<ByKey<i32>>,
}

impl Order {
    /// `by_key`: the key is to choose the partition, so O7 applies. With one partition no key can be split.
    pub(super) fn new(by_key: bool, partitions: u32) -> Order {
        Order {
            keys: ByKey::default(),
            workers: BTreeMap::new(),
            latest_send: None,
            home: (by_key && partitions > 1).then(ByKey::default),
        }
    }

    /// Order holds within a partition: what was kept of the one before is forgotten.
    pub(super) fn begin_partition(&mut self) {
        self.keys.clear();
        self.workers.clear();
        self.latest_send = None;
    }

    /// The next record of the partition: intact, no duplicate, none that should not be there.
    pub(super) fn check(&mut self, id: RecordId, row: &Row, place: Place<'_>, findings: &mut Findings) {
        self.in_sequence(id, place, findings);
        self.in_time(id, row, place, findings);
    }

    /// O1, O2 and O7: what the log shows by itself.
    pub(super) fn in_sequence(&mut self, id: RecordId, place: Place<'_>, findings: &mut Findings) {
        let overtaken = match place.record.key {
            Some(key) => self.keyed(id, key, place, findings),
            None => self.keyless(id, place),
        };
        if let Some(Last { sequence, batch }) = overtaken {
            let anomaly = if batch == place.batch {
                Anomaly::O2
            } else {
                Anomaly::O1
            };
            findings.add(anomaly, Some(id), || {
                format!(
                    "number {} stands at {place}, behind number {sequence}",
                    own_sequence(id, place)
                )
            });
        }
    }

    /// Bytes of the maps, about: hashbrown keeps a byte a bucket beside the entry.
    pub(super) fn bytes(&self) -> usize {
        let home = self
            .home
            .as_ref()
            .map_or(0, |home| home.capacity() * (size_of::<(u64, i32)>() + 1));
        self.keys.capacity() * (size_of::<(u64, LastOfKey)>() + 1) + home
    }

    fn keyed(&mut self, id: RecordId, key: u64, place: Place<'_>, findings: &mut Findings) -> Option<Last> {
        let sequence = place.record.sequence;
        // Sequences are counted per worker. The key is a hash already; worker 0 leaves it as it is.
        let entry = self
            .keys
            .entry(key ^ u64::from(id.worker()).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        match entry {
            std::collections::hash_map::Entry::Occupied(mut last) => {
                let last = last.get_mut();
                if sequence < last.sequence {
                    return Some(Last {
                        sequence: last.sequence.into(),
                        batch: last.batch,
                    });
                }
                *last = LastOfKey {
                    sequence,
                    batch: place.batch,
                };
            }
            std::collections::hash_map::Entry::Vacant(first) => {
                first.insert(LastOfKey {
                    sequence,
                    batch: place.batch,
                });
                if let Some(home) = &mut self.home {
                    let home = *home.entry(key).or_insert(place.partition);
                    if home != place.partition {
                        findings.add(Anomaly::O7, Some(id), || {
                            format!("its key is at {place}, and in {}-{home} too", place.topic)
                        });
                    }
                }
            }
        }
        None
    }

    fn keyless(&mut self, id: RecordId, place: Place<'_>) -> Option<Last> {
        let now = Last {
            sequence: id.index(),
            batch: place.batch,
        };
        let last = self.workers.entry(id.worker()).or_insert(now);
        if now.sequence < last.sequence {
            return Some(*last);
        }
        *last = now;
        None
    }

    fn in_time(&mut self, id: RecordId, row: &Row, place: Place<'_>, findings: &mut Findings) {
        if let Some((sent_ns, later)) = self.latest_send
            && row.state() == State::Acked
            && row.time_ns < sent_ns
        {
            let before_ns = sent_ns - row.time_ns;
            findings.add(Anomaly::O3, Some(id), || {
                format!("stands at {place} behind {later}, which was sent {before_ns} ns after its acknowledgement")
            });
        }
        if self
            .latest_send
            .is_none_or(|(sent_ns, _)| sent_ns < row.handover_ns)
        {
            self.latest_send = Some((row.handover_ns, id));
        }
    }
}

fn own_sequence(id: RecordId, place: Place<'_>) -> u64 {
    if place.record.key.is_some() {
        place.record.sequence.into()
    } else {
        id.index()
    }
}

/// Spreads a hash over all bits: FNV leaves the upper ones of short keys alike, and the map chooses by them.
#[derive(Debug, Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    fn write_u64(&mut self, value: u64) {
        let mixed = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}
