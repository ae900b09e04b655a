//! A cluster outside any run: started, found by another process, stopped; and other versions of Kafka under a run.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use libtest_mimic::{Failed, Trial};

use crate::support::{
    Need, OTHER_VERSIONS, STEADFAST, expect, expect_exit, processes_with, steadfast, temporary, trial,
    verdict,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("kept_cluster::nobody_to_stop_is_exit_2", &[], nobody),
        trial(
            "kept_cluster::stop_ends_what_start_keeps",
            &[Need::Kafka],
            start_and_stop,
        ),
        trial(
            "kept_cluster::a_run_on_each_pinned_version_passes",
            &[Need::All, Need::Kafka, Need::KafkaVersions],
            versions,
        ),
    ]
}

fn nobody() -> Result<(), Failed> {
    let folder = temporary();
    let output = steadfast(&["cluster", "stop", &folder.path().to_string_lossy()]);
    expect_exit(&output, 2)?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    expect(text.contains("nobody keeps a cluster"), || text)
}

fn start_and_stop() -> Result<(), Failed> {
    let folder = temporary();
    let path = folder.path().join("cluster");
    let path = path.to_string_lossy().into_owned();
    // The end of /dev/null ends nothing; that of a pipe would.
    let mut keeper = Command::new(STEADFAST)
        .args(["cluster", "start", "--out", &path])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let output = keeper.stdout.take().ok_or("no standard output")?;
    let mut server = String::new();
    BufReader::new(output).read_line(&mut server)?;
    let checked = (|| {
        expect(server.starts_with("127.0.0.1:"), || {
            format!("not a server: {server:?}")
        })?;
        std::net::TcpStream::connect(server.trim())?;
        let second = steadfast(&["cluster", "start", "--out", &path]);
        expect_exit(&second, 2)?;
        expect_exit(&steadfast(&["cluster", "stop", &path]), 0)
    })();
    if checked.is_err() {
        // Its brokers go with it.
        keeper.kill()?;
    }
    let ended = keeper.wait()?;
    checked?;
    expect(ended.success(), || format!("the keeper ended with {ended}"))?;
    expect(processes_with(&path).is_empty(), || "a broker is left".into())?;
    expect_exit(&steadfast(&["cluster", "stop", &path]), 2)
}

fn versions() -> Result<(), Failed> {
    for version in OTHER_VERSIONS {
        let folder = temporary();
        let out = folder.path().join("run");
        let run = steadfast(&[
            "run",
            "scenarios/quickstart.toml",
            "--broker",
            "kafka",
            "--set",
            &format!("cluster.version={version}"),
            "--set",
            "workload.duration=4s",
            "--out",
            &out.to_string_lossy(),
        ]);
        expect_exit(&run, 0)?;
        let verdict = verdict(&out)?;
        expect(verdict.broker.version == version, || {
            format!("{version} was asked for, {} ran", verdict.broker.version)
        })?;
    }
    Ok(())
}
