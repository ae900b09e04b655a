//! From a spec to brokers that answer: the steps of [`super::Cluster::start`], each bounded, each undone by drops.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use steadfast_verifier::environment::Setting;

use super::java::{self, Heap, Java};
use super::kafka::{self, Home};
use super::node::{Node, failure_of};
use super::settings::{self, NodePlan};
use super::{Cluster, ClusterSpec, Front, LOOK, admin, ports};
use crate::clock::{Deadline, now_ns, sleep};
use crate::error::ChaosError;
use crate::journal::TemporaryDirectory;
use crate::process::{Child, ChildSpec, Output, Program, Spawner, describe_status};
use crate::toxiproxy::{self, Binary, ProxySpec, Toxiproxy};
use crate::wire_proxy::WireProxy;

/// How long all brokers together may take from their start to knowing each other.
const READY_BOUND: Duration = Duration::from_secs(120);
/// How long formatting the storage may take (one short JVM per node).
pub(super) const FORMAT_BOUND: Duration = Duration::from_secs(120);
/// How often a start is tried with other ports when one was taken between choosing and binding it.
pub(super) const PORT_TRIES: u32 = 3;
/// More JVMs than this on one machine prove nothing.
const MOST_NODES: u32 = 9;

pub(super) fn start(
    spec: &ClusterSpec,
    run_dir: &Path,
    spawner: &Spawner,
    progress: &mut dyn FnMut(&str),
) -> Result<Cluster, ChaosError> {
    check(spec)?;
    let run_dir = std::path::absolute(run_dir).map_err(ChaosError::io("find the run folder"))?;
    let logs = run_dir.join("logs");
    fs::create_dir_all(&logs).map_err(ChaosError::io(format!("create {}", logs.display())))?;
    let home = kafka::locate(&spec.version)?;
    let java = java::check(spawner, &logs)?;
    let toxiproxy = match spec.front {
        Front::Toxiproxy => Some(toxiproxy::find_or_build(spawner, progress)?),
        Front::Nothing | Front::WireProxy => None,
    };
    let mut tries = 1;
    loop {
        let site = Site::prepare(spec, &run_dir, &logs, &home, &java, spawner)?;
        let toxiproxy = toxiproxy.as_ref();
        match site.launch(spec, toxiproxy, spawner, progress) {
            Err((_, true)) if tries < PORT_TRIES => {
                progress("a port was taken meanwhile: starting again on others");
                tries += 1;
            }
            Err((error, _)) => return Err(*error),
            Ok(cluster) => return Ok(cluster),
        }
    }
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
    house: Vec<Setting>,
    heap: Heap,
    jvm_options: Vec<String>,
}

impl<'a> Site<'a> {
    fn prepare(
        spec: &ClusterSpec,
        run_dir: &Path,
        logs: &'a Path,
        home: &'a Home,
        java: &'a Java,
        spawner: &Spawner,
    ) -> Result<Site<'a>, ChaosError> {
        let proxied = spec.front != Front::Nothing;
        let needed = settings::ports_needed(spec.nodes, spec.controllers, proxied);
        let plans = settings::plan(
            spec.nodes,
            spec.controllers,
            proxied,
            &ports::free(needed, now_ns())?,
        );
        let heap = Heap::of_broker(spec.nodes, java::available_memory());
        let data = run_dir.join("broker-data");
        let data = spawner.journal().temporary_directory(&data);
        let data = data.map_err(ChaosError::io("make the directory of the brokers' data"))?;
        let house = settings::house_settings(spec.nodes, kafka::is_line_4(&home.version), &spec.properties);
        let site = Site {
            home,
            java,
            logs,
            data,
            plans,
            house,
            heap,
            jvm_options: spec.jvm_options.clone(),
        };
        for node in &site.plans {
            let file = settings::server_properties(
                node,
                &site.plans,
                &site.data_of(node),
                &site.house,
                &spec.properties,
            );
            site.write(&site.properties_of(node), &file)?;
        }
        site.write(&site.log4j(), java::LOG4J_PROPERTIES)?;
        site.write(&site.log4j2(), java::LOG4J2_PROPERTIES)?;
        Ok(site)
    }

    /// On an error the second value says whether a port was taken, which other ports would mend.
    fn launch(
        self,
        spec: &ClusterSpec,
        toxiproxy: Option<&Binary>,
        spawner: &Spawner,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Cluster, (Box<ChaosError>, bool)> {
        let begun = now_ns();
        progress(&format!(
            "formatting storage of {} (Apache Kafka {})",
            nodes_in_words(&self.plans),
            self.home.version
        ));
        self.format(spawner).map_err(|error| (Box::new(error), false))?;
        let proxy = toxiproxy
            .map(|binary| front_proxies(&self.plans, binary, self.logs, spawner))
            .transpose();
        // Go's words, and ours.
        let taken = |error: ChaosError| {
            let text = error.to_string().to_lowercase();
            (Box::new(error), text.contains("address already in use"))
        };
        let proxy = proxy.map_err(taken)?;
        let wire = wire_proxy(spec, &self.plans).map_err(taken)?;
        let nodes: Vec<Node> = self
            .plans
            .iter()
            .map(|plan| Node::new(plan.clone(), self.launch_spec(plan), spawner))
            .collect();
        progress(&format!("starting {}", nodes_in_words(&self.plans)));
        let mut differences = self.house;
        differences.extend(self.heap.differences(spec.nodes));
        differences.extend(spec.jvm_options.iter().map(|option| java::asked_for(option)));
        let cluster = Cluster {
            kind: "kafka",
            version: self.home.version.clone(),
            java: self.java.version.clone(),
            nodes,
            host: None,
            external_servers: Vec::new(),
            differences,
            spawner: spawner.clone(),
            proxy: Mutex::new(proxy),
            wire: Mutex::new(wire),
            foreign: Mutex::default(),
            stopped: AtomicBool::new(false),
            data: Mutex::new(Some(self.data)),
        };
        let started = cluster.nodes.iter().try_for_each(Node::start);
        if let Err(error) = started.and_then(|()| wait_until_ready(&cluster)) {
            let port_taken = cluster.nodes.iter().any(Node::port_was_taken);
            return Err((Box::new(error), port_taken));
        }
        let took = Duration::from_nanos(now_ns() - begun).as_secs_f64();
        progress(&format!(
            "{} ready after {took:.1} s",
            nodes_in_words(&self.plans)
        ));
        Ok(cluster)
    }

    /// One short JVM per node, side by side.
    fn format(&self, spawner: &Spawner) -> Result<(), ChaosError> {
        let cluster_id = random_id()?;
        let mut running: Vec<(Child, PathBuf)> = Vec::new();
        for node in &self.plans {
            let log = self.logs.join(format!("{}-format.log", node.name()));
            let child = spawner.spawn(&self.format_spec(node, &cluster_id, &log))?;
            running.push((child, log));
        }
        let deadline = Deadline::after(FORMAT_BOUND);
        for (mut child, log) in running {
            let status = loop {
                spawner.check_stop()?;
                let status = child
                    .wait(LOOK)
                    .map_err(ChaosError::io("wait for the storage tool"))?;
                if status.is_some() || deadline.passed() {
                    break status;
                }
            };
            if !status.is_some_and(|status| status.success()) {
                let how = status.map_or(format!("took over {FORMAT_BOUND:?}"), describe_status);
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

/// Before the brokers, so that the ports they advertise are held from the start.
pub(super) fn front_proxies(
    plans: &[NodePlan],
    binary: &Binary,
    logs: &Path,
    spawner: &Spawner,
) -> Result<Arc<Toxiproxy>, ChaosError> {
    Toxiproxy::start(binary, &proxies(plans), logs, spawner).map(Arc::new)
}

/// The same of our own; none where the spec wants none.
pub(super) fn wire_proxy(
    spec: &ClusterSpec,
    plans: &[NodePlan],
) -> Result<Option<Arc<WireProxy>>, ChaosError> {
    match spec.front {
        Front::WireProxy => WireProxy::start(&proxies(plans)).map(|proxy| Some(Arc::new(proxy))),
        Front::Nothing | Front::Toxiproxy => Ok(None),
    }
}

fn proxies(plans: &[NodePlan]) -> Vec<ProxySpec> {
    let brokers = plans.iter().filter(|node| node.role.is_broker());
    let proxy = |node: &NodePlan| ProxySpec {
        broker: node.id,
        listen: format!("127.0.0.1:{}", node.advertised_port),
        upstream: format!("127.0.0.1:{}", node.client_port),
    };
    brokers.map(proxy).collect()
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

pub(super) fn nodes_in_words(plans: &[NodePlan]) -> String {
    let brokers = plans.iter().filter(|node| node.role.is_broker()).count();
    let plural = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    match plans.len() - brokers {
        0 => plural(brokers, "broker"),
        controllers => format!(
            "{} and {}",
            plural(brokers, "broker"),
            plural(controllers, "controller")
        ),
    }
}
