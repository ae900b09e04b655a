//! The producer for applications: a handle that any thread may use, around one thread with a [`Driver`].
//!
//! ```text
//!   send ─► queue (bounded in records and bytes) ─► thread: append, turn, completions ─► tickets
//!      wakes the thread only if it sleeps             flush and close go through the same queue
//! ```
//!
//! ```no_run
//! use std::collections::BTreeMap;
//! use std::time::Duration;
//! use steadfast_producer::config::ProducerConfig;
//! use steadfast_producer::producer::{Producer, ProducerRecord};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let properties = BTreeMap::from([
//!     ("bootstrap.servers".to_owned(), "127.0.0.1:9092".to_owned()),
//!     ("linger.ms".to_owned(), "0.2".to_owned()),
//! ]);
//! let config = ProducerConfig::from_properties(&properties).map_err(|errors| errors[0].to_string())?;
//! let producer = Producer::new(&config)?;
//! let ticket = producer.send(ProducerRecord::new("orders", "hello"))?;
//! println!("written to {:?}", ticket.wait()?);
//! producer.close(Duration::from_secs(30))?;
//! # Ok(())
//! # }
//! ```
//!
//! With `transactional.id`, records go between [`begin_transaction`](Producer::begin_transaction) and
//! [`commit_transaction`](Producer::commit_transaction), and readers see all of them or none (KIP-98, KIP-890):
//!
//! ```no_run
//! # use std::time::Duration;
//! # use steadfast_producer::producer::{Producer, ProducerRecord};
//! # use steadfast_producer::transaction::TransactionEvent;
//! # fn copy(producer: &Producer) -> Result<(), Box<dyn std::error::Error>> {
//! let patience = Duration::from_secs(60);
//! producer.init_transactions(patience)?; // once
//! producer.begin_transaction()?;
//! producer.send(ProducerRecord::new("orders", "hello"))?;
//! match producer.commit_transaction(patience)? {
//!     TransactionEvent::Committed { .. } => {}
//!     TransactionEvent::Aborted { code, .. } => println!("aborted ({code}): begin again from the source"),
//!     other => println!("look into the log before going on: {other:?}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A caller that has a thread to give and counts microseconds uses the [`Driver`] itself.

mod queue;
mod transactions;
mod worker;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use thiserror::Error;

use self::queue::{Command, Queue, Queued};
use crate::clock::{monotonic_ns, wall_ms};
use crate::config::ProducerConfig;
use crate::driver::Driver;
use crate::error::Fatal;
use crate::metrics::Metrics;
use crate::ticket::{DeliveryError, Slot, Ticket};

/// How long a producer that is dropped without `close` still flushes.
const DROP_GRACE: Duration = Duration::from_secs(5);

/// A record with its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProducerRecord {
    /// Topic name.
    pub topic: String,
    /// A partition, or `None`: by key, sticky without a key.
    pub partition: Option<i32>,
    /// Key bytes; `None` is Kafka's null key.
    pub key: Option<Vec<u8>>,
    /// Value bytes; `None` is Kafka's null value (a tombstone).
    pub value: Option<Vec<u8>>,
    /// Headers in order; keys may repeat.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Milliseconds since the epoch; `None` = now. Outside of transactions at most 12 hours ago.
    pub timestamp_ms: Option<i64>,
}

impl ProducerRecord {
    /// A record of a value alone.
    pub fn new(topic: impl Into<String>, value: impl Into<Vec<u8>>) -> ProducerRecord {
        ProducerRecord {
            topic: topic.into(),
            value: Some(value.into()),
            ..ProducerRecord::default()
        }
    }

    /// What it takes in the queue, about.
    fn bytes(&self) -> usize {
        let headers = self
            .headers
            .iter()
            .map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len) + 48);
        let fields = self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len);
        self.topic.len() + fields + headers.sum::<usize>() + 128
    }
}

/// Why a record was not taken. It was not kept; the caller still has it to give again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SendError {
    /// The queue had no room: at once (`try_send`) or for `max.block.ms` (`send`). Try again later.
    #[error("the producer's queue is full")]
    QueueFull,
    /// The producer is closed.
    #[error("the producer is closed")]
    Closed,
    /// The producer stopped for good.
    #[error(transparent)]
    Stopped(#[from] Fatal),
}

/// A Kafka producer. Share it by reference or in an `Arc`.
pub struct Producer {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
    max_block_ns: u64,
}

impl Producer {
    /// Starts the producer's thread. Connecting happens there; a cluster that cannot be reached shows in the
    /// outcomes of records, after `max.block.ms`.
    pub fn new(config: &ProducerConfig) -> Result<Producer, Fatal> {
        let driver = Driver::new(config)?;
        let queue = Arc::new(Queue::new(config.buffer_memory, driver.waker()));
        let (for_thread, max_block_ns) = (Arc::clone(&queue), config.max_block_ns);
        let thread = std::thread::Builder::new()
            .name("steadfast-producer".to_owned())
            .spawn(move || worker::run(driver, &for_thread, max_block_ns))
            .map_err(|error| Fatal::System {
                what: "cannot start the producer's thread",
                reason: error.to_string(),
            })?;
        Ok(Producer {
            queue,
            thread: Mutex::new(Some(thread)),
            max_block_ns,
        })
    }

    /// Hands a record over, waiting up to `max.block.ms` for room in the queue. The ticket tells its outcome.
    pub fn send(&self, record: ProducerRecord) -> Result<Ticket, SendError> {
        self.push(record, self.max_block_ns)
    }

    /// Hands a record over if there is room now.
    pub fn try_send(&self, record: ProducerRecord) -> Result<Ticket, SendError> {
        self.push(record, 0)
    }

    /// Sends everything taken so far without linger, and waits until each record has its outcome. Records sent by
    /// others meanwhile are not waited for. False if `timeout` passed first.
    pub fn flush(&self, timeout: Duration) -> Result<bool, SendError> {
        let (slot, ticket) = Slot::new();
        self.queue.push(Command::Flush(slot), 0, 0)?;
        Ok(ticket.wait_timeout(timeout).is_some())
    }

    /// Flushes up to `timeout`, then ends what is left (its tickets say how) and stops the thread. Lost is nothing:
    /// every ticket has an outcome afterwards.
    pub fn close(&self, timeout: Duration) -> Result<(), SendError> {
        let asked = self.queue.push(Command::Close(after(timeout)), 0, 0);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            let what = "the producer's thread panicked";
            return Err(Fatal::System {
                what,
                reason: "see standard error".to_owned(),
            }
            .into());
        }
        match self.queue.fatal() {
            Some(fatal) => Err(fatal.into()),
            None if asked == Err(SendError::Closed) => Ok(()), // closed before
            None => asked,
        }
    }

    /// Counters, as of the thread's last turn.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.queue.metrics()
    }

    fn push(&self, mut record: ProducerRecord, wait_ns: u64) -> Result<Ticket, SendError> {
        record.timestamp_ms.get_or_insert_with(wall_ms);
        let bytes = record.bytes();
        let (slot, ticket) = Slot::new();
        let queued = Queued {
            record,
            bytes,
            slot,
            taken_ns: monotonic_ns(),
        };
        self.queue
            .push(Command::Record(Box::new(queued)), bytes, wait_ns)?;
        Ok(ticket)
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // An error has been told to whoever held tickets; nobody is left to tell it to.
        let _ = self.close(DROP_GRACE);
    }
}

fn after(timeout: Duration) -> u64 {
    monotonic_ns().saturating_add(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX))
}

const fn not_written(code: i16) -> DeliveryError {
    DeliveryError::NotWritten { code }
}
