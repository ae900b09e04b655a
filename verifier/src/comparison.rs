//! `comparison.json`: several producers on one scenario, side by side on one cluster. Plain formats here; the arithmetic
//! is in the files below. Pure.
//!
//! ```text
//! order ── which subject when ──▶ cells (a judged run folder each) ──▶ sum ──▶ Comparison ──▶ reports
//!                                        Cell, latency histogram        │
//!                                          goal, statistics ◀───────────┘
//! ```
//!
//! **Why blocks.** On a shared machine the same program is 30 % slower an hour later. Within a block every subject runs
//! once on the way out and once on the way back, so a drift that is even falls on all alike, and only ratios *within* a
//! block are formed; of these the median over blocks is told, with a bootstrap interval (Efron 1979).

pub mod difference; // two runs: has the second become worse?
pub mod goal; // `p(99)<=1.3*floor`
pub mod order; // A B B A
mod statistics; // median, bootstrap interval
mod sum; // cells to a comparison

use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::measurements::Curve;
use crate::verdict::{Outcome, Percentiles};

pub use sum::{Measured, Plan, latency_of, no_latency, sum};

/// The schema name that every comparison carries.
pub const SCHEMA: &str = "steadfast/comparison/1";
/// Its file in the folder of a comparison.
pub const FILE_NAME: &str = "comparison.json";

/// The whole document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// Scenario name, e.g. `latency/steady-25k`.
    pub scenario: String,
    /// Its title.
    pub title: String,
    /// Seed of schedule and payload, the same for all.
    pub seed: u64,
    /// Whose ratios to the others are told.
    pub under_test: String,
    /// Whose two cells of a block must agree.
    pub control: String,
    /// Enough valid blocks, the claims of the subject under test held in every cell, and every goal met. A broken claim of
    /// its, or a goal missed, fails; anything less is inconclusive.
    pub verdict: Outcome,
    /// One sentence.
    pub reason: String,
    /// In the order in which they were named.
    pub subjects: Vec<Standing>,
    /// In order of time.
    pub blocks: Vec<Block>,
    /// In order of time.
    pub cells: Vec<Cell>,
    /// The subject under test to each other one, by metric.
    pub ratios: Vec<Ratio>,
    /// What was asked for.
    pub goals: Vec<GoalVerdict>,
    /// Ack latency by percentile of all valid blocks together; `phase` is the subject.
    pub curves: Vec<Curve>,
    /// Machine, versions, and settings that differ from Kafka's, of the cell of the subject under test.
    pub environment: Environment,
}

impl Comparison {
    /// Its subject under test lost, doubled, reordered or damaged something.
    pub fn delivery_broken(&self) -> bool {
        let ours = self.subjects.iter().find(|one| one.subject == self.under_test);
        ours.is_some_and(|one| one.delivery == Outcome::Fail)
    }
}

/// One subject over all valid blocks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Name, with the properties that it alone has.
    pub subject: String,
    /// Medians over valid blocks; none without one.
    pub median: Option<Figures>,
    /// Every delivery claim, over all cells.
    pub delivery: Outcome,
    /// What was found where it is not a pass.
    pub note: Option<String>,
}

/// A block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// From 1.
    pub number: u32,
    /// Subjects in order of their cells.
    pub order: Vec<String>,
    /// How far the control's two cells are apart in p(50) (its rate without a schedule): larger ÷ smaller - 1.
    pub drift: Option<f64>,
    /// Largest share of a cell's measured stretch that the hypervisor took: stolen time ÷ (length x cores); none when that of
    /// a cell is unknown.
    pub steal: Option<f64>,
    /// Why it does not count; none when it does.
    pub dropped: Option<String>,
}

/// One subject's turn: a run of its own, on a topic of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Block, from 1; 0 = the broker's warm-up.
    pub block: u32,
    /// Position in the block, from 1.
    pub position: u32,
    /// Whose.
    pub subject: String,
    /// Its run folder, relative to the comparison's.
    pub folder: String,
    /// What was measured; none when the run gave no verdict.
    pub figures: Option<Figures>,
    /// Its delivery claims.
    pub delivery: Outcome,
    /// What went wrong, or what the harness cannot vouch for.
    pub note: Option<String>,
    /// See [`Block::steal`].
    pub steal: Option<f64>,
    /// Share of the phase that its generator waited for a core (H1 (b)); none when unknown.
    pub waited: Option<f64>,
}

/// What is compared, of the measured stretch alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Acknowledgement minus intended time.
    pub ack: Percentiles,
    /// p(99) of hand-over minus intended time: what the generator itself added.
    pub lag_p99_ns: u64,
    /// Acknowledged records a second.
    pub rate: f64,
    /// µs of CPU per acknowledged record, generator included.
    pub client_us: f64,
    /// µs of CPU of all brokers per acknowledged record.
    pub broker_us: f64,
    /// Largest resident set of the client, bytes.
    pub client_rss: u64,
}

/// What a ratio is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Metric {
    /// Median of ack latency.
    #[serde(rename = "p(50)")]
    P50,
    /// 90 %.
    #[serde(rename = "p(90)")]
    P90,
    /// 99 %.
    #[serde(rename = "p(99)")]
    P99,
    /// 99.9 %.
    #[serde(rename = "p(99.9)")]
    P999,
    /// CPU of the client per record.
    #[serde(rename = "client-cpu")]
    ClientCpu,
    /// CPU of client and brokers per record.
    #[serde(rename = "total-cpu")]
    TotalCpu,
    /// Acknowledged records a second.
    #[serde(rename = "rate")]
    Rate,
}

impl Metric {
    /// All, in the order of tables.
    pub const ALL: [Metric; 7] = [
        Metric::P50,
        Metric::P90,
        Metric::P99,
        Metric::P999,
        Metric::ClientCpu,
        Metric::TotalCpu,
        Metric::Rate,
    ];

    /// As in goals and tables.
    pub fn name(self) -> &'static str {
        match self {
            Metric::P50 => "p(50)",
            Metric::P90 => "p(90)",
            Metric::P99 => "p(99)",
            Metric::P999 => "p(99.9)",
            Metric::ClientCpu => "client-cpu",
            Metric::TotalCpu => "total-cpu",
            Metric::Rate => "rate",
        }
    }

    /// Its figure; none where there was nothing to measure.
    pub fn of(self, figures: &Figures) -> Option<f64> {
        let value = match self {
            Metric::P50 => figures.ack.p50 as f64,
            Metric::P90 => figures.ack.p90 as f64,
            Metric::P99 => figures.ack.p99 as f64,
            Metric::P999 => figures.ack.p99_9 as f64,
            Metric::ClientCpu => figures.client_us,
            Metric::TotalCpu => figures.client_us + figures.broker_us,
            Metric::Rate => figures.rate,
        };
        (value.is_finite() && value > 0.0).then_some(value)
    }
}

/// The subject under test ÷ another, by one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The other.
    pub to: String,
    /// Of what.
    pub metric: Metric,
    /// One a valid block, in order of time.
    pub blocks: Vec<f64>,
    /// Their median.
    pub median: f64,
    /// 95 % bootstrap interval of the median; none below [`order::MIN_BLOCKS`].
    pub interval: Option<(f64, f64)>,
    /// Their geometric mean.
    pub geometric_mean: f64,
}

/// A goal and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GoalVerdict {
    /// As it was given, e.g. `p(99)<=1.3*floor`.
    pub goal: String,
    /// Median ratio; none when there was nothing to measure.
    pub observed: Option<f64>,
    /// Its interval.
    pub interval: Option<(f64, f64)>,
    /// Limit.
    pub limit: f64,
    /// Pass or fail by the median; inconclusive without one.
    pub verdict: Outcome,
}
