//! Tiny hand-written runs: one for each anomaly and each harness cause, and clean ones that raise nothing.

mod anomalies;
mod causes;
mod fixture;
mod folder;
mod limits;
mod planted;
mod steady;

pub(super) use fixture::workload;
