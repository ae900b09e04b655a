//! What may be done to a running cluster: to the processes of its brokers, and to the network in front of them; `devices` has
//! what is done to their disks and clocks.
//!
//! Nothing here mends by itself; [`crate::nemesis`] holds the guards.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::node::NodeState;
use super::{Cluster, Evidence};
use crate::error::ChaosError;
use crate::toxiproxy::{Bite, Link, LinkFault};
use crate::wire_proxy::{WireBite, WireFault};

/// How long a broker gets for a clean stop in a restart: it hands its leaders over and flushes.
const RESTART_GRACE: Duration = Duration::from_secs(30);

impl Cluster {
    /// SIGKILL; the exit status is the evidence. Stays down until [`Cluster::start_again`].
    pub fn kill(&self, broker: u32) -> Result<Evidence, ChaosError> {
        self.node(broker)?.kill()
    }

    /// SIGTERM: Kafka hands its leaders over first (controlled shutdown). SIGKILL if it takes too long, and the status says so.
    pub fn term(&self, broker: u32) -> Result<Evidence, ChaosError> {
        self.node(broker)?.stop(RESTART_GRACE)
    }

    /// Starts a broker that is down, on its old ports and data. Returns at once: see [`Cluster::wait_until_in_sync`].
    pub fn start_again(&self, broker: u32) -> Result<(), ChaosError> {
        if self.stopped.load(Ordering::SeqCst) {
            return Err(ChaosError::admin(
                format!("start broker-{broker}"),
                "the cluster has been stopped",
            ));
        }
        self.node(broker)?.start()
    }

    /// SIGSTOP.
    pub fn pause(&self, broker: u32) -> Result<(), ChaosError> {
        self.node(broker)?.pause()
    }

    /// SIGCONT.
    pub fn resume(&self, broker: u32) -> Result<(), ChaosError> {
        self.node(broker)?.resume()
    }

    /// Hurts a link. Returns when the proxy reads back so.
    pub fn hurt_link(&self, link: Link, fault: LinkFault) -> Result<(), ChaosError> {
        self.standing().toxiproxy()?.hurt(link, fault)
    }

    /// Ends the fault of a link and tells what it did; none when there was none.
    pub fn mend_link(&self, link: Link) -> Result<Option<Bite>, ChaosError> {
        self.standing().toxiproxy()?.mend(link)
    }

    /// Where a probe of a link connects.
    pub(crate) fn entrance(&self, link: Link) -> Result<String, ChaosError> {
        self.standing().toxiproxy()?.entrance(link)
    }

    /// Strikes frames between clients and a broker.
    pub fn hurt_frames(&self, broker: u32, fault: WireFault) -> Result<(), ChaosError> {
        self.standing().wire_proxy()?.hurt(broker, fault)
    }

    /// How many frames the present fault on this broker's link has struck.
    pub fn frames_struck(&self, broker: u32) -> u32 {
        self.standing()
            .wire_proxy()
            .map_or(0, |proxy| proxy.struck(broker))
    }

    /// Ends the fault of a broker's frames and tells what it did; none when there was none.
    pub fn mend_frames(&self, broker: u32) -> Result<Option<WireBite>, ChaosError> {
        self.standing().wire_proxy()?.mend(broker)
    }

    /// Connections of the process `pid` that go round the proxies, for people; empty where there is no proxy.
    /// One is enough to void a run: that client did not feel the faults of the network.
    pub fn bypasses(&self, pid: u32) -> Result<Vec<String>, ChaosError> {
        self.standing().bypasses(pid)
    }

    /// Evidence that a broker is stopped in its tracks; none when it is not.
    pub(crate) fn stopped(&self, broker: u32) -> Option<Evidence> {
        self.node(broker).ok()?.stopped()
    }

    /// Whether a broker is down.
    pub(crate) fn is_down(&self, broker: u32) -> bool {
        self.node(broker)
            .is_ok_and(|node| node.state() == NodeState::Down)
    }

    /// Names a broker's present life, `pid 4711`; none when it is down.
    pub(crate) fn life(&self, broker: u32) -> Option<String> {
        self.node(broker).ok()?.life()
    }
}
