//! Pure: which transaction records go into, and when it ends. One at a time, as Kafka's protocol has it: what is due
//! while the last one ends stays due, and its latency shows that.
//!
//! ```text
//!          first record                 full, or its time is over, or nothing more is due
//! Idle ─────────────────▶ Open ──────────────┬───────────────────────────────▶ Ending ──▶ its event ──▶ Idle
//!                          │ a record of it failed: abort at once              ▲
//!                          └ to be aborted on purpose ─▶ Settling ─ all acknowledged
//! ```
//! Which ones are aborted on purpose follows from the seed. Their records are all in the log before: a reader that does
//! not heed aborts would see them.

use steadfast_producer::transaction::TransactionEvent;
use steadfast_verifier::history::{TransactionEnded, TransactionOutcome};
use steadfast_verifier::workload::{Full, Transaction, Workload};

use crate::random::{Random, Stream};

/// What the producer is to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Commit,
    Abort,
}

/// What became of a transaction.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// For the history.
    pub(crate) entry: TransactionEnded,
    /// Committed, or aborted because the workload wants it.
    pub(crate) as_asked: bool,
    /// Its acknowledged records.
    pub(crate) acked: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Idle,
    Open { taken: u64, until_ns: u64 },
    Settling,
    Ending { asked_ns: u64 },
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Transactions {
    order: Transaction,
    /// Whatever the order says, none stays open for longer: the coordinator aborts those that do, and fences us.
    longest_ns: u64,
    chance: Random,
    stage: Stage,
    /// The present one is to be aborted on purpose.
    abort: bool,
    /// Kafka's code for a record of it that the producer did not even take; 0 = none.
    refused: i16,
    acked: Vec<u64>,
    /// Producer id and epoch that its batches bore.
    identity: (i64, i16),
}

impl Transactions {
    /// None when the workload has no transactions. `timeout_ns`: `transaction.timeout.ms`.
    pub(crate) fn new(workload: &Workload, timeout_ns: u64) -> Option<Transactions> {
        Some(Transactions {
            order: workload.transaction?,
            longest_ns: timeout_ns / 2,
            chance: Random::new(workload.seed, workload.worker, Stream::Abort),
            stage: Stage::Idle,
            abort: false,
            refused: 0,
            acked: Vec::new(),
            identity: (-1, -1),
        })
    }

    /// None is open or ending.
    pub(crate) fn is_idle(&self) -> bool {
        self.stage == Stage::Idle
    }

    /// How many records may be handed over now.
    pub(crate) fn room(&self) -> usize {
        let taken = match self.stage {
            Stage::Idle => 0,
            Stage::Open { taken, .. } => taken,
            Stage::Settling | Stage::Ending { .. } => return 0,
        };
        match self.order.full {
            Full::Records(most) => most.saturating_sub(taken) as usize,
            Full::AfterNs(_) => usize::MAX,
        }
    }

    /// One was begun, and this is its first record.
    pub(crate) fn begun(&mut self, index: u64, now_ns: u64) {
        let open_ns = match self.order.full {
            Full::Records(_) => self.longest_ns,
            Full::AfterNs(after) => after.min(self.longest_ns),
        };
        let until_ns = now_ns.saturating_add(open_ns);
        self.stage = Stage::Open { taken: 0, until_ns };
        self.abort = self.chance.unit_at(index) <= self.order.abort_ratio;
        self.refused = 0;
    }

    /// The producer took a record.
    pub(crate) fn took(&mut self) {
        if let Stage::Open { taken, .. } = &mut self.stage {
            *taken += 1;
        }
    }

    /// The producer will never take a record of it, so it must not commit.
    pub(crate) fn refused(&mut self, code: i16) {
        self.refused = code;
    }

    /// A batch of it was acknowledged.
    pub(crate) fn acked(&mut self, indexes: &[u64], identity: (i64, i16)) {
        self.acked.extend_from_slice(indexes);
        self.identity = identity;
    }

    /// When [`Transactions::step`] is due, whatever happens.
    pub(crate) fn wake_ns(&self) -> u64 {
        match self.stage {
            Stage::Open { until_ns, .. } => until_ns,
            _ => u64::MAX,
        }
    }

    /// What to ask for now, once. `pending`: records without an outcome; `failed`: the producer says that it cannot
    /// commit; `last`: nothing more will be due.
    pub(crate) fn step(&mut self, now_ns: u64, pending: u64, failed: bool, last: bool) -> Option<Ask> {
        let over = match self.stage {
            Stage::Idle | Stage::Ending { .. } => return None,
            Stage::Settling => true,
            Stage::Open { until_ns, .. } => now_ns >= until_ns || self.room() == 0 || last,
        };
        let ask = match () {
            () if failed || self.refused != 0 => Ask::Abort,
            () if !over => return None,
            () if !self.abort => Ask::Commit,
            () if pending == 0 => Ask::Abort,
            () => {
                self.stage = Stage::Settling;
                return None;
            }
        };
        self.stage = Stage::Ending { asked_ns: now_ns };
        Some(ask)
    }

    /// The producer tells what became of it; none for an event that is no end.
    pub(crate) fn ended(&mut self, event: TransactionEvent, now_ns: u64) -> Option<Ended> {
        let (number, outcome, code) = match event {
            TransactionEvent::Initialized { .. } => return None,
            TransactionEvent::Committed { transaction } => (transaction, TransactionOutcome::Committed, 0),
            TransactionEvent::Aborted { transaction, code } => {
                (transaction, TransactionOutcome::Aborted, code)
            }
            TransactionEvent::Unknown { transaction, code } => {
                (transaction, TransactionOutcome::Unknown, code)
            }
        };
        let error_code = if code == 0 { self.refused } else { code };
        // A producer that is closed aborts what is open by itself.
        let asked_ns = match self.stage {
            Stage::Ending { asked_ns } => asked_ns,
            _ => now_ns,
        };
        self.stage = Stage::Idle;
        let (producer_id, producer_epoch) = self.identity;
        Some(Ended {
            entry: TransactionEnded {
                number,
                outcome,
                producer_id,
                producer_epoch,
                error_code,
                asked_ns,
                ended_ns: now_ns,
            },
            as_asked: outcome != TransactionOutcome::Unknown && error_code == 0,
            acked: std::mem::take(&mut self.acked),
        })
    }
}

#[cfg(test)]
#[path = "transactions_tests.rs"]
mod tests;
