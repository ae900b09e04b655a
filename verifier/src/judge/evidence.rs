//! The pure core's front: plain evidence in, findings out. No file, no clock; a small world takes about a millisecond.
//!
//! ```text
//! histories ─▶ pass 1 ─▶ tables ─┐
//! logs, seal ────────▶ pass 2 ───┼─▶ Found: how often which anomaly, examples, why absence is not shown
//! reads, copy job ───────────────┘
//! ```
//! `simulate` judges hundreds of worlds a second through [`examine`]; [`super::judge`] puts the files of a run folder
//! through the same passes and adds what only a real run has: latency, CPU, harness causes, claims.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::JudgeError;
use super::availability::Availability;
use super::findings::{Anomaly, Findings};
use super::histories::{self, Books, Source};
use super::logs;
use super::phases::Plan;
use super::sources::{self, Logs, Topic};
use super::tables::Tables;
use crate::history::Recorded;
use crate::log::LogBatch;
use crate::seal::Seal;
use crate::verdict::{Example, Records};

/// What a simulated world left behind.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The topic judged; the seal speaks of it by this name.
    pub topic: &'a str,
    /// Its partitions.
    pub partitions: u32,
    /// Records have keys, and the key is to choose the partition: O7 applies.
    pub keys_choose_partition: bool,
    /// One for each worker incarnation, in any order.
    pub histories: &'a [Recorded],
    /// Everything read uncommitted after the last outcome, by partition, in offset order, markers included.
    pub logs: &'a BTreeMap<i32, Vec<LogBatch>>,
    /// How far that was, and whether it was all.
    pub seal: &'a Seal,
}

/// What was found in it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// Anomalies found, by how often. An anomaly not found is not here.
    pub anomalies: BTreeMap<Anomaly, u64>,
    /// The first few of each, for people.
    pub examples: Vec<Example>,
    /// Why absence of anomalies is not shown (H3, H5), as sentences.
    pub doubts: Vec<String>,
    /// Counts of records.
    pub records: Records,
}

impl Found {
    /// Nothing wrong, and all of it seen.
    pub fn is_clean(&self) -> bool {
        self.anomalies.is_empty() && self.doubts.is_empty()
    }

    /// `L1=3 D1=1`: names and counts, for a line of output.
    pub fn names(&self) -> String {
        let name = |(anomaly, count): (&Anomaly, &u64)| format!("{}={count}", anomaly.id());
        self.anomalies.iter().map(name).collect::<Vec<_>>().join(" ")
    }
}

/// Judges what a world left behind. An error means that the evidence contradicts itself: a bug of whoever made it.
pub fn examine(evidence: &Evidence<'_>) -> Result<Found, JudgeError> {
    let mut tables = Tables::default();
    let mut findings = Findings::default();
    let mut availability = Availability::new();
    let source = Source {
        dir: Path::new("histories"),
        looked_ns: None,
        expected: &BTreeSet::new(),
        plan: Plan {
            start_ns: 0,
            warmup_end_ns: 0,
            end_ns: u64::MAX,
        },
    };
    let mut books = Books {
        tables: &mut tables,
        load: None,
        availability: &mut availability,
        findings: &mut findings,
    };
    let account = histories::read(sources::recorded(evidence.histories)?, source, &mut books)?;
    let topic = Topic {
        name: evidence.topic,
        partitions: evidence.partitions,
        by_key: evidence.keys_choose_partition,
    };
    let incomplete = |worker: u16| account.incomplete.contains_key(&worker);
    let log = logs::read(
        &Logs::Memory(evidence.logs),
        &topic,
        Some(evidence.seal),
        &incomplete,
        &mut tables,
        &mut findings,
    )?;
    let mut doubts = log.unsealed.clone();
    doubts.extend(account.incomplete.values().flatten().cloned());
    if log.unaccounted > 0 {
        doubts.push(format!(
            "{} intact records of the log are in no history",
            log.unaccounted
        ));
    }
    Ok(Found {
        anomalies: findings.counts(),
        examples: findings.examples(),
        doubts,
        records: account.records(log.read),
    })
}
