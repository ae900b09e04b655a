//! Reads the whole topic after the last outcome and seals it: the judge's own eyes.
//!
//! ```text
//! ListOffsets ──▶ end offsets ──▶ Fetch until all are reached ──▶ log/<topic>-<partition>.bin
//!      ▲                                   │
//!      └── pause, until they did not move ◀┘──▶ no open transaction, nothing unreadable ──▶ seal.json
//! ```
//!
//! Reads uncommitted: what an aborted transaction left is seen too, and the judge decides. The end offset is the high
//! watermark, which no acknowledged record (acks=all) stands above; it must stand still over [`SETTLE`], since bytes
//! of a request without an answer may still be on their way. What cannot be sealed before the deadline is written
//! down as not sealed, with the reason; it never looks like a seal.

mod batch; // record batches, as bytes
mod decompress; // codecs behind a cap
mod partition; // from fetched bytes to log/
mod cluster; // leaders, offsets, patience
mod settle; // is this the end?
mod records; // whole records, for a subject that copies them
mod positions; // how far a copy job says that it is
pub mod live; // a reader that follows the topic while the load runs

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use steadfast_wire::admin::AdminError;
use steadfast_wire::kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use steadfast_wire::kafka_protocol::messages::{BrokerId, FetchRequest, TopicName};
use steadfast_wire::kafka_protocol::protocol::StrBytes;

use crate::log::LogBatch;
use crate::seal::{PartitionSeal, Seal};
use cluster::{Cluster, Ends, Trouble, retriable};
use partition::{PartitionLog, Stuck};
use settle::{Settled, settled};

pub use decompress::MAX_DECOMPRESSED_BYTES;
pub use positions::{NoPositions, read_positions};
pub use records::{FetchedRecord, committed_records};

/// How long a cluster may take to tell the offsets of a topic that somebody asks about.
pub const LOOK: Duration = Duration::from_secs(10);
/// How long the end offsets must stand still.
pub const SETTLE: Duration = Duration::from_secs(1);
/// Bytes of one answer, all partitions of a leader together. A single larger batch still comes (KIP-74).
const FETCH_BYTES: i32 = 8 << 20;
/// Bytes of one partition in one answer.
const FETCH_PARTITION_BYTES: i32 = 2 << 20;
/// How long a broker may hold back an answer that has no data.
const FETCH_WAIT_MS: i32 = 100;
/// The longest that a broker's quota may hold the reader up at a time.
const LONGEST_THROTTLE: Duration = Duration::from_secs(30);
/// The newest version of Fetch that names topics (later ones use topic ids, KIP-516).
const FETCH_VERSION: i16 = 12;
/// OFFSET_OUT_OF_RANGE.
const OFFSET_OUT_OF_RANGE: i16 = 1;

/// Why there is neither log nor seal. A cluster that cannot be read is no such case: that makes a seal that says so.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The run folder cannot be written.
    #[error("cannot write the log into the run folder: {0}")]
    Io(#[from] io::Error),
    /// Nobody gave the topic's offsets, so that there is nothing to judge.
    #[error("cannot read topic {topic} from {servers}: {reason}")]
    Unreachable {
        /// Which topic.
        topic: String,
        /// The bootstrap servers that were asked.
        servers: String,
        /// What the last of them said.
        reason: String,
    },
}

/// A topic that somebody else filled, as far as it can still be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsItStands {
    /// How far it was read, and whether that was all.
    pub seal: Seal,
    /// By partition, the offset that its log begins at: what stood before is deleted.
    pub begins: BTreeMap<i32, i64>,
}

/// Reads all partitions of `topics` from the cluster behind `bootstrap` (`host:port`, listeners that no fault
/// touches), to be called after the last outcome. Writes `log/` and one `seal.json` into the run folder and gives the
/// seal back. `deadline` bounds each topic; `progress` gets records read and records expected of the topic at hand,
/// about once per answer.
pub fn seal_and_read(
    bootstrap: &[String],
    topics: &[&str],
    run_dir: &Path,
    deadline: Duration,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Seal, ReadError> {
    let dir = run_dir.join("log");
    fs::create_dir_all(&dir)?;
    let mut whole = Seal {
        partitions: Vec::new(),
        sealed: true,
        reason: None,
    };
    for topic in topics {
        let seal = read_topic(bootstrap, topic, &dir, deadline, progress)?;
        whole.partitions.extend(seal.partitions);
        whole.sealed &= seal.sealed;
        whole.reason = whole.reason.or(seal.reason);
    }
    whole.write(run_dir)?;
    Ok(whole)
}

fn read_topic(
    bootstrap: &[String],
    topic: &str,
    dir: &Path,
    deadline: Duration,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Seal, ReadError> {
    let mut reading = Reading::of(bootstrap, topic, deadline);
    let reason = reading.run(dir, progress)?;
    Ok(reading.finish(reason)?)
}

/// Reads a topic of which nobody knows a history: from the first offset that is still there, into `dir`. Changes nothing
/// on the cluster. A topic that cannot even be looked at within [`LOOK`] is an error, and not a seal that says so.
pub fn read_as_it_stands(
    bootstrap: &[String],
    topic: &str,
    dir: &Path,
    deadline: Duration,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<AsItStands, ReadError> {
    fs::create_dir_all(dir)?;
    let looked = Cluster::new(bootstrap, topic, LOOK.min(deadline)).persist(Cluster::ends);
    let ends = looked.map_err(|trouble| ReadError::Unreachable {
        topic: topic.to_owned(),
        servers: bootstrap.join(","),
        reason: trouble.to_string(),
    })?;
    let begins = ends.iter().map(|ends| (ends.partition, ends.earliest)).collect();
    let mut reading = Reading::of(bootstrap, topic, deadline);
    reading.begins = Some(begins);
    let reason = reading.run(dir, progress)?;
    let begins = reading.begins.take().unwrap_or_default();
    let seal = reading.finish(reason)?;
    Ok(AsItStands { seal, begins })
}

/// The batches of one partition of a simulated cluster, from all its bytes, by the same eyes. An error is a sentence:
/// these bytes are no log, so nothing can be said about it.
pub fn batches(topic: &str, bytes: &[u8]) -> Result<Vec<LogBatch>, String> {
    let mut log = PartitionLog::in_memory(topic);
    log.accept(bytes).map_err(|stuck| stuck.to_string())?;
    Ok(log.into_batches())
}

/// Why reading ended before the seal.
enum Stop {
    Io(io::Error),
    NotSealed(String),
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Stop {
        Stop::NotSealed(trouble.to_string())
    }
}

/// One partition: the log that it goes to and the number of producers with an open transaction.
struct Partition {
    number: i32,
    log: PartitionLog,
    open_transactions: u32,
    /// The last stable offset, when it was below the end, and since when it has stood there.
    stable: Option<(i64, Duration)>,
    stood: Duration,
}

struct Reading<'a> {
    cluster: Cluster,
    topic: &'a str,
    /// Where each partition may begin; none: at 0, since anything else lacks what was written.
    begins: Option<BTreeMap<i32, i64>>,
    /// The newest that the leaders told, in the order of `logs`.
    ends: Vec<Ends>,
    logs: Vec<Partition>,
}

impl<'a> Reading<'a> {
    fn of(bootstrap: &[String], topic: &'a str, deadline: Duration) -> Reading<'a> {
        Reading {
            cluster: Cluster::new(bootstrap, topic, deadline),
            topic,
            begins: None,
            ends: Vec::new(),
            logs: Vec::new(),
        }
    }

    /// Reads to the end; why it is not sealed, if it is not.
    fn run(&mut self, dir: &Path, progress: &mut dyn FnMut(u64, u64)) -> io::Result<Option<String>> {
        match self.read(dir, progress) {
            Ok(()) => Ok(None),
            Err(Stop::Io(error)) => Err(error),
            Err(Stop::NotSealed(reason)) => Ok(Some(reason)),
        }
    }

    fn read(&mut self, dir: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), Stop> {
        self.ends = self.cluster.persist(Cluster::ends)?;
        for ends in &self.ends {
            let may_begin = match &mut self.begins {
                None => 0,
                // Retention may have gone on since the first look.
                Some(begins) => {
                    begins.insert(ends.partition, ends.earliest);
                    ends.earliest
                }
            };
            if ends.earliest > may_begin {
                let gone = format!(
                    "{}-{}: records below offset {} were deleted before they could be read",
                    self.topic, ends.partition, ends.earliest
                );
                return Err(Stop::NotSealed(gone));
            }
            let log = PartitionLog::create(dir, self.topic, ends.partition, may_begin).map_err(Stop::Io)?;
            self.logs.push(Partition {
                number: ends.partition,
                log,
                open_transactions: 0,
                stable: None,
                stood: Duration::ZERO,
            });
        }
        loop {
            self.read_to_ends(progress)?;
            let before = std::mem::take(&mut self.ends);
            let in_time = self.cluster.rest(SETTLE);
            self.ends = match self.cluster.persist(Cluster::ends) {
                Ok(ends) => ends,
                Err(trouble) => {
                    self.ends = before;
                    return Err(trouble.into());
                }
            };
            self.note_stable();
            let why_not = match settled(self.topic, &before, &self.ends) {
                Settled::Yes => {
                    self.logs
                        .iter_mut()
                        .for_each(|partition| partition.open_transactions = 0);
                    return Ok(());
                }
                Settled::Never(why) => return Err(Stop::NotSealed(why)),
                Settled::Grows(why) => why,
                Settled::OpenTransaction(why) => {
                    self.count_open_transactions()?;
                    why
                }
            };
            if !in_time || self.cluster.expired() {
                return Err(Stop::NotSealed(why_not));
            }
        }
    }

    /// How long each last stable offset has stood still below its end, for T8.
    fn note_stable(&mut self) {
        let now = self.cluster.elapsed();
        for (ends, partition) in self.ends.iter().zip(&mut self.logs) {
            let open = ends.last_stable < ends.end;
            partition.stable = match partition.stable {
                Some((offset, since)) if open && offset == ends.last_stable => Some((offset, since)),
                _ if open => Some((ends.last_stable, now)),
                _ => None,
            };
            partition.stood = partition
                .stable
                .map_or(Duration::ZERO, |(_, since)| now.saturating_sub(since));
        }
    }

    fn count_open_transactions(&mut self) -> Result<(), Stop> {
        let open = self.cluster.persist(Cluster::open_transactions)?;
        for partition in &mut self.logs {
            partition.open_transactions = open.get(&partition.number).copied().unwrap_or(0);
        }
        Ok(())
    }

    /// Fetches from all leaders until every partition is read to the end it had.
    fn read_to_ends(&mut self, progress: &mut dyn FnMut(u64, u64)) -> Result<(), Stop> {
        while self.remaining() > 0 {
            let before = self.remaining();
            let leaders = self.cluster.persist(Cluster::leaders)?;
            let mut trouble = None;
            for (addr, partitions) in leaders {
                match self.fetch(&addr, &partitions) {
                    Ok(()) => {}
                    Err(Fetched::Stop(stop)) => return Err(stop),
                    Err(Fetched::Trouble(failed)) => trouble = Some(failed),
                }
                let read = self.logs.iter().map(|partition| partition.log.records()).sum();
                progress(read, read + self.remaining());
            }
            let left = self.remaining();
            if left < before {
                self.cluster.progressed();
            }
            if left == before || trouble.is_some() {
                let idle = || Trouble::NotNow("the leaders gave no more records".into());
                self.cluster.stumble(trouble.unwrap_or_else(idle))?;
            } else if left > 0 && self.cluster.expired() {
                return Err(Stop::NotSealed(format!(
                    "{left} offsets of {} not read in time",
                    self.topic
                )));
            }
        }
        Ok(())
    }

    /// Offsets still to be read.
    fn remaining(&self) -> u64 {
        let left =
            |(ends, partition): (&Ends, &Partition)| (ends.end - partition.log.position()).max(0) as u64;
        self.ends.iter().zip(&self.logs).map(left).sum()
    }

    /// One Fetch from one leader, for those of its partitions that are not at their end.
    fn fetch(&mut self, addr: &str, partitions: &[(i32, i32)]) -> Result<(), Fetched> {
        let mut wanted = Vec::new();
        for &(number, leader_epoch) in partitions {
            let at = self.logs.iter().position(|partition| partition.number == number);
            let Some(at) = at.filter(|&at| self.logs[at].log.position() < self.ends[at].end) else {
                continue;
            };
            let partition = FetchPartition::default()
                .with_partition(number)
                .with_current_leader_epoch(leader_epoch)
                .with_fetch_offset(self.logs[at].log.position())
                .with_partition_max_bytes(FETCH_PARTITION_BYTES);
            wanted.push(partition);
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let topic = TopicName(StrBytes::from_string(self.topic.to_owned()));
        let request = FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(FETCH_WAIT_MS)
            .with_min_bytes(1)
            .with_max_bytes(FETCH_BYTES)
            .with_session_epoch(-1)
            .with_topics(vec![
                FetchTopic::default().with_topic(topic).with_partitions(wanted),
            ]);
        let connection = self.cluster.connection(addr)?;
        let version = connection
            .version(1)
            .map_or(FETCH_VERSION, |newest| newest.min(FETCH_VERSION));
        let response = connection
            .request_at(&request, version)
            .map_err(AdminError::from)?;
        retriable(self.topic, -1, response.error_code)?;
        // The broker reads nothing from us for that long anyway (KIP-219).
        let throttle = Duration::from_millis(response.throttle_time_ms.max(0) as u64);
        if !throttle.is_zero() && !self.cluster.rest(throttle.min(LONGEST_THROTTLE)) {
            return Err(Stop::NotSealed(format!("{addr} throttles for {throttle:?}")).into());
        }
        let mut trouble = Ok(());
        let topics = response
            .responses
            .iter()
            .filter(|found| *found.topic.0 == *self.topic);
        for found in topics.flat_map(|topic| &topic.partitions) {
            let number = found.partition_index;
            let partition = self.logs.iter_mut().find(|partition| partition.number == number);
            let Some(partition) = partition else { continue };
            if found.error_code == OFFSET_OUT_OF_RANGE {
                let position = partition.log.position();
                let vanished = format!("{}-{number}: offset {position} is not there any more", self.topic);
                return Err(Stop::NotSealed(vanished).into());
            }
            // The other partitions' records are good, whatever this one's trouble is.
            if let Err(failed) = retriable(self.topic, number, found.error_code) {
                trouble = Err(failed.into());
            }
            partition
                .log
                .accept(found.records.as_deref().unwrap_or_default())
                .map_err(|stuck| match stuck {
                    Stuck::Io(error) => Stop::Io(error),
                    unreadable @ Stuck::Unreadable { .. } => {
                        Stop::NotSealed(format!("{}-{number} {unreadable}", self.topic))
                    }
                })?;
        }
        trouble
    }

    fn finish(self, reason: Option<String>) -> io::Result<Seal> {
        let mut partitions = Vec::with_capacity(self.logs.len());
        for (ends, partition) in self.ends.iter().zip(self.logs) {
            partitions.push(PartitionSeal {
                topic: self.topic.to_owned(),
                partition: ends.partition,
                end_offset: ends.end,
                last_stable_offset: ends.last_stable,
                open_transactions: partition.open_transactions,
                stable_stood_ns: partition.stood.as_nanos() as u64,
                read_to: partition.log.position(),
            });
            partition.log.finish(ends.end)?;
        }
        Ok(Seal {
            partitions,
            sealed: reason.is_none(),
            reason,
        })
    }
}

/// Why a Fetch did not do what it should.
enum Fetched {
    /// Never will.
    Stop(Stop),
    /// May the next time.
    Trouble(Trouble),
}

impl From<Stop> for Fetched {
    fn from(stop: Stop) -> Fetched {
        Fetched::Stop(stop)
    }
}

impl From<Trouble> for Fetched {
    fn from(trouble: Trouble) -> Fetched {
        Fetched::Trouble(trouble)
    }
}

impl From<AdminError> for Fetched {
    fn from(error: AdminError) -> Fetched {
        Fetched::Trouble(error.into())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use tempfile::TempDir;

    use super::*;

    /// Reading a cluster that is not there ends at the deadline, in a seal that says so.
    fn unsealed(bootstrap: &str) -> String {
        let dir = TempDir::new().unwrap();
        let wait = Duration::from_millis(300);
        let seal = seal_and_read(
            &[bootstrap.to_owned()],
            &["orders"],
            dir.path(),
            wait,
            &mut |_, _| {},
        )
        .unwrap();
        assert_eq!(Seal::read(dir.path()).unwrap(), seal);
        assert!(!seal.sealed && seal.partitions.is_empty());
        seal.reason.unwrap()
    }

    #[test]
    fn nobody_there_is_not_sealed() {
        let addr = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .to_string();
        assert!(unsealed(&addr).contains("cannot connect"));
    }

    #[test]
    fn silence_is_not_sealed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(unsealed(&listener.local_addr().unwrap().to_string()).contains("no answer"));
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error() {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("log"), b"in the way").unwrap();
        let wait = Duration::from_millis(300);
        assert!(
            seal_and_read(
                &["127.0.0.1:1".into()],
                &["orders"],
                dir.path(),
                wait,
                &mut |_, _| {}
            )
            .is_err()
        );
    }
}
