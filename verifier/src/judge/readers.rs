//! What concurrent readers saw, held against the sealed log: L6, I1, I5, O4, O5, T1, T2, T8, V4; and when they saw it. Pure.
//!
//! ```text
//! poll ─▶ each record ─▶ offset: again, or over one that it should get?      O5
//!    │                 ─▶ is that record still there in the sealed log?      L6
//!    │                 ─▶ with the same content?                             I1
//!    │                 ─▶ how long after it was due?                         visible_latency
//!    │                 ─▶ read_committed: its transaction aborted? open?     T1, T2
//!    │                 ─▶ a later one of its key came in an earlier answer?  O4
//!    ├─▶ an answer without records moves the position back?               I5
//!    └─▶ last stable offset stands still below the end: T8 · position does: V4
//! ```
//! What counts as evidence:
//! - **O4** is observed, never concluded: *this* reader got a later record of the key in an *earlier* answer and this
//!   record afterwards, at its one true place. From the log alone the same disorder is O1 or O2; that nobody read in
//!   between is no excuse there, and no proof here.
//! - **O5** within one assignment: an offset not above the one before; or a record of the sealed log, visible at the
//!   reader's isolation level, between two that it got.
//! - **L6** needs a log that was read beyond the place. An acknowledgement that the log contradicts is L1 or I4.
//! - **T2**: before the client was even asked to end the transaction, or without any marker in the log. Not: above the last
//!   stable offset that the same answer tells. Kafka 4.1.0 notes that offset before it reads the records, and gave records
//!   above it at read_committed that were never in a transaction.
//! - **T8**: the last stable offset is where the oldest open transaction begins. It is stuck when readers see it at one
//!   place, below the high watermark, for longer than a transaction may last, all of that after the last heal.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::JudgeError;
use super::findings::{Anomaly, Findings};
use super::liveness::Liveness;
use super::load::Load;
use super::sources::Observations;
use super::standing::Standings;
use super::tables::Tables;
use super::visibility::Visibility;
use crate::log::LogRecord;
use crate::reads::{Isolation, Poll, Seen};
use crate::stamp::RecordId;
use crate::verdict::ReaderVerdict;

/// What readers are held against.
pub(super) struct Watch<'a> {
    pub(super) topic: &'a str,
    pub(super) tables: &'a Tables,
    pub(super) standings: &'a Standings,
    /// By partition, the end of what was read of the log.
    pub(super) read_to: BTreeMap<i32, i64>,
    /// A transaction open for longer than this hangs.
    pub(super) hanging_ns: u64,
    /// From here on nothing was broken.
    pub(super) calm_ns: u64,
    pub(super) liveness: Option<&'a Liveness>,
    /// Where visible latency is measured; none in a simulated world.
    pub(super) load: Option<&'a mut Load>,
    /// Partition and offset of every last stable offset that was found stuck, so that each counts once.
    pub(super) stuck: BTreeSet<(i32, i64)>,
}

/// One reader in one partition.
#[derive(Debug, Default)]
struct Progress {
    /// The next offset it should get; none before it got any.
    position: Option<i64>,
    /// Where in the log it is.
    near: usize,
    /// By worker and key (keyless: by worker), the highest sequence so far, and the answer that had it.
    keys: HashMap<(u16, Option<u64>), (u64, u64)>,
    /// The last stable offset below the high watermark, and since when it stands there.
    stable: Option<(i64, u64)>,
    /// Since when it has been behind without moving.
    behind_ns: Option<u64>,
    /// V4 was found.
    stood: bool,
}

impl Watch<'_> {
    /// One reader's observations, from the begin.
    pub(super) fn follow(
        &mut self,
        mut observations: Observations<'_>,
        findings: &mut Findings,
    ) -> Result<ReaderVerdict, JudgeError> {
        let header = observations.header().clone();
        let reader = Reader {
            name: &header.reader,
            isolation: header.isolation,
        };
        let mut partitions: BTreeMap<i32, Progress> = BTreeMap::new();
        let mut answer = 0;
        let mut told = ReaderVerdict {
            reader: header.reader.clone(),
            isolation: header.isolation,
            answers: 0,
            records: 0,
            behind: 0,
            ended: false,
        };
        while let Some(seen) = observations.next()? {
            match seen {
                Seen::Assigned {
                    partition, offset, ..
                } => {
                    let fresh = Progress {
                        position: Some(offset),
                        ..Progress::default()
                    };
                    partitions.insert(partition, fresh);
                }
                Seen::Poll(poll) => {
                    answer += 1;
                    told.answers += u64::from(!poll.records.is_empty());
                    told.records += poll.records.len() as u64;
                    let progress = partitions.entry(poll.partition).or_default();
                    for record in poll.records {
                        self.record(reader, progress, (&poll, record, answer), findings);
                    }
                    self.went_back(reader, progress, &poll, findings);
                    self.skipped(reader, progress, &poll, poll.next_offset, findings);
                    progress.position = progress.position.max(Some(poll.next_offset));
                    self.stable(&poll, progress, findings);
                    self.moving(reader, &poll, progress, findings);
                }
                Seen::Ended { .. } => told.ended = true,
            }
        }
        for partition in self.standings.partitions() {
            let position = partitions.get(&partition).and_then(|progress| progress.position);
            told.behind += self
                .standings
                .behind(partition, position.unwrap_or(0), header.isolation);
        }
        Ok(told)
    }

    fn record(
        &mut self,
        reader: Reader<'_>,
        progress: &mut Progress,
        (poll, record, answer): (&Poll<'_>, &LogRecord, u64),
        findings: &mut Findings,
    ) {
        let place = || format!("{}-{} offset {}", self.topic, poll.partition, record.offset);
        let before = progress.position;
        if let Some(position) = before.filter(|&position| record.offset < position) {
            findings.add(Anomaly::O5, record.id, || {
                format!(
                    "{} got {} after it had come to offset {position}",
                    reader.name,
                    place()
                )
            });
        } else {
            self.skipped(reader, progress, poll, record.offset, findings);
            progress.position = Some(record.offset + 1);
        }
        let again = before.is_some_and(|position| record.offset < position);
        if self
            .read_to
            .get(&poll.partition)
            .is_none_or(|&end| record.offset >= end)
        {
            return;
        }
        let mut near = progress.near;
        let there = self
            .standings
            .between(poll.partition, record.offset, record.offset + 1, &mut near);
        if !again {
            progress.near = near;
        }
        let Some(there) = there.first().filter(|there| there.id() == record.id) else {
            let now = there.first().and_then(|there| there.id());
            findings.add(Anomaly::L6, record.id, || match now {
                Some(other) => format!("{} got it at {}, where {other} stands now", reader.name, place()),
                None => format!("{} got it at {}, where it is not any more", reader.name, place()),
            });
            return;
        };
        if !there.same_content(record) {
            findings.add(Anomaly::I1, record.id, || {
                format!(
                    "{} got it at {} with another content than stands there",
                    reader.name,
                    place()
                )
            });
        }
        let visibility = there.visibility;
        if reader.isolation == Isolation::ReadCommitted {
            self.committed(reader, (poll, record, visibility), findings);
        }
        if let Some(id) = record
            .id
            .filter(|_| !again && visibility == Visibility::Committed)
        {
            self.seen(id, (poll.partition, record.offset), poll.at_ns);
            self.late(reader, progress, (id, poll.partition, record, answer), findings);
        }
    }

    /// The record's first copy was seen by a reader. A copy is D1 or D2 already, and comes late by nature.
    fn seen(&mut self, id: RecordId, place: (i32, i64), at_ns: u64) {
        let Some(load) = &mut self.load else { return };
        let Some(row) = self.tables.get(id) else { return };
        if (row.partition, row.offset) == place
            && let Some(due_ns) = self.tables.due_ns(id)
        {
            load.visible(due_ns, at_ns);
        }
    }

    /// I5. With records it is O5 of each that came again.
    fn went_back(&self, reader: Reader<'_>, progress: &Progress, poll: &Poll<'_>, findings: &mut Findings) {
        let to = poll.next_offset;
        if let Some(from) = progress.position.filter(|&from| to < from)
            && poll.records.is_empty()
        {
            findings.add(Anomaly::I5, None, || {
                format!(
                    "{} went back from offset {from} to {to} of {}-{} and sought nothing",
                    reader.name, self.topic, poll.partition
                )
            });
        }
    }

    /// O5: records that the reader should have got on its way to `to`.
    fn skipped(
        &self,
        reader: Reader<'_>,
        progress: &mut Progress,
        poll: &Poll<'_>,
        to: i64,
        findings: &mut Findings,
    ) {
        let Some(from) = progress.position.filter(|&from| from < to) else {
            return;
        };
        let between = self
            .standings
            .between(poll.partition, from, to, &mut progress.near);
        for missed in between.iter().filter(|there| there.is_for(reader.isolation)) {
            findings.add(Anomaly::O5, missed.id(), || {
                format!(
                    "{} went from offset {from} to {to} of {}-{} without it, at offset {}",
                    reader.name, self.topic, poll.partition, missed.offset
                )
            });
        }
    }

    /// T1 and T2.
    fn committed(
        &self,
        reader: Reader<'_>,
        (poll, record, visibility): (&Poll<'_>, &LogRecord, Visibility),
        findings: &mut Findings,
    ) {
        let got = || {
            format!(
                "{} got {}-{} offset {} at read_committed",
                reader.name, self.topic, poll.partition, record.offset
            )
        };
        if visibility == Visibility::Aborted {
            findings.add(Anomaly::T1, record.id, || {
                format!("{}, and its transaction is aborted", got())
            });
            return;
        }
        let asked_ns = || {
            let row = self.tables.get(record.id?)?;
            self.tables.transactions.asked_ns(row.transaction())
        };
        let early = asked_ns().is_some_and(|asked_ns| poll.at_ns < asked_ns);
        if visibility == Visibility::Open || early {
            findings.add(Anomaly::T2, record.id, || {
                let why = if early {
                    "before its client was asked to commit"
                } else {
                    "and no marker ends its transaction"
                };
                format!("{}, {why}", got())
            });
        }
    }

    /// O4.
    fn late(
        &self,
        reader: Reader<'_>,
        progress: &mut Progress,
        (id, partition, record, answer): (RecordId, i32, &LogRecord, u64),
        findings: &mut Findings,
    ) {
        // A copy comes late by nature; it is D1 already.
        let Some(row) = self.tables.get(id) else { return };
        if (row.partition, row.offset) != (partition, record.offset) {
            return;
        }
        let sequence = match record.key {
            Some(_) => u64::from(record.sequence),
            None => id.index(),
        };
        let (highest, since) = progress
            .keys
            .entry((id.worker(), record.key))
            .or_insert((sequence, answer));
        if sequence >= *highest {
            (*highest, *since) = (sequence, answer);
        } else if *since < answer {
            let highest = *highest;
            findings.add(Anomaly::O4, Some(id), || {
                format!(
                    "{} got number {sequence} at {}-{partition} offset {}, and number {highest} in an earlier answer",
                    reader.name, self.topic, record.offset
                )
            });
        }
    }

    /// T8.
    fn stable(&mut self, poll: &Poll<'_>, progress: &mut Progress, findings: &mut Findings) {
        let offset = poll.last_stable_offset;
        if offset < 0 || offset >= poll.high_watermark {
            progress.stable = None;
            return;
        }
        let since_ns = match progress.stable {
            Some((at, since_ns)) if at == offset => since_ns,
            _ => {
                progress.stable = Some((offset, poll.at_ns));
                poll.at_ns
            }
        };
        let stood_ns = poll.at_ns.saturating_sub(since_ns.max(self.calm_ns));
        if stood_ns > self.hanging_ns && self.stuck.insert((poll.partition, offset)) {
            findings.add(Anomaly::T8, None, || {
                hanging(self.topic, poll.partition, offset, stood_ns)
            });
        }
    }

    /// V4, of a reader.
    fn moving(&self, reader: Reader<'_>, poll: &Poll<'_>, progress: &mut Progress, findings: &mut Findings) {
        let end = match reader.isolation {
            Isolation::ReadUncommitted => poll.high_watermark,
            Isolation::ReadCommitted => poll.last_stable_offset,
        };
        if !poll.records.is_empty() || poll.next_offset >= end {
            progress.behind_ns = None;
            return;
        }
        let since_ns = *progress.behind_ns.get_or_insert(poll.at_ns);
        let stood = self
            .liveness
            .and_then(|liveness| liveness.stood_ns(since_ns..poll.at_ns));
        if let Some(stood_ns) = stood.filter(|_| !progress.stood) {
            progress.stood = true;
            findings.add(Anomaly::V4, None, || {
                format!(
                    "{} stood at offset {} of {}-{} for {stood_ns} ns, below its end {end}",
                    reader.name, poll.next_offset, self.topic, poll.partition
                )
            });
        }
    }
}

/// T8 in words.
pub(super) fn hanging(topic: &str, partition: i32, offset: i64, stood_ns: u64) -> String {
    format!("the last stable offset of {topic}-{partition} stood at {offset} for {stood_ns} ns")
}

#[derive(Debug, Clone, Copy)]
struct Reader<'a> {
    name: &'a str,
    isolation: Isolation,
}
