//! A disk that is full before, during or after the load: exit 3 with the reason and the mend, nothing left running.
//!
//! The disk is a small tmpfs in a mount namespace of the run's own: nobody else sees it, and it goes with the run.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};

use crate::node::Node;
use crate::running::{Running, expect_nothing_left};
use crate::support::{Need, STEADFAST, expect, small_disk, temporary, trial};

/// From the start of a run to its end.
const END: Duration = Duration::from_secs(150);

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name, test| trial(name, &[Need::SmallDisk, Need::Kafka], test);
    vec![
        trial("disk::the_brokers_log_fills_it", brokers_log),
        trial("disk::the_history_has_no_room", history),
        trial("disk::somebody_fills_it_under_load", under_load),
        trial("disk::what_is_read_back_has_no_room", read_back),
    ]
}

/// Mounts the disk, runs `beside` next to the run if there is any, and becomes the run. $1 size, $2 place, $3 beside.
const SCRIPT: &str = r#"
mount -t tmpfs -o "size=$1" steadfast-test "$2" || exit 125
disk=$2
if [ -n "$3" ]; then (eval "$3") >/dev/null 2>&1 & fi
shift 3
exec "$@"
"#;

/// A run into `disk`/run on a disk of this size. Fails unless it ends with exit 3, reason and mend.
fn on_small_disk(size: &str, disk: &Path, beside: &str, args: &[&str]) -> Result<(), Failed> {
    std::fs::create_dir(disk)?;
    let [program, arguments @ ..] = small_disk().ok_or("no small disk")? else {
        return Err("no command for a small disk".into());
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .args(["sh", "-c", SCRIPT, "sh", size])
        .arg(disk)
        .arg(beside)
        .args([STEADFAST, "run"])
        .args(args)
        .arg("--out")
        .arg(disk.join("run"));
    let said = Running::of(command)?.end_with(3, END)?;
    for word in ["error: ", "room", "--out"] {
        let told = said.contains(word) || (word == "room" && said.contains("free disk space"));
        expect(told, || format!("{word:?} is missing in:\n{said}"))?;
    }
    expect_nothing_left(disk)
}

fn brokers_log() -> Result<(), Failed> {
    let dir = temporary();
    on_small_disk(
        "60m",
        &dir.path().join("disk"),
        "",
        &[
            "scenarios/quickstart.toml",
            "--broker",
            "kafka",
            "--set",
            "workload.rate=2000/s",
            "--set",
            "workload.record-size=10 kB",
            "--set",
            "workload.duration=60s",
        ],
    )
}

fn external<'a>(server: &'a str, sets: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec![
        "scenarios/quickstart.toml",
        "--broker",
        "external",
        "--bootstrap-server",
    ];
    args.push(server);
    for set in sets {
        args.extend(["--set", set]);
    }
    args
}

/// The first piece of a history is 16 MiB.
fn history() -> Result<(), Failed> {
    let dir = temporary();
    let node = Node::start(dir.path())?;
    let server = node.server();
    on_small_disk("8m", &dir.path().join("disk"), "", &external(&server, &[]))?;
    node.expect_topics(&[])
}

fn under_load() -> Result<(), Failed> {
    let dir = temporary();
    let node = Node::start(dir.path())?;
    let server = node.server();
    // When the samples show that the load runs.
    let beside = r#"
        for i in $(seq 300); do
            [ "$(wc -l <"$disk/run/samples.jsonl")" -gt 15 ] && break
            sleep 0.2
        done
        cat /dev/zero >"$disk/filler"
    "#;
    let args = external(&server, &["workload.rate=2000/s", "workload.duration=50s"]);
    on_small_disk("32m", &dir.path().join("disk"), beside, &args)?;
    node.expect_topics(&[])
}

/// The history fits, and is cut to its size at the end; the log does not.
fn read_back() -> Result<(), Failed> {
    let dir = temporary();
    let node = Node::start(dir.path())?;
    let server = node.server();
    // Before the reading begins the rest of the disk is taken, but for a little.
    let beside = r#"
        for i in $(seq 6000); do
            [ -d "$disk/run/log" ] && break
            sleep 0.02
        done
        cat /dev/zero >"$disk/filler"
    "#;
    let args = external(&server, &["workload.rate=20000/s", "workload.duration=10s"]);
    on_small_disk("32m", &dir.path().join("disk"), beside, &args)?;
    node.expect_topics(&[])
}
