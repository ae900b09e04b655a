//! One connection's state: what was asked on it, in order, and what it waits for.
//!
//! ```text
//!   Idle ──Connect──► Connecting ──connected──► Handshaking (ApiVersions) ──► Ready ── requests, answers in order
//!    ▲                     │                          │                         │
//!    └──── not_before ◄────┴───── closed, refused, timed out, nonsense ◄────────┘   everything asked is UNKNOWN
//! ```
//!
//! Link 0 carries the control requests (metadata, producer id, configurations), so that a slow produce request never
//! stands before the answer that says where the leader went. With a transactional id, link 1 leads to the transaction
//! coordinator and link 2 to a group's. Every other link is the data connection of one node.

use std::collections::VecDeque;

use crate::produce_request::TopicId;
use crate::sender::requests::Versions;
use crate::sender::transaction::Question;

/// Number of a connection, for the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub(crate) u32);

impl LinkId {
    /// Links are numbered from 0; a number is never given to another broker.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }

    pub(crate) fn from_index(index: usize) -> LinkId {
        LinkId(u32::try_from(index).unwrap_or(u32::MAX))
    }
}

/// Where a broker listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Address {
    /// An address as a broker tells it, if it can be one at all.
    pub(crate) fn told(host: &str, port: i32) -> Option<Address> {
        let port = u16::try_from(port).ok().filter(|&port| port > 0)?;
        crate::config::is_host(host).then(|| Address {
            host: host.to_owned(),
            port,
        })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Idle,
    /// Until then.
    Connecting(u64),
    Handshaking,
    Ready(Versions),
}

/// A batch within a Produce request: partition number of the sender, base sequence, and the topic's id then. Numbers of a
/// topic that was made again begin anew: what comes of the old one must not be taken for theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InRequest {
    pub(crate) partition: u32,
    pub(crate) base_sequence: i32,
    pub(crate) topic_id: TopicId,
    pub(crate) answered: bool,
}

#[derive(Debug)]
pub(crate) enum Asked {
    ApiVersions(i16),
    Metadata(i16),
    InitProducerId(i16),
    DescribeConfigs(i16),
    Produce(i16, Vec<InRequest>),
    /// What transactions ask, of coordinators and for them.
    Transaction(Question, i16),
}

/// What a request is known by: the node that it goes to, and its number on that connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestId {
    pub(crate) broker: i32,
    pub(crate) correlation_id: i32,
}

impl RequestId {
    /// Nothing left.
    pub(crate) const NOTHING: RequestId = RequestId {
        broker: -1,
        correlation_id: -1,
    };
}

#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) correlation: i32,
    pub(crate) sent_ns: u64,
    pub(crate) asked: Asked,
}

#[derive(Debug)]
pub(crate) struct Link {
    /// The node whose data it carries; `None` for control and coordinators.
    pub(crate) node: Option<i32>,
    /// Where it is, or was last, connected.
    pub(crate) address: Address,
    pub(crate) state: State,
    pub(crate) in_flight: VecDeque<InFlight>,
    /// Set while it should be connected although nothing waits.
    pub(crate) wanted: bool,
    next_correlation: i32,
    /// When a request was last sent or the connection made: `connections.max.idle.ms` counts from here.
    pub(crate) used_ns: u64,
    /// The broker has muted us until then (A17, KIP-219).
    pub(crate) throttled_until_ns: u64,
    /// Connecting again waits until then.
    pub(crate) not_before_ns: u64,
    /// Failures since it was last ready.
    pub(crate) failures: u32,
    /// Partitions with something to send to this node, in turn.
    pub(crate) ready: VecDeque<u32>,
    /// When the first of them wants to leave.
    pub(crate) due_ns: u64,
}

impl Link {
    pub(crate) fn new(node: Option<i32>, address: Address) -> Link {
        Link {
            node,
            address,
            state: State::Idle,
            in_flight: VecDeque::new(),
            wanted: true,
            next_correlation: 0,
            used_ns: 0,
            throttled_until_ns: 0,
            not_before_ns: 0,
            failures: 0,
            ready: VecDeque::new(),
            due_ns: u64::MAX,
        }
    }

    /// What the next request will be known by.
    pub(crate) fn upcoming(&self) -> RequestId {
        RequestId {
            broker: self.node.unwrap_or(-1),
            correlation_id: self.next_correlation,
        }
    }

    /// The number for the next request; they wrap within the positive ones.
    pub(crate) fn correlate(&mut self) -> i32 {
        let correlation = self.next_correlation;
        self.next_correlation = correlation.wrapping_add(1) & i32::MAX;
        correlation
    }

    pub(crate) fn versions(&self) -> Option<Versions> {
        match self.state {
            State::Ready(versions) => Some(versions),
            _ => None,
        }
    }

    /// It should be connected: something waits, or somebody may soon.
    pub(crate) fn needed(&self) -> bool {
        self.wanted || !self.ready.is_empty()
    }

    /// When nothing is asked and nothing waits: the time at which it counts as idle.
    pub(crate) fn idle_ns(&self, max_idle_ns: u64) -> Option<u64> {
        let unused =
            matches!(self.state, State::Ready(_)) && self.in_flight.is_empty() && self.ready.is_empty();
        unused.then(|| self.used_ns.saturating_add(max_idle_ns))
    }

    /// Nothing that is due has waited here for longer than `partitioner.availability.timeout.ms` (KIP-794).
    pub(crate) fn takes(&self, now_ns: u64, timeout_ns: u64) -> bool {
        self.ready.is_empty() || now_ns <= self.due_ns.saturating_add(timeout_ns)
    }

    /// When this link wants to be looked at, apart from its answers and from being idle.
    pub(crate) fn wakeup_ns(&self, max_in_flight: usize, request_timeout_ns: u64) -> u64 {
        let timeout = self
            .in_flight
            .front()
            .map_or(u64::MAX, |first| first.sent_ns.saturating_add(request_timeout_ns));
        let own = match self.state {
            State::Idle if self.needed() => self.not_before_ns,
            State::Connecting(until_ns) => until_ns,
            State::Ready(_) if !self.ready.is_empty() && self.in_flight.len() < max_in_flight => {
                self.due_ns.max(self.throttled_until_ns)
            }
            _ => u64::MAX,
        };
        own.min(timeout)
    }
}
