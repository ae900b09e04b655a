//! A scripted cluster in virtual time: it answers the core's frames by Kafka's rules and by a list of faults.
//!
//! It keeps what the contract says of a broker: one log per partition, the last five batches of each producer (one
//! after a restart, M5), any first sequence accepted where the producer is not known (M8), appends only in sequence.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_request::TopicProduceData;
use kafka_protocol::messages::produce_response::{
    LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use kafka_protocol::records::RecordBatchDecoder;

use crate::record::Outcome;
use crate::sender::{Action, Frame, LinkId, Sender};

pub(super) const MS: u64 = 1_000_000;
pub(super) const TOPIC: &str = "orders";
/// How long a broker takes for a request.
const SERVICE_NS: u64 = 100_000;

/// What happens to one Produce request. Codes apply to the partition `which` (modulo those in the request).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fault {
    None,
    /// Not written, this code.
    Refuse {
        which: usize,
        code: i16,
    },
    /// Written, but this code is answered.
    WriteThen {
        which: usize,
        code: i16,
    },
    /// The connection is cut before the broker has read the request.
    CutBefore,
    /// The connection is cut after the append, before the answer.
    CutAfter,
    /// The connection is cut, and the broker works on the request only later.
    Late {
        ms: u64,
    },
    /// Written, and never answered.
    Silent,
    /// Written, then the broker dies and comes back after a while, remembering one batch per producer.
    Restart {
        ms: u64,
    },
    /// Another node leads from now on. What was not acked may be gone from its log.
    Move {
        lose_tail: bool,
    },
    Throttle {
        ms: i32,
    },
    Garbage,
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) base_offset: i64,
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
    pub(super) base_sequence: i32,
    pub(super) ids: Vec<u64>,
    committed: bool,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Log {
    pub(super) entries: Vec<Entry>,
    pub(super) leader: i32,
    pub(super) epoch: i32,
    /// Batches remembered per producer: how many of its newest entries.
    remembered: usize,
}

struct Wire {
    node: i32,
    open: bool,
    /// (when, frame) in order.
    answers: VecDeque<(u64, Vec<u8>)>,
}

pub(super) struct Script {
    pub(super) now_ns: u64,
    pub(super) sender: Sender,
    pub(super) logs: Vec<Log>,
    pub(super) faults: VecDeque<Fault>,
    pub(super) outcomes: BTreeMap<u64, (Outcome, i64, i32, i16)>,
    pub(super) appended: BTreeMap<i32, Vec<u64>>,
    /// Produce requests that reached a broker: (node, partitions and base sequences).
    pub(super) requests: Vec<(i32, Vec<(i32, i32)>)>,
    pub(super) newest_produce: i16,
    pub(super) topic_id: u128,
    nodes: i32,
    /// Not reachable until then.
    down_until: BTreeMap<i32, u64>,
    wires: BTreeMap<u32, Wire>,
    late: Vec<(u64, i32, Vec<(usize, Bytes)>)>,
    next_pid: i64,
    busy_until: BTreeMap<u32, u64>,
}

impl Script {
    pub(super) fn new(sender: Sender, nodes: i32, partitions: usize) -> Script {
        let log = |p: usize| Log {
            leader: p as i32 % nodes,
            remembered: 5,
            ..Log::default()
        };
        Script {
            now_ns: 1_000 * MS,
            sender,
            logs: (0..partitions).map(log).collect(),
            faults: VecDeque::new(),
            outcomes: BTreeMap::new(),
            appended: BTreeMap::new(),
            requests: Vec::new(),
            newest_produce: 13,
            topic_id: 7,
            nodes,
            down_until: BTreeMap::new(),
            wires: BTreeMap::new(),
            late: Vec::new(),
            next_pid: 4000,
            busy_until: BTreeMap::new(),
        }
    }

    /// Lets virtual time pass until then, with everything that happens meanwhile.
    pub(super) fn run_until(&mut self, until_ns: u64) {
        let mut same_instant = 0;
        loop {
            self.sender.advance(self.now_ns);
            while let Some(action) = self.sender.next_action() {
                self.act(action);
            }
            self.fetch();
            let next = [
                self.sender.wakeup_ns(),
                self.next_answer_ns(),
                self.late.iter().map(|late| late.0).min(),
            ];
            let next_ns = next.into_iter().flatten().min().unwrap_or(u64::MAX);
            same_instant = if next_ns <= self.now_ns {
                same_instant + 1
            } else {
                0
            };
            assert!(
                same_instant < 1000,
                "the core spins: it wants to be woken now, again and again"
            );
            if next_ns > until_ns {
                self.now_ns = until_ns;
                return;
            }
            self.now_ns = self.now_ns.max(next_ns);
            self.work_late();
            self.deliver();
        }
    }

    pub(super) fn run_for(&mut self, ns: u64) {
        self.run_until(self.now_ns + ns);
    }

    fn fetch(&mut self) {
        while let Some(done) = self.sender.next_completion() {
            for (i, &token) in done.tokens.iter().enumerate() {
                let offset = if done.base_offset < 0 {
                    -1
                } else {
                    done.base_offset + i as i64
                };
                let entry = (done.outcome, offset, done.partition, done.error_code);
                let earlier = self.outcomes.insert(token, entry);
                assert_eq!(earlier, None, "record {token} got a second outcome: {entry:?}");
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect { link, port, .. } => {
                let node = i32::from(port) - 9000;
                if self.is_down(node) {
                    self.sender.disconnected(link, "refused", self.now_ns);
                } else {
                    self.wires.insert(
                        link.index() as u32,
                        Wire {
                            node,
                            open: true,
                            answers: VecDeque::new(),
                        },
                    );
                    self.sender.connected(link, self.now_ns);
                }
            }
            Action::Close { link } => {
                self.wires.remove(&(link.index() as u32));
            }
            Action::Send { link, frame } => {
                let bytes = match frame {
                    Frame::Plain(bytes) => bytes,
                    Frame::Produce(frame) => {
                        let mut slices = [std::io::IoSlice::new(&[]); 64];
                        let count = frame.slices(0, &mut slices);
                        let bytes: Vec<u8> =
                            slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
                        assert_eq!(bytes.len(), frame.total_bytes());
                        self.sender.recycle(frame);
                        bytes.into()
                    }
                };
                let size = i32::from_be_bytes(bytes[..4].try_into().unwrap());
                assert_eq!(size as usize, bytes.len() - 4);
                if self
                    .wires
                    .get(&(link.index() as u32))
                    .is_some_and(|wire| wire.open)
                {
                    self.serve(link, bytes.slice(4..));
                }
            }
        }
    }

    fn serve(&mut self, link: LinkId, mut request: Bytes) {
        let api = ApiKey::try_from(i16::from_be_bytes(request[..2].try_into().unwrap())).unwrap();
        let version = i16::from_be_bytes(request[2..4].try_into().unwrap());
        let header = RequestHeader::decode(&mut request, api.request_header_version(version)).unwrap();
        let correlation = header.correlation_id;
        let answer = match api {
            ApiKey::ApiVersions => encode(correlation, version, &self.api_versions()),
            ApiKey::Metadata => encode(correlation, version, &self.metadata()),
            ApiKey::InitProducerId => {
                self.next_pid += 1;
                let id = InitProducerIdResponse::default().with_producer_id(self.next_pid.into());
                encode(correlation, version, &id)
            }
            ApiKey::DescribeConfigs => encode(correlation, version, &self.configs()),
            ApiKey::Produce => return self.produce(link, correlation, version, request),
            other => panic!("not asked of a producer: {other:?}"),
        };
        self.answer(link, answer, 0);
    }

    fn produce(&mut self, link: LinkId, correlation: i32, version: i16, mut request: Bytes) {
        let request = ProduceRequest::decode(&mut request, version).unwrap();
        assert_eq!(request.acks, -1);
        let node = self.wires[&(link.index() as u32)].node;
        let mut batches: Vec<(usize, Bytes)> = Vec::new();
        for topic in &request.topic_data {
            for partition in &topic.partition_data {
                batches.push((partition.index as usize, partition.records.clone().unwrap()));
            }
        }
        let stale = version >= 13 && request.topic_data[0].topic_id.as_u128() != self.topic_id;
        let sequences = batches
            .iter()
            .map(|(p, batch)| (*p as i32, stamp(batch).2))
            .collect();
        self.requests.push((node, sequences));
        let fault = self.faults.pop_front().unwrap_or(Fault::None);
        let mut late = Vec::new();
        match fault {
            Fault::CutBefore => return self.cut(link),
            Fault::Late { ms } => {
                late = batches;
                self.late.push((self.now_ns + ms * MS, node, late));
                return self.cut(link);
            }
            Fault::Move { lose_tail } => {
                for (p, _) in &batches {
                    self.move_leader(*p, lose_tail);
                }
            }
            _ => {}
        }
        assert!(late.is_empty());
        let mut answers = Vec::new();
        for (n, (p, batch)) in batches.iter().enumerate() {
            let chosen = |which: usize| which % batches.len() == n;
            let (code, offset) = match fault {
                _ if stale => (100, -1),
                Fault::Refuse { which, code } if chosen(which) => (code, -1),
                Fault::WriteThen { which, code } if chosen(which) => match self.write(node, *p, batch, false)
                {
                    (0, _) => (code, -1),
                    refused => refused,
                },
                Fault::Silent | Fault::CutAfter | Fault::Restart { .. } | Fault::Garbage => {
                    self.write(node, *p, batch, false)
                }
                _ => self.write(node, *p, batch, true),
            };
            let mut answer = PartitionProduceResponse::default()
                .with_index(*p as i32)
                .with_error_code(code)
                .with_base_offset(offset);
            if code == 6 && version >= 10 {
                let log = &self.logs[*p];
                let leader = LeaderIdAndEpoch::default().with_leader_id(log.leader.into());
                answer.current_leader = leader.with_leader_epoch(log.epoch);
            }
            answers.push(answer);
        }
        match fault {
            Fault::Silent => return,
            Fault::CutAfter => return self.cut(link),
            Fault::Restart { ms } => return self.restart(node, ms),
            Fault::Garbage => return self.answer(link, vec![0xff; 40], 0),
            _ => {}
        }
        let mut topic = TopicProduceResponse::default().with_partition_responses(answers);
        if version >= 13 {
            topic.topic_id = request.topic_data[0].topic_id;
        } else {
            topic.name = request.topic_data[0].name.clone();
        }
        let throttle = if let Fault::Throttle { ms } = fault { ms } else { 0 };
        let mut response = ProduceResponse::default()
            .with_responses(vec![topic])
            .with_throttle_time_ms(throttle);
        if version >= 10 {
            response.node_endpoints = (0..self.nodes)
                .map(|node| {
                    NodeEndpoint::default()
                        .with_node_id(node.into())
                        .with_host(StrBytes::from_static_str("node"))
                        .with_port(9000 + node)
                })
                .collect();
        }
        let frame = encode(correlation, version, &response);
        self.answer(link, frame, SERVICE_NS);
    }

    /// Kafka's ProducerStateManager and UnifiedLog, as far as this producer can tell.
    fn write(&mut self, node: i32, p: usize, batch: &Bytes, commit: bool) -> (i16, i64) {
        let log = &mut self.logs[p];
        if log.leader != node {
            return (6, -1);
        }
        let (producer_id, epoch, base_sequence, count) = stamp(batch);
        let mut bytes = batch.clone();
        let records = RecordBatchDecoder::decode(&mut bytes)
            .expect("a batch that the reference decoder reads")
            .records;
        assert!(bytes.is_empty(), "one batch per partition");
        assert_eq!(records.len(), count as usize);
        let ids: Vec<u64> = records
            .iter()
            .map(|r| u64::from_be_bytes(r.value.as_ref().unwrap()[..8].try_into().unwrap()))
            .collect();

        let mine: Vec<&Entry> = log
            .entries
            .iter()
            .filter(|e| e.producer_id == producer_id)
            .collect();
        if let Some(last) = mine.last().filter(|_| log.remembered > 0) {
            if epoch < last.epoch {
                return (47, -1);
            }
            if epoch > last.epoch {
                if base_sequence != 0 {
                    return (45, -1);
                }
            } else {
                let newest = mine
                    .iter()
                    .rev()
                    .take(log.remembered)
                    .filter(|e| e.epoch == epoch);
                let same = |e: &&&Entry| e.base_sequence == base_sequence && e.ids.len() == ids.len();
                if let Some(duplicate) = newest.into_iter().find(same) {
                    let offset = duplicate.base_offset;
                    if commit {
                        log.entries
                            .iter_mut()
                            .filter(|e| e.base_offset <= offset)
                            .for_each(|e| e.committed = true);
                    }
                    return (0, offset);
                }
                let next = (last.base_sequence as u32).wrapping_add(last.ids.len() as u32) & 0x7fff_ffff;
                if base_sequence != next as i32 {
                    return (45, -1);
                }
            }
        }
        let base_offset = log
            .entries
            .last()
            .map_or(0, |e| e.base_offset + e.ids.len() as i64);
        if commit {
            log.entries.iter_mut().for_each(|e| e.committed = true);
        }
        log.remembered = (log.remembered.max(1) + 1).min(5);
        log.entries.push(Entry {
            base_offset,
            producer_id,
            epoch,
            base_sequence,
            ids,
            committed: commit,
        });
        (0, base_offset)
    }

    fn move_leader(&mut self, p: usize, lose_tail: bool) {
        let log = &mut self.logs[p];
        log.leader = (log.leader + 1) % self.nodes;
        log.epoch += 1;
        if lose_tail {
            while log.entries.last().is_some_and(|entry| !entry.committed) {
                log.entries.pop();
            }
        } else {
            // The new leader has it all, so its high watermark covers it.
            log.entries.iter_mut().for_each(|entry| entry.committed = true);
        }
    }

    pub(super) fn restart(&mut self, node: i32, ms: u64) {
        self.down_until.insert(node, self.now_ns + ms * MS);
        for log in self.logs.iter_mut().filter(|log| log.leader == node) {
            log.remembered = 1; // the snapshot keeps one batch per producer
            log.entries.iter_mut().for_each(|entry| entry.committed = true);
        }
        let links: Vec<u32> = self
            .wires
            .iter()
            .filter(|(_, wire)| wire.node == node)
            .map(|(link, _)| *link)
            .collect();
        for link in links {
            self.cut(LinkId(link));
        }
    }

    fn is_down(&self, node: i32) -> bool {
        self.down_until
            .get(&node)
            .is_some_and(|until| *until > self.now_ns)
    }

    /// The connection breaks. The core hears of it when it next looks.
    fn cut(&mut self, link: LinkId) {
        if let Some(wire) = self.wires.get_mut(&link.0) {
            wire.open = false;
            wire.answers.push_back((self.now_ns + SERVICE_NS, Vec::new()));
        }
    }

    fn answer(&mut self, link: LinkId, frame: Vec<u8>, service_ns: u64) {
        let busy = self.busy_until.entry(link.0).or_default();
        *busy = (*busy).max(self.now_ns) + service_ns;
        let at_ns = *busy;
        if let Some(wire) = self.wires.get_mut(&link.0) {
            wire.answers.push_back((at_ns, frame));
        }
    }

    fn next_answer_ns(&self) -> Option<u64> {
        self.wires
            .values()
            .filter_map(|wire| wire.answers.front())
            .map(|(at_ns, _)| *at_ns)
            .min()
    }

    fn deliver(&mut self) {
        let due = |wire: &Wire, now_ns| wire.answers.front().is_some_and(|(at_ns, _)| *at_ns <= now_ns);
        while let Some(link) = self
            .wires
            .iter()
            .find(|(_, wire)| due(wire, self.now_ns))
            .map(|(link, _)| *link)
        {
            let Some((_, frame)) = self
                .wires
                .get_mut(&link)
                .and_then(|wire| wire.answers.pop_front())
            else {
                break;
            };
            if frame.is_empty() {
                self.wires.remove(&link);
                self.sender.disconnected(LinkId(link), "cut", self.now_ns);
            } else {
                self.sender.received(LinkId(link), &frame, self.now_ns);
                // Nonsense makes the core close at once, in which case nothing more comes from there.
                while let Some(action) = self.sender.next_action() {
                    self.act(action);
                }
            }
        }
    }

    fn work_late(&mut self) {
        let now_ns = self.now_ns;
        let (due, rest) = std::mem::take(&mut self.late)
            .into_iter()
            .partition(|late| late.0 <= now_ns);
        self.late = rest;
        let due: Vec<(u64, i32, Vec<(usize, Bytes)>)> = due;
        for (_, node, batches) in due {
            for (p, batch) in batches {
                self.write(node, p, &batch, false);
            }
        }
    }

    fn api_versions(&self) -> ApiVersionsResponse {
        let api = |key: ApiKey, min, max| {
            ApiVersion::default()
                .with_api_key(key as i16)
                .with_min_version(min)
                .with_max_version(max)
        };
        ApiVersionsResponse::default().with_api_keys(vec![
            api(ApiKey::Produce, 3, self.newest_produce),
            api(ApiKey::Metadata, 0, 13),
            api(ApiKey::InitProducerId, 0, 5),
            api(ApiKey::DescribeConfigs, 1, 4),
        ])
    }

    fn metadata(&self) -> MetadataResponse {
        let brokers = (0..self.nodes).map(|node| {
            MetadataResponseBroker::default()
                .with_node_id(node.into())
                .with_host(StrBytes::from_static_str("node"))
                .with_port(9000 + node)
        });
        let partitions = self.logs.iter().enumerate().map(|(p, log)| {
            let replicas = (0..self.nodes).map(BrokerId::from).collect();
            MetadataResponsePartition::default()
                .with_partition_index(p as i32)
                .with_leader_id(log.leader.into())
                .with_leader_epoch(log.epoch)
                .with_replica_nodes(replicas)
        });
        // A topic without partitions, as Produce v13 has it, is the shortest way to a UUID.
        let encoded = [&self.topic_id.to_be_bytes()[..], &[1, 0]].concat();
        let topic_id = TopicProduceData::decode(&mut &encoded[..], 13).unwrap().topic_id;
        let topic = MetadataResponseTopic::default()
            .with_name(Some(TopicName(StrBytes::from_static_str(TOPIC))))
            .with_topic_id(topic_id)
            .with_partitions(partitions.collect());
        MetadataResponse::default()
            .with_brokers(brokers.collect())
            .with_topics(vec![topic])
    }

    fn configs(&self) -> DescribeConfigsResponse {
        let config = |name, value| {
            DescribeConfigsResourceResult::default()
                .with_name(StrBytes::from_static_str(name))
                .with_value(Some(StrBytes::from_static_str(value)))
        };
        let topic = DescribeConfigsResult::default()
            .with_resource_type(2)
            .with_resource_name(StrBytes::from_static_str(TOPIC))
            .with_configs(vec![
                config("min.insync.replicas", "1"),
                config("max.message.bytes", "1048588"),
            ]);
        DescribeConfigsResponse::default().with_results(vec![topic])
    }
}

/// Producer id, epoch, base sequence, record count of a batch.
fn stamp(batch: &Bytes) -> (i64, i16, i32, i32) {
    (
        i64::from_be_bytes(batch[43..51].try_into().unwrap()),
        i16::from_be_bytes(batch[51..53].try_into().unwrap()),
        i32::from_be_bytes(batch[53..57].try_into().unwrap()),
        i32::from_be_bytes(batch[57..61].try_into().unwrap()),
    )
}

fn encode<R: Encodable + HeaderVersion>(correlation: i32, version: i16, response: &R) -> Vec<u8> {
    let mut frame = BytesMut::new();
    let header = ResponseHeader::default().with_correlation_id(correlation);
    header.encode(&mut frame, R::header_version(version)).unwrap();
    response.encode(&mut frame, version).unwrap();
    frame.to_vec()
}
