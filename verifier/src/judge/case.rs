//! Everything known of a run, weighed: harness causes, claims, thresholds, steady state; then verdict and
//! measurements as they are written down. Pure.

use std::ops::Range;

use super::claims;
use super::figures::{Figures, summary};
use super::findings::{Anomaly, Findings};
use super::harness::{self, Causes};
use super::histories::Account;
use super::latency;
use super::load::{Load, PhaseLoad};
use super::logs::LogAccount;
use super::phases::{Phases, Plan};
use super::thresholds;
use super::usage::Usage;
use super::{
    EXIT_DELIVERY, EXIT_INCONCLUSIVE, EXIT_PASS, EXIT_THRESHOLD, JudgeError, Judgement, SteadyState,
};
use crate::environment::Environment;
use crate::expectations::{Comparison, Expectations, Metric, Statistic, Threshold};
use crate::measurements::{self, JudgeCost, Measurements};
use crate::timeline::Fault;
use crate::verdict::{EnvironmentBrief, Inconclusive, Outcome, Records, SCHEMA, ThresholdVerdict, Verdict};

/// Everything known, ready to be weighed.
pub(super) struct Case<'a> {
    pub(super) expectations: &'a Expectations,
    pub(super) environment: &'a Environment,
    pub(super) plan: Plan,
    pub(super) phases: Phases,
    pub(super) usage: Usage,
    pub(super) faults: Vec<Fault>,
    pub(super) account: Account,
    pub(super) log: LogAccount,
    pub(super) load: Load,
    /// Stretches without an acknowledgement while records were due.
    pub(super) stretches: Vec<Range<u64>>,
    pub(super) findings: Findings,
    /// Bytes of the tables when they were largest.
    pub(super) table_bytes: u64,
}

impl Case<'_> {
    /// Weighs it.
    pub(super) fn close(self) -> Result<Judgement, JudgeError> {
        let figures = Figures::of(&self);
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

        let measurements = self.measurements(&figures, disturbance);
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
                table_bytes: self.table_bytes,
            },
        }
    }
}

/// Share of the rate that counts as held at the end of warm-up. Whether a rate is held all through is the business of an
/// `achieved_rate` limit; this only keeps faults away from a system that never stood, not from one that has just been
/// collecting garbage.
const HELD: f64 = 0.9;

/// Without `[steady-state]`: nine tenths of what was due acknowledged, and none in error.
fn default_probes(load: &PhaseLoad, unlimited: bool) -> Vec<Threshold> {
    let rate = HELD * load.due as f64 * 1e9 / load.length_ns as f64;
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
