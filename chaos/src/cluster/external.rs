//! `--broker external`: brokers that somebody else runs. Nothing is started, killed or configured here.

use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::time::Duration;

use super::front::{Front, Standing};
use super::{Cluster, admin, ports};
use crate::clock::{Deadline, now_ns, sleep};
use crate::error::ChaosError;
use crate::process::Spawner;
use crate::toxiproxy::ProxySpec;
use crate::wire_proxy::WireProxy;

/// How long the bootstrap servers may take to answer. With the last try of 3 s it stays under the 15 s that users wait.
const REACH_BOUND: Duration = Duration::from_secs(11);
/// Pause between two tries.
const AGAIN: Duration = Duration::from_millis(500);
/// A machine has fewer brokers than this to begin with.
const MOST_SERVERS: usize = 100;

pub(super) fn take(servers: &[String], allow_remote: bool, spawner: &Spawner) -> Result<Cluster, ChaosError> {
    if servers.is_empty() || servers.len() > MOST_SERVERS {
        return Err(ChaosError::Refused {
            what: format!("an external cluster with {} bootstrap servers", servers.len()),
            mend: "give --bootstrap-server HOST:PORT".into(),
        });
    }
    for server in servers {
        check_address(server, allow_remote)?;
    }
    reach(servers, spawner)?;
    Ok(of(servers, spawner))
}

/// The cluster of these servers, whether they answer or not.
pub(crate) fn of(servers: &[String], spawner: &Spawner) -> Cluster {
    let mut cluster = Cluster::empty("external", spawner);
    cluster.version = "unknown".into();
    cluster.external_servers = servers.to_vec();
    cluster
}

/// Our own proxy in front of each of its brokers, where the spec wants it.
pub(super) fn put_in_front(cluster: &Cluster, front: Front) -> Result<(), ChaosError> {
    match front {
        Front::Nothing => return Ok(()),
        Front::WireProxy => {}
        Front::Toxiproxy => {
            return Err(ChaosError::Refused {
                what: "faults of the network on an external cluster, whose brokers advertise themselves".into(),
                mend: "use faults of frames (hold, delay, drop, answer, cut), or a cluster that steadfast starts"
                    .into(),
            });
        }
    }
    let brokers = cluster
        .view(None)
        .map_err(|reason| ChaosError::admin("look for the brokers", reason))?
        .brokers;
    for broker in &brokers {
        check_address(&broker.addr, false).map_err(|_| ChaosError::Refused {
            what: format!(
                "broker {} advertises {}, and faults go to loopback only",
                broker.id, broker.addr
            ),
            mend: "leave the faults out".into(),
        })?;
    }
    let ports = ports::free(brokers.len(), now_ns())?;
    let proxies = brokers.iter().zip(ports).map(|(broker, port)| {
        let id = u32::try_from(broker.id).map_err(|_| {
            ChaosError::admin("look for the brokers", format!("one has the id {}", broker.id))
        })?;
        let listen = format!("127.0.0.1:{port}");
        Ok(ProxySpec::of_clients(id, listen, broker.addr.clone()))
    });
    let proxies: Vec<ProxySpec> = proxies.collect::<Result<_, ChaosError>>()?;
    let wire = WireProxy::in_front_of(&proxies)?;
    *cluster.front() = Standing::WireProxy(Arc::new(wire));
    Ok(())
}

fn check_address(server: &str, allow_remote: bool) -> Result<(), ChaosError> {
    let unreachable = |reason: String| ChaosError::Unreachable {
        server: server.to_owned(),
        reason,
        waited: Duration::ZERO,
        mend: "look at --bootstrap-server: HOST:PORT of a broker".into(),
    };
    let mut addresses = server
        .to_socket_addrs()
        .map_err(|error| unreachable(error.to_string()))?
        .peekable();
    if addresses.peek().is_none() {
        return Err(unreachable("the name has no address".into()));
    }
    if !allow_remote && !addresses.all(|address| address.ip().is_loopback()) {
        return Err(ChaosError::Refused {
            what: format!("{server} is on another machine, and load and faults there need your word for it"),
            mend: "add --allow-remote if that cluster may be used for this".into(),
        });
    }
    Ok(())
}

/// One server after the other, round and round, until one answers as a broker that knows a broker.
fn reach(servers: &[String], spawner: &Spawner) -> Result<(), ChaosError> {
    let deadline = Deadline::after(REACH_BOUND);
    for server in servers.iter().cycle() {
        let reason = match admin::view(std::slice::from_ref(server), None) {
            Ok(view) if !view.brokers.is_empty() => return Ok(()),
            Ok(_) => "it knows no broker".to_owned(),
            Err(reason) => reason,
        };
        spawner.check_stop()?;
        if deadline.passed() {
            let mend = "start the cluster, or look at --bootstrap-server and at its listeners (only PLAINTEXT is spoken)";
            let (server, waited) = (servers.join(","), REACH_BOUND);
            return Err(ChaosError::Unreachable {
                server,
                reason,
                waited,
                mend: mend.into(),
            });
        }
        sleep(AGAIN);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_machine_needs_a_word() {
        assert!(check_address("127.0.0.1:9092", false).is_ok());
        assert!(check_address("192.0.2.1:9092", true).is_ok());
        assert!(
            check_address("192.0.2.1:9092", false)
                .unwrap_err()
                .to_string()
                .contains("--allow-remote")
        );
        assert!(
            check_address("nonsense", false)
                .unwrap_err()
                .to_string()
                .contains("HOST:PORT")
        );
    }
}
