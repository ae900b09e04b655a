//! A run, step by step. The runner stays idle while load runs; what it knows afterwards it reads from the run folder.
//!
//! ```text
//! folder ─► cluster ─► worker starts ─► warm-up ─► steady state? ─► faults ─► drain ─► seal ─► judge ─► report
//!    scenario.toml  environment.json  history/*.bin         faults.jsonl          log/   verdict.json  report.html
//!                                     samples.jsonl                            seal.json
//! ```
//! Whatever step fails, the cluster guard stops every child and the journal forgets them only then.

pub(crate) mod cluster; // which cluster, and why
pub(crate) mod display; // progress
pub(crate) mod beside; // who else writes: the source of a copy job, a neighbour
pub(crate) mod environment; // environment.json
pub(crate) mod figures; // what of it is compared with other runs
pub(crate) mod files; // its small files
pub(crate) mod folder; // where a run is written
pub(crate) mod interrupt; // Ctrl-C
pub(crate) mod load; // the measured stretch
pub(crate) mod readers; // who reads while it is written
pub(crate) mod oracle; // Kafka's own tools as witnesses
pub(crate) mod judging; // seal, judge, draw
pub(crate) mod steady; // steady state at the end of warm-up
mod dossiers; // the first of them, in words
pub(crate) mod subject; // who produces
pub(crate) mod summary; // what is printed at the end

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use steadfast_chaos::ChaosError;
use steadfast_chaos::client::Client;
use steadfast_chaos::clock;
use steadfast_chaos::cluster::Cluster;
use steadfast_chaos::journal::Journal;
use steadfast_chaos::nemesis::{self, Nemesis};
use steadfast_chaos::process::{Child, ChildSpec, Output, Spawner};
use steadfast_verifier::dossier::Dossier;
use steadfast_verifier::stamp;
use steadfast_verifier::timeline::Sample;
use steadfast_verifier::verdict::Verdict;
use steadfast_verifier::workload::Workload;

use crate::cli::Overrides;
use crate::exit::Exit;
use crate::scenario::Scenario;
use crate::scenario::units::show_count;

use self::beside::Beside;
use self::display::Display;
use self::files::{failed, write, write_json};
use self::interrupt::Interrupt;
use self::load::{LoadEnd, Samples, Span, Watch};
use self::readers::Readers;
use self::steady::SteadyState;
use self::subject::Subject;

/// Between starting the worker and its first due record: it connects and gets a producer id meanwhile.
const HEAD_START: Duration = Duration::from_secs(2);
/// How long a stopped worker may take to write its last outcomes.
const WORKER_GRACE: Duration = Duration::from_secs(10);

/// Why a run ended without a verdict.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// Exit 3: something this machine lacks; the text names the mend.
    #[error("{0}")]
    Environment(String),
    /// Exit 4.
    #[error("steady state not reached: {0}")]
    SteadyState(String),
    /// Exit 1.
    #[error("{0}")]
    Tool(String),
    /// Exit 2.
    #[error("{0}")]
    Usage(String),
    /// Exit 130.
    #[error("interrupted; everything this run started is stopped")]
    Interrupted,
}

impl RunError {
    /// What the process ends with.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            RunError::Environment(_) => Exit::Environment,
            RunError::SteadyState(_) => Exit::SteadyState,
            RunError::Tool(_) => Exit::ToolError,
            RunError::Usage(_) => Exit::Usage,
            RunError::Interrupted => Exit::Interrupted,
        }
    }
}

impl From<ChaosError> for RunError {
    fn from(error: ChaosError) -> RunError {
        match error {
            ChaosError::Interrupted => RunError::Interrupted,
            other => RunError::Environment(other.to_string()),
        }
    }
}

/// A judged run.
pub(crate) struct Done {
    pub(crate) verdict: Verdict,
    /// The way of each record that the verdict's examples name.
    pub(crate) dossiers: Vec<Dossier>,
    /// H1 (b) of phase `steady`.
    pub(crate) disturbance: Option<f64>,
    /// What the hypervisor took of the machine in it.
    pub(crate) stolen: Option<f64>,
}

/// A run that is over, one way or the other.
pub(crate) struct Finished {
    pub(crate) label: String,
    pub(crate) folder: PathBuf,
    pub(crate) result: Result<Done, RunError>,
}

impl Finished {
    /// Its exit code.
    pub(crate) fn exit(&self) -> Exit {
        match &self.result {
            Ok(done) => Exit::from_code(done.verdict.exit_code),
            Err(error) => error.exit(),
        }
    }
}

/// What all runs of one invocation share.
pub(crate) struct Runner {
    overrides: Overrides,
    spawner: Spawner,
    interrupt: Interrupt,
    rerun: String,
    asks: Asks,
}

/// What a run does beside.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asks {
    /// Topics that it made on an external cluster stay there.
    pub(crate) keep_topics: bool,
    /// Kafka's own tools are asked too.
    pub(crate) oracle: bool,
}

/// A cluster that stands, and why it is of this kind.
pub(crate) struct Ground {
    pub(crate) cluster: Arc<Cluster>,
    choice: cluster::Choice,
}

/// One run: which scenario, who produces, and where it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) subject: &'a Subject,
    pub(crate) folder: &'a Path,
}

impl Runner {
    /// Opens the journal, starts the thread that owns children, and listens for Ctrl-C.
    pub(crate) fn start(overrides: &Overrides, asks: Asks) -> Result<Runner, RunError> {
        let journal = Journal::open().map_err(|e| failed("cannot open the heal journal", &e))?;
        let spawner = Spawner::start(journal).map_err(|e| failed("cannot start the spawner thread", &e))?;
        let interrupt =
            Interrupt::install(spawner.stop_flag()).map_err(|e| failed("cannot listen for signals", &e))?;
        Ok(Runner {
            overrides: overrides.clone(),
            spawner,
            interrupt,
            rerun: rerun_command(),
            asks,
        })
    }

    /// The producer that `--subject` names, built first where it is one of `peers/`.
    pub(crate) fn subject(&self, wish: Option<&Path>) -> Result<Subject, RunError> {
        Subject::choose(wish, &self.spawner, &mut |line| eprintln!("{line}"))
    }

    /// One run into one folder, on a cluster of its own.
    pub(crate) fn run_once(&self, task: Task<'_>, display: &mut Display) -> Result<Done, RunError> {
        let began = self.open_folder(task)?;
        let ground = self.start_cluster(task.scenario, task.folder, display)?;
        let measured = self.measure(task, &ground, began, display);
        ground.clear(display);
        measured?;
        self.not_interrupted()?;
        judging::judge_folder(task.scenario, task.folder, display)
    }

    /// One run on a cluster that stays, whose topics must be fresh.
    pub(crate) fn run_on(
        &self,
        task: Task<'_>,
        ground: &Ground,
        display: &mut Display,
    ) -> Result<Done, RunError> {
        let began = self.open_folder(task)?;
        self.measure(task, ground, began, display)?;
        self.not_interrupted()?;
        judging::judge_folder(task.scenario, task.folder, display)
    }

    /// Makes the run folder; when that was.
    #[expect(
        clippy::disallowed_methods,
        reason = "a shell: the report says when the run began"
    )]
    fn open_folder(&self, task: Task<'_>) -> Result<SystemTime, RunError> {
        self.not_interrupted()?;
        folder::create(task.folder)?;
        write(task.folder, "scenario.toml", &task.scenario.text)?;
        Ok(SystemTime::now())
    }

    /// Load, and the log read back.
    fn measure(
        &self,
        task: Task<'_>,
        ground: &Ground,
        began: SystemTime,
        display: &mut Display,
    ) -> Result<(), RunError> {
        let Task { scenario, folder, .. } = task;
        let cluster = &ground.cluster;
        self.note_environment(task, ground, began)?;
        if self.asks.keep_topics {
            cluster.keep_topics()?;
        }
        self.not_interrupted()?;
        if self.asks.oracle {
            oracle::announce(&scenario.topic, folder)?;
        }
        self.load(task, cluster, display)?;
        self.not_interrupted()?;
        judging::seal(scenario, folder, cluster, display)?;
        if self.asks.oracle {
            self.not_interrupted()?;
            oracle::ask(&scenario.topic, folder, cluster, display)?;
        }
        Ok(())
    }

    /// Starts what the scenario asks for; its logs and data lie below `folder`.
    pub(crate) fn start_cluster(
        &self,
        scenario: &Scenario,
        folder: &Path,
        display: &mut Display,
    ) -> Result<Ground, RunError> {
        let choice = cluster::choose(&self.overrides, scenario)?;
        display.phase(&format!("starting {}", choice.describe(scenario)));
        let cluster = choice
            .start(scenario, folder, &self.spawner, &mut |line| display.note(line))
            .map_err(RunError::from)?;
        Ok(Ground {
            cluster: Arc::new(cluster),
            choice,
        })
    }

    fn note_environment(&self, task: Task<'_>, ground: &Ground, began: SystemTime) -> Result<(), RunError> {
        let Task {
            scenario,
            subject,
            folder,
        } = task;
        let mut differences = ground.cluster.differences().to_vec();
        differences.extend(scenario.producer_differences());
        let environment = environment::read(
            began,
            folder,
            ground.choice.environment(scenario, &ground.cluster),
            differences,
            (subject.name.clone(), self.rerun.clone()),
        );
        write_json(folder, "environment.json", &environment)
    }

    fn load(&self, task: Task<'_>, cluster: &Arc<Cluster>, display: &mut Display) -> Result<(), RunError> {
        let Task {
            scenario,
            subject,
            folder,
        } = task;
        display.phase("connecting");
        let start_ns = clock::now_ns() + HEAD_START.as_nanos() as u64;
        let workload = scenario.workload(cluster.bootstrap_servers(), start_ns, folder);
        let span = Span::of(scenario, start_ns);
        let mut samples = Samples::create(folder)?;
        let readers = Readers::start(scenario, &cluster.admin_servers(), folder, &self.spawner)?;
        let mut beside = Beside::start(&self.spawner, folder, scenario, &workload)?;
        let worker = Arc::new(self.start_worker(folder, subject, workload)?);
        let mut steady = SteadyState::new(scenario, span, folder);
        let mut nemesis: Option<Nemesis> = None;
        let mut bypass: Option<String> = None;
        let end = load::follow(
            &worker,
            "worker-0",
            span,
            &mut Watch {
                display,
                samples: &mut samples,
                interrupt: &self.interrupt,
                processes: &|| {
                    let mut all = cluster.processes();
                    all.extend(readers.processes());
                    all
                },
                check: &mut |now, progress| {
                    if steady.holds(now, progress)? && nemesis.is_none() && !scenario.faults.is_empty() {
                        let log = folder.join("faults.jsonl");
                        let started = nemesis::start(
                            scenario.faults.clone(),
                            scenario.seed,
                            (cluster.clone(), Some(Arc::clone(&worker))),
                            span.warmup_end_ns,
                            &log,
                        )
                        .map_err(|e| RunError::Environment(e.to_string()))?;
                        nemesis = Some(started);
                    }
                    if let Some(nemesis) = &nemesis {
                        nemesis.acknowledged(progress.acked);
                    }
                    if bypass.is_none() {
                        bypass = around_the_proxies(cluster, worker.pid());
                    }
                    beside.iter_mut().try_for_each(Beside::check)?;
                    cluster.check().map_err(RunError::from)
                },
                phase: &|now| phase_name(scenario, span, now),
            },
        );
        // Heals first: a worker that is asked to stop needs its brokers to learn its last outcomes.
        match end {
            // Dropping it ends its plan at once.
            LoadEnd::Interrupted | LoadEnd::Stopped(_) => drop(nemesis),
            LoadEnd::Done | LoadEnd::WorkerFailed(_) => {
                if let Some(Err(error)) = nemesis.map(Nemesis::join) {
                    // It stands in faults.jsonl too and voids a pass (H2); what the log holds is judged all the same.
                    display.keep(&format!("a fault failed: {error}"));
                }
            }
        }
        let note = self.after_load(end, &worker, display)?;
        let absent = beside
            .iter()
            .find_map(Beside::neighbour)
            .and_then(|counts| neighbour_note(counts, display));
        drop(beside);
        readers.stop(display)?;
        let end_ns = span.end_ns.unwrap_or_else(clock::now_ns);
        samples.write(&Sample::Plan {
            start_ns,
            warmup_end_ns: span.warmup_end_ns,
            end_ns,
        });
        for text in note.into_iter().chain(bypass).chain(absent) {
            samples.write(&Sample::Note {
                at_ns: clock::now_ns(),
                text,
            });
        }
        samples.whole()
    }

    /// The worker, and how each further incarnation of it is started.
    fn start_worker(&self, folder: &Path, subject: &Subject, workload: Workload) -> Result<Client, RunError> {
        let (spawner, folder) = (self.spawner.clone(), folder.to_owned());
        let subject = subject.clone();
        let start = move |incarnation: u32| {
            let order = Workload {
                incarnation,
                first_index: stamp::first_index(incarnation),
                history: folder.join(format!("history/0-{incarnation}.bin")),
                ..workload.clone()
            };
            let file = match incarnation {
                0 => "workload-0.json".to_owned(),
                again => format!("workload-0-{again}.json"),
            };
            let names = ("worker-0", file.as_str());
            spawn_worker(&spawner, &folder, names, (&subject, &order)).map_err(|e| e.to_string())
        };
        Client::start(Box::new(start))
            .map_err(|e| RunError::Tool(format!("cannot start the load generator: {e}")))
    }

    /// What the end of the load means; `Ok(Some(note))` when the run goes on to be judged although something went wrong.
    fn after_load(
        &self,
        end: LoadEnd,
        worker: &Client,
        display: &mut Display,
    ) -> Result<Option<String>, RunError> {
        let ended = match end {
            LoadEnd::Done => return Ok(None),
            LoadEnd::WorkerFailed(reason) => {
                // Its history is on disk: records without an outcome are UNKNOWN, and the log still tells their fate.
                let note = format!("worker-0 failed: {reason} (see logs/worker-0.log)");
                if lacked_something(worker) {
                    return Err(RunError::Environment(note));
                }
                display.keep(&note);
                Ok(Some(note))
            }
            LoadEnd::Stopped(error) => Err(error),
            LoadEnd::Interrupted => Err(RunError::Interrupted),
        };
        worker
            .terminate(WORKER_GRACE)
            .map_err(|e| RunError::Tool(format!("worker-0 does not end: {e}")))?;
        ended
    }

    fn not_interrupted(&self) -> Result<(), RunError> {
        if self.interrupt.asked() {
            Err(RunError::Interrupted)
        } else {
            Ok(())
        }
    }
}

impl Ground {
    /// Ends it: what was made on an external cluster goes, and every process of ours, within bounds.
    pub(crate) fn clear(self, display: &mut Display) {
        display.phase("stopping the cluster");
        if let Err(error) = self.cluster.delete_topics() {
            display.keep(&error.to_string());
        }
        // The last owner: its guard ends the processes.
    }
}

/// Shows what the neighbour did; what a pass cannot rest on when it did nothing.
fn neighbour_note((sent, acked): (u64, u64), display: &mut Display) -> Option<String> {
    display.keep(&format!(
        "neighbour: {} records sent, {} acknowledged by the end of the load (not judged)",
        show_count(sent),
        show_count(acked)
    ));
    (acked == 0)
        .then(|| "no record of the neighbour was acknowledged: nobody was beside the judged load".to_owned())
}

/// Whether the worker gave up for want of something that the machine or the cluster should have had, as a full disk.
fn lacked_something(worker: &Client) -> bool {
    worker.exit_code(WORKER_GRACE) == Some(Exit::Environment as i32)
}

/// A load generator with this order, which is written to `file` first.
fn spawn_worker(
    spawner: &Spawner,
    folder: &Path,
    (name, file): (&str, &str),
    (subject, order): (&Subject, &Workload),
) -> Result<Child, RunError> {
    write_json(folder, file, order)?;
    let (program, args) = subject.command(&folder.join(file));
    let spec = ChildSpec {
        name: name.into(),
        program,
        args,
        env: Vec::new(),
        cwd: None,
        stdout: Output::Pipe,
        stderr: folder.join(format!("logs/{name}.log")),
    };
    spawner
        .spawn(&spec)
        .map_err(|e| failed("cannot start the load generator", &e))
}

/// The phase that the display shows; the judge computes its own from what really happened.
fn phase_name(scenario: &Scenario, span: Span, now: u64) -> String {
    if now < span.warmup_end_ns {
        return "warmup".into();
    }
    if span.end_ns.is_some_and(|end| now >= end) {
        return "drain".into();
    }
    let since = Duration::from_nanos(now - span.warmup_end_ns);
    let fault = scenario.faults.iter().rev().find(|f| f.at <= since);
    match fault {
        Some(fault) if fault.hold.is_none_or(|hold| since < fault.at + hold) => {
            format!("fault:{}", fault.name)
        }
        Some(_) => "after".into(),
        None => "steady".into(),
    }
}

/// A connection of the client straight to a broker that has a proxy in front: no network fault can reach it, so the run
/// proves nothing about one. None when all is well, or when there is no proxy.
fn around_the_proxies(cluster: &Cluster, worker: u32) -> Option<String> {
    match cluster.bypasses(worker) {
        Ok(found) if found.is_empty() => None,
        Ok(found) => Some(format!(
            "the client goes around the proxies: {}",
            found.join(", ")
        )),
        Err(error) => Some(format!(
            "whether the client goes around the proxies could not be seen: {error}"
        )),
    }
}

/// The command as typed, for the report, without the folder that is taken now.
fn rerun_command() -> String {
    let mut words = vec!["steadfast".to_owned()];
    let mut typed = std::env::args().skip(1);
    while let Some(word) = typed.next() {
        match word.strip_prefix("--out") {
            Some("") => drop(typed.next()),
            Some(value) if value.starts_with('=') => {}
            _ => words.push(word),
        }
    }
    words
        .iter()
        .map(|word| {
            if word.contains([' ', '"', '\'']) {
                format!("{word:?}")
            } else {
                word.clone()
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}
