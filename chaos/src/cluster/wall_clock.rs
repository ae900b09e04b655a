//! A wall clock of each broker's own, which can be stepped while it runs; the machine's clock is never touched.
//!
//! ```text
//! broker   libfaketime between it and the kernel, preloaded in this child only        reads the file again about once a second
//! file     +0 ─► +176400 ─► +0
//! we       SIGQUIT: the JVM writes its threads to its log, with the time by its own clock in front       what it believes
//! ```
//! The monotonic clock stays true: what stepping does to a real machine's wall clock, ntpd or an administrator does as well.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::ChaosError;

/// How long the library may take to read its file again, and the JVM to answer.
pub(crate) const SHOWS_BOUND: Duration = Duration::from_secs(15);
/// Where distributions put the library, below each of [`PREFIXES`].
const NAMES: [&str; 3] = [
    "faketime/libfaketime.so.1",
    "x86_64-linux-gnu/faketime/libfaketime.so.1",
    "aarch64-linux-gnu/faketime/libfaketime.so.1",
];
const PREFIXES: [&str; 3] = ["/usr/lib", "/usr/lib64", "/usr/local/lib"];

/// The clock of one broker.
#[derive(Debug)]
pub(crate) struct WallClock {
    file: PathBuf,
}

/// The library that stands between a child and the kernel's clock; else how to get it.
pub fn library() -> Result<PathBuf, String> {
    let mut paths = PREFIXES
        .iter()
        .flat_map(|prefix| NAMES.iter().map(move |name| Path::new(prefix).join(name)));
    paths
        .find(|path| path.is_file())
        .ok_or_else(|| "libfaketime is not here (apt-get install libfaketime)".to_owned())
}

impl WallClock {
    /// It goes right at first.
    pub(super) fn new(file: PathBuf) -> Result<WallClock, ChaosError> {
        let clock = WallClock { file };
        clock.set(0)?;
        Ok(clock)
    }

    /// What a child needs in its environment.
    pub(super) fn environment(&self, library: &Path) -> Vec<(String, String)> {
        [
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            // Measured with 0.9.10 and Java 17: with its default, 1, timed waits on the monotonic clock return at once.
            ("FAKETIME_FORCE_MONOTONIC_FIX", "0".to_owned()),
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// So many seconds ahead of the machine's; behind it when negative.
    pub(super) fn set(&self, ahead: i64) -> Result<(), ChaosError> {
        // Renamed into its place: the library never reads half of it.
        let new = self.file.with_extension("new");
        let written = fs::write(&new, format!("{ahead:+}\n")).and_then(|()| fs::rename(&new, &self.file));
        written.map_err(ChaosError::io(format!("set {}", self.file.display())))
    }
}

/// Takes away what the library leaves in shared memory for each process that it was preloaded in; most have nothing there.
pub(crate) fn sweep(pid: u32) {
    for name in [format!("faketime_shm_{pid}"), format!("sem.faketime_sem_{pid}")] {
        let _absent = fs::remove_file(Path::new("/dev/shm").join(name));
    }
}

/// Pure: the time in front of the last list of threads in a log, in seconds since 1970 by that JVM's own calendar, whatever
/// its time zone is.
pub(super) fn told(log: &str) -> Option<i64> {
    let (before, _) = log.rsplit_once("\nFull thread dump ")?;
    calendar(before.lines().next_back()?)
}

/// Seconds since 1970 by the machine's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "a broker's wall clock is told by how far it is from the machine's"
)]
pub(super) fn machine() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// `2026-11-27 01:20:23`.
fn calendar(line: &str) -> Option<i64> {
    let (date, time) = line.trim().split_once(' ')?;
    let numbers = |text: &str, by: char| -> Option<[i64; 3]> {
        let parts: Result<Vec<i64>, _> = text.split(by).map(str::parse).collect();
        parts.ok()?.try_into().ok()
    };
    let ([year, month, day], [hour, minute, second]) = (numbers(date, '-')?, numbers(time, ':')?);
    // Days of the civil calendar: https://howardhinnant.github.io/date_algorithms.html#days_from_civil
    let shifted = if month > 2 { year } else { year - 1 };
    let (era, of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jvm_tells_the_time_before_its_threads() {
        assert_eq!(calendar("1970-01-01 00:00:00"), Some(0));
        assert_eq!(calendar("2000-02-29 12:00:01"), Some(951_825_601));
        assert_eq!(calendar("2026-11-27 01:20:23"), Some(1_795_742_423));
        assert_eq!(calendar("[info] something"), None);
        let log = "x\n2026-11-27 01:20:20\nFull thread dump OpenJDK\n...\n2026-11-27 01:20:23\nFull thread dump OpenJDK\n";
        assert_eq!(told(log), Some(1_795_742_423));
        assert_eq!(told("nothing"), None);
    }

    #[test]
    fn the_file_says_what_the_library_reads() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("clock");
        let clock = WallClock::new(file.clone()).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "+0\n");
        clock.set(-7200).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "-7200\n");
        assert!(machine() > 1_795_742_000);
    }
}
