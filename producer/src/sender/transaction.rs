//! Transactions: contract B, rules B1 to B13, beside the core that sends batches. No clock and no socket here either.
//!
//! ```text
//!  Uninitialized ─init_transactions─► (FindCoordinator, InitProducerId until NONE, B1) ─► Ready
//!
//!  Ready ─begin─► InTransaction ──commit──► Committing: all ACKED? offsets in? (B2) ──► EndTxn(commit) ──► Ready
//!                      │ abort                   │ a batch failed                      answer lost: the same again (B3)
//!                      │ failure                 ▼
//!                      ├──► AbortableError ─► Aborting: nothing leaves, wire empty ──► EndTxn(abort) ────► Ready
//!                      └─ fenced, forbidden, beyond repair ─► FatalError (B6)           [InitProducerId]
//! ```
//!
//! | | transaction version 1 (KIP-98) | version 2 (KIP-890) |
//! |---|---|---|
//! | chosen by | otherwise | the *finalized* feature `transaction.version` ≥ 2, and the API versions that go with it |
//! | a partition joins | AddPartitionsToTxn ≤ v3 before its first batch | by Produce ≥ v12 itself |
//! | a group joins | AddOffsetsToTxn, then TxnOffsetCommit ≤ v4 | by TxnOffsetCommit v5 itself |
//! | EndTxn | ≤ v4, the epoch stays | v5, gives the next epoch; numbers start at 0 everywhere |
//! | after an abort | InitProducerId | - |
//!
//! The protocol is chosen when a transaction begins and stays for all of it.
//!
//! Who calls InitProducerId, and how. `init_transactions` asks plainly: it takes the id over and fences (B1). Whenever
//! the core asks by itself (after an abort under version 1, for a fresh id, after the coordinator forgot us), it says
//! which id and epoch it has (KIP-360): if there is a newer owner, the coordinator refuses with 90, and we stop instead
//! of fencing it back (B6). Measured on Kafka 4.1.0: before it refuses, it aborts a transaction that the newer owner has
//! open. So the question is never asked on suspicion: only after the coordinator has just accepted an EndTxn of ours, or
//! does not know our id at all (then it refuses at once).

mod batches;
mod coordinator;
mod end;
mod enlist;
mod init;
mod requests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use self::coordinator::Coordinator;
pub(super) use self::coordinator::links;
pub(crate) use self::requests::{Question, TransactionVersions};
use super::Sender;
use super::settings::Settings;
use crate::error::AppendError;
use crate::rules::Rule;
use crate::transaction::{GroupOffset, TransactionError, TransactionEvent, TransactionState as State};

/// Offsets (one per topic and partition) in one transaction at most: a request stays below 10 MB.
const MAX_OFFSETS: usize = 100_000;
/// TRANSACTION_ABORTABLE: what records end with that were not sent because their transaction was aborted.
const ABORTED: i16 = 120;

/// Which of the two protocols a transaction follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    /// KIP-98.
    V1,
    /// KIP-890.
    V2,
}

/// Does the coordinator know of the open transaction? Only then is there anything to end (B4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Registered {
    No,
    /// Version 1: it was asked to, and the answer was lost.
    Maybe,
    Yes,
}

/// How an aborted transaction is left, from the mildest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Repair {
    /// EndTxn(abort); under version 1 InitProducerId behind it.
    End,
    /// The same under both versions.
    EndThenInit,
    /// The coordinator does not know the id any more: EndTxn would be refused.
    InitOnly,
}

/// The end of a transaction, once it has begun to end or has failed.
#[derive(Debug)]
struct Ending {
    /// Why it is aborted; 0 = it was asked for.
    code: i16,
    repair: Repair,
    /// Nothing of it is on the wire or waits to be sent.
    stopped: bool,
    /// EndTxn may be asked. What it says (the state) is fixed from here on (B3).
    due: bool,
    /// An EndTxn may have taken effect although nobody said so.
    in_doubt: bool,
}

impl Ending {
    fn new() -> Ending {
        Ending {
            code: 0,
            repair: Repair::End,
            stopped: false,
            due: false,
            in_doubt: false,
        }
    }
}

/// Offsets of one group, on their way into the transaction.
#[derive(Debug)]
struct Offsets {
    group: String,
    positions: BTreeMap<(String, i32), i64>,
    /// Version 1: the coordinator knows that the group takes part.
    enlisted: bool,
}

/// All that a transactional producer has beside an idempotent one.
pub(super) struct Transactions {
    id: String,
    timeout_ns: u64,
    state: State,
    /// Of the open transaction, or else of the last; the first is 1.
    number: u64,
    begun_ns: u64,
    protocol: Protocol,
    /// Epoch and level of the newest finalized features that any broker told.
    features: (i64, i16),
    /// What the coordinator last connected to speaks.
    versions: Option<TransactionVersions>,
    registered: Registered,
    /// Partitions that wait to be enlisted, and those in the request on its way (version 1).
    enlisting: BTreeSet<u32>,
    asked_partitions: Vec<u32>,
    offsets: VecDeque<Offsets>,
    ending: Ending,
    init: Option<init::Init>,
    /// The question whose answer is awaited; one at a time.
    asked: Option<Question>,
    /// Not before: backoff (A18), and how often in a row.
    retry_at_ns: u64,
    attempts: u32,
    coordinator: Coordinator,
    group: Coordinator,
    events: VecDeque<TransactionEvent>,
}

impl Transactions {
    pub(super) fn new(settings: &Settings) -> Option<Transactions> {
        let id = settings.transactional_id.clone()?;
        Some(Transactions {
            coordinator: Coordinator::of_transactions(&id),
            id,
            timeout_ns: settings.transaction_timeout_ns,
            state: State::Uninitialized,
            number: 0,
            begun_ns: 0,
            protocol: Protocol::V1,
            features: (-1, 0),
            versions: None,
            registered: Registered::No,
            enlisting: BTreeSet::new(),
            asked_partitions: Vec::new(),
            offsets: VecDeque::new(),
            ending: Ending::new(),
            init: None,
            asked: None,
            retry_at_ns: 0,
            attempts: 0,
            group: Coordinator::of_groups(),
            events: VecDeque::new(),
        })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// May a record be appended?
    pub(super) fn admits(&self) -> Result<(), AppendError> {
        match self.state {
            State::InTransaction => Ok(()),
            State::AbortableError => Err(AppendError::TransactionFailed {
                code: self.ending.code,
            }),
            State::FatalError => Err(AppendError::Closed),
            State::Uninitialized | State::Ready | State::Committing | State::Aborting => {
                Err(AppendError::NoTransaction)
            }
        }
    }

    /// Batches may leave.
    fn sends(&self) -> bool {
        matches!(self.state, State::InTransaction | State::Committing)
    }

    /// A commit was asked for, and may have happened although nobody said so.
    fn commit_in_doubt(&self) -> bool {
        let asked = self.ending.in_doubt || self.asked == Some(Question::EndTxn);
        self.state == State::Committing && asked
    }

    fn refused(&self, mend: &'static str) -> TransactionError {
        TransactionError::WrongState {
            state: self.state,
            mend,
        }
    }
}

impl Sender {
    /// Takes the `transactional.id` over: fences whoever used it before, and waits until its last transaction has
    /// ended. [`TransactionEvent::Initialized`] says when.
    pub fn init_transactions(&mut self) -> Result<(), TransactionError> {
        let transactions = self.open_transactions()?;
        if transactions.state != State::Uninitialized || transactions.init.is_some() {
            return Err(transactions.refused("init_transactions is called once"));
        }
        transactions.init = Some(init::Init::first());
        Ok(())
    }

    /// Begins a transaction and gives its number, which completions and events carry.
    pub fn begin_transaction(&mut self, now_ns: u64) -> Result<u64, TransactionError> {
        let transactions = self.open_transactions()?;
        match transactions.state {
            State::Ready => {}
            State::Uninitialized => {
                return Err(transactions.refused("call init_transactions and await its event"));
            }
            State::AbortableError => {
                let code = transactions.ending.code;
                return Err(TransactionError::MustAbort { code });
            }
            _ => return Err(transactions.refused("the last transaction must end first")),
        }
        transactions.state = State::InTransaction;
        transactions.number += 1;
        transactions.begun_ns = now_ns;
        transactions.registered = Registered::No;
        transactions.ending = Ending::new();
        let number = transactions.number;
        self.outcomes.begin_transaction(number);
        self.choose_protocol();
        self.rotate_in_time();
        Ok(number)
    }

    /// Makes a group's positions part of the transaction: they become the group's committed offsets if and only if it
    /// commits (KIP-98). The group has no members that its coordinator knows (manual assignment): generation -1 and an
    /// empty member id go with them (KIP-447). A later position of the same partition replaces an earlier one.
    pub fn send_offsets_to_transaction(
        &mut self,
        group: &str,
        offsets: &[GroupOffset],
    ) -> Result<(), TransactionError> {
        let transactions = self.open_transactions()?;
        match transactions.state {
            State::InTransaction => transactions.take_offsets(group, offsets),
            State::AbortableError => Err(TransactionError::MustAbort {
                code: transactions.ending.code,
            }),
            _ => Err(transactions.refused("call begin_transaction first")),
        }
    }

    /// Sends all that waits without linger and, when every record is acknowledged and the offsets are in, asks the
    /// coordinator to commit. A transaction that failed, before or meanwhile, is aborted instead. Its event tells.
    pub fn commit_transaction(&mut self, now_ns: u64) -> Result<(), TransactionError> {
        let transactions = self.open_transactions()?;
        match transactions.state {
            State::InTransaction => {
                transactions.state = State::Committing;
                self.hurry = true;
                self.make_all_due(now_ns);
                Ok(())
            }
            State::AbortableError => {
                transactions.state = State::Aborting;
                Ok(())
            }
            _ => Err(transactions.refused("call begin_transaction first")),
        }
    }

    /// Gives up what was not sent and ends the transaction so that readers see nothing of it. Its event tells when.
    pub fn abort_transaction(&mut self, now_ns: u64) -> Result<(), TransactionError> {
        let transactions = self.open_transactions()?;
        match transactions.state {
            State::InTransaction => {
                transactions.state = State::Aborting;
                self.stop_batches(ABORTED, now_ns);
                Ok(())
            }
            State::AbortableError => {
                transactions.state = State::Aborting;
                Ok(())
            }
            _ => Err(transactions.refused("call begin_transaction first")),
        }
    }

    /// The next event, in order.
    pub fn next_transaction_event(&mut self) -> Option<TransactionEvent> {
        self.transactions.as_mut()?.events.pop_front()
    }

    /// Events wait to be fetched.
    #[must_use]
    pub fn has_transaction_events(&self) -> bool {
        self.transactions
            .as_ref()
            .is_some_and(|transactions| !transactions.events.is_empty())
    }

    /// Where it stands; `None` without `transactional.id`.
    #[must_use]
    pub fn transaction_state(&self) -> Option<State> {
        self.transactions.as_ref().map(|transactions| transactions.state)
    }

    /// Number of the open transaction, or else of the last; 0 = there was none.
    #[must_use]
    pub fn transaction_number(&self) -> u64 {
        self.transactions
            .as_ref()
            .map_or(0, |transactions| transactions.number)
    }

    /// The open transaction must not commit, although the core saw no failure: a record of it was not even taken.
    pub(crate) fn fail_transaction(&mut self, code: i16, now_ns: u64) {
        self.transaction_failed(code, Repair::End, now_ns);
    }

    pub(super) fn is_committing(&self) -> bool {
        let transactions = self.transactions.as_ref();
        transactions.is_some_and(|transactions| transactions.state == State::Committing)
    }

    /// Lets transactions go on: what failed, what may end, what is to be asked.
    pub(super) fn step_transaction(&mut self, now_ns: u64) {
        if self.transactions.is_none() {
            return;
        }
        if let Some(code) = self.outcomes.take_failure()
            && self.rules.on(Rule::CommitAllAcked)
        {
            self.transaction_failed(code, Repair::End, now_ns);
        }
        self.step_ending(now_ns);
        self.ask_next(now_ns);
    }

    fn open_transactions(&mut self) -> Result<&mut Transactions, TransactionError> {
        if let Some(fatal) = &self.fatal {
            return Err(fatal.clone().into());
        }
        if self.closed {
            return Err(TransactionError::Closed);
        }
        self.transactions
            .as_deref_mut()
            .ok_or(TransactionError::NotTransactional)
    }
}
