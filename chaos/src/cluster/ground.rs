//! The ground that every cluster of ours is built on, whatever its brokers are: folders, free ports, what stands in front, and
//! another try where somebody took a port meanwhile.
//!
//! ```text
//! folders ─► means of the front ─► ┌ ports ─► front ─► brokers ─► all answer ┐ ─► cluster
//!                                  └──────── a port was taken: again ◄───────┘
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::front::{Front, Means};
use super::node::Node;
use super::settings::{self, Fronted, NodePlan};
use super::{Cluster, ClusterSpec, LOOK, admin, ports};
use crate::clock::{Deadline, now_ns, sleep};
use crate::error::ChaosError;
use crate::journal::TemporaryDirectory;
use crate::process::Spawner;

/// How often a start is tried with other ports when one was taken between choosing and binding it.
const PORT_TRIES: u32 = 3;
/// How long all brokers together may take from their start to knowing each other.
const READY_BOUND: Duration = Duration::from_secs(120);

/// Where it stands.
pub(super) struct Ground {
    run_dir: PathBuf,
    /// `logs/` of the run folder.
    pub(super) logs: PathBuf,
}

/// Why a start failed, and whether other ports would mend it.
pub(super) struct Failed {
    error: Box<ChaosError>,
    port_taken: bool,
}

impl From<ChaosError> for Failed {
    fn from(error: ChaosError) -> Failed {
        // In Go's words, the JVM's and the system's, for what stands in front and for our own broker alike.
        let port_taken = error
            .to_string()
            .to_lowercase()
            .contains("address already in use");
        Failed {
            error: Box::new(error),
            port_taken,
        }
    }
}

impl Ground {
    pub(super) fn prepare(run_dir: &Path) -> Result<Ground, ChaosError> {
        let run_dir = std::path::absolute(run_dir).map_err(ChaosError::io("find the run folder"))?;
        let logs = run_dir.join("logs");
        fs::create_dir_all(&logs).map_err(ChaosError::io(format!("create {}", logs.display())))?;
        Ok(Ground { run_dir, logs })
    }

    /// The folder of the brokers' data, which goes with the cluster.
    pub(super) fn data(&self, spawner: &Spawner) -> Result<TemporaryDirectory, ChaosError> {
        let data = self.run_dir.join("broker-data");
        let data = spawner.journal().temporary_directory(&data);
        data.map_err(ChaosError::io("make the directory of the brokers' data"))
    }

    /// Starts it, on other ports again while one was taken meanwhile. `launch` gets the nodes and what it takes to stand in
    /// front of them.
    pub(super) fn start(
        &self,
        spec: &ClusterSpec,
        spawner: &Spawner,
        progress: &mut dyn FnMut(&str),
        mut launch: impl FnMut(Vec<NodePlan>, &Means, &mut dyn FnMut(&str)) -> Result<Cluster, Failed>,
    ) -> Result<Cluster, ChaosError> {
        let means = spec.front.means(spawner, progress)?;
        let mut tries = 1;
        loop {
            match launch(plan(spec)?, &means, progress) {
                Err(failed) if failed.port_taken && tries < PORT_TRIES => {
                    progress("a port was taken meanwhile: starting again on others");
                    tries += 1;
                }
                Err(failed) => return Err(*failed.error),
                Ok(cluster) => return Ok(cluster),
            }
        }
    }
}

/// The nodes over ports that are free now.
fn plan(spec: &ClusterSpec) -> Result<Vec<NodePlan>, ChaosError> {
    let fronted = Fronted {
        clients: spec.front != Front::Nothing,
        brokers: spec.linked,
    };
    let needed = settings::ports_needed(spec.nodes, spec.controllers, fronted);
    let ports = ports::free(needed, now_ns())?;
    Ok(settings::plan(spec.nodes, spec.controllers, fronted, &ports))
}

/// Starts the nodes of a cluster, each a process of its own, and returns when all answer. `begun_ns`: of the whole start.
pub(super) fn bring_up(
    cluster: Cluster,
    begun_ns: u64,
    progress: &mut dyn FnMut(&str),
) -> Result<Cluster, Failed> {
    let words = nodes_in_words(cluster.nodes.iter().map(|node| &node.plan));
    progress(&format!("starting {words}"));
    let started = cluster.nodes.iter().try_for_each(Node::start);
    if let Err(error) = started.and_then(|()| wait_until_ready(&cluster)) {
        return Err(Failed {
            error: Box::new(error),
            port_taken: cluster.nodes.iter().any(Node::port_was_taken),
        });
    }
    let took = Duration::from_nanos(now_ns() - begun_ns).as_secs_f64();
    progress(&format!("{words} ready after {took:.1} s"));
    Ok(cluster)
}

/// Every broker answers on both its listeners and knows every other. Both: a broker that finds the port of one taken answers
/// on the other for a moment before it dies.
pub(super) fn wait_until_ready(cluster: &Cluster) -> Result<(), ChaosError> {
    let deadline = Deadline::after(READY_BOUND);
    let all = cluster.brokers().count();
    let listeners = |node: &Node| [node.admin_server(), node.client_listener()];
    for (node, server) in cluster
        .brokers()
        .flat_map(|node| listeners(node).map(|server| (node, [server])))
    {
        loop {
            let reason = match admin::view(&server, None) {
                Ok(view) if view.brokers.len() == all => break,
                Ok(view) => format!("it knows {} of {all} brokers", view.brokers.len()),
                Err(reason) => reason,
            };
            cluster.spawner.check_stop()?;
            cluster
                .nodes
                .iter()
                .try_for_each(|node| node.check_alive("during start"))?;
            if deadline.passed() {
                return Err(node.failure(&format!("was not ready after {READY_BOUND:?} ({reason})")));
            }
            sleep(LOOK);
        }
    }
    Ok(())
}

/// 16 random bytes as Kafka writes a cluster id; never with a leading dash, which would look like an option.
pub(super) fn random_id() -> Result<String, ChaosError> {
    let uuid =
        fs::read_to_string("/proc/sys/kernel/random/uuid").map_err(ChaosError::io("read a random id"))?;
    let digits: Vec<u8> = uuid.bytes().filter(u8::is_ascii_hexdigit).collect();
    let nibble = |digit: u8| {
        (digit as char)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
            .unwrap_or(0)
    };
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | nibble(*digit)))
        .collect();
    Ok(URL_SAFE_NO_PAD.encode(bytes).replacen('-', "_", 1))
}

/// `3 brokers and 1 controller`.
pub(super) fn nodes_in_words<'a>(plans: impl Iterator<Item = &'a NodePlan>) -> String {
    let plural = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let (brokers, controllers): (Vec<_>, Vec<_>) = plans.partition(|node| node.role.is_broker());
    match controllers.len() {
        0 => plural(brokers.len(), "broker"),
        some => format!(
            "{} and {}",
            plural(brokers.len(), "broker"),
            plural(some, "controller")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::tests::test_spawner;

    #[test]
    fn other_ports_are_tried_a_few_times_and_any_other_error_at_once() {
        let home = tempfile::tempdir().unwrap();
        let spawner = test_spawner(&home.path().join("journals"));
        let ground = Ground::prepare(&home.path().join("run")).unwrap();
        let spec = ClusterSpec {
            nodes: 1,
            ..ClusterSpec::default()
        };
        for (reason, tries) in [("bind: Address already in use", PORT_TRIES), ("no memory", 1)] {
            let mut seen = 0;
            let ended = ground.start(&spec, &spawner, &mut |_| {}, |plans, _, _| {
                seen += 1;
                assert_eq!(plans.len(), 1);
                Err(ChaosError::admin("start", reason).into())
            });
            assert!(ended.is_err_and(|error| error.to_string().contains(reason)));
            assert_eq!(seen, tries, "{reason}");
        }
    }
}
