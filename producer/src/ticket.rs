//! A receipt for one record that was handed to the [`Producer`](crate::producer::Producer): await it or wait for it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use thiserror::Error;

use crate::error::error_name;

/// Where an acknowledged record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// Partition of its topic.
    pub partition: i32,
    /// Its offset; `None` where the broker no longer knew it (it is in the log all the same).
    pub offset: Option<i64>,
}

/// Why a record has no acknowledgement. The two cases ask for different things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DeliveryError {
    /// It is not in the log and never will be: sending it again cannot duplicate it.
    #[error("not written: {}", error_name(*code))]
    NotWritten {
        /// Kafka's error code; 7 (REQUEST_TIMED_OUT) for a local deadline.
        code: i16,
    },
    /// It may be in the log, now or later: sending it again may duplicate it.
    #[error("it is unknown whether the record was written: {}", error_name(*code))]
    Unknown {
        /// Kafka's error code; 7 (REQUEST_TIMED_OUT) for a local deadline.
        code: i16,
    },
}

/// One record's outcome, now or later. Dropping it changes nothing for the record.
///
/// Cancel safety: as a future it may be dropped and the wait begun again on a clone.
#[derive(Debug, Clone)]
pub struct Ticket {
    slot: Arc<Slot>,
}

impl Ticket {
    /// Blocks until the outcome is known, at most about `delivery.timeout.ms` after the record was taken.
    pub fn wait(&self) -> Result<Delivered, DeliveryError> {
        let mut state = self.slot.lock();
        loop {
            if let Some(outcome) = state.outcome {
                return outcome;
            }
            state = self
                .slot
                .settled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Blocks until the outcome is known, or `timeout` has passed: then `None`, and the record is still on its way.
    #[must_use]
    pub fn wait_timeout(&self, timeout: Duration) -> Option<Result<Delivered, DeliveryError>> {
        let state = self.slot.lock();
        let unknown = |state: &mut State| state.outcome.is_none();
        let waited = self.slot.settled.wait_timeout_while(state, timeout, unknown);
        waited.unwrap_or_else(PoisonError::into_inner).0.outcome
    }

    /// The outcome, if it is known.
    #[must_use]
    pub fn outcome(&self) -> Option<Result<Delivered, DeliveryError>> {
        self.slot.lock().outcome
    }
}

impl Future for Ticket {
    type Output = Result<Delivered, DeliveryError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.slot.lock();
        match state.outcome {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                if !state.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
                    state.wakers.push(context.waker().clone());
                }
                Poll::Pending
            }
        }
    }
}

/// Where producer and holders of a ticket meet.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    state: Mutex<State>,
    settled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    outcome: Option<Result<Delivered, DeliveryError>>,
    /// One for each task that awaits a clone.
    wakers: Vec<Waker>,
}

impl Slot {
    pub(crate) fn new() -> (Arc<Slot>, Ticket) {
        let slot = Arc::new(Slot::default());
        (Arc::clone(&slot), Ticket { slot })
    }

    pub(crate) fn settle(&self, outcome: Result<Delivered, DeliveryError>) {
        let wakers = {
            let mut state = self.lock();
            state.outcome = Some(outcome);
            std::mem::take(&mut state.wakers)
        };
        self.settled.notify_all();
        for waker in wakers {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_holder_hears_the_outcome_whether_waiting_or_late() {
        let (slot, ticket) = Slot::new();
        let waiting = std::thread::spawn({
            let ticket = ticket.clone();
            move || ticket.wait()
        });
        assert_eq!(ticket.outcome(), None);
        let delivered = Ok(Delivered {
            partition: 3,
            offset: Some(17),
        });
        slot.settle(delivered);
        assert_eq!(waiting.join().unwrap(), delivered);
        assert_eq!(ticket.wait(), delivered);
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(
            Pin::new(&mut ticket.clone()).poll(&mut context),
            Poll::Ready(delivered)
        );
    }
}
