//! One fetcher: the requests to one broker, one at a time, for the partitions that it leads.

#![expect(
    clippy::disallowed_methods,
    reason = "shell: a pause after trouble, with named bounds"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast_wire::admin::{self, AdminError, Offset};
use steadfast_wire::connection::Connection;
use steadfast_wire::kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use steadfast_wire::kafka_protocol::messages::fetch_response::PartitionData;
use steadfast_wire::kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse, TopicName};
use steadfast_wire::kafka_protocol::protocol::StrBytes;

use super::isolation::{Aborted, visible};
use super::{LiveError, Place, Shared};
use crate::log::LogRecord;
use crate::reader::{
    FETCH_BYTES, FETCH_PARTITION_BYTES, FETCH_VERSION, OFFSET_OUT_OF_RANGE, partition::Stuck,
};
use crate::reads::{Isolation, Order};

/// What a reader calls itself.
pub const CLIENT_ID: &str = "steadfast-reader";
/// How much longer than its long poll an answer may take: a frozen broker must not keep its partitions for long.
const ANSWER_SLACK: Duration = Duration::from_secs(2);
/// Pause after trouble: doubled from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// What an answer brought of one partition.
#[derive(Debug)]
pub(super) enum Step {
    /// Records, or none.
    Got(Got),
    /// The position was not in the log any more: reading goes on from another one.
    Sought { partition: i32, at_ns: u64, offset: i64 },
}

#[derive(Debug)]
pub(super) struct Got {
    pub(super) partition: i32,
    pub(super) at_ns: u64,
    pub(super) next_offset: i64,
    pub(super) high_watermark: i64,
    pub(super) last_stable_offset: i64,
    pub(super) records: Vec<LogRecord>,
}

impl Step {
    pub(super) fn partition(&self) -> i32 {
        match self {
            Step::Got(got) => got.partition,
            Step::Sought { partition, .. } => *partition,
        }
    }
}

/// One broker's fetcher.
pub(super) struct Fetcher<'a> {
    order: &'a Order,
    addr: String,
    now_ns: fn() -> u64,
    connection: Option<Connection>,
    pause: Duration,
}

type Taken = BTreeMap<i32, (i32, Place)>;

impl<'a> Fetcher<'a> {
    pub(super) fn new(order: &'a Order, addr: String, now_ns: fn() -> u64) -> Fetcher<'a> {
        Fetcher {
            order,
            addr,
            now_ns,
            connection: None,
            pause: FIRST_PAUSE,
        }
    }

    /// Fetches until all is done.
    pub(super) fn run(mut self, shared: &Shared) {
        while let Some(mut taken) = shared.take(&self.addr) {
            let mut steps = Vec::new();
            let fetched = self.fetch(&mut taken, &mut steps);
            let stale = !matches!(fetched, Ok(true));
            shared.put_back(taken, &steps, stale);
            match fetched {
                Ok(true) => self.pause = FIRST_PAUSE,
                Ok(false) | Err(Fetched::NotNow) => {
                    std::thread::sleep(self.pause);
                    self.pause = (2 * self.pause).min(LONGEST_PAUSE);
                }
                Err(Fetched::Unreadable(error)) => return shared.fail(error),
            }
        }
    }

    /// One request. False when the answer says that some of the partitions are led by somebody else by now.
    fn fetch(&mut self, taken: &mut Taken, steps: &mut Vec<Step>) -> Result<bool, Fetched> {
        let request = self.request(taken);
        let response = self.answer(&request)?;
        let at_ns = (self.now_ns)();
        if response.error_code != 0 {
            return Ok(false);
        }
        let throttle = Duration::from_millis(response.throttle_time_ms.max(0) as u64);
        let mut led = true;
        let topics = response
            .responses
            .iter()
            .filter(|found| *found.topic.0 == *self.order.topic);
        for found in topics.flat_map(|topic| &topic.partitions) {
            let Some((_, place)) = taken.get_mut(&found.partition_index) else {
                continue;
            };
            match found.error_code {
                0 => steps.push(Step::Got(self.got(found, place, at_ns)?)),
                OFFSET_OUT_OF_RANGE => steps.push(self.seek(found.partition_index, place)?),
                _ => led = false,
            }
        }
        // The broker reads nothing from us for that long anyway (KIP-219).
        std::thread::sleep(throttle.min(ANSWER_SLACK));
        Ok(led)
    }

    fn request(&self, taken: &Taken) -> FetchRequest {
        let wanted = taken.iter().map(|(&partition, (epoch, place))| {
            FetchPartition::default()
                .with_partition(partition)
                .with_current_leader_epoch(*epoch)
                .with_fetch_offset(place.log.position())
                .with_partition_max_bytes(FETCH_PARTITION_BYTES)
        });
        let topic = TopicName(StrBytes::from_string(self.order.topic.clone()));
        let topic = FetchTopic::default()
            .with_topic(topic)
            .with_partitions(wanted.collect());
        FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(self.order.fetch_max_wait_ms)
            .with_min_bytes(self.order.fetch_min_bytes)
            .with_max_bytes(FETCH_BYTES)
            .with_isolation_level(match self.order.isolation {
                Isolation::ReadUncommitted => 0,
                Isolation::ReadCommitted => 1,
            })
            .with_session_epoch(-1)
            .with_topics(vec![topic])
    }

    fn answer(&mut self, request: &FetchRequest) -> Result<FetchResponse, Fetched> {
        let connection = self.connection()?;
        let version = connection
            .version(1)
            .map_or(FETCH_VERSION, |newest| newest.min(FETCH_VERSION));
        Ok(connection
            .request_at(request, version)
            .map_err(AdminError::from)?)
    }

    fn connection(&mut self) -> Result<&mut Connection, Fetched> {
        if self
            .connection
            .as_ref()
            .is_none_or(|connection| !connection.is_open())
        {
            let wait = Duration::from_millis(self.order.fetch_max_wait_ms.max(0) as u64);
            let connected = Connection::connect(&self.addr, CLIENT_ID, wait + ANSWER_SLACK);
            self.connection = Some(connected.map_err(AdminError::from)?);
        }
        self.connection.as_mut().ok_or(Fetched::NotNow)
    }

    fn got(&self, found: &PartitionData, place: &mut Place, at_ns: u64) -> Result<Got, Fetched> {
        let unreadable = |stuck: Stuck| {
            Fetched::Unreadable(LiveError::Unreadable {
                partition: found.partition_index,
                why: stuck.to_string(),
            })
        };
        place
            .log
            .accept(found.records.as_deref().unwrap_or_default())
            .map_err(unreadable)?;
        let aborted: Vec<Aborted> = found
            .aborted_transactions
            .iter()
            .flatten()
            .map(|aborted| Aborted {
                producer_id: aborted.producer_id.0,
                first_offset: aborted.first_offset,
            })
            .collect();
        Ok(Got {
            partition: found.partition_index,
            at_ns,
            next_offset: place.log.position(),
            high_watermark: found.high_watermark,
            last_stable_offset: found.last_stable_offset,
            records: visible(&place.log.take(), self.order.isolation, &aborted),
        })
    }

    /// The log was cut under the reader, or records before its position were deleted: the nearest place that is there. What
    /// it saw above, the judge holds against the sealed log.
    fn seek(&mut self, partition: i32, place: &mut Place) -> Result<Step, Fetched> {
        let position = place.log.position();
        let topic = self.order.topic.clone();
        let mut ask = |which| {
            let listed = admin::list_offsets(self.connection()?, &topic, &[(partition, -1)], which)?;
            let found = listed.iter().find(|found| found.partition == partition);
            found
                .filter(|found| found.error_code == 0 && found.offset >= 0)
                .map(|found| found.offset)
                .ok_or(Fetched::NotNow)
        };
        let (earliest, latest) = (ask(Offset::Earliest)?, ask(Offset::Latest)?);
        let offset = position.clamp(earliest, latest.max(earliest));
        *place = Place::new(&topic, offset);
        Ok(Step::Sought {
            partition,
            at_ns: (self.now_ns)(),
            offset,
        })
    }
}

/// Why a request brought nothing.
enum Fetched {
    /// It may the next time, perhaps from another broker.
    NotNow,
    /// Never will.
    Unreadable(LiveError),
}

impl From<AdminError> for Fetched {
    fn from(_: AdminError) -> Fetched {
        Fetched::NotNow
    }
}
