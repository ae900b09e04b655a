//! However a run is cut off, nothing it started keeps running.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use libtest_mimic::{Failed, Trial};

use crate::support::{
    Need, STEADFAST, expect, expect_exit, processes_with, root, steadfast, temporary, trial,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("interrupted::ctrl_c_heals_and_exits_130", &[Need::Kafka], || {
            cut_off("INT", 1, Some(130))
        }),
        trial("interrupted::ctrl_c_twice_leaves_at_once", &[Need::Kafka], || {
            cut_off("INT", 2, Some(130))
        }),
        trial("interrupted::sigterm_heals_and_exits_130", &[Need::Kafka], || {
            cut_off("TERM", 1, Some(130))
        }),
        trial(
            "interrupted::sigkill_leaves_nothing_after_heal",
            &[Need::Kafka],
            || cut_off("KILL", 1, None),
        ),
    ]
}

fn cut_off(signal: &str, times: u32, code: Option<i32>) -> Result<(), Failed> {
    let dir = temporary();
    let out = dir.path().join("run");
    let marker = out.to_string_lossy().into_owned();
    let mut runner = start(&out)?;
    wait_for_phase(&mut runner, "warmup")?;
    expect(processes_with(&marker).len() >= 3, || {
        "runner, broker and worker should run now".into()
    })?;
    for _ in 0..times {
        send(&runner, signal)?;
        std::thread::sleep(Duration::from_millis(300));
    }
    let status = wait(&mut runner, Duration::from_secs(40))?;
    expect(status.code() == code, || format!("it ended with {status}"))?;
    if code.is_none() {
        expect_exit(&steadfast(&["heal"]), 0)?;
    }
    for _ in 0..20 {
        if processes_with(&marker).is_empty() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(format!("still running: {:?}", processes_with(&marker)).into())
}

fn start(out: &Path) -> Result<Child, Failed> {
    Ok(Command::new(STEADFAST)
        .args(["run", "scenarios/quickstart.toml", "--broker", "kafka", "--out"])
        .arg(out)
        .current_dir(root())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?)
}

/// Progress without a terminal is one line a phase.
fn wait_for_phase(runner: &mut Child, phase: &str) -> Result<(), Failed> {
    let stderr = runner.stderr.take().ok_or("no stderr")?;
    let mut lines = BufReader::new(stderr);
    let mut seen = String::new();
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Err(format!("it ended before {phase}:\n{seen}").into());
        }
        seen.push_str(&line);
        if line.trim() == phase {
            // Keeps reading, so that the runner never blocks on a full pipe.
            std::thread::spawn(move || lines.lines().for_each(drop));
            return Ok(());
        }
    }
}

fn send(runner: &Child, signal: &str) -> Result<(), Failed> {
    Command::new("kill")
        .arg(format!("-{signal}"))
        .arg(runner.id().to_string())
        .status()?;
    Ok(())
}

fn wait(runner: &mut Child, bound: Duration) -> Result<std::process::ExitStatus, Failed> {
    let step = Duration::from_millis(50);
    let mut left = bound;
    loop {
        if let Some(status) = runner.try_wait()? {
            return Ok(status);
        }
        if left.is_zero() {
            runner.kill()?;
            return Err(format!("it did not end within {} s", bound.as_secs()).into());
        }
        std::thread::sleep(step);
        left = left.saturating_sub(step);
    }
}
