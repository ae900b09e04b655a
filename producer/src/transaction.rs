//! Transactions as their user sees them: states, outcomes, and why a call is refused (KIP-98, KIP-447, KIP-890).
//!
//! ```text
//!   init_transactions ─► begin ─► append … ─► [send_offsets] ─► commit ─► Committed | Aborted | Unknown ─► begin …
//!                                    │ error: AbortableError        └ abort ─► Aborted
//!                                    └ fenced, not allowed: FatalError, and that is the end of this instance
//! ```
//!
//! With `transactional.id` set, records are taken only between `begin_transaction` and `commit_transaction` or
//! `abort_transaction`. Calls return at once; what became of a transaction comes later as a [`TransactionEvent`], and
//! the next one may begin when it is there. Each [`Completion`](crate::record::Completion) names its transaction.
//!
//! - A commit is only asked for when **every** record is acknowledged and the offsets are in. With one record short,
//!   the transaction is aborted instead, and the event says so with Kafka's error code.
//! - An outcome is never guessed. A lost answer is asked for again, with the same words, until it is known. `Unknown`
//!   is left for the rest: another owner has taken over, the coordinator has forgotten the id, or the producer was
//!   closed, while a commit had no answer. Begin again from what the log says.
//! - A record of an aborted transaction may still be ACKED, or UNKNOWN: it may be in the log. No reader with
//!   `isolation.level=read_committed` ever sees it.

use thiserror::Error;

use crate::error::{Fatal, error_name};

/// Where a transactional producer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionState {
    /// `init_transactions` was not called, or is not done.
    Uninitialized,
    /// No transaction is open; one may begin.
    Ready,
    /// Records are taken.
    InTransaction,
    /// `commit_transaction` was called; its event will come.
    Committing,
    /// It is being aborted; its event will come.
    Aborting,
    /// Something failed. Nothing is taken or sent until `abort_transaction` (or `commit_transaction`, which aborts).
    AbortableError,
    /// This instance can do no more: see [`Fatal`].
    FatalError,
}

/// What became of what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionEvent {
    /// `init_transactions` is done: whoever used this `transactional.id` before is fenced, and each of its transactions
    /// has ended.
    Initialized {
        /// Producer id.
        producer_id: i64,
        /// Its epoch.
        producer_epoch: i16,
    },
    /// Readers see all of it.
    Committed {
        /// Its number.
        transaction: u64,
    },
    /// Readers see nothing of it, now and later.
    Aborted {
        /// Its number.
        transaction: u64,
        /// Kafka's error code; 0 = it was asked for.
        code: i16,
    },
    /// Readers see all of it or nothing, and this producer cannot learn which.
    Unknown {
        /// Its number.
        transaction: u64,
        /// Kafka's error code.
        code: i16,
    },
}

/// A consumer group's position in one partition, to be committed with a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOffset {
    /// Topic that was read.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// The next offset to read: one after the last that this transaction has worked on.
    pub offset: i64,
}

/// Why a call was refused. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TransactionError {
    /// A mistake of the caller: give up.
    #[error("transactions need transactional.id")]
    NotTransactional,
    /// A mistake of the caller: give up. The call does not fit the state.
    #[error("not possible in state {state:?}: {mend}")]
    WrongState {
        /// The state it met.
        state: TransactionState,
        /// What to do first.
        mend: &'static str,
    },
    /// The transaction failed before: abort it, and begin again from the source.
    #[error("the transaction failed ({}): call abort_transaction", error_name(*code))]
    MustAbort {
        /// Kafka's error code.
        code: i16,
    },
    /// More offsets than one transaction takes: commit it, and go on in the next.
    #[error("more than {0} offsets in one transaction")]
    TooManyOffsets(usize),
    /// Not known in time; it goes on. The same call again waits on ([`Producer`](crate::producer::Producer) only).
    #[error("no outcome yet; the same call again waits on")]
    TimedOut,
    /// The producer is closed.
    #[error("the producer is closed")]
    Closed,
    /// The producer stopped for good.
    #[error(transparent)]
    Stopped(#[from] Fatal),
}
