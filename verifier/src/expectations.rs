//! What a scenario claims, parsed once (by `scenarios`) into types that cannot be wrong; the judge's other input.

use serde::{Deserialize, Serialize};

/// Everything the judge needs from the scenario file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expectations {
    /// Name of the scenario, e.g. `latency/steady-25k`.
    pub scenario: String,
    /// Its title.
    pub title: String,
    /// Seed of the run.
    pub seed: u64,
    /// Who was judged: `steadfast` or a foreign producer.
    pub subject: String,
    /// What the cluster was.
    pub broker: crate::verdict::Broker,
    /// Names of the faults the scenario orders, in order; each must have started and shown evidence.
    pub faults: Vec<String>,
    /// Claims on delivery.
    pub claims: Vec<Claim>,
    /// Limits on what was measured.
    pub thresholds: Vec<Threshold>,
    /// Probes on the last 5 s of warm-up.
    pub steady_state: Vec<Threshold>,
    /// True when latency is never judged (executor `unlimited`).
    pub unlimited: bool,
    /// True when records have keys (O7 applies).
    pub keyed: bool,
}

/// One claim and its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Which.
    pub id: ClaimId,
    /// Highest number of anomalies allowed.
    pub limit: u64,
}

/// The delivery claims this version can judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClaimId {
    /// L1 L2 (L3 becomes L1 on a sealed log).
    Lost,
    /// D1 D2 D3.
    Duplicated,
    /// O1 O2 O7.
    ReorderedPerKey,
    /// O3.
    ReorderedInTime,
    /// I1 I2 I3 I4.
    Corrupted,
}

/// `metric{phase:name}: expression`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// What is measured.
    pub metric: Metric,
    /// Phase; none = all after warm-up (CPU and RSS: `steady`).
    pub phase: Option<String>,
    /// The text in the file, e.g. `p(99)<1ms`.
    pub expression: String,
    /// Which figure of the metric.
    pub statistic: Statistic,
    /// How it is compared.
    pub comparison: Comparison,
    /// In the metric's own unit: ns, records/s, ratio, percent of a core, ns per record, bytes.
    pub limit: f64,
}

/// The closed list of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Acknowledgement minus intended send time, ns.
    AckLatency,
    /// Acknowledgement minus hand-over, ns.
    ServiceTime,
    /// Hand-over minus intended send time, ns.
    ScheduleLag,
    /// Records acknowledged within the phase ÷ its length, per second.
    AchievedRate,
    /// Records not acknowledged ÷ records intended, ratio.
    RecordError,
    /// Longest stretch of the phase without an acknowledgement while records were due, ns.
    Unavailability,
    /// % of a core.
    ClientCpu,
    /// % of a core.
    BrokerCpu,
    /// ns of CPU per acknowledged record.
    ClientCpuPerRecord,
    /// ns of CPU per acknowledged record.
    BrokerCpuPerRecord,
    /// Bytes.
    ClientRss,
    /// Bytes.
    BrokerRss,
}

/// Which figure of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// `p(99.9)`: percentile, 0 to 100.
    Percentile(f64),
    /// `avg`.
    Avg,
    /// `min`.
    Min,
    /// `max`.
    Max,
    /// `rate` (of `achieved_rate` and `record_error`).
    Rate,
    /// `value` (CPU, CPU per record).
    Value,
}

/// How a figure is compared with its limit. Strict means strict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `==`
    Equal,
}
