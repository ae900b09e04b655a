//! Metadata and DescribeCluster: who is there and who leads, as the asked node knows it.

use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    BrokerId, DescribeClusterRequest, DescribeClusterResponse, MetadataRequest, MetadataResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use crate::code;
use crate::connection::At;
use crate::model::{Endpoint, Model};
use crate::store::Store;
use crate::topics::{Topic, Wanted, check_name, uuid};

/// First version with topic ids.
const HAS_TOPIC_IDS: i16 = 10;
/// What is said of authorized operations when nobody asked.
const NOT_ASKED: i32 = i32::MIN;

impl<S: Store> Model<S> {
    /// Where clients of a listener reach a node that is alive.
    pub(crate) fn endpoint(&self, node: i32, listener: u8) -> Option<&Endpoint> {
        self.node(node).filter(|node| !node.fenced)?;
        self.endpoints
            .iter()
            .find(|endpoint| endpoint.node == node && endpoint.listener == listener)
    }

    fn live(&self, listener: u8) -> impl Iterator<Item = &Endpoint> {
        self.nodes
            .iter()
            .filter_map(move |node| self.endpoint(node.id, listener))
    }

    pub(crate) fn controller(&self) -> i32 {
        self.nodes
            .iter()
            .find(|node| !node.fenced)
            .map_or(-1, |node| node.id)
    }

    pub(crate) fn metadata(&mut self, at: &At, request: MetadataRequest) -> MetadataResponse {
        let brokers = self.live(at.listener).map(|endpoint| {
            MetadataResponseBroker::default()
                .with_node_id(BrokerId(endpoint.node))
                .with_host(StrBytes::from_string(endpoint.host.clone()))
                .with_port(endpoint.port.into())
        });
        let mut response = MetadataResponse::default().with_brokers(brokers.collect());
        if at.version >= 1 {
            response = response.with_controller_id(BrokerId(self.controller()));
        }
        if at.version >= 2 {
            response = response.with_cluster_id(Some(StrBytes::from_string(self.cluster_id.clone())));
        }
        let wanted = request
            .topics
            .filter(|topics| at.version > 0 || !topics.is_empty());
        let Some(wanted) = wanted else {
            response.topics = self
                .topics
                .iter()
                .map(|topic| self.described(at, topic))
                .collect();
            return response;
        };
        for topic in wanted {
            let described = match topic.name {
                Some(name) => {
                    let creates = self.settings.auto_create_topics
                        && (at.version < 4 || request.allow_auto_topic_creation);
                    self.named(at, &name, creates)
                }
                None => match self.topics.by_id(topic.topic_id.into_bytes()) {
                    Some(found) => self.described(at, found),
                    None => absent(at, None, code::UNKNOWN_TOPIC_ID).with_topic_id(topic.topic_id),
                },
            };
            response.topics.push(described);
        }
        response
    }

    fn named(&mut self, at: &At, name: &TopicName, creates: bool) -> MetadataResponseTopic {
        if let Some(found) = self.topics.by_name(name) {
            return self.described(at, found);
        }
        if let Err((code, _)) = check_name(name) {
            return absent(at, Some(name.clone()), code);
        }
        if !creates {
            return absent(at, Some(name.clone()), code::UNKNOWN_TOPIC_OR_PARTITION);
        }
        let wanted = Wanted {
            name: name.to_string(),
            partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Vec::new(),
        };
        // As Kafka: the first answer says that it is not there yet.
        let code = match self.create_topic(wanted, false) {
            Ok(_) => code::UNKNOWN_TOPIC_OR_PARTITION,
            Err((code, _)) => code,
        };
        absent(at, Some(name.clone()), code)
    }

    fn described(&self, at: &At, topic: &Topic) -> MetadataResponseTopic {
        let live = |id: &i32| self.node(*id).is_some_and(|node| !node.fenced);
        let partitions = topic.partitions.iter().map(|partition| {
            let found = &self.partitions[*partition];
            let view = self.view(at.node, *partition);
            let leads = view.leader != -1 && live(&view.leader);
            let replicas: Vec<i32> = found.replicas.iter().map(|replica| replica.node).collect();
            let mut described = MetadataResponsePartition::default()
                .with_partition_index(found.index)
                .with_error_code(if leads {
                    code::NONE
                } else {
                    code::LEADER_NOT_AVAILABLE
                })
                .with_leader_id(BrokerId(if leads { view.leader } else { -1 }))
                .with_replica_nodes(replicas.iter().copied().map(BrokerId).collect())
                .with_isr_nodes(view.isr.iter().copied().map(BrokerId).collect());
            if at.version >= 5 {
                let offline = replicas.iter().filter(|id| !live(id));
                described = described.with_offline_replicas(offline.copied().map(BrokerId).collect());
            }
            if at.version >= 7 {
                described.with_leader_epoch(view.epoch)
            } else {
                described
            }
        });
        let mut described = MetadataResponseTopic::default()
            .with_name(Some(TopicName(StrBytes::from_string(topic.name.clone()))))
            .with_partitions(partitions.collect());
        if at.version >= HAS_TOPIC_IDS {
            described = described.with_topic_id(uuid(topic.id));
        }
        described
    }

    pub(crate) fn describe_cluster(
        &mut self,
        at: &At,
        request: &DescribeClusterRequest,
    ) -> DescribeClusterResponse {
        // Endpoint type 1 is brokers; the controllers are a quorum apart, which this model does not show.
        if request.endpoint_type != 1 {
            return DescribeClusterResponse::default()
                .with_error_code(115)
                .with_error_message(Some(StrBytes::from_static_str("Unsupported endpoint type")))
                .with_endpoint_type(request.endpoint_type)
                .with_cluster_authorized_operations(NOT_ASKED);
        }
        let brokers = self.live(at.listener).map(|endpoint| {
            DescribeClusterBroker::default()
                .with_broker_id(BrokerId(endpoint.node))
                .with_host(StrBytes::from_string(endpoint.host.clone()))
                .with_port(endpoint.port.into())
        });
        DescribeClusterResponse::default()
            .with_cluster_id(StrBytes::from_string(self.cluster_id.clone()))
            .with_controller_id(BrokerId(self.controller()))
            .with_brokers(brokers.collect())
            .with_error_message(None)
            .with_cluster_authorized_operations(NOT_ASKED)
    }
}

fn absent(at: &At, name: Option<TopicName>, code: i16) -> MetadataResponseTopic {
    // Before version 12 a topic without a name cannot be told.
    let name = match name {
        None if at.version < 12 => Some(TopicName::default()),
        name => name,
    };
    MetadataResponseTopic::default()
        .with_error_code(code)
        .with_name(name)
}
