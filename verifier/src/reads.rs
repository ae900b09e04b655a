//! What concurrent readers saw during the run: one file each, `reads/<reader>.bin`; in memory the same.
//!
//! ```text
//! file     = "STFREAD1" · 8 zeros · frame(header) · frame(entry) · ...               frames: see frame.rs
//! entry    = kind (1 byte) · fields as varints (varint.rs)
//!   0 header      JSON of Header
//!   1 assigned    partition, ns, offset that is read from: its order begins anew here
//!   2 poll        partition, ns, next offset, high watermark, last stable offset, count, records as in log/block.rs
//! ```
//! A reader that is killed leaves a torn tail, which is cut: what it saw before counts. An observation can only
//! accuse; that nothing was observed proves nothing.

mod file;

use serde::{Deserialize, Serialize};

use crate::log::LogRecord;

pub use file::{Reader, Writer};

/// Records of one poll at most; a longer one is written as several.
pub const MAX_RECORDS_PER_POLL: usize = 65_536;

/// What a reader asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// Everything below the high watermark.
    ReadUncommitted,
    /// Nothing of a transaction that is open or aborted.
    ReadCommitted,
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
            assigned @ Seen::Assigned { .. } => assigned,
        })
    }
}

#[cfg(test)]
mod tests;
