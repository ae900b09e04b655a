//! What a subject (our worker, or any foreign producer) is asked to do: one JSON document.
//!
//! Times ending in `_ns` are CLOCK_MONOTONIC nanoseconds or spans of them; the same clock in every process of a host.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The whole order to one worker incarnation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Same seed, same records, same schedule.
    pub seed: u64,
    /// Worker number: the upper 16 bits of every record id.
    pub worker: u16,
    /// How many times this worker was started before in this run.
    pub incarnation: u32,
    /// First record index of this incarnation; indexes are never used twice across incarnations.
    pub first_index: u64,
    /// Where to begin: `host:port` of the client listeners.
    pub bootstrap_servers: Vec<String>,
    /// The topic to write to.
    pub topic: String,
    /// Number of partitions of the topic.
    pub partitions: u32,
    /// How the partition of a record is chosen.
    pub partition: PartitionChoice,
    /// When records are due.
    pub executor: Executor,
    /// Monotonic instant of the first due record.
    pub start_ns: u64,
    /// Load before the claims count, at the executor's first rate.
    pub warmup_ns: u64,
    /// Load after warm-up. Ignored by `unlimited`, which ends after its records.
    pub duration_ns: u64,
    /// How long after the last intended record the worker waits for outcomes before it gives up (those left are UNKNOWN).
    pub drain_ns: u64,
    /// Bytes of each value, the 16 bytes of the stamp included.
    pub record_size: u32,
    /// Keys of the records.
    pub keys: Keys,
    /// Headers of each record.
    pub headers: Vec<HeaderSpec>,
    /// How records are put into transactions; none = each stands by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<Transaction>,
    /// Records are not made but copied from another topic; none = they are made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<CopySource>,
    /// Producer properties under Kafka's own names, as strings.
    pub producer: BTreeMap<String, String>,
    /// The history file to write.
    pub history: PathBuf,
}

/// Number of the worker that writes the source of a copy job; its history does not lie beside the job's.
pub const SOURCE_WORKER: u16 = u16::MAX;

impl Workload {
    /// The order to the worker that writes a copy job's source: same seed, same schedule, same records, no transactions.
    /// Where its history goes is still to be said. None for what is no copy job.
    pub fn of_source(&self) -> Option<Workload> {
        let source = self.copy.as_ref()?;
        let mut producer = self.producer.clone();
        producer.retain(|name, _| !name.starts_with("transaction"));
        Some(Workload {
            worker: SOURCE_WORKER,
            incarnation: 0,
            first_index: 0,
            topic: source.topic.clone(),
            partitions: source.partitions,
            transaction: None,
            copy: None,
            producer,
            ..self.clone()
        })
    }
}

/// How a record finds its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartitionChoice {
    /// murmur2 of the key, as Kafka's Java client; keyless records fall back to sticky.
    ByKey,
    /// The producer's sticky choice (KIP-794).
    Sticky,
    /// Record i to partition i mod n.
    RoundRobin,
}

/// When records are due: k6's executors for the open model, and two of ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "executor")]
pub enum Executor {
    /// due(i) = start + i / rate.
    ConstantArrivalRate {
        /// Records per second.
        rate: f64,
    },
    /// The rate moves linearly to each stage's target within its duration; a stage of 0 s jumps.
    RampingArrivalRate {
        /// Records per second at the start (and in warm-up).
        start_rate: f64,
        /// Stages in order; they make up `duration_ns`.
        stages: Vec<Stage>,
    },
    /// Exponential gaps with this mean rate, from the seed.
    Poisson {
        /// Mean records per second.
        rate: f64,
    },
    /// As fast as the producer takes them; intended = hand-over, so latency is never judged.
    Unlimited {
        /// How many records in all.
        records: u64,
    },
}

/// One stage of a ramp.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Records per second at the end of the stage.
    pub target: f64,
    /// How long the stage takes.
    pub duration_ns: u64,
}

/// Key distribution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "distribution")]
pub enum Keys {
    /// Records without a key.
    None,
    /// Every key equally likely.
    Uniform {
        /// Number of distinct keys.
        count: u64,
    },
    /// Key k (1-based) with weight 1 / k^exponent.
    Zipf {
        /// Number of distinct keys.
        count: u64,
        /// Skew; 1.0 is the classic law.
        exponent: f64,
    },
    /// Record i has key i mod count.
    RoundRobin {
        /// Number of distinct keys.
        count: u64,
    },
}

/// How records are put into transactions. One transaction at a time: what is due while the last one ends, waits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transaction {
    /// When a transaction is full.
    pub full: Full,
    /// Share of transactions that are aborted on purpose, by the seed; 0 to 1.
    pub abort_ratio: f64,
}

/// When a transaction takes no more records and is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Full {
    /// After so many records.
    Records(u64),
    /// So long after its first record, ns.
    AfterNs(u64),
}

/// The source of a consume-transform-produce job. Its records are those of a worker with the same seed and schedule, so
/// that each tells by its index when it was due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopySource {
    /// The topic that is read.
    pub topic: String,
    /// Its number of partitions.
    pub partitions: u32,
    /// The consumer group whose positions are committed with the copies.
    pub group: String,
    /// A file that is there as soon as nothing more is written to the source: what is there by then is still to be
    /// copied, and then the job is done.
    pub complete: PathBuf,
}

/// One header of each record; its value is pseudo-random bytes from the seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderSpec {
    /// Header key.
    pub name: String,
    /// Bytes of its value.
    pub size: u32,
}

/// One line of a worker's standard output, about once a second: live progress, never evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// When that was so, CLOCK_MONOTONIC.
    pub at_ns: u64,
    /// Records handed to the producer so far.
    pub sent: u64,
    /// Records acknowledged so far.
    pub acked: u64,
    /// Records refused for good so far.
    pub not_written: u64,
    /// Records due but not yet handed over.
    pub debt: u64,
    /// p99 of ack latency so far, after warm-up.
    pub p99_ns: u64,
    /// Thread id of the generator, whose run-queue wait H1 (b) looks at.
    pub generator_tid: u32,
    /// True in the last line: every outcome is known or given up.
    pub done: bool,
    /// A sentence when something went wrong.
    pub note: Option<String>,
}
