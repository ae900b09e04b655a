//! Kill, pause and restart: the strike, its evidence, and the way back.

use std::time::Duration;

use super::mend::{Hurt, Mend};
use super::{Aim, Stage, nanos, partition};
use crate::clock::now_ns;
use crate::cluster::BACK_BOUND;
use crate::error::ChaosError;
use crate::fault::{Action, PlannedFault};

/// How long the kernel may take to show a stopped process as stopped.
const STOP_SHOWS: Duration = Duration::from_secs(2);
/// A running broker answers on loopback well within this; a stopped one never does.
const STALL_PROBE: Duration = Duration::from_secs(1);

/// Does a fault to each of its aims in turn. Returns when all are healed.
pub(super) fn strike(stage: &Stage, fault: &PlannedFault, begin_ns: u64) -> Result<(), ChaosError> {
    let aims = stage.resolve(&fault.target)?;
    stage.started(fault, describe(stage, &aims))?;
    let hold_ns = fault.hold.map_or(0, nanos);
    for (number, aim) in aims.iter().enumerate() {
        // The first ends when the plan says; each further one is as long as the first.
        let end_ns = if number == 0 { begin_ns } else { now_ns() }.saturating_add(hold_ns);
        match fault.action {
            Action::Kill => kill(stage, fault, aim, end_ns)?,
            Action::Pause => pause(stage, fault, aim, end_ns)?,
            Action::Restart => restart(stage, fault, aim, end_ns)?,
            Action::Partition => partition::partition(stage, fault, aim, end_ns)?,
        }
        if fault.action != Action::Partition {
            stage.cluster.wait_until_in_sync(aim.broker, BACK_BOUND)?;
        }
        if !stage.sleep_until(now_ns()) {
            break; // cancelled: the brokers that are left are left alone
        }
    }
    stage.healed(fault)
}

fn kill(stage: &Stage, fault: &PlannedFault, aim: &Aim, end_ns: u64) -> Result<(), ChaosError> {
    let before = life(stage, aim)?;
    let mend = Mend::new(&stage.cluster, aim.broker, Hurt::Down);
    let (what, seen) = stage.cluster.kill(aim.broker)?;
    stage.bit(fault, aim, what, seen)?;
    stage.watch_leader(fault, aim, end_ns)?;
    stage.sleep_until(end_ns);
    mend.mend()?;
    stage.bit(
        fault,
        aim,
        "started_again",
        format!("{before} -> {}", life(stage, aim)?),
    )
}

fn pause(stage: &Stage, fault: &PlannedFault, aim: &Aim, end_ns: u64) -> Result<(), ChaosError> {
    let mend = Mend::new(&stage.cluster, aim.broker, Hurt::Paused);
    stage.cluster.pause(aim.broker)?;
    let stopped = || stage.cluster.stopped(aim.broker);
    if !Stage::soon(STOP_SHOWS, || stopped().is_some()) {
        return Err(ChaosError::admin(
            "pause",
            format!("broker-{} is not stopped after SIGSTOP", aim.broker),
        ));
    }
    if let Some((what, seen)) = stopped() {
        stage.bit(fault, aim, what, seen)?;
    }
    if let Err(reason) = stage.cluster.answers(aim.broker, STALL_PROBE) {
        stage.bit(fault, aim, "requests_stalled", reason)?;
    }
    stage.watch_leader(fault, aim, end_ns)?;
    stage.sleep_until(end_ns);
    let still = stopped().is_some();
    mend.mend()?;
    if !still {
        return Err(ChaosError::admin(
            "pause",
            format!("broker-{} ran again before its time", aim.broker),
        ));
    }
    Ok(())
}

fn restart(stage: &Stage, fault: &PlannedFault, aim: &Aim, end_ns: u64) -> Result<(), ChaosError> {
    let before = life(stage, aim)?;
    let mend = Mend::new(&stage.cluster, aim.broker, Hurt::Down);
    let (what, seen) = stage.cluster.term(aim.broker)?;
    stage.bit(fault, aim, what, seen)?;
    stage.sleep_until(end_ns);
    mend.mend()?;
    stage.bit(
        fault,
        aim,
        "started_again",
        format!("{before} -> {}", life(stage, aim)?),
    )
}

fn life(stage: &Stage, aim: &Aim) -> Result<String, ChaosError> {
    let missing = || ChaosError::admin("fault", format!("broker-{} is not running", aim.broker));
    stage.cluster.life(aim.broker).ok_or_else(missing)
}

/// `broker-2 (pid 4711), leader of orders-0 in epoch 3`.
fn describe(stage: &Stage, aims: &[Aim]) -> String {
    let one = |aim: &Aim| {
        let life = stage.cluster.life(aim.broker).unwrap_or_else(|| "down".into());
        let leads = aim.watched.as_ref().map(|(topic, partition, leader)| {
            format!(", leader of {topic}-{partition} in epoch {}", leader.epoch)
        });
        format!("broker-{} ({life}){}", aim.broker, leads.unwrap_or_default())
    };
    aims.iter().map(one).collect::<Vec<_>>().join("; ")
}
