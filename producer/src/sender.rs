//! The producer's core: records, answers and time come in; connections, requests and outcomes come out.
//!
//! ```text
//!             append                                    Connect Send Close
//!   caller ───────────► partitions ──drain──► requests ───────────────────► shell ──► sockets
//!      ▲                    ▲                     ▲                           │
//!      │ completions        │ verdicts            │ slots                     │ connected, received, disconnected
//!      └─────────────── outcomes ◄──────────── answers ◄──────────────────────┘ advance(now, wall)
//! ```
//!
//! It owns no socket, clock or randomness (jitter and the sticky choice come from a seed), and nothing here depends
//! on the order of a hash map: the same events at the same times give the same actions. The
//! [`Driver`](crate::driver::Driver) is its shell in production, scripted events in virtual time are another.
//!
//! Batches clock themselves: with a free slot on the leader's connection a record leaves at once (or after
//! `linger.ms`, fractions allowed); else records gather, and the answer that frees the slot sends all partitions of
//! that broker in one request. A broker works on one request per connection at a time, so a second slot
//! (`max.in.flight.requests.per.connection`) only hides the network's round trip.
//!
//! Rules A1 to A20 of the contract: batches and numbers in `partition.rs`, what brokers forget in `forgetting.rs`,
//! epochs in `identity.rs`, connections and throttling in `link.rs`, error codes in [`reaction`](crate::reaction),
//! leaders in `metadata.rs`, status in `durability.rs`. Rules B1 to B13, transactions: `transaction.rs`; without `transactional.id` none of it runs.

mod answers;
mod append;
mod backoff;
mod control;
mod drain;
mod durability;
mod events;
mod forgetting;
mod identity;
mod link;
mod metadata;
mod outcomes;
mod partition;
mod requests;

mod settings;
mod transaction;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use bytes::Bytes;

use self::backoff::Rng;
use self::control::Control;
pub use self::drain::ProduceFrame;
pub use self::durability::Durability;
use self::forgetting::{KNOWN_MS, WallClock};
use self::identity::Identity;
pub use self::link::LinkId;
use self::link::{Address, Link};
use self::outcomes::Outcomes;
use self::partition::{Context, Partition};
use self::settings::Settings;
use self::transaction::Transactions;
use crate::accumulator::Memory;
use crate::compression::Compressor;
use crate::config::ProducerConfig;
use crate::error::Fatal;
use crate::metrics::Metrics;
use crate::partitioner::StickyPartition;
use crate::produce_request::TopicId;
use crate::record::{Completion, TopicHandle};
use crate::rules::Rules;

/// What the shell is to do next.
#[derive(Debug)]
pub enum Action {
    /// Open a TCP connection (with TCP_NODELAY) and say `connected` or `disconnected`.
    Connect {
        /// The connection's number.
        link: LinkId,
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// Write this frame after those given before for this link.
    Send {
        /// The connection.
        link: LinkId,
        /// What to write.
        frame: Frame,
    },
    /// Close the connection and drop what waits for it. No `disconnected` is expected.
    Close {
        /// The connection.
        link: LinkId,
    },
}

/// One request, size field included.
#[derive(Debug)]
pub enum Frame {
    /// A control request.
    Plain(Bytes),
    /// A Produce request: glue and batches, written without copying. Give it back with
    /// [`Sender::recycle`] when it is written.
    Produce(ProduceFrame),
}

/// A topic as the producer knows it.
#[derive(Debug)]
struct Topic {
    name: String,
    /// All zero until a broker tells it (Metadata v10).
    id: TopicId,
    /// Index in `Sender::partitions` by partition number; empty until the first metadata.
    partitions: Vec<u32>,
    sticky: StickyPartition,
    /// Error of the last metadata.
    error: i16,
    /// When its last batch was begun: `metadata.max.idle.ms` counts from here.
    used_ns: u64,
    interest: Interest,
    /// `max.message.bytes`, once known.
    max_message_bytes: usize,
    durability: Durability,
}

/// Whether a topic's metadata is kept fresh (KIP-526). Its partitions keep their numbers in any case (A15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interest {
    /// It is asked for.
    Live,
    /// Not produced to for `metadata.max.idle.ms`: not asked for.
    Forgotten,
    /// Produced to again; what is known of it is too old to be used.
    Awaited,
}

/// The producer's core.
pub struct Sender {
    settings: Settings,
    topics: Vec<Topic>,
    partitions: Vec<Partition>,
    links: Vec<Link>,
    /// Data link of each node.
    node_links: BTreeMap<i32, u32>,
    /// Where each node listens, as last heard.
    nodes: BTreeMap<i32, Address>,
    control: Control,
    /// Only with `transactional.id`.
    transactions: Option<Box<Transactions>>,
    identity: Option<Identity>,
    /// A14: a new epoch is needed; nothing fresh is sent until the old one is settled.
    bump_wanted: bool,
    memory: Memory,
    outcomes: Outcomes,
    compressor: Compressor,
    rng: Rng,
    wall: WallClock,
    /// Records dated before this are not taken.
    oldest_ms: i64,
    metrics: Metrics,
    /// Partitions that wait for their backoff: (when, partition).
    timers: BinaryHeap<Reverse<(u64, u32)>>,
    actions: VecDeque<Action>,
    spare_frames: Vec<ProduceFrame>,
    spare_requests: Vec<Vec<link::InRequest>>,
    /// When batches are next looked at for `delivery.timeout.ms`.
    next_expiry_ns: u64,
    /// Linger is over for everything: a flush, a close, or `buffer.memory` is out.
    hurry: bool,
    flushing: bool,
    closed: bool,
    fatal: Option<Fatal>,
    rules: Rules,
    /// Numbers and epoch that a fresh id begins with.
    #[cfg(steadfast_mutants)]
    late: (i32, i16),
}

impl Sender {
    /// A core for these settings. `seed` drives jitter and sticky choices.
    pub fn new(config: &ProducerConfig, seed: u64) -> Result<Sender, Fatal> {
        let settings = Settings::new(config);
        let compressor =
            Compressor::new(settings.compression, settings.compression_level).map_err(|error| {
                Fatal::System {
                    what: "cannot set up compression",
                    reason: error.to_string(),
                }
            })?;
        let nowhere = Address {
            host: String::new(),
            port: 0,
        };
        let transactions = Transactions::new(&settings);
        let mut links = vec![Link::new(None, nowhere)];
        let mut wall = WallClock::Unknown;
        if transactions.is_some() {
            links.extend(transaction::links());
            wall = WallClock::Stopped;
        }
        Ok(Sender {
            transactions: transactions.map(Box::new),
            control: Control::new(&settings.bootstrap),
            memory: Memory::new(settings.buffer_memory, settings.batch_size),
            settings,
            topics: Vec::new(),
            partitions: Vec::new(),
            links,
            node_links: BTreeMap::new(),
            nodes: BTreeMap::new(),
            identity: None,
            bump_wanted: false,
            outcomes: Outcomes::default(),
            compressor,
            rng: Rng::new(seed),
            wall,
            oldest_ms: i64::MIN,
            metrics: Metrics::default(),
            timers: BinaryHeap::new(),
            actions: VecDeque::new(),
            spare_frames: Vec::new(),
            spare_requests: Vec::new(),
            next_expiry_ns: u64::MAX,
            hurry: false,
            flushing: false,
            closed: false,
            fatal: None,
            rules: Rules::default(),
            #[cfg(steadfast_mutants)]
            late: (0, 0),
        })
    }

    /// Breaks a rule, to see who notices. Call it before anything else.
    #[cfg(steadfast_mutants)]
    pub fn leave_out(&mut self, rule: crate::rules::Rule) {
        self.rules = Rules::without(rule);
    }

    /// Begins as if it had written long before: with this number on every partition, in this epoch. Numbers wrap, and
    /// ids are used up, within a short world.
    #[cfg(steadfast_mutants)]
    pub fn begin_late(&mut self, sequence: i32, epoch: i16) {
        self.late = (sequence, epoch);
    }

    /// Registers a topic; the same name gives the same handle. Its metadata is asked for at the next `advance`.
    pub fn topic(&mut self, name: &str) -> TopicHandle {
        let known = self.topics.iter().position(|topic| topic.name == name);
        let index = known.unwrap_or_else(|| {
            self.topics.push(Topic {
                name: name.to_owned(),
                id: TopicId::default(),
                partitions: Vec::new(),
                sticky: StickyPartition::new(self.settings.batch_size),
                error: 0,
                used_ns: 0,
                interest: Interest::Live,
                max_message_bytes: usize::MAX,
                durability: Durability::unknown(name),
            });
            self.control.want_metadata();
            self.topics.len() - 1
        });
        TopicHandle(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// Lets time pass and does what may be done now: sends, connects, gives up what waited too long. Call it after
    /// events and appends, and at the latest at [`wakeup_ns`](Self::wakeup_ns); then carry out the actions.
    /// `wall_ms` is the time since 1970, which the age of records is told by.
    pub fn advance(&mut self, now_ns: u64, wall_ms: i64) {
        self.wall.tell(now_ns, wall_ms);
        self.oldest_ms = self.wall.ms(now_ns).saturating_sub(KNOWN_MS);
        while let Some(&Reverse((at_ns, number))) = self.timers.peek()
            && at_ns <= now_ns
        {
            self.timers.pop();
            self.enqueue(number, now_ns);
        }
        self.check_links(now_ns);
        if now_ns >= self.next_expiry_ns {
            self.expire(now_ns);
        }
        if self.fatal.is_some() {
            return;
        }
        self.step_transaction(now_ns);
        self.step_control(now_ns);
        self.step_epoch(now_ns);
        self.drain_all(now_ns);
        if self.bump_wanted {
            // What was given up just now may be the last that the next epoch waited for.
            self.step_epoch(now_ns);
            self.drain_all(now_ns);
        }
    }

    /// The next thing for the shell to do.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When `advance` is to be called again even if nothing happens; `None` = only when something does.
    #[must_use]
    pub fn wakeup_ns(&self) -> Option<u64> {
        if self.fatal.is_some() {
            return None;
        }
        let links = self.links.iter().map(|link| {
            let slots = if link.node.is_none() {
                1
            } else {
                self.settings.max_in_flight
            };
            let idle_ns = link
                .idle_ns(self.settings.connections_max_idle_ns)
                .unwrap_or(u64::MAX);
            link.wakeup_ns(slots, self.settings.request_timeout_ns)
                .min(idle_ns)
        });
        let timer = self.timers.peek().map_or(u64::MAX, |Reverse((at_ns, _))| *at_ns);
        let expiry = if self.outcomes.pending() > 0 {
            self.next_expiry_ns
        } else {
            u64::MAX
        };
        let earliest = links
            .min()
            .unwrap_or(u64::MAX)
            .min(timer)
            .min(expiry)
            .min(self.control_wakeup_ns())
            .min(self.transaction_wakeup_ns());
        (earliest != u64::MAX).then_some(earliest)
    }

    /// Lends the next outcome; the loan ends with the next call.
    pub fn next_completion(&mut self) -> Option<Completion<'_>> {
        if let Some(tokens) = self.outcomes.take_back() {
            self.memory.spare(tokens);
        }
        self.outcomes.lend()
    }

    /// Outcomes wait to be fetched.
    #[must_use]
    pub fn has_completions(&self) -> bool {
        !self.outcomes.is_empty()
    }

    /// Records appended that have no outcome yet.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.outcomes.pending()
    }

    /// Bytes of `buffer.memory` that are free. A record needs up to `batch.size`, or its own size if that is more,
    /// unless the batch of its partition has room.
    #[must_use]
    pub fn free_bytes(&self) -> usize {
        self.memory.available()
    }

    /// Counters since the start.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let mut metrics = self.metrics;
        metrics.buffer_available_bytes = self.memory.available() as u64;
        metrics.buffer_total_bytes = self.settings.buffer_memory as u64;
        metrics.record_error_total = self.outcomes.errors();
        metrics
    }

    /// What the cluster promises for each topic (A20).
    pub fn durability(&self) -> impl Iterator<Item = &Durability> {
        self.topics.iter().map(|topic| &topic.durability)
    }

    /// How many partitions a topic has; `None` until metadata told.
    #[must_use]
    pub fn partition_count(&self, topic: TopicHandle) -> Option<u32> {
        let count = self.topics.get(topic.index())?.partitions.len();
        u32::try_from(count).ok().filter(|&count| count > 0)
    }

    /// While set, nothing lingers: everything appended leaves as soon as a slot is free.
    pub fn set_flushing(&mut self, flushing: bool, now_ns: u64) {
        self.flushing = flushing;
        self.hurry = flushing || self.is_committing();
        if flushing {
            self.make_all_due(now_ns);
        }
    }

    /// Ends everything that has no outcome yet with what is known of it: NOT_WRITTEN if it never left or was refused
    /// each time, UNKNOWN otherwise. Nothing is taken or sent afterwards.
    pub fn abandon(&mut self, now_ns: u64) {
        self.closed = true;
        self.abandon_transaction();
        let mut cx = Context {
            outcomes: &mut self.outcomes,
            memory: &mut self.memory,
            now_ns,
        };
        for partition in &mut self.partitions {
            if partition.stopped().is_none() {
                partition.stop(partition::REQUEST_TIMED_OUT, &mut cx);
            }
        }
    }

    /// Why nothing can be sent any more, if so.
    #[must_use]
    pub fn fatal(&self) -> Option<&Fatal> {
        self.fatal.as_ref()
    }

    /// Takes back a frame that is written, for reuse.
    pub fn recycle(&mut self, mut frame: ProduceFrame) {
        frame.batches.clear();
        if self.spare_frames.len() < self.settings.max_in_flight * 4 {
            self.spare_frames.push(frame);
        }
    }

    // ---- Helpers ----

    fn drain_all(&mut self, now_ns: u64) {
        for link in 1..self.links.len() {
            while self.drain(link, now_ns) {}
        }
    }

    /// KIP-91. Looks at all partitions, and again when the oldest batch that is left will be due: in a healthy run
    /// that is about once per `delivery.timeout.ms`.
    fn expire(&mut self, now_ns: u64) {
        let timeout_ns = self.settings.delivery_timeout_ns;
        let begun_ns = now_ns.saturating_sub(timeout_ns);
        let mut oldest_ns = u64::MAX;
        for number in 0..self.partitions.len() {
            let partition = &mut self.partitions[number];
            if partition
                .oldest_ns()
                .is_some_and(|oldest_ns| oldest_ns <= begun_ns)
            {
                let attempts = partition.attempts();
                let mut cx = Context {
                    outcomes: &mut self.outcomes,
                    memory: &mut self.memory,
                    now_ns,
                };
                partition.expire(begun_ns, &mut cx);
                self.after_event(u32::try_from(number).unwrap_or(u32::MAX), attempts, now_ns);
            }
            oldest_ns = oldest_ns.min(self.partitions[number].oldest_ns().unwrap_or(u64::MAX));
        }
        self.next_expiry_ns = oldest_ns.saturating_add(timeout_ns);
    }

    /// Puts a partition into its leader's ready queue, if it has something to send.
    fn enqueue(&mut self, number: u32, now_ns: u64) {
        let partition = &mut self.partitions[number as usize];
        if !partition.has_work() {
            return;
        }
        let Some(&link) = self.node_links.get(&partition.leader) else {
            return; // no leader: whoever learns of one comes here again
        };
        let link = &mut self.links[link as usize];
        let gathering = partition
            .open
            .as_ref()
            .filter(|_| partition.closed.is_empty() && !partition.is_retrying());
        let due_ns = match gathering {
            Some(open) if !self.hurry => open.created_ns.saturating_add(self.settings.linger_ns),
            _ => now_ns,
        };
        // With an empty queue the old time belongs to what is gone.
        let earlier_ns = if link.ready.is_empty() {
            u64::MAX
        } else {
            link.due_ns
        };
        link.due_ns = earlier_ns.min(due_ns);
        if !partition.queued {
            partition.queued = true;
            link.ready.push_back(number);
        }
    }

    fn enqueue_all(&mut self, now_ns: u64) {
        for number in 0..u32::try_from(self.partitions.len()).unwrap_or(u32::MAX) {
            self.enqueue(number, now_ns);
        }
    }

    fn make_all_due(&mut self, now_ns: u64) {
        for link in &mut self.links {
            link.due_ns = link.due_ns.min(now_ns);
        }
    }
}
