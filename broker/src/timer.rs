//! Timers: what is due when, in one order that replays.

use std::collections::BTreeMap;

use crate::model::ConnectionId;

/// What happens at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Timer {
    /// A follower fetches from its leader.
    Replicate { partition: usize, node: i32 },
    /// A node learns what the controller decided.
    Propagate { node: i32 },
    /// A node has been silent for a session.
    Session { node: i32, silence: u64 },
    /// A starting node is up.
    Started { node: i32, incarnation: u32 },
    /// A request that waits must be answered now.
    Deadline { connection: ConnectionId },
    /// A request was slowed down so long.
    Slowed { connection: ConnectionId },
    /// A throttled channel is read again.
    Unmute { connection: ConnectionId },
    /// Markers of a transaction are written, or tried again.
    Markers { id: String },
    /// Periodic: followers that lag leave the ISR.
    Lag,
    /// Periodic: transactions that took too long are aborted.
    TransactionTimeouts,
    /// Periodic: records, transactional ids and offsets expire.
    Retention,
    /// Periodic: partitions forget producers.
    Producers,
    /// Periodic: dirty pages reach the disk.
    Writeback,
}

/// Names a timer that was set.
pub(crate) type TimerKey = (u64, u64);

/// All timers.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: BTreeMap<TimerKey, Timer>,
    next: u64,
}

impl Timers {
    pub(crate) fn set(&mut self, at_ns: u64, timer: Timer) -> TimerKey {
        let key = (at_ns, self.next);
        self.next += 1;
        self.due.insert(key, timer);
        key
    }

    pub(crate) fn cancel(&mut self, key: TimerKey) {
        self.due.remove(&key);
    }

    /// The next timer that is due.
    pub(crate) fn pop(&mut self, now_ns: u64) -> Option<Timer> {
        let entry = self.due.first_entry()?;
        (entry.key().0 <= now_ns).then(|| entry.remove())
    }

    pub(crate) fn next_ns(&self) -> Option<u64> {
        self.due.first_key_value().map(|(key, _)| key.0)
    }
}
