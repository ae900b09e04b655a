//! What the pages of a comparison say, as plain texts: every figure with its unit, every string of strangers made safe.

use steadfast_verifier::comparison::{Cell, Comparison, Figures, Metric, Ratio};
use steadfast_verifier::verdict::Outcome;

use crate::machine;
use crate::number;
use crate::text::{Limits, plural};
use crate::view::{Badge, badge};

/// One comparison.
pub(super) struct Tables {
    pub(super) badge: Badge,
    pub(super) scenario: String,
    pub(super) title: String,
    pub(super) sentence: String,
    pub(super) method: String,
    /// Latencies are told.
    pub(super) scheduled: bool,
    pub(super) league: Vec<League>,
    /// Head of the table of ratios: the metrics.
    pub(super) metrics: Vec<&'static str>,
    pub(super) under_test: String,
    pub(super) ratios: Vec<Ratios>,
    pub(super) goals: Vec<Goal>,
    pub(super) blocks: Vec<Block>,
    pub(super) cells: Vec<CellRow>,
    pub(super) machine: Vec<(String, String)>,
    pub(super) settings: Vec<[String; 4]>,
}

/// A subject's medians over the blocks that count.
pub(super) struct League {
    pub(super) subject: String,
    pub(super) delivery: Badge,
    pub(super) note: String,
    /// p50, p90, p99, p99.9, max.
    pub(super) latency: Vec<String>,
    pub(super) rate: String,
    pub(super) client: String,
    pub(super) broker: String,
    pub(super) memory: String,
    pub(super) lag: String,
}

/// The subject under test to one other.
pub(super) struct Ratios {
    pub(super) to: String,
    /// One a metric, `0.42 (0.40-0.47)`.
    pub(super) cells: Vec<String>,
}

pub(super) struct Goal {
    pub(super) badge: Badge,
    pub(super) goal: String,
    pub(super) observed: String,
}

pub(super) struct Block {
    pub(super) number: u32,
    pub(super) order: String,
    pub(super) drift: String,
    pub(super) steal: String,
    pub(super) counts: String,
}

pub(super) struct CellRow {
    pub(super) place: String,
    pub(super) subject: String,
    pub(super) figures: [String; 6],
    pub(super) waited: String,
    pub(super) note: String,
}

impl Tables {
    pub(super) fn of(comparison: &Comparison) -> Tables {
        let limits = Limits::USUAL;
        let short = |text: &str| limits.short(text);
        let cells = comparison.cells.iter().filter_map(|cell| cell.figures);
        let scheduled = cells.map(|figures| figures.ack.p50).any(|p50| p50 > 0);
        let valid = comparison.blocks.iter().filter(|block| block.dropped.is_none());
        let environment = &comparison.environment;
        let metrics: Vec<Metric> = Metric::ALL
            .into_iter()
            .filter(|metric| comparison.ratios.iter().any(|ratio| ratio.metric == *metric))
            .collect();
        let league = comparison.subjects.iter().map(|one| League {
            subject: short(&one.subject),
            delivery: badge(one.delivery),
            note: one
                .note
                .as_deref()
                .map(|note| limits.long(note))
                .unwrap_or_default(),
            latency: latency(one.median.as_ref(), scheduled),
            rate: or_dash(one.median.as_ref(), |f| number::with_unit(f.rate, "per_s")),
            client: or_dash(one.median.as_ref(), |f| number::plain(f.client_us, 3)),
            broker: or_dash(one.median.as_ref(), |f| number::plain(f.broker_us, 3)),
            memory: or_dash(one.median.as_ref(), |f| number::bytes(f.client_rss as f64)),
            lag: or_dash(one.median.as_ref(), |f| number::nanoseconds(f.lag_p99_ns as f64)),
        });
        let others = comparison
            .subjects
            .iter()
            .filter(|one| one.subject != comparison.under_test);
        let ratios = others.map(|one| Ratios {
            to: short(&one.subject),
            cells: metrics
                .iter()
                .map(|metric| {
                    let found = comparison
                        .ratios
                        .iter()
                        .find(|ratio| ratio.to == one.subject && ratio.metric == *metric);
                    found.map_or_else(|| "–".to_owned(), ratio)
                })
                .collect(),
        });
        let share = |value: Option<f64>| {
            value.map_or_else(|| "–".to_owned(), |share| number::with_unit(share, "ratio"))
        };
        let goals = comparison.goals.iter().map(|goal| Goal {
            badge: badge(goal.verdict),
            goal: short(&goal.goal),
            observed: goal.observed.map_or_else(
                || "not measured".to_owned(),
                |observed| with_interval(observed, goal.interval),
            ),
        });
        Tables {
            badge: badge(comparison.verdict),
            scenario: short(&comparison.scenario),
            title: limits.long(&comparison.title),
            sentence: limits.long(&comparison.reason),
            method: method(comparison, valid.count()),
            scheduled,
            league: league.collect(),
            metrics: metrics.iter().map(|metric| metric.name()).collect(),
            under_test: short(&comparison.under_test),
            ratios: ratios.collect(),
            goals: goals.collect(),
            blocks: comparison
                .blocks
                .iter()
                .map(|block| Block {
                    number: block.number,
                    order: short_list(&block.order, limits),
                    drift: share(block.drift),
                    steal: share(block.steal),
                    counts: block.dropped.as_deref().map_or_else(
                        || "counts".to_owned(),
                        |why| format!("dropped: {}", limits.long(why)),
                    ),
                })
                .collect(),
            cells: comparison
                .cells
                .iter()
                .map(|cell| cell_row(cell, scheduled, limits))
                .collect(),
            machine: machine::facts(environment, comparison.seed),
            settings: machine::settings(environment),
        }
    }
}

fn method(comparison: &Comparison, valid: usize) -> String {
    let limits = Limits::USUAL;
    format!(
        "{}, {valid} of which count. In each, every subject runs out and back on fresh topics of one cluster (one that needs a \
         long warm-up once, in the middle, twice as long); records are due on one schedule, and latency counts from there. \
         Ratios are formed within a block; told are their medians and, from three blocks on, 95 % bootstrap intervals. A \
         block is dropped when the two cells of {} differ by more than 10 %, or the hypervisor took more than 0.5 % of a \
         measured stretch.",
        plural(comparison.blocks.len() as u64, "block"),
        limits.short(&comparison.control),
    )
}

fn latency(figures: Option<&Figures>, scheduled: bool) -> Vec<String> {
    let of: [fn(&Figures) -> u64; 5] = [
        |f| f.ack.p50,
        |f| f.ack.p90,
        |f| f.ack.p99,
        |f| f.ack.p99_9,
        |f| f.ack.max,
    ];
    let figures = figures.filter(|_| scheduled);
    of.into_iter()
        .map(|of| or_dash(figures, |f| number::nanoseconds(of(f) as f64)))
        .collect()
}

fn or_dash(figures: Option<&Figures>, text: impl Fn(&Figures) -> String) -> String {
    figures.map_or_else(|| "–".to_owned(), text)
}

fn ratio(ratio: &Ratio) -> String {
    with_interval(ratio.median, ratio.interval)
}

fn with_interval(median: f64, interval: Option<(f64, f64)>) -> String {
    let told = number::plain(median, 3);
    match interval {
        Some((low, high)) => format!("{told} ({} to {})", number::plain(low, 3), number::plain(high, 3)),
        None => told,
    }
}

fn short_list(names: &[String], limits: Limits) -> String {
    names
        .iter()
        .map(|name| limits.short(name))
        .collect::<Vec<_>>()
        .join(", ")
}

fn cell_row(cell: &Cell, scheduled: bool, limits: Limits) -> CellRow {
    let figures = cell.figures.as_ref();
    let latency = |of: fn(&Figures) -> u64| {
        or_dash(figures.filter(|_| scheduled), |f| {
            number::nanoseconds(of(f) as f64)
        })
    };
    let outcome = match cell.delivery {
        Outcome::Pass => String::new(),
        other => format!("{}: ", badge(other).word),
    };
    CellRow {
        place: match cell.block {
            0 => "broker's warm-up".to_owned(),
            block => format!("{block}.{}", cell.position),
        },
        subject: limits.short(&cell.subject),
        figures: [
            latency(|f| f.ack.p50),
            latency(|f| f.ack.p99),
            latency(|f| f.ack.p99_9),
            or_dash(figures, |f| number::with_unit(f.rate, "per_s")),
            or_dash(figures, |f| number::plain(f.client_us, 3)),
            or_dash(figures, |f| number::plain(f.broker_us, 3)),
        ],
        waited: cell
            .waited
            .map_or_else(|| "–".to_owned(), |share| number::with_unit(share, "ratio")),
        note: cell
            .note
            .as_deref()
            .map(|note| format!("{outcome}{}", limits.long(note)))
            .unwrap_or_default(),
    }
}
