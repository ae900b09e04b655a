//! `environment.json`: the machine, the versions, and every setting that differs from Kafka's default.

use serde::{Deserialize, Serialize};

/// Everything a stranger needs to judge how far a figure carries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// RFC 3339, UTC: when the run began.
    pub started: String,
    /// Version of the steadfast binary.
    pub steadfast: String,
    /// Who produced: `steadfast`, or the name of another program.
    #[serde(default = "ours")]
    pub subject: String,
    /// True for an unoptimised or assertion-laden build; the report says so beside every latency.
    pub debug_build: bool,
    /// CPU cores that the run could use.
    pub cores: u32,
    /// CPU model name.
    pub cpu: String,
    /// `uname -r`.
    pub kernel: String,
    /// Installed memory.
    pub memory_bytes: u64,
    /// File system that holds the broker's log.
    pub log_file_system: String,
    /// The cluster as it ran.
    pub broker: BrokerEnvironment,
    /// Settings that differ from Kafka's defaults, client and broker and topic and JVM.
    pub differences: Vec<Setting>,
    /// The command that runs this again.
    pub rerun: String,
}

/// Folders from before there were others.
fn ours() -> String {
    "steadfast".to_owned()
}

/// The cluster as it ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BrokerEnvironment {
    /// `kafka`, `docker`, `simulated`, `external`.
    pub kind: String,
    /// Version of the broker software.
    pub version: String,
    /// Number of nodes.
    pub nodes: u32,
    /// Why this kind: `--broker kafka`, `the file says so`, ...
    pub reason: String,
    /// `java -version`, first line; empty where no Java is involved.
    pub java: String,
    /// True when a proxy stands between client and brokers.
    pub proxied: bool,
}

/// One setting that differs from Kafka's default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// `producer`, `broker`, `topic` or `jvm`.
    pub scope: String,
    /// Kafka's own name.
    pub name: String,
    /// What it was.
    pub value: String,
    /// What Kafka would have used.
    pub default: String,
    /// Why it differs.
    pub reason: String,
}
