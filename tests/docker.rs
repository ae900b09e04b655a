//! Kafka in containers: a run passes, faults bite, nothing of ours is left, and what is missing is said.
//!
//! The image has the layout of apache/kafka and is made on this machine (tests/docker-image): no image host is needed.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use steadfast_verifier::verdict::Outcome;

use crate::running::{Running, expect_nothing_left};
use crate::support::{
    Need, STEADFAST, expect, expect_exit, on_a_bare_machine, root, steadfast, temporary, trial, verdict,
};

/// What tests/docker-image makes for these tests.
const IMAGE: &str = "steadfast-test/kafka:4.1.0";
/// What each container of a run carries.
const LABEL: &str = "org.steadfast.journal";

pub(crate) fn trials() -> Vec<Trial> {
    let all = [Need::Docker, Need::Kafka];
    let long = [Need::All, Need::Docker, Need::Kafka];
    let proxied = [Need::Docker, Need::Kafka, Need::Toxiproxy];
    vec![
        trial("docker::no_docker_is_exit_3_with_the_mend", &[], no_docker),
        trial(
            "docker::a_silent_engine_is_exit_3_with_the_mend",
            &[],
            silent_engine,
        ),
        trial(
            "docker::an_image_that_cannot_be_pulled_is_exit_3",
            &[Need::Docker],
            no_image,
        ),
        trial(
            "docker::an_image_that_holds_no_kafka_is_exit_3",
            &[Need::Docker],
            empty_image,
        ),
        trial("docker::quickstart_passes_and_leaves_nothing", &all, quickstart),
        trial("docker::each_fault_leaves_its_evidence", &proxied, faults),
        trial("docker::sigkill_leaves_nothing_after_heal", &all, killed),
        trial("docker::stop_ends_what_start_keeps", &all, kept),
        trial("docker::leader_kill", &long, || {
            catalogue("scenarios/delivery/leader-kill.toml")
        }),
    ]
}

fn no_docker() -> Result<(), Failed> {
    let dir = temporary();
    let out = dir.path().join("run").to_string_lossy().into_owned();
    for words in [
        &run_of("scenarios/quickstart.toml"),
        &["cluster", "start", "--broker", "docker"],
    ] {
        let (output, took) = on_a_bare_machine(&[&words[..], &["--out", &out][..]].concat())?;
        expect_mend(&output, took, &["no `docker`", "apt-get install docker.io"])?;
    }
    Ok(())
}

/// The command line is here, and says what it says when nothing listens on its socket.
fn silent_engine() -> Result<(), Failed> {
    let home = temporary();
    let docker = home.path().join("docker");
    std::fs::write(
        &docker,
        "#!/bin/sh\ntest $1 = context && { echo unix:///var/run/docker.sock; exit 0; }\n\
         echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock.' >&2\nexit 1\n",
    )?;
    std::fs::set_permissions(&docker, PermissionsExt::from_mode(0o755))?;
    let begin = Instant::now();
    let output = Command::new(STEADFAST)
        .args(run_of("scenarios/quickstart.toml"))
        .args(["--out", &home.path().join("run").to_string_lossy()])
        .current_dir(root())
        .env_clear()
        .env("HOME", home.path())
        .env("PATH", home.path())
        .output()?;
    let words = ["Cannot connect to the Docker daemon", "systemctl start docker"];
    expect_mend(&output, begin.elapsed(), &words)
}

fn no_image() -> Result<(), Failed> {
    // Nothing listens there.
    refused("127.0.0.1:9/nobody/kafka:1", "cannot be pulled")
}

fn empty_image() -> Result<(), Failed> {
    let image = "steadfast-test/empty:1";
    let made = Command::new("sh")
        .args([
            "-c",
            &format!("tar -c --files-from /dev/null | docker import - {image}"),
        ])
        .output()?;
    expect_exit(&made, 0)?;
    let tried = refused(image, "/bin/sh");
    docker(&["image", "rm", image])?;
    tried
}

fn refused(image: &str, word: &str) -> Result<(), Failed> {
    let before = containers()?;
    let dir = temporary();
    let out = dir.path().join("run").to_string_lossy().into_owned();
    let image = format!("cluster.image={image}");
    let begin = Instant::now();
    let mut args = run_of("scenarios/quickstart.toml").to_vec();
    args.extend(["--set", &image, "--out", &out]);
    let output = steadfast(&args);
    expect_mend(&output, begin.elapsed(), &[word])?;
    expect_gone(&before)
}

fn quickstart() -> Result<(), Failed> {
    let before = containers()?;
    let dir = temporary();
    let out = dir.path().join("run");
    let run = contained("scenarios/quickstart.toml", &out, &["workload.duration=5s"])?;
    expect_exit(&run, 0)?;
    let verdict = verdict(&out)?;
    expect(
        verdict.broker.kind == "docker" && verdict.broker.version == "4.1.0",
        || format!("{:?}", verdict.broker),
    )?;
    // Of the JVM in the container, as the kernel accounts for it.
    let used = &verdict.resources;
    let told = used.broker_cpu_percent_of_core > 0.0 && used.broker_rss_peak_bytes > 100 << 20;
    expect(told, || format!("{used:?}"))?;
    let environment = std::fs::read_to_string(out.join("environment.json"))?;
    expect(environment.contains(IMAGE), || environment)?;
    expect(!out.join("broker-data").exists(), || "data are left".into())?;
    expect_gone(&before)?;
    expect_nothing_left(&out)
}

const FAULTS: &str = r#"title = "each way to hurt a container"
[cluster]
nodes = 3
topics.records = { partitions = 3, replication-factor = 3, min.insync.replicas = 2 }
[cluster.properties]
broker.session.timeout.ms = 3000
broker.heartbeat.interval.ms = 500
replica.lag.time.max.ms = 5000
[workload]
executor = "constant-arrival-rate"
rate = "500/s"
warmup = "8s"
duration = "46s"
[[fault]]
name = "kill"
at = "1s"
for = "5s"
action = "kill"
target = "leader(records-0)"
[[fault]]
name = "term"
at = "14s"
for = "2s"
action = "term"
target = "broker-2"
[[fault]]
name = "pause"
at = "26s"
for = "5s"
action = "pause"
target = "leader(records-0)"
[[fault]]
name = "cut-off"
at = "38s"
for = "3s"
action = "partition"
target = "link(client, broker-1)"
[claims]
lost = 0
duplicated = 0
reordered-per-key = 0
corrupted = 0
"#;

fn faults() -> Result<(), Failed> {
    let before = containers()?;
    let dir = temporary();
    let file = dir.path().join("faults.toml");
    std::fs::write(&file, FAULTS)?;
    let out = dir.path().join("run");
    expect_exit(&contained(&file.to_string_lossy(), &out, &[])?, 0)?;
    let verdict = verdict(&out)?;
    for (name, what, expected) in [
        ("kill", "exit_status", "exit 137 (signal 9)"),
        ("kill", "started_again", "pid "),
        ("term", "exit_status", "exit 143 (signal 15)"),
        ("term", "started_again", "pid "),
        ("pause", "container_state", "paused"),
        ("pause", "requests_stalled", ""),
        ("cut-off", "", ""),
    ] {
        let fault = verdict.faults.iter().find(|fault| fault.name == name);
        let fault = fault.ok_or_else(|| format!("no fault {name}"))?;
        let seen = fault
            .evidence
            .iter()
            .any(|(key, value)| key.starts_with(what) && value.starts_with(expected));
        expect(seen && fault.healed_ns.is_some(), || {
            format!("{name}: {what}: {fault:?}")
        })?;
    }
    expect_gone(&before)
}

/// What the engine runs is no child of the runner: only the journal knows it.
fn killed() -> Result<(), Failed> {
    let image = image()?;
    let before = containers()?;
    // Of another run, as far as its label says.
    let bystander = format!("steadfast-test-bystander-{}", std::process::id());
    let label = format!("{LABEL}=another");
    // Never started: an imported image names no command of its own, and create wants one.
    docker(&["create", "--name", &bystander, "--label", &label, image, "bash"])?;
    let checked = (|| {
        let dir = temporary();
        let out = dir.path().join("run");
        let path = out.to_string_lossy().into_owned();
        let set = format!("cluster.image={image}");
        let mut run = Running::start(&[
            "scenarios/quickstart.toml",
            "--broker",
            "docker",
            "--set",
            &set,
            "--out",
            &path,
        ])?;
        run.until("warmup")?;
        run.signal("KILL")?;
        run.end(Duration::from_secs(20))?;
        expect(containers()?.len() == before.len() + 2, || {
            "its broker's container should be left now, or the test shows nothing".into()
        })?;
        let healed = steadfast(&["heal"]);
        expect_exit(&healed, 0)?;
        let said = String::from_utf8_lossy(&healed.stdout).into_owned();
        expect(said.contains("removed container steadfast-"), || said)?;
        expect(!out.join("broker-data").exists(), || "data are left".into())?;
        expect_nothing_left(&out)?;
        expect(containers()?.contains(&bystander), || {
            "somebody else's is gone".into()
        })
    })();
    docker(&["rm", "--force", &bystander])?;
    checked?;
    expect_gone(&before)
}

fn kept() -> Result<(), Failed> {
    let image = image()?;
    let before = containers()?;
    let dir = temporary();
    let path = dir.path().join("cluster").to_string_lossy().into_owned();
    let start = ["cluster", "start", "--broker", "docker", "--image", image];
    let mut keeper = Command::new(STEADFAST)
        .args(start)
        .args(["--out", &path])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut orders = keeper.stdin.take().ok_or("no standard input")?;
    let output = keeper.stdout.take().ok_or("no standard output")?;
    let mut answers = BufReader::new(output).lines();
    let checked = (|| {
        let server = answers.next().ok_or("it said nothing")??;
        std::net::TcpStream::connect(server.trim())?;
        for order in ["pause 1", "resume 1", "kill 1", "start 1"] {
            std::io::Write::write_all(&mut orders, format!("{order}\n").as_bytes())?;
            let answer = answers.next().ok_or("it has ended")??;
            expect(answer == format!("ok {order}"), || answer)?;
        }
        // On its old port.
        std::net::TcpStream::connect(server.trim())?;
        expect_exit(&steadfast(&["cluster", "stop", &path]), 0)
    })();
    if checked.is_err() {
        drop(orders);
    }
    let ended = keeper.wait()?;
    checked?;
    expect(ended.success(), || format!("the keeper ended with {ended}"))?;
    expect_gone(&before)
}

fn catalogue(file: &str) -> Result<(), Failed> {
    let before = containers()?;
    let dir = temporary();
    let out = dir.path().join("run");
    expect_exit(&contained(file, &out, &[])?, 0)?;
    expect(verdict(&out)?.verdict == Outcome::Pass, || "no pass".into())?;
    expect_gone(&before)
}

fn run_of(file: &str) -> [&str; 4] {
    ["run", file, "--broker", "docker"]
}

/// A run on the image of these tests.
fn contained(file: &str, out: &Path, sets: &[&str]) -> Result<Output, Failed> {
    let image = format!("cluster.image={}", image()?);
    let out = out.to_string_lossy();
    let mut args = run_of(file).to_vec();
    args.extend(["--out", &out, "--set", &image]);
    for set in sets {
        args.extend(["--set", set]);
    }
    Ok(steadfast(&args))
}

/// Made once in each run of the tests, so that it is of the script as it is now.
fn image() -> Result<&'static str, Failed> {
    static MADE: OnceLock<Result<(), String>> = OnceLock::new();
    let make = || {
        let script = root().join("tests/docker-image");
        let made = Command::new(script)
            .arg(IMAGE)
            .output()
            .map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        made.status.success().then_some(()).ok_or(said)
    };
    MADE.get_or_init(make).clone()?;
    Ok(IMAGE)
}

/// Names of all containers that some run of steadfast made.
fn containers() -> Result<BTreeSet<String>, Failed> {
    let filter = format!("label={LABEL}");
    let text = docker(&["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"])?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn expect_gone(before: &BTreeSet<String>) -> Result<(), Failed> {
    let left: Vec<String> = containers()?.difference(before).cloned().collect();
    expect(left.is_empty(), || format!("containers are left: {left:?}"))
}

fn docker(args: &[&str]) -> Result<String, Failed> {
    let output = Command::new("docker").args(args).output()?;
    expect_exit(&output, 0)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn expect_mend(output: &Output, took: Duration, words: &[&str]) -> Result<(), Failed> {
    expect_exit(output, 3)?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    for word in ["mend:"].iter().chain(words) {
        expect(text.contains(word), || format!("{word:?} is missing in:\n{text}"))?;
    }
    expect(took < Duration::from_secs(15), || format!("it took {took:?}"))
}
