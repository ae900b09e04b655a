//! One cell, played: five batches of two records in flight, one of them hit, then the log is read.

use kafka_protocol::messages::ApiKey;

use super::Case;
use super::expected::{Cell, End, Next};
use super::table::{Hit, LAST, Mode, State};
use crate::error::AppendError;
use crate::record::Outcome;
use crate::sender::tests::rules::{pipelined, record};
use crate::sender::tests::script::{Fault, MS, Script};
use crate::sender::tests::transactions::{asked, begin, commit, transactional, visible};
use crate::sender::tests::{append, check};
use crate::transaction::TransactionEvent::{Aborted, Committed};

/// Longer than all backoffs, timeouts and probes of one cell.
const SETTLED_NS: u64 = 30_000 * MS;
/// `delivery.timeout.ms` of these tests, and a little; more sendings than fit in it.
const DEADLINE_NS: u64 = 61_000 * MS;
const SENDINGS: usize = 90;
/// REQUEST_TIMED_OUT: what a deadline is reported as.
const TIMED_OUT: i16 = 7;
/// Records of one batch; record 0 is acknowledged before, and has number 0.
const BATCH: u64 = 2;
/// The records that follow.
const AFTER: std::ops::Range<u64> = 11..13;

/// What was seen that must not be, if anything.
pub(super) fn play(case: Case, must: &Cell) -> Result<(), String> {
    let mut script = match case.mode {
        Mode::Idempotent => pipelined(&[]),
        Mode::Transaction(level) => first_of_a_transaction(level),
    };
    script.faults.extend(vec![Fault::None; case.place]);
    script.faults.extend(faults(case));
    for batch in 0..=LAST as u64 {
        append(&mut script, 0, first_of(batch), BATCH as usize);
        script.run_for(1);
    }
    if case.mode != Mode::Idempotent {
        script.run_for(50 * MS);
        // A fatal error may have come already; what is left of the transaction is looked at below.
        let _ = script.sender.commit_transaction(script.now_ns);
    }
    script.run_for(SETTLED_NS);
    next_is(&script, case, must.next)?;
    ended(&mut script, must.end)?;
    outcomes(&mut script, case, must)?;
    log(&script, case, must)
}

/// One batch, answered so again and again.
pub(super) fn play_until_deadline(case: Case, must: Outcome) -> Result<(), String> {
    let mut script = match case.mode {
        Mode::Idempotent => pipelined(&[]),
        Mode::Transaction(level) => first_of_a_transaction(level),
    };
    script.faults.extend(faults(case));
    if let Some(code) = case.row.code() {
        script.faults.extend([Fault::Refuse { which: 0, code }; SENDINGS]);
    }
    append(&mut script, 0, first_of(0), BATCH as usize);
    script.run_for(DEADLINE_NS);
    for id in first_of(0)..first_of(1) {
        same("outcome", told(&script, id), Some((must, TIMED_OUT)))?;
    }
    script.faults.clear();
    script.run_for(SETTLED_NS);
    check(&mut script);
    Ok(())
}

fn first_of(batch: u64) -> u64 {
    1 + batch * BATCH
}

/// An open transaction with one record acknowledged.
fn first_of_a_transaction(level: i16) -> Script {
    let mut script = transactional(level, &[]);
    begin(&mut script);
    append(&mut script, 0, 0, 1);
    script.run_for(1000 * MS);
    script.requests.clear();
    script.coordinator.asked.clear();
    script
}

/// What happens to the request of the batch that is hit, and to its second sending.
fn faults(case: Case) -> Vec<Fault> {
    let now = match (case.row.hit, case.state) {
        (Hit::Code(0), _) => Fault::None,
        (Hit::Code(code), State::Written) => Fault::WriteThen { which: 0, code },
        (Hit::Code(code), _) => Fault::Refuse { which: 0, code },
        (Hit::Cut, State::NotWritten) => Fault::CutBefore,
        (Hit::Cut, _) => Fault::CutAfter,
        (Hit::Silence, _) => Fault::Silent,
    };
    match case.state {
        State::WrittenBefore => vec![Fault::CutAfter, now],
        State::NotWritten | State::Written => vec![now],
    }
}

/// The first request behind those that were on the wire when the answer came.
fn next_is(script: &Script, case: Case, must: Next) -> Result<(), String> {
    let sent = match (case.state, case.row.hit) {
        (State::WrittenBefore, _) => case.place + 2,
        (_, Hit::Cut) => case.place + 1,
        (_, Hit::Code(_) | Hit::Silence) => LAST + 1,
    };
    let next = script.requests.get(sent).map(|seen| seen.batches[0].1);
    let number = must.number(case.place).map(|batch| first_of(batch as u64) as i32);
    same("number that is sent next", next, number)
}

fn ended(script: &mut Script, must: End) -> Result<(), String> {
    let metrics = script.sender.metrics();
    let refused = |script: &mut Script| script.sender.append(&record(b"x"), 99, script.now_ns);
    let inits = asked(script, ApiKey::InitProducerId).len();
    same(
        "epochs",
        metrics.epoch_bump_total,
        u64::from(must == End::NewEpoch),
    )?;
    match must {
        End::GoesOn | End::NewEpoch => {
            append(script, 0, AFTER.start, BATCH as usize);
            script.run_for(SETTLED_NS);
            let mut after = AFTER;
            after.try_for_each(|id| same("record after", told(script, id), Some((Outcome::Acked, 0))))
        }
        End::PartitionStopped(code) => {
            same("alarms", metrics.partitions_stopped_total, 1)?;
            same(
                "append",
                refused(script),
                Err(AppendError::PartitionStopped { code }),
            )
        }
        End::ClientStopped => {
            same("stopped", script.sender.fatal().is_some(), true)?;
            same("append", refused(script), Err(AppendError::Closed))
        }
        End::Committed => {
            same("events", &script.events[..], &[Committed { transaction: 1 }])?;
            same("InitProducerId", inits, 0)?;
            next_transaction(script)
        }
        End::Aborted(code, must_init) => {
            same("events", &script.events[..], &[Aborted { transaction: 1, code }])?;
            same("InitProducerId, at least", inits >= must_init, true)?;
            same("InitProducerId at all", inits > 0, must_init > 0)?;
            next_transaction(script)
        }
        End::Fatal(code) => {
            same("events", &script.events[..], &[Aborted { transaction: 1, code }])?;
            same("EndTxn", asked(script, ApiKey::EndTxn).len(), 0)?;
            same("stopped", script.sender.fatal().is_some(), true)?;
            same(
                "begin",
                script.sender.begin_transaction(script.now_ns).is_err(),
                true,
            )
        }
    }
}

fn next_transaction(script: &mut Script) -> Result<(), String> {
    script.events.clear();
    begin(script);
    append(script, 0, AFTER.start, BATCH as usize);
    commit(script);
    script.run_for(SETTLED_NS);
    same(
        "next transaction",
        &script.events[..],
        &[Committed { transaction: 2 }],
    )
}

fn told(script: &Script, id: u64) -> Option<(Outcome, i16)> {
    script
        .outcomes
        .get(&id)
        .map(|&(outcome, _, _, code)| (outcome, code))
}

fn outcomes(script: &mut Script, case: Case, must: &Cell) -> Result<(), String> {
    script.faults.clear();
    check(script); // ends what has no outcome yet, and looks for what is lost, doubled and out of order
    for batch in 0..=LAST {
        let must = match batch.cmp(&case.place) {
            std::cmp::Ordering::Less => (Outcome::Acked, 0),
            std::cmp::Ordering::Equal => must.hit,
            std::cmp::Ordering::Greater => must.behind,
        };
        let first = first_of(batch as u64);
        for id in first..first + BATCH {
            same(&format!("outcome of record {id}"), told(script, id), Some(must))?;
        }
    }
    Ok(())
}

/// Exactly what was acknowledged, and of what nobody knows exactly what the broker took.
fn log(script: &Script, case: Case, must: &Cell) -> Result<(), String> {
    let mut log: Vec<u64> = vec![0];
    for batch in 0..=LAST {
        let (outcome, in_doubt) = match batch.cmp(&case.place) {
            std::cmp::Ordering::Less => (Outcome::Acked, true),
            std::cmp::Ordering::Equal => (must.hit.0, case.state != State::NotWritten),
            // What is behind one that was not taken is not taken either; behind a cut it was not read.
            std::cmp::Ordering::Greater => (must.behind.0, case.state == State::Written),
        };
        let there = match outcome {
            Outcome::Acked => true,
            Outcome::NotWritten => false,
            Outcome::Unknown => in_doubt,
        };
        let first = first_of(batch as u64);
        log.extend((first..first + BATCH).filter(|_| there));
    }
    let seen = match must.end {
        End::GoesOn | End::NewEpoch | End::PartitionStopped(_) | End::ClientStopped | End::Committed => {
            log.clone()
        }
        End::Aborted(..) | End::Fatal(_) => Vec::new(),
    };
    let after = match must.end {
        End::GoesOn | End::NewEpoch | End::Committed | End::Aborted(..) => AFTER,
        End::PartitionStopped(_) | End::ClientStopped | End::Fatal(_) => 0..0,
    };
    let entries = script.logs[0].entries.iter();
    let written: Vec<u64> = entries.flat_map(|entry| entry.ids.iter().copied()).collect();
    same("log", written, log.into_iter().chain(after.clone()).collect())?;
    same(
        "what readers see",
        visible(script),
        seen.into_iter().chain(after).collect(),
    )
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "as assert_eq, whose values are made on the spot"
)]
fn same<T: PartialEq + std::fmt::Debug>(what: &str, seen: T, must: T) -> Result<(), String> {
    if seen == must {
        Ok(())
    } else {
        Err(format!("{what}: seen {seen:?}, must be {must:?}"))
    }
}
