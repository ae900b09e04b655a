//! Pass 2: every log file in offset order, against the tables.
//!
//! ```text
//! log/orders-0.bin ─┬─ first reading ──▶ which records stand where they were acknowledged   (home)
//! log/orders-1.bin ─┤
//!        ...        └─ second reading ─▶ integrity ─▶ duplication ─▶ order       then, over all rows: loss
//! ```
//! Two readings, because the first copy of a record that stands in the log twice is not always the true one. Control
//! records are no data, and offsets without a record (compaction, markers) are no holes.

use std::collections::BTreeMap;

use super::JudgeError;
use super::duplication::{Sighting, sight};
use super::findings::Findings;
use super::integrity::{Identity, Integrity};
use super::loss::{self, Frontier};
use super::order::Order;
use super::sources::{Logs, Topic};
use super::tables::{State, Tables};
use crate::log::LogRecord;
use crate::seal::Seal;

/// A record of the log and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    /// Number of its batch in the partition.
    pub(super) batch: u32,
    pub(super) record: &'a LogRecord,
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}-{} offset {}",
            self.topic, self.partition, self.record.offset
        )
    }
}

/// What pass 2 learnt beside its findings.
#[derive(Debug, Default)]
pub(super) struct LogAccount {
    /// Data records read.
    pub(super) read: u64,
    /// Intact records whose history is known to be incomplete: no phantoms, but unaccounted for (H5).
    pub(super) unaccounted: u64,
    /// Whether O7 could be checked: records have keys, and the key is to choose the partition.
    pub(super) keys_choose_partition: bool,
    /// Why the log is not complete (H3); empty when it is sealed.
    pub(super) unsealed: Vec<String>,
    /// Largest size of the maps by key.
    pub(super) key_bytes: usize,
}

/// Reads the log twice and finds every anomaly.
pub(super) fn read(
    logs: &Logs<'_>,
    topic: &Topic<'_>,
    seal: Option<&Seal>,
    incomplete: &dyn Fn(u16) -> bool,
    tables: &mut Tables,
    findings: &mut Findings,
) -> Result<LogAccount, JudgeError> {
    let partitions = logs.partitions();
    let mut account = LogAccount {
        keys_choose_partition: topic.by_key,
        unsealed: unsealed(topic, seal),
        ..LogAccount::default()
    };
    let mut frontier = BTreeMap::new();
    for &partition in &partitions {
        let (highest, footer_end) = find_homes(logs, topic, partition, tables)?;
        frontier.insert(partition, highest);
        let sealed_end = seal.and_then(|seal| {
            seal.partitions
                .iter()
                .find(|p| p.partition == partition && p.topic == topic.name)
        });
        if let Some(end) = footer_end
            && sealed_end.is_some_and(|sealed| end < sealed.end_offset)
        {
            account.unsealed.push(format!(
                "the log of {}-{partition} ends at offset {end}, before the sealed end",
                topic.name
            ));
        }
    }
    let mut order = Order::new(account.keys_choose_partition, topic.partitions);
    let mut integrity = Integrity::new(incomplete);
    for &partition in &partitions {
        order.begin_partition();
        examine(
            logs,
            partition,
            topic,
            &mut Examiner {
                tables,
                findings,
                order: &mut order,
                integrity: &mut integrity,
            },
        )?;
        account.key_bytes = account.key_bytes.max(order.bytes());
    }
    integrity.contested(tables, topic.name, findings);
    account.read = integrity.read;
    account.unaccounted = integrity.unaccounted;
    let frontier = Frontier {
        highest: frontier,
        sealed: account.unsealed.is_empty(),
    };
    loss::find(tables, &frontier, &integrity, topic.name, findings);
    Ok(account)
}

/// Why the log may lack something, by seal.json itself and by its figures.
fn unsealed(topic: &Topic<'_>, seal: Option<&Seal>) -> Vec<String> {
    let Some(seal) = seal else {
        return vec!["there is no seal.json: the log was not read to an end".to_owned()];
    };
    let mut reasons = Vec::new();
    if !seal.sealed {
        reasons.push(
            seal.reason
                .clone()
                .unwrap_or_else(|| "seal.json gives no reason".to_owned()),
        );
    }
    let count = i32::try_from(topic.partitions).unwrap_or(i32::MAX);
    for partition in 0..count {
        let name = format!("{}-{partition}", topic.name);
        let Some(sealed) = seal
            .partitions
            .iter()
            .find(|p| p.partition == partition && p.topic == topic.name)
        else {
            reasons.push(format!("{name} is not in seal.json"));
            continue;
        };
        if sealed.read_to < sealed.end_offset {
            reasons.push(format!(
                "{name} was read to offset {} of {}",
                sealed.read_to, sealed.end_offset
            ));
        }
        if sealed.open_transactions > 0 || sealed.last_stable_offset < sealed.end_offset {
            reasons.push(format!(
                "{name} has {} open transactions and a last stable offset of {} of {}",
                sealed.open_transactions, sealed.last_stable_offset, sealed.end_offset
            ));
        }
    }
    reasons
}

/// First reading: marks the records that stand where they were acknowledged. Gives the highest offset read and the
/// end offset of the footer.
fn find_homes(
    logs: &Logs<'_>,
    topic: &Topic<'_>,
    partition: i32,
    tables: &mut Tables,
) -> Result<(i64, Option<i64>), JudgeError> {
    let mut batches = logs.open(topic, partition)?;
    let mut highest = -1;
    while let Some(batch) = batches.next()? {
        for record in &batch.records {
            highest = highest.max(record.offset);
            if batch.control {
                continue;
            }
            if let Some(row) = record.id.and_then(|id| tables.find(id))
                && row.state == State::Acked
                && (row.partition, row.offset) == (partition, record.offset)
            {
                row.home = true;
            }
        }
    }
    Ok((highest, batches.end_offset()))
}

/// Everything that the second reading works on.
struct Examiner<'a, 'b> {
    tables: &'a mut Tables,
    findings: &'a mut Findings,
    order: &'a mut Order,
    integrity: &'a mut Integrity<'b>,
}

/// Second reading: each record against integrity, duplication and order, in this order; what fails the first two has
/// no place in the third.
fn examine(
    logs: &Logs<'_>,
    partition: i32,
    topic: &Topic<'_>,
    on: &mut Examiner<'_, '_>,
) -> Result<(), JudgeError> {
    let mut batches = logs.open(topic, partition)?;
    let mut number = 0;
    let mut offset_before = -1;
    while let Some(batch) = batches.next()? {
        number += 1;
        for record in &batch.records {
            let place = Place {
                topic: topic.name,
                partition,
                batch: number,
                record,
            };
            on.integrity
                .next_offset(place, offset_before, on.tables, on.findings);
            offset_before = record.offset;
            if batch.control {
                continue;
            }
            let Identity::Issued { id, row, intact } = on.integrity.identify(place, on.tables, on.findings)
            else {
                continue;
            };
            let sighting = sight(id, row, place, on.findings);
            if sighting == Sighting::True && intact {
                on.order.check(id, row, place, on.findings);
            }
        }
    }
    Ok(())
}
