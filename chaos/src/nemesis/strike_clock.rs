//! The strike at a broker's wall clock: it jumps, and later jumps back. What shows it is the time that the broker's own JVM
//! tells, before and after.

use super::mend::{Hurt, Mend};
use super::{Aim, LOOK, Stage, nanos};
use crate::clock::now_ns;
use crate::cluster::BACK_BOUND;
use crate::cluster::wall_clock::SHOWS_BOUND;
use crate::error::ChaosError;
use crate::fault::PlannedFault;

/// A JVM tells whole seconds, and they pass while it is asked.
const SLACK_S: u64 = 3;

pub(super) fn strike(
    stage: &Stage,
    fault: &PlannedFault,
    ahead: i64,
    (volley, end_ns): (&[Aim], u64),
) -> Result<(), ChaosError> {
    let mut stepped = Vec::new();
    for aim in volley {
        let before = stage.cluster.clock_ahead(aim.broker)?;
        let mend = Mend::new(&stage.cluster, aim.broker, Hurt::Clock);
        stage.cluster.set_clock(aim.broker, ahead)?;
        let seen = wait_until(stage, aim, before + ahead)? - before;
        let value = format!("{seen:+} s, as its own JVM tells the time");
        stage.bit(fault, aim, "wall_clock", value)?;
        stepped.push((aim, before, mend));
    }
    stage.watch_leaders(fault, volley, end_ns)?;
    stage.sleep_until(end_ns);
    for (aim, before, mend) in stepped {
        mend.mend()?;
        let seen = wait_until(stage, aim, before)? - before;
        stage.bit(fault, aim, "wall_clock_again", format!("{seen:+} s"))?;
    }
    for aim in volley {
        stage.cluster.wait_until_in_sync(aim.broker, BACK_BOUND)?;
    }
    Ok(())
}

/// How far ahead the broker believes to be, as soon as that is what it shall be.
fn wait_until(stage: &Stage, aim: &Aim, wanted: i64) -> Result<i64, ChaosError> {
    let give_up_ns = now_ns() + nanos(SHOWS_BOUND);
    loop {
        let ahead = stage.cluster.clock_ahead(aim.broker)?;
        if ahead.abs_diff(wanted) <= SLACK_S {
            return Ok(ahead);
        }
        if now_ns() >= give_up_ns || !stage.sleep_until(now_ns() + nanos(LOOK)) {
            let what = format!("step the clock of broker-{}", aim.broker);
            let reason = format!("its JVM is {ahead} s ahead and not {wanted} s, after {SHOWS_BOUND:?}");
            return Err(ChaosError::admin(what, reason));
        }
    }
}
