//! For tests: a cluster in memory with a clock of its own, clients that speak the wire, and batches made by hand.

use std::collections::{BTreeMap, VecDeque};

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

use crate::{Action, ConnectionId, Endpoint, Fact, Memory, Model, Now, Order, Settings};

/// The topic that every world begins with: one partition, on every node.
pub(crate) const TOPIC: &str = "orders";
/// Virtual time that a test waits for an answer.
const PATIENCE_MS: u64 = 60_000;
/// What a client of TV2 speaks.
pub(crate) const PRODUCE_V2: i16 = 12;
/// What a client of TV1 speaks.
pub(crate) const PRODUCE_V1: i16 = 11;

/// A record batch by hand.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) producer: (i64, i16),
    pub(crate) sequence: i32,
    pub(crate) count: i32,
    pub(crate) transactional: bool,
    pub(crate) value: &'static str,
    pub(crate) timestamp: i64,
}

/// A batch of one record without a producer.
pub(crate) fn plain() -> Made {
    Made {
        producer: (-1, -1),
        sequence: -1,
        count: 1,
        transactional: false,
        value: "v",
        timestamp: 1_000,
    }
}

/// An idempotent batch.
pub(crate) fn numbered(producer: (i64, i16), sequence: i32, count: i32) -> Made {
    Made {
        producer,
        sequence,
        count,
        ..plain()
    }
}

/// A batch of a transaction.
pub(crate) fn transactional(producer: (i64, i16), sequence: i32, count: i32) -> Made {
    Made {
        transactional: true,
        ..numbered(producer, sequence, count)
    }
}

impl Made {
    pub(crate) fn bytes(&self) -> Bytes {
        let mut records = BytesMut::new();
        for index in 0..self.count {
            let mut body = BytesMut::new();
            body.put_slice(&[0, 0]);
            put_varint(&mut body, index.into());
            put_varint(&mut body, -1);
            put_varint(&mut body, self.value.len() as i64);
            body.put_slice(self.value.as_bytes());
            body.put_u8(0);
            put_varint(&mut records, body.len() as i64);
            records.put_slice(&body);
        }
        let mut bytes = BytesMut::new();
        bytes.put_i64(0);
        bytes.put_i32(49 + records.len() as i32);
        bytes.put_i32(-1);
        bytes.put_u8(2);
        bytes.put_u32(0);
        bytes.put_i16(if self.transactional { 0x10 } else { 0 });
        bytes.put_i32(self.count - 1);
        bytes.put_i64(self.timestamp);
        bytes.put_i64(self.timestamp);
        bytes.put_i64(self.producer.0);
        bytes.put_i16(self.producer.1);
        bytes.put_i32(self.sequence);
        bytes.put_i32(self.count);
        bytes.put_slice(&records);
        seal(&mut bytes);
        bytes.freeze()
    }
}

/// Writes the checksum of a batch.
pub(crate) fn seal(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

fn put_varint(bytes: &mut BytesMut, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        bytes.put_u8(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.put_u8(rest as u8);
}

/// A cluster and its clients.
pub(crate) struct World {
    pub(crate) model: Model<Memory>,
    pub(crate) now: Now,
    next_connection: u64,
    correlation: i32,
    answers: BTreeMap<ConnectionId, VecDeque<Bytes>>,
    pub(crate) closed: Vec<ConnectionId>,
    pub(crate) facts: Vec<Fact>,
}

/// One node.
pub(crate) fn one_node() -> Settings {
    Settings::default()
}

/// Three nodes, three replicas, two of which must be in sync.
pub(crate) fn three_nodes() -> Settings {
    Settings {
        nodes: 3,
        default_replication_factor: 3,
        min_insync_replicas: 2,
        ..Settings::default()
    }
}

fn endpoints(nodes: i32) -> Vec<Endpoint> {
    let endpoint = |node: i32| Endpoint {
        node,
        listener: 0,
        host: "localhost".into(),
        port: 9_000 + node as u16,
    };
    (1..=nodes).map(endpoint).collect()
}

impl World {
    pub(crate) fn new(settings: Settings) -> World {
        let now = Now {
            mono_ns: 0,
            wall_ms: 1_000_000,
        };
        let factor = settings.default_replication_factor;
        let nodes = settings.nodes;
        let model = Model::new(settings, endpoints(nodes), Memory::default(), 7, now);
        let mut world = World {
            model,
            now,
            next_connection: 0,
            correlation: 0,
            answers: BTreeMap::new(),
            closed: Vec::new(),
            facts: Vec::new(),
        };
        world.order(Order::CreateTopic {
            name: TOPIC.into(),
            partitions: 1,
            replication_factor: factor,
            configs: Vec::new(),
        });
        world
    }

    /// The whole cluster dies and comes back from facts and bytes.
    pub(crate) fn reborn(mut self, facts: Vec<Fact>) -> World {
        let settings = self.model.settings.clone();
        let store = std::mem::take(self.model.store());
        let nodes = settings.nodes;
        let mut model = Model::new(settings, endpoints(nodes), store, 8, self.now);
        model.recall(facts, self.now).expect("comes back");
        self.model = model;
        self.answers.clear();
        self.collect();
        self
    }

    pub(crate) fn order(&mut self, order: Order) {
        self.model.order(order, self.now).expect("the order is possible");
        self.collect();
    }

    /// Time passes, timer by timer.
    pub(crate) fn run(&mut self, ms: u64) {
        let until = self.now.mono_ns + ms * 1_000_000;
        while let Some(next) = self.model.wakeup_ns().filter(|next| *next <= until) {
            self.step_to(next.max(self.now.mono_ns));
        }
        self.step_to(until);
    }

    fn step_to(&mut self, mono_ns: u64) {
        let before_ms = (self.now.mono_ns / 1_000_000) as i64;
        self.now.mono_ns = mono_ns;
        self.now.wall_ms += (mono_ns / 1_000_000) as i64 - before_ms;
        self.model.advance(self.now);
        self.collect();
    }

    pub(crate) fn collect(&mut self) {
        while let Some(action) = self.model.next_action() {
            match action {
                Action::Answer { connection, frame } => {
                    let size = i32::from_be_bytes(frame[..4].try_into().expect("a size"));
                    assert_eq!(size as usize + 4, frame.len());
                    self.answers
                        .entry(connection)
                        .or_default()
                        .push_back(frame.slice(4..));
                }
                Action::Close { connection } => self.closed.push(connection),
                Action::Remember(fact) => self.facts.push(fact),
            }
        }
    }

    pub(crate) fn connect(&mut self, node: i32) -> ConnectionId {
        self.next_connection += 1;
        let connection = ConnectionId(self.next_connection);
        self.model.opened(connection, node, 0, self.now);
        self.collect();
        connection
    }

    pub(crate) fn send<R: Request>(&mut self, connection: ConnectionId, version: i16, request: &R) {
        self.correlation += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(StrBytes::from_static_str("test")));
        let mut frame = BytesMut::new();
        header
            .encode(&mut frame, R::header_version(version))
            .expect("a header");
        request.encode(&mut frame, version).expect("a request");
        self.model.received(connection, frame.freeze(), self.now);
        self.collect();
    }

    /// The next answer on a connection, if it is there already.
    pub(crate) fn answer<R: Request>(
        &mut self,
        connection: ConnectionId,
        version: i16,
    ) -> Option<R::Response> {
        let frame = self.answers.get_mut(&connection)?.pop_front()?;
        Some(decode::<R>(version, frame))
    }

    /// Asks and waits, in virtual time.
    pub(crate) fn ask<R: Request>(
        &mut self,
        connection: ConnectionId,
        version: i16,
        request: &R,
    ) -> R::Response {
        self.send(connection, version, request);
        self.wait_for::<R>(connection, version)
    }

    pub(crate) fn wait_for<R: Request>(&mut self, connection: ConnectionId, version: i16) -> R::Response {
        for _ in 0..PATIENCE_MS {
            if let Some(response) = self.answer::<R>(connection, version) {
                return response;
            }
            assert!(!self.closed.contains(&connection), "the connection was closed");
            self.run(1);
        }
        panic!("no answer within {PATIENCE_MS} ms");
    }

    /// Produces one batch to the topic's partition on a node; error code and base offset.
    pub(crate) fn produce(&mut self, node: i32, made: &Made) -> (i16, i64) {
        let answer = self.produce_as(node, PRODUCE_V1, None, made);
        (answer.error_code, answer.base_offset)
    }

    /// The same inside a transaction.
    pub(crate) fn produce_in(&mut self, version: i16, id: &str, made: &Made) -> (i16, i64) {
        let answer = self.produce_as(1, version, Some(id), made);
        (answer.error_code, answer.base_offset)
    }

    pub(crate) fn produce_as(
        &mut self,
        node: i32,
        version: i16,
        id: Option<&str>,
        made: &Made,
    ) -> PartitionProduceResponse {
        let connection = self.connect(node);
        let request = produce_request(id, -1, made.bytes());
        let response = self.ask(connection, version, &request);
        response.responses[0].partition_responses[0].clone()
    }

    /// InitProducerId; error code, producer id and epoch.
    pub(crate) fn init(&mut self, id: Option<&str>, expected: Option<(i64, i16)>) -> (i16, (i64, i16)) {
        let node = id.map_or(1, |id| self.model.coordinator_of(1, id));
        let connection = self.connect(node);
        let (producer_id, epoch) = expected.unwrap_or((-1, -1));
        let request = InitProducerIdRequest::default()
            .with_transactional_id(id.map(transactional_id))
            .with_transaction_timeout_ms(60_000)
            .with_producer_id(producer_id.into())
            .with_producer_epoch(epoch);
        let answer = self.ask(connection, 5, &request);
        (answer.error_code, (answer.producer_id.0, answer.producer_epoch))
    }

    /// InitProducerId until no transaction is in the way (B1).
    pub(crate) fn own(&mut self, id: &str) -> (i64, i16) {
        for _ in 0..100 {
            match self.init(Some(id), None) {
                (0, producer) => return producer,
                (51, _) => self.run(20),
                other => panic!("{other:?}"),
            }
        }
        panic!("concurrent transactions for ever");
    }

    /// AddPartitionsToTxn version 3.
    pub(crate) fn add(&mut self, id: &str, producer: (i64, i16)) -> i16 {
        use add_partitions_to_txn_request::AddPartitionsToTxnTopic;
        let node = self.model.coordinator_of(1, id);
        let connection = self.connect(node);
        let topic = AddPartitionsToTxnTopic::default()
            .with_name(topic_name(TOPIC))
            .with_partitions(vec![0]);
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(transactional_id(id))
            .with_v3_and_below_producer_id(producer.0.into())
            .with_v3_and_below_producer_epoch(producer.1)
            .with_v3_and_below_topics(vec![topic]);
        let answer = self.ask(connection, 3, &request);
        answer.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
    }

    /// EndTxn; error code, and from version 5 on the next producer id and epoch.
    pub(crate) fn end(
        &mut self,
        version: i16,
        id: &str,
        producer: (i64, i16),
        commit: bool,
    ) -> (i16, (i64, i16)) {
        let node = self.model.coordinator_of(1, id);
        let connection = self.connect(node);
        let request = EndTxnRequest::default()
            .with_transactional_id(transactional_id(id))
            .with_producer_id(producer.0.into())
            .with_producer_epoch(producer.1)
            .with_committed(commit);
        let answer = self.ask(connection, version, &request);
        (answer.error_code, (answer.producer_id.0, answer.producer_epoch))
    }

    /// Fetches from a node; batches' base offsets and the rest of the answer.
    pub(crate) fn fetch(
        &mut self,
        node: i32,
        offset: i64,
        committed: bool,
    ) -> (Vec<i64>, fetch_response::PartitionData) {
        let connection = self.connect(node);
        let response = self.ask(connection, 12, &fetch_request(offset, committed, 0));
        let data = response.responses[0].partitions[0].clone();
        (base_offsets(data.records.as_deref().unwrap_or_default()), data)
    }

    /// ListOffsets version 6 on a node; error code and offset.
    pub(crate) fn list(&mut self, node: i32, timestamp: i64, committed: bool) -> (i16, i64) {
        let connection = self.connect(node);
        let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
        let topic = ListOffsetsTopic::default()
            .with_name(topic_name(TOPIC))
            .with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_isolation_level(i8::from(committed))
            .with_topics(vec![topic]);
        let answer = self.ask(connection, 7, &request);
        let found = &answer.topics[0].partitions[0];
        (found.error_code, found.offset)
    }

    pub(crate) fn state(&self) -> crate::PartitionState {
        self.model.partition(TOPIC, 0).expect("the topic is there")
    }

    pub(crate) fn leader(&self) -> i32 {
        self.state().leader
    }

    /// A record that is committed without `new`, which then leads all the same: the record is lost.
    pub(crate) fn lose_by_election(&mut self, new: i32) {
        let old = self.leader();
        self.order(Order::Pause { node: new });
        self.run(10_000);
        let lost = Made {
            value: "lost",
            ..plain()
        };
        assert_eq!(self.produce(old, &lost).0, 0);
        self.order(Order::Cut { a: old, b: new });
        self.order(Order::Resume { node: new });
        let elect = |unclean| Order::Elect {
            topic: TOPIC.into(),
            partition: 0,
            node: new,
            unclean,
        };
        assert!(
            self.model.order(elect(false), self.now).is_err(),
            "it is not in sync"
        );
        self.order(elect(true));
        self.run(50);
        self.order(Order::Mend { a: old, b: new });
        self.run(1_000);
    }

    /// Kills a node and starts it again at once.
    pub(crate) fn restart(&mut self, node: i32, stop: crate::Stop) {
        self.order(Order::Kill { node, stop });
        self.order(Order::Start { node });
        self.run(1_000);
    }
}

/// Decodes without the guard: these are the model's own bytes, and they must be exactly one answer.
fn decode<R: Request>(version: i16, frame: Bytes) -> R::Response {
    let mut body = frame;
    ResponseHeader::decode(&mut body, R::Response::header_version(version)).expect("a header");
    let response = R::Response::decode(&mut body, version).expect("a response");
    assert!(body.is_empty(), "bytes behind the answer");
    response
}

pub(crate) fn produce_request(id: Option<&str>, acks: i16, records: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default().with_records(Some(records));
    let topic = TopicProduceData::default()
        .with_name(topic_name(TOPIC))
        .with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_transactional_id(id.map(transactional_id))
        .with_acks(acks)
        .with_timeout_ms(1_000)
        .with_topic_data(vec![topic])
}

pub(crate) fn fetch_request(offset: i64, committed: bool, max_wait_ms: i32) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20)
        .with_current_leader_epoch(-1);
    let topic = FetchTopic::default()
        .with_topic(topic_name(TOPIC))
        .with_partitions(vec![partition]);
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(max_wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_isolation_level(i8::from(committed))
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

pub(crate) fn base_offsets(mut records: &[u8]) -> Vec<i64> {
    let mut offsets = Vec::new();
    while let Some(header) = crate::batch::Header::parse(records) {
        offsets.push(header.base_offset);
        records = records.get(header.size..).unwrap_or_default();
    }
    offsets
}

pub(crate) fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

pub(crate) fn transactional_id(id: &str) -> TransactionalId {
    TransactionalId(StrBytes::from_string(id.to_owned()))
}
