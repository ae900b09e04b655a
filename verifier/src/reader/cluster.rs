//! The cluster as the reader sees it: who leads which partition, one connection per broker, patience with elections.
//! Shell: sockets and sleeping, all under one deadline.

#![expect(
    clippy::disallowed_methods,
    reason = "shell: deadline and back-off need the monotonic clock and a sleep"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use steadfast_wire::admin::{self, AdminError, Metadata, Offset};
use steadfast_wire::connection::{Connection, Disposition};

/// What the reader calls itself.
const CLIENT_ID: &str = "steadfast-verifier";
/// The longest that one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause before another try: doubled from the first to the longest.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);
/// A topic of which every broker has said for so long that there is none will not come back. A broker that has just started
/// may say so too, until it has caught up with the controller.
const GONE_AFTER: Duration = Duration::from_secs(20);
/// UNKNOWN_TOPIC_OR_PARTITION.
const UNKNOWN_TOPIC: i16 = 3;

/// One partition's leader and the offsets it told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) partition: i32,
    /// First offset that is still there.
    pub(super) earliest: i64,
    /// High watermark.
    pub(super) end: i64,
    /// Last stable offset.
    pub(super) last_stable: i64,
}

/// Why something did not work this time; it may work the next.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error("{0}")]
    NotNow(String),
    #[error("topic {topic} is gone: for {} s every broker has said that there is none", GONE_AFTER.as_secs())]
    Gone { topic: String },
}

/// Connections and what is known of the leaders.
#[derive(Debug)]
pub(super) struct Cluster {
    bootstrap: Vec<String>,
    topic: String,
    began: Instant,
    deadline: Instant,
    connections: BTreeMap<String, Connection>,
    metadata: Metadata,
    backoff: Duration,
    /// The longest that one request may take.
    timeout: Duration,
    /// Since when everybody who answers says that there is no such topic.
    missing_since: Option<Instant>,
}

impl Cluster {
    pub(super) fn new(bootstrap: &[String], topic: &str, deadline: Duration) -> Cluster {
        Cluster {
            bootstrap: bootstrap.to_vec(),
            topic: topic.to_owned(),
            began: Instant::now(),
            deadline: Instant::now() + deadline,
            connections: BTreeMap::new(),
            metadata: Metadata::default(),
            backoff: FIRST_BACKOFF,
            timeout: REQUEST_TIMEOUT,
            missing_since: None,
        }
    }

    /// The same with less patience for one request.
    pub(super) fn within(self, timeout: Duration) -> Cluster {
        Cluster { timeout, ..self }
    }

    /// Does something until it works; what went wrong last, if it never does before the deadline.
    pub(super) fn persist<T>(
        &mut self,
        mut attempt: impl FnMut(&mut Cluster) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        loop {
            match attempt(self) {
                Ok(done) => {
                    self.progressed();
                    return Ok(done);
                }
                Err(trouble) => self.stumble(trouble)?,
            }
        }
    }

    /// Something failed: forgets the leaders and waits a moment, longer each time. Gives the trouble back when
    /// another try is no use or comes too late.
    pub(super) fn stumble(&mut self, trouble: Trouble) -> Result<(), Trouble> {
        if let Trouble::Admin(error) = &trouble
            && error.disposition() == Disposition::GiveUp
        {
            return Err(trouble);
        }
        if matches!(trouble, Trouble::Gone { .. }) {
            return Err(trouble);
        }
        self.metadata = Metadata::default();
        self.connections.retain(|_, connection| connection.is_open());
        let pause = self.backoff;
        self.backoff = (2 * pause).min(LONGEST_BACKOFF);
        if self.rest(pause) { Ok(()) } else { Err(trouble) }
    }

    /// Something worked: the next trouble is a new one.
    pub(super) fn progressed(&mut self) {
        self.backoff = FIRST_BACKOFF;
    }

    /// Waits; false when the deadline has passed.
    pub(super) fn rest(&mut self, pause: Duration) -> bool {
        let left = self.deadline.saturating_duration_since(Instant::now());
        std::thread::sleep(pause.min(left));
        !self.expired()
    }
    /// How long it has been at work.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn expired(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Partitions by leader's address, with their leader epochs.
    pub(super) fn leaders(&mut self) -> Result<BTreeMap<String, Vec<(i32, i32)>>, Trouble> {
        self.refresh()?;
        let mut leaders: BTreeMap<String, Vec<(i32, i32)>> = BTreeMap::new();
        for partition in &self.metadata.topics[0].partitions {
            let number = partition.partition;
            let leader = self.metadata.broker(partition.leader);
            let leader =
                leader.ok_or_else(|| Trouble::NotNow(format!("{}-{number} has no leader", self.topic)))?;
            leaders
                .entry(leader.addr.clone())
                .or_default()
                .push((number, partition.leader_epoch));
        }
        Ok(leaders)
    }

    /// Leader's address and epoch of every partition that has a leader now, asked for anew.
    pub(super) fn leaders_now(&mut self) -> Result<BTreeMap<i32, (String, i32)>, Trouble> {
        self.metadata = Metadata::default();
        self.refresh()?;
        let led = |partition: &admin::Partition| {
            let leader = self.metadata.broker(partition.leader)?;
            Some((partition.partition, (leader.addr.clone(), partition.leader_epoch)))
        };
        Ok(self.metadata.topics[0]
            .partitions
            .iter()
            .filter_map(led)
            .collect())
    }

    /// The offsets of every partition, from its leader.
    pub(super) fn ends(&mut self) -> Result<Vec<Ends>, Trouble> {
        let mut ends = Vec::new();
        for (addr, partitions) in self.leaders()? {
            // The last stable offset first: it may only lag behind the end, never be ahead of it.
            let last_stable = self.offsets(&addr, &partitions, Offset::LastStable)?;
            let end = self.offsets(&addr, &partitions, Offset::Latest)?;
            let earliest = self.offsets(&addr, &partitions, Offset::Earliest)?;
            for (i, &(partition, _)) in partitions.iter().enumerate() {
                ends.push(Ends {
                    partition,
                    earliest: earliest[i],
                    end: end[i],
                    last_stable: last_stable[i],
                });
            }
        }
        ends.sort_by_key(|ends| ends.partition);
        Ok(ends)
    }

    /// How many producers have a transaction open, per partition.
    pub(super) fn open_transactions(&mut self) -> Result<BTreeMap<i32, u32>, Trouble> {
        let topic = self.topic.clone();
        let mut open = BTreeMap::new();
        for (addr, partitions) in self.leaders()? {
            let numbers: Vec<i32> = partitions.iter().map(|&(partition, _)| partition).collect();
            for found in admin::describe_producers(self.connection(&addr)?, &topic, &numbers)? {
                retriable(&topic, found.partition, found.error_code)?;
                let count = found
                    .producers
                    .iter()
                    .filter(|producer| producer.transaction_start_offset >= 0)
                    .count();
                open.insert(found.partition, count as u32);
            }
        }
        Ok(open)
    }

    /// The connection to a broker, opened if need be.
    pub(super) fn connection(&mut self, addr: &str) -> Result<&mut Connection, Trouble> {
        if self
            .connections
            .get(addr)
            .is_none_or(|connection| !connection.is_open())
        {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let timeout = self.timeout.min(left).max(FIRST_BACKOFF);
            let connection = Connection::connect(addr, CLIENT_ID, timeout).map_err(AdminError::from)?;
            self.connections.insert(addr.to_owned(), connection);
        }
        self.connections
            .get_mut(addr)
            .ok_or_else(|| Trouble::NotNow(format!("no connection to {addr}")))
    }

    /// The offset asked for of each partition, in the order given.
    fn offsets(&mut self, addr: &str, partitions: &[(i32, i32)], which: Offset) -> Result<Vec<i64>, Trouble> {
        let topic = self.topic.clone();
        let listed = admin::list_offsets(self.connection(addr)?, &topic, partitions, which)?;
        let mut offsets = Vec::with_capacity(partitions.len());
        for &(partition, _) in partitions {
            let found = listed.iter().find(|found| found.partition == partition);
            let found = found
                .ok_or_else(|| Trouble::NotNow(format!("{addr} says nothing of {topic}-{partition}")))?;
            retriable(&topic, partition, found.error_code)?;
            if found.offset < 0 {
                return Err(Trouble::NotNow(format!(
                    "{addr} knows no {which:?} offset of {topic}-{partition}"
                )));
            }
            offsets.push(found.offset);
        }
        Ok(offsets)
    }

    /// Asks for the topic's metadata, unless it is known: any broker will do.
    fn refresh(&mut self) -> Result<(), Trouble> {
        if !self.metadata.topics.is_empty() {
            return Ok(());
        }
        let topic = self.topic.clone();
        let mut trouble = Trouble::NotNow("no bootstrap server".into());
        let (mut missing, mut there) = (false, false);
        for addr in self.bootstrap.clone() {
            let asked = self
                .connection(&addr)
                .and_then(|connection| Ok(admin::metadata(connection, Some(&[topic.as_str()]))?));
            match asked {
                Ok(metadata) => match metadata.topics.as_slice() {
                    [found]
                        if found.name == topic && found.error_code == 0 && !found.partitions.is_empty() =>
                    {
                        self.metadata = metadata;
                        self.missing_since = None;
                        return Ok(());
                    }
                    [found] => {
                        let unknown = found.error_code == UNKNOWN_TOPIC;
                        (missing, there) = (missing || unknown, there || !unknown);
                        let name = admin::error_name(found.error_code);
                        trouble = Trouble::NotNow(format!("topic {topic}: {name} ({})", found.error_code));
                    }
                    _ => trouble = Trouble::NotNow(format!("{addr} says nothing of topic {topic}")),
                },
                Err(failed) => trouble = failed,
            }
        }
        self.missing_since = self.missing_since.filter(|_| missing && !there);
        if missing && !there {
            let since = *self.missing_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= GONE_AFTER {
                return Err(Trouble::Gone { topic });
            }
        }
        Err(trouble)
    }
}

/// Any error code about a partition is worth another try with fresh leaders: the deadline bounds it, and the last
/// one is the reason that is given.
pub(super) fn retriable(topic: &str, partition: i32, code: i16) -> Result<(), Trouble> {
    if code == 0 {
        return Ok(());
    }
    Err(Trouble::NotNow(format!(
        "{topic}-{partition}: {} ({code})",
        admin::error_name(code)
    )))
}
