//! `--broker simulated`: our own broker as one child process that hosts every node of the cluster.
//!
//! ```text
//! runner ── steadfast broker --data DIR --nodes N ... ── node 1, node 2, ...      one process, ports of their own
//!        └─ control socket in DIR: kill, start, pause, resume one node            SIGKILL = the whole cluster is down
//! ```
//! Neither Java nor jars are needed, and nothing is downloaded.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use steadfast_broker::front::{self, Ask, Reply};
use steadfast_broker::{Order, Settings};

use super::death::failure_of;
use super::front::Means;
use super::ground::{Failed, Ground, wait_until_ready};
use super::node::Node;
use super::settings::{self, NodePlan};
use super::{Cluster, ClusterSpec};
use crate::error::ChaosError;
use crate::process::{Child, ChildSpec, Output, Program, Spawner, describe_status};

/// How long the broker may take to carry out an order.
const ORDER_BOUND: Duration = Duration::from_secs(5);
/// As many as a cluster of real brokers may have.
const MOST_NODES: u32 = 9;
/// The process, for people.
const NAME: &str = "simulated";

/// The process that hosts the nodes.
#[derive(Debug)]
pub(crate) struct Host {
    /// Where it writes what goes wrong.
    pub(crate) log: PathBuf,
    data: PathBuf,
    process: Mutex<Option<Child>>,
    /// 0 without a process.
    pid: AtomicU32,
}

pub(super) fn start(
    spec: &ClusterSpec,
    run_dir: &Path,
    spawner: &Spawner,
    progress: &mut dyn FnMut(&str),
) -> Result<Cluster, ChaosError> {
    check(spec)?;
    let ground = Ground::prepare(run_dir)?;
    // A quorum of controllers is not modelled.
    let spec = ClusterSpec {
        controllers: 0,
        ..spec.clone()
    };
    ground.start(&spec, spawner, progress, |plans, means, _| {
        launch(&spec, plans, &ground, (means, spawner))
    })
}

/// What the model cannot do is refused before anything starts.
fn check(spec: &ClusterSpec) -> Result<(), ChaosError> {
    settings::check(&spec.properties)?;
    if spec.nodes == 0 || spec.nodes > MOST_NODES {
        return Err(ChaosError::Refused {
            what: format!("a simulated cluster of {} brokers", spec.nodes),
            mend: format!("ask for 1 to {MOST_NODES} nodes"),
        });
    }
    let mut trial = Settings::default();
    for (name, value) in &spec.properties {
        trial.set(name, value).map_err(|error| ChaosError::Refused {
            what: format!("[cluster.properties]: {error}"),
            mend: format!("leave {name} out, or use --broker kafka"),
        })?;
    }
    Ok(())
}

fn launch(
    spec: &ClusterSpec,
    plans: Vec<NodePlan>,
    ground: &Ground,
    (means, spawner): (&Means, &Spawner),
) -> Result<Cluster, Failed> {
    let data = ground.data(spawner)?;
    let front = means.stand(&plans, &ground.logs, spawner)?;
    let host = Host::start(spec, &plans, data.path().join(NAME), &ground.logs, spawner)?;
    let mut cluster = Cluster::empty("simulated", spawner);
    cluster.version = env!("CARGO_PKG_VERSION").to_owned();
    cluster.nodes = plans.into_iter().map(|plan| Node::hosted(plan, &host)).collect();
    cluster.host = Some(host);
    cluster.front = Mutex::new(front);
    cluster.data = Mutex::new(Some(data));
    wait_until_ready(&cluster)?;
    Ok(cluster)
}

impl Host {
    fn start(
        spec: &ClusterSpec,
        plans: &[NodePlan],
        data: PathBuf,
        logs: &Path,
        spawner: &Spawner,
    ) -> Result<Arc<Host>, ChaosError> {
        let log = logs.join(format!("{NAME}.log"));
        let list = |port: fn(&NodePlan) -> u16| {
            let ports: Vec<String> = plans.iter().map(|plan| port(plan).to_string()).collect();
            ports.join(",")
        };
        let mut args: Vec<OsString> = vec!["broker".into(), "--data".into(), data.clone().into()];
        for (flag, value) in [
            ("--nodes", plans.len().to_string()),
            ("--port", list(|plan| plan.client_port)),
            ("--admin-port", list(|plan| plan.admin_port)),
            ("--advertised-port", list(|plan| plan.advertised_port)),
        ] {
            args.extend([flag.into(), value.into()]);
        }
        for (name, value) in &spec.properties {
            args.extend(["-X".into(), format!("{name}={value}").into()]);
        }
        let child = spawner.spawn(&ChildSpec {
            name: NAME.into(),
            program: Program::Myself,
            args,
            env: Vec::new(),
            cwd: None,
            stdout: Output::File(log.clone()),
            stderr: log.clone(),
        })?;
        let pid = AtomicU32::new(child.pid);
        Ok(Arc::new(Host {
            log,
            data,
            process: Mutex::new(Some(child)),
            pid,
        }))
    }

    /// The pid while there is a process. Never waits.
    pub(crate) fn pid(&self) -> Option<u32> {
        Some(self.pid.load(Ordering::Relaxed)).filter(|pid| *pid != 0)
    }

    /// Name and pid, for samples.
    pub(crate) fn sampled(&self) -> Option<(String, u32)> {
        Some((NAME.to_owned(), self.pid()?))
    }

    /// Has an order carried out.
    pub(crate) fn order(&self, order: Order) -> Result<(), ChaosError> {
        let what = format!("{order:?}");
        match self.ask(&Ask::Order(order))? {
            Reply::Done => Ok(()),
            Reply::Refused(why) => Err(ChaosError::admin(what, why)),
            other => Err(ChaosError::admin(what, format!("{other:?}"))),
        }
    }

    /// How a node is.
    pub(crate) fn state(&self, node: i32) -> Result<front::NodeState, ChaosError> {
        let found = match self.ask(&Ask::State)? {
            Reply::State(nodes) => nodes.into_iter().find(|found| found.node == node),
            _ => None,
        };
        found.ok_or_else(|| ChaosError::admin("look at a node", format!("there is no node {node}")))
    }

    fn ask(&self, ask: &Ask) -> Result<Reply, ChaosError> {
        front::ask(&self.data, ask, ORDER_BOUND).map_err(ChaosError::io("ask the simulated broker"))
    }

    pub(crate) fn check_alive(&self, when: &str) -> Result<(), ChaosError> {
        let Ok(mut process) = self.process.try_lock() else {
            return Ok(());
        };
        let Some(child) = process.as_mut() else {
            return Ok(());
        };
        let status = child
            .try_wait()
            .map_err(ChaosError::io("look after the simulated broker"))?;
        status.map_or(Ok(()), |status| {
            let reason = format!("ended ({}) {when}", describe_status(status));
            Err(failure_of(NAME, &self.log, &reason))
        })
    }

    /// SIGTERM, and SIGKILL after `grace`.
    pub(crate) fn stop(&self, grace: Duration) {
        if let Some(mut child) = self.process().take() {
            // What does not end here ends with the drop of the child, and else stands in the journal.
            let _ended_already = child.terminate(grace);
        }
        self.pid.store(0, Ordering::Relaxed);
    }

    fn process(&self) -> MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_model_lacks_is_refused_before_anything_starts() {
        let with = |nodes, name: &str, value: &str| {
            let properties = [(name.to_owned(), value.to_owned())].into();
            check(&ClusterSpec {
                nodes,
                properties,
                ..ClusterSpec::default()
            })
        };
        assert!(with(3, "broker.session.timeout.ms", "3000").is_ok());
        for (nodes, name, value, word) in [
            (0, "num.partitions", "1", "1 to 9"),
            (10, "num.partitions", "1", "1 to 9"),
            (1, "remote.log.storage.system.enable", "true", "--broker kafka"),
            (1, "min.insync.replicas", "no", "a number"),
            (1, "log.dirs", "/tmp", "steadfast itself"),
        ] {
            let why = with(nodes, name, value).expect_err("refused").to_string();
            assert!(why.contains(word), "{why}");
        }
    }
}
