//! steadfast-chaos
