//! The command line: what a user types, as types. Flags carry no defaults of their own: flag > `-X` > scenario > default.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::simulate::class::Class;

/// Proof that a Kafka producer loses, doubles and reorders nothing at a fixed rate, under faults
#[derive(Debug, Parser)]
#[command(
    name = "steadfast",
    version,
    max_term_width = 110,
    disable_help_subcommand = true
)]
#[command(
    after_help = "Exit codes: 0 pass · 1 tool error, damaged run folder · 2 usage or scenario file · \
3 environment missing · 4 steady state not reached · 5 inconclusive · 10 a delivery claim broken · \
99 a threshold broken · 130 interrupted, healed"
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands, in the order in which a user meets them.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run scenario files (or directories of them) and judge each from the log
    Run(RunArgs),
    /// Measure several producers on one scenario, side by side: interleaved blocks on one cluster, paired ratios
    Compare(CompareArgs),
    /// Measure what a scenario costs as its settings grow: a run for each value, one page of plots
    Sweep(SweepArgs),
    /// Compare the figures of two run folders of one scenario; exit 99 when the second is worse
    Diff(DiffArgs),
    /// Show what a run would do: timeline, records, memory, disk, and which claims this cluster can prove
    Plan(PlanArgs),
    /// List the scenarios of the catalogue
    List {
        /// Directory to list
        #[arg(default_value = "scenarios")]
        directory: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a commented scenario file to start from
    Init {
        /// File to write; an existing file is never overwritten
        #[arg(default_value = "scenario.toml")]
        file: PathBuf,
    },
    /// Judge a run folder again, from the folder alone; or a topic of stamped records, by its log alone
    Verify(VerifyArgs),
    /// Draw report.html, junit.xml and summary.md of a run folder again, or the pages of a comparison
    Report {
        /// Run folder, or folder of a comparison; several comparisons with --page
        #[arg(required = true)]
        directories: Vec<PathBuf>,
        /// Write one page of Markdown about all these comparisons and sweeps, with its pictures beside it
        #[arg(long, value_name = "FILE")]
        page: Option<PathBuf>,
    },
    /// Run the producer, a simulated cluster, a network and a clock in virtual time, and judge each seed's world
    Simulate(SimulateArgs),
    /// Prepare what clusters need
    Cluster {
        /// What to do.
        #[command(subcommand)]
        command: ClusterCommand,
    },
    /// Serve the Kafka protocol: the simulated broker with its log in a folder, until SIGTERM or Ctrl-C
    Broker(BrokerArgs),
    /// Print a JSON Schema: of scenario files (for editors), of verdict.json or of a topic's verdict
    Schema {
        /// Which
        #[arg(value_enum, default_value = "scenario")]
        which: SchemaKind,
    },
    /// Check this machine: what is here, what is missing, and the command that mends it
    Doctor {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End what a killed run left behind, from its journal on disk
    Heal,
    /// Explain an anomaly (L1), a harness cause (H2), a claim, a metric or an exit code; without an id, list them
    Explain {
        /// As a verdict names it, such as L1, H1, torn, ack_latency or exit-5
        id: Option<String>,
    },
    /// (internal) The load generator process of a run
    #[command(hide = true)]
    Worker {
        /// The workload as JSON
        #[arg(long)]
        workload: PathBuf,
    },
    /// (internal) A concurrent reader of a run
    #[command(hide = true)]
    Reader {
        /// The order as JSON
        #[arg(long)]
        order: PathBuf,
    },
    /// (internal) Become another program that dies with the runner
    #[command(hide = true, disable_help_flag = true)]
    ExecChild {
        /// `--parent PID -- PROGRAM ARGS`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
}

/// `steadfast cluster ...`
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Fetch the pinned Kafka jars into the user's cache, through Maven
    Fetch {
        /// Version of Apache Kafka, one of the pinned ones
        #[arg(long, default_value = "")]
        version: String,
    },
    /// Start a cluster of real Kafka, as processes or in containers, and keep it until `cluster stop`, Ctrl-C, or the end of a piped standard input
    Start(ClusterStartArgs),
    /// Stop the cluster that `cluster start` keeps in a folder
    Stop {
        /// Its folder
        #[arg(default_value = CLUSTER_FOLDER)]
        folder: PathBuf,
    },
}

/// Where `cluster start` keeps its cluster's files when nobody says.
const CLUSTER_FOLDER: &str = "runs/cluster";

/// `steadfast cluster start`
#[derive(Debug, Args)]
pub(crate) struct ClusterStartArgs {
    /// Version of Apache Kafka, one of the pinned ones
    #[arg(long, default_value = "")]
    pub(crate) version: String,
    /// Where the brokers live
    #[arg(long, value_enum, default_value_t = KeptKind::Kafka)]
    pub(crate) broker: KeptKind,
    /// Image and tag for --broker docker (default apache/kafka of that version)
    #[arg(long, default_value = "")]
    pub(crate) image: String,
    /// Brokers
    #[arg(long, default_value_t = 1)]
    pub(crate) nodes: u32,
    /// A broker setting, e.g. num.io.threads=4
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(crate) properties: Vec<(String, String)>,
    /// Folder for logs, data and cluster.json
    #[arg(long, default_value = CLUSTER_FOLDER)]
    pub(crate) out: PathBuf,
}

/// Cluster kinds that `cluster start` can keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeptKind {
    /// As child processes
    Kafka,
    /// In containers, by Docker
    Docker,
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Schemas that are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaKind {
    /// Scenario files.
    Scenario,
    /// verdict.json.
    Verdict,
    /// What `verify --topic --json` prints.
    LogVerdict,
}

/// Cluster kinds that `--broker` can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BrokerKind {
    /// Real Apache Kafka as child processes
    Kafka,
    /// Real Apache Kafka in containers, by Docker: each node in one of its own
    Docker,
    /// Our own broker as one child process: no Java, and no claim about Kafka's speed or durability
    Simulated,
    /// A cluster that already runs; needs --bootstrap-server
    External,
}

/// What shapes a scenario from the outside; shared by `run` and `plan`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Overrides {
    /// Cluster kind
    #[arg(long, value_enum)]
    pub(crate) broker: Option<BrokerKind>,
    /// host:port of a cluster that runs already (only with --broker external)
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    pub(crate) bootstrap_server: Vec<String>,
    /// Allow a bootstrap server that is not on loopback
    #[arg(long)]
    pub(crate) allow_remote: bool,
    /// Seed of schedule, payload and faults
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Override a scenario key, e.g. workload.duration=20s
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Who produces: `steadfast` (the default), or the path of another program (docs/subject.md)
    #[arg(long, value_name = "NAME|PATH")]
    pub(crate) subject: Option<PathBuf>,
    /// Override a producer property, e.g. linger.ms=1
    #[arg(short = 'X', value_name = "PROPERTY=VALUE")]
    pub(crate) property: Vec<String>,
}

/// `steadfast run`
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Scenario files or directories
    #[arg(required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// Overrides.
    #[command(flatten)]
    pub(crate) overrides: Overrides,
    /// Run folder (several runs: one folder for each inside it); default runs/<scenario>-<time>
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// Run each scenario this many times
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) repeat: u32,
    /// Leave the topics that a run made on an external cluster there (else they are deleted when it is over)
    #[arg(long)]
    pub(crate) keep_topics: bool,
    /// Let Kafka's own consumer and a dump of its segments confirm the log, offset by offset (I6; needs --broker kafka)
    #[arg(long)]
    pub(crate) oracle: bool,
    /// Print verdict.json of each run on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

/// `steadfast compare`
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Scenario file: a steady rate or `unlimited`, without faults
    pub(crate) file: PathBuf,
    /// Who takes part: `steadfast`, folders of peers/ or paths of programs, each with properties of its own if it needs any
    #[arg(
        long,
        value_name = "NAME[:PROPERTY=VALUE],...",
        value_delimiter = ',',
        required = true
    )]
    pub(crate) subjects: Vec<String>,
    /// Blocks: each subject runs twice in each, out and back; fewer than 3 that count show nothing (exit 5)
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) blocks: u32,
    /// On a machine that others disturb: go on until so many blocks count, and hold at most this many
    #[arg(long, value_name = "BLOCKS", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) at_most: Option<u32>,
    /// Load before each cell's measured stretch (Java: 60s at least)
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub(crate) warmup: Duration,
    /// Measured stretch of each cell
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    pub(crate) measure: Duration,
    /// Load before the first block; 0s for none
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    pub(crate) broker_warmup: Duration,
    /// What the subject under test must reach, by the median of paired ratios, e.g. p(99)<=1.3*floor (else exit 99)
    #[arg(long = "goal", value_name = "METRIC<=FACTOR*SUBJECT")]
    pub(crate) goals: Vec<String>,
    /// Overrides.
    #[command(flatten)]
    pub(crate) overrides: Overrides,
    /// Folder of the comparison; default runs/compare-<scenario>-<time>
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// Keep history and log of each cell (about 150 bytes a record), so that `steadfast verify` can judge it again
    #[arg(long)]
    pub(crate) keep: bool,
}

/// `steadfast sweep`
#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    /// Scenario file: a steady rate or `unlimited`, without faults
    pub(crate) file: PathBuf,
    /// A setting and the values that it takes, one run each: a key as of --set, a property as of -X, or several at once:
    /// `a+b=1+x,2+y`; may be given again
    #[arg(long, value_name = "KEY=VALUE,...", required = true)]
    pub(crate) vary: Vec<String>,
    /// Load before each measured stretch
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub(crate) warmup: Duration,
    /// Measured stretch of each run
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = humantime::parse_duration)]
    pub(crate) measure: Duration,
    /// Overrides.
    #[command(flatten)]
    pub(crate) overrides: Overrides,
    /// Folder of the sweep; default runs/sweep-<scenario>-<time>
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// Keep history and log of each run (about 150 bytes a record), so that `steadfast verify` can judge it again
    #[arg(long)]
    pub(crate) keep: bool,
}

/// `steadfast diff`
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The run folder to compare with
    pub(crate) before: PathBuf,
    /// The run folder that is judged
    pub(crate) after: PathBuf,
    /// How much worse a figure may be, beyond what its own seconds vary by
    #[arg(long, value_name = "SHARE", default_value_t = 0.10)]
    pub(crate) tolerance: f64,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `steadfast verify`
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Run folder
    #[arg(required_unless_present = "topic", conflicts_with = "topic")]
    pub(crate) directory: Option<PathBuf>,
    /// A topic instead of a folder.
    #[command(flatten)]
    pub(crate) topic: VerifyTopic,
    /// Print the verdict as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `verify` reads instead of a run folder.
#[derive(Debug, Clone, Args)]
pub(crate) struct VerifyTopic {
    /// host:port of a cluster whose topic is judged; it is only read
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', requires = "topic")]
    pub(crate) bootstrap_server: Vec<String>,
    /// Topic whose values begin with the record stamp
    #[arg(long, requires = "bootstrap_server")]
    pub(crate) topic: Option<String>,
    /// Allow a bootstrap server that is not on loopback
    #[arg(long, requires = "topic")]
    pub(crate) allow_remote: bool,
    /// How long reading may take; a topic that still grows then is inconclusive
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = humantime::parse_duration, requires = "topic")]
    pub(crate) within: Duration,
}

/// `steadfast broker`
#[derive(Debug, Args)]
pub(crate) struct BrokerArgs {
    /// Data folder; made when missing, taken up when it is a broker's, refused when it is something else
    #[arg(long)]
    pub(crate) data: PathBuf,
    /// Nodes of the cluster
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=9))]
    pub(crate) nodes: u16,
    /// Port on 127.0.0.1 of the first node, the others count on from it; or one for each node. 0: any
    #[arg(long, value_name = "PORT", value_delimiter = ',', default_value = "9092")]
    pub(crate) port: Vec<u16>,
    /// The same for the second listener, which no proxy stands in front of
    #[arg(long, value_name = "PORT", value_delimiter = ',', default_value = "0")]
    pub(crate) admin_port: Vec<u16>,
    /// Ports that clients are told instead of --port: of the proxies in front
    #[arg(long, value_name = "PORT", value_delimiter = ',')]
    pub(crate) advertised_port: Vec<u16>,
    /// Broker property by Kafka's name, e.g. auto.create.topics.enable=true
    #[arg(short = 'X', value_name = "PROPERTY=VALUE")]
    pub(crate) property: Vec<String>,
}

/// `steadfast plan`
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Scenario file
    pub(crate) file: PathBuf,
    /// Overrides.
    #[command(flatten)]
    pub(crate) overrides: Overrides,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `steadfast simulate`
#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Scenario file: its cluster, topic, load and producer settings; its faults are each seed's own
    pub(crate) file: Option<PathBuf>,
    /// How many seeds
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    pub(crate) from: u64,
    /// Threads
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: u16,
    /// Virtual seconds of faults [default: the file's `duration`, or 60]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: Option<u64>,
    /// No client uses transactions
    #[arg(long, conflicts_with = "transactional")]
    pub(crate) idempotent: bool,
    /// Every client uses transactions
    #[arg(long)]
    pub(crate) transactional: bool,
    /// Only worlds of this class; else each seed draws one
    #[arg(long, value_enum)]
    pub(crate) world: Option<Class>,
    /// Break this rule of the producer
    #[cfg(steadfast_mutants)]
    #[arg(long, value_name = "RULE")]
    pub(crate) without: Option<String>,
    /// Break each rule in turn, or that one, in at most so many seeds each, until it is noticed
    #[cfg(steadfast_mutants)]
    #[arg(long)]
    pub(crate) mutants: bool,
    /// Print what the first seed's world did, line by line
    #[arg(long, conflicts_with = "json")]
    pub(crate) trace: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
