//! The documents of a run folder that a report is made of.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use steadfast_verifier::dossier::{self, Dossier};
use steadfast_verifier::environment::Environment;
use steadfast_verifier::measurements::Measurements;
use steadfast_verifier::verdict::{SCHEMA, Verdict};

/// The largest document that is read: a day of one point a second is about 15 MB.
pub const MAX_DOCUMENT_BYTES: u64 = 128 << 20;

/// Why a report could not be drawn. None of them says anything about the run itself.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A document is missing or cannot be read: judge the folder again (`steadfast verify DIR`), then retry.
    #[error("{path}: {source}; `steadfast verify` writes this file anew")]
    Read {
        /// The document.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A document is not what its name promises: give up, or judge the folder again.
    #[error("{path}: {reason}; `steadfast verify` writes this file anew")]
    Damaged {
        /// The document.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The document of a comparison or a sweep is missing or cannot be read: name the folder that they wrote.
    #[error("{path}: {source}; name a folder that `steadfast compare` or `steadfast sweep` wrote")]
    Unreadable {
        /// The document.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The document of a comparison or a sweep is not what its name promises: measure again.
    #[error("{path}: {reason}; only `steadfast compare` and `steadfast sweep` of this version write it")]
    Foreign {
        /// The document.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The folder cannot be written to: make room or give rights, then retry.
    #[error("{path}: {source}")]
    Write {
        /// The file to be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A template or writer refused; a bug of this crate.
    #[error("the report could not be drawn: {0}")]
    Draw(String),
}

/// What a report is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Folder {
    /// `verdict.json`.
    pub verdict: Verdict,
    /// `measurements.json`.
    pub measurements: Measurements,
    /// `environment.json`.
    pub environment: Environment,
    /// `dossiers.json`; empty where the folder was judged before there were any.
    pub dossiers: Vec<Dossier>,
}

impl Folder {
    /// Reads the documents of `run_dir`.
    ///
    /// # Errors
    /// [`ReportError::Read`] or [`ReportError::Damaged`], naming the document.
    pub fn read(run_dir: &Path) -> Result<Folder, ReportError> {
        Ok(Folder {
            verdict: verdict(run_dir)?,
            measurements: document(&run_dir.join("measurements.json"))?,
            environment: document(&run_dir.join("environment.json"))?,
            dossiers: dossiers(&run_dir.join(dossier::FILE_NAME))?,
        })
    }
}

/// A folder without dossiers is complete; one whose dossiers are damaged is not.
fn dossiers(path: &Path) -> Result<Vec<Dossier>, ReportError> {
    match document(path) {
        Err(ReportError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

/// Reads `verdict.json` alone and refuses another schema.
pub(crate) fn verdict(run_dir: &Path) -> Result<Verdict, ReportError> {
    let path = run_dir.join("verdict.json");
    let verdict: Verdict = document(&path)?;
    if verdict.schema == SCHEMA {
        return Ok(verdict);
    }
    let reason = format!("schema {:?}, this version reads {SCHEMA:?}", verdict.schema);
    Err(ReportError::Damaged { path, reason })
}

/// A document about several runs, `comparison.json` or `sweep.json`; another schema is refused.
pub(crate) fn of_several<T: DeserializeOwned>(
    dir: &Path,
    (name, schema): (&str, &str),
    schema_of: fn(&T) -> &str,
) -> Result<T, ReportError> {
    let path = dir.join(name);
    let read: T = document(&path).map_err(|error| match error {
        ReportError::Read { path, source } => ReportError::Unreadable { path, source },
        ReportError::Damaged { path, reason } => ReportError::Foreign { path, reason },
        other => other,
    })?;
    if schema_of(&read) == schema {
        return Ok(read);
    }
    let reason = format!("schema {:?}, this version reads {schema:?}", schema_of(&read));
    Err(ReportError::Foreign { path, reason })
}

fn document<T: DeserializeOwned>(path: &Path) -> Result<T, ReportError> {
    let unreadable = |source| ReportError::Read {
        path: path.to_path_buf(),
        source,
    };
    let damaged = |reason| ReportError::Damaged {
        path: path.to_path_buf(),
        reason,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_DOCUMENT_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_DOCUMENT_BYTES {
        return Err(damaged(format!("larger than {MAX_DOCUMENT_BYTES} bytes")));
    }
    serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dossiers_may_be_missing_and_may_not_be_damaged() {
        let dir = tempfile::tempdir().unwrap();
        crate::fixture::write(&crate::fixture::fail(), dir.path());
        assert_eq!(Folder::read(dir.path()).unwrap(), crate::fixture::fail());
        let path = dir.path().join(dossier::FILE_NAME);
        std::fs::write(&path, "[{").unwrap();
        assert!(matches!(
            Folder::read(dir.path()),
            Err(ReportError::Damaged { .. })
        ));
        std::fs::remove_file(path).unwrap();
        assert!(Folder::read(dir.path()).unwrap().dossiers.is_empty());
    }

    #[test]
    fn a_missing_a_torn_and_a_foreign_document_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let message = || verdict(dir.path()).unwrap_err();
        assert!(matches!(message(), ReportError::Read { .. }));
        std::fs::write(dir.path().join("verdict.json"), "{\"schema\": \"stead").unwrap();
        assert!(matches!(message(), ReportError::Damaged { .. }));
        let mut foreign = crate::fixture::pass().verdict;
        foreign.schema = "steadfast/verdict/9".to_owned();
        std::fs::write(
            dir.path().join("verdict.json"),
            serde_json::to_vec(&foreign).unwrap(),
        )
        .unwrap();
        assert!(
            message().to_string().contains("steadfast/verdict/9"),
            "{}",
            message()
        );
    }
}
