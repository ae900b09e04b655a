//! What the end of a transaction does to a partition (B5).
//!
//! ```text
//!   abort ─► nothing fresh is sent, what waits is NOT_WRITTEN ─► wire empty? ─► the unacked end as what they are
//!                                                                                     │ new epoch: numbers from 0
//!                                                                                     ▼ Flowing again
//! ```

use super::{Context, Mode, Partition};
use crate::rules::Rule;

/// UNKNOWN_TOPIC_OR_PARTITION: a partition stopped with it is no more, and no new epoch brings it back.
const GONE: i16 = 3;

impl Partition {
    /// What was never sent ends NOT_WRITTEN.
    pub(crate) fn give_up_fresh(&mut self, code: i16, cx: &mut Context<'_>) {
        while let Some(batch) = self.take_fresh() {
            self.give_up(batch, code, cx);
        }
        self.queued = false;
    }

    /// Nothing of it is on the way to a broker.
    pub(crate) fn is_off_the_wire(&self) -> bool {
        self.on_wire == 0
    }

    /// Ends what was sent, with what is known of it: the abort decides what readers see. Call it when nothing is on
    /// the wire. The numbers go on only under another epoch.
    pub(crate) fn end_transaction(&mut self, code: i16, cx: &mut Context<'_>) {
        let waited = self.is_off_the_wire() || !self.rules.on(Rule::WireEmptyBeforeAbort);
        debug_assert!(waited && !self.has_fresh());
        match self.mode {
            Mode::Stopped(_) => {}
            _ if self.unacked.is_empty() && self.gap.is_none() => {}
            _ => self.stop(code, cx),
        }
        if !matches!(self.mode, Mode::Flowing | Mode::Stopped(GONE)) {
            self.mode = Mode::Flowing;
            self.alone = true;
            self.attempts = 0;
            self.retry_at_ns = 0;
        }
    }

    /// The batch with this base sequence is the oldest without an acknowledgement.
    pub(crate) fn is_head(&self, base_sequence: i32) -> bool {
        self.unacked
            .front()
            .is_some_and(|sent| sent.base_sequence() == base_sequence)
    }
}
