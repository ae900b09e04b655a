//! Questions of transactions on their way to the scripted coordinators: right node or not, trouble, answers; and what
//! is worked on although its connection is gone.

use bytes::Bytes;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::find_coordinator_response::Coordinator as Found;
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    ApiKey, BrokerId, EndTxnRequest, EndTxnResponse, FindCoordinatorRequest, FindCoordinatorResponse,
    InitProducerIdRequest, InitProducerIdResponse, ProducerId, TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
};
use kafka_protocol::protocol::{Decodable, StrBytes};

use super::answers::encode;
use super::coordinator::{Question, Trouble};
use super::script::{Late, MS, Script};
use crate::sender::LinkId;

pub(super) const TRANSACTIONAL_ID: &str = "copier-1";
pub(super) const GROUP: &str = "copiers";

impl Script {
    /// A question arrives at the node behind this link.
    pub(super) fn coordinate(
        &mut self,
        link: LinkId,
        correlation: i32,
        api: ApiKey,
        version: i16,
        request: Bytes,
    ) {
        self.coordinator.pass(self.now_ns, &mut self.logs);
        if api == ApiKey::FindCoordinator {
            let answer = self.find(correlation, version, request);
            return self.answer(link, api, answer, 0);
        }
        let node = self.wires[&(link.index() as u32)].node;
        let home = match api {
            ApiKey::TxnOffsetCommit => self.coordinator.group_node,
            _ => self.coordinator.node,
        };
        let trouble = self.coordinator.trouble_for(api);
        let refusal = match trouble {
            _ if node != home => Some(16),
            Trouble::Refuse(code) => Some(code),
            Trouble::Move => {
                let away = (node + 1) % self.nodes;
                match api {
                    ApiKey::TxnOffsetCommit => self.coordinator.group_node = away,
                    _ => self.coordinator.node = away,
                }
                Some(16)
            }
            Trouble::CutBefore => return self.cut(link),
            Trouble::Late { ms } => {
                let at_ns = self.now_ns + ms * MS;
                self.coordinator.late.push((at_ns, api, version, request));
                return self.cut(link);
            }
            Trouble::None | Trouble::DoneThen(_) | Trouble::CutAfter | Trouble::Silent => None,
        };
        if api == ApiKey::EndTxn && refusal.is_none() {
            self.check_end(version, request.clone());
        }
        let instead = match trouble {
            Trouble::DoneThen(code) => Some(code),
            _ => None,
        };
        let answer = self.work_on(correlation, (api, version), request, refusal, instead);
        match trouble {
            Trouble::CutAfter => self.cut(link),
            Trouble::Silent => {}
            _ => self.answer(link, api, answer, 100_000),
        }
    }

    /// Does what is asked (unless it is refused) and gives the answer, with another code if so wanted.
    fn work_on(
        &mut self,
        correlation: i32,
        (api, version): (ApiKey, i16),
        mut request: Bytes,
        refusal: Option<i16>,
        instead: Option<i16>,
    ) -> Vec<u8> {
        let now_ns = self.now_ns;
        let fresh_id = self.next_pid + 1;
        self.next_pid = fresh_id;
        let coordinator = &mut self.coordinator;
        let mut asked = Question {
            at_ns: now_ns,
            api,
            version,
            identity: (-1, -1),
            commit: false,
        };
        let say = |code: i16| refusal.or(instead).unwrap_or(code);
        let answer = match api {
            ApiKey::InitProducerId => {
                let request = InitProducerIdRequest::decode(&mut request, version).unwrap();
                assert_eq!(request.transactional_id.unwrap().0.as_str(), TRANSACTIONAL_ID);
                asked.identity = (request.producer_id.0, request.producer_epoch);
                let (code, (id, epoch)) = match refusal {
                    Some(code) => (code, (-1, -1)),
                    None => coordinator.init(asked.identity, fresh_id, now_ns),
                };
                let response = InitProducerIdResponse::default()
                    .with_error_code(say(code))
                    .with_producer_id(ProducerId(id))
                    .with_producer_epoch(epoch);
                encode(correlation, version, &response)
            }
            ApiKey::AddPartitionsToTxn => {
                let request = AddPartitionsToTxnRequest::decode(&mut request, version).unwrap();
                assert!(version <= 3, "later versions are the brokers' own");
                asked.identity = (
                    request.v3_and_below_producer_id.0,
                    request.v3_and_below_producer_epoch,
                );
                let topic = &request.v3_and_below_topics[0];
                let join = |partition: &i32| {
                    let code = refusal.unwrap_or_else(|| {
                        coordinator.join(asked.identity, Some(*partition as usize), now_ns)
                    });
                    AddPartitionsToTxnPartitionResult::default()
                        .with_partition_index(*partition)
                        .with_partition_error_code(say(code))
                };
                let results = topic.partitions.iter().map(join).collect();
                let result = AddPartitionsToTxnTopicResult::default()
                    .with_name(topic.name.clone())
                    .with_results_by_partition(results);
                let response =
                    AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(vec![result]);
                encode(correlation, version, &response)
            }
            ApiKey::AddOffsetsToTxn => {
                let request = AddOffsetsToTxnRequest::decode(&mut request, version).unwrap();
                assert_eq!(request.group_id.0.as_str(), GROUP);
                asked.identity = (request.producer_id.0, request.producer_epoch);
                let code = refusal.unwrap_or_else(|| coordinator.join(asked.identity, None, now_ns));
                let response = AddOffsetsToTxnResponse::default().with_error_code(say(code));
                encode(correlation, version, &response)
            }
            ApiKey::TxnOffsetCommit => {
                let request = TxnOffsetCommitRequest::decode(&mut request, version).unwrap();
                assert_eq!(
                    (
                        request.generation_id,
                        request.member_id.as_str(),
                        &request.group_instance_id
                    ),
                    (-1, "", &None),
                    "B11: manual assignment"
                );
                asked.identity = (request.producer_id.0, request.producer_epoch);
                let positions = request.topics.iter().flat_map(|topic| {
                    let name = topic.name.0.to_string();
                    let of = move |partition: &kafka_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestPartition| {
                        ((name.clone(), partition.partition_index), partition.committed_offset)
                    };
                    topic.partitions.iter().map(of)
                });
                let positions = positions.collect();
                let code = refusal.unwrap_or_else(|| {
                    coordinator.commit_offsets(asked.identity, version, positions, now_ns)
                });
                let topic = |topic: &kafka_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestTopic| {
                    let partition = |partition: &kafka_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestPartition| {
                        TxnOffsetCommitResponsePartition::default()
                            .with_partition_index(partition.partition_index)
                            .with_error_code(say(code))
                    };
                    TxnOffsetCommitResponseTopic::default()
                        .with_name(topic.name.clone())
                        .with_partitions(topic.partitions.iter().map(partition).collect())
                };
                let topics = request.topics.iter().map(topic).collect();
                encode(
                    correlation,
                    version,
                    &TxnOffsetCommitResponse::default().with_topics(topics),
                )
            }
            ApiKey::EndTxn => {
                let request = EndTxnRequest::decode(&mut request, version).unwrap();
                asked.identity = (request.producer_id.0, request.producer_epoch);
                asked.commit = request.committed;
                let (code, (id, epoch)) = match refusal {
                    Some(code) => (code, (-1, -1)),
                    None => coordinator.end(asked.identity, asked.commit, version, fresh_id, now_ns),
                };
                let response = EndTxnResponse::default()
                    .with_error_code(say(code))
                    .with_producer_id(ProducerId(if version >= 5 { id } else { -1 }))
                    .with_producer_epoch(if version >= 5 { epoch } else { -1 });
                encode(correlation, version, &response)
            }
            other => panic!("not asked of a producer: {other:?}"),
        };
        self.coordinator.asked.push(asked);
        self.coordinator.pass(now_ns, &mut self.logs);
        answer
    }

    /// B2: a commit is asked for when every record is acknowledged.
    fn check_end(&self, version: i16, mut request: Bytes) {
        let request = EndTxnRequest::decode(&mut request, version).unwrap();
        if request.committed {
            assert_eq!(
                self.sender.pending(),
                0,
                "B2: a commit while records have no outcome"
            );
        }
    }

    fn find(&mut self, correlation: i32, version: i16, mut request: Bytes) -> Vec<u8> {
        let request = FindCoordinatorRequest::decode(&mut request, version).unwrap();
        let node = match request.key_type {
            0 => self.coordinator.group_node,
            _ => self.coordinator.node,
        };
        let key = if version < 4 {
            request.key.clone()
        } else {
            request.coordinator_keys[0].clone()
        };
        let expected = [GROUP, TRANSACTIONAL_ID][request.key_type as usize];
        assert_eq!(key.as_str(), expected);
        let (code, host, port) = match self.coordinator.trouble_for(ApiKey::FindCoordinator) {
            Trouble::Refuse(code) => (code, "", -1),
            _ if self.is_down(node) => (15, "", -1),
            _ => (0, "node", 9000 + node),
        };
        let host = StrBytes::from_static_str(host);
        let response = if version < 4 {
            FindCoordinatorResponse::default()
                .with_error_code(code)
                .with_node_id(BrokerId(node))
                .with_host(host)
                .with_port(port)
        } else {
            let found = Found::default()
                .with_key(key)
                .with_error_code(code)
                .with_node_id(BrokerId(node))
                .with_host(host)
                .with_port(port);
            FindCoordinatorResponse::default().with_coordinators(vec![found])
        };
        encode(correlation, version, &response)
    }

    /// What is due although nobody waits for the answer any more.
    pub(super) fn work_late(&mut self) {
        let now_ns = self.now_ns;
        self.coordinator.pass(now_ns, &mut self.logs);
        let (due, rest) = std::mem::take(&mut self.coordinator.late)
            .into_iter()
            .partition(|late| late.0 <= now_ns);
        self.coordinator.late = rest;
        for (_, api, version, request) in Vec::<(u64, ApiKey, i16, Bytes)>::from_iter(due) {
            self.work_on(0, (api, version), request, None, None);
        }
        let (due, rest) = std::mem::take(&mut self.late)
            .into_iter()
            .partition(|late| late.at_ns <= now_ns);
        self.late = rest;
        for late in Vec::<Late>::from_iter(due) {
            for (p, batch) in late.batches {
                self.write(p, late.node, &batch, late.version, false);
            }
        }
    }
}
