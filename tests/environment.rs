//! What is missing is said within 15 s, with the mend, and nothing is left running: exit 3.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};

use crate::running::{Running, expect_nothing_left};
use crate::support::{
    Need, expect, expect_exit, on_a_bare_machine, processes_with, temporary, trial, verdict,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("environment::no_java_is_exit_3_with_the_mend", &[], no_java),
        trial(
            "environment::no_maven_and_no_jars_is_exit_3_with_the_mend",
            &[],
            no_maven,
        ),
        trial(
            "environment::an_unreachable_bootstrap_server_is_exit_3",
            &[],
            unreachable,
        ),
        trial(
            "environment::a_remote_bootstrap_server_needs_allow_remote",
            &[],
            remote,
        ),
        trial(
            "environment::a_port_taken_meanwhile_is_met_with_others",
            &[Need::Kafka],
            port_taken,
        ),
        trial(
            "environment::a_broker_that_dies_during_start_is_exit_3",
            &[Need::Kafka],
            broker_dies,
        ),
        trial("environment::doctor_names_what_is_missing", &[], doctor),
    ]
}

fn expect_mend(output: &Output, took: Duration, words: &[&str]) -> Result<(), Failed> {
    expect_exit(output, 3)?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    for word in words {
        expect(text.contains(word), || format!("{word:?} is missing in:\n{text}"))?;
    }
    expect(took < Duration::from_secs(15), || format!("it took {took:?}"))
}

fn no_java() -> Result<(), Failed> {
    let dir = temporary();
    let out = dir.path().join("run");
    let run = [
        "run",
        "scenarios/quickstart.toml",
        "--broker",
        "kafka",
        "--out",
        &out.to_string_lossy(),
    ];
    let (output, took) = on_a_bare_machine(&run)?;
    expect_mend(&output, took, &["ava", "install"])
}

fn no_maven() -> Result<(), Failed> {
    let (output, took) = on_a_bare_machine(&["cluster", "fetch"])?;
    expect_mend(&output, took, &["mvn", "install"])
}

fn unreachable() -> Result<(), Failed> {
    let dir = temporary();
    let out = dir.path().join("run");
    let run = [
        "run",
        "scenarios/quickstart.toml",
        "--broker",
        "external",
        "--bootstrap-server",
        "127.0.0.1:9",
        "--out",
        &out.to_string_lossy(),
    ];
    let (output, took) = on_a_bare_machine(&run)?;
    expect_mend(&output, took, &["127.0.0.1:9"])
}

fn remote() -> Result<(), Failed> {
    let run = [
        "run",
        "scenarios/quickstart.toml",
        "--broker",
        "external",
        "--bootstrap-server",
        "192.0.2.1:9092",
    ];
    let (output, _) = on_a_bare_machine(&run)?;
    expect_exit(&output, 2)?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    expect(text.contains("--allow-remote"), || text)
}

/// Between choosing its ports and binding them a broker formats its storage: time for somebody to take one.
fn port_taken() -> Result<(), Failed> {
    let dir = temporary();
    let out = dir.path().join("run");
    let run = start_short(&out)?;
    let properties = out.join("logs/broker-1.properties");
    let begin = Instant::now();
    let port = loop {
        let text = std::fs::read_to_string(&properties).unwrap_or_default();
        // As Java's properties escape it; with its line end, so that it is whole.
        let listeners = text.lines().find_map(|line| line.strip_prefix("listeners="));
        let client = listeners.and_then(|list| list.split_once("CLIENT\\://127.0.0.1\\:")?.1.split_once(','));
        if let Some(port) = client.and_then(|(port, _)| port.parse::<u16>().ok()) {
            break port;
        }
        expect(begin.elapsed() < Duration::from_secs(60), || {
            format!("no listeners in {}", properties.display())
        })?;
        std::thread::sleep(Duration::from_millis(2));
    };
    let _taken = TcpListener::bind(("127.0.0.1", port))?;
    let said = run.end_with(0, Duration::from_secs(120))?;
    expect(said.contains("a port was taken meanwhile"), || said)?;
    expect(verdict(&out)?.records.read > 0, || "nothing was read".into())?;
    expect_nothing_left(&out)
}

fn broker_dies() -> Result<(), Failed> {
    let dir = temporary();
    let out = dir.path().join("run");
    let run = start_short(&out)?;
    let begin = Instant::now();
    let broker = "kafka.Kafka ";
    let marker = out.to_string_lossy().into_owned();
    // Its command line names the folder and Kafka's own main class; the shim's would too, for a moment.
    let pid = loop {
        let of_run = processes_with(&marker);
        let found = processes_with(broker)
            .into_iter()
            .find(|pid| of_run.contains(pid));
        if let Some(pid) = found {
            break pid;
        }
        expect(begin.elapsed() < Duration::from_secs(60), || "no broker".into())?;
        std::thread::sleep(Duration::from_millis(20));
    };
    std::thread::sleep(Duration::from_millis(200));
    let killed = Instant::now();
    Command::new("kill").args(["-KILL", &pid.to_string()]).status()?;
    let said = run.end_with(3, Duration::from_secs(60))?;
    let took = killed.elapsed();
    expect(took < Duration::from_secs(15), || format!("it took {took:?}"))?;
    expect(
        said.contains("broker-1 ended") && said.contains("during start") && said.contains("mend:"),
        || said,
    )?;
    expect_nothing_left(&out)
}

fn start_short(out: &Path) -> Result<Running, Failed> {
    let out = out.to_string_lossy();
    let mut args = vec!["scenarios/quickstart.toml", "--broker", "kafka", "--out", &out];
    for set in [
        "workload.rate=2000/s",
        "workload.warmup=4s",
        "workload.duration=4s",
    ] {
        args.extend(["--set", set]);
    }
    Running::start(&args)
}

fn doctor() -> Result<(), Failed> {
    let (output, _) = on_a_bare_machine(&["doctor"])?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for word in ["ava", "mvn", "toxiproxy", "kcat", "apt"] {
        expect(text.contains(word), || format!("{word:?} is missing in:\n{text}"))?;
    }
    Ok(())
}
