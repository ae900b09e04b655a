//! `steadfast heal`: ends what dead runners left behind, by their journals; live runners and their children are left alone.
//!
//! A process is killed only when three things agree: the pid and its start time (or, for a descendant, being found alive now),
//! the same boot and pid namespace, and the journal's name in its environment. Between looking and killing it is held by a
//! pidfd, so that a reused pid is never hit. A directory is removed only when it holds our marker file. A topic that the run
//! made on an external cluster is deleted by its id only, never by its name. A container is removed only when it carries the
//! journal's name as its label.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::clock::Deadline;
use crate::cluster::{docker, foreign, wall_clock};
use crate::error::ChaosError;
use crate::journal::{self, DIRECTORY_MARKER, Entry, JOURNAL_VARIABLE, Journal};
use crate::process::{Spawner, wait_readable};
use crate::procstat;

/// How long a killed process may take to disappear.
const GONE_BOUND: Duration = Duration::from_secs(5);

/// What was done, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Healed {
    /// One entry per thing found; empty when there was nothing to mend.
    pub steps: Vec<Step>,
}

/// One thing that `heal` found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A process was killed.
    Killed {
        /// Name in the journal, or the command's name for a descendant.
        name: String,
        /// Its pid.
        pid: u32,
    },
    /// A container was removed, and what ran in it with it.
    Uncontained {
        /// Its name.
        container: String,
    },
    /// A temporary directory was removed.
    Removed(PathBuf),
    /// A topic that the run had made on an external cluster was deleted there.
    Deleted {
        /// Its name.
        topic: String,
        /// The cluster.
        servers: String,
    },
    /// A topic that the run may have made on an external cluster, but nobody can tell by now: its owner has to look.
    Perhaps {
        /// Its name.
        topic: String,
        /// The cluster.
        servers: String,
    },
    /// A runner is alive: its children are its own affair.
    LeftAlone {
        /// The runner's pid.
        runner: u32,
    },
    /// Something could not be mended; its journal stays.
    Failed(String),
}

impl Healed {
    /// True when something could not be mended.
    pub fn failed(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Failed(_)))
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Step::Killed { name, pid } => write!(out, "killed {name} (pid {pid})"),
            Step::Uncontained { container } => write!(out, "removed container {container}"),
            Step::Removed(path) => write!(out, "removed {}", path.display()),
            Step::Deleted { topic, servers } => write!(out, "deleted topic {topic} at {servers}"),
            Step::Perhaps { topic, servers } => write!(
                out,
                "topic {topic} at {servers} may be of the killed run: if nobody else made it, delete it with \
                 kafka-topics.sh --delete"
            ),
            Step::LeftAlone { runner } => write!(out, "left the live run of pid {runner} alone"),
            Step::Failed(reason) => write!(out, "failed: {reason}"),
        }
    }
}

/// Mends by every journal in the user's state directory.
pub fn heal() -> io::Result<Healed> {
    heal_in(&journal::directory()?)
}

/// Mends by every journal in this directory.
pub fn heal_in(directory: &Path) -> io::Result<Healed> {
    let mut healed = Healed::default();
    let listing = match fs::read_dir(directory) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(healed),
        Err(error) => return Err(error),
    };
    let mut paths: Vec<PathBuf> = listing.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort();
    for path in paths {
        if let Err(error) = heal_one(&path, &mut healed.steps) {
            healed
                .steps
                .push(Step::Failed(format!("{}: {error}", path.display())));
        }
    }
    Ok(healed)
}

fn heal_one(path: &Path, steps: &mut Vec<Step>) -> io::Result<()> {
    // Two heals at once: the second finds the file gone.
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let Some(file) = Locked::take(file) else {
        return Ok(());
    };
    let entries = journal::read(path)?;
    let Some(Entry::Runner {
        pid,
        start_time,
        boot_id,
        pid_namespace,
    }) = entries.first()
    else {
        // Torn before its first line was whole: nothing had been started by then, unless the runner is just writing it.
        return if is_old(&file.0)? {
            fs::remove_file(path)
        } else {
            Ok(())
        };
    };
    let same_boot = *boot_id == journal::boot_id()?;
    if same_boot && *pid_namespace != journal::pid_namespace()? {
        steps.push(Step::LeftAlone { runner: *pid });
        return Ok(());
    }
    if same_boot && *pid == std::process::id() {
        return Ok(());
    }
    if same_boot && procstat::is_alive(*pid, *start_time) {
        steps.push(Step::LeftAlone { runner: *pid });
        return Ok(());
    }
    let before = steps.len();
    let name = path
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    if same_boot {
        kill_all(&name, &entries, steps);
    }
    // They outlive a boot, and what runs in them writes into the directories.
    remove_containers(path, &name, &entries, steps);
    remove_directories(&entries, steps);
    delete_topics(path, &entries, steps);
    if steps[before..].iter().any(|step| matches!(step, Step::Failed(_))) {
        return Ok(());
    }
    fs::remove_file(path)
}

/// A journal that this process mends by. Let go in so many words: closing it would not do, while a child that another thread
/// has just forked still has the file open until its exec.
struct Locked(File);

impl Locked {
    /// None: somebody else has it.
    fn take(file: File) -> Option<Locked> {
        flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
        Some(Locked(file))
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // If not here, it goes with the process.
        let _closed_anyway = flock(&self.0, FlockOperation::Unlock);
    }
}

/// The journalled children first, then whatever else carries the journal's name: their descendants.
fn kill_all(journal_name: &str, entries: &[Entry], steps: &mut Vec<Step>) {
    for entry in entries {
        if let Entry::Child {
            name,
            pid,
            start_time,
        } = entry
        {
            if procstat::is_alive(*pid, *start_time) {
                kill_one(journal_name, name, *pid, steps);
            }
            if procstat::stat(*pid).is_none() {
                wall_clock::sweep(*pid);
            }
        }
    }
    let Ok(everyone) = fs::read_dir("/proc") else {
        return;
    };
    let pids = everyone.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    for pid in pids.filter(|pid| procstat::has_variable(*pid, JOURNAL_VARIABLE, journal_name)) {
        if let Some(stat) = procstat::stat(pid).filter(|stat| stat.state != 'Z') {
            kill_one(journal_name, &stat.comm, pid, steps);
        }
    }
}

fn kill_one(journal_name: &str, name: &str, pid: u32, steps: &mut Vec<Step>) {
    let Some(pidfd) = procstat::raw(pid).and_then(|raw| pidfd_open(raw, PidfdFlags::empty()).ok()) else {
        return;
    };
    // Looked at again behind the pidfd: whatever has this pid now is what the signal goes to.
    if !procstat::has_variable(pid, JOURNAL_VARIABLE, journal_name) {
        return;
    }
    let killed = pidfd_send_signal(&pidfd, Signal::KILL).is_ok();
    let deadline = Deadline::after(GONE_BOUND);
    let gone = || procstat::stat(pid).is_none_or(|stat| stat.state == 'Z');
    while killed && !gone() && !deadline.passed() {
        if wait_readable(&pidfd, deadline.left()).is_err() {
            break;
        }
    }
    steps.push(if killed && gone() {
        Step::Killed {
            name: name.to_owned(),
            pid,
        }
    } else {
        Step::Failed(format!("{name} (pid {pid}) does not end"))
    });
}

fn remove_directories(entries: &[Entry], steps: &mut Vec<Step>) {
    for path in directories_left(entries) {
        if path.join(DIRECTORY_MARKER).is_file() {
            steps.push(match fs::remove_dir_all(path) {
                Ok(()) => Step::Removed(path.clone()),
                Err(error) => Step::Failed(format!("cannot remove {}: {error}", path.display())),
            });
        }
    }
}

/// Pure: directories that were made and not removed. The last word on one counts: a look into an image, or a start on other
/// ports, makes the same one again.
fn directories_left(entries: &[Entry]) -> BTreeSet<&PathBuf> {
    let mut left = BTreeSet::new();
    for entry in entries {
        match entry {
            Entry::Directory { path } => {
                left.insert(path);
            }
            Entry::DirectoryGone { path } => {
                left.remove(path);
            }
            _ => {}
        }
    }
    left
}

/// The last word on a container counts.
fn remove_containers(journal: &Path, journal_name: &str, entries: &[Entry], steps: &mut Vec<Step>) {
    let mut last: BTreeMap<&str, &Entry> = BTreeMap::new();
    for entry in entries {
        if let Entry::Container { name, .. } | Entry::ContainerGone { name } = entry {
            last.insert(name, entry);
        }
    }
    for entry in last.into_values() {
        let Entry::Container { name, engine, id } = entry else {
            continue;
        };
        let known = id.as_ref().unwrap_or(name);
        match remove_container(journal, journal_name, engine, known) {
            Ok(true) => steps.push(Step::Uncontained {
                container: name.clone(),
            }),
            Ok(false) => {}
            Err(reason) => steps.push(Step::Failed(format!(
                "cannot remove container {name} at {engine}: {reason}; if that engine is gone for good, remove {}",
                journal.display()
            ))),
        }
    }
}

fn remove_container(journal: &Path, journal_name: &str, engine: &str, id: &str) -> Result<bool, ChaosError> {
    // The engine's command line is a child as any other: it has a journal, that of this `heal`.
    let directory = journal.parent().unwrap_or(Path::new("/"));
    let own = Journal::open_in(directory).map_err(ChaosError::io("open a journal"))?;
    let spawner = Spawner::start(own).map_err(ChaosError::io("start the spawner thread"))?;
    let engine = docker::Engine::at(engine, &spawner, directory)?;
    docker::remove_left(&engine, id, journal_name)
}

/// What the run made on external clusters. The last word on a topic counts; by now its name may mean another one.
fn delete_topics(journal: &Path, entries: &[Entry], steps: &mut Vec<Step>) {
    let mut last: BTreeMap<&str, &Entry> = BTreeMap::new();
    for entry in entries {
        if let Entry::Topic { name, .. } | Entry::TopicGone { name } = entry {
            last.insert(name, entry);
        }
    }
    for entry in last.into_values() {
        let Entry::Topic { name, servers, id } = entry else {
            continue;
        };
        let topic = name.clone();
        let all = servers.join(",");
        let Some(id) = id else {
            steps.push(Step::Perhaps { topic, servers: all });
            continue;
        };
        match foreign::delete_by_id(servers, id) {
            Ok(true) => steps.push(Step::Deleted { topic, servers: all }),
            Ok(false) => {}
            Err(reason) => steps.push(Step::Failed(format!(
                "cannot delete topic {topic} at {all}: {reason}; if that cluster is gone for good, remove {}",
                journal.display()
            ))),
        }
    }
}

/// Older than any runner takes from creating the file to writing its first line.
fn is_old(file: &File) -> io::Result<bool> {
    const OLD: Duration = Duration::from_secs(60);
    Ok(file.metadata()?.modified()?.elapsed().is_ok_and(|age| age > OLD))
}

#[cfg(test)]
mod tests;
