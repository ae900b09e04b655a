//! Dossiers: the way of single records that an anomaly names, step by step, from the schedule to the log and its readers.

use std::collections::BTreeSet;

use steadfast_verifier::dossier::{self, Place, SeenBy, Told};

use super::names;
use crate::folder::Folder;
use crate::number;
use crate::text::Limits;

/// Dossiers shown: of each anomaly one, then more in order.
const MAX_SHOWN: usize = 6;
/// Findings shown of one record.
const MAX_FINDINGS: usize = 4;

/// One record's way.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dossier {
    pub record: String,
    /// Anomaly, and what was found.
    pub findings: Vec<(String, String)>,
    pub steps: Vec<Step>,
}

/// One step of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// Seconds after the end of warm-up; a dash for what has no time.
    pub at: String,
    pub what: &'static str,
    pub detail: String,
}

/// The first few, and how many more there are.
pub(super) fn dossiers(folder: &Folder, zero_ns: i64, limits: Limits) -> (Vec<Dossier>, usize) {
    let all = &folder.dossiers;
    let mut named: BTreeSet<&str> = BTreeSet::new();
    let mut chosen: BTreeSet<usize> = BTreeSet::new();
    let most = MAX_SHOWN.min(limits.rows);
    for (i, dossier) in all.iter().enumerate() {
        let mut news = false;
        for finding in &dossier.findings {
            news |= named.insert(&finding.id);
        }
        if news && chosen.len() < most {
            chosen.insert(i);
        }
    }
    for i in 0..all.len() {
        if chosen.len() == most {
            break;
        }
        chosen.insert(i);
    }
    let shown = chosen.iter().map(|&i| told(&all[i], zero_ns, limits)).collect();
    (shown, all.len() - chosen.len())
}

fn told(dossier: &dossier::Dossier, zero_ns: i64, limits: Limits) -> Dossier {
    let at = |ns: i64| format!("{:.6} s", (ns - zero_ns) as f64 / 1e9);
    let step = |at: String, what, detail: String| Step {
        at,
        what,
        detail: limits.long(&detail),
    };
    let mut steps = Vec::new();
    match &dossier.source {
        None => steps.push(step(
            "–".to_owned(),
            "source",
            "no history knows this record".to_owned(),
        )),
        Some(source) => {
            let whose = format!(
                "worker {}, start {}, record {}",
                source.worker,
                source.incarnation,
                number::count(source.index)
            );
            steps.push(step(at(source.due_ns), "due", whose));
            let late = (source.handed_over_ns - source.due_ns).max(0);
            let late = format!("to the client, {} later", number::nanoseconds(late as f64));
            steps.push(step(at(source.handed_over_ns), "handed over", late));
        }
    }
    let outcomes = dossier.outcomes.iter();
    steps.extend(outcomes.map(|told| step(at(told.at_ns), "outcome", outcome(told))));
    if dossier.outcomes.is_empty() && dossier.source.is_some() {
        let none = "none: the client never heard of it again".to_owned();
        steps.push(step("–".to_owned(), "outcome", none));
    }
    let places = dossier.places.iter();
    steps.extend(places.map(|found| step("–".to_owned(), "in the log", place(found))));
    if dossier.places.is_empty() {
        steps.push(step("–".to_owned(), "in the log", "nowhere".to_owned()));
    }
    let readers = dossier.readers.iter();
    steps.extend(readers.map(|seen| step(at(seen.at_ns), "read", read(seen))));
    let findings = dossier.findings.iter().take(MAX_FINDINGS);
    Dossier {
        record: limits.short(&dossier.record),
        findings: findings
            .map(|finding| {
                let meaning = names::anomaly(&finding.id);
                (
                    limits.short(&finding.id),
                    meaning_and(meaning, &limits.long(&finding.detail)),
                )
            })
            .collect(),
        steps,
    }
}

fn meaning_and(meaning: &str, detail: &str) -> String {
    if meaning.is_empty() {
        return detail.to_owned();
    }
    format!("{meaning}: {detail}")
}

fn outcome(told: &Told) -> String {
    let mut parts = vec![told.outcome.clone()];
    if told.offset >= 0 {
        parts.push(format!("at partition {} offset {}", told.partition, told.offset));
    }
    if told.error_code != 0 {
        parts.push(format!("error {}", told.error_code));
    }
    parts.extend(batch(told.producer_id, told.producer_epoch, told.base_sequence));
    if told.transaction != 0 {
        parts.push(format!("transaction {}", told.transaction));
    }
    if told.broker >= 0 {
        parts.push(format!(
            "last sent to broker-{} with correlation id {}",
            told.broker, told.correlation_id
        ));
    }
    parts.join(", ")
}

fn place(found: &Place) -> String {
    let mut parts = vec![format!("partition {} offset {}", found.partition, found.offset)];
    parts.extend(batch(
        found.producer_id,
        found.producer_epoch,
        found.base_sequence,
    ));
    parts.push(format!("batch at {}", found.batch_offset));
    if found.leader_epoch >= 0 {
        parts.push(format!("leader epoch {}", found.leader_epoch));
    }
    parts.push(found.visibility.clone());
    if !found.intact {
        parts.push("not the bytes that were sent".to_owned());
    }
    parts.join(", ")
}

/// What a broker knows a batch by; none for a client that does not say.
fn batch(producer_id: i64, epoch: i16, sequence: i32) -> Option<String> {
    (producer_id >= 0).then(|| format!("producer {producer_id} epoch {epoch} sequence {sequence}"))
}

fn read(seen: &SeenBy) -> String {
    format!(
        "by {} at partition {} offset {}",
        seen.reader, seen.partition, seen.offset
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn the_way_of_a_lost_record_is_told_step_by_step() {
        let (told, more) = dossiers(&fixture::fail(), 15_000_000_000, Limits::USUAL);
        assert_eq!((told.len(), more), (3, 0));
        let lost = &told[0];
        assert_eq!(
            (lost.record.as_str(), lost.findings[0].0.as_str()),
            ("0:912338", "L1")
        );
        let steps: Vec<_> = lost
            .steps
            .iter()
            .map(|step| [step.at.as_str(), step.what, step.detail.as_str()].join(" | "))
            .collect();
        assert_eq!(
            steps,
            [
                "21.493520 s | due | worker 0, start 0, record 912,338",
                "21.493700 s | handed over | to the client, 180 µs later",
                "21.494320 s | outcome | acked, at partition 0 offset 152056, producer 4000 epoch 0 sequence 152050, last sent to broker-1 \
                 with correlation id 30410",
                "– | in the log | nowhere",
            ]
        );
    }

    #[test]
    fn each_anomaly_is_told_before_one_is_told_again() {
        let mut folder = fixture::fail();
        let doubled = folder.dossiers.pop().unwrap();
        let lost = folder.dossiers[0].clone();
        folder.dossiers = vec![lost; 20];
        folder.dossiers.push(doubled);
        let (told, more) = dossiers(&folder, 0, Limits::USUAL);
        assert_eq!((told.len(), more), (MAX_SHOWN, 21 - MAX_SHOWN));
        assert!(told.iter().any(|dossier| dossier.findings[0].0 == "D1"));
    }

    #[test]
    fn a_record_that_nobody_sent_says_so() {
        let mut folder = fixture::fail();
        folder.dossiers[0].source = None;
        folder.dossiers[0].outcomes.clear();
        let (told, _) = dossiers(&folder, 0, Limits::USUAL);
        assert_eq!(told[0].steps[0].detail, "no history knows this record");
        assert!(told[0].steps.iter().all(|step| step.what != "outcome"));
    }
}
