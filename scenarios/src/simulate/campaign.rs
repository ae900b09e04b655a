//! Many seeds, on several threads; what comes out does not depend on how many.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use steadfast_verifier::verdict::Records;

use super::client::Counts;
use super::design::Design;
use super::outcome::Outcome;
use super::{plan, world};

/// Failing seeds after which a campaign ends.
const FAILURES_MAX: usize = 50;

/// What many worlds came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Campaign {
    pub(crate) seeds: u64,
    pub(crate) virtual_ns: u64,
    pub(crate) events: u64,
    pub(crate) records: Records,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    /// Worlds by class, and what was found where nobody could promise otherwise.
    pub(crate) classes: BTreeMap<&'static str, u64>,
    pub(crate) void: BTreeMap<&'static str, u64>,
    pub(crate) counts: Counts,
    /// The longest from heal to drained.
    pub(crate) drained_ns: u64,
    /// By seed.
    pub(crate) failures: BTreeMap<u64, Outcome>,
    /// Of the hashes of all worlds, in no order.
    pub(crate) hash: u64,
    /// It ended early: too many failures.
    pub(crate) cut_short: bool,
}

/// Runs `count` seeds from `from` on. An error is a mistake in the design, or evidence that contradicts itself.
pub(crate) fn run(
    design: &Design,
    (from, count): (u64, u64),
    jobs: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Campaign, String> {
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let all = Mutex::new((Campaign::default(), None));
    let job = || {
        let mut mine = Campaign::default();
        let mut error = None;
        while !stop.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                break;
            }
            let seed = from.wrapping_add(at);
            match world::run(design, seed, &plan::draw(design, seed)) {
                Ok(outcome) => mine.add(seed, outcome),
                Err(why) => error = Some(format!("seed {seed}: {why}")),
            }
            if error.is_some() || mine.failures.len() >= FAILURES_MAX {
                mine.cut_short = true;
                stop.store(true, Ordering::Relaxed);
            }
            progress(at + 1);
        }
        if let Ok(mut all) = all.lock() {
            all.0.merge(mine);
            all.1 = all.1.take().or(error);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..jobs {
            scope.spawn(job);
        }
        job();
    });
    match all.into_inner() {
        Ok((campaign, None)) => Ok(campaign),
        Ok((_, Some(error))) => Err(error),
        Err(_) => Err("a world panicked".to_owned()),
    }
}

impl Campaign {
    fn add(&mut self, seed: u64, outcome: Outcome) {
        self.seeds += 1;
        self.virtual_ns += outcome.virtual_ns;
        self.events += outcome.events;
        self.hash ^= outcome.hash;
        add_records(&mut self.records, &outcome.records);
        self.counts.add(&outcome.counts);
        self.drained_ns = self.drained_ns.max(outcome.drained_ns.unwrap_or(0));
        *self.classes.entry(outcome.class).or_default() += 1;
        add_counts(&mut self.faults, &outcome.faults);
        add_counts(&mut self.void, &outcome.void);
        if !outcome.is_clean() {
            self.failures.insert(seed, outcome);
        }
    }

    fn merge(&mut self, other: Campaign) {
        self.seeds += other.seeds;
        self.virtual_ns += other.virtual_ns;
        self.events += other.events;
        self.hash ^= other.hash;
        add_records(&mut self.records, &other.records);
        self.counts.add(&other.counts);
        self.drained_ns = self.drained_ns.max(other.drained_ns);
        add_counts(&mut self.faults, &other.faults);
        add_counts(&mut self.classes, &other.classes);
        add_counts(&mut self.void, &other.void);
        self.failures.extend(other.failures);
        self.cut_short |= other.cut_short;
    }
}

fn add_counts(to: &mut BTreeMap<&'static str, u64>, more: &BTreeMap<&'static str, u64>) {
    for (name, count) in more {
        *to.entry(name).or_default() += count;
    }
}

fn add_records(to: &mut Records, more: &Records) {
    to.intended += more.intended;
    to.sent += more.sent;
    to.acked += more.acked;
    to.not_written += more.not_written;
    to.unknown += more.unknown;
    to.read += more.read;
}
