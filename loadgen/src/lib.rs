//! steadfast-loadgen
