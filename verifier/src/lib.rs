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
pub mod environment; // environment.json: where it happened
pub mod expectations; // what the scenario claims, already parsed
pub mod frame; // what both binary formats are cut into
pub mod history; // history/*.bin: what the subject says it did
pub mod log; // log/*.bin: what the reader read
pub mod measurements;
pub mod seal; // seal.json: whether that is all there will ever be
pub mod stamp; // the 16 bytes that make the log alone judgeable
pub mod timeline; // faults.jsonl, samples.jsonl: what happened when
mod varint; // and written with
pub mod verdict; // verdict.json
pub mod workload; // what a subject is asked to do // measurements.json: series and curves for the report

// ---- judgement ----------------------------------------------------------------------------------------
pub mod judge; // run folder in; verdict.json, measurements.json, latency.hlog out
