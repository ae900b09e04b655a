//! krafka as a [`Client`]: records in, acknowledgements out.
//!
//! `enqueue` is a future that is ready at once while there is room and the topic is known, so the generator's thread polls
//! it and nobody waits. Where it is not ready, it is kept and polled again: so it gets its turn for room, or its answer
//! about the topic, and the record keeps its place. Outcomes come from the hook that krafka calls for each record with
//! what was said at its hand-over: the counterpart of a callback.

use std::cell::Cell;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use krafka::error::{ErrorCode, KrafkaError};
use krafka::interceptor::{InterceptorResult, ProducerInterceptor, RecordContext};
use krafka::producer::{DeliveryHandle, Producer, RecordMetadata};
use krafka::{CloseOptions, Record};
use peer_harness::Failure;
use peer_harness::clock::monotonic_ns;
use peer_harness::completions::Completions;
use peer_harness::pipeline::{Client, Sent};
use steadfast_loadgen::generator::GeneratedRecord;
use steadfast_producer::reaction::{Reaction, classify};
use steadfast_verifier::history::Outcome;
use steadfast_verifier::workload::Workload;
use tokio::runtime::{Builder, Runtime};

use crate::settings::Settings;

/// What it may take for its end.
const CLOSE_BOUND: Duration = Duration::from_secs(1);

/// Kafka's codes for what krafka decides by itself.
const UNKNOWN_SERVER_ERROR: i16 = -1;
const REQUEST_TIMED_OUT: i16 = 7;
const NETWORK_EXCEPTION: i16 = 13;
const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
const DUPLICATE_SEQUENCE_NUMBER: i16 = 46;
const PRODUCER_FENCED: i16 = 90;

type Enqueue = Pin<Box<dyn Future<Output = krafka::Result<DeliveryHandle>>>>;

thread_local! {
    /// The record that this thread hands over just now: krafka asks for it, and tells of it, in the same thread.
    static HANDED_OVER: Cell<Option<u64>> = const { Cell::new(None) };
}

/// A producer on a runtime of its own.
pub(crate) struct Krafka {
    runtime: Runtime,
    producer: Arc<Producer>,
    topic: String,
    /// The hand-over that found no room.
    waiting: Option<Enqueue>,
}

impl Krafka {
    /// Connects, gets a producer id, and learns of the topic.
    pub(crate) fn connect(
        workload: &Workload,
        settings: &Settings,
        completions: Arc<Completions>,
        ready_bound_ns: u64,
    ) -> Result<Krafka, Failure> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("krafka")
            .enable_all()
            .build()
            .map_err(Failure::System)?;
        let not_ready = |reason: String| Failure::NotReady {
            servers: workload.bootstrap_servers.join(","),
            reason,
        };
        let answers = Answers {
            completions,
            said: AtomicBool::new(false),
        };
        let connecting = async {
            let kafka = settings.kafka().connect().await?;
            let producer = settings
                .producer(kafka.producer())
                .interceptor(answers)
                .build()
                .await?;
            let found = producer.partitions_for(&workload.topic).await?.len();
            Ok::<_, KrafkaError>((producer, found))
        };
        let left = Duration::from_nanos(ready_bound_ns.saturating_sub(monotonic_ns()));
        let connected = runtime.block_on(async { tokio::time::timeout(left, connecting).await });
        let (producer, found) = connected
            .map_err(|_| not_ready("it took too long".to_owned()))?
            .map_err(|error| not_ready(error.to_string()))?;
        if found != workload.partitions as usize {
            return Err(Failure::Partitions {
                topic: workload.topic.clone(),
                expected: workload.partitions,
                found,
            });
        }
        Ok(Krafka {
            runtime,
            producer: Arc::new(producer),
            topic: workload.topic.clone(),
            waiting: None,
        })
    }

    fn record(&self, made: &GeneratedRecord<'_>) -> Record {
        let mut record = Record::new(self.topic.clone(), Bytes::copy_from_slice(made.value));
        record.partition = made.partition;
        record.key = made.key.map(Bytes::copy_from_slice);
        let headers = made.headers.iter();
        record.headers = headers
            .map(|header| (header.key.to_owned(), header.value.map(Bytes::copy_from_slice)))
            .collect();
        record
    }

    /// Polls the hand-over of a record once; keeps it if it is not ready.
    fn hand_over(&mut self, made: &GeneratedRecord<'_>) -> Poll<krafka::Result<DeliveryHandle>> {
        // Its timers belong to a runtime.
        let _entered = self.runtime.enter();
        let mut context = Context::from_waker(Waker::noop());
        if let Some(waiting) = &mut self.waiting {
            let polled = waiting.as_mut().poll(&mut context);
            if polled.is_ready() {
                self.waiting = None;
            }
            return polled;
        }
        let record = self.record(made);
        let again = record.clone();
        let polled = pin!(self.producer.enqueue(record)).poll(&mut context);
        if polled.is_pending() {
            // That one is dropped, with nothing queued; the same again where it can stay.
            let producer = Arc::clone(&self.producer);
            let mut waiting: Enqueue = Box::pin(async move { producer.enqueue(again).await });
            let polled = waiting.as_mut().poll(&mut context);
            if polled.is_pending() {
                self.waiting = Some(waiting);
            }
            return polled;
        }
        polled
    }
}

impl Client for Krafka {
    fn try_send(&mut self, made: &GeneratedRecord<'_>) -> Sent {
        HANDED_OVER.set(Some(made.index));
        let polled = self.hand_over(made);
        HANDED_OVER.set(None);
        match polled {
            // The hook tells the outcome; the handle would tell it a second time.
            Poll::Ready(Ok(_)) => Sent::Taken,
            Poll::Pending | Poll::Ready(Err(KrafkaError::Timeout { .. })) => Sent::NoRoom,
            Poll::Ready(Err(error)) => Sent::Refused(code(&error)),
        }
    }

    fn close(self) {
        // Its record is held, and told by whoever holds it.
        HANDED_OVER.set(Some(u64::MAX));
        drop(self.waiting);
        HANDED_OVER.set(None);
        let closing = self.producer.close_with(CloseOptions::new().timeout(CLOSE_BOUND));
        if let Err(error) = self.runtime.block_on(closing) {
            eprintln!("{error}");
        }
        self.runtime.shutdown_timeout(CLOSE_BOUND);
    }
}

/// Called by krafka: at the hand-over in the generator's thread, with the outcome on its own worker.
#[derive(Debug)]
struct Answers {
    completions: Arc<Completions>,
    /// The first failure is told in words.
    said: AtomicBool,
}

/// What travels with a record through krafka.
struct Index(u64);

impl ProducerInterceptor for Answers {
    fn on_send(&self, _record: &mut Record, context: &mut RecordContext) -> InterceptorResult {
        if let Some(index) = HANDED_OVER.get() {
            context.insert(Index(index));
        }
        Ok(())
    }

    fn on_acknowledgement(
        &self,
        _topic: &str,
        partition: i32,
        result: Result<&RecordMetadata, &KrafkaError>,
        _headers: &krafka::Headers,
        context: &mut RecordContext,
    ) -> InterceptorResult {
        // A hand-over that comes to nothing is told here too: `try_send` knows it already.
        let Some(Index(index)) = context.take::<Index>().filter(|_| HANDED_OVER.get().is_none()) else {
            return Ok(());
        };
        match result {
            Ok(metadata) if metadata.offset >= 0 => {
                self.completions
                    .acked(index, metadata.partition, metadata.offset, 0);
            }
            Ok(metadata) => {
                self.completions
                    .acked(index, metadata.partition, -1, DUPLICATE_SEQUENCE_NUMBER);
            }
            Err(error) => {
                self.completions
                    .failed(index, partition, outcome(error), code(error));
                if !self.said.swap(true, Ordering::Relaxed) {
                    eprintln!("record {index}, the first that failed: {error}");
                }
            }
        }
        Ok(())
    }
}

/// Not written is what never left, and what the broker refused for what it is; krafka does not tell whether an earlier
/// request with the same batch met other rules. All else may have been written.
fn outcome(error: &KrafkaError) -> Outcome {
    let refused = match error {
        KrafkaError::DeliveryTimeout { possibly_written, .. } => !possibly_written,
        KrafkaError::Config { .. } | KrafkaError::Compression { .. } => true,
        KrafkaError::Broker { code, .. } => matches!(
            classify(code.to_i16()).idempotent,
            Reaction::RejectBatch | Reaction::RejectAndRecheck | Reaction::Split
        ),
        _ => false,
    };
    if refused {
        Outcome::NotWritten
    } else {
        Outcome::Unknown
    }
}

/// Kafka's code of an error.
fn code(error: &KrafkaError) -> i16 {
    match error {
        KrafkaError::Broker { code, .. } => code.to_i16(),
        KrafkaError::DeliveryTimeout { .. } | KrafkaError::Timeout { .. } => REQUEST_TIMED_OUT,
        KrafkaError::Network(_) => NETWORK_EXCEPTION,
        KrafkaError::OutOfOrderSequence { .. } => OUT_OF_ORDER_SEQUENCE_NUMBER,
        KrafkaError::Fenced { .. } => PRODUCER_FENCED,
        KrafkaError::UnknownTopic { .. } => ErrorCode::UnknownTopicOrPartition.to_i16(),
        _ => UNKNOWN_SERVER_ERROR,
    }
}
