//! `steadfast cluster fetch`: Maven resolves the jars of Apache Kafka from a pinned pom into the user's cache.
//!
//! ```text
//! lock file ─► complete already? ─► fresh partial directory ─► mvn dependency:copy-dependencies
//!                                                          ─► marker that lists every jar ─► rename into place
//! ```
//! Two fetches at once: the second waits for the lock and finds the work done. Cut off half-way: the partial directory is
//! never looked at, and the next fetch removes it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::java;
use super::kafka::{COMPLETE, Home, Pinned, cache_directory, is_complete, pinned};
use crate::clock::{Deadline, sleep};
use crate::error::ChaosError;
use crate::process::{ChildSpec, Output, Program, Spawner, describe_status};

/// A download of 54 MB that takes longer than this is given up.
const FETCH_BOUND: Duration = Duration::from_secs(900);
/// How often progress is looked at.
const LOOK: Duration = Duration::from_millis(500);
const POM: &str = include_str!("pom.xml");

/// Makes sure that the jars of `version` (empty: the default) are in the cache, and says so line by line.
pub fn fetch(version: &str, spawner: &Spawner, progress: &mut dyn FnMut(&str)) -> Result<Home, ChaosError> {
    let pinned = pinned(version)?;
    let jars = cache_directory(pinned.version)?;
    let home = Home {
        version: pinned.version.into(),
        jars: jars.clone(),
        origin: "the cache",
    };
    if is_complete(&jars) {
        progress(&format!(
            "Apache Kafka {} is in {}",
            pinned.version,
            jars.display()
        ));
        return Ok(home);
    }
    let parent = jars.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).map_err(ChaosError::io(format!("create {}", parent.display())))?;
    let _lock = lock(&jars.with_added_extension("lock"), spawner, progress)?;
    if !is_complete(&jars) {
        download(pinned, &jars, spawner, progress)?;
    }
    progress(&format!(
        "Apache Kafka {} is in {}",
        pinned.version,
        jars.display()
    ));
    Ok(home)
}

/// The lock goes with the file, so with this process, however it ends.
fn lock(path: &Path, spawner: &Spawner, progress: &mut dyn FnMut(&str)) -> Result<File, ChaosError> {
    let file = File::create(path).map_err(ChaosError::io(format!("create {}", path.display())))?;
    let deadline = Deadline::after(FETCH_BOUND);
    let mut told = false;
    while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        spawner.check_stop()?;
        if deadline.passed() {
            let what = format!("another fetch has held {} for {FETCH_BOUND:?}", path.display());
            return Err(ChaosError::missing(
                what,
                "see what that process is waiting for, and run this again",
            ));
        }
        if !told {
            progress("another steadfast is fetching the same jars: waiting for it");
            told = true;
        }
        sleep(LOOK);
    }
    Ok(file)
}

fn download(
    pinned: Pinned,
    jars: &Path,
    spawner: &Spawner,
    progress: &mut dyn FnMut(&str),
) -> Result<(), ChaosError> {
    let maven = find_maven()?;
    java::find()?;
    let partial = jars.with_added_extension("partial");
    let io = |what: &str, path: &Path| ChaosError::io(format!("{what} {}", path.display()));
    // Under the lock: whatever lies there is what a cut-off fetch has left.
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(io("remove", &partial))?;
    }
    let (collected, log) = (partial.join("jars"), partial.join("maven.log"));
    fs::create_dir_all(&collected).map_err(io("create", &collected))?;
    let pom = POM
        .replace("@SCALA@", pinned.scala)
        .replace("@KAFKA@", pinned.version);
    let pom = pom
        .replace("@BINDING@", pinned.slf4j_binding)
        .replace("@SLF4J@", pinned.slf4j);
    fs::write(partial.join("pom.xml"), pom).map_err(io("write", &partial))?;

    progress(&format!(
        "fetching Apache Kafka {} with Maven (about 100 jars, 54 MB or more)",
        pinned.version
    ));
    run_maven(&maven, &partial, &collected, &log, spawner, progress)?;
    let core = format!("kafka_{}-{}.jar", pinned.scala, pinned.version);
    if !collected.join(&core).is_file() {
        return Err(ChaosError::missing(
            format!("Maven ended well but brought no {core}"),
            maven_mend(&log),
        ));
    }
    write_marker(&collected).map_err(io("write the marker in", &collected))?;
    if jars.exists() {
        fs::remove_dir_all(jars).map_err(io("remove the incomplete", jars))?;
    }
    fs::rename(&collected, jars).map_err(io("move the jars to", jars))?;
    fs::remove_dir_all(&partial).map_err(io("remove", &partial))
}

fn run_maven(
    maven: &Path,
    partial: &Path,
    collected: &Path,
    log: &Path,
    spawner: &Spawner,
    progress: &mut dyn FnMut(&str),
) -> Result<(), ChaosError> {
    let mut child = spawner.spawn(&ChildSpec {
        name: "mvn".into(),
        program: Program::File(maven.to_owned()),
        args: vec![
            "--batch-mode".into(),
            // A jar whose checksum is wrong is an error, not a warning.
            "--strict-checksums".into(),
            "dependency:copy-dependencies".into(),
            "-DincludeScope=runtime".into(),
            format!("-DoutputDirectory={}", collected.display()).into(),
        ],
        env: Vec::new(),
        cwd: Some(partial.to_owned()),
        stdout: Output::File(log.to_owned()),
        stderr: log.to_owned(),
    })?;
    let deadline = Deadline::after(FETCH_BOUND);
    let mut seen = 0;
    loop {
        let status = child.wait(LOOK).map_err(ChaosError::io("wait for Maven"))?;
        spawner.check_stop()?;
        let text = fs::read_to_string(log).unwrap_or_default();
        let (downloaded, copied) = (
            text.matches("Downloaded from").count(),
            text.matches("Copying ").count(),
        );
        if downloaded + copied > seen {
            seen = downloaded + copied;
            progress(&format!(
                "Maven: {downloaded} files downloaded, {copied} jars copied"
            ));
        }
        match status {
            Some(status) if status.success() => return Ok(()),
            Some(status) => {
                let what = format!(
                    "Maven failed ({}):\n{}",
                    describe_status(status),
                    errors_of(&text)
                );
                return Err(ChaosError::missing(what, maven_mend(log)));
            }
            None if deadline.passed() => {
                let what = format!("Maven had not finished after {FETCH_BOUND:?}");
                return Err(ChaosError::missing(
                    what,
                    "look at the network and run this again",
                ));
            }
            None => {}
        }
    }
}

fn find_maven() -> Result<PathBuf, ChaosError> {
    java::find_program("mvn").ok_or_else(|| {
        ChaosError::missing(
            "Maven (mvn) is not on PATH, and it is what fetches the jars of Apache Kafka",
            "install it (`apt-get install maven`), or point KAFKA_HOME at an unpacked Kafka",
        )
    })
}

/// Maven says the same several times and in colour; the first lines that say anything are enough.
fn errors_of(log: &str) -> String {
    let errors = log
        .lines()
        .filter(|line| line.contains("ERROR") && line.len() > "[ERROR] ".len());
    errors
        .take(4)
        .map(|line| format!("  | {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn maven_mend(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let mend = if says(&["No space left"]) {
        "free disk space, and run `steadfast cluster fetch` again"
    } else if says(&["JAVA_HOME"]) {
        "point JAVA_HOME at a Java 17 or newer, and run `steadfast cluster fetch` again"
    } else {
        "look at the network (a mirror or proxy is set in ~/.m2/settings.xml) and run `steadfast cluster fetch` again, \
         or point KAFKA_HOME at an unpacked Kafka"
    };
    format!("{mend}; Maven's own words: {}", log.display())
}

fn write_marker(jars: &Path) -> std::io::Result<()> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(jars)? {
        let entry = entry?;
        lines.push(format!(
            "{} {}\n",
            entry.metadata()?.len(),
            entry.file_name().to_string_lossy()
        ));
    }
    lines.sort();
    fs::write(jars.join(COMPLETE), lines.concat())
}
