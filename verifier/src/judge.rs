//! The judge: a run folder in, a verdict and its measurements out.
//!
//! ```text
//! samples.jsonl, faults.jsonl ─▶ phases ──────┐
//! history/*.bin ─▶ pass 1: histories ─▶ tables, load (latency, rate, series, availability)
//! log/*.bin, seal.json ─▶ pass 2: logs ─▶ integrity, duplication, order; then loss ─▶ findings
//!                                              │
//!           claims, thresholds ◀── harness causes void what rests on them ──▶ verdict
//! ```
//! Streaming: what grows with the records is one row of 32 bytes each (see `tables.rs` for the bound).
//!
//! Exit code: a delivery claim failed 10; else a threshold failed 99; else anything voided 5; else 0. A damaged
//! folder gives no verdict at all.
#![cfg_attr(
    test,
    allow(
        clippy::single_range_in_vec_init,
        reason = "a phase is a list of spans, and often has one"
    )
)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::dossier::{self, Dossier};
use crate::environment::Environment;
use crate::expectations::Expectations;
use crate::frame::FormatError;
use crate::measurements::Measurements;
use crate::timeline::{Fault, join_faults};
use crate::verdict::{Inconclusive, Outcome, ThresholdVerdict, Verdict};
use crate::workload::{Keys, PartitionChoice, Workload};

mod folder; // the JSON files of a run folder

// ---- pass 1: what was sent, and how it went -------------------------------------------------------------
mod availability; // stretches without an acknowledgement
mod backlog; // what waited when a fault was healed
mod account; // what the histories say beside the tables
mod histories; // history/*.bin, into all the others here
pub(crate) mod latency; // percentiles, curves, latency.hlog
mod liveness; // V1-V4, V6
mod load; // counts and latency per segment of time
mod phases; // which time is which phase
mod schedule; // how much should have been sent
mod series; // the run second by second
mod sources; // files or memory: where evidence comes from
mod tables; // a row a record
mod transactions; // T3-T5: how each transaction ended, and what of it can be read
mod waiting; // acknowledged records whose transaction has yet to end
mod usage; // samples.jsonl: CPU, memory, disturbance

// ---- pass 2: what the log holds -------------------------------------------------------------------------
mod duplication; // D1-D3
mod findings; // counts and examples of them all
mod integrity; // I1-I5
mod logs; // log/*.bin, through all the others here
mod loss; // L1-L4
mod order; // O1-O3, O7
mod unknown; // what the log says of records without an outcome
mod visibility; // what a reader at read_committed gets

// ---- held against the log ---------------------------------------------------------------------------------
mod copies; // T6, D6: a copy job and its source
mod readers; // L6, O4, O5, T1, T2, T8: what concurrent readers saw
mod standing; // what stands where
mod witnesses; // I6: Kafka's own tools and the log

// ---- a log without a history ------------------------------------------------------------------------------
mod alone; // D1, D2, O1, O2, I1-I3, I5, T7, and gaps

// ---- the front for evidence in memory -------------------------------------------------------------------
mod evidence; // plain structures in, findings out

// ---- verdict --------------------------------------------------------------------------------------------
mod case; // everything known, weighed
mod dossiers; // the way of each record that an example names
mod claims; // anomalies against their limits
mod figures; // what was measured, phase by phase
mod harness; // H1-H5, and what each voids
mod impact; // what each fault did to the load
mod recovery; // how close `recovered` came to its limits
mod steady; // probes at the end of warm-up, at the time and afterwards
mod thresholds; // figures against their limits

pub use alone::judge_log;
use availability::Availability;
use backlog::Backlogs;
use case::Case;
use evidence::Exhibits;
pub use evidence::{Copy, Evidence, Found, TRANSACTION_SLACK_NS, examine};
pub use findings::Anomaly;
use findings::Findings;
use histories::{Books, Source};
use liveness::Debts;
pub use liveness::Liveness;
use load::Load;
use phases::{Cuts, Phases};
use sources::{Logs, Topic};
use tables::Tables;
use usage::Usage;

/// Every claim and threshold holds.
pub const EXIT_PASS: u8 = 0;
/// The cluster and the load did not come to a steady state, and no fault was injected.
pub const EXIT_STEADY_STATE: u8 = 4;
/// Neither shown nor refuted.
pub const EXIT_INCONCLUSIVE: u8 = 5;
/// A claim on delivery is broken.
pub const EXIT_DELIVERY: u8 = 10;
/// A threshold is broken.
pub const EXIT_THRESHOLD: u8 = 99;

/// Why a run folder cannot be judged. Nothing here is worth a retry: the folder is damaged or incomplete (exit code
/// 1), and says nothing about the run.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// A file that every run has.
    #[error("{} is missing: this is no complete run folder", path.display())]
    Missing {
        /// Which file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
    /// A history or log file that is damaged.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A line or document that is no JSON of its schema.
    #[error("{}, line {line}: {source}", path.display())]
    Json {
        /// Which file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Files that say two things which cannot both be true.
    #[error("{} contradicts itself: {what}", path.display())]
    Contradiction {
        /// Which file.
        path: PathBuf,
        /// What it says.
        what: String,
    },
    /// A histogram could not be written down.
    #[error("cannot encode latency.hlog: {0}")]
    Encoding(String),
}

/// What judging gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// verdict.json.
    pub verdict: Verdict,
    /// measurements.json.
    pub measurements: Measurements,
    /// dossiers.json: of the records that the verdict's examples name.
    pub dossiers: Vec<Dossier>,
    /// latency.hlog: an HdrHistogram interval log, one tag a phase.
    pub latency_log: Vec<u8>,
    /// The last 5 s of warm-up.
    pub steady_state: SteadyState,
}

/// Whether the run came to a steady state before its faults.
#[derive(Debug, Clone, PartialEq)]
pub struct SteadyState {
    /// Every probe passed. Without warm-up and without probes there is nothing to hold: true.
    pub held: bool,
    /// The probes; without a table in the scenario: rate held, and no error.
    pub probes: Vec<ThresholdVerdict>,
}

/// When warm-up was, and when it is looked at: CLOCK_MONOTONIC ns, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warmup {
    /// First due record.
    pub start_ns: u64,
    /// End of warm-up.
    pub end_ns: u64,
    /// Now: at the end or shortly after it.
    pub looked_ns: u64,
}

impl Judgement {
    /// Makes the verdict of a run that never came to a steady state inconclusive, unless something failed: what was
    /// found stands. Exit code 4, which promises that nothing was injected; 5 when a fault began all the same (what
    /// was on its way at [`steady_state`]'s look came too late). The runner decides whether to.
    pub fn require_steady_state(&mut self) {
        if self.steady_state.held || self.verdict.verdict == Outcome::Fail {
            return;
        }
        let failed = self
            .steady_state
            .probes
            .iter()
            .filter(|probe| probe.verdict != Outcome::Pass);
        self.verdict.inconclusive.extend(failed.map(|probe| Inconclusive {
            id: "steady-state".to_owned(),
            phase: Some(probe.phase.clone()),
            reason: format!(
                "{} {} did not hold at the end of warm-up",
                probe.metric, probe.expression
            ),
        }));
        self.verdict.verdict = Outcome::Inconclusive;
        self.verdict.exit_code = if self.verdict.faults.is_empty() {
            EXIT_STEADY_STATE
        } else {
            EXIT_INCONCLUSIVE
        };
    }

    /// Writes verdict.json, measurements.json, dossiers.json and latency.hlog into the run folder.
    pub fn write(&self, run_dir: &Path) -> io::Result<()> {
        let json = |value: Result<Vec<u8>, serde_json::Error>| -> io::Result<Vec<u8>> {
            let mut json = value?;
            json.push(b'\n');
            Ok(json)
        };
        fs::write(run_dir.join("latency.hlog"), &self.latency_log)?;
        fs::write(
            run_dir.join("measurements.json"),
            json(serde_json::to_vec(&self.measurements))?,
        )?;
        fs::write(
            run_dir.join(dossier::FILE_NAME),
            json(serde_json::to_vec_pretty(&self.dossiers))?,
        )?;
        // Last: where a verdict stands, the rest stands too.
        fs::write(
            run_dir.join("verdict.json"),
            json(serde_json::to_vec_pretty(&self.verdict))?,
        )
    }
}

/// Judges a run folder by what the scenario expects. Reads only; [`Judgement::write`] writes.
pub fn judge(
    run_dir: &Path,
    expectations: &Expectations,
    environment: &Environment,
) -> Result<Judgement, JudgeError> {
    let usage = Usage::of(folder::json_lines(&run_dir.join("samples.jsonl"))?);
    let plan = usage.plan.ok_or_else(|| JudgeError::Contradiction {
        path: run_dir.join("samples.jsonl"),
        what: "it has no plan: the load never began".to_owned(),
    })?;
    let faults = join_faults(&folder::fault_events(&run_dir.join("faults.jsonl"))?);
    let phases = Phases::of(&plan, &faults);
    let mut load = Load::new(Cuts::of(&phases), plan.start_ns..plan.end_ns);
    load.backlogs = Backlogs::of(faults.iter().filter_map(|fault| fault.healed_ns));
    let mut tables = Tables::default();
    tables.keep_due = run_dir.join("reads").exists();
    let mut findings = Findings::default();

    let mut availability = Availability::new();
    let source = Source {
        dir: &run_dir.join("history"),
        looked_ns: None,
        expected: &usage.workers(),
        plan,
    };
    let liveness = expectations.recovery.as_ref();
    let liveness = liveness.map(|recovery| Liveness::of(recovery, &plan, &faults));
    let mut debts = liveness.as_ref().map_or_else(Debts::default, Liveness::debts);
    let mut books = Books {
        tables: &mut tables,
        load: Some(&mut load),
        availability: &mut availability,
        debts: &mut debts,
        findings: &mut findings,
    };
    let histories = sources::history_files(source.dir, false)?;
    let account = histories::read(histories, source, &mut books)?;
    let workload = account.workload.as_ref().ok_or_else(|| JudgeError::Missing {
        path: run_dir.join("history"),
    })?;
    let seal = folder::seal(run_dir)?;
    let incomplete = |worker: u16| account.incomplete.contains_key(&worker);
    let topic = Topic {
        name: &workload.topic,
        partitions: workload.partitions,
        by_key: workload.keys != Keys::None && workload.partition == PartitionChoice::ByKey,
    };
    let positions = folder::positions(run_dir)?;
    let copy = match &positions {
        None => None,
        Some(positions) => {
            let topic = Topic {
                name: &positions.topic,
                partitions: positions.partitions,
                by_key: false,
            };
            Some(copies::Source {
                topic,
                logs: Logs::files(&run_dir.join("log"), &topic, seal.as_ref())?,
                committed: &positions.committed,
            })
        }
    };
    let exhibits = Exhibits {
        topic,
        logs: Logs::files(&run_dir.join("log"), &topic, seal.as_ref())?,
        seal: seal.as_ref(),
        observations: sources::observation_files(&run_dir.join("reads"), topic.name)?,
        copy,
        liveness: liveness.as_ref(),
        hanging_ns: transaction_timeout_ns(workload).saturating_add(TRANSACTION_SLACK_NS),
        calm_ns: calm_ns(&faults),
        load: Some(&mut load),
    };
    let stretches = availability.stretches();
    let mut log = exhibits.weigh(&incomplete, (&stretches, &debts), &mut tables, &mut findings)?;
    if workload.copy.is_some() && positions.is_none() {
        let unknown = "there is no positions.json: how far the copy job came is not known";
        log.unfinished.push(unknown.to_owned());
    }

    if let Some(oracle) = folder::oracle(run_dir)? {
        let logs = Logs::files(&run_dir.join("log"), &topic, seal.as_ref())?;
        log.witnessed = true;
        log.silent = witnesses::confront(&oracle, &logs, (&topic, seal.as_ref()), &mut findings)?;
    }

    let table_bytes =
        tables.bytes() + log.key_bytes + log.standing_bytes + availability.bytes() + load.series.bytes();
    let unknown = unknown::resolve(&tables, log.unsealed.is_empty(), plan.start_ns);
    drop(tables);
    let dossiers = dossiers::gather(run_dir, (&topic, seal.as_ref()), &findings.named(), plan.start_ns)?;
    let case = Case {
        expectations,
        environment,
        plan,
        phases,
        usage,
        faults,
        account,
        log,
        load,
        stretches,
        findings,
        liveness,
        unknown,
        table_bytes: table_bytes as u64,
    };
    let judgement = case.close()?;
    Ok(Judgement {
        dossiers,
        ..judgement
    })
}

/// Kafka's default of `transaction.timeout.ms`.
const TRANSACTION_TIMEOUT_MS: u64 = 60_000;

fn transaction_timeout_ns(workload: &Workload) -> u64 {
    let given = workload.producer.get("transaction.timeout.ms");
    let ms = given
        .and_then(|text| text.parse().ok())
        .unwrap_or(TRANSACTION_TIMEOUT_MS);
    ms.saturating_mul(1_000_000)
}

/// When the last fault was healed; a fault that never was leaves no calm.
fn calm_ns(faults: &[Fault]) -> u64 {
    let healed = faults.iter().map(|fault| fault.healed_ns.unwrap_or(u64::MAX));
    healed.max().unwrap_or(0)
}

/// Whether a run that goes on has come to a steady state: the probes of the final judgement, on the histories and
/// samples written so far. Reads only. `judge/steady.rs` says what counts for a record that is still on its way.
///
/// Errors are those of [`judge`]; a history that does not exist yet is missing, and says nothing of the state.
pub fn steady_state(
    run_dir: &Path,
    expectations: &Expectations,
    warmup: Warmup,
) -> Result<SteadyState, JudgeError> {
    match steady::look(run_dir, expectations, warmup) {
        // On a machine with weak memory order a frame's length may be seen before its bytes, and a worker that ends
        // cuts its file to size under our eyes. What is damaged is so the second time as well.
        Err(JudgeError::Format(_)) => steady::look(run_dir, expectations, warmup),
        looked => looked,
    }
}

#[cfg(test)]
pub(crate) mod tests;
