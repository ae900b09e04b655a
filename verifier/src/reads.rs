//! What concurrent readers saw during the run: one file each, `reads/<reader>.bin`; in memory the same.
//!
//! ```text
//! file     = "STFREAD1" · 8 zeros · frame(header) · frame(entry) · ...               frames: see frame.rs
//! entry    = kind (1 byte) · fields as varints (varint.rs)
//!   0 header      JSON of Header
//!   1 assigned    partition, ns, offset that is read from: its order begins anew here
//!   2 poll        partition, ns, next offset, high watermark, last stable offset, count, records as in log/block.rs
//!   3 ended       ns; the reader was asked to stop, and this is all that it saw
//! ```
//! A reader that is killed leaves a torn tail, which is cut: what it saw before counts. An observation can only
//! accuse; that nothing was observed proves nothing. So a reader that was ordered must have ended in order, and must have
//! come to the end of the log, before what it did not see speaks for anybody.

mod file;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::log::LogRecord;

pub use file::{Reader, Writer};

/// Records of one poll at most; a longer one is written as several.
pub const MAX_RECORDS_PER_POLL: usize = 65_536;

/// What a reader asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// Everything below the high watermark.
    ReadUncommitted,
    /// Nothing of a transaction that is open or aborted.
    ReadCommitted,
}

/// The order to one reader process: one JSON document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Name, unique in the run.
    pub reader: String,
    /// Topic to read, from its begin.
    pub topic: String,
    /// `isolation.level`.
    pub isolation: Isolation,
    /// `fetch.min.bytes`.
    pub fetch_min_bytes: i32,
    /// `fetch.max.wait.ms`.
    pub fetch_max_wait_ms: i32,
    /// Where to begin: `host:port` of listeners that no fault touches.
    pub bootstrap_servers: Vec<String>,
    /// The file to write.
    pub file: PathBuf,
}

/// Whose observations these are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Name, unique in the run.
    pub reader: String,
    /// Topic read.
    pub topic: String,
    /// What it asks for.
    pub isolation: Isolation,
}

/// One observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen<'a> {
    /// The reader was assigned a partition, or sought in it: order begins anew.
    Assigned {
        /// Partition.
        partition: i32,
        /// When, CLOCK_MONOTONIC.
        at_ns: u64,
        /// Where it reads from.
        offset: i64,
    },
    /// One answer for one partition, also one without records.
    Poll(Poll<'a>),
    /// The reader was asked to stop, and did: nothing follows.
    Ended {
        /// When, CLOCK_MONOTONIC.
        at_ns: u64,
    },
}

/// What one answer held of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Poll<'a> {
    /// Partition.
    pub partition: i32,
    /// When the application got it, CLOCK_MONOTONIC.
    pub at_ns: u64,
    /// The reader's position behind it.
    pub next_offset: i64,
    /// As the broker told in this answer; -1 = not known.
    pub high_watermark: i64,
    /// As the broker told in this answer; -1 = not known.
    pub last_stable_offset: i64,
    /// In the order in which the application got them. Control records are never among them.
    pub records: &'a [LogRecord],
}

/// A reader's observations in memory: the judge takes them as it takes a file.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Whose.
    pub header: Header,
    seen: Vec<Stored>,
    records: Vec<LogRecord>,
}

#[derive(Debug, Clone, Copy)]
struct Stored {
    seen: Seen<'static>,
    records: usize,
}

impl Isolation {
    /// Kafka's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Isolation::ReadUncommitted => "read_uncommitted",
            Isolation::ReadCommitted => "read_committed",
        }
    }
}

impl Recorded {
    /// No observations yet.
    pub fn new(header: Header) -> Recorded {
        Recorded {
            header,
            seen: Vec::new(),
            records: Vec::new(),
        }
    }

    /// As [`Writer::assigned`].
    pub fn assigned(&mut self, partition: i32, at_ns: u64, offset: i64) {
        let seen = Seen::Assigned {
            partition,
            at_ns,
            offset,
        };
        self.seen.push(Stored { seen, records: 0 });
    }

    /// As [`Writer::finish`].
    pub fn ended(&mut self, at_ns: u64) {
        let seen = Seen::Ended { at_ns };
        self.seen.push(Stored { seen, records: 0 });
    }

    /// As [`Writer::poll`].
    pub fn poll(&mut self, poll: &Poll<'_>) {
        let seen = Seen::Poll(Poll {
            partition: poll.partition,
            at_ns: poll.at_ns,
            next_offset: poll.next_offset,
            high_watermark: poll.high_watermark,
            last_stable_offset: poll.last_stable_offset,
            records: &[],
        });
        let records = poll.records.len();
        self.seen.push(Stored { seen, records });
        self.records.extend_from_slice(poll.records);
    }

    /// The observations from the begin.
    pub fn replay(&self) -> Replay<'_> {
        Replay {
            seen: &self.seen,
            records: &self.records,
        }
    }
}

/// The observations of a [`Recorded`], in order.
#[derive(Debug, Clone)]
pub struct Replay<'a> {
    seen: &'a [Stored],
    records: &'a [LogRecord],
}

impl<'a> Iterator for Replay<'a> {
    type Item = Seen<'a>;

    fn next(&mut self) -> Option<Seen<'a>> {
        let (stored, seen) = self.seen.split_first()?;
        let (own, records) = self.records.split_at(stored.records);
        (self.seen, self.records) = (seen, records);
        Some(match stored.seen {
            Seen::Poll(poll) => Seen::Poll(Poll { records: own, ..poll }),
            bare @ (Seen::Assigned { .. } | Seen::Ended { .. }) => bare,
        })
    }
}

#[cfg(test)]
mod tests;
