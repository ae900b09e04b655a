//! The first dossiers in words: the way of a record that an anomaly names. All of them stand in dossiers.json. Pure.

use std::fmt::Write as _;

use steadfast_verifier::dossier::{Dossier, FILE_NAME};

/// Dossiers shown at a terminal.
const SHOWN: usize = 3;

/// A few lines each.
pub(super) fn text(dossiers: &[Dossier]) -> String {
    let mut text = String::new();
    for dossier in dossiers.iter().take(SHOWN) {
        let ids: Vec<&str> = dossier
            .findings
            .iter()
            .map(|finding| finding.id.as_str())
            .collect();
        let _ = writeln!(text, "  the way of record {} ({})", dossier.record, ids.join(" "));
        match &dossier.source {
            Some(source) => {
                let _ = writeln!(
                    text,
                    "    sent     by worker {}, start {}, index {}: due at {}, handed over at {}",
                    source.worker,
                    source.incarnation,
                    source.index,
                    at(source.due_ns),
                    at(source.handed_over_ns),
                );
            }
            None => {
                let _ = writeln!(text, "    sent     by nobody that a history tells of");
            }
        }
        for told in &dossier.outcomes {
            let _ = writeln!(
                text,
                "    told     {} at {}: partition {} offset {}, error {}, batch of producer {} epoch {} sequence {}, last sent to \
                 broker-{} with correlation id {}",
                told.outcome,
                at(told.at_ns),
                told.partition,
                told.offset,
                told.error_code,
                told.producer_id,
                told.producer_epoch,
                told.base_sequence,
                told.broker,
                told.correlation_id,
            );
        }
        if dossier.places.is_empty() {
            let _ = writeln!(text, "    log      nowhere");
        }
        for place in &dossier.places {
            let _ = writeln!(
                text,
                "    log      partition {} offset {}, {}{}, batch {} of producer {} epoch {} sequence {}, written under leader epoch {}",
                place.partition,
                place.offset,
                place.visibility,
                if place.intact { "" } else { ", damaged" },
                place.batch_offset,
                place.producer_id,
                place.producer_epoch,
                place.base_sequence,
                place.leader_epoch,
            );
        }
        for seen in &dossier.readers {
            let _ = writeln!(
                text,
                "    read     by {} at {}: partition {} offset {}",
                seen.reader,
                at(seen.at_ns),
                seen.partition,
                seen.offset,
            );
        }
    }
    if dossiers.len() > SHOWN {
        let _ = writeln!(text, "  {} more stand in {FILE_NAME}", dossiers.len() - SHOWN);
    }
    text
}

/// Seconds since the first due record.
fn at(ns: i64) -> String {
    format!("{:.6} s", ns as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use steadfast_verifier::dossier::{Finding, Source};

    use super::*;

    #[test]
    fn the_first_are_told_and_the_others_counted() {
        let of = |index: u64| Dossier {
            record: format!("3:{index}"),
            findings: vec![Finding {
                id: "L1".into(),
                detail: "gone".into(),
            }],
            source: Some(Source {
                worker: 3,
                incarnation: 0,
                index,
                due_ns: 1_500_000_000,
                handed_over_ns: 1_500_100_000,
            }),
            ..Dossier::default()
        };
        let text = text(&(0..5).map(of).collect::<Vec<_>>());
        for words in [
            "the way of record 3:0 (L1)",
            "due at 1.500000 s",
            "nowhere",
            "2 more stand in",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert_eq!(text.matches("the way of").count(), 3);
    }
}
