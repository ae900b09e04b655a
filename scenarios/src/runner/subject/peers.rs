//! Producers of `peers/`: each folder there is a name for `--subject`, built when somebody first names it.
//!
//! ```text
//! NAME ─▶ peers/NAME/build target/peers ─▶ target/peers/NAME        exit 3: a tool is missing, its words say which
//! ```
//! `peers/` is looked for from the current folder upwards, then from this binary's own: `target/release/steadfast` stands
//! below the checkout that it was built from.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use steadfast_chaos::clock::Deadline;
use steadfast_chaos::process::{ChildSpec, Output, Program, Spawner};

use super::super::RunError;

/// librdkafka and a JVM's worth of downloads from an empty cache, on two busy cores.
const BUILD_BOUND: Duration = Duration::from_secs(1800);
/// How often the wait looks for Ctrl-C.
const LOOK: Duration = Duration::from_millis(200);
/// Lines of a build's log that an error shows.
const LAST_LINES: usize = 6;
/// What a build script ends with when a tool is missing.
const MISSING: i32 = 3;

/// A folder of `peers/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Peer {
    name: String,
    /// The checkout.
    root: PathBuf,
}

/// The peer of this name; none where there is no such folder.
pub(super) fn find(name: &Path) -> Option<Peer> {
    let name = name.to_str().filter(|name| !name.contains('/'))?;
    let here = std::env::current_dir().ok();
    let binary = std::env::current_exe().ok();
    let roots = [here, binary];
    let mut candidates = roots.iter().flatten().flat_map(|place| place.ancestors());
    candidates
        .find(|root| root.join("peers").join(name).join("build").is_file())
        .map(|root| Peer {
            name: name.to_owned(),
            root: root.to_owned(),
        })
}

/// Names of all peers that can be found, for an error's mend.
pub(super) fn names() -> Vec<String> {
    let Some(floor) = find(Path::new("floor")) else {
        return Vec::new();
    };
    let entries = fs::read_dir(floor.root.join("peers"))
        .into_iter()
        .flatten()
        .flatten();
    let peers = entries.filter(|entry| entry.path().join("build").is_file());
    let mut names: Vec<String> = peers
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

impl Peer {
    /// Builds it, or finds it built, and gives the program.
    pub(super) fn build(
        &self,
        spawner: &Spawner,
        progress: &mut dyn FnMut(&str),
    ) -> Result<PathBuf, RunError> {
        let name = &self.name;
        let out = self.root.join("target/peers");
        let tool = |what: &str, error: &dyn std::fmt::Display| RunError::Tool(format!("{what}: {error}"));
        fs::create_dir_all(&out).map_err(|error| tool("cannot make target/peers", &error))?;
        let log = out.join(format!("{name}.log"));
        progress(&format!(
            "building {name} (minutes, the first time; {})",
            log.display()
        ));
        let mut child = spawner
            .spawn(&ChildSpec {
                name: format!("build of {name}"),
                program: Program::File(self.root.join("peers").join(name).join("build")),
                args: vec![out.clone().into()],
                env: Vec::new(),
                cwd: Some(self.root.clone()),
                stdout: Output::File(log.clone()),
                stderr: log.clone(),
            })
            .map_err(|error| tool("cannot start its build", &error))?;
        let deadline = Deadline::after(BUILD_BOUND);
        let status = loop {
            spawner.check_stop()?;
            match child
                .wait(LOOK)
                .map_err(|error| tool("cannot wait for its build", &error))?
            {
                Some(status) => break status,
                None if deadline.passed() => {
                    return Err(RunError::Environment(format!(
                        "{name} was not built within {BUILD_BOUND:?}; see {}",
                        log.display()
                    )));
                }
                None => {}
            }
        };
        let words = fs::read_to_string(&log).unwrap_or_default();
        let last: Vec<&str> = words.lines().rev().take(LAST_LINES).collect();
        let last: String = last.iter().rev().map(|line| format!("\n  | {line}")).collect();
        match status.code() {
            Some(0) => {}
            Some(MISSING) => {
                return Err(RunError::Environment(format!(
                    "{name} cannot be built here: {}",
                    words.lines().next_back().unwrap_or("its build did not say why")
                )));
            }
            _ => return Err(RunError::Environment(format!("{name} could not be built{last}"))),
        }
        let program = out.join(name);
        if program.is_file() {
            Ok(program)
        } else {
            Err(RunError::Tool(format!(
                "the build of {name} left no {}",
                program.display()
            )))
        }
    }
}
