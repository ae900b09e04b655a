//! Kafka's wire, seen by parts that trust nobody.
//!
//! ```text
//! request ──▶ connection ── socket ──▶ broker
//!                                         │
//! response ◀── kafka-protocol ◀── guard ◀─┘      every count and length is checked before anything is allocated
//! ```
//!
//! `producer` takes the guard alone; `verifier` and `chaos` take the small blocking connection too. What is *not*
//! here: Produce with records (the producer has its own, hand-written), record batches (the verifier has its own
//! reader), retries over leader changes (each caller's own business).

pub mod guard; // is it safe to decode these bytes?
mod shapes; // what each response looks like
mod request_shapes; // and each request

#[cfg(feature = "client")]
pub mod admin; // topics, leaders, offsets, producers, settings
#[cfg(feature = "client")]
pub mod connection; // one request, one answer, a deadline on every wait

pub use kafka_protocol;
