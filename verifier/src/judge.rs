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

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::environment::Environment;
use crate::expectations::{Comparison, Expectations, Metric, Statistic, Threshold};
use crate::frame::FormatError;
use crate::measurements::{self, JudgeCost, Measurements};
use crate::seal::{self, Seal};
use crate::timeline::{Fault, FaultEvent, Role, join_faults};
use crate::verdict::{
    EnvironmentBrief, Inconclusive, Outcome, PhaseLatency, Records, Resources, SCHEMA, ThresholdVerdict,
    Verdict,
};

mod availability;
mod claims;
mod duplication;
mod findings;
mod harness;
mod histories;
mod integrity;
mod latency;
mod load;
mod logs;
mod loss;
mod order;
mod phases;
mod schedule;
mod series;
mod tables;
mod thresholds;
mod usage;

use findings::{Anomaly, Findings};
use harness::Causes;
use histories::{Account, Books};
use load::{Load, PhaseLoad};
use logs::LogAccount;
use phases::{Cuts, Phase, Phases, Plan};
use tables::Tables;
use thresholds::Measured;
use usage::Usage;

/// Every claim and threshold holds.
pub const EXIT_PASS: u8 = 0;
/// The cluster and the load did not come to a steady state before the faults.
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

impl Judgement {
    /// Turns the verdict of a run that never came to a steady state into exit code 4, unless something failed: what
    /// was found stands. The runner decides whether to.
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
        self.verdict.exit_code = EXIT_STEADY_STATE;
    }

    /// Writes verdict.json, measurements.json and latency.hlog into the run folder.
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
    let usage = Usage::of(json_lines(&run_dir.join("samples.jsonl"))?);
    let plan = usage.plan.ok_or_else(|| JudgeError::Contradiction {
        path: run_dir.join("samples.jsonl"),
        what: "it has no plan: the load never began".to_owned(),
    })?;
    let faults = join_faults(&fault_events(&run_dir.join("faults.jsonl"))?);
    let phases = Phases::of(&plan, &faults);
    let mut load = Load::new(Cuts::of(&phases), plan.start_ns..plan.end_ns);
    let mut tables = Tables::default();
    let mut findings = Findings::default();

    let mut books = Books {
        tables: &mut tables,
        load: &mut load,
        findings: &mut findings,
    };
    let account = histories::read(&run_dir.join("history"), &plan, &usage.workers(), &mut books)?;
    let workload = account.workload.as_ref().ok_or_else(|| JudgeError::Missing {
        path: run_dir.join("history"),
    })?;
    let seal = read_seal(run_dir)?;
    let incomplete = |worker: u16| account.incomplete.contains_key(&worker);
    let log = logs::read(
        run_dir,
        workload,
        seal.as_ref(),
        &incomplete,
        &mut tables,
        &mut findings,
    )?;

    let table_bytes = tables.bytes() + log.key_bytes + load.availability.bytes() + load.series.bytes();
    drop(tables);
    Case {
        expectations,
        environment,
        plan,
        phases,
        usage,
        faults,
        account,
        log,
        load,
        findings,
    }
    .close(table_bytes as u64)
}

/// Everything known, ready to be weighed.
struct Case<'a> {
    expectations: &'a Expectations,
    environment: &'a Environment,
    plan: Plan,
    phases: Phases,
    usage: Usage,
    faults: Vec<Fault>,
    account: Account,
    log: LogAccount,
    load: Load,
    findings: Findings,
}

impl Case<'_> {
    fn close(mut self, table_bytes: u64) -> Result<Judgement, JudgeError> {
        let availability = std::mem::replace(&mut self.load.availability, availability::Availability::new());
        let stretches = availability.stretches();
        let figures = Figures::of(&self, &stretches);
        let disturbance = harness::disturbance(
            &self.usage,
            figures.counted().map(|(phase, _)| phase),
            self.environment.cores,
        );
        let mut causes = Causes::default();
        causes.note_not_sent(&self.account, &self.phases);
        causes.note_disturbance(&disturbance);
        causes.note_faults(&self.expectations.faults, &self.faults);
        causes.note_seal(&self.log, self.findings.count(Anomaly::L3));
        causes.note_clock(&self.account, &self.usage);
        causes.note_histories(&self.account, &self.log);
        causes.note_runner(&self.usage);

        let measurements = self.measurements(&figures, disturbance, table_bytes);
        let hlog: Vec<_> = figures
            .counted()
            .map(|(phase, load)| (phase, &load.ack_latency))
            .collect();
        let wall_ms = self.account.wall.map_or(0, |(at_ns, wall_ms)| {
            wall_ms + (self.plan.start_ns as i64 - at_ns as i64) / 1_000_000
        });
        let latency_log =
            latency::interval_log(&hlog, self.plan.start_ns, wall_ms).map_err(JudgeError::Encoding)?;
        let steady_state = self.steady_state(&figures);
        let verdict = self.verdict(&figures, &causes);
        Ok(Judgement {
            verdict,
            measurements,
            latency_log,
            steady_state,
        })
    }

    fn verdict(&self, figures: &Figures<'_>, causes: &Causes) -> Verdict {
        let split_keys = self.split_keys();
        let claims: Vec<_> = self
            .expectations
            .claims
            .iter()
            .map(|&claim| claims::judge(claim, &self.findings, causes, split_keys, self.account.acked))
            .collect();
        let mut voided: Vec<Inconclusive> = Vec::new();
        let mut thresholds = Vec::new();
        for threshold in &self.expectations.thresholds {
            let measured = figures.find(thresholds::phase_name(threshold));
            let mut verdict = thresholds::judge(threshold, self.expectations.unlimited, measured);
            voided.extend(causes.void(threshold.metric, &mut verdict));
            thresholds.push(verdict);
        }
        voided.dedup();
        let mut inconclusive: Vec<Inconclusive> = causes
            .run
            .iter()
            .chain(&causes.absence)
            .chain(&causes.clock)
            .cloned()
            .collect();
        inconclusive.extend(voided.into_iter().filter(|cause| cause.id == "H1"));

        let any = |outcome| {
            (
                claims.iter().any(|c| c.verdict == outcome),
                thresholds.iter().any(|t| t.verdict == outcome),
            )
        };
        let unproven = !causes.run.is_empty() || !causes.absence.is_empty();
        let (verdict, exit_code) = match (any(Outcome::Fail), any(Outcome::Inconclusive)) {
            ((true, _), _) => (Outcome::Fail, EXIT_DELIVERY),
            ((_, true), _) => (Outcome::Fail, EXIT_THRESHOLD),
            (_, (false, false)) if !unproven => (Outcome::Pass, EXIT_PASS),
            _ => (Outcome::Inconclusive, EXIT_INCONCLUSIVE),
        };
        Verdict {
            schema: SCHEMA.to_owned(),
            scenario: self.expectations.scenario.clone(),
            title: self.expectations.title.clone(),
            seed: self.expectations.seed,
            subject: self.expectations.subject.clone(),
            broker: self.expectations.broker.clone(),
            verdict,
            exit_code,
            claims,
            thresholds,
            inconclusive,
            records: self.records(),
            anomalies: claims::checked(split_keys)
                .map(|anomaly| (anomaly.id().to_owned(), self.findings.count(anomaly)))
                .collect(),
            examples: self.findings.examples(),
            faults: self.faults.clone(),
            latency_ns: figures
                .counted()
                .map(|(phase, load)| (phase.name.clone(), summary(load)))
                .collect(),
            resources: figures.resources(),
            environment: EnvironmentBrief {
                cores: self.environment.cores,
                kernel: self.environment.kernel.clone(),
                memory_bytes: self.environment.memory_bytes,
            },
        }
    }

    /// O7 speaks only of runs whose keys choose the partition.
    fn split_keys(&self) -> bool {
        self.expectations.keyed && self.log.keys_choose_partition
    }

    fn records(&self) -> Records {
        let Account {
            sent,
            acked,
            not_written,
            ..
        } = self.account;
        Records {
            intended: sent + self.account.withheld.iter().map(|run| run.records).sum::<u64>(),
            sent,
            acked,
            not_written,
            unknown: sent - acked - not_written,
            read: self.log.read,
        }
    }

    fn steady_state(&self, figures: &Figures<'_>) -> SteadyState {
        let probe = &figures.probe;
        let given = &self.expectations.steady_state;
        let probes = if given.is_empty() && !probe.phase.spans.is_empty() {
            default_probes(&probe.load, self.expectations.unlimited)
        } else {
            given.clone()
        };
        let judge = |threshold: &Threshold| {
            let measured = (!probe.phase.spans.is_empty()).then_some(probe);
            let verdict = thresholds::judge(threshold, self.expectations.unlimited, measured);
            ThresholdVerdict {
                phase: probe.phase.name.clone(),
                ..verdict
            }
        };
        let probes: Vec<_> = probes.iter().map(judge).collect();
        SteadyState {
            held: probes.iter().all(|probe| probe.verdict == Outcome::Pass),
            probes,
        }
    }

    fn measurements(
        &self,
        figures: &Figures<'_>,
        disturbance: Vec<measurements::Disturbance>,
        table_bytes: u64,
    ) -> Measurements {
        let zero_ns = self.plan.start_ns;
        let relative = |at_ns: u64| at_ns as i64 - zero_ns as i64;
        let spans = self
            .phases
            .named
            .iter()
            .flat_map(|phase| phase.spans.iter().map(move |span| (phase, span)));
        let mut phases: Vec<_> = spans
            .map(|(phase, span)| measurements::Phase {
                name: phase.name.clone(),
                start_ns: relative(span.start),
                end_ns: relative(span.end),
            })
            .collect();
        phases.sort_by_key(|phase| phase.start_ns);
        let curves = figures.counted().flat_map(|(phase, load)| {
            [
                latency::curve(&phase.name, "ack_latency", &load.ack_latency),
                latency::curve(&phase.name, "service_time", &load.service_time),
                latency::curve(&phase.name, "schedule_lag", &load.schedule_lag),
            ]
        });
        Measurements {
            phases,
            series: self.load.series.points(zero_ns),
            resources: self.usage.points(zero_ns),
            curves: curves.filter(|curve| curve.count > 0).collect(),
            disturbance,
            judge: JudgeCost {
                records: self.account.sent,
                table_bytes,
            },
        }
    }
}

/// Every phase with what was measured in it.
struct Figures<'a> {
    named: Vec<Measured<'a>>,
    all: Measured<'a>,
    probe: Measured<'a>,
}

impl<'a> Figures<'a> {
    fn of(case: &'a Case<'_>, stretches: &[std::ops::Range<u64>]) -> Figures<'a> {
        let measured = |phase: &'a Phase| Measured {
            phase,
            load: case.load.phase(phase),
            unavailable_ns: availability::longest(stretches, &phase.spans),
            client_cpu: case.usage.cpu_percent(Role::Client, phase),
            broker_cpu: case.usage.cpu_percent(Role::Broker, phase),
            client_rss: case.usage.rss(Role::Client, phase),
            broker_rss: case.usage.rss(Role::Broker, phase),
        };
        Figures {
            named: case.phases.named.iter().map(measured).collect(),
            all: measured(&case.phases.all),
            probe: measured(&case.phases.probe),
        }
    }

    /// The phases that verdict and report show: those with a name, then `all`.
    fn counted(&self) -> impl Iterator<Item = (&'a Phase, &PhaseLoad)> {
        self.named
            .iter()
            .chain([&self.all])
            .map(|measured| (measured.phase, &measured.load))
    }

    fn find(&self, name: &str) -> Option<&Measured<'a>> {
        self.named
            .iter()
            .chain([&self.all])
            .find(|measured| measured.phase.name == name)
    }

    /// CPU and memory of `steady`; 0 where there was no such phase or no samples.
    fn resources(&self) -> Resources {
        let Some(steady) = self.find(phases::STEADY) else {
            return Resources::default();
        };
        let us_per_record = |percent: Option<f64>| match percent {
            Some(percent) if steady.load.acked > 0 => {
                percent / 100.0 * steady.load.length_ns as f64 / 1e3 / steady.load.acked as f64
            }
            _ => 0.0,
        };
        Resources {
            client_cpu_us_per_record: us_per_record(steady.client_cpu),
            broker_cpu_us_per_record: us_per_record(steady.broker_cpu),
            client_cpu_percent_of_core: steady.client_cpu.unwrap_or(0.0),
            broker_cpu_percent_of_core: steady.broker_cpu.unwrap_or(0.0),
            client_rss_peak_bytes: steady.client_rss.map_or(0, |rss| rss.max),
            broker_rss_peak_bytes: steady.broker_rss.map_or(0, |rss| rss.max),
        }
    }
}

fn summary(load: &PhaseLoad) -> PhaseLatency {
    PhaseLatency {
        ack_latency: latency::percentiles(&load.ack_latency),
        service_time: latency::percentiles(&load.service_time),
        schedule_lag: latency::percentiles(&load.schedule_lag),
    }
}

/// Without `[steady-state]`: as many acknowledged as were due, and none in error.
fn default_probes(load: &PhaseLoad, unlimited: bool) -> Vec<Threshold> {
    let rate = load.due as f64 * 1e9 / load.length_ns as f64;
    let probe = |metric, comparison, expression: String, limit| Threshold {
        metric,
        phase: None,
        expression,
        statistic: Statistic::Rate,
        comparison,
        limit,
    };
    let mut probes = vec![probe(
        Metric::RecordError,
        Comparison::LessOrEqual,
        "rate<=0".to_owned(),
        0.0,
    )];
    if !unlimited {
        let expression = format!("rate>={rate:.1}/s");
        probes.push(probe(
            Metric::AchievedRate,
            Comparison::GreaterOrEqual,
            expression,
            rate,
        ));
    }
    probes
}

/// A file of JSON lines; empty lines say nothing.
fn json_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, JudgeError> {
    let io_error = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => JudgeError::Missing {
            path: path.to_owned(),
        },
        _ => JudgeError::Io {
            path: path.to_owned(),
            source,
        },
    };
    let mut values = Vec::new();
    for (i, line) in BufReader::new(File::open(path).map_err(io_error)?)
        .lines()
        .enumerate()
    {
        let line = line.map_err(io_error)?;
        if !line.trim().is_empty() {
            let value = serde_json::from_str(&line);
            let json_error = |source| JudgeError::Json {
                path: path.to_owned(),
                line: i + 1,
                source,
            };
            values.push(value.map_err(json_error)?);
        }
    }
    Ok(values)
}

/// A run without faults need not have the file; where faults were ordered, its absence is H2.
fn fault_events(path: &Path) -> Result<Vec<FaultEvent>, JudgeError> {
    match json_lines(path) {
        Err(JudgeError::Missing { .. }) => Ok(Vec::new()),
        events => events,
    }
}

/// A run that was cut off before its log was read has no seal: that is H3, not damage.
fn read_seal(run_dir: &Path) -> Result<Option<Seal>, JudgeError> {
    match Seal::read(run_dir) {
        Ok(seal) => Ok(Some(seal)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(JudgeError::Io {
            path: run_dir.join(seal::FILE_NAME),
            source,
        }),
    }
}

#[cfg(test)]
mod tests;
