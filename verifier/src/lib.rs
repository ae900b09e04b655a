//! The judge. Plain formats first (what the other parts write down), then the reader of the log, then judgement.
//!
//! ```text
//! loadgen ── history/*.bin ─┐
//! chaos ──── faults.jsonl ──┤
//! runner ─── samples.jsonl ─┼──▶ judge ──▶ verdict.json, measurements.json, latency.hlog ──▶ reports
//! reader ─── log/, seal.json┘
//! ```
//!
//! It trusts no code of `producer`: what it knows of the log it read itself.

// ---- formats: what the parts of a run tell each other -------------------------------------------------
pub mod workload; // what a subject is asked to do
pub mod timeline; // faults.jsonl, samples.jsonl: what happened when
pub mod environment; // environment.json: where it happened
pub mod expectations; // what the scenario claims, already parsed
pub mod verdict; // verdict.json
pub mod measurements; // measurements.json: series and curves for the report
