//! librdkafka as a [`Client`]: records in, delivery reports out. All but the reports runs in the generator's thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use peer_harness::Failure;
use peer_harness::clock::monotonic_ns;
use peer_harness::completions::Completions;
use peer_harness::pipeline::{Client, Sent};
use rdkafka::Message;
use rdkafka::bindings::{rd_kafka_message_status, rd_kafka_msg_status_t};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use steadfast_loadgen::generator::GeneratedRecord;
use steadfast_verifier::history::Outcome;
use steadfast_verifier::workload::Workload;

/// One question about the topic; asked again until the bound.
const ASK: Duration = Duration::from_secs(1);

/// Kafka's codes for what librdkafka decides by itself.
const UNKNOWN_SERVER_ERROR: i16 = -1;
const REQUEST_TIMED_OUT: i16 = 7;
const MESSAGE_TOO_LARGE: i16 = 10;
const DUPLICATE_SEQUENCE_NUMBER: i16 = 46;

/// A producer whose `send` never waits.
pub(crate) struct Librdkafka {
    producer: ThreadedProducer<Answers>,
    topic: String,
}

impl Librdkafka {
    /// Starts librdkafka's threads and waits until it knows the topic.
    pub(crate) fn connect(
        workload: &Workload,
        config: &ClientConfig,
        completions: Arc<Completions>,
        ready_bound_ns: u64,
    ) -> Result<Librdkafka, Failure> {
        let not_ready = |error: &KafkaError| Failure::NotReady {
            servers: workload.bootstrap_servers.join(","),
            reason: error.to_string(),
        };
        let answers = Answers {
            completions,
            said: AtomicBool::new(false),
        };
        let producer: ThreadedProducer<Answers> = config
            .create_with_context(answers)
            .map_err(|error| not_ready(&error))?;
        let found = loop {
            match producer.client().fetch_metadata(Some(&workload.topic), ASK) {
                Ok(metadata) => {
                    break metadata
                        .topics()
                        .iter()
                        .map(|topic| topic.partitions().len())
                        .sum();
                }
                Err(error) if monotonic_ns() >= ready_bound_ns => return Err(not_ready(&error)),
                Err(_) => {}
            }
        };
        if found != workload.partitions as usize {
            return Err(Failure::Partitions {
                topic: workload.topic.clone(),
                expected: workload.partitions,
                found,
            });
        }
        Ok(Librdkafka {
            producer,
            topic: workload.topic.clone(),
        })
    }
}

impl Client for Librdkafka {
    fn try_send(&mut self, made: &GeneratedRecord<'_>) -> Sent {
        // An index fits a pointer on the 64-bit machines that this runs on, so nothing is allocated for it.
        let mut record: BaseRecord<'_, [u8], [u8], usize> =
            BaseRecord::with_opaque_to(&self.topic, made.index as usize).payload(made.value);
        record.key = made.key;
        record.partition = made.partition;
        if !made.headers.is_empty() {
            let mut headers = OwnedHeaders::new_with_capacity(made.headers.len());
            for header in made.headers {
                headers = headers.insert(Header {
                    key: header.key,
                    value: header.value,
                });
            }
            record.headers = Some(headers);
        }
        match self.producer.send(record) {
            Ok(()) => Sent::Taken,
            Err((error, _)) => match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::QueueFull) => Sent::NoRoom,
                code => Sent::Refused(code.map_or(UNKNOWN_SERVER_ERROR, kafkas)),
            },
        }
    }

    fn close(self) {
        // The crate purges what is left, and reports it, when the producer goes.
        drop(self.producer);
    }
}

/// Called back in the polling thread.
struct Answers {
    completions: Arc<Completions>,
    /// The first failure is told in words.
    said: AtomicBool,
}

impl ProducerContext for Answers {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        let index = index as u64;
        match result {
            Ok(message) if message.offset() >= 0 => {
                self.completions
                    .acked(index, message.partition(), message.offset(), 0);
            }
            // A duplicate of what an earlier request had brought: the broker does not know its place any more.
            Ok(message) => {
                self.completions
                    .acked(index, message.partition(), -1, DUPLICATE_SEQUENCE_NUMBER);
            }
            Err((error, message)) => {
                let code = error.rdkafka_error_code().map_or(UNKNOWN_SERVER_ERROR, kafkas);
                self.completions
                    .failed(index, message.partition(), outcome(message), code);
                if !self.said.swap(true, Ordering::Relaxed) {
                    eprintln!("record {index}, the first that failed: {error}");
                }
            }
        }
    }
}

impl ClientContext for Answers {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        // Nothing milder than a warning comes here: see `set_log_level`.
        eprintln!("{facility}: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        eprintln!("{error}: {reason}");
    }
}

/// What librdkafka knows about a message that failed.
#[expect(
    unsafe_code,
    reason = "the crate has no safe way to ask for the persistence status"
)]
fn outcome(message: &BorrowedMessage<'_>) -> Outcome {
    // SAFETY: the message lives as long as the delivery report that lends it, and the call reads one field of it.
    let status = unsafe { rd_kafka_message_status(message.ptr()) };
    match status {
        rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED => Outcome::NotWritten,
        rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED
        | rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_PERSISTED => Outcome::Unknown,
    }
}

/// Kafka's code: librdkafka numbers its own errors below -1.
fn kafkas(code: RDKafkaErrorCode) -> i16 {
    match code {
        RDKafkaErrorCode::MessageTimedOut => REQUEST_TIMED_OUT,
        RDKafkaErrorCode::MessageSizeTooLarge => MESSAGE_TOO_LARGE,
        code => i16::try_from(code as i32)
            .ok()
            .filter(|&code| code >= UNKNOWN_SERVER_ERROR)
            .unwrap_or(UNKNOWN_SERVER_ERROR),
    }
}
