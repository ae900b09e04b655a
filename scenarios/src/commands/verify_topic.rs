//! `steadfast verify --bootstrap-server HOST:PORT --topic T`: judges a topic that somebody else filled with stamped records,
//! by its log alone. Reads only; what it read lies in a folder of its own until it has judged, also on Ctrl-C.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use steadfast_verifier::judge;
use steadfast_verifier::log_verdict::LogVerdict;
use steadfast_verifier::reader::{self, ReadError};
use steadfast_verifier::verdict::Outcome;

use crate::cli::VerifyTopic;
use crate::exit::Exit;
use crate::out;
use crate::runner::RunError;
use crate::runner::cluster::loopback;
use crate::runner::display::Display;
use crate::runner::files::failed;

/// Longest name of a topic.
const TOPIC_NAME_MAX: usize = 249;
/// Examples shown at a terminal; `--json` has all.
const EXAMPLES_SHOWN: usize = 10;

/// Reads, judges, prints, and ends with the verdict's own exit code.
pub(crate) fn run(order: &VerifyTopic, json: bool) -> Exit {
    let judged = check(order).and_then(|topic| judged(order, topic));
    match judged {
        Ok(verdict) if json => match serde_json::to_string_pretty(&verdict) {
            Ok(text) => {
                out::line(format_args!("{text}"));
                Exit::from_code(verdict.exit_code)
            }
            Err(error) => {
                eprintln!("error: {error}");
                Exit::ToolError
            }
        },
        Ok(verdict) => {
            out::text(&text(&verdict, &order.bootstrap_server.join(",")));
            Exit::from_code(verdict.exit_code)
        }
        Err(error) => {
            eprintln!("error: {error}");
            error.exit()
        }
    }
}

/// The topic, if it may be read.
fn check(order: &VerifyTopic) -> Result<&str, RunError> {
    let topic = order.topic.as_deref().unwrap_or_default();
    let letter = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let named = !topic.is_empty() && topic != "." && topic != ".." && topic.len() <= TOPIC_NAME_MAX;
    if !named || !topic.chars().all(letter) {
        return Err(RunError::Usage(format!(
            "{topic:?} is no name of a topic\n  mend: letters, digits, `.`, `_` and `-`, at most {TOPIC_NAME_MAX}"
        )));
    }
    let port = |server: &str| {
        server
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
    };
    if let Some(server) = order.bootstrap_server.iter().find(|server| !port(server)) {
        return Err(RunError::Usage(format!(
            "{server:?} is no address\n  mend: --bootstrap-server HOST:PORT of a broker"
        )));
    }
    let remote = order.bootstrap_server.iter().find(|server| !loopback(server));
    match remote.filter(|_| !order.allow_remote) {
        Some(server) => Err(RunError::Usage(format!(
            "{server} is not on loopback, and reading a whole topic is load\n  mend: add --allow-remote if that cluster may be read"
        ))),
        None => Ok(topic),
    }
}

fn judged(order: &VerifyTopic, topic: &str) -> Result<LogVerdict, RunError> {
    let scratch = Scratch::create().map_err(|e| failed("cannot make a folder for what is read", &e))?;
    let mut display = Display::new();
    display.phase("reading the topic");
    let mut progress = |read: u64, of: u64| display.note(&format!("{read} of {of} records"));
    let read = reader::read_as_it_stands(
        &order.bootstrap_server,
        topic,
        &scratch.0,
        order.within,
        &mut progress,
    );
    let read = read.map_err(|error| match error {
        ReadError::Unreachable { .. } => RunError::Environment(format!(
            "{error}\n  mend: look at --bootstrap-server and --topic, and at the broker's listeners (only PLAINTEXT is spoken)"
        )),
        other => failed("cannot read the topic", &other),
    });
    let judged = read.and_then(|read| {
        display.phase("judging");
        judge::judge_log(&scratch.0, topic, &read).map_err(|e| RunError::Tool(e.to_string()))
    });
    display.done();
    judged
}

/// The verdict, for a person at a terminal.
fn text(verdict: &LogVerdict, servers: &str) -> String {
    let mut text = String::new();
    let word = match verdict.verdict {
        Outcome::Pass => "PASS",
        Outcome::Fail => "FAIL",
        Outcome::Inconclusive => "INCONCLUSIVE",
    };
    let records = verdict.records;
    let _ = writeln!(
        text,
        "{word}  topic {} at {servers}, by its log alone",
        verdict.topic
    );
    let _ = writeln!(
        text,
        "  records     {} read from {} partitions, {} with a stamp that fits, {} aborted, {} in open transactions",
        records.read,
        verdict.partitions.len(),
        records.intact,
        records.aborted,
        records.open,
    );
    for writer in &verdict.writers {
        let _ = writeln!(
            text,
            "  writer {:<4} start {}: indexes {} to {}, {} present, {} aborted or open, {} missing",
            writer.worker,
            writer.incarnation,
            writer.first_index,
            writer.last_index,
            writer.present,
            writer.hidden,
            writer.missing,
        );
    }
    let found = verdict.anomalies.iter().filter(|(_, count)| **count > 0);
    for (id, count) in found {
        let _ = writeln!(text, "  FAIL        {id:<4} {count}  (steadfast explain {id})");
    }
    for example in verdict.examples.iter().take(EXAMPLES_SHOWN) {
        let record = example.record.as_deref().unwrap_or("-");
        let _ = writeln!(text, "    {} record {record}: {}", example.id, example.detail);
    }
    for cause in &verdict.inconclusive {
        let _ = writeln!(text, "  unknown     {}: {}", cause.id, cause.reason);
    }
    let checked: Vec<&str> = verdict.anomalies.keys().map(String::as_str).collect();
    let _ = writeln!(text, "  looked for  {}", checked.join(" "));
    for not in &verdict.not_checked {
        let _ = writeln!(text, "  not seen    {}: {}", not.ids.join(" "), not.why);
    }
    text
}

/// A folder that goes with its owner, and when a signal ends the process.
struct Scratch(PathBuf);

impl Scratch {
    fn create() -> io::Result<Scratch> {
        let name = format!("steadfast-verify-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder)?;
        // From here on it is removed, whatever fails.
        let scratch = Scratch(folder);
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let folder = scratch.0.clone();
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                if signals.forever().next().is_some() {
                    remove(&folder);
                    leave();
                }
            })?;
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

fn remove(folder: &Path) {
    if let Err(error) = std::fs::remove_dir_all(folder) {
        eprintln!("warning: cannot remove {}: {error}", folder.display());
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "nothing was started and nothing is left: the reading thread has nothing to put right"
)]
fn leave() -> ! {
    std::process::exit(Exit::Interrupted as i32)
}
