//! What a run would do, computed from the file alone: timeline, records, memory, disk, and what this cluster can prove.

mod timeline; // what happens when
mod needs; // memory and disk
mod claims; // what can be proven
mod remarks; // what one should know before
mod text; // all of it for people

use serde::Serialize;
use steadfast_chaos::cluster::Front;

use crate::scenario::Scenario;
use crate::scenario::cluster::min_insync;
use crate::scenario::neighbour;
use crate::scenario::origin::Value;
use crate::scenario::units::{show_rate, show_size};
use crate::scenario::workload::expected_records;

/// A run before it is run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Plan {
    /// Name of the scenario.
    pub scenario: String,
    /// Its title.
    pub title: String,
    /// Seed.
    pub seed: u64,
    /// Cluster kind and why.
    pub broker: String,
    /// Nodes, topics, proxies, as one line each.
    pub cluster: Vec<String>,
    /// What happens when, from the first due record.
    pub timeline: Vec<Step>,
    /// Records due in warm-up.
    pub warmup_records: u64,
    /// Records due after it.
    pub records: u64,
    /// Memory of our own processes, bytes.
    pub memory_bytes: u64,
    /// Disk for broker log and run folder, bytes.
    pub disk_bytes: u64,
    /// What is claimed, and whether it can be proven here.
    pub claims: Vec<Provable>,
    /// What a reader should know before the run.
    pub notes: Vec<String>,
    /// Every value and where it came from.
    pub values: Vec<Value>,
}

/// One moment of the timeline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Step {
    /// Seconds after the first due record; none where only the run can tell.
    pub at_s: Option<f64>,
    /// What begins.
    pub what: String,
}

/// A claim or threshold and whether this cluster kind can prove it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Provable {
    /// `lost = 0`, `ack_latency{phase:steady}: p(99)<1ms`.
    pub claim: String,
    /// What is looked at.
    pub by: String,
    /// None when it can be proven; else why it ends INCONCLUSIVE.
    pub inconclusive: Option<String>,
}

/// Plans a scenario for a cluster of this kind.
pub(crate) fn plan(scenario: &Scenario, kind: &str, reason: &str) -> Plan {
    let (warm, load) = expected_records(&scenario.template);
    let (memory_bytes, disk_bytes) = needs::needs(scenario, warm + load);
    Plan {
        scenario: scenario.name.clone(),
        title: scenario.title.clone(),
        seed: scenario.seed,
        broker: format!("{kind} ({reason})"),
        cluster: cluster_lines(scenario),
        timeline: timeline::timeline(scenario),
        warmup_records: warm.round() as u64,
        records: load.round() as u64,
        memory_bytes,
        disk_bytes,
        claims: claims::claims(scenario, kind),
        notes: remarks::remarks(scenario, kind),
        values: scenario.values.clone(),
    }
}

fn cluster_lines(scenario: &Scenario) -> Vec<String> {
    let cluster = &scenario.cluster;
    let nodes = if cluster.nodes == 1 {
        "1 node".to_owned()
    } else {
        format!("{} nodes", cluster.nodes)
    };
    let controllers = match cluster.controllers {
        0 => String::new(),
        1 => ", 1 dedicated controller".to_owned(),
        n => format!(", {n} dedicated controllers"),
    };
    let proxied = match cluster.front {
        Front::Nothing => "",
        Front::Toxiproxy => ", Toxiproxy in front of every broker",
        Front::WireProxy => ", a wire proxy in front of every broker",
    };
    let mut lines = vec![format!("{nodes}{controllers}{proxied}")];
    for topic in &cluster.topics {
        lines.push(format!(
            "topic {}: {} partitions, replication factor {}, min.insync.replicas {}",
            topic.name,
            topic.partitions,
            topic.replication_factor,
            min_insync(topic, &cluster.properties),
        ));
    }
    if let Some(readers) = &scenario.readers {
        let s = if readers.count == 1 { "" } else { "s" };
        lines.push(format!(
            "{} reader{s} at {}, from before the first record to after the last",
            readers.count,
            readers.isolation.word()
        ));
    }
    if let Some(neighbour) = &scenario.neighbour {
        lines.push(format!(
            "a neighbour, {}: {} of {} each into {}, not judged",
            neighbour::CLIENT_ID,
            show_rate(neighbour.rate),
            show_size(neighbour.record_size.into()),
            neighbour.topic,
        ));
    }
    lines
}
