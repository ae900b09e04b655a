//! What can be wrong with a cluster, said so that the reader knows what to do about it.
//!
//! Nothing here is worth a retry by the caller: where one helps (a port taken meanwhile, an election under way) it was made
//! inside, under a bound. All end a run before it begins (exit 3), or void the fault they happened in.

use std::io;
use std::time::Duration;

use crate::process::SpawnError;

/// An error of clusters, faults and healing.
#[derive(Debug, thiserror::Error)]
pub enum ChaosError {
    /// Something this machine lacks: Java, Maven, jars, a port, disk, memory.
    #[error("{what}\n  mend: {mend}")]
    Missing {
        /// What is missing and where it was looked for.
        what: String,
        /// What to do.
        mend: String,
    },
    /// A broker ended, or was not ready within its bound.
    #[error("{name} {reason}\n  mend: {mend}\n  log: {log}\n{}", indented(.last_lines))]
    Broker {
        /// `broker-1`.
        name: String,
        /// What it did: `ended (exit 1) during start`, `was not ready after 60 s`.
        reason: String,
        /// Its log file.
        log: String,
        /// The last lines of it.
        last_lines: Vec<String>,
        /// What to do.
        mend: String,
    },
    /// A bootstrap server does not answer as a Kafka broker.
    #[error("{server} is not reachable: {reason} (tried for {waited:.0?})\n  mend: {mend}")]
    Unreachable {
        /// `host:port`.
        server: String,
        /// The last thing that went wrong.
        reason: String,
        /// How long it was tried.
        waited: Duration,
        /// What to do.
        mend: String,
    },
    /// Asked for something that this cluster may not or cannot do.
    #[error("{what}\n  mend: {mend}")]
    Refused {
        /// What was asked and why not.
        what: String,
        /// What to do.
        mend: String,
    },
    /// A request to the cluster failed, or its answer did not become true within the bound.
    #[error("{what}: {reason}")]
    Admin {
        /// `create topic orders`, `wait for leaders of orders`, ...
        what: String,
        /// Why.
        reason: String,
    },
    /// Ctrl-C or SIGTERM while waiting.
    #[error("interrupted")]
    Interrupted,
    /// A file, a directory or a signal.
    #[error("{what}: {source}{}", io_mend(.source))]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A child could not be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

impl ChaosError {
    /// Wraps an I/O error with what was tried.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> ChaosError {
        let what = what.into();
        move |source| ChaosError::Io { what, source }
    }

    pub(crate) fn missing(what: impl Into<String>, mend: impl Into<String>) -> ChaosError {
        ChaosError::Missing {
            what: what.into(),
            mend: mend.into(),
        }
    }

    pub(crate) fn admin(what: impl Into<String>, reason: impl Into<String>) -> ChaosError {
        ChaosError::Admin {
            what: what.into(),
            reason: reason.into(),
        }
    }
}

fn io_mend(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull => {
            "\n  mend: free disk space, or put the run folder on another disk with --out"
        }
        io::ErrorKind::PermissionDenied => {
            "\n  mend: give yourself the right to write there, or choose another place"
        }
        _ => "",
    }
}

fn indented(lines: &[String]) -> String {
    lines
        .iter()
        .map(|line| format!("  | {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}
