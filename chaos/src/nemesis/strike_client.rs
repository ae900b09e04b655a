//! Kill of the client: SIGKILL, its absence, and a new incarnation that goes on where the cluster says.

use super::{Stage, nanos};
use crate::error::ChaosError;
use crate::fault::{Action, PlannedFault};

/// Does a fault to the client. Returns when it runs again.
pub(super) fn strike(stage: &Stage, fault: &PlannedFault, begin_ns: u64) -> Result<(), ChaosError> {
    if fault.action != Action::Kill {
        let what = format!("{} is not done to the client", fault.action.word());
        return Err(ChaosError::admin("fault", what));
    }
    let missing = || ChaosError::admin("fault", "there is no client that could be started again");
    let client = stage.client.as_ref().ok_or_else(missing)?;
    let before = client.life();
    stage.started(fault, before.clone())?;
    let ended = client.kill()?;
    stage.seen(fault, "exit_status".into(), ended)?;
    if !stage.sleep_until(begin_ns.saturating_add(fault.hold.map_or(0, nanos))) {
        // The load is over, and with it the need for a client.
        return Ok(());
    }
    client.start_again()?;
    stage.seen(
        fault,
        "started_again".into(),
        format!("{before} -> {}", client.life()),
    )?;
    stage.healed(fault)
}
