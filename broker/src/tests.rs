//! The model through its outside, as a client meets it.

mod facts; // M1 to M17, as measured on Kafka 4.1.0
mod faults; // elections, pauses, lost tails, moved coordinators
mod reading; // Fetch, ListOffsets, Metadata
mod storm; // random faults, then quiet
mod serving; // hooks, quotas, bad frames, order on a connection
mod versions; // every API at every version
mod writing; // Produce's error table, purgatory
