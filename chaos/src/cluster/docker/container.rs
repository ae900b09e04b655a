//! One container: made, attended, hurt and removed; and the node that lives in it.
//!
//! A container is no child of ours but of the engine, so no death signal reaches it: it stands in the heal journal from before
//! it is made until it is removed, and carries the journal's name as a label. Only a container with that label is ever removed.
//! While it runs a child of ours attends it (`docker start --attach`): that copies its output into the node's log and ends with
//! it, with its exit code.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{getgid, getuid};

use super::engine::{CALL_BOUND, Engine};
use crate::clock::Deadline;
use crate::cluster::LOOK;
use crate::cluster::death::failure_of;
use crate::error::ChaosError;
use crate::process::{Child, Output, REAP_BOUND};

/// Its value is the name of the journal of the run that made the container.
const LABEL: &str = "org.steadfast.journal";
/// How long the engine may take from the order to start to a process.
const START_BOUND: Duration = Duration::from_secs(30);
/// What a process ended by a signal gives as its exit code, less the signal.
const BY_SIGNAL: i32 = 128;

/// What container to make.
#[derive(Debug, Clone)]
pub(super) struct Order {
    /// Its id, so that a tag that moves meanwhile changes nothing.
    pub(super) image: String,
    /// What runs in it, instead of the image's own.
    pub(super) program: &'static str,
    pub(super) args: Vec<String>,
    /// `NAME=value`.
    pub(super) env: Vec<String>,
    /// Folders of this machine, and where they are inside.
    pub(super) mounts: Vec<(PathBuf, &'static str)>,
}

/// A container of this run. Dropping it removes it, whatever runs in it.
#[derive(Debug)]
pub(super) struct Container {
    engine: Arc<Engine>,
    /// As the engine knows it: `steadfast-JOURNAL-broker-1-7`.
    name: String,
    id: String,
    /// For people: `broker-1`.
    short: String,
}

/// What the engine says of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    pub(super) running: bool,
    pub(super) paused: bool,
    /// 0 without a process.
    pub(super) pid: u32,
    /// Of its last end.
    pub(super) exit_code: i32,
    /// The kernel ended it for want of memory.
    pub(super) out_of_memory: bool,
}

impl Container {
    pub(super) fn create(engine: &Arc<Engine>, short: &str, order: &Order) -> Result<Container, ChaosError> {
        let journal = engine.journal();
        let name = format!("steadfast-{}-{short}-{}", journal.name(), engine.number());
        let noted = |id: Option<&str>| {
            let note = journal.container(&engine.address, &name, id);
            note.map_err(ChaosError::io(format!("note {name} in the heal journal")))
        };
        noted(None)?;
        // Named by its name until its id is known: from here on a drop removes it.
        let mut container = Container {
            engine: Arc::clone(engine),
            name: name.clone(),
            id: name.clone(),
            short: short.to_owned(),
        };
        let args = create_arguments(&name, journal.name(), order);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        container.id = engine.call(&args, CALL_BOUND)?;
        noted(Some(&container.id))?;
        Ok(container)
    }

    /// Starts it, and gives the child that attends it.
    pub(super) fn attend(&self, log: &Path) -> Result<Child, ChaosError> {
        let args = ["start", "--attach", &self.id];
        let output = Output::File(log.to_owned());
        Ok(self
            .engine
            .spawner
            .spawn(&self.engine.spec(&self.short, &args, output, log))?)
    }

    pub(super) fn state(&self) -> Result<State, ChaosError> {
        const FORMAT: &str =
            "{{.State.Running}} {{.State.Paused}} {{.State.Pid}} {{.State.ExitCode}} {{.State.OOMKilled}}";
        let args = ["container", "inspect", "--format", FORMAT, &self.id];
        let text = self.engine.call(&args, CALL_BOUND)?;
        let unreadable = || ChaosError::admin("docker container inspect", format!("it says {text:?}"));
        State::parse(&text).ok_or_else(unreadable)
    }

    fn order(&self, verb: &[&str]) -> Result<(), ChaosError> {
        let args: Vec<&str> = verb.iter().copied().chain([self.id.as_str()]).collect();
        self.engine.call(&args, CALL_BOUND).map(drop)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // What does not go stands in the journal, for `heal`.
        if remove(&self.engine, &self.id).is_ok() {
            let _unwritable = self.engine.journal().container_gone(&self.name);
        }
    }
}

impl State {
    fn parse(text: &str) -> Option<State> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let [running, paused, pid, exit_code, out_of_memory] = words.as_slice() else {
            return None;
        };
        Some(State {
            running: running.parse().ok()?,
            paused: paused.parse().ok()?,
            pid: pid.parse().ok()?,
            exit_code: exit_code.parse().ok()?,
            out_of_memory: out_of_memory.parse().ok()?,
        })
    }

    /// `exit 137 (signal 9)`: how it ended.
    fn describe(self) -> String {
        let code = self.exit_code;
        let memory = if self.out_of_memory { ", out of memory" } else { "" };
        match code.checked_sub(BY_SIGNAL) {
            Some(signal) if signal > 0 => format!("exit {code} (signal {signal}{memory})"),
            _ => format!("exit {code}"),
        }
    }
}

/// In this machine's network, as this very user, so that what is written into the run folder is ours to remove. Its output goes
/// to whoever attends it, and nowhere else.
fn create_arguments(name: &str, journal: &str, order: &Order) -> Vec<String> {
    let user = format!("{}:{}", getuid().as_raw(), getgid().as_raw());
    let mut args: Vec<String> = ["create", "--name", name, "--network", "host", "--user", &user]
        .map(str::to_owned)
        .into();
    args.extend(["--log-driver=none".into(), format!("--label={LABEL}={journal}")]);
    args.extend(["--pull=never".into(), format!("--entrypoint={}", order.program)]);
    args.extend(order.env.iter().map(|variable| format!("--env={variable}")));
    args.extend(order.mounts.iter().map(|(here, inside)| mount(here, inside)));
    args.push(order.image.clone());
    args.extend(order.args.iter().cloned());
    args
}

/// The value is a line of CSV: a folder's name may hold a comma or a quotation mark.
fn mount(here: &Path, inside: &str) -> String {
    let source = format!("source={}", here.display()).replace('"', "\"\"");
    format!("--mount=type=bind,\"{source}\",target={inside}")
}

/// True when there was one. That there is none any more is no error.
fn remove(engine: &Engine, id: &str) -> Result<bool, ChaosError> {
    // The volumes are those that the image asks for and nobody named.
    match engine.call(&["rm", "--force", "--volumes", id], CALL_BOUND) {
        Ok(_) => Ok(true),
        Err(ChaosError::Admin { reason, .. }) if reason.contains("No such container") => Ok(false),
        Err(error) => Err(error),
    }
}

/// For `heal`: removes a container that a dead run of this journal left, by its id or, where that was not noted any more, by its
/// name. False when there is none, or when what has that name is not of that run.
pub(crate) fn remove_left(engine: &Engine, id: &str, journal: &str) -> Result<bool, ChaosError> {
    let format = format!("{{{{index .Config.Labels \"{LABEL}\"}}}}");
    match engine.call(&["container", "inspect", "--format", &format, id], CALL_BOUND) {
        Ok(label) if label == journal => remove(engine, id),
        Ok(_) => Ok(false),
        Err(ChaosError::Admin { reason, .. }) if reason.contains("No such container") => Ok(false),
        Err(error) => Err(error),
    }
}

/// A node that lives in a container.
#[derive(Debug)]
pub(crate) struct Contained {
    pub(crate) log: PathBuf,
    /// The child that attends it while it runs. Before the container: fields drop in order.
    pub(crate) client: Mutex<Option<Child>>,
    /// Pid of the JVM on this machine, 0 without one: read by the sampler without waiting for a fault that holds the lock.
    pid: AtomicU32,
    container: Container,
}

impl Contained {
    pub(super) fn new(container: Container, log: PathBuf) -> Contained {
        Contained {
            log,
            client: Mutex::new(None),
            pid: AtomicU32::new(0),
            container,
        }
    }

    /// Never waits.
    pub(crate) fn pid(&self) -> Option<u32> {
        Some(self.pid.load(Ordering::Relaxed)).filter(|pid| *pid != 0)
    }

    /// Returns when there is a process. One that runs already is an error.
    pub(crate) fn start(&self, name: &str) -> Result<(), ChaosError> {
        let mut client = self.client();
        if client.is_some() {
            return Err(ChaosError::admin(format!("start {name}"), "it runs already"));
        }
        let mut child = self.container.attend(&self.log)?;
        let deadline = Deadline::after(START_BOUND);
        let pid = loop {
            if let Some(status) = child.until(Deadline::after(LOOK), None)? {
                let how = crate::process::describe_status(status);
                return Err(failure_of(
                    name,
                    &self.log,
                    &format!("ended ({how}) during start"),
                ));
            }
            let state = self.container.state()?;
            if state.running && state.pid != 0 {
                break state.pid;
            }
            if deadline.passed() {
                let reason = format!("was not started by the engine within {START_BOUND:?}");
                return Err(failure_of(name, &self.log, &reason));
            }
        };
        self.is_here(name, pid)?;
        self.pid.store(pid, Ordering::Relaxed);
        *client = Some(child);
        Ok(())
    }

    /// An engine may count pids of its own; then samples and evidence would be of some other process.
    fn is_here(&self, name: &str, pid: u32) -> Result<(), ChaosError> {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        if groups.contains(&self.container.id) {
            return Ok(());
        }
        // It may have ended by now; its log tells that better.
        if !self.container.state()?.running {
            return Ok(());
        }
        Err(ChaosError::missing(
            format!("{name} runs, but its process ({pid}, as the engine says) is not to be seen from here"),
            "run steadfast on the engine's own machine and outside of a container, or use --broker kafka",
        ))
    }

    /// SIGKILL, or with a `grace` SIGTERM and SIGKILL after it. How it ended, by the engine's own record.
    pub(crate) fn end(&self, name: &str, grace: Option<Duration>) -> Result<String, ChaosError> {
        let mut client = self.client();
        let what = format!("end {name}");
        let child = client
            .as_mut()
            .ok_or_else(|| ChaosError::admin(&what, "it is not running"))?;
        let bound = grace.unwrap_or(REAP_BOUND);
        let mut ended = self.signal(child, if grace.is_some() { "TERM" } else { "KILL" }, bound)?;
        if !ended && grace.is_some() {
            ended = self.signal(child, "KILL", REAP_BOUND)?;
        }
        if !ended {
            return Err(ChaosError::admin(what, "it hangs in the kernel"));
        }
        let state = self.container.state()?;
        if state.running {
            return Err(ChaosError::admin(what, "the engine says that it still runs"));
        }
        *client = None;
        self.pid.store(0, Ordering::Relaxed);
        Ok(state.describe())
    }

    /// Sends it and waits for the end; true when it came.
    fn signal(&self, child: &mut Child, signal: &str, bound: Duration) -> Result<bool, ChaosError> {
        let ended = |child: &mut Child, bound: Duration| {
            child
                .until(Deadline::after(bound), None)
                .map(|status| status.is_some())
        };
        if ended(child, Duration::ZERO)? {
            return Ok(true);
        }
        self.thaw();
        let sent = self.container.order(&["kill", "--signal", signal]);
        let gone = ended(child, bound)?;
        // A refusal is none when it had ended just before.
        if gone { Ok(true) } else { sent.map(|()| false) }
    }

    /// SIGTERM without waiting for the end.
    pub(crate) fn ask_to_stop(&self) {
        if self.client().is_some() {
            self.thaw();
            // It has ended already, or `end` will see to it.
            let _ended = self.container.order(&["kill", "--signal", "TERM"]);
        }
    }

    /// What is frozen takes no signal.
    fn thaw(&self) {
        if self.is_paused() {
            let _ended = self.container.order(&["unpause"]);
        }
    }

    pub(crate) fn pause(&self) -> Result<(), ChaosError> {
        self.container.order(&["pause"])
    }

    pub(crate) fn resume(&self) -> Result<(), ChaosError> {
        self.container.order(&["unpause"])
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.container.state().is_ok_and(|state| state.paused)
    }

    fn client(&self) -> MutexGuard<'_, Option<Child>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_read_and_its_end_named() {
        let state = State::parse("false false 0 137 false\n").unwrap();
        assert_eq!(state.describe(), "exit 137 (signal 9)");
        assert!(!state.running && state.pid == 0);
        assert!(State::parse("true true 4711 0 false").unwrap().paused);
        assert_eq!(
            State::parse("false false 0 1 false").unwrap().describe(),
            "exit 1"
        );
        for nonsense in ["", "true", "true false x 0 false", "<no value> false 1 0 false"] {
            assert_eq!(State::parse(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_container_is_labelled_and_publishes_nothing_of_its_own() {
        let order = Order {
            image: "sha256:1".into(),
            program: "/bin/sh",
            args: vec!["-c".into()],
            env: vec!["A=b c".into()],
            mounts: vec![("/run, \"1\"".into(), "/logs")],
        };
        let args = create_arguments("n", "77-1-0", &order);
        assert!(
            args.contains(&"--label=org.steadfast.journal=77-1-0".to_owned()),
            "{args:?}"
        );
        assert!(args.contains(&"--env=A=b c".to_owned()), "{args:?}");
        let mount = "--mount=type=bind,\"source=/run, \"\"1\"\"\",target=/logs";
        assert!(args.contains(&mount.to_owned()), "{args:?}");
        assert_eq!(args[args.len() - 2..], ["sha256:1", "-c"]);
        assert!(!args.iter().any(|arg| arg.starts_with("--publish")));
    }
}
