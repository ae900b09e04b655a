//! Scenario files: from text to types that cannot be wrong, or to frames that show every mistake at once.
//!
//! ```text
//! path ── source (read, overrides spliced in) ── toml ── reader + grammar ── cluster, producer, workload, fault,
//!                                                                            thresholds ── Scenario | Diagnostics
//! ```
//! Nothing is started before every file of a command line has passed here.

// What may stand in a file, and how mistakes are shown.
pub(crate) mod diagnostics; // frames as rustc draws them
mod grammar; // the grammar as data

// From bytes to tables.
mod notes; // what was found wrong
mod overrides; // --set, -X and --seed, written into the text
mod reader; // tables read by the grammar
pub(crate) mod source; // the text of a file
pub(crate) mod units; // `25000/s`, `100 B`, `250us`
mod words; // how frames speak of values

// From tables to types.
mod cluster; // [cluster]
pub(crate) mod fault; // [[fault]]
mod phases; // which phases a run has
mod producer; // [producer]
mod readers; // [readers]
mod neighbour; // [neighbour]
mod recovery; // `recovered` of [claims]
mod properties; // Kafka's own names of broker and topic settings
mod transaction; // [workload.transaction]
mod thresholds; // [claims], [thresholds], [steady-state]
mod workload; // [workload]

// What is made of a scenario beside a run.
mod origin; // where each value came from
pub(crate) mod plan; // what a run would do
pub(crate) mod schema; // JSON Schema for editors

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use steadfast_chaos::cluster::{ClusterSpec, Front};
use steadfast_chaos::fault::{Action, PlannedFault, Reach, Target};
use steadfast_verifier::environment::Setting;
use steadfast_verifier::expectations::{Claim, Expectations, Recovery, Threshold};
use steadfast_verifier::reader::live;
use steadfast_verifier::verdict::Broker;
use steadfast_verifier::workload::{CopySource, Executor, Keys, Workload};
use toml::Spanned;
use toml::de::DeTable;

use crate::cli::Overrides;
use crate::scenario::diagnostics::{Diagnostics, Problem};
use crate::scenario::fault::KnownClient;
use crate::scenario::notes::Notes;
use crate::scenario::phases::Phases;
use crate::scenario::reader::Table;
use crate::scenario::source::Source;
use crate::scenario::workload::Load;

pub(crate) use crate::scenario::cluster::ClusterWish;
pub(crate) use crate::scenario::neighbour::Neighbour;
use crate::scenario::origin::Value;
pub(crate) use crate::scenario::readers::Readers;
#[cfg(test)]
pub(crate) use crate::scenario::thresholds::metric_names;

/// Most files of one command line.
const MAX_FILES: usize = 1_000;
/// Deepest folder below one that is named.
const MAX_DEPTH: usize = 8;
/// After the last outcome can be known by Kafka's own deadline, the worker gives up this much later.
const DRAIN_SLACK: Duration = Duration::from_secs(5);

/// A scenario, parsed and checked.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    /// Path under `scenarios/` without `.toml`, such as `latency/steady-25k`.
    pub name: String,
    /// One line of what it proves.
    pub title: String,
    /// Same seed, same run.
    pub seed: u64,
    /// The text as run: parses to this scenario again, overrides, name and all.
    pub text: String,
    /// The file it was read from.
    pub path: PathBuf,
    /// The cluster it asks for.
    pub cluster: ClusterWish,
    /// The topic that is written and judged.
    pub topic: String,
    /// Faults in the order of their begin.
    pub faults: Vec<PlannedFault>,
    /// Who reads while it is written.
    pub readers: Option<Readers>,
    /// Who else writes to the cluster meanwhile.
    pub neighbour: Option<Neighbour>,
    /// Claims on the log.
    pub claims: Vec<Claim>,
    /// What `recovered` asks for.
    pub recovery: Option<Recovery>,
    /// Limits on what is measured.
    pub thresholds: Vec<Threshold>,
    /// Probes of `[steady-state]`; empty without the table.
    pub steady_state: Vec<Threshold>,
    /// The producer's settings.
    pub producer: producer::Settings,
    /// Every value and where it came from.
    pub values: Vec<Value>,
    template: Workload,
}

impl Scenario {
    /// The order to worker 0: `folder` is the run folder, `start_ns` the monotonic instant of the first due record.
    pub(crate) fn workload(&self, bootstrap_servers: Vec<String>, start_ns: u64, folder: &Path) -> Workload {
        let copy = self.template.copy.as_ref();
        Workload {
            bootstrap_servers,
            start_ns,
            history: folder.join("history/0-0.bin"),
            copy: copy.map(|copy| CopySource {
                complete: folder.join("source/complete"),
                ..copy.clone()
            }),
            ..self.template.clone()
        }
    }

    /// Where a copy job reads from; none for what is none.
    pub(crate) fn copy(&self) -> Option<&CopySource> {
        self.template.copy.as_ref()
    }

    /// The load, but for where and when.
    pub(crate) fn load(&self) -> &Workload {
        &self.template
    }

    /// The cluster to start.
    pub(crate) fn cluster_spec(&self) -> ClusterSpec {
        ClusterSpec {
            nodes: self.cluster.nodes,
            controllers: self.cluster.controllers,
            version: self.cluster.version.clone(),
            image: self.cluster.image.clone(),
            properties: self.cluster.properties.clone(),
            jvm_options: self.cluster.jvm_options.clone(),
            disk: self.cluster.disk,
            own_clocks: self.cluster.own_clocks,
            topics: self.cluster.topics.clone(),
            front: self.cluster.front,
            linked: self.cluster.linked,
        }
    }

    /// What the judge is to hold the run against.
    pub(crate) fn expectations(&self, subject: &str, broker: Broker) -> Expectations {
        Expectations {
            scenario: self.name.clone(),
            title: self.title.clone(),
            seed: self.seed,
            subject: subject.to_owned(),
            broker,
            faults: self.faults.iter().map(|fault| fault.name.clone()).collect(),
            claims: self.claims.clone(),
            thresholds: self.thresholds.clone(),
            steady_state: self.steady_state.clone(),
            recovery: self.recovery.clone(),
            readers: self.readers.as_ref().map_or(0, |readers| readers.count),
            unlimited: self.duration().is_none(),
            keyed: self.template.keys != Keys::None,
        }
    }

    /// Length of warm-up.
    pub(crate) fn warmup(&self) -> Duration {
        Duration::from_nanos(self.template.warmup_ns)
    }

    /// Length of the load after warm-up; none for `unlimited`.
    pub(crate) fn duration(&self) -> Option<Duration> {
        let unlimited = matches!(self.template.executor, Executor::Unlimited { .. });
        (!unlimited).then(|| Duration::from_nanos(self.template.duration_ns))
    }

    /// Records per second in warm-up; none without a rate.
    pub(crate) fn warmup_rate(&self) -> Option<f64> {
        match &self.template.executor {
            Executor::ConstantArrivalRate { rate } | Executor::Poisson { rate } => Some(*rate),
            Executor::RampingArrivalRate { start_rate, .. } => Some(*start_rate),
            Executor::Unlimited { .. } => None,
        }
    }

    /// Producer settings that differ from Kafka's defaults, for environment.json.
    pub(crate) fn producer_differences(&self) -> Vec<Setting> {
        self.producer.differences.clone()
    }
}

/// Reads files, and folders of them; all mistakes of all files come back together.
///
/// Of a folder: every `*.toml` below it, by name, but for Cargo.toml, `src`, `target` and what begins with a dot.
pub(crate) fn load_all(paths: &[PathBuf], overrides: &Overrides) -> Result<Vec<Scenario>, Diagnostics> {
    let mut files = Vec::new();
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = found.len();
            collect(path, path, 0, &mut found);
            if found.len() == before {
                let source = Source::blank(path, name_of(path, None));
                files.push((
                    source,
                    vec![Problem::of_file(
                        "no scenario file in this folder",
                        "expected files ending in .toml",
                    )],
                ));
            }
        } else {
            found.push((path.clone(), name_of(path, None)));
        }
    }
    if found.len() > MAX_FILES {
        let source = Source::blank(&found[0].0, String::new());
        let why = format!("{} files; one command takes at most {MAX_FILES}", found.len());
        return Err(Diagnostics {
            files: vec![(source, vec![Problem::of_file("too many scenario files", &why)])],
        });
    }
    let mut scenarios: Vec<Scenario> = Vec::new();
    for (path, name) in found {
        let (source, result) = load_one(&path, &name, overrides);
        let mut problems = match result {
            Ok(scenario) => {
                scenarios.push(scenario);
                Vec::new()
            }
            Err(problems) => problems,
        };
        if let Some((earlier, _)) = files.iter().find(|(earlier, _)| earlier.name == source.name) {
            problems.push(same_name(&source, earlier));
        }
        files.push((source, problems));
    }
    if files.iter().all(|(_, problems)| problems.is_empty()) {
        Ok(scenarios)
    } else {
        Err(Diagnostics { files })
    }
}

/// The scenario of a run folder, as it ran.
pub(crate) fn of_run_folder(folder: &Path) -> Result<Scenario, Diagnostics> {
    let path = folder.join("scenario.toml");
    let (source, result) = load_one(&path, &name_of(&path, None), &no_overrides());
    result.map_err(|problems| Diagnostics {
        files: vec![(source, problems)],
    })
}

/// A command line that changes nothing.
pub(crate) fn no_overrides() -> Overrides {
    Overrides {
        broker: None,
        bootstrap_server: Vec::new(),
        allow_remote: false,
        seed: None,
        set: Vec::new(),
        property: Vec::new(),
        subject: None,
    }
}

fn load_one(path: &Path, name: &str, overrides: &Overrides) -> (Source, Result<Scenario, Vec<Problem>>) {
    let (mut source, refused) = Source::read(path, name);
    if let Some(problem) = refused {
        return (source, Err(vec![problem]));
    }
    let placed = source.apply(overrides);
    let result = parse(&source, placed);
    (source, result)
}

/// Pure: the text as run to a scenario. `placed`: what went wrong before.
fn parse(source: &Source, placed: Vec<Problem>) -> Result<Scenario, Vec<Problem>> {
    let (document, errors) = DeTable::parse_recoverable(&source.text);
    let syntax = errors.iter().map(|error| {
        let span = error.span().unwrap_or(0..0);
        Problem::at(span, "not TOML", error.message())
    });
    let notes = Notes::new(&source.text, placed.into_iter().chain(syntax).collect());
    let scenario = read(source, document.get_ref(), &notes);
    match (scenario, notes.clean()) {
        (Some(scenario), true) => Ok(scenario),
        _ => Err(notes.finish()),
    }
}

fn read(source: &Source, document: &DeTable<'_>, notes: &Notes<'_>) -> Option<Scenario> {
    let root = Table::open(&grammar::ROOT, 0..0, document, notes);
    let title = root.text("title");
    let seed = root.integer("seed").map(Spanned::into_inner);
    let mut cluster = root
        .table("cluster")
        .and_then(|table| cluster::read(&table, notes));
    let workload = root.table("workload");
    let load = workload
        .as_ref()
        .and_then(|table| workload::read(table, seed.unwrap_or(0), cluster.as_ref(), notes));
    let producer_table = root.table("producer");
    let producer = producer::read(producer_table.as_ref(), load.as_ref(), notes);
    let fault_tables = root.tables("fault");
    let mut faults = fault::read(&fault_tables, cluster.as_ref(), notes);
    let mut all_read = faults.len() == fault_tables.len();
    if let Some(duration) = load.as_ref().and_then(|load| load.duration.as_ref()) {
        fault::check_times(&fault_tables, duration, notes);
    } else if let (Some(_), Some(table)) = (&load, fault_tables.first()) {
        notes.push(no_timeline(table));
    }
    if let Some(load) = &load {
        fault::check_client(&fault_tables, load, notes);
    }
    let readers = readers::read(&root, root.table("claims").as_ref(), notes);
    let neighbour = root
        .table("neighbour")
        .and_then(|table| neighbour::read(&table, cluster.as_ref(), load.as_ref(), producer.as_ref(), notes));
    let clients = producer.as_ref().zip(load.as_ref());
    let others = (root.has("readers"), root.has("neighbour"));
    let clients = clients.map(|(producer, load)| known_clients(producer, load, others));
    if let Some(clients) = &clients {
        fault::check_client_ids(&fault_tables, clients, notes);
    }
    fault::check_front(&fault_tables, &faults, None, notes);
    if let Some(table) = root.table("campaign") {
        let duration = load.as_ref().and_then(|load| load.duration.as_ref());
        let drawn = fault::campaign::read(&table, cluster.as_ref(), duration, seed.unwrap_or(0), notes);
        all_read &= drawn.is_some();
        fault::check_front(
            &[],
            drawn.as_deref().unwrap_or_default(),
            Some(&table.span),
            notes,
        );
        faults.extend(drawn.unwrap_or_default());
        if let Some(fault) = fault_tables.first() {
            let problem = Problem::at(
                fault.span.clone(),
                "a fault beside a campaign",
                "the two would collide",
            );
            notes.push(problem.context(table.span.clone(), "this draws all faults of the run"));
        }
        if let Some(load) = &load {
            fault::check_client(&table.tables("fault"), load, notes);
            if let Some(clients) = &clients {
                fault::check_client_ids(&table.tables("fault"), clients, notes);
            }
            if load.duration.is_none() {
                notes.push(no_timeline(&table));
            }
        }
    }
    // A phase is judged only where every fault could be read: one that is wrong would make its phases look unknown.
    let known = load.as_ref().filter(|_| all_read).map(|load| Phases {
        warmup: Duration::from_nanos(load.workload.warmup_ns),
        duration: load.duration.as_ref().map(|duration| *duration.get_ref()),
        faults: &faults,
    });
    let claims_table = root.table("claims");
    let mut claims = thresholds::read_claims(claims_table.as_ref(), load.as_ref(), notes);
    let recovered = recovery::read(claims_table.as_ref(), (load.as_ref(), known.as_ref()), notes);
    claims.extend(recovered.as_ref().map(|(claim, _)| *claim));
    let limits = thresholds::read_thresholds(&root, load.as_ref(), known.as_ref(), notes);
    let steady_state =
        thresholds::read_steady_state(root.table("steady-state").as_ref(), load.as_ref(), notes);
    let values = origin::values(document, source, producer.as_ref());

    let (load, producer) = (load?, producer?);
    if let Some(cluster) = &mut cluster {
        let reaches = |reach: Reach| faults.iter().any(|fault| fault.action.reach() == reach);
        cluster.own_clocks = faults
            .iter()
            .any(|fault| matches!(fault.action, Action::StepClock { .. }));
        cluster.linked = faults
            .iter()
            .any(|fault| matches!(fault.target, Target::Between { .. }));
        cluster.front = match () {
            () if reaches(Reach::Frames) => Front::WireProxy,
            () if reaches(Reach::Link) => Front::Toxiproxy,
            () => Front::Nothing,
        };
    }
    let drain = producer.delivery_timeout.saturating_add(DRAIN_SLACK);
    let template = Workload {
        drain_ns: u64::try_from(drain.as_nanos()).unwrap_or(u64::MAX),
        producer: producer.properties.clone(),
        ..load.workload
    };
    Some(Scenario {
        name: source.name.clone(),
        title: title?.into_inner(),
        seed: seed?,
        text: source.as_run(),
        path: source.path.clone(),
        cluster: cluster?,
        topic: template.topic.clone(),
        faults,
        readers,
        neighbour,
        claims,
        recovery: recovered.map(|(_, recovery)| recovery),
        thresholds: limits,
        steady_state,
        producer,
        values,
        template,
    })
}

/// Whose requests brokers see while the load runs.
fn known_clients(
    producer: &producer::Settings,
    load: &Load,
    (readers, neighbour): (bool, bool),
) -> Vec<KnownClient> {
    let one = |id: &str, writes, reads| KnownClient {
        id: id.to_owned(),
        writes,
        reads,
    };
    let mut clients = vec![one(&producer.client_id, true, false)];
    if load.workload.copy.is_some() {
        clients.push(one(steadfast_loadgen::COPY_CLIENT_ID, false, true));
    }
    if neighbour {
        clients.push(one(neighbour::CLIENT_ID, true, false));
    }
    if readers {
        clients.push(one(live::CLIENT_ID, false, true));
    }
    clients
}

fn no_timeline(table: &Table<'_>) -> Problem {
    let problem = Problem::at(
        table.span.clone(),
        "a fault in an `unlimited` load",
        "it has no timeline that `at` could count on",
    );
    problem.note("use `constant-arrival-rate`, whose length is known")
}

/// `scenarios/latency/steady-25k.toml` → `latency/steady-25k`; elsewhere the path below the folder that was named, or the
/// file's own name.
fn name_of(path: &Path, folder: Option<&Path>) -> String {
    let stem = path.with_extension("");
    let parts: Vec<String> = stem
        .components()
        .filter_map(|part| match part {
            Component::Normal(part) => Some(part.to_string_lossy().into_owned()),
            _ => None,
        })
        .collect();
    if let Some(at) = parts
        .iter()
        .rposition(|part| part == "scenarios")
        .filter(|at| at + 1 < parts.len())
    {
        return parts[at + 1..].join("/");
    }
    if let Some(below) = folder.and_then(|folder| stem.strip_prefix(folder).ok()) {
        return below.to_string_lossy().into_owned();
    }
    parts.last().cloned().unwrap_or_default()
}

fn collect(root: &Path, folder: &Path, depth: usize, found: &mut Vec<(PathBuf, String)>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    // Files before folders, and by name without its ending: `a` before `a-b`.
    paths.sort_by_cached_key(|path| (path.is_dir(), path.with_extension("")));
    for path in paths {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        if name.starts_with('.') || found.len() > MAX_FILES {
            continue;
        }
        if path.is_dir() {
            if depth < MAX_DEPTH && name != "src" && name != "target" {
                collect(root, &path, depth + 1, found);
            }
        } else if name.ends_with(".toml") && name != "Cargo.toml" {
            let name = name_of(&path, Some(root));
            found.push((path, name));
        }
    }
}

/// Two files of one name: their run folders, verdicts and report lines could not be told apart.
fn same_name(source: &Source, earlier: &Source) -> Problem {
    let title = format!("two scenario files named `{}`", source.name);
    let why = format!(
        "the other is {}; runs are told apart by the path under `scenarios/`",
        earlier.path.display()
    );
    let start = DeTable::parse_recoverable(&source.text)
        .0
        .get_ref()
        .get("title")
        .map(Spanned::span);
    match start {
        Some(span) => Problem::at(span, &title, "the second one").note(&why),
        None => Problem::of_file(&title, &why),
    }
}

#[cfg(test)]
mod tests;
