//! The pure core's front: plain evidence in, findings out. No file, no clock; a small world takes about a millisecond.
//!
//! ```text
//! histories ─▶ pass 1 ─▶ tables ─┐
//! logs, seal ────────▶ pass 2 ───┼─▶ Found: how often which anomaly, examples, why absence is not shown
//! reads, copy job, liveness ─────┘
//! ```
//! `simulate` judges hundreds of worlds a second through [`examine`]; [`super::judge`] puts the files of a run folder
//! through the same [`Exhibits`] and adds what only a real run has: latency, CPU, harness causes, claims.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use super::JudgeError;
use super::availability::Availability;
use super::copies;
use super::findings::{Anomaly, Findings};
use super::histories::{self, Books, Source};
use super::liveness::{Debts, Liveness};
use super::load::Load;
use super::logs::{self, Desk, LogAccount};
use super::phases::Plan;
use super::readers::{Watch, hanging};
use super::sources::{self, Logs, Observations, Topic};
use super::standing::Standings;
use super::tables::{Stretch, Tables};
use crate::history::Recorded;
use crate::log::LogBatch;
use crate::reads;
use crate::seal::Seal;
use crate::verdict::{Example, Records};

/// A transaction may stay open for so long after its timeout before it hangs: a coordinator looks for such ones every
/// 10 s (`transaction.abort.timed.out.transaction.cleanup.interval.ms`), and needs time to write the markers.
pub const TRANSACTION_SLACK_NS: u64 = 15_000_000_000;

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
    /// What readers saw meanwhile; empty = L6, O4, O5 and T2 are not checked.
    pub reads: &'a [reads::Recorded],
    /// Where a copy job read from; none = D6 and T6 are not checked.
    pub copy: Option<Copy<'a>>,
    /// What is asked of liveness; none = V1 to V4 and V6 are not checked.
    pub liveness: Option<&'a Liveness>,
    /// T8: a transaction open for longer than this hangs: its timeout and, say, [`TRANSACTION_SLACK_NS`].
    pub hanging_ns: u64,
    /// T8 as readers see it: from here on nothing was broken; 0 = nothing ever was.
    pub calm_ns: u64,
}

/// The source of a consume-transform-produce job. Which record was made from which source offset its histories tell
/// ([`Recorded::copied`]).
#[derive(Debug, Clone, Copy)]
pub struct Copy<'a> {
    /// The topic read.
    pub topic: &'a str,
    /// Its logs, as [`Evidence::logs`].
    pub logs: &'a BTreeMap<i32, Vec<LogBatch>>,
    /// By partition, the group's committed position after the last outcome.
    pub committed: &'a BTreeMap<i32, i64>,
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
    let mut debts = evidence.liveness.map_or_else(Debts::default, Liveness::debts);
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
        debts: &mut debts,
        findings: &mut findings,
    };
    let account = histories::read(sources::recorded(evidence.histories)?, source, &mut books)?;
    let exhibits = Exhibits {
        topic: Topic {
            name: evidence.topic,
            partitions: evidence.partitions,
            by_key: evidence.keys_choose_partition,
        },
        logs: Logs::Memory(evidence.logs),
        seal: Some(evidence.seal),
        observations: evidence
            .reads
            .iter()
            .map(|read| Observations::Memory(&read.header, read.replay()))
            .collect(),
        copy: evidence.copy.map(|copy| copies::Source {
            topic: Topic {
                name: copy.topic,
                partitions: copy.logs.len() as u32,
                by_key: false,
            },
            logs: Logs::Memory(copy.logs),
            committed: copy.committed,
        }),
        liveness: evidence.liveness,
        hanging_ns: evidence.hanging_ns,
        calm_ns: evidence.calm_ns,
        load: None,
    };
    let incomplete = |worker: u16| account.incomplete.contains_key(&worker);
    let stretches = availability.stretches();
    let log = exhibits.weigh(&incomplete, (&stretches, &debts), &mut tables, &mut findings)?;
    let mut doubts = log.unsealed.clone();
    doubts.extend(log.unfinished.iter().cloned());
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

/// Every record that was due is to be seen by each reader, but those that stand in the log hidden for good: nobody may see
/// what was aborted.
fn to_be_seen(tables: &Tables, readers: u64, load: &mut Load) {
    for (row, due_ns) in tables.stretches.iter().flat_map(Stretch::due) {
        if row.seen() || !row.hidden() {
            load.will_be_seen(due_ns, readers);
        }
    }
}

/// Everything but the histories, from files or from memory.
pub(super) struct Exhibits<'a> {
    pub(super) topic: Topic<'a>,
    pub(super) logs: Logs<'a>,
    pub(super) seal: Option<&'a Seal>,
    pub(super) observations: Vec<Observations<'a>>,
    pub(super) copy: Option<copies::Source<'a>>,
    pub(super) liveness: Option<&'a Liveness>,
    pub(super) hanging_ns: u64,
    pub(super) calm_ns: u64,
    /// Where readers' latency is measured; none in a simulated world.
    pub(super) load: Option<&'a mut Load>,
}

impl Exhibits<'_> {
    /// Holds them against the tables that the histories filled. `stretches` and `debts` are what pass 1 saw of liveness.
    pub(super) fn weigh(
        self,
        incomplete: &dyn Fn(u16) -> bool,
        (stretches, debts): (&[Range<u64>], &Debts),
        tables: &mut Tables,
        findings: &mut Findings,
    ) -> Result<LogAccount, JudgeError> {
        let mut standings = Standings::default();
        let mut account = logs::read(
            &self.logs,
            self.seal,
            &mut Desk {
                topic: self.topic,
                incomplete,
                tables,
                standings: (!self.observations.is_empty()).then_some(&mut standings),
                findings,
            },
        )?;
        account.transactional |= tables.transactions.any();
        account.readers = !self.observations.is_empty();
        account.standing_bytes = standings.bytes();
        let stuck = self.find_hanging(findings);
        let readers = self.observations.len() as u64;
        let read_to = self.read_to();
        let mut load = self.load;
        if let Some(load) = load.as_mut().filter(|_| readers > 0) {
            to_be_seen(tables, readers, load);
        }
        let mut watch = Watch {
            topic: self.topic.name,
            tables,
            standings: &standings,
            read_to,
            hanging_ns: self.hanging_ns,
            calm_ns: self.calm_ns,
            liveness: self.liveness,
            load,
            stuck,
        };
        for observations in self.observations {
            account.committed_readers |= observations.header().isolation == reads::Isolation::ReadCommitted;
            account.readers_told.push(watch.follow(observations, findings)?);
        }
        if let Some(liveness) = self.liveness {
            account.liveness = liveness.find(stretches, debts, tables, findings);
        }
        if let Some(source) = &self.copy {
            account.copied = true;
            let of_source = logs::unsealed(&source.topic, self.seal);
            let sealed = account.unsealed.is_empty() && of_source.is_empty();
            account.unsealed.extend(of_source);
            account.unfinished = copies::find(source, tables, sealed, findings)?;
        }
        Ok(account)
    }

    /// T8 as the last look at the log tells it.
    fn find_hanging(&self, findings: &mut Findings) -> BTreeSet<(i32, i64)> {
        let partitions = self.seal.map_or(&[][..], |seal| &seal.partitions);
        let mut stuck = BTreeSet::new();
        for sealed in partitions.iter().filter(|sealed| sealed.topic == self.topic.name) {
            let (partition, offset) = (sealed.partition, sealed.last_stable_offset);
            if offset < sealed.end_offset && sealed.stable_stood_ns > self.hanging_ns {
                stuck.insert((partition, offset));
                findings.add(Anomaly::T8, None, || {
                    hanging(self.topic.name, partition, offset, sealed.stable_stood_ns)
                });
            }
        }
        stuck
    }

    fn read_to(&self) -> BTreeMap<i32, i64> {
        let partitions = self.seal.map_or(&[][..], |seal| &seal.partitions);
        let of_topic = partitions.iter().filter(|sealed| sealed.topic == self.topic.name);
        of_topic
            .map(|sealed| (sealed.partition, sealed.read_to))
            .collect()
    }
}
