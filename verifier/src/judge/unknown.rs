//! Records without an outcome, held against the sealed log: each was written, or was not, or nobody knows. Pure.
//!
//! An unknown outcome is no anomaly: the client said the truth. But it is resolved and not left there, since an application
//! that sends again what it does not know would double what was written, and one that does not would lose the rest.

use super::tables::{Row, State, Tables};
use crate::measurements::{Fate, Fates, Unknown, UnknownRun};
use crate::stamp::RecordId;

/// Runs told one by one.
const RUNS_MAX: usize = 50;

/// Goes over all records once, after the log was read. `sealed` = it was read to its end.
pub(super) fn resolve(tables: &Tables, sealed: bool, zero_ns: u64) -> Unknown {
    let mut unknown = Unknown::default();
    for stretch in &tables.stretches {
        // The index that goes on with the last run.
        let mut next = None;
        for (index, row) in (stretch.first_index..).zip(&stretch.rows) {
            let told = match row.state() {
                State::Unknown => true,
                State::Open => false,
                State::Acked | State::NotWritten => continue,
            };
            let fate = fate(row, sealed);
            let fates = if told {
                &mut unknown.told
            } else {
                &mut unknown.untold
            };
            count(fates, fate);
            let place = (fate == Fate::Written).then_some((row.partition, row.offset));
            let goes_on = next == Some(index)
                && unknown.runs.last().is_some_and(|run| {
                    let follows = run
                        .place
                        .map(|(partition, offset)| (partition, offset.saturating_add(run.records as i64)));
                    (run.told, run.fate, follows) == (told, fate, place)
                });
            next = None;
            if goes_on && let Some(run) = unknown.runs.last_mut() {
                run.records += 1;
                next = Some(index + 1);
            } else if unknown.runs.len() < RUNS_MAX {
                unknown.runs.push(UnknownRun {
                    first: RecordId::new(stretch.worker, index).to_string(),
                    records: 1,
                    told,
                    handed_over_ns: row.handover_ns as i64 - zero_ns as i64,
                    fate,
                    place,
                });
                next = Some(index + 1);
            }
        }
    }
    unknown
}

fn fate(row: &Row, sealed: bool) -> Fate {
    match (row.seen(), row.hidden(), sealed) {
        (true, _, _) => Fate::Written,
        (_, true, _) => Fate::Hidden,
        (_, _, true) => Fate::Absent,
        (_, _, false) => Fate::Unresolved,
    }
}

fn count(fates: &mut Fates, fate: Fate) {
    *match fate {
        Fate::Written => &mut fates.written,
        Fate::Hidden => &mut fates.hidden,
        Fate::Absent => &mut fates.absent,
        Fate::Unresolved => &mut fates.unresolved,
    } += 1;
}

#[cfg(test)]
mod tests {
    use super::super::tables::Stretch;
    use super::*;

    /// Ten records of worker 3: 2 to 4 unknown and in the log, 5 unknown and not, 8 without a word, 9 in a transaction
    /// that was not committed; all others acknowledged.
    fn tables() -> Tables {
        let mut tables = Tables::default();
        tables.stretches.push(Stretch::begin(3, 0));
        assert!(tables.hand_over(0, 0, &[7; 10], 1_000));
        for index in 0..10 {
            let row = tables.find(RecordId::new(3, index)).unwrap();
            match index {
                2..=4 => {
                    row.set_state(State::Unknown);
                    row.set_seen();
                    (row.partition, row.offset) = (1, 40 + index as i64);
                }
                5 => row.set_state(State::Unknown),
                8 => {}
                9 => row.set_hidden(),
                _ => row.set_state(State::Acked),
            }
        }
        tables
    }

    #[test]
    fn each_unknown_is_resolved_by_the_log() {
        let unknown = resolve(&tables(), true, 400);
        let fates = |written, hidden, absent| Fates {
            written,
            hidden,
            absent,
            unresolved: 0,
        };
        assert_eq!((unknown.told, unknown.untold), (fates(3, 0, 1), fates(0, 1, 1)));
        let runs: Vec<_> = unknown
            .runs
            .iter()
            .map(|run| (run.first.as_str(), run.records, run.told, run.fate, run.place))
            .collect();
        assert_eq!(
            runs,
            [
                ("3:2", 3, true, Fate::Written, Some((1, 42))),
                ("3:5", 1, true, Fate::Absent, None),
                ("3:8", 1, false, Fate::Absent, None),
                ("3:9", 1, false, Fate::Hidden, None),
            ]
        );
        assert_eq!(unknown.runs[0].handed_over_ns, 600);
    }

    #[test]
    fn a_log_that_is_not_sealed_shows_no_absence() {
        let unknown = resolve(&tables(), false, 0);
        assert_eq!((unknown.told.unresolved, unknown.untold.unresolved), (1, 1));
        assert_eq!((unknown.told.absent, unknown.told.written), (0, 3));
    }

    #[test]
    fn many_runs_are_counted_and_only_some_are_told() {
        let mut tables = Tables::default();
        tables.stretches.push(Stretch::begin(0, 0));
        assert!(tables.hand_over(0, 0, &[7; 400], 8));
        for index in (0..400).step_by(2) {
            tables
                .find(RecordId::new(0, index))
                .unwrap()
                .set_state(State::Acked);
        }
        let unknown = resolve(&tables, true, 0);
        assert_eq!((unknown.untold.absent, unknown.runs.len()), (200, RUNS_MAX));
    }
}
