//! What one replica remembers of producers: the last batches of each, so that a resend is known again and a gap is
//! refused (ProducerStateManager, ProducerAppendInfo, ProducerStateEntry of Kafka 4.1; KIP-98, KIP-360, KIP-890).
//!
//! ```text
//! batch of (pid, epoch, sequence) ──▶ same range as one of the last 5 ──▶ duplicate: its old offset        M1, M3
//!                                 ──▶ epoch older ──▶ 47
//!                                 ──▶ follows the last one, or first of a new epoch ──▶ append
//!                                 ──▶ else 45                                                              M2, M4
//! restart: of the last 5 only 1 is left                                                                    M5
//! ```
//!
//! How old a producer is, is told by the timestamps of its *records*, and of its markers: one that sends records older than
//! producer.id.expiration.ms leaves nothing that a restart finds, and is forgotten at the next look while the broker runs.

use std::collections::{BTreeMap, VecDeque};

use crate::batch::{Header, Refused, add_sequence, refused};
use crate::code;
use crate::log::{Entry, Kind};

/// Batches of a producer that are known again.
pub(crate) const REMEMBERED_BATCHES: usize = 5;

/// One batch remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Remembered {
    base_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
    last_offset: i64,
    timestamp: i64,
}

/// What is known of one producer id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) epoch: i16,
    batches: VecDeque<Remembered>,
    /// Newest timestamp of the last batch, or of the marker: what expiry counts from.
    pub(crate) last_timestamp: i64,
    /// Where its open transaction begins.
    pub(crate) transaction_start: Option<i64>,
    pub(crate) coordinator_epoch: i32,
}

impl Producer {
    pub(crate) fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(-1, |batch| batch.last_sequence)
    }

    /// Takes note of a batch; a new epoch forgets those of the old one.
    fn note(&mut self, epoch: i16, batch: Remembered) {
        self.move_to(epoch);
        if self.batches.len() == REMEMBERED_BATCHES {
            self.batches.pop_front();
        }
        self.batches.push_back(batch);
    }

    fn move_to(&mut self, epoch: i16) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.batches.clear();
        }
    }
}

/// What a coordinator said of a transactional batch whose partition has no open transaction of its producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verified {
    /// Nobody was asked: an open transaction is needed.
    No,
    /// The partition is in the transaction; `fresh_at_zero`: a producer without state must begin at sequence 0 (KIP-890).
    Yes { fresh_at_zero: bool },
}

/// What to do with a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Check {
    Append,
    /// It was appended before.
    Duplicate {
        base_offset: i64,
        last_offset: i64,
        timestamp: i64,
    },
}

/// A transaction that ended on this partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Completed {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) aborted: bool,
}

/// All producers of a replica.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Producers {
    known: BTreeMap<i64, Producer>,
}

impl Producers {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &Producer)> {
        self.known.iter().map(|(id, producer)| (*id, producer))
    }

    /// Whether this producer has a transaction open here, in this epoch.
    pub(crate) fn in_transaction(&self, producer_id: i64, epoch: i16) -> bool {
        self.known
            .get(&producer_id)
            .is_some_and(|known| known.transaction_start.is_some() && known.epoch == epoch)
    }

    /// Where this producer's open transaction begins.
    pub(crate) fn transaction_start(&self, producer_id: i64) -> Option<i64> {
        self.known.get(&producer_id)?.transaction_start
    }

    /// Judges a client's batch.
    pub(crate) fn check(&self, batch: &Header, verified: Verified) -> Result<Check, Refused> {
        let known = self.known.get(&batch.producer_id);
        let same_epoch = known.filter(|known| known.epoch == batch.producer_epoch);
        let last_sequence = batch.last_sequence();
        let duplicate = same_epoch.and_then(|known| {
            known
                .batches
                .iter()
                .find(|old| old.base_sequence == batch.base_sequence && old.last_sequence == last_sequence)
        });
        if let Some(old) = duplicate {
            return Ok(Check::Duplicate {
                base_offset: old.base_offset,
                last_offset: old.last_offset,
                timestamp: old.timestamp,
            });
        }
        let open = self.in_transaction(batch.producer_id, batch.producer_epoch);
        if batch.transactional() && !open && verified == Verified::No {
            return Err(refused(
                code::INVALID_TXN_STATE,
                "the record was not part of an ongoing transaction",
            ));
        }
        let Some(known) = known else {
            let at_zero = verified == Verified::Yes { fresh_at_zero: true };
            return if at_zero && batch.base_sequence != 0 {
                Err(refused(
                    code::OUT_OF_ORDER_SEQUENCE_NUMBER,
                    "a producer without state must begin at sequence 0",
                ))
            } else {
                Ok(Check::Append)
            };
        };
        if batch.producer_epoch < known.epoch {
            return Err(refused(
                code::INVALID_PRODUCER_EPOCH,
                "a newer epoch of this producer has written here",
            ));
        }
        let expected = match same_epoch {
            Some(known) => match known.batches.back() {
                Some(last) => add_sequence(last.last_sequence, 1),
                None => 0,
            },
            None => 0,
        };
        if batch.base_sequence != expected {
            return Err(refused(
                code::OUT_OF_ORDER_SEQUENCE_NUMBER,
                "the sequence does not follow the last one",
            ));
        }
        if known.transaction_start.is_some() && !batch.transactional() {
            return Err(refused(
                code::INVALID_TXN_STATE,
                "a transaction of this producer is open here",
            ));
        }
        Ok(Check::Append)
    }

    /// Whether a marker may be written: epochs never go back.
    pub(crate) fn check_marker(&self, producer_id: i64, epoch: i16, coordinator_epoch: i32) -> bool {
        self.known
            .get(&producer_id)
            .is_none_or(|known| epoch >= known.epoch && coordinator_epoch >= known.coordinator_epoch)
    }

    /// Takes note of an entry that is in the log now.
    pub(crate) fn note(&mut self, entry: &Entry) -> Option<Completed> {
        if entry.producer_id < 0 {
            return None;
        }
        let known = self.known.entry(entry.producer_id).or_insert_with(|| Producer {
            epoch: entry.producer_epoch,
            batches: VecDeque::new(),
            last_timestamp: entry.max_timestamp,
            transaction_start: None,
            coordinator_epoch: -1,
        });
        known.last_timestamp = entry.max_timestamp;
        if entry.control() {
            known.move_to(entry.producer_epoch);
            return known.transaction_start.take().map(|first_offset| Completed {
                producer_id: entry.producer_id,
                first_offset,
                last_offset: entry.base_offset,
                aborted: entry.kind == Kind::Abort,
            });
        }
        let batch = Remembered {
            base_sequence: entry.base_sequence,
            last_sequence: add_sequence(entry.base_sequence, entry.last_offset_delta),
            base_offset: entry.base_offset,
            last_offset: entry.last_offset(),
            timestamp: entry.max_timestamp,
        };
        known.note(entry.producer_epoch, batch);
        if entry.kind == Kind::Transactional && known.transaction_start.is_none() {
            known.transaction_start = Some(entry.base_offset);
        }
        None
    }

    /// Takes note of the coordinator's epoch of the last marker, which the index does not keep.
    pub(crate) fn note_coordinator(&mut self, producer_id: i64, coordinator_epoch: i32) {
        if let Some(known) = self.known.get_mut(&producer_id) {
            known.coordinator_epoch = coordinator_epoch;
        }
    }

    /// What a start finds in the snapshot: one batch of each producer (M5), and none of those that have expired.
    pub(crate) fn restart(&mut self, wall_ms: i64, after_ms: i64) {
        self.expire(wall_ms, after_ms);
        for known in self.known.values_mut() {
            let gone = known.batches.len().saturating_sub(1);
            known.batches.drain(..gone);
        }
    }

    /// Forgets producers idle for so long that have no transaction open.
    pub(crate) fn expire(&mut self, wall_ms: i64, after_ms: i64) {
        self.known.retain(|_, known| {
            known.transaction_start.is_some() || wall_ms.saturating_sub(known.last_timestamp) < after_ms
        });
    }
}

#[cfg(test)]
mod tests;
