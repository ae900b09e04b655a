//! The cluster from outside: connections, bytes, time and orders in; answers out.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::fact::Fact;
use crate::hook::{Hook, HookId};
use crate::order::{Order, OrderError};
use crate::settings::Settings;
use crate::store::{Store, StoreError};

/// The time that an event comes with. `mono_ns` never goes back; `wall_ms` may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Nanoseconds of a monotonic clock: every timer counts these.
    pub mono_ns: u64,
    /// Unix time: what stamps and retention are compared with.
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
    /// Keep this. The cluster counts on it for answers given later in the order of actions.
    Remember(Fact),
}

/// A Kafka cluster.
pub struct Model<S: Store> {
    settings: Settings,
    endpoints: Vec<Endpoint>,
    store: S,
    seed: u64,
    now: Now,
    actions: VecDeque<Action>,
}

impl<S: Store> Model<S> {
    /// A cluster without topics, all nodes up.
    pub fn new(settings: Settings, endpoints: Vec<Endpoint>, store: S, seed: u64, now: Now) -> Model<S> {
        Model {
            settings,
            endpoints,
            store,
            seed,
            now,
            actions: VecDeque::new(),
        }
    }

    /// Rebuilds what a cluster knew from its facts, in the order they were remembered, and the store's logs.
    /// Call it on a new model, before anything else. As after a restart of every node.
    pub fn recall(&mut self, facts: Vec<Fact>, now: Now) -> Result<(), StoreError> {
        self.now = now;
        drop(facts);
        Ok(())
    }

    /// Everything true now, as facts: what a new file of facts begins with.
    pub fn facts(&self) -> Vec<Fact> {
        Vec::new()
    }

    /// A client connected to a node through a listener.
    pub fn opened(&mut self, connection: ConnectionId, node: i32, listener: u8, now: Now) {
        let _ = (
            connection,
            node,
            listener,
            &self.endpoints,
            &self.settings,
            self.seed,
        );
        self.now = now;
    }

    /// The connection is gone.
    pub fn closed(&mut self, connection: ConnectionId, now: Now) {
        let _ = connection;
        self.now = now;
    }

    /// Whether more frames of this connection are wanted now. A shell that stops reading while it is false is a
    /// broker that muted the channel; frames given all the same are queued up to a bound, then the connection closes.
    pub fn reads(&self, connection: ConnectionId) -> bool {
        let _ = connection;
        true
    }

    /// One whole request came, without its size field.
    pub fn received(&mut self, connection: ConnectionId, frame: Bytes, now: Now) {
        let _ = (connection, frame);
        self.now = now;
    }

    /// Time passed.
    pub fn advance(&mut self, now: Now) {
        self.now = now;
    }

    /// When [`Model::advance`] must be called at the latest.
    pub fn wakeup_ns(&self) -> Option<u64> {
        None
    }

    /// The next thing to do; none: all is done until the next event.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Does something to the cluster.
    pub fn order(&mut self, order: Order, now: Now) -> Result<(), OrderError> {
        let _ = order;
        self.now = now;
        Ok(())
    }

    /// Sets a hook.
    pub fn hook(&mut self, hook: Hook) -> HookId {
        let _ = hook;
        HookId(0)
    }

    /// Lets go what a hook holds, and takes the hook away if it has not struck.
    pub fn release(&mut self, hook: HookId, now: Now) {
        let _ = hook;
        self.now = now;
    }

    /// The store, for the shell that made it.
    pub fn store(&mut self) -> &mut S {
        &mut self.store
    }
}
