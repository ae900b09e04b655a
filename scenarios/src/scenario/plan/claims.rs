//! What is claimed, how it is judged, and what this kind of cluster cannot prove.

use std::time::Duration;

use steadfast_chaos::fault::Target;
use steadfast_verifier::expectations::{ClaimId, Metric, Recovery, Threshold};
use steadfast_verifier::provable;
use steadfast_verifier::workload::Keys;

use super::Provable;
use crate::scenario::Scenario;
use crate::scenario::thresholds::METRICS;
use crate::scenario::units::show_duration;

/// Each claim and threshold of the file.
pub(super) fn claims(scenario: &Scenario, kind: &str) -> Vec<Provable> {
    let claims = scenario.claims.iter().map(|claim| {
        let (name, by) = match claim.id {
            ClaimId::Lost => ("lost", "L1 L2 L4 on the sealed log"),
            ClaimId::Duplicated => ("duplicated", "D1 D2 D3 on the sealed log"),
            ClaimId::ReorderedPerKey if scenario.template.keys == Keys::None => (
                "reordered-per-key",
                "O1 O2 per partition (the records have no key)",
            ),
            ClaimId::ReorderedPerKey => ("reordered-per-key", "O1 O2 O7 per key"),
            ClaimId::ReorderedInTime => ("reordered-in-time", "O3: acknowledgements against later sends"),
            ClaimId::ReorderedForReaders => ("reordered-for-readers", "O5: what readers got during the run"),
            ClaimId::Torn => ("torn", "T1 T3 T5 T7 T8 on the sealed log"),
            ClaimId::Corrupted => (
                "corrupted",
                "I1 I2 I3 I4 I5: CRC of each record, leader epochs of the log",
            ),
            ClaimId::Recovered => ("recovered", "V1 to V4 and V6: acknowledgements after each heal"),
        };
        let timed = scenario
            .recovery
            .as_ref()
            .is_some_and(|recovery| recovery.condition.is_some());
        let hurts = scenario
            .faults
            .iter()
            .any(|fault| fault.target != Target::Client && provable::hurts_brokers(fault.action.word()));
        let by = match readers_show(claim.id).filter(|_| scenario.readers.is_some()) {
            Some(ids) => format!("{by}, {ids} by readers"),
            None => by.to_owned(),
        };
        Provable {
            claim: match (claim.id, &scenario.recovery) {
                (ClaimId::Recovered, Some(recovery)) => show_recovery(recovery),
                _ => format!("{name} = {}", claim.limit),
            },
            by,
            inconclusive: provable::why_no_pass(kind, claim.id, (hurts, timed)).map(str::to_owned),
        }
    });
    let limits = scenario.thresholds.iter().map(|threshold| {
        let brokers = matches!(
            threshold.metric,
            Metric::BrokerCpu | Metric::BrokerCpuPerRecord | Metric::BrokerRss
        );
        let unseen = "the processes of an external cluster cannot be measured from here";
        let inconclusive = provable::why_no_limit(kind, threshold.metric)
            .or((kind == "external" && brokers).then_some(unseen))
            .map(str::to_owned);
        Provable {
            claim: show_threshold(threshold),
            by: measured_by(threshold.metric).to_owned(),
            inconclusive,
        }
    });
    claims.chain(limits).collect()
}

/// What readers show of a claim beside the log.
fn readers_show(claim: ClaimId) -> Option<&'static str> {
    match claim {
        ClaimId::Lost => Some("L6"),
        ClaimId::ReorderedPerKey => Some("O4"),
        ClaimId::Corrupted => Some("I1"),
        ClaimId::Torn => Some("T1 T2"),
        ClaimId::Recovered => Some("V4"),
        ClaimId::Duplicated | ClaimId::ReorderedInTime | ClaimId::ReorderedForReaders => None,
    }
}

/// `recovered: gap 6 s, within 5 s (ack_latency p(99)<5ms), backlog 10 s`.
fn show_recovery(recovery: &Recovery) -> String {
    let span = |key: &str, ns: Option<u64>| {
        ns.map(|ns| format!("{key} {}", show_duration(Duration::from_nanos(ns))))
    };
    let condition = recovery.condition.as_ref();
    let condition = condition.map_or_else(String::new, |condition| {
        format!(" ({})", show_threshold(condition).replacen(':', "", 1))
    });
    let within = span("within", recovery.within_ns).map(|within| within + &condition);
    let parts = [
        span("gap", recovery.gap_ns),
        within,
        span("backlog", recovery.backlog_ns),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("recovered: {}", parts.join(", "))
}

fn measured_by(metric: Metric) -> &'static str {
    match metric {
        Metric::AckLatency => "acknowledged minus due",
        Metric::ServiceTime => "acknowledged minus handed over",
        Metric::ScheduleLag => "handed over minus due",
        Metric::VisibleLatency => "arrived at a reader minus due, every reader counts",
        Metric::AchievedRate => "acknowledged within the phase ÷ its length",
        Metric::RecordError => "not acknowledged ÷ due",
        Metric::Unavailability => "longest stretch without an acknowledgement",
        Metric::ClientCpu | Metric::BrokerCpu => "the kernel's CPU accounting",
        Metric::ClientCpuPerRecord | Metric::BrokerCpuPerRecord => "the kernel's CPU accounting ÷ records",
        Metric::ClientRss | Metric::BrokerRss => "resident set, once a second",
    }
}

fn show_threshold(threshold: &Threshold) -> String {
    let name = METRICS
        .iter()
        .find(|(_, metric, ..)| *metric == threshold.metric)
        .map_or("", |(name, ..)| *name);
    match &threshold.phase {
        Some(phase) => format!("{name}{{phase:{phase}}}: {}", threshold.expression),
        None => format!("{name}: {}", threshold.expression),
    }
}
