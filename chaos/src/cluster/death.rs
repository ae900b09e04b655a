//! Why a broker, or whatever stands for it, died: what its log says last, and what mends that.

use std::fs;
use std::path::Path;

use crate::error::ChaosError;

/// How many lines of a dead broker's log are shown.
const LAST_LINES: usize = 8;
/// How much of the end of its log is searched for the reason.
const LOG_TAIL: usize = 64 * 1024;
/// With less room than this a broker's write may just have failed, and its log could not say so any more.
const FULL_BELOW: u64 = 4 << 20;
/// What a JVM says whose listener found its port taken.
const PORT_TAKEN: &str = "Address already in use";

/// The error for something that a child with a log did: with the end of that log, and what to do about it.
pub(crate) fn failure_of(name: &str, log: &Path, reason: &str) -> ChaosError {
    let tail = tail(log);
    let telling = |line: &&str| !line.starts_with("\tat ") && !line.trim().is_empty();
    let mut last_lines: Vec<String> = tail
        .lines()
        .rev()
        .filter(telling)
        .take(LAST_LINES)
        .map(str::to_owned)
        .collect();
    last_lines.reverse();
    let mend = mend(&tail, disk_is_full(log)).to_owned();
    let (name, reason, log) = (name.to_owned(), reason.to_owned(), log.display().to_string());
    ChaosError::Broker {
        name,
        reason,
        log,
        last_lines,
        mend,
    }
}

/// True when the log says that a listener found its port taken.
pub(crate) fn port_was_taken(log: &Path) -> bool {
    tail(log).contains(PORT_TAKEN)
}

/// The end of a log file, decoded loosely.
fn tail(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(LOG_TAIL)..]).into_owned()
}

/// Words in the log of a dead broker, and what mends it.
const MENDS: &[(&str, &str)] = &[
    (
        "No space left on device",
        "free disk space, or put the run folder on another disk with --out",
    ),
    (PORT_TAKEN, "end what listens on that port (`ss -ltnp` lists it)"),
    (
        "insufficient memory",
        "free memory: the JVM could not get its heap",
    ),
    (
        "Could not reserve enough space",
        "free memory: the JVM could not get its heap",
    ),
    ("OutOfMemoryError", "free memory, or run fewer nodes"),
    (
        "Too many open files",
        "raise the limit of open files (`ulimit -n`)",
    ),
    (
        "UnsupportedClassVersionError",
        "point JAVA_HOME at Java 17 or newer",
    ),
    (
        "Could not find or load main class",
        "the jars are incomplete: run `steadfast cluster fetch` again, or look at KAFKA_HOME",
    ),
    (
        "ClassNotFoundException",
        "the jars are incomplete: run `steadfast cluster fetch` again, or look at KAFKA_HOME",
    ),
    (
        "ConfigException",
        "mend the setting that the log names, under [cluster.properties]",
    ),
    ("cannot execute", "look at JAVA_HOME and PATH"),
    (
        "OCI runtime create failed",
        "look at [cluster] image: it needs a shell, Java and /opt/kafka, as apache/kafka has them",
    ),
];

fn mend(log: &str, disk_is_full: bool) -> &'static str {
    let (_, full) = MENDS[0];
    let told = MENDS.iter().find(|(words, _)| log.contains(words));
    match told {
        _ if disk_is_full => full,
        Some((_, mend)) => mend,
        None => "read the log",
    }
}

/// Whether the disk that this log is on has no room left; the brokers' data are on the same.
fn disk_is_full(log: &Path) -> bool {
    let here = log.parent().unwrap_or(log);
    rustix::fs::statvfs(here)
        .is_ok_and(|disk| disk.f_blocks > 0 && disk.f_bavail.saturating_mul(disk.f_frsize) < FULL_BELOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cause_in_the_log_chooses_the_mend() {
        assert!(mend("java.io.IOException: No space left on device", false).contains("disk"));
        let config = "org.apache.kafka.common.config.ConfigException: x";
        assert!(mend(config, false).contains("[cluster.properties]"));
        assert_eq!(mend("Killed", false), "read the log");
        // A log on a full disk ends before it says why.
        assert!(mend("", true).contains("disk"));
        // What has no blocks at all is no disk.
        assert!(!disk_is_full(Path::new("/proc/log")) && !disk_is_full(Path::new("/nowhere/log")));
    }

    #[test]
    fn a_long_log_is_read_from_its_end() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        fs::write(&path, format!("{}the end", "x".repeat(LOG_TAIL))).unwrap();
        let tail = tail(&path);
        assert!(tail.ends_with("the end") && tail.len() == LOG_TAIL);
        assert_eq!(super::tail(Path::new("/nowhere")), "");
    }
}
