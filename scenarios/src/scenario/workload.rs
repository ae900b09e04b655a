//! `[workload]`: what is sent, and when.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use steadfast_chaos::cluster::TopicSpec;
use steadfast_verifier::workload::{
    CopySource, Executor, HeaderSpec, Keys, PartitionChoice, Stage, Transaction, Workload,
};
use toml::Spanned;

use crate::scenario::cluster::ClusterWish;
use crate::scenario::diagnostics::{Problem, nearest};
use crate::scenario::grammar::MIN_RECORD_SIZE;
use crate::scenario::notes::Notes;
use crate::scenario::reader::Table;
use crate::scenario::transaction;
use crate::scenario::units::{MAX_DURATION, show_duration};
use crate::scenario::words::list;

/// Largest value; brokers refuse far smaller ones unless they are told otherwise.
pub(crate) const MAX_RECORD_SIZE: u64 = 64 << 20;
/// Most stages after repetition.
pub(crate) const MAX_STAGES: usize = 100_000;
/// Most headers of a record.
pub(crate) const MAX_HEADERS: usize = 100;
/// Record indexes have 48 bits.
const MAX_INDEX: f64 = (1u64 << 48) as f64;

/// The load of a scenario.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    /// The order to the worker; addresses, times and paths are still blank.
    pub workload: Workload,
    /// Length after warm-up and where it stands; none for `unlimited`.
    pub duration: Option<Spanned<Duration>>,
    /// Where the record's size stands.
    pub record_size: Spanned<u64>,
    /// Where the choice of partition (or of keys) stands, for claims that contradict it.
    pub partition: Spanned<PartitionChoice>,
    /// How records are put into transactions, and where that stands.
    pub transaction: Option<Spanned<Transaction>>,
    /// `[workload.transaction]` is written, right or wrong.
    pub transaction_written: bool,
}

/// Reads `[workload]`.
pub(crate) fn read(
    table: &Table<'_>,
    seed: u64,
    cluster: Option<&ClusterWish>,
    notes: &Notes<'_>,
) -> Option<Load> {
    let copies = table
        .word("through")
        .is_some_and(|word| *word.get_ref() == "copy");
    let topic = read_topic(table, cluster, notes);
    let source = read_source(table, copies, (topic.as_ref(), cluster), notes);
    let record_size = table.size("record-size").filter(|size| size_fits(size, notes));
    let keys = read_keys(table, notes);
    let partition = read_partition(table, &keys, notes);
    let headers = read_headers(table, notes);
    let transaction = transaction::read(table, notes);
    if copies && !table.has("transaction") {
        let problem = Problem::at(
            table.place("through"),
            "a copy job without transactions",
            "copies and positions would come apart",
        );
        notes.push(problem.note("add [workload.transaction], such as `every = \"50ms\"`"));
    }
    if let Some(transaction) = transaction.as_ref().filter(|_| copies)
        && transaction.get_ref().abort_ratio >= 1.0
    {
        notes.push(Problem::at(
            transaction.span(),
            "a copy job that aborts every transaction",
            "it would copy the same records for ever; expected `abort-ratio` below 1",
        ));
    }
    let timing = read_timing(table, notes);
    let (topic, partitions) = topic?;
    let (executor, warmup, duration) = timing?;
    let record_size = record_size?;
    let workload = Workload {
        seed,
        worker: 0,
        incarnation: 0,
        first_index: 0,
        bootstrap_servers: Vec::new(),
        topic,
        partitions,
        partition: *partition.get_ref(),
        executor,
        start_ns: 0,
        warmup_ns: nanos(warmup),
        duration_ns: duration.as_ref().map_or(0, |duration| nanos(*duration.get_ref())),
        drain_ns: 0,
        record_size: u32::try_from(*record_size.get_ref()).ok()?,
        keys: keys?,
        headers,
        transaction: transaction.as_ref().map(|transaction| *transaction.get_ref()),
        copy: source?,
        producer: BTreeMap::new(),
        history: PathBuf::new(),
    };
    let records = expected_records(&workload);
    if records.0 + records.1 > MAX_INDEX {
        let place = duration
            .as_ref()
            .map_or_else(|| table.place("records"), Spanned::span);
        notes.push(Problem::at(
            place,
            "too many records",
            "record indexes have 48 bits",
        ));
        return None;
    }
    Some(Load {
        workload,
        duration,
        record_size,
        partition,
        transaction,
        transaction_written: table.has("transaction"),
    })
}

/// Records due in warm-up and after it.
pub(crate) fn expected_records(workload: &Workload) -> (f64, f64) {
    let seconds = |ns: u64| ns as f64 / 1e9;
    let steady = |rate: f64| {
        (
            rate * seconds(workload.warmup_ns),
            rate * seconds(workload.duration_ns),
        )
    };
    match &workload.executor {
        Executor::ConstantArrivalRate { rate } | Executor::Poisson { rate } => steady(*rate),
        Executor::RampingArrivalRate { start_rate, stages } => {
            let mut from = *start_rate;
            let mut records = 0.0;
            for stage in stages {
                records += (from + stage.target) / 2.0 * seconds(stage.duration_ns);
                from = stage.target;
            }
            (start_rate * seconds(workload.warmup_ns), records)
        }
        Executor::Unlimited { records } => (0.0, *records as f64),
    }
}

/// Highest rate that the schedule offers after warm-up; none for `unlimited`.
pub(crate) fn peak_rate(workload: &Workload) -> Option<f64> {
    match &workload.executor {
        Executor::ConstantArrivalRate { rate } | Executor::Poisson { rate } => Some(*rate),
        Executor::RampingArrivalRate { start_rate, stages } => Some(
            stages
                .iter()
                .map(|stage| stage.target)
                .fold(*start_rate, f64::max),
        ),
        Executor::Unlimited { .. } => None,
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Whether a value of this size can be written.
pub(super) fn size_fits(size: &Spanned<u64>, notes: &Notes<'_>) -> bool {
    let label = match *size.get_ref() {
        small if small < MIN_RECORD_SIZE => {
            format!("expected at least {MIN_RECORD_SIZE} B: each value begins with a stamp of that size")
        }
        large if large > MAX_RECORD_SIZE => format!(
            "expected at most {}",
            crate::scenario::units::show_size(MAX_RECORD_SIZE)
        ),
        _ => return true,
    };
    notes.push(Problem::at(size.span(), "`record-size` is out of range", &label));
    false
}

/// Where a copy job reads from; none inside where the load is none.
fn read_source(
    table: &Table<'_>,
    copies: bool,
    (topic, cluster): (Option<&(String, u32)>, Option<&ClusterWish>),
    notes: &Notes<'_>,
) -> Option<Option<CopySource>> {
    if !copies {
        table.out_of_place("source", "`through = \"copy\"` reads one");
        return Some(None);
    }
    require(table, "source", "the topic that the job reads");
    let source = table.text("source")?;
    let found = find_topic(&source, &cluster?.topics, notes)?;
    let (topic, _) = topic?;
    if *topic == found.0 {
        notes.push(Problem::at(
            source.span(),
            "a copy job that reads what it writes",
            "expected another topic than `topic`",
        ));
        return None;
    }
    Some(Some(CopySource {
        topic: found.0,
        partitions: found.1,
        group: format!("steadfast-copy-to-{topic}"),
        complete: PathBuf::new(),
    }))
}

fn read_topic(table: &Table<'_>, cluster: Option<&ClusterWish>, notes: &Notes<'_>) -> Option<(String, u32)> {
    let named = table.text("topic");
    let topics = &cluster?.topics;
    let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
    match (named, topics.as_slice()) {
        (None, [only]) if !table.has("topic") => Some((only.name.clone(), only.partitions)),
        (None, [_, _, ..]) if !table.has("topic") => {
            let problem = Problem::at(
                table.span.clone(),
                "missing key `topic` in [workload]",
                "which of the topics?",
            );
            notes.push(problem.note(&format!("the topics are {}", names.join(", "))));
            None
        }
        (None, _) => None,
        (Some(name), topics) => find_topic(&name, topics, notes),
    }
}

/// The topic of this name and its number of partitions.
pub(super) fn find_topic(
    name: &Spanned<String>,
    topics: &[TopicSpec],
    notes: &Notes<'_>,
) -> Option<(String, u32)> {
    if let Some(topic) = topics.iter().find(|topic| topic.name == *name.get_ref()) {
        return Some((topic.name.clone(), topic.partitions));
    }
    let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
    let label = if names.is_empty() {
        "[cluster] creates none".to_owned()
    } else {
        format!("expected {}", list(&names))
    };
    let problem = Problem::at(
        name.span(),
        &format!("there is no topic `{}`", name.get_ref()),
        &label,
    );
    notes.push(match nearest(name.get_ref(), names.iter().copied()) {
        Some(near) => problem.fix(
            "a topic with a similar name exists",
            name.span(),
            &format!("\"{near}\""),
        ),
        None => problem,
    });
    None
}

fn read_keys(table: &Table<'_>, _notes: &Notes<'_>) -> Option<Keys> {
    if !table.has("keys") {
        return Some(Keys::None);
    }
    let keys = table.table("keys")?;
    let distribution = keys.word("distribution");
    let count = keys.integer("count");
    let exponent = keys.number("exponent");
    let (distribution, count, exponent) = (distribution?, count?.into_inner(), exponent?);
    if *distribution.get_ref() != "zipf" {
        keys.out_of_place("exponent", "only zipf has one");
    }
    match *distribution.get_ref() {
        "uniform" => Some(Keys::Uniform { count }),
        "round-robin" => Some(Keys::RoundRobin { count }),
        _ => {
            if !(0.0..=10.0).contains(exponent.get_ref()) {
                let problem = Problem::at(
                    exponent.span(),
                    "`exponent` is out of range",
                    "expected 0 to 10; 1.0 is the classic law",
                );
                _notes.push(problem);
                return None;
            }
            Some(Keys::Zipf {
                count,
                exponent: exponent.into_inner(),
            })
        }
    }
}

/// `by-key` without keys is refused: it would be `sticky` under another name.
fn read_partition(table: &Table<'_>, keys: &Option<Keys>, notes: &Notes<'_>) -> Spanned<PartitionChoice> {
    let keyed = !matches!(keys, Some(Keys::None));
    let fallback = if keyed {
        PartitionChoice::ByKey
    } else {
        PartitionChoice::Sticky
    };
    let Some(word) = table.has("partition").then(|| table.word("partition")).flatten() else {
        let place = if table.has("keys") {
            table.place("keys")
        } else {
            table.span.clone()
        };
        return Spanned::new(place, fallback);
    };
    let choice = match *word.get_ref() {
        "by-key" => PartitionChoice::ByKey,
        "sticky" => PartitionChoice::Sticky,
        _ => PartitionChoice::RoundRobin,
    };
    if choice == PartitionChoice::ByKey && !keyed {
        let problem = Problem::at(
            word.span(),
            "`partition = \"by-key\"` without keys",
            "the records have no key to go by",
        );
        notes.push(
            problem.note("give them keys: `keys = { distribution = \"uniform\", count = 10_000 }`, or choose `sticky` or `round-robin`"),
        );
    }
    Spanned::new(word.span(), choice)
}

fn read_headers(table: &Table<'_>, notes: &Notes<'_>) -> Vec<HeaderSpec> {
    let tables = table.tables("headers");
    if tables.len() > MAX_HEADERS {
        notes.push(Problem::at(
            table.place("headers"),
            "too many headers",
            &format!("at most {MAX_HEADERS}"),
        ));
    }
    let read = |header: &Table<'_>| {
        let (name, size) = (header.text("name")?, header.size("size")?);
        if *size.get_ref() > MAX_RECORD_SIZE {
            notes.push(Problem::at(
                size.span(),
                "a header of this size",
                "expected at most 64 MiB",
            ));
        }
        Some(HeaderSpec {
            name: name.into_inner(),
            size: u32::try_from(size.into_inner()).ok()?,
        })
    };
    tables.iter().take(MAX_HEADERS).filter_map(read).collect()
}

type Timing = (Executor, Duration, Option<Spanned<Duration>>);

fn read_timing(table: &Table<'_>, notes: &Notes<'_>) -> Option<Timing> {
    const TIMED: &[&str] = &["rate", "start-rate", "stages", "records", "warmup", "duration"];
    let word = table.word("executor")?;
    let executor = *word.get_ref();
    let takes: &[&str] = match executor {
        "ramping-arrival-rate" => &["start-rate", "stages", "warmup", "duration"],
        "unlimited" => &["records"],
        _ => &["rate", "warmup", "duration"],
    };
    let why = format!("{executor} takes {}", takes.join(", "));
    for name in TIMED.iter().filter(|name| !takes.contains(name)) {
        table.out_of_place(name, &why);
    }
    if executor == "unlimited" {
        require(table, "records", "how many records in all");
        let records = table.integer("records")?.into_inner();
        return Some((Executor::Unlimited { records }, Duration::ZERO, None));
    }
    let warmup = table.duration("warmup");
    let duration = table
        .duration("duration")
        .filter(|duration| not_zero(duration.get_ref().is_zero(), duration, "duration", notes));
    if executor == "ramping-arrival-rate" {
        return ramp(table, warmup?.into_inner(), duration, notes);
    }
    require(table, "duration", "how long the load lasts after warm-up");
    require(table, "rate", "records per second");
    let rate = table
        .rate("rate")
        .filter(|rate| not_zero(*rate.get_ref() == 0.0, rate, "rate", notes));
    let (rate, duration) = (rate?.into_inner(), duration?);
    let executor = if executor == "poisson" {
        Executor::Poisson { rate }
    } else {
        Executor::ConstantArrivalRate { rate }
    };
    Some((executor, warmup?.into_inner(), Some(duration)))
}

fn require(table: &Table<'_>, name: &'static str, doc: &str) {
    if !table.has(name) {
        table.missing(name, doc);
    }
}

fn not_zero<T>(zero: bool, value: &Spanned<T>, name: &str, notes: &Notes<'_>) -> bool {
    if zero {
        notes.push(Problem::at(
            value.span(),
            &format!("`{name}` is zero"),
            "nothing would be sent",
        ));
    }
    !zero
}

/// The stages make up the duration; a longer one (`--set workload.duration=`) repeats them, a shorter one cuts them.
fn ramp(
    table: &Table<'_>,
    warmup: Duration,
    duration: Option<Spanned<Duration>>,
    notes: &Notes<'_>,
) -> Option<Timing> {
    require(
        table,
        "start-rate",
        "rate of warm-up and at the first stage's begin",
    );
    require(
        table,
        "stages",
        "stages = [{ target = \"50000/s\", duration = \"5s\" }]",
    );
    let start = table.rate("start-rate");
    let tables = table.tables("stages");
    let one = |stage: &Table<'_>| {
        let (target, duration) = (stage.rate("target"), stage.duration("duration"));
        Some((target?.into_inner(), duration?.into_inner()))
    };
    let stages: Vec<(f64, Duration)> = tables.iter().map(one).collect::<Option<_>>()?;
    let cycle: Duration = stages
        .iter()
        .fold(Duration::ZERO, |sum, (_, duration)| sum.saturating_add(*duration));
    let start_rate = start?.into_inner();
    if cycle.is_zero() {
        if table.has("stages") {
            notes.push(Problem::at(
                table.place("stages"),
                "the stages take no time",
                "expected at least one stage longer than 0s",
            ));
        }
        return None;
    }
    if duration.is_none() && table.has("duration") {
        return None;
    }
    let duration = duration.unwrap_or_else(|| Spanned::new(table.place("stages"), cycle));
    if *duration.get_ref() > MAX_DURATION || stages.len() > MAX_STAGES {
        notes.push(Problem::at(
            table.place("stages"),
            "the stages are too long or too many",
            "expected at most 7 days and 100,000 stages",
        ));
        return None;
    }
    let Some(stages) = repeat(start_rate, &stages, *duration.get_ref()) else {
        let label = format!(
            "{} repeats the stages too often: at most {MAX_STAGES} in all",
            show_duration(*duration.get_ref())
        );
        notes.push(Problem::at(duration.span(), "too many stages", &label));
        return None;
    };
    if start_rate == 0.0 && stages.iter().all(|stage| stage.target == 0.0) {
        notes.push(Problem::at(
            table.place("stages"),
            "every rate is zero",
            "nothing would be sent",
        ));
        return None;
    }
    Some((
        Executor::RampingArrivalRate { start_rate, stages },
        warmup,
        Some(duration),
    ))
}

/// Stages over and over until `duration` is full; the last one is cut on its line.
fn repeat(start_rate: f64, stages: &[(f64, Duration)], duration: Duration) -> Option<Vec<Stage>> {
    let mut filled = Vec::new();
    let (mut left, mut from) = (duration, start_rate);
    for (target, length) in stages.iter().cycle() {
        if left.is_zero() {
            return Some(filled);
        }
        if filled.len() >= MAX_STAGES {
            return None;
        }
        let taken = (*length).min(left);
        let reached = if taken < *length {
            from + (target - from) * taken.as_secs_f64() / length.as_secs_f64()
        } else {
            *target
        };
        filled.push(Stage {
            target: reached,
            duration_ns: nanos(taken),
        });
        left -= taken;
        from = reached;
    }
    Some(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_duration_repeats_the_stages_and_a_shorter_one_cuts_them() {
        let second = Duration::from_secs(1);
        let stages = [(10.0, second), (20.0, second)];
        let ns = 1_000_000_000;
        let stage = |target, duration_ns| Stage { target, duration_ns };
        assert_eq!(
            repeat(0.0, &stages, second * 2),
            Some(vec![stage(10.0, ns), stage(20.0, ns)])
        );
        assert_eq!(
            repeat(0.0, &stages, second * 3),
            Some(vec![stage(10.0, ns), stage(20.0, ns), stage(10.0, ns)])
        );
        assert_eq!(repeat(0.0, &stages, second / 2), Some(vec![stage(5.0, ns / 2)]));
        assert_eq!(repeat(0.0, &[(1.0, Duration::from_nanos(1))], second), None);
    }
}
