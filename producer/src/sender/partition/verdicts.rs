//! What a broker's answer, or its absence, does to a partition (A7 to A13).
//!
//! ```text
//!   written ─────► it and all before it are ACKED (contiguity, A8)
//!   refused ─────► OneByOne, same bytes again after the backoff        lost, 7, 20 .. ─► the same, but UNKNOWN
//!   out of order ► not head: wait for the head (A9) · head: probe newest-first (A11), all refused: stop (A10)
//!   rejected ────► NOT_WRITTEN: its numbers become a gap (A13)
//!                  UNKNOWN: a later batch may prove it written (A12, A11), else UNKNOWN and a new epoch (A14)
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
            Verdict::Unknown if self.rules.on(doubt(code)) => sent.fate = Fate::Unknown,
            Verdict::Unknown => {}
            Verdict::Corrupt if !sent.corrupt => sent.corrupt = true,
            Verdict::Corrupt | Verdict::StopNotWritten => self.stop(code, cx),
            Verdict::OutOfOrder => self.out_of_order(i, cx),
            // A split that failed comes here too.
            Verdict::TooLarge | Verdict::Rejected
                if sent.fate == Fate::Unknown && self.rules.on(Rule::RefusedStaysUnknown) =>
            {
                self.refused_for_good(i, code, cx);
            }
            Verdict::TooLarge | Verdict::Rejected => self.reject(i, code, cx),
            Verdict::Stop => {
                sent.fate = Fate::Unknown;
                self.stop(code, cx);
            }
        }
        self.settle(cx);
        true
    }

    /// The connection that carried the batch is gone before its answer came: UNKNOWN, for bytes may have left. `rule`:
    /// the clause of A7 that says so.
    pub(crate) fn lost(&mut self, base_sequence: i32, rule: Rule, cx: &mut Context<'_>) {
        let Some(i) = self.off_the_wire(base_sequence) else {
            return;
        };
        if self.rules.on(rule) {
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
        let may_be = sent.fate == Fate::NotWritten || !self.rules.on(Rule::UnknownIsWhole);
        (may_be && sent.batch.records() > 1).then_some(&*sent.batch)
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
                dated_ms: whole.dated_ms,
                fate: Fate::NotWritten,
                on_wire: false,
                known_as: whole.known_as,
                reported: whole.reported,
                corrupt: false,
                hopeless: None,
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
        let (at, i) = match probing && !self.rules.on(Rule::ProbeGoesUp) {
            true => (i, self.before_gap().max(i + 1) - 1),
            false => (i, i),
        };
        for k in 0..=i {
            let offset = if k == at { offset } else { -1 };
            self.report_at(k, Outcome::Acked, 0, offset, cx);
        }
        for sent in self.unacked.drain(..=i) {
            self.acked_dated_ms = sent.dated_ms;
            cx.memory.retire(sent.batch, sent.charged);
        }
        if let Some(gap) = &mut self.gap {
            gap.at -= i + 1;
        }
        self.last_ack_ns = Some(cx.now_ns);
        self.needs_fence = None; // the partition was left to its next epoch, so this append is of that one
        self.alone = false;
        self.head_refused = false;
        self.probed_down = 0;
        self.attempts = 0;
        self.retry_at_ns = 0;
        if probing {
            self.mode = Mode::OneByOne; // the rest goes up from here (A11)
            for sent in &mut self.unacked {
                sent.hopeless = None; // what is behind it has changed
            }
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
        if matches!(self.mode, Mode::Probing(_)) {
            self.probe_below(i, cx);
        }
    }

    /// Batch `i`, UNKNOWN, is refused for good. That speaks of this attempt only: brokers look at a batch before they
    /// look whether they have it already.
    fn refused_for_good(&mut self, i: usize, code: i16, cx: &mut Context<'_>) {
        if self.gap.is_some_and(|gap| gap.at == 0) {
            // The gap's number was never taken and is not given again under this epoch: nothing behind it fits.
            self.needs_epoch |= self.rules.on(Rule::LateCopyNeedsEpoch);
            self.unacked[i].fate = Fate::NotWritten;
            self.reject(i, code, cx);
            return;
        }
        self.unacked[i].hopeless = Some(code);
        if matches!(self.mode, Mode::Probing(_)) {
            self.probe_below(i, cx);
        }
    }

    /// 45 on batch `i` (A9, A10, A11).
    pub(super) fn out_of_order(&mut self, i: usize, cx: &mut Context<'_>) {
        match self.mode {
            Mode::Probing(k) if k == i => self.probe_below(i, cx),
            _ if self.gap.is_some_and(|gap| gap.at == 0) => {
                // Everything before the gap is acked, so the broker waits for the gap's number: this is proof.
                let sent = &mut self.unacked[i];
                self.needs_epoch |= sent.fate == Fate::Unknown && self.rules.on(Rule::LateCopyNeedsEpoch);
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
        if self.mode == Mode::OneByOne
            && let Some(code) = self.hopeless()
        {
            if self.remembered(cx.now_ns) {
                self.probe_below(self.before_gap(), cx);
            } else {
                self.leave_epoch(code, cx);
            }
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
        if self.before_gap() > 1 && self.remembered(cx.now_ns) {
            self.probe_first(cx);
        } else {
            self.stop(OUT_OF_ORDER, cx);
        }
    }

    fn probe_first(&mut self, cx: &mut Context<'_>) {
        if self.rules.on(Rule::NewestFirst) {
            self.probe_below(self.before_gap(), cx);
        } else {
            self.mode = Mode::Probing(0);
        }
    }

    /// The next probe is the newest batch below `i`, those left out that were refused for good: they were asked.
    fn probe_below(&mut self, i: usize, cx: &mut Context<'_>) {
        let next = (0..i).rev().find(|&k| self.unacked[k].hopeless.is_none());
        match (next, self.hopeless()) {
            (Some(k), _) => self.mode = Mode::Probing(k),
            // One of them may be what the broker has last.
            (None, Some(code)) => self.leave_epoch(code, cx),
            (None, None) => self.probed_down(cx),
        }
    }

    /// All are out of order: nothing fits what the broker has, so acknowledged data is gone (A10), unless a copy that was
    /// on its way, or a probe whose answer was lost, came into the log meanwhile. Each batch can do so once: among more
    /// rounds than batches there is one in which nothing came.
    fn probed_down(&mut self, cx: &mut Context<'_>) {
        self.probed_down += 1;
        if self.probed_down > self.before_gap() || !self.has_unknown() {
            self.stop(OUT_OF_ORDER, cx);
        } else {
            self.probe_first(cx);
        }
    }

    /// The code with which the first UNKNOWN batch was refused for good, if one was.
    fn hopeless(&self) -> Option<i16> {
        self.unacked.iter().find_map(|sent| sent.hopeless)
    }

    fn before_gap(&self) -> usize {
        self.gap.map_or(self.unacked.len(), |gap| gap.at)
    }

    /// The broker has a batch of this epoch and cannot have forgotten us yet.
    fn remembered(&self, now_ns: u64) -> bool {
        self.last_ack_ns
            .is_some_and(|ack| now_ns.saturating_sub(ack) <= EXPIRATION_NS)
    }
}

/// The clause of A7 by which this code leaves a batch UNKNOWN.
fn doubt(code: i16) -> Rule {
    match code {
        3 | 6 => Rule::MovedIsUnknown,
        20 => Rule::AppendedIsUnknown,
        _ => Rule::CodeIsUnknown,
    }
}
