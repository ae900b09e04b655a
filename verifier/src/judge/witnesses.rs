//! I6: do witnesses that share no code with us have the same records in the same places? Pure.
//!
//! Held against each other are the offsets of data records below the sealed end, partition by partition. What one has and the
//! other has not counts, offset by offset. A witness that did not speak is H5: then nobody has confirmed the log.

use std::collections::BTreeMap;

use super::JudgeError;
use super::findings::{Anomaly, Findings};
use super::sources::{Logs, Topic};
use crate::oracle::{Oracle, Told, Witness};
use crate::seal::Seal;

/// Runs of offsets, ascending, from the first to before the second.
type Runs = Vec<(i64, i64)>;

/// Holds both against the log. Gives the reasons why one of them says nothing.
pub(super) fn confront(
    oracle: &Oracle,
    logs: &Logs<'_>,
    (topic, seal): (&Topic<'_>, Option<&Seal>),
    findings: &mut Findings,
) -> Result<Vec<String>, JudgeError> {
    if oracle.topic != topic.name {
        return Ok(vec![format!(
            "the oracle was asked about topic {}, and not {}",
            oracle.topic, topic.name
        )]);
    }
    let ours = own(logs, topic)?;
    let witnesses = [
        ("Kafka's own consumer", &oracle.consumer),
        ("the dump of Kafka's own segments", &oracle.segments),
    ];
    let mut silent = Vec::new();
    for (who, witness) in witnesses {
        match &witness.failed {
            Some(why) => silent.push(format!("{who} was asked for and did not speak: {why}")),
            None => disagreements((who, witness), &ours, (topic, seal), findings),
        }
    }
    Ok(silent)
}

/// What our own reader has.
#[derive(Default)]
struct Own {
    told: Told,
    /// It found damage itself.
    damaged: bool,
}

fn own(logs: &Logs<'_>, topic: &Topic<'_>) -> Result<BTreeMap<i32, Own>, JudgeError> {
    let mut ours = BTreeMap::new();
    for partition in logs.partitions() {
        let mut own = Own::default();
        let mut batches = logs.open(topic, partition)?;
        while let Some(batch) = batches.next()? {
            if batch.control {
                continue;
            }
            for record in &batch.records {
                own.told.add(1, record.offset, record.offset + 1);
                own.damaged |= !record.intact;
            }
        }
        ours.insert(partition, own);
    }
    Ok(ours)
}

fn disagreements(
    (who, witness): (&str, &Witness),
    ours: &BTreeMap<i32, Own>,
    (topic, seal): (&Topic<'_>, Option<&Seal>),
    findings: &mut Findings,
) {
    let nothing = (Own::default(), Told::default());
    let mut partitions: Vec<i32> = ours.keys().chain(witness.partitions.keys()).copied().collect();
    partitions.sort_unstable();
    partitions.dedup();
    for partition in partitions {
        let name = format!("{}-{partition}", topic.name);
        let own = ours.get(&partition).unwrap_or(&nothing.0);
        let told = witness.partitions.get(&partition).unwrap_or(&nothing.1);
        let end = seal
            .and_then(|seal| seal.of(topic.name, partition))
            .map_or(i64::MAX, |sealed| sealed.end_offset.min(sealed.read_to));
        let (mine, twice_mine) = ascending(&own.told.offsets, end);
        let (theirs, twice_theirs) = ascending(&told.offsets, end);
        for (runs, who_not) in [
            (without(&mine, &theirs), who),
            (without(&theirs, &mine), "our own reader"),
        ] {
            for (first, end) in runs {
                for offset in first..end {
                    findings.add(Anomaly::I6, None, || {
                        format!("{who_not} has no record at {name} offset {offset}")
                    });
                }
            }
        }
        // Our own are I1.
        if twice_theirs > twice_mine {
            findings.add(Anomaly::I6, None, || {
                format!("{who} got offsets of {name} more than once: {twice_theirs} of them")
            });
        }
        if !own.damaged {
            for base_offset in told.invalid.iter().filter(|&&offset| offset < end) {
                findings.add(Anomaly::I6, None, || {
                    format!("{who} finds the batch at {name} offset {base_offset} damaged, and our own reader does not")
                });
            }
        }
    }
}

/// Runs below `end` in order and joined, and how many offsets of them came more than once.
fn ascending(runs: &[(i64, i64)], end: i64) -> (Runs, u64) {
    let mut sorted: Runs = runs.iter().map(|&(first, last)| (first, last.min(end))).collect();
    sorted.retain(|(first, last)| first < last);
    sorted.sort_unstable();
    let mut joined: Runs = Vec::new();
    let mut twice = 0;
    for (first, last) in sorted {
        match joined.last_mut() {
            Some(before) if first <= before.1 => {
                twice += (before.1.min(last) - first) as u64;
                before.1 = before.1.max(last);
            }
            _ => joined.push((first, last)),
        }
    }
    (joined, twice)
}

/// What of `a` is not in `b`; both as [`ascending`] gives them.
fn without(a: &Runs, b: &Runs) -> Runs {
    let mut left = Runs::new();
    let mut others = b.iter().peekable();
    for &(first, end) in a {
        let mut from = first;
        while let Some(&&(start, stop)) = others.peek() {
            if start >= end {
                break;
            }
            if start > from {
                left.push((from, start));
            }
            from = from.max(stop);
            if stop > end {
                break;
            }
            others.next();
        }
        if from < end {
            left.push((from, end));
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_held_against_each_other_offset_by_offset() {
        let all = vec![(0, 10), (12, 20)];
        for (b, left) in [
            (vec![], all.clone()),
            (all.clone(), vec![]),
            (vec![(0, 30)], vec![]),
            (vec![(3, 4), (15, 16)], vec![(0, 3), (4, 10), (12, 15), (16, 20)]),
            (vec![(-5, 2), (9, 13)], vec![(2, 9), (13, 20)]),
            (vec![(10, 12)], all.clone()),
            (
                vec![(2, 3), (5, 6), (19, 25)],
                vec![(0, 2), (3, 5), (6, 10), (12, 19)],
            ),
        ] {
            assert_eq!(without(&all, &b), left, "{b:?}");
        }
        assert_eq!(
            ascending(&[(5, 9), (0, 5), (4, 6), (20, 30)], 25),
            (vec![(0, 9), (20, 25)], 2)
        );
    }
}
