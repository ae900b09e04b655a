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
    /// What `recovered` asks for; none = it is not claimed.
    #[serde(default)]
    pub recovery: Option<Recovery>,
    /// Readers that were to watch the run.
    #[serde(default)]
    pub readers: u32,
    /// True when latency is never judged (executor `unlimited`).
    pub unlimited: bool,
    /// True when records have keys (O7 applies).
    pub keyed: bool,
}

/// `recovered = { gap, within, condition, backlog }`; what is none is not checked.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Recovery {
    /// V1: the longest stretch without an acknowledgement while records were due.
    pub gap_ns: Option<u64>,
    /// V3: how long after a heal `condition` must hold again; without one, all that was sent before the heal must have
    /// an outcome. V2 and V4: the longest stretch without progress while no fault stands.
    pub within_ns: Option<u64>,
    /// V3: a limit on `ack_latency` p(50), p(99) or max, for each second.
    pub condition: Option<Threshold>,
    /// V6: how long after a heal all that was due before it must be handed over.
    pub backlog_ns: Option<u64>,
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
    /// L1 L2 L4, with readers L6 (L3 becomes L1 on a sealed log).
    Lost,
    /// D1 D2 D3, with a copy job D6.
    Duplicated,
    /// O1 O2, with keys O7, with readers O4.
    ReorderedPerKey,
    /// O3.
    ReorderedInTime,
    /// I1 I2 I3 I4 I5.
    Corrupted,
    /// O5: what concurrent readers got.
    ReorderedForReaders,
    /// T1 T3 T4 T5 T7 T8, with readers at read_committed T2, with a copy job T6.
    Torn,
    /// V1 to V4 and V6, as far as [`Expectations::recovery`] asks.
    Recovered,
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
    /// Arrival at a concurrent reader minus intended send time, ns; every reader counts.
    VisibleLatency,
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
