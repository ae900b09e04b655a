//! What may go wrong on the way: clusters of real brokers, managed processes, faults with evidence, and their healing.
//!
//! Reading order: [`process`] (children that never outlive the runner), [`journal`] and [`heal`] (what SIGKILL leaves),
//! [`cluster`] (brokers), [`toxiproxy`] and [`wire_proxy`] (links), [`client`] (whom they serve), [`fault`] and [`nemesis`] (what is done to them and when), [`sample`] (what they cost).

pub mod client;
pub mod clock;
pub mod cluster;
pub mod error;
pub mod fault;
pub mod heal;
pub mod journal;
pub mod nemesis;
pub mod process;
pub mod procstat;
pub mod sample;
pub mod sockets;
pub mod toxic;
pub mod toxiproxy;
pub mod wire_proxy;

pub use error::ChaosError;
