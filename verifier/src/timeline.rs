//! What happened when, all stamped by one monotonic clock: `faults.jsonl` and `samples.jsonl`, a JSON document a line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One line of `faults.jsonl`. A fault writes `Started`, then `Bit` for each piece of evidence, then `Healed`;
/// a fault that never healed has no `Healed` line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum FaultEvent {
    /// The action begins now.
    Started {
        /// The fault's name in the scenario.
        name: String,
        /// Verb: kill, pause, restart, partition, ...
        action: String,
        /// As written in the scenario, e.g. `leader(orders-0)`.
        target: String,
        /// What the target meant at this moment, e.g. `broker-2 (pid 4711)`.
        resolved: String,
        /// When.
        at_ns: u64,
    },
    /// Something that shows that the fault took effect.
    Bit {
        /// The fault's name.
        name: String,
        /// What was seen: `exit_status`, `pid_changed`, `leader_epoch`, `process_state`, `connections_cut`, ...
        what: String,
        /// The value seen, for people.
        value: String,
        /// When it was seen.
        at_ns: u64,
    },
    /// The guard dropped and what was broken is mended.
    Healed {
        /// The fault's name.
        name: String,
        /// When.
        at_ns: u64,
    },
    /// The fault could not be done or could not be healed.
    Failed {
        /// The fault's name.
        name: String,
        /// Why.
        reason: String,
        /// When.
        at_ns: u64,
    },
}

/// One fault as the judge and the report see it: the events of one name, joined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Fault {
    /// The fault's name in the scenario.
    pub name: String,
    /// Verb.
    pub action: String,
    /// As written in the scenario.
    pub target: String,
    /// What it meant when the fault began.
    pub resolved: String,
    /// Begin, monotonic.
    pub started_ns: u64,
    /// End, monotonic; none when it never healed.
    pub healed_ns: Option<u64>,
    /// What shows that it bit; empty voids a PASS (H2).
    pub evidence: BTreeMap<String, String>,
    /// Why it failed, if it did.
    pub failed: Option<String>,
}

/// One line of `samples.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Sample {
    /// The load began: `warmup` lasts from `start_ns` to `warmup_end_ns`, claims count to `end_ns`.
    Plan {
        /// First due record.
        start_ns: u64,
        /// End of warm-up.
        warmup_end_ns: u64,
        /// Last due record (for `unlimited`: when the worker was done).
        end_ns: u64,
    },
    /// One process at one moment: totals since its start.
    Process {
        /// When.
        at_ns: u64,
        /// `client` or `broker`; several processes of one role add up.
        role: Role,
        /// Name for people: `worker-0`, `broker-1`.
        name: String,
        /// Process id: a restart changes it.
        pid: u32,
        /// User + system CPU time so far.
        cpu_ns: u64,
        /// Resident set.
        rss_bytes: u64,
    },
    /// The generator thread and the machine at one moment: totals.
    Machine {
        /// When.
        at_ns: u64,
        /// Time the generator thread stood runnable but not running (schedstat, second field); none when unreadable.
        run_queue_wait_ns: Option<u64>,
        /// The machine's stolen time, all cores together.
        steal_ns: u64,
    },
    /// The runner gave up or was cut off; the reason voids what it must.
    Note {
        /// When.
        at_ns: u64,
        /// A sentence.
        text: String,
    },
}

/// Whose CPU and memory a process sample counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Load generator and producer.
    Client,
    /// The cluster.
    Broker,
    /// A proxy between them.
    Proxy,
    /// A concurrent reader.
    Reader,
}

/// Pure: the events of `faults.jsonl`, joined by name in order of first appearance.
pub fn join_faults(events: &[FaultEvent]) -> Vec<Fault> {
    let mut faults: Vec<Fault> = Vec::new();
    for event in events {
        match event {
            FaultEvent::Started {
                name,
                action,
                target,
                resolved,
                at_ns,
            } => faults.push(Fault {
                name: name.clone(),
                action: action.clone(),
                target: target.clone(),
                resolved: resolved.clone(),
                started_ns: *at_ns,
                healed_ns: None,
                evidence: BTreeMap::new(),
                failed: None,
            }),
            FaultEvent::Bit {
                name, what, value, ..
            } => {
                if let Some(fault) = last(&mut faults, name) {
                    fault.evidence.insert(what.clone(), value.clone());
                }
            }
            FaultEvent::Healed { name, at_ns } => {
                if let Some(fault) = last(&mut faults, name) {
                    fault.healed_ns = Some(*at_ns);
                }
            }
            FaultEvent::Failed { name, reason, .. } => {
                if let Some(fault) = last(&mut faults, name) {
                    fault.failed = Some(reason.clone());
                }
            }
        }
    }
    faults
}

fn last<'a>(faults: &'a mut [Fault], name: &str) -> Option<&'a mut Fault> {
    faults.iter_mut().rev().find(|fault| fault.name == name)
}
