//! One node: a Kafka process of its own, a container, or one of those that a simulated cluster's process hosts. Started, killed,
//! stopped, paused.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::death::{failure_of, port_was_taken};
use super::devices::Devices;
use super::docker::Contained;
use super::settings::NodePlan;
use super::simulated::Host;
use super::wall_clock;
use crate::error::ChaosError;
use crate::process::{Child, ChildSpec, Signal, Spawner, describe_status};
use crate::procstat;
use steadfast_broker::{Order, Stop};

/// How much of what it has just written is read: the threads of a broker are some hundreds of kilobytes.
const LOG_READ: usize = 4 << 20;

/// What we have done to a node last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeState {
    /// Started by us and not stopped by us.
    Up,
    /// Stopped or killed by us, or not started yet.
    Down,
    /// Stopped in its tracks (SIGSTOP).
    Paused,
}

/// What shows that a fault took effect: its name in `faults.jsonl`, and what was seen.
pub(crate) type Evidence = (&'static str, String);

/// A node: its life comes and goes, its ports and data stay.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) plan: NodePlan,
    pub(crate) name: String,
    pub(crate) log: PathBuf,
    body: Body,
    state: AtomicU8,
    /// How often it was started.
    starts: AtomicU32,
}

/// What a node lives in.
#[derive(Debug)]
enum Body {
    /// A process of its own.
    Own(Box<Own>),
    /// A container of its own.
    Contained(Box<Contained>),
    /// The process of a simulated cluster.
    Hosted(Arc<Host>),
}

#[derive(Debug)]
struct Own {
    launch: ChildSpec,
    spawner: Spawner,
    devices: Devices,
    /// A fault may end it by way of its devices: its end is no accident then.
    doomed: AtomicBool,
    process: Mutex<Option<Child>>,
    /// The pid of the process, 0 without one: read by the sampler without waiting for a fault that holds the lock.
    pid: AtomicU32,
}

impl Node {
    pub(crate) fn new(plan: NodePlan, launch: ChildSpec, devices: Devices, spawner: &Spawner) -> Node {
        Node {
            name: plan.name(),
            plan,
            log: launch.stderr.clone(),
            body: Body::Own(Box::new(Own {
                launch,
                spawner: spawner.clone(),
                devices,
                doomed: AtomicBool::new(false),
                process: Mutex::new(None),
                pid: AtomicU32::new(0),
            })),
            state: AtomicU8::new(NodeState::Down as u8),
            starts: AtomicU32::new(0),
        }
    }

    /// A node in a container that is made and not yet started.
    pub(crate) fn contained(plan: NodePlan, contained: Contained) -> Node {
        Node {
            name: plan.name(),
            plan,
            log: contained.log.clone(),
            body: Body::Contained(Box::new(contained)),
            state: AtomicU8::new(NodeState::Down as u8),
            starts: AtomicU32::new(0),
        }
    }

    /// A node of a simulated cluster, which is up as soon as its host is.
    pub(crate) fn hosted(plan: NodePlan, host: &Arc<Host>) -> Node {
        Node {
            name: plan.name(),
            plan,
            log: host.log.clone(),
            body: Body::Hosted(Arc::clone(host)),
            state: AtomicU8::new(NodeState::Up as u8),
            starts: AtomicU32::new(1),
        }
    }

    /// `127.0.0.1:port` of the listener that is never proxied.
    pub(crate) fn admin_server(&self) -> String {
        format!("127.0.0.1:{}", self.plan.admin_port)
    }

    /// `127.0.0.1:port` of the listener for clients itself, behind the proxy if there is one.
    pub(crate) fn client_listener(&self) -> String {
        format!("127.0.0.1:{}", self.plan.client_port)
    }

    /// `127.0.0.1:port` that clients are told.
    pub(crate) fn client_server(&self) -> String {
        format!("127.0.0.1:{}", self.plan.advertised_port)
    }

    /// The pid while there is a process: several nodes of a simulated cluster share one.
    pub(crate) fn pid(&self) -> Option<u32> {
        match &self.body {
            Body::Own(own) => Some(own.pid.load(Ordering::Relaxed)).filter(|pid| *pid != 0),
            Body::Contained(contained) => contained.pid(),
            Body::Hosted(host) => host.pid(),
        }
    }

    /// Names its present life: another one after each start. None while it is down.
    pub(crate) fn life(&self) -> Option<String> {
        match &self.body {
            Body::Own(_) | Body::Contained(_) => self.pid().map(|pid| format!("pid {pid}")),
            Body::Hosted(_) if self.state() == NodeState::Down => None,
            Body::Hosted(_) => Some(format!("start {}", self.starts.load(Ordering::Relaxed))),
        }
    }

    pub(crate) fn state(&self) -> NodeState {
        match self.state.load(Ordering::Relaxed) {
            state if state == NodeState::Up as u8 => NodeState::Up,
            state if state == NodeState::Paused as u8 => NodeState::Paused,
            _ => NodeState::Down,
        }
    }

    /// Starts it. A node that runs already is an error.
    pub(crate) fn start(&self) -> Result<(), ChaosError> {
        match &self.body {
            Body::Own(own) => {
                let mut process = own.process();
                if process.is_some() {
                    let what = format!("start {}", self.name);
                    return Err(ChaosError::admin(what, "it runs already"));
                }
                let child = own.spawner.spawn(&own.launch)?;
                own.pid.store(child.pid, Ordering::Relaxed);
                *process = Some(child);
            }
            Body::Contained(contained) => contained.start(&self.name)?,
            Body::Hosted(host) => host.order(Order::Start { node: self.number() })?,
        }
        self.starts.fetch_add(1, Ordering::Relaxed);
        self.set(NodeState::Up);
        Ok(())
    }

    /// SIGKILL. The exit status is the evidence.
    pub(crate) fn kill(&self) -> Result<Evidence, ChaosError> {
        self.end("kill", None, Stop::Hard)
    }

    /// SIGTERM, and SIGKILL after `grace`.
    pub(crate) fn stop(&self, grace: Duration) -> Result<Evidence, ChaosError> {
        self.end("stop", Some(grace), Stop::Clean)
    }

    /// SIGTERM without waiting, so that several nodes can stop at once. A hosted node ends with its host.
    pub(crate) fn ask_to_stop(&self) {
        match &self.body {
            Body::Own(own) => {
                if let Some(child) = own.process().as_mut() {
                    // It has ended already, or `stop` will see to it.
                    let _ended = child
                        .signal(Signal::TERM)
                        .and_then(|()| child.signal(Signal::CONT));
                }
            }
            Body::Contained(contained) => contained.ask_to_stop(),
            Body::Hosted(_) => {}
        }
    }

    /// SIGSTOP, for a container its freezer; see [`Node::stopped`].
    pub(crate) fn pause(&self) -> Result<(), ChaosError> {
        match &self.body {
            Body::Own(own) => own.signal(Signal::STOP, &self.name)?,
            Body::Contained(contained) => contained.pause()?,
            Body::Hosted(host) => host.order(Order::Pause { node: self.number() })?,
        }
        self.set(NodeState::Paused);
        Ok(())
    }

    /// SIGCONT, for a container the end of its frost.
    pub(crate) fn resume(&self) -> Result<(), ChaosError> {
        match &self.body {
            Body::Own(own) => own.signal(Signal::CONT, &self.name)?,
            Body::Contained(contained) => contained.resume()?,
            Body::Hosted(host) => host.order(Order::Resume { node: self.number() })?,
        }
        self.set(NodeState::Up);
        Ok(())
    }

    /// Evidence that it is stopped in its tracks: the state letter of `/proc/PID/stat`, or what the engine or the host says.
    pub(crate) fn stopped(&self) -> Option<Evidence> {
        match &self.body {
            Body::Own(_) => {
                let state = procstat::stat(self.pid()?)?.state;
                (state == 'T').then(|| ("process_state", "T (stopped)".to_owned()))
            }
            Body::Contained(contained) => contained
                .is_paused()
                .then(|| ("container_state", "paused (frozen)".to_owned())),
            Body::Hosted(host) => {
                let state = host.state(self.number()).ok()?;
                let paused = state.accepts && !state.serves;
                paused.then(|| ("node_state", "takes connections, answers none".to_owned()))
            }
        }
    }

    /// An error if the process ended although nobody of us ended it.
    pub(crate) fn check_alive(&self, when: &str) -> Result<(), ChaosError> {
        // What attends a container ends with it, and with its exit code.
        let process = match &self.body {
            Body::Own(own) if own.doomed.load(Ordering::Relaxed) => return Ok(()),
            Body::Own(own) => &own.process,
            Body::Contained(contained) => &contained.client,
            Body::Hosted(host) => return host.check_alive(when),
        };
        // A fault that holds the lock is just doing something to it.
        let Ok(mut process) = process.try_lock() else {
            return Ok(());
        };
        let Some(child) = process.as_mut() else {
            return Ok(());
        };
        match child
            .try_wait()
            .map_err(ChaosError::io(format!("look after {}", self.name)))?
        {
            None => Ok(()),
            Some(status) => Err(self.failure(&format!("ended ({}) {when}", describe_status(status)))),
        }
    }

    /// What it has of its own; none where it lives in something else.
    pub(crate) fn devices(&self) -> Option<&Devices> {
        match &self.body {
            Body::Own(own) => Some(&own.devices),
            Body::Contained(_) | Body::Hosted(_) => None,
        }
    }

    /// From now on its end is what a fault is after; or is an accident again.
    pub(crate) fn doom(&self, doomed: bool) {
        if let Body::Own(own) = &self.body {
            own.doomed.store(doomed, Ordering::Relaxed);
        }
    }

    /// The exit status if it has ended by itself; it is down then.
    pub(crate) fn ended(&self) -> Result<Option<Evidence>, ChaosError> {
        let Body::Own(own) = &self.body else {
            return Ok(None);
        };
        let mut process = own.process();
        let Some(child) = process.as_mut() else {
            return Ok(None);
        };
        let status = child
            .try_wait()
            .map_err(ChaosError::io(format!("look after {}", self.name)))?;
        Ok(status.map(|status| {
            *process = None;
            own.gone();
            self.set(NodeState::Down);
            ("exit_status", describe_status(status))
        }))
    }

    /// SIGQUIT, on which a JVM writes its threads and the time to its log.
    pub(crate) fn ask_for_threads(&self) -> Result<(), ChaosError> {
        match &self.body {
            Body::Own(own) => own.signal(Signal::QUIT, &self.name),
            Body::Contained(_) | Body::Hosted(_) => Err(ChaosError::admin(
                format!("ask {}", self.name),
                "it is no JVM of ours",
            )),
        }
    }

    /// How long its log is.
    pub(crate) fn log_length(&self) -> u64 {
        fs::metadata(&self.log).map_or(0, |log| log.len())
    }

    /// What it has written to its log since that was so long; the end of it, when that is much.
    pub(crate) fn log_since(&self, length: u64) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let since = usize::try_from(length).unwrap_or(usize::MAX).min(bytes.len());
        let new = &bytes[since..];
        String::from_utf8_lossy(&new[new.len().saturating_sub(LOG_READ)..]).into_owned()
    }

    /// The error for something that this node did, with the end of its log and what to do about it.
    pub(crate) fn failure(&self, reason: &str) -> ChaosError {
        failure_of(&self.name, &self.log, reason)
    }

    /// True when the log says that a listener found its port taken.
    pub(crate) fn port_was_taken(&self) -> bool {
        port_was_taken(&self.log)
    }

    /// At once, or after `grace` for a clean end.
    fn end(&self, verb: &str, grace: Option<Duration>, stop: Stop) -> Result<Evidence, ChaosError> {
        let evidence = match &self.body {
            Body::Own(own) => {
                let mut process = own.process();
                let what = format!("{verb} {}", self.name);
                let child = process
                    .as_mut()
                    .ok_or_else(|| ChaosError::admin(&what, "it is not running"))?;
                let ended = match grace {
                    Some(grace) => child.terminate(grace),
                    None => child.kill(),
                };
                let status = ended.map_err(ChaosError::io(what))?;
                *process = None;
                own.gone();
                ("exit_status", describe_status(status))
            }
            Body::Contained(contained) => ("exit_status", contained.end(&self.name, grace)?),
            Body::Hosted(host) => {
                let node = self.number();
                host.order(Order::Kill { node, stop })?;
                if host.state(node)?.accepts {
                    let what = format!("{verb} {}", self.name);
                    return Err(ChaosError::admin(what, "it takes connections all the same"));
                }
                ("node_state", "takes no connections, answers none".to_owned())
            }
        };
        self.set(NodeState::Down);
        Ok(evidence)
    }

    fn set(&self, state: NodeState) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    /// Its id as the model counts.
    fn number(&self) -> i32 {
        i32::try_from(self.plan.id).unwrap_or(i32::MAX)
    }
}

impl Own {
    fn signal(&self, signal: Signal, name: &str) -> Result<(), ChaosError> {
        let what = format!("signal {name}");
        let mut process = self.process();
        let child = process
            .as_mut()
            .ok_or_else(|| ChaosError::admin(&what, "it is not running"))?;
        child.signal(signal).map_err(ChaosError::io(what))
    }

    /// Its process has ended.
    fn gone(&self) {
        let pid = self.pid.swap(0, Ordering::Relaxed);
        if self.devices.clock.is_some() {
            wall_clock::sweep(pid);
        }
    }

    fn process(&self) -> MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // The process first: its drop kills it.
        *self.process() = None;
        self.gone();
    }
}
