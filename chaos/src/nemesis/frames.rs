//! Faults of single requests and answers, through our own proxy. What shows that one bit is what the proxy did: a frame
//! that was struck. None was: the fault met nobody.

use super::mend::{Hurt, Mend, Told};
use super::{Aim, Stage, locked};
use crate::error::ChaosError;
use crate::fault::PlannedFault;
use crate::wire_proxy::WireFault;

/// Strikes frames to and from the brokers of a volley, and lets go at `end_ns`.
pub(super) fn strike(
    stage: &Stage,
    fault: &PlannedFault,
    wire: WireFault,
    (volley, end_ns): (&[Aim], u64),
) -> Result<(), ChaosError> {
    let mut wounds = Vec::new();
    for aim in volley {
        stage.cluster.hurt_frames(aim.broker, wire)?;
        wounds.push((aim, Mend::new(&stage.cluster, aim.broker, Hurt::Frames)));
    }
    // Who waits for its frames looks here.
    let brokers = volley.iter().map(|aim| aim.broker).collect();
    locked(&stage.struck).insert(fault.name.clone(), brokers);
    stage.sleep_until(end_ns);
    let mut met = false;
    for (aim, mend) in wounds {
        if let Told::Frames(bite) = mend.mend()?
            && bite.frames > 0
        {
            met = true;
            stage.bit(fault, aim, "frames", format!("{wire}; {bite}"))?;
        }
    }
    if met {
        return Ok(());
    }
    let what = format!("{} on {}", fault.action.word(), fault.target);
    Err(ChaosError::admin(
        what,
        format!("no frame came that it could strike ({wire})"),
    ))
}
