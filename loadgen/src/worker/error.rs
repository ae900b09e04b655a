//! Why a worker could not do its work.

use std::io;
use std::path::PathBuf;

use steadfast_producer::error::Fatal;
use steadfast_producer::transaction::TransactionError;

use crate::generator::GeneratorError;
use crate::schedule::ScheduleError;

/// Why a worker could not do its work, or not to the end. What it did until then stands in the history.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Mend the workload.
    #[error("the schedule: {0}")]
    Schedule(#[from] ScheduleError),
    /// Mend the workload.
    #[error("the records: {0}")]
    Generator(#[from] GeneratorError),
    /// Mend the producer's properties.
    #[error("the producer's settings: {0}")]
    Settings(String),
    /// The topic is not as the workload says.
    #[error(
        "topic {topic} has {found} partitions, the workload says {expected}: create the topic anew or mend the workload"
    )]
    Partitions {
        /// The topic.
        topic: String,
        /// As the workload says.
        expected: u32,
        /// As the cluster says.
        found: u32,
    },
    /// Give the producer more memory.
    #[error(
        "buffer.memory holds {free} bytes, one batch needs {needed}: raise buffer.memory or lower batch.size"
    )]
    Buffer {
        /// All there is.
        free: usize,
        /// Bytes of a batch.
        needed: usize,
    },
    /// The folder is missing, the file is there already, or the disk is full.
    #[error(
        "cannot write the history {path}: {source}\n  mend: it needs an existing folder with room, and a new name: choose another --out"
    )]
    History {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// No usable cluster behind the bootstrap servers in time. Nothing was sent.
    #[error("no usable cluster at {servers}: {source}; check that it runs and that the topic exists")]
    NotReady {
        /// Bootstrap servers.
        servers: String,
        /// The last thing that went wrong.
        source: Fatal,
    },
    /// The producer gave up on the way. Outcomes of all it had taken stand in the history.
    #[error("the producer stopped: {0}")]
    Producer(Fatal),
    /// The producer refused a call about transactions: ours and its ideas of their state differ.
    #[error("the producer refused a call: {0}")]
    Transaction(TransactionError),
    /// A copy job cannot work on its source.
    #[error("the source of the copies: {0}")]
    Source(String),
    /// A copy job did not come to the end of its source in time.
    #[error("not all of the source was copied in time; the last trouble: {0}")]
    Unfinished(String),
    /// Nobody reads the progress any more, so the load was ended in order.
    #[error("cannot write progress: {0}; who started this worker has gone")]
    Output(io::Error),
    /// No handler for SIGTERM.
    #[error("cannot handle SIGTERM: {0}")]
    Signal(io::Error),
}

impl WorkerError {
    /// True when the machine or the cluster lacks something, and neither the workload nor we are wrong.
    pub fn is_environment(&self) -> bool {
        match self {
            WorkerError::NotReady { .. } => true,
            WorkerError::History { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::ReadOnlyFilesystem
            ),
            _ => false,
        }
    }
}
