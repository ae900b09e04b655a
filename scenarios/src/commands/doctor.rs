//! `steadfast doctor`: what this machine has of what runs need, and the command that mends what it lacks.
//!
//! Rust is not looked for: whoever runs this has built it, and no run needs it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde::Serialize;
use steadfast_chaos::cluster::{kafka, wall_clock};

use crate::exit::Exit;
use crate::out;

/// A program that does not tell its version within this is broken.
const VERSION_TIMEOUT: Duration = Duration::from_secs(10);
/// Kafka 4 brokers need this Java or a newer one.
const JAVA_NEEDED: u32 = 17;
/// A broker, a worker and the verifier at their smallest.
const MEMORY_NEEDED: u64 = 2 << 30;
/// load/max writes about this much.
const DISK_NEEDED: u64 = 2 << 30;
/// Clock sources that cost tens of nanoseconds, not a trap into the hypervisor or a slow bus.
const FAST_CLOCKS: &[&str] = &[
    "tsc",
    "kvm-clock",
    "arch_sys_counter",
    "hyperv_clocksource_tsc_page",
    "xen",
];

/// What was found of one prerequisite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// As it should be.
    Ok,
    /// Works, with a caveat that figures will show.
    Weak,
    /// Not here, and only some scenarios or tests need it.
    Absent,
    /// Not here, and the main job needs it.
    Missing,
}

/// One line of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    name: &'static str,
    state: State,
    /// What was found.
    found: String,
    /// What needs it.
    needed_for: &'static str,
    /// The command or step that mends it; empty when all is well.
    mend: String,
}

/// First kernel with epoll_pwait2.
const KERNEL: (u32, u32) = (5, 11);

/// Looks, prints, and ends with 3 when something that the main job needs is missing.
pub(crate) fn run(json: bool) -> Exit {
    let jars = kafka_jars();
    let checks = vec![
        java(),
        maven(jars.state == State::Ok),
        jars,
        docker(),
        toxiproxy(),
        chromium(),
        kcat(),
        valgrind(),
        faketime(),
        cores(),
        memory(),
        disk(),
        kernel(),
        clock(),
        timer_slack(),
        run_queue(),
    ];
    if json {
        match serde_json::to_string_pretty(&checks) {
            Ok(json) => out::line(format_args!("{json}")),
            Err(error) => {
                eprintln!("error: {error}");
                return Exit::ToolError;
            }
        }
    } else {
        out::text(&text(&checks));
    }
    if checks.iter().any(|check| check.state == State::Missing) {
        Exit::Environment
    } else {
        Exit::Pass
    }
}

fn text(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let state = match check.state {
            State::Ok => "ok",
            State::Weak => "weak",
            State::Absent => "absent",
            State::Missing => "MISSING",
        };
        text.push_str(&format!("{state:<8} {:<14} {}\n", check.name, check.found));
        if check.state != State::Ok {
            text.push_str(&format!(
                "{:24}needed for {}\n{:24}mend: {}\n",
                "", check.needed_for, "", check.mend
            ));
        }
    }
    text
}

fn java() -> Check {
    let home = std::env::var_os("JAVA_HOME").filter(|home| !home.is_empty());
    let program = home
        .map(|home| Path::new(&home).join("bin/java"))
        .filter(|path| path.is_file())
        .or_else(|| find("java"));
    let version = program.as_deref().and_then(|program| ask(program, &["-version"]));
    let major = version.as_deref().and_then(java_major);
    let state = if major.is_some_and(|major| major >= JAVA_NEEDED) {
        State::Ok
    } else {
        State::Missing
    };
    Check {
        name: "java",
        state,
        found: version.unwrap_or_else(|| "no `java` in JAVA_HOME or PATH".to_owned()),
        needed_for: "--broker kafka (Java 17 or newer)",
        mend: "apt-get install openjdk-17-jre-headless, or point JAVA_HOME at one".to_owned(),
    }
}

/// `openjdk version "17.0.15" 2025-04-15` → 17; `java version "1.8.0_392"` → 8.
fn java_major(version: &str) -> Option<u32> {
    let number = version.split('"').nth(1)?;
    let mut parts = number.split(['.', '_', '-', '+']);
    match parts.next()?.parse().ok()? {
        1 => parts.next()?.parse().ok(),
        major => Some(major),
    }
}

fn maven(jars_are_here: bool) -> Check {
    let program = find("mvn");
    Check {
        name: "maven",
        state: match (&program, jars_are_here) {
            (Some(_), _) => State::Ok,
            (None, true) => State::Absent,
            (None, false) => State::Missing,
        },
        found: show(program.as_deref(), "no `mvn` in PATH"),
        needed_for: "steadfast cluster fetch (only while Kafka's jars are not here)",
        mend: "apt-get install maven, or point KAFKA_HOME at an unpacked Kafka".to_owned(),
    }
}

fn kafka_jars() -> Check {
    let (state, found) = match kafka::locate("") {
        Ok(home) => (
            State::Ok,
            format!("{} from {} ({})", home.version, home.origin, home.jars.display()),
        ),
        Err(error) => (State::Missing, error.to_string()),
    };
    Check {
        name: "kafka jars",
        state,
        found,
        needed_for: "--broker kafka",
        mend: "steadfast cluster fetch".to_owned(),
    }
}

/// The engine's own version: its command line alone runs nothing.
fn docker() -> Check {
    let program = find("docker");
    let version = ["version", "--format", "version {{.Server.Version}}"];
    let answer = program.as_deref().and_then(|program| ask(program, &version));
    let (otherwise, mend) = match program {
        None => ("no `docker` in PATH", "apt-get install docker.io"),
        Some(_) => (
            "`docker` is here, but no engine answers it",
            "systemctl start docker (`dockerd` as root where there is no systemd), or the right to its socket",
        ),
    };
    Check {
        name: "docker",
        state: if answer.is_some() {
            State::Ok
        } else {
            State::Absent
        },
        found: answer.unwrap_or_else(|| otherwise.to_owned()),
        needed_for: "--broker docker",
        mend: mend.to_owned(),
    }
}

fn toxiproxy() -> Check {
    let (state, found) = match (steadfast_chaos::toxiproxy::available(), find("go")) {
        (Some(server), _) => (
            State::Ok,
            format!("{} ({})", server.path.display(), server.version),
        ),
        (None, Some(go)) => (
            State::Ok,
            format!("not here yet; built once with {} when first needed", go.display()),
        ),
        (None, None) => (
            State::Absent,
            "no `toxiproxy-server` and no `go` in PATH".to_owned(),
        ),
    };
    Check {
        name: "toxiproxy",
        state,
        found,
        needed_for: "network faults (delivery/client-partition)",
        mend: "`apt-get install golang` (it is then built once), or put toxiproxy-server 2.12 into PATH"
            .to_owned(),
    }
}

fn kcat() -> Check {
    let program = ["kcat", "kafkacat"].into_iter().find_map(find);
    Check {
        name: "kcat",
        state: if program.is_some() {
            State::Ok
        } else {
            State::Absent
        },
        found: show(program.as_deref(), "none in PATH"),
        needed_for: "the tests that a foreign client uses the simulated broker; no run needs it",
        mend: "apt-get install kcat".to_owned(),
    }
}

fn valgrind() -> Check {
    let program = find("valgrind");
    Check {
        name: "valgrind",
        state: if program.is_some() {
            State::Ok
        } else {
            State::Absent
        },
        found: show(program.as_deref(), "none in PATH"),
        needed_for: "counting what a record costs (docs/instructions.md); no run needs it",
        mend: "apt-get install valgrind".to_owned(),
    }
}

fn faketime() -> Check {
    let library = wall_clock::library();
    Check {
        name: "libfaketime",
        state: if library.is_ok() { State::Ok } else { State::Absent },
        found: show(library.as_deref().ok(), "none below /usr/lib"),
        needed_for: "faults that step a broker's clock (step-clock)",
        mend: "apt-get install libfaketime".to_owned(),
    }
}

fn chromium() -> Check {
    let program = ["chromium", "chromium-browser", "google-chrome", "chrome"]
        .into_iter()
        .find_map(find);
    Check {
        name: "chromium",
        state: if program.is_some() {
            State::Ok
        } else {
            State::Absent
        },
        found: show(program.as_deref(), "none in PATH"),
        needed_for: "the test that opens the report in a browser; no run needs it",
        mend: "apt-get install chromium".to_owned(),
    }
}

fn cores() -> Check {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Check {
        name: "cores",
        state: if cores >= 2 { State::Ok } else { State::Weak },
        found: cores.to_string(),
        needed_for: "latency and CPU figures: broker and client share this machine",
        mend: "a machine with 2 cores or more".to_owned(),
    }
}

fn memory() -> Check {
    let available = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    });
    room(
        "memory",
        available,
        MEMORY_NEEDED,
        "a broker, the client and the verifier",
        "end other programs, or use a larger machine",
    )
}

fn disk() -> Check {
    room(
        "free disk",
        free_bytes(Path::new(".")),
        DISK_NEEDED,
        "the broker's log and the run folder",
        "free some, or run where more is free (--out)",
    )
}

fn room(name: &'static str, found: Option<u64>, needed: u64, needed_for: &'static str, mend: &str) -> Check {
    let show = |bytes| bytesize::ByteSize::b(bytes).display().iec().to_string();
    Check {
        name,
        state: if found.is_some_and(|found| found >= needed) {
            State::Ok
        } else {
            State::Weak
        },
        found: found.map_or_else(
            || "unknown".to_owned(),
            |found| format!("{} ({} or more are wanted)", show(found), show(needed)),
        ),
        needed_for,
        mend: mend.to_owned(),
    }
}

fn clock() -> Check {
    let source = read("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    let fast = source
        .as_deref()
        .is_some_and(|source| FAST_CLOCKS.contains(&source));
    Check {
        name: "clock source",
        state: if fast { State::Ok } else { State::Weak },
        found: source.unwrap_or_else(|| "unknown".to_owned()),
        needed_for: "stamps that cost tens of nanoseconds, not a microsecond",
        mend: format!("boot with a source among {}", FAST_CLOCKS.join(", ")),
    }
}

fn kernel() -> Check {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release
        .split(['.', '-'])
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    Check {
        name: "kernel",
        state: if version >= KERNEL {
            State::Ok
        } else {
            State::Missing
        },
        found: release,
        needed_for: "waits of nanoseconds (epoll_pwait2)",
        mend: format!("Linux {}.{} or newer", KERNEL.0, KERNEL.1),
    }
}

fn timer_slack() -> Check {
    let slack = read("/proc/self/timerslack_ns").and_then(|text| text.parse::<u64>().ok());
    Check {
        name: "timer slack",
        state: if slack.is_some() { State::Ok } else { State::Weak },
        found: slack.map_or_else(
            || "unknown".to_owned(),
            |slack| format!("{slack} ns by default; the worker sets 1 ns for its own thread"),
        ),
        needed_for: "records that leave when they are due",
        mend: "a kernel with /proc/PID/timerslack_ns (4.6 or newer)".to_owned(),
    }
}

fn run_queue() -> Check {
    let readable =
        read("/proc/thread-self/schedstat").is_some_and(|text| text.split_whitespace().count() >= 2);
    Check {
        name: "schedstat",
        state: if readable { State::Ok } else { State::Weak },
        found: if readable {
            "readable".to_owned()
        } else {
            "not readable".to_owned()
        },
        needed_for: "telling the machine's disturbance from the producer's slowness (H1)",
        mend: "a kernel with CONFIG_SCHED_INFO".to_owned(),
    }
}

/// Free bytes of the file system that holds a path.
pub(crate) fn free_bytes(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

fn find(name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let runs = |path: &PathBuf| {
        std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(runs)
}

fn show(program: Option<&Path>, otherwise: &str) -> String {
    program.map_or_else(|| otherwise.to_owned(), |path| path.display().to_string())
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path)
        .ok()
        .map(|text| text.trim().to_owned())
}

/// First line with a version of what a program says to these arguments, on either stream; none when it fails or takes too long.
fn ask(program: &Path, args: &[&str]) -> Option<String> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let (mut stdout, mut stderr) = (child.stdout.take()?, child.stderr.take()?);
    let (said, answer) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = stderr
            .read_to_string(&mut text)
            .and_then(|_| stdout.read_to_string(&mut text));
        // Nobody listens any more when it took too long.
        let _ = said.send(read.map(|_| text));
    });
    let text = answer.recv_timeout(VERSION_TIMEOUT);
    if text.is_err() {
        // It may have ended by itself meanwhile; either way it is waited for below.
        let _ = child.kill();
    }
    let status = child.wait().ok()?;
    let text = text.ok()?.ok()?;
    status
        .success()
        .then(|| {
            text.lines()
                .find(|line| line.contains("version"))
                .map(str::to_owned)
        })
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_of_java_is_read() {
        assert_eq!(java_major("openjdk version \"17.0.15\" 2025-04-15"), Some(17));
        assert_eq!(java_major("java version \"1.8.0_392\""), Some(8));
        assert_eq!(java_major("openjdk version \"21\" 2023-09-19"), Some(21));
        assert_eq!(java_major("java: not found"), None);
    }

    #[test]
    fn whatever_is_not_in_order_says_how_to_mend_it() {
        for check in [
            java(),
            maven(false),
            docker(),
            toxiproxy(),
            chromium(),
            cores(),
            memory(),
            disk(),
            kernel(),
            clock(),
            run_queue(),
        ] {
            assert!(
                !check.mend.is_empty() && !check.found.is_empty() && !check.needed_for.is_empty(),
                "{check:?}"
            );
        }
        assert!(ask(Path::new("/bin/false"), &["-version"]).is_none());
    }
}
