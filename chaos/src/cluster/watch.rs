//! What a running cluster is asked, and waits until its answer is the one wanted.

use std::time::Duration;

use steadfast_wire::admin::Metadata;

use super::admin::{self, Leader};
use super::node::{Node, NodeState};
use super::{Cluster, LOOK};
use crate::clock::{Deadline, sleep};
use crate::error::ChaosError;

impl Cluster {
    /// The leader of a partition now, as the first broker that answers knows it.
    pub fn leader(&self, topic: &str, partition: u32) -> Result<Leader, ChaosError> {
        let what = || format!("find the leader of {topic}-{partition}");
        let view = self
            .view(Some(topic))
            .map_err(|reason| ChaosError::admin(what(), reason))?;
        let state = i32::try_from(partition)
            .ok()
            .and_then(|partition| view.partition(topic, partition));
        let found = state.and_then(|state| {
            Some(Leader {
                broker: state.leader.try_into().ok()?,
                epoch: state.leader_epoch,
            })
        });
        found.ok_or_else(|| ChaosError::admin(what(), "it has none"))
    }

    /// A broker in sync with a partition that does not lead it: the first of its replicas that is one.
    pub(crate) fn follower(&self, topic: &str, partition: u32) -> Result<u32, ChaosError> {
        let what = || format!("find a follower of {topic}-{partition}");
        let view = self
            .view(Some(topic))
            .map_err(|reason| ChaosError::admin(what(), reason))?;
        let state = i32::try_from(partition)
            .ok()
            .and_then(|partition| view.partition(topic, partition));
        let found = state.and_then(|state| {
            let in_sync = |id: &&i32| **id != state.leader && state.isr.contains(id);
            u32::try_from(*state.replicas.iter().find(in_sync)?).ok()
        });
        found.ok_or_else(|| ChaosError::admin(what(), "none is in sync"))
    }

    /// Ids of all brokers that we run, or stand in front of.
    pub fn broker_ids(&self) -> Vec<u32> {
        if let Some(doors) = self.doors_of_others() {
            return doors.into_iter().map(|(broker, _)| broker).collect();
        }
        self.brokers().map(|node| node.plan.id).collect()
    }

    /// Some partition of a topic of the run that this broker leads now: its election shows that the broker was hit.
    /// None when it leads none.
    pub(crate) fn led_by(&self, broker: u32) -> Result<Option<(String, u32, Leader)>, ChaosError> {
        // Of somebody else's those that our proxy stands in front of; else those that we run.
        if !self.is_external() || !self.broker_ids().contains(&broker) {
            self.node(broker)?;
        }
        let what = || format!("find what broker-{broker} leads");
        let view = self
            .view(None)
            .map_err(|reason| ChaosError::admin(what(), reason))?;
        let topics = view.topics.iter().filter(|topic| !topic.name.starts_with("__"));
        let mut all = topics.flat_map(|topic| topic.partitions.iter().map(move |state| (topic, state)));
        let led = all.find(|(_, state)| u32::try_from(state.leader) == Ok(broker));
        Ok(led.and_then(|(topic, state)| {
            let partition = u32::try_from(state.partition).ok()?;
            Some((
                topic.name.clone(),
                partition,
                Leader {
                    broker,
                    epoch: state.leader_epoch,
                },
            ))
        }))
    }

    /// Whether a broker answers a Metadata request on its ADMIN listener within the bound; the reason when it does not.
    pub(crate) fn answers(&self, broker: u32, bound: Duration) -> Result<(), String> {
        let node = self.node(broker).map_err(|error| error.to_string())?;
        admin::probe(&node.admin_server(), bound)
    }

    /// Waits until a broker is unfenced and in the ISR of every partition that it has a replica of.
    pub fn wait_until_in_sync(&self, broker: u32, bound: Duration) -> Result<(), ChaosError> {
        let name = format!("broker-{broker}");
        self.until(&format!("wait until {name} is in sync"), bound, |view| {
            let id = i32::try_from(broker).unwrap_or(-1);
            if view.broker(id).is_none() {
                return Err(format!("{name} is not registered"));
            }
            for topic in &view.topics {
                let mut own = topic
                    .partitions
                    .iter()
                    .filter(|state| state.replicas.contains(&id));
                if let Some(state) = own.find(|state| !state.isr.contains(&id) || state.leader < 0) {
                    return Err(format!("{}-{} lacks it in its ISR", topic.name, state.partition));
                }
            }
            Ok(())
        })
    }

    /// What the first broker knows that is up and answers.
    pub(crate) fn view(&self, topic: Option<&str>) -> Result<Metadata, String> {
        let up = self
            .brokers()
            .filter(|node| node.state() == NodeState::Up)
            .map(Node::admin_server);
        let servers: Vec<String> = up.chain(self.external_servers.iter().cloned()).collect();
        admin::view(&servers, topic)
    }

    /// Looks at the cluster until `done` holds; the last reason why it did not becomes the error.
    pub(crate) fn until(
        &self,
        what: &str,
        bound: Duration,
        mut done: impl FnMut(&Metadata) -> Result<(), String>,
    ) -> Result<(), ChaosError> {
        let deadline = Deadline::after(bound);
        loop {
            let reason = match self.view(None).and_then(|view| done(&view)) {
                Ok(()) => return Ok(()),
                Err(reason) => reason,
            };
            self.spawner.check_stop()?;
            self.check()?;
            if deadline.passed() {
                return Err(ChaosError::admin(what, format!("not within {bound:?}: {reason}")));
            }
            sleep(LOOK);
        }
    }
}
