//! The worker's side of transactions: takes the id over before the load, and does what [`Transactions`] says.
//!
//! ```text
//! wake: outcomes ─▶ ends of transactions ─▶ history          ─▶ step ─▶ hand over ─▶ step
//! ```

use steadfast_producer::clock::monotonic_ns;
use steadfast_producer::driver::Driver;
use steadfast_producer::error::Fatal;
use steadfast_producer::transaction::{TransactionError, TransactionEvent, TransactionState};
use steadfast_verifier::history::Outcome;

use super::{Worker, WorkerError};
use crate::transactions::Ask;

impl Worker<'_> {
    /// Whether a record may be appended now; begins a transaction where none is open.
    pub(super) fn may_append(&mut self, index: u64, now_ns: u64) -> Result<bool, WorkerError> {
        let Some(transactions) = &mut self.transactions else {
            return Ok(true);
        };
        if transactions.is_idle() {
            self.driver.begin_transaction().map_err(refusal)?;
            transactions.begun(index, now_ns);
        }
        Ok(transactions.room() > 0)
    }

    /// Ends the open transaction when it is time to.
    pub(super) fn step_transaction(&mut self, now_ns: u64) -> Result<(), WorkerError> {
        let Some(transactions) = &mut self.transactions else {
            return Ok(());
        };
        let failed = self.driver.transaction_state() == Some(TransactionState::AbortableError);
        let last = self.held == 0 && self.load.all_taken();
        let asked = match transactions.step(now_ns, self.driver.pending(), failed, last) {
            None => Ok(()),
            Some(Ask::Commit) => self.driver.commit_transaction(),
            Some(Ask::Abort) => self.driver.abort_transaction(),
        };
        asked.map_err(refusal)
    }

    /// Writes down how transactions ended; after their outcomes.
    pub(super) fn book_transactions(&mut self) -> Result<(), WorkerError> {
        let Some(transactions) = &mut self.transactions else {
            return Ok(());
        };
        while let Some(event) = self.driver.next_transaction_event() {
            let now_ns = monotonic_ns();
            let Some(ended) = transactions.ended(event, now_ns) else {
                continue;
            };
            let outcome = if ended.as_asked {
                Outcome::Acked
            } else {
                Outcome::Unknown
            };
            self.load.completed(&ended.acked, outcome, now_ns);
            let written = self.history.transaction_ended(&ended.entry);
            written.map_err(|source| WorkerError::History {
                path: self.workload.history.clone(),
                source,
            })?;
        }
        Ok(())
    }

    /// A transaction is open or ending.
    pub(super) fn in_transaction(&self) -> bool {
        self.transactions
            .as_ref()
            .is_some_and(|transactions| !transactions.is_idle())
    }
}

/// Takes the `transactional.id` over; without one there is nothing to do.
pub(super) fn take_over(driver: &mut Driver, deadline_ns: u64) -> Result<(), TransactionError> {
    if driver.transaction_state().is_none() {
        return Ok(());
    }
    driver.init_transactions()?;
    match driver.await_transaction_event(deadline_ns)? {
        Some(TransactionEvent::Initialized { .. }) => Ok(()),
        _ => Err(Fatal::NotReady {
            reason: "no transaction coordinator took the transactional.id over in time".to_owned(),
        }
        .into()),
    }
}

/// The producer does not do what it is asked for.
pub(crate) fn refusal(error: TransactionError) -> WorkerError {
    match error {
        TransactionError::Stopped(fatal) => WorkerError::Producer(fatal),
        other => WorkerError::Transaction(other),
    }
}
