//! What a broker's answer, or its absence, does to a partition (A7 to A13).
//!
//! ```text
//!   written ─────► it and all before it are ACKED (contiguity, A8)
//!   refused ─────► OneByOne, same bytes again after the backoff        lost, 7, 20 .. ─► the same, but UNKNOWN
//!   out of order ► not head: wait for the head (A9) · head: probe newest-first (A11), all refused: stop (A10)
//!   rejected ────► NOT_WRITTEN: its numbers become a gap (A13) · UNKNOWN: stop, it may be in the log
//! ```

use std::sync::Arc;

use super::{Context, EXPIRATION_NS, Fate, Gap, Mode, OUT_OF_ORDER, Partition, Sent, Verdict};
use crate::record::Outcome;
use crate::record_batch::SealedBatch;
use crate::rules::Rule;

impl Partition {
    /// The broker's word on the batch with this base sequence. False if the partition knows no such batch on the
    /// wire (it was stopped meanwhile).
    pub(crate) fn answered(
        &mut self,
        base_sequence: i32,
        verdict: Verdict,
        code: i16,
        cx: &mut Context<'_>,
    ) -> bool {
        let Some(i) = self.off_the_wire(base_sequence) else {
            return false;
        };
        if let Verdict::Written(offset) = verdict {
            self.acked(i, offset, cx);
            self.settle(cx);
            return true;
        }
        self.alone = true;
        self.attempts = self.attempts.saturating_add(1);
        if self.mode == Mode::Flowing {
            self.mode = Mode::OneByOne;
        }
        let sent = &mut self.unacked[i];
        match verdict {
            Verdict::Written(_) => {}
            Verdict::Refused => {
                if !self.rules.on(Rule::UnknownSticks) {
                    sent.fate = Fate::NotWritten;
                }
                sent.refusals += 1;
                // Only what is NOT_WRITTEN may be given up; a probe has to be told first.
                let given_up = sent.fate == Fate::NotWritten && sent.refusals > self.retries;
                if given_up && self.mode == Mode::OneByOne {
                    self.reject(i, code, cx);
                }
            }
            Verdict::NotYet => {}
            Verdict::Unknown if self.rules.on(Rule::CodeIsUnknown) => sent.fate = Fate::Unknown,
            Verdict::Unknown => {}
            Verdict::Corrupt if !sent.corrupt => sent.corrupt = true,
            Verdict::Corrupt | Verdict::StopNotWritten => self.stop(code, cx),
            Verdict::OutOfOrder => self.out_of_order(i, cx),
            // A split that failed comes here too. An UNKNOWN batch cannot be given up: it may be in the log.
            Verdict::TooLarge | Verdict::Rejected if sent.fate == Fate::Unknown => self.stop(code, cx),
            Verdict::TooLarge | Verdict::Rejected => self.reject(i, code, cx),
            Verdict::Stop => {
                sent.fate = Fate::Unknown;
                self.stop(code, cx);
            }
        }
        self.settle(cx);
        true
    }

    /// The connection that carried the batch is gone before its answer came: UNKNOWN, for bytes may have left.
    pub(crate) fn lost(&mut self, base_sequence: i32, cx: &mut Context<'_>) {
        let Some(i) = self.off_the_wire(base_sequence) else {
            return;
        };
        if self.rules.on(Rule::LostIsUnknown) {
            self.unacked[i].fate = Fate::Unknown;
        }
        self.alone = true;
        self.attempts = self.attempts.saturating_add(1);
        if self.mode == Mode::Flowing {
            self.mode = Mode::OneByOne;
        }
        self.settle(cx);
    }

    /// The batch to split if the broker just found this one too large (A12): sent, NOT_WRITTEN, two records or more.
    pub(crate) fn splittable(&self, base_sequence: i32) -> Option<&SealedBatch> {
        let sent = self
            .unacked
            .iter()
            .find(|sent| sent.base_sequence() == base_sequence)?;
        (sent.fate == Fate::NotWritten && sent.batch.records() > 1).then_some(&*sent.batch)
    }

    /// Puts the pieces of a split batch in its place, under the numbers it had (A12).
    pub(crate) fn replace(&mut self, base_sequence: i32, pieces: Vec<SealedBatch>, cx: &mut Context<'_>) {
        let Some(i) = self.off_the_wire(base_sequence) else {
            return;
        };
        let Some(whole) = self.unacked.remove(i) else {
            return;
        };
        if let Some(gap) = &mut self.gap
            && gap.at > i
        {
            gap.at += pieces.len() - 1;
        }
        let mut from = 0;
        for (n, piece) in pieces.into_iter().enumerate() {
            let to = from + piece.records() as usize;
            let tokens = whole.tokens.get(from..to).unwrap_or_default().to_vec();
            from = to;
            let piece = Sent {
                batch: Arc::new(piece),
                tokens,
                created_ns: whole.created_ns,
                // The whole charge stays with the first piece: it was for the records of all.
                charged: if n == 0 { whole.charged } else { 0 },
                fate: Fate::NotWritten,
                on_wire: false,
                reported: whole.reported,
                corrupt: false,
                refusals: 0,
            };
            self.unacked.insert(i + n, piece);
        }
        cx.memory.spare(whole.tokens);
        cx.memory.retire(whole.batch, 0);
        self.alone = true;
        self.mode = Mode::OneByOne;
        self.settle(cx);
    }

    pub(super) fn off_the_wire(&mut self, base_sequence: i32) -> Option<usize> {
        let i = self
            .unacked
            .iter()
            .position(|sent| sent.on_wire && sent.base_sequence() == base_sequence)?;
        self.unacked[i].on_wire = false;
        self.on_wire -= 1;
        Some(i)
    }

    /// Batch `i` is in the log, and so is every earlier one of the epoch (A8).
    pub(super) fn acked(&mut self, i: usize, offset: i64, cx: &mut Context<'_>) {
        let probing = matches!(self.mode, Mode::Probing(_));
        // The broker took a number although it had refused an earlier one for good: it keeps no contiguity.
        let impossible = self.gap.is_some_and(|gap| i >= gap.at)
            || (!probing
                && self
                    .unacked
                    .iter()
                    .take(i)
                    .any(|earlier| earlier.fate == Fate::NotWritten));
        if impossible {
            self.report(i, Outcome::Acked, 0, cx);
            for earlier in self.unacked.iter_mut().take(i) {
                earlier.fate = Fate::Unknown;
            }
            if let Some(sent) = self.unacked.remove(i) {
                cx.memory.retire(sent.batch, sent.charged);
            }
            self.stop(OUT_OF_ORDER, cx);
            return;
        }
        for k in 0..=i {
            let offset = if k == i { offset } else { -1 };
            self.report_at(k, Outcome::Acked, 0, offset, cx);
        }
        for sent in self.unacked.drain(..=i) {
            cx.memory.retire(sent.batch, sent.charged);
        }
        if let Some(gap) = &mut self.gap {
            gap.at -= i + 1;
        }
        self.last_ack_ns = Some(cx.now_ns);
        self.alone = false;
        self.head_refused = false;
        self.attempts = 0;
        self.retry_at_ns = 0;
        if probing {
            self.mode = Mode::OneByOne; // the rest goes up from here (A11)
        }
    }

    /// Batch `i`, NOT_WRITTEN and off the wire, is given up: its numbers become a gap (A13).
    pub(super) fn reject(&mut self, i: usize, code: i16, cx: &mut Context<'_>) {
        self.report(i, Outcome::NotWritten, code, cx);
        let Some(sent) = self.unacked.remove(i) else {
            return;
        };
        let sequence = sent.base_sequence();
        cx.memory.retire(sent.batch, sent.charged);
        if self.gap.is_none_or(|gap| i < gap.at) {
            self.gap = Some(Gap { at: i, sequence });
        }
        match self.mode {
            // The head was out of order and all others too: nothing fits what the broker has (A10).
            Mode::Probing(0) => self.stop(OUT_OF_ORDER, cx),
            Mode::Probing(_) => self.mode = Mode::Probing(i - 1),
            _ => {}
        }
    }

    /// 45 on batch `i` (A9, A10, A11).
    pub(super) fn out_of_order(&mut self, i: usize, cx: &mut Context<'_>) {
        match self.mode {
            Mode::Probing(k) if k == i => {
                if i == 0 {
                    self.stop(OUT_OF_ORDER, cx); // A10: acknowledged data is gone from the broker
                } else {
                    self.mode = Mode::Probing(i - 1);
                }
            }
            _ if self.gap.is_some_and(|gap| gap.at == 0) => {
                // Everything before the gap is acked, so the broker waits for the gap's number: this is proof.
                let sent = &mut self.unacked[i];
                self.needs_epoch |= sent.fate == Fate::Unknown;
                sent.fate = Fate::NotWritten;
            }
            _ if i == 0 && self.rules.on(Rule::NeverBump) => self.head_refused = true,
            _ if i == 0 => self.take_for_unwritten(),
            _ if !self.rules.on(Rule::WaitForHead) => {
                self.unacked[i].fate = Fate::NotWritten;
                self.reject(i, OUT_OF_ORDER, cx);
            }
            _ => {} // A9: keep the number and wait for the head
        }
        // Neither a probe's step nor waiting for the head is a failure to back off from.
        self.attempts = self.attempts.saturating_sub(1);
    }

    /// After every event: does the mode still fit?
    pub(super) fn settle(&mut self, cx: &mut Context<'_>) {
        if self.stopped().is_some() || self.on_wire > 0 {
            return;
        }
        if std::mem::take(&mut self.head_refused) {
            self.begin_probe(cx);
        }
        if let Some(gap) = self.gap
            && gap.at == 0
            && !self.needs_epoch
            && !(self.has_unknown() && self.rules.on(Rule::SettleBeforeNumbering))
        {
            self.gap = None;
            if !self.rules.on(Rule::CloseGap) {
                return;
            }
            let identity = self.identity_of_unacked();
            self.next_sequence = gap.sequence;
            if let Some(identity) = identity {
                self.number_from(gap.sequence, identity);
            }
        }
        if self.mode == Mode::OneByOne && self.unacked.is_empty() && self.gap.is_none() {
            self.mode = Mode::Flowing;
        }
    }

    /// A11: newest first, where that proves anything.
    pub(super) fn begin_probe(&mut self, cx: &mut Context<'_>) {
        let before_gap = self.gap.map_or(self.unacked.len(), |gap| gap.at);
        let remembered = self
            .last_ack_ns
            .is_some_and(|ack| cx.now_ns.saturating_sub(ack) <= EXPIRATION_NS);
        if before_gap > 1 && remembered {
            let newest = if self.rules.on(Rule::NewestFirst) {
                before_gap - 1
            } else {
                0
            };
            self.mode = Mode::Probing(newest);
        } else {
            self.stop(OUT_OF_ORDER, cx);
        }
    }
}
