//! The load of a client: when records fall due, what they are, and how the producer is given them.
//!
//! ```text
//! burst ─▶ due ─▶ history: handed over ─▶ held ─▶ Sender::append        no room: held, and tried again
//! ```

use steadfast_producer::error::AppendError;
use steadfast_producer::record::Record;
use steadfast_verifier::history::{Completed, Outcome};
use steadfast_verifier::stamp::{self, RecordId, STAMP_BYTES};
use steadfast_verifier::workload::PartitionChoice;

use super::{Client, Copier, OUT_OF_ORDER};
use crate::simulate::MS;
use crate::simulate::copier::Input;
use crate::simulate::plan::{FOR_GOOD, TOO_LARGE};

/// Records that wait for room in the producer at most; those due later stay due.
pub(super) const HELD_MAX: usize = 64;
/// A producer that found no room is asked again after this.
const ROOM_AGAIN_NS: u64 = 10 * MS;

/// One record made and not taken yet.
#[derive(Debug)]
pub(crate) struct Made {
    index: u64,
    key: Option<Vec<u8>>,
    value: Vec<u8>,
    partition: Option<i32>,
    /// What a copier made it from.
    source: Option<Input>,
}

impl Client {
    /// Records fall due, whether or not anybody takes them.
    pub(super) fn fill(&mut self, now_ns: u64) {
        while self.next_burst_ns <= now_ns && self.next_burst_ns < self.load_end_ns {
            let count = self.random.between(1, self.burst_max);
            self.due
                .extend(std::iter::repeat_n(self.next_burst_ns, count as usize));
            self.next_burst_ns += 1 + self.random.below(2 * self.gap_ns);
        }
    }

    pub(super) fn hand_over(&mut self, now_ns: u64, wall_ms: i64) {
        if let (Some(job), Some(sender)) = (&mut self.job, &mut self.sender) {
            let input = self
                .copier
                .as_ref()
                .is_some_and(|copier| !copier.inbox.is_empty());
            let more = input
                || !self.held.is_empty()
                || (!self.due.is_empty() && self.next_index < self.records_max);
            let positions = || {
                let copier = self.copier.as_ref();
                #[cfg(test)]
                let copier = copier.filter(|_| self.flaw != Some(crate::simulate::tests::Flaw::NoPosition));
                copier.map(Copier::positions).unwrap_or_default()
            };
            job.step(sender, (more, &positions), now_ns, &mut self.random);
            if let Some(complaint) = job.complaint.take() {
                self.complain(&complaint);
            }
        }
        if self.job.as_ref().is_some_and(|job| !job.takes_records()) {
            return;
        }
        if self.held_until_ns <= now_ns {
            self.append(now_ns, wall_ms);
        }
        if self.held.is_empty() && self.copier.is_some() {
            self.copy(now_ns);
            self.append(now_ns, wall_ms);
        }
        let room = self.records_max.saturating_sub(self.next_index);
        if self.held.is_empty() && !self.due.is_empty() && room > 0 {
            let count = self
                .due
                .len()
                .min(HELD_MAX)
                .min(usize::try_from(room).unwrap_or(HELD_MAX));
            let intended_ns: Vec<u64> = self.due.drain(..count).collect();
            self.history.handed_over(self.next_index, &intended_ns, now_ns);
            for _ in 0..count {
                let made = self.make(None);
                self.held.push_back(made);
            }
            #[cfg(test)]
            self.hold_back();
            self.append(now_ns, wall_ms);
        }
    }

    pub(super) fn make(&mut self, source: Option<Input>) -> Made {
        let index = self.next_index;
        self.next_index += 1;
        let keys = self.shape.keys;
        let number = match source {
            Some(input) => input.key % keys.max(1),
            None => self.random.below(keys),
        };
        let key = match self.job {
            _ if keys == 0 => None,
            Some(_) => Some(format!("k{number}").into_bytes()),
            None => Some(format!("k{number}.{}", self.incarnation).into_bytes()),
        };
        let mut value = vec![0; self.shape.bytes];
        for piece in value[STAMP_BYTES..].chunks_mut(8) {
            let bytes = self.random.next().to_le_bytes();
            piece.copy_from_slice(&bytes[..piece.len()]);
        }
        let sequence = match self.sequences.get_mut(number as usize) {
            Some(next) => {
                *next += 1;
                *next - 1
            }
            None => index as u32,
        };
        let id = RecordId::new(self.worker(), index);
        stamp::write(&mut value, id, sequence, self.writes, key.as_deref(), &[]);
        Made {
            index,
            key,
            value,
            partition: self.choose(index),
            source,
        }
    }

    /// The partition, where neither the key nor the producer is to choose it.
    fn choose(&mut self, index: u64) -> Option<i32> {
        let told = self.sender.as_ref().zip(self.topic);
        let told = told.and_then(|(sender, topic)| sender.partition_count(topic));
        let partitions = told.map_or(self.partitions, u64::from);
        match self.shape.partition {
            Some(PartitionChoice::RoundRobin) => Some((index % partitions) as i32),
            None if !self.by_key && self.random.percent(self.hot) => Some(0),
            None if !self.by_key => Some(self.random.below(partitions) as i32),
            _ => None,
        }
    }

    /// Gives the producer what is held, until it finds no room.
    fn append(&mut self, now_ns: u64, wall_ms: i64) {
        while let Some(made) = self.held.front() {
            let (Some(sender), Some(topic)) = (&mut self.sender, self.topic) else {
                return;
            };
            let record = Record {
                topic,
                partition: made.partition,
                key: made.key.as_deref(),
                value: Some(&made.value),
                headers: &[],
                timestamp_ms: wall_ms,
            };
            match sender.append(&record, made.index, now_ns) {
                Ok(()) => {
                    let source = self.held.pop_front().and_then(|made| made.source);
                    if let (Some(input), Some(copier)) = (source, &mut self.copier) {
                        copier.appended(input);
                    }
                }
                Err(error) if error.is_retriable() => {
                    self.held_until_ns = now_ns + ROOM_AGAIN_NS;
                    return;
                }
                Err(error) => {
                    let code = match error {
                        AppendError::PartitionStopped { code } | AppendError::TransactionFailed { code } => {
                            code
                        }
                        _ => -1,
                    };
                    let expected = match error {
                        AppendError::TransactionFailed { .. } | AppendError::Closed => true,
                        AppendError::PartitionStopped { code } => {
                            code == FOR_GOOD || code == TOO_LARGE || (self.may_lose && code == OUT_OF_ORDER)
                        }
                        _ => false,
                    };
                    if !expected {
                        self.complain(&format!("a record was refused: {error}"));
                    }
                    if let Some(made) = self.held.pop_front() {
                        self.refused(&made, now_ns, code);
                        if let (Some(_), Some(job)) = (made.source, &mut self.job) {
                            job.give_up(now_ns);
                        }
                    }
                }
            }
        }
    }

    /// A client that writes some records too late.
    #[cfg(test)]
    fn hold_back(&mut self) {
        if self.flaw != Some(crate::simulate::tests::Flaw::HoldsBack) {
            return;
        }
        if self
            .kept
            .as_ref()
            .is_some_and(|kept| kept.index + 20 < self.next_index)
        {
            self.held.extend(self.kept.take());
        } else if self.kept.is_none() {
            self.kept = self.held.pop_back();
        }
    }

    pub(super) fn refused(&mut self, made: &Made, now_ns: u64, error_code: i16) {
        self.history.completed(&Completed {
            indexes: &[made.index],
            partition: made.partition.unwrap_or(-1),
            base_offset: -1,
            outcome: Outcome::NotWritten,
            error_code,
            ack_ns: now_ns,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            transaction: 0,
            broker: -1,
            correlation_id: -1,
        });
    }
}
