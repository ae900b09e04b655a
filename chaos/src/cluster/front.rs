//! What stands between clients and every broker: nothing, Toxiproxy, or our own proxy of frames. One of them and no two, so
//! that whoever asks for the one is told when the other is there.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use steadfast_verifier::timeline::Role;

use super::settings::{self, NodePlan};
use crate::error::ChaosError;
use crate::process::Spawner;
use crate::toxiproxy::{self, Binary, Link, ProxySpec, Toxiproxy};
use crate::wire_proxy::WireProxy;

/// What is wished for. Each broker advertises it, so that no client learns another way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Front {
    /// Nothing.
    #[default]
    Nothing,
    /// Toxiproxy, for faults of the network.
    Toxiproxy,
    /// Our own proxy, for faults of single requests and answers.
    WireProxy,
}

/// What it takes, found before anything starts.
pub(super) enum Means {
    Nothing,
    Toxiproxy(Binary),
    WireProxy,
}

/// What stands.
#[derive(Debug, Clone, Default)]
pub(super) enum Standing {
    #[default]
    Nothing,
    Toxiproxy(Arc<Toxiproxy>),
    WireProxy(Arc<WireProxy>),
}

impl Front {
    pub(super) fn means(
        self,
        spawner: &Spawner,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Means, ChaosError> {
        Ok(match self {
            Front::Nothing => Means::Nothing,
            Front::Toxiproxy => Means::Toxiproxy(toxiproxy::find_or_build(spawner, progress)?),
            Front::WireProxy => Means::WireProxy,
        })
    }
}

impl Means {
    /// Before the brokers, so that the ports they advertise are held from the start.
    pub(super) fn stand(
        &self,
        plans: &[NodePlan],
        logs: &Path,
        spawner: &Spawner,
    ) -> Result<Standing, ChaosError> {
        let brokers = plans.iter().filter(|node| node.role.is_broker());
        let proxy = |node: &NodePlan| {
            let listen = format!("127.0.0.1:{}", node.advertised_port);
            ProxySpec::of_clients(node.id, listen, format!("127.0.0.1:{}", node.client_port))
        };
        let mut proxies: Vec<ProxySpec> = brokers.map(proxy).collect();
        Ok(match self {
            Means::Nothing => Standing::Nothing,
            Means::Toxiproxy(binary) => {
                proxies.extend(between(plans));
                Standing::Toxiproxy(Arc::new(Toxiproxy::start(binary, &proxies, logs, spawner)?))
            }
            Means::WireProxy => Standing::WireProxy(Arc::new(WireProxy::start(&proxies)?)),
        })
    }
}

/// Two for each pair of brokers and direction, where the links between brokers are to be hurt.
fn between(plans: &[NodePlan]) -> Vec<ProxySpec> {
    let pairs = plans
        .iter()
        .flat_map(|from| plans.iter().map(move |to| (from, to)))
        .filter(|(from, to)| from.id != to.id && from.is_linked() && to.is_linked());
    let proxies = |(from, to): (&NodePlan, &NodePlan)| {
        let address = settings::between(from, to);
        let link = Link::OfBroker {
            from: from.id,
            to: to.id,
        };
        [
            ("REPLICATION", to.replication_port),
            ("CONTROLLER", to.controller_port),
        ]
        .map(|(listener, port)| ProxySpec {
            link,
            listener,
            listen: format!("{address}:{port}"),
            upstream: format!("127.0.0.1:{port}"),
        })
    };
    pairs.flat_map(proxies).collect()
}

impl Standing {
    /// The process, where there is one, for samples: our own proxy is a thread of the runner.
    pub(super) fn process(&self) -> Option<(Role, String, u32)> {
        match self {
            Standing::Toxiproxy(proxy) => Some(proxy.process()),
            Standing::Nothing | Standing::WireProxy(_) => None,
        }
    }

    /// An error if it died that nobody killed. Never waits.
    pub(super) fn check(&self) -> Result<(), ChaosError> {
        match self {
            Standing::Nothing => Ok(()),
            Standing::Toxiproxy(proxy) => proxy.check(),
            Standing::WireProxy(proxy) => proxy.check(),
        }
    }

    /// Connections of a process that go round it.
    pub(super) fn bypasses(&self, pid: u32) -> Result<Vec<String>, ChaosError> {
        match self {
            Standing::Nothing => Ok(Vec::new()),
            Standing::Toxiproxy(proxy) => proxy.bypasses(pid),
            Standing::WireProxy(proxy) => proxy.bypasses(pid),
        }
    }

    pub(super) fn toxiproxy(&self) -> Result<&Toxiproxy, ChaosError> {
        match self {
            Standing::Toxiproxy(proxy) => Ok(proxy),
            other => Err(other.refusal("a fault of the network", "with Toxiproxy")),
        }
    }

    pub(super) fn wire_proxy(&self) -> Result<&WireProxy, ChaosError> {
        match self {
            Standing::WireProxy(proxy) => Ok(proxy),
            other => Err(other.refusal("a fault of single frames", "with the wire proxy")),
        }
    }

    fn refusal(&self, fault: &str, needed: &str) -> ChaosError {
        ChaosError::Refused {
            what: format!("{fault}, but {self} stands in front of the brokers"),
            mend: format!("start the cluster {needed}"),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Standing::Nothing => "nothing",
            Standing::Toxiproxy(_) => "Toxiproxy",
            Standing::WireProxy(_) => "the wire proxy",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_for_what_does_not_stand_there_is_told_what_does() {
        let why = Standing::Nothing.toxiproxy().err().map(|error| error.to_string());
        assert!(why.is_some_and(|why| why.contains("nothing stands") && why.contains("with Toxiproxy")));
        let wire = Standing::WireProxy(Arc::new(WireProxy::start(&[]).expect("no door, no port")));
        assert!(wire.wire_proxy().is_ok());
        let why = wire.toxiproxy().err().map(|error| error.to_string());
        assert!(why.is_some_and(|why| why.contains("the wire proxy stands")));
    }
}
