//! Where `toxiproxy-server` comes from: PATH, else the user's cache, else built into it once by Go.
//!
//! ```text
//! PATH ─► cache ─► lock ─► cache again? ─► go install into a fresh partial directory ─► is it what was asked for? ─► rename
//! ```
//! Toxiproxy publishes no Go binary under its name: `go install` of its `cmd/server` leaves one called `server`, so it is
//! renamed, and told by the module that Go writes into every binary (what `go version -m FILE` prints, read here without Go).

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use crate::clock::{Deadline, sleep};
use crate::cluster::java::find_program;
use crate::error::ChaosError;
use crate::journal::user_directory;
use crate::process::{ChildSpec, Output, Program, Spawner, describe_status};

/// The version that is built where none is found. Pinned: `@latest` resolves to an older one.
pub const VERSION: &str = "v2.12.0";
/// Name of the program, on PATH and in the cache.
pub const PROGRAM: &str = "toxiproxy-server";

const MODULE: &str = "github.com/Shopify/toxiproxy/v2";
/// What Go calls the program when it installs it.
const INSTALLED_AS: &str = "server";
/// A build of a few dozen small packages that takes longer than this is given up.
const BUILD_BOUND: Duration = Duration::from_secs(600);
/// How often a wait looks again.
const LOOK: Duration = Duration::from_millis(200);
/// A larger file is no Toxiproxy (it has about 12 MB).
const MAX_PROGRAM_BYTES: u64 = 200 << 20;

/// A Toxiproxy that can be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    /// The file.
    pub path: PathBuf,
    /// Version of its Go module; `(devel)` for the project's own release builds.
    pub version: String,
}

/// The Toxiproxy of this machine, without building one.
pub fn available() -> Option<Binary> {
    let on_path = find_program(PROGRAM).and_then(|path| identified(&path));
    on_path.or_else(|| in_cache(&cached().ok()?))
}

/// The Toxiproxy of this machine, built first if there is none (about half a minute, and needs the network once).
pub fn find_or_build(spawner: &Spawner, progress: &mut dyn FnMut(&str)) -> Result<Binary, ChaosError> {
    if let Some(binary) = available() {
        return Ok(binary);
    }
    let path = cached()?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory).map_err(ChaosError::io(format!("create {}", directory.display())))?;
    let _lock = lock(&path.with_added_extension("lock"), spawner, progress)?;
    if let Some(binary) = in_cache(&path) {
        return Ok(binary);
    }
    build(&path, spawner, progress)?;
    in_cache(&path).ok_or_else(|| ChaosError::missing(format!("{} has vanished", path.display()), ways()))
}

/// One that an older steadfast left in the cache is built anew.
fn in_cache(path: &Path) -> Option<Binary> {
    identified(path).filter(|binary| binary.version == VERSION)
}

fn build(path: &Path, spawner: &Spawner, progress: &mut dyn FnMut(&str)) -> Result<(), ChaosError> {
    let go = find_program("go").ok_or_else(|| {
        ChaosError::missing(
            format!("{PROGRAM} is neither on PATH nor in the cache, and Go cannot build it: no go on PATH"),
            ways(),
        )
    })?;
    // Under the lock: whatever lies there is what a build cut off has left.
    let partial = path.with_added_extension("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(ChaosError::io(format!("remove {}", partial.display())))?;
    }
    fs::create_dir_all(&partial).map_err(ChaosError::io(format!("create {}", partial.display())))?;
    let log = partial.join("go.log");
    progress(&format!(
        "building Toxiproxy {VERSION} with Go (once; about half a minute)"
    ));
    let mut child = spawner.spawn(&ChildSpec {
        name: "go install".into(),
        program: Program::File(go),
        args: vec![
            "install".into(),
            format!("{MODULE}/cmd/{INSTALLED_AS}@{VERSION}").into(),
        ],
        env: vec![("GOBIN".into(), partial.display().to_string())],
        cwd: Some(partial.clone()),
        stdout: Output::File(log.clone()),
        stderr: log.clone(),
    })?;
    let deadline = Deadline::after(BUILD_BOUND);
    let status = loop {
        spawner.check_stop()?;
        match child.wait(LOOK).map_err(ChaosError::io("wait for Go"))? {
            Some(status) => break describe_status(status),
            None if deadline.passed() => break format!("not ready after {BUILD_BOUND:?}"),
            None => {}
        }
    };
    let built = partial.join(INSTALLED_AS);
    match identified(&built) {
        Some(binary) if binary.version == VERSION => {}
        _ => {
            let words = fs::read_to_string(&log).unwrap_or_default();
            let last: Vec<&str> = words.lines().rev().take(4).collect();
            let last: String = last.iter().rev().map(|line| format!("\n  | {line}")).collect();
            return Err(ChaosError::missing(
                format!("Go could not build Toxiproxy {VERSION} ({status}){last}"),
                ways(),
            ));
        }
    }
    fs::rename(&built, path).map_err(ChaosError::io(format!("move Toxiproxy to {}", path.display())))?;
    // The program is in its place; a remnant is removed by the next build.
    let _remnant = fs::remove_dir_all(&partial);
    Ok(())
}

fn ways() -> String {
    format!(
        "install Go 1.23 or newer (`apt-get install golang`) and run this again with the network up; or put a {PROGRAM} \
         of version 2.5 or newer on PATH; or build it elsewhere (`go install {MODULE}/cmd/{INSTALLED_AS}@{VERSION}`) and \
         copy it to {}",
        cached().map_or_else(|_| "the cache".into(), |path| path.display().to_string())
    )
}

fn cached() -> Result<PathBuf, ChaosError> {
    let cache =
        user_directory("XDG_CACHE_HOME", ".cache").map_err(ChaosError::io("find the cache directory"))?;
    Ok(cache.join("steadfast").join(PROGRAM))
}

/// The lock goes with the file, so with this process, however it ends.
fn lock(path: &Path, spawner: &Spawner, progress: &mut dyn FnMut(&str)) -> Result<File, ChaosError> {
    let file = File::create(path).map_err(ChaosError::io(format!("create {}", path.display())))?;
    let deadline = Deadline::after(BUILD_BOUND);
    let mut told = false;
    while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        spawner.check_stop()?;
        if deadline.passed() {
            let what = format!("another build has held {} for {BUILD_BOUND:?}", path.display());
            return Err(ChaosError::missing(
                what,
                "see what that process is waiting for, and run this again",
            ));
        }
        if !told {
            progress("another steadfast is building Toxiproxy: waiting for it");
            told = true;
        }
        sleep(LOOK);
    }
    Ok(file)
}

/// The file as a Toxiproxy, if it is one and can be executed.
fn identified(path: &Path) -> Option<Binary> {
    let metadata = fs::metadata(path).ok()?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 || metadata.len() > MAX_PROGRAM_BYTES
    {
        return None;
    }
    let version = module_version(path).ok()??;
    Some(Binary {
        path: path.to_owned(),
        version,
    })
}

/// The version in the line `mod <tab> MODULE <tab> VERSION <tab> ...` of a Go binary's build information.
fn module_version(path: &Path) -> io::Result<Option<String>> {
    let mut program = Vec::new();
    File::open(path)?
        .take(MAX_PROGRAM_BYTES)
        .read_to_end(&mut program)?;
    let line = format!("\nmod\t{MODULE}\t");
    let Some(begin) = find(&program, line.as_bytes()).map(|at| at + line.len()) else {
        return Ok(None);
    };
    let version = program[begin..]
        .split(|byte| matches!(byte, b'\t' | b'\n'))
        .next()
        .unwrap_or_default();
    Ok(std::str::from_utf8(version)
        .ok()
        .filter(|version| version.len() < 100)
        .map(str::to_owned))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(step) = haystack[from..].iter().position(|&byte| byte == first) {
        let at = from + step;
        if haystack[at..].starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_told_by_the_module_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join(PROGRAM);
        let write = |text: &str, mode: u32| {
            fs::write(&program, text).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(mode)).unwrap();
            identified(&program).map(|binary| binary.version)
        };
        let good =
            format!("\x7fELF..\nmod\tx\npath\t{MODULE}/cmd/server\nmod\t{MODULE}\tv2.12.0\th1:abc\ndep\t..");
        assert_eq!(write(&good, 0o755).as_deref(), Some("v2.12.0"));
        assert_eq!(write(&good, 0o644), None, "not executable");
        assert_eq!(write("#!/bin/sh\nexec something-else\n", 0o755), None);
        assert_eq!(identified(folder.path()), None, "a directory");
        assert_eq!(identified(&folder.path().join("missing")), None);
    }

    #[test]
    fn the_error_names_every_way() {
        let ways = ways();
        for word in ["Go", "PATH", "go install", VERSION, "copy it to"] {
            assert!(ways.contains(word), "{ways}");
        }
    }
}
