//! Where the judge's evidence comes from: the files of a run folder, or the memory of a simulated world. Both give the
//! same entries and batches, so that what judges the one judges the other.
//!
//! ```text
//! history/*.bin ───────────┐                    log/*.bin ───────────────┐
//! history::Recorded ───────┴─▶ Histories        BTreeMap<i32, LogBatch…> ┴─▶ Logs ─▶ Batches, as often as asked
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::slice;

use super::JudgeError;
use crate::frame::FormatError;
use crate::history::{self, Entry, Header, Recorded, Replay};
use crate::log::{self, LogBatch};
use crate::reads::{self, Seen};
use crate::seal::Seal;

/// The topic that is judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Topic<'a> {
    pub(super) name: &'a str,
    pub(super) partitions: u32,
    /// Records have keys, and the key is to choose the partition: O7 applies.
    pub(super) by_key: bool,
}

/// Histories by worker and incarnation.
pub(super) type Histories<'a> = BTreeMap<(u16, u32), History<'a>>;

/// One worker incarnation's history.
#[derive(Debug)]
pub(super) struct History<'a> {
    /// The file; for a simulated worker, its name.
    pub(super) path: PathBuf,
    pub(super) worker: u16,
    pub(super) incarnation: u32,
    pub(super) first_index: u64,
    /// The order to the worker; none in a simulated world, whose schedule is not judged.
    pub(super) header: Option<Header>,
    pub(super) entries: Entries<'a>,
}

/// The entries of a history.
#[derive(Debug)]
pub(super) enum Entries<'a> {
    File(Box<history::Reader>),
    Memory(Replay<'a>),
}

impl Entries<'_> {
    pub(super) fn next(&mut self) -> Result<Option<Entry<'_>>, FormatError> {
        match self {
            Entries::File(reader) => reader.next_entry(),
            Entries::Memory(replay) => Ok(replay.next()),
        }
    }

    /// After the last entry: none of them was the end.
    pub(super) fn torn(&self) -> bool {
        match self {
            Entries::File(reader) => reader.torn(),
            Entries::Memory(replay) => replay.torn(),
        }
    }
}

/// Opens `history/*.bin`. `growing`: their writers may still be at work.
pub(super) fn history_files(dir: &Path, growing: bool) -> Result<Histories<'static>, JudgeError> {
    let io = |source| JudgeError::Io {
        path: dir.to_owned(),
        source,
    };
    let mut histories = Histories::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_none_or(|extension| extension != "bin") {
            continue;
        }
        let reader = if growing {
            history::Reader::open_growing(&path)?
        } else {
            history::Reader::open(&path)?
        };
        let header = reader.header().clone();
        let history = History {
            path,
            worker: header.worker,
            incarnation: header.incarnation,
            first_index: header.workload.first_index,
            header: Some(header),
            entries: Entries::File(Box::new(reader)),
        };
        insert(&mut histories, history)?;
    }
    if histories.is_empty() {
        return Err(JudgeError::Missing {
            path: dir.join("*.bin"),
        });
    }
    Ok(histories)
}

/// The histories of a simulated world.
pub(super) fn recorded(recorded: &[Recorded]) -> Result<Histories<'_>, JudgeError> {
    let mut histories = Histories::new();
    for recorded in recorded {
        let (worker, incarnation) = (recorded.worker, recorded.incarnation);
        let history = History {
            path: PathBuf::from(format!("history {worker}-{incarnation}")),
            worker,
            incarnation,
            first_index: recorded.first_index,
            header: None,
            entries: Entries::Memory(recorded.replay()),
        };
        insert(&mut histories, history)?;
    }
    Ok(histories)
}

fn insert<'a>(histories: &mut Histories<'a>, history: History<'a>) -> Result<(), JudgeError> {
    let path = history.path.clone();
    match histories.insert((history.worker, history.incarnation), history) {
        None => Ok(()),
        Some(other) => Err(JudgeError::Contradiction {
            what: format!(
                "it and {} are of the same worker and incarnation",
                other.path.display()
            ),
            path,
        }),
    }
}

/// What the reader read of one topic, by partition.
#[derive(Debug)]
pub(super) enum Logs<'a> {
    Files(BTreeMap<i32, PathBuf>),
    Memory(&'a BTreeMap<i32, Vec<LogBatch>>),
}

impl Logs<'_> {
    /// The log files of the topic. One that the seal speaks of must be there.
    pub(super) fn files(
        dir: &Path,
        topic: &Topic<'_>,
        seal: Option<&Seal>,
    ) -> Result<Logs<'static>, JudgeError> {
        let sealed: Vec<i32> = seal.map_or(Vec::new(), |seal| {
            let of_topic = seal.partitions.iter().filter(|p| p.topic == topic.name);
            of_topic.map(|p| p.partition).collect()
        });
        let mut files = BTreeMap::new();
        let count = i32::try_from(topic.partitions).unwrap_or(i32::MAX);
        for partition in (0..count).chain(sealed.iter().copied()) {
            let path = log::path(dir, topic.name, partition);
            if path.exists() {
                files.insert(partition, path);
            } else if sealed.contains(&partition) {
                return Err(JudgeError::Missing { path });
            }
        }
        Ok(Logs::Files(files))
    }

    pub(super) fn partitions(&self) -> Vec<i32> {
        match self {
            Logs::Files(files) => files.keys().copied().collect(),
            Logs::Memory(logs) => logs.keys().copied().collect(),
        }
    }

    /// Reads a partition from its begin.
    pub(super) fn open(&self, topic: &Topic<'_>, partition: i32) -> Result<Batches<'_>, JudgeError> {
        match self {
            Logs::Files(files) => {
                let path = files.get(&partition).ok_or_else(|| JudgeError::Missing {
                    path: PathBuf::from(format!("{}-{partition}.bin", topic.name)),
                })?;
                let reader = log::Reader::open(path)?;
                if reader.topic() != topic.name || reader.partition() != partition {
                    return Err(JudgeError::Contradiction {
                        path: path.clone(),
                        what: format!("it says that it is {}-{}", reader.topic(), reader.partition()),
                    });
                }
                Ok(Batches::File(Box::new(reader)))
            }
            Logs::Memory(logs) => {
                let batches = logs.get(&partition).map_or(&[][..], Vec::as_slice);
                Ok(Batches::Memory(batches.iter()))
            }
        }
    }
}

/// The batches of one partition, in offset order.
#[derive(Debug)]
pub(super) enum Batches<'a> {
    File(Box<log::Reader>),
    Memory(slice::Iter<'a, LogBatch>),
}

impl Batches<'_> {
    pub(super) fn next(&mut self) -> Result<Option<&LogBatch>, FormatError> {
        match self {
            Batches::File(reader) => reader.next_batch(),
            Batches::Memory(batches) => Ok(batches.next()),
        }
    }

    /// After the last batch: the end offset up to which it was read, where the source says so.
    pub(super) fn end_offset(&self) -> Option<i64> {
        match self {
            Batches::File(reader) => reader.footer().map(|footer| footer.end_offset),
            Batches::Memory(_) => None,
        }
    }
}

/// What one reader saw during the run.
#[derive(Debug)]
pub(super) enum Observations<'a> {
    File(Box<reads::Reader>),
    Memory(&'a reads::Header, reads::Replay<'a>),
}

impl Observations<'_> {
    pub(super) fn header(&self) -> &reads::Header {
        match self {
            Observations::File(reader) => reader.header(),
            Observations::Memory(header, _) => header,
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<Seen<'_>>, FormatError> {
        match self {
            Observations::File(reader) => reader.next_seen(),
            Observations::Memory(_, replay) => Ok(replay.next()),
        }
    }
}

/// Opens `reads/*.bin` of readers of this topic, in order of their names; a run need not have any.
pub(super) fn observation_files(dir: &Path, topic: &str) -> Result<Vec<Observations<'static>>, JudgeError> {
    let io = |source| JudgeError::Io {
        path: dir.to_owned(),
        source,
    };
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_some_and(|extension| extension == "bin") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut observations = Vec::new();
    for path in paths {
        let reader = reads::Reader::open(&path)?;
        if reader.header().topic == topic {
            observations.push(Observations::File(Box::new(reader)));
        }
    }
    Ok(observations)
}
