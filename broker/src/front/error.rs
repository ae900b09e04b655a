//! Why the front did not start, or stopped. Nothing here is worth a retry without a mend.

use std::io;
use std::path::{Path, PathBuf};

use crate::recall::RecallError;

/// An error of the front.
#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    /// The data folder is not one that this version takes. Nothing in it was changed.
    #[error("{path}: {why}; nothing in it was changed\n  mend: {mend}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What to do.
        mend: &'static str,
    },
    /// Facts and logs of the folder do not fit together.
    #[error("{path}: {source}\n  mend: the data is damaged; start with another --data")]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// What does not fit.
        source: RecallError,
    },
    /// A port cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}\n  mend: end what listens there (`ss -ltnp` lists it), or choose another --port"
    )]
    Listen {
        /// `127.0.0.1:port`.
        address: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// A file, a socket or the kernel. Of a full disk too: what cannot be remembered must not be answered.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The kernel's reason.
        source: io::Error,
    },
}

impl FrontError {
    pub(super) fn io<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> FrontError {
        let what = what.into();
        move |source| FrontError::Io {
            what,
            source: source.into(),
        }
    }

    pub(super) fn folder(path: &Path, why: impl Into<String>, mend: &'static str) -> FrontError {
        FrontError::Folder {
            path: path.to_owned(),
            why: why.into(),
            mend,
        }
    }
}
