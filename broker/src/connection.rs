//! One connection: requests are served one at a time, in order, as Kafka mutes a channel while it serves it.
//!
//! ```text
//! frames ──▶ queue ──▶ current (slowed, held, waiting for replicas or for data) ──▶ answer ──▶ next
//! ```

use std::collections::VecDeque;

use bytes::Bytes;

use crate::fetch::DelayedFetch;
use crate::hook::{HookId, What};
use crate::produce::DelayedProduce;
use crate::request::{Header, Request};
use crate::timer::TimerKey;

/// A client's connection to a node.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) node: i32,
    pub(crate) listener: u8,
    pub(crate) queue: VecDeque<Bytes>,
    pub(crate) current: Option<Current>,
    /// A quota was exceeded: nothing is read until the timer fires.
    pub(crate) muted: bool,
    /// A hook dropped a request, or it broke its handler: nothing on this connection is answered any more.
    pub(crate) stuck: bool,
}

/// The request being served.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) header: Header,
    /// Bytes of the frame: what quotas count.
    pub(crate) bytes: usize,
    /// What happens once it took effect.
    pub(crate) after: Option<(HookId, After)>,
    pub(crate) wait: Wait,
    /// Fires at the latest time of an answer.
    pub(crate) deadline: Option<TimerKey>,
}

/// A hook for after the effect.
#[derive(Debug)]
pub(crate) enum After {
    Do(What),
    /// The answer to give instead of the true one.
    Instead(Box<crate::answer::Answer>),
}

/// What the current request waits for.
#[derive(Debug)]
pub(crate) enum Wait {
    /// Nothing: it is being served.
    Serving,
    /// Its node is slow.
    Slowed(Box<Request>),
    /// A hook holds it before it took effect.
    Held(HookId, Box<Request>),
    /// A hook holds its answer.
    HeldAnswer(HookId, Bytes, u64),
    /// Replicas.
    Produce(Box<DelayedProduce>),
    /// Data.
    Fetch(Box<DelayedFetch>),
}

impl Connection {
    pub(crate) fn new(node: i32, listener: u8) -> Connection {
        Connection {
            node,
            listener,
            queue: VecDeque::new(),
            current: None,
            muted: false,
            stuck: false,
        }
    }

    /// Whether the next frame may be served.
    pub(crate) fn ready(&self) -> bool {
        self.current.is_none() && !self.muted && !self.stuck && !self.queue.is_empty()
    }
}

/// Who asks, where and how: what a handler needs beside the request.
#[derive(Debug, Clone)]
pub(crate) struct At {
    pub(crate) connection: crate::model::ConnectionId,
    pub(crate) node: i32,
    pub(crate) listener: u8,
    pub(crate) version: i16,
}

/// What a handler did.
#[derive(Debug)]
pub(crate) enum Outcome {
    Answer(crate::answer::Answer),
    /// It waits; someone will finish it.
    Later(Wait, Option<TimerKey>),
    /// acks=0: no answer, and the next request may come.
    Silent,
    /// No answer, now or ever, to this request or to any behind it.
    Unanswered,
    /// The connection is closed.
    Close,
}

impl<T: Into<crate::answer::Answer>> From<T> for Outcome {
    fn from(answer: T) -> Outcome {
        Outcome::Answer(answer.into())
    }
}
