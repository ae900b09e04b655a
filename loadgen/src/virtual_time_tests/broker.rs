//! The script that plays the broker: one node, its answers by Kafka's rules, one cut at a place told beforehand.
//!
//! It appends a Produce request when it is written and answers [`SERVICE_NS`] later. The request number `cut_after` is
//! appended, then every connection breaks, with it the answers still under way, and none is accepted for `outage_ns`.
//! As a real broker it knows the last five batches of a producer again, and takes a batch only in sequence (KIP-98).

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;

use bytes::Bytes;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    ApiKey, DescribeConfigsResponse, InitProducerIdResponse, ProduceRequest, ProduceResponse, RequestHeader,
};
use kafka_protocol::protocol::Decodable;
use kafka_protocol::records::RecordBatchDecoder;
use steadfast_producer::sender::{Action, Frame, LinkId, Sender};
use steadfast_verifier::stamp;

use super::TOPIC;
use super::answers::{api_versions, encode, metadata};

/// From a request written to its answer read. Longer than the gap between two wakes, so that requests overlap.
pub(super) const SERVICE_NS: u64 = 450_000;
/// From asking for a connection, or from its end, until the core hears of it.
const NETWORK_NS: u64 = 50_000;
const PORT: u16 = 9092;
const PRODUCER_ID: i64 = 4001;
/// Batches of a producer that a broker knows again.
const REMEMBERED: usize = 5;
const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;

/// One partition.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Log {
    /// Index of the record at each offset.
    pub(super) records: Vec<u64>,
    /// Base sequence, number of records and base offset of the last batches.
    remembered: VecDeque<(i32, i32, i64)>,
}

/// What the core is told of a connection, and when.
enum Event {
    Connected,
    Answer(Vec<u8>),
    Lost(&'static str),
}

#[derive(Default)]
struct Wire {
    /// Cut, and the core does not know yet: what it writes now reaches nobody.
    cut: bool,
    events: VecDeque<(u64, Event)>,
}

pub(super) struct Broker {
    cut_after: u32,
    outage_ns: u64,
    wires: BTreeMap<LinkId, Wire>,
    pub(super) logs: Vec<Log>,
    /// Each action of the core and each event told to it: when, which connection, what, all bytes.
    pub(super) trace: String,
    /// When connections broke.
    pub(super) cut_ns: Option<u64>,
    pub(super) connects_refused: u32,
    produce_requests: u32,
    /// Batches that were in the log already.
    pub(super) duplicates: u32,
    /// Batches out of sequence.
    pub(super) out_of_order: u32,
}

impl Broker {
    pub(super) fn new(partitions: u32, cut_after: u32, outage_ns: u64) -> Broker {
        Broker {
            cut_after,
            outage_ns,
            wires: BTreeMap::new(),
            logs: (0..partitions).map(|_| Log::default()).collect(),
            trace: String::new(),
            cut_ns: None,
            connects_refused: 0,
            produce_requests: 0,
            duplicates: 0,
            out_of_order: 0,
        }
    }

    /// When connections are accepted again, once they were cut.
    pub(super) fn back_ns(&self) -> u64 {
        self.cut_ns.map_or(0, |cut_ns| cut_ns + self.outage_ns)
    }

    /// Carries out what the core wants, as a shell would.
    pub(super) fn act(&mut self, action: Action, sender: &mut Sender, now_ns: u64) {
        match action {
            Action::Connect { link, host, port } => {
                assert_eq!(port, PORT);
                self.note(now_ns, link, "connect", host.as_bytes());
                let event = if now_ns < self.back_ns() {
                    self.connects_refused += 1;
                    Event::Lost("refused")
                } else {
                    Event::Connected
                };
                self.wires.insert(link, Wire::default());
                self.tell(link, now_ns + NETWORK_NS, event);
            }
            Action::Close { link } => {
                self.note(now_ns, link, "close", &[]);
                self.wires.remove(&link);
            }
            Action::Send { link, frame } => {
                let bytes = match frame {
                    Frame::Plain(bytes) => bytes,
                    Frame::Produce(frame) => {
                        let mut slices = [std::io::IoSlice::new(&[]); 64];
                        let count = frame.slices(0, &mut slices);
                        let bytes: Vec<u8> = slices[..count].iter().flat_map(|s| s.to_vec()).collect();
                        assert_eq!(bytes.len(), frame.total_bytes());
                        sender.recycle(frame);
                        bytes.into()
                    }
                };
                self.note(now_ns, link, "send", &bytes);
                if self.wires.get(&link).is_some_and(|wire| !wire.cut) {
                    self.serve(link, bytes.slice(4..), now_ns);
                }
            }
        }
    }

    /// When the next event reaches the core.
    pub(super) fn next_ns(&self) -> Option<u64> {
        let first = |wire: &Wire| wire.events.front().map(|(at_ns, _)| *at_ns);
        self.wires.values().filter_map(first).min()
    }

    /// Tells the core what has reached it by now.
    pub(super) fn deliver(&mut self, sender: &mut Sender, now_ns: u64) {
        for link in Vec::from_iter(self.wires.keys().copied()) {
            while let Some(wire) = self.wires.get_mut(&link)
                && let Some((_, event)) = wire.events.pop_front_if(|(at_ns, _)| *at_ns <= now_ns)
            {
                match event {
                    Event::Connected => {
                        self.note(now_ns, link, "connected", &[]);
                        sender.connected(link, now_ns);
                    }
                    Event::Answer(frame) => {
                        self.note(now_ns, link, "received", &frame);
                        sender.received(link, &frame, now_ns);
                    }
                    Event::Lost(why) => {
                        self.note(now_ns, link, why, &[]);
                        self.wires.remove(&link);
                        sender.disconnected(link, why, now_ns);
                    }
                }
            }
        }
    }

    fn serve(&mut self, link: LinkId, mut request: Bytes, now_ns: u64) {
        let api = ApiKey::try_from(i16::from_be_bytes([request[0], request[1]])).unwrap();
        let version = i16::from_be_bytes([request[2], request[3]]);
        let header = RequestHeader::decode(&mut request, api.request_header_version(version)).unwrap();
        let correlation = header.correlation_id;
        let answer = match api {
            ApiKey::ApiVersions => encode(correlation, version, &api_versions()),
            ApiKey::Metadata => encode(correlation, version, &metadata(PORT, self.logs.len())),
            ApiKey::DescribeConfigs => encode(correlation, version, &DescribeConfigsResponse::default()),
            ApiKey::InitProducerId => {
                let id = InitProducerIdResponse::default().with_producer_id(PRODUCER_ID.into());
                encode(correlation, version, &id)
            }
            ApiKey::Produce => {
                let response = self.produce(&ProduceRequest::decode(&mut request, version).unwrap());
                self.produce_requests += 1;
                if self.produce_requests == self.cut_after {
                    return self.cut(now_ns);
                }
                encode(correlation, version, &response)
            }
            other => panic!("not asked of a producer: {other:?}"),
        };
        self.tell(link, now_ns + SERVICE_NS, Event::Answer(answer));
    }

    fn produce(&mut self, request: &ProduceRequest) -> ProduceResponse {
        let mut response = ProduceResponse::default();
        for topic in &request.topic_data {
            assert_eq!(topic.name.as_str(), TOPIC);
            let mut answer = TopicProduceResponse::default().with_name(topic.name.clone());
            for data in &topic.partition_data {
                let (code, offset) = self.write(data.index as usize, data.records.clone().unwrap());
                answer.partition_responses.push(
                    PartitionProduceResponse::default()
                        .with_index(data.index)
                        .with_error_code(code)
                        .with_base_offset(offset),
                );
            }
            response.responses.push(answer);
        }
        response
    }

    /// Error code and base offset of a batch.
    fn write(&mut self, partition: usize, mut batch: Bytes) -> (i16, i64) {
        let records = RecordBatchDecoder::decode(&mut batch).unwrap().records;
        let (base, count) = (records[0].sequence, records.len() as i32);
        let log = &mut self.logs[partition];
        if let Some(known) = log
            .remembered
            .iter()
            .find(|known| (known.0, known.1) == (base, count))
        {
            self.duplicates += 1;
            return (0, known.2);
        }
        let next = log.remembered.back().map_or(0, |last| last.0 + last.1);
        if base != next {
            self.out_of_order += 1;
            return (OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
        }
        let offset = log.records.len() as i64;
        for record in &records {
            assert_eq!((record.producer_id, record.producer_epoch), (PRODUCER_ID, 0));
            let value = record.value.as_ref().unwrap();
            assert!(
                stamp::intact(value, TOPIC, None, &[]),
                "a value changed on its way"
            );
            log.records.push(stamp::read(value).unwrap().id.index());
        }
        log.remembered.push_back((base, count, offset));
        if log.remembered.len() > REMEMBERED {
            log.remembered.pop_front();
        }
        (0, offset)
    }

    /// Everything breaks; answers under way are lost.
    fn cut(&mut self, now_ns: u64) {
        self.cut_ns = Some(now_ns);
        for wire in self.wires.values_mut() {
            wire.cut = true;
            wire.events = VecDeque::from([(now_ns + NETWORK_NS, Event::Lost("cut"))]);
        }
    }

    fn tell(&mut self, link: LinkId, at_ns: u64, event: Event) {
        self.wires
            .entry(link)
            .or_default()
            .events
            .push_back((at_ns, event));
    }

    fn note(&mut self, now_ns: u64, link: LinkId, what: &str, bytes: &[u8]) {
        let noted = writeln!(self.trace, "{now_ns} {} {what} {bytes:02x?}", link.index());
        noted.unwrap();
    }
}
