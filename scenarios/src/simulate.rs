//! `steadfast simulate`: the producer that ships, the simulated cluster, a network and a clock in one deterministic
//! world. One number replays it.
//!
//! ```text
//! seed ─▶ plan (faults) ─┐                     frames, cut and late
//! seed ─▶ swarm (knobs) ─┴─▶ world:  client(s) ◀────── network ──────▶ model of the cluster
//!                                      │ histories                        │ logs
//!                                      └───────────▶ judge ◀──────────────┘ ─▶ anomalies by name
//! ```
//!
//! First a phase of faults, in which nothing may be lost, doubled or reordered; then everything is healed, and the rest
//! must drain within a bound. The world is pure: no socket, clock or thread is in it. Only [`campaign`] has threads, to
//! run many seeds, and its command reads the clock to tell how fast that was.

pub(crate) mod class; // what some worlds have and others do not
pub(crate) mod design; // what all worlds of a campaign have in common
pub(crate) mod file; // the same from a scenario file
pub(crate) mod random; // the only source of chance
pub(crate) mod swarm; // what differs from seed to seed
pub(crate) mod plan; // which faults, when
mod companions; // and which with them
mod network; // bytes on their way
mod client; // a producer and whoever uses it
mod transactions; // the same with transactional.id
mod reader; // who reads meanwhile
mod copier; // who reads and writes what it read
mod topics; // the topic deleted, made again, grown
pub(crate) mod world; // all of it, event by event
mod faults; // a plan carried out
mod evidence; // what is left behind, as the judge wants it
mod trace; // what one world did, line by line
mod outcome; // what became of a world
pub(crate) mod shrink; // a failure with fewer faults and records
pub(crate) mod campaign; // many seeds
pub(crate) mod summary; // for people and for programs
#[cfg(steadfast_mutants)]
pub(crate) mod mutants; // rules broken on purpose

#[cfg(test)]
mod tests;

/// Nanoseconds in a millisecond.
pub(crate) const MS: u64 = 1_000_000;
/// Nanoseconds in a second.
pub(crate) const SECOND: u64 = 1_000 * MS;
/// The topic that is written to, and judged.
pub(crate) const TOPIC: &str = "orders";
/// In worlds with a copier, the topic that it copies from.
pub(crate) const SOURCE: &str = "source";
/// The copier's group.
pub(crate) const GROUP: &str = "copiers";
