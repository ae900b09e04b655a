//! Who sends what, when it is written and what its client hears: a sound history before anything is planted in it.
//!
//! ```text
//! worker 0, incarnation 0   hand-over ──▶ appended ──▶ told acknowledged        killed: the last ones are told nothing
//!           incarnation 1     ...           ╰─ per worker and partition in the order of the hand-overs
//! worker 1 ...
//! ```
//! Several batches of a worker are on their way at once; with keys, the key chooses the partition. Every time is drawn,
//! in microseconds, and nothing else is random.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::actor::{self, Actor};
use super::dice::Dice;
use crate::history::TransactionOutcome;
use crate::judge::tests::fixture::START;
use crate::log::{LogBatch, LogRecord};
use crate::reads::Isolation;

/// What kind of load it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Transactional,
    /// A copy job: every record is made from one of a source topic, in transactions.
    Copy,
}

/// What is drawn first.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) kind: Kind,
    /// Number of keys; none = keyless, round-robin.
    pub(super) keys: Option<u64>,
    pub(super) partitions: i32,
    pub(super) workers: u16,
    /// Of each worker; all but the last are killed.
    pub(super) incarnations: u32,
    /// Hand-overs of an incarnation, or transactions.
    pub(super) rounds: u64,
    /// Records of a hand-over at most.
    pub(super) together: u64,
    /// Some records are refused, some stay UNKNOWN, some are UNKNOWN first and found acknowledged later.
    pub(super) doubts: bool,
    pub(super) readers: Vec<Isolation>,
    /// Batches that a reader gets in one answer at most.
    pub(super) batches_an_answer: u64,
    /// Nothing is written for so long, after a third of the load; then liveness is looked at.
    pub(super) outage_ns: Option<u64>,
}

/// What a client hears of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Acked {
        at_ns: u64,
    },
    /// UNKNOWN first, acknowledged later: the answer was lost and the batch sent again.
    Found {
        unknown_ns: u64,
        at_ns: u64,
    },
    NotWritten {
        at_ns: u64,
    },
    Unknown {
        at_ns: u64,
    },
    Nothing,
}

impl Told {
    pub(super) fn acked_ns(self) -> Option<u64> {
        match self {
            Told::Acked { at_ns } | Told::Found { at_ns, .. } => Some(at_ns),
            _ => None,
        }
    }
}

/// One record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) index: u64,
    pub(super) key: Option<u64>,
    pub(super) sequence: u32,
    pub(super) due_ns: u64,
    /// Partition and offset of the source record that it was made from.
    pub(super) origin: Option<(i32, u64)>,
}

/// Records that go together.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) worker: u16,
    pub(super) incarnation: u32,
    pub(super) partition: i32,
    pub(super) items: Vec<Item>,
    pub(super) handover_ns: u64,
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
    /// Which of [`Script::transactions`].
    pub(super) transaction: Option<usize>,
    pub(super) told: Told,
    /// Where the client is told that it stands; [`super::scene::Scene::lay`] fills it.
    pub(super) place: Option<(i32, i64)>,
}

/// A transaction, as its client and as the coordinator see it.
#[derive(Debug, Clone)]
pub(super) struct Transaction {
    pub(super) worker: u16,
    pub(super) incarnation: u32,
    pub(super) number: u64,
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
    pub(super) asked_ns: u64,
    /// When the client heard, and what; none: it was killed, or hears nothing.
    pub(super) told: Option<(u64, TransactionOutcome)>,
    /// What the markers say.
    pub(super) commit: bool,
    pub(super) marker_ns: u64,
}

/// Something is written to a partition.
#[derive(Debug, Clone)]
pub(super) struct Append {
    pub(super) at_ns: u64,
    pub(super) partition: i32,
    pub(super) what: Written,
}

/// What it is.
#[derive(Debug, Clone)]
pub(super) enum Written {
    /// Which of [`Script::batches`]; the first append of each is where it is acknowledged.
    Batch(usize),
    /// Which of [`Script::transactions`].
    Marker(usize),
    /// Records of nobody.
    Foreign(Vec<LogRecord>),
    /// The batch was acknowledged at the end of the log, and is not there: the next one takes its place.
    Vanished(usize),
}

/// The source of a copy job: its log, and how far the job has come in the end.
#[derive(Debug, Clone, Default)]
pub(super) struct CopySource {
    pub(super) logs: BTreeMap<i32, Vec<LogBatch>>,
    pub(super) committed: BTreeMap<i32, i64>,
}

/// The whole story.
#[derive(Debug, Clone)]
pub(super) struct Script {
    pub(super) shape: Shape,
    pub(super) batches: Vec<Batch>,
    pub(super) transactions: Vec<Transaction>,
    pub(super) appends: Vec<Append>,
    /// Incarnations that were killed.
    pub(super) killed: BTreeSet<(u16, u32)>,
    pub(super) source: Option<CopySource>,
    pub(super) outage: Option<Range<u64>>,
    /// The last thing that anybody was told.
    pub(super) end_ns: u64,
}

impl Script {
    pub(super) fn draw(shape: Shape, dice: &mut Dice) -> Script {
        // A hand-over every 2.5 ms.
        let outage = shape.outage_ns.map(|length_ns| {
            let from = START + shape.rounds / 3 * 2_500_000;
            from..from + length_ns
        });
        let source = (shape.kind == Kind::Copy).then(|| actor::source(dice));
        let mut script = Script {
            batches: Vec::new(),
            transactions: Vec::new(),
            appends: Vec::new(),
            killed: BTreeSet::new(),
            source,
            outage,
            end_ns: START,
            shape,
        };
        for worker in 0..script.shape.workers {
            Actor::new(worker, dice).play(&mut script, dice);
        }
        script
    }

    /// When a batch was written first; none if it never was.
    pub(super) fn appended_ns(&self, batch: usize) -> Option<u64> {
        let of_batch = |append: &&Append| matches!(append.what, Written::Batch(of) if of == batch);
        self.appends.iter().find(of_batch).map(|append| append.at_ns)
    }

    /// Whether readers at read_committed get what is written of this batch.
    pub(super) fn is_visible(&self, batch: usize) -> bool {
        self.batches[batch]
            .transaction
            .is_none_or(|transaction| self.transactions[transaction].commit)
    }

    /// Batches that are acknowledged for good and can be read: those that must be in the log.
    pub(super) fn promised(&self) -> Vec<usize> {
        let promised = |&batch: &usize| {
            let of = &self.batches[batch];
            let committed = |transaction: usize| {
                matches!(
                    self.transactions[transaction].told,
                    Some((_, TransactionOutcome::Committed))
                )
            };
            of.told.acked_ns().is_some() && of.transaction.is_none_or(committed)
        };
        (0..self.batches.len()).filter(promised).collect()
    }
}

/// Offsets of a source partition that are to be copied.
pub(super) fn copyable(source: &CopySource, partition: i32) -> Vec<u64> {
    let log = source.logs.get(&partition).map_or(&[][..], Vec::as_slice);
    let data = log.iter().filter(|batch| !batch.control && !batch.transactional);
    data.map(|batch| batch.base_offset as u64).collect()
}
