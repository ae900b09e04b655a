//! Child processes that never outlive the runner.
//!
//! ```text
//! runner ── Spawner thread ── fork/exec ─► steadfast exec-child --parent PID -- program args
//!             (lives as long                 own process group
//!              as any child)                 parent-death signal = SIGKILL     prctl(2), PR_SET_PDEATHSIG
//!                                            parent looked at again            (it may have died in between)
//!                                            exec program
//! ```
//! The death signal follows the *thread* that forked, not the process: so one thread forks them all and stays. It survives
//! exec, but is cleared in a fork: it has to be set in the child, and without `unsafe` that takes a program of ours between
//! fork and exec, the shim. The runner's own file is opened once, so a rebuilt binary cannot become another shim half-way.
//! Every child is in the journal on disk from birth to reaping, and carries the journal's name in its environment, so that
//! `heal` finds it and its descendants even after SIGKILL of the runner.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{ChildStdout, Command, ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, getpid, getppid, kill_process_group, pidfd_open};

use crate::clock::Deadline;
use crate::error::ChaosError;
use crate::journal::{JOURNAL_VARIABLE, Journal};
use crate::procstat;

pub use rustix::process::Signal;

/// The hidden subcommand of the binary that [`shim`] serves.
pub const SHIM_COMMAND: &str = "exec-child";
/// The shim's exit code when the program could not be executed (the shell's own code for it).
pub const EXEC_FAILED: u8 = 127;
/// How often a wait looks whether the run is to stop.
const STOP_LOOK: Duration = Duration::from_millis(50);
/// How long a killed process may take to be reaped before it is given up (it hangs in the kernel, for instance on a dead disk).
pub const REAP_BOUND: Duration = Duration::from_secs(5);

/// What to start.
#[derive(Debug)]
pub struct ChildSpec {
    /// Name for people, e.g. `broker-1`.
    pub name: String,
    /// The program's file.
    pub program: Program,
    /// Its arguments, without the program's own name.
    pub args: Vec<OsString>,
    /// Variables added to the runner's environment.
    pub env: Vec<(String, String)>,
    /// Working directory; the runner's when none.
    pub cwd: Option<PathBuf>,
    /// Where standard output goes.
    pub stdout: Output,
    /// The file that standard error is appended to.
    pub stderr: PathBuf,
}

/// Which program a child runs.
#[derive(Debug, Clone)]
pub enum Program {
    /// This binary again, under another subcommand.
    Myself,
    /// A file, or a name that PATH is searched for.
    File(PathBuf),
}

/// Where a child's standard output goes.
#[derive(Debug, Clone)]
pub enum Output {
    /// Appended to this file.
    File(PathBuf),
    /// To [`Child::take_stdout`]; whoever asks for a pipe has to read it.
    Pipe,
}

/// Why a child could not be started. Nothing runs then.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// A log file of the child could not be opened.
    #[error("cannot write {path}: {source}")]
    Log {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// fork or exec of the shim failed (process limit, memory).
    #[error("cannot start a process for {name}: {source}")]
    Fork {
        /// The child's name.
        name: String,
        /// The reason.
        source: io::Error,
    },
    /// The journal could not be written, so the child was ended again.
    #[error("cannot note {name} in the heal journal: {source}")]
    Journal {
        /// The child's name.
        name: String,
        /// The reason.
        source: io::Error,
    },
}

/// Starts children. Cheap to clone; the thread behind it ends with the last clone and the last child.
#[derive(Debug, Clone)]
pub struct Spawner {
    thread: Arc<SpawnerThread>,
    journal: Arc<Journal>,
    stop: Arc<AtomicBool>,
    /// Arguments in front of [`SHIM_COMMAND`]; only the unit tests have any, since their binary is not `steadfast`.
    lead_in: Vec<OsString>,
}

#[derive(Debug)]
struct SpawnerThread {
    /// None only while dropping.
    orders: Option<SyncSender<Order>>,
    handle: Option<JoinHandle<()>>,
    /// This very program, kept open.
    own_program: File,
}

struct Order {
    command: Command,
    reply: SyncSender<io::Result<std::process::Child>>,
}

impl Spawner {
    /// Starts the thread. All children are noted in `journal`.
    pub fn start(journal: Arc<Journal>) -> io::Result<Spawner> {
        let own_program = File::open("/proc/self/exe")?;
        let (orders, inbox) = sync_channel::<Order>(1);
        let handle = std::thread::Builder::new()
            .name("spawner".into())
            .spawn(move || {
                while let Ok(mut order) = inbox.recv() {
                    let born = order.command.spawn();
                    // A requester that is gone cannot own the child: dropping the reply leaves it to the death signal.
                    let _gone = order.reply.send(born);
                }
            })?;
        let thread = SpawnerThread {
            orders: Some(orders),
            handle: Some(handle),
            own_program,
        };
        Ok(Spawner {
            thread: Arc::new(thread),
            journal,
            stop: Arc::default(),
            lead_in: Vec::new(),
        })
    }

    /// Raise it (from a signal handler, say) and every wait for a start, a download or a readiness ends as interrupted.
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// An error once the flag is raised.
    pub fn check_stop(&self) -> Result<(), ChaosError> {
        if self.stop.load(Ordering::Relaxed) {
            Err(ChaosError::Interrupted)
        } else {
            Ok(())
        }
    }

    /// The journal that children are noted in, for the temporary directories of their owner.
    pub fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// Starts a child. That the program's file cannot be executed shows as exit code [`EXEC_FAILED`] and in its stderr.
    pub fn spawn(&self, spec: &ChildSpec) -> Result<Child, SpawnError> {
        let command = self.command(spec)?;
        let fork_error = |source| SpawnError::Fork {
            name: spec.name.clone(),
            source,
        };
        let born = self.thread.fork(command).map_err(fork_error)?;
        let pid = born.id();
        let start_time = procstat::stat(pid).map_or(0, |stat| stat.start_time);
        let child = Child {
            name: spec.name.clone(),
            pid,
            start_time,
            process: born,
            status: None,
            journal: Arc::clone(&self.journal),
            _thread: Arc::clone(&self.thread),
        };
        // On an error the drop of `child` ends the process.
        self.journal
            .child_started(&spec.name, pid, start_time)
            .map_err(|source| SpawnError::Journal {
                name: spec.name.clone(),
                source,
            })?;
        Ok(child)
    }

    fn command(&self, spec: &ChildSpec) -> Result<Command, SpawnError> {
        let own_program = format!("/proc/self/fd/{}", self.thread.own_program.as_raw_fd());
        let mut command = Command::new(&own_program);
        command.arg0("steadfast").args(&self.lead_in).arg(SHIM_COMMAND);
        command
            .arg("--parent")
            .arg(getpid().as_raw_nonzero().to_string())
            .arg("--");
        match &spec.program {
            Program::Myself => command.arg("/proc/self/exe"),
            Program::File(path) => command.arg(path),
        };
        command.args(&spec.args);
        command.envs(spec.env.iter().map(|(name, value)| (name, value)));
        command.env(JOURNAL_VARIABLE, self.journal.name());
        if let Some(cwd) = &spec.cwd {
            command.current_dir(cwd);
        }
        command.process_group(0).stdin(Stdio::null());
        command.stdout(match &spec.stdout {
            Output::File(path) => Stdio::from(appending(path)?),
            Output::Pipe => Stdio::piped(),
        });
        command.stderr(appending(&spec.stderr)?);
        Ok(command)
    }
}

impl SpawnerThread {
    fn fork(&self, command: Command) -> io::Result<std::process::Child> {
        let ended = || io::Error::other("the spawner thread has ended");
        let (reply, answer) = sync_channel(1);
        self.orders
            .as_ref()
            .ok_or_else(ended)?
            .send(Order { command, reply })
            .map_err(|_| ended())?;
        answer.recv().map_err(|_| ended())?
    }
}

impl Drop for SpawnerThread {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(handle) = self.handle.take() {
            let _panicked = handle.join();
        }
    }
}

/// One running child. Dropping it kills its process group.
#[derive(Debug)]
pub struct Child {
    /// Name for people.
    pub name: String,
    /// Process id, and id of its process group.
    pub pid: u32,
    /// Start time in clock ticks after boot: with the pid it names this process.
    pub start_time: u64,
    process: std::process::Child,
    status: Option<ExitStatus>,
    journal: Arc<Journal>,
    _thread: Arc<SpawnerThread>,
}

impl Child {
    /// The read end of its standard output, once, when the spec asked for [`Output::Pipe`].
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.process.stdout.take()
    }

    /// Its exit status if it has ended. Never waits.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self.process.try_wait()?;
            if self.status.is_some() {
                self.journal.child_gone(self.pid)?;
            }
        }
        Ok(self.status)
    }

    /// Waits for its end up to `deadline`; none when it still runs then. `heeds`: an error as soon as the run is to stop.
    pub(crate) fn until(
        &mut self,
        deadline: Deadline,
        heeds: Option<&Spawner>,
    ) -> Result<Option<ExitStatus>, ChaosError> {
        loop {
            let status = self
                .wait(STOP_LOOK.min(deadline.left()))
                .map_err(ChaosError::io(format!("wait for {}", self.name)))?;
            if let Some(spawner) = heeds {
                spawner.check_stop()?;
            }
            if status.is_some() || deadline.passed() {
                return Ok(status);
            }
        }
    }

    /// Waits up to `bound` for its end, asleep on a pidfd; none when it still runs then.
    pub fn wait(&mut self, bound: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Deadline::after(bound);
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(Some(status));
            }
            if deadline.passed() {
                return Ok(None);
            }
            // Not reaped yet, so the pid is still its own.
            let Some(pid) = procstat::raw(self.pid) else {
                return Ok(None);
            };
            let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
            wait_readable(&pidfd, deadline.left())?;
        }
    }

    /// Sends a signal to its process group. An error means that it has ended already.
    pub fn signal(&mut self, signal: Signal) -> io::Result<()> {
        if self.try_wait()?.is_some() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("{} has ended", self.name),
            ));
        }
        let pid = procstat::raw(self.pid).ok_or_else(|| io::Error::other("no such pid"))?;
        Ok(kill_process_group(pid, signal)?)
    }

    /// Ends it: SIGTERM, `grace` to go by itself, then SIGKILL. Works on a stopped process too.
    pub fn terminate(&mut self, grace: Duration) -> io::Result<ExitStatus> {
        if let Some(status) = self.try_wait()? {
            return Ok(status);
        }
        // A stopped process handles SIGTERM only after SIGCONT.
        let _ended = self.signal(Signal::TERM).and_then(|()| self.signal(Signal::CONT));
        match self.wait(grace)? {
            Some(status) => Ok(status),
            None => self.kill(),
        }
    }

    /// SIGKILL to its group and the exit status.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        let _ended = self.signal(Signal::KILL);
        self.wait(REAP_BOUND)?.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::TimedOut,
                format!("{} (pid {}) hangs in the kernel", self.name, self.pid),
            )
        })
    }
}

/// Whether what [`Child::until`] waited for ended well, else how it did.
pub(crate) fn ended_well(status: Option<ExitStatus>, bound: Duration) -> Result<(), String> {
    match status {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(describe_status(status)),
        None => Err(format!("took over {bound:?}")),
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Best effort: what survives this is in the journal.
        let _hangs = self.kill();
    }
}

/// `exit 0`, `signal 9`: how a process ended, for evidence and messages.
pub fn describe_status(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "ended".into(),
    }
}

/// What the hidden subcommand `exec-child --parent PID -- program args...` does; `args` begin at `--parent`.
/// Returns only when the program was not started.
pub fn shim(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.collect();
    let usage = || {
        eprintln!("usage (for steadfast itself): {SHIM_COMMAND} --parent PID -- program [args]");
        ExitCode::from(2)
    };
    let [flag, parent, dashes, program, program_args @ ..] = args.as_slice() else {
        return usage();
    };
    let parent = parent
        .to_str()
        .and_then(|text| text.parse::<u32>().ok())
        .and_then(procstat::raw);
    let (Some(parent), true) = (
        parent,
        flag == OsStr::new("--parent") && dashes == OsStr::new("--"),
    ) else {
        return usage();
    };
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(Signal::KILL)) {
        eprintln!("steadfast: cannot tie this process to its runner: {error}");
        return ExitCode::from(EXEC_FAILED);
    }
    // The runner may have died before the line above: then nobody will send the signal.
    if getppid() != Some(parent) {
        return ExitCode::from(EXEC_FAILED);
    }
    let error = Command::new(program).args(program_args).exec();
    eprintln!("steadfast: cannot execute {}: {error}", program.to_string_lossy());
    ExitCode::from(EXEC_FAILED)
}

fn appending(path: &PathBuf) -> Result<File, SpawnError> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map_err(|source| SpawnError::Log {
        path: path.clone(),
        source,
    })
}

/// Sleeps until the pidfd reports the end of its process, or the bound.
pub(crate) fn wait_readable(pidfd: &impl std::os::fd::AsFd, bound: Duration) -> io::Result<()> {
    let timeout = Timespec::try_from(bound).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
