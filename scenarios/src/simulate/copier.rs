//! A copier: what it reads from the source at read_committed it writes to the topic, and commits how far it has come
//! in the same transaction. Consume, transform, produce; exactly once (KIP-447, assignment by hand).
//!
//! ```text
//! group's position ─▶ reader ─▶ inbox ─▶ record made ─▶ appended: reached ─┬─ committed: that is the position now
//!        ▲                                                                 └─ aborted, crashed: back to it ─┐
//!        └──────────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//! Where the group stands after a crash is asked of the model itself, once `init_transactions` is done: then every
//! earlier transaction is decided, positions included.

use std::collections::VecDeque;

use steadfast_producer::transaction::GroupOffset;

use super::SOURCE;
use super::network::{Item, Network};
use super::reader::Reader;
use super::world::Schedule;

/// Records that wait to be copied; with that many, no more are fetched.
const INBOX_MAX: usize = 256;

/// Records of one transaction: few enough for the slowest producer that a seed draws to deliver them before they expire.
/// A transaction without a bound would grow with the backlog, fail, and be tried again for ever.
const TRANSACTION_MAX: usize = 64;

/// One record of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Hash of its key.
    pub(crate) key: u64,
}

/// The consuming half.
pub(crate) struct Copier {
    pub(crate) reader: Reader,
    pub(crate) inbox: VecDeque<Input>,
    /// By partition, the position that the group has.
    committed: Vec<i64>,
    /// And the one that it has once the open transaction is committed.
    reached: Vec<i64>,
    /// Records taken for the open transaction.
    taken: usize,
    /// It has to be told the group's position before it goes on.
    pub(crate) lost: bool,
}

impl Copier {
    pub(crate) fn new(reader: Reader, partitions: i32) -> Copier {
        Copier {
            reader,
            inbox: VecDeque::new(),
            committed: vec![0; partitions as usize],
            reached: vec![0; partitions as usize],
            taken: 0,
            lost: true,
        }
    }

    /// Where the group stands.
    pub(crate) fn told(&mut self, positions: Vec<i64>, now_ns: u64) {
        self.committed = positions;
        self.lost = false;
        self.rewind(now_ns);
    }

    /// Asks for more of the source.
    pub(crate) fn poll(&mut self, now_ns: u64, network: &mut Network, schedule: &mut Schedule) {
        if !self.lost && self.inbox.len() < INBOX_MAX {
            self.reader.poll(now_ns, network, schedule);
        }
    }

    /// Something came through a connection of its own.
    pub(crate) fn arrived(&mut self, node: i32, connection: usize, item: &Item, now_ns: u64) {
        self.reader.arrived(node, connection, item, now_ns);
        let fresh = self.reader.fresh.drain(..);
        if !self.lost {
            self.inbox.extend(fresh);
        }
    }

    /// The next records for the open transaction; none: it has enough, or there are none.
    pub(crate) fn take(&mut self, count: usize) -> Vec<Input> {
        let count = count.min(self.inbox.len()).min(TRANSACTION_MAX - self.taken);
        self.taken += count;
        self.inbox.drain(..count).collect()
    }

    /// The open transaction takes no more.
    pub(crate) fn is_full(&self) -> bool {
        self.taken == TRANSACTION_MAX
    }

    /// A record made from this one is in the open transaction.
    pub(crate) fn appended(&mut self, input: Input) {
        self.reached[input.partition as usize] = input.offset + 1;
    }

    /// Positions that belong into the open transaction.
    pub(crate) fn positions(&self) -> Vec<GroupOffset> {
        let moved = self
            .reached
            .iter()
            .zip(&self.committed)
            .enumerate()
            .filter(|(_, (reached, committed))| reached > committed);
        let position = |(partition, (reached, _)): (usize, (&i64, &i64))| GroupOffset {
            topic: SOURCE.to_owned(),
            partition: partition as i32,
            offset: *reached,
        };
        moved.map(position).collect()
    }

    /// The transaction was committed.
    pub(crate) fn commit(&mut self) {
        self.taken = 0;
        self.committed.clone_from(&self.reached);
    }

    /// The transaction was aborted: back to where the group stands.
    pub(crate) fn rewind(&mut self, now_ns: u64) {
        self.taken = 0;
        self.inbox.clear();
        self.reached.clone_from(&self.committed);
        self.reader.seek(&self.committed, now_ns);
    }

    /// The process is gone, or nobody knows what became of its transaction.
    pub(crate) fn lose(&mut self, now_ns: u64, network: &mut Network, schedule: &mut Schedule) {
        self.lost = true;
        self.inbox.clear();
        self.reader.hang_up(now_ns, network, schedule);
    }

    /// Nothing is read and not copied.
    pub(crate) fn is_idle(&self) -> bool {
        !self.lost && self.inbox.is_empty() && self.reached == self.committed
    }
}
