//! The table: what comes back, and what follows from it, with and without a transaction (kafka-contract, section 4).

/// What comes back for the batch that is hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hit {
    /// This error code.
    Code(i16),
    /// Nothing: the connection is cut.
    Cut,
    /// Nothing at all.
    Silence,
}

/// Who is writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Idempotent,
    /// In a transaction under this level of `transaction.version`.
    Transaction(i16),
}

impl Mode {
    pub(super) const ALL: [Mode; 3] = [Mode::Idempotent, Mode::Transaction(0), Mode::Transaction(2)];
}

/// Head, middle and last of five batches in flight.
pub(super) const PLACES: [usize; 3] = [0, 2, LAST];
pub(super) const LAST: usize = 4;

/// Is the batch that is hit in the log?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// No.
    NotWritten,
    /// This sending wrote it.
    Written,
    /// An earlier one did, whose answer was lost with its connection, and those of all behind it.
    WrittenBefore,
}

pub(super) const STATES: [State; 3] = [State::NotWritten, State::Written, State::WrittenBefore];

/// What follows without a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plain {
    /// Acknowledged.
    Done,
    /// The same bytes again, until acknowledged.
    Again,
    /// Never again; what is behind moves up (A13).
    Rejected,
    /// In smaller batches under the same numbers; one that may be written is as `Rejected` (A12).
    Pieces,
    /// Newest first, if there is more than one to ask about, else the partition stops (A9 to A11).
    Probed,
    /// The partition stops; this sending wrote nothing.
    Stops,
    /// The partition stops; anything may be written.
    StopsUnknown,
    /// The client stops and keeps its data.
    ClientStops,
}

/// What follows in a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    Done,
    Again,
    Pieces,
    /// It is aborted, and the next one begins; this sending wrote nothing.
    Aborted,
    /// The same with InitProducerId in any case, before or instead of an EndTxn.
    AbortedAnew,
    /// This instance is at its end; this sending wrote nothing.
    Fatal,
    /// The same; anything may be written.
    FatalUnknown,
}

/// One line.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) hit: Hit,
    pub(super) name: &'static str,
    /// What a broker that answers so may have done.
    pub(super) states: &'static [State],
    pub(super) plain: Plain,
    /// Under version 1 and 2.
    pub(super) within: [Within; 2],
}

impl Row {
    pub(super) fn code(&self) -> Option<i16> {
        match self.hit {
            Hit::Code(code) => Some(code),
            Hit::Cut | Hit::Silence => None,
        }
    }
}

/// This sending wrote nothing, whatever an earlier one did.
const NO: &[State] = &[State::NotWritten, State::WrittenBefore];
/// Nobody knows.
const PERHAPS: &[State] = &[State::NotWritten, State::Written, State::WrittenBefore];
/// It is in the log.
const YES: &[State] = &[State::Written, State::WrittenBefore];
const BEFORE: &[State] = &[State::WrittenBefore];

#[rustfmt::skip]
pub(super) const TABLE: &[Row] = &[
    row(0, "NONE", YES, Plain::Done, Within::Done),
    row(-1, "UNKNOWN_SERVER_ERROR", PERHAPS, Plain::Again, Within::Again),
    row(2, "CORRUPT_MESSAGE", NO, Plain::Again, Within::Aborted),
    row(3, "UNKNOWN_TOPIC_OR_PARTITION", PERHAPS, Plain::Again, Within::Again),
    row(5, "LEADER_NOT_AVAILABLE", NO, Plain::Again, Within::Again),
    row(6, "NOT_LEADER_OR_FOLLOWER", PERHAPS, Plain::Again, Within::Again),
    row(7, "REQUEST_TIMED_OUT", PERHAPS, Plain::Again, Within::Again),
    row(10, "MESSAGE_TOO_LARGE", NO, Plain::Pieces, Within::Pieces),
    row(13, "NETWORK_EXCEPTION", PERHAPS, Plain::Again, Within::Again),
    row(14, "COORDINATOR_LOAD_IN_PROGRESS", NO, Plain::Stops, Within::Again),
    row(15, "COORDINATOR_NOT_AVAILABLE", NO, Plain::Stops, Within::Again),
    row(16, "NOT_COORDINATOR", NO, Plain::Stops, Within::Again),
    row(17, "INVALID_TOPIC_EXCEPTION", NO, Plain::Rejected, Within::Aborted),
    row(18, "RECORD_LIST_TOO_LARGE", NO, Plain::Rejected, Within::Aborted),
    row(19, "NOT_ENOUGH_REPLICAS", NO, Plain::Again, Within::Again),
    row(20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", PERHAPS, Plain::Again, Within::Again),
    row(21, "INVALID_REQUIRED_ACKS", NO, Plain::Rejected, Within::Aborted),
    row(29, "TOPIC_AUTHORIZATION_FAILED", NO, Plain::Rejected, Within::Aborted),
    row(31, "CLUSTER_AUTHORIZATION_FAILED", NO, Plain::ClientStops, Within::Fatal),
    row(32, "INVALID_TIMESTAMP", NO, Plain::Rejected, Within::Aborted),
    row(35, "UNSUPPORTED_VERSION", PERHAPS, Plain::StopsUnknown, Within::FatalUnknown),
    row(42, "INVALID_REQUEST", PERHAPS, Plain::StopsUnknown, Within::FatalUnknown),
    row(43, "UNSUPPORTED_FOR_MESSAGE_FORMAT", NO, Plain::Rejected, Within::Aborted),
    row(44, "POLICY_VIOLATION", NO, Plain::Rejected, Within::Aborted),
    row(45, "OUT_OF_ORDER_SEQUENCE_NUMBER", NO, Plain::Probed, Within::Aborted),
    row(46, "DUPLICATE_SEQUENCE_NUMBER", BEFORE, Plain::Done, Within::Done),
    row(47, "INVALID_PRODUCER_EPOCH", NO, Plain::Stops, Within::Aborted),
    row(48, "INVALID_TXN_STATE", NO, Plain::Stops, Within::Fatal),
    row(49, "INVALID_PRODUCER_ID_MAPPING", NO, Plain::Stops, Within::AbortedAnew),
    row(51, "CONCURRENT_TRANSACTIONS", NO, Plain::Stops, Within::Again),
    row(53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", NO, Plain::ClientStops, Within::Fatal),
    row(56, "KAFKA_STORAGE_ERROR", PERHAPS, Plain::Again, Within::Again),
    row(58, "SASL_AUTHENTICATION_FAILED", NO, Plain::ClientStops, Within::Fatal),
    row(59, "UNKNOWN_PRODUCER_ID", NO, Plain::Probed, Within::AbortedAnew),
    row(74, "FENCED_LEADER_EPOCH", NO, Plain::Again, Within::Again),
    row(76, "UNSUPPORTED_COMPRESSION_TYPE", NO, Plain::Rejected, Within::Aborted),
    row(78, "OFFSET_NOT_AVAILABLE", PERHAPS, Plain::StopsUnknown, Within::FatalUnknown),
    row(87, "INVALID_RECORD", NO, Plain::Rejected, Within::Aborted),
    row(88, "UNSTABLE_OFFSET_COMMIT", PERHAPS, Plain::StopsUnknown, Within::FatalUnknown),
    row(90, "PRODUCER_FENCED", NO, Plain::Stops, Within::Fatal),
    row(100, "UNKNOWN_TOPIC_ID", NO, Plain::Again, Within::Again),
    row(103, "INCONSISTENT_TOPIC_ID", NO, Plain::Again, Within::Again),
    row(120, "TRANSACTION_ABORTABLE", NO, Plain::Stops, Within::Aborted),
    row(999, "a code of the future", PERHAPS, Plain::StopsUnknown, Within::FatalUnknown),
    row(i16::MIN, "a code that cannot be", PERHAPS, Plain::StopsUnknown, Within::FatalUnknown),
    lost(Hit::Cut, "no answer: connection cut", PERHAPS),
    lost(Hit::Silence, "no answer within request.timeout.ms", YES),
];

const fn row(code: i16, name: &'static str, states: &'static [State], plain: Plain, within: Within) -> Row {
    Row {
        hit: Hit::Code(code),
        name,
        states,
        plain,
        within: [within, within],
    }
}

const fn lost(hit: Hit, name: &'static str, states: &'static [State]) -> Row {
    Row {
        hit,
        name,
        states,
        plain: Plain::Again,
        within: [Within::Again, Within::Again],
    }
}
