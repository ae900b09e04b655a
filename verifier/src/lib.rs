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
pub mod stamp; // the 16 bytes that make the log alone judgeable
pub mod history; // history/*.bin: what the subject says it did
pub mod timeline; // faults.jsonl, samples.jsonl: what happened when
pub mod log; // log/*.bin: what the reader read
pub mod reads; // reads/*.bin: what readers saw during the run
pub mod seal; // seal.json: whether that is all there will ever be
pub mod frame; // what both binary formats are cut into
pub mod oracle; // oracle.json: what Kafka's own tools read
mod varint; // and what their numbers look like
pub mod environment; // environment.json: where it happened
pub mod expectations; // what the scenario claims, already parsed
pub mod provable; // what a kind of cluster can never prove
pub mod verdict; // verdict.json
pub mod dossier; // dossiers.json: the way of each record that an anomaly names
pub mod log_verdict; // what a log shows without a history
pub mod measurements; // measurements.json: series and curves for the report
pub mod comparison; // comparison.json: several producers side by side
pub mod sweep; // sweep.json: what it costs as a setting grows

// ---- the reader: from the cluster to log/ and seal.json -----------------------------------------------
pub mod reader; // every record of the topic, and whether that is all

// ---- judgement ----------------------------------------------------------------------------------------
pub mod judge; // run folder in; verdict.json, measurements.json, latency.hlog out
