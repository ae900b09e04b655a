//! InitProducerId: who we are to the coordinator (B1, B12).

use super::requests::{self, Meaning, Question};
use super::{Protocol, Sender, State};
use crate::error::{Fatal, error_name};
use crate::rules::Rule;
use crate::sender::identity::Identity;
use crate::sender::partition::Context;
use crate::transaction::TransactionEvent;

/// From this epoch on a fresh producer id is asked for before a transaction begins (B12): one that times out in the last
/// epochs is stranded by brokers without KAFKA-20090. A coordinator gives a fresh id only once the epoch is 32,766;
/// each call before raises it by one, so the way there is short.
pub(super) const ROTATE_FROM_EPOCH: i16 = 32_750;
const INVALID_PRODUCER_EPOCH: i16 = 47;
const INVALID_TRANSACTION_TIMEOUT: i16 = 50;
const PRODUCER_FENCED: i16 = 90;

/// An InitProducerId that is to be asked, until it is answered with NONE.
#[derive(Debug)]
pub(super) struct Init {
    /// Id and epoch that we have; `None` takes the id over.
    pub(super) known: Option<(i64, i16)>,
    /// What to report when it is done: the transaction before it has ended.
    report: Option<TransactionEvent>,
}

impl Init {
    /// Of `init_transactions`.
    pub(super) fn first() -> Init {
        Init {
            known: None,
            report: None,
        }
    }

    pub(super) fn into_report(self) -> Option<TransactionEvent> {
        self.report
    }
}

impl Sender {
    /// Asks for a new epoch of what we have; `report` is told when we have it.
    pub(super) fn init_again(&mut self, report: Option<TransactionEvent>) {
        let known = self.identity.take().map(|identity| (identity.id, identity.epoch));
        if let Some(transactions) = &mut self.transactions {
            transactions.ending.due = false;
            transactions.init = Some(Init { known, report });
        }
    }

    pub(super) fn init_answered(&mut self, code: i16, identity: Identity, now_ns: u64) {
        match requests::meaning(Question::InitProducerId, code) {
            Meaning::Done => self.initialized(identity, now_ns),
            Meaning::Soon => self.ask_soon(now_ns),
            Meaning::Again => self.back_off_question(now_ns),
            Meaning::Elsewhere | Meaning::InDoubt => {
                self.search_failed(Question::InitProducerId, now_ns);
                self.back_off_question(now_ns);
            }
            Meaning::Abort | Meaning::AbortAndInit | Meaning::Forgotten | Meaning::Fatal => {
                self.transaction_fatal(code);
            }
        }
    }

    fn initialized(&mut self, identity: Identity, now_ns: u64) {
        self.coordinator_works(Question::InitProducerId);
        let Some(transactions) = &mut self.transactions else {
            return;
        };
        let Some(init) = &mut transactions.init else {
            return;
        };
        if identity.epoch >= ROTATE_FROM_EPOCH {
            init.known = Some((identity.id, identity.epoch));
            return; // and again, until the id is a fresh one
        }
        let report = init.report.take();
        transactions.init = None;
        self.identity = Some(identity);
        self.enter_epoch(identity, now_ns);
        match report {
            Some(event) => self.ended(event),
            None => self.first_initialized(identity),
        }
    }

    fn first_initialized(&mut self, identity: Identity) {
        if let Some(transactions) = &mut self.transactions
            && transactions.state == State::Uninitialized
        {
            transactions.state = State::Ready;
            transactions.events.push_back(TransactionEvent::Initialized {
                producer_id: identity.id,
                producer_epoch: identity.epoch,
            });
        }
    }

    /// B12, before a transaction begins.
    pub(super) fn rotate_in_time(&mut self) {
        if self
            .identity
            .is_some_and(|identity| identity.epoch >= ROTATE_FROM_EPOCH)
        {
            self.init_again(None);
        }
    }

    /// The protocol of the transaction that begins. Another one than before begins with an epoch of its own, so that
    /// nothing late of one is ever taken for the other's.
    pub(super) fn choose_protocol(&mut self) {
        let Some(transactions) = &mut self.transactions else {
            return;
        };
        let level = if self.rules.on(Rule::ByFeature) {
            transactions.features.1
        } else {
            i16::MAX
        };
        let protocol = transactions
            .versions
            .map_or(Protocol::V1, |versions| versions.protocol(level));
        let first = transactions.number == 1;
        let changed = std::mem::replace(&mut transactions.protocol, protocol) != protocol;
        if changed && !first {
            self.init_again(None);
        }
    }

    /// An epoch of our own is needed, and the coordinator is too old to be told which one we have: a plain
    /// InitProducerId might fence a newer owner (B6).
    pub(super) fn cannot_go_on(&mut self) {
        self.transaction_fatal(INVALID_PRODUCER_EPOCH);
    }

    /// What B6 forbids: the id is taken back from whoever has it now.
    fn take_over_again(&mut self, code: i16) {
        let mut cx = Context {
            outcomes: &mut self.outcomes,
            memory: &mut self.memory,
            now_ns: 0,
        };
        for partition in &mut self.partitions {
            partition.give_up_fresh(code, &mut cx);
            partition.end_transaction(code, &mut cx);
        }
        let Some(transactions) = &mut self.transactions else {
            return;
        };
        let transaction = transactions.number;
        let report = match transactions.state {
            State::Uninitialized | State::Ready => None,
            _ if transactions.commit_in_doubt() => Some(TransactionEvent::Unknown { transaction, code }),
            _ => Some(TransactionEvent::Aborted { transaction, code }),
        };
        transactions.offsets.clear();
        transactions.enlisting.clear();
        self.identity = None;
        self.init_again(report);
    }

    /// This instance stops (B6).
    pub(super) fn transaction_fatal(&mut self, code: i16) {
        if !self.rules.on(Rule::StopWhenFenced) && matches!(code, INVALID_PRODUCER_EPOCH | PRODUCER_FENCED) {
            return self.take_over_again(code);
        }
        self.transaction_ends_fatally(code);
        let timeout_ns = self.settings.transaction_timeout_ns;
        self.fatal = Some(match code {
            INVALID_PRODUCER_EPOCH | PRODUCER_FENCED => Fatal::Fenced { code },
            INVALID_TRANSACTION_TIMEOUT => Fatal::TransactionTimeout {
                timeout_ms: i32::try_from(timeout_ns / 1_000_000).unwrap_or(i32::MAX),
            },
            _ => Fatal::Refused {
                code,
                name: error_name(code),
            },
        });
    }
}
