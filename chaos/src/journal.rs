//! The heal journal: what a run has started and not yet ended, on disk, so that `steadfast heal` can mend after SIGKILL.
//!
//! One file per runner in `$XDG_STATE_HOME/steadfast/journals` (or `~/.local/state/...`): JSON lines, appended before the
//! thing is relied on. A clean end removes the file; a torn last line is ignored. No fsync: a power cut ends the children too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::procstat;

/// Every child carries the name of its journal in this variable, and hands it on to its own children.
pub const JOURNAL_VARIABLE: &str = "STEADFAST_JOURNAL";
/// A directory is only ever removed by `heal` when it holds this file.
pub const DIRECTORY_MARKER: &str = ".steadfast-temporary";

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "entry")]
pub(crate) enum Entry {
    /// First line: whose journal this is.
    Runner {
        pid: u32,
        start_time: u64,
        boot_id: String,
        pid_namespace: String,
    },
    /// A child began.
    Child { name: String, pid: u32, start_time: u64 },
    /// A child ended and was reaped.
    ChildGone { pid: u32 },
    /// A temporary directory was made.
    Directory { path: PathBuf },
    /// It was removed.
    DirectoryGone { path: PathBuf },
    /// A topic is about to be made on a cluster of somebody else's, and once more with its id when it was.
    Topic {
        name: String,
        servers: Vec<String>,
        id: Option<String>,
    },
    /// It was deleted, was never made, or is kept.
    TopicGone { name: String },
    /// A container is about to be made by the engine at this address, and once more with its id when it was.
    Container {
        name: String,
        engine: String,
        id: Option<String>,
    },
    /// It was removed, or was never made.
    ContainerGone { name: String },
}

/// The journal of this process. Shared by everything that starts something.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    name: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    children: BTreeMap<u32, String>,
    directories: BTreeSet<PathBuf>,
    topics: BTreeSet<String>,
    containers: BTreeSet<String>,
}

impl Journal {
    /// Opens a new journal in the user's state directory.
    pub fn open() -> io::Result<Arc<Journal>> {
        Journal::open_in(&directory()?)
    }

    /// Opens a new journal in a directory of the caller's choice (tests).
    pub fn open_in(directory: &Path) -> io::Result<Arc<Journal>> {
        fs::create_dir_all(directory)?;
        let pid = std::process::id();
        let own = procstat::stat(pid).ok_or_else(|| io::Error::other("/proc is not readable"))?;
        let runner = Entry::Runner {
            pid,
            start_time: own.start_time,
            boot_id: boot_id()?,
            pid_namespace: pid_namespace()?,
        };
        let (name, path, file) = create_unique(directory, pid, own.start_time)?;
        let journal = Journal {
            path,
            name,
            state: Mutex::new(State {
                file,
                children: BTreeMap::new(),
                directories: BTreeSet::new(),
                topics: BTreeSet::new(),
                containers: BTreeSet::new(),
            }),
        };
        journal.locked().append(&runner)?;
        Ok(Arc::new(journal))
    }

    /// Its name: unique on this machine, and the value of [`JOURNAL_VARIABLE`] in every child.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Notes a child.
    pub fn child_started(&self, name: &str, pid: u32, start_time: u64) -> io::Result<()> {
        let mut state = self.locked();
        state.children.insert(pid, name.to_owned());
        state.append(&Entry::Child {
            name: name.to_owned(),
            pid,
            start_time,
        })
    }

    /// Notes that a child was reaped.
    pub fn child_gone(&self, pid: u32) -> io::Result<()> {
        let mut state = self.locked();
        state.children.remove(&pid);
        state.append(&Entry::ChildGone { pid })
    }

    /// Makes a temporary directory, marked as ours, and notes it. The guard removes it when dropped, unless kept.
    pub fn temporary_directory(self: &Arc<Self>, path: &Path) -> io::Result<TemporaryDirectory> {
        // Absolute: `heal` runs from wherever its user stands.
        let path = std::path::absolute(path)?;
        {
            let mut state = self.locked();
            state.directories.insert(path.clone());
            state.append(&Entry::Directory { path: path.clone() })?;
        }
        let guard = TemporaryDirectory {
            path: path.clone(),
            journal: Arc::clone(self),
            keep: false,
        };
        fs::create_dir_all(&path)?;
        fs::write(path.join(DIRECTORY_MARKER), &self.name)?;
        Ok(guard)
    }

    fn directory_gone(&self, path: &Path) -> io::Result<()> {
        let mut state = self.locked();
        state.directories.remove(path);
        state.append(&Entry::DirectoryGone {
            path: path.to_owned(),
        })
    }

    /// Notes a topic on an external cluster: without an id before it is made, with it afterwards.
    pub(crate) fn topic(&self, servers: &[String], name: &str, id: Option<&str>) -> io::Result<()> {
        let mut state = self.locked();
        state.topics.insert(name.to_owned());
        state.append(&Entry::Topic {
            name: name.to_owned(),
            servers: servers.to_vec(),
            id: id.map(str::to_owned),
        })
    }

    /// Notes that it is no longer ours to mend.
    pub(crate) fn topic_gone(&self, name: &str) -> io::Result<()> {
        let mut state = self.locked();
        state.topics.remove(name);
        state.append(&Entry::TopicGone {
            name: name.to_owned(),
        })
    }

    /// Notes a container: without an id before it is made, with it afterwards.
    pub(crate) fn container(&self, engine: &str, name: &str, id: Option<&str>) -> io::Result<()> {
        let mut state = self.locked();
        state.containers.insert(name.to_owned());
        state.append(&Entry::Container {
            name: name.to_owned(),
            engine: engine.to_owned(),
            id: id.map(str::to_owned),
        })
    }

    /// Notes that there is no such container any more.
    pub(crate) fn container_gone(&self, name: &str) -> io::Result<()> {
        let mut state = self.locked();
        state.containers.remove(name);
        state.append(&Entry::ContainerGone {
            name: name.to_owned(),
        })
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn append(&mut self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        self.file.write_all(&line)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let nothing_left = state.children.is_empty()
            && state.directories.is_empty()
            && state.topics.is_empty()
            && state.containers.is_empty();
        if nothing_left {
            // A leftover file is harmless: `heal` finds nothing in it and removes it.
            let _left = fs::remove_file(&self.path);
        }
    }
}

/// A directory that goes when this is dropped.
#[derive(Debug)]
pub struct TemporaryDirectory {
    path: PathBuf,
    journal: Arc<Journal>,
    keep: bool,
}

impl TemporaryDirectory {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps it: neither the drop nor `heal` will touch it.
    pub fn keep(&mut self) -> io::Result<()> {
        self.keep = true;
        fs::remove_file(self.path.join(DIRECTORY_MARKER))?;
        self.journal.directory_gone(&self.path)
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        if !self.keep && (fs::remove_dir_all(&self.path).is_ok() || !self.path.exists()) {
            let _unwritable = self.journal.directory_gone(&self.path);
        }
    }
}

/// Where journals are kept.
pub fn directory() -> io::Result<PathBuf> {
    Ok(user_directory("XDG_STATE_HOME", ".local/state")?
        .join("steadfast")
        .join("journals"))
}

/// An XDG base directory: the variable when it is absolute, else the default under HOME.
/// Source: XDG Base Directory Specification.
pub(crate) fn user_directory(variable: &str, below_home: &str) -> io::Result<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute(variable)
        .or_else(|| absolute("HOME").map(|home| home.join(below_home)))
        .ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("neither {variable} nor HOME names a directory"),
            )
        })
}

/// Reads the entries of a journal; a torn last line is left out.
pub(crate) fn read(path: &Path) -> io::Result<Vec<Entry>> {
    let text = fs::read_to_string(path)?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let entry = |line: &str| {
        serde_json::from_str(line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    };
    whole.lines().map(entry).collect()
}

/// Names this boot: after a restart of the machine no pid means what it did.
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

/// Names the pid namespace: a container that shares the home directory counts its pids by itself.
pub(crate) fn pid_namespace() -> io::Result<String> {
    Ok(fs::read_link("/proc/self/ns/pid")?.to_string_lossy().into_owned())
}

fn create_unique(directory: &Path, pid: u32, start_time: u64) -> io::Result<(String, PathBuf, File)> {
    /// A process that opens more journals than this has gone wrong.
    const MOST: u32 = 10_000;
    for number in 0..MOST {
        let name = format!("{pid}-{start_time}-{number}");
        let path = directory.join(format!("{name}.jsonl"));
        match OpenOptions::new().create_new(true).append(true).open(&path) {
            Ok(file) => return Ok((name, path, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many journals of this process"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_end_leaves_no_file_and_an_unclean_one_does() {
        let home = tempfile::tempdir().unwrap();
        let journal = Journal::open_in(home.path()).unwrap();
        journal.child_started("broker-1", 1, 2).unwrap();
        journal.child_gone(1).unwrap();
        drop(journal);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);

        let journal = Journal::open_in(home.path()).unwrap();
        journal.child_started("broker-1", 1, 2).unwrap();
        drop(journal);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn two_journals_of_one_process_are_two_files() {
        let home = tempfile::tempdir().unwrap();
        let (first, second) = (
            Journal::open_in(home.path()).unwrap(),
            Journal::open_in(home.path()).unwrap(),
        );
        assert_ne!(first.name(), second.name());
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_a_bad_line_before_it_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("x.jsonl");
        fs::write(&path, "{\"entry\":\"child-gone\",\"pid\":4}\n{\"entry\":\"chi").unwrap();
        assert_eq!(read(&path).unwrap(), [Entry::ChildGone { pid: 4 }]);
        fs::write(&path, "{\"entry\":\"chi\n{\"entry\":\"child-gone\",\"pid\":4}\n").unwrap();
        assert!(read(&path).is_err());
    }

    #[test]
    fn a_temporary_directory_goes_with_its_guard_unless_kept() {
        let home = tempfile::tempdir().unwrap();
        let journal = Journal::open_in(&home.path().join("journals")).unwrap();
        let (gone, kept) = (home.path().join("gone"), home.path().join("kept"));
        drop(journal.temporary_directory(&gone).unwrap());
        let mut guard = journal.temporary_directory(&kept).unwrap();
        guard.keep().unwrap();
        drop(guard);
        assert!(!gone.exists() && kept.exists());
        assert!(!kept.join(DIRECTORY_MARKER).exists());
    }
}
