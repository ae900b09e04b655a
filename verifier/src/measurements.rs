//! `measurements.json`: series and curves, computed at judging; with verdict.json, dossiers.json and
//! environment.json all that `reports` reads. All times are nanoseconds since the first intended record (`t = 0`), so negative is before the load.

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
    /// How many records had which ack latency, per phase.
    #[serde(default)]
    pub histograms: Vec<Histogram>,
    /// What each fault did to the load: one for each of verdict.json's faults, in their order.
    #[serde(default)]
    pub impacts: Vec<Impact>,
    /// What became of the records whose client could not tell; none in folders judged before this was looked at.
    #[serde(default)]
    pub unknown: Option<Unknown>,
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
    /// Records handed over, now or later, that were due by the end of the second and had no outcome then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<u64>,
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

/// Ack latency of one phase: how many of the records due in it had which.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// Phase.
    pub phase: String,
    /// (from ns, to ns, records), ascending, each ten to a factor of ten; empty ones are left out.
    pub buckets: Vec<(u64, u64, u64)>,
    /// Records due in the phase that were never acknowledged: no bucket has them.
    pub unacknowledged: u64,
}

/// What one fault did to the load, and how it came back. The look begins with the fault and ends where the next fault
/// begins after its heal, or with the load: what overlaps cannot be told apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Impact {
    /// The fault's name.
    pub fault: String,
    /// Its begin.
    pub start_ns: i64,
    /// When it was healed; none: never.
    pub healed_ns: Option<i64>,
    /// End of the look.
    pub until_ns: i64,
    /// Other faults that stood during the look.
    pub beside: Vec<String>,
    /// The longest stretch without an acknowledgement while records were due.
    pub outage_ns: u64,
    /// The limit on latency; none: the scenario has none on p(50), p(99) or max of `ack_latency`.
    pub limit: Option<LimitKept>,
    /// Records that waited; none: the look has no whole second.
    pub backlog: Option<Backlog>,
}

/// How a limit on latency was kept, second by second of intended time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitKept {
    /// The limit, e.g. `ack_latency p(99)<5ms`.
    pub expression: String,
    /// Seconds of the look in which it was missed.
    pub missed: u64,
    /// From the begin of the fault to the end of the last of them; 0 if there was none.
    pub missed_for_ns: u64,
    /// A later second of the look met it.
    pub back: bool,
}

/// Records that were due and had no outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backlog {
    /// Most of them at the end of a second of the look.
    pub most: u64,
    /// When the fault was healed; none: it never was.
    pub at_heal: Option<u64>,
    /// From the heal until the last of those had an outcome; none: some never had one, or nothing was healed.
    pub drained_ns: Option<u64>,
}

/// Records without an outcome, and what the sealed log says of them: UNKNOWN is resolved, never guessed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unknown {
    /// The client said that it does not know.
    pub told: Fates,
    /// The client ended, or was killed, before it said anything.
    pub untold: Fates,
    /// The first few, neighbours together.
    pub runs: Vec<UnknownRun>,
}

/// Counts of [`Fate`]s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fates {
    /// See [`Fate::Written`].
    pub written: u64,
    /// See [`Fate::Hidden`].
    pub hidden: u64,
    /// See [`Fate::Absent`].
    pub absent: u64,
    /// See [`Fate::Unresolved`].
    pub unresolved: u64,
}

/// What became of a record without an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It stands in the log, to be read.
    Written,
    /// It stands in the log, in a transaction that was not committed.
    Hidden,
    /// The log was read to its sealed end and does not have it.
    Absent,
    /// It was not found, and the log was not read to its end: nobody knows.
    Unresolved,
}

/// Neighbours with the same fate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownRun {
    /// The first, as `worker:index`.
    pub first: String,
    /// How many, index after index.
    pub records: u64,
    /// The client said that it does not know; else it said nothing.
    pub told: bool,
    /// When the first was handed over.
    pub handed_over_ns: i64,
    /// What became of them.
    pub fate: Fate,
    /// Where the log has the first of them to be read: partition and offset.
    pub place: Option<(i32, i64)>,
}

/// H1 (b), per phase.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Disturbance {
    /// Phase.
    pub phase: String,
    /// 0.05 = 5 % of the phase; none when it could not be read.
    pub share: Option<f64>,
    /// What the hypervisor took of all cores together; none when it could not be read.
    #[serde(default)]
    pub stolen: Option<f64>,
}

/// What judging cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JudgeCost {
    /// Records judged.
    pub records: u64,
    /// Bytes of the tables that grow with the records, at their largest.
    pub table_bytes: u64,
}
