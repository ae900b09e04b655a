//! The load of a client: when records fall due, what they are, and how the producer is given them.
//!
//! ```text
//! burst ─▶ due ─▶ history: handed over ─▶ held ─▶ Sender::append        no room: held, and tried again
//! ```

use steadfast_producer::error::AppendError;
use steadfast_producer::record::Record;
use steadfast_verifier::history::{Completed, Outcome};
use steadfast_verifier::stamp::{self, RecordId, STAMP_BYTES};

use super::{Client, KEYS};
use crate::simulate::plan::{FOR_GOOD, TOO_LARGE};
use crate::simulate::{MS, TOPIC};

/// A value: the stamp and some bytes.
const VALUE_BYTES: usize = STAMP_BYTES + 8;
/// Records that wait for room in the producer at most; those due later stay due.
const HELD_MAX: usize = 64;
/// A producer that found no room is asked again after this.
const ROOM_AGAIN_NS: u64 = 10 * MS;

/// One record made and not taken yet.
#[derive(Debug)]
pub(crate) struct Made {
    index: u64,
    key: Vec<u8>,
    value: [u8; VALUE_BYTES],
    partition: Option<i32>,
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
            let more = !self.held.is_empty() || (!self.due.is_empty() && self.next_index < self.records_max);
            job.step(sender, more, now_ns, &mut self.random);
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
                let made = self.make();
                self.held.push_back(made);
            }
            self.append(now_ns, wall_ms);
        }
    }

    fn make(&mut self) -> Made {
        let index = self.next_index;
        self.next_index += 1;
        let number = self.random.below(KEYS);
        let key = match self.job {
            Some(_) => format!("k{number}"),
            None => format!("k{number}.{}", self.incarnation),
        };
        let mut value = [0; VALUE_BYTES];
        value[STAMP_BYTES..].copy_from_slice(&self.random.next().to_le_bytes());
        let sequence = &mut self.sequences[number as usize];
        let id = RecordId::new(self.number, index);
        stamp::write(&mut value, id, *sequence, TOPIC, Some(key.as_bytes()), &[]);
        *sequence += 1;
        Made {
            index,
            key: key.into_bytes(),
            value,
            partition: (!self.by_key).then(|| self.choose()),
        }
    }

    fn choose(&mut self) -> i32 {
        if self.random.percent(self.hot) {
            0
        } else {
            self.random.below(self.partitions) as i32
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
                key: Some(&made.key),
                value: Some(&made.value),
                headers: &[],
                timestamp_ms: wall_ms,
            };
            match sender.append(&record, made.index, now_ns) {
                Ok(()) => {
                    self.held.pop_front();
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
                        AppendError::PartitionStopped { code } => code == FOR_GOOD || code == TOO_LARGE,
                        _ => false,
                    };
                    if !expected {
                        self.complain(&format!("a record was refused: {error}"));
                    }
                    if let Some(made) = self.held.pop_front() {
                        self.refused(&made, now_ns, code);
                    }
                }
            }
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
        });
    }
}
