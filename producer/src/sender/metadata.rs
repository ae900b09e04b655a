//! What the cluster looks like: nodes, topics, partitions, leaders with their epochs.
//!
//! - An older leader epoch is never believed, wherever it comes from (KIP-320).
//! - A topic that nobody produces to any more is not asked for any more (KIP-526, `metadata.max.idle.ms`).
//! - A15: a topic or partition that is missing from one answer keeps its state and its numbers; only a new topic id
//!   is another topic.

use kafka_protocol::messages::MetadataResponse;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;

use super::link::{Address, Link, State};
use super::partition::{Context, NO_NODE, Partition};
use super::{Interest, Sender, Topic};
use crate::produce_request::TopicId;
use crate::record::TopicHandle;
use crate::rules::Rule;

/// UNKNOWN_TOPIC_OR_PARTITION: what records of a partition that is no more end with.
const UNKNOWN_PARTITION: i16 = 3;
const UNKNOWN_TOPIC_ID: i16 = 100;
/// Partitions of one topic that are believed; Kafka clusters stay far below.
const MAX_PARTITIONS: usize = 1 << 20;
/// Nodes that are believed, those that left included; Kafka clusters stay far below.
const MAX_NODES: usize = 4096;
/// Characters of a host name shown in an error.
const MAX_SHOWN_CHARS: usize = 64;

impl Sender {
    pub(super) fn metadata_answered(&mut self, response: &MetadataResponse, now_ns: u64) {
        self.control.note_age(now_ns);
        for broker in &response.brokers {
            self.learn_node(broker.node_id.0, broker.host.as_str(), broker.port, now_ns);
        }
        let mut complete = true;
        for index in 0..self.topics.len() {
            if self.topics[index].interest == Interest::Forgotten {
                continue;
            }
            let named = |topic: &&MetadataResponseTopic| {
                topic
                    .name
                    .as_ref()
                    .is_some_and(|name| name.0.as_str() == self.topics[index].name)
            };
            match response.topics.iter().find(named) {
                Some(topic) => {
                    self.topics[index].error = topic.error_code;
                    if topic.error_code == 0 {
                        self.topics[index].interest = Interest::Live;
                        complete &= self.topic_answered(index, topic, now_ns);
                    } else {
                        complete = false;
                        if !self.rules.on(Rule::OutliveMetadata) {
                            for &number in &self.topics[index].partitions {
                                self.partitions[number as usize].forget_numbers();
                            }
                        }
                    }
                }
                None => complete = false,
            }
        }
        self.metadata_settled(complete, now_ns);
        self.enqueue_all(now_ns);
    }

    /// Stops asking for topics whose last record was long ago and has its outcome. True if any is left to ask for.
    pub(super) fn forget_idle_topics(&mut self, now_ns: u64) -> bool {
        let begun_ns = now_ns.saturating_sub(self.settings.metadata_max_idle_ns);
        for topic in &mut self.topics {
            // One never produced to is idle since it was first seen.
            let unused = topic.used_ns <= begun_ns && !topic.partitions.is_empty();
            let idle = |&number: &u32| self.partitions[number as usize].is_idle();
            if topic.interest == Interest::Live && unused && topic.partitions.iter().all(idle) {
                topic.interest = Interest::Forgotten;
            }
        }
        self.topics
            .iter()
            .any(|topic| topic.interest != Interest::Forgotten)
    }

    /// A record is there for a topic whose metadata is not: asks for it.
    pub(super) fn await_topic(&mut self, topic: TopicHandle) {
        let topic = &mut self.topics[topic.index()];
        if topic.interest == Interest::Forgotten {
            topic.interest = Interest::Awaited;
            self.control.want_metadata();
        }
    }

    /// The names of the topics that are asked for.
    pub(super) fn live_topics(&self) -> impl Iterator<Item = &str> {
        let live = |topic: &&Topic| topic.interest != Interest::Forgotten;
        self.topics.iter().filter(live).map(|topic| topic.name.as_str())
    }

    /// A node, from metadata or a leader hint. What is connected to an address it left is closed. One that no broker
    /// can have is not believed, and who cannot be ready for that reason is told.
    pub(super) fn learn_node(&mut self, node: i32, host: &str, port: i32, now_ns: u64) {
        let known = self.nodes.get(&node);
        if known.is_some_and(|known| known.host == host && i32::from(known.port) == port) {
            return;
        }
        let room = known.is_some() || self.nodes.len() < MAX_NODES;
        let Some(address) = Address::told(host, port).filter(|_| node >= 0 && room) else {
            let shown: String = host.chars().take(MAX_SHOWN_CHARS).collect();
            self.control
                .note(format!("not believed: node {node} at {shown:?}, port {port}"));
            return;
        };
        let moved = self.nodes.insert(node, address).is_some();
        if moved && let Some(&link) = self.node_links.get(&node) {
            let index = link as usize;
            if self.links[index].state != State::Idle {
                self.break_link(index, "the broker's address changed", now_ns);
            }
            self.links[index].not_before_ns = now_ns;
        }
    }

    /// Gives a partition to a leader. False if that is not news.
    pub(super) fn move_partition(&mut self, number: u32, node: i32, epoch: i32) -> bool {
        let partition = &mut self.partitions[number as usize];
        let old = partition.leader;
        if !partition.learn_leader(node, epoch) {
            return false;
        }
        if old != node
            && std::mem::take(&mut partition.queued)
            && let Some(&link) = self.node_links.get(&old)
        {
            self.links[link as usize].ready.retain(|&queued| queued != number);
        }
        if node != NO_NODE {
            self.data_link(node);
        }
        true
    }

    /// Learns one topic. False if something is missing that a later answer may have.
    fn topic_answered(&mut self, index: usize, answer: &MetadataResponseTopic, now_ns: u64) -> bool {
        // Brokers list every partition from 0 on. A number beyond what is listed would make up partitions (and memory
        // for them) out of nothing, and keys would go astray.
        let told = answer.partitions.len();
        let listed = |index: i32| usize::try_from(index).is_ok_and(|index| index < told);
        if told > MAX_PARTITIONS || answer.partitions.iter().any(|p| !listed(p.partition_index)) {
            let name = &self.topics[index].name;
            self.control
                .note(format!("not believed: the partitions of topic {name}"));
            return false;
        }
        self.check_topic_id(index, answer.topic_id.into_bytes(), told, now_ns);
        let first_sight = self.topics[index].partitions.is_empty();
        if first_sight {
            self.topics[index].used_ns = now_ns;
        }
        self.add_partitions(index, told);
        let mut complete = told > 0;
        for partition in &answer.partitions {
            let place = usize::try_from(partition.partition_index).ok();
            let Some(&number) = place.and_then(|place| self.topics[index].partitions.get(place)) else {
                continue;
            };
            let leader = partition.leader_id.0;
            let leader = if self.nodes.contains_key(&leader) {
                leader
            } else {
                NO_NODE
            };
            self.move_partition(number, leader, partition.leader_epoch);
            // Not what was told counts: a broker that was cut off names leaders of old, who are not believed.
            complete &= self.partitions[number as usize].leader != NO_NODE;
        }
        let replicas = answer
            .partitions
            .iter()
            .map(|partition| partition.replica_nodes.len())
            .min()
            .unwrap_or(0);
        self.topics[index].durability.replication_factor = u16::try_from(replicas).ok().filter(|&n| n > 0);
        self.control.configs_wanted |= first_sight || self.control.periodic;
        complete
    }

    /// Another id under the same name: the topic was deleted and made again, perhaps with fewer partitions. Where batches
    /// go by name, some may have come into the new one before we heard of it: numbers that begin anew would be taken for
    /// theirs, and answered with success unwritten (M3). So they begin in a new epoch.
    fn check_topic_id(&mut self, index: usize, id: TopicId, told: usize, now_ns: u64) {
        let topic = &mut self.topics[index];
        let known = topic.id != TopicId::default();
        if id == TopicId::default() || topic.id == id {
            return;
        }
        topic.id = id;
        let by_name = std::mem::take(&mut topic.by_name);
        if known {
            let mut cx = Context {
                outcomes: &mut self.outcomes,
                memory: &mut self.memory,
                now_ns,
            };
            for (place, &number) in topic.partitions.iter().enumerate() {
                let partition = &mut self.partitions[number as usize];
                if std::mem::take(&mut partition.queued)
                    && let Some(&link) = self.node_links.get(&partition.leader)
                {
                    self.links[link as usize].ready.retain(|&queued| queued != number);
                }
                partition.topic_replaced(by_name && self.transactions.is_none(), &mut cx);
                if place >= told {
                    partition.stop(UNKNOWN_PARTITION, &mut cx);
                }
            }
            if by_name && self.transactions.is_none() {
                self.bump_wanted = true;
            } else if by_name {
                self.init_wanted = true;
                self.fail_transaction(UNKNOWN_TOPIC_ID, now_ns);
            }
        }
    }

    fn add_partitions(&mut self, index: usize, told: usize) {
        let handle = TopicHandle(u32::try_from(index).unwrap_or(u32::MAX));
        let Topic {
            partitions, sticky, ..
        } = &mut self.topics[index];
        while partitions.len() < told {
            let place = i32::try_from(partitions.len()).unwrap_or(i32::MAX);
            partitions.push(u32::try_from(self.partitions.len()).unwrap_or(u32::MAX));
            self.partitions
                .push(Partition::new(handle, place, self.settings.retries, self.rules));
            sticky.release();
        }
    }

    fn data_link(&mut self, node: i32) {
        if !self.node_links.contains_key(&node)
            && let Some(address) = self.nodes.get(&node)
        {
            self.node_links
                .insert(node, u32::try_from(self.links.len()).unwrap_or(u32::MAX));
            self.links.push(Link::new(Some(node), address.clone()));
        }
    }
}
