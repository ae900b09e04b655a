//! A failure with fewer faults and fewer records: what is left is what it takes.
//!
//! ```text
//! halves of the plan ─▶ single faults ─▶ half the records       each step stands only if the same anomaly stays
//! ```

use super::design::Design;
use super::outcome::Outcome;
use super::plan::Fault;
use super::world;

/// Worlds tried for one failure at most.
const TRIES_MAX: u32 = 400;
/// Records of one client that shrinking begins to halve from.
const RECORDS_FROM: u64 = 8_192;

/// A failure, made small.
#[derive(Debug, Clone)]
pub(crate) struct Shrunk {
    pub(crate) plan: Vec<Fault>,
    pub(crate) records_max: u64,
    pub(crate) outcome: Outcome,
    pub(crate) tries: u32,
}

/// Lets a world with this design and plan happen.
type Happen<'a> = &'a dyn Fn(&Design, &[Fault]) -> Result<Outcome, String>;

/// Shrinks the failure of a seed.
pub(crate) fn shrink(design: &Design, seed: u64, plan: &[Fault], outcome: &Outcome) -> Shrunk {
    shrink_with(design, plan, outcome, &|design, plan| {
        world::run(design, seed, plan)
    })
}

/// The same with any world.
pub(crate) fn shrink_with(design: &Design, plan: &[Fault], outcome: &Outcome, happen: Happen<'_>) -> Shrunk {
    let mut search = Search {
        design: design.clone(),
        happen,
        anomaly: outcome.worst().unwrap_or_default(),
        tries: 0,
        best: outcome.clone(),
    };
    let mut plan = plan.to_vec();
    let mut size = plan.len().div_ceil(2).max(1);
    loop {
        let mut from = 0;
        let before = plan.len();
        while from < plan.len() && search.tries < TRIES_MAX {
            let to = (from + size).min(plan.len());
            let without: Vec<Fault> = plan[..from].iter().chain(&plan[to..]).cloned().collect();
            if search.stays(&without) {
                plan = without;
            } else {
                from = to;
            }
        }
        if search.tries >= TRIES_MAX || (size == 1 && plan.len() == before) {
            break;
        }
        size = (size / 2).max(1);
    }
    let mut records_max = RECORDS_FROM;
    while records_max > 1 && search.tries < TRIES_MAX {
        search.design.records_max = records_max / 2;
        if search.stays(&plan) {
            records_max /= 2;
        } else {
            break;
        }
    }
    Shrunk {
        plan,
        records_max,
        tries: search.tries,
        outcome: search.best,
    }
}

struct Search<'a> {
    design: Design,
    happen: Happen<'a>,
    anomaly: &'static str,
    tries: u32,
    best: Outcome,
}

impl Search<'_> {
    /// Whether the anomaly is still there with this plan.
    fn stays(&mut self, plan: &[Fault]) -> bool {
        self.tries += 1;
        match (self.happen)(&self.design, plan) {
            Ok(outcome) if outcome.anomalies.contains_key(self.anomaly) => {
                self.best = outcome;
                true
            }
            _ => false,
        }
    }
}
