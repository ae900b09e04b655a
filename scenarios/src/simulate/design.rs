//! What all worlds of a campaign have in common: the default world, or what a file makes of it.

use std::collections::BTreeMap;

use super::class::Class;

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writers {
    /// Each seed draws for each client: idempotent or transactional.
    Mixed,
    /// Nobody uses transactions.
    Idempotent,
    /// Everybody does.
    Transactional,
}

/// Sizes and rates.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Design {
    /// Nodes of the cluster.
    pub(crate) nodes: i32,
    /// Partitions of the topic.
    pub(crate) partitions: i32,
    /// Copies of each.
    pub(crate) replication_factor: i16,
    /// min.insync.replicas.
    pub(crate) min_insync_replicas: i32,
    /// Producers.
    pub(crate) clients: u16,
    /// What they are.
    pub(crate) writers: Writers,
    /// What kind of world each seed gets; none: it draws one.
    pub(crate) class: Option<Class>,
    /// Records a virtual second, of all clients together.
    pub(crate) rate: u64,
    /// Virtual seconds of faults.
    pub(crate) seconds: u64,
    /// Virtual milliseconds from fault to fault, on average.
    pub(crate) fault_every_ms: u64,
    /// Records of one client at most; a shrunk world has fewer.
    pub(crate) records_max: u64,
    /// The rule that the producer breaks, in a build for mutants.
    #[cfg(steadfast_mutants)]
    pub(crate) without: Option<steadfast_producer::rules::Rule>,
    /// What somebody does wrong, for tests of the judge.
    #[cfg(test)]
    pub(crate) flaw: Option<super::tests::Flaw>,
    /// Producer properties that every world has, whatever its seed draws.
    pub(crate) producer: BTreeMap<String, String>,
}

impl Default for Design {
    fn default() -> Design {
        Design {
            nodes: 3,
            partitions: 6,
            replication_factor: 3,
            min_insync_replicas: 2,
            clients: 2,
            writers: Writers::Mixed,
            class: None,
            rate: 100,
            seconds: 60,
            fault_every_ms: 2_000,
            records_max: u64::MAX,
            #[cfg(steadfast_mutants)]
            without: None,
            #[cfg(test)]
            flaw: None,
            producer: BTreeMap::new(),
        }
    }
}
