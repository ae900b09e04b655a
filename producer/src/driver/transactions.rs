//! Transactions of a [`Driver`]: the calls return at once, the events come with the turns.
//!
//! ```text
//!   init_transactions ─► turn … ─► Initialized
//!   begin_transaction ─► append, turn, … ─► commit_transaction ─► turn … ─► Committed, or Aborted, or Unknown
//! ```
//!
//! Errors and states: [`transaction`](crate::transaction).

use super::{Driver, Patience};
use crate::clock::monotonic_ns;
use crate::error::Fatal;
use crate::transaction::{GroupOffset, TransactionError, TransactionEvent, TransactionState};

impl Driver {
    /// Takes the `transactional.id` over; see [`Sender::init_transactions`](crate::sender::Sender::init_transactions).
    pub fn init_transactions(&mut self) -> Result<(), TransactionError> {
        self.sender.init_transactions()
    }

    /// Begins a transaction and gives its number.
    pub fn begin_transaction(&mut self) -> Result<u64, TransactionError> {
        self.sender.begin_transaction(monotonic_ns())
    }

    /// Makes a group's positions part of the open transaction; see
    /// [`Sender::send_offsets_to_transaction`](crate::sender::Sender::send_offsets_to_transaction).
    pub fn send_offsets_to_transaction(
        &mut self,
        group: &str,
        offsets: &[GroupOffset],
    ) -> Result<(), TransactionError> {
        self.sender.send_offsets_to_transaction(group, offsets)
    }

    /// Commits, once every record is acknowledged; aborts if one cannot be.
    pub fn commit_transaction(&mut self) -> Result<(), TransactionError> {
        self.sender.commit_transaction(monotonic_ns())
    }

    /// Aborts.
    pub fn abort_transaction(&mut self) -> Result<(), TransactionError> {
        self.sender.abort_transaction(monotonic_ns())
    }

    /// The next event; fetch all after each turn, as with completions.
    pub fn next_transaction_event(&mut self) -> Option<TransactionEvent> {
        self.sender.next_transaction_event()
    }

    /// Turns until there is an event, at most until `deadline_ns` (CLOCK_MONOTONIC), and gives it. Completions that
    /// come meanwhile wait to be fetched.
    pub fn await_transaction_event(
        &mut self,
        deadline_ns: u64,
    ) -> Result<Option<TransactionEvent>, TransactionError> {
        loop {
            if let Some(event) = self.sender.next_transaction_event() {
                return Ok(Some(event));
            }
            if monotonic_ns() >= deadline_ns {
                return Ok(None);
            }
            if let Err(fatal) = self.pass(Some(deadline_ns), Patience::Sleep) {
                // The outcome of what was open comes before the reason why there will be no other.
                return match self.sender.next_transaction_event() {
                    Some(event) => Ok(Some(event)),
                    None => Err(fatal.into()),
                };
            }
        }
    }

    /// Where it stands; `None` without `transactional.id`.
    #[must_use]
    pub fn transaction_state(&self) -> Option<TransactionState> {
        self.sender.transaction_state()
    }

    /// The open transaction must not commit: a record of it was not taken.
    pub(crate) fn fail_transaction(&mut self, code: i16) {
        self.sender.fail_transaction(code, monotonic_ns());
    }

    /// Before a close: what is open is aborted, what is ending may end, until the deadline.
    pub(super) fn end_open_transaction(&mut self, deadline_ns: u64) -> Result<(), Fatal> {
        use TransactionState::{AbortableError, Aborting, Committing, InTransaction};
        let state = self.sender.transaction_state();
        if matches!(state, Some(InTransaction | AbortableError)) {
            // Refused only where nothing is open.
            let _ = self.sender.abort_transaction(monotonic_ns());
        }
        while matches!(self.sender.transaction_state(), Some(Committing | Aborting))
            && monotonic_ns() < deadline_ns
        {
            self.pass(Some(deadline_ns), Patience::Sleep)?;
        }
        Ok(())
    }
}
