//! The guard of a hurt broker: mends it when told to, and when dropped on the way out of an error, a cancel or a panic.

use crate::cluster::Cluster;
use crate::error::ChaosError;
use crate::toxiproxy::{Bite, Link};
use crate::wire_proxy::WireBite;

/// What was done to a broker and is to be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hurt {
    /// Its process is gone.
    Down,
    /// Its process is stopped.
    Paused,
    /// A link to it is hurt.
    Link(Link),
    /// Frames in that link are.
    Frames,
    /// Its disk is full; how long its log was before.
    Full { log: u64 },
    /// Its clock was stepped.
    Clock,
}

/// What a hurt did, where mending it tells.
#[derive(Debug)]
pub(super) enum Told {
    Nothing,
    Link(Bite),
    Frames(WireBite),
}

/// Made *before* a process is hurt, so that no moment is unguarded; *after* a link is, since a link that another fault has
/// hurt refuses a second one, and is that other's to mend.
#[derive(Debug)]
pub(super) struct Mend<'a> {
    cluster: &'a Cluster,
    broker: u32,
    hurt: Hurt,
    done: bool,
}

impl<'a> Mend<'a> {
    pub(super) fn new(cluster: &'a Cluster, broker: u32, hurt: Hurt) -> Mend<'a> {
        Mend {
            cluster,
            broker,
            hurt,
            done: false,
        }
    }

    /// Undoes the hurt; of a link it tells what that did. Being in sync again takes longer and is waited for elsewhere.
    pub(super) fn mend(mut self) -> Result<Told, ChaosError> {
        self.done = true;
        self.undo()
    }

    fn undo(&self) -> Result<Told, ChaosError> {
        match self.hurt {
            Hurt::Down if !self.cluster.is_down(self.broker) => Ok(Told::Nothing),
            Hurt::Down => self.cluster.start_again(self.broker).map(|()| Told::Nothing),
            Hurt::Full { log } => self.cluster.empty_disk(self.broker, log).map(|()| Told::Nothing),
            Hurt::Clock => self.cluster.set_clock(self.broker, 0).map(|()| Told::Nothing),
            Hurt::Paused => self.cluster.resume(self.broker).map(|()| Told::Nothing),
            Hurt::Link(link) => {
                let bite = self.cluster.mend_link(link)?;
                Ok(bite.map_or(Told::Nothing, Told::Link))
            }
            Hurt::Frames => {
                let bite = self.cluster.mend_frames(self.broker)?;
                Ok(bite.map_or(Told::Nothing, Told::Frames))
            }
        }
    }
}

impl Drop for Mend<'_> {
    fn drop(&mut self) {
        if !self.done {
            // The error that led here is what the log tells; a second one changes nothing.
            let _second = self.undo();
        }
    }
}
