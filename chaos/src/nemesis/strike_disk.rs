//! The strike at a broker's disk: no byte is free. Kafka ends a broker that cannot write to its only log directory, so what
//! shows that it bit is that end, or at least that its log complains; a broker that never noticed was not hurt.

use super::mend::{Hurt, Mend};
use super::strike::life;
use super::{Aim, LOOK, Stage, nanos};
use crate::clock::now_ns;
use crate::cluster::BACK_BOUND;
use crate::error::ChaosError;
use crate::fault::PlannedFault;

/// A broker on a full disk.
struct Full<'a> {
    aim: &'a Aim,
    mend: Mend<'a>,
    /// Its life before.
    before: String,
    /// The length of its log before.
    log: u64,
    noticed: bool,
}

pub(super) fn strike(
    stage: &Stage,
    fault: &PlannedFault,
    volley: &[Aim],
    end_ns: u64,
) -> Result<(), ChaosError> {
    let mut full = Vec::new();
    for aim in volley {
        full.push(fill(stage, aim)?);
    }
    loop {
        for broker in full.iter_mut().filter(|broker| !broker.noticed) {
            broker.noticed = notice(stage, fault, broker)?;
        }
        let look_ns = end_ns.min(now_ns() + nanos(LOOK));
        if full.iter().all(|broker| broker.noticed) || now_ns() >= end_ns || !stage.sleep_until(look_ns) {
            break;
        }
    }
    stage.watch_leaders(fault, volley, end_ns)?;
    stage.sleep_until(end_ns);
    for broker in full {
        let Full {
            aim, mend, before, ..
        } = broker;
        mend.mend()?;
        let lives = format!("{before} -> {}", life(stage, aim)?);
        if lives != format!("{before} -> {before}") {
            stage.bit(fault, aim, "started_again", lives)?;
        }
    }
    for aim in volley {
        stage.cluster.wait_until_in_sync(aim.broker, BACK_BOUND)?;
    }
    Ok(())
}

fn fill<'a>(stage: &'a Stage, aim: &'a Aim) -> Result<Full<'a>, ChaosError> {
    let before = life(stage, aim)?;
    let log = stage.cluster.log_length(aim.broker)?;
    let mend = Mend::new(&stage.cluster, aim.broker, Hurt::Full { log });
    stage.cluster.fill_disk(aim.broker)?;
    Ok(Full {
        aim,
        mend,
        before,
        log,
        noticed: false,
    })
}

/// Whether the broker has felt it by now, written down when it has.
fn notice(stage: &Stage, fault: &PlannedFault, full: &Full<'_>) -> Result<bool, ChaosError> {
    if let Some((what, seen)) = stage.cluster.ended(full.aim.broker)? {
        stage.bit(fault, full.aim, what, format!("{seen}, on a full disk"))?;
        return Ok(true);
    }
    let complains = stage.cluster.met_full_disk(full.aim.broker, full.log)?;
    if complains {
        let value = "No space left on device".to_owned();
        stage.bit(fault, full.aim, "log_says", value)?;
    }
    Ok(complains)
}
