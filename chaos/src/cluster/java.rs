//! Finding Java, and how its JVM is set up for a broker.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use steadfast_verifier::environment::Setting;

use super::kafka::JAVA_NEEDED;
use crate::error::ChaosError;
use crate::process::{ChildSpec, Output, Program, Spawner};

/// `java --version` that takes longer than this is broken.
const VERSION_BOUND: Duration = Duration::from_secs(15);
const MEND: &str =
    "install Java 17 or newer (`apt-get install openjdk-17-jre-headless`), or point JAVA_HOME at one";

/// A Java that is new enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Java {
    /// Its launcher.
    pub path: PathBuf,
    /// First line of `java --version`.
    pub version: String,
}

/// The launcher: of `JAVA_HOME` if that is set, else from PATH.
pub fn find() -> Result<PathBuf, ChaosError> {
    if let Some(home) = std::env::var_os("JAVA_HOME").filter(|home| !home.is_empty()) {
        let path = Path::new(&home).join("bin/java");
        return if is_program(&path) {
            Ok(path)
        } else {
            Err(ChaosError::missing(
                format!("JAVA_HOME is {}, but there is no bin/java", home.display()),
                MEND,
            ))
        };
    }
    find_program("java")
        .ok_or_else(|| ChaosError::missing("no Java: JAVA_HOME is not set, and PATH has no `java`", MEND))
}

/// Finds Java, asks its version and refuses one that is too old. `logs` takes what it says on stderr.
pub fn check(spawner: &Spawner, logs: &Path) -> Result<Java, ChaosError> {
    let path = find()?;
    let mut child = spawner.spawn(&ChildSpec {
        name: "java --version".into(),
        program: Program::File(path.clone()),
        args: vec!["--version".into()],
        env: Vec::new(),
        cwd: None,
        stdout: Output::Pipe,
        stderr: logs.join("java-version.log"),
    })?;
    let status = child
        .wait(VERSION_BOUND)
        .map_err(ChaosError::io("wait for java --version"))?;
    let mut text = String::new();
    if let (Some(_), Some(mut stdout)) = (status, child.take_stdout()) {
        stdout
            .read_to_string(&mut text)
            .map_err(ChaosError::io("read java --version"))?;
    }
    // Java 8 does not know the flag, and fails.
    let version = text
        .lines()
        .find(|line| major(line).is_some())
        .unwrap_or_default()
        .to_owned();
    match major(&version) {
        Some(found) if found >= JAVA_NEEDED => Ok(Java { path, version }),
        Some(_) => Err(ChaosError::missing(
            format!("{} is {version}; Kafka needs Java 17", path.display()),
            MEND,
        )),
        None => Err(ChaosError::missing(
            format!("{} --version did not tell a version", path.display()),
            MEND,
        )),
    }
}

/// 17 from `openjdk 17.0.15 2025-04-15`.
fn major(line: &str) -> Option<u32> {
    let number = line.split_ascii_whitespace().nth(1)?;
    number.split(['.', '-', '+']).next()?.parse().ok()
}

/// Looks a program up in PATH.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|candidate| is_program(candidate))
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// What kafka-server-start.sh gives a broker, MiB.
const KAFKA_HEAP: u64 = 1024;

/// Memory of one JVM, MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heap {
    /// -Xms and -Xmx.
    pub(crate) total: u64,
    /// -Xmn; none leaves it to G1.
    pub(crate) young: Option<u64>,
}

impl Heap {
    /// The largest that leaves the machine room: `available` is its free memory in MiB.
    pub(crate) fn of_broker(brokers: u32, available: u64) -> Heap {
        match (brokers, available) {
            // Kafka's own heap, and G1's own sizes: at 25,000 records/s a young collection takes 4-8 ms every 4 s. With 2 GB
            // and a young generation of 1.5 GB it took 22-38 ms every 8 s (GC logs, November 2026).
            (1, 3072..) => Heap {
                total: KAFKA_HEAP,
                young: None,
            },
            (2.., 6144..) => Heap {
                total: 512,
                young: Some(256),
            },
            _ => Heap {
                total: 384,
                young: None,
            },
        }
    }

    /// A dedicated controller holds little.
    pub(crate) const CONTROLLER: Heap = Heap {
        total: 256,
        young: None,
    };

    /// What of this is not Kafka's default, and why.
    pub(crate) fn differences(self, brokers: u32) -> Vec<Setting> {
        let reason = if brokers == 1 {
            "this machine has little memory"
        } else {
            "several JVMs share this machine"
        };
        let mut settings = Vec::new();
        if self.total != KAFKA_HEAP {
            settings.push(setting("-Xms / -Xmx", format!("{}m", self.total), "1g", reason));
        }
        if let Some(young) = self.young {
            settings.push(setting("-Xmn", format!("{young}m"), "chosen by G1", reason));
        }
        let reason = "the heap's pages are there before the first record, so no page fault counts as latency";
        settings.push(setting("-XX:+AlwaysPreTouch", "on".into(), "off", reason));
        settings
    }
}

/// An option that the scenario adds, as `KAFKA_JVM_PERFORMANCE_OPTS` would.
pub(crate) fn asked_for(option: &str) -> Setting {
    let reason = "the scenario's own jvm-options";
    setting(option, "given".into(), "not given", reason)
}

/// Options that every JVM takes from the environment of whoever starts it.
pub(crate) fn of_environment() -> Option<Setting> {
    let value = std::env::var(TOOL_OPTIONS).ok();
    let value = value.filter(|value| !value.trim().is_empty())?;
    Some(setting(
        TOOL_OPTIONS,
        value,
        "not set",
        "it is set where steadfast was started",
    ))
}

const TOOL_OPTIONS: &str = "JAVA_TOOL_OPTIONS";

fn setting(name: &str, value: String, default: &str, reason: &str) -> Setting {
    Setting {
        scope: "jvm".into(),
        name: name.into(),
        value,
        default: default.into(),
        reason: reason.into(),
    }
}

/// MemAvailable of /proc/meminfo in MiB; 0 when unreadable, which chooses the smallest heaps.
pub(crate) fn available_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
}

/// Arguments of a broker's JVM: the collector as in Kafka's own `kafka-run-class.sh`, its heap, its collections' log.
pub(crate) fn broker_arguments(heap: Heap, gc_log: &Path) -> Vec<String> {
    let mut arguments = vec![
        "-server".into(),
        "-XX:+UseG1GC".into(),
        "-XX:MaxGCPauseMillis=20".into(),
        "-XX:InitiatingHeapOccupancyPercent=35".into(),
        "-XX:+ExplicitGCInvokesConcurrent".into(),
        "-Djava.awt.headless=true".into(),
        format!("-Xms{}m", heap.total),
        format!("-Xmx{}m", heap.total),
        "-XX:+AlwaysPreTouch".into(),
        // One line per pause, written by a thread of its own.
        "-Xlog:async".into(),
        format!("-Xlog:gc:file={}:time,uptime:filecount=0", gc_log.display()),
    ];
    arguments.extend(heap.young.map(|young| format!("-Xmn{young}m")));
    arguments
}

/// Every slf4j binding that may be in the jars (ours: simple; Kafka's own: log4j2, before version 4 reload4j) writes INFO to
/// stderr.
pub(crate) fn logging_arguments(log4j: &Path, log4j2: &Path) -> [String; 6] {
    [
        "-Dorg.slf4j.simpleLogger.showDateTime=true".into(),
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss,SSS".into(),
        "-Dorg.slf4j.simpleLogger.showShortLogName=true".into(),
        "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config.AbstractConfig=warn".into(),
        format!("-Dlog4j.configuration=file:{}", log4j.display()),
        format!("-Dlog4j2.configurationFile={}", log4j2.display()),
    ]
}

/// For jars that bring reload4j (Kafka 3): without it they would log nothing.
pub(crate) const LOG4J_PROPERTIES: &str = "\
log4j.rootLogger=INFO, stderr
log4j.appender.stderr=org.apache.log4j.ConsoleAppender
log4j.appender.stderr.target=System.err
log4j.appender.stderr.layout=org.apache.log4j.PatternLayout
log4j.appender.stderr.layout.ConversionPattern=%d %p %c{1} - %m%n
log4j.logger.org.apache.kafka.common.config.AbstractConfig=WARN
";

/// For jars that bring log4j2: without it they would log errors only.
pub(crate) const LOG4J2_PROPERTIES: &str = "\
status = error
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d %p %c{1} - %m%n
rootLogger.level = info
rootLogger.appenderRef.stderr.ref = stderr
logger.config.name = org.apache.kafka.common.config.AbstractConfig
logger.config.level = warn
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_versions() {
        assert_eq!(major("openjdk 17.0.15 2025-04-15"), Some(17));
        assert_eq!(major("java 21-ea 2023-09-19"), Some(21));
        assert_eq!(major("openjdk version \"1.8.0_392\""), None);
        assert_eq!(major(""), None);
    }

    #[test]
    fn heaps_fit_the_machine() {
        for (brokers, available) in [(1, 0), (1, 4000), (1, 8000), (3, 2000), (3, 8000)] {
            let heap = Heap::of_broker(brokers, available);
            assert!(
                available == 0 || heap.total * u64::from(brokers) <= available * 2 / 3,
                "{brokers} {available}"
            );
            assert!(heap.young.is_none_or(|young| young < heap.total));
        }
    }
}
