//! Usage and scenario files: what is refused, how, and that nothing is started.

use std::process::{Command, Stdio};

use libtest_mimic::{Failed, Trial};

use crate::support::{STEADFAST, expect, expect_exit, root, steadfast, temporary, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "cli::a_bad_file_is_shown_with_line_and_column_and_nothing_starts",
            &[],
            bad_file,
        ),
        trial("cli::errors_of_all_files_come_at_once", &[], all_errors_at_once),
        trial("cli::non_utf8_is_refused", &[], non_utf8),
        trial(
            "cli::files_that_cannot_be_read_or_share_a_name_are_refused_together",
            &[],
            files_refused,
        ),
        trial("cli::every_catalogue_file_plans", &[], catalogue_plans),
        trial("cli::list_names_the_catalogue", &[], list),
        trial(
            "cli::init_writes_a_file_that_plans_and_never_overwrites",
            &[],
            init,
        ),
        trial("cli::an_unknown_flag_is_usage", &[], unknown_flag),
        trial("cli::schemas_are_json", &[], schemas),
        trial("cli::a_folder_that_is_none_of_a_run_is_told", &[], no_run_folder),
        trial("cli::a_reader_that_leaves_is_no_error", &[], reader_leaves),
    ]
}

const BAD: &str = r#"title = "bad"
[cluster]
topics.orders = { partitions = 6 }
[producer]
acks = "1"
enable.idempotence = true
lingr.ms = 0
[workload]
executor = "constant-arrival-rate"
rate = "-5/s"
duration = "5 parsecs"
"#;

fn bad_file() -> Result<(), Failed> {
    let dir = temporary();
    let file = dir.path().join("bad.toml");
    std::fs::write(&file, BAD)?;
    let out = dir.path().join("out");
    let output = steadfast(&["run", &file.to_string_lossy(), "--out", &out.to_string_lossy()]);
    expect_exit(&output, 2)?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    for (what, needle) in [
        ("the file and line of the misspelt key", "bad.toml:7:"),
        ("the nearest key", "linger.ms"),
        ("the negative rate", "bad.toml:10:"),
        ("the wrong unit", "bad.toml:11:"),
        ("the refused acks", "bad.toml:5:"),
    ] {
        expect(text.contains(needle), || {
            format!("{what} ({needle}) is missing in:\n{text}")
        })?;
    }
    expect(!out.exists(), || "a run folder was made".into())
}

fn all_errors_at_once() -> Result<(), Failed> {
    let dir = temporary();
    for name in ["one.toml", "two.toml"] {
        std::fs::write(dir.path().join(name), BAD)?;
    }
    let output = steadfast(&["run", &dir.path().to_string_lossy()]);
    expect_exit(&output, 2)?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    expect(text.contains("one.toml") && text.contains("two.toml"), || text)
}

fn non_utf8() -> Result<(), Failed> {
    let dir = temporary();
    let file = dir.path().join("latin1.toml");
    std::fs::write(&file, b"title = \"caf\xe9\"\n")?;
    let output = steadfast(&["run", &file.to_string_lossy()]);
    expect_exit(&output, 2)?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    expect(text.contains("UTF-8"), || text)
}

fn files_refused() -> Result<(), Failed> {
    let dir = temporary();
    let text = std::fs::read_to_string(root().join("scenarios/quickstart.toml"))?;
    let mut args = vec!["run".to_owned(), "--out".to_owned()];
    let out = dir.path().join("out");
    args.push(out.to_string_lossy().into_owned());
    for folder in ["one", "two"] {
        let file = dir.path().join(folder).join("scenarios/a.toml");
        std::fs::create_dir_all(file.parent().ok_or("no folder")?)?;
        std::fs::write(&file, &text)?;
        args.push(file.to_string_lossy().into_owned());
    }
    // Root may read everything, so what nobody can read stands for what this user may not.
    std::os::unix::fs::symlink(dir.path().join("nowhere"), dir.path().join("dangling.toml"))?;
    args.push(dir.path().join("dangling.toml").to_string_lossy().into_owned());
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let output = steadfast(&args);
    expect_exit(&output, 2)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for words in [
        "two scenario files named `a`",
        "dangling.toml",
        "No such file or directory",
        "nothing was started",
    ] {
        expect(said.contains(words), || {
            format!("{words:?} is missing in:\n{said}")
        })?;
    }
    expect(!out.exists(), || "a run folder was made".into())
}

fn catalogue() -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for inner in [".", "latency", "load", "ordering", "delivery"] {
        let Ok(entries) = std::fs::read_dir(root().join("scenarios").join(inner)) else {
            continue;
        };
        files.extend(
            entries
                .filter_map(|e| Some(e.ok()?.path()))
                .filter(|p| p.extension().is_some_and(|x| x == "toml") && !p.ends_with("Cargo.toml")),
        );
    }
    files
}

fn catalogue_plans() -> Result<(), Failed> {
    let files = catalogue();
    expect(files.len() >= 10, || {
        format!("only {} catalogue files", files.len())
    })?;
    for file in files {
        let output = steadfast(&["plan", &file.to_string_lossy(), "--broker", "kafka"]);
        expect_exit(&output, 0)?;
    }
    Ok(())
}

fn list() -> Result<(), Failed> {
    let output = steadfast(&["list"]);
    expect_exit(&output, 0)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for name in [
        "quickstart",
        "latency/steady-25k",
        "delivery/leader-kill",
        "load/max",
    ] {
        expect(text.contains(name), || format!("{name} is missing in:\n{text}"))?;
    }
    Ok(())
}

fn init() -> Result<(), Failed> {
    let dir = temporary();
    let file = dir.path().join("mine.toml");
    let path = file.to_string_lossy().into_owned();
    expect_exit(&steadfast(&["init", &path]), 0)?;
    expect_exit(&steadfast(&["plan", &path, "--broker", "kafka"]), 0)?;
    let before = std::fs::read(&file)?;
    expect_exit(&steadfast(&["init", &path]), 2)?;
    expect(std::fs::read(&file)? == before, || {
        "the file was overwritten".into()
    })
}

fn unknown_flag() -> Result<(), Failed> {
    expect_exit(&steadfast(&["run", "--brokr", "kafka"]), 2)
}

fn schemas() -> Result<(), Failed> {
    for which in ["scenario", "verdict", "log-verdict"] {
        let output = steadfast(&["schema", which]);
        expect_exit(&output, 0)?;
        let schema: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        expect(schema.get("properties").is_some(), || {
            format!("{which}: no properties")
        })?;
    }
    Ok(())
}

fn no_run_folder() -> Result<(), Failed> {
    let dir = temporary();
    let here = dir.path().to_string_lossy().into_owned();
    let nowhere = dir.path().join("nowhere").to_string_lossy().into_owned();
    for (command, folder, code) in [
        ("verify", &here, 1),
        ("report", &here, 1),
        ("verify", &nowhere, 1),
        ("list", &nowhere, 2),
    ] {
        let output = steadfast(&[command, folder]);
        expect_exit(&output, code)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        expect(said.contains(folder) && said.contains("mend:"), || said)?;
    }
    let left = std::fs::read_dir(dir.path())?.count();
    expect(left == 0, || "something was written".into())
}

/// `steadfast schema | head -1`: the schema is longer than a pipe holds.
fn reader_leaves() -> Result<(), Failed> {
    let mut child = Command::new(STEADFAST)
        .arg("schema")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    drop(child.stdout.take());
    let output = child.wait_with_output()?;
    expect_exit(&output, 0)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    expect(said.is_empty(), || said)
}
