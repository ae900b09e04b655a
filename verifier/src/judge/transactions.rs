//! What clients say of their transactions: which records, and how each ended; then, against the log, T1 and T3 to T5.
//! Pure.
//!
//! ```text
//!             all of its acknowledged records in L     some              none
//! committed   as it should be                          T3 torn           T5 lost commit
//! aborted     T1 each, and T4 ghost commit             T1 each, T3 torn  as it should be
//! unknown     may be                                   T3 torn           may be
//! ```
//! L is what a reader at read_committed gets: `visibility.rs`. T3 and T5 speak of what is absent, so they need a sealed
//! log; T1 and T4 do not. A transaction whose worker was killed has no end and is unknown.

use std::collections::{BTreeMap, HashMap};

use super::findings::{Anomaly, Findings};
use crate::history::{TransactionEnded, TransactionOutcome};

/// Transactions of a run at most: rows have 24 bits for them.
pub(super) const TRANSACTIONS_MAX: u32 = (1 << 24) - 1;

/// One transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transaction {
    worker: u16,
    number: u64,
    outcome: TransactionOutcome,
    /// When the client was asked to end it; `u64::MAX` = it never was, as far as its history tells.
    asked_ns: u64,
    /// Its acknowledged records, and those of them that are in L.
    acked: u32,
    visible: u32,
}

/// All transactions of a run. Rows call them by their place here, counted from 1.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    list: Vec<Transaction>,
    /// By worker, incarnation and the client's own number.
    places: HashMap<(u16, u32, u64), u32>,
    /// When a producer id and epoch was first acknowledged; after [`Transactions::seal`], that or a later epoch.
    used_ns: BTreeMap<(i64, i16), u64>,
}

impl Transactions {
    /// The place of a transaction; none when there are too many.
    pub(super) fn of(&mut self, worker: u16, incarnation: u32, number: u64) -> Option<u32> {
        let next = self.list.len() as u32 + 1;
        let place = *self.places.entry((worker, incarnation, number)).or_insert(next);
        if place == next {
            if next > TRANSACTIONS_MAX {
                return None;
            }
            self.list.push(Transaction {
                worker,
                number,
                outcome: TransactionOutcome::Unknown,
                asked_ns: u64::MAX,
                acked: 0,
                visible: 0,
            });
        }
        Some(place)
    }

    /// Notes how it ended; false when it has ended otherwise before.
    pub(super) fn end(&mut self, place: u32, ended: &TransactionEnded) -> bool {
        let Some(transaction) = self.at(place) else {
            return false;
        };
        let known = transaction.outcome != TransactionOutcome::Unknown;
        if known && ended.outcome != transaction.outcome {
            return false;
        }
        transaction.outcome = ended.outcome;
        transaction.asked_ns = transaction.asked_ns.min(ended.asked_ns);
        true
    }

    /// A batch of this producer id and epoch was acknowledged.
    pub(super) fn used(&mut self, producer_id: i64, producer_epoch: i16, ack_ns: u64) {
        if producer_id >= 0 && producer_epoch >= 0 {
            let used = self
                .used_ns
                .entry((producer_id, producer_epoch))
                .or_insert(ack_ns);
            *used = (*used).min(ack_ns);
        }
    }

    /// After the last history: from here on nothing is added.
    pub(super) fn seal(&mut self) {
        self.places = HashMap::new();
        let mut later: Option<(i64, u64)> = None;
        for (&(producer_id, _), used) in self.used_ns.iter_mut().rev() {
            if let Some((of, ns)) = later
                && of == producer_id
            {
                *used = (*used).min(ns);
            }
            later = Some((producer_id, *used));
        }
    }

    /// When an epoch later than this one of the same producer id was first acknowledged anywhere.
    pub(super) fn fenced_ns(&self, producer_id: i64, producer_epoch: i16) -> Option<u64> {
        let from = producer_epoch.checked_add(1)?;
        let later = (producer_id, from)..=(producer_id, i16::MAX);
        self.used_ns.range(later).next().map(|(_, &ns)| ns)
    }

    /// How it ended; none for 0, no transaction.
    pub(super) fn outcome(&self, place: u32) -> Option<TransactionOutcome> {
        Some(self.list.get((place as usize).checked_sub(1)?)?.outcome)
    }

    /// When the client was asked to end it: no marker before that.
    pub(super) fn asked_ns(&self, place: u32) -> Option<u64> {
        let transaction = self.list.get((place as usize).checked_sub(1)?)?;
        (transaction.asked_ns < u64::MAX).then_some(transaction.asked_ns)
    }

    /// One of its acknowledged records was looked for in L.
    pub(super) fn tally(&mut self, place: u32, visible: bool) {
        if let Some(transaction) = self.at(place) {
            transaction.acked += 1;
            transaction.visible += u32::from(visible);
        }
    }

    /// T3, T4 and T5, once every record is tallied.
    pub(super) fn find(&self, sealed: bool, findings: &mut Findings) {
        use TransactionOutcome::{Aborted, Committed};
        for transaction in self.list.iter().filter(|transaction| transaction.acked > 0) {
            let Transaction { acked, visible, .. } = *transaction;
            let (anomaly, what) = match (transaction.outcome, visible) {
                (Committed, 0) if sealed => (Anomaly::T5, "committed, and none is in the log"),
                (Aborted, all) if all == acked => (Anomaly::T4, "aborted, and all are in the log"),
                (_, some) if sealed && some > 0 && some < acked => {
                    (Anomaly::T3, "some are in the log and some not")
                }
                _ => continue,
            };
            findings.add(anomaly, None, || {
                format!(
                    "transaction {} of worker {}, {:?}: of its {acked} acknowledged records {visible} can be read: {what}",
                    transaction.number, transaction.worker, transaction.outcome
                )
            });
        }
    }

    /// Some client used transactions.
    pub(super) fn any(&self) -> bool {
        !self.list.is_empty()
    }

    /// Bytes of everything that grows with the transactions.
    pub(super) fn bytes(&self) -> usize {
        self.list.capacity() * size_of::<Transaction>() + self.used_ns.len() * size_of::<((i64, i16), u64)>()
    }

    fn at(&mut self, place: u32) -> Option<&mut Transaction> {
        self.list.get_mut((place as usize).checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_epoch_fences_from_its_first_acknowledgement_on() {
        let mut transactions = Transactions::default();
        for (producer_id, epoch, ns) in [(7, 0, 10), (7, 3, 50), (7, 5, 40), (8, 9, 1), (7, 3, 60)] {
            transactions.used(producer_id, epoch, ns);
        }
        transactions.seal();
        let fenced = |epoch| transactions.fenced_ns(7, epoch);
        assert_eq!((fenced(0), fenced(2), fenced(3)), (Some(40), Some(40), Some(40)));
        assert_eq!((fenced(5), fenced(i16::MAX)), (None, None));
        assert_eq!(transactions.fenced_ns(6, 0), None);
    }

    #[test]
    fn an_unknown_end_may_be_told_again_and_a_known_one_may_not_change() {
        let mut transactions = Transactions::default();
        let ended = |outcome| TransactionEnded {
            number: 1,
            outcome,
            producer_id: 7,
            producer_epoch: 0,
            error_code: 0,
            asked_ns: 5,
            ended_ns: 9,
        };
        let place = transactions.of(0, 0, 1).unwrap();
        assert_eq!(
            transactions.of(0, 1, 1),
            Some(place + 1),
            "incarnations count anew"
        );
        assert!(transactions.end(place, &ended(TransactionOutcome::Unknown)));
        assert!(transactions.end(place, &ended(TransactionOutcome::Committed)));
        assert!(!transactions.end(place, &ended(TransactionOutcome::Aborted)));
    }
}
