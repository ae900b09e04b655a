//! `docs/error-matrix.md`, written from the table: `STEADFAST_BLESS=1` writes it anew, for review.

use std::fmt::Write;
use std::path::Path;

use super::expected::{Cell, End, Next, expected};
use super::table::{LAST, Mode, PLACES, Plain, Row, STATES, State, TABLE, Within};
use super::{Case, cases};
use crate::record::Outcome;

const HEAD: &str = "\
# Error matrix: what follows when a broker says no

Five batches of a partition are in flight, and one of them is hit: the first, the middle or the last. The tables below are
what must follow; the test `sender::tests::matrix` plays every cell in virtual time and compares outcomes, what is sent next, the
log and what readers see, record by record. It also writes this page.

- *Not written*: nothing was appended. *Written*: this very sending was appended. *Written before*: an earlier sending was,
  whose connection broke before the answer; what stood behind it was never read.
- Every outcome is ACKED, NOT_WRITTEN or UNKNOWN. Batches before the one that is hit are ACKED, always. A number in brackets is
  the error code that the caller gets; 46 = acknowledged, its offset not told.
- What is sent again and answered so until `delivery.timeout.ms` is over ends with 7: NOT_WRITTEN if no sending can have been
  appended, else UNKNOWN, and then it is asked about for as long as a broker remembers.
";

#[test]
fn the_page_is_as_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/error-matrix.md");
    let page = page();
    if std::env::var_os("STEADFAST_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == page,
        "docs/error-matrix.md is stale: STEADFAST_BLESS=1 cargo test -p steadfast-producer --lib matrix writes it anew"
    );
}

fn page() -> String {
    let mut page = String::from(HEAD);
    let _ = writeln!(
        page,
        "\n{} cells: {} answers × places × states × who writes.\n",
        cases().count(),
        TABLE.len()
    );
    page.push_str("## Which answer means what\n\n");
    page.push_str(
        "| code | answer | this sending was appended | idempotent | transaction v1 | transaction v2 |\n",
    );
    page.push_str("|---|---|---|---|---|---|\n");
    for row in TABLE {
        let code = row.code().map_or(String::new(), |code| code.to_string());
        let [v1, v2] = row.within.map(|kind| format!("{kind:?}"));
        let _ = writeln!(
            page,
            "| {code} | {} | {} | {:?} | {v1} | {v2} |",
            row.name,
            appended(row),
            row.plain
        );
    }
    page.push_str("\n## Without a transaction\n\n");
    let plains = [
        Plain::Done,
        Plain::Again,
        Plain::Rejected,
        Plain::Pieces,
        Plain::Probed,
        Plain::Stops,
        Plain::StopsUnknown,
        Plain::ClientStops,
    ];
    page.push_str(COLUMNS);
    for kind in plains {
        let row = TABLE.iter().find(|row| row.plain == kind);
        lines(&mut page, &format!("{kind:?}"), row, Mode::Idempotent);
    }
    page.push_str("\n## In a transaction\n\n");
    page.push_str(COLUMNS);
    let withins = [
        Within::Done,
        Within::Again,
        Within::Pieces,
        Within::Aborted,
        Within::AbortedAnew,
        Within::Fatal,
        Within::FatalUnknown,
    ];
    for kind in withins {
        let row = TABLE.iter().find(|row| row.within[1] == kind);
        lines(&mut page, &format!("{kind:?}"), row, Mode::Transaction(2));
    }
    page.push_str("\nUnder version 1 every abort is followed by InitProducerId; the rest is the same.\n");
    page
}

const COLUMNS: &str = "\
| reaction | that batch is | place | it ends | those behind end | sent next | and then |
|---|---|---|---|---|---|---|
";

/// The lines of one reaction, told with the first answer that has it.
fn lines(page: &mut String, kind: &str, row: Option<&'static Row>, mode: Mode) {
    let row = row.unwrap_or_else(|| panic!("{kind} is in no row"));
    for state in STATES.into_iter().filter(|state| row.states.contains(state)) {
        let cell = |place: usize| {
            expected(Case {
                row,
                mode,
                place,
                state,
            })
        };
        let mut places = PLACES.to_vec();
        while let Some(&first) = places.first() {
            let like = |place: &usize| {
                let (one, other) = (cell(first), cell(*place));
                (one.hit, one.next, one.end) == (other.hit, other.next, other.end)
            };
            let same: Vec<usize> = places.iter().copied().filter(like).collect();
            places.retain(|place| !like(place));
            let _ = writeln!(
                page,
                "| {kind} | {} | {} |{}",
                words(state),
                named(&same),
                told(row, cell(first), &same)
            );
        }
    }
}

fn told(row: &Row, cell: Cell, places: &[usize]) -> String {
    let outcome = |(outcome, code): (Outcome, i16)| {
        let word = match outcome {
            Outcome::Acked => "ACKED",
            Outcome::NotWritten => "NOT_WRITTEN",
            Outcome::Unknown => "UNKNOWN",
        };
        match code {
            0 => word.to_owned(),
            code => format!("{word} ({})", code_of(row, code)),
        }
    };
    let behind = if places == [LAST] {
        "-".to_owned()
    } else {
        outcome(cell.behind)
    };
    let next = match cell.next {
        Next::Nothing => "-",
        Next::Again => "the same bytes",
        Next::Pieces => "its first half, under its number",
        Next::MovesUp => "the one behind it, under its number",
        Next::Following => "the one behind it",
        Next::Newest => "the last of the five, then down to the first that is taken",
    };
    let end = match cell.end {
        End::GoesOn => "the partition goes on".to_owned(),
        End::NewEpoch => "it goes on in a new epoch".to_owned(),
        End::PartitionStopped(code) => format!("the partition stops ({})", code_of(row, code)),
        End::ClientStopped => "the client stops".to_owned(),
        End::Committed => "committed".to_owned(),
        End::Aborted(code, _) => format!("aborted ({}); the next one commits", code_of(row, code)),
        End::Fatal(code) => format!("the instance stops ({}); readers see nothing", code_of(row, code)),
    };
    format!(" {} | {behind} | {next} | {end} |", outcome(cell.hit))
}

/// Reactions are told for any code: only codes that the core brings in itself are numbers.
fn code_of(row: &Row, code: i16) -> String {
    if row.code() == Some(code) && code != 45 {
        "its code".to_owned()
    } else {
        code.to_string()
    }
}

fn named(places: &[usize]) -> String {
    if places == PLACES {
        return "any".to_owned();
    }
    let names = places.iter().map(|&place| match place {
        0 => "head",
        LAST => "last",
        _ => "middle",
    });
    names.collect::<Vec<_>>().join(", ")
}

fn words(state: State) -> &'static str {
    match state {
        State::NotWritten => "not written",
        State::Written => "written",
        State::WrittenBefore => "written before",
    }
}

fn appended(row: &Row) -> &'static str {
    let may = |state: State| row.states.contains(&state);
    match (may(State::NotWritten), may(State::Written)) {
        (true, true) => "perhaps",
        (true, false) => "no",
        (false, true) => "yes",
        (false, false) => "an earlier one was",
    }
}
