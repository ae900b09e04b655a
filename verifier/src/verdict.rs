//! `verdict.json`, schema `steadfast/verdict/1`: what the run proved, for machines and for the report.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::reads::Isolation;
use crate::timeline::Fault;

/// The schema name that every verdict carries.
pub const SCHEMA: &str = "steadfast/verdict/1";

/// The whole document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// Always `steadfast/verdict/1`.
    pub schema: String,
    /// Scenario name, e.g. `latency/steady-25k`.
    pub scenario: String,
    /// Its title.
    pub title: String,
    /// Seed that replays schedule, payload and faults.
    pub seed: u64,
    /// Who was judged.
    pub subject: String,
    /// The cluster.
    pub broker: Broker,
    /// The run as a whole.
    pub verdict: Outcome,
    /// What `steadfast` exits with.
    pub exit_code: u8,
    /// Delivery claims.
    pub claims: Vec<ClaimVerdict>,
    /// Thresholds.
    pub thresholds: Vec<ThresholdVerdict>,
    /// Harness causes (H1-H6) and broken checks: each voids what rests on it.
    pub inconclusive: Vec<Inconclusive>,
    /// Counts of records.
    pub records: Records,
    /// What concurrent readers got; empty without any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readers: Vec<ReaderVerdict>,
    /// Anomalies by id; every id that was checked is present, with 0 if none was found.
    pub anomalies: BTreeMap<String, u64>,
    /// The first few of each anomaly, for people.
    pub examples: Vec<Example>,
    /// Faults and what shows that they bit.
    pub faults: Vec<Fault>,
    /// Per phase.
    pub latency_ns: BTreeMap<String, PhaseLatency>,
    /// CPU and memory, `steady`.
    pub resources: Resources,
    /// The machine in brief.
    pub environment: EnvironmentBrief,
}

/// The published JSON Schema of the document, draft-07 (what editors and validators know). A committed copy stands in
/// `verifier/verdict.schema.json`.
pub fn json_schema() -> serde_json::Value {
    let generator = schemars::generate::SchemaSettings::draft07().into_generator();
    let mut schema = generator.into_root_schema_for::<Verdict>();
    schema.insert("$id".to_owned(), SCHEMA.into());
    schema.insert("title".to_owned(), SCHEMA.into());
    schema.to_value()
}

/// The cluster that the verdict speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Broker {
    /// `kafka`, `docker`, `simulated`, `external`.
    pub kind: String,
    /// Version.
    pub version: String,
    /// Nodes.
    pub nodes: u32,
    /// Why this kind.
    pub reason: String,
}

/// Three outcomes; unknown is not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Every claim and threshold holds, on evidence.
    Pass,
    /// Neither shown nor refuted.
    Inconclusive,
    /// Refuted.
    Fail,
}

/// One delivery claim.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimVerdict {
    /// `lost`, `duplicated`, `reordered-per-key`, `reordered-in-time`, `reordered-for-readers`, `torn`, `corrupted`,
    /// `recovered`; `oracle` where Kafka's own tools were asked.
    pub id: String,
    /// Highest number allowed.
    pub limit: u64,
    /// Number found.
    pub observed: u64,
    /// Number of acknowledged records that the claim speaks of: a zero proves no more than so many.
    pub sample: u64,
    /// Anomaly ids that were really checked.
    pub checked: Vec<String>,
    /// Outcome.
    pub verdict: Outcome,
    /// Why, when it is not a plain pass or fail.
    pub reason: Option<String>,
    /// Of `recovered`: each of its limits, and how close the run came to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitVerdict>,
}

/// One limit of `recovered`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LimitVerdict {
    /// Its key in the scenario file: `gap`, `within`, `backlog`.
    pub key: String,
    /// What was measured, in words.
    pub what: String,
    /// Limit.
    pub limit_ns: u64,
    /// The longest seen; none when it could not be judged.
    pub observed_ns: Option<u64>,
    /// Anomaly ids that are found beyond it.
    pub checked: Vec<String>,
    /// Outcome.
    pub verdict: Outcome,
}

/// One threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ThresholdVerdict {
    /// Metric.
    pub metric: String,
    /// Phase the figure is of.
    pub phase: String,
    /// As in the file.
    pub expression: String,
    /// Figure; none when there was nothing to measure.
    pub observed: Option<f64>,
    /// Limit, same unit.
    pub limit: f64,
    /// `ns`, `per_s`, `ratio`, `percent`, `bytes`.
    pub unit: String,
    /// Outcome.
    pub verdict: Outcome,
    /// Why, when it is not a plain pass or fail.
    pub reason: Option<String>,
}

/// A reason why something is neither shown nor refuted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inconclusive {
    /// `H1` to `H6`, `steady-state` for probes that did not hold, or `check` for a check that broke.
    pub id: String,
    /// Phase, where it belongs to one.
    pub phase: Option<String>,
    /// A sentence.
    pub reason: String,
}

/// Counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Records {
    /// Due by the schedule.
    pub intended: u64,
    /// Handed over to the client.
    pub sent: u64,
    /// Acknowledged.
    pub acked: u64,
    /// Provably not written.
    pub not_written: u64,
    /// May or may not be in the log.
    pub unknown: u64,
    /// Read back from the sealed log.
    pub read: u64,
}

/// What one concurrent reader got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReaderVerdict {
    /// Name.
    pub reader: String,
    /// `isolation.level`.
    pub isolation: Isolation,
    /// Answers with records.
    pub answers: u64,
    /// Records in them.
    pub records: u64,
    /// Records that it should have got and that stand behind the place where it ended.
    pub behind: u64,
    /// It ended when it was asked to; else it died, and this is what it saw before.
    pub ended: bool,
}

/// One anomaly, told to a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Example {
    /// Anomaly id.
    pub id: String,
    /// Record id as `worker:index`, where there is one.
    pub record: Option<String>,
    /// What was expected and what was found.
    pub detail: String,
}

/// Latency of one phase.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseLatency {
    /// Acknowledgement minus intended.
    pub ack_latency: Percentiles,
    /// Acknowledgement minus hand-over.
    pub service_time: Percentiles,
    /// Hand-over minus intended.
    pub schedule_lag: Percentiles,
    /// Arrival at a reader minus intended, every reader counts; none without readers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visible_latency: Option<Percentiles>,
}

/// Percentiles in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Percentiles {
    /// Median.
    pub p50: u64,
    /// 90 %.
    pub p90: u64,
    /// 99 %.
    pub p99: u64,
    /// 99.9 %.
    #[serde(rename = "p99.9")]
    pub p99_9: u64,
    /// 99.99 %.
    #[serde(rename = "p99.99")]
    pub p99_99: u64,
    /// Largest.
    pub max: u64,
    /// Number of records.
    pub count: u64,
}

/// CPU and memory of client and broker in phase `steady`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resources {
    /// µs of CPU per acknowledged record.
    pub client_cpu_us_per_record: f64,
    /// µs of CPU per acknowledged record.
    pub broker_cpu_us_per_record: f64,
    /// % of a core.
    pub client_cpu_percent_of_core: f64,
    /// % of a core.
    pub broker_cpu_percent_of_core: f64,
    /// Peak resident set.
    pub client_rss_peak_bytes: u64,
    /// Peak resident set, all brokers together.
    pub broker_rss_peak_bytes: u64,
}

/// The machine in brief; `environment.json` has all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentBrief {
    /// Cores.
    pub cores: u32,
    /// Kernel release.
    pub kernel: String,
    /// Memory.
    pub memory_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever changes the verdict changes what others read: the copy shows it in review.
    /// `STEADFAST_WRITE_SCHEMA=1 cargo test -p steadfast-verifier published_schema` writes it anew.
    #[test]
    fn published_schema_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/verdict.schema.json");
        let current = format!("{:#}\n", json_schema());
        if std::env::var_os("STEADFAST_WRITE_SCHEMA").is_some() {
            std::fs::write(path, &current).unwrap();
        }
        let published = std::fs::read_to_string(path).unwrap();
        let schema = json_schema();
        // Compared as values: the order of keys depends on what else is built.
        let published: serde_json::Value = serde_json::from_str(&published).unwrap();
        assert!(published == schema, "verdict.schema.json is out of date");
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
        for field in ["claims", "thresholds", "anomalies", "latency_ns", "exit_code"] {
            assert!(schema["properties"][field].is_object(), "{field}");
        }
    }
}
