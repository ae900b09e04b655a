//! The book of outcomes: each appended record goes in once and comes out in exactly one completion.

use std::collections::VecDeque;

use crate::record::{Completion, Outcome, TopicHandle};
use crate::sender::link::RequestId;

/// A completion that owns its tokens; lent to the caller as a [`Completion`].
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) topic: TopicHandle,
    pub(crate) partition: i32,
    pub(crate) outcome: Outcome,
    pub(crate) base_offset: i64,
    pub(crate) error_code: i16,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) transaction: u64,
    pub(crate) ack_ns: u64,
    pub(crate) known_as: RequestId,
    pub(crate) tokens: Vec<u64>,
}

/// Outcomes not yet fetched by the caller, and how many records still have none.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    waiting: VecDeque<Done>,
    /// The one that the caller looks at.
    lent: Option<Done>,
    pending: u64,
    /// Records that ended otherwise than acked.
    errors: u64,
    /// Error code of the last of them, until somebody takes it.
    failure: Option<i16>,
    /// Number of the open transaction, 0 = none: all that ends before the next one begins belongs to it.
    transaction: u64,
}

impl Outcomes {
    pub(crate) fn appended(&mut self) {
        self.pending += 1;
    }

    /// Records without an outcome.
    pub(crate) fn pending(&self) -> u64 {
        self.pending
    }

    /// Records that ended NOT_WRITTEN or UNKNOWN.
    pub(crate) fn errors(&self) -> u64 {
        self.errors
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What is reported from now on belongs to this transaction.
    pub(crate) fn begin_transaction(&mut self, number: u64) {
        debug_assert_eq!(self.pending, 0, "records of the last transaction have no outcome");
        self.transaction = number;
        self.failure = None;
    }

    /// The code of a batch that ended otherwise than acked since the last call, if any did.
    pub(crate) fn take_failure(&mut self) -> Option<i16> {
        self.failure.take()
    }

    pub(crate) fn report(&mut self, mut done: Done) {
        done.transaction = self.transaction;
        debug_assert!(
            self.pending >= done.tokens.len() as u64,
            "a record got two outcomes"
        );
        self.pending = self.pending.saturating_sub(done.tokens.len() as u64);
        if done.outcome != Outcome::Acked {
            self.errors += done.tokens.len() as u64;
            self.failure = Some(done.error_code);
        }
        // A batch whose records were reported before has nothing more to tell.
        if !done.tokens.is_empty() {
            self.waiting.push_back(done);
        }
    }

    /// Ends the loan of the last completion; its tokens come back for reuse.
    pub(crate) fn take_back(&mut self) -> Option<Vec<u64>> {
        self.lent.take().map(|done| done.tokens)
    }

    /// Lends the next completion.
    pub(crate) fn lend(&mut self) -> Option<Completion<'_>> {
        self.lent = self.waiting.pop_front();
        self.lent.as_ref().map(|done| Completion {
            topic: done.topic,
            partition: done.partition,
            outcome: done.outcome,
            base_offset: done.base_offset,
            error_code: done.error_code,
            producer_id: done.producer_id,
            producer_epoch: done.producer_epoch,
            base_sequence: done.base_sequence,
            transaction: done.transaction,
            ack_ns: done.ack_ns,
            broker: done.known_as.broker,
            correlation_id: done.known_as.correlation_id,
            tokens: &done.tokens,
        })
    }
}
