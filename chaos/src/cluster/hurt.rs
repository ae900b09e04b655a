//! What may be done to a running cluster: to the processes of its brokers, and to the network in front of them.
//!
//! Nothing here mends by itself; [`crate::nemesis`] holds the guards.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::disk::SmallDisk;
use super::node::{Node, NodeState};
use super::{Cluster, Evidence, LOOK, wall_clock};
use crate::clock::{Deadline, sleep};
use crate::error::ChaosError;
use crate::toxiproxy::{Bite, Link, LinkFault};
use crate::wire_proxy::{WireBite, WireFault};

/// How long a broker gets for a clean stop in a restart: it hands its leaders over and flushes.
const RESTART_GRACE: Duration = Duration::from_secs(30);

/// How long a broker may take to end once it has met a full disk: it first lets go of what it has open.
const END_BOUND: Duration = Duration::from_secs(20);
/// How long a JVM may take to write its threads.
const ANSWER_BOUND: Duration = Duration::from_secs(10);

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

    /// Leaves no byte free of a broker's small disk; until [`Cluster::empty_disk`] its end is no accident.
    pub fn fill_disk(&self, broker: u32) -> Result<(), ChaosError> {
        let (node, disk) = self.disk(broker)?;
        node.doom(true);
        disk.fill()
    }

    /// Frees a broker's disk, and starts the broker again if it has ended of that. True when it had.
    pub fn empty_disk(&self, broker: u32, since: u64) -> Result<bool, ChaosError> {
        let (node, disk) = self.disk(broker)?;
        disk.empty()?;
        let deadline = Deadline::after(END_BOUND);
        let dying = self.met_full_disk(broker, since)?;
        while node.state() == NodeState::Up && node.ended()?.is_none() && dying && !deadline.passed() {
            sleep(LOOK);
        }
        let down = node.state() == NodeState::Down;
        if down {
            self.start_again(broker)?;
        }
        node.doom(false);
        Ok(down)
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
