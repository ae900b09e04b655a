//! What a target means at the moment when its fault begins: nodes, in volleys. A volley is hit together, the next one when
//! the last is healed.

use super::{LOOK, RESOLVE_BOUND, Stage, nanos};
use crate::clock::now_ns;
use crate::cluster::Leader;
use crate::error::ChaosError;
use crate::fault::{PlannedFault, Target, draw};

/// A node to hurt, and a partition whose leadership shows whether it hurt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Aim {
    pub(super) broker: u32,
    /// Topic, partition and its leader before: the broker aimed at.
    pub(super) watched: Option<(String, u32, Leader)>,
    /// Appended to the names of evidence where a fault has several aims.
    pub(super) suffix: String,
}

impl Aim {
    /// Where what is hurt is no node.
    pub(super) fn nobody() -> Aim {
        Aim {
            broker: 0,
            watched: None,
            suffix: String::new(),
        }
    }
}

impl Stage {
    /// What the target means now, retried while an election is under way.
    pub(super) fn resolve(&self, fault: &PlannedFault) -> Result<Vec<Vec<Aim>>, ChaosError> {
        let give_up_ns = now_ns() + nanos(RESOLVE_BOUND);
        loop {
            match self.resolve_now(fault, &fault.target) {
                Err(ChaosError::Admin { .. })
                    if now_ns() < give_up_ns && self.sleep_until(now_ns() + nanos(LOOK)) => {}
                result => return result,
            }
        }
    }

    fn resolve_now(&self, fault: &PlannedFault, target: &Target) -> Result<Vec<Vec<Aim>>, ChaosError> {
        let brokers = self.cluster.broker_ids();
        let drawn = |count| draw(self.seed, &fault.name, &brokers, count);
        let nodes = match target {
            Target::Leader { topic, partition } => {
                let leader = self.cluster.leader(topic, *partition)?;
                let watched = Some((topic.clone(), *partition, leader));
                return Ok(vec![vec![Aim {
                    broker: leader.broker,
                    watched,
                    suffix: String::new(),
                }]]);
            }
            Target::Follower { topic, partition } => vec![self.cluster.follower(topic, *partition)?],
            Target::Controller => vec![self.cluster.quorum_leader()?],
            Target::Coordinator(id) => vec![self.cluster.coordinator(id)?],
            Target::Broker(broker) => vec![*broker],
            Target::Random => drawn(1),
            Target::Minority => drawn(brokers.len().saturating_sub(1) / 2),
            Target::All => brokers,
            Target::EveryBroker => {
                let one = |broker| Ok(vec![self.aim_at(broker, true)?]);
                return brokers.into_iter().map(one).collect();
            }
            Target::Link(end) | Target::Between { broker: end, .. } => return self.resolve_now(fault, end),
            // None is a node; their faults are done elsewhere.
            Target::Topic(_) | Target::Client | Target::ClientId(_) => Vec::new(),
        };
        if nodes.is_empty() {
            let mend = "name a target that this cluster has";
            let what = format!("{target} is nobody here");
            return Err(ChaosError::Refused {
                what,
                mend: mend.into(),
            });
        }
        let several = nodes.len() > 1;
        let aims: Result<Vec<Aim>, ChaosError> =
            nodes.iter().map(|node| self.aim_at(*node, several)).collect();
        Ok(vec![aims?])
    }

    /// The brokers at the other ends of links between brokers; `volley` is at the first ends.
    pub(super) fn others(&self, fault: &PlannedFault, volley: &[Aim]) -> Result<Vec<u32>, ChaosError> {
        let first = |broker: &u32| volley.iter().any(|aim| aim.broker == *broker);
        let mut others = match &fault.target {
            Target::Between {
                other: Some(other), ..
            } => {
                let aims = self.resolve_now(fault, other)?.concat();
                aims.iter().map(|aim| aim.broker).collect()
            }
            _ => self.cluster.broker_ids(),
        };
        others.retain(|broker| !first(broker));
        if others.is_empty() {
            let reason = "both ends are the same broker now";
            return Err(ChaosError::admin(fault.target.to_string(), reason));
        }
        Ok(others)
    }

    fn aim_at(&self, broker: u32, several: bool) -> Result<Aim, ChaosError> {
        let watched = self.cluster.led_by(broker)?;
        let suffix = if several {
            format!(" of broker-{broker}")
        } else {
            String::new()
        };
        Ok(Aim {
            broker,
            watched,
            suffix,
        })
    }
}
