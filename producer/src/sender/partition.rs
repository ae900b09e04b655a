//! One partition's way of being right: contract A, rules A2 to A13, as a state machine without I/O.
//!
//! ```text
//!  append ► open ► closed ──first drain: sequence given, sealed──► unacked[0] [1] .. [4] ──► outcome
//!           (no sequence: may expire, NOT_WRITTEN)                 head-of-line first
//!
//!  Flowing     fresh batches in sequence order, at most 5 unacked, the first of an epoch alone (A4, A5)
//!  OneByOne    after any error or lost answer: the head is sent alone until it is acked, then the next (A6)
//!  Probing     the head was refused as out of order: newest first, down to the first that is taken (A11)
//!  Stopped     going on would guess: everything gets its outcome, later records are refused (A10)
//! ```
//!
//! A batch's fate is NOT_WRITTEN (never sent, or each sending definitely refused) or UNKNOWN, which is sticky: only
//! an acknowledgement, its own or of a later batch of the same epoch, settles it (A7, A8). A batch that is refused
//! for good leaves a *gap* in the numbers. When everything before the gap is acked and everything behind it is known
//! to be NOT_WRITTEN, those behind are numbered on from the gap (A13). An UNKNOWN batch that is refused for good is
//! proven by a later one (A11) or stays UNKNOWN for its caller; then the partition goes on in a new epoch (A14).

mod broken;
mod endings;
mod forgotten;
mod numbering;
mod transaction;
mod verdicts;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::accumulator::{Gathering, Memory};
use crate::record::TopicHandle;
use crate::record_batch::{Seal, SealedBatch};
use crate::rules::{Rule, Rules};
use crate::sender::forgetting::dated;
use crate::sender::identity::Identity;
use crate::sender::link::RequestId;
use crate::sender::outcomes::Outcomes;

/// Kafka's brokers remember this many batches per producer and partition (M2), so more may not be unacked.
pub(crate) const MAX_UNACKED: usize = 5;
/// How long an acknowledgement counts as proof that the broker remembers us: half of the default of
/// `producer.id.expiration.ms` (1 day), so that a broker's clock may run faster.
pub(crate) const EXPIRATION_NS: u64 = 12 * 3600 * 1_000_000_000;
/// After so long without one, the next batch goes alone (A5): an hour earlier, so that several that were sent together at
/// the last moment can still be asked about.
const QUIET_NS: u64 = EXPIRATION_NS - 3600 * 1_000_000_000;
/// No leader is known.
pub(crate) const NO_NODE: i32 = -1;
/// Reported for what a local deadline ended; the Java client's TimeoutException has this code too.
pub(crate) const REQUEST_TIMED_OUT: i16 = 7;
const OUT_OF_ORDER: i16 = 45;

/// What the partition knows about a batch that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    NotWritten,
    Unknown,
}

/// A batch with a sequence. Its bytes never change while its fate is UNKNOWN or a socket has them (A3).
#[derive(Debug)]
struct Sent {
    batch: Arc<SealedBatch>,
    tokens: Vec<u64>,
    created_ns: u64,
    charged: usize,
    /// What the broker's knowledge of it counts from.
    dated_ms: i64,
    fate: Fate,
    on_wire: bool,
    /// The request that it was last sent in.
    known_as: RequestId,
    /// The caller has its outcome already (UNKNOWN at the deadline); we go on resolving.
    reported: bool,
    /// Sent again after CORRUPT_MESSAGE; a second one stops the partition.
    corrupt: bool,
    /// Refused for good with this code while UNKNOWN: asked again it tells nothing, a later batch may (A12).
    hopeless: Option<i16>,
    /// Answers that it was not written: `retries` bounds them.
    refusals: u32,
}

impl Sent {
    fn base_sequence(&self) -> i32 {
        self.batch.base_sequence()
    }
}

/// How the partition sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Flowing,
    OneByOne,
    /// Index of the batch to be sent alone next.
    Probing(usize),
    Stopped(i16),
}

/// Where numbers were given to a batch that was then refused for good.
#[derive(Debug, Clone, Copy)]
struct Gap {
    /// Batches before it in `unacked`.
    at: usize,
    /// The refused batch's base sequence: where to number on.
    sequence: i32,
}

/// What the partition would send now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing, until something happens to it.
    Nothing,
    /// Nothing before this time (backoff).
    NotBefore(u64),
    /// The oldest batch that has no sequence yet.
    Fresh,
    /// This one of the unacked again, unchanged.
    Again(usize),
    /// Nothing: what would be sent is too old, and to be given up.
    TooOld,
}

/// A broker's word on one batch, sorted by what it means (contract section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// In the log, from this offset on (-1: offset not told).
    Written(i64),
    /// Not written; the same may be accepted later.
    Refused,
    /// As `Refused`, but no failure: the markers of the last transaction are still being written (B8).
    NotYet,
    /// Written or not.
    Unknown,
    /// Not written; the broker saw other bytes than were sent.
    Corrupt,
    /// Not written; too large for the topic.
    TooLarge,
    /// Not written, and never will be.
    Rejected,
    /// Not written: the number is not the next one.
    OutOfOrder,
    /// The answer is beyond this producer; only stopping the partition is safe.
    Stop,
    /// Not written, and nothing else would be either.
    StopNotWritten,
}

/// What a partition needs from its surroundings while it changes state.
pub(crate) struct Context<'a> {
    pub(crate) outcomes: &'a mut Outcomes,
    pub(crate) memory: &'a mut Memory,
    pub(crate) now_ns: u64,
}

/// One partition.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) topic: TopicHandle,
    pub(crate) index: i32,
    pub(crate) leader: i32,
    pub(crate) leader_epoch: i32,
    /// Stands in the ready queue of its leader's link.
    pub(crate) queued: bool,
    /// Number of the transaction that the coordinator knows it to be part of (TV1).
    pub(crate) enlisted: u64,
    pub(crate) open: Option<Gathering>,
    pub(crate) closed: VecDeque<Gathering>,
    unacked: VecDeque<Sent>,
    on_wire: usize,
    /// Where the batches on the wire were sent to.
    wire_node: i32,
    next_sequence: i32,
    mode: Mode,
    /// A5: no acknowledgement since the epoch began or since the last error.
    alone: bool,
    last_ack_ns: Option<u64>,
    /// Date of the batch last acked in this epoch.
    acked_dated_ms: i64,
    gap: Option<Gap>,
    /// A batch behind a gap was UNKNOWN before it was refused: a late copy may still arrive, so the numbers may
    /// not be given again under this epoch (A14).
    needs_epoch: bool,
    /// A batch ended UNKNOWN, refused with this code, and nothing was appended since: only an append of a later epoch
    /// of the same producer id keeps its late copies out.
    needs_fence: Option<i16>,
    /// The head was refused as out of order while others were on the wire.
    head_refused: bool,
    /// How often a probe went all the way down since the last acknowledgement (A11).
    probed_down: usize,
    attempts: u32,
    retry_at_ns: u64,
    /// `retries`: how often a batch that is NOT_WRITTEN is sent again.
    retries: u32,
    rules: Rules,
}

impl Partition {
    pub(crate) fn new(topic: TopicHandle, index: i32, retries: u32, rules: Rules) -> Partition {
        Partition {
            topic,
            index,
            leader: NO_NODE,
            leader_epoch: -1,
            queued: false,
            enlisted: 0,
            open: None,
            closed: VecDeque::new(),
            unacked: VecDeque::new(),
            on_wire: 0,
            wire_node: NO_NODE,
            next_sequence: 0,
            mode: Mode::Flowing,
            alone: true,
            last_ack_ns: None,
            acked_dated_ms: i64::MAX,
            gap: None,
            needs_epoch: false,
            needs_fence: None,
            head_refused: false,
            probed_down: 0,
            attempts: 0,
            retry_at_ns: 0,
            retries,
            rules,
        }
    }

    // ---- What to send ----

    /// What may be sent to the leader now.
    pub(crate) fn next(&self, now_ns: u64, wall_ms: i64) -> Next {
        let elsewhere = self.on_wire > 0 && self.wire_node != self.leader;
        let draining_old_leader = elsewhere && self.rules.on(Rule::OldLeaderFirst); // A6
        if self.leader == NO_NODE || draining_old_leader {
            return Next::Nothing;
        }
        let again = match self.mode {
            Mode::Stopped(_) => None,
            Mode::Flowing => return self.next_fresh(now_ns, wall_ms),
            Mode::OneByOne if !self.rules.on(Rule::OneByOne) => {
                self.unacked.iter().position(|sent| !sent.on_wire)
            }
            Mode::OneByOne | Mode::Probing(_) if self.on_wire > 0 => None,
            Mode::Probing(index) => Some(index),
            Mode::OneByOne => match self.gap {
                // Behind a gap only what is UNKNOWN is sent, to hear that it is not written.
                Some(Gap { at: 0, .. }) => self.unacked.iter().position(|sent| sent.fate == Fate::Unknown),
                _ => (!self.unacked.is_empty()).then_some(0),
            },
        };
        match again {
            None => Next::Nothing,
            Some(_) if self.retry_at_ns > now_ns => Next::NotBefore(self.retry_at_ns),
            Some(index) if self.is_in_vain(index, wall_ms) => Next::TooOld,
            Some(index) => Next::Again(index),
        }
    }

    fn next_fresh(&self, now_ns: u64, wall_ms: i64) -> Next {
        let forgotten = self
            .last_ack_ns
            .is_none_or(|ack| now_ns.saturating_sub(ack) > QUIET_NS);
        let forgotten = forgotten || self.last_is_forgotten(wall_ms);
        let alone = (self.alone || forgotten) && self.rules.on(Rule::FirstAlone);
        let full = self.unacked.len() >= MAX_UNACKED && self.rules.on(Rule::Window);
        if !self.has_fresh() || full || (alone && !self.unacked.is_empty()) {
            return Next::Nothing;
        }
        if self.retry_at_ns > now_ns {
            Next::NotBefore(self.retry_at_ns)
        } else if self.fresh_is_old(wall_ms) {
            Next::TooOld
        } else {
            Next::Fresh
        }
    }

    /// Bytes that the next fresh batch has before compression: an upper bound of what it takes in a request.
    pub(crate) fn fresh_bytes(&self) -> usize {
        self.closed
            .front()
            .or(self.open.as_ref())
            .map_or(0, |batch| batch.builder.size())
    }

    /// Takes the oldest batch without a sequence, to be sealed with [`stamp`](Self::stamp) and given to
    /// [`sent`](Self::sent).
    pub(crate) fn take_fresh(&mut self) -> Option<Gathering> {
        self.closed.pop_front().or_else(|| self.open.take())
    }

    /// What the next fresh batch is sealed with.
    pub(crate) fn stamp(&self, identity: Identity) -> Seal {
        Seal {
            producer_id: identity.id,
            producer_epoch: identity.epoch,
            base_sequence: self.next_sequence,
            transactional: identity.transactional && self.rules.on(Rule::AllTransactional), // B10
        }
    }

    /// A fresh batch goes to the leader.
    pub(crate) fn sent(
        &mut self,
        batch: Arc<SealedBatch>,
        tokens: Vec<u64>,
        (created_ns, charged): (u64, usize),
        wall_ms: i64,
        known_as: RequestId,
    ) {
        debug_assert_eq!(batch.base_sequence(), self.next_sequence);
        self.next_sequence = batch.next_sequence();
        let dated_ms = dated(batch.max_timestamp_ms(), wall_ms);
        if !self.rules.on(Rule::NumbersWrap) {
            self.go_past_the_last_number(&batch);
        }
        self.unacked.push_back(Sent {
            batch,
            tokens,
            created_ns,
            charged,
            dated_ms,
            fate: Fate::NotWritten,
            on_wire: true,
            known_as,
            reported: false,
            corrupt: false,
            hopeless: None,
            refusals: 0,
        });
        self.on_wire += 1;
        self.wire_node = self.leader;
    }

    /// Sends an unacked batch again, byte for byte.
    pub(crate) fn again(&mut self, index: usize, known_as: RequestId) -> Arc<SealedBatch> {
        if !self.rules.on(Rule::SameBytes) {
            self.swap_records(index);
        }
        let sent = &mut self.unacked[index];
        debug_assert!(!sent.on_wire);
        (sent.on_wire, sent.known_as) = (true, known_as);
        self.on_wire += 1;
        self.wire_node = self.leader;
        Arc::clone(&sent.batch)
    }

    pub(crate) fn again_bytes(&self, index: usize) -> usize {
        self.unacked[index].batch.bytes().len()
    }

    // ---- What is known ----

    /// Something waits that was never sent.
    pub(crate) fn has_fresh(&self) -> bool {
        self.open.is_some() || !self.closed.is_empty()
    }

    /// Something waits, be it fresh or to be sent again.
    pub(crate) fn has_work(&self) -> bool {
        self.has_fresh() || self.unacked.iter().any(|sent| !sent.on_wire)
    }

    /// Every record of it has its outcome, and nothing is left to resolve.
    pub(crate) fn is_idle(&self) -> bool {
        self.unacked.is_empty() && !self.has_fresh()
    }

    /// Sent batches wait to be sent again: no linger for them.
    pub(crate) fn is_retrying(&self) -> bool {
        self.mode != Mode::Flowing
    }

    pub(crate) fn stopped(&self) -> Option<i16> {
        match self.mode {
            Mode::Stopped(code) => Some(code),
            _ => None,
        }
    }

    /// A14: some batch must not be numbered on under the epoch it had.
    pub(crate) fn needs_epoch(&self) -> bool {
        self.needs_epoch
    }

    /// A14: the next epoch must be one of the same producer id, or the partition stops with this code.
    pub(crate) fn needs_fence(&self) -> Option<i16> {
        self.needs_fence
    }

    /// A14: an epoch may be left when nothing of it is on the wire or UNKNOWN.
    pub(crate) fn may_leave_epoch(&self) -> bool {
        let settled = !self.has_unknown() || !self.rules.on(Rule::SettleBeforeEpoch);
        self.on_wire == 0 && settled
    }

    pub(crate) fn has_unknown(&self) -> bool {
        self.unacked.iter().any(|sent| sent.fate == Fate::Unknown)
    }

    /// When the oldest batch that has no outcome yet was begun.
    pub(crate) fn oldest_ns(&self) -> Option<u64> {
        let sent = self
            .unacked
            .iter()
            .filter(|sent| !sent.reported)
            .map(|sent| sent.created_ns)
            .min();
        let fresh = self
            .closed
            .front()
            .or(self.open.as_ref())
            .map(|batch| batch.created_ns);
        sent.into_iter().chain(fresh).min()
    }

    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    // ---- What it is told ----

    /// Metadata or a broker names a leader. Older leader epochs are never believed. True if anything changed.
    pub(crate) fn learn_leader(&mut self, node: i32, epoch: i32) -> bool {
        let same = node == self.leader && epoch == self.leader_epoch;
        // Brokers before 2.4 tell no epoch (-1): then the newest answer wins.
        let older = epoch >= 0 && epoch < self.leader_epoch && self.rules.on(Rule::NewerLeaders);
        if same || older {
            return false;
        }
        self.leader = node;
        self.leader_epoch = self.leader_epoch.max(epoch);
        true
    }

    /// Wait until then before anything is sent again.
    pub(crate) fn back_off_until(&mut self, retry_at_ns: u64) {
        self.retry_at_ns = retry_at_ns;
    }
}
