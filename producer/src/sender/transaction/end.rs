//! How a transaction ends: B2 to B6.
//!
//! ```text
//!   Committing ─ every record ACKED, offsets in ─► EndTxn(commit) ─ NONE ───────────────────────► Committed
//!       │ one is not                                  │ lost, 15, 16, 7 ..: the same again        Ready
//!       ▼                                             │ 49: forgotten ─► InitProducerId ─► Aborted, or Unknown if in doubt
//!       │                                             │ version 1, 48 if in doubt: the same
//!   Aborting ─ wire empty ─► EndTxn(abort) ─ NONE     │ 120: refused ─► Aborting
//!                               │                     └ 47, 48, 53, 90: fatal; Aborted, or Unknown if in doubt
//!                               └► version 1: InitProducerId ─► Aborted, also after 48: no partition was ever added
//! ```
//!
//! What is known of a commit follows from what was asked. While no EndTxn(commit) has left, nobody else sends one for
//! this epoch, so a transaction that ends otherwise is Aborted. Once one has left without an answer it is in doubt, and
//! only an answer to the very same request settles that (M14). Under version 1 the epoch stays, and a copy that was
//! held up on the way could end the *next* transaction; so a new epoch comes before anything else is done (B3).

use super::requests::{self, Meaning, Question};
use super::{ABORTED, Protocol, Registered, Repair, Sender, State};
use crate::error::Fatal;
use crate::rules::Rule;
use crate::sender::identity::Identity;
use crate::transaction::TransactionEvent;

const INVALID_TXN_STATE: i16 = 48;
/// REQUEST_TIMED_OUT: what a close leaves open ends with.
const TIMED_OUT: i16 = 7;

impl Sender {
    /// Something makes it impossible to commit.
    pub(super) fn transaction_failed(&mut self, code: i16, repair: Repair, now_ns: u64) {
        let Some(transactions) = &mut self.transactions else {
            return;
        };
        let ending = &mut transactions.ending;
        match transactions.state {
            State::InTransaction => transactions.state = State::AbortableError,
            State::Committing if !ending.due => transactions.state = State::Aborting,
            State::AbortableError | State::Aborting if !ending.due => {
                ending.repair = ending.repair.max(repair);
                return;
            }
            _ => return,
        }
        ending.code = code;
        ending.repair = repair;
        self.stop_batches(code, now_ns);
    }

    /// Does what an ending transaction can do without asking anybody.
    pub(super) fn step_ending(&mut self, now_ns: u64) {
        let Some(transactions) = &self.transactions else {
            return;
        };
        let free = transactions.asked.is_none() && transactions.init.is_none();
        if !free || transactions.ending.due {
            return;
        }
        match transactions.state {
            State::Committing => self.step_commit(),
            State::Aborting | State::AbortableError => self.step_abort(now_ns),
            _ => {}
        }
    }

    /// B2: all of it, or nothing.
    fn step_commit(&mut self) {
        let Some(transactions) = &mut self.transactions else {
            return;
        };
        let flushed = self.outcomes.pending() == 0 && transactions.offsets.is_empty();
        if !flushed && self.rules.on(Rule::FlushBeforeCommit) {
            return;
        }
        if transactions.registered > Registered::No || !self.rules.on(Rule::EmptyIsNotEnded) {
            transactions.ending.due = true;
        } else {
            // B4: there is nothing to end; the coordinator would answer 48.
            let transaction = transactions.number;
            self.ended(TransactionEvent::Committed { transaction });
        }
    }

    fn step_abort(&mut self, now_ns: u64) {
        let stopped = self
            .transactions
            .as_ref()
            .is_some_and(|transactions| transactions.ending.stopped);
        if !stopped {
            let code = self
                .transactions
                .as_ref()
                .map_or(0, |transactions| transactions.ending.code);
            let code = if code == 0 { ABORTED } else { code };
            if !self.batches_stopped(code, now_ns) {
                return;
            }
        }
        let Some(transactions) = &mut self.transactions else {
            return;
        };
        transactions.ending.stopped = true;
        if transactions.state != State::Aborting {
            return;
        }
        let event = TransactionEvent::Aborted {
            transaction: transactions.number,
            code: transactions.ending.code,
        };
        match transactions.ending.repair {
            Repair::InitOnly => self.init_again(Some(event)),
            Repair::End
                if transactions.registered == Registered::No || !self.rules.on(Rule::EndWhatIsRegistered) =>
            {
                self.ended(event);
            }
            // B4: also where nothing was written, since trying may have registered a partition.
            Repair::End | Repair::EndThenInit => transactions.ending.due = true,
        }
    }

    pub(super) fn end_answered(&mut self, code: i16, next: Identity, now_ns: u64) {
        let Some(transactions) = &mut self.transactions else {
            return;
        };
        let commit = transactions.state == State::Committing;
        let in_doubt = commit && transactions.ending.in_doubt;
        let transaction = transactions.number;
        let otherwise = if in_doubt && self.rules.on(Rule::DoubtIsTold) {
            TransactionEvent::Unknown { transaction, code }
        } else {
            let because = transactions.ending.code;
            let code = if commit || because == 0 { code } else { because };
            TransactionEvent::Aborted { transaction, code }
        };
        // Nothing was registered after all (under version 1 whatever was believed: nothing is open), so there is nothing to
        // abort; the new epoch keeps a late request out.
        let closed = transactions.registered == Registered::Maybe || transactions.protocol == Protocol::V1;
        let nothing = code == INVALID_TXN_STATE && !commit && closed;
        // Under version 1 an InitProducerId of ours that was held up on the way, from before this epoch, makes a coordinator
        // forget how the last transaction ended. It still knows us by this epoch (else 90), so asking for the next is safe.
        let wiped = code == INVALID_TXN_STATE && in_doubt && transactions.protocol == Protocol::V1;
        match requests::meaning(Question::EndTxn, code) {
            _ if nothing => self.end_done(next, now_ns),
            _ if wiped => self.init_again(Some(otherwise)),
            Meaning::Done => self.end_done(next, now_ns),
            Meaning::Soon => self.ask_soon(now_ns),
            Meaning::Again => self.back_off_question(now_ns),
            Meaning::Elsewhere | Meaning::InDoubt => {
                transactions.ending.in_doubt = true;
                self.search_failed(Question::EndTxn, now_ns);
                self.back_off_question(now_ns);
            }
            // The commit was refused and none is on its way: aborting is no change of mind.
            meaning @ (Meaning::Abort | Meaning::AbortAndInit) if commit && !in_doubt => {
                transactions.state = State::Aborting;
                transactions.ending.due = false;
                transactions.ending.code = code;
                if meaning == Meaning::AbortAndInit {
                    transactions.ending.repair = Repair::EndThenInit;
                }
            }
            Meaning::Forgotten | Meaning::AbortAndInit => self.init_again(Some(otherwise)),
            Meaning::Abort | Meaning::Fatal => {
                // Version 2 recognises a repetition by its epoch: "not in this state" then says that it did not commit.
                let settled = code == INVALID_TXN_STATE && transactions.protocol == Protocol::V2;
                transactions.ending.in_doubt &= !settled;
                self.transaction_fatal(code);
                // The coordinator has aborted it: nobody else ends a transaction of this epoch.
                if settled && commit {
                    self.fatal = Some(Fatal::Fenced { code });
                }
            }
        }
    }

    fn end_done(&mut self, next: Identity, now_ns: u64) {
        self.coordinator_works(Question::EndTxn);
        let Some(transactions) = &mut self.transactions else {
            return;
        };
        let transaction = transactions.number;
        let commit = transactions.state == State::Committing;
        let event = if commit {
            TransactionEvent::Committed { transaction }
        } else {
            TransactionEvent::Aborted {
                transaction,
                code: transactions.ending.code,
            }
        };
        let clean = commit && !transactions.ending.in_doubt;
        let init = match transactions.protocol {
            Protocol::V1 if commit => !clean && self.rules.on(Rule::InitAfterDoubt),
            Protocol::V1 => self.rules.on(Rule::InitAfterAbort),
            // The answer gives the next id, unless the broker forgot to.
            Protocol::V2 => transactions.ending.repair == Repair::EndThenInit || next.id < 0,
        };
        if transactions.protocol == Protocol::V2 && next.id >= 0 && self.rules.on(Rule::NextEpoch) {
            self.identity = Some(next);
            self.enter_epoch(next, now_ns);
        }
        if init {
            self.init_again(Some(event));
        } else {
            self.ended(event);
        }
    }

    /// The transaction is over, and the next may begin.
    pub(super) fn ended(&mut self, event: TransactionEvent) {
        if let Some(transactions) = &mut self.transactions {
            transactions.state = State::Ready;
            transactions.ending.due = false;
            transactions.events.push_back(event);
        }
        self.hurry = self.flushing;
    }

    /// The open transaction gets the outcome that is known, and nothing is asked any more.
    pub(super) fn transaction_ends_fatally(&mut self, code: i16) {
        let Some(transactions) = &mut self.transactions else {
            return;
        };
        let transaction = transactions.number;
        let because = transactions.ending.code;
        let code = if because == 0 { code } else { because };
        let reported = transactions.init.take().and_then(super::init::Init::into_report);
        let open = !matches!(
            transactions.state,
            State::Uninitialized | State::Ready | State::FatalError
        );
        let event = match reported {
            Some(event) => Some(event),
            None if !open => None,
            None if transactions.commit_in_doubt() && self.rules.on(Rule::DoubtIsTold) => {
                Some(TransactionEvent::Unknown { transaction, code })
            }
            None => Some(TransactionEvent::Aborted { transaction, code }),
        };
        transactions.events.extend(event);
        transactions.state = State::FatalError;
    }

    /// The producer is closed: no outcome will come any more. An open transaction that was never asked to commit is
    /// aborted by the coordinator once `transaction.timeout.ms` has passed.
    pub(in crate::sender) fn abandon_transaction(&mut self) {
        self.transaction_ends_fatally(TIMED_OUT);
    }
}
