//! What can go wrong at the producer's own door, each telling the caller what to do next.
//!
//! What goes wrong later, on the way to the broker, is no error here but the [`Outcome`](crate::record::Outcome)
//! of a batch.

use thiserror::Error;

/// Why a record was not taken. The record is still the caller's: nothing of it was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AppendError {
    /// Back-pressure: `buffer.memory` is in use. Take another turn, then append again.
    #[error("buffer.memory is in use; append again after a turn")]
    BufferFull,
    /// Partitions of the topic are not known yet. Take another turn, then append again.
    #[error("the topic's partitions are not known yet; append again after a turn")]
    MetadataPending,
    /// More than `max.request.size` or the topic's `max.message.bytes` allow: permanent for this record.
    #[error("the record needs {size} bytes, more than the {limit} that max.request.size and the topic allow")]
    TooLarge {
        /// Encoded size as a batch of its own.
        size: usize,
        /// The limit it broke.
        limit: usize,
    },
    /// The record names a partition that the topic does not have: permanent.
    #[error("partition {partition} does not exist; the topic has {partitions}")]
    NoSuchPartition {
        /// Asked for.
        partition: i32,
        /// How many there are.
        partitions: i32,
    },
    /// Its date is more than 12 hours ago: permanent, but for transactions. Brokers forget a producer by the dates of its
    /// records (`producer.id.expiration.ms`), so if the answer were lost, sending it again could write it twice.
    #[error(
        "the record is dated {timestamp_ms} ms since 1970, more than 12 hours ago: a broker would forget it was written and \
         might write it twice; give it the present time (the old one in a header), or set transactional.id"
    )]
    TooOld {
        /// The record's.
        timestamp_ms: i64,
    },
    /// The partition was stopped, because going on could lose or double records; see the metrics and the log.
    #[error("the partition was stopped after error {code}: going on could lose or double records")]
    PartitionStopped {
        /// Kafka's error code that stopped it.
        code: i16,
    },
    /// With `transactional.id` records are taken only within a transaction: call `begin_transaction` first.
    #[error("no transaction is open; call begin_transaction first")]
    NoTransaction,
    /// The transaction failed: call `abort_transaction`, then begin again from the source.
    #[error("the transaction failed with error {code}: call abort_transaction")]
    TransactionFailed {
        /// Kafka's error code.
        code: i16,
    },
    /// The producer was closed, or stopped by a fatal error.
    #[error("the producer is closed")]
    Closed,
}

impl AppendError {
    /// Whether the same record may be taken later.
    #[must_use]
    pub fn is_retriable(self) -> bool {
        matches!(self, AppendError::BufferFull | AppendError::MetadataPending)
    }
}

/// The producer can do no more. Outcomes of everything appended are still to be had from `close`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fatal {
    /// The cluster refuses this client for good: authorization, authentication, or a newer owner of its producer id.
    #[error("the cluster refused this client with error {code} ({name})")]
    Refused {
        /// Kafka's error code.
        code: i16,
        /// Its name.
        name: String,
    },
    /// Another producer with the same `transactional.id` has taken over, or the coordinator ended a transaction that
    /// took longer than `transaction.timeout.ms` (a commit that comes too late is answered with 48). This instance must stop, or two would fence each other for ever.
    #[error(
        "fenced with error {code} ({}): another producer has this transactional.id now, \
         or a transaction took longer than transaction.timeout.ms",
        error_name(*code)
    )]
    Fenced {
        /// Kafka's error code.
        code: i16,
    },
    /// `transaction.timeout.ms` is more than the broker allows.
    #[error(
        "transaction.timeout.ms = {timeout_ms} is above the broker's transaction.max.timeout.ms: lower it"
    )]
    TransactionTimeout {
        /// What was asked for.
        timeout_ms: i32,
    },
    /// A broker speaks no version of an API that this producer can use.
    #[error("{address} speaks no usable version of {api} (this producer: {ours}, the broker: {theirs})")]
    Unsupported {
        /// `host:port`.
        address: String,
        /// Name of the API.
        api: &'static str,
        /// Version range of this producer.
        ours: String,
        /// Version range of the broker.
        theirs: String,
    },
    /// The operating system refused something that the producer cannot do without.
    #[error("{what}: {reason}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's words.
        reason: String,
    },
    /// [`Driver::ready`](crate::driver::Driver::ready) reached its deadline, or learned that it never will be ready.
    #[error("not ready: {reason}")]
    NotReady {
        /// What is missing and the last thing that went wrong.
        reason: String,
    },
}

/// Kafka's name of an error code, for messages.
#[must_use]
pub fn error_name(code: i16) -> String {
    match kafka_protocol::error::ResponseError::try_from_code(code) {
        None => "None".to_owned(),
        Some(error) => format!("{error:?}"),
    }
}
