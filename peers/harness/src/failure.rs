//! Why a subject could not do its work, or refuses it.

use std::io;
use std::path::PathBuf;

use steadfast_loadgen::generator::GeneratorError;
use steadfast_loadgen::schedule::ScheduleError;

/// A sentence for standard error, and exit code 1. What was done until then stands in the history.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Mend the command.
    #[error("give --workload FILE and nothing else")]
    Usage,
    /// Mend the command, or the file.
    #[error("cannot read the workload {path}: {source}")]
    Workload {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// It asks for what this client cannot do.
    #[error("{0}")]
    Refused(String),
    /// Mend the workload.
    #[error("the schedule: {0}")]
    Schedule(#[from] ScheduleError),
    /// Mend the workload.
    #[error("the records: {0}")]
    Generator(#[from] GeneratorError),
    /// Mend the producer's properties.
    #[error("the producer's settings: {0}")]
    Settings(String),
    /// The folder is missing, the file is there already, or the disk is full.
    #[error("cannot write the history {path}: {source}")]
    History {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The topic is not as the workload says.
    #[error("topic {topic} has {found} partitions, the workload says {expected}: make them equal")]
    Partitions {
        /// The topic.
        topic: String,
        /// As the workload says.
        expected: u32,
        /// As the cluster says.
        found: usize,
    },
    /// The client did not start, or found no usable cluster in time.
    #[error("no usable cluster at {servers}: {reason}")]
    NotReady {
        /// Bootstrap servers.
        servers: String,
        /// The client's words.
        reason: String,
    },
    /// Who started this program has gone.
    #[error("cannot write progress: {0}")]
    Output(io::Error),
    /// No handler for SIGTERM, or no thread for the client.
    #[error("the system refuses what is needed: {0}")]
    System(io::Error),
}
