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
    /// Producer properties under Kafka's own names, as strings.
    pub producer: BTreeMap<String, String>,
    /// The history file to write.
    pub history: PathBuf,
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
