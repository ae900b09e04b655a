//! What all worlds of a campaign have in common: the default world, or what a file makes of it.

use std::collections::BTreeMap;

use steadfast_verifier::workload::PartitionChoice;

use super::class::Class;

/// request.timeout.ms: the longest that a seed draws, and Kafka's default.
const REQUEST_TIMEOUT_MS: u64 = 5_000;
const KAFKAS_REQUEST_TIMEOUT_MS: u64 = 30_000;

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
    /// What records look like.
    pub(crate) records: Records,
    /// Producer properties that every world has, whatever its seed draws.
    pub(crate) producer: BTreeMap<String, String>,
    /// They are all that there are: the seed draws none.
    pub(crate) whole_producer: bool,
    /// Broker properties that every world has.
    pub(crate) cluster: BTreeMap<String, String>,
    /// Properties of the topic.
    pub(crate) topic: BTreeMap<String, String>,
}

/// What records look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Records {
    /// Keys of one client; 0: records have none.
    pub(crate) keys: u64,
    /// How a record finds its partition; none: each seed draws whether the key or chance chooses.
    pub(crate) partition: Option<PartitionChoice>,
    /// Bytes of a value.
    pub(crate) bytes: usize,
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
            records: Records {
                keys: 8,
                partition: None,
                bytes: 24,
            },
            producer: BTreeMap::new(),
            whole_producer: false,
            cluster: BTreeMap::new(),
            topic: BTreeMap::new(),
        }
    }
}

impl Design {
    /// How many times longer than usual all may take to drain: the bounds are made for request timeouts of at most 5 s,
    /// and a file may ask for more.
    pub(crate) fn patience(&self) -> u64 {
        let given = self
            .producer
            .get("request.timeout.ms")
            .and_then(|text| text.parse().ok());
        let request_ms: u64 = match given {
            Some(ms) => ms,
            None if self.whole_producer => KAFKAS_REQUEST_TIMEOUT_MS,
            None => REQUEST_TIMEOUT_MS,
        };
        request_ms.div_ceil(REQUEST_TIMEOUT_MS).max(1)
    }
}
