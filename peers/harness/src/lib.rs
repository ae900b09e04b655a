//! What is alike in all subjects written in Rust (docs/subject.md): the order, the schedule, the records, the history, the
//! lines of progress. A peer adds its client and nothing else.
//!
//! ```text
//! --workload FILE ─▶ order ─▶ run ───── handed over ─────▶ history ◀───── outcomes ───┐
//!                              │ load: when, how far                                  │
//!                              └─▶ pipeline ─▶ Client (librdkafka, krafka) ─▶ completions ─▶ batches
//!                  or its own loop (floor): send, wait for the answers
//! ```
//!
//! The modules below stand in reading order.

// Why a subject could not do its work, or refuses it.
mod failure;

// What is asked: the command line and the workload.
mod order;

// The workload's producer properties, checked, and which of them were asked for.
pub mod settings;

// Clocks and a sleep that ends when it should.
pub mod clock;

// The shell around the load generator's own `Load`: history, progress, signals.
pub mod run;

// What became of records, from the client's callbacks to the generator; of it: which belong to one batch.
pub mod completions;

// The loop of a client that calls back.
pub mod pipeline;

pub use failure::Failure;
pub use order::main;
