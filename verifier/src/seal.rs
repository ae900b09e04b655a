//! `seal.json`: how far each partition was read, and whether that was all there will ever be.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The file's name in the run folder.
pub const FILE_NAME: &str = "seal.json";
/// The name of the file of [`Positions`].
pub const POSITIONS_FILE_NAME: &str = "positions.json";

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
    /// How long the last stable offset had stood still, below the end offset, when the reader gave up; 0 = it did not.
    #[serde(default)]
    pub stable_stood_ns: u64,
    /// The reader has read everything below this offset.
    pub read_to: i64,
}

/// `positions.json`: how far a consume-transform-produce job says that it has read its source, asked for after the last
/// outcome. Written by the runner; only a copy job has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Positions {
    /// The topic that was read; its log lies in `log/` beside that of the topic written to.
    pub topic: String,
    /// Its number of partitions.
    pub partitions: u32,
    /// Consumer group.
    pub group: String,
    /// By partition, the committed offset: the next one to be read. A partition without one is not here.
    pub committed: BTreeMap<i32, i64>,
}

impl Positions {
    /// Writes `positions.json` into the run folder.
    pub fn write(&self, run_dir: &Path) -> io::Result<()> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        fs::write(run_dir.join(POSITIONS_FILE_NAME), json)
    }

    /// Reads `positions.json` of a run folder; none when there is none.
    pub fn read(run_dir: &Path) -> io::Result<Option<Positions>> {
        match fs::read(run_dir.join(POSITIONS_FILE_NAME)) {
            Ok(json) => Ok(Some(serde_json::from_slice(&json)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Seal {
    /// How far a partition was read; none where it is not among them.
    pub fn of(&self, topic: &str, partition: i32) -> Option<&PartitionSeal> {
        let mut all = self.partitions.iter();
        all.find(|sealed| sealed.partition == partition && sealed.topic == topic)
    }

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
