//! What may be done to a running cluster: to the processes of its brokers, and to the network in front of them.
//!
//! Nothing here mends by itself; [`crate::nemesis`] holds the guards.

use std::process::ExitStatus;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{BACK_BOUND, Cluster};
use crate::error::ChaosError;
use crate::toxiproxy::Bite;

/// How long a broker gets for a clean stop in a restart: it hands its leaders over and flushes.
const RESTART_GRACE: Duration = Duration::from_secs(30);

impl Cluster {
    /// SIGKILL; the exit status is the evidence. Stays down until [`Cluster::start_again`].
    pub fn kill(&self, broker: u32) -> Result<ExitStatus, ChaosError> {
        self.node(broker)?.kill()
    }

    /// SIGTERM: Kafka hands its leaders over first (controlled shutdown). SIGKILL if it takes too long, and the status says so.
    pub fn term(&self, broker: u32) -> Result<ExitStatus, ChaosError> {
        self.node(broker)?.stop(RESTART_GRACE)
    }

    /// Starts a broker that is down, on its old ports and data. Returns the new pid at once:
    /// see [`Cluster::wait_until_in_sync`].
    pub fn start_again(&self, broker: u32) -> Result<u32, ChaosError> {
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

    /// Clean stop, start, and back in every ISR.
    pub fn restart(&self, broker: u32) -> Result<ExitStatus, ChaosError> {
        let status = self.term(broker)?;
        self.start_again(broker)?;
        self.wait_until_in_sync(broker, BACK_BOUND)?;
        Ok(status)
    }

    /// Silences clients and a broker to each other, both ways. Returns when the proxy reads back so.
    pub fn partition(&self, broker: u32) -> Result<(), ChaosError> {
        self.needs_proxy()?.partition(broker)
    }

    /// Ends the silence and tells what it did; none when there was none.
    pub fn reconnect(&self, broker: u32) -> Result<Option<Bite>, ChaosError> {
        self.needs_proxy()?.mend(broker)
    }

    /// Connections of the process `pid` that go round the proxies, for people; empty where there is no proxy.
    /// One is enough to void a run: that client did not feel the faults of the network.
    pub fn bypasses(&self, pid: u32) -> Result<Vec<String>, ChaosError> {
        self.proxy().map_or(Ok(Vec::new()), |proxy| proxy.bypasses(pid))
    }

    /// The state letter of `/proc/PID/stat` of a broker's process (`T` = stopped); none when it is down.
    pub fn process_state(&self, broker: u32) -> Option<char> {
        self.node(broker).ok()?.process_state()
    }

    /// The pid of a broker's process; none when it is down.
    pub fn pid(&self, broker: u32) -> Option<u32> {
        self.node(broker).ok()?.pid()
    }
}
