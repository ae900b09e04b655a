//! The cluster from outside: connections, bytes, time and orders in; answers out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use crate::cluster::Node;
use crate::connection::Connection;
use crate::coordinator::Seats;
use crate::coordinator::offsets::Groups;
use crate::coordinator::transaction::Transaction;
use crate::fact::Fact;
use crate::hook::{Hook, HookId, Hooks};
use crate::partition::Partition;
use crate::quota::Quotas;
use crate::random::Random;
use crate::settings::{MS, Settings};
use crate::store::Store;
use crate::timer::{Timer, Timers};
use crate::topics::Topics;

/// The time that an event comes with. `mono_ns` never goes back; `wall_ms` may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Nanoseconds of a monotonic clock: every timer counts these.
    pub mono_ns: u64,
    /// Unix time: what stamps, retention and transaction timeouts are compared with.
    pub wall_ms: i64,
}

/// Names a connection; the shell gives the number and never uses it twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Where clients reach a node through one listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Node id, from 1.
    pub node: i32,
    /// Listener; clients of one are told of endpoints of the same one only.
    pub listener: u8,
    /// Host as advertised.
    pub host: String,
    /// Port as advertised.
    pub port: u16,
}

/// What the shell has to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Write these bytes, size field included.
    Answer {
        /// Where.
        connection: ConnectionId,
        /// What.
        frame: Bytes,
    },
    /// Close it. Nothing more comes for it; [`Model::closed`] need not be called.
    Close {
        /// Which.
        connection: ConnectionId,
    },
    /// Keep this. It comes before the answers that count on it.
    Remember(Fact),
}

/// A Kafka cluster.
pub struct Model<S: Store> {
    pub(crate) settings: Settings,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) store: S,
    pub(crate) random: Random,
    pub(crate) now: Now,
    pub(crate) actions: VecDeque<Action>,
    pub(crate) timers: Timers,
    pub(crate) connections: BTreeMap<ConnectionId, Connection>,
    /// Connections with a frame that may be served.
    pub(crate) ready: VecDeque<ConnectionId>,
    /// Who waits for something to happen in a partition.
    pub(crate) waiting: BTreeSet<(usize, ConnectionId)>,
    pub(crate) nodes: Vec<Node>,
    /// Pairs of nodes, the smaller first, between which nothing passes.
    pub(crate) cuts: BTreeSet<(i32, i32)>,
    pub(crate) topics: Topics,
    pub(crate) partitions: Vec<Partition>,
    pub(crate) seats: Seats,
    pub(crate) transactions: BTreeMap<String, Transaction>,
    pub(crate) groups: Groups,
    pub(crate) next_producer_id: i64,
    pub(crate) quotas: Quotas,
    pub(crate) hooks: Hooks,
    pub(crate) cluster_id: String,
}

impl<S: Store> Model<S> {
    /// A cluster without topics, all nodes up.
    pub fn new(settings: Settings, endpoints: Vec<Endpoint>, store: S, seed: u64, now: Now) -> Model<S> {
        let mut random = Random::new(seed);
        let made = format!("simulated-{:012x}", random.next() >> 16);
        let cluster_id = settings.cluster_id.clone().unwrap_or(made);
        let mut model = Model {
            nodes: (1..=settings.nodes).map(Node::new).collect(),
            seats: Seats::new(settings.nodes),
            quotas: Quotas::new(settings.producer_byte_rate, settings.quota_window_ms),
            settings,
            endpoints,
            store,
            random,
            now,
            actions: VecDeque::new(),
            timers: Timers::default(),
            connections: BTreeMap::new(),
            ready: VecDeque::new(),
            waiting: BTreeSet::new(),
            cuts: BTreeSet::new(),
            topics: Topics::default(),
            partitions: Vec::new(),
            transactions: BTreeMap::new(),
            groups: Groups::default(),
            next_producer_id: 0,
            hooks: Hooks::default(),
            cluster_id,
        };
        for timer in [
            Timer::Lag,
            Timer::TransactionTimeouts,
            Timer::Retention,
            Timer::Producers,
            Timer::Writeback,
        ] {
            model.again(timer);
        }
        model
    }

    /// A client connected to a node through a listener.
    pub fn opened(&mut self, connection: ConnectionId, node: i32, listener: u8, now: Now) {
        self.pass(now);
        let up = self.node(node).is_some_and(Node::accepts);
        if up && self.connections.len() < self.settings.max_connections {
            self.connections
                .insert(connection, Connection::new(node, listener));
        } else {
            self.actions.push_back(Action::Close { connection });
        }
        self.serve_ready();
    }

    /// The connection is gone. What it asked for and what took effect stays.
    pub fn closed(&mut self, connection: ConnectionId, now: Now) {
        self.pass(now);
        self.forget(connection);
        self.serve_ready();
    }

    /// Whether more frames of this connection are wanted now. A shell that stops reading while it is false is a
    /// broker that muted the channel; frames given all the same are queued up to a bound, then the connection closes.
    pub fn reads(&self, connection: ConnectionId) -> bool {
        self.connections
            .get(&connection)
            .is_some_and(|found| found.queue.is_empty() && !found.muted && !found.stuck)
    }

    /// One whole request came, without its size field.
    pub fn received(&mut self, connection: ConnectionId, frame: Bytes, now: Now) {
        self.pass(now);
        if let Some(found) = self.connections.get_mut(&connection) {
            if found.queue.len() >= self.settings.max_queued_frames
                || frame.len() > self.settings.socket_request_max_bytes
            {
                self.close(connection);
            } else {
                found.queue.push_back(frame);
                self.ready.push_back(connection);
            }
        }
        self.serve_ready();
    }

    /// Time passed.
    pub fn advance(&mut self, now: Now) {
        self.pass(now);
        self.serve_ready();
    }

    /// When [`Model::advance`] must be called at the latest.
    pub fn wakeup_ns(&self) -> Option<u64> {
        self.timers.next_ns()
    }

    /// The next thing to do; none: all is done until the next event.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Sets a hook; it strikes once.
    pub fn hook(&mut self, hook: Hook) -> HookId {
        self.hooks.set(hook)
    }

    /// Lets go what a hook holds, and takes the hook away if it has not struck.
    pub fn release(&mut self, hook: HookId, now: Now) {
        self.pass(now);
        self.hooks.unset(hook);
        self.let_go(hook);
        self.serve_ready();
    }

    /// The store, for the shell that made it.
    pub fn store(&mut self) -> &mut S {
        &mut self.store
    }

    /// Fires every timer that is due, then goes on at `now`.
    fn pass(&mut self, now: Now) {
        self.now = Now {
            mono_ns: self.now.mono_ns.max(now.mono_ns),
            wall_ms: now.wall_ms,
        };
        while let Some(timer) = self.timers.pop(self.now.mono_ns) {
            self.fire(timer);
        }
    }

    fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Replicate { partition, node } => self.replicate(partition, node),
            Timer::Propagate { node } => self.propagate(node),
            Timer::Session { node, silence } => self.session_over(node, silence),
            Timer::Started { node, incarnation } => self.started(node, incarnation),
            Timer::Deadline { connection } => self.deadline(connection),
            Timer::Slowed { connection } => self.slowed(connection),
            Timer::Unmute { connection } => self.unmute(connection),
            Timer::Markers { id } => self.write_markers(&id),
            Timer::Lag => {
                self.shrink_isr();
                self.again(Timer::Lag);
            }
            Timer::TransactionTimeouts => {
                self.abort_timed_out();
                self.again(Timer::TransactionTimeouts);
            }
            Timer::Retention => {
                self.expire();
                self.again(Timer::Retention);
            }
            Timer::Producers => {
                self.expire_producers();
                self.again(Timer::Producers);
            }
            Timer::Writeback => {
                self.write_back();
                self.again(Timer::Writeback);
            }
        }
    }

    /// Sets a periodic timer again.
    fn again(&mut self, timer: Timer) {
        let settings = &self.settings;
        let period_ns = match timer {
            Timer::Lag if settings.nodes > 1 => ms(settings.replica_lag_time_max_ms / 2),
            Timer::TransactionTimeouts => ms(settings.transaction_abort_interval_ms),
            Timer::Retention => ms(settings.retention_check_interval_ms),
            Timer::Producers => ms(settings.producer_id_check_interval_ms),
            Timer::Writeback => settings.writeback_ns,
            _ => return,
        };
        self.timers
            .set(self.now.mono_ns.saturating_add(period_ns.max(1)), timer);
    }

    pub(crate) fn remember(&mut self, fact: Fact) {
        self.actions.push_back(Action::Remember(fact));
    }
}

/// Milliseconds of a setting as nanoseconds; negative counts as 0.
pub(crate) fn ms(ms: i64) -> u64 {
    (ms.max(0) as u64).saturating_mul(MS)
}
