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
//! to be NOT_WRITTEN, those behind are numbered on from the gap (A13).

use std::collections::VecDeque;
use std::sync::Arc;

use crate::accumulator::{Gathering, Memory};
use crate::record::{Outcome, TopicHandle};
use crate::record_batch::{Seal, SealedBatch};
use crate::sender::identity::Identity;
use crate::sender::outcomes::{Done, Outcomes};

/// Kafka's brokers remember this many batches per producer and partition (M2), so more may not be unacked.
pub(crate) const MAX_UNACKED: usize = 5;
/// How long an acknowledgement counts as proof that the broker remembers us: half of the default of
/// `producer.id.expiration.ms` (1 day), so that a broker's clock may run faster.
pub(crate) const EXPIRATION_NS: u64 = 12 * 3600 * 1_000_000_000;
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
    fate: Fate,
    on_wire: bool,
    /// The caller has its outcome already (UNKNOWN at the deadline); we go on resolving.
    reported: bool,
    /// Sent again after CORRUPT_MESSAGE; a second one stops the partition.
    corrupt: bool,
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
}

/// A broker's word on one batch, sorted by what it means (contract section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// In the log, from this offset on (-1: offset not told).
    Written(i64),
    /// Not written; the same may be accepted later.
    Refused,
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
    gap: Option<Gap>,
    /// A batch behind a gap was UNKNOWN before it was refused: a late copy may still arrive, so the numbers may
    /// not be given again under this epoch (A14).
    needs_epoch: bool,
    /// The head was refused as out of order while others were on the wire.
    head_refused: bool,
    attempts: u32,
    retry_at_ns: u64,
}

impl Partition {
    pub(crate) fn new(topic: TopicHandle, index: i32) -> Partition {
        Partition {
            topic,
            index,
            leader: NO_NODE,
            leader_epoch: -1,
            queued: false,
            open: None,
            closed: VecDeque::new(),
            unacked: VecDeque::new(),
            on_wire: 0,
            wire_node: NO_NODE,
            next_sequence: 0,
            mode: Mode::Flowing,
            alone: true,
            last_ack_ns: None,
            gap: None,
            needs_epoch: false,
            head_refused: false,
            attempts: 0,
            retry_at_ns: 0,
        }
    }

    // ---- What to send ----

    /// What may be sent to the leader now.
    pub(crate) fn next(&self, now_ns: u64) -> Next {
        let draining_old_leader = self.on_wire > 0 && self.wire_node != self.leader; // A6
        if self.leader == NO_NODE || draining_old_leader {
            return Next::Nothing;
        }
        let again = match self.mode {
            Mode::Stopped(_) => None,
            Mode::Flowing => return self.next_fresh(now_ns),
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
            Some(index) => Next::Again(index),
        }
    }

    fn next_fresh(&self, now_ns: u64) -> Next {
        let forgotten = self
            .last_ack_ns
            .is_none_or(|ack| now_ns.saturating_sub(ack) > EXPIRATION_NS);
        let alone = self.alone || forgotten;
        if !self.has_fresh() || self.unacked.len() >= MAX_UNACKED || (alone && !self.unacked.is_empty()) {
            return Next::Nothing;
        }
        if self.retry_at_ns > now_ns {
            Next::NotBefore(self.retry_at_ns)
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
            transactional: false,
        }
    }

    /// A fresh batch goes to the leader.
    pub(crate) fn sent(
        &mut self,
        batch: Arc<SealedBatch>,
        tokens: Vec<u64>,
        created_ns: u64,
        charged: usize,
    ) {
        debug_assert_eq!(batch.base_sequence(), self.next_sequence);
        self.next_sequence = batch.next_sequence();
        self.unacked.push_back(Sent {
            batch,
            tokens,
            created_ns,
            charged,
            fate: Fate::NotWritten,
            on_wire: true,
            reported: false,
            corrupt: false,
        });
        self.on_wire += 1;
        self.wire_node = self.leader;
    }

    /// Sends an unacked batch again, byte for byte.
    pub(crate) fn again(&mut self, index: usize) -> Arc<SealedBatch> {
        let sent = &mut self.unacked[index];
        debug_assert!(!sent.on_wire);
        sent.on_wire = true;
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

    /// A14: an epoch may be left when nothing of it is on the wire or UNKNOWN.
    pub(crate) fn may_leave_epoch(&self) -> bool {
        self.on_wire == 0 && !self.has_unknown()
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

    // ---- What happens to it ----

    /// Metadata or a broker names a leader. Older leader epochs are never believed. True if anything changed.
    pub(crate) fn learn_leader(&mut self, node: i32, epoch: i32) -> bool {
        let same = node == self.leader && epoch == self.leader_epoch;
        // Brokers before 2.4 tell no epoch (-1): then the newest answer wins.
        if same || (epoch >= 0 && epoch < self.leader_epoch) {
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

    /// The broker's word on the batch with this base sequence. False if the partition knows no such batch on the
    /// wire (it was stopped meanwhile).
    pub(crate) fn answered(
        &mut self,
        base_sequence: i32,
        verdict: Verdict,
        code: i16,
        cx: &mut Context<'_>,
    ) -> bool {
        let Some(i) = self.off_the_wire(base_sequence) else {
            return false;
        };
        if let Verdict::Written(offset) = verdict {
            self.acked(i, offset, cx);
            self.settle(cx);
            return true;
        }
        self.alone = true;
        self.attempts = self.attempts.saturating_add(1);
        if self.mode == Mode::Flowing {
            self.mode = Mode::OneByOne;
        }
        let sent = &mut self.unacked[i];
        match verdict {
            Verdict::Written(_) | Verdict::Refused => {}
            Verdict::Unknown => sent.fate = Fate::Unknown,
            Verdict::Corrupt if !sent.corrupt => sent.corrupt = true,
            Verdict::Corrupt | Verdict::StopNotWritten => self.stop(code, cx),
            Verdict::OutOfOrder => self.out_of_order(i, cx),
            // A split that failed comes here too. An UNKNOWN batch cannot be given up: it may be in the log.
            Verdict::TooLarge | Verdict::Rejected if sent.fate == Fate::Unknown => self.stop(code, cx),
            Verdict::TooLarge | Verdict::Rejected => self.reject(i, code, cx),
            Verdict::Stop => {
                sent.fate = Fate::Unknown;
                self.stop(code, cx);
            }
        }
        self.settle(cx);
        true
    }

    /// The connection that carried the batch is gone before its answer came: UNKNOWN, for bytes may have left.
    pub(crate) fn lost(&mut self, base_sequence: i32, cx: &mut Context<'_>) {
        let Some(i) = self.off_the_wire(base_sequence) else {
            return;
        };
        self.unacked[i].fate = Fate::Unknown;
        self.alone = true;
        self.attempts = self.attempts.saturating_add(1);
        if self.mode == Mode::Flowing {
            self.mode = Mode::OneByOne;
        }
        self.settle(cx);
    }

    /// The batch to split if the broker just found this one too large (A12): sent, NOT_WRITTEN, two records or more.
    pub(crate) fn splittable(&self, base_sequence: i32) -> Option<&SealedBatch> {
        let sent = self
            .unacked
            .iter()
            .find(|sent| sent.base_sequence() == base_sequence)?;
        (sent.fate == Fate::NotWritten && sent.batch.records() > 1).then_some(&*sent.batch)
    }

    /// Puts the pieces of a split batch in its place, under the numbers it had (A12).
    pub(crate) fn replace(&mut self, base_sequence: i32, pieces: Vec<SealedBatch>, cx: &mut Context<'_>) {
        let Some(i) = self.off_the_wire(base_sequence) else {
            return;
        };
        let Some(whole) = self.unacked.remove(i) else {
            return;
        };
        if let Some(gap) = &mut self.gap
            && gap.at > i
        {
            gap.at += pieces.len() - 1;
        }
        let mut from = 0;
        for (n, piece) in pieces.into_iter().enumerate() {
            let to = from + piece.records() as usize;
            let tokens = whole.tokens.get(from..to).unwrap_or_default().to_vec();
            from = to;
            let piece = Sent {
                batch: Arc::new(piece),
                tokens,
                created_ns: whole.created_ns,
                // The whole charge stays with the first piece: it was for the records of all.
                charged: if n == 0 { whole.charged } else { 0 },
                fate: Fate::NotWritten,
                on_wire: false,
                reported: whole.reported,
                corrupt: false,
            };
            self.unacked.insert(i + n, piece);
        }
        cx.memory.spare(whole.tokens);
        cx.memory.retire(whole.batch, 0);
        self.alone = true;
        self.mode = Mode::OneByOne;
        self.settle(cx);
    }

    /// `delivery.timeout.ms` is over for batches begun at or before `begun_ns` (KIP-91). NOT_WRITTEN ones end so. Of
    /// UNKNOWN ones the caller hears once that nobody knows, and they are still resolved (A8).
    pub(crate) fn expire(&mut self, begun_ns: u64, cx: &mut Context<'_>) {
        let mut i = 0;
        while i < self.unacked.len() {
            let sent = &self.unacked[i];
            let probing = matches!(self.mode, Mode::Probing(_));
            if sent.created_ns > begun_ns || sent.reported {
                i += 1;
            } else if sent.fate == Fate::NotWritten && !sent.on_wire && !probing {
                self.alone = true;
                self.mode = Mode::OneByOne;
                self.reject(i, REQUEST_TIMED_OUT, cx);
            } else {
                self.report(i, Outcome::Unknown, REQUEST_TIMED_OUT, cx);
                i += 1;
            }
        }
        while self
            .closed
            .front()
            .is_some_and(|batch| batch.created_ns <= begun_ns)
        {
            if let Some(batch) = self.closed.pop_front() {
                self.give_up(batch, REQUEST_TIMED_OUT, cx);
            }
        }
        if self
            .open
            .as_ref()
            .is_some_and(|batch| batch.created_ns <= begun_ns)
            && let Some(batch) = self.open.take()
        {
            self.give_up(batch, REQUEST_TIMED_OUT, cx);
        }
        self.settle(cx);
    }

    /// Ends everything with what is known about it; nothing is sent any more and later records are refused.
    pub(crate) fn stop(&mut self, code: i16, cx: &mut Context<'_>) {
        for i in 0..self.unacked.len() {
            let sent = &self.unacked[i];
            let known = sent.fate == Fate::NotWritten && !sent.on_wire;
            self.report(
                i,
                if known {
                    Outcome::NotWritten
                } else {
                    Outcome::Unknown
                },
                code,
                cx,
            );
        }
        for sent in self.unacked.drain(..) {
            cx.memory.retire(sent.batch, sent.charged);
        }
        while let Some(batch) = self.take_fresh() {
            self.give_up(batch, code, cx);
        }
        self.on_wire = 0;
        self.gap = None;
        self.needs_epoch = false;
        self.head_refused = false;
        self.mode = Mode::Stopped(code);
    }

    /// The topic was deleted and made again under another id: nothing of the old one can be resolved any more, and
    /// the new one has seen none of our numbers (A5).
    pub(crate) fn topic_replaced(&mut self, cx: &mut Context<'_>) {
        let mut i = 0;
        while i < self.unacked.len() {
            if self.unacked[i].fate == Fate::Unknown || self.unacked[i].on_wire {
                self.report(i, Outcome::Unknown, UNKNOWN_TOPIC_ID, cx);
                if let Some(sent) = self.unacked.remove(i) {
                    self.on_wire -= usize::from(sent.on_wire);
                    cx.memory.retire(sent.batch, sent.charged);
                }
            } else {
                i += 1;
            }
        }
        let identity = self
            .unacked
            .front()
            .map(|sent| sent.batch.stamp())
            .map(|seal| Identity {
                id: seal.producer_id,
                epoch: seal.producer_epoch,
            });
        self.leader = NO_NODE;
        self.leader_epoch = -1;
        if self.stopped().is_none() {
            self.restart_numbers(identity);
        }
    }

    /// A new epoch: numbers start at 0, and what was not written is stamped with it (A14).
    pub(crate) fn enter_epoch(&mut self, identity: Identity) {
        debug_assert!(self.may_leave_epoch());
        if self.stopped().is_none() {
            self.restart_numbers(Some(identity));
        }
    }

    // ---- How it changes ----

    fn restart_numbers(&mut self, identity: Option<Identity>) {
        self.gap = None;
        self.needs_epoch = false;
        self.head_refused = false;
        self.alone = true;
        self.last_ack_ns = None;
        self.next_sequence = 0;
        if let Some(identity) = identity {
            self.number_from(0, identity);
        }
        self.mode = if self.unacked.is_empty() {
            Mode::Flowing
        } else {
            Mode::OneByOne
        };
    }

    /// Stamps all unacked batches, all NOT_WRITTEN and off the wire, from this sequence on.
    fn number_from(&mut self, sequence: i32, identity: Identity) {
        self.next_sequence = sequence;
        for i in 0..self.unacked.len() {
            let seal = self.stamp(identity);
            let sent = &mut self.unacked[i];
            debug_assert!(
                sent.fate == Fate::NotWritten && !sent.on_wire,
                "A13: only NOT_WRITTEN batches"
            );
            match Arc::get_mut(&mut sent.batch) {
                Some(batch) => batch.renumber(&seal),
                None => {
                    // A frame of a closed connection may still hold the old bytes: leave them to it.
                    let mut copy = SealedBatch::clone(&sent.batch);
                    copy.renumber(&seal);
                    sent.batch = Arc::new(copy);
                }
            }
            self.next_sequence = sent.batch.next_sequence();
        }
    }

    fn off_the_wire(&mut self, base_sequence: i32) -> Option<usize> {
        let i = self
            .unacked
            .iter()
            .position(|sent| sent.on_wire && sent.base_sequence() == base_sequence)?;
        self.unacked[i].on_wire = false;
        self.on_wire -= 1;
        Some(i)
    }

    /// Batch `i` is in the log, and so is every earlier one of the epoch (A8).
    fn acked(&mut self, i: usize, offset: i64, cx: &mut Context<'_>) {
        let probing = matches!(self.mode, Mode::Probing(_));
        // The broker took a number although it had refused an earlier one for good: it keeps no contiguity.
        let impossible = self.gap.is_some_and(|gap| i >= gap.at)
            || (!probing
                && self
                    .unacked
                    .iter()
                    .take(i)
                    .any(|earlier| earlier.fate == Fate::NotWritten));
        if impossible {
            self.report(i, Outcome::Acked, 0, cx);
            for earlier in self.unacked.iter_mut().take(i) {
                earlier.fate = Fate::Unknown;
            }
            if let Some(sent) = self.unacked.remove(i) {
                cx.memory.retire(sent.batch, sent.charged);
            }
            self.stop(OUT_OF_ORDER, cx);
            return;
        }
        for k in 0..=i {
            let offset = if k == i { offset } else { -1 };
            self.report_at(k, Outcome::Acked, 0, offset, cx);
        }
        for sent in self.unacked.drain(..=i) {
            cx.memory.retire(sent.batch, sent.charged);
        }
        if let Some(gap) = &mut self.gap {
            gap.at -= i + 1;
        }
        self.last_ack_ns = Some(cx.now_ns);
        self.alone = false;
        self.head_refused = false;
        self.attempts = 0;
        self.retry_at_ns = 0;
        if probing {
            self.mode = Mode::OneByOne; // the rest goes up from here (A11)
        }
    }

    /// Batch `i`, NOT_WRITTEN and off the wire, is given up: its numbers become a gap (A13).
    fn reject(&mut self, i: usize, code: i16, cx: &mut Context<'_>) {
        self.report(i, Outcome::NotWritten, code, cx);
        let Some(sent) = self.unacked.remove(i) else {
            return;
        };
        let sequence = sent.base_sequence();
        cx.memory.retire(sent.batch, sent.charged);
        if self.gap.is_none_or(|gap| i < gap.at) {
            self.gap = Some(Gap { at: i, sequence });
        }
    }

    /// 45 on batch `i` (A9, A10, A11).
    fn out_of_order(&mut self, i: usize, cx: &mut Context<'_>) {
        let _ = &cx;
        match self.mode {
            Mode::Probing(k) if k == i => {
                if i == 0 {
                    self.stop(OUT_OF_ORDER, cx); // A10: acknowledged data is gone from the broker
                } else {
                    self.mode = Mode::Probing(i - 1);
                }
            }
            _ if self.gap.is_some_and(|gap| gap.at == 0) => {
                // Everything before the gap is acked, so the broker waits for the gap's number: this is proof.
                let sent = &mut self.unacked[i];
                self.needs_epoch |= sent.fate == Fate::Unknown;
                sent.fate = Fate::NotWritten;
            }
            _ if i == 0 => self.head_refused = true,
            _ => {} // A9: keep the number and wait for the head
        }
        // Neither a probe's step nor waiting for the head is a failure to back off from.
        self.attempts = self.attempts.saturating_sub(1);
    }

    /// After every event: does the mode still fit?
    fn settle(&mut self, cx: &mut Context<'_>) {
        if self.stopped().is_some() || self.on_wire > 0 {
            return;
        }
        if std::mem::take(&mut self.head_refused) {
            self.begin_probe(cx);
        }
        if let Some(gap) = self.gap
            && gap.at == 0
            && !self.needs_epoch
            && !self.has_unknown()
        {
            self.gap = None;
            let identity = self
                .unacked
                .front()
                .map(|sent| sent.batch.stamp())
                .map(|seal| Identity {
                    id: seal.producer_id,
                    epoch: seal.producer_epoch,
                });
            self.next_sequence = gap.sequence;
            if let Some(identity) = identity {
                self.number_from(gap.sequence, identity);
            }
        }
        if self.mode == Mode::OneByOne && self.unacked.is_empty() && self.gap.is_none() {
            self.mode = Mode::Flowing;
        }
    }

    /// A11: newest first, where that proves anything.
    fn begin_probe(&mut self, cx: &mut Context<'_>) {
        let before_gap = self.gap.map_or(self.unacked.len(), |gap| gap.at);
        let remembered = self
            .last_ack_ns
            .is_some_and(|ack| cx.now_ns.saturating_sub(ack) <= EXPIRATION_NS);
        if before_gap > 1 && remembered {
            self.mode = Mode::Probing(before_gap - 1);
        } else {
            self.stop(OUT_OF_ORDER, cx);
        }
    }

    fn report(&mut self, i: usize, outcome: Outcome, code: i16, cx: &mut Context<'_>) {
        self.report_at(i, outcome, code, -1, cx);
    }

    fn report_at(&mut self, i: usize, outcome: Outcome, code: i16, offset: i64, cx: &mut Context<'_>) {
        let sent = &mut self.unacked[i];
        if std::mem::replace(&mut sent.reported, true) {
            return;
        }
        let seal = sent.batch.stamp();
        cx.outcomes.report(Done {
            topic: self.topic,
            partition: self.index,
            outcome,
            base_offset: offset,
            error_code: code,
            producer_id: seal.producer_id,
            producer_epoch: seal.producer_epoch,
            base_sequence: seal.base_sequence,
            ack_ns: cx.now_ns,
            tokens: std::mem::take(&mut sent.tokens),
        });
    }

    /// A batch that was never sent is given up.
    fn give_up(&mut self, batch: Gathering, code: i16, cx: &mut Context<'_>) {
        cx.outcomes.report(Done {
            topic: self.topic,
            partition: self.index,
            outcome: Outcome::NotWritten,
            base_offset: -1,
            error_code: code,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            ack_ns: cx.now_ns,
            tokens: batch.tokens,
        });
        cx.memory.release(batch.builder.into_buffer(), batch.charged);
    }
}

const UNKNOWN_TOPIC_ID: i16 = 100;
