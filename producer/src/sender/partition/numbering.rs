//! Numbers given anew: behind a gap (A13), in a new epoch (A14), for a topic made again (A5), and what must end first.
//!
//! Only batches that are NOT_WRITTEN and off the wire ever get another number (A8).

use std::sync::Arc;

use super::{Context, Fate, Mode, NO_NODE, Partition};
use crate::record::Outcome;
use crate::record_batch::{Seal, SealedBatch};
use crate::rules::Rule;
use crate::sender::identity::Identity;

/// UNKNOWN_TOPIC_ID.
const UNKNOWN_TOPIC_ID: i16 = 100;

impl Partition {
    /// The topic was deleted and made again under another id: nothing of the old one can be resolved any more, and
    /// the new one has seen none of our numbers (A5), unless batches go `by_name`: those wait for a new epoch.
    pub(crate) fn topic_replaced(&mut self, by_name: bool, cx: &mut Context<'_>) {
        self.end_unknown(UNKNOWN_TOPIC_ID, cx);
        let identity = self.identity_of_unacked();
        self.leader = NO_NODE;
        self.leader_epoch = -1;
        if self.stopped().is_none() {
            self.restart_numbers(identity);
            if by_name {
                self.needs_epoch = true;
                self.needs_fence = Some(UNKNOWN_TOPIC_ID);
            }
        }
    }

    /// A new epoch: numbers start at 0, and what was not written is stamped with it (A14).
    pub(crate) fn enter_epoch(&mut self, identity: Identity) {
        debug_assert!(self.may_leave_epoch());
        if self.stopped().is_none() {
            self.restart_numbers(Some(identity));
        }
    }

    /// Nothing that a broker can say settles what is UNKNOWN any more (A12): its caller hears so, once. The rest goes
    /// on in a new epoch. A late copy of the old one is appended before that or refused for ever (47), and nothing
    /// that may be in the log is sent again, so no record is doubled or overtaken.
    pub(super) fn leave_epoch(&mut self, code: i16, cx: &mut Context<'_>) {
        let first = self.first_unacked();
        self.end_unknown(code, cx);
        self.gap = None;
        if self.rules.on(Rule::DoubtNeedsEpoch) {
            self.needs_epoch = true;
            self.needs_fence = Some(code);
        } else if let Some((sequence, identity)) = first {
            self.number_from(sequence, identity);
        }
        self.mode = if self.unacked.is_empty() {
            Mode::Flowing
        } else {
            Mode::OneByOne
        };
    }

    /// Ends all that is UNKNOWN or on the wire.
    fn end_unknown(&mut self, code: i16, cx: &mut Context<'_>) {
        let mut i = 0;
        while i < self.unacked.len() {
            if self.unacked[i].fate == Fate::Unknown || self.unacked[i].on_wire {
                self.report(i, Outcome::Unknown, code, cx);
                if let Some(sent) = self.unacked.remove(i) {
                    self.on_wire -= usize::from(sent.on_wire);
                    cx.memory.retire(sent.batch, sent.charged);
                }
            } else {
                i += 1;
            }
        }
    }

    /// The id and epoch that the unacked batches bear.
    pub(super) fn identity_of_unacked(&self) -> Option<Identity> {
        self.first_unacked().map(|(_, identity)| identity)
    }

    /// The first number of the unacked batches, and the id and epoch that they bear.
    fn first_unacked(&self) -> Option<(i32, Identity)> {
        let seal = self.unacked.front()?.batch.stamp();
        let identity = Identity {
            id: seal.producer_id,
            epoch: seal.producer_epoch,
            transactional: seal.transactional,
        };
        Some((seal.base_sequence, identity))
    }

    fn restart_numbers(&mut self, identity: Option<Identity>) {
        self.gap = None;
        self.needs_epoch = false;
        self.head_refused = false;
        self.probed_down = 0;
        self.alone = true;
        self.last_ack_ns = None;
        self.acked_dated_ms = i64::MAX;
        if self.rules.on(Rule::EpochFromZero) {
            self.next_sequence = 0;
        }
        if let Some(identity) = identity {
            self.number_from(self.next_sequence, identity);
        }
        self.mode = if self.unacked.is_empty() {
            Mode::Flowing
        } else {
            Mode::OneByOne
        };
    }

    /// Stamps all unacked batches, all NOT_WRITTEN and off the wire, from this sequence on.
    pub(super) fn number_from(&mut self, sequence: i32, identity: Identity) {
        self.next_sequence = sequence;
        for i in 0..self.unacked.len() {
            let seal = self.stamp(identity);
            let sent = &mut self.unacked[i];
            debug_assert!(
                (sent.fate == Fate::NotWritten && !sent.on_wire)
                    || !self.rules.on(Rule::SettleBeforeNumbering),
                "A13: only NOT_WRITTEN batches"
            );
            stamp_anew(&mut sent.batch, &seal);
            self.next_sequence = sent.batch.next_sequence();
        }
    }
}

pub(super) fn stamp_anew(batch: &mut Arc<SealedBatch>, seal: &Seal) {
    match Arc::get_mut(batch) {
        Some(batch) => batch.renumber(seal),
        None => {
            // A frame of a closed connection may still hold the old bytes: leave them to it.
            let mut copy = SealedBatch::clone(batch);
            copy.renumber(seal);
            *batch = Arc::new(copy);
        }
    }
}
