//! What a producer does that breaks a rule. Only a build for mutants ever calls it: see `rules.rs`.

use super::numbering::stamp_anew;
use super::{Fate, Partition};
use crate::record_batch::SealedBatch;

impl Partition {
    /// Nothing was sent yet, and numbers begin here. A broker that never heard of a producer takes any (M8).
    #[cfg(steadfast_mutants)]
    pub(crate) fn begin_late(&mut self, sequence: i32) {
        if self.unacked.is_empty() {
            self.next_sequence = sequence;
        }
    }

    /// What A2 forbids: numbers beyond 2^31 - 1.
    pub(super) fn go_past_the_last_number(&mut self, batch: &SealedBatch) {
        self.next_sequence = batch.base_sequence().wrapping_add(batch.records() as i32);
    }

    /// What A2 forbids: numbers given to what was never sent.
    pub(super) fn use_up_numbers(&mut self, records: usize) {
        self.next_sequence = self.next_sequence.wrapping_add(records as i32) & i32::MAX;
    }

    /// What A3 forbids: other records under the same numbers.
    pub(super) fn swap_records(&mut self, index: usize) {
        let (one, other) = (index, index + 1);
        let alike = self.unacked.get(other).is_some_and(|behind| {
            !behind.on_wire && behind.batch.records() == self.unacked[one].batch.records()
        });
        if !alike {
            return;
        }
        let stamps = [one, other].map(|at| *self.unacked[at].batch.stamp());
        self.unacked.swap(one, other);
        for (at, stamp) in [one, other].into_iter().zip(stamps) {
            let sent = &mut self.unacked[at];
            stamp_anew(&mut sent.batch, &stamp);
        }
    }

    /// What A10 forbids: a refused head taken for proof that nothing was written.
    pub(super) fn take_for_unwritten(&mut self) {
        for sent in &mut self.unacked {
            sent.fate = Fate::NotWritten;
        }
        self.needs_epoch = true;
    }

    /// What A12 forbids: pieces that all bear the number of the whole.
    pub(crate) fn number_alike(pieces: &mut [SealedBatch]) {
        let Some(stamp) = pieces.first().map(|first| *first.stamp()) else {
            return;
        };
        for piece in pieces {
            piece.renumber(&stamp);
        }
    }

    /// What A15 forbids: numbers that begin anew because metadata did not mention the topic.
    pub(crate) fn forget_numbers(&mut self) {
        if self.unacked.is_empty() {
            self.next_sequence = 0;
        }
    }
}
