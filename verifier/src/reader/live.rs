//! A reader that follows a topic while the load runs, as a consumer with all partitions assigned would: what it got, and
//! when, goes into `reads/<reader>.bin` (reads.rs). Shell: threads, sockets, the file.
//!
//! ```text
//! fetcher of broker 1 ──┐ take the partitions it leads ─▶ Fetch ─▶ stamp ─▶ decode ─▶ write, put them back
//! fetcher of broker 2 ──┼─▶ Desk: one lock, positions, the file
//! fetcher of broker 3 ──┘
//! this thread ─▶ who leads what now; flushes; asked to stop: on to the ends there are now, then the last entry
//! ```
//! One request is outstanding to each broker, as in a consumer: a quiet broker's long poll does not delay another's records.
//! A record's time is when the answer that holds it has arrived. An answer without records is written down once a second
//! and partition: it tells where the ends stand.

mod fetch; // one request, one answer
mod isolation; // what of an answer a consumer gets

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::Duration;

use super::cluster::{Cluster, Ends};
use super::partition::PartitionLog;
use crate::reads::{Header, Isolation, Order, Poll, Writer};
pub use fetch::CLIENT_ID;
use fetch::{Fetcher, Step};

/// How long the first look at the topic may take.
const START_BOUND: Duration = Duration::from_secs(30);
/// Longer than any run: the runner ends a reader long before.
const LIFE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// The longest that one question for leaders or offsets may take: a broker may be frozen.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(1);
/// How often this thread looks up.
const TICK: Duration = Duration::from_millis(100);
/// How long a reader that is asked to stop may read on.
pub const STOP_BOUND: Duration = Duration::from_secs(20);
/// Brokers of one cluster at most.
const MAX_FETCHERS: usize = 32;
/// How often an answer without records is written down.
const QUIET_NS: u64 = 1_000_000_000;

/// Why a reader ended before it was asked to. What it saw so far stands in its file.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The file cannot be written.
    #[error("cannot write what the reader saw: {0}")]
    Io(#[from] io::Error),
    /// The topic could not be found in time.
    #[error("cannot read {topic}: {why}")]
    Start {
        /// Topic.
        topic: String,
        /// The last trouble.
        why: String,
    },
    /// A partition holds what this reader cannot read.
    #[error("cannot read on in partition {partition}: {why}")]
    Unreadable {
        /// Partition.
        partition: i32,
        /// Why.
        why: String,
    },
}

/// Follows the topic until `stop`, then to the ends there are at that moment. `now_ns` reads CLOCK_MONOTONIC.
pub fn follow(order: &Order, now_ns: fn() -> u64, stop: &AtomicBool) -> Result<(), LiveError> {
    let header = Header {
        reader: order.reader.clone(),
        topic: order.topic.clone(),
        isolation: order.isolation,
    };
    let mut writer = Writer::create(&order.file, &header)?;
    let mut cluster =
        Cluster::new(&order.bootstrap_servers, &order.topic, START_BOUND).within(CONTROL_TIMEOUT);
    let ends = cluster
        .persist(Cluster::ends)
        .map_err(|trouble| LiveError::Start {
            topic: order.topic.clone(),
            why: trouble.to_string(),
        })?;
    let mut waiting = BTreeMap::new();
    for ends in &ends {
        writer.assigned(ends.partition, now_ns(), ends.earliest)?;
        waiting.insert(ends.partition, Place::new(&order.topic, ends.earliest));
    }
    writer.flush()?;
    let shared = Shared {
        desk: Mutex::new(Desk {
            positions: waiting
                .iter()
                .map(|(&partition, place)| (partition, place.log.position()))
                .collect(),
            waiting,
            leaders: BTreeMap::new(),
            stale: true,
            done: false,
            failed: None,
            writer: Some(writer),
        }),
        changed: Condvar::new(),
    };
    std::thread::scope(|scope| lead(scope, (order, &shared), now_ns, stop));
    let mut desk = shared.lock();
    if let Some(failed) = desk.failed.take() {
        // What was seen counts; that it is not all, the missing last entry tells.
        if let Some(writer) = &mut desk.writer {
            writer.flush()?;
        }
        return Err(failed);
    }
    match desk.writer.take() {
        Some(writer) => Ok(writer.finish(now_ns())?),
        None => Ok(()),
    }
}

/// This thread's part. Fetchers end once `done` is set, each within the time of one request.
fn lead<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    (order, shared): (&'env Order, &'env Shared),
    now_ns: fn() -> u64,
    stop: &AtomicBool,
) {
    let mut cluster = Cluster::new(&order.bootstrap_servers, &order.topic, LIFE_MAX).within(CONTROL_TIMEOUT);
    let mut fetchers = BTreeSet::new();
    let mut stopping: Option<Stopping> = None;
    let mut flushed_ns = now_ns();
    loop {
        let stale = shared.lock().stale;
        if stale && let Ok(leaders) = cluster.leaders_now() {
            for (addr, _) in leaders.values() {
                if fetchers.len() < MAX_FETCHERS && fetchers.insert(addr.clone()) {
                    let fetcher = Fetcher::new(order, addr.clone(), now_ns);
                    scope.spawn(move || fetcher.run(shared));
                }
            }
            let mut desk = shared.lock();
            (desk.leaders, desk.stale) = (leaders, false);
            shared.changed.notify_all();
        }
        if stopping.is_none() && stop.load(Ordering::Relaxed) {
            stopping = Some(Stopping {
                until_ns: now_ns() + STOP_BOUND.as_nanos() as u64,
                ends: None,
            });
        }
        let positions = shared.lock().positions.clone();
        let over =
            |stopping: &mut Stopping| stopping.over(&mut cluster, (order.isolation, &positions), now_ns());
        let over = stopping.as_mut().is_some_and(over);
        let mut desk = shared.lock();
        desk.done |= over;
        if desk.done {
            shared.changed.notify_all();
            return;
        }
        if now_ns().saturating_sub(flushed_ns) >= QUIET_NS {
            flushed_ns = now_ns();
            desk.flush();
        }
        let waited = shared.changed.wait_timeout(desk, TICK);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// The way to the end, once the reader was asked to stop.
struct Stopping {
    until_ns: u64,
    ends: Option<Vec<Ends>>,
}

impl Stopping {
    /// Everything that stood in the log when it was asked is read, or its time is up: then the judge sees how far it was.
    fn over(
        &mut self,
        cluster: &mut Cluster,
        (isolation, positions): (Isolation, &BTreeMap<i32, i64>),
        now_ns: u64,
    ) -> bool {
        if self.ends.is_none() {
            self.ends = cluster.ends().ok();
            if self.ends.is_none() {
                // Its leaders may be old; with others it may work the next time.
                let _again = cluster.leaders_now();
            }
        }
        let end = |ends: &Ends| match isolation {
            Isolation::ReadUncommitted => ends.end,
            Isolation::ReadCommitted => ends.last_stable,
        };
        let read = |ends: &Ends| positions.get(&ends.partition).is_some_and(|&at| at >= end(ends));
        now_ns >= self.until_ns || self.ends.as_ref().is_some_and(|all| all.iter().all(read))
    }
}

/// What fetchers and this thread share.
struct Shared {
    desk: Mutex<Desk>,
    changed: Condvar,
}

struct Desk {
    /// Address and epoch.
    leaders: BTreeMap<i32, (String, i32)>,
    /// Partitions that no fetcher has at the moment.
    waiting: BTreeMap<i32, Place>,
    /// Where each partition is, also those that are being fetched.
    positions: BTreeMap<i32, i64>,
    /// Something was wrong with a leader.
    stale: bool,
    /// Everybody goes home.
    done: bool,
    failed: Option<LiveError>,
    writer: Option<Writer>,
}

/// One partition on its way.
struct Place {
    log: PartitionLog,
    /// When an answer was last written down.
    told_ns: u64,
}

impl Place {
    fn new(topic: &str, from: i64) -> Place {
        Place {
            log: PartitionLog::live(topic, from),
            told_ns: 0,
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until some partitions are led by this broker, and takes them with their leader epochs; none when all is done.
    fn take(&self, addr: &str) -> Option<BTreeMap<i32, (i32, Place)>> {
        let mut desk = self.lock();
        loop {
            if desk.done {
                return None;
            }
            let Desk { leaders, waiting, .. } = &mut *desk;
            let led: Vec<(i32, i32)> = leaders
                .iter()
                .filter(|(_, (leader, _))| leader == addr)
                .map(|(&partition, &(_, epoch))| (partition, epoch))
                .collect();
            let taken: BTreeMap<i32, (i32, Place)> = led
                .into_iter()
                .filter_map(|(partition, epoch)| Some((partition, (epoch, waiting.remove(&partition)?))))
                .collect();
            if !taken.is_empty() {
                return Some(taken);
            }
            let waited = self.changed.wait_timeout(desk, TICK);
            desk = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Writes down what an answer brought and gives the partitions back. `stale`: their leaders must be asked for anew.
    fn put_back(&self, taken: BTreeMap<i32, (i32, Place)>, steps: &[Step], stale: bool) {
        let mut desk = self.lock();
        desk.stale |= stale;
        for (partition, (_, mut place)) in taken {
            for step in steps.iter().filter(|step| step.partition() == partition) {
                desk.write(step, &mut place);
            }
            desk.positions.insert(partition, place.log.position());
            desk.waiting.insert(partition, place);
        }
        if stale {
            self.changed.notify_all();
        }
    }

    fn fail(&self, error: LiveError) {
        self.lock().fail(error);
        self.changed.notify_all();
    }
}

impl Desk {
    fn write(&mut self, step: &Step, place: &mut Place) {
        let Some(writer) = &mut self.writer else { return };
        let written = match step {
            Step::Sought {
                partition,
                at_ns,
                offset,
            } => writer.assigned(*partition, *at_ns, *offset),
            Step::Got(got) => {
                if got.records.is_empty() && got.at_ns.saturating_sub(place.told_ns) < QUIET_NS {
                    return;
                }
                place.told_ns = got.at_ns;
                writer.poll(&Poll {
                    partition: got.partition,
                    at_ns: got.at_ns,
                    next_offset: got.next_offset,
                    high_watermark: got.high_watermark,
                    last_stable_offset: got.last_stable_offset,
                    records: &got.records,
                })
            }
        };
        if let Err(error) = written {
            self.fail(error.into());
        }
    }

    fn flush(&mut self) {
        if let Some(Err(error)) = self.writer.as_mut().map(Writer::flush) {
            self.fail(error.into());
        }
    }

    /// The first failure is the reason.
    fn fail(&mut self, error: LiveError) {
        self.failed.get_or_insert(error);
        self.done = true;
    }
}
