//! Dossiers: the way of each record that an example names. The folder is read once more, and only where there is one.
//!
//! ```text
//! history/*.bin ─▶ source, outcomes      log/*.bin ─▶ places      reads/*.bin ─▶ readers
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use super::JudgeError;
use super::findings::Anomaly;
use super::sources::{self, Histories, Logs, Observations, Topic};
use super::visibility::{Markers, Visibility};
use crate::dossier::{Dossier, Finding, Place, SeenBy, Source, Told};
use crate::history::{Completed, Entry, Outcome};
use crate::reads::Seen;
use crate::seal::Seal;
use crate::stamp::RecordId;

/// Outcomes, places and readers of one record that are kept.
const MOST: usize = 10;

type Open = BTreeMap<RecordId, Dossier>;

/// The dossiers of the records that these findings name, in the order of their ids. `zero_ns`: the first due record.
pub(super) fn gather(
    run_dir: &Path,
    (topic, seal): (&Topic<'_>, Option<&Seal>),
    named: &[(Anomaly, RecordId, String)],
    zero_ns: u64,
) -> Result<Vec<Dossier>, JudgeError> {
    let mut open = Open::new();
    for (anomaly, id, detail) in named {
        let dossier = open.entry(*id).or_insert_with(|| Dossier {
            record: id.to_string(),
            ..Dossier::default()
        });
        dossier.findings.push(Finding {
            id: anomaly.id().to_owned(),
            detail: detail.clone(),
        });
    }
    if open.is_empty() {
        return Ok(Vec::new());
    }
    sent(
        sources::history_files(&run_dir.join("history"), false)?,
        zero_ns,
        &mut open,
    )?;
    standing(&Logs::files(&run_dir.join("log"), topic, seal)?, topic, &mut open)?;
    for observations in sources::observation_files(&run_dir.join("reads"), topic.name)? {
        seen(observations, zero_ns, &mut open)?;
    }
    Ok(open.into_values().collect())
}

fn sent(histories: Histories<'_>, zero_ns: u64, open: &mut Open) -> Result<(), JudgeError> {
    for ((worker, incarnation), mut history) in histories {
        while let Some(entry) = history.entries.next()? {
            match entry {
                Entry::HandedOver {
                    first_index,
                    intended_ns,
                    handover_ns,
                } => {
                    let end = first_index + intended_ns.len() as u64;
                    let first = RecordId::new(worker, first_index);
                    for (id, dossier) in open.range_mut(first..) {
                        if id.worker() != worker || id.index() >= end {
                            break;
                        }
                        dossier.source = Some(Source {
                            worker,
                            incarnation,
                            index: id.index(),
                            due_ns: since(zero_ns, intended_ns[(id.index() - first_index) as usize]),
                            handed_over_ns: since(zero_ns, handover_ns),
                        });
                    }
                }
                Entry::Completed(completed) => told(worker, &completed, zero_ns, open),
                Entry::Withheld(_) | Entry::TransactionEnded(_) | Entry::Copied(_) | Entry::End => {}
            }
        }
    }
    Ok(())
}

fn told(worker: u16, completed: &Completed<'_>, zero_ns: u64, open: &mut Open) {
    for (at, &index) in (0..).zip(completed.indexes) {
        let Some(dossier) = open.get_mut(&RecordId::new(worker, index)) else {
            continue;
        };
        if dossier.outcomes.len() == MOST {
            continue;
        }
        let placed = completed.outcome == Outcome::Acked && completed.base_offset >= 0;
        dossier.outcomes.push(Told {
            outcome: match completed.outcome {
                Outcome::Acked => "acked",
                Outcome::NotWritten => "not written",
                Outcome::Unknown => "unknown",
            }
            .to_owned(),
            error_code: completed.error_code,
            at_ns: since(zero_ns, completed.ack_ns),
            partition: completed.partition,
            offset: if placed { completed.base_offset + at } else { -1 },
            producer_id: completed.producer_id,
            producer_epoch: completed.producer_epoch,
            base_sequence: completed.base_sequence,
            transaction: completed.transaction,
            broker: completed.broker,
            correlation_id: completed.correlation_id,
        });
    }
}

fn standing(logs: &Logs<'_>, topic: &Topic<'_>, open: &mut Open) -> Result<(), JudgeError> {
    for partition in logs.partitions() {
        let mut markers = Markers::default();
        let mut batches = logs.open(topic, partition)?;
        while let Some(batch) = batches.next()? {
            markers.note(batch);
        }
        let mut batches = logs.open(topic, partition)?;
        while let Some(batch) = batches.next()? {
            for record in &batch.records {
                let Some(dossier) = record.id.and_then(|id| open.get_mut(&id)) else {
                    continue;
                };
                if dossier.places.len() == MOST {
                    continue;
                }
                dossier.places.push(Place {
                    partition,
                    offset: record.offset,
                    batch_offset: batch.base_offset,
                    producer_id: batch.producer_id,
                    producer_epoch: batch.producer_epoch,
                    base_sequence: batch.base_sequence,
                    leader_epoch: batch.leader_epoch,
                    visibility: match markers.visibility(batch) {
                        Visibility::Committed => "committed",
                        Visibility::Aborted => "aborted",
                        Visibility::Open => "open",
                    }
                    .to_owned(),
                    intact: record.intact,
                });
            }
        }
    }
    Ok(())
}

fn seen(mut observations: Observations<'_>, zero_ns: u64, open: &mut Open) -> Result<(), JudgeError> {
    let reader = observations.header().reader.clone();
    while let Some(seen) = observations.next()? {
        let Seen::Poll(poll) = seen else { continue };
        for record in poll.records {
            let Some(dossier) = record.id.and_then(|id| open.get_mut(&id)) else {
                continue;
            };
            if dossier.readers.len() < MOST {
                dossier.readers.push(SeenBy {
                    reader: reader.clone(),
                    partition: poll.partition,
                    offset: record.offset,
                    at_ns: since(zero_ns, poll.at_ns),
                });
            }
        }
    }
    Ok(())
}

fn since(zero_ns: u64, at_ns: u64) -> i64 {
    at_ns as i64 - zero_ns as i64
}
