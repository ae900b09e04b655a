//! A cluster of real brokers: started, asked, hurt, healed and stopped.
//!
//! ```text
//! plan nodes over free ports ─► format storage (in parallel) ─► start JVMs ─► every broker answers and knows all others
//!       ▲                                                          │
//!       └────────────── a port was taken meanwhile ────────────────┘        ─► create topics ─► every partition has leaders
//! ```
//! Three listeners a broker: CLIENT (advertised as itself, or as the proxy in front of it), ADMIN (never proxied: verifier,
//! admin and the brokers among themselves) and CONTROLLER (the quorum). All on 127.0.0.1.
//! A [`Cluster`] is shared by reference: every node has its own lock, so sampling never waits for a fault under way.

mod admin; // metadata, topics, settings over the ADMIN listener
mod external; // somebody else's brokers
mod fetch; // jars by Maven
pub mod java; // finding Java, and a broker's JVM
pub mod kafka; // where jars are
mod launch; // from a spec to running brokers
mod node; // one broker process
mod ports; // free ones
mod settings; // server.properties and its differences

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use steadfast_verifier::environment::Setting;
use steadfast_verifier::timeline::Role;
use steadfast_wire::admin::Metadata;

use self::node::Node;
use crate::clock::{Deadline, sleep};
use crate::error::ChaosError;
use crate::journal::TemporaryDirectory;
use crate::process::Spawner;
use crate::toxiproxy::{Bite, Toxiproxy};

pub use self::admin::Leader;
pub use self::node::NodeState;
pub(crate) use self::ports::free as free_ports;

/// How long a broker may take from its start to being in sync everywhere again.
pub const BACK_BOUND: Duration = Duration::from_secs(60);
/// How long topics may take to have all their leaders and replicas.
const TOPICS_BOUND: Duration = Duration::from_secs(15);
/// How long brokers get for a clean stop at the end of a run.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// How long a broker gets for a clean stop in a restart: it hands its leaders over and flushes.
const RESTART_GRACE: Duration = Duration::from_secs(30);
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
    /// Broker settings under Kafka's names.
    pub properties: BTreeMap<String, String>,
    /// Topics to create.
    pub topics: Vec<TopicSpec>,
    /// Whether a proxy stands between clients and every broker.
    pub proxied: bool,
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
    /// Of an external cluster; else empty.
    external_servers: Vec<String>,
    differences: Vec<Setting>,
    spawner: Spawner,
    /// In front of every broker, when the spec says so.
    proxy: Mutex<Option<Arc<Toxiproxy>>>,
    /// Set by [`Cluster::stop`]: a fault that is being mended meanwhile must not start a broker again.
    stopped: AtomicBool,
    /// Dropped after the nodes: fields drop in order.
    data: Mutex<Option<TemporaryDirectory>>,
}

impl Cluster {
    /// Starts real Kafka below `run_dir` (`logs/` for every child's log, `broker-data/` for data, which go at the end), creates
    /// the topics, and returns when all is ready. On any error nothing is left running.
    pub fn start(
        spec: &ClusterSpec,
        run_dir: &Path,
        spawner: &Spawner,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Cluster, ChaosError> {
        let mut cluster = launch::start(spec, run_dir, spawner, progress)?;
        cluster.create_topics(&spec.topics)?;
        cluster.differences.extend(cluster.described(spec)?);
        Ok(cluster)
    }

    /// Takes a cluster that somebody else runs. Only loopback addresses, unless `allow_remote`.
    pub fn external(
        bootstrap_servers: &[String],
        allow_remote: bool,
        topics: &[TopicSpec],
        spawner: &Spawner,
    ) -> Result<Cluster, ChaosError> {
        let mut cluster = external::take(bootstrap_servers, allow_remote, spawner)?;
        cluster.create_topics(topics)?;
        let spec = ClusterSpec {
            topics: topics.to_vec(),
            ..ClusterSpec::default()
        };
        cluster.differences.extend(cluster.described(&spec)?);
        Ok(cluster)
    }

    /// `kafka` or `external`.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Version of Apache Kafka; `unknown` for an external cluster.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// First line of `java --version`; empty for an external cluster.
    pub fn java_version(&self) -> &str {
        &self.java
    }

    /// `host:port` of every broker as clients shall use it (the proxies, when proxied).
    pub fn bootstrap_servers(&self) -> Vec<String> {
        self.servers(Node::client_server)
    }

    /// `host:port` of every broker's listener that is never proxied.
    pub fn admin_servers(&self) -> Vec<String> {
        self.servers(Node::admin_server)
    }

    /// Role, name and pid of every process that runs now. Never waits.
    pub fn processes(&self) -> Vec<(Role, String, u32)> {
        let node = |node: &Node| Some((Role::Broker, node.name.clone(), node.pid()?));
        let proxy = self.proxy().map(|proxy| proxy.process());
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
        self.proxy().map_or(Ok(()), |proxy| proxy.check())
    }

    /// The leader of a partition now, as the first broker that answers knows it.
    pub fn leader(&self, topic: &str, partition: u32) -> Result<Leader, ChaosError> {
        let what = || format!("find the leader of {topic}-{partition}");
        let view = self
            .view(Some(topic))
            .map_err(|reason| ChaosError::admin(what(), reason))?;
        let state = i32::try_from(partition)
            .ok()
            .and_then(|partition| view.partition(topic, partition));
        let found = state.and_then(|state| {
            Some(Leader {
                broker: state.leader.try_into().ok()?,
                epoch: state.leader_epoch,
            })
        });
        found.ok_or_else(|| ChaosError::admin(what(), "it has none"))
    }

    /// Ids of all brokers that we run.
    pub fn broker_ids(&self) -> Vec<u32> {
        self.brokers().map(|node| node.plan.id).collect()
    }

    /// Some partition of a topic of the run that this broker leads now: its election shows that the broker was hit.
    /// None when it leads none.
    pub(crate) fn led_by(&self, broker: u32) -> Result<Option<(String, u32, Leader)>, ChaosError> {
        self.node(broker)?;
        let what = || format!("find what broker-{broker} leads");
        let view = self
            .view(None)
            .map_err(|reason| ChaosError::admin(what(), reason))?;
        let topics = view.topics.iter().filter(|topic| !topic.name.starts_with("__"));
        let mut all = topics.flat_map(|topic| topic.partitions.iter().map(move |state| (topic, state)));
        let led = all.find(|(_, state)| u32::try_from(state.leader) == Ok(broker));
        Ok(led.and_then(|(topic, state)| {
            let partition = u32::try_from(state.partition).ok()?;
            Some((
                topic.name.clone(),
                partition,
                Leader {
                    broker,
                    epoch: state.leader_epoch,
                },
            ))
        }))
    }

    /// Whether a broker answers a Metadata request on its ADMIN listener within the bound; the reason when it does not.
    pub(crate) fn answers(&self, broker: u32, bound: Duration) -> Result<(), String> {
        let node = self.node(broker).map_err(|error| error.to_string())?;
        admin::probe(&node.admin_server(), bound)
    }

    /// As [`Cluster::answers`], on the way that clients take: through the proxy, when there is one.
    pub(crate) fn answers_clients(&self, broker: u32, bound: Duration) -> Result<(), String> {
        let node = self.node(broker).map_err(|error| error.to_string())?;
        admin::probe(&node.client_server(), bound)
    }

    /// Waits until a broker is unfenced and in the ISR of every partition that it has a replica of.
    pub fn wait_until_in_sync(&self, broker: u32, bound: Duration) -> Result<(), ChaosError> {
        let name = format!("broker-{broker}");
        self.until(&format!("wait until {name} is in sync"), bound, |view| {
            let id = i32::try_from(broker).unwrap_or(-1);
            if view.broker(id).is_none() {
                return Err(format!("{name} is not registered"));
            }
            for topic in &view.topics {
                let mut own = topic
                    .partitions
                    .iter()
                    .filter(|state| state.replicas.contains(&id));
                if let Some(state) = own.find(|state| !state.isr.contains(&id) || state.leader < 0) {
                    return Err(format!("{}-{} lacks it in its ISR", topic.name, state.partition));
                }
            }
            Ok(())
        })
    }

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

    /// Ends every process, within bounds, and removes the data. An external cluster is left as it is.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        for node in &self.nodes {
            node.ask_to_stop();
        }
        // The last of a quorum cannot shut down in good order, since nobody is left to agree: it waits until killed.
        let deadline = Deadline::after(STOP_GRACE);
        for node in &self.nodes {
            // What does not end here ends with the node's drop, and else stands in the journal.
            let _ended_already = node.stop(deadline.left());
        }
        *self.proxy.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.data() = None;
    }

    /// Keeps the brokers' data directories when the cluster ends.
    pub fn keep_data(&self) -> Result<(), ChaosError> {
        self.data()
            .as_mut()
            .map_or(Ok(()), TemporaryDirectory::keep)
            .map_err(ChaosError::io("keep the brokers' data"))
    }

    fn proxy(&self) -> Option<Arc<Toxiproxy>> {
        self.proxy.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn needs_proxy(&self) -> Result<Arc<Toxiproxy>, ChaosError> {
        self.proxy().ok_or_else(|| ChaosError::Refused {
            what: "a fault of the network, but no proxy stands in front of the brokers".into(),
            mend: "start the cluster with proxies".into(),
        })
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
                mend: "faults on processes need `--broker kafka` and a broker of this cluster".into(),
            })
    }

    pub(crate) fn brokers(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.plan.role.is_broker())
    }

    /// What the first broker knows that is up and answers.
    pub(crate) fn view(&self, topic: Option<&str>) -> Result<Metadata, String> {
        let up = self
            .brokers()
            .filter(|node| node.state() == NodeState::Up)
            .map(Node::admin_server);
        let servers: Vec<String> = up.chain(self.external_servers.iter().cloned()).collect();
        admin::view(&servers, topic)
    }

    /// Looks at the cluster until `done` holds; the last reason why it did not becomes the error.
    pub(crate) fn until(
        &self,
        what: &str,
        bound: Duration,
        mut done: impl FnMut(&Metadata) -> Result<(), String>,
    ) -> Result<(), ChaosError> {
        let deadline = Deadline::after(bound);
        loop {
            let reason = match self.view(None).and_then(|view| done(&view)) {
                Ok(()) => return Ok(()),
                Err(reason) => reason,
            };
            self.spawner.check_stop()?;
            self.check()?;
            if deadline.passed() {
                return Err(ChaosError::admin(what, format!("not within {bound:?}: {reason}")));
            }
            sleep(LOOK);
        }
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
        admin::create_topics(server, topics).map_err(|reason| ChaosError::admin("create topics", reason))?;
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
