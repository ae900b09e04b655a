//! A cluster: started, asked, hurt, healed and stopped. Of real brokers:
//!
//! ```text
//! plan nodes over free ports ─► format storage (in parallel) ─► start JVMs ─► every broker answers and knows all others
//!       ▲                                                          │
//!       └────────────── a port was taken meanwhile ────────────────┘        ─► create topics ─► every partition has leaders
//! ```
//! Three listeners a broker: CLIENT (advertised as itself, or as the proxy in front of it), ADMIN (never proxied: verifier,
//! admin and the brokers among themselves) and CONTROLLER (the quorum). All on 127.0.0.1.
//! A simulated one (simulated.rs) has the same listeners and no quorum.
//! A [`Cluster`] is shared by reference: every node has its own lock, so sampling never waits for a fault under way.

mod admin; // metadata, topics, settings over the ADMIN listener
pub(crate) mod external; // somebody else's brokers
pub mod docker; // Kafka in containers
pub mod disk; // a small one, to be filled
mod devices; // what else a broker has of its own
mod fetch; // jars by Maven
pub(crate) mod foreign; // what we made on somebody else's cluster
mod front; // what stands between clients and brokers
mod ground; // folders, ports, another try: what every start needs
mod hurt; // kill, pause, partition
pub mod java; // finding Java, and a broker's JVM
pub mod kafka; // where jars are
mod launch; // from a spec to running brokers
mod node; // one broker process
mod death; // why it ended by itself
mod orders; // what Kafka's own administration changes
mod ports; // free ones
mod renewal; // the same topics, empty
pub(crate) mod probe; // timed exchanges on the clients' way
mod settings; // server.properties and its differences
mod simulated; // our own broker instead of Kafka
mod witness; // Kafka's own tools
pub mod wall_clock; // one of its own, to be stepped
mod watch; // leaders, replicas in sync

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use steadfast_verifier::environment::Setting;
use steadfast_verifier::timeline::Role;

use self::foreign::ForeignTopic;
use self::front::Standing;
use self::node::Node;
use self::simulated::Host;
use crate::clock::Deadline;
use crate::error::ChaosError;
use crate::journal::TemporaryDirectory;
use crate::process::Spawner;

pub use self::admin::Leader;
pub use self::front::Front;
pub(crate) use self::node::Evidence;
pub use self::node::NodeState;
pub(crate) use self::orders::Whose;
pub(crate) use self::ports::free as free_ports;
pub use self::settings::OWNED;

/// How long a broker may take from its start to being in sync everywhere again.
pub const BACK_BOUND: Duration = Duration::from_secs(120);
/// How long topics may take to have all their leaders and replicas.
const TOPICS_BOUND: Duration = Duration::from_secs(15);
/// How long brokers get for a clean stop at the end of a run.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// How often a wait looks again.
const LOOK: Duration = Duration::from_millis(50);

/// What cluster to start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterSpec {
    /// Brokers, at least 1.
    pub nodes: u32,
    /// Dedicated controllers; 0 = every broker is one too.
    pub controllers: u32,
    /// Version of Apache Kafka; empty = what `KAFKA_HOME` has, else [`kafka::DEFAULT_VERSION`].
    pub version: String,
    /// Image that a `docker` cluster runs, with its tag or digest; empty = [`docker::DEFAULT_IMAGE`] of that version.
    pub image: String,
    /// Broker settings under Kafka's names.
    pub properties: BTreeMap<String, String>,
    /// Options of each broker's JVM beside Kafka's own.
    pub jvm_options: Vec<String>,
    /// Bytes of a small disk for each broker's data, in memory; none = the run folder's disk.
    pub disk: Option<u64>,
    /// Each broker has a wall clock of its own.
    pub own_clocks: bool,
    /// Topics to create.
    pub topics: Vec<TopicSpec>,
    /// What stands between clients and every broker.
    pub front: Front,
    /// Whether brokers reach each other through proxies too: of [`Front::Toxiproxy`].
    pub linked: bool,
}

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Name.
    pub name: String,
    /// Partitions.
    pub partitions: u32,
    /// Copies of each.
    pub replication_factor: u32,
    /// Topic settings under Kafka's names.
    pub configs: BTreeMap<String, String>,
}

/// A running cluster. Dropping it ends its processes and removes its data.
#[derive(Debug)]
pub struct Cluster {
    kind: &'static str,
    version: String,
    java: String,
    nodes: Vec<Node>,
    /// The process that hosts the nodes of a simulated cluster.
    host: Option<Arc<Host>>,
    /// Of an external cluster; else empty.
    external_servers: Vec<String>,
    differences: Vec<Setting>,
    spawner: Spawner,
    /// In front of every broker.
    front: Mutex<Standing>,
    /// What we made on an external cluster.
    foreign: Mutex<Vec<ForeignTopic>>,
    /// Set by [`Cluster::stop`]: a fault that is being mended meanwhile must not start a broker again.
    stopped: AtomicBool,
    /// Dropped after the nodes: fields drop in order.
    data: Mutex<Option<TemporaryDirectory>>,
}

impl Cluster {
    /// None of it yet.
    fn empty(kind: &'static str, spawner: &Spawner) -> Cluster {
        Cluster {
            kind,
            version: String::new(),
            java: String::new(),
            nodes: Vec::new(),
            host: None,
            external_servers: Vec::new(),
            differences: Vec::new(),
            spawner: spawner.clone(),
            front: Mutex::default(),
            foreign: Mutex::default(),
            stopped: AtomicBool::new(false),
            data: Mutex::default(),
        }
    }

    /// Starts real Kafka below `run_dir` (`logs/` for every child's log, `broker-data/` for data, which go at the end), creates
    /// the topics, and returns when all is ready. On any error nothing is left running.
    pub fn start(
        spec: &ClusterSpec,
        run_dir: &Path,
        spawner: &Spawner,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Cluster, ChaosError> {
        launch::start(spec, run_dir, spawner, progress)?.with_topics(spec)
    }

    /// As [`Cluster::start`], with our own broker in Kafka's place.
    pub fn simulate(
        spec: &ClusterSpec,
        run_dir: &Path,
        spawner: &Spawner,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Cluster, ChaosError> {
        let mut cluster = simulated::start(spec, run_dir, spawner, progress)?;
        cluster.create_topics(&spec.topics)?;
        cluster.differences.extend(cluster.described(spec)?);
        Ok(cluster)
    }

    /// As [`Cluster::start`], with each node in a container of its own.
    pub fn contain(
        spec: &ClusterSpec,
        run_dir: &Path,
        spawner: &Spawner,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Cluster, ChaosError> {
        docker::start(spec, run_dir, spawner, progress)?.with_topics(spec)
    }

    /// Takes a cluster that somebody else runs. Only loopback addresses, unless `allow_remote`; of what can stand in front
    /// only the wire proxy can here, and on loopback alone.
    pub fn external(
        bootstrap_servers: &[String],
        allow_remote: bool,
        (topics, front): (&[TopicSpec], Front),
        spawner: &Spawner,
    ) -> Result<Cluster, ChaosError> {
        let mut cluster = external::take(bootstrap_servers, allow_remote, spawner)?;
        external::put_in_front(&cluster, front)?;
        cluster.create_topics(topics)?;
        let spec = ClusterSpec {
            topics: topics.to_vec(),
            ..ClusterSpec::default()
        };
        cluster.differences.extend(cluster.described(&spec)?);
        Ok(cluster)
    }

    /// `kafka`, `docker`, `simulated` or `external`.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Version of Apache Kafka; of steadfast for a simulated cluster, `unknown` for an external one.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// First line of `java --version`; empty where there is none.
    pub fn java_version(&self) -> &str {
        &self.java
    }

    /// `host:port` of every broker as clients shall use it (the proxies, when proxied).
    pub fn bootstrap_servers(&self) -> Vec<String> {
        if let Some(doors) = self.doors_of_others() {
            return doors.into_iter().map(|(_, listen)| listen).collect();
        }
        self.servers(Node::client_server)
    }

    /// `host:port` of every broker's listener that is never proxied.
    pub fn admin_servers(&self) -> Vec<String> {
        self.servers(Node::admin_server)
    }

    /// Role, name and pid of every process that runs now. Never waits.
    pub fn processes(&self) -> Vec<(Role, String, u32)> {
        let proxy = self.standing().process();
        if let Some(host) = &self.host {
            // All nodes in one: counted once.
            let one = host.sampled().map(|(name, pid)| (Role::Broker, name, pid));
            return one.into_iter().chain(proxy).collect();
        }
        let node = |node: &Node| Some((Role::Broker, node.name.clone(), node.pid()?));
        self.nodes.iter().filter_map(node).chain(proxy).collect()
    }

    /// Every setting that differs from Kafka's default, with the reason.
    pub fn differences(&self) -> &[Setting] {
        &self.differences
    }

    /// An error if a broker or the proxy died that nobody killed. Never waits.
    pub fn check(&self) -> Result<(), ChaosError> {
        self.nodes
            .iter()
            .try_for_each(|node| node.check_alive("during the run"))?;
        self.standing().check()
    }

    /// Leaves the topics that were made on an external cluster to its owner.
    pub fn keep_topics(&self) -> Result<(), ChaosError> {
        let mut made = self.foreign();
        made.iter_mut().try_for_each(ForeignTopic::keep)?;
        made.clear();
        Ok(())
    }

    /// Deletes the topics that were made on an external cluster, and tells why it could not. [`Cluster::stop`] does it
    /// too, in silence.
    pub fn delete_topics(&self) -> Result<(), ChaosError> {
        let mut made = self.foreign();
        made.iter_mut().try_for_each(ForeignTopic::delete)?;
        made.clear();
        Ok(())
    }

    /// Ends every process, within bounds, and removes the data. Of an external cluster it takes what we made there.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        if let Some(host) = &self.host {
            host.stop(STOP_GRACE);
        }
        let own = self.nodes.iter().filter(|_| self.host.is_none());
        for node in own.clone() {
            node.ask_to_stop();
        }
        // The last of a quorum cannot shut down in good order, since nobody is left to agree: it waits until killed.
        let deadline = Deadline::after(STOP_GRACE);
        for node in own {
            // What does not end here ends with the node's drop, and else stands in the journal.
            let _ended_already = node.stop(deadline.left());
        }
        *self.front() = Standing::Nothing;
        self.foreign().clear();
        *self.data() = None;
    }

    /// Keeps the brokers' data directories when the cluster ends.
    pub fn keep_data(&self) -> Result<(), ChaosError> {
        self.data()
            .as_mut()
            .map_or(Ok(()), TemporaryDirectory::keep)
            .map_err(ChaosError::io("keep the brokers' data"))
    }

    fn with_topics(mut self, spec: &ClusterSpec) -> Result<Cluster, ChaosError> {
        let told = self
            .create_topics(&spec.topics)
            .and_then(|()| self.described(spec));
        // A broker that died is the reason, and not that it does not answer.
        let told = told.or_else(|error| self.check().and(Err(error)))?;
        self.differences.extend(told);
        Ok(self)
    }

    /// Somebody else's.
    pub(crate) fn is_external(&self) -> bool {
        !self.external_servers.is_empty()
    }

    /// Of somebody else's brokers that our own proxy stands in front of: each with its door.
    fn doors_of_others(&self) -> Option<Vec<(u32, String)>> {
        let standing = self.standing();
        let wire = standing.wire_proxy().ok().filter(|_| self.is_external())?;
        Some(
            wire.doors()
                .map(|(broker, listen)| (broker, listen.to_owned()))
                .collect(),
        )
    }

    fn standing(&self) -> Standing {
        self.front().clone()
    }

    fn front(&self) -> MutexGuard<'_, Standing> {
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn foreign(&self) -> MutexGuard<'_, Vec<ForeignTopic>> {
        self.foreign.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn data(&self) -> MutexGuard<'_, Option<TemporaryDirectory>> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn node(&self, broker: u32) -> Result<&Node, ChaosError> {
        self.nodes
            .iter()
            .find(|node| node.plan.id == broker)
            .ok_or_else(|| ChaosError::Refused {
                what: format!("broker {broker} is not one that steadfast has started"),
                mend:
                    "faults on processes need `--broker kafka`, `docker` or `simulated`, and a broker of this cluster"
                        .into(),
            })
    }

    pub(crate) fn brokers(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.plan.role.is_broker())
    }

    fn servers(&self, of: impl Fn(&Node) -> String) -> Vec<String> {
        self.brokers()
            .map(of)
            .chain(self.external_servers.iter().cloned())
            .collect()
    }

    fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), ChaosError> {
        if topics.is_empty() {
            return Ok(());
        }
        let servers = self.admin_servers();
        let server = servers
            .first()
            .ok_or_else(|| ChaosError::admin("create topics", "no broker"))?;
        let foreign = self.is_external();
        let view = self
            .view(None)
            .map_err(|reason| ChaosError::admin("look for the topics", reason))?;
        if let Some(topic) = topics
            .iter()
            .find(|topic| view.topics.iter().any(|found| found.name == topic.name))
        {
            return Err(ChaosError::Refused {
                what: format!(
                    "topic {} exists already, and its old records could not be told from lost ones",
                    topic.name
                ),
                mend: "delete it, or name another topic".into(),
            });
        }
        for topic in topics {
            if foreign {
                let made = ForeignTopic::create(topic, &servers, self.spawner.journal())?;
                self.foreign().push(made);
            } else {
                // Goes with the cluster's data.
                admin::create_topic_at(server, topic)
                    .map_err(|(reason, _)| ChaosError::admin("create topics", reason))?;
            }
        }
        self.until("wait for the leaders of the topics", TOPICS_BOUND, |view| {
            for topic in topics {
                let copies = topic.replication_factor as usize;
                let found = view.topics.iter().filter(|found| found.name == topic.name);
                let whole = found.flat_map(|found| &found.partitions);
                let whole = whole
                    .filter(|state| state.leader >= 0 && state.isr.len() == copies)
                    .count();
                if whole != topic.partitions as usize {
                    return Err(format!(
                        "{whole} of {} partitions of {} are ready",
                        topic.partitions, topic.name
                    ));
                }
            }
            Ok(())
        })
    }

    /// The scenario's own settings beside Kafka's defaults, as the broker itself tells them.
    fn described(&self, spec: &ClusterSpec) -> Result<Vec<Setting>, ChaosError> {
        let ask = |reason| ChaosError::admin("ask the broker for its settings", reason);
        let servers = self.admin_servers();
        let server = servers.first().ok_or_else(|| ask("no broker".into()))?;
        let mut found = Vec::new();
        if let Some(first) = self.brokers().next().filter(|_| !spec.properties.is_empty()) {
            let told = admin::broker_settings(server, first.plan.id).map_err(ask)?;
            found.extend(settings::scenario_settings("broker", &spec.properties, &told));
        }
        for topic in spec.topics.iter().filter(|topic| !topic.configs.is_empty()) {
            let told = admin::topic_settings(server, &topic.name).map_err(ask)?;
            found.extend(settings::scenario_settings("topic", &topic.configs, &told));
        }
        Ok(found)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}
