//! A scripted cluster in virtual time: it answers the core's frames by Kafka's rules and by a list of faults.
//!
//! It keeps what the contract says of a broker: one log per partition, the last five batches of each producer (one
//! after a restart, M5), any first sequence accepted where the producer is not known (M8), appends only in sequence.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use kafka_protocol::messages::produce_response::{
    LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, InitProducerIdRequest, InitProducerIdResponse, MetadataRequest,
    ProduceRequest, ProduceResponse, RequestHeader,
};
use kafka_protocol::protocol::{Decodable, StrBytes};

use super::answers::{self, encode};
use super::coordinator::Coordinator;
pub(super) use super::fault::Fault;
use super::log::{Log, Stamp, is_transactional, stamp};
use super::tamper::Tamper;
use crate::record::Outcome;
use crate::sender::{Action, Frame, LinkId, Sender};
use crate::transaction::TransactionEvent;

pub(super) const MS: u64 = 1_000_000;
/// Where the bootstrap server listens; it reaches node 0.
pub(super) const BOOTSTRAP_PORT: u16 = 9500;
/// How often one batch may reach a broker before the core counts as going in circles. No list of faults here gives a
/// reason for more.
const MAX_SENDINGS: u32 = 100;
/// How long a broker takes for a request.
const SERVICE_NS: u64 = 100_000;

/// A Produce request that reached a broker.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) at_ns: u64,
    pub(super) node: i32,
    /// Partition and base sequence of each batch.
    pub(super) batches: Vec<(i32, i32)>,
    pub(super) version: i16,
    pub(super) transactional: bool,
}

/// A request that the broker works on although its connection is gone.
pub(super) struct Late {
    pub(super) at_ns: u64,
    pub(super) node: i32,
    pub(super) batches: Vec<(usize, Bytes)>,
    pub(super) version: i16,
}

pub(super) struct Wire {
    pub(super) node: i32,
    open: bool,
    /// (when, frame) in order; no frame = the connection breaks.
    answers: VecDeque<(u64, Option<Vec<u8>>)>,
}

pub(super) struct Script {
    pub(super) now_ns: u64,
    pub(super) sender: Sender,
    pub(super) logs: Vec<Log>,
    pub(super) faults: VecDeque<Fault>,
    pub(super) outcomes: BTreeMap<u64, (Outcome, i64, i32, i16)>,
    pub(super) appended: BTreeMap<i32, Vec<u64>>,
    /// Produce requests that reached a broker.
    pub(super) requests: Vec<Seen>,
    /// Metadata says that the topic does not exist, as a broker does that is just starting.
    pub(super) topic_hidden: bool,
    /// So many of the next Metadata requests are never answered.
    pub(super) metadata_lost: u32,
    /// Answers ApiVersions v3 with UNSUPPORTED_VERSION, as brokers before 2.4 do.
    pub(super) old: bool,
    pub(super) newest_produce: i16,
    pub(super) topic_id: u128,
    /// Node n listens on this port + n.
    pub(super) first_port: i32,
    /// The epoch that comes with the next producer id; then 0 again, as Kafka gives it.
    pub(super) next_epoch: i16,
    /// Answers to be changed, and how often yet.
    pub(super) tampering: Vec<(Tamper, u32)>,
    /// What the core asked for, apart from Produce.
    pub(super) asked: Asked,
    pub(super) coordinator: Coordinator,
    /// Events of transactions, and the transaction of each completed record.
    pub(super) events: Vec<TransactionEvent>,
    pub(super) transaction_of: BTreeMap<u64, u64>,
    pub(super) nodes: i32,
    /// Not reachable until then.
    down_until: BTreeMap<i32, u64>,
    pub(super) wires: BTreeMap<u32, Wire>,
    pub(super) late: Vec<Late>,
    pub(super) next_pid: i64,
    busy_until: BTreeMap<u32, u64>,
    /// How often each batch reached a broker: partition, producer id, epoch, base sequence.
    sendings: BTreeMap<(usize, i64, i16, i32), u32>,
}

/// Control requests, as they came.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// How many topics each Metadata request asked for.
    pub(super) metadata: Vec<usize>,
    pub(super) identities: Vec<InitProducerIdRequest>,
}

impl Script {
    pub(super) fn new(sender: Sender, nodes: i32, partitions: usize) -> Script {
        let log = |p: usize| Log::new(p as i32 % nodes);
        Script {
            now_ns: 1_000 * MS,
            sender,
            logs: (0..partitions).map(log).collect(),
            faults: VecDeque::new(),
            outcomes: BTreeMap::new(),
            appended: BTreeMap::new(),
            requests: Vec::new(),
            newest_produce: 13,
            topic_hidden: false,
            metadata_lost: 0,
            old: false,
            topic_id: 7,
            first_port: 9000,
            next_epoch: 0,
            tampering: Vec::new(),
            asked: Asked::default(),
            coordinator: Coordinator::new(),
            events: Vec::new(),
            transaction_of: BTreeMap::new(),
            nodes,
            down_until: BTreeMap::new(),
            wires: BTreeMap::new(),
            late: Vec::new(),
            next_pid: 4000,
            busy_until: BTreeMap::new(),
            sendings: BTreeMap::new(),
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
                self.late.iter().map(|late| late.at_ns).min(),
                self.coordinator.late.iter().map(|late| late.0).min(),
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
                self.coordinator.pass(until_ns, &mut self.logs);
                return;
            }
            self.now_ns = self.now_ns.max(next_ns);
            self.coordinator.pass(self.now_ns, &mut self.logs);
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
                self.transaction_of.insert(token, done.transaction);
            }
        }
        while let Some(event) = self.sender.next_transaction_event() {
            self.events.push(event);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect { link, port, .. } => {
                let node = match port {
                    BOOTSTRAP_PORT => 0,
                    port => i32::from(port) - self.first_port,
                };
                if self.is_down(node) || !(0..self.nodes).contains(&node) {
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
            ApiKey::ApiVersions if self.old && version > 0 => {
                let refused = ApiVersionsResponse::default().with_error_code(35);
                encode(correlation, 0, &refused)
            }
            ApiKey::ApiVersions => {
                let mut versions = answers::api_versions(
                    self.newest_produce,
                    self.coordinator.newest_init,
                    self.coordinator.level,
                );
                self.tamper(|tamper| tamper.api_versions(&mut versions));
                encode(correlation, version, &versions)
            }
            ApiKey::Metadata if self.metadata_lost > 0 => {
                self.metadata_lost -= 1;
                return;
            }
            ApiKey::Metadata => {
                let asked = MetadataRequest::decode(&mut request, version).unwrap();
                self.asked
                    .metadata
                    .push(asked.topics.map_or(0, |topics| topics.len()));
                let topic_id = (!self.topic_hidden).then_some(self.topic_id);
                let mut metadata = answers::metadata(&self.logs, self.nodes, self.first_port, topic_id);
                self.tamper(|tamper| tamper.metadata(&mut metadata));
                encode(correlation, version, &metadata)
            }
            ApiKey::InitProducerId if self.sender.transaction_state().is_none() => {
                let asked = InitProducerIdRequest::decode(&mut request, version).unwrap();
                self.asked.identities.push(asked);
                self.next_pid += 1;
                let mut id = InitProducerIdResponse::default()
                    .with_producer_id(self.next_pid.into())
                    .with_producer_epoch(std::mem::take(&mut self.next_epoch));
                self.tamper(|tamper| tamper.identity(&mut id));
                encode(correlation, version, &id)
            }
            ApiKey::DescribeConfigs => encode(correlation, version, &answers::configs()),
            ApiKey::Produce => return self.produce(link, correlation, version, request),
            api => return self.coordinate(link, correlation, api, version, request),
        };
        self.answer(link, api, answer, 0);
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
        for (p, batch) in &batches {
            self.count_sending(*p, &stamp(batch));
        }
        let seen: Vec<(i32, i32)> = batches
            .iter()
            .map(|(p, batch)| (*p as i32, stamp(batch).base_sequence))
            .collect();
        let partitions: BTreeSet<i32> = seen.iter().map(|(p, _)| *p).collect();
        assert_eq!(
            partitions.len(),
            seen.len(),
            "A4: one batch per partition and request"
        );
        let transactional = batches.iter().any(|(_, batch)| is_transactional(batch));
        assert_eq!(
            request.transactional_id.is_some(),
            transactional,
            "a request names its transactional id, and only then"
        );
        assert!(
            batches
                .iter()
                .all(|(_, batch)| is_transactional(batch) == transactional),
            "B10: plain and transactional batches mixed"
        );
        self.requests.push(Seen {
            at_ns: self.now_ns,
            node,
            batches: seen,
            version,
            transactional,
        });
        let fault = self.faults.pop_front().unwrap_or(Fault::None);
        match fault {
            Fault::CutBefore => return self.cut(link),
            Fault::Late { ms } => {
                let at_ns = self.now_ns + ms * MS;
                self.late.push(Late {
                    at_ns,
                    node,
                    batches,
                    version,
                });
                return self.cut(link);
            }
            Fault::Move { lose_tail } => {
                for (p, _) in &batches {
                    self.logs[*p].move_leader(self.nodes, lose_tail);
                }
            }
            _ => {}
        }
        let mut answers = Vec::new();
        for (n, (p, batch)) in batches.iter().enumerate() {
            let chosen = |which: usize| which % batches.len() == n;
            let (code, offset) = match fault {
                _ if stale => (100, -1),
                Fault::Refuse { which, code } if chosen(which) => (code, -1),
                Fault::WriteThen { which, code } if chosen(which) => {
                    match self.write(*p, node, batch, version, false) {
                        (0, _) => (code, -1),
                        refused => refused,
                    }
                }
                Fault::Silent | Fault::CutAfter | Fault::Restart { .. } | Fault::Garbage => {
                    self.write(*p, node, batch, version, false)
                }
                _ => self.write(*p, node, batch, version, true),
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
            Fault::Garbage => return self.answer(link, ApiKey::Produce, vec![0xff; 40], 0),
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
                        .with_port(self.first_port + node)
                })
                .collect();
        }
        self.tamper(|tamper| tamper.produce(&mut response));
        let frame = encode(correlation, version, &response);
        self.answer(link, ApiKey::Produce, frame, SERVICE_NS);
    }

    fn count_sending(&mut self, partition: usize, stamp: &Stamp) {
        if self.sender.transaction_state().is_some() {
            return; // a first batch waits for markers in steps of 20 ms (B8), and its transaction's time bounds that
        }
        let batch = (partition, stamp.producer_id, stamp.epoch, stamp.base_sequence);
        let times = self.sendings.entry(batch).or_default();
        *times += 1;
        assert!(
            *times < MAX_SENDINGS,
            "the core goes in circles (A11, A18): {stamp:?} of partition {partition} was sent {times} times"
        );
    }

    /// Lets those tamper that mean the answer at hand.
    fn tamper(&mut self, mut apply: impl FnMut(&Tamper) -> bool) {
        for (tamper, times) in self.tampering.iter_mut().filter(|(_, times)| *times > 0) {
            *times -= u32::from(apply(tamper));
        }
    }

    /// The process ends and another one begins: its core, fresh, takes over. Gives back the old one.
    pub(super) fn replace_sender(&mut self, sender: Sender) -> Sender {
        self.wires.clear();
        std::mem::replace(&mut self.sender, sender)
    }

    /// What a leader does with a batch: of a transactional one it asks the coordinator first.
    pub(super) fn write(
        &mut self,
        partition: usize,
        node: i32,
        batch: &Bytes,
        version: i16,
        commit: bool,
    ) -> (i16, i64) {
        if self.logs[partition].leader == node && is_transactional(batch) {
            self.coordinator.pass(self.now_ns, &mut self.logs);
            let code = self
                .coordinator
                .lets_in(&stamp(batch), partition, version, self.now_ns);
            if code != 0 {
                return (code, -1);
            }
        }
        self.logs[partition].write(node, batch, commit)
    }

    pub(super) fn restart(&mut self, node: i32, ms: u64) {
        self.down_until.insert(node, self.now_ns + ms * MS);
        for log in self.logs.iter_mut().filter(|log| log.leader == node) {
            log.restart();
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

    pub(super) fn is_down(&self, node: i32) -> bool {
        self.down_until
            .get(&node)
            .is_some_and(|until| *until > self.now_ns)
    }

    /// The connection breaks. The core hears of it when it next looks.
    pub(super) fn cut(&mut self, link: LinkId) {
        if let Some(wire) = self.wires.get_mut(&link.0) {
            wire.open = false;
            wire.answers.push_back((self.now_ns + SERVICE_NS, None));
        }
    }

    pub(super) fn answer(&mut self, link: LinkId, api: ApiKey, frame: Vec<u8>, service_ns: u64) {
        let mut frames = vec![frame];
        self.tamper(|tamper| tamper.frames(api, &mut frames));
        let busy = self.busy_until.entry(link.0).or_default();
        *busy = (*busy).max(self.now_ns) + service_ns;
        let at_ns = *busy;
        if let Some(wire) = self.wires.get_mut(&link.0) {
            wire.answers
                .extend(frames.into_iter().map(|frame| (at_ns, Some(frame))));
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
            let Some(frame) = frame else {
                self.wires.remove(&link);
                self.sender.disconnected(LinkId(link), "cut", self.now_ns);
                continue;
            };
            self.sender.received(LinkId(link), &frame, self.now_ns);
            // Nonsense makes the core close at once, in which case nothing more comes from there.
            while let Some(action) = self.sender.next_action() {
                self.act(action);
            }
        }
    }
}
