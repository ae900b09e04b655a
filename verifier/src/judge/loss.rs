//! L1 to L4: records that the log does not have, and does not have to be read. Pure.
//!
//! Sealed, every absent acknowledged record is lost (L1). Not sealed, only one below the frontier is: a later offset of
//! its partition was read, so it cannot be late. L2 counts those below the frontier, so L2 is a part of L1; L3 counts
//! the rest. With transactions a record must be there only if its own was committed.
//!
//! L4 speaks of a client that was closed in order and never told what became of a record: neither that it was
//! acknowledged, nor refused, nor unknown. Only what is not in the sealed log either counts.

use std::collections::BTreeMap;

use super::findings::{Anomaly, Findings};
use super::integrity::Integrity;
use super::tables::{Row, State, Tables};
use super::transactions::Transactions;
use crate::history::TransactionOutcome;
use crate::stamp::RecordId;

/// How far the log was read.
pub(super) struct Frontier {
    /// Highest offset read, by partition.
    pub(super) highest: BTreeMap<i32, i64>,
    /// Every partition was read to its sealed end.
    pub(super) sealed: bool,
}

/// Goes over all records once; and tells each transaction which of its records can be read.
pub(super) fn find(
    tables: &mut Tables,
    frontier: &Frontier,
    integrity: &Integrity<'_>,
    topic: &str,
    findings: &mut Findings,
) {
    let Tables {
        stretches,
        transactions,
        ..
    } = tables;
    for stretch in stretches.iter() {
        for (index, row) in (stretch.first_index..).zip(&stretch.rows) {
            let id = RecordId::new(stretch.worker, index);
            match row.state() {
                State::Acked => {
                    let there = row.seen() || integrity.is_damaged(row.partition, row.offset);
                    if row.transaction() != 0 {
                        transactions.tally(row.transaction(), there);
                    }
                    if !there && is_due(row, transactions) {
                        absent(id, row, frontier, topic, findings);
                    }
                }
                State::Open if stretch.orderly && frontier.sealed && !row.seen() && !row.hidden() => {
                    findings.add(Anomaly::L4, Some(id), || {
                        "handed over, its client closed in order without an outcome, and it is not in the log".to_owned()
                    });
                }
                State::Open | State::NotWritten | State::Unknown => {}
            }
        }
    }
    transactions.find(frontier.sealed, findings);
}

/// Whether a reader can ask for an acknowledged record: always, but for one of a transaction that is not known to be
/// committed.
fn is_due(row: &Row, transactions: &Transactions) -> bool {
    matches!(
        transactions.outcome(row.transaction()),
        None | Some(TransactionOutcome::Committed)
    )
}

fn absent(id: RecordId, row: &Row, frontier: &Frontier, topic: &str, findings: &mut Findings) {
    let id = Some(id);
    let place = || format!("{topic}-{} offset {}", row.partition, row.offset);
    let highest = frontier.highest.get(&row.partition).copied().unwrap_or(-1);
    // In a log that is not sealed the marker of its transaction may be still to come.
    let waits = row.hidden() && !frontier.sealed;
    let below = row.offset >= 0 && highest > row.offset && !waits;
    if below || frontier.sealed {
        let how = if row.hidden() {
            "its transaction is not committed there"
        } else {
            "not in the log"
        };
        findings.add(Anomaly::L1, id, || {
            format!("acknowledged at {}, and {how}", place())
        });
    } else {
        findings.add(Anomaly::L3, id, || {
            format!(
                "acknowledged at {}, and the log was read to offset {highest} only",
                place()
            )
        });
    }
    if below {
        findings.add(Anomaly::L2, id, || {
            format!(
                "acknowledged at {}; offset {highest} of that partition was read",
                place()
            )
        });
    }
}
