//! Pass 2: every partition in offset order, against the tables.
//!
//! ```text
//! orders-0 ─┬─ first reading ──▶ markers; which records stand where they were acknowledged   (home)
//! orders-1 ─┤
//!    ...    └─ second reading ─▶ integrity ─▶ visible? ─▶ duplication ─▶ order, T1, T7     then, over all rows: loss
//! ```
//! Two readings, because the first copy of a record that stands in the log twice is not always the true one, and
//! because what a transaction came to stands behind it. Control records are no data, and offsets without a record
//! (compaction, markers) are no holes.

use std::collections::BTreeMap;

use super::JudgeError;
use super::duplication::{Sighting, sight};
use super::findings::{Anomaly, Findings};
use super::integrity::{Identity, Integrity, Leaders};
use super::liveness::Observed;
use super::loss::{self, Frontier};
use super::order::Order;
use super::sources::{Logs, Topic};
use super::standing::Standings;
use super::tables::{Row, State, Tables};
use super::visibility::{Epochs, Markers, Visibility};
use crate::history::TransactionOutcome;
use crate::log::{LogBatch, LogRecord};
use crate::seal::Seal;
use crate::stamp::RecordId;
use crate::verdict::ReaderVerdict;

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

/// What pass 2 works on.
pub(super) struct Desk<'a> {
    pub(super) topic: Topic<'a>,
    /// Whether a worker's history is known to lack something.
    pub(super) incomplete: &'a dyn Fn(u16) -> bool,
    pub(super) tables: &'a mut Tables,
    /// Filled where readers have observations to be held against the log.
    pub(super) standings: Option<&'a mut Standings>,
    pub(super) findings: &'a mut Findings,
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
    /// Some client or some batch says that there were transactions.
    pub(super) transactional: bool,
    /// Readers were held against the log; some of them read committed.
    pub(super) readers: bool,
    pub(super) committed_readers: bool,
    /// What each of them got.
    pub(super) readers_told: Vec<ReaderVerdict>,
    /// A copy job was held against its source.
    pub(super) copied: bool,
    /// How far a copy job is from its end (H3).
    pub(super) unfinished: Vec<String>,
    /// How close liveness came to its limits.
    pub(super) liveness: Observed,
    /// Witnesses were asked for; why some of them say nothing (H5).
    pub(super) witnessed: bool,
    pub(super) silent: Vec<String>,
    /// Bytes of what readers were held against.
    pub(super) standing_bytes: usize,
    /// Why the log is not complete (H3); empty when it is sealed.
    pub(super) unsealed: Vec<String>,
    /// Largest size of the maps by key and of the markers.
    pub(super) key_bytes: usize,
}

/// Reads the log twice and finds every anomaly that it shows.
pub(super) fn read(
    logs: &Logs<'_>,
    seal: Option<&Seal>,
    desk: &mut Desk<'_>,
) -> Result<LogAccount, JudgeError> {
    let topic = desk.topic;
    let mut account = LogAccount {
        keys_choose_partition: topic.by_key,
        unsealed: unsealed(&topic, seal),
        ..LogAccount::default()
    };
    let mut frontier = BTreeMap::new();
    let mut markers = BTreeMap::new();
    for partition in logs.partitions() {
        let first = find_homes(logs, &topic, partition, desk.tables)?;
        frontier.insert(partition, first.highest);
        account.transactional |= first.markers.transactional;
        account.key_bytes += first.markers.bytes();
        markers.insert(partition, first.markers);
        let sealed = seal.and_then(|seal| {
            let mut of_topic = seal.partitions.iter().filter(|p| p.topic == topic.name);
            of_topic.find(|p| p.partition == partition)
        });
        if let (Some(end), Some(sealed)) = (first.end_offset, sealed)
            && end < sealed.end_offset
        {
            account.unsealed.push(format!(
                "the log of {}-{partition} ends at offset {end}, before the sealed end",
                topic.name
            ));
        }
    }
    let marker_bytes = account.key_bytes;
    let mut order = Order::new(account.keys_choose_partition, topic.partitions);
    let mut integrity = Integrity::new(desk.incomplete);
    for (partition, markers) in markers {
        order.begin_partition();
        examine(logs, partition, &markers, (&mut order, &mut integrity), desk)?;
        account.key_bytes = account.key_bytes.max(marker_bytes + order.bytes());
    }
    integrity.contested(desk.tables, topic.name, desk.findings);
    account.read = integrity.read;
    account.unaccounted = integrity.unaccounted;
    let frontier = Frontier {
        highest: frontier,
        sealed: account.unsealed.is_empty(),
    };
    loss::find(desk.tables, &frontier, &integrity, topic.name, desk.findings);
    Ok(account)
}

/// Why the log may lack something, by seal.json itself and by its figures.
pub(super) fn unsealed(topic: &Topic<'_>, seal: Option<&Seal>) -> Vec<String> {
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
        let Some(sealed) = seal.of(topic.name, partition) else {
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

/// What the first reading of a partition gives.
struct First {
    /// Highest offset read.
    highest: i64,
    /// Where the source says that the partition ends.
    end_offset: Option<i64>,
    markers: Markers,
}

/// First reading: marks the records that stand where they were acknowledged. Those of transactions wait until all
/// markers are known, and take another reading where there are any.
fn find_homes(
    logs: &Logs<'_>,
    topic: &Topic<'_>,
    partition: i32,
    tables: &mut Tables,
) -> Result<First, JudgeError> {
    let mut batches = logs.open(topic, partition)?;
    let mut highest = -1;
    let mut markers = Markers::default();
    while let Some(batch) = batches.next()? {
        highest = batch
            .records
            .last()
            .map_or(highest, |last| last.offset.max(highest));
        markers.note(batch);
        if !batch.control && !batch.transactional {
            mark_homes(batch, partition, tables);
        }
    }
    let end_offset = batches.end_offset();
    if markers.transactional {
        let mut batches = logs.open(topic, partition)?;
        while let Some(batch) = batches.next()? {
            if batch.transactional && !batch.control && markers.visibility(batch) == Visibility::Committed {
                mark_homes(batch, partition, tables);
            }
        }
    }
    Ok(First {
        highest,
        end_offset,
        markers,
    })
}

fn mark_homes(batch: &LogBatch, partition: i32, tables: &mut Tables) {
    for record in &batch.records {
        if let Some(row) = record.id.and_then(|id| tables.find(id))
            && row.state() == State::Acked
            && (row.partition, row.offset) == (partition, record.offset)
        {
            row.set_home();
        }
    }
}

/// Second reading: each record against integrity, visibility, duplication and order, in this order; what fails one has
/// no place in the next.
fn examine(
    logs: &Logs<'_>,
    partition: i32,
    markers: &Markers,
    (order, integrity): (&mut Order, &mut Integrity<'_>),
    desk: &mut Desk<'_>,
) -> Result<(), JudgeError> {
    let mut batches = logs.open(&desk.topic, partition)?;
    let mut epochs = Epochs::default();
    let mut leaders = Leaders::default();
    let mut number = 0;
    let mut offset_before = -1;
    while let Some(batch) = batches.next()? {
        number += 1;
        leaders.next_batch((desk.topic.name, partition), batch, desk.findings);
        let visibility = markers.visibility(batch);
        let stale = Stale::of(batch, &mut epochs, desk.tables);
        for record in &batch.records {
            let place = Place {
                topic: desk.topic.name,
                partition,
                batch: number,
                record,
            };
            integrity.next_offset(place, offset_before, desk.tables, desk.findings);
            offset_before = record.offset;
            if batch.control {
                continue;
            }
            if let Some(standings) = &mut desk.standings {
                standings.push(partition, record, visibility);
            }
            let Identity::Issued { id, row, intact } = integrity.identify(place, desk.tables, desk.findings)
            else {
                continue;
            };
            if visibility != Visibility::Committed {
                row.set_hidden();
                continue;
            }
            stale.check(id, row, place, desk.findings);
            let transaction = row.transaction();
            if sight(id, row, place, desk.findings) == Sighting::True {
                if intact {
                    order.check(id, row, place, desk.findings);
                }
                if desk.tables.transactions.outcome(transaction) == Some(TransactionOutcome::Aborted) {
                    desk.findings.add(Anomaly::T1, Some(id), || {
                        format!("its transaction was reported as aborted, and it can be read at {place}")
                    });
                }
            }
        }
    }
    Ok(())
}

/// T7: whether a batch was written under an epoch that its producer id had left behind by then.
///
/// Evidence is offset order within the partition, for any producer; and for transactions, whose epoch holds for all
/// partitions, a later epoch acknowledged anywhere before the record was even handed over.
struct Stale {
    superseded: Option<i16>,
    fenced_ns: Option<u64>,
    epoch: i16,
}

impl Stale {
    fn of(batch: &LogBatch, epochs: &mut Epochs, tables: &Tables) -> Stale {
        let fenced = || {
            tables
                .transactions
                .fenced_ns(batch.producer_id, batch.producer_epoch)
        };
        Stale {
            superseded: epochs.superseded(batch),
            fenced_ns: batch.transactional.then(fenced).flatten(),
            epoch: batch.producer_epoch,
        }
    }

    fn check(&self, id: RecordId, row: &Row, place: Place<'_>, findings: &mut Findings) {
        let epoch = self.epoch;
        if let Some(higher) = self.superseded {
            findings.add(Anomaly::T7, Some(id), || {
                format!("stands at {place} with epoch {epoch}, behind epoch {higher} of the same producer id")
            });
        } else if let Some(late_ns) = self
            .fenced_ns
            .and_then(|ns| row.handover_ns.checked_sub(ns))
            .filter(|&ns| ns > 0)
        {
            findings.add(Anomaly::T7, Some(id), || {
                format!("stands at {place} with epoch {epoch}, and was sent {late_ns} ns after a later epoch was in use")
            });
        }
    }
}
