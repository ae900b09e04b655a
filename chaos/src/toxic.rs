//! Toxics: what Toxiproxy can do to a link, in its own words and units. Values only; [`crate::toxiproxy`] puts them in.
//!
//! | type | attributes | what happens |
//! |---|---|---|
//! | `latency` | `latency`, `jitter` (ms) | every chunk is late |
//! | `bandwidth` | `rate` (KB/s) | a thin pipe |
//! | `slow_close` | `delay` (ms) | a close is passed on late |
//! | `timeout` | `timeout` (ms) | silence, then the connection is closed; 0 = silence until healed |
//! | `reset_peer` | `timeout` (ms) | the first chunk is swallowed, then the connection is reset |
//! | `slicer` | `average_size`, `size_variation` (bytes), `delay` (µs) | frames arrive in small pieces |
//! | `limit_data` | `bytes` | the connection is closed after so many bytes |
//!
//! Source: <https://github.com/Shopify/toxiproxy#toxics>, v2.12.0.

use std::fmt;

/// One toxic, the same in each direction that it is put into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Toxic {
    /// What it does.
    pub kind: ToxicKind,
    /// Which way.
    pub stream: Stream,
}

/// What a toxic does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "Toxiproxy's own words, in the table above")]
pub enum ToxicKind {
    Latency {
        latency: u32,
        jitter: u32,
    },
    Bandwidth {
        rate: u32,
    },
    SlowClose {
        delay: u32,
    },
    Timeout {
        timeout: u32,
    },
    ResetPeer {
        timeout: u32,
    },
    Slicer {
        average_size: u32,
        size_variation: u32,
        delay: u32,
    },
    LimitData {
        bytes: u32,
    },
}

/// Which way: `upstream` leads to the broker, `downstream` to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// To the broker.
    Upstream,
    /// To the client.
    Downstream,
    /// Both ways: two toxics.
    Both,
}

impl Toxic {
    /// Silence both ways until it is removed: what the action `partition` is.
    pub const SILENCE: Toxic = Toxic {
        kind: ToxicKind::Timeout { timeout: 0 },
        stream: Stream::Both,
    };
}

impl ToxicKind {
    /// Toxiproxy's word.
    pub fn word(self) -> &'static str {
        match self {
            ToxicKind::Latency { .. } => "latency",
            ToxicKind::Bandwidth { .. } => "bandwidth",
            ToxicKind::SlowClose { .. } => "slow_close",
            ToxicKind::Timeout { .. } => "timeout",
            ToxicKind::ResetPeer { .. } => "reset_peer",
            ToxicKind::Slicer { .. } => "slicer",
            ToxicKind::LimitData { .. } => "limit_data",
        }
    }

    /// Toxiproxy's attributes.
    pub fn attributes(self) -> Vec<(&'static str, u32)> {
        match self {
            ToxicKind::Latency { latency, jitter } => vec![("latency", latency), ("jitter", jitter)],
            ToxicKind::Bandwidth { rate } => vec![("rate", rate)],
            ToxicKind::SlowClose { delay } => vec![("delay", delay)],
            ToxicKind::Timeout { timeout } | ToxicKind::ResetPeer { timeout } => vec![("timeout", timeout)],
            ToxicKind::Slicer {
                average_size,
                size_variation,
                delay,
            } => vec![
                ("average_size", average_size),
                ("size_variation", size_variation),
                ("delay", delay),
            ],
            ToxicKind::LimitData { bytes } => vec![("bytes", bytes)],
        }
    }

    /// Whether connections end by it, so that a client which kept all of its own was not met.
    pub fn ends_connections(self) -> bool {
        matches!(
            self,
            ToxicKind::Timeout { .. } | ToxicKind::ResetPeer { .. } | ToxicKind::LimitData { .. }
        )
    }
}

impl Stream {
    /// As it looks from the other end.
    pub fn reversed(self) -> Stream {
        match self {
            Stream::Upstream => Stream::Downstream,
            Stream::Downstream => Stream::Upstream,
            Stream::Both => Stream::Both,
        }
    }

    /// Toxiproxy's words.
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Stream::Upstream => &["upstream"],
            Stream::Downstream => &["downstream"],
            Stream::Both => &["upstream", "downstream"],
        }
    }
}

/// `latency upstream and downstream, latency = 40 jitter = 20`.
impl fmt::Display for Toxic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {},", self.kind.word(), self.stream.words().join(" and "))?;
        let attributes = self.kind.attributes();
        attributes
            .iter()
            .try_for_each(|(name, value)| write!(out, " {name} = {value}"))
    }
}
