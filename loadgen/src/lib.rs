//! Where a record is born: an open-loop schedule, a generator whose bytes follow from the seed, and the worker process
//! around them.
//!
//! ```text
//! Workload ──▶ schedule ──▶ generator ──▶ history.handed_over ──▶ producer ──▶ history.completed
//!              when          what          (before the client)                  + live progress
//! ```

// The process: clocks, history, producer, progress.
pub mod worker;

// One load, from its first due record to its last outcome; of it: when to wake, and what it can tell while it runs.
// Subjects with another client (peers/) share these.
pub mod load;

pub mod waking;

mod live;

// Which transaction records go into, and when it ends.
mod transactions;

// Instead of it: records copied from another topic, exactly once.
mod copy;

pub use copy::COPY_CLIENT_ID;

// When each record is due; of it: the exponential gaps.
pub mod schedule;

mod poisson;

// What each record carries; of it: key and per-key sequence.
pub mod generator;

mod keys;

// Numbers that follow from (seed, stream, index).
mod random;

// Schedule, generator, load and the producer's core together, by events in virtual time.
#[cfg(test)]
mod virtual_time_tests;
