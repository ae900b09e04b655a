//! `seal.json`: how far each partition was read, and whether that was all there will ever be.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The file's name in the run folder.
pub const FILE_NAME: &str = "seal.json";

/// Whether the log is complete. Only a sealed log can show that something is absent; anything else is H3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// One for each partition of the topic, in order.
    pub partitions: Vec<PartitionSeal>,
    /// True only if every partition was read to the end offset recorded after the last outcome, and none has an open
    /// transaction.
    pub sealed: bool,
    /// Why it is not sealed.
    pub reason: Option<String>,
}

/// One partition after the last outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionSeal {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Its end offset (high watermark: the offset of the next record), recorded after the last outcome.
    pub end_offset: i64,
    /// Its last stable offset: below it no transaction is open.
    pub last_stable_offset: i64,
    /// Producers with an open transaction.
    pub open_transactions: u32,
    /// The reader has read everything below this offset.
    pub read_to: i64,
}

impl Seal {
    /// Writes `seal.json` into the run folder.
    pub fn write(&self, run_dir: &Path) -> io::Result<()> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        fs::write(run_dir.join(FILE_NAME), json)
    }

    /// Reads `seal.json` of a run folder.
    pub fn read(run_dir: &Path) -> io::Result<Seal> {
        Ok(serde_json::from_slice(&fs::read(run_dir.join(FILE_NAME))?)?)
    }
}
