//! L1, L2 and L3: acknowledged records that the log does not have. Pure.
//!
//! Sealed, every absent one is lost (L1). Not sealed, only one below the frontier is: a later offset of its partition
//! was read, so it cannot be late. L2 counts those below the frontier, so L2 is a part of L1; L3 counts the rest.

use std::collections::BTreeMap;

use super::findings::{Anomaly, Findings};
use super::integrity::Integrity;
use super::tables::{State, Tables};
use crate::stamp::RecordId;

/// How far the log was read.
pub(super) struct Frontier {
    /// Highest offset read, by partition.
    pub(super) highest: BTreeMap<i32, i64>,
    /// Every partition was read to its sealed end.
    pub(super) sealed: bool,
}

/// Goes over all records once.
pub(super) fn find(
    tables: &Tables,
    frontier: &Frontier,
    integrity: &Integrity<'_>,
    topic: &str,
    findings: &mut Findings,
) {
    for stretch in &tables.stretches {
        for (index, row) in (stretch.first_index..).zip(&stretch.rows) {
            if row.state != State::Acked || row.seen || integrity.is_damaged(row.partition, row.offset) {
                continue;
            }
            let id = Some(RecordId::new(stretch.worker, index));
            let place = || format!("{topic}-{} offset {}", row.partition, row.offset);
            let highest = frontier.highest.get(&row.partition).copied().unwrap_or(-1);
            let below = row.offset >= 0 && highest > row.offset;
            if below || frontier.sealed {
                findings.add(Anomaly::L1, id, || {
                    format!("acknowledged at {}, and not in the log", place())
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
    }
}
