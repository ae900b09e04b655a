//! ElectLeaders: the preferred replica, or (where none in sync is left) any that lives (KIP-460).

use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::code;
use crate::connection::At;
use crate::model::Model;
use crate::replica::View;
use crate::store::Store;

const PREFERRED: i8 = 0;

impl<S: Store> Model<S> {
    pub(crate) fn elect_leaders(&mut self, at: &At, request: ElectLeadersRequest) -> ElectLeadersResponse {
        let preferred = at.version < 1 || request.election_type == PREFERRED;
        let all = || {
            let topic = |topic: &crate::topics::Topic| {
                let name = TopicName(StrBytes::from_string(topic.name.clone()));
                (name, (0..topic.partitions.len() as i32).collect::<Vec<_>>())
            };
            self.topics.iter().map(topic).collect()
        };
        let everything = request.topic_partitions.is_none();
        let wanted: Vec<(TopicName, Vec<i32>)> = match request.topic_partitions {
            Some(topics) => topics
                .into_iter()
                .map(|topic| (topic.topic, topic.partitions))
                .collect(),
            None => all(),
        };
        let mut results = Vec::new();
        for (topic, partitions) in wanted {
            let mut elected = Vec::new();
            for index in partitions {
                let code = match self.topics.partition(&topic, index) {
                    Some(partition) => self.elect_one(partition, preferred),
                    None => code::UNKNOWN_TOPIC_OR_PARTITION,
                };
                // Asked for all, Kafka tells only of those where something was to be done.
                if !(everything && code == code::ELECTION_NOT_NEEDED) {
                    elected.push(
                        PartitionResult::default()
                            .with_partition_id(index)
                            .with_error_code(code)
                            .with_error_message(None),
                    );
                }
            }
            if !elected.is_empty() {
                results.push(
                    ReplicaElectionResult::default()
                        .with_topic(topic)
                        .with_partition_result(elected),
                );
            }
        }
        ElectLeadersResponse::default().with_replica_election_results(results)
    }

    fn elect_one(&mut self, partition: usize, preferred: bool) -> i16 {
        let found = &self.partitions[partition];
        let decided = &found.decided;
        let live = |id: i32| self.node(id).is_some_and(|node| !node.fenced);
        let mut replicas = found.replicas.iter().map(|replica| replica.node);
        let next = if preferred {
            let first = replicas.next().unwrap_or(-1);
            if first == decided.leader {
                return code::ELECTION_NOT_NEEDED;
            }
            if !live(first) || !decided.isr.contains(&first) {
                return code::PREFERRED_LEADER_NOT_AVAILABLE;
            }
            first
        } else {
            if decided.leader != -1 {
                return code::ELECTION_NOT_NEEDED;
            }
            match replicas.find(|id| live(*id)) {
                Some(next) => next,
                None => return code::ELIGIBLE_LEADERS_NOT_AVAILABLE,
            }
        };
        let isr = if decided.isr.contains(&next) {
            decided.isr.clone()
        } else {
            vec![next]
        };
        let epoch = decided.epoch + 1;
        self.decide(
            partition,
            View {
                leader: next,
                epoch,
                isr,
            },
        );
        code::NONE
    }
}
