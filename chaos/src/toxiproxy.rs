//! The network between clients and brokers, and between brokers, and what may go wrong there: one Toxiproxy, one proxy in
//! front of every broker, and where the links between brokers are to be hurt two more for each pair of them and direction.
//!
//! ```text
//! client ──► 127.0.0.1:listen  [ toxics: upstream ►, ◄ downstream ]  127.0.0.1:upstream ──► broker's CLIENT listener
//!            what the broker advertises, so no client learns another way; who finds one is seen by [`bypasses`]
//! broker a ─► 127.1.a.b:port   [ the same ]  127.0.0.1:port ──► REPLICATION and CONTROLLER listener of broker b
//!            what the name that b advertises means to a: [`crate::cluster`] gives each broker's JVM a table of its own
//! ```
//!
//! [`Toxiproxy::hurt`] does one thing to a link until [`Toxiproxy::mend`]:
//! **Silence** is the `timeout` toxic of 0 both ways: what is sent is swallowed, connections stay
//! open, and new ones open too (a TCP connect to a proxy always succeeds) but stay unanswered. Requests already at the broker
//! are carried out and their answers swallowed: the lost acknowledgement that idempotence is for. Mending removes
//! the toxics, which cuts the connections that they held; so nothing swallowed ever arrives late. A *close* passes through
//! the silence. The other toxics: [`crate::toxic`]. **Down** closes the listener and its connections: refused.
//!
//! Every change is read back; a change that does not read back is an error and never counts as a fault.

mod binary; // from PATH, from the cache, or built into it
mod control; // the thread that talks to it, and the read-back
mod http; // the thin client of our own
mod metrics; // its counters

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use steadfast_verifier::timeline::Role;

use self::control::Control;
use crate::clock::{Deadline, now_ns, sleep};
use crate::cluster::free_ports;
use crate::error::ChaosError;
use crate::process::{Child, ChildSpec, Output, Program, Spawner, describe_status};
use crate::sockets::{self, port_of};
use crate::toxic::{Toxic, ToxicKind};

pub use self::binary::{Binary, PROGRAM, VERSION, available, find_or_build};

/// How long the server may take to answer after its start.
const READY_BOUND: Duration = Duration::from_secs(10);
/// How often another port is tried for it when somebody took the one chosen.
const TRIES: u32 = 3;
/// How long connections may take to go after their toxics were removed, and to be counted.
const CUT_BOUND: Duration = Duration::from_secs(2);
/// How often a wait looks again.
const LOOK: Duration = Duration::from_millis(20);
/// How long the server gets for a clean stop.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// A proxy to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxySpec {
    /// Whose connections come through it.
    pub link: Link,
    /// Kafka's name of the listener behind it.
    pub listener: &'static str,
    /// Where it is connected to: `address:port`, which the broker advertises.
    pub listen: String,
    /// The broker's own listener: `127.0.0.1:port`.
    pub upstream: String,
}

/// Connections of one kind: who opens them, and to which broker. Brokers are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Link {
    /// Of clients.
    OfClients {
        /// To this broker.
        to: u32,
    },
    /// Of another broker, for what it fetches, forwards and asks the controller.
    OfBroker {
        /// That other one.
        from: u32,
        /// To this broker.
        to: u32,
    },
}

impl Link {
    /// The broker that it leads to.
    pub fn to(self) -> u32 {
        match self {
            Link::OfClients { to } | Link::OfBroker { to, .. } => to,
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Link::OfClients { to } => write!(out, "the link to broker-{to}"),
            Link::OfBroker { from, to } => write!(out, "the link from broker-{from} to broker-{to}"),
        }
    }
}

/// A running Toxiproxy with its proxies. Dropping it ends the process, and with it every connection through it.
#[derive(Debug)]
pub struct Toxiproxy {
    control: Control,
    proxies: Vec<ProxySpec>,
    version: String,
    /// Links hurt now.
    hurt: Mutex<BTreeMap<Link, Before>>,
    process: Mutex<Child>,
}

/// What may be done to a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkFault {
    /// The proxy is closed: connections end, new ones are refused.
    Down,
    /// Something in the way of the bytes.
    Toxic(Toxic),
}

/// How a link was when the fault began.
#[derive(Debug, Clone)]
struct Before {
    fault: LinkFault,
    clients: BTreeSet<(Ipv4Addr, u16)>,
    swallowed: Vec<u64>,
}

/// What a fault of a link did, seen from outside it: the evidence that it bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bite {
    /// Client connections through the proxy when the fault began.
    pub connections_before: usize,
    /// Those of them that were gone at its end.
    pub connections_ended: usize,
    /// Connections open at its end and gone right after it.
    pub connections_cut: usize,
    /// Bytes that clients sent and no broker got. Counted by Toxiproxy as what went in and not out.
    pub swallowed_to_broker: u64,
    /// Bytes that the broker sent and no client got.
    pub swallowed_to_client: u64,
}

impl Toxiproxy {
    /// Starts the server (log in `logs/toxiproxy.log`) and creates the proxies. The brokers need not run yet. On any error
    /// nothing is left running.
    pub fn start(
        binary: &Binary,
        proxies: &[ProxySpec],
        logs: &Path,
        spawner: &Spawner,
    ) -> Result<Toxiproxy, ChaosError> {
        let (server, process) = serve(binary, logs, spawner)?;
        let control = Control::start(server)?;
        let specs = proxies.to_vec();
        control.ask("create the proxies", move |talk| talk.create(&specs))?;
        Ok(Toxiproxy {
            control,
            proxies: proxies.to_vec(),
            version: binary.version.clone(),
            hurt: Mutex::default(),
            process: Mutex::new(process),
        })
    }

    /// Version of its Go module.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Role, name and pid, for samples.
    pub fn process(&self) -> (Role, String, u32) {
        let process = locked(&self.process);
        (Role::Proxy, process.name.clone(), process.pid)
    }

    /// An error if the server died that nobody killed. Never waits.
    pub fn check(&self) -> Result<(), ChaosError> {
        match locked(&self.process).try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(died(&describe_status(status))),
            Err(error) => Err(died(&error.to_string())),
        }
    }

    /// Hurts a link, one fault at a time. Returns when it reads back so.
    pub fn hurt(&self, link: Link, fault: LinkFault) -> Result<(), ChaosError> {
        let specs = self.specs(link)?;
        let mut hurt = locked(&self.hurt);
        if hurt.contains_key(&link) {
            return Err(ChaosError::Refused {
                what: format!("{link} is hurt already"),
                mend: "let one fault of a link end before the next begins".into(),
            });
        }
        let clients = clients_of(&specs)?;
        let swallowed = self.swallowed(&specs)?;
        for spec in &specs {
            // Half a fault is none. That undoing it fails too is no news.
            self.change(spec, fault, true).inspect_err(|_| {
                for spec in &specs {
                    let _second = self.change(spec, fault, false);
                }
            })?;
        }
        let before = Before {
            fault,
            clients,
            swallowed,
        };
        hurt.insert(link, before);
        Ok(())
    }

    /// True while a link is hurt.
    pub fn is_hurt(&self, link: Link) -> bool {
        locked(&self.hurt).contains_key(&link)
    }

    /// Ends the fault of a link, waits until the connections that it held are gone, and tells what it did; none when there
    /// was none.
    pub fn mend(&self, link: Link) -> Result<Option<Bite>, ChaosError> {
        let specs = self.specs(link)?;
        let mut hurt = locked(&self.hurt);
        let Some(before) = hurt.get(&link).cloned() else {
            return Ok(None);
        };
        let held = clients_of(&specs)?;
        for spec in &specs {
            self.change(spec, before.fault, false)?;
        }
        hurt.remove(&link);
        drop(hurt);
        let cuts = matches!(
            before.fault,
            LinkFault::Toxic(Toxic {
                kind: ToxicKind::Timeout { .. },
                ..
            })
        );
        let deadline = Deadline::after(CUT_BOUND);
        let gone = loop {
            let still = clients_of(&specs)?;
            let gone = held.difference(&still).count();
            if gone == held.len() || !cuts || deadline.passed() {
                break gone;
            }
            sleep(LOOK);
        };
        let swallowed = self.swallowed_since(&specs, &before)?;
        let swallowed = |way: usize| swallowed.get(way).copied().unwrap_or_default();
        Ok(Some(Bite {
            connections_before: before.clients.len(),
            connections_ended: before.clients.difference(&held).count(),
            connections_cut: gone,
            swallowed_to_broker: swallowed(0),
            swallowed_to_client: swallowed(1),
        }))
    }

    /// Where a probe of a link connects: as whoever opens its connections does.
    pub fn entrance(&self, link: Link) -> Result<String, ChaosError> {
        let first = self.specs(link)?.into_iter().next();
        Ok(first.map(|spec| spec.listen.clone()).unwrap_or_default())
    }

    /// Connections of process `pid` round the proxies, straight to a broker behind one; see [`bypasses`].
    pub fn bypasses(&self, pid: u32) -> Result<Vec<String>, ChaosError> {
        let of_clients = |spec: &&ProxySpec| matches!(spec.link, Link::OfClients { .. });
        let upstreams = self.proxies.iter().filter(of_clients);
        let upstreams: Vec<u16> = upstreams.map(|spec| port_of(&spec.upstream)).collect();
        bypasses(pid, &upstreams)
    }

    /// Toxiproxy counts a connection when both its halves have ended, a moment after it is gone: read until it stands still.
    fn swallowed_since(&self, specs: &[&ProxySpec], before: &Before) -> Result<Vec<u64>, ChaosError> {
        let deadline = Deadline::after(CUT_BOUND);
        let mut last = None;
        loop {
            let now = self.swallowed(specs)?;
            if last.as_ref() == Some(&now) || deadline.passed() {
                let since = now.iter().zip(&before.swallowed);
                return Ok(since.map(|(now, before)| now.saturating_sub(*before)).collect());
            }
            last = Some(now);
            sleep(5 * LOOK);
        }
    }

    /// Of all proxies of a link together, each way.
    fn swallowed(&self, specs: &[&ProxySpec]) -> Result<Vec<u64>, ChaosError> {
        let mut sum = vec![0; 2];
        for spec in specs {
            let name = spec.name();
            let one = self
                .control
                .ask("read its counters", move |talk| talk.swallowed(&name))?;
            for (sum, one) in sum.iter_mut().zip(one) {
                *sum += one;
            }
        }
        Ok(sum)
    }

    fn change(&self, spec: &ProxySpec, fault: LinkFault, on: bool) -> Result<(), ChaosError> {
        let name = spec.name();
        let what = if on { "hurt a link" } else { "mend a link" };
        self.control.ask(what, move |talk| match (fault, on) {
            (LinkFault::Down, _) => talk.enable(&name, !on),
            (LinkFault::Toxic(toxic), true) => talk.poison(&name, toxic),
            (LinkFault::Toxic(toxic), false) => talk.cure(&name, toxic),
        })
    }

    fn specs(&self, link: Link) -> Result<Vec<&ProxySpec>, ChaosError> {
        let specs: Vec<&ProxySpec> = self.proxies.iter().filter(|spec| spec.link == link).collect();
        if specs.is_empty() {
            return Err(ChaosError::Refused {
                what: format!("no proxy stands in {link}"),
                mend: "name brokers of this cluster".into(),
            });
        }
        Ok(specs)
    }
}

impl Drop for Toxiproxy {
    fn drop(&mut self) {
        // What survives stands in the journal.
        let _ended = locked(&self.process).terminate(STOP_GRACE);
    }
}

impl ProxySpec {
    /// In front of a broker, for clients.
    pub fn of_clients(to: u32, listen: String, upstream: String) -> ProxySpec {
        ProxySpec {
            link: Link::OfClients { to },
            listener: "CLIENT",
            listen,
            upstream,
        }
    }

    pub(crate) fn name(&self) -> String {
        match self.link {
            Link::OfClients { to } => format!("broker-{to}"),
            Link::OfBroker { from, to } => {
                format!("broker-{from}-to-{to}-{}", self.listener.to_lowercase())
            }
        }
    }
}

impl LinkFault {
    /// The same for connections that the other end has opened.
    pub fn reversed(self) -> LinkFault {
        match self {
            LinkFault::Down => LinkFault::Down,
            LinkFault::Toxic(Toxic { kind, stream }) => LinkFault::Toxic(Toxic {
                kind,
                stream: stream.reversed(),
            }),
        }
    }
}

impl fmt::Display for LinkFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkFault::Down => write!(out, "closed"),
            LinkFault::Toxic(toxic) => toxic.fmt(out),
        }
    }
}

impl Bite {
    /// True when the fault met somebody: a connection ended, or something sent was swallowed.
    pub fn bit(&self) -> bool {
        self.connections_ended > 0
            || self.connections_cut > 0
            || self.swallowed_to_broker > 0
            || self.swallowed_to_client > 0
    }
}

impl fmt::Display for Bite {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bite {
            connections_before,
            connections_ended,
            connections_cut,
            swallowed_to_broker,
            swallowed_to_client,
        } = self;
        write!(
            out,
            "{connections_before} connections before, {connections_ended} ended during it, {connections_cut} cut at its end; \
             swallowed {swallowed_to_broker} bytes to the broker, {swallowed_to_client} to clients"
        )
    }
}

/// A server that answers, on a free port of its own.
fn serve(binary: &Binary, logs: &Path, spawner: &Spawner) -> Result<(SocketAddr, Child), ChaosError> {
    let log = logs.join("toxiproxy.log");
    let mut last = String::new();
    for _ in 0..TRIES {
        let port = free_ports(1, now_ns())?.first().copied().unwrap_or_default();
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut process = spawner.spawn(&ChildSpec {
            name: "toxiproxy".into(),
            program: Program::File(binary.path.clone()),
            args: ["-host", "127.0.0.1", "-port", &port.to_string(), "-proxy-metrics"]
                .map(Into::into)
                .to_vec(),
            // Its default writes several lines a connection.
            env: vec![("LOG_LEVEL".into(), "info".into())],
            cwd: None,
            stdout: Output::File(log.clone()),
            stderr: log.clone(),
        })?;
        let deadline = Deadline::after(READY_BOUND);
        loop {
            spawner.check_stop()?;
            if let Some(status) = process.try_wait().map_err(ChaosError::io("wait for Toxiproxy"))? {
                last = format!("ended ({})", describe_status(status));
                break;
            }
            // Answered, and ours still runs: so it is ours that has the port.
            let answered =
                http::request(server, "GET", "/version", None).is_ok_and(|(status, _)| status == 200);
            if answered && process.try_wait().is_ok_and(|status| status.is_none()) {
                return Ok((server, process));
            }
            if deadline.passed() {
                last = format!("did not answer within {READY_BOUND:?}");
                break;
            }
            sleep(LOOK);
        }
    }
    Err(ChaosError::missing(
        format!("Toxiproxy ({}) {last}", binary.path.display()),
        format!(
            "see its own words in {}; it takes version 2.5 or newer",
            log.display()
        ),
    ))
}

/// Connections of process `pid` straight to one of `ports`, as `local port -> remote port`. The ports of brokers behind a
/// proxy are to be met by the proxy alone: a connection of a client to one is a bypass, and voids the run. A process that
/// has ended has none.
pub fn bypasses(pid: u32, ports: &[u16]) -> Result<Vec<String>, ChaosError> {
    let unreadable = || ChaosError::io(format!("look at the connections of process {pid}"));
    let mut suspects = sockets::established().map_err(unreadable())?;
    suspects.retain(|socket| ports.contains(&socket.remote_port));
    if suspects.is_empty() {
        return Ok(Vec::new());
    }
    let own = match sockets::of_process(pid) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        found => found.map_err(unreadable())?,
    };
    let bypasses = suspects.iter().filter(|socket| own.contains(&socket.inode));
    Ok(bypasses
        .map(|socket| format!("{} -> {}", socket.local_port, socket.remote_port))
        .collect())
}

/// The far ends of all connections established to these proxies on this machine.
fn clients_of(specs: &[&ProxySpec]) -> Result<BTreeSet<(Ipv4Addr, u16)>, ChaosError> {
    let connections = sockets::established().map_err(ChaosError::io("look at the connections of a proxy"))?;
    let doors: BTreeSet<String> = specs.iter().map(|spec| spec.listen.clone()).collect();
    let clients = connections
        .iter()
        .filter(|socket| doors.contains(&format!("{}:{}", socket.remote_address, socket.remote_port)));
    Ok(clients
        .map(|socket| (socket.local_address, socket.local_port))
        .collect())
}

fn died(how: &str) -> ChaosError {
    ChaosError::admin(
        "Toxiproxy",
        format!("it ended by itself ({how}): every link is down"),
    )
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
