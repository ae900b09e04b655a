//! Running the binary, and what this machine has.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use steadfast_chaos::cluster::{disk, wall_clock};

/// The binary under test, built by cargo for this very run.
pub(crate) const STEADFAST: &str = env!("CARGO_BIN_EXE_steadfast");

/// What a test needs beside the binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Java and the Kafka jars.
    Kafka,
    /// The jars of every pinned version, not only of the default one.
    KafkaVersions,
    /// A toxiproxy-server, or Go to build one.
    Toxiproxy,
    /// A container engine that answers.
    Docker,
    /// Headless Chromium.
    Browser,
    /// A small file system of a run's own, so that it can be full.
    SmallDisk,
    /// A small disk for each broker.
    BrokersDisk,
    /// libfaketime, which steps a broker's clock.
    Faketime,
    /// kcat, a client on librdkafka.
    Kcat,
    /// callgrind, which counts instructions.
    Valgrind,
    /// The long suite was asked for.
    All,
}

impl Need {
    fn word(self) -> &'static str {
        match self {
            Need::Kafka | Need::KafkaVersions => "kafka",
            Need::Toxiproxy => "toxiproxy",
            Need::Docker => "docker",
            Need::Browser => "browser",
            Need::SmallDisk | Need::BrokersDisk => "small-disk",
            Need::Faketime => "faketime",
            Need::Kcat => "kcat",
            Need::Valgrind => "valgrind",
            Need::All => "all",
        }
    }

    /// Why it is not here; none when it is.
    fn missing(self) -> Option<String> {
        match self {
            Need::Kafka => missing_kafka(),
            Need::KafkaVersions => missing_versions(),
            Need::Toxiproxy => (!on_path("toxiproxy-server") && !on_path("go") && !cached_toxiproxy())
                .then(|| "no toxiproxy-server and no go to build it".to_owned()),
            Need::Docker => missing_docker(),
            Need::Browser => browser().is_none().then(|| "no chromium on PATH".to_owned()),
            Need::SmallDisk => small_disk().is_none().then(|| {
                "no right to mount a small disk in a namespace of its own (root has it: unshare -m)"
                    .to_owned()
            }),
            Need::BrokersDisk => disk::allowed().err(),
            Need::Faketime => wall_clock::library().err(),
            Need::Kcat => kcat().is_none().then(|| "no kcat on PATH".to_owned()),
            Need::Valgrind => (!on_path("valgrind")).then(|| "no valgrind on PATH".to_owned()),
            Need::All => (std::env::var("STEADFAST_SUITE").as_deref() != Ok("all"))
                .then(|| "long suite; tests/run --all".to_owned()),
        }
    }

    fn required(self) -> bool {
        std::env::var("STEADFAST_REQUIRE")
            .is_ok_and(|list| list.split(',').any(|word| word.trim() == self.word()))
    }
}

/// A test that takes longer is noted in the file that STEADFAST_SLOW names; `tests/run` lists the slowest at its end.
const SLOW: Duration = Duration::from_secs(10);

/// A test that needs `needs`: runs, or is listed as ignored with the reason, or fails where the need is required.
pub(crate) fn trial(name: &str, needs: &[Need], test: fn() -> Result<(), Failed>) -> Trial {
    for need in needs {
        if let Some(reason) = need.missing() {
            if need.required() {
                let name = name.to_owned();
                let word = need.word();
                return Trial::test(name, move || {
                    Err(format!("STEADFAST_REQUIRE names {word}, but: {reason}").into())
                });
            }
            return Trial::test(name, || Ok(()))
                .with_ignored_flag(true)
                .with_kind(reason);
        }
    }
    let said = name.to_owned();
    Trial::test(name, move || {
        let began = Instant::now();
        let result = test();
        let took = began.elapsed();
        if took >= SLOW
            && let Some(path) = std::env::var_os("STEADFAST_SLOW")
        {
            let mut file = File::options().append(true).create(true).open(path)?;
            writeln!(file, "{:6.1} s  {said}", took.as_secs_f64())?;
        }
        result
    })
}

/// Versions of Kafka beside the default one that the tests play to.
pub(crate) const OTHER_VERSIONS: [&str; 2] = ["4.4.0", "3.9.2"];

fn missing_kafka() -> Option<String> {
    static ANSWER: OnceLock<Option<String>> = OnceLock::new();
    ANSWER.get_or_init(|| fetch(&[])).clone()
}

fn missing_docker() -> Option<String> {
    static ANSWER: OnceLock<Option<String>> = OnceLock::new();
    let ask = || match Command::new("docker").args(["version"]).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")),
        Err(_) => Some("no docker on PATH".to_owned()),
    };
    ANSWER.get_or_init(ask).clone()
}

fn missing_versions() -> Option<String> {
    static ANSWER: OnceLock<Option<String>> = OnceLock::new();
    let fetch_all = || {
        OTHER_VERSIONS
            .iter()
            .find_map(|version| fetch(&["--version", version]))
    };
    ANSWER.get_or_init(fetch_all).clone()
}

/// Fetches when the jars are not in the cache yet, and needs Maven and the registry then; the reason when it cannot.
fn fetch(arguments: &[&str]) -> Option<String> {
    if !on_path("java") && std::env::var_os("JAVA_HOME").is_none() {
        return Some("no Java".into());
    }
    let fetched = Command::new(STEADFAST)
        .args(["cluster", "fetch"])
        .args(arguments)
        .output();
    match fetched {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")),
        Err(error) => Some(error.to_string()),
    }
}

/// A command that runs what follows where it may mount something that nobody else sees: as root, or as the root of a user
/// namespace where the machine allows one.
pub(crate) fn small_disk() -> Option<&'static [&'static str]> {
    static ANSWER: OnceLock<Option<&'static [&'static str]>> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let ways: [&[&str]; 2] = [
            &["unshare", "--mount"],
            &["unshare", "--mount", "--map-root-user"],
        ];
        let works = |way: &&[&str]| {
            let mounts = "mount -t tmpfs -o size=1m steadfast-test /tmp";
            let tried = Command::new(way[0])
                .args(&way[1..])
                .args(["sh", "-c", mounts])
                .output();
            tried.is_ok_and(|tried| tried.status.success())
        };
        ways.into_iter().find(works)
    })
}

/// kcat, under the older of its two names where it has that.
pub(crate) fn kcat() -> Option<PathBuf> {
    ["kcat", "kafkacat"].iter().find_map(|name| which(name))
}

/// First Chromium on PATH.
pub(crate) fn browser() -> Option<PathBuf> {
    ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .find_map(|name| which(name))
}

fn on_path(name: &str) -> bool {
    which(name).is_some()
}

fn which(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

fn cached_toxiproxy() -> bool {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    cache.is_some_and(|cache| cache.join("steadfast").join("toxiproxy-server").is_file())
}

/// Root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
}

/// A fresh folder that goes with the test.
pub(crate) fn temporary() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("steadfast-test-")
        .tempdir()
        .expect("a temporary folder")
}

/// Runs the binary in the repository's root to its end.
pub(crate) fn steadfast(args: &[&str]) -> Output {
    Command::new(STEADFAST)
        .args(args)
        .current_dir(root())
        .output()
        .expect("the binary starts")
}

/// Fails with everything the command printed unless it ended with `code`.
pub(crate) fn expect_exit(output: &Output, code: i32) -> Result<(), Failed> {
    if output.status.code() == Some(code) {
        return Ok(());
    }
    Err(format!(
        "expected exit {code}, got {}\n--- stdout\n{}\n--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
    .into())
}

/// Runs a command that measures, on the simulated broker: it ends with usage, says `fact`, and has made no folder.
pub(crate) fn expect_refused(command: &str, args: &[&str], fact: &str) -> Result<(), Failed> {
    let dir = temporary();
    let out = dir.path().join("out");
    let output = Command::new(STEADFAST)
        .args([command, "--broker", "simulated", "--out"])
        .arg(&out)
        .args(args)
        .current_dir(root())
        .output()?;
    expect_exit(&output, 2)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    expect(said.contains(fact) && !out.exists(), || {
        format!("{args:?}: {said}")
    })
}

/// `Err` with the text unless `condition` holds.
pub(crate) fn expect(condition: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failed> {
    if condition {
        Ok(())
    } else {
        Err(otherwise().into())
    }
}

/// verdict.json of a run folder.
pub(crate) fn verdict(folder: &Path) -> Result<steadfast_verifier::verdict::Verdict, Failed> {
    let bytes = std::fs::read(folder.join("verdict.json"))?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// Runs the binary with an empty PATH, no JAVA_HOME and an empty cache: a machine that has nothing.
pub(crate) fn on_a_bare_machine(args: &[&str]) -> Result<(Output, Duration), Failed> {
    let home = temporary();
    let begin = Instant::now();
    let output = Command::new(STEADFAST)
        .args(args)
        .current_dir(root())
        .env_clear()
        .env("HOME", home.path())
        .env("PATH", home.path())
        .output()?;
    Ok((output, begin.elapsed()))
}

/// Pids of live processes whose command line contains `needle`.
pub(crate) fn processes_with(needle: &str) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != std::process::id())
        .filter(|pid| {
            std::fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).replace('\0', " ").contains(needle))
        })
        .collect()
}
