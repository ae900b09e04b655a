//! What goes in and what comes out: a record, and the one outcome of each batch of records.
//!
//! Outcomes are three and no fourth (contract A7): the log has it, the log does not have it, nobody knows.

pub use crate::record_batch::Header;

/// A topic that a [`Driver`](crate::driver::Driver) or [`Sender`](crate::sender::Sender) was told about.
/// Only meaningful for the one that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicHandle(pub(crate) u32);

impl TopicHandle {
    /// Topics are numbered in the order of registration, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One record to write. Nothing is kept of it after `append`: its bytes are encoded into the batch at once.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Where to.
    pub topic: TopicHandle,
    /// A partition, or `None`: murmur2 of the key as Kafka's Java client, sticky without a key (KIP-794).
    pub partition: Option<i32>,
    /// Key bytes; `None` is Kafka's null key.
    pub key: Option<&'a [u8]>,
    /// Value bytes; `None` is Kafka's null value, the tombstone of a compacted topic.
    pub value: Option<&'a [u8]>,
    /// Headers in order; keys may repeat.
    pub headers: &'a [Header<'a>],
    /// Milliseconds since the epoch (CreateTime). Outside of transactions at most 12 hours ago.
    pub timestamp_ms: i64,
}

/// What is known about a batch when the producer is done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All in-sync replicas have it.
    Acked,
    /// The log does not have it and never will: it may be sent again without a duplicate.
    NotWritten,
    /// It may or may not be in the log, now or later. Sending it again may duplicate it. With UNKNOWN_PRODUCER_ID (59) it
    /// has waited until it was too old to be asked about again: brokers forget a producer by the dates of its records.
    Unknown,
}

/// The outcome of one batch. Every appended record is in exactly one completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completion<'a> {
    /// Topic of the batch.
    pub topic: TopicHandle,
    /// Partition of the batch.
    pub partition: i32,
    /// What became of it.
    pub outcome: Outcome,
    /// Offset of the first record; the others follow without gaps. -1 where the broker did not say: not acked,
    /// or proven written only by the acknowledgement of a later batch (contract A8, A11).
    pub base_offset: i64,
    /// Kafka's error code; 0 when acked, or 46 (DUPLICATE_SEQUENCE_NUMBER) when acked without an offset. A local
    /// time-out is 7 (REQUEST_TIMED_OUT), as in the Java client.
    pub error_code: i16,
    /// Producer id under which the batch was last sent; -1 if it never left.
    pub producer_id: i64,
    /// Producer epoch under which it was last sent; -1 if it never left.
    pub producer_epoch: i16,
    /// Sequence of its first record; -1 if it never left.
    pub base_sequence: i32,
    /// Number of the transaction that it belongs to; 0 without `transactional.id`.
    pub transaction: u64,
    /// CLOCK_MONOTONIC of the read that brought the outcome (or of the decision that there will be none).
    pub ack_ns: u64,
    /// Node that it was last sent to; -1 if it never left.
    pub broker: i32,
    /// Correlation id of the request that it was last sent in, on that node's connection of then; -1 if it never left.
    pub correlation_id: i32,
    /// The tokens given to `append`, in order of the records.
    pub tokens: &'a [u64],
}
