//! Readers that follow a scene's log while it is written, as a broker serves them: up to the high watermark, or to the
//! last stable offset without what is aborted.

use super::dice::Dice;
use super::scene::{Scene, Slot};
use crate::judge::tests::fixture::{MS, START};
use crate::log::{LogBatch, LogRecord};
use crate::reads::{Header, Isolation, Poll, Recorded};

/// One answer of one partition.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) partition: i32,
    pub(super) at_ns: u64,
    /// The reader sought before it: order begins anew here.
    pub(super) sought: Option<i64>,
    pub(super) next_offset: i64,
    pub(super) high_watermark: i64,
    pub(super) last_stable_offset: i64,
    pub(super) records: Vec<LogRecord>,
}

/// One reader and all that it got.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub(super) isolation: Isolation,
    pub(super) name: String,
    pub(super) answers: Vec<Answer>,
}

impl Reader {
    pub(super) fn recorded(&self) -> Recorded {
        let mut recorded = Recorded::new(Header {
            reader: self.name.clone(),
            topic: "orders".into(),
            isolation: self.isolation,
        });
        for answer in &self.answers {
            if let Some(offset) = answer.sought {
                recorded.assigned(answer.partition, answer.at_ns, offset);
            }
            recorded.poll(&Poll {
                partition: answer.partition,
                at_ns: answer.at_ns,
                next_offset: answer.next_offset,
                high_watermark: answer.high_watermark,
                last_stable_offset: answer.last_stable_offset,
                records: &answer.records,
            });
        }
        recorded.ended(u64::MAX);
        recorded
    }

    /// Places in [`Reader::answers`] of those that brought something.
    pub(super) fn full(&self) -> Vec<usize> {
        let full = |&i: &usize| !self.answers[i].records.is_empty();
        (0..self.answers.len()).filter(full).collect()
    }
}

impl Scene {
    /// All ordered readers read from the begin to the end.
    pub(super) fn watch(&mut self, dice: &mut Dice) {
        let ordered = self.shape.readers.clone();
        for (i, isolation) in ordered.into_iter().enumerate() {
            let mut answers = Vec::new();
            for partition in 0..self.shape.partitions {
                answers.extend(self.follow(partition, isolation, dice));
            }
            answers.sort_by_key(|answer: &Answer| answer.at_ns);
            self.readers.push(Reader {
                isolation,
                name: format!("reader-{i}"),
                answers,
            });
        }
    }

    fn follow(&self, partition: i32, isolation: Isolation, dice: &mut Dice) -> Vec<Answer> {
        let view = View {
            log: &self.logs[&partition],
            slots: &self.slots[&partition],
            isolation,
        };
        let mut answers = Vec::new();
        let mut next = 0;
        let mut at_ns = START + dice.us(0, 4_000);
        loop {
            let most = dice.between(1, self.shape.batches_an_answer);
            let (records, passed) = view.answer(next, most, at_ns);
            next += passed;
            let high_watermark = view.high_watermark(at_ns);
            answers.push(Answer {
                partition,
                at_ns,
                sought: answers.is_empty().then_some(0),
                next_offset: next.checked_sub(1).map_or(0, |last| view.slots[last].end),
                high_watermark,
                last_stable_offset: view.stable(at_ns).unwrap_or(high_watermark),
                records,
            });
            // Long after everything: what is not there now, never comes.
            if at_ns > self.end_ns + 500 * MS && passed == 0 {
                return answers;
            }
            at_ns += dice.us(1_000, 12_000);
        }
    }
}

/// One partition as a reader of this isolation sees it.
struct View<'a> {
    log: &'a [LogBatch],
    slots: &'a [Slot],
    isolation: Isolation,
}

impl View<'_> {
    /// What comes from batch `next` on, of at most so many batches, and how many it passes.
    fn answer(&self, next: usize, most: u64, at_ns: u64) -> (Vec<LogRecord>, usize) {
        let mut records = Vec::new();
        let (mut passed, mut got) = (0, 0);
        let stable = match self.isolation {
            Isolation::ReadCommitted => self.stable(at_ns).unwrap_or(i64::MAX),
            Isolation::ReadUncommitted => i64::MAX,
        };
        for i in next..self.log.len() {
            let batch = &self.log[i];
            if self.slots[i].at_ns > at_ns || batch.base_offset >= stable || got == most {
                break;
            }
            passed += 1;
            let aborted = self.isolation == Isolation::ReadCommitted
                && self.marker(i).is_some_and(|(_, commit)| !commit);
            if !batch.control && !aborted {
                records.extend_from_slice(&batch.records);
                got += 1;
            }
        }
        (records, passed)
    }

    fn high_watermark(&self, at_ns: u64) -> i64 {
        let written = self.slots.iter().take_while(|slot| slot.at_ns <= at_ns);
        written.last().map_or(0, |last| last.end)
    }

    /// Where the oldest open transaction begins; none while none is open.
    fn stable(&self, at_ns: u64) -> Option<i64> {
        let written = self.slots.iter().take_while(|slot| slot.at_ns <= at_ns).count();
        let open = |&i: &usize| {
            let batch = &self.log[i];
            let ended = self.marker(i).is_some_and(|(marker_ns, _)| marker_ns <= at_ns);
            batch.transactional && !batch.control && !ended
        };
        (0..written).find(open).map(|i| self.log[i].base_offset)
    }

    /// When the transaction of a batch is ended, and how.
    fn marker(&self, batch: usize) -> Option<(u64, bool)> {
        let of = &self.log[batch];
        if !of.transactional || of.control {
            return None;
        }
        let behind = batch + 1..self.log.len();
        let ends = |&i: &usize| self.log[i].producer_id == of.producer_id && self.log[i].marker.is_some();
        let end = behind.into_iter().find(ends)?;
        self.log[end]
            .marker
            .map(|marker| (self.slots[end].at_ns, marker.commit))
    }
}
