//! Unknown outcomes, and how the log resolved each.

use steadfast_verifier::measurements::{Fate, Fates, UnknownRun};

use crate::folder::Folder;
use crate::number;
use crate::text::{Limits, plural};

/// Runs of neighbours told one by one.
const MAX_RUNS: usize = 12;

/// What the page says of unknown outcomes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unknowns {
    pub sentence: String,
    /// Some are not resolved.
    pub open: bool,
    /// Who could not tell, then written, in no committed transaction, not in the log, not resolved.
    pub rows: Vec<(&'static str, Vec<String>)>,
    pub runs: Vec<Run>,
    pub more_runs: bool,
}

/// Neighbours with one fate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Run {
    pub records: String,
    pub why: &'static str,
    pub at: String,
    pub fate: String,
}

/// None where every record has an outcome.
pub(crate) fn unknowns(folder: &Folder, zero_ns: i64, limits: Limits) -> Option<Unknowns> {
    let all = folder.verdict.records.unknown;
    if all == 0 {
        return None;
    }
    let Some(unknown) = &folder.measurements.unknown else {
        let sentence = format!(
            "{} had no outcome, and this folder does not say what became of them; `steadfast verify` judges it again.",
            plural(all, "record")
        );
        return Some(Unknowns {
            sentence,
            open: true,
            rows: Vec::new(),
            runs: Vec::new(),
            more_runs: false,
        });
    };
    let (told, untold) = (unknown.told, unknown.untold);
    let sum = |of: fn(&Fates) -> u64| of(&told) + of(&untold);
    let open = sum(|fates| fates.unresolved);
    let kept = unknown.runs.len().min(MAX_RUNS).min(limits.rows);
    let runs = unknown.runs[..kept]
        .iter()
        .map(|run| told_run(run, zero_ns, limits));
    let shown: u64 = unknown.runs[..kept].iter().map(|run| run.records).sum();
    let mut parts = vec![
        format!("{} written", number::count(sum(|fates| fates.written))),
        format!("{} not written", number::count(sum(|fates| fates.absent))),
    ];
    let hidden = sum(|fates| fates.hidden);
    if hidden > 0 {
        parts.push(format!(
            "{} in transactions that were not committed",
            number::count(hidden)
        ));
    }
    parts.push(format!("{} not resolved", number::count(open)));
    Some(Unknowns {
        sentence: format!(
            "{} ended without an outcome. The log resolves them: {}.",
            plural(all, "record"),
            parts.join(", ")
        ),
        open: open > 0,
        rows: [
            ("the client said that it does not know", told),
            ("the client ended without a word", untold),
        ]
        .into_iter()
        .filter(|(_, fates)| *fates != Fates::default())
        .map(|(who, fates)| (who, counts(fates)))
        .collect(),
        runs: runs.collect(),
        more_runs: shown < all,
    })
}

fn counts(fates: Fates) -> Vec<String> {
    [fates.written, fates.absent, fates.hidden, fates.unresolved]
        .map(number::count)
        .to_vec()
}

fn told_run(run: &UnknownRun, zero_ns: i64, limits: Limits) -> Run {
    let records = match run.records {
        0 | 1 => limits.short(&run.first),
        more => limits.short(&format!(
            "{} and the {} behind it",
            run.first,
            number::count(more - 1)
        )),
    };
    let fate = match (run.fate, run.place) {
        (Fate::Written, Some((partition, offset))) => {
            format!("written: partition {partition}, offset {offset}")
        }
        (Fate::Written, None) => "written".to_owned(),
        (Fate::Hidden, _) => "written, in a transaction that was not committed".to_owned(),
        (Fate::Absent, _) => "not written: the sealed log does not have it".to_owned(),
        (Fate::Unresolved, _) => "not resolved: the log was not read to its end".to_owned(),
    };
    Run {
        records,
        why: if run.told {
            "reported as unknown"
        } else {
            "no word of it"
        },
        at: format!(
            "{} s",
            number::plain((run.handed_over_ns - zero_ns) as f64 / 1e9, 5)
        ),
        fate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn each_unknown_is_told_with_what_became_of_it() {
        let told = unknowns(&fixture::fail(), 15_000_000_000, Limits::USUAL).unwrap();
        assert_eq!(
            told.sentence,
            "61 records ended without an outcome. The log resolves them: 40 written, 21 not written, 0 not resolved."
        );
        assert!(!told.open && !told.more_runs);
        let runs: Vec<_> = told
            .runs
            .iter()
            .map(|run| (run.records.as_str(), run.fate.as_str()))
            .collect();
        assert_eq!(
            runs[0],
            (
                "0:501220 and the 39 behind it",
                "written: partition 0, offset 83536"
            )
        );
        assert_eq!(told.runs[0].at, "20.049 s");
    }

    #[test]
    fn none_are_not_mentioned_and_old_folders_leave_them_open() {
        assert!(unknowns(&fixture::pass(), 0, Limits::USUAL).is_none());
        let mut folder = fixture::fail();
        folder.measurements.unknown = None;
        let told = unknowns(&folder, 0, Limits::USUAL).unwrap();
        assert!(told.open && told.rows.is_empty());
    }

    #[test]
    fn what_is_not_resolved_stands_out() {
        let mut folder = fixture::fail();
        let unknown = folder.measurements.unknown.as_mut().unwrap();
        unknown.told.unresolved = 2;
        let told = unknowns(&folder, 0, Limits::USUAL).unwrap();
        assert!(
            told.open && told.sentence.ends_with("2 not resolved."),
            "{}",
            told.sentence
        );
    }
}
