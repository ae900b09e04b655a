//! What a client with a transactional id does: one transaction after another, most of them committed.
//!
//! ```text
//! init ─▶ idle ─▶ open (records, some time) ─▶ ending (commit or abort) ─▶ its event ─▶ idle ...
//! ```

use steadfast_producer::sender::Sender;
use steadfast_producer::transaction::{GroupOffset, TransactionEvent, TransactionState};
use steadfast_verifier::history::{Recorded, TransactionEnded, TransactionOutcome};

use super::client::Counts;
use super::random::Random;
use super::{GROUP, MS};

/// NOT_ENOUGH_REPLICAS, CONCURRENT_TRANSACTIONS: no reason to give a transaction up before its time is over.
const PASSING: [i16; 2] = [19, 51];
/// Transactions that failed after the heal, none committed: more than what faults left behind can explain.
const STUCK_AFTER: u64 = 4;

/// Where the job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// `init_transactions` was called.
    Starting,
    /// The next transaction begins at this time, if there is something to write.
    Idle { from_ns: u64 },
    /// Records are taken until this time.
    Open { until_ns: u64, commit: bool },
    /// Commit or abort was called.
    Ending,
}

/// The job of a client with a transactional id.
#[derive(Debug)]
pub(crate) struct Job {
    stage: Stage,
    timeout_ns: u64,
    /// When the last transaction was asked to end; 0 = it was not.
    asked_ns: u64,
    pub(crate) begun_ns: u64,
    /// Nothing is written in this one.
    empty: bool,
    /// It never gives up before its time: `retries` is not bounded.
    patient: bool,
    /// From then on nothing is hurt: so many transactions failed, and so many committed.
    calm_ns: u64,
    failed: u64,
    committed: u64,
    pub(crate) complaint: Option<String>,
}

impl Job {
    pub(crate) fn new(timeout_ns: u64, patient: bool, calm_ns: u64) -> Job {
        Job {
            stage: Stage::Starting,
            timeout_ns,
            asked_ns: 0,
            begun_ns: 0,
            empty: false,
            patient,
            calm_ns,
            failed: 0,
            committed: 0,
            complaint: None,
        }
    }

    /// A new incarnation takes the id over.
    pub(crate) fn start(&mut self, sender: &mut Sender, now_ns: u64) {
        self.stage = Stage::Starting;
        self.asked_ns = now_ns;
        if let Err(error) = sender.init_transactions() {
            self.complaint = Some(format!("init_transactions: {error}"));
        }
    }

    /// Records may be appended.
    pub(crate) fn takes_records(&self) -> bool {
        matches!(self.stage, Stage::Open { .. }) && !self.empty
    }

    /// Nothing is open.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Idle { .. })
    }

    /// When [`Job::step`] is due.
    pub(crate) fn wakeup_ns(&self, sender: &Sender) -> u64 {
        match self.stage {
            Stage::Starting | Stage::Ending => u64::MAX,
            Stage::Idle { from_ns } => from_ns.max(1),
            Stage::Open { .. } if sender.transaction_state() == Some(TransactionState::AbortableError) => 0,
            Stage::Open { until_ns, .. } => until_ns,
        }
    }

    /// The open transaction has enough.
    pub(crate) fn end_now(&mut self, now_ns: u64) {
        if let Stage::Open { until_ns, .. } = &mut self.stage {
            *until_ns = now_ns;
        }
    }

    /// A record was not taken that the transaction must not do without.
    pub(crate) fn give_up(&mut self, now_ns: u64) {
        if let Stage::Open { until_ns, commit } = &mut self.stage {
            (*until_ns, *commit) = (now_ns, false);
        }
    }

    /// Goes on. `more`: records wait to be written. `positions`: what is to be committed with them, if anything.
    pub(crate) fn step(
        &mut self,
        sender: &mut Sender,
        (more, positions): (bool, &dyn Fn() -> Vec<GroupOffset>),
        now_ns: u64,
        random: &mut Random,
    ) {
        let failed = sender.transaction_state() == Some(TransactionState::AbortableError);
        let called = match self.stage {
            Stage::Idle { from_ns } if from_ns <= now_ns => {
                if !more {
                    // Looked at again when records are due.
                    self.stage = Stage::Idle { from_ns: u64::MAX };
                    return;
                }
                self.begin(sender, now_ns, random)
            }
            Stage::Idle { from_ns: u64::MAX } if more => self.begin(sender, now_ns, random),
            Stage::Open { until_ns, commit } if until_ns <= now_ns || failed => {
                self.stage = Stage::Ending;
                self.asked_ns = now_ns;
                if commit && !failed {
                    sender
                        .send_offsets_to_transaction(GROUP, &positions())
                        .and_then(|()| sender.commit_transaction(now_ns))
                } else {
                    sender.abort_transaction(now_ns)
                }
            }
            _ => return,
        };
        if let Err(error) = called
            && sender.fatal().is_none()
        {
            self.complaint = Some(format!("a call of the transaction was refused: {error}"));
        }
    }

    fn begin(
        &mut self,
        sender: &mut Sender,
        now_ns: u64,
        random: &mut Random,
    ) -> Result<(), steadfast_producer::transaction::TransactionError> {
        sender.begin_transaction(now_ns)?;
        self.begun_ns = now_ns;
        self.empty = random.percent(3);
        let most_ms = random.pick(&[5, 100, 1_000]);
        self.stage = Stage::Open {
            until_ns: now_ns + (random.between(1, most_ms) * MS).min(self.timeout_ns / 2),
            commit: random.percent(85),
        };
        self.asked_ns = 0;
        Ok(())
    }

    /// The producer tells what became of a call.
    pub(crate) fn told(
        &mut self,
        event: TransactionEvent,
        now_ns: u64,
        history: &mut Recorded,
        counts: &mut Counts,
    ) {
        let (number, outcome, error_code) = match event {
            TransactionEvent::Initialized { .. } => {
                self.stage = Stage::Idle { from_ns: now_ns };
                return;
            }
            TransactionEvent::Committed { transaction } => (transaction, TransactionOutcome::Committed, 0),
            TransactionEvent::Aborted { transaction, code } => {
                (transaction, TransactionOutcome::Aborted, code)
            }
            TransactionEvent::Unknown { transaction, code } => {
                (transaction, TransactionOutcome::Unknown, code)
            }
        };
        let hasty = self.patient && PASSING.contains(&error_code) && now_ns < self.begun_ns + self.timeout_ns;
        if outcome == TransactionOutcome::Aborted && hasty {
            self.complaint = Some(format!(
                "transaction {number} was given up for code {error_code}, which passes"
            ));
        }
        self.note(outcome == TransactionOutcome::Committed, error_code != 0, now_ns);
        match outcome {
            TransactionOutcome::Committed => counts.committed += 1,
            TransactionOutcome::Aborted => counts.aborted += 1,
            TransactionOutcome::Unknown => counts.in_doubt += 1,
        }
        let asked_ns = if self.asked_ns == 0 { now_ns } else { self.asked_ns };
        history.transaction_ended(&TransactionEnded {
            number,
            outcome,
            producer_id: -1,
            producer_epoch: -1,
            error_code,
            asked_ns,
            ended_ns: now_ns,
        });
        self.stage = Stage::Idle { from_ns: now_ns };
    }

    /// A transaction ended, or its producer was fenced.
    pub(crate) fn note(&mut self, committed: bool, failed: bool, now_ns: u64) {
        if now_ns >= self.calm_ns {
            self.committed += u64::from(committed);
            self.failed += u64::from(failed);
        }
    }

    /// One transaction after another failed although nothing was wrong.
    pub(crate) fn is_stuck(&self) -> bool {
        self.committed == 0 && self.failed >= STUCK_AFTER
    }
}
