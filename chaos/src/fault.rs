//! The words for what goes wrong: small values, no behaviour. [`crate::nemesis`] does them.

use std::fmt;
use std::time::Duration;

/// A fault with its place in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFault {
    /// Names the phases `fault:<name>` and `heal:<name>`; unique in a scenario.
    pub name: String,
    /// Begin, counted from the end of warm-up.
    pub at: Duration,
    /// How long it lasts; none = it ends when its action is done.
    pub hold: Option<Duration>,
    /// What is done.
    pub action: Action,
    /// To whom.
    pub target: Target,
}

/// What is done to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// SIGKILL; started again after `hold`.
    Kill,
    /// SIGSTOP; SIGCONT after `hold`.
    Pause,
    /// A clean stop (SIGTERM: controlled shutdown), `hold` of absence, and a start.
    Restart,
    /// Silence both ways between client and broker for `hold` (Toxiproxy's `timeout` toxic of 0).
    Partition,
}

/// Whom a fault meets. The meaning is looked up when the fault begins, and recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The broker that leads this partition at that moment.
    Leader {
        /// Topic.
        topic: String,
        /// Partition.
        partition: u32,
    },
    /// This broker, counted from 1.
    Broker(u32),
    /// Each broker after the other, the next one only when the last is back in every ISR: a rolling restart.
    EveryBroker,
    /// The client itself, where it can be started again: a copy job.
    Client,
    /// The connections of the client to one broker (`Leader` or `Broker`).
    Link(Box<Target>),
}

impl Action {
    /// The word of the scenario grammar and of `faults.jsonl`.
    pub fn word(self) -> &'static str {
        match self {
            Action::Kill => "kill",
            Action::Pause => "pause",
            Action::Restart => "restart",
            Action::Partition => "partition",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Leader { topic, partition } => write!(out, "leader({topic}-{partition})"),
            Target::Broker(number) => write!(out, "broker-{number}"),
            Target::EveryBroker => write!(out, "every-broker"),
            Target::Client => write!(out, "client"),
            Target::Link(broker) => write!(out, "link(client, {broker})"),
        }
    }
}
