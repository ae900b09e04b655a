//! Fetch: batches as they lie in the log, bounded, up to the high watermark or the last stable offset; long poll.
//!
//! Versions 4 to 18, without sessions: the session id is always 0, which tells the client to ask in full each time.
//! Order of checks: KafkaApis.handleFetchRequest, ReplicaManager.readFromLog, Partition.readRecords.

use bytes::BytesMut;
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeSet;
use std::ops::Range;

use crate::answer::Answer;
use crate::code;
use crate::connection::{At, Outcome, Wait};
use crate::model::{ConnectionId, Model, ms};
use crate::replica::{Aborted, Replica};
use crate::store::Store;
use crate::timer::Timer;
use crate::topics::partition_of;

/// First version that names topics by id.
const BY_TOPIC_ID: i16 = 13;
/// First version whose answer tells the new leader's address (KIP-951).
const TELLS_ENDPOINTS: i16 = 16;
const READ_COMMITTED: i8 = 1;
const FETCH_SESSION_ID_NOT_FOUND: i16 = 70;

/// A Fetch request that waits for data.
#[derive(Debug)]
pub(crate) struct DelayedFetch {
    at: At,
    request: FetchRequest,
    partitions: Vec<usize>,
}

impl DelayedFetch {
    /// Partitions that it waits for.
    pub(crate) fn partitions(&self) -> Vec<usize> {
        self.partitions.clone()
    }
}

/// What one partition would answer.
#[derive(Debug, Default)]
struct Plan {
    partition: Option<usize>,
    code: i16,
    high_watermark: i64,
    last_stable_offset: i64,
    log_start: i64,
    aborted: Vec<Aborted>,
    /// What the client read last is not what this leader has: the epoch in which they part, and its end (KIP-595).
    diverging: Option<(i32, i64)>,
    /// Positions in the store.
    pieces: Vec<Range<u64>>,
    bytes: u64,
}

impl<S: Store> Model<S> {
    pub(crate) fn fetch(&mut self, at: &At, request: FetchRequest) -> Outcome {
        if request.session_id != 0 && request.session_epoch > 0 {
            return FetchResponse::default()
                .with_error_code(FETCH_SESSION_ID_NOT_FOUND)
                .into();
        }
        let plans = self.plan(at, &request);
        if request.max_wait_ms <= 0 || enough(&plans, &request) {
            return self.fetched(at, &request, plans).into();
        }
        let partitions: Vec<usize> = plans.iter().filter_map(|plan| plan.partition).collect();
        for partition in &partitions {
            self.waiting.insert((*partition, at.connection));
        }
        let at_ns = self.now.mono_ns.saturating_add(ms(request.max_wait_ms.into()));
        let deadline = self.timers.set(
            at_ns,
            Timer::Deadline {
                connection: at.connection,
            },
        );
        let delayed = DelayedFetch {
            at: at.clone(),
            request,
            partitions,
        };
        Outcome::Later(Wait::Fetch(Box::new(delayed)), Some(deadline))
    }

    /// Something happened in a partition that the waiting request of this connection reads.
    pub(crate) fn look_at_fetch(&mut self, connection: ConnectionId) {
        let Some(delayed) = self.take_fetch(connection) else {
            return;
        };
        let plans = self.plan(&delayed.at, &delayed.request);
        if enough(&plans, &delayed.request) {
            self.finish_fetch(connection, &delayed, plans);
        } else {
            self.wait(connection, Wait::Fetch(Box::new(delayed)));
        }
    }

    pub(crate) fn fetch_deadline(&mut self, connection: ConnectionId) {
        if let Some(delayed) = self.take_fetch(connection) {
            let plans = self.plan(&delayed.at, &delayed.request);
            self.finish_fetch(connection, &delayed, plans);
        }
    }

    fn take_fetch(&mut self, connection: ConnectionId) -> Option<DelayedFetch> {
        let current = self.current(connection)?;
        match std::mem::replace(&mut current.wait, Wait::Serving) {
            Wait::Fetch(delayed) => Some(*delayed),
            other => {
                current.wait = other;
                None
            }
        }
    }

    fn finish_fetch(&mut self, connection: ConnectionId, delayed: &DelayedFetch, plans: Vec<Plan>) {
        for partition in &delayed.partitions {
            self.waiting.remove(&(*partition, connection));
        }
        let answer = Answer::from(self.fetched(&delayed.at, &delayed.request, plans));
        self.finish(connection, answer);
    }

    /// What every partition would answer now, in the order of the request.
    fn plan(&self, at: &At, request: &FetchRequest) -> Vec<Plan> {
        let mut room = (request.max_bytes.max(0) as u64).min(self.settings.fetch_max_bytes as u64);
        let mut first = true;
        let mut plans = Vec::new();
        for topic in &request.topics {
            let found = if at.version >= BY_TOPIC_ID {
                self.topics.by_id(topic.topic_id.into_bytes())
            } else {
                self.topics.by_name(&topic.topic)
            };
            for wanted in &topic.partitions {
                let partition = found.and_then(|topic| partition_of(topic, wanted.partition));
                let plan = match partition {
                    Some(partition) => {
                        let limit = room.min(wanted.partition_max_bytes.max(0) as u64);
                        self.plan_partition(at, partition, wanted, request.isolation_level, (limit, first))
                    }
                    None if at.version >= BY_TOPIC_ID && found.is_none() => {
                        failed(None, code::UNKNOWN_TOPIC_ID)
                    }
                    None => failed(None, code::UNKNOWN_TOPIC_OR_PARTITION),
                };
                first &= plan.bytes == 0;
                room = room.saturating_sub(plan.bytes);
                plans.push(plan);
            }
        }
        plans
    }

    /// `bound`: bytes at most, and whether the first batch comes whole even if it is larger.
    fn plan_partition(
        &self,
        at: &At,
        partition: usize,
        wanted: &FetchPartition,
        isolation_level: i8,
        bound: (u64, bool),
    ) -> Plan {
        let found = &self.partitions[partition];
        let replica = match self.leading(at.node, partition, wanted.current_leader_epoch) {
            Ok(replica) => replica,
            Err(code) => return failed(Some(partition), code),
        };
        let from = wanted.fetch_offset;
        let diverging = match replica.end_of_epoch(wanted.last_fetched_epoch) {
            _ if wanted.last_fetched_epoch < 0 => None,
            // Nobody knows where that epoch ended.
            (_, -1) | (-1, _) => return failed(Some(partition), code::OFFSET_OUT_OF_RANGE),
            (epoch, end) => Some((epoch, end)).filter(|_| epoch < wanted.last_fetched_epoch || end < from),
        };
        if diverging.is_some() {
            return Plan {
                partition: Some(partition),
                high_watermark: replica.high_watermark,
                last_stable_offset: replica.last_stable_offset(),
                log_start: replica.start,
                diverging,
                ..Plan::default()
            };
        }
        if from < replica.start || from > replica.end {
            return failed(Some(partition), code::OFFSET_OUT_OF_RANGE);
        }
        let committed = isolation_level == READ_COMMITTED;
        let to = if committed {
            replica.last_stable_offset()
        } else {
            replica.high_watermark
        };
        let mut plan = Plan {
            partition: Some(partition),
            code: code::NONE,
            high_watermark: replica.high_watermark,
            last_stable_offset: replica.last_stable_offset(),
            log_start: replica.start,
            ..Plan::default()
        };
        let (limit, whole_first) = bound;
        for number in replica.runs.from(&found.entries, from) {
            let entry = found.entries.get(number);
            if entry.base_offset >= to {
                break;
            }
            // As Kafka, bytes are cut at the limit and not between batches; only a batch that would be the first is
            // given whole or not at all.
            let whole = u64::from(entry.size);
            let size = whole.min(limit.saturating_sub(plan.bytes));
            let size = match plan.pieces.is_empty() {
                true if whole_first => whole,
                true if size < whole => 0,
                _ => size,
            };
            if size == 0 {
                break;
            }
            let piece = entry.position..entry.position + size;
            match plan.pieces.last_mut() {
                Some(last) if last.end == piece.start => last.end = piece.end,
                _ => plan.pieces.push(piece),
            }
            plan.bytes += size;
        }
        if committed {
            let last_from = replica
                .aborted
                .partition_point(|aborted| aborted.last_offset < from);
            let concerns = |aborted: &&Aborted| aborted.first_offset < to;
            plan.aborted = replica.aborted[last_from..]
                .iter()
                .filter(concerns)
                .copied()
                .collect();
        }
        plan
    }

    /// The replica of a node that believes to lead, if the client's leader epoch fits.
    pub(crate) fn leading(&self, node: i32, partition: usize, epoch: i32) -> Result<&Replica, i16> {
        let view = self.view(node, partition);
        let known = self.partitions[partition]
            .replica(node)
            .map_or(view.epoch, |replica| replica.view.epoch);
        if epoch >= 0 && epoch < known {
            return Err(code::FENCED_LEADER_EPOCH);
        }
        if epoch >= 0 && epoch > known {
            return Err(code::UNKNOWN_LEADER_EPOCH);
        }
        self.partitions[partition]
            .replica(node)
            .filter(|replica| replica.leads())
            .ok_or(code::NOT_LEADER_OR_FOLLOWER)
    }

    fn fetched(&mut self, at: &At, request: &FetchRequest, plans: Vec<Plan>) -> FetchResponse {
        let mut response = FetchResponse::default();
        let mut leaders = BTreeSet::new();
        let mut plans = plans.into_iter();
        for topic in &request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for (wanted, plan) in topic.partitions.iter().zip(&mut plans) {
                let committed = request.isolation_level == READ_COMMITTED;
                partitions.push(self.fetched_partition(at, wanted.partition, &plan, committed, &mut leaders));
            }
            let found = FetchableTopicResponse::default().with_partitions(partitions);
            response.responses.push(if at.version >= BY_TOPIC_ID {
                found.with_topic_id(topic.topic_id)
            } else {
                found.with_topic(topic.topic.clone())
            });
        }
        for leader in leaders {
            if let Some(endpoint) = self.endpoint(leader, at.listener) {
                let endpoint = NodeEndpoint::default()
                    .with_node_id(BrokerId(leader))
                    .with_host(StrBytes::from_string(endpoint.host.clone()))
                    .with_port(endpoint.port.into())
                    .with_rack(None);
                response.node_endpoints.push(endpoint);
            }
        }
        response
    }

    fn fetched_partition(
        &mut self,
        at: &At,
        index: i32,
        plan: &Plan,
        committed: bool,
        leaders: &mut BTreeSet<i32>,
    ) -> PartitionData {
        let mut records = BytesMut::with_capacity(plan.bytes as usize);
        let mut code = plan.code;
        if let Some(log) = plan.partition.map(|partition| self.partitions[partition].log) {
            for piece in &plan.pieces {
                let length = (piece.end - piece.start) as usize;
                if self.store.read(log, piece.start, length, &mut records).is_err() {
                    code = code::KAFKA_STORAGE_ERROR;
                    records.clear();
                    break;
                }
            }
        }
        let mut data = PartitionData::default()
            .with_partition_index(index)
            .with_error_code(code)
            .with_high_watermark(plan.high_watermark)
            .with_last_stable_offset(plan.last_stable_offset)
            .with_aborted_transactions(None)
            .with_records(Some(records.freeze()));
        if at.version >= 5 {
            data = data.with_log_start_offset(plan.log_start);
        }
        if plan.partition.is_none() {
            data = data.with_aborted_transactions(Some(Vec::new()));
        } else if committed && code == code::NONE {
            let aborted = plan.aborted.iter().map(|aborted| {
                AbortedTransaction::default()
                    .with_producer_id(aborted.producer_id.into())
                    .with_first_offset(aborted.first_offset)
            });
            data = data.with_aborted_transactions(Some(aborted.collect()));
        }
        if let Some((epoch, end)) = plan.diverging {
            let parted = EpochEndOffset::default().with_epoch(epoch).with_end_offset(end);
            data = data.with_diverging_epoch(parted);
        }
        let moved = matches!(code, code::NOT_LEADER_OR_FOLLOWER | code::FENCED_LEADER_EPOCH);
        if at.version >= TELLS_ENDPOINTS
            && moved
            && let Some(partition) = plan.partition
        {
            let view = self.view(at.node, partition);
            leaders.insert(view.leader);
            let leader = LeaderIdAndEpoch::default()
                .with_leader_id(BrokerId(view.leader))
                .with_leader_epoch(view.epoch);
            data = data.with_current_leader(leader);
        }
        data
    }
}

fn failed(partition: Option<usize>, code: i16) -> Plan {
    Plan {
        partition,
        code,
        high_watermark: -1,
        last_stable_offset: -1,
        log_start: -1,
        ..Plan::default()
    }
}

/// Whether the answer may be given now: enough bytes, an error, or nothing to wait for.
fn enough(plans: &[Plan], request: &FetchRequest) -> bool {
    let bytes: u64 = plans.iter().map(|plan| plan.bytes).sum();
    plans.is_empty()
        || bytes >= request.min_bytes.max(0) as u64
        || plans
            .iter()
            .any(|plan| plan.code != code::NONE || plan.diverging.is_some())
}
