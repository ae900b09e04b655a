//! Reads the JSON files of a run folder. Shell.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::de::DeserializeOwned;

use super::JudgeError;
use crate::oracle::{self, Oracle};
use crate::seal::{FILE_NAME, POSITIONS_FILE_NAME, Positions, Seal};
use crate::timeline::FaultEvent;

/// A file of JSON lines; empty lines say nothing.
pub(super) fn json_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, JudgeError> {
    let io_error = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => JudgeError::Missing {
            path: path.to_owned(),
        },
        _ => JudgeError::Io {
            path: path.to_owned(),
            source,
        },
    };
    let mut values = Vec::new();
    for (i, line) in BufReader::new(File::open(path).map_err(io_error)?)
        .lines()
        .enumerate()
    {
        let line = line.map_err(io_error)?;
        if !line.trim().is_empty() {
            let value = serde_json::from_str(&line);
            let json_error = |source| JudgeError::Json {
                path: path.to_owned(),
                line: i + 1,
                source,
            };
            values.push(value.map_err(json_error)?);
        }
    }
    Ok(values)
}

/// A run without faults need not have the file; where faults were ordered, its absence is H2.
pub(super) fn fault_events(path: &Path) -> Result<Vec<FaultEvent>, JudgeError> {
    match json_lines(path) {
        Err(JudgeError::Missing { .. }) => Ok(Vec::new()),
        events => events,
    }
}

/// A run that was cut off before its log was read has no seal: that is H3, not damage.
pub(super) fn seal(run_dir: &Path) -> Result<Option<Seal>, JudgeError> {
    match Seal::read(run_dir) {
        Ok(seal) => Ok(Some(seal)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(JudgeError::Io {
            path: run_dir.join(FILE_NAME),
            source,
        }),
    }
}

/// Only a run that was asked for it has one.
pub(super) fn oracle(run_dir: &Path) -> Result<Option<Oracle>, JudgeError> {
    let path = run_dir.join(oracle::FILE_NAME);
    match std::fs::read(&path) {
        Ok(json) => {
            let oracle = serde_json::from_slice(&json);
            oracle.map(Some).map_err(|source| JudgeError::Json {
                path,
                line: 1,
                source,
            })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(JudgeError::Io { path, source }),
    }
}

/// Only a copy job has positions.
pub(super) fn positions(run_dir: &Path) -> Result<Option<Positions>, JudgeError> {
    Positions::read(run_dir).map_err(|source| JudgeError::Io {
        path: run_dir.join(POSITIONS_FILE_NAME),
        source,
    })
}
