//! Produce: what a leader does with batches, and what faults make of it.

use std::collections::BTreeSet;

use bytes::Bytes;
use kafka_protocol::messages::produce_response::{
    LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{ApiKey, ProduceRequest, ProduceResponse};
use kafka_protocol::protocol::{Decodable, StrBytes};

use super::{MS, Script};
use crate::sender::LinkId;
use crate::sender::tests::answers::encode;
use crate::sender::tests::fault::Fault;
use crate::sender::tests::log::{Stamp, is_transactional, stamp};

/// How often one batch may reach a broker before the core counts as going in circles. No list of faults here gives a
/// reason for more.
const MAX_SENDINGS: u32 = 100;
/// How long a broker takes for a request.
pub(super) const SERVICE_NS: u64 = 100_000;

/// A Produce request that reached a broker.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sender::tests) struct Seen {
    pub(in crate::sender::tests) at_ns: u64,
    pub(in crate::sender::tests) node: i32,
    /// Partition and base sequence of each batch.
    pub(in crate::sender::tests) batches: Vec<(i32, i32)>,
    pub(in crate::sender::tests) version: i16,
    pub(in crate::sender::tests) transactional: bool,
}

/// A request that the broker works on although its connection is gone.
pub(in crate::sender::tests) struct Late {
    pub(in crate::sender::tests) at_ns: u64,
    pub(in crate::sender::tests) node: i32,
    pub(in crate::sender::tests) batches: Vec<(usize, Bytes)>,
    pub(in crate::sender::tests) version: i16,
}

impl Script {
    pub(super) fn produce(&mut self, link: LinkId, correlation: i32, version: i16, mut request: Bytes) {
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
            let stamp = stamp(batch);
            self.count_sending(*p, &stamp);
            let key = (*p, stamp.producer_id, stamp.epoch, stamp.base_sequence);
            self.sent_in.entry(key).or_default().push((node, correlation));
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
        let service_ns = if let Fault::Slow { ms } = fault {
            ms * MS
        } else {
            SERVICE_NS
        };
        self.answer(link, ApiKey::Produce, frame, service_ns);
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

    /// What a leader does with a batch: of a transactional one it asks the coordinator first.
    pub(in crate::sender::tests) fn write(
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
        let wall_ms = self.wall_ms();
        self.logs[partition].write(node, batch, commit, wall_ms)
    }
}
