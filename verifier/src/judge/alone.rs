//! A topic judged by its log alone: no history says what was handed over, and no acknowledgement what must be there. Pure.
//!
//! ```text
//! reading 1 ─▶ markers
//! reading 2 ─▶ I1 I2 I3 I5 T7, and who stands where ─▶ sorted by id: D1 D2, missing indexes
//! reading 3 ─▶ O1 O2 of all that is no copy
//! ```
//! What needs a history is not guessed but listed ([`not_checked`]). A missing index may be lost or may never have been
//! written, so it makes the verdict inconclusive, and nothing can be missed behind a writer's last index.
//! 24 bytes a record, and the maps of `order.rs`.

use std::collections::BTreeMap;
use std::path::Path;

use super::findings::{Anomaly, Findings};
use super::integrity::Leaders;
use super::logs::{self, Place};
use super::order::Order;
use super::sources::{Logs, Topic};
use super::visibility::{Epochs, Markers, Visibility};
use super::{EXIT_DELIVERY, EXIT_INCONCLUSIVE, EXIT_PASS, JudgeError};
use crate::log::LogRecord;
use crate::log_verdict::{Gap, LogRecords, LogVerdict, NotChecked, PartitionSpan, SCHEMA, Writer};
use crate::reader::AsItStands;
use crate::seal::Seal;
use crate::stamp::{self, RecordId};
use crate::verdict::{Inconclusive, Outcome};

/// What a log can show by itself.
const CHECKED: [Anomaly; 9] = [
    Anomaly::D1,
    Anomaly::D2,
    Anomaly::O1,
    Anomaly::O2,
    Anomaly::I1,
    Anomaly::I2,
    Anomaly::I3,
    Anomaly::I5,
    Anomaly::T7,
];
/// Gaps that are listed.
const GAPS_MAX: usize = 10;

/// Judges what was read of a topic; its files lie in `dir`.
pub fn judge_log(dir: &Path, topic: &str, read: &AsItStands) -> Result<LogVerdict, JudgeError> {
    let topic = topic_of(topic, &read.begins);
    let evidence = Alone {
        topic,
        logs: Logs::files(dir, &topic, Some(&read.seal))?,
        seal: &read.seal,
        begins: &read.begins,
    };
    evidence.examine()
}

/// What the key is to do is not known, so O7 is not asked.
fn topic_of<'a>(name: &'a str, begins: &BTreeMap<i32, i64>) -> Topic<'a> {
    Topic {
        name,
        partitions: begins.len() as u32,
        by_key: false,
    }
}

/// A log, and how far it reaches.
pub(super) struct Alone<'a> {
    pub(super) topic: Topic<'a>,
    pub(super) logs: Logs<'a>,
    pub(super) seal: &'a Seal,
    pub(super) begins: &'a BTreeMap<i32, i64>,
}

/// An intact record, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Standing {
    id: RecordId,
    partition: i32,
    /// In a transaction that is aborted or open.
    hidden: bool,
    offset: i64,
}

/// What the readings gather.
#[derive(Default)]
struct Gathered {
    records: LogRecords,
    partitions: Vec<PartitionSpan>,
    standings: Vec<Standing>,
    findings: Findings,
}

impl Alone<'_> {
    pub(super) fn examine(&self) -> Result<LogVerdict, JudgeError> {
        let mut gathered = Gathered::default();
        let mut all_markers = BTreeMap::new();
        for partition in self.logs.partitions() {
            let mut markers = Markers::default();
            let mut batches = self.logs.open(&self.topic, partition)?;
            while let Some(batch) = batches.next()? {
                markers.note(batch);
            }
            self.gather(partition, &markers, &mut gathered)?;
            all_markers.insert(partition, markers);
        }
        gathered.standings.sort_unstable();
        let copies = find_copies(&gathered.standings, self.topic.name, &mut gathered.findings);
        let (writers, gaps) = writers(&gathered.standings);
        gathered.standings = Vec::new();
        for (&partition, markers) in &all_markers {
            self.order(partition, markers, &copies, &mut gathered.findings)?;
        }
        Ok(self.weigh(gathered, writers, gaps))
    }

    /// Second reading of a partition.
    fn gather(&self, partition: i32, markers: &Markers, gathered: &mut Gathered) -> Result<(), JudgeError> {
        let begin = self.begins.get(&partition).copied().unwrap_or(0);
        let mut span = PartitionSpan {
            partition,
            begin,
            read_to: self.read_to(partition),
            records: 0,
            empty_offsets: 0,
        };
        let mut batches = self.logs.open(&self.topic, partition)?;
        let mut epochs = Epochs::default();
        let mut leaders = Leaders::default();
        let mut next = begin;
        let mut number = 0;
        while let Some(batch) = batches.next()? {
            number += 1;
            leaders.next_batch((self.topic.name, partition), batch, &mut gathered.findings);
            let visibility = markers.visibility(batch);
            let superseded = epochs.superseded(batch);
            // Where records were deleted by offset, the first batch may begin below what is still there.
            for record in batch.records.iter().filter(|record| record.offset >= begin) {
                let place = self.place(partition, number, record);
                if record.offset < next {
                    gathered.findings.add(Anomaly::I1, record.id, || {
                        format!(
                            "{place} was read after offset {}: the log has two contents there",
                            next - 1
                        )
                    });
                }
                span.empty_offsets += (record.offset - next).max(0) as u64;
                next = next.max(record.offset + 1);
                if batch.control {
                    continue;
                }
                span.records += 1;
                gathered.note(place, visibility);
                if let Some(higher) = superseded.filter(|_| visibility == Visibility::Committed) {
                    let epoch = batch.producer_epoch;
                    gathered.findings.add(Anomaly::T7, record.id, || {
                        format!("stands at {place} with epoch {epoch}, behind epoch {higher} of the same producer id")
                    });
                }
            }
        }
        span.empty_offsets += (span.read_to - next).max(0) as u64;
        gathered.partitions.push(span);
        Ok(())
    }

    /// Third reading of a partition: order, of what stands in it once.
    fn order(
        &self,
        partition: i32,
        markers: &Markers,
        copies: &[(i32, i64)],
        findings: &mut Findings,
    ) -> Result<(), JudgeError> {
        let mut order = Order::new(false, self.topic.partitions);
        let begin = self.begins.get(&partition).copied().unwrap_or(0);
        let mut batches = self.logs.open(&self.topic, partition)?;
        let mut number = 0;
        while let Some(batch) = batches.next()? {
            number += 1;
            if batch.control || markers.visibility(batch) != Visibility::Committed {
                continue;
            }
            for record in batch.records.iter().filter(|record| record.offset >= begin) {
                let copied = copies.binary_search(&(partition, record.offset)).is_ok();
                if let Some(id) = record.id.filter(|_| record.intact && !copied) {
                    order.in_sequence(id, self.place(partition, number, record), findings);
                }
            }
        }
        Ok(())
    }

    fn place<'b>(&'b self, partition: i32, batch: u32, record: &'b LogRecord) -> Place<'b> {
        Place {
            topic: self.topic.name,
            partition,
            batch,
            record,
        }
    }

    fn read_to(&self, partition: i32) -> i64 {
        let sealed = self.seal.of(self.topic.name, partition);
        sealed.map_or(0, |sealed| sealed.read_to)
    }

    fn weigh(&self, gathered: Gathered, writers: Vec<Writer>, gaps: Vec<Gap>) -> LogVerdict {
        let records = gathered.records;
        let mut inconclusive = self.doubts(&gathered.partitions);
        // Without one stamp that fits, this is another kind of topic, and not a damaged one.
        let stamped = records.intact > 0;
        let findings = if stamped {
            gathered.findings
        } else {
            Findings::default()
        };
        if records.read == 0 {
            inconclusive.push(cause(
                "check",
                "no record was read: there is nothing to judge".to_owned(),
            ));
        } else if !stamped {
            inconclusive.push(cause(
                "check",
                format!(
                    "none of {} records carries a stamp that fits: this topic cannot be judged (16 bytes at the start of each value; see `The record stamp` in ARCHITECTURE.md)",
                    records.read
                ),
            ));
        }
        let missing: u64 = writers.iter().map(|writer| writer.missing).sum();
        if missing > 0 {
            inconclusive.push(cause("H5", missing_reason(missing, &gaps)));
        }
        let anomalies: BTreeMap<String, u64> = CHECKED
            .into_iter()
            .map(|anomaly| (anomaly.id().to_owned(), findings.count(anomaly)))
            .collect();
        let (verdict, exit_code) = if anomalies.values().any(|&count| count > 0) {
            (Outcome::Fail, EXIT_DELIVERY)
        } else if inconclusive.is_empty() {
            (Outcome::Pass, EXIT_PASS)
        } else {
            (Outcome::Inconclusive, EXIT_INCONCLUSIVE)
        };
        LogVerdict {
            schema: SCHEMA.to_owned(),
            topic: self.topic.name.to_owned(),
            verdict,
            exit_code,
            records,
            partitions: gathered.partitions,
            writers,
            gaps,
            anomalies,
            examples: findings.examples(),
            inconclusive,
            not_checked: not_checked(),
        }
    }

    /// H3: why the log is not all that was written.
    fn doubts(&self, partitions: &[PartitionSpan]) -> Vec<Inconclusive> {
        let name = self.topic.name;
        let unsealed = logs::unsealed(&self.topic, Some(self.seal));
        let unsealed = unsealed
            .into_iter()
            .map(|why| format!("the log is not complete: {why}"));
        let deleted = partitions.iter().filter(|span| span.begin > 0).map(|span| {
            let (partition, begin) = (span.partition, span.begin);
            format!("{name}-{partition} begins at offset {begin}: what stood before it is deleted")
        });
        let emptied = partitions
            .iter()
            .filter(|span| span.empty_offsets > 0)
            .map(|span| {
                let (partition, empty) = (span.partition, span.empty_offsets);
                format!(
                    "{empty} offsets of {name}-{partition} hold nothing: what stood there was compacted away"
                )
            });
        unsealed
            .chain(deleted)
            .chain(emptied)
            .map(|why| cause("H3", why))
            .collect()
    }
}

impl Gathered {
    /// Who a record says it is, and whether that is so.
    fn note(&mut self, place: Place<'_>, visibility: Visibility) {
        let record = place.record;
        self.records.read += 1;
        match visibility {
            Visibility::Committed => {}
            Visibility::Aborted => self.records.aborted += 1,
            Visibility::Open => self.records.open += 1,
        }
        match record.id {
            None => self.findings.add(Anomaly::I3, None, || {
                format!(
                    "the record at {place} is too short for a stamp: no writer of stamped records made it"
                )
            }),
            Some(id) if !record.intact => self.findings.add(Anomaly::I2, Some(id), || {
                format!("the record at {place} is not as it was stamped, or never bore a stamp")
            }),
            Some(id) => {
                self.records.intact += 1;
                self.standings.push(Standing {
                    id,
                    partition: place.partition,
                    hidden: visibility != Visibility::Committed,
                    offset: record.offset,
                });
            }
        }
    }
}

/// D1 and D2. Gives the places that order must not speak of, ascending: every further copy of a record; and all of them
/// where they stand in several partitions, since nobody knows which is the true one.
fn find_copies(standings: &[Standing], topic: &str, findings: &mut Findings) -> Vec<(i32, i64)> {
    let mut copies = Vec::new();
    for same in standings
        .chunk_by(|a, b| a.id == b.id)
        .filter(|same| same.len() > 1)
    {
        let mut visible = same.iter().filter(|standing| !standing.hidden);
        let Some(first) = visible.next() else { continue };
        let mut spread = false;
        for copy in visible {
            let anomaly = if copy.partition == first.partition {
                Anomaly::D1
            } else {
                spread = true;
                Anomaly::D2
            };
            findings.add(anomaly, Some(copy.id), || {
                format!(
                    "stands at {topic}-{} offset {} and at {topic}-{} offset {}",
                    copy.partition, copy.offset, first.partition, first.offset
                )
            });
            copies.push((copy.partition, copy.offset));
        }
        copies.extend(spread.then_some((first.partition, first.offset)));
    }
    copies.sort_unstable();
    copies
}

/// Each worker's incarnations, and the first of the indexes that they lack.
fn writers(standings: &[Standing]) -> (Vec<Writer>, Vec<Gap>) {
    let mut writers = Vec::new();
    let mut gaps = Vec::new();
    let same_writer = |a: &Standing, b: &Standing| writer_of(a.id) == writer_of(b.id);
    for of_writer in standings.chunk_by(same_writer) {
        let (worker, incarnation) = writer_of(of_writer[0].id);
        let mut next = stamp::first_index(incarnation);
        let mut writer = Writer {
            worker,
            incarnation,
            first_index: of_writer[0].id.index(),
            last_index: 0,
            present: 0,
            hidden: 0,
            missing: 0,
        };
        for same in of_writer.chunk_by(|a, b| a.id == b.id) {
            let index = same[0].id.index();
            if same.iter().all(|standing| standing.hidden) {
                writer.hidden += 1;
            } else {
                writer.present += 1;
            }
            if index > next {
                writer.missing += index - next;
                if gaps.len() < GAPS_MAX {
                    gaps.push(Gap {
                        first: RecordId::new(worker, next).to_string(),
                        records: index - next,
                    });
                }
            }
            next = index + 1;
            writer.last_index = index;
        }
        writers.push(writer);
    }
    (writers, gaps)
}

fn writer_of(id: RecordId) -> (u16, u32) {
    (id.worker(), id.incarnation())
}

fn missing_reason(missing: u64, gaps: &[Gap]) -> String {
    let first: Vec<String> = gaps
        .iter()
        .take(3)
        .map(|gap| format!("{} from {} on", gap.records, gap.first))
        .collect();
    format!(
        "{missing} records are missing below the last index of their writer ({}): possible loss; only the writer's own \
         account can tell a lost record from one that was refused, timed out or never sent",
        first.join(", ")
    )
}

/// What no log can show by itself.
fn not_checked() -> Vec<NotChecked> {
    let of = |ids: &[Anomaly], why: &str| NotChecked {
        ids: ids.iter().map(|anomaly| anomaly.id().to_owned()).collect(),
        why: why.to_owned(),
    };
    use Anomaly::*;
    vec![
        of(
            &[L1, L2, L3, L4],
            "no history says what was acknowledged: behind the last index of each writer nothing can be seen to be lost, before it only a gap",
        ),
        of(
            &[D3, D6, I4, T1, T3, T4, T5, T6],
            "no history says which outcome the writer was told",
        ),
        of(&[O3], "no history says when a record was sent and acknowledged"),
        of(
            &[O7],
            "it is not known whether the key was to choose the partition",
        ),
        of(&[L6, O4, O5, T2, T8], "no reader watched while it was written"),
    ]
}

fn cause(id: &str, reason: String) -> Inconclusive {
    Inconclusive {
        id: id.to_owned(),
        phase: None,
        reason,
    }
}
