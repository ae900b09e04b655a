//! Topics: names, ids, properties, and the partitions behind them. Making, growing and deleting them.

mod requests; // the three requests about them

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::code;
use crate::configs;
use crate::fact::Fact;
use crate::model::Model;
use crate::partition::Partition;
use crate::replica::View;
use crate::store::{LogId, Store};

/// Bytes of a topic's name at most.
const MAX_NAME_BYTES: usize = 249;

/// Kafka's topic id.
pub(crate) type Id = [u8; 16];
/// Why a topic request was refused: error code and words.
pub(crate) type Refusal = (i16, String);

/// One topic.
#[derive(Debug, Clone)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) id: Id,
    /// Indices into the model's partitions.
    pub(crate) partitions: Vec<usize>,
    /// Properties that were set.
    pub(crate) configs: BTreeMap<String, String>,
    pub(crate) deleted: bool,
}

/// All topics, deleted ones included: a partition names its topic by index.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    pub(crate) all: Vec<Topic>,
    names: BTreeMap<String, usize>,
    ids: BTreeMap<Id, usize>,
}

impl Topics {
    pub(crate) fn by_name(&self, name: &str) -> Option<&Topic> {
        self.names.get(name).map(|at| &self.all[*at])
    }

    /// Another topic that metrics could not tell from this name: they know no dots (Topic.hasCollision).
    fn colliding(&self, name: &str) -> Option<&str> {
        let plain = |name: &str| name.replace('.', "_");
        let mut names = self.names.keys().filter(|_| name.contains(['.', '_']));
        let other = names.find(|other| *other != name && plain(other) == plain(name));
        other.map(String::as_str)
    }

    pub(crate) fn by_id(&self, id: Id) -> Option<&Topic> {
        self.ids.get(&id).map(|at| &self.all[*at])
    }

    pub(crate) fn index(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// Topics that exist, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Topic> {
        self.names.values().map(|at| &self.all[*at])
    }

    /// The model's index of a partition.
    pub(crate) fn partition(&self, name: &str, partition: i32) -> Option<usize> {
        partition_of(self.by_name(name)?, partition)
    }

    pub(crate) fn is_deleted(&self, topic: usize) -> bool {
        self.all[topic].deleted
    }

    pub(crate) fn add(&mut self, topic: Topic) -> usize {
        let at = self.all.len();
        self.names.insert(topic.name.clone(), at);
        self.ids.insert(topic.id, at);
        self.all.push(topic);
        at
    }

    /// A topic that is gone and whose name nobody remembers.
    pub(crate) fn add_deleted(&mut self) -> usize {
        self.all.push(Topic {
            name: String::new(),
            id: [0; 16],
            partitions: Vec::new(),
            configs: BTreeMap::new(),
            deleted: true,
        });
        self.all.len() - 1
    }

    pub(crate) fn remove(&mut self, at: usize) {
        let topic = &mut self.all[at];
        topic.deleted = true;
        self.names.remove(&topic.name);
        self.ids.remove(&topic.id);
    }

    /// A property of a topic that is true or false.
    pub(crate) fn flag(&self, topic: usize, name: &str, default: bool) -> bool {
        self.all[topic]
            .configs
            .get(name)
            .map_or(default, |value| value == "true")
    }

    /// A property of a topic that is a number.
    pub(crate) fn number(&self, topic: usize, name: &str, default: i64) -> i64 {
        let set = self.all[topic].configs.get(name);
        set.and_then(|value| value.parse().ok()).unwrap_or(default)
    }

    /// A property of a topic that is a word.
    pub(crate) fn word<'a>(&'a self, topic: usize, name: &str, default: &'a str) -> &'a str {
        self.all[topic].configs.get(name).map_or(default, String::as_str)
    }
}

/// The model's index of a partition of this topic.
pub(crate) fn partition_of(topic: &Topic, partition: i32) -> Option<usize> {
    topic.partitions.get(usize::try_from(partition).ok()?).copied()
}

/// A topic as asked for; -1 takes the cluster's default.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) partitions: i32,
    pub(crate) replication_factor: i16,
    /// Nodes of each partition, instead of the two above.
    pub(crate) assignments: Vec<Vec<i32>>,
    pub(crate) configs: Vec<(String, String)>,
}

impl<S: Store> Model<S> {
    /// Makes a topic, or only checks that it could be made; answers its index and the nodes of each partition.
    pub(crate) fn create_topic(
        &mut self,
        wanted: Wanted,
        only_check: bool,
    ) -> Result<(Option<usize>, Vec<Vec<i32>>), Refusal> {
        check_name(&wanted.name)?;
        if let Some(other) = self.topics.colliding(&wanted.name) {
            let why = format!("Topic '{}' collides with existing topic: {other}", wanted.name);
            return Err((code::INVALID_TOPIC_EXCEPTION, why));
        }
        if self.topics.by_name(&wanted.name).is_some() {
            let why = format!("Topic '{}' already exists.", wanted.name);
            return Err((code::TOPIC_ALREADY_EXISTS, why));
        }
        for (name, value) in &wanted.configs {
            configs::check_topic(name, value)?;
        }
        let assignments = self.assign(&wanted)?;
        if self.partitions.len() + assignments.len() > self.settings.max_partitions {
            let why = format!("more than {} partitions", self.settings.max_partitions);
            return Err((code::INVALID_PARTITIONS, why));
        }
        if only_check {
            return Ok((None, assignments));
        }
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.random.next().to_be_bytes());
        id[8..].copy_from_slice(&self.random.next().to_be_bytes());
        // A random UUID, version 4.
        id[6] = id[6] & 0x0f | 0x40;
        id[8] = id[8] & 0x3f | 0x80;
        let topic = self.topics.add(Topic {
            name: wanted.name,
            id,
            partitions: Vec::new(),
            configs: wanted.configs.into_iter().collect(),
            deleted: false,
        });
        self.add_partitions(topic, &assignments);
        Ok((Some(topic), assignments))
    }

    fn assign(&mut self, wanted: &Wanted) -> Result<Vec<Vec<i32>>, Refusal> {
        if !wanted.assignments.is_empty() {
            for nodes in &wanted.assignments {
                self.check_assignment(nodes)?;
            }
            return Ok(wanted.assignments.clone());
        }
        let partitions = if wanted.partitions == -1 {
            self.settings.num_partitions
        } else {
            wanted.partitions
        };
        if partitions < 1 {
            let why = "Number of partitions was set to an invalid non-positive value.";
            return Err((code::INVALID_PARTITIONS, why.into()));
        }
        let factor = match wanted.replication_factor {
            -1 => self.settings.default_replication_factor,
            factor => factor,
        };
        if factor < 1 {
            let why = "Replication factor must be larger than 0, or -1 to use the default value.";
            return Err((code::INVALID_REPLICATION_FACTOR, why.into()));
        }
        self.check_factor(factor)?;
        Ok(self.spread(partitions.min(self.settings.max_partitions as i32 + 1), factor))
    }

    /// Each replica needs a node of its own, and one that lives.
    fn check_factor(&self, factor: i16) -> Result<(), Refusal> {
        let live = self.nodes.iter().filter(|node| !node.fenced).count();
        if factor as usize > live {
            let why = format!(
                "Unable to replicate the partition {factor} time(s): The target replication factor of {factor} \
                 cannot be reached because only {live} broker(s) are registered."
            );
            return Err((code::INVALID_REPLICATION_FACTOR, why));
        }
        Ok(())
    }

    fn check_assignment(&self, nodes: &[i32]) -> Result<(), Refusal> {
        let twice = |(at, node): (usize, &i32)| nodes[..at].contains(node);
        let why = if nodes.is_empty() {
            "an empty replica list.".to_owned()
        } else if let Some(node) = nodes.iter().find(|id| self.node(**id).is_none()) {
            format!("broker {node}, but no such broker is registered.")
        } else if let Some((_, node)) = nodes.iter().enumerate().find(|entry| twice(*entry)) {
            format!("the broker {node} more than once.")
        } else {
            return Ok(());
        };
        Err((
            code::INVALID_REPLICA_ASSIGNMENT,
            format!("The manual partition assignment includes {why}"),
        ))
    }

    /// Round robin over the live nodes, from a place that chance chooses (StripedReplicaPlacer).
    fn spread(&mut self, partitions: i32, factor: i16) -> Vec<Vec<i32>> {
        let live: Vec<i32> = self
            .nodes
            .iter()
            .filter(|node| !node.fenced)
            .map(|node| node.id)
            .collect();
        let first = self.random.below(live.len() as u64) as usize;
        let nodes = |partition: usize| (0..factor as usize).map(move |at| first + partition + at);
        (0..partitions as usize)
            .map(|partition| nodes(partition).map(|at| live[at % live.len()]).collect())
            .collect()
    }

    /// Adds partitions behind the ones that a topic has.
    fn add_partitions(&mut self, topic: usize, assignments: &[Vec<i32>]) {
        let mut leaders = Vec::new();
        for nodes in assignments {
            let live = |id: &&i32| self.node(**id).is_some_and(|node| !node.fenced);
            let isr: Vec<i32> = nodes.iter().filter(live).copied().collect();
            let leader = isr.first().copied().unwrap_or(-1);
            let at = self.partitions.len();
            let index = self.topics.all[topic].partitions.len() as i32;
            let mut sorted = isr;
            sorted.sort_unstable();
            let decided = View {
                leader,
                epoch: 0,
                isr: sorted,
            };
            leaders.push((LogId(at as u32), decided.clone()));
            let log = LogId(at as u32);
            self.partitions
                .push(Partition::new(log, topic, index, nodes, decided));
            self.topics.all[topic].partitions.push(at);
            for node in nodes {
                self.partitions[at].start_epoch(*node, self.now.mono_ns);
            }
        }
        let fact = self.topic_fact(topic);
        self.remember(fact);
        for (log, view) in leaders {
            self.remember(Fact::Leader {
                log,
                leader: view.leader,
                epoch: view.epoch,
                isr: view.isr,
            });
        }
    }

    pub(crate) fn topic_fact(&self, topic: usize) -> Fact {
        let topic = &self.topics.all[topic];
        let partition = |at: &usize| {
            let found = &self.partitions[*at];
            (
                found.log,
                found.replicas.iter().map(|replica| replica.node).collect(),
            )
        };
        Fact::Topic {
            name: topic.name.clone(),
            id: topic.id,
            partitions: topic.partitions.iter().map(partition).collect(),
            configs: topic.configs.clone().into_iter().collect(),
        }
    }

    pub(crate) fn delete_topic(&mut self, name: &str) -> Result<(), Refusal> {
        let Some(at) = self.topics.index(name) else {
            return Err((
                code::UNKNOWN_TOPIC_OR_PARTITION,
                "This server does not host this topic-partition.".into(),
            ));
        };
        let topic = self.topics.all[at].clone();
        self.topics.remove(at);
        for partition in topic.partitions {
            let nodes: Vec<i32> = self.partitions[partition]
                .replicas
                .iter()
                .map(|replica| replica.node)
                .collect();
            self.store.remove(self.partitions[partition].log);
            let gone = View {
                leader: -1,
                epoch: self.partitions[partition].decided.epoch + 1,
                isr: Vec::new(),
            };
            self.partitions[partition].empty(gone);
            for node in nodes {
                if let Some(node) = self.node_mut(node) {
                    node.stale.remove(&partition);
                }
            }
            self.wake(partition);
        }
        self.forget_offsets_of(name);
        self.remember(Fact::TopicDeleted { id: topic.id });
        Ok(())
    }

    /// Adds partitions until there are `count`.
    pub(crate) fn grow(
        &mut self,
        name: &str,
        count: i32,
        wanted: Option<Vec<Vec<i32>>>,
        only_check: bool,
    ) -> Result<(), Refusal> {
        let Some(topic) = self.topics.index(name) else {
            return Err((code::UNKNOWN_TOPIC_OR_PARTITION, String::new()));
        };
        let has = self.topics.all[topic].partitions.len() as i32;
        let why = if count == has {
            Some(format!("Topic already has {has} partition(s)."))
        } else if count < has {
            Some(format!(
                "The topic {name} currently has {has} partition(s); {count} would not be an increase."
            ))
        } else if self.partitions.len() + (count - has) as usize > self.settings.max_partitions {
            Some(format!("more than {} partitions", self.settings.max_partitions))
        } else {
            None
        };
        if let Some(why) = why {
            return Err((code::INVALID_PARTITIONS, why));
        }
        let factor = self.partitions[self.topics.all[topic].partitions[0]]
            .replicas
            .len() as i16;
        let assignments = match wanted {
            Some(wanted) if wanted.len() as i32 != count - has => {
                let why = format!(
                    "{} assignments for {} new partition(s)",
                    wanted.len(),
                    count - has
                );
                return Err((code::INVALID_REPLICA_ASSIGNMENT, why));
            }
            Some(assignments) => self.assign(&Wanted {
                name: name.to_owned(),
                partitions: -1,
                replication_factor: factor,
                assignments,
                configs: Vec::new(),
            })?,
            None => {
                self.check_factor(factor)?;
                self.spread(count - has, factor)
            }
        };
        if !only_check {
            self.add_partitions(topic, &assignments);
        }
        Ok(())
    }
}

/// A topic id as the codec has it.
pub(crate) fn uuid(id: Id) -> Uuid {
    Uuid::from_bytes(id)
}

/// Topic.validate of Kafka.
pub(crate) fn check_name(name: &str) -> Result<(), Refusal> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let why = if name.is_empty() {
        "the empty string is not allowed".to_owned()
    } else if name == "." || name == ".." {
        format!("'{name}' is not allowed")
    } else if name.len() > MAX_NAME_BYTES {
        format!("the length of '{name}' is longer than the max allowed length {MAX_NAME_BYTES}")
    } else if !name.chars().all(legal) {
        format!("'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'")
    } else {
        return Ok(());
    };
    Err((
        code::INVALID_TOPIC_EXCEPTION,
        format!("Topic name is invalid: {why}"),
    ))
}
