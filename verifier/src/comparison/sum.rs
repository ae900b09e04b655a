//! From cells to a comparison. Pure.
//!
//! Cells of a subject within a block are put together first: histograms are merged, never percentiles averaged, and CPU and
//! rates are weighted by records and time. Then ratios within the block, then their median.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::goal::Goal;
use super::order::{MAX_DRIFT, MAX_STEAL, MIN_BLOCKS};
use super::{Block, Cell, Comparison, Figures, GoalVerdict, Metric, Ratio, SCHEMA, Standing, statistics};
use crate::environment::Environment;
use crate::judge::latency;
use crate::measurements::Curve;
use crate::verdict::Outcome;

/// What was to be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Scenario name, title, seed.
    pub scenario: String,
    /// Title.
    pub title: String,
    /// Seed.
    pub seed: u64,
    /// In the order in which they were named.
    pub subjects: Vec<String>,
    /// Index of the one whose ratios are told.
    pub under_test: usize,
    /// Index of the one at both ends of a block.
    pub control: usize,
    /// What was asked for.
    pub goals: Vec<Goal>,
    /// Whether records were due at times: only then there is a latency.
    pub scheduled: bool,
}

/// A cell and the ack latency of its measured stretch.
#[derive(Debug, Clone)]
pub struct Measured {
    /// What is shown of it.
    pub cell: Cell,
    /// Empty where there is none.
    pub latency: Histogram<u64>,
}

/// Ack latency of the measured stretch, from the text of a run's `latency.hlog`; none when it is not there, or damaged.
pub fn latency_of(log: &[u8]) -> Option<Histogram<u64>> {
    latency::of_phase(log, "steady")
}

/// Of a cell without a latency.
pub fn no_latency() -> Histogram<u64> {
    latency::histogram()
}

/// What all cells together say. A cell of block 0 is shown and counts for nothing.
pub fn sum(plan: &Plan, measured: &[Measured], environment: Environment) -> Comparison {
    let mut last = measured.iter().map(|one| one.cell.block).max().unwrap_or(0);
    let mut blocks: Vec<Block> = Vec::new();
    let mut merged: Vec<BTreeMap<usize, Merged>> = Vec::new();
    for number in 1..=last {
        let cells: Vec<&Measured> = measured.iter().filter(|one| one.cell.block == number).collect();
        let block = block(plan, number, &cells);
        if block.dropped.is_none() {
            let of = |subject: &usize| Some((*subject, Merged::of(&cells, &plan.subjects[*subject])?));
            merged.push(
                (0..plan.subjects.len())
                    .collect::<Vec<_>>()
                    .iter()
                    .filter_map(of)
                    .collect(),
            );
        }
        blocks.push(block);
    }
    last = blocks.len() as u32;
    let ratios = ratios(plan, &merged);
    let goals: Vec<GoalVerdict> = plan.goals.iter().map(|goal| goal.judge(&ratios)).collect();
    let subjects: Vec<Standing> = (0..plan.subjects.len())
        .map(|subject| standing(plan, subject, &merged, measured))
        .collect();
    let (verdict, reason) = verdict(&goals, &subjects[plan.under_test], (merged.len(), last));
    Comparison {
        schema: SCHEMA.to_owned(),
        scenario: plan.scenario.clone(),
        title: plan.title.clone(),
        seed: plan.seed,
        under_test: plan.subjects[plan.under_test].clone(),
        control: plan.subjects[plan.control].clone(),
        verdict,
        reason,
        subjects,
        blocks,
        cells: measured.iter().map(|one| one.cell.clone()).collect(),
        ratios,
        goals,
        curves: curves(plan, &merged),
        environment,
    }
}

/// One subject within one block.
struct Merged {
    figures: Figures,
    latency: Histogram<u64>,
}

impl Merged {
    /// None when a cell of it gave no figures.
    fn of(cells: &[&Measured], subject: &str) -> Option<Merged> {
        let mut all = latency::histogram();
        let mut figures = Vec::new();
        for one in cells.iter().filter(|one| one.cell.subject == subject) {
            figures.push(one.cell.figures?);
            // Histograms of three digits that grow as needed take each other's values, whatever they are.
            all.add(&one.latency).ok()?;
        }
        if figures.is_empty() {
            return None;
        }
        let records: f64 = figures.iter().map(|f| f.ack.count as f64).sum();
        let seconds: f64 = figures.iter().map(|f| f.ack.count as f64 / f.rate).sum();
        let per_record = |of: fn(&Figures) -> f64| {
            figures.iter().map(|f| of(f) * f.ack.count as f64).sum::<f64>() / records
        };
        Some(Merged {
            figures: Figures {
                ack: latency::percentiles(&all),
                lag_p99_ns: figures.iter().map(|f| f.lag_p99_ns).max().unwrap_or(0),
                rate: records / seconds,
                client_us: per_record(|f| f.client_us),
                broker_us: per_record(|f| f.broker_us),
                client_rss: figures.iter().map(|f| f.client_rss).max().unwrap_or(0),
            },
            latency: all,
        })
    }
}

/// Whether a block counts.
fn block(plan: &Plan, number: u32, cells: &[&Measured]) -> Block {
    let control = &plan.subjects[plan.control];
    let metric = if plan.scheduled { Metric::P50 } else { Metric::Rate };
    let ends: Vec<f64> = cells
        .iter()
        .filter(|one| &one.cell.subject == control)
        .filter_map(|one| metric.of(&one.cell.figures?))
        .collect();
    let drift = match ends[..] {
        [first, second] => Some(first.max(second) / first.min(second) - 1.0),
        _ => None,
    };
    let steals: Option<Vec<f64>> = cells.iter().map(|one| one.cell.steal).collect();
    let steal = steals.map(|all| all.into_iter().fold(0.0, f64::max));
    let without = cells.iter().find(|one| one.cell.figures.is_none());
    let absent = plan
        .subjects
        .iter()
        .find(|subject| !cells.iter().any(|one| one.cell.subject == **subject));
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let dropped = if let Some(one) = without {
        Some(format!("{} gave no figures", one.cell.subject))
    } else if let Some(subject) = absent {
        Some(format!("{subject} had no turn"))
    } else {
        match (steal, drift) {
            (None, _) => Some("what the hypervisor took of a cell is unknown".to_owned()),
            (Some(steal), _) if steal > MAX_STEAL => Some(format!(
                "the hypervisor took {} of a cell, more than {}",
                percent(steal),
                percent(MAX_STEAL)
            )),
            (_, None) => Some(format!("{control} has not two cells")),
            (_, Some(drift)) if drift > MAX_DRIFT => Some(format!(
                "the two cells of {control} differ by {} in {}, more than {}",
                percent(drift),
                metric.name(),
                percent(MAX_DRIFT)
            )),
            _ => None,
        }
    };
    Block {
        number,
        order: cells.iter().map(|one| one.cell.subject.clone()).collect(),
        drift,
        steal,
        dropped,
    }
}

fn ratios(plan: &Plan, blocks: &[BTreeMap<usize, Merged>]) -> Vec<Ratio> {
    let others = (0..plan.subjects.len()).filter(|subject| *subject != plan.under_test);
    let pairs = others.flat_map(|other| Metric::ALL.map(|metric| (other, metric)));
    pairs
        .filter_map(|(other, metric)| {
            let within = |block: &BTreeMap<usize, Merged>| {
                let ours = metric.of(&block.get(&plan.under_test)?.figures)?;
                Some(ours / metric.of(&block.get(&other)?.figures)?)
            };
            let blocks: Vec<f64> = blocks.iter().filter_map(within).collect();
            Some(Ratio {
                to: plan.subjects[other].clone(),
                metric,
                median: statistics::median(&blocks)?,
                interval: statistics::interval(&blocks).filter(|_| blocks.len() >= MIN_BLOCKS),
                geometric_mean: statistics::geometric_mean(&blocks)?,
                blocks,
            })
        })
        .collect()
}

fn standing(
    plan: &Plan,
    subject: usize,
    blocks: &[BTreeMap<usize, Merged>],
    measured: &[Measured],
) -> Standing {
    let name = &plan.subjects[subject];
    let all: Vec<&Figures> = blocks
        .iter()
        .filter_map(|block| Some(&block.get(&subject)?.figures))
        .collect();
    let middle = |of: fn(&Figures) -> f64| {
        statistics::median(&all.iter().map(|figures| of(figures)).collect::<Vec<_>>()).unwrap_or(0.0)
    };
    let mut ack = latency::percentiles(&latency::histogram());
    ack.p50 = middle(|f| f.ack.p50 as f64) as u64;
    ack.p90 = middle(|f| f.ack.p90 as f64) as u64;
    ack.p99 = middle(|f| f.ack.p99 as f64) as u64;
    ack.p99_9 = middle(|f| f.ack.p99_9 as f64) as u64;
    ack.p99_99 = middle(|f| f.ack.p99_99 as f64) as u64;
    ack.max = middle(|f| f.ack.max as f64) as u64;
    ack.count = all.iter().map(|figures| figures.ack.count).sum();
    let median = Figures {
        ack,
        lag_p99_ns: middle(|f| f.lag_p99_ns as f64) as u64,
        rate: middle(|f| f.rate),
        client_us: middle(|f| f.client_us),
        broker_us: middle(|f| f.broker_us),
        client_rss: middle(|f| f.client_rss as f64) as u64,
    };
    let cells = measured.iter().filter(|one| &one.cell.subject == name);
    let worst = cells.max_by_key(|one| one.cell.delivery);
    Standing {
        subject: name.clone(),
        median: (!all.is_empty()).then_some(median),
        delivery: worst.map_or(Outcome::Inconclusive, |one| one.cell.delivery),
        note: worst
            .filter(|one| one.cell.delivery != Outcome::Pass)
            .and_then(|one| one.cell.note.clone()),
    }
}

fn curves(plan: &Plan, blocks: &[BTreeMap<usize, Merged>]) -> Vec<Curve> {
    let of = |subject: usize| {
        let mut all = latency::histogram();
        for block in blocks {
            all.add(&block.get(&subject)?.latency).ok()?;
        }
        (!all.is_empty()).then(|| latency::curve(&plan.subjects[subject], "ack_latency", &all))
    };
    (0..plan.subjects.len()).filter_map(of).collect()
}

/// A figure of a producer that loses, doubles or reorders is worth nothing: its claims come before its goals.
fn verdict(goals: &[GoalVerdict], ours: &Standing, (valid, all): (usize, u32)) -> (Outcome, String) {
    let counted = format!("{valid} of {all} blocks count");
    let broken = format!("{} broke a delivery claim", ours.subject);
    if ours.delivery == Outcome::Fail {
        return (Outcome::Fail, format!("{broken}; {counted}"));
    }
    if valid < MIN_BLOCKS {
        return (
            Outcome::Inconclusive,
            format!("{counted}, fewer than {MIN_BLOCKS}"),
        );
    }
    if ours.delivery == Outcome::Inconclusive {
        let open = format!(
            "the delivery claims of {} are not shown in every cell",
            ours.subject
        );
        return (Outcome::Inconclusive, format!("{open}; {counted}"));
    }
    let met = goals.iter().filter(|goal| goal.verdict == Outcome::Pass).count();
    let told = match goals.len() {
        0 => "no goal was set".to_owned(),
        some => format!("{met} of {some} goals met"),
    };
    let worst = goals.iter().map(|goal| goal.verdict).max();
    (worst.unwrap_or(Outcome::Pass), format!("{counted}, {told}"))
}

#[cfg(test)]
mod tests;
