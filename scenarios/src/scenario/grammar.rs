//! The grammar as data: every section, every key, what it takes and what it means.
//!
//! The reader refuses what is not here, suggestions come from here, and so do the defaults that `plan` shows and the JSON
//! Schema for editors: one table, so that they cannot disagree.

mod faults; // [[fault]], [campaign]

pub(crate) use self::faults::{CAMPAIGN, FAULT, MAX_FAULTS};

/// A table of the file.
#[derive(Debug)]
pub(crate) struct Section {
    /// How messages name it: `[workload]`.
    pub title: &'static str,
    /// Its keys, in the order in which a person writes them.
    pub keys: &'static [Key],
    /// Kafka settings that may stand beside the keys.
    pub properties: Option<Properties>,
    /// Words that the design knows and this version does not build.
    pub planned: &'static [&'static str],
}

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    /// As written.
    pub name: &'static str,
    /// What it takes.
    pub shape: Shape,
    /// Whether a file without it is wrong in every case.
    pub required: bool,
    /// What is used without it, as text; empty where that depends on other keys.
    pub default: &'static str,
    /// One line for editors.
    pub doc: &'static str,
}

/// What a key takes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// Any text.
    Text,
    /// A whole number within bounds.
    Integer(i64, i64),
    /// A number.
    Number,
    /// `10s`.
    Duration,
    /// `25000/s`.
    Rate,
    /// `100 B`.
    Size,
    /// One of these words.
    Word(&'static [&'static str]),
    /// `leader(topic-0)`, `broker-2`, ...
    Target,
    /// A list of expressions such as `ack_latency p(99)<1ms`.
    Probes,
    /// A table.
    Table(&'static Section),
    /// `[[...]]` or a list of inline tables.
    Tables(&'static Section),
    /// A table of names that the author chooses, each a table.
    Named(&'static Section),
    /// A table of Kafka settings and nothing else.
    Properties(Properties),
    /// Metric with optional phase to a list of expressions.
    Thresholds,
}

/// Whose settings may be pasted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Properties {
    /// Kafka's producer.
    Producer,
    /// server.properties.
    Broker,
    /// Topic configuration.
    Topic,
    /// Of a topic or of brokers, as the target says.
    Live,
    /// A reader's: of Kafka's consumer.
    Consumer,
}

/// Executors by name.
pub(crate) const EXECUTORS: &[&str] = &[
    "constant-arrival-rate",
    "ramping-arrival-rate",
    "poisson",
    "unlimited",
];
/// Most nodes that one host is asked to carry.
pub(crate) const MAX_NODES: i64 = 9;
/// Most partitions of a topic: a bound on what the verifier keeps open.
pub(crate) const MAX_PARTITIONS: i64 = 10_000;
/// Most distinct keys: the generator keeps a sequence number for each.
pub(crate) const MAX_KEYS: i64 = 10_000_000;
/// Most records of `unlimited`.
pub(crate) const MAX_RECORDS: i64 = 1_000_000_000_000;
/// Most records of a transaction: the load generator keeps the index of each until it ends.
pub(crate) const MAX_TRANSACTION_RECORDS: i64 = 1_000_000;
/// Most readers: each is a process with a file, a connection to each broker, and answers of up to 8 MiB.
pub(crate) const MAX_READERS: i64 = 50;
/// Smallest value: the stamp that lets the log be judged alone.
pub(crate) const MIN_RECORD_SIZE: u64 = 16;

const fn key(name: &'static str, shape: Shape, default: &'static str, doc: &'static str) -> Key {
    Key {
        name,
        shape,
        required: false,
        default,
        doc,
    }
}

const fn required(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key {
        name,
        shape,
        required: true,
        default: "",
        doc,
    }
}

/// The whole file.
pub(crate) static ROOT: Section = Section {
    title: "the scenario",
    keys: &[
        required("title", Shape::Text, "What the scenario proves, as one line"),
        key(
            "seed",
            Shape::Integer(0, i64::MAX),
            "1",
            "Same seed: same records, same schedule, same faults",
        ),
        required(
            "cluster",
            Shape::Table(&CLUSTER),
            "The Kafka cluster that the run starts",
        ),
        key(
            "producer",
            Shape::Table(&PRODUCER),
            "",
            "Settings of the producer, under Kafka's own names",
        ),
        required("workload", Shape::Table(&WORKLOAD), "What is sent, and when"),
        key(
            "steady-state",
            Shape::Table(&STEADY_STATE),
            "",
            "What must hold in the last 5 s of warm-up; else exit 4",
        ),
        key("fault", Shape::Tables(&FAULT), "", "What goes wrong, and when"),
        key(
            "campaign",
            Shape::Table(&CAMPAIGN),
            "",
            "A seeded mix of faults over the whole load",
        ),
        key(
            "readers",
            Shape::Table(&READERS),
            "",
            "Consumers that read the topic while it is written",
        ),
        key(
            "neighbour",
            Shape::Table(&NEIGHBOUR),
            "",
            "Another tenant of the cluster, whose own records are not judged",
        ),
        key(
            "claims",
            Shape::Table(&CLAIMS),
            "",
            "Highest number of anomalies allowed, judged on the sealed log",
        ),
        key(
            "thresholds",
            Shape::Thresholds,
            "",
            "Limits in k6's grammar, units mandatory",
        ),
    ],
    properties: None,
    planned: &["gateway"],
};

/// `[cluster]`
pub(crate) static CLUSTER: Section = Section {
    title: "[cluster]",
    keys: &[
        key("nodes", Shape::Integer(1, MAX_NODES), "1", "Number of brokers"),
        key(
            "controllers",
            Shape::Integer(0, 3),
            "0",
            "Dedicated controllers; 0 = every broker is a controller too",
        ),
        key(
            "version",
            Shape::Text,
            "",
            "Version of Apache Kafka; without it that of KAFKA_HOME, else the pinned one",
        ),
        key(
            "image",
            Shape::Text,
            "",
            "Image of a docker cluster, with the layout of apache/kafka, which is the default",
        ),
        key(
            "tag",
            Shape::Text,
            "",
            "Its tag; without it that of `image`, else the version of Apache Kafka",
        ),
        key(
            "kind",
            Shape::Word(&["kafka", "docker", "simulated", "external"]),
            "",
            "Cluster kind; better left to --broker",
        ),
        key(
            "properties",
            Shape::Properties(Properties::Broker),
            "",
            "Broker settings, as in server.properties",
        ),
        key(
            "jvm-options",
            Shape::Text,
            "",
            "Options of each broker's JVM, as in KAFKA_JVM_PERFORMANCE_OPTS",
        ),
        key(
            "disk",
            Shape::Size,
            "",
            "A small disk for each broker's data, in memory, for fill-disk; takes root's rights",
        ),
        required(
            "topics",
            Shape::Named(&TOPIC),
            "Topics to create: topics.NAME = { partitions = 6 }",
        ),
    ],
    properties: None,
    planned: &[],
};

/// `topics.NAME`
pub(crate) static TOPIC: Section = Section {
    title: "a topic",
    keys: &[
        key(
            "partitions",
            Shape::Integer(1, MAX_PARTITIONS),
            "1",
            "Number of partitions",
        ),
        key(
            "replication-factor",
            Shape::Integer(1, MAX_NODES),
            "1",
            "Copies of each partition",
        ),
    ],
    properties: Some(Properties::Topic),
    planned: &[],
};

/// `[producer]`
pub(crate) static PRODUCER: Section = Section {
    title: "[producer]",
    keys: &[key(
        "profile",
        Shape::Word(&["low-latency", "throughput", "kafka"]),
        "low-latency",
        "Defaults to start from; `kafka` = those of Kafka 4",
    )],
    properties: Some(Properties::Producer),
    planned: &[],
};

/// `[workload]`
pub(crate) static WORKLOAD: Section = Section {
    title: "[workload]",
    keys: &[
        key(
            "through",
            Shape::Word(&["direct", "copy"]),
            "direct",
            "The way into the producer; copy = exactly-once copies of what is written to `source` meanwhile",
        ),
        key(
            "source",
            Shape::Text,
            "",
            "Topic that a copy job reads (through = \"copy\")",
        ),
        required("executor", Shape::Word(EXECUTORS), "When records are due"),
        key(
            "rate",
            Shape::Rate,
            "",
            "Records per second (constant-arrival-rate, poisson)",
        ),
        key(
            "start-rate",
            Shape::Rate,
            "",
            "Rate of warm-up and at the first stage's begin (ramping-arrival-rate)",
        ),
        key(
            "stages",
            Shape::Tables(&STAGE),
            "",
            "Stages of ramping-arrival-rate; repeated to fill a longer duration",
        ),
        key(
            "records",
            Shape::Integer(1, MAX_RECORDS),
            "",
            "How many records in all (unlimited)",
        ),
        key(
            "warmup",
            Shape::Duration,
            "10s",
            "Load before claims and limits count",
        ),
        key("duration", Shape::Duration, "", "Load after warm-up"),
        key(
            "topic",
            Shape::Text,
            "",
            "Topic to write to; may be left out when there is one",
        ),
        key(
            "record-size",
            Shape::Size,
            "100 B",
            "Bytes of each value, the 16 bytes of the stamp included",
        ),
        key(
            "keys",
            Shape::Table(&KEYS),
            "",
            "Keys of the records; none without it",
        ),
        key(
            "partition",
            Shape::Word(&["by-key", "sticky", "round-robin"]),
            "",
            "How a record finds its partition; default by-key with keys, sticky without",
        ),
        key("headers", Shape::Tables(&HEADER), "", "Headers of each record"),
        key(
            "transaction",
            Shape::Table(&TRANSACTION),
            "",
            "Puts records into transactions; needs transactional.id under [producer]",
        ),
    ],
    properties: None,
    planned: &[],
};

/// `[workload.transaction]`
pub(crate) static TRANSACTION: Section = Section {
    title: "[workload.transaction]",
    keys: &[
        key(
            "records",
            Shape::Integer(1, MAX_TRANSACTION_RECORDS),
            "",
            "A transaction is full after so many records",
        ),
        key(
            "every",
            Shape::Duration,
            "",
            "A transaction is full so long after its first record",
        ),
        key(
            "abort-ratio",
            Shape::Number,
            "0",
            "Share of transactions that are aborted on purpose, by the seed",
        ),
    ],
    properties: None,
    planned: &[],
};

/// One stage of a ramp.
pub(crate) static STAGE: Section = Section {
    title: "a stage",
    keys: &[
        required("target", Shape::Rate, "Rate at the end of the stage"),
        required("duration", Shape::Duration, "How long the stage takes; 0s jumps"),
    ],
    properties: None,
    planned: &[],
};

/// `keys = { ... }`
pub(crate) static KEYS: Section = Section {
    title: "keys",
    keys: &[
        required(
            "distribution",
            Shape::Word(&["uniform", "zipf", "round-robin"]),
            "Which key a record gets",
        ),
        required("count", Shape::Integer(1, MAX_KEYS), "Number of distinct keys"),
        key("exponent", Shape::Number, "1.0", "Skew of zipf"),
    ],
    properties: None,
    planned: &[],
};

/// One header.
pub(crate) static HEADER: Section = Section {
    title: "a header",
    keys: &[
        required("name", Shape::Text, "Header key"),
        required(
            "size",
            Shape::Size,
            "Bytes of its value, pseudo-random from the seed",
        ),
    ],
    properties: None,
    planned: &[],
};

/// `[steady-state]`
pub(crate) static STEADY_STATE: Section = Section {
    title: "[steady-state]",
    keys: &[required(
        "probes",
        Shape::Probes,
        "Expressions such as `ack_latency p(99)<5ms`",
    )],
    properties: None,
    planned: &["mode"],
};

/// `[readers]`
pub(crate) static READERS: Section = Section {
    title: "[readers]",
    keys: &[key(
        "count",
        Shape::Integer(1, MAX_READERS),
        "1",
        "How many, each a process of its own",
    )],
    properties: Some(Properties::Consumer),
    planned: &["group"],
};

/// `[neighbour]`
pub(crate) static NEIGHBOUR: Section = Section {
    title: "[neighbour]",
    keys: &[
        required(
            "topic",
            Shape::Text,
            "The topic that it writes to, not the judged one",
        ),
        required(
            "rate",
            Shape::Rate,
            "Records per second, from the begin of warm-up to the end",
        ),
        key("record-size", Shape::Size, "1 KiB", "Bytes of each value"),
    ],
    properties: None,
    planned: &[],
};

/// `[claims]`
pub(crate) static CLAIMS: Section = Section {
    title: "[claims]",
    keys: &[
        key(
            "lost",
            Shape::Integer(0, i64::MAX),
            "0",
            "Acknowledged and not in the log (L1 L2)",
        ),
        key(
            "duplicated",
            Shape::Integer(0, i64::MAX),
            "0",
            "In the log more than once, or although refused (D1-D3)",
        ),
        key(
            "reordered-per-key",
            Shape::Integer(0, i64::MAX),
            "",
            "Records of one key out of order (O1 O2 O7)",
        ),
        key(
            "reordered-in-time",
            Shape::Integer(0, i64::MAX),
            "",
            "A later record before an acknowledged one (O3)",
        ),
        key(
            "reordered-for-readers",
            Shape::Integer(0, i64::MAX),
            "",
            "Got again or jumped over by a reader (O5); needs [readers]",
        ),
        key(
            "torn",
            Shape::Integer(0, i64::MAX),
            "",
            "Transactions seen in part, after an abort, or not at all after a commit (T1-T8)",
        ),
        key(
            "corrupted",
            Shape::Integer(0, i64::MAX),
            "0",
            "Altered, never sent, or at another place (I1-I5)",
        ),
        key(
            "recovered",
            Shape::Table(&RECOVERED),
            "",
            "How soon the run is itself again after each fault (V1-V4 V6)",
        ),
    ],
    properties: None,
    planned: &["reordered-by-source"],
};

/// `recovered = { ... }`
pub(crate) static RECOVERED: Section = Section {
    title: "recovered",
    keys: &[
        key(
            "gap",
            Shape::Duration,
            "",
            "Longest stretch without an acknowledgement while records are due, faults included (V1)",
        ),
        key(
            "within",
            Shape::Duration,
            "",
            "How long after a heal all sent before has an outcome, or the condition holds (V3); longest stand while no fault stands (V2 V4)",
        ),
        key(
            "condition",
            Shape::Text,
            "",
            "What each second must meet from `within` after a heal on: p(50), p(99) or max of ack_latency, such as `ack_latency p(99)<5ms`",
        ),
        key(
            "backlog",
            Shape::Duration,
            "",
            "How long after a heal all that was due before it is sent (V6)",
        ),
    ],
    properties: None,
    planned: &[],
};

/// Words of the design that stand for something later work builds.
pub(crate) const PLANNED_WORDS: &[&str] = &["ipc", "http", "file", "audit"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_listed_twice_or_undocumented() {
        for section in [
            &ROOT,
            &CLUSTER,
            &TOPIC,
            &PRODUCER,
            &WORKLOAD,
            &TRANSACTION,
            &STAGE,
            &KEYS,
            &HEADER,
            &FAULT,
            &faults::TOXIC,
            &faults::ATTRIBUTES,
            &CAMPAIGN,
            &faults::MIX,
            &CLAIMS,
            &RECOVERED,
            &READERS,
        ] {
            for (i, key) in section.keys.iter().enumerate() {
                assert!(!key.doc.is_empty(), "{}.{}", section.title, key.name);
                assert!(
                    section.keys[..i].iter().all(|k| k.name != key.name),
                    "{}.{}",
                    section.title,
                    key.name
                );
                assert!(
                    !section.planned.contains(&key.name),
                    "{}.{}",
                    section.title,
                    key.name
                );
            }
        }
    }
}
