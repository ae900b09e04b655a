//! steadfast-producer
