//! One transactional id, as its coordinator knows it: a state machine (TransactionMetadata, TransactionCoordinator of
//! Kafka 4.1; KIP-98, KIP-360, KIP-890).
//!
//! ```text
//!            add                    end(commit)                     markers written
//! Empty ───────────▶ Ongoing ───────────────────▶ PrepareCommit ─────────────────▶ CompleteCommit ─┐
//!   ▲                  │  ▲        end(abort)                                                       │ add
//!   │ init             │  └──────────────────────────────────────────────────────────────────────────┘
//!   └── Complete*      └── timeout, init: epoch + 1 ──▶ PrepareAbort ─────────────▶ CompleteAbort
//!
//! TV1: the epoch stays, EndTxn resent while Complete is NONE.
//! TV2: every end bumps the epoch (at 32766: a new producer id, epoch 0), so a resent EndTxn is known by epoch + 1.
//! ```

use std::collections::{BTreeMap, BTreeSet};

use crate::code;
use crate::fact::TransactionFact;
use crate::store::LogId;

/// The last epoch that a producer writes with; the next is kept for fencing.
const EXHAUSTED: i16 = i16::MAX - 1;

/// TransactionState of Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Empty,
    Ongoing,
    PrepareCommit,
    PrepareAbort,
    CompleteCommit,
    CompleteAbort,
}

const NAMES: [(State, &str); 6] = [
    (State::Empty, "Empty"),
    (State::Ongoing, "Ongoing"),
    (State::PrepareCommit, "PrepareCommit"),
    (State::PrepareAbort, "PrepareAbort"),
    (State::CompleteCommit, "CompleteCommit"),
    (State::CompleteAbort, "CompleteAbort"),
];

impl State {
    pub(crate) fn name(self) -> &'static str {
        NAMES
            .iter()
            .find(|(state, _)| *state == self)
            .map_or("", |(_, name)| name)
    }

    pub(crate) fn parse(name: &str) -> Option<State> {
        NAMES
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(state, _)| *state)
    }

    /// The end is decided and the markers are being written.
    pub(crate) fn ending(self) -> bool {
        matches!(self, State::PrepareCommit | State::PrepareAbort)
    }
}

/// How a transaction is ended, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// EndTxn to version 4.
    V1 { commit: bool },
    /// EndTxn from version 5.
    V2 { commit: bool },
}

/// What an EndTxn did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The state changed: write markers.
    Now,
    /// It was ended before, the same way.
    Before,
}

/// One transactional id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub(crate) id: String,
    pub(crate) producer_id: i64,
    pub(crate) previous_producer_id: i64,
    /// The producer id after this transaction, where its epochs are used up.
    pub(crate) next_producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) last_epoch: i16,
    pub(crate) timeout_ms: i32,
    pub(crate) state: State,
    /// Partitions of the open transaction: indices into the model's.
    pub(crate) partitions: BTreeSet<usize>,
    /// Groups whose offsets are in it.
    pub(crate) groups: BTreeSet<String>,
    pub(crate) started_ms: i64,
    pub(crate) updated_ms: i64,
    /// Markers that are written and not yet on all in-sync replicas.
    pub(crate) markers: BTreeMap<usize, MarkerAt>,
}

/// A marker in a partition's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MarkerAt {
    pub(crate) leader_epoch: i32,
    /// The high watermark that means that it is safe.
    pub(crate) needs: i64,
}

impl Transaction {
    pub(crate) fn new(id: String, producer_id: i64, timeout_ms: i32, now_ms: i64) -> Transaction {
        Transaction {
            id,
            producer_id,
            previous_producer_id: -1,
            next_producer_id: -1,
            epoch: -1,
            last_epoch: -1,
            timeout_ms,
            state: State::Empty,
            partitions: BTreeSet::new(),
            groups: BTreeSet::new(),
            started_ms: -1,
            updated_ms: now_ms,
            markers: BTreeMap::new(),
        }
    }

    /// Whether the next bump needs a new producer id.
    pub(crate) fn exhausted(&self) -> bool {
        self.epoch >= EXHAUSTED
    }

    /// InitProducerId; `expected` is the caller's producer id and epoch, if it told one (KIP-360). Answers true when
    /// a transaction was open: it is being aborted, and the caller must come again. `fresh` is a producer id to use if
    /// the epochs are used up.
    pub(crate) fn init(
        &mut self,
        expected: Option<(i64, i16)>,
        timeout_ms: i32,
        fresh: i64,
        now_ms: i64,
    ) -> Result<bool, i16> {
        if self.state.ending() {
            return Err(code::CONCURRENT_TRANSACTIONS);
        }
        if let Some((producer_id, epoch)) = expected {
            let rotated = producer_id == self.previous_producer_id && epoch >= EXHAUSTED;
            if self.epoch != -1 && producer_id != self.producer_id && !rotated {
                return Err(code::PRODUCER_FENCED);
            }
        }
        if self.state == State::Ongoing {
            self.fence(now_ms);
            return Ok(true);
        }
        let expected_epoch = expected.map(|(_, epoch)| epoch);
        if self.exhausted() && expected_epoch.is_none_or(|epoch| epoch == self.epoch) {
            self.last_epoch = expected_epoch.map_or(-1, |_| self.epoch);
            self.previous_producer_id = self.producer_id;
            self.producer_id = fresh;
            self.epoch = 0;
        } else {
            self.bump(expected_epoch)?;
        }
        self.state = State::Empty;
        self.timeout_ms = timeout_ms;
        self.started_ms = -1;
        self.updated_ms = now_ms;
        Ok(false)
    }

    fn bump(&mut self, expected: Option<i16>) -> Result<(), i16> {
        match expected {
            None => {
                self.epoch = self.epoch.saturating_add(1);
                self.last_epoch = -1;
            }
            Some(epoch) if self.epoch == -1 || epoch == self.epoch => {
                self.last_epoch = self.epoch;
                self.epoch = self.epoch.saturating_add(1);
            }
            // A resend of a bump that was done: the same answer again (M13).
            Some(epoch) if epoch == self.last_epoch => {}
            Some(_) => return Err(code::PRODUCER_FENCED),
        }
        Ok(())
    }

    /// Bumps the epoch so that the owner cannot write any more, and begins to abort. An owner that names its old epoch gets
    /// this one, as for a resent bump: after a time-out (KIP-588), and before a new owner comes again.
    pub(crate) fn fence(&mut self, now_ms: i64) {
        self.last_epoch = self.epoch;
        self.epoch = self.epoch.saturating_add(1);
        self.state = State::PrepareAbort;
        self.updated_ms = now_ms;
    }

    /// Adds partitions, or a group. Answers whether anything changed.
    pub(crate) fn add(
        &mut self,
        producer: (i64, i16),
        partitions: &[usize],
        group: Option<&str>,
        now_ms: i64,
    ) -> Result<bool, i16> {
        // First, since the next owner may already have a producer id that is not yet this one's.
        if self.state.ending() {
            return Err(code::CONCURRENT_TRANSACTIONS);
        }
        self.owns(producer)?;
        let begins = self.state != State::Ongoing;
        if begins {
            self.partitions.clear();
            self.groups.clear();
            self.started_ms = now_ms;
            self.state = State::Ongoing;
        }
        let known = self.partitions.len() + self.groups.len();
        self.partitions.extend(partitions);
        self.groups.extend(group.map(str::to_owned));
        let changed = begins || self.partitions.len() + self.groups.len() > known;
        if changed {
            self.updated_ms = now_ms;
        }
        Ok(changed)
    }

    /// Whether a partition is in the open transaction of this producer.
    pub(crate) fn verify(&self, producer: (i64, i16), partition: usize) -> Result<(), i16> {
        self.owns(producer)?;
        if self.state.ending() {
            Err(code::CONCURRENT_TRANSACTIONS)
        } else if self.state == State::Ongoing && self.partitions.contains(&partition) {
            Ok(())
        } else {
            Err(code::TRANSACTION_ABORTABLE)
        }
    }

    /// The same for a group's offsets.
    pub(crate) fn verify_group(&self, producer: (i64, i16), group: &str) -> Result<(), i16> {
        self.owns(producer)?;
        if self.state.ending() {
            Err(code::CONCURRENT_TRANSACTIONS)
        } else if self.state == State::Ongoing && self.groups.contains(group) {
            Ok(())
        } else {
            Err(code::TRANSACTION_ABORTABLE)
        }
    }

    fn owns(&self, (producer_id, epoch): (i64, i16)) -> Result<(), i16> {
        if producer_id != self.producer_id {
            Err(code::INVALID_PRODUCER_ID_MAPPING)
        } else if epoch != self.epoch {
            Err(code::PRODUCER_FENCED)
        } else {
            Ok(())
        }
    }

    /// EndTxn. `fresh` is a producer id to use if the epochs are used up.
    pub(crate) fn end(
        &mut self,
        producer: (i64, i16),
        end: End,
        fresh: i64,
        now_ms: i64,
    ) -> Result<Ended, i16> {
        if self.state.ending() {
            return Err(code::CONCURRENT_TRANSACTIONS);
        }
        match end {
            End::V1 { commit } => self.end_v1(producer, commit, now_ms),
            End::V2 { commit } => self.end_v2(producer, commit, fresh, now_ms),
        }
    }

    fn end_v1(&mut self, producer: (i64, i16), commit: bool, now_ms: i64) -> Result<Ended, i16> {
        self.owns(producer)?;
        match (self.state, commit) {
            (State::Ongoing, _) => {
                self.prepare(commit, now_ms);
                Ok(Ended::Now)
            }
            (State::CompleteCommit, true) | (State::CompleteAbort, false) => Ok(Ended::Before),
            _ => Err(code::INVALID_TXN_STATE),
        }
    }

    fn end_v2(
        &mut self,
        (producer_id, epoch): (i64, i16),
        commit: bool,
        fresh: i64,
        now_ms: i64,
    ) -> Result<Ended, i16> {
        // Resends of an end that bumped the epoch, or took a new producer id.
        let bumped = i32::from(self.epoch) == i32::from(epoch) + 1;
        let rotated = self.previous_producer_id == producer_id && epoch == EXHAUSTED && self.epoch == 0;
        if producer_id != self.producer_id && !rotated {
            return Err(code::INVALID_PRODUCER_ID_MAPPING);
        }
        let complete = matches!(self.state, State::CompleteCommit | State::CompleteAbort);
        if epoch != self.epoch && !(complete && (bumped || rotated)) {
            return Err(code::PRODUCER_FENCED);
        }
        match (self.state, commit) {
            (State::CompleteCommit, true) | (State::CompleteAbort, false) if bumped || rotated => {
                Ok(Ended::Before)
            }
            (State::Ongoing, _) => {
                self.prepare(commit, now_ms);
                self.bump_at_end(fresh);
                Ok(Ended::Now)
            }
            // Nothing was added: an abort still bumps (B4).
            (State::Empty, false) => {
                self.prepare(false, now_ms);
                self.bump_at_end(fresh);
                Ok(Ended::Now)
            }
            (_, false) if complete && !bumped && !rotated => {
                self.partitions.clear();
                self.groups.clear();
                self.prepare(false, now_ms);
                self.bump_at_end(fresh);
                Ok(Ended::Now)
            }
            _ => Err(code::INVALID_TXN_STATE),
        }
    }

    fn prepare(&mut self, commit: bool, now_ms: i64) {
        self.state = if commit {
            State::PrepareCommit
        } else {
            State::PrepareAbort
        };
        self.updated_ms = now_ms;
    }

    fn bump_at_end(&mut self, fresh: i64) {
        if self.exhausted() {
            self.next_producer_id = fresh;
        }
        self.last_epoch = self.epoch;
        self.epoch = self.epoch.saturating_add(1);
    }

    /// The producer id and epoch that the owner goes on with.
    pub(crate) fn next_identity(&self) -> (i64, i16) {
        match self.next_producer_id {
            -1 => (self.producer_id, self.epoch),
            next => (next, 0),
        }
    }

    /// All markers are written.
    pub(crate) fn complete(&mut self, now_ms: i64) {
        self.state = match self.state {
            State::PrepareCommit => State::CompleteCommit,
            _ => State::CompleteAbort,
        };
        if self.next_producer_id != -1 {
            self.previous_producer_id = self.producer_id;
            self.producer_id = self.next_producer_id;
            self.next_producer_id = -1;
            self.epoch = 0;
        }
        self.partitions.clear();
        self.groups.clear();
        self.updated_ms = now_ms;
        self.started_ms = -1;
    }

    pub(crate) fn timed_out(&self, now_ms: i64) -> bool {
        self.state == State::Ongoing && now_ms.saturating_sub(self.started_ms) > i64::from(self.timeout_ms)
    }

    pub(crate) fn expired(&self, now_ms: i64, after_ms: i64) -> bool {
        let idle = matches!(
            self.state,
            State::Empty | State::CompleteCommit | State::CompleteAbort
        );
        idle && now_ms.saturating_sub(self.updated_ms) >= after_ms
    }

    pub(crate) fn fact(&self, log: impl Fn(usize) -> LogId) -> TransactionFact {
        TransactionFact {
            id: self.id.clone(),
            producer_id: self.producer_id,
            previous_producer_id: self.previous_producer_id,
            next_producer_id: self.next_producer_id,
            epoch: self.epoch,
            last_epoch: self.last_epoch,
            timeout_ms: self.timeout_ms,
            state: self.state.name().to_owned(),
            partitions: self.partitions.iter().map(|partition| log(*partition)).collect(),
            groups: self.groups.iter().cloned().collect(),
            started_ms: self.started_ms,
            updated_ms: self.updated_ms,
        }
    }

    /// None when the fact names a state that there is not.
    pub(crate) fn recall(fact: TransactionFact) -> Option<Transaction> {
        Some(Transaction {
            state: State::parse(&fact.state)?,
            id: fact.id,
            producer_id: fact.producer_id,
            previous_producer_id: fact.previous_producer_id,
            next_producer_id: fact.next_producer_id,
            epoch: fact.epoch,
            last_epoch: fact.last_epoch,
            timeout_ms: fact.timeout_ms,
            partitions: fact.partitions.iter().map(|log| log.0 as usize).collect(),
            groups: fact.groups.into_iter().collect(),
            started_ms: fact.started_ms,
            updated_ms: fact.updated_ms,
            markers: BTreeMap::new(),
        })
    }
}

#[cfg(test)]
mod tests;
