//! What a campaign came to: lines for people, JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::SECOND;
use super::campaign::Campaign;
use super::class::Class;
use super::design::Design;
use super::shrink::Shrunk;

/// Words of one failing seed that are shown.
const WORDS_MAX: usize = 8;

/// The line before anything runs.
pub(crate) fn title(design: &Design, from: u64, count: u64) -> String {
    format!(
        "simulate: {count} seeds from {from}: {} nodes, {} partitions, {} clients, {} records/s, {} s of faults, one every {} ms\n",
        design.nodes, design.partitions, design.clients, design.rate, design.seconds, design.fault_every_ms
    )
}

/// Speed, events, faults, records, outcomes.
/// `command`: what to type to get these worlds, without seeds.
pub(crate) fn text(campaign: &Campaign, real_ns: u64, jobs: usize, command: &str) -> String {
    let mut out = String::new();
    let virtual_s = campaign.virtual_ns / SECOND;
    let real_s = real_ns as f64 / SECOND as f64;
    let _ = writeln!(
        out,
        "{} seeds, {virtual_s} virtual s in {real_s:.1} s on {jobs} thread(s): {:.0} times real time",
        campaign.seeds,
        virtual_s as f64 / real_s.max(1e-9)
    );
    let records = &campaign.records;
    let _ = writeln!(
        out,
        "events {} · records {}: {} acked, {} not written, {} unknown; {} read and judged",
        campaign.events, records.sent, records.acked, records.not_written, records.unknown, records.read
    );
    let _ = writeln!(
        out,
        "faults {}: {}",
        campaign.faults.values().sum::<u64>(),
        listed(&campaign.faults)
    );
    let _ = writeln!(out, "worlds: {}", listed(&campaign.classes));
    let unclean = Class::Unclean;
    if campaign.classes.contains_key(unclean.name()) {
        let _ = writeln!(
            out,
            "{}: the broker may lose what it acknowledged, so {} are void there (found {}); {} partitions stopped with an alarm",
            unclean.name(),
            unclean.void().join(" "),
            if campaign.void.is_empty() {
                "none".to_owned()
            } else {
                listed(&campaign.void)
            },
            campaign.counts.alarms
        );
    }
    let counts = &campaign.counts;
    let _ = writeln!(
        out,
        "clients: {} batches sent again, {} local epoch bumps, {} crashes, {} fenced; transactions: {} committed, {} aborted, {} in doubt",
        counts.retried,
        counts.epoch_bumps,
        counts.crashed,
        counts.fenced,
        counts.committed,
        counts.aborted,
        counts.in_doubt
    );
    let _ = writeln!(
        out,
        "drained at most {:.1} s after the heal · hash {:016x}",
        campaign.drained_ns as f64 / SECOND as f64,
        campaign.hash
    );
    for (seed, outcome) in &campaign.failures {
        let _ = writeln!(out, "FAILED seed {seed}: {}", outcome.names());
        for word in outcome.words.iter().take(WORDS_MAX) {
            let _ = writeln!(out, "    {word}");
        }
        let _ = writeln!(out, "    replay: {command} --seeds 1 --from {seed}");
    }
    if campaign.cut_short {
        let _ = writeln!(out, "ended early: too many failures");
    }
    let _ = writeln!(
        out,
        "{} of {} seeds failed",
        campaign.failures.len(),
        campaign.seeds
    );
    out
}

/// `cut 3, pause 7`.
fn listed(counts: &BTreeMap<&'static str, u64>) -> String {
    let name = |(name, count): (&&str, &u64)| format!("{name} {count}");
    counts.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// A failure made small.
pub(crate) fn shrunk(seed: u64, shrunk: &Shrunk) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "seed {seed} shrunk in {} tries to {} faults and at most {} records a client: {}",
        shrunk.tries,
        shrunk.plan.len(),
        shrunk.records_max,
        shrunk.outcome.names()
    );
    for fault in &shrunk.plan {
        let _ = writeln!(out, "    {fault}");
    }
    for word in shrunk.outcome.words.iter().take(WORDS_MAX) {
        let _ = writeln!(out, "    {word}");
    }
    out
}

/// The same for programs.
pub(crate) fn json(campaign: &Campaign, real_ns: u64, jobs: usize) -> Value {
    let failures: Vec<Value> = campaign
        .failures
        .iter()
        .map(
            |(seed, outcome)| json!({ "seed": seed, "anomalies": outcome.anomalies, "words": outcome.words }),
        )
        .collect();
    json!({
        "schema": "steadfast/simulate/1",
        "seeds": campaign.seeds,
        "virtual_ns": campaign.virtual_ns,
        "real_ns": real_ns,
        "jobs": jobs,
        "events": campaign.events,
        "records": campaign.records,
        "faults": campaign.faults,
        "transactions": {
            "committed": campaign.counts.committed,
            "aborted": campaign.counts.aborted,
            "in_doubt": campaign.counts.in_doubt,
        },
        "worlds": campaign.classes,
        "void": campaign.void,
        "alarms": campaign.counts.alarms,
        "crashed": campaign.counts.crashed,
        "fenced": campaign.counts.fenced,
        "drained_ns_max": campaign.drained_ns,
        "hash": format!("{:016x}", campaign.hash),
        "cut_short": campaign.cut_short,
        "failures": failures,
    })
}
