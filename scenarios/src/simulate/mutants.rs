//! Each rule of the producer broken in turn, until a world shows it. Only in a build for mutants.
//!
//! ```text
//! rule ─▶ seed after seed ─▶ an anomaly of its kind?  safety: L D O T I S · liveness: V · cost: none may come
//! ```

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use steadfast_producer::rules::{Kind, Line, Rule, TABLE};

use super::design::Design;
use super::{plan, world};

/// Worlds that a rule is watched in whose breaking costs work only.
const COST_SEEDS: u64 = 100;
/// Breaking these shows when a late copy arrives just between two batches. A unit test stages that; so many worlds hardly
/// ever do.
const STAGED: [Rule; 3] = [
    Rule::OneByOne,
    Rule::SettleBeforeNumbering,
    Rule::LateCopyNeedsEpoch,
];

/// What one broken rule came to.
#[derive(Debug, Clone)]
pub(crate) struct Caught {
    line: &'static Line,
    /// Worlds that it took; all of them if nothing was found.
    seeds: u64,
    /// What was found in the last of them.
    anomalies: Vec<&'static str>,
    words: Vec<String>,
}

/// Breaks every rule, or one, in at most so many worlds each. An error is a mistake in the design.
pub(crate) fn search(
    design: &Design,
    only: Option<Rule>,
    (from, most): (u64, u64),
    jobs: usize,
) -> Result<Vec<Caught>, String> {
    let lines: Vec<&Line> = TABLE
        .iter()
        .filter(|line| only.is_none_or(|rule| rule == line.rule))
        .collect();
    let next = AtomicUsize::new(0);
    let all = Mutex::new(Vec::new());
    let job = || {
        while let Some(line) = lines.get(next.fetch_add(1, Ordering::Relaxed)) {
            let caught = search_one(design, line, from, most);
            if let Ok(mut all) = all.lock() {
                all.push((line.rule, caught));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..jobs {
            scope.spawn(job);
        }
        job();
    });
    let mut all = all.into_inner().map_err(|_| "a world panicked".to_owned())?;
    all.sort_by_key(|(rule, _)| *rule);
    all.into_iter().map(|(_, caught)| caught).collect()
}

fn search_one(design: &Design, line: &'static Line, from: u64, most: u64) -> Result<Caught, String> {
    let design = Design {
        without: Some(line.rule),
        ..design.clone()
    };
    let most = if line.kind == Kind::Cost || STAGED.contains(&line.rule) {
        most.min(COST_SEEDS)
    } else {
        most
    };
    for nth in 0..most {
        let seed = from.wrapping_add(nth);
        let outcome = world::run(&design, seed, &plan::draw(&design, seed))?;
        if outcome.anomalies.keys().any(|anomaly| shows(line.kind, anomaly)) {
            return Ok(Caught {
                line,
                seeds: nth + 1,
                anomalies: outcome.anomalies.into_keys().collect(),
                words: outcome.words,
            });
        }
    }
    Ok(Caught {
        line,
        seeds: most,
        anomalies: Vec::new(),
        words: Vec::new(),
    })
}

/// Whether an anomaly is what breaking such a rule is found by.
fn shows(kind: Kind, anomaly: &str) -> bool {
    match anomaly.as_bytes().first() {
        _ if kind == Kind::Cost => true,
        Some(b'L' | b'D' | b'O' | b'T' | b'I' | b'S') => true,
        Some(b'V') => kind == Kind::Liveness,
        _ => false,
    }
}

/// A line for people.
pub(crate) fn text(caught: &Caught) -> String {
    let Caught { line, seeds, .. } = caught;
    let found = match (caught.anomalies.is_empty(), line.kind) {
        (true, Kind::Cost) => format!("nothing in {seeds} seeds"),
        (true, _) => format!("NOT CAUGHT in {seeds} seeds"),
        (false, _) => format!("{} at seed {seeds}", caught.anomalies.join(" ")),
    };
    let word = caught.words.first().filter(|_| !caught.anomalies.is_empty());
    format!(
        "{:<24} {:<8} {:?}: {found}{}",
        line.name,
        line.clause,
        line.kind,
        word.map(|word| format!("  · {word}")).unwrap_or_default()
    )
}

/// The same for programs.
pub(crate) fn json(all: &[Caught]) -> Value {
    let row = |caught: &Caught| {
        json!({
            "rule": caught.line.name,
            "clause": caught.line.clause,
            "kind": format!("{:?}", caught.line.kind).to_lowercase(),
            "broken": caught.line.broken,
            "seeds": caught.seeds,
            "anomalies": caught.anomalies,
        })
    };
    all.iter().map(row).collect()
}
