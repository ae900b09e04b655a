//! What a careful reader of the file would remark before the run.

use std::time::Duration;

use steadfast_chaos::cluster::Front;
use steadfast_chaos::fault::{Action, Reach, Target};
use steadfast_verifier::expectations::Metric;

use super::needs::LOG_OVERHEAD;
use crate::scenario::Scenario;
use crate::scenario::fault::beyond;
use crate::scenario::units::{show_duration, show_size};
use crate::scenario::workload::peak_rate;

/// How long leaders take to move after a kill, beyond the session timeout.
const ELECTION: Duration = Duration::from_secs(2);

/// One line each.
pub(super) fn remarks(scenario: &Scenario, kind: &str) -> Vec<String> {
    let mut notes = scenario.producer.notes.clone();
    if let Some((fault, why)) = beyond(&scenario.faults, kind) {
        notes.push(format!(
            "refused on a cluster of kind {kind}, which cannot do fault {}: {why}; use --broker kafka",
            fault.name
        ));
    }
    if scenario.thresholds.is_empty() {
        notes.push("no thresholds: latency, rate and CPU are shown, not judged".to_owned());
    }
    let latency = scenario
        .thresholds
        .iter()
        .any(|t| matches!(t.metric, Metric::AckLatency | Metric::ServiceTime));
    if scenario.cluster.front != Front::Nothing && latency {
        notes.push("a proxy stands in the path: its time is in every latency".to_owned());
    }
    if cfg!(debug_assertions) && latency {
        notes.push(
            "this steadfast is a debug build: its latencies are no measure; use `cargo run --release`"
                .to_owned(),
        );
    }
    let kills = scenario
        .faults
        .iter()
        .any(|fault| fault.target != Target::Client && fault.action.reach() == Reach::Process);
    if kills && scenario.cluster.nodes == 2 && scenario.cluster.controllers == 0 {
        notes.push(
            "two combined nodes have no quorum while one is down: nothing can fail over; use 3 nodes"
                .to_owned(),
        );
    }
    notes.extend(buffer_remark(scenario));
    notes
}

/// The load goes on during an outage only as long as the buffer has room.
fn buffer_remark(scenario: &Scenario) -> Option<String> {
    let session = scenario
        .cluster
        .properties
        .get("broker.session.timeout.ms")
        .and_then(|text| text.parse().ok());
    let fail_over = Duration::from_millis(session.unwrap_or(9000)) + ELECTION;
    let of_brokers = scenario
        .faults
        .iter()
        .filter(|fault| fault.target != Target::Client);
    let outage = of_brokers.filter_map(|fault| match fault.action {
        // One copy alone: nobody takes over before it is back. A toxic may let nothing through, or half.
        Action::Partition | Action::Down | Action::Toxic(_) | Action::Wire(_) => fault.hold,
        Action::Elect
        | Action::Reassign
        | Action::Grow { .. }
        | Action::Set { .. }
        | Action::Quota { .. } => None,
        // With all of them gone, or as good as gone, it is over when they are back.
        _ if fault.target == Target::All => Some(fault.hold.unwrap_or_default() + fail_over),
        _ if scenario.cluster.nodes == 1 => Some(fault.hold.unwrap_or_default() + ELECTION),
        Action::Kill | Action::Pause | Action::FillDisk | Action::StepClock { .. } => Some(fail_over),
        Action::Term | Action::Restart => Some(ELECTION),
    });
    let outage = outage.max()?;
    let size = f64::from(scenario.template.record_size) + LOG_OVERHEAD;
    let needed = peak_rate(&scenario.template)? * size * outage.as_secs_f64() * 1.5;
    let have = scenario.producer.buffer_memory;
    (needed > have as f64).then(|| {
        format!(
            "buffer.memory = {have} holds less than an outage of {} x 1.5 ({}): the load will fall behind (schedule debt, nothing lost)",
            show_duration(outage),
            show_size(needed as u64)
        )
    })
}
