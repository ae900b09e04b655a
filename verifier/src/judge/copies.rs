//! A consume-transform-produce job against its source: T6 and D6. Pure.
//!
//! ```text
//! source offset      0    1    2    3  │  4    5          │ = committed position of the group
//! copy to be read    x    x    x    x  │                  as it should be
//!                    x         x    x  │                  T6: the position covers 1, whose copy is not there
//!                    x    x    x    x  │  x               T6: 4 is copied, and a resume will send it again
//!                    x    xx   x    x  │                  D6: 1 was consumed twice
//! ```
//! The job's history says which record was made from which source offset, before it is handed over. What the source
//! holds and what can be read of it comes from its own log. An absent copy needs a sealed log; the others do not.

use std::collections::BTreeMap;

use super::JudgeError;
use super::findings::{Anomaly, Findings};
use super::sources::{Logs, Topic};
use super::tables::{Origin, Tables};
use super::visibility::{Markers, Visibility};

/// A copy job's source.
pub(super) struct Source<'a> {
    pub(super) topic: Topic<'a>,
    pub(super) logs: Logs<'a>,
    /// By partition, the group's committed position after the last outcome.
    pub(super) committed: &'a BTreeMap<i32, i64>,
}

/// Holds the source against the copies that can be read. Gives the partitions whose end the job has not reached, as
/// sentences: what it never came to, it had no chance to get wrong.
pub(super) fn find(
    source: &Source<'_>,
    tables: &mut Tables,
    sealed: bool,
    findings: &mut Findings,
) -> Result<Vec<String>, JudgeError> {
    let mut copies = std::mem::take(&mut tables.origins);
    copies.retain(|copy| tables.get(copy.id).is_some_and(super::tables::Row::seen));
    copies.sort_unstable();
    let name = source.topic.name;
    for pair in copies.windows(2) {
        let [first, again] = [pair[0], pair[1]];
        if (first.partition, first.offset) == (again.partition, again.offset) {
            findings.add(Anomaly::D6, Some(again.id), || {
                format!(
                    "made from {name}-{} offset {}, as {} was",
                    again.partition, again.offset, first.id
                )
            });
        }
    }
    let committed = |partition: i32| source.committed.get(&partition).copied().unwrap_or(0);
    for copy in &copies {
        let position = committed(copy.partition);
        if copy.offset >= position {
            findings.add(Anomaly::T6, Some(copy.id), || {
                format!(
                    "made from {name}-{} offset {}, and the committed position is {position}: a resume sends it again",
                    copy.partition, copy.offset
                )
            });
        }
    }
    let mut unfinished = Vec::new();
    if sealed {
        for partition in source.logs.partitions() {
            let begin = copies.partition_point(|copy| copy.partition < partition);
            let end = copies.partition_point(|copy| copy.partition <= partition);
            let position = committed(partition);
            let left = uncopied(source, partition, position, &copies[begin..end], findings)?;
            if left > 0 {
                unfinished.push(format!(
                    "the copy job did not come to the end of its source: {left} records of {name}-{partition} from \
                     offset {position} on are not copied"
                ));
            }
        }
    }
    Ok(unfinished)
}

/// Source records below the committed position without a copy that can be read; gives the number of those at or
/// behind it.
fn uncopied(
    source: &Source<'_>,
    partition: i32,
    position: i64,
    copies: &[Origin],
    findings: &mut Findings,
) -> Result<u64, JudgeError> {
    let mut left = 0;
    let mut markers = Markers::default();
    let mut batches = source.logs.open(&source.topic, partition)?;
    while let Some(batch) = batches.next()? {
        markers.note(batch);
    }
    let mut copies = copies.iter().peekable();
    let mut batches = source.logs.open(&source.topic, partition)?;
    while let Some(batch) = batches.next()? {
        if batch.control || markers.visibility(batch) != Visibility::Committed {
            continue;
        }
        for record in &batch.records {
            while copies.next_if(|copy| copy.offset < record.offset).is_some() {}
            let copied = copies.peek().is_some_and(|copy| copy.offset == record.offset);
            if record.offset >= position {
                left += u64::from(!copied);
            } else if copies.peek().is_none_or(|copy| copy.offset > record.offset) {
                findings.add(Anomaly::T6, record.id, || {
                    format!(
                        "{}-{partition} offset {} is below the committed position {position}, and has no copy",
                        source.topic.name, record.offset
                    )
                });
            }
        }
    }
    Ok(left)
}
