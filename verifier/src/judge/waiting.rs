//! Acknowledged records that wait for the end of their transaction. Pure.
//!
//! ```text
//! due ──▶ handed over ──▶ batch acknowledged ──▶ end asked for ──▶ end answered
//!          └──── service time ────┘                                     │
//!  └───────────────────────── ack latency ──────────────────────────────┘
//! ```
//! Nobody who reads committed gets a record before its transaction is committed, so an application that waits for its
//! record waits for that. Aborted because the workload asked for it is an answer as asked, too; aborted because
//! something failed is none: those records count as never acknowledged.

use std::collections::BTreeMap;

use super::histories::Books;
use crate::history::{TransactionEnded, TransactionOutcome};

/// One record of an acknowledged batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct WaitingRecord {
    pub(super) intended_ns: u64,
    pub(super) handover_ns: u64,
    pub(super) ack_ns: u64,
    /// It is the record's first outcome: it was not unknown before.
    pub(super) first: bool,
}

/// By the client's number of the transaction. A client has one open at a time; it holds no more than those.
#[derive(Debug, Default)]
pub(super) struct Waiting(BTreeMap<u64, Vec<WaitingRecord>>);

impl Waiting {
    pub(super) fn push(&mut self, transaction: u64, record: WaitingRecord) {
        self.0.entry(transaction).or_default().push(record);
    }

    /// The end of a transaction was answered. An unknown end is none: it may be told again.
    pub(super) fn settle(&mut self, ended: &TransactionEnded, books: &mut Books<'_>) {
        if ended.outcome == TransactionOutcome::Unknown {
            return;
        }
        let records = self.0.remove(&ended.number).unwrap_or_default();
        let as_asked = ended.outcome == TransactionOutcome::Committed || ended.error_code == 0;
        let Some(due_ns) = earliest(&records) else { return };
        end(&records, ended.ended_ns, books);
        if !as_asked {
            books.availability.failed(ended.ended_ns, due_ns);
            return;
        }
        if let Some(load) = &mut books.load {
            for record in &records {
                load.answered(
                    record.intended_ns,
                    record.handover_ns,
                    record.ack_ns,
                    ended.ended_ns,
                );
            }
            load.batch_acked(records.len() as u64, ended.ended_ns);
        }
        books.availability.acked(ended.ended_ns, due_ns);
    }

    /// The history ends here. While its worker still writes (`looked_ns`) the open transaction is on its way; else its
    /// end will never be known.
    pub(super) fn give_up(&mut self, looked_ns: Option<u64>, until_ns: u64, books: &mut Books<'_>) {
        for records in std::mem::take(&mut self.0).into_values() {
            let Some(due_ns) = earliest(&records) else {
                continue;
            };
            let Some(looked_ns) = looked_ns else {
                end(&records, until_ns, books);
                books.availability.failed(until_ns, due_ns);
                continue;
            };
            if let Some(load) = &mut books.load {
                for record in &records {
                    load.on_its_way(record.intended_ns, record.handover_ns, looked_ns);
                }
            }
            books.availability.acked(looked_ns, due_ns);
        }
    }
}

/// None of them waits any longer than until then.
fn end(records: &[WaitingRecord], at_ns: u64, books: &mut Books<'_>) {
    if let Some(load) = &mut books.load {
        let first = records.iter().filter(|record| record.first);
        first.for_each(|record| load.ended(record.intended_ns, at_ns));
    }
}

fn earliest(records: &[WaitingRecord]) -> Option<u64> {
    records.iter().map(|record| record.intended_ns).min()
}

#[cfg(test)]
mod tests {
    use super::super::availability::Availability;
    use super::super::findings::Findings;
    use super::super::liveness::Debts;
    use super::super::load::{Load, PhaseLoad};
    use super::super::phases::{Cuts, Phases, Plan};
    use super::super::tables::Tables;
    use super::*;

    const MS: u64 = 1_000_000;
    const S: u64 = 1_000 * MS;

    /// Two records of transaction 1, due 11 and 12 ms after the start, sent 1 ms later, each acknowledged 2 ms after that.
    fn waiting() -> Waiting {
        let mut waiting = Waiting::default();
        for due in [11 * MS, 12 * MS] {
            let record = WaitingRecord {
                intended_ns: due,
                handover_ns: due + MS,
                ack_ns: due + 3 * MS,
                first: true,
            };
            waiting.push(1, record);
        }
        waiting
    }

    fn told(outcome: TransactionOutcome, error_code: i16) -> TransactionEnded {
        TransactionEnded {
            number: 1,
            outcome,
            producer_id: 7,
            producer_epoch: 0,
            error_code,
            asked_ns: 16 * MS,
            ended_ns: 21 * MS,
        }
    }

    /// What the load and availability say after `act`.
    fn after(act: impl FnOnce(&mut Waiting, &mut Books<'_>)) -> (PhaseLoad, Vec<std::ops::Range<u64>>) {
        let plan = Plan {
            start_ns: 0,
            warmup_end_ns: 0,
            end_ns: S,
        };
        let phases = Phases::of(&plan, &[]);
        let mut load = Load::new(Cuts::of(&phases), 0..S);
        let mut availability = Availability::new();
        act(
            &mut waiting(),
            &mut Books {
                tables: &mut Tables::default(),
                load: Some(&mut load),
                availability: &mut availability,
                debts: &mut Debts::default(),
                findings: &mut Findings::default(),
            },
        );
        (load.phase(&phases.named[0]), availability.stretches())
    }

    #[test]
    fn latency_ends_with_the_answer_to_the_end_and_service_time_with_the_batch() {
        use TransactionOutcome::{Aborted, Committed};
        for as_asked in [told(Committed, 0), told(Aborted, 0)] {
            let (load, stretches) = after(|waiting, books| waiting.settle(&as_asked, books));
            assert_eq!((load.acked, load.due_and_acked), (2, 2));
            let near = |value: u64, ms: u64| value.abs_diff(ms * MS) < MS / 100;
            assert!(near(load.ack_latency.max(), 10), "{}", load.ack_latency.max());
            assert!(near(load.ack_latency.min(), 9), "{}", load.ack_latency.min());
            assert!(near(load.service_time.max(), 2), "{}", load.service_time.max());
            assert_eq!(stretches, [11 * MS..21 * MS]);
        }
    }

    #[test]
    fn what_failed_was_never_acknowledged_and_an_unknown_end_may_be_told_later() {
        let (load, stretches) =
            after(|waiting, books| waiting.settle(&told(TransactionOutcome::Aborted, 7), books));
        assert_eq!((load.acked, load.due_and_acked), (0, 0));
        assert_eq!(stretches, [11 * MS..u64::MAX]);
        let (load, _) = after(|waiting, books| {
            waiting.settle(&told(TransactionOutcome::Unknown, 47), books);
            waiting.settle(&told(TransactionOutcome::Committed, 0), books);
        });
        assert_eq!(load.acked, 2);
        let (load, _) = after(|waiting, books| waiting.give_up(None, u64::MAX, books));
        assert_eq!(load.acked, 0);
    }

    #[test]
    fn while_the_run_goes_on_it_is_on_its_way() {
        let (load, _) = after(|waiting, books| waiting.give_up(Some(31 * MS), u64::MAX, books));
        assert_eq!(load.acked, 2);
        assert!(load.ack_latency.max() >= 20 * MS, "no less than it has waited");
    }
}
