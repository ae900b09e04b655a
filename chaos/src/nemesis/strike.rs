//! The strike at processes, kill, term, pause and restart: its evidence, and the way back. And which strike is whose.

use std::time::Duration;

use super::mend::{Hurt, Mend};
use super::{Aim, Stage, frames, link, nanos, orders, quota, strike_clock, strike_disk};
use crate::clock::now_ns;
use crate::cluster::BACK_BOUND;
use crate::error::ChaosError;
use crate::fault::{Action, PlannedFault, Reach};

/// How long the kernel may take to show a stopped process as stopped.
const STOP_SHOWS: Duration = Duration::from_secs(2);
/// A running broker answers on loopback well within this; a stopped one never does.
const STALL_PROBE: Duration = Duration::from_secs(1);

/// Does a fault to its aims, one volley after the other. Returns when all are healed.
pub(super) fn strike(stage: &Stage, fault: &PlannedFault, begin_ns: u64) -> Result<(), ChaosError> {
    match fault.action.reach() {
        Reach::Topic => return orders::topic(stage, fault),
        Reach::Settings => return orders::settings(stage, fault, begin_ns),
        Reach::ClientId => return quota::strike(stage, fault, begin_ns),
        Reach::Process | Reach::Link | Reach::Frames => {}
    }
    let volleys = stage.resolve(fault)?;
    stage.started(fault, describe(stage, &volleys.concat()))?;
    let hold_ns = fault.hold.map_or(0, nanos);
    for (number, volley) in volleys.iter().enumerate() {
        // The first ends when the plan says; each further one is as long as the first.
        let end_ns = if number == 0 { begin_ns } else { now_ns() }.saturating_add(hold_ns);
        match &fault.action {
            Action::Wire(wire) => frames::strike(stage, fault, *wire, (volley, end_ns))?,
            Action::FillDisk => strike_disk::strike(stage, fault, volley, end_ns)?,
            Action::StepClock { ahead } => strike_clock::strike(stage, fault, *ahead, (volley, end_ns))?,
            action if action.reach() == Reach::Link => link::hurt(stage, fault, volley, end_ns)?,
            _ => processes(stage, fault, volley, end_ns)?,
        }
        if !stage.sleep_until(now_ns()) {
            break; // cancelled: the brokers that are left are left alone
        }
    }
    stage.healed(fault)
}

/// A node that is hurt.
struct Wound<'a> {
    aim: &'a Aim,
    mend: Mend<'a>,
    /// Its life before.
    before: String,
}

fn processes(stage: &Stage, fault: &PlannedFault, volley: &[Aim], end_ns: u64) -> Result<(), ChaosError> {
    let mut wounds = Vec::new();
    for aim in volley {
        wounds.push(hurt(stage, fault, aim)?);
    }
    if fault.action == Action::Pause {
        for wound in &wounds {
            if let Err(reason) = stage.cluster.answers(wound.aim.broker, STALL_PROBE) {
                stage.bit(fault, wound.aim, "requests_stalled", reason)?;
            }
        }
    }
    if fault.action != Action::Restart {
        stage.watch_leaders(fault, volley, end_ns)?;
    }
    stage.sleep_until(end_ns);
    for wound in wounds {
        recover(stage, fault, wound)?;
    }
    for aim in volley {
        stage.cluster.wait_until_in_sync(aim.broker, BACK_BOUND)?;
    }
    Ok(())
}

fn hurt<'a>(stage: &'a Stage, fault: &PlannedFault, aim: &'a Aim) -> Result<Wound<'a>, ChaosError> {
    let before = life(stage, aim)?;
    let hurt = match fault.action {
        Action::Pause => Hurt::Paused,
        _ => Hurt::Down,
    };
    let mend = Mend::new(&stage.cluster, aim.broker, hurt);
    match fault.action {
        Action::Pause => {
            stage.cluster.pause(aim.broker)?;
            if !Stage::soon(STOP_SHOWS, || stage.cluster.stopped(aim.broker).is_some()) {
                let reason = format!("broker-{} is not stopped after SIGSTOP", aim.broker);
                return Err(ChaosError::admin("pause", reason));
            }
            if let Some((what, seen)) = stage.cluster.stopped(aim.broker) {
                stage.bit(fault, aim, what, seen)?;
            }
        }
        Action::Kill => {
            let (what, seen) = stage.cluster.kill(aim.broker)?;
            stage.bit(fault, aim, what, seen)?;
        }
        _ => {
            let (what, seen) = stage.cluster.term(aim.broker)?;
            stage.bit(fault, aim, what, seen)?;
        }
    }
    Ok(Wound { aim, mend, before })
}

fn recover(stage: &Stage, fault: &PlannedFault, wound: Wound<'_>) -> Result<(), ChaosError> {
    let Wound { aim, mend, before } = wound;
    let paused = stage.cluster.stopped(aim.broker).is_some();
    mend.mend()?;
    if fault.action != Action::Pause {
        let lives = format!("{before} -> {}", life(stage, aim)?);
        return stage.bit(fault, aim, "started_again", lives);
    }
    if paused {
        return Ok(());
    }
    let reason = format!("broker-{} ran again before its time", aim.broker);
    Err(ChaosError::admin("pause", reason))
}

pub(super) fn life(stage: &Stage, aim: &Aim) -> Result<String, ChaosError> {
    let missing = || ChaosError::admin("fault", format!("broker-{} is not running", aim.broker));
    stage.cluster.life(aim.broker).ok_or_else(missing)
}

/// `broker-2 (pid 4711), leader of orders-0 in epoch 3`.
fn describe(stage: &Stage, aims: &[Aim]) -> String {
    let one = |aim: &Aim| {
        let life = match stage.cluster.life(aim.broker) {
            Some(life) => life,
            None if stage.cluster.is_external() => "somebody else's".to_owned(),
            None => "down".to_owned(),
        };
        let leads = aim.watched.as_ref().map(|(topic, partition, leader)| {
            format!(", leader of {topic}-{partition} in epoch {}", leader.epoch)
        });
        format!("broker-{} ({life}){}", aim.broker, leads.unwrap_or_default())
    };
    aims.iter().map(one).collect::<Vec<_>>().join("; ")
}
