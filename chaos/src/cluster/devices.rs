//! What a broker may have of its own beside its process: a small disk, a wall clock. Made before it is formatted, kept while
//! it comes and goes; filled, stepped, and asked for what that did.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::disk::SmallDisk;
use super::node::{Node, NodeState};
use super::settings::NodePlan;
use super::wall_clock::{self, WallClock};
use super::{Cluster, ClusterSpec, Evidence, LOOK};
use crate::clock::{Deadline, sleep};
use crate::error::ChaosError;
use crate::process::{ChildSpec, Spawner};

/// How long a broker may take to end once it has met a full disk: it first lets go of what it has open.
const END_BOUND: Duration = Duration::from_secs(20);
/// How long a JVM may take to write its threads.
const ANSWER_BOUND: Duration = Duration::from_secs(10);

/// Of one node.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    pub(super) disk: Option<SmallDisk>,
    pub(super) clock: Option<WallClock>,
    /// What the clock takes.
    library: PathBuf,
}

impl Devices {
    /// Of a broker whose data are in `data`; a dedicated controller has none.
    pub(super) fn of(
        spec: &ClusterSpec,
        node: &NodePlan,
        data: &Path,
        logs: &Path,
        spawner: &Spawner,
    ) -> Result<Devices, ChaosError> {
        let mut devices = Devices::default();
        if !node.role.is_broker() {
            return Ok(devices);
        }
        let name = node.name();
        if let Some(size) = spec.disk {
            let log = logs.join(format!("{name}-disk.log"));
            devices.disk = Some(SmallDisk::make(&name, data, size, &log, spawner)?);
        }
        if spec.own_clocks {
            devices.library = library()?;
            devices.clock = Some(WallClock::new(data.with_extension("clock"))?);
        }
        Ok(devices)
    }

    /// A broker, with them.
    pub(super) fn fit(&self, mut broker: ChildSpec) -> ChildSpec {
        if let Some(clock) = &self.clock {
            broker.env.extend(clock.environment(&self.library));
        }
        self.on_disk(broker)
    }

    /// A child that works on its disk.
    pub(super) fn on_disk(&self, spec: ChildSpec) -> ChildSpec {
        match &self.disk {
            Some(disk) => disk.inside(spec),
            None => spec,
        }
    }
}

impl Cluster {
    /// Leaves no byte free of a broker's small disk; until [`Cluster::empty_disk`] its end is no accident.
    pub fn fill_disk(&self, broker: u32) -> Result<(), ChaosError> {
        let (node, disk) = self.disk(broker)?;
        node.doom(true);
        disk.fill()
    }

    /// Frees a broker's disk, and starts the broker again if it has ended of that.
    pub fn empty_disk(&self, broker: u32, since: u64) -> Result<(), ChaosError> {
        let (node, disk) = self.disk(broker)?;
        disk.empty()?;
        let deadline = Deadline::after(END_BOUND);
        let dying = self.met_full_disk(broker, since)?;
        while node.state() == NodeState::Up && node.ended()?.is_none() && dying && !deadline.passed() {
            sleep(LOOK);
        }
        if node.state() == NodeState::Down {
            self.start_again(broker)?;
        }
        node.doom(false);
        Ok(())
    }

    /// Whether a broker has met its full disk since its log was so long.
    pub fn met_full_disk(&self, broker: u32, since: u64) -> Result<bool, ChaosError> {
        Ok(self
            .node(broker)?
            .log_since(since)
            .contains("No space left on device"))
    }

    /// How long a broker's log is.
    pub fn log_length(&self, broker: u32) -> Result<u64, ChaosError> {
        Ok(self.node(broker)?.log_length())
    }

    /// The exit status of a broker that ended by itself; it is down then.
    pub fn ended(&self, broker: u32) -> Result<Option<Evidence>, ChaosError> {
        self.node(broker)?.ended()
    }

    /// Sets a broker's wall clock so many seconds ahead of the machine's.
    pub fn set_clock(&self, broker: u32, ahead: i64) -> Result<(), ChaosError> {
        let node = self.node(broker)?;
        let clock = node.devices().and_then(|devices| devices.clock.as_ref());
        let clock = clock.ok_or_else(|| ChaosError::Refused {
            what: format!("broker-{broker} has no wall clock of its own"),
            mend: "step clocks on a cluster of kind kafka".into(),
        })?;
        clock.set(ahead)
    }

    /// How many seconds a broker's wall clock is ahead of the machine's, and of its time zone: only differences mean something.
    pub fn clock_ahead(&self, broker: u32) -> Result<i64, ChaosError> {
        let node = self.node(broker)?;
        let since = node.log_length();
        node.ask_for_threads()?;
        let deadline = Deadline::after(ANSWER_BOUND);
        loop {
            if let Some(told) = wall_clock::told(&node.log_since(since)) {
                return Ok(told - wall_clock::machine());
            }
            if deadline.passed() {
                let what = format!("ask broker-{broker} for the time");
                return Err(ChaosError::admin(
                    what,
                    format!("no answer within {ANSWER_BOUND:?}"),
                ));
            }
            sleep(LOOK);
        }
    }

    fn disk(&self, broker: u32) -> Result<(&Node, &SmallDisk), ChaosError> {
        let node = self.node(broker)?;
        let disk = node.devices().and_then(|devices| devices.disk.as_ref());
        let disk = disk.ok_or_else(|| ChaosError::Refused {
            what: format!("broker-{broker} has no small disk"),
            mend: "give [cluster] a `disk`, of kind kafka".into(),
        })?;
        Ok((node, disk))
    }
}

/// Where the library of the clock is, for a cluster whose brokers need it.
pub(super) fn library() -> Result<PathBuf, ChaosError> {
    wall_clock::library().map_err(|missing| ChaosError::Missing {
        what: missing,
        mend: "install it, or leave faults that step a clock out".to_owned(),
    })
}
