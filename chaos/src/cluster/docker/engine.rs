//! The container engine, through its own command line: each call is a child of the runner, bounded, and tells the engine's own
//! words when it is refused.
//!
//! The address of the engine is asked once (the user's context may name another than the default) and goes with every call and
//! into the heal journal, so that `heal` finds the same engine later, whatever is set then.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::clock::Deadline;
use crate::cluster::java::find_program;
use crate::error::ChaosError;
use crate::journal::Journal;
use crate::process::{ChildSpec, Output, Program, Spawner, ended_well};

/// What any call but a download may take; making a container writes to the disk.
pub(super) const CALL_BOUND: Duration = Duration::from_secs(30);
/// An engine that does not tell its version within this does not work.
const VERSION_BOUND: Duration = Duration::from_secs(10);
const PROGRAM: &str = "docker";
/// The variable that names an engine's address to its command line, before any context.
const ADDRESS_VARIABLE: &str = "DOCKER_HOST";
/// How much of the engine's words is shown.
const MOST_WORDS: usize = 400;

/// An engine that answers.
#[derive(Debug)]
pub(crate) struct Engine {
    program: PathBuf,
    /// Its address, `unix:///var/run/docker.sock`.
    pub(super) address: String,
    pub(super) spawner: Spawner,
    /// Where the standard error of a call goes meanwhile.
    scratch: PathBuf,
    /// Numbers calls and containers.
    count: AtomicU32,
}

impl Engine {
    /// The one that the user's environment or context names, if it answers.
    pub(super) fn find(spawner: &Spawner, scratch: &Path) -> Result<Engine, ChaosError> {
        let mut engine = Engine::unasked(String::new(), spawner, scratch)?;
        let format = "{{.Endpoints.docker.Host}}";
        engine.address = engine
            .call(&["context", "inspect", "--format", format], VERSION_BOUND)
            .map_err(silent)?;
        engine.answers()
    }

    /// The one at an address from a journal.
    pub(crate) fn at(address: &str, spawner: &Spawner, scratch: &Path) -> Result<Engine, ChaosError> {
        Engine::unasked(address.to_owned(), spawner, scratch)?.answers()
    }

    fn unasked(address: String, spawner: &Spawner, scratch: &Path) -> Result<Engine, ChaosError> {
        let program = find_program(PROGRAM).ok_or_else(|| {
            ChaosError::missing(
                "no `docker` on PATH",
                "install it (`apt-get install docker.io`), or use --broker kafka, which needs Java only",
            )
        })?;
        Ok(Engine {
            program,
            address,
            spawner: spawner.clone(),
            scratch: scratch.to_owned(),
            count: AtomicU32::new(0),
        })
    }

    /// The version of the engine, not of its command line: that one has to ask.
    fn answers(self) -> Result<Engine, ChaosError> {
        let version = ["version", "--format", "{{.Server.Version}}"];
        self.call(&version, VERSION_BOUND).map_err(silent)?;
        Ok(self)
    }

    pub(super) fn journal(&self) -> &Journal {
        self.spawner.journal()
    }

    /// A number that no other call or container of this engine has.
    pub(super) fn number(&self) -> u32 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    /// What the command prints. It is carried out even when the run is being stopped: so are those that stop it.
    pub(super) fn call(&self, args: &[&str], bound: Duration) -> Result<String, ChaosError> {
        self.carry_out(args, bound, None)
    }

    /// As [`Engine::call`], for one that may take minutes: Ctrl-C ends it.
    pub(super) fn call_patiently(&self, args: &[&str], bound: Duration) -> Result<String, ChaosError> {
        self.carry_out(args, bound, Some(&self.spawner))
    }

    fn carry_out(
        &self,
        args: &[&str],
        bound: Duration,
        heeds: Option<&Spawner>,
    ) -> Result<String, ChaosError> {
        // Of `docker create ...` and `docker image inspect ...` what people know it by.
        let verb = args.iter().take_while(|word| !word.starts_with('-')).take(2);
        let what = format!("{PROGRAM} {}", verb.copied().collect::<Vec<_>>().join(" "));
        let errors = self.scratch.join(format!("docker-call-{}.err", self.number()));
        let spec = self.spec(&what, args, Output::Pipe, &errors);
        let done = self
            .spawner
            .spawn(&spec)
            .map_err(ChaosError::from)
            .and_then(|mut child| {
                let status = child.until(Deadline::after(bound), heeds)?;
                ended_well(status, bound).map_err(|how| {
                    let said = words(&fs::read_to_string(&errors).unwrap_or_default());
                    let reason = if said.is_empty() { how } else { said };
                    ChaosError::admin(&what, reason)
                })?;
                let mut text = String::new();
                if let Some(mut output) = child.take_stdout() {
                    let read = output.read_to_string(&mut text);
                    read.map_err(ChaosError::io(format!("read {what}")))?;
                }
                Ok(text.trim().to_owned())
            });
        // Empty, or told above.
        let _left = fs::remove_file(&errors);
        done
    }

    /// A child that is the engine's command line.
    pub(super) fn spec(&self, name: &str, args: &[&str], stdout: Output, stderr: &Path) -> ChildSpec {
        let address = Some(&self.address).filter(|address| !address.is_empty());
        ChildSpec {
            name: name.to_owned(),
            program: Program::File(self.program.clone()),
            args: args.iter().map(OsString::from).collect(),
            env: address
                .map(|address| (ADDRESS_VARIABLE.to_owned(), address.clone()))
                .into_iter()
                .collect(),
            cwd: None,
            stdout,
            stderr: stderr.to_owned(),
        }
    }
}

/// What makes an engine answer, for one that did not.
fn silent(error: ChaosError) -> ChaosError {
    let ChaosError::Admin { reason, .. } = error else {
        return error;
    };
    let mend = if reason.contains("permission denied") {
        "give yourself the right to its socket (`sudo usermod -aG docker $USER`, and log in again), or use --broker kafka"
    } else {
        "start it (`systemctl start docker`, or `dockerd` as root where there is no systemd), or use --broker kafka"
    };
    ChaosError::missing(format!("Docker does not answer: {reason}"), mend)
}

/// The engine's own words on one line, without its hints to read a manual.
fn words(errors: &str) -> String {
    let telling = |line: &&str| !line.is_empty() && !line.starts_with("See '");
    let lines: Vec<&str> = errors.lines().map(str::trim).filter(telling).collect();
    let mut text = lines.join("; ");
    if let Some((end, _)) = text.char_indices().nth(MOST_WORDS) {
        text.truncate(end);
        text.push_str(" ...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(reason: &str) -> String {
        silent(ChaosError::admin("docker version", reason)).to_string()
    }

    #[test]
    fn an_engine_that_does_not_answer_is_told_with_what_starts_it() {
        assert!(why("Cannot connect to the Docker daemon").contains("systemctl start docker"));
        assert!(why("permission denied while trying to connect").contains("usermod"));
        // Ctrl-C is no fault of the engine.
        assert!(matches!(silent(ChaosError::Interrupted), ChaosError::Interrupted));
    }

    #[test]
    fn the_words_of_the_engine_are_one_line_without_hints() {
        let said = "Unable to find image\n\nError response from daemon: x.\nSee 'docker run --help'.\n";
        assert_eq!(
            words(said),
            "Unable to find image; Error response from daemon: x."
        );
        assert_eq!(words(&"é".repeat(1000)).chars().count(), MOST_WORDS + 4);
    }
}
