//! steadfast-producer: the reference Kafka producer, a pure core and a thin single-threaded shell.
//!
//! ```text
//!   application ─► Producer (a thread of its own) ─┐
//!                                                  ├─► Driver (epoll, sockets) ─► Sender (pure core)
//!   caller with a thread to give ──────────────────┘
//! ```
//!
//! The modules below stand in reading order: a record's way to the broker, then its acknowledgement's way back.

// Settings: Kafka's names, parsed once into a type that cannot be wrong.
pub mod config;

// What goes in and what comes out: a record, its outcome.
pub mod record;

// Records that readers see all together or not at all: states, outcomes, errors.
pub mod transaction;

// The rules of all this by name, so that each can be broken on purpose.
pub mod rules;

// Why a record is not taken, and why the producer can do no more.
pub mod error;

// Which partition a record goes to: murmur2 of its key, or a sticky choice.
pub mod partitioner;

// Where records gather, and the bounded memory they take.
mod accumulator;

// Records encoded at append into the bytes that go to the socket; sealed once, then immutable.
pub mod record_batch;

// gzip, snappy, lz4, zstd, framed as Kafka's own clients read them.
pub mod compression;

// A batch that is too large for its topic, in two or more.
pub mod batch_split;

// The core: when what is sent where, under which number, and what became of it.
pub mod sender;

// Batches of several partitions in one request, written by one writev without a copy.
pub mod produce_request;

// The answer, read by hand out of bytes that may be nonsense.
pub mod produce_response;

// What each error code means: written or not, and what to do next. One table.
pub mod reaction;

// Kafka's variable-length integers.
pub mod varint;

// For applications: a handle with a thread of its own, and a ticket per record.
pub mod producer;
pub mod ticket;

// Counters under the Java client's names.
pub mod metrics;

// The shell: one thread, one epoll, its sockets, names looked up aside, clocks.
pub mod clock;
mod connection;
pub mod driver;
mod resolver;
mod wake;
