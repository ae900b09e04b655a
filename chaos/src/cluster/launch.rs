//! From a spec to brokers that answer: the steps of [`super::Cluster::start`], each bounded, each undone by drops.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use steadfast_verifier::environment::Setting;

use super::death::failure_of;
use super::devices::{self, Devices};
use super::disk;
use super::front::Means;
use super::ground::{Failed, Ground, bring_up, nodes_in_words, random_id};
use super::java::{self, Heap, Java};
use super::kafka::{self, Home};
use super::node::Node;
use super::settings::{self, NodePlan};
use super::{Cluster, ClusterSpec};
use crate::clock::{Deadline, now_ns};
use crate::error::ChaosError;
use crate::journal::TemporaryDirectory;
use crate::process::{Child, ChildSpec, Output, Program, Spawner, ended_well};

/// How long formatting the storage may take (one short JVM per node).
pub(super) const FORMAT_BOUND: Duration = Duration::from_secs(120);
/// More JVMs than this on one machine prove nothing.
const MOST_NODES: u32 = 9;

pub(super) fn start(
    spec: &ClusterSpec,
    run_dir: &Path,
    spawner: &Spawner,
    progress: &mut dyn FnMut(&str),
) -> Result<Cluster, ChaosError> {
    check(spec)?;
    let ground = Ground::prepare(run_dir)?;
    let home = kafka::locate(&spec.version)?;
    let java = java::check(spawner, &ground.logs)?;
    if let Some(size) = spec.disk {
        disk::check(spec.nodes, size, java::available_memory())?;
    }
    if spec.own_clocks {
        devices::library()?;
    }
    ground.start(spec, spawner, progress, |plans, means, progress| {
        let site = Site::prepare(spec, plans, &ground, (&home, &java), spawner)?;
        site.launch(spec, means, spawner, progress)
    })
}

/// What cannot work is refused before anything starts.
pub(super) fn check(spec: &ClusterSpec) -> Result<(), ChaosError> {
    settings::check(&spec.properties)?;
    if spec.nodes == 0 || spec.nodes + spec.controllers > MOST_NODES {
        let what = format!(
            "a cluster of {} brokers and {} controllers",
            spec.nodes, spec.controllers
        );
        return Err(ChaosError::Refused {
            what,
            mend: format!("ask for 1 to {MOST_NODES} nodes in all"),
        });
    }
    Ok(())
}

/// Everything decided, nothing running.
struct Site<'a> {
    home: &'a Home,
    java: &'a Java,
    logs: &'a Path,
    data: TemporaryDirectory,
    plans: Vec<NodePlan>,
    /// One for each plan.
    devices: Vec<Devices>,
    house: Vec<Setting>,
    heap: Heap,
    jvm_options: Vec<String>,
}

impl<'a> Site<'a> {
    fn prepare(
        spec: &ClusterSpec,
        plans: Vec<NodePlan>,
        ground: &'a Ground,
        (home, java): (&'a Home, &'a Java),
        spawner: &Spawner,
    ) -> Result<Site<'a>, ChaosError> {
        let mut site = Site {
            home,
            java,
            logs: &ground.logs,
            data: ground.data(spawner)?,
            plans,
            devices: Vec::new(),
            house: settings::house_settings(spec.nodes, kafka::is_line_4(&home.version), &spec.properties),
            heap: Heap::of_broker(spec.nodes, java::available_memory()),
            jvm_options: spec.jvm_options.clone(),
        };
        for node in &site.plans {
            let data = site.data_of(node);
            site.devices
                .push(Devices::of(spec, node, &data, site.logs, spawner)?);
            let file = settings::server_properties(node, &site.plans, &data, &site.house, &spec.properties);
            site.write(&site.properties_of(node), &file)?;
            if node.is_linked() {
                let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
                let hosts = settings::hosts(node, &site.plans, &name);
                site.write(&site.hosts_of(node), &hosts)?;
            }
        }
        site.write(&site.log4j(), java::LOG4J_PROPERTIES)?;
        site.write(&site.log4j2(), java::LOG4J2_PROPERTIES)?;
        Ok(site)
    }

    fn launch(
        mut self,
        spec: &ClusterSpec,
        means: &Means,
        spawner: &Spawner,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Cluster, Failed> {
        let begun_ns = now_ns();
        progress(&format!(
            "formatting storage of {} (Apache Kafka {})",
            nodes_in_words(self.plans.iter()),
            self.home.version
        ));
        self.format(spawner)?;
        let front = means.stand(&self.plans, self.logs, spawner)?;
        let mut cluster = Cluster::empty("kafka", spawner);
        cluster.version = self.home.version.clone();
        cluster.java = self.java.version.clone();
        cluster.front = Mutex::new(front);
        for (plan, devices) in self.plans.iter().zip(std::mem::take(&mut self.devices)) {
            let launch = devices.fit(self.launch_spec(plan));
            cluster
                .nodes
                .push(Node::new(plan.clone(), launch, devices, spawner));
        }
        cluster.differences = self.house;
        cluster.differences.extend(self.heap.differences(spec.nodes));
        let asked = spec.jvm_options.iter().map(|option| java::asked_for(option));
        cluster.differences.extend(asked);
        cluster.differences.extend(java::of_environment());
        cluster.data = Mutex::new(Some(self.data));
        bring_up(cluster, begun_ns, progress)
    }

    /// One short JVM per node, side by side.
    fn format(&self, spawner: &Spawner) -> Result<(), ChaosError> {
        let cluster_id = random_id()?;
        let mut running: Vec<(Child, PathBuf)> = Vec::new();
        for (node, devices) in self.plans.iter().zip(&self.devices) {
            let log = self.logs.join(format!("{}-format.log", node.name()));
            let child = spawner.spawn(&devices.on_disk(self.format_spec(node, &cluster_id, &log)))?;
            running.push((child, log));
        }
        let deadline = Deadline::after(FORMAT_BOUND);
        for (mut child, log) in running {
            let status = child.until(deadline, Some(spawner))?;
            if let Err(how) = ended_well(status, FORMAT_BOUND) {
                let reason = format!("could not format the storage ({how})");
                return Err(failure_of(&child.name, &log, &reason));
            }
        }
        Ok(())
    }

    fn format_spec(&self, node: &NodePlan, cluster_id: &str, log: &Path) -> ChildSpec {
        // A JVM that lives a second: the quick compiler and the simple collector.
        let mut args: Vec<String> = vec![
            "-XX:TieredStopAtLevel=1".into(),
            "-XX:+UseSerialGC".into(),
            "-Xmx128m".into(),
        ];
        args.extend(self.names_of(node));
        args.extend(java::logging_arguments(&self.log4j(), &self.log4j2()));
        args.extend([
            "-cp".into(),
            self.home.class_path(),
            "kafka.tools.StorageTool".into(),
            "format".into(),
        ]);
        args.extend([
            "-t".into(),
            cluster_id.into(),
            "-c".into(),
            self.properties_of(node).display().to_string(),
        ]);
        self.java_spec(format!("{} format", node.name()), args, log)
    }

    fn launch_spec(&self, node: &NodePlan) -> ChildSpec {
        let name = node.name();
        let gc_log = self.logs.join(format!("{name}-gc.log"));
        let heap = if node.role.is_broker() {
            self.heap
        } else {
            Heap::CONTROLLER
        };
        let mut args = java::broker_arguments(heap, &gc_log);
        args.extend(self.jvm_options.iter().cloned());
        args.extend(self.names_of(node));
        args.extend(java::logging_arguments(&self.log4j(), &self.log4j2()));
        args.extend(["-cp".into(), self.home.class_path()]);
        args.extend([
            "kafka.Kafka".into(),
            self.properties_of(node).display().to_string(),
        ]);
        let log = self.logs.join(format!("{name}.log"));
        self.java_spec(name, args, &log)
    }

    fn java_spec(&self, name: String, args: Vec<String>, log: &Path) -> ChildSpec {
        ChildSpec {
            name,
            program: Program::File(self.java.path.clone()),
            args: args.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            cwd: Some(self.data.path().to_owned()),
            stdout: Output::File(log.to_owned()),
            stderr: log.to_owned(),
        }
    }

    fn data_of(&self, node: &NodePlan) -> PathBuf {
        self.data.path().join(node.name())
    }

    /// Where a JVM looks up names, where the names of brokers mean something else to each.
    fn names_of(&self, node: &NodePlan) -> Option<String> {
        let file = self.hosts_of(node);
        node.is_linked()
            .then(|| format!("-Djdk.net.hosts.file={}", file.display()))
    }

    fn hosts_of(&self, node: &NodePlan) -> PathBuf {
        self.logs.join(format!("{}.hosts", node.name()))
    }

    fn properties_of(&self, node: &NodePlan) -> PathBuf {
        self.logs.join(format!("{}.properties", node.name()))
    }

    fn log4j(&self) -> PathBuf {
        self.data.path().join("log4j.properties")
    }

    fn log4j2(&self) -> PathBuf {
        self.data.path().join("log4j2.properties")
    }

    fn write(&self, path: &Path, text: &str) -> Result<(), ChaosError> {
        fs::write(path, text).map_err(ChaosError::io(format!("write {}", path.display())))
    }
}
