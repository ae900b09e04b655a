//! Everything known of a run, weighed: harness causes, claims, thresholds, steady state; then verdict and
//! measurements as they are written down. Pure.

use std::ops::Range;

use super::account::Account;
use super::claims::{self, Looked};
use super::figures::{Figures, summary};
use super::findings::{Anomaly, Findings};
use super::harness::{self, Causes};
use super::impact;
use super::latency;
use super::liveness::{Liveness, Observed};
use super::load::Load;
use super::logs::LogAccount;
use super::phases::{Phases, Plan};
use super::recovery;
use super::steady;
use super::thresholds;
use super::usage::Usage;
use super::{EXIT_DELIVERY, EXIT_INCONCLUSIVE, EXIT_PASS, EXIT_THRESHOLD, JudgeError, Judgement};
use crate::environment::Environment;
use crate::expectations::{Claim, ClaimId, Expectations};
use crate::measurements::{self, JudgeCost, Measurements, Unknown};
use crate::provable;
use crate::timeline::Fault;
use crate::verdict::{ClaimVerdict, EnvironmentBrief, Inconclusive, Outcome, Records, SCHEMA, Verdict};

/// Target of a fault that hurts no broker.
const CLIENT: &str = "client";

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
    pub(super) liveness: Option<Liveness>,
    /// What the log says of records without an outcome.
    pub(super) unknown: Unknown,
    /// Bytes of the tables when they were largest.
    pub(super) table_bytes: u64,
}

impl Case<'_> {
    /// Weighs it.
    pub(super) fn close(mut self) -> Result<Judgement, JudgeError> {
        let recovered = self.find_unmet();
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
        causes.note_readers(self.expectations.readers, &self.log.readers_told);

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
        let steady_state = steady::weigh(self.expectations, &figures.probe);
        let verdict = self.verdict(&figures, &causes, recovered);
        Ok(Judgement {
            verdict,
            measurements,
            latency_log,
            steady_state,
        })
    }

    /// V3 by a condition; when it was met for good, or why that cannot be said.
    fn find_unmet(&mut self) -> Result<u64, &'static str> {
        let Some(liveness) = &self.liveness else {
            return Ok(0);
        };
        if let Some(why) = liveness.unjudged() {
            return Err(why);
        }
        let asked = self.expectations.recovery.as_ref();
        let asked = asked.and_then(|recovery| recovery.condition.as_ref().zip(recovery.within_ns));
        let Some(asked) = asked else {
            return Ok(self.log.liveness.recovered_ns);
        };
        let zero_ns = self.plan.start_ns;
        let points = self.load.series.points(zero_ns);
        liveness.find_unmet(asked, (&points, zero_ns), &mut self.findings)
    }

    fn verdict(
        &self,
        figures: &Figures<'_>,
        causes: &Causes,
        recovered: Result<u64, &'static str>,
    ) -> Verdict {
        let looked = self.looked(recovered.err());
        let observed = Observed {
            recovered_ns: recovered.unwrap_or(0),
            ..self.log.liveness
        };
        let claims: Vec<_> = self
            .expectations
            .claims
            .iter()
            .map(|&claim| self.claim(claim, causes, &looked))
            .map(|claim| self.with_limits(claim, observed))
            .collect();
        let mut voided: Vec<Inconclusive> = Vec::new();
        let mut thresholds = Vec::new();
        for threshold in &self.expectations.thresholds {
            let measured = figures.find(thresholds::phase_name(threshold));
            let mut verdict = thresholds::judge(threshold, self.expectations.unlimited, measured);
            let kind = &self.expectations.broker.kind;
            if let Some(why) = provable::why_no_limit(kind, threshold.metric) {
                verdict.verdict = Outcome::Inconclusive;
                verdict.reason = Some(why.to_owned());
            }
            voided.extend(causes.void(threshold.metric, &mut verdict));
            thresholds.push(verdict);
        }
        voided.dedup();
        let mut inconclusive: Vec<Inconclusive> = causes
            .run
            .iter()
            .chain(&causes.absence)
            .chain(&causes.clock)
            .chain(&causes.readers)
            .cloned()
            .collect();
        inconclusive.extend(voided.into_iter().filter(|cause| cause.id == "H1"));
        inconclusive.extend(self.unprovable());

        let any = |outcome| {
            let of_delivery = |claim: &&ClaimVerdict| claim.id != claims::name(ClaimId::Recovered);
            let (delivery, recovered): (Vec<_>, Vec<_>) = claims.iter().partition(of_delivery);
            (
                delivery.iter().any(|c| c.verdict == outcome),
                thresholds.iter().any(|t| t.verdict == outcome)
                    || recovered.iter().any(|c| c.verdict == outcome),
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
            readers: self.log.readers_told.clone(),
            anomalies: claims::checked(&looked)
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

    /// A claim as judged, unless this kind of cluster cannot show it.
    fn claim(&self, claim: Claim, causes: &Causes, looked: &Looked<'_>) -> ClaimVerdict {
        let mut verdict = claims::judge(claim, &self.findings, causes, looked, self.account.acked);
        if verdict.verdict == Outcome::Pass
            && let Some(why) = self.why_no_pass(claim.id)
        {
            verdict.verdict = Outcome::Inconclusive;
            verdict.reason = Some(why.to_owned());
        }
        verdict
    }

    /// `recovered` tells how close it came to each of its limits.
    fn with_limits(&self, claim: ClaimVerdict, observed: Observed) -> ClaimVerdict {
        let asked = self.expectations.recovery.as_ref();
        let asked = asked.filter(|_| claim.id == claims::name(ClaimId::Recovered));
        let limits = asked.map_or_else(Vec::new, |asked| {
            recovery::limits(asked, &claim, observed, &self.findings)
        });
        ClaimVerdict { limits, ..claim }
    }

    fn why_no_pass(&self, claim: ClaimId) -> Option<&'static str> {
        let hurts = self
            .faults
            .iter()
            .any(|fault| fault.target != CLIENT && provable::hurts_brokers(&fault.action));
        let asked = self.expectations.recovery.as_ref();
        let timed = asked.is_some_and(|recovery| recovery.condition.is_some());
        provable::why_no_pass(&self.expectations.broker.kind, claim, (hurts, timed))
    }

    /// What was asked of this kind of cluster and can never be shown on it: the first reason.
    fn unprovable(&self) -> Option<Inconclusive> {
        let kind = &self.expectations.broker.kind;
        let limits = self.expectations.thresholds.iter();
        let limits = limits.filter_map(|threshold| provable::why_no_limit(kind, threshold.metric));
        let claims = self
            .expectations
            .claims
            .iter()
            .filter_map(|claim| self.why_no_pass(claim.id));
        let reason = claims.chain(limits).next()?.to_owned();
        Some(Inconclusive {
            id: provable::SIMULATED.to_owned(),
            phase: None,
            reason,
        })
    }

    /// What this run had evidence for. O7 speaks only of runs whose keys choose the partition.
    fn looked(&self, unjudged: Option<&'static str>) -> Looked<'_> {
        Looked {
            split_keys: self.expectations.keyed && self.log.keys_choose_partition,
            transactions: self.log.transactional,
            readers: self.log.readers,
            committed_readers: self.log.committed_readers,
            copied: self.log.copied,
            recovery: self.expectations.recovery.as_ref(),
            unjudged,
        }
    }

    fn records(&self) -> Records {
        self.account.records(self.log.read)
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
                latency::curve(&phase.name, "visible_latency", &load.visible_latency),
            ]
        });
        let series = self.load.series.points(zero_ns);
        let seen = impact::Seen {
            run: zero_ns..self.plan.end_ns.max(zero_ns),
            stretches: &self.stretches,
            points: &series,
            width_ns: self.load.series.width_ns(),
            backlogs: &self.load.backlogs,
            limit: impact::limit(self.expectations),
        };
        let impacts = impact::impacts(&self.faults, &seen);
        let histograms = figures.counted().map(|(phase, load)| {
            let unacknowledged = load.due.saturating_sub(load.due_and_acked);
            latency::buckets(&phase.name, &load.ack_latency, unacknowledged)
        });
        let histograms = histograms.filter(|told| told.unacknowledged > 0 || !told.buckets.is_empty());
        Measurements {
            phases,
            series,
            resources: self.usage.points(zero_ns),
            curves: curves.filter(|curve| curve.count > 0).collect(),
            histograms: histograms.collect(),
            impacts,
            unknown: Some(self.unknown.clone()),
            disturbance,
            judge: JudgeCost {
                records: self.account.sent,
                table_bytes: self.table_bytes,
            },
        }
    }
}
