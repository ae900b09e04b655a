//! A scenario file as worlds in virtual time: its cluster, topic, load and producer settings; its faults are each seed's
//! own. What virtual time cannot do or cannot judge is refused, each at its place in the file.
//!
//! ```text
//! [cluster] nodes, properties, topics ─┐
//! [workload] rate, keys, partition    ─┼─▶ Design        [thresholds], [steady-state], stages, unlimited, headers ─▶ frames
//! [producer]                          ─┘
//! ```

use std::ops::Range;

use steadfast_broker::Settings;
use steadfast_verifier::workload::{Executor, Keys, PartitionChoice, Workload};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::class::Class;
use super::design::{Design, Records, Writers};
use crate::scenario::Scenario;
use crate::scenario::diagnostics::{Diagnostics, Problem};
use crate::scenario::source::Source;

const TRANSACTIONAL_ID: &str = "transactional.id";
const UNCLEAN: &str = "unclean.leader.election.enable";
const MIN_INSYNC: &str = "min.insync.replicas";
/// A world holds all its records in memory.
const RECORDS_MAX: f64 = 5e6;
/// Each key of each client has a counter.
const KEYS_MAX: u64 = 1_000_000;

/// The worlds of a file.
pub(crate) fn design(scenario: &Scenario) -> Result<Design, Diagnostics> {
    let (source, _) = Source::read(&scenario.path, &scenario.name);
    let (rate, records, problems) = looked_at(scenario, &source.text);
    let load = scenario.load();
    let topic = scenario
        .cluster
        .topics
        .iter()
        .find(|topic| topic.name == scenario.topic);
    let (Some(topic), true) = (topic, problems.is_empty()) else {
        return Err(Diagnostics {
            files: vec![(source, problems)],
        });
    };
    let mut producer = scenario.producer.properties.clone();
    let transactional = producer.remove(TRANSACTIONAL_ID).is_some();
    let of_topic = |name: &str| topic.configs.get(name).or(scenario.cluster.properties.get(name));
    let unclean = of_topic(UNCLEAN).is_some_and(|value| value == "true");
    let min_insync = of_topic(MIN_INSYNC).and_then(|value| value.parse().ok());
    Ok(Design {
        nodes: scenario.cluster.nodes as i32,
        partitions: topic.partitions as i32,
        replication_factor: topic.replication_factor as i16,
        min_insync_replicas: min_insync.unwrap_or(1),
        writers: if transactional {
            Writers::Transactional
        } else {
            Writers::Idempotent
        },
        class: Some(if unclean { Class::Unclean } else { Class::Plain }),
        rate,
        seconds: load.duration_ns.div_ceil(super::SECOND).max(1),
        records,
        whole_producer: true,
        producer,
        cluster: scenario.cluster.properties.clone(),
        topic: topic.configs.clone(),
        ..Design::default()
    })
}

/// Rate, records, and what is not for virtual time.
fn looked_at(scenario: &Scenario, text: &str) -> (u64, Records, Vec<Problem>) {
    let (document, _) = DeTable::parse_recoverable(text);
    let file = File {
        document: document.get_ref(),
    };
    let mut problems = Vec::new();
    let rate = rate(scenario.load(), &file, &mut problems);
    let records = records(scenario.load(), &file, &mut problems);
    for table in ["thresholds", "steady-state"] {
        if file.has(&[table]) {
            let title = format!("[{table}] in virtual time");
            let problem = Problem::at(
                file.place(&[table]),
                &title,
                "nothing takes time there but what is drawn",
            );
            problems
                .push(problem.note(
                    "`steadfast run` measures; simulate judges claims on the log, and that all drains",
                ));
        }
    }
    let mut settings = Settings::default();
    for (name, value) in &scenario.cluster.properties {
        if let Err(error) = settings.set(name, value) {
            let place = file.place(&["cluster", "properties"]);
            problems.push(Problem::at(place, "not in virtual time", &error.to_string()));
        }
    }
    (rate, records, problems)
}

fn rate(load: &Workload, file: &File<'_>, problems: &mut Vec<Problem>) -> u64 {
    let place = || file.place(&["workload", "executor"]);
    let rate =
        match &load.executor {
            Executor::ConstantArrivalRate { rate } | Executor::Poisson { rate } => *rate,
            Executor::RampingArrivalRate { .. } | Executor::Unlimited { .. } => {
                let problem = Problem::at(place(), "this executor in virtual time", "expected one mean rate");
                problems.push(problem.note(
                    "use `constant-arrival-rate` or `poisson`: each seed draws its own bursts around it",
                ));
                return 1;
            }
        };
    let seconds = load.duration_ns as f64 / super::SECOND as f64;
    if rate * seconds > RECORDS_MAX {
        let label = format!(
            "{:.0} records a world; at most {RECORDS_MAX:.0} fit in one",
            rate * seconds
        );
        let problem = Problem::at(
            file.place(&["workload", "rate"]),
            "too many records for a world",
            &label,
        );
        problems.push(problem.note("lower `rate` or `duration`: faults are found by seeds, not by records"));
    }
    (rate.round() as u64).max(1)
}

fn records(load: &Workload, file: &File<'_>, problems: &mut Vec<Problem>) -> Records {
    if !load.headers.is_empty() {
        let place = file.place(&["workload", "headers"]);
        problems.push(Problem::at(
            place,
            "headers in virtual time",
            "records have none there",
        ));
    }
    let keys = match load.keys {
        Keys::None => 0,
        Keys::Uniform { count } if count <= KEYS_MAX => count,
        _ => {
            let place = file.place(&["workload", "keys"]);
            let label = format!("expected `uniform` with at most {KEYS_MAX} keys");
            problems.push(Problem::at(place, "these keys in virtual time", &label));
            1
        }
    };
    Records {
        keys,
        partition: Some(load.partition),
        bytes: load.record_size as usize,
    }
}

impl Records {
    /// Whether the key chooses the partition.
    pub(crate) fn by_key(&self) -> Option<bool> {
        self.partition.map(|choice| choice == PartitionChoice::ByKey)
    }
}

/// The tables of a file, to find places in.
struct File<'a> {
    document: &'a DeTable<'a>,
}

impl File<'_> {
    fn has(&self, path: &[&str]) -> bool {
        self.find(path).is_some()
    }

    /// Where a key stands; the innermost table around it, if it does not stand there.
    fn place(&self, path: &[&str]) -> Range<usize> {
        let lengths = (1..=path.len()).rev();
        let mut found = lengths.filter_map(|length| self.find(&path[..length]));
        found.next().unwrap_or(0..0)
    }

    fn find(&self, path: &[&str]) -> Option<Range<usize>> {
        let (last, tables) = path.split_last()?;
        let mut table = self.document;
        for name in tables {
            match table.get(*name).map(Spanned::get_ref) {
                Some(DeValue::Table(inner)) => table = inner,
                _ => return None,
            }
        }
        table.get(*last).map(Spanned::span)
    }
}
