//! What Kafka's own administration changes in a running cluster. Each order goes to one broker and once; whether it was
//! carried out is seen by looking afterwards, which is the caller's.

use std::time::Duration;

use steadfast_wire::admin::{self as wire, AdminError, Config, Metadata, Quota, Resource};
use steadfast_wire::connection::Connection;

use super::node::NodeState;
use super::{Cluster, admin};
use crate::error::ChaosError;

/// How long one broker may take over one order: the controller's own bound is 15 s.
const ORDER_BOUND: Duration = Duration::from_secs(16);
/// How long one broker may take to say whether a client is to wait: its answer comes at once, before the waiting.
const THROTTLE_LOOK: Duration = Duration::from_secs(1);

/// Whose settings are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whose {
    /// A topic's.
    Topic(String),
    /// A broker's.
    Broker(u32),
}

impl Cluster {
    /// The node that leads the quorum of controllers now.
    pub(crate) fn quorum_leader(&self) -> Result<u32, ChaosError> {
        let what = "find the controller";
        let leader = self.order(what, wire::quorum_leader)?;
        u32::try_from(leader).map_err(|_| ChaosError::admin(what, "there is none"))
    }

    /// The broker that coordinates the transactions of a transactional id now.
    pub(crate) fn coordinator(&self, transactional_id: &str) -> Result<u32, ChaosError> {
        let what = format!("find the coordinator of {transactional_id}");
        let found = self.order(&what, |connection| {
            wire::transaction_coordinator(connection, transactional_id)
        })?;
        u32::try_from(found).map_err(|_| ChaosError::admin(what, "it has none"))
    }

    pub(crate) fn elect_preferred(&self, topic: &str, partitions: &[i32]) -> Result<(), ChaosError> {
        self.order(&format!("elect the leaders of {topic}"), |connection| {
            wire::elect_preferred_leaders(connection, topic, partitions)
        })
    }

    pub(crate) fn reassign(&self, topic: &str, replicas: &[(i32, Vec<i32>)]) -> Result<(), ChaosError> {
        self.order(&format!("reassign {topic}"), |connection| {
            wire::reassign(connection, topic, replicas)
        })
    }

    pub(crate) fn create_partitions(&self, topic: &str, count: u32) -> Result<(), ChaosError> {
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        self.order(&format!("grow {topic}"), |connection| {
            wire::create_partitions(connection, topic, count)
        })
    }

    /// One setting as it is now; none when the broker knows no such setting.
    pub(crate) fn setting(&self, whose: &Whose, name: &str) -> Result<Option<Config>, ChaosError> {
        let all = self.order_at(whose, &format!("read {name}"), |connection| {
            wire::describe_configs(connection, whose.resource())
        })?;
        Ok(all.into_iter().find(|config| config.name == name))
    }

    /// Sets one setting, or takes it back to what it would be without.
    pub(crate) fn set(&self, whose: &Whose, name: &str, value: Option<&str>) -> Result<(), ChaosError> {
        self.order_at(whose, &format!("set {name}"), |connection| {
            wire::alter_config(connection, whose.resource(), name, value)
        })
    }

    /// A quota of a client id as it is now; none when it has none of its own.
    pub(crate) fn quota(&self, client_id: &str, quota: Quota) -> Result<Option<f64>, ChaosError> {
        self.order(&format!("read {} of {client_id}", quota.name()), |connection| {
            wire::describe_client_quota(connection, client_id, quota)
        })
    }

    /// Sets a quota of a client id, or takes it away.
    pub(crate) fn set_quota(
        &self,
        client_id: &str,
        quota: Quota,
        value: Option<f64>,
    ) -> Result<(), ChaosError> {
        self.order(&format!("set {} of {client_id}", quota.name()), |connection| {
            wire::alter_client_quota(connection, client_id, quota, value)
        })
    }

    /// The first broker that makes clients of this id wait because of this quota, and how long. One that is not heard is
    /// no answer: others may be.
    pub(crate) fn throttles(&self, client_id: &str, quota: Quota) -> Option<(u32, Duration)> {
        let up = self.brokers().filter(|node| node.state() == NodeState::Up);
        let mut asked = up.filter_map(|node| {
            let server = node.admin_server();
            let mut connection = admin::connect_as(client_id, &server, THROTTLE_LOOK).ok()?;
            let wait = wire::throttled(&mut connection, quota).ok()?;
            Some((node.plan.id, wait))
        });
        asked.find(|(_, wait)| !wait.is_zero())
    }

    /// What the first broker knows of a topic.
    pub(crate) fn topic_view(&self, topic: &str) -> Result<Metadata, ChaosError> {
        self.view(Some(topic))
            .map_err(|reason| ChaosError::admin(format!("look at {topic}"), reason))
    }

    fn order<T>(
        &self,
        what: &str,
        order: impl FnOnce(&mut Connection) -> Result<T, AdminError>,
    ) -> Result<T, ChaosError> {
        let up = self.brokers().filter(|node| node.state() == NodeState::Up);
        let mut last = "no broker is up".to_owned();
        for node in up {
            // Only the connecting is tried at each: an order that was sent may have been carried out.
            match admin::connect(&node.admin_server(), ORDER_BOUND) {
                Ok(mut connection) => {
                    return order(&mut connection)
                        .map_err(|error| ChaosError::admin(what, error.to_string()));
                }
                Err(reason) => last = reason,
            }
        }
        Err(ChaosError::admin(what, last))
    }

    fn order_at<T>(
        &self,
        whose: &Whose,
        what: &str,
        order: impl FnOnce(&mut Connection) -> Result<T, AdminError>,
    ) -> Result<T, ChaosError> {
        let Whose::Broker(broker) = whose else {
            return self.order(what, order);
        };
        let told = |reason: String| ChaosError::admin(format!("{what} of broker-{broker}"), reason);
        let server = self.node(*broker)?.admin_server();
        let mut connection = admin::connect(&server, ORDER_BOUND).map_err(told)?;
        order(&mut connection).map_err(|error| told(error.to_string()))
    }
}

impl Whose {
    fn resource(&self) -> Resource<'_> {
        match self {
            Whose::Topic(name) => Resource::Topic(name),
            Whose::Broker(id) => Resource::Broker(i32::try_from(*id).unwrap_or(i32::MAX)),
        }
    }
}
