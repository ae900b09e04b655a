//! `steadfast cluster start`: a cluster outside any run, for whoever wants to look at a Kafka or hurt one by hand.
//!
//! ```text
//! standard input                        standard output
//! (none yet)                ready ────► 127.0.0.1:40001,127.0.0.1:40002
//! kill 1     SIGKILL ─────────────────► ok kill 1
//! term 1     SIGTERM, a clean stop ───► ok term 1
//! start 1    back, and in sync ───────► ok start 1
//! pause 1 / resume 1   SIGSTOP / CONT ► ok pause 1
//! dance 1 ────────────────────────────► error: ...
//! ```
//! It ends with the order `stop`, with `steadfast cluster stop`, with Ctrl-C, and when the process that holds the other end of
//! a piped standard input ends: then nobody is left who could stop it. The end of a file or of /dev/null ends nothing.

use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use rustix::fs::{FileType, fstat};
use rustix::process::{Signal, kill_process};
use serde::{Deserialize, Serialize};
use steadfast_chaos::clock::{Deadline, sleep};
use steadfast_chaos::cluster::{BACK_BOUND, Cluster, ClusterSpec, java, kafka};
use steadfast_chaos::{ChaosError, procstat};

use crate::cli::{ClusterStartArgs, KeptKind};
use crate::runner::RunError;
use crate::runner::files::{cannot_write, read_json, write_json};
use crate::runner::interrupt::Interrupt;

/// How another process finds this one.
const FILE: &str = "cluster.json";
/// How often the cluster and the interrupt are looked at while no order comes.
const LOOK: Duration = Duration::from_millis(200);
/// Orders that wait while one is carried out.
const WAITING_ORDERS: usize = 16;
/// How long `cluster stop` waits for the other process: brokers get some seconds for a clean stop.
const STOP_BOUND: Duration = Duration::from_secs(40);

/// What stands in `cluster.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// Who keeps it.
    pid: u32,
    /// Start of that process, in clock ticks after boot: a pid alone names nobody for long.
    start_time: u64,
    /// Version of Apache Kafka.
    version: String,
    /// `host:port` of every broker.
    bootstrap_servers: Vec<String>,
}

/// Starts a cluster and keeps it until it is told to stop.
pub(super) fn start(args: &ClusterStartArgs) -> Result<(), RunError> {
    if let Some(kept) = alive(&args.out) {
        let (pid, folder) = (kept.pid, args.out.display());
        return Err(RunError::Usage(format!(
            "process {pid} keeps a cluster in {folder} already\n  \
             mend: `steadfast cluster stop {folder}`, or choose another --out"
        )));
    }
    let spawner = super::spawner()?;
    let interrupt = Interrupt::install(spawner.stop_flag()).map_err(|e| RunError::Tool(e.to_string()))?;
    let mut progress = |line: &str| eprintln!("{line}");
    if args.broker == KeptKind::Kafka {
        java::find()?;
        if kafka::available(&args.version).is_none() {
            kafka::fetch(&args.version, &spawner, &mut progress)?;
        }
    } else if args.image.starts_with('-') {
        return Err(RunError::Usage(format!("{} is no image", args.image)));
    }
    let spec = ClusterSpec {
        nodes: args.nodes,
        version: args.version.clone(),
        image: args.image.clone(),
        properties: args.properties.iter().cloned().collect(),
        ..ClusterSpec::default()
    };
    std::fs::create_dir_all(&args.out).map_err(|e| cannot_write(&args.out, &e))?;
    let start = match args.broker {
        KeptKind::Kafka => Cluster::start,
        KeptKind::Docker => Cluster::contain,
    };
    let cluster = start(&spec, &args.out, &spawner, &mut progress)?;
    let pid = std::process::id();
    let kept = Kept {
        pid,
        start_time: procstat::stat(pid).map_or(0, |stat| stat.start_time),
        version: cluster.version().to_owned(),
        bootstrap_servers: cluster.bootstrap_servers(),
    };
    write_json(&args.out, FILE, &kept)?;
    say(&kept.bootstrap_servers.join(","));
    let ended = keep(&cluster, &interrupt);
    cluster.stop();
    // Nothing depends on it: whoever reads it finds that the process is gone.
    let _gone = std::fs::remove_file(args.out.join(FILE));
    Ok(ended?)
}

/// Ends the process that keeps a cluster in this folder, and with it the cluster.
pub(super) fn stop(folder: &Path) -> Result<(), RunError> {
    let nobody = || RunError::Usage(format!("nobody keeps a cluster in {}", folder.display()));
    let kept = alive(folder).ok_or_else(nobody)?;
    let pid = procstat::raw(kept.pid).ok_or_else(nobody)?;
    kill_process(pid, Signal::TERM)
        .map_err(|error| RunError::Tool(format!("cannot stop process {}: {error}", kept.pid)))?;
    let deadline = Deadline::after(STOP_BOUND);
    while procstat::is_alive(kept.pid, kept.start_time) {
        if deadline.passed() {
            let what = format!("process {} had not ended after {STOP_BOUND:?}", kept.pid);
            return Err(RunError::Tool(format!(
                "{what}\n  mend: kill it, then `steadfast heal`"
            )));
        }
        sleep(LOOK);
    }
    Ok(())
}

/// The keeper of a folder, if it still runs.
fn alive(folder: &Path) -> Option<Kept> {
    let kept: Kept = read_json(folder, FILE).ok()?;
    procstat::is_alive(kept.pid, kept.start_time).then_some(kept)
}

/// Carries orders out until one of the ends.
fn keep(cluster: &Cluster, interrupt: &Interrupt) -> Result<(), ChaosError> {
    let orders = orders();
    while !interrupt.asked() {
        match orders.recv_timeout(LOOK) {
            Ok(order) if order.trim() == "stop" => break,
            Ok(order) => match obey(cluster, order.trim()) {
                Ok(()) => say(&format!("ok {}", order.trim())),
                Err(reason) => say(&format!("error: {}", reason.replace('\n', "; "))),
            },
            Err(RecvTimeoutError::Timeout) => cluster.check()?,
            // A pipe whose other end is gone.
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok(())
}

fn obey(cluster: &Cluster, order: &str) -> Result<(), String> {
    let (verb, broker) = order.split_once(' ').unwrap_or((order, "1"));
    let broker: u32 = broker
        .parse()
        .map_err(|_| format!("`{broker}` is no broker's number"))?;
    let done = match verb {
        "kill" => cluster.kill(broker).map(drop),
        "term" => cluster.term(broker).map(drop),
        "start" => cluster
            .start_again(broker)
            .and_then(|_| cluster.wait_until_in_sync(broker, BACK_BOUND)),
        "pause" => cluster.pause(broker),
        "resume" => cluster.resume(broker),
        _ => {
            return Err(format!(
                "`{verb}` is none of kill, term, start, pause, resume, stop"
            ));
        }
    };
    done.map_err(|error| error.to_string())
}

/// Lines of standard input. The channel closes when a pipe ends, and only then.
fn orders() -> Receiver<String> {
    let (sender, receiver) = sync_channel(WAITING_ORDERS);
    std::thread::spawn(move || {
        let input = std::io::stdin();
        for line in input.lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
        let piped = fstat(&input).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo);
        if piped {
            return;
        }
        // The sender must live on: its end would be taken for that of a pipe.
        loop {
            std::thread::park();
        }
    });
    receiver
}

/// A reader that is gone ends nothing: standard input tells that.
fn say(line: &str) {
    let mut output = std::io::stdout();
    let _unread = writeln!(output, "{line}").and_then(|()| output.flush());
}
