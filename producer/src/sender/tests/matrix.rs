//! The error matrix: whatever a broker answers to one of five batches in flight, no record is lost, doubled or
//! overtaken, and everybody hears the truth about it.
//!
//! ```text
//!   what comes back   x   head, middle, last of five   x   written or not   x   idempotent, transaction version 1, 2
//!   (table.rs)                                                                       │
//!                         the core, the scripted cluster (play.rs) ◄─────────────────┘
//!                                        │ what was seen
//!                         what must be seen (expected.rs) ─► docs/error-matrix.md (page.rs)
//! ```
//!
//! The table knows nothing of `reaction.rs`: it was written from the contract, so that the two can disagree.

mod expected;
mod page;
mod play;
mod table;

use std::collections::BTreeSet;

use self::expected::{Cell, expected};
use self::play::{play, play_until_deadline};
use self::table::{Hit, LAST, Mode, PLACES, Plain, Row, STATES, State, TABLE, Within};
use crate::reaction;
use crate::record::Outcome;

/// Fewer cells than this would be another matrix.
const AT_LEAST: usize = 500;

/// One situation.
#[derive(Debug, Clone, Copy)]
struct Case {
    row: &'static Row,
    mode: Mode,
    /// Which of the five is hit.
    place: usize,
    state: State,
}

/// All that can happen: a batch that was acknowledged was written, for one.
fn cases() -> impl Iterator<Item = Case> {
    let states = |row: &'static Row| STATES.into_iter().filter(move |state| row.states.contains(state));
    let of_row = move |row: &'static Row| {
        let modes = Mode::ALL.into_iter();
        modes.flat_map(move |mode| {
            states(row).flat_map(move |state| {
                PLACES.into_iter().map(move |place| Case {
                    row,
                    mode,
                    place,
                    state,
                })
            })
        })
    };
    TABLE.iter().flat_map(of_row)
}

#[test]
fn every_cell_is_as_the_table_says() {
    let mut cells = 0;
    let mut wrong = Vec::new();
    for case in cases() {
        let must: Cell = expected(case);
        if let Err(why) = play(case, &must) {
            let Case {
                row,
                mode,
                place,
                state,
            } = case;
            wrong.push(format!("{:?} {mode:?} {place} {state:?}: {why}", row.hit));
        }
        cells += 1;
    }
    assert!(
        wrong.is_empty(),
        "{} of {cells} cells:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(cells >= AT_LEAST, "{cells} cells");
}

/// The cells above end well, whatever is believed meanwhile. At the deadline belief is all there is.
#[test]
fn what_is_answered_until_the_deadline_decides_what_is_believed() {
    let mut cells = 0;
    let mut wrong = Vec::new();
    for case in cases().filter(|case| case.place == LAST && lasts(*case)) {
        // What this sending may have written, and what an earlier one did: nobody knows. Else it is not there.
        let perhaps = case.row.states.contains(&State::Written);
        let must = if perhaps || case.state != State::NotWritten {
            Outcome::Unknown
        } else {
            Outcome::NotWritten
        };
        if let Err(why) = play_until_deadline(case, must) {
            let Case { row, mode, state, .. } = case;
            wrong.push(format!("{:?} {mode:?} {state:?}: {why}", row.hit));
        }
        cells += 1;
    }
    assert!(
        wrong.is_empty(),
        "{} of {cells} cells:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(cells > 50, "{cells} cells");
}

/// It is sent again for as long as it is answered so. 2 is sent again once, and 51 has a time limit of its own (B8).
fn lasts(case: Case) -> bool {
    let again = match case.mode {
        Mode::Idempotent => case.row.plain == Plain::Again,
        Mode::Transaction(level) => case.row.within[usize::from(level >= 2)] == Within::Again,
    };
    again && case.row.code().is_some_and(|code| ![2, 51].contains(&code))
}

/// One that only one side knows would be tested by nobody.
#[test]
fn the_table_has_every_code_that_has_a_meaning() {
    let ours: BTreeSet<i16> = TABLE.iter().filter_map(|row| row.code()).collect();
    let codes = TABLE.iter().filter(|row| matches!(row.hit, Hit::Code(_)));
    assert_eq!(codes.count(), ours.len(), "a code stands twice");
    for meaning in reaction::TABLE {
        let row = TABLE.iter().find(|row| row.code() == Some(meaning.code));
        assert_eq!(row.map(|row| row.name), Some(meaning.name), "{}", meaning.code);
    }
    let others = ours
        .iter()
        .filter(|code| reaction::classify(**code).name == "not listed");
    assert_eq!(
        others.count(),
        4,
        "codes that a Produce is never answered with stand for all others"
    );
}
