//! Tiny hand-written runs: one for each anomaly and each harness cause, and clean ones that raise nothing.

mod alone;
mod anomalies;
mod causes;
mod dossiers;
mod oracle;
pub(crate) mod fixture;
mod folder;
mod limits;
mod liveness;
mod matrix;
mod memory;
mod planted;
mod planted_transactions;
mod readers;
mod recovered;
mod steady;
mod transactions;
mod watched;
mod world;

pub(super) use fixture::workload;
