//! A20: what the cluster really promises about a topic, looked up and not assumed.
//!
//! `acks=all` means "all in-sync replicas", which may be one. So the status says for each topic whether three
//! replicas exist, two must have a record before it is acked, and none of the others may become leader.

use kafka_protocol::messages::DescribeConfigsResponse;

use super::Sender;
use super::requests::{MAX_MESSAGE_BYTES, MIN_INSYNC_REPLICAS, UNCLEAN_LEADER_ELECTION};

/// Replicas that a topic should have.
const SAFE_REPLICATION_FACTOR: u16 = 3;
/// Replicas that should have a record before it is acknowledged.
const SAFE_MIN_INSYNC_REPLICAS: u16 = 2;

/// What is known of one topic; `None` = the cluster did not tell (yet, or to us).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durability {
    /// The topic.
    pub topic: String,
    /// The least number of replicas of any partition.
    pub replication_factor: Option<u16>,
    /// `min.insync.replicas`.
    pub min_insync_replicas: Option<u16>,
    /// `unclean.leader.election.enable`.
    pub unclean_leader_election: Option<bool>,
}

impl Durability {
    pub(super) fn unknown(topic: &str) -> Durability {
        Durability {
            topic: topic.to_owned(),
            replication_factor: None,
            min_insync_replicas: None,
            unclean_leader_election: None,
        }
    }

    /// Why an acknowledged record may still be lost, one sentence each; empty = it survives any one broker.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut warn = |text: String| warnings.push(text);
        match self.replication_factor {
            Some(n) if n >= SAFE_REPLICATION_FACTOR => {}
            Some(n) => warn(format!(
                "durability is reduced: {n} replica(s), {SAFE_REPLICATION_FACTOR} are safe"
            )),
            None => warn("durability is not known: the number of replicas was not told".to_owned()),
        }
        match self.min_insync_replicas {
            Some(n) if n >= SAFE_MIN_INSYNC_REPLICAS => {}
            Some(n) => warn(format!(
                "durability is reduced: {MIN_INSYNC_REPLICAS}={n} acknowledges a record that {n} broker(s) have"
            )),
            None => warn(format!(
                "durability is not known: {MIN_INSYNC_REPLICAS} was not told"
            )),
        }
        match self.unclean_leader_election {
            Some(false) => {}
            Some(true) => warn(format!(
                "durability is reduced: {UNCLEAN_LEADER_ELECTION}=true lets a broker lead that lacks acknowledged records"
            )),
            None => warn(format!(
                "durability is not known: {UNCLEAN_LEADER_ELECTION} was not told"
            )),
        }
        warnings
    }
}

impl Sender {
    pub(super) fn configs_answered(&mut self, response: &DescribeConfigsResponse) {
        for result in &response.results {
            let named = |topic: &&mut super::Topic| topic.name == result.resource_name.as_str();
            let Some(topic) = self.topics.iter_mut().find(named) else {
                continue;
            };
            for config in &result.configs {
                let value = config.value.as_ref().map_or("", |value| value.as_str());
                match config.name.as_str() {
                    MIN_INSYNC_REPLICAS => topic.durability.min_insync_replicas = value.parse().ok(),
                    UNCLEAN_LEADER_ELECTION => topic.durability.unclean_leader_election = value.parse().ok(),
                    MAX_MESSAGE_BYTES => topic.max_message_bytes = value.parse().unwrap_or(usize::MAX),
                    _ => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_survives_one_broker_warns_of_nothing() {
        let mut topic = Durability::unknown("t");
        assert_eq!(topic.warnings().len(), 3, "what was not told is not assumed");
        topic.replication_factor = Some(3);
        topic.min_insync_replicas = Some(2);
        topic.unclean_leader_election = Some(false);
        assert!(topic.warnings().is_empty());
        topic.min_insync_replicas = Some(1);
        topic.unclean_leader_election = Some(true);
        topic.replication_factor = Some(1);
        assert_eq!(topic.warnings().len(), 3);
    }
}
