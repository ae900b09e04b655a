//! Where a record is born: an open-loop schedule, a generator whose bytes follow from the seed, and the worker process
//! around them.
//!
//! ```text
//! Workload ──▶ schedule ──▶ generator ──▶ history.handed_over ──▶ producer ──▶ history.completed
//!              when          what          (before the client)                  + live progress
//! ```

pub mod generator; // what each record carries
mod keys; // ... of it, key and per-key sequence
mod poisson; // ... of them, the exponential gaps
mod load; // one load from the first due record to the last outcome
mod waking; // ... of it, when to wake and when to hand over
mod live; // ... and what it can tell while it runs
mod random;
pub mod worker; // the process: clocks, history, producer, progress
pub mod schedule; // when each record is due // numbers that follow from (seed, stream, index)
