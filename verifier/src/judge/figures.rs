//! What was measured, phase by phase. Pure.

use std::ops::Range;

use super::availability;
use super::case::Case;
use super::latency;
use super::load::{Load, PhaseLoad};
use super::phases::{self, Phase};
use super::thresholds::Measured;
use super::usage::Usage;
use crate::timeline::Role;
use crate::verdict::{PhaseLatency, Resources};

/// Every phase with what was measured in it.
pub(super) struct Figures<'a> {
    pub(super) named: Vec<Measured<'a>>,
    pub(super) all: Measured<'a>,
    pub(super) probe: Measured<'a>,
}

impl<'a> Figures<'a> {
    pub(super) fn of(case: &'a Case<'_>) -> Figures<'a> {
        let measured = |phase: &'a Phase| measured(phase, &case.load, &case.stretches, &case.usage);
        Figures {
            named: case.phases.named.iter().map(measured).collect(),
            all: measured(&case.phases.all),
            probe: measured(&case.phases.probe),
        }
    }

    /// The phases that verdict and report show: those with a name, then `all`.
    pub(super) fn counted(&self) -> impl Iterator<Item = (&'a Phase, &PhaseLoad)> {
        self.named
            .iter()
            .chain([&self.all])
            .map(|measured| (measured.phase, &measured.load))
    }

    pub(super) fn find(&self, name: &str) -> Option<&Measured<'a>> {
        self.named
            .iter()
            .chain([&self.all])
            .find(|measured| measured.phase.name == name)
    }

    /// CPU and memory of `steady`; 0 where there was no such phase or no samples.
    pub(super) fn resources(&self) -> Resources {
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

/// All that was measured in one phase.
pub(super) fn measured<'a>(
    phase: &'a Phase,
    load: &Load,
    stretches: &[Range<u64>],
    usage: &Usage,
) -> Measured<'a> {
    Measured {
        phase,
        load: load.phase(phase),
        unavailable_ns: availability::longest(stretches, &phase.spans),
        client_cpu: usage.cpu_percent(Role::Client, phase),
        broker_cpu: usage.cpu_percent(Role::Broker, phase),
        client_rss: usage.rss(Role::Client, phase),
        broker_rss: usage.rss(Role::Broker, phase),
    }
}

/// The figures of verdict.json.
pub(super) fn summary(load: &PhaseLoad) -> PhaseLatency {
    PhaseLatency {
        ack_latency: latency::percentiles(&load.ack_latency),
        service_time: latency::percentiles(&load.service_time),
        schedule_lag: latency::percentiles(&load.schedule_lag),
        visible_latency: (load.to_be_seen > 0).then(|| latency::percentiles(&load.visible_latency)),
    }
}
