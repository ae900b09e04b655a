//! `measurements.json`: series and curves, computed at judging; with verdict.json and environment.json all that
//! `reports` reads. All times are nanoseconds since the first intended record (`t = 0`), so negative is before the load.

use serde::{Deserialize, Serialize};

/// The whole document.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measurements {
    /// Phases in order of begin; they may overlap.
    pub phases: Vec<Phase>,
    /// One point a second of intended time.
    pub series: Vec<Point>,
    /// CPU and memory, one point a sample.
    pub resources: Vec<ResourcePoint>,
    /// Latency by percentile, per phase.
    pub curves: Vec<Curve>,
    /// Share of each phase that the generator thread waited for a core, plus steal ÷ cores (H1 (b)).
    pub disturbance: Vec<Disturbance>,
    /// What the judge itself used.
    pub judge: JudgeCost,
}

/// One phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// `warmup`, `steady`, `fault:<name>`, `heal:<name>`, `after`.
    pub name: String,
    /// Begin.
    pub start_ns: i64,
    /// End, exclusive.
    pub end_ns: i64,
}

/// One second of the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Begin of the second.
    pub t_ns: i64,
    /// Records due in it.
    pub intended: u64,
    /// Records acknowledged in it (by ack time).
    pub acked: u64,
    /// Ack latency of the records due in it; none when no record was due or acknowledged.
    pub p50_ns: Option<u64>,
    /// 99 %.
    pub p99_ns: Option<u64>,
    /// Largest.
    pub max_ns: Option<u64>,
    /// Visible latency of the records due in it, all readers together; none without readers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visible_p50_ns: Option<u64>,
    /// 99 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visible_p99_ns: Option<u64>,
}

/// CPU and memory between two samples.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ResourcePoint {
    /// End of the interval.
    pub t_ns: i64,
    /// % of a core.
    pub client_cpu_percent: f64,
    /// % of a core.
    pub broker_cpu_percent: f64,
    /// Bytes.
    pub client_rss_bytes: u64,
    /// Bytes.
    pub broker_rss_bytes: u64,
}

/// Latency by percentile of one phase and metric.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Phase; `all` = everything after warm-up.
    pub phase: String,
    /// `ack_latency`, `service_time`, `schedule_lag` or `visible_latency`.
    pub metric: String,
    /// (percentile 0..=100, ns), ascending; evenly spaced on a nines axis.
    pub points: Vec<(f64, u64)>,
    /// Number of records.
    pub count: u64,
}

/// H1 (b), per phase.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Disturbance {
    /// Phase.
    pub phase: String,
    /// 0.05 = 5 % of the phase; none when it could not be read.
    pub share: Option<f64>,
}

/// What judging cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JudgeCost {
    /// Records judged.
    pub records: u64,
    /// Bytes of the tables that grow with the records, at their largest.
    pub table_bytes: u64,
}
