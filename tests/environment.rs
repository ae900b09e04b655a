//! What is missing is said within 15 s, with the mend, and nothing is left running: exit 3.

use std::process::Output;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};

use crate::support::{expect, expect_exit, on_a_bare_machine, temporary, trial};

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

fn doctor() -> Result<(), Failed> {
    let (output, _) = on_a_bare_machine(&["doctor"])?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for word in ["ava", "mvn", "toxiproxy", "apt"] {
        expect(text.contains(word), || format!("{word:?} is missing in:\n{text}"))?;
    }
    Ok(())
}
