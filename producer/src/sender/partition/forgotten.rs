//! What a broker may have forgotten, or would forget at once: what is not sent (see `forgetting.rs`).

use super::{Context, Fate, Partition, Sent};
use crate::sender::forgetting::{FORGOTTEN, is_old};

impl Partition {
    /// The broker may not know any more what it acknowledged last: then it takes any number, and nothing else may be on
    /// its way with the next batch (A5).
    pub(super) fn last_is_forgotten(&self, wall_ms: i64) -> bool {
        is_old(self.acked_dated_ms, wall_ms)
    }

    /// The oldest batch without a number is too old to be sent.
    pub(super) fn fresh_is_old(&self, wall_ms: i64) -> bool {
        let fresh = self.closed.front().or(self.open.as_ref());
        fresh.is_some_and(|batch| is_old(batch.builder.max_timestamp_ms(), wall_ms))
    }

    /// No answer to sending this one of the unacked again would tell anything.
    pub(super) fn is_in_vain(&self, index: usize, wall_ms: i64) -> bool {
        is_old(self.unacked[index].dated_ms, wall_ms) || self.nothing_tells(wall_ms)
    }

    /// Something is UNKNOWN that the broker may have had and forgotten. Where a refusal is to be the proof (A11, A13), what
    /// the broker refuses by was young when these were sent, so it is known for as long as they are young.
    fn nothing_tells(&self, wall_ms: i64) -> bool {
        let mut unknown = self.unacked.iter().filter(|sent| sent.fate == Fate::Unknown);
        unknown.any(|sent| is_old(sent.dated_ms, wall_ms))
    }

    /// Ends what [`next`](Self::next) found too old, as what it is: UNKNOWN and the rest in a new epoch, or NOT_WRITTEN.
    pub(crate) fn give_up_forgotten(&mut self, wall_ms: i64, cx: &mut Context<'_>) {
        let old = |sent: &Sent| !sent.on_wire && is_old(sent.dated_ms, wall_ms);
        if self.nothing_tells(wall_ms) {
            self.leave_epoch(FORGOTTEN, cx);
        } else if let Some(i) = self.unacked.iter().position(old) {
            self.reject(i, FORGOTTEN, cx);
        } else if self.fresh_is_old(wall_ms)
            && let Some(batch) = self.take_fresh()
        {
            self.give_up(batch, FORGOTTEN, cx);
        }
        self.settle(cx);
    }
}
