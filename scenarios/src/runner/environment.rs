//! Reads the machine for `environment.json`. What cannot be read says "unknown": it is shown, never judged.

use std::path::Path;

use steadfast_verifier::environment::{BrokerEnvironment, Environment, Setting};

/// The machine and the settings of this run.
pub(crate) fn read(
    started_wall: std::time::SystemTime,
    log_dir: &Path,
    broker: BrokerEnvironment,
    differences: Vec<Setting>,
    (subject, rerun): (String, String),
) -> Environment {
    Environment {
        started: humantime::format_rfc3339_seconds(started_wall).to_string(),
        steadfast: env!("CARGO_PKG_VERSION").to_owned(),
        subject,
        debug_build: cfg!(debug_assertions),
        cores: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
        cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into()),
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        memory_bytes: memory_bytes(),
        log_file_system: file_system(log_dir).unwrap_or_else(|| "unknown".into()),
        broker,
        differences,
        rerun,
    }
}

/// Value of the first `name : value` line of a /proc file.
fn field(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim().to_owned())
}

fn memory_bytes() -> u64 {
    field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kib| kib * 1024)
}

/// File system type of the mount that holds `path`: the longest mount point that is a prefix of it.
fn file_system(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let (_, point, kind) = (words.next()?, words.next()?, words.next()?);
            path.starts_with(point).then(|| (point.len(), kind.to_owned()))
        })
        .max()
        .map(|(_, kind)| kind)
}
