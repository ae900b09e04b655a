//! Silence between the clients and one broker, both ways, while the brokers go on talking to each other.

use std::time::Duration;

use super::mend::{Hurt, Mend};
use super::{Aim, Stage};
use crate::error::ChaosError;
use crate::fault::PlannedFault;

/// A broker behind an open proxy answers on loopback well within this.
const SILENCE_PROBE: Duration = Duration::from_millis(500);

pub(super) fn partition(
    stage: &Stage,
    fault: &PlannedFault,
    aim: &Aim,
    end_ns: u64,
) -> Result<(), ChaosError> {
    let mend = Mend::new(&stage.cluster, aim.broker, Hurt::Silenced);
    stage.cluster.partition(aim.broker)?;
    stage.bit(
        fault,
        aim,
        "toxics",
        "timeout 0 upstream and downstream, as the proxy reads back".into(),
    )?;
    match stage.cluster.answers_clients(aim.broker, SILENCE_PROBE) {
        Err(reason) => stage.bit(fault, aim, "silence", reason)?,
        Ok(()) => return Err(unharmed(aim, "a new connection through the proxy got an answer")),
    }
    stage.sleep_until(end_ns);
    // What it did is known only afterwards: removing the toxics cuts what they held. Bytes alone prove nothing, since the
    // probe above sent some; its connection is closed and not counted.
    match mend.mend()? {
        Some(bite) if bite.connections_before > 0 || bite.connections_cut > 0 => {
            stage.bit(fault, aim, "link", bite.to_string())
        }
        _ => Err(unharmed(aim, "no client was connected to it")),
    }
}

fn unharmed(aim: &Aim, reason: &str) -> ChaosError {
    ChaosError::admin(format!("partition clients from broker-{}", aim.broker), reason)
}
