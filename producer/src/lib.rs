//! steadfast-producer: the reference Kafka producer, a pure core and a thin single-threaded shell.
//!
//! The modules below stand in reading order: a record's way to the broker, then its acknowledgement's way back.

// Settings: Kafka's names, parsed once into a type that cannot be wrong.
pub mod config;

// Which partition a record goes to: murmur2 of its key, or a sticky choice.
pub mod partitioner;

// Records encoded at append into the bytes that go to the socket; sealed once, then immutable.
pub mod record_batch;

// gzip, snappy, lz4, zstd, framed as Kafka's own clients read them.
pub mod compression;

// A batch that is too large for its topic, in two or more.
pub mod batch_split;

// Batches of several partitions in one request, written by one writev without a copy.
pub mod produce_request;

// The answer, read by hand out of bytes that may be nonsense.
pub mod produce_response;

// What each error code means: written or not, and what to do next. One table.
pub mod reaction;

// Kafka's variable-length integers.
pub mod varint;
