//! What an error code in a Produce answer means: was the batch written, and what to do next. One table.
//!
//! The first question decides the second. A batch ends in one of three ways, ACKED, NOT_WRITTEN or UNKNOWN (A7),
//! and UNKNOWN is sticky: a later answer that says "not written" speaks of the later attempt only, see
//! [`Written::then`]. A code that is not in [`TABLE`] may mean anything: unknown, stop the partition, report the raw
//! code. Codes that only answer reads (78, 88) are left out for that reason.
//!
//! Sources: Kafka's `Errors`, `Sender`, `TransactionManager`; KIP-360, KIP-588, KIP-890, KIP-951; measurements
//! named M1 to M17 in the contract that this project keeps.

/// Is the batch in the partition's log?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Written {
    /// This attempt left nothing in the log.
    No,
    /// It is in the log and acknowledged.
    Yes,
    /// It may be in the log, now or later, or may be lost with a leader.
    Unknown,
}

impl Written {
    /// What is known of a batch after one more attempt with outcome `next`: only an acknowledgement resolves
    /// UNKNOWN, and nothing takes an acknowledgement back (A7).
    #[must_use]
    pub fn then(self, next: Written) -> Written {
        match (self, next) {
            (Written::Yes, _) | (_, Written::Yes) => Written::Yes,
            (Written::Unknown, _) | (_, Written::Unknown) => Written::Unknown,
            (Written::No, Written::No) => Written::No,
        }
    }
}

/// What the producer does with a batch, and with what stands behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reaction {
    /// Acknowledged with its offset.
    Done,
    /// Acknowledged, but the broker no longer knows the offset.
    DoneWithoutOffset,
    /// Send the same bytes again after the backoff, never give up silently.
    Retry,
    /// As `Retry`, with the short backoff of a transaction whose markers are still being written (20 ms).
    RetrySoon,
    /// Refresh metadata (or take the leader hint, A19), then send the same bytes again.
    RefreshAndRetry,
    /// Send the same bytes once more; the same answer again means memory or wire damages data: stop the partition.
    RetryOnceThenStop,
    /// Split it, the pieces keep the sequence range; a single record is rejected (A12).
    Split,
    /// Reject this batch for good, let the rest of the partition settle, renumber what is NOT_WRITTEN (A13).
    RejectBatch,
    /// As `RejectBatch`; the refusal may be lifted, so look again on the metadata schedule.
    RejectAndRecheck,
    /// A gap: wait for the batch in front, or probe newest-first if this one is in front (A9 to A11). Never bump.
    ResolveSequence,
    /// Stop the partition, keep its data, report the raw code.
    StopPartition,
    /// Stop the whole client, keep its data, raise an alarm.
    StopClient,
    /// Find the coordinator, then send again; batches in flight stay.
    FindCoordinator,
    /// Abort the transaction, begin a new one.
    Abort,
    /// Abort the transaction, then `InitProducerId` again.
    AbortAndReinit,
    /// The coordinator has forgotten the id: no EndTxn, `InitProducerId` again, then read the position.
    ReinitWithoutEnd,
    /// This instance must stop: a newer owner exists, or state is beyond repair (B6).
    Fatal,
}

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// The code on the wire.
    pub code: i16,
    /// Kafka's name for it, as in its `Errors`.
    pub name: &'static str,
    /// Whether this attempt left the batch in the log.
    pub written: Written,
    /// Without a transaction.
    pub idempotent: Reaction,
    /// In a transaction.
    pub transactional: Reaction,
    /// Why, in a few words.
    pub doc: &'static str,
}

impl Meaning {
    /// The reaction for a batch with or without a transaction.
    #[inline]
    #[must_use]
    pub fn reaction(&self, transactional: bool) -> Reaction {
        if transactional {
            self.transactional
        } else {
            self.idempotent
        }
    }
}

/// The meaning of `code` in a Produce answer. A code not in the table keeps its number in `code`.
#[must_use]
pub fn classify(code: i16) -> Meaning {
    if code == 0 {
        return TABLE[0];
    }
    let listed = TABLE.iter().find(|meaning| meaning.code == code);
    listed.copied().unwrap_or(Meaning {
        code,
        name: "not listed",
        written: Written::Unknown,
        idempotent: Reaction::StopPartition,
        transactional: Reaction::Fatal,
        doc: "not a code that this producer knows: nothing may be assumed",
    })
}

/// The meaning of an attempt that got no answer: connection lost, or `request.timeout.ms` passed, after which the
/// connection is closed. Reported under the number that Kafka's Java client gives to both, NETWORK_EXCEPTION.
pub const NO_ANSWER: Meaning = Meaning {
    code: 13,
    name: "NO_ANSWER",
    written: Written::Unknown,
    idempotent: Reaction::Retry,
    transactional: Reaction::Retry,
    doc: "bytes may have left: only the same bytes again can tell",
};

/// Every code with a meaning of its own, most usual first.
#[rustfmt::skip]
pub const TABLE: &[Meaning] = &{
    use Reaction as R;
    use Written::{No, Unknown, Yes};
    [
        row(0, "NONE", Yes, R::Done, R::Done, "appended on every in-sync replica"),
        row(6, "NOT_LEADER_OR_FOLLOWER", Unknown, R::RefreshAndRetry, R::RefreshAndRetry, LATE),
        row(3, "UNKNOWN_TOPIC_OR_PARTITION", Unknown, R::RefreshAndRetry, R::RefreshAndRetry, MOVED),
        row(5, "LEADER_NOT_AVAILABLE", No, R::RefreshAndRetry, R::RefreshAndRetry, MOVED),
        row(74, "FENCED_LEADER_EPOCH", No, R::RefreshAndRetry, R::RefreshAndRetry, MOVED),
        row(100, "UNKNOWN_TOPIC_ID", No, R::RefreshAndRetry, R::RefreshAndRetry, MOVED),
        row(103, "INCONSISTENT_TOPIC_ID", No, R::RefreshAndRetry, R::RefreshAndRetry, MOVED),
        row(7, "REQUEST_TIMED_OUT", Unknown, R::Retry, R::Retry, "appended, replicas slow; on the deadline abort"),
        row(13, "NETWORK_EXCEPTION", Unknown, R::Retry, R::Retry, "the broker lost a connection of its own"),
        row(-1, "UNKNOWN_SERVER_ERROR", Unknown, R::Retry, R::Retry, "anything may have happened"),
        row(19, "NOT_ENOUGH_REPLICAS", No, R::Retry, R::Retry, "refused before the append; may hide a coordinator's error (B9)"),
        row(20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", Unknown, R::Retry, R::Retry, "on the leader, not yet safe"),
        row(56, "KAFKA_STORAGE_ERROR", Unknown, R::RefreshAndRetry, R::RefreshAndRetry, "the disk failed during or before the append"),
        row(2, "CORRUPT_MESSAGE", No, R::RetryOnceThenStop, R::Abort, "the CRC did not match: wire or memory"),
        row(10, "MESSAGE_TOO_LARGE", No, R::Split, R::Split, "above max.message.bytes of the topic"),
        row(17, "INVALID_TOPIC_EXCEPTION", No, R::RejectBatch, R::Abort, "no such topic can exist"),
        row(18, "RECORD_LIST_TOO_LARGE", No, R::RejectBatch, R::Abort, "larger than a segment"),
        row(21, "INVALID_REQUIRED_ACKS", No, R::RejectBatch, R::Abort, "acks is not -1, 0, 1"),
        row(32, "INVALID_TIMESTAMP", No, R::RejectBatch, R::Abort, "outside the topic's timestamp limits"),
        row(43, "UNSUPPORTED_FOR_MESSAGE_FORMAT", No, R::RejectBatch, R::Abort, "the topic keeps an old format"),
        row(44, "POLICY_VIOLATION", No, R::RejectBatch, R::Abort, "a policy of the cluster refuses it"),
        row(76, "UNSUPPORTED_COMPRESSION_TYPE", No, R::RejectBatch, R::Abort, "zstd below Produce v7"),
        row(87, "INVALID_RECORD", No, R::RejectBatch, R::Abort, "a record broke the topic's rules (KIP-467)"),
        row(29, "TOPIC_AUTHORIZATION_FAILED", No, R::RejectAndRecheck, R::Abort, "no Write on the topic"),
        row(31, "CLUSTER_AUTHORIZATION_FAILED", No, R::StopClient, R::Fatal, "no IdempotentWrite on the cluster"),
        row(53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", No, R::StopClient, R::Fatal, "no Write on the id"),
        row(58, "SASL_AUTHENTICATION_FAILED", No, R::StopClient, R::Fatal, "credentials refused"),
        row(45, "OUT_OF_ORDER_SEQUENCE_NUMBER", No, R::ResolveSequence, R::Abort, "a gap, or older than the broker remembers (M2, M5)"),
        row(46, "DUPLICATE_SEQUENCE_NUMBER", Yes, R::DoneWithoutOffset, R::DoneWithoutOffset, "old brokers only: written before"),
        row(59, "UNKNOWN_PRODUCER_ID", No, R::ResolveSequence, R::AbortAndReinit, "old brokers only: expired; read back before probing"),
        row(47, "INVALID_PRODUCER_EPOCH", No, R::StopPartition, R::Abort, "a newer owner exists; with TV2 or a pair fatal (B6)"),
        row(48, "INVALID_TXN_STATE", No, R::StopPartition, R::Fatal, "plain and transactional mixed (B10): a bug"),
        row(49, "INVALID_PRODUCER_ID_MAPPING", No, R::StopPartition, R::ReinitWithoutEnd, "the id expired or its pid rotated"),
        row(51, "CONCURRENT_TRANSACTIONS", No, R::StopPartition, R::RetrySoon, "markers of the last transaction in progress (B8)"),
        row(90, "PRODUCER_FENCED", No, R::StopPartition, R::Fatal, "a newer owner exists"),
        row(120, "TRANSACTION_ABORTABLE", No, R::StopPartition, R::Abort, "abort and go on (KIP-890)"),
        row(14, "COORDINATOR_LOAD_IN_PROGRESS", No, R::StopPartition, R::FindCoordinator, COORDINATOR),
        row(15, "COORDINATOR_NOT_AVAILABLE", No, R::StopPartition, R::FindCoordinator, COORDINATOR),
        row(16, "NOT_COORDINATOR", No, R::StopPartition, R::FindCoordinator, COORDINATOR),
        row(35, "UNSUPPORTED_VERSION", Unknown, R::StopPartition, R::Fatal, "the broker did not read the request"),
        row(42, "INVALID_REQUEST", Unknown, R::StopPartition, R::Fatal, "the broker did not understand the request"),
    ]
};

/// Found by simulation: a Produce that has been appended and waits for its replicas is answered with 6, or with 3, when
/// leadership is taken from its broker (`DelayedProduce`, case A). The next leader may have the batch.
const LATE: &str = "the leader moved; perhaps after the append, while replicas were waited for";
const MOVED: &str = "moved, deleted or not known yet; may be a gap in metadata only (A15)";
const COORDINATOR: &str = "the transaction coordinator moved";

/// The table as Markdown, for the documentation.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "| code | name | written | idempotent | transactional | meaning |\n|---|---|---|---|---|---|\n",
    );
    for row in TABLE {
        let Meaning {
            code,
            name,
            written,
            idempotent,
            transactional,
            doc,
        } = row;
        text.push_str(&format!(
            "| {code} | {name} | {written:?} | {idempotent:?} | {transactional:?} | {doc} |\n"
        ));
    }
    let Meaning {
        written,
        idempotent,
        transactional,
        doc,
        ..
    } = classify(i16::MAX);
    text.push_str(&format!(
        "| other | | {written:?} | {idempotent:?} | {transactional:?} | {doc} |\n"
    ));
    text
}

const fn row(
    code: i16,
    name: &'static str,
    written: Written,
    idempotent: Reaction,
    transactional: Reaction,
    doc: &'static str,
) -> Meaning {
    Meaning {
        code,
        name,
        written,
        idempotent,
        transactional,
        doc,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::ResponseError;

    #[test]
    fn every_code_stands_once_under_kafkas_own_name() {
        for (index, row) in TABLE.iter().enumerate() {
            assert!(
                TABLE[..index].iter().all(|earlier| earlier.code != row.code),
                "{} twice",
                row.code
            );
            assert_eq!(classify(row.code), *row);
            if let Some(theirs) = ResponseError::try_from_code(row.code) {
                let spelled = |name: &str| name.replace('_', "").to_lowercase();
                assert_eq!(spelled(row.name), spelled(&format!("{theirs:?}")), "{}", row.code);
            }
        }
    }

    #[test]
    fn a_code_not_listed_is_unknown_and_keeps_its_number() {
        for code in (i16::MIN..=i16::MAX).filter(|code| TABLE.iter().all(|row| row.code != *code)) {
            let meaning = classify(code);
            assert_eq!((meaning.code, meaning.written), (code, Written::Unknown));
            assert_eq!(
                (meaning.idempotent, meaning.transactional),
                (Reaction::StopPartition, Reaction::Fatal)
            );
        }
    }

    #[test]
    fn unknown_codes_of_rule_a7_are_unknown_and_never_rejected() {
        for code in [7, 13, 20, 56, -1, 35, 42, 6, 3] {
            let meaning = classify(code);
            assert_eq!(meaning.written, Written::Unknown, "{code}");
            for reaction in [meaning.idempotent, meaning.transactional] {
                assert!(
                    !matches!(
                        reaction,
                        Reaction::RejectBatch | Reaction::RejectAndRecheck | Reaction::Split
                    ),
                    "{code} must never give up an UNKNOWN batch"
                );
            }
        }
    }

    #[test]
    fn only_an_acknowledgement_resolves_unknown() {
        use Written::{No, Unknown, Yes};
        assert_eq!(Unknown.then(No), Unknown);
        assert_eq!(Unknown.then(Yes), Yes);
        assert_eq!(No.then(Unknown), Unknown);
        assert_eq!(No.then(No), No);
        assert_eq!(Yes.then(No), Yes);
    }

    #[test]
    fn the_printed_table_has_a_line_for_each_code_and_one_for_the_rest() {
        assert_eq!(markdown().lines().count(), TABLE.len() + 3);
    }
}
