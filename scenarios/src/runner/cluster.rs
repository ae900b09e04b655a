//! Which cluster a run uses, and why: `--broker`, else the file's kind, else real Kafka if it is here, else our own broker.
//! The unnamed choice never downloads; a named `kafka` fetches what is missing by itself.

use std::path::Path;

use steadfast_chaos::ChaosError;
use steadfast_chaos::cluster::{Cluster, Front, docker, java, kafka};
use steadfast_chaos::fault::Reach;
use steadfast_chaos::process::Spawner;
use steadfast_verifier::environment::BrokerEnvironment;

use super::RunError;
use crate::cli::{BrokerKind, Overrides};
use crate::scenario::Scenario;
use crate::scenario::fault::needs_kafka;

/// The cluster kind of one run and the reason for it.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    kind: BrokerKind,
    reason: String,
    bootstrap_servers: Vec<String>,
    allow_remote: bool,
}

/// Decides for one scenario.
pub(crate) fn choose(overrides: &Overrides, scenario: &Scenario) -> Result<Choice, RunError> {
    let (kind, reason) = match (overrides.broker, scenario.cluster.kind) {
        (Some(kind), _) => (kind, format!("--broker {}", word(kind))),
        (None, Some("external")) => (BrokerKind::External, "the scenario says so".to_owned()),
        (None, Some("docker")) => (BrokerKind::Docker, "the scenario says so".to_owned()),
        (None, Some("simulated")) => (BrokerKind::Simulated, "the scenario says so".to_owned()),
        (None, Some(_)) => (BrokerKind::Kafka, "the scenario says so".to_owned()),
        (None, None) => unnamed(&scenario.cluster.version),
    };
    let servers = &overrides.bootstrap_server;
    match kind {
        BrokerKind::External if servers.is_empty() => Err(RunError::Usage(
            "--broker external needs --bootstrap-server HOST:PORT".into(),
        )),
        BrokerKind::Kafka | BrokerKind::Docker | BrokerKind::Simulated if !servers.is_empty() => Err(
            RunError::Usage("--bootstrap-server goes with --broker external".into()),
        ),
        BrokerKind::External if !overrides.allow_remote && servers.iter().any(|server| !loopback(server)) => {
            Err(RunError::Usage(format!(
                "{} is not on loopback; a load test of somebody else's cluster needs --allow-remote",
                servers
                    .iter()
                    .find(|server| !loopback(server))
                    .map_or("", String::as_str)
            )))
        }
        BrokerKind::External
            if scenario
                .faults
                .iter()
                .any(|fault| fault.action.reach() != Reach::Frames) =>
        {
            Err(RunError::Usage(format!(
                "{} orders faults; an external cluster is not ours to hurt, but for single frames on their way (hold, \
                 delay, drop, answer, cut): use --broker kafka, docker or simulated",
                scenario.name
            )))
        }
        BrokerKind::Simulated if needs_kafka(&scenario.faults).is_some() => {
            let fault = needs_kafka(&scenario.faults).map_or("", |fault| fault.name.as_str());
            Err(RunError::Usage(format!(
                "{}: the simulated broker cannot do fault {fault}: it has neither reassignments nor a quorum of \
                 controllers, and takes no orders for quotas; use --broker kafka",
                scenario.name
            )))
        }
        _ => Ok(Choice {
            kind,
            reason,
            bootstrap_servers: servers.clone(),
            allow_remote: overrides.allow_remote,
        }),
    }
}

/// What is used where nobody names a kind: a real Kafka where it could start at once, else our own broker.
pub(crate) fn unnamed(version: &str) -> (BrokerKind, String) {
    let missing = if kafka::available(version).is_none() {
        "no kind was named and no Kafka jars are here"
    } else if java::find().is_err() {
        "no kind was named and no Java is here"
    } else {
        return (BrokerKind::Kafka, "its jars are here".to_owned());
    };
    (BrokerKind::Simulated, missing.to_owned())
}

impl Choice {
    /// `--oracle` asks Kafka's own tools on its own files: only real brokers that we run have them here.
    pub(crate) fn can_be_witnessed(&self, asked: bool) -> Result<(), RunError> {
        if asked && self.kind != BrokerKind::Kafka {
            return Err(RunError::Usage(format!(
                "--oracle reads the segment files of Kafka, and --broker {} has none here\n  mend: use --broker kafka",
                word(self.kind)
            )));
        }
        Ok(())
    }

    /// Starts it, with the scenario's topics.
    pub(crate) fn start(
        &self,
        scenario: &Scenario,
        folder: &Path,
        spawner: &Spawner,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Cluster, ChaosError> {
        let spec = scenario.cluster_spec();
        match self.kind {
            BrokerKind::Kafka => {
                // Before a download that would be of no use without it.
                java::find()?;
                if kafka::available(&spec.version).is_none() {
                    kafka::fetch(&spec.version, spawner, progress)?;
                }
                Cluster::start(&spec, folder, spawner, progress)
            }
            BrokerKind::Docker => Cluster::contain(&spec, folder, spawner, progress),
            BrokerKind::Simulated => Cluster::simulate(&spec, folder, spawner, progress),
            BrokerKind::External => {
                let wish = (spec.topics.as_slice(), spec.front);
                Cluster::external(&self.bootstrap_servers, self.allow_remote, wish, spawner)
            }
        }
    }

    /// `kafka 4.1.0, 3 nodes (its jars are here)`.
    pub(crate) fn describe(&self, scenario: &Scenario) -> String {
        let cluster = match self.kind {
            BrokerKind::Simulated => format!(
                "simulated {}, {} node{}",
                env!("CARGO_PKG_VERSION"),
                scenario.cluster.nodes,
                if scenario.cluster.nodes == 1 { "" } else { "s" }
            ),
            BrokerKind::Kafka => format!(
                "kafka{}{}, {} node{}",
                if scenario.cluster.version.is_empty() {
                    ""
                } else {
                    " "
                },
                scenario.cluster.version,
                scenario.cluster.nodes,
                if scenario.cluster.nodes == 1 { "" } else { "s" }
            ),
            BrokerKind::Docker => format!(
                "docker {}, {} node{}",
                docker::reference(&scenario.cluster.image, "", &scenario.cluster.version),
                scenario.cluster.nodes,
                if scenario.cluster.nodes == 1 { "" } else { "s" }
            ),
            BrokerKind::External => self.bootstrap_servers.join(","),
        };
        format!("{cluster} ({})", self.reason)
    }

    /// For environment.json.
    pub(crate) fn environment(&self, scenario: &Scenario, cluster: &Cluster) -> BrokerEnvironment {
        BrokerEnvironment {
            kind: cluster.kind().to_owned(),
            version: cluster.version().to_owned(),
            nodes: cluster.admin_servers().len() as u32,
            reason: self.reason.clone(),
            java: cluster.java_version().to_owned(),
            proxied: scenario.cluster.front != Front::Nothing,
        }
    }
}

/// The word of a kind.
pub(crate) fn word(kind: BrokerKind) -> &'static str {
    match kind {
        BrokerKind::Kafka => "kafka",
        BrokerKind::Docker => "docker",
        BrokerKind::Simulated => "simulated",
        BrokerKind::External => "external",
    }
}

/// Whether an address is one of this machine, by its words alone.
pub(crate) fn loopback(server: &str) -> bool {
    let host = server
        .rsplit_once(':')
        .map_or(server, |(host, _)| host)
        .trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
