//! What happens when: warm-up, load, faults and what follows them.

use std::time::Duration;

use steadfast_chaos::fault::{Action, Target};
use steadfast_verifier::workload::{Executor, Full};

use super::Step;
use crate::scenario::Scenario;
use crate::scenario::fault::HEAL;
use crate::scenario::phases::end;
use crate::scenario::units::{show_count, show_duration, show_rate};
use crate::scenario::workload::{expected_records, peak_rate};

/// The moments of a run, in order.
pub(super) fn timeline(scenario: &Scenario) -> Vec<Step> {
    let at = |moment: Duration, what: String| Step {
        at_s: Some(moment.as_secs_f64()),
        what,
    };
    let mut steps = Vec::new();
    let Some(duration) = scenario.duration() else {
        let (_, records) = expected_records(&scenario.template);
        let what = format!("{} records as fast as they go", show_count(records as u64));
        return vec![at(Duration::ZERO, what), ending(scenario)];
    };
    let warmup = scenario.warmup();
    if !warmup.is_zero() {
        let rate = scenario.warmup_rate().map(show_rate).unwrap_or_default();
        steps.push(at(
            Duration::ZERO,
            format!("warm-up at {rate}, {}", show_duration(warmup)),
        ));
    }
    if scenario.faults.first().is_none_or(|fault| !fault.at.is_zero()) {
        steps.push(at(warmup, format!("steady: {}", offered(scenario))));
    }
    // Faults may overlap: in the order of their moments, and what only the run can tell behind its fault.
    let mut moments: Vec<(Duration, Step)> = Vec::new();
    for fault in &scenario.faults {
        let hold = fault
            .hold
            .map_or_else(String::new, |hold| format!(", {}", show_duration(hold)));
        let each = if fault.target == Target::EveryBroker {
            ", one after the other"
        } else {
            ""
        };
        let what = match &fault.action {
            Action::Toxic(toxic) => format!("{toxic} on"),
            Action::Wire(wire) => format!("{wire} on"),
            Action::Grow { partitions } => format!("grow to {partitions} partitions:"),
            Action::Set { settings } => {
                let settings: Vec<String> = settings
                    .iter()
                    .map(|(name, value)| format!("{name} = {value}"))
                    .collect();
                format!("set {} of", settings.join(", "))
            }
            Action::Quota { quotas } => {
                let quotas: Vec<String> = quotas
                    .iter()
                    .map(|(quota, value)| format!("{} = {value}", quota.name()))
                    .collect();
                format!("quota {} of", quotas.join(", "))
            }
            action => action.word().to_owned(),
        };
        let when = fault
            .when
            .as_ref()
            .map_or_else(String::new, |trigger| format!(", as soon as {trigger}"));
        let what = format!("fault:{}: {what} {}{hold}{each}{when}", fault.name, fault.target);
        moments.push((fault.at, at(warmup + fault.at, what)));
        if let Some(end) = end(fault) {
            let until = show_duration(warmup + end + HEAL);
            moments.push((
                end,
                at(warmup + end, format!("heal:{} until {until}", fault.name)),
            ));
        } else {
            let heal = show_duration(HEAL);
            let what = format!("heal:{}: {heal} from when its action is done", fault.name);
            moments.push((fault.at, Step { at_s: None, what }));
        }
    }
    moments.sort_by_key(|(moment, _)| *moment);
    steps.extend(moments.into_iter().map(|(_, step)| step));
    steps.push(at(warmup + duration, "end of the load".to_owned()));
    steps.push(ending(scenario));
    steps
}

fn ending(scenario: &Scenario) -> Step {
    let drain = show_duration(Duration::from_secs(scenario.template.drain_ns / 1_000_000_000));
    Step {
        at_s: None,
        what: format!("last outcomes (at most {drain}), log sealed and read, judged, report"),
    }
}

fn offered(scenario: &Scenario) -> String {
    let load = match scenario.copy() {
        None => offered_load(scenario),
        Some(copy) => format!(
            "{} into {}, copied from there",
            offered_load(scenario),
            copy.topic
        ),
    };
    let Some(transaction) = scenario.template.transaction else {
        return load;
    };
    let full = match transaction.full {
        Full::Records(records) => format!("of {} records", show_count(records)),
        Full::AfterNs(after) => format!("of {}", show_duration(Duration::from_nanos(after))),
    };
    let aborted = match transaction.abort_ratio {
        0.0 => String::new(),
        ratio => format!(", {} % aborted on purpose", ratio * 100.0),
    };
    format!("{load}, in transactions {full}{aborted}")
}

fn offered_load(scenario: &Scenario) -> String {
    match &scenario.template.executor {
        Executor::ConstantArrivalRate { rate } => show_rate(*rate),
        Executor::Poisson { rate } => format!("{} on average, exponential gaps", show_rate(*rate)),
        Executor::RampingArrivalRate { stages, .. } => {
            let peak = peak_rate(&scenario.template).map(show_rate).unwrap_or_default();
            format!("{} stages, at most {peak}", show_count(stages.len() as u64))
        }
        Executor::Unlimited { .. } => "as fast as they go".to_owned(),
    }
}
