//! What a broker may have of its own beside its process: a small disk, a wall clock. Made before it is formatted, kept while
//! it comes and goes.

use std::path::{Path, PathBuf};

use super::ClusterSpec;
use super::disk::SmallDisk;
use super::settings::NodePlan;
use super::wall_clock::{self, WallClock};
use crate::error::ChaosError;
use crate::process::{ChildSpec, Spawner};

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

/// Where the library of the clock is, for a cluster whose brokers need it.
pub(super) fn library() -> Result<PathBuf, ChaosError> {
    wall_clock::library().map_err(|missing| ChaosError::Missing {
        what: missing,
        mend: "install it, or leave faults that step a clock out".to_owned(),
    })
}
