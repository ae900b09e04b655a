//! What must be seen, for each kind of reaction, place and state. Derived from the contract, not from the core.
//!
//! Where a batch that may be written is acknowledged without being sent again, a later one proved it: numbers are
//! taken without gaps (A8). Such a batch has code 46: in the log, its offset not told.

use super::Case;
use super::table::{Hit, LAST, Mode, Plain, State, Within};
use crate::record::Outcome::{self, Acked, NotWritten, Unknown};

/// What the core reports of records that a close ends.
const TIMED_OUT: i16 = 7;
const OUT_OF_ORDER: i16 = 45;
const NO_OFFSET: (Outcome, i16) = (Acked, 46);
const ACKED: (Outcome, i16) = (Acked, 0);

/// One cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    /// Outcome and code of the batch that is hit, and of each behind it. Those before it are acknowledged, always.
    pub(super) hit: (Outcome, i16),
    pub(super) behind: (Outcome, i16),
    pub(super) next: Next,
    pub(super) end: End,
}

/// What is sent first, once the answer is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Nothing,
    /// The very same.
    Again,
    /// The first half of it, under its number.
    Pieces,
    /// The batch behind it, under the number that is free now.
    MovesUp,
    /// The batch behind it.
    Following,
    /// The last of the five.
    Newest,
}

impl Next {
    /// Which of the five numbers leaves.
    pub(super) fn number(self, place: usize) -> Option<usize> {
        match self {
            Next::Nothing => None,
            Next::Again | Next::Pieces | Next::MovesUp => Some(place),
            Next::Following => Some(place + 1),
            Next::Newest => Some(LAST),
        }
    }
}

/// How it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The next record is acknowledged in the same epoch.
    GoesOn,
    /// It is, in a new one (A14).
    NewEpoch,
    /// No record is taken for this partition.
    PartitionStopped(i16),
    /// None is taken at all.
    ClientStopped,
    Committed,
    /// Readers see nothing of it, and the next transaction commits. So often InitProducerId was asked.
    Aborted(i16, usize),
    /// Readers see nothing of it, and no other transaction begins.
    Fatal(i16),
}

pub(super) fn expected(case: Case) -> Cell {
    match case.mode {
        Mode::Idempotent => plain(case, case.row.plain),
        Mode::Transaction(level) => within(case, usize::from(level >= 2)),
    }
}

fn plain(case: Case, kind: Plain) -> Cell {
    let code = case.row.code().unwrap_or(TIMED_OUT);
    let last = case.place == LAST;
    let end = End::GoesOn;
    let told_by_later = matches!(case.row.hit, Hit::Code(_)) && !last;
    let (hit, next, end) = match (kind, case.state) {
        (Plain::Done, State::WrittenBefore) => {
            let hit = if code == 0 { ACKED } else { NO_OFFSET };
            (hit, if last { Next::Nothing } else { Next::Following }, end)
        }
        (Plain::Done, _) => (ACKED, Next::Nothing, end),
        (Plain::Again, State::Written) if told_by_later => (NO_OFFSET, Next::Nothing, end),
        (Plain::Again, _) => (ACKED, Next::Again, end),
        (Plain::Pieces, State::NotWritten) => (ACKED, Next::Pieces, end),
        (Plain::Rejected, State::NotWritten) => (
            (NotWritten, code),
            if last { Next::Nothing } else { Next::MovesUp },
            end,
        ),
        // Asked about, from the newest down: the first that is taken proves it.
        (Plain::Rejected | Plain::Pieces | Plain::Probed, State::WrittenBefore) if !last => {
            (NO_OFFSET, Next::Newest, end)
        }
        (Plain::Rejected | Plain::Pieces, _) => ((Unknown, code), Next::Nothing, End::NewEpoch),
        (Plain::Probed, _) if !last => (ACKED, Next::Newest, end),
        (Plain::Probed, _) => {
            let hit = (not_written(case.state), OUT_OF_ORDER);
            (hit, Next::Nothing, End::PartitionStopped(OUT_OF_ORDER))
        }
        (Plain::Stops, _) => {
            let hit = (not_written(case.state), code);
            (hit, Next::Nothing, End::PartitionStopped(code))
        }
        (Plain::StopsUnknown, _) => ((Unknown, code), Next::Nothing, End::PartitionStopped(code)),
        (Plain::ClientStops, _) => {
            let hit = (not_written(case.state), TIMED_OUT);
            (hit, Next::Nothing, End::ClientStopped)
        }
    };
    let behind = match end {
        // On the wire, or lost before.
        End::PartitionStopped(code) => (Unknown, code),
        End::ClientStopped => hit,
        _ => ACKED,
    };
    Cell {
        hit,
        behind,
        next,
        end,
    }
}

fn within(case: Case, version: usize) -> Cell {
    let code = case.row.code().unwrap_or(TIMED_OUT);
    let last = case.place == LAST;
    let over = |hit: (Outcome, i16), end: End| Cell {
        hit,
        behind: hit,
        next: Next::Nothing,
        end,
    };
    let of_plain = |kind: Plain| {
        let cell = plain(case, kind);
        let end = match cell.end {
            // There is no new epoch within a transaction, so what nothing can prove ends it.
            End::NewEpoch => End::Aborted(code, 1 - version),
            _ => End::Committed,
        };
        Cell { end, ..cell }
    };
    match case.row.within[version] {
        Within::Done => of_plain(Plain::Done),
        Within::Again => of_plain(Plain::Again),
        Within::Pieces => of_plain(Plain::Pieces),
        // Version 2 has its next epoch from EndTxn.
        Within::Aborted => over((not_written(case.state), code), End::Aborted(code, 1 - version)),
        Within::AbortedAnew => over((not_written(case.state), code), End::Aborted(code, 1)),
        Within::Fatal => over((not_written(case.state), TIMED_OUT), End::Fatal(code)),
        // Answers go on to be believed.
        Within::FatalUnknown if case.state == State::Written && !last => Cell {
            hit: NO_OFFSET,
            behind: ACKED,
            ..over(ACKED, End::Fatal(code))
        },
        Within::FatalUnknown => {
            let behind = (not_written(case.state), TIMED_OUT);
            Cell {
                behind,
                ..over((Unknown, TIMED_OUT), End::Fatal(code))
            }
        }
    }
}

/// The outcome of what is refused now: UNKNOWN sticks (A7).
fn not_written(state: State) -> Outcome {
    match state {
        State::NotWritten => NotWritten,
        State::Written | State::WrittenBefore => Unknown,
    }
}
