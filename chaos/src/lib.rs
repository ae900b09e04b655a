//! What may go wrong on the way: clusters of real brokers, managed processes, faults with evidence, and their healing.
//!
//! Reading order: [`process`] (children that never outlive the runner), [`journal`] and [`heal`] (what SIGKILL leaves),
//! [`cluster`] (brokers), [`fault`] and [`nemesis`] (what is done to them and when), [`sample`] (what they cost).

pub mod clock;
pub mod heal;
pub mod journal;
pub mod process;
pub mod procstat;
