//! Quotas of a client id for the fault's time, by Kafka's own administration. That they read back is not enough: a broker
//! has to make such a client wait, or the load was below them and nothing was hurt.
//!
//! ```text
//! read ─► set ─► reads back? ─► looks until a broker makes the client wait (the bite) ─► asleep until its end ─► as before
//! ```

use std::time::Duration;

use steadfast_wire::admin::Quota;

use super::aim::Aim;
use super::{LOOK, Stage, nanos};
use crate::clock::now_ns;
use crate::cluster::Cluster;
use crate::error::ChaosError;
use crate::fault::{Action, PlannedFault, Target};

/// Brokers learn of a quota a moment after the controller has taken it.
const SHOWS: Duration = Duration::from_secs(5);

/// Sets the quotas, looks for their bite, and takes them back.
pub(super) fn strike(stage: &Stage, fault: &PlannedFault, begin_ns: u64) -> Result<(), ChaosError> {
    let (Action::Quota { quotas }, Target::ClientId(client_id)) = (&fault.action, &fault.target) else {
        let reason = format!("{} is no client id", fault.target);
        return Err(ChaosError::admin(fault.action.word(), reason));
    };
    stage.started(fault, format!("clients of the id {client_id}"))?;
    let mut guards = Vec::new();
    for (quota, value) in quotas {
        let (wanted, name) = (*value as f64, quota.name());
        let before = stage.cluster.quota(client_id, *quota)?;
        if before == Some(wanted) {
            let reason = format!("it is {value} already: nothing would change");
            return Err(ChaosError::admin(format!("set {name}"), reason));
        }
        guards.push(PutBack {
            cluster: &stage.cluster,
            client_id,
            quota: *quota,
            before,
            done: false,
        });
        stage.cluster.set_quota(client_id, *quota, Some(wanted))?;
        reads(stage, client_id, *quota, Some(wanted))?;
        let change = format!("{} -> {value}, as it is read back", shown(before));
        stage.bit(fault, &Aim::nobody(), name, change)?;
    }
    let end_ns = begin_ns.saturating_add(fault.hold.map_or(0, nanos));
    let spared = watch(stage, fault, client_id, end_ns)?;
    stage.sleep_until(end_ns);
    for mut guard in guards {
        guard.put_back()?;
        reads(stage, client_id, guard.quota, guard.before)?;
    }
    if let Some(quota) = spared {
        let reason = format!("no broker made clients of the id {client_id} wait: the load was below it");
        return Err(ChaosError::admin(quota.name(), reason));
    }
    stage.healed(fault)
}

/// Looks until each quota has made the client wait, up to `end_ns`, and writes what it saw; one that never did.
fn watch(
    stage: &Stage,
    fault: &PlannedFault,
    client_id: &str,
    end_ns: u64,
) -> Result<Option<Quota>, ChaosError> {
    let Action::Quota { quotas } = &fault.action else {
        return Ok(None);
    };
    let begun_ns = now_ns();
    let mut waiting: Vec<Quota> = quotas.keys().copied().collect();
    while !waiting.is_empty() && now_ns() < end_ns {
        let mut still = Vec::new();
        for quota in waiting {
            let Some((broker, wait)) = stage.cluster.throttles(client_id, quota) else {
                still.push(quota);
                continue;
            };
            let after = Duration::from_nanos(now_ns().saturating_sub(begun_ns));
            let value = format!(
                "broker-{broker} makes it wait {} ms, {:.1} s after the quota was there",
                wait.as_millis(),
                after.as_secs_f64()
            );
            stage.bit(
                fault,
                &Aim::nobody(),
                &format!("throttled_by_{}", quota.name()),
                value,
            )?;
        }
        waiting = still;
        if !stage.sleep_until(end_ns.min(now_ns() + nanos(LOOK))) {
            // Cancelled: the plan ends before its time, and what it has not seen is no failure of the fault.
            return Ok(None);
        }
    }
    Ok(waiting.first().copied())
}

fn reads(stage: &Stage, client_id: &str, quota: Quota, value: Option<f64>) -> Result<(), ChaosError> {
    let mut last = None;
    let seen = Stage::soon(SHOWS, || {
        last = stage.cluster.quota(client_id, quota).ok();
        last == Some(value)
    });
    if seen {
        return Ok(());
    }
    let reads = last.map_or_else(|| "nothing".to_owned(), shown);
    Err(ChaosError::admin(
        format!("set {}", quota.name()),
        format!("it reads back as {reads}"),
    ))
}

fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}

/// Puts a quota back as it was, however the fault ends.
struct PutBack<'a> {
    cluster: &'a Cluster,
    client_id: &'a str,
    quota: Quota,
    before: Option<f64>,
    done: bool,
}

impl PutBack<'_> {
    fn put_back(&mut self) -> Result<(), ChaosError> {
        self.done = true;
        self.cluster.set_quota(self.client_id, self.quota, self.before)
    }
}

impl Drop for PutBack<'_> {
    fn drop(&mut self) {
        if !self.done {
            // The error that led here is what the log tells; a second one changes nothing.
            let _second = self.put_back();
        }
    }
}
