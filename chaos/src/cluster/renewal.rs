//! The same topics, empty: between two measurements on one cluster.

use steadfast_wire::admin::delete_topic;

use super::{Cluster, TOPICS_BOUND, TopicSpec, admin};
use crate::error::ChaosError;

/// How long the controller may take for one order.
const ORDER_BOUND: std::time::Duration = std::time::Duration::from_secs(10);

impl Cluster {
    /// Deletes these topics, which were made with the cluster, waits until no broker knows them, and makes them again: other
    /// ids, no records. What the brokers still have to do for the old ones (segments go a minute later, by
    /// `file.delete.delay.ms`) is theirs.
    pub fn renew_topics(&self, topics: &[TopicSpec]) -> Result<(), ChaosError> {
        if self.is_external() {
            self.delete_topics()?;
        } else {
            let servers = self.admin_servers();
            let server = servers.first().map_or("", String::as_str);
            for topic in topics {
                let order = admin::connect(server, ORDER_BOUND).and_then(|mut connection| {
                    delete_topic(&mut connection, &topic.name).map_err(|error| error.to_string())
                });
                order.map_err(|reason| ChaosError::admin(format!("delete topic {}", topic.name), reason))?;
            }
        }
        self.until("wait until the topics are gone", TOPICS_BOUND, |view| {
            let known = |topic: &&TopicSpec| view.topics.iter().any(|found| found.name == topic.name);
            match topics.iter().find(known) {
                Some(topic) => Err(format!("{} is still known", topic.name)),
                None => Ok(()),
            }
        })?;
        self.create_topics(topics)
    }
}
