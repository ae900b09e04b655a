//! `--broker docker`: real Kafka, each node in a container of its own, made from an image with the layout of `apache/kafka`.
//!
//! ```text
//! engine answers ─► image here, else pulled ─► a look into it ─► storage formatted in it ─► one container a node
//!                                              same kernel, network and files as ours?      kafka-server-start.sh
//! ```
//! The nodes are those of `--broker kafka`: the same server.properties on the same loopback ports, since the containers live in
//! this machine's own network. So brokers, proxies and clients reach each other alike, and no port forwarder stands on the
//! measured way. Data and logs lie in the run folder, mounted. Only starting, killing and freezing is the engine's.

mod container; // one container, and the node in it
mod engine; // the engine's command line
mod image; // what the image holds, and whether it can run here

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use steadfast_verifier::environment::Setting;

use self::container::{Container, Order};
use self::image::Image;
use super::death::failure_of;
use super::front::Means;
use super::ground::{Failed, Ground, bring_up, nodes_in_words, random_id};
use super::java::{self, Heap};
use super::launch::{FORMAT_BOUND, check};
use super::node::Node;
use super::settings::{self, NodePlan};
use super::{Cluster, ClusterSpec, kafka};
use crate::clock::{Deadline, now_ns};
use crate::error::ChaosError;
use crate::journal::TemporaryDirectory;
use crate::process::{Child, Spawner, ended_well};

pub(crate) use self::container::{Contained, remove_left};
pub(crate) use self::engine::Engine;
pub use self::image::{DEFAULT_IMAGE, reference};

/// Where the run folder's logs and data are inside of a container: no word of it ever needs quoting in a script.
const LOGS: &str = "/steadfast/logs";
const DATA: &str = "/steadfast/data";
/// The image's scripts.
const START_SCRIPT: &str = "/opt/kafka/bin/kafka-server-start.sh";
const STORAGE_SCRIPT: &str = "/opt/kafka/bin/kafka-storage.sh";

pub(super) fn start(
    spec: &ClusterSpec,
    run_dir: &Path,
    spawner: &Spawner,
    progress: &mut dyn FnMut(&str),
) -> Result<Cluster, ChaosError> {
    check(spec)?;
    let ground = Ground::prepare(run_dir)?;
    let engine = Arc::new(Engine::find(spawner, &ground.logs)?);
    let image = image::provide(&engine, spec, &ground, progress)?;
    ground.start(spec, spawner, progress, |plans, means, progress| {
        let site = Site::prepare(spec, plans, &ground, (&engine, &image), spawner)?;
        site.launch(spec, means, spawner, progress)
    })
}

/// Everything decided, nothing running.
struct Site<'a> {
    engine: &'a Arc<Engine>,
    image: &'a Image,
    logs: &'a Path,
    data: TemporaryDirectory,
    plans: Vec<NodePlan>,
    house: Vec<Setting>,
    heap: Heap,
    jvm_options: Vec<String>,
}

impl<'a> Site<'a> {
    fn prepare(
        spec: &ClusterSpec,
        plans: Vec<NodePlan>,
        ground: &'a Ground,
        (engine, image): (&'a Arc<Engine>, &'a Image),
        spawner: &Spawner,
    ) -> Result<Site<'a>, ChaosError> {
        let logs = ground.logs.as_path();
        let line_4 = kafka::is_line_4(&image.version);
        let site = Site {
            engine,
            image,
            logs,
            data: ground.data(spawner)?,
            plans,
            house: settings::house_settings(spec.nodes, line_4, &spec.properties),
            heap: Heap::of_broker(spec.nodes, java::available_memory()),
            jvm_options: spec.jvm_options.clone(),
        };
        for node in &site.plans {
            let data = Path::new(DATA).join(node.name());
            let file = settings::server_properties(node, &site.plans, &data, &site.house, &spec.properties);
            write(&logs.join(properties_of(node)), &file)?;
        }
        write(&site.data.path().join("log4j.properties"), java::LOG4J_PROPERTIES)?;
        write(
            &site.data.path().join("log4j2.properties"),
            java::LOG4J2_PROPERTIES,
        )?;
        Ok(site)
    }

    fn launch(
        self,
        spec: &ClusterSpec,
        means: &Means,
        spawner: &Spawner,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Cluster, Failed> {
        let begun_ns = now_ns();
        progress(&format!(
            "formatting storage of {} ({}, Apache Kafka {})",
            nodes_in_words(self.plans.iter()),
            self.image.reference,
            self.image.version
        ));
        self.format(spawner)?;
        let front = means.stand(&self.plans, self.logs, spawner)?;
        let nodes: Result<Vec<Node>, ChaosError> = self.plans.iter().map(|plan| self.node(plan)).collect();
        let mut cluster = Cluster::empty("docker", spawner);
        cluster.nodes = nodes?;
        cluster.version = self.image.version.clone();
        cluster.java = self.image.java.clone();
        cluster.differences = self.differences(spec);
        cluster.front = Mutex::new(front);
        cluster.data = Mutex::new(Some(self.data));
        bring_up(cluster, begun_ns, progress)
    }

    fn differences(&self, spec: &ClusterSpec) -> Vec<Setting> {
        let mut differences = self.house.clone();
        differences.extend(self.heap.differences(spec.nodes));
        differences.extend(spec.jvm_options.iter().map(|option| java::asked_for(option)));
        differences.extend(self.image.difference());
        differences
    }

    /// One short container a node, side by side; each is gone afterwards.
    fn format(&self, spawner: &Spawner) -> Result<(), ChaosError> {
        let cluster_id = random_id()?;
        let mut running: Vec<(Container, Child, PathBuf)> = Vec::new();
        for node in &self.plans {
            let name = format!("{}-format", node.name());
            let log = self.logs.join(format!("{name}.log"));
            let mut order = self.order(STORAGE_SCRIPT);
            let file = format!("{LOGS}/{}", properties_of(node));
            order.args = ["format", "-t", &cluster_id, "-c", &file]
                .map(str::to_owned)
                .into();
            order.env = vec![
                // A JVM that lives a second: the quick compiler and the simple collector.
                variable("KAFKA_HEAP_OPTS", "-XX:TieredStopAtLevel=1 -Xmx128m"),
                variable("KAFKA_JVM_PERFORMANCE_OPTS", "-XX:+UseSerialGC"),
                variable("KAFKA_LOG4J_OPTS", &self.logging()),
                variable("LOG_DIR", LOGS),
            ];
            let container = Container::create(self.engine, &name, &order)?;
            let client = container.attend(&log)?;
            running.push((container, client, log));
        }
        let deadline = Deadline::after(FORMAT_BOUND);
        for (_container, mut client, log) in running {
            let status = client.until(deadline, Some(spawner))?;
            if let Err(how) = ended_well(status, FORMAT_BOUND) {
                let reason = format!("could not format the storage ({how})");
                return Err(failure_of(&client.name, &log, &reason));
            }
        }
        Ok(())
    }

    fn node(&self, plan: &NodePlan) -> Result<Node, ChaosError> {
        let name = plan.name();
        let heap = if plan.role.is_broker() {
            self.heap
        } else {
            Heap::CONTROLLER
        };
        let gc_log = format!("{LOGS}/{name}-gc.log");
        let mut options = java::broker_arguments(heap, Path::new(&gc_log));
        options.extend(self.jvm_options.iter().cloned());
        let mut order = self.order(START_SCRIPT);
        order.args = vec![format!("{LOGS}/{}", properties_of(plan))];
        order.env = vec![
            // Said here too: what is empty gets the script's own gigabyte.
            variable("KAFKA_HEAP_OPTS", &format!("-Xms{0}m -Xmx{0}m", heap.total)),
            variable("KAFKA_JVM_PERFORMANCE_OPTS", &options.join(" ")),
            variable("KAFKA_LOG4J_OPTS", &self.logging()),
            variable("LOG_DIR", LOGS),
            // The script's own would be a second log of collections.
            variable("EXTRA_ARGS", ""),
        ];
        let container = Container::create(self.engine, &name, &order)?;
        let log = self.logs.join(format!("{name}.log"));
        Ok(Node::contained(plan.clone(), Contained::new(container, log)))
    }

    fn order(&self, script: &'static str) -> Order {
        Order {
            image: self.image.id.clone(),
            program: script,
            args: Vec::new(),
            env: Vec::new(),
            mounts: vec![(self.logs.to_owned(), LOGS), (self.data.path().to_owned(), DATA)],
        }
    }

    /// INFO to stderr through whatever slf4j binding is in the jars. The scripts split it at spaces, so no option has one.
    fn logging(&self) -> String {
        let file = if kafka::is_line_4(&self.image.version) {
            format!("-Dlog4j2.configurationFile={DATA}/log4j2.properties")
        } else {
            format!("-Dlog4j.configuration=file:{DATA}/log4j.properties")
        };
        [
            file.as_str(),
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss,SSS",
            "-Dorg.slf4j.simpleLogger.showShortLogName=true",
            "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config.AbstractConfig=warn",
        ]
        .join(" ")
    }
}

fn properties_of(node: &NodePlan) -> String {
    format!("{}.properties", node.name())
}

fn variable(name: &str, value: &str) -> String {
    format!("{name}={value}")
}

fn write(path: &Path, text: &str) -> Result<(), ChaosError> {
    fs::write(path, text).map_err(ChaosError::io(format!("write {}", path.display())))
}
