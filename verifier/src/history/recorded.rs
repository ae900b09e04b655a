//! A history in memory: what a simulated world records, and the judge replays without a file. Pure.
//!
//! Its methods are those of [`super::Writer`], and cannot fail. Numbers of all entries stand in one row, so that
//! recording allocates only when that row grows; [`Recorded::clear`] keeps the room for the next world.

use super::entry::{Completed, Copied, Entry, TransactionEnded, Withheld};

/// The writing end and what it wrote.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// Worker number.
    pub worker: u16,
    /// How many times this worker was started before.
    pub incarnation: u32,
    /// First record index of this incarnation.
    pub first_index: u64,
    entries: Vec<Stored>,
    numbers: Vec<u64>,
}

/// An entry without its numbers, and how many of them are its own.
#[derive(Debug, Clone, Copy)]
struct Stored {
    entry: Entry<'static>,
    numbers: usize,
}

impl Recorded {
    /// An empty history of this worker incarnation.
    pub fn new(worker: u16, incarnation: u32, first_index: u64) -> Recorded {
        Recorded {
            worker,
            incarnation,
            first_index,
            ..Recorded::default()
        }
    }

    /// Forgets all entries.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.numbers.clear();
    }

    /// As [`super::Writer::handed_over`].
    pub fn handed_over(&mut self, first_index: u64, intended_ns: &[u64], handover_ns: u64) {
        let entry = Entry::HandedOver {
            first_index,
            intended_ns: &[],
            handover_ns,
        };
        self.push(entry, intended_ns);
    }

    /// As [`super::Writer::completed`].
    pub fn completed(&mut self, completed: &Completed<'_>) {
        // Field by field, since the borrow of its indexes must not be kept.
        let entry = Entry::Completed(Completed {
            indexes: &[],
            partition: completed.partition,
            base_offset: completed.base_offset,
            outcome: completed.outcome,
            error_code: completed.error_code,
            ack_ns: completed.ack_ns,
            producer_id: completed.producer_id,
            producer_epoch: completed.producer_epoch,
            base_sequence: completed.base_sequence,
            transaction: completed.transaction,
            broker: completed.broker,
            correlation_id: completed.correlation_id,
        });
        self.push(entry, completed.indexes);
    }

    /// As [`super::Writer::withheld`].
    pub fn withheld(&mut self, withheld: &Withheld) {
        if withheld.count > 0 {
            self.push(Entry::Withheld(*withheld), &[]);
        }
    }

    /// As [`super::Writer::transaction_ended`].
    pub fn transaction_ended(&mut self, ended: &TransactionEnded) {
        self.push(Entry::TransactionEnded(*ended), &[]);
    }

    /// As [`super::Writer::copied`].
    pub fn copied(&mut self, copied: &Copied<'_>) {
        let entry = Entry::Copied(Copied {
            first_index: copied.first_index,
            partition: copied.partition,
            offsets: &[],
        });
        self.push(entry, copied.offsets);
    }

    /// The worker ended in order. One that was killed has no such entry.
    pub fn finish(&mut self) {
        self.push(Entry::End, &[]);
    }

    /// The entries from the begin.
    pub fn replay(&self) -> Replay<'_> {
        Replay {
            entries: &self.entries,
            numbers: &self.numbers,
            ended: false,
        }
    }

    fn push(&mut self, entry: Entry<'static>, numbers: &[u64]) {
        self.entries.push(Stored {
            entry,
            numbers: numbers.len(),
        });
        self.numbers.extend_from_slice(numbers);
    }
}

/// The reading end.
#[derive(Debug, Clone)]
pub struct Replay<'a> {
    entries: &'a [Stored],
    numbers: &'a [u64],
    ended: bool,
}

impl Replay<'_> {
    /// True once all entries were given and none of them was the end.
    pub fn torn(&self) -> bool {
        self.entries.is_empty() && !self.ended
    }
}

impl<'a> Iterator for Replay<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let (stored, entries) = self.entries.split_first()?;
        let (own, numbers) = self.numbers.split_at(stored.numbers);
        (self.entries, self.numbers) = (entries, numbers);
        Some(match stored.entry {
            Entry::HandedOver {
                first_index,
                handover_ns,
                ..
            } => Entry::HandedOver {
                first_index,
                intended_ns: own,
                handover_ns,
            },
            Entry::Completed(completed) => Entry::Completed(Completed {
                indexes: own,
                ..completed
            }),
            Entry::Copied(copied) => Entry::Copied(Copied {
                offsets: own,
                ..copied
            }),
            Entry::End => {
                self.ended = true;
                Entry::End
            }
            entry @ (Entry::Withheld(_) | Entry::TransactionEnded(_)) => entry,
        })
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::super::tests::header;
    use super::super::{Outcome, Reader, TransactionOutcome, Writer};
    use super::*;

    /// Whatever the judge replays from memory is what it would read from a file.
    #[test]
    fn file_and_memory_give_the_same_entries() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("3-1.bin");
        let mut writer = Writer::create(&path, &header()).unwrap();
        let mut recorded = Recorded::new(3, 1, 7);
        let ended = |number, outcome| TransactionEnded {
            number,
            outcome,
            producer_id: -1,
            producer_epoch: 3,
            error_code: 51,
            asked_ns: 60,
            ended_ns: u64::MAX,
        };
        for (number, outcome) in [
            (1, TransactionOutcome::Committed),
            (2, TransactionOutcome::Aborted),
            (3, TransactionOutcome::Unknown),
        ] {
            let copied = Copied {
                first_index: 7 * number,
                partition: 5,
                offsets: &[5, 6, 9, 2],
            };
            writer.copied(&copied).unwrap();
            recorded.copied(&copied);
            writer.handed_over(7 * number, &[1, 2, 9], 12).unwrap();
            recorded.handed_over(7 * number, &[1, 2, 9], 12);
            let completed = Completed {
                indexes: &[7 * number + 1, 7 * number],
                partition: 2,
                base_offset: 11,
                outcome: Outcome::Acked,
                error_code: 0,
                ack_ns: 99,
                producer_id: 4_000,
                producer_epoch: 1,
                base_sequence: 8,
                transaction: number,
                broker: 2,
                correlation_id: 71,
            };
            writer.completed(&completed).unwrap();
            recorded.completed(&completed);
            writer.transaction_ended(&ended(number, outcome)).unwrap();
            recorded.transaction_ended(&ended(number, outcome));
        }
        let withheld = Withheld {
            first_index: 40,
            count: 2,
            first_due_ns: 3,
            last_due_ns: 4,
            had_room: true,
            at_ns: 5,
        };
        writer.withheld(&withheld).unwrap();
        recorded.withheld(&withheld);
        assert!({
            let mut replay = recorded.replay();
            replay.by_ref().for_each(drop);
            replay.torn()
        });
        writer.finish().unwrap();
        recorded.finish();
        let mut reader = Reader::open(&path).unwrap();
        let mut replay = recorded.replay();
        for entry in replay.by_ref() {
            assert_eq!(reader.next_entry().unwrap(), Some(entry));
        }
        assert_eq!((reader.next_entry().unwrap(), replay.torn()), (None, false));
        recorded.clear();
        assert_eq!(recorded.replay().next(), None);
    }
}
