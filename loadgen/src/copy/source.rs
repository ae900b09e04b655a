//! The source of a copy job: its committed records, and the job's positions in it. Shell: blocking sockets.
//!
//! Whatever goes wrong (a leader that is gone, a broker that is silent) may go right the next time: it is noted, the
//! leaders are looked up anew, and the caller goes on meanwhile. Its own deadline bounds that.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::thread;
use std::time::Duration;

use steadfast_producer::clock::monotonic_ns;
use steadfast_verifier::reader::{FetchedRecord, committed_records};
use steadfast_verifier::workload::CopySource;
use steadfast_wire::admin::{self, AdminError, Offset};
use steadfast_wire::connection::Connection;
use steadfast_wire::kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use steadfast_wire::kafka_protocol::messages::{BrokerId, FetchRequest, TopicName};
use steadfast_wire::kafka_protocol::protocol::StrBytes;

use crate::worker::WorkerError;

/// What it calls itself.
pub const COPY_CLIENT_ID: &str = "steadfast-copy";
/// The longest that one request may take; the producer waits meanwhile.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a leader may hold back an answer that has no data.
const FETCH_WAIT_MS: i32 = 5;
/// Bytes of one answer, all partitions of a leader together, and of one partition.
const FETCH_BYTES: i32 = 1 << 20;
const FETCH_PARTITION_BYTES: i32 = 256 << 10;
/// The newest version of Fetch that names topics (later ones use topic ids, KIP-516).
const FETCH_VERSION: i16 = 12;
/// API key of Fetch.
const FETCH: i16 = 1;
/// After trouble: how long the cluster is left in peace.
const PAUSE_NS: u64 = 100_000_000;

/// A record of the source.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) partition: i32,
    pub(super) record: FetchedRecord,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Source {
    bootstrap: Vec<String>,
    topic: String,
    group: String,
    partitions: u32,
    connections: BTreeMap<String, Connection>,
    /// Address of each leader, its partitions and their leader epochs; empty = to be looked up.
    leaders: Vec<(String, Vec<(i32, i32)>)>,
    /// By partition, the next offset to read.
    positions: BTreeMap<i32, i64>,
    not_before_ns: u64,
    trouble: String,
}

impl Source {
    pub(super) fn new(bootstrap: &[String], order: &CopySource) -> Source {
        Source {
            bootstrap: bootstrap.to_vec(),
            topic: order.topic.clone(),
            group: order.group.clone(),
            partitions: order.partitions,
            connections: BTreeMap::new(),
            leaders: Vec::new(),
            positions: BTreeMap::new(),
            not_before_ns: 0,
            trouble: String::new(),
        }
    }

    /// Goes on from here; a partition without a position from its begin.
    pub(super) fn seek(&mut self, positions: &BTreeMap<i32, i64>) {
        let position = |partition| (partition, positions.get(&partition).copied().unwrap_or(0));
        self.positions = (0..self.partitions as i32).map(position).collect();
    }

    /// Offsets read so far, all partitions together.
    pub(super) fn read(&self) -> u64 {
        self.positions.values().map(|&position| position as u64).sum()
    }

    /// The next records, as many as each leader gives at once; none when there are none or something went wrong.
    pub(super) fn poll(&mut self, now_ns: u64) -> VecDeque<Fetched> {
        let mut fetched = VecDeque::new();
        if now_ns >= self.not_before_ns
            && let Err(error) = self.fetch_all(&mut fetched)
        {
            self.stumble(error);
        }
        fetched
    }

    /// When [`Source::poll`] is worth a try.
    pub(super) fn wake_ns(&self) -> u64 {
        self.not_before_ns
    }

    /// The last thing that went wrong.
    pub(super) fn trouble(&self) -> String {
        self.trouble.clone()
    }

    /// Everything below the last stable offsets was read, and these are the ends. Asked once nothing more is written.
    pub(super) fn is_at_end(&mut self, now_ns: u64) -> bool {
        if now_ns < self.not_before_ns {
            return false;
        }
        self.ends_reached().unwrap_or_else(|error| {
            self.stumble(error);
            false
        })
    }

    /// The group's committed positions, asked again and again until `deadline_ns`.
    #[expect(clippy::disallowed_methods, reason = "a shell: it waits for the coordinator")]
    pub(super) fn committed_by(&mut self, deadline_ns: u64) -> Result<BTreeMap<i32, i64>, WorkerError> {
        loop {
            match self.committed() {
                Ok(committed) => return Ok(committed),
                Err(error) if monotonic_ns() >= deadline_ns => {
                    return Err(WorkerError::Source(format!(
                        "its positions cannot be read: {error}"
                    )));
                }
                Err(error) => {
                    self.stumble(error);
                    thread::sleep(Duration::from_nanos(PAUSE_NS));
                }
            }
        }
    }

    fn committed(&mut self) -> Result<BTreeMap<i32, i64>, String> {
        let (group, topic, partitions) = (self.group.clone(), self.topic.clone(), self.partitions);
        self.ask_any(|source, addr| {
            let coordinator = admin::group_coordinator(source.connection(addr)?, &group)?;
            let connection = source.connection(&coordinator.addr)?;
            admin::committed_offsets(connection, &group, &topic, partitions)
        })
    }

    fn fetch_all(&mut self, fetched: &mut VecDeque<Fetched>) -> Result<(), String> {
        self.look_up()?;
        for (addr, partitions) in self.leaders.clone() {
            self.fetch(&addr, &partitions, fetched)?;
        }
        Ok(())
    }

    fn fetch(
        &mut self,
        addr: &str,
        partitions: &[(i32, i32)],
        fetched: &mut VecDeque<Fetched>,
    ) -> Result<(), String> {
        let wanted = partitions.iter().map(|&(partition, leader_epoch)| {
            FetchPartition::default()
                .with_partition(partition)
                .with_current_leader_epoch(leader_epoch)
                .with_fetch_offset(self.positions.get(&partition).copied().unwrap_or(0))
                .with_partition_max_bytes(FETCH_PARTITION_BYTES)
        });
        let topic = FetchTopic::default()
            .with_topic(TopicName(StrBytes::from_string(self.topic.clone())))
            .with_partitions(wanted.collect());
        let request = FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(FETCH_WAIT_MS)
            .with_min_bytes(1)
            .with_max_bytes(FETCH_BYTES)
            .with_session_epoch(-1)
            // Of transactions only what is committed.
            .with_isolation_level(1)
            .with_topics(vec![topic]);
        let connection = self.connection(addr).map_err(|error| error.to_string())?;
        let newest = connection.version(FETCH).unwrap_or(FETCH_VERSION);
        let answer = connection
            .request_at(&request, newest.min(FETCH_VERSION))
            .map_err(|error| error.to_string())?;
        refused("fetch", answer.error_code)?;
        if answer.throttle_time_ms > 0 {
            self.not_before_ns = monotonic_ns() + answer.throttle_time_ms as u64 * 1_000_000;
        }
        for found in answer.responses.iter().flat_map(|topic| &topic.partitions) {
            let partition = found.partition_index;
            refused(&format!("{}-{partition}", self.topic), found.error_code)?;
            let Some(position) = self.positions.get_mut(&partition) else {
                continue;
            };
            let aborted: Vec<(i64, i64)> = found
                .aborted_transactions
                .iter()
                .flatten()
                .map(|aborted| (aborted.producer_id.0, aborted.first_offset))
                .collect();
            let bytes = found.records.as_deref().unwrap_or_default();
            let (records, next) = committed_records(bytes, *position, &aborted)
                .map_err(|error| format!("{}-{partition}: {error}", self.topic))?;
            fetched.extend(records.into_iter().map(|record| Fetched { partition, record }));
            *position = next;
        }
        Ok(())
    }

    fn ends_reached(&mut self) -> Result<bool, String> {
        self.look_up()?;
        let topic = self.topic.clone();
        for (addr, partitions) in self.leaders.clone() {
            // The last stable offset first: it may only lag behind the end, never be ahead of it.
            for which in [Offset::LastStable, Offset::Latest] {
                let listed = self
                    .connection(&addr)
                    .and_then(|connection| admin::list_offsets(connection, &topic, &partitions, which))
                    .map_err(|error| error.to_string())?;
                for &(partition, _) in &partitions {
                    let found = listed.iter().find(|found| found.partition == partition);
                    let found = found.ok_or_else(|| format!("{addr} says nothing of {topic}-{partition}"))?;
                    refused(&format!("{topic}-{partition}"), found.error_code)?;
                    if self.positions.get(&partition) != Some(&found.offset) {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// Who leads which partition, unless it is known.
    fn look_up(&mut self) -> Result<(), String> {
        if !self.leaders.is_empty() {
            return Ok(());
        }
        let topic = self.topic.clone();
        let metadata = self.ask_any(|source, addr| {
            let connection = source.connection(addr)?;
            admin::metadata(connection, Some(&[topic.as_str()]))
        })?;
        let mut leaders: BTreeMap<String, Vec<(i32, i32)>> = BTreeMap::new();
        for number in 0..self.partitions as i32 {
            let partition = metadata.partition(&topic, number);
            let leader =
                partition.and_then(|found| metadata.broker(found.leader).map(|leader| (found, leader)));
            let (partition, leader) = leader.ok_or_else(|| format!("{topic}-{number} has no leader"))?;
            let of_leader = leaders.entry(leader.addr.clone()).or_default();
            of_leader.push((number, partition.leader_epoch));
        }
        self.leaders = leaders.into_iter().collect();
        Ok(())
    }

    /// Asks one bootstrap server after the other until one answers.
    fn ask_any<T>(
        &mut self,
        mut ask: impl FnMut(&mut Source, &str) -> Result<T, AdminError>,
    ) -> Result<T, String> {
        let mut trouble = "no bootstrap server".to_owned();
        for addr in self.bootstrap.clone() {
            match ask(self, &addr) {
                Ok(answer) => return Ok(answer),
                Err(error) => trouble = error.to_string(),
            }
        }
        Err(trouble)
    }

    /// The connection to a broker, opened if need be.
    fn connection(&mut self, addr: &str) -> Result<&mut Connection, AdminError> {
        if self
            .connections
            .get(addr)
            .is_some_and(|connection| !connection.is_open())
        {
            self.connections.remove(addr);
        }
        match self.connections.entry(addr.to_owned()) {
            Entry::Occupied(there) => Ok(there.into_mut()),
            Entry::Vacant(place) => {
                Ok(place.insert(Connection::connect(addr, COPY_CLIENT_ID, REQUEST_TIMEOUT)?))
            }
        }
    }

    fn stumble(&mut self, trouble: String) {
        self.trouble = trouble;
        self.leaders.clear();
        self.connections.retain(|_, connection| connection.is_open());
        self.not_before_ns = monotonic_ns() + PAUSE_NS;
    }
}

fn refused(what: &str, code: i16) -> Result<(), String> {
    match code {
        0 => Ok(()),
        code => Err(format!("{what}: {} ({code})", admin::error_name(code))),
    }
}
