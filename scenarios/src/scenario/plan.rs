//! What a run would do, computed from the file alone: timeline, records, memory, disk, and what this cluster can prove.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;
use steadfast_chaos::cluster::Front;
use steadfast_chaos::fault::{Action, Reach, Target};
use steadfast_verifier::expectations::{ClaimId, Metric, Recovery, Threshold};
use steadfast_verifier::provable;
use steadfast_verifier::workload::{Executor, Full, Keys};

use crate::scenario::Scenario;
use crate::scenario::cluster::min_insync;
use crate::scenario::fault::{HEAL, beyond};
use crate::scenario::neighbour;
use crate::scenario::origin::Value;
use crate::scenario::phases::end;
use crate::scenario::thresholds::METRICS;
use crate::scenario::units::{show_count, show_duration, show_rate, show_size};
use crate::scenario::workload::{expected_records, peak_rate};

/// What judging keeps for each record: the verifier's own bound.
const JUDGE_BYTES: f64 = 48.0;
/// More of it where readers are held against the log: where each record stands, and when it was due.
const JUDGE_READ_BYTES: f64 = 40.0;
/// What a reader writes of a record.
const READ_BYTES: f64 = 50.0;
/// Worker without its buffer, verifier without its tables.
const PROCESS_BYTES: u64 = 32 << 20;
/// Bytes of a record in the broker's log beside key, value and headers; a batch header shared by about four records.
const LOG_OVERHEAD: f64 = 30.0;
/// The same where batches are full.
const LOG_OVERHEAD_FULL: f64 = 9.0;
/// A generated key.
const KEY_BYTES: f64 = 10.0;
/// History and compact log of a run folder, per record.
const FOLDER_BYTES: f64 = 16.0;
/// How long leaders take to move after a kill, beyond the session timeout.
const ELECTION: Duration = Duration::from_secs(2);

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
    let workload = &scenario.template;
    let (warm, load) = expected_records(workload);
    let all = warm + load;
    let topic = scenario
        .cluster
        .topics
        .iter()
        .find(|topic| topic.name == scenario.topic);
    let copies = topic.map_or(1, |topic| topic.replication_factor);
    let headers: u32 = workload
        .headers
        .iter()
        .map(|header| header.size + header.name.len() as u32 + 2)
        .sum();
    let key = if workload.keys == Keys::None {
        0.0
    } else {
        KEY_BYTES
    };
    let unlimited = matches!(workload.executor, Executor::Unlimited { .. });
    let overhead = if unlimited {
        LOG_OVERHEAD_FULL
    } else {
        LOG_OVERHEAD
    };
    let readers = scenario.readers.as_ref().map_or(0, |readers| readers.count);
    let judge_bytes = match readers {
        0 => JUDGE_BYTES,
        _ => JUDGE_BYTES + JUDGE_READ_BYTES,
    };
    let folder_bytes = FOLDER_BYTES + READ_BYTES * f64::from(readers);
    let beside = scenario.neighbour.as_ref().map_or(0.0, |neighbour| {
        let topic = scenario
            .cluster
            .topics
            .iter()
            .find(|topic| topic.name == neighbour.topic);
        let copies = topic.map_or(1, |topic| topic.replication_factor);
        let in_log = (f64::from(neighbour.record_size) + LOG_OVERHEAD) * f64::from(copies);
        neighbour.records(workload) * (in_log + FOLDER_BYTES)
    });
    let workers = if scenario.neighbour.is_some() { 2 } else { 1 };
    let in_log = f64::from(workload.record_size) + f64::from(headers) + key + overhead;
    Plan {
        scenario: scenario.name.clone(),
        title: scenario.title.clone(),
        seed: scenario.seed,
        broker: format!("{kind} ({reason})"),
        cluster: cluster_lines(scenario),
        timeline: timeline(scenario),
        warmup_records: warm.round() as u64,
        records: load.round() as u64,
        memory_bytes: (scenario.producer.buffer_memory * workers).max((all * judge_bytes) as u64)
            + PROCESS_BYTES * (workers + u64::from(readers)),
        // A copy job has its records twice, once in the source.
        disk_bytes: (all * (in_log * f64::from(copies) + folder_bytes)) as u64
            * if scenario.copy().is_some() { 2 } else { 1 }
            + beside as u64,
        claims: claims(scenario, kind),
        notes: remarks(scenario, kind),
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

fn timeline(scenario: &Scenario) -> Vec<Step> {
    let at = |moment: Duration, what: String| Step {
        at_s: Some(moment.as_secs_f64()),
        what,
    };
    let mut steps = Vec::new();
    let Some(duration) = scenario.duration() else {
        let (_, records) = expected_records(&scenario.template);
        let what = format!("{} records as fast as they go", show_count(records as u64));
        return vec![at(Duration::ZERO, what), ending(scenario)];
    };
    let warmup = scenario.warmup();
    if !warmup.is_zero() {
        let rate = scenario.warmup_rate().map(show_rate).unwrap_or_default();
        steps.push(at(
            Duration::ZERO,
            format!("warm-up at {rate}, {}", show_duration(warmup)),
        ));
    }
    if scenario.faults.first().is_none_or(|fault| !fault.at.is_zero()) {
        steps.push(at(warmup, format!("steady: {}", offered(scenario))));
    }
    // Faults may overlap: in the order of their moments, and what only the run can tell behind its fault.
    let mut moments: Vec<(Duration, Step)> = Vec::new();
    for fault in &scenario.faults {
        let hold = fault
            .hold
            .map_or_else(String::new, |hold| format!(", {}", show_duration(hold)));
        let each = if fault.target == Target::EveryBroker {
            ", one after the other"
        } else {
            ""
        };
        let what = match &fault.action {
            Action::Toxic(toxic) => format!("{toxic} on"),
            Action::Wire(wire) => format!("{wire} on"),
            Action::Grow { partitions } => format!("grow to {partitions} partitions:"),
            Action::Set { settings } => {
                let settings: Vec<String> = settings
                    .iter()
                    .map(|(name, value)| format!("{name} = {value}"))
                    .collect();
                format!("set {} of", settings.join(", "))
            }
            Action::Quota { quotas } => {
                let quotas: Vec<String> = quotas
                    .iter()
                    .map(|(quota, value)| format!("{} = {value}", quota.name()))
                    .collect();
                format!("quota {} of", quotas.join(", "))
            }
            action => action.word().to_owned(),
        };
        let when = fault
            .when
            .as_ref()
            .map_or_else(String::new, |trigger| format!(", as soon as {trigger}"));
        let what = format!("fault:{}: {what} {}{hold}{each}{when}", fault.name, fault.target);
        moments.push((fault.at, at(warmup + fault.at, what)));
        if let Some(end) = end(fault) {
            let until = show_duration(warmup + end + HEAL);
            moments.push((
                end,
                at(warmup + end, format!("heal:{} until {until}", fault.name)),
            ));
        } else {
            let heal = show_duration(HEAL);
            let what = format!("heal:{}: {heal} from when its action is done", fault.name);
            moments.push((fault.at, Step { at_s: None, what }));
        }
    }
    moments.sort_by_key(|(moment, _)| *moment);
    steps.extend(moments.into_iter().map(|(_, step)| step));
    steps.push(at(warmup + duration, "end of the load".to_owned()));
    steps.push(ending(scenario));
    steps
}

fn ending(scenario: &Scenario) -> Step {
    let drain = show_duration(Duration::from_secs(scenario.template.drain_ns / 1_000_000_000));
    Step {
        at_s: None,
        what: format!("last outcomes (at most {drain}), log sealed and read, judged, report"),
    }
}

fn offered(scenario: &Scenario) -> String {
    let load = match scenario.copy() {
        None => offered_load(scenario),
        Some(copy) => format!(
            "{} into {}, copied from there",
            offered_load(scenario),
            copy.topic
        ),
    };
    let Some(transaction) = scenario.template.transaction else {
        return load;
    };
    let full = match transaction.full {
        Full::Records(records) => format!("of {} records", show_count(records)),
        Full::AfterNs(after) => format!("of {}", show_duration(Duration::from_nanos(after))),
    };
    let aborted = match transaction.abort_ratio {
        0.0 => String::new(),
        ratio => format!(", {} % aborted on purpose", ratio * 100.0),
    };
    format!("{load}, in transactions {full}{aborted}")
}

fn offered_load(scenario: &Scenario) -> String {
    match &scenario.template.executor {
        Executor::ConstantArrivalRate { rate } => show_rate(*rate),
        Executor::Poisson { rate } => format!("{} on average, exponential gaps", show_rate(*rate)),
        Executor::RampingArrivalRate { stages, .. } => {
            let peak = peak_rate(&scenario.template).map(show_rate).unwrap_or_default();
            format!("{} stages, at most {peak}", show_count(stages.len() as u64))
        }
        Executor::Unlimited { .. } => "as fast as they go".to_owned(),
    }
}

fn claims(scenario: &Scenario, kind: &str) -> Vec<Provable> {
    let claims = scenario.claims.iter().map(|claim| {
        let (name, by) = match claim.id {
            ClaimId::Lost => ("lost", "L1 L2 L4 on the sealed log"),
            ClaimId::Duplicated => ("duplicated", "D1 D2 D3 on the sealed log"),
            ClaimId::ReorderedPerKey if scenario.template.keys == Keys::None => (
                "reordered-per-key",
                "O1 O2 per partition (the records have no key)",
            ),
            ClaimId::ReorderedPerKey => ("reordered-per-key", "O1 O2 O7 per key"),
            ClaimId::ReorderedInTime => ("reordered-in-time", "O3: acknowledgements against later sends"),
            ClaimId::ReorderedForReaders => ("reordered-for-readers", "O5: what readers got during the run"),
            ClaimId::Torn => ("torn", "T1 T3 T5 T7 T8 on the sealed log"),
            ClaimId::Corrupted => ("corrupted", "I1 I2 I3 I4: CRC of each record"),
            ClaimId::Recovered => ("recovered", "V1 to V4 and V6: acknowledgements after each heal"),
        };
        let timed = scenario
            .recovery
            .as_ref()
            .is_some_and(|recovery| recovery.condition.is_some());
        let hurts = scenario
            .faults
            .iter()
            .any(|fault| fault.target != Target::Client && provable::hurts_brokers(fault.action.word()));
        let by = match readers_show(claim.id).filter(|_| scenario.readers.is_some()) {
            Some(ids) => format!("{by}, {ids} by readers"),
            None => by.to_owned(),
        };
        Provable {
            claim: match (claim.id, &scenario.recovery) {
                (ClaimId::Recovered, Some(recovery)) => show_recovery(recovery),
                _ => format!("{name} = {}", claim.limit),
            },
            by,
            inconclusive: provable::why_no_pass(kind, claim.id, (hurts, timed)).map(str::to_owned),
        }
    });
    let limits = scenario.thresholds.iter().map(|threshold| {
        let brokers = matches!(
            threshold.metric,
            Metric::BrokerCpu | Metric::BrokerCpuPerRecord | Metric::BrokerRss
        );
        let unseen = "the processes of an external cluster cannot be measured from here";
        let inconclusive = provable::why_no_limit(kind, threshold.metric)
            .or((kind == "external" && brokers).then_some(unseen))
            .map(str::to_owned);
        Provable {
            claim: show_threshold(threshold),
            by: measured_by(threshold.metric).to_owned(),
            inconclusive,
        }
    });
    claims.chain(limits).collect()
}

/// What readers show of a claim beside the log.
fn readers_show(claim: ClaimId) -> Option<&'static str> {
    match claim {
        ClaimId::Lost => Some("L6"),
        ClaimId::ReorderedPerKey => Some("O4"),
        ClaimId::Corrupted => Some("I1"),
        ClaimId::Torn => Some("T1 T2"),
        ClaimId::Recovered => Some("V4"),
        ClaimId::Duplicated | ClaimId::ReorderedInTime | ClaimId::ReorderedForReaders => None,
    }
}

/// `recovered: gap 6 s, within 5 s (ack_latency p(99)<5ms), backlog 10 s`.
fn show_recovery(recovery: &Recovery) -> String {
    let span = |key: &str, ns: Option<u64>| {
        ns.map(|ns| format!("{key} {}", show_duration(Duration::from_nanos(ns))))
    };
    let condition = recovery.condition.as_ref();
    let condition = condition.map_or_else(String::new, |condition| {
        format!(" ({})", show_threshold(condition).replacen(':', "", 1))
    });
    let within = span("within", recovery.within_ns).map(|within| within + &condition);
    let parts = [
        span("gap", recovery.gap_ns),
        within,
        span("backlog", recovery.backlog_ns),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("recovered: {}", parts.join(", "))
}

fn measured_by(metric: Metric) -> &'static str {
    match metric {
        Metric::AckLatency => "acknowledged minus due",
        Metric::ServiceTime => "acknowledged minus handed over",
        Metric::ScheduleLag => "handed over minus due",
        Metric::VisibleLatency => "arrived at a reader minus due, every reader counts",
        Metric::AchievedRate => "acknowledged within the phase ÷ its length",
        Metric::RecordError => "not acknowledged ÷ due",
        Metric::Unavailability => "longest stretch without an acknowledgement",
        Metric::ClientCpu | Metric::BrokerCpu => "the kernel's CPU accounting",
        Metric::ClientCpuPerRecord | Metric::BrokerCpuPerRecord => "the kernel's CPU accounting ÷ records",
        Metric::ClientRss | Metric::BrokerRss => "resident set, once a second",
    }
}

fn show_threshold(threshold: &Threshold) -> String {
    let name = METRICS
        .iter()
        .find(|(_, metric, ..)| *metric == threshold.metric)
        .map_or("", |(name, ..)| *name);
    match &threshold.phase {
        Some(phase) => format!("{name}{{phase:{phase}}}: {}", threshold.expression),
        None => format!("{name}: {}", threshold.expression),
    }
}

/// What a careful reader of the file would remark.
fn remarks(scenario: &Scenario, kind: &str) -> Vec<String> {
    let mut notes = scenario.producer.notes.clone();
    if let Some((fault, why)) = beyond(&scenario.faults, kind) {
        notes.push(format!(
            "refused on a cluster of kind {kind}, which cannot do fault {}: {why}; use --broker kafka",
            fault.name
        ));
    }
    if scenario.thresholds.is_empty() {
        notes.push("no thresholds: latency, rate and CPU are shown, not judged".to_owned());
    }
    let latency = scenario
        .thresholds
        .iter()
        .any(|t| matches!(t.metric, Metric::AckLatency | Metric::ServiceTime));
    if scenario.cluster.front != Front::Nothing && latency {
        notes.push("a proxy stands in the path: its time is in every latency".to_owned());
    }
    if cfg!(debug_assertions) && latency {
        notes.push(
            "this steadfast is a debug build: its latencies are no measure; use `cargo run --release`"
                .to_owned(),
        );
    }
    let kills = scenario
        .faults
        .iter()
        .any(|fault| fault.target != Target::Client && fault.action.reach() == Reach::Process);
    if kills && scenario.cluster.nodes == 2 && scenario.cluster.controllers == 0 {
        notes.push(
            "two combined nodes have no quorum while one is down: nothing can fail over; use 3 nodes"
                .to_owned(),
        );
    }
    notes.extend(buffer_remark(scenario));
    notes
}

/// The load goes on during an outage only as long as the buffer has room.
fn buffer_remark(scenario: &Scenario) -> Option<String> {
    let session = scenario
        .cluster
        .properties
        .get("broker.session.timeout.ms")
        .and_then(|text| text.parse().ok());
    let fail_over = Duration::from_millis(session.unwrap_or(9000)) + ELECTION;
    let of_brokers = scenario
        .faults
        .iter()
        .filter(|fault| fault.target != Target::Client);
    let outage = of_brokers.filter_map(|fault| match fault.action {
        // One copy alone: nobody takes over before it is back. A toxic may let nothing through, or half.
        Action::Partition | Action::Down | Action::Toxic(_) | Action::Wire(_) => fault.hold,
        Action::Elect
        | Action::Reassign
        | Action::Grow { .. }
        | Action::Set { .. }
        | Action::Quota { .. } => None,
        // With all of them gone, or as good as gone, it is over when they are back.
        _ if fault.target == Target::All => Some(fault.hold.unwrap_or_default() + fail_over),
        _ if scenario.cluster.nodes == 1 => Some(fault.hold.unwrap_or_default() + ELECTION),
        Action::Kill | Action::Pause | Action::FillDisk | Action::StepClock { .. } => Some(fail_over),
        Action::Term | Action::Restart => Some(ELECTION),
    });
    let outage = outage.max()?;
    let size = f64::from(scenario.template.record_size) + LOG_OVERHEAD;
    let needed = peak_rate(&scenario.template)? * size * outage.as_secs_f64() * 1.5;
    let have = scenario.producer.buffer_memory;
    (needed > have as f64).then(|| {
        format!(
            "buffer.memory = {have} holds less than an outage of {} x 1.5 ({}): the load will fall behind (schedule debt, nothing lost)",
            show_duration(outage),
            show_size(needed as u64)
        )
    })
}

impl Plan {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |label: &str, what: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{label:<11}{what}");
        };
        line("scenario", &format!("{} · {}", self.scenario, self.title));
        line("seed", &self.seed.to_string());
        line("cluster", &self.broker);
        self.cluster.iter().for_each(|what| line("", what));
        for (i, step) in self.timeline.iter().enumerate() {
            let at = step
                .at_s
                .map_or_else(|| "then".to_owned(), |at| format!("{at} s"));
            line(
                if i == 0 { "timeline" } else { "" },
                &format!("{at:>9}  {}", step.what),
            );
        }
        let warm = match self.warmup_records {
            0 => String::new(),
            warm => format!(" and {} in warm-up", show_count(warm)),
        };
        line("records", &format!("{}{warm}", show_count(self.records)));
        line(
            "memory",
            &format!("about {} beside the brokers", show_size(self.memory_bytes)),
        );
        line(
            "disk",
            &format!(
                "about {} for the brokers' logs and the run folder",
                show_size(self.disk_bytes)
            ),
        );
        for (i, claim) in self.claims.iter().enumerate() {
            let verdict = match &claim.inconclusive {
                None => format!("provable    {} ({})", claim.claim, claim.by),
                Some(why) => format!("INCONCLUSIVE  {}: {why}", claim.claim),
            };
            line(if i == 0 { "claims" } else { "" }, &verdict);
        }
        self.notes.iter().for_each(|note| line("note", note));
        let wide = self
            .values
            .iter()
            .map(|value| value.key.len() + value.value.len())
            .max()
            .unwrap_or(0)
            .min(70);
        for (i, value) in self.values.iter().enumerate() {
            let set = format!("{} = {}", value.key, one_line(&value.value));
            line(
                if i == 0 { "values" } else { "" },
                &format!("{set:<width$}  {}", value.origin, width = wide + 3),
            );
        }
        text
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
