//! The report in a real browser, off-line: its facts are found in the rendered page and a screenshot is kept.

use std::process::Command;

use libtest_mimic::{Failed, Trial};

use crate::main_job::clean_run;
use crate::support::{Need, browser, expect, root, temporary, trial, verdict};

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial(
        "browser::the_report_shows_its_facts_off_line",
        &[Need::Kafka, Need::Browser],
        report,
    )]
}

fn report() -> Result<(), Failed> {
    let out = clean_run()?;
    let page = format!("file://{}", out.join("report.html").canonicalize()?.display());
    let dom = chromium(&["--dump-dom", &page])?;
    let dom = String::from_utf8_lossy(&dom).into_owned();
    let verdict = verdict(&out)?;
    let acked = grouped(verdict.records.acked);
    for fact in [
        "PASS",
        &verdict.scenario,
        "lost",
        "duplicated",
        "corrupted",
        &acked,
        "4.1.0",
        "Each phase with its own limits",
    ] {
        expect(dom.contains(fact), || format!("the rendered page lacks {fact:?}"))?;
    }
    expect(dom.contains("<svg"), || "no chart".into())?;
    for scheme in ["http://", "https://"] {
        let loads = [
            format!("src=\"{scheme}"),
            format!("href=\"{scheme}"),
            format!("url({scheme}"),
        ];
        expect(!loads.iter().any(|load| dom.contains(load.as_str())), || {
            format!("something loads over {scheme}")
        })?;
    }
    let shot = root().join("target/report.png");
    std::fs::create_dir_all(root().join("target"))?;
    chromium(&[
        &format!("--screenshot={}", shot.display()),
        "--window-size=1280,3200",
        "--hide-scrollbars",
        &page,
    ])?;
    let size = std::fs::metadata(&shot)?.len();
    expect(size > 20_000, || {
        format!("the screenshot has {size} bytes: an empty page?")
    })
}

fn chromium(args: &[&str]) -> Result<Vec<u8>, Failed> {
    let profile = temporary();
    let browser = browser().ok_or("no chromium")?;
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ])
        // Whatever the page would load from a network goes nowhere.
        .args([
            "--proxy-server=127.0.0.1:9",
            "--host-resolver-rules=MAP * ~NOTFOUND",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(args)
        .output()?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(format!(
            "chromium: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )
        .into())
    }
}

fn grouped(n: u64) -> String {
    let digits = n.to_string();
    digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|chunk| String::from_utf8_lossy(chunk).into_owned())
        .collect::<Vec<_>>()
        .join(",")
}
