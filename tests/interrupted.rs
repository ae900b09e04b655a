//! However a run is cut off, nothing it started keeps running.

use std::time::Duration;

use libtest_mimic::{Failed, Trial};

use crate::running::{Running, expect_nothing_left};
use crate::support::{Need, expect, expect_exit, processes_with, steadfast, temporary, trial};

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
    let mut run = Running::start(&["scenarios/quickstart.toml", "--broker", "kafka", "--out", &marker])?;
    run.until("warmup")?;
    expect(processes_with(&marker).len() >= 3, || {
        "runner, broker and worker should run now".into()
    })?;
    for _ in 0..times {
        run.signal(signal)?;
        std::thread::sleep(Duration::from_millis(300));
    }
    let (status, said) = run.end(Duration::from_secs(40))?;
    expect(status.code() == code, || {
        format!("it ended with {status}:\n{said}")
    })?;
    if code.is_none() {
        expect_exit(&steadfast(&["heal"]), 0)?;
    }
    expect_nothing_left(&out)
}
