//! How batches end without a broker's word: deadlines, a stopped partition, a close.

use super::{Context, Fate, Mode, Partition, REQUEST_TIMED_OUT};
use crate::accumulator::Gathering;
use crate::record::Outcome;
use crate::rules::Rule;
use crate::sender::link::RequestId;
use crate::sender::outcomes::Done;

/// DUPLICATE_SEQUENCE_NUMBER: the batch is in the log, its offset is not known.
const DUPLICATE_SEQUENCE: i16 = 46;

impl Partition {
    /// `delivery.timeout.ms` is over for batches begun at or before `begun_ns` (KIP-91). NOT_WRITTEN ones end so. Of
    /// UNKNOWN ones the caller hears once that nobody knows, and they are still resolved (A8).
    pub(crate) fn expire(&mut self, begun_ns: u64, cx: &mut Context<'_>) {
        let mut i = 0;
        while i < self.unacked.len() {
            let sent = &self.unacked[i];
            let probing = matches!(self.mode, Mode::Probing(_));
            if sent.created_ns > begun_ns || sent.reported {
                i += 1;
            } else if (sent.fate == Fate::NotWritten || !self.rules.on(Rule::UnknownStays))
                && !sent.on_wire
                && !probing
            {
                self.alone = true;
                self.mode = Mode::OneByOne;
                self.reject(i, REQUEST_TIMED_OUT, cx);
            } else {
                let told = if self.rules.on(Rule::UnknownIsTold) {
                    Outcome::Unknown
                } else {
                    Outcome::NotWritten
                };
                self.report(i, told, REQUEST_TIMED_OUT, cx);
                i += 1;
            }
        }
        while self
            .closed
            .front()
            .is_some_and(|batch| batch.created_ns <= begun_ns)
        {
            if let Some(batch) = self.closed.pop_front() {
                self.give_up(batch, REQUEST_TIMED_OUT, cx);
            }
        }
        if self
            .open
            .as_ref()
            .is_some_and(|batch| batch.created_ns <= begun_ns)
            && let Some(batch) = self.open.take()
        {
            self.give_up(batch, REQUEST_TIMED_OUT, cx);
        }
        self.settle(cx);
    }

    /// Ends everything with what is known about it; nothing is sent any more and later records are refused.
    pub(crate) fn stop(&mut self, code: i16, cx: &mut Context<'_>) {
        for i in 0..self.unacked.len() {
            let sent = &self.unacked[i];
            let known = sent.fate == Fate::NotWritten && !sent.on_wire;
            self.report(
                i,
                if known {
                    Outcome::NotWritten
                } else {
                    Outcome::Unknown
                },
                code,
                cx,
            );
        }
        for sent in self.unacked.drain(..) {
            cx.memory.retire(sent.batch, sent.charged);
        }
        while let Some(batch) = self.take_fresh() {
            self.give_up(batch, code, cx);
        }
        self.on_wire = 0;
        self.gap = None;
        self.needs_epoch = false;
        self.needs_fence = None;
        self.head_refused = false;
        self.mode = Mode::Stopped(code);
    }

    pub(super) fn report(&mut self, i: usize, outcome: Outcome, code: i16, cx: &mut Context<'_>) {
        self.report_at(i, outcome, code, -1, cx);
    }

    pub(super) fn report_at(
        &mut self,
        i: usize,
        outcome: Outcome,
        code: i16,
        offset: i64,
        cx: &mut Context<'_>,
    ) {
        let sent = &mut self.unacked[i];
        if std::mem::replace(&mut sent.reported, true) {
            return;
        }
        let (seal, known_as) = (sent.batch.stamp(), sent.known_as);
        // In the log, and nobody says where: Kafka has a code for that.
        let code = if outcome == Outcome::Acked && offset < 0 {
            DUPLICATE_SEQUENCE
        } else {
            code
        };
        cx.outcomes.report(Done {
            topic: self.topic,
            partition: self.index,
            outcome,
            base_offset: offset,
            error_code: code,
            producer_id: seal.producer_id,
            producer_epoch: seal.producer_epoch,
            base_sequence: seal.base_sequence,
            transaction: 0, // the book of outcomes knows it
            ack_ns: cx.now_ns,
            known_as,
            tokens: std::mem::take(&mut sent.tokens),
        });
    }

    /// A batch that was never sent is given up.
    pub(super) fn give_up(&mut self, batch: Gathering, code: i16, cx: &mut Context<'_>) {
        if !self.rules.on(Rule::NumbersWhenSent) {
            self.use_up_numbers(batch.tokens.len());
        }
        cx.outcomes.report(Done {
            topic: self.topic,
            partition: self.index,
            outcome: Outcome::NotWritten,
            base_offset: -1,
            error_code: code,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            transaction: 0,
            ack_ns: cx.now_ns,
            known_as: RequestId::NOTHING,
            tokens: batch.tokens,
        });
        cx.memory.release(batch.builder.into_buffer(), batch.charged);
    }
}
