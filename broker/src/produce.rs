//! Produce: every partition's batch is checked, appended, and (acks=-1) waits until the in-sync replicas have it.
//!
//! ```text
//! shape ──▶ topic ──▶ leader ──▶ transaction known? ──▶ enough replicas ──▶ bytes sound ──▶ sequence ──▶ log
//!                                                                                                      │ acks=-1
//!                                             answer ◀── all in sync have it, or time is over ◀────────┘
//! ```
//!
//! Versions 3 to 13. Order of checks: ReplicaManager.handleProduceAppend and Partition.appendRecordsToLeader.

use std::borrow::Cow;
use std::collections::BTreeSet;

use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{BrokerId, ProduceRequest, ProduceResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::answer::Answer;
use crate::batch::{self, Header, Limits, Refused, refused};
use crate::code;
use crate::connection::{At, Outcome, Wait};
use crate::coordinator::Supports;
use crate::model::{ConnectionId, Model, ms};
use crate::partition::Appended;
use crate::producer_state::Verified;
use crate::store::Store;
use crate::timer::Timer;
use crate::topics::partition_of;

/// First version that names topics by id.
const BY_TOPIC_ID: i16 = 13;
/// First version whose answer tells the new leader (KIP-951).
const TELLS_LEADER: i16 = 10;
/// First version whose answer has words.
const HAS_MESSAGES: i16 = 8;

/// What coordinators write; here no logs of their own.
const INTERNAL_TOPICS: [&str; 2] = ["__transaction_state", "__consumer_offsets"];

/// A Produce request that waits for replicas.
#[derive(Debug)]
pub(crate) struct DelayedProduce {
    node: i32,
    listener: u8,
    version: i16,
    topics: Vec<(TopicName, Uuid, Vec<Slot>)>,
}

/// One partition's part of an answer.
#[derive(Debug)]
struct Slot {
    index: i32,
    /// None when there is no such partition.
    partition: Option<usize>,
    code: i16,
    base_offset: i64,
    append_time: i64,
    log_start: i64,
    message: Option<Cow<'static, str>>,
    /// The records that are to blame.
    records: Vec<(i32, String)>,
    /// The high watermark that it waits for.
    needs: Option<i64>,
}

/// What holds for all partitions of a request.
#[derive(Debug)]
struct Whole {
    acks: i16,
    transactional_id: Option<String>,
    /// Producer ids of its transactional batches: one, or it is refused.
    producers: BTreeSet<i64>,
}

impl DelayedProduce {
    /// Partitions that it waits for.
    pub(crate) fn partitions(&self) -> Vec<usize> {
        let slots = self.topics.iter().flat_map(|(_, _, slots)| slots);
        slots.filter_map(|slot| slot.partition).collect()
    }

    fn waits(&self) -> bool {
        let mut slots = self.topics.iter().flat_map(|(_, _, slots)| slots);
        slots.any(|slot| slot.needs.is_some())
    }
}

impl<S: Store> Model<S> {
    pub(crate) fn produce(&mut self, at: &At, request: ProduceRequest) -> Outcome {
        let acks = request.acks;
        if request
            .topic_data
            .iter()
            .flat_map(|topic| &topic.partition_data)
            .any(|data| data.records.is_none())
        {
            // Kafka's handler dies of it and the client waits for ever.
            return Outcome::Unanswered;
        }
        let unnamed = request.transactional_id.is_none() && transactional(&request);
        let mut whole = Whole {
            acks,
            transactional_id: request.transactional_id.as_ref().map(|id| id.0.to_string()),
            producers: BTreeSet::new(),
        };
        let mut topics = Vec::new();
        for topic in request.topic_data {
            let mut slots = Vec::with_capacity(topic.partition_data.len());
            for data in last_of_each(topic.partition_data) {
                let found = if at.version >= BY_TOPIC_ID {
                    self.topics.by_id(topic.topic_id.into_bytes())
                } else {
                    self.topics.by_name(&topic.name)
                };
                let known = found.is_some();
                let partition = found.and_then(|topic| partition_of(topic, data.index));
                let index = data.index;
                let done = match partition {
                    _ if unnamed => Err(refused(
                        code::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
                        "transactional records without a transactional id",
                    )),
                    _ if !matches!(acks, -1..=1) => {
                        Err(refused(code::INVALID_REQUIRED_ACKS, "acks must be -1, 0 or 1"))
                    }
                    _ if INTERNAL_TOPICS.contains(&topic.name.as_str()) => Err(refused(
                        code::INVALID_TOPIC_EXCEPTION,
                        "clients may not write to an internal topic",
                    )),
                    Some(partition) => self.append(at, partition, data, &mut whole),
                    None if at.version >= BY_TOPIC_ID && !known => {
                        Err(refused(code::UNKNOWN_TOPIC_ID, "no topic has this id"))
                    }
                    None => Err(refused(
                        code::UNKNOWN_TOPIC_OR_PARTITION,
                        "no such topic or partition",
                    )),
                };
                slots.push(self.slot(at.node, index, partition, acks, done));
            }
            topics.push((topic.name, topic.topic_id, slots));
        }
        let delayed = DelayedProduce {
            node: at.node,
            listener: at.listener,
            version: at.version,
            topics,
        };
        if acks == 0 {
            let failed = delayed
                .topics
                .iter()
                .flat_map(|(_, _, slots)| slots)
                .any(|slot| slot.code != code::NONE);
            return if failed { Outcome::Close } else { Outcome::Silent };
        }
        self.wait_for_replicas(at.connection, delayed, request.timeout_ms)
    }

    fn slot(
        &self,
        node: i32,
        index: i32,
        partition: Option<usize>,
        acks: i16,
        done: Result<Appended, Refused>,
    ) -> Slot {
        let replica = partition.and_then(|at| self.partitions[at].replica(node));
        let log_start = replica.map_or(-1, |replica| replica.start);
        match done {
            Ok(appended) => Slot {
                index,
                partition,
                code: code::NONE,
                base_offset: appended.base_offset,
                append_time: appended.append_time,
                log_start,
                message: None,
                records: Vec::new(),
                needs: (acks == -1).then_some(appended.needs),
            },
            Err(refused) => Slot {
                index,
                partition,
                code: refused.code,
                base_offset: -1,
                append_time: -1,
                log_start: if refused.tells_start { log_start } else { -1 },
                message: refused.told.then_some(refused.why),
                records: refused.records,
                needs: None,
            },
        }
    }

    /// Checks and appends one partition's batch.
    fn append(
        &mut self,
        at: &At,
        partition: usize,
        data: PartitionProduceData,
        whole: &mut Whole,
    ) -> Result<Appended, Refused> {
        let records = data.records.unwrap_or_default();
        let mut header = batch::only_batch(&records, at.version)?;
        let replica = self.partitions[partition]
            .replica(at.node)
            .filter(|replica| replica.leads())
            .ok_or(refused(
                code::NOT_LEADER_OR_FOLLOWER,
                "this node does not lead the partition",
            ))?;
        let mut verified = Verified::No;
        if header.transactional() && header.producer_id >= 0 {
            whole.producers.insert(header.producer_id);
            if whole.producers.len() > 1 {
                let why = "Transactional records contained more than one producer ID";
                return Err(refused(code::INVALID_PRODUCER_ID_MAPPING, why));
            }
            let open = replica
                .producers
                .in_transaction(header.producer_id, header.producer_epoch);
            if let Some(id) = whole.transactional_id.as_deref().filter(|_| !open) {
                verified = self.verify(at, id, &header, partition)?;
            }
        }
        let replica = self.partitions[partition].replica(at.node);
        let in_sync = replica.map_or(0, |replica| replica.view.isr.len());
        if whole.acks == -1 && in_sync < self.min_isr(partition) {
            return Err(refused(
                code::NOT_ENOUGH_REPLICAS,
                "the size of the current ISR is insufficient to satisfy min.insync.replicas",
            )
            .by_log());
        }
        let limits = self.limits(partition);
        let append_time = limits.append_time;
        let newest = batch::validate(&header, &records, limits).map_err(Refused::by_log)?;
        let newest = if append_time { self.now.wall_ms } else { newest };
        let records = batch::stamped(&mut header, &records, append_time, newest);
        let mut appended = self.partitions[partition]
            .append(at.node, &header, &records, verified, &mut self.store)
            .map_err(Refused::by_log)?;
        if append_time && appended.new {
            appended.append_time = newest;
        }
        if appended.new {
            let moved = self.partitions[partition].commit(at.node);
            self.kick(partition);
            if moved {
                self.wake(partition);
            }
        }
        Ok(appended)
    }

    /// What the topic of a partition asks of a batch.
    fn limits(&self, partition: usize) -> Limits<'_> {
        let found = &self.partitions[partition];
        let settings = &self.settings;
        let number = |name: &str, default: i64| self.topics.number(found.topic, name, default);
        let word = |name: &str, default: &'static str| self.topics.word(found.topic, name, default);
        let oldest = number("message.timestamp.before.max.ms", i64::MAX);
        let newest = number("message.timestamp.after.max.ms", settings.timestamp_after_max_ms);
        let now_ms = self.now.wall_ms;
        Limits {
            topic: &self.topics.all[found.topic].name,
            partition: found.index,
            max_bytes: number("max.message.bytes", settings.message_max_bytes.into()) as i32,
            segment_bytes: number("segment.bytes", settings.segment_bytes.into()) as i32,
            times_ms: (now_ms.saturating_sub(oldest), now_ms.saturating_add(newest)),
            keyed: word("cleanup.policy", "delete").contains("compact"),
            append_time: word("message.timestamp.type", "CreateTime") == "LogAppendTime",
        }
    }

    /// Asks the coordinator whether (TV1), or tells it that (TV2), the partition is in the transaction.
    fn verify(&mut self, at: &At, id: &str, header: &Header, partition: usize) -> Result<Verified, Refused> {
        let supports = Supports::of_produce(at.version);
        let (producer_id, epoch) = (header.producer_id, header.producer_epoch);
        let said = self.ask_coordinator(at.node, id, (producer_id, epoch), partition, supports);
        match said {
            Ok(()) => Ok(Verified::Yes {
                fresh_at_zero: supports == Supports::EpochBump,
            }),
            Err(asked) => Err(supports.translate(asked)),
        }
    }

    /// Answers now if nothing is waited for, else when the replicas are there or time is over.
    fn wait_for_replicas(
        &mut self,
        connection: ConnectionId,
        mut delayed: DelayedProduce,
        timeout_ms: i32,
    ) -> Outcome {
        self.settle(&mut delayed);
        if !delayed.waits() {
            return Outcome::Answer(self.produced(delayed).into());
        }
        for partition in delayed.partitions() {
            self.waiting.insert((partition, connection));
        }
        let at_ns = self.now.mono_ns.saturating_add(ms(timeout_ms.into()));
        let deadline = self.timers.set(at_ns, Timer::Deadline { connection });
        Outcome::Later(Wait::Produce(Box::new(delayed)), Some(deadline))
    }

    /// Something happened in a partition that the waiting request of this connection waits for.
    pub(crate) fn look_at_produce(&mut self, connection: ConnectionId) {
        let Some(mut delayed) = self.take_produce(connection) else {
            return;
        };
        self.settle(&mut delayed);
        if delayed.waits() {
            self.wait(connection, Wait::Produce(Box::new(delayed)));
        } else {
            self.finish_produce(connection, delayed);
        }
    }

    pub(crate) fn produce_deadline(&mut self, connection: ConnectionId) {
        let Some(mut delayed) = self.take_produce(connection) else {
            return;
        };
        for slot in delayed.topics.iter_mut().flat_map(|(_, _, slots)| slots) {
            if slot.needs.take().is_some() {
                slot.code = code::REQUEST_TIMED_OUT;
                slot.message = None;
            }
        }
        self.finish_produce(connection, delayed);
    }

    fn take_produce(&mut self, connection: ConnectionId) -> Option<DelayedProduce> {
        let current = self.current(connection)?;
        match std::mem::replace(&mut current.wait, Wait::Serving) {
            Wait::Produce(delayed) => Some(*delayed),
            other => {
                current.wait = other;
                None
            }
        }
    }

    fn finish_produce(&mut self, connection: ConnectionId, delayed: DelayedProduce) {
        for partition in delayed.partitions() {
            self.waiting.remove(&(partition, connection));
        }
        let answer = Answer::from(self.produced(delayed));
        self.finish(connection, answer);
    }

    /// Which partitions wait no longer (Partition.checkEnoughReplicasReachOffset).
    fn settle(&self, delayed: &mut DelayedProduce) {
        for slot in delayed.topics.iter_mut().flat_map(|(_, _, slots)| slots) {
            let (Some(partition), Some(needs)) = (slot.partition, slot.needs) else {
                continue;
            };
            let found = &self.partitions[partition];
            let Some(replica) = found.replica(delayed.node).filter(|replica| replica.leads()) else {
                slot.code = code::NOT_LEADER_OR_FOLLOWER;
                slot.needs = None;
                continue;
            };
            if replica.high_watermark < needs {
                continue;
            }
            if replica.view.isr.len() < self.min_isr(partition) {
                slot.code = code::NOT_ENOUGH_REPLICAS_AFTER_APPEND;
            }
            slot.needs = None;
        }
    }

    fn produced(&self, delayed: DelayedProduce) -> ProduceResponse {
        let version = delayed.version;
        let mut leaders = BTreeSet::new();
        let mut response = ProduceResponse::default();
        for (name, id, slots) in delayed.topics {
            let mut partitions = Vec::with_capacity(slots.len());
            for slot in slots {
                let mut partition = PartitionProduceResponse::default()
                    .with_index(slot.index)
                    .with_error_code(slot.code)
                    .with_base_offset(slot.base_offset)
                    .with_log_append_time_ms(slot.append_time)
                    .with_log_start_offset(if version >= 5 { slot.log_start } else { -1 });
                if version >= HAS_MESSAGES && slot.code != code::NONE {
                    let records = slot.records.into_iter().map(|(index, why)| {
                        BatchIndexAndErrorMessage::default()
                            .with_batch_index(index)
                            .with_batch_index_error_message(Some(StrBytes::from_string(why)))
                    });
                    partition = partition
                        .with_record_errors(records.collect())
                        .with_error_message(slot.message.map(|why| StrBytes::from_string(why.into_owned())));
                }
                if version >= TELLS_LEADER
                    && slot.code == code::NOT_LEADER_OR_FOLLOWER
                    && let Some(at) = slot.partition
                {
                    let view = self.view(delayed.node, at);
                    leaders.insert(view.leader);
                    let leader = LeaderIdAndEpoch::default()
                        .with_leader_id(BrokerId(view.leader))
                        .with_leader_epoch(view.epoch);
                    partition = partition.with_current_leader(leader);
                }
                partitions.push(partition);
            }
            let topic = TopicProduceResponse::default().with_partition_responses(partitions);
            response.responses.push(if version >= BY_TOPIC_ID {
                topic.with_topic_id(id)
            } else {
                topic.with_name(name)
            });
        }
        for leader in leaders {
            if let Some(endpoint) = self.endpoint(leader, delayed.listener) {
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
}

/// Whether any batch says that it is transactional.
fn transactional(request: &ProduceRequest) -> bool {
    let partitions = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
    let mut records = partitions.flat_map(|data| &data.records);
    records.any(|records| Header::parse(records).is_some_and(|header| header.transactional()))
}

/// Of a partition that is named more than once, Kafka sees the last only.
fn last_of_each(all: Vec<PartitionProduceData>) -> Vec<PartitionProduceData> {
    let mut seen = BTreeSet::new();
    let mut last: Vec<PartitionProduceData> = all
        .into_iter()
        .rev()
        .filter(|data| seen.insert(data.index))
        .collect();
    last.reverse();
    last
}
