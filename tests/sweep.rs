//! What a scenario costs as its settings grow: `sweep` from the values to the page, and what it refuses.

use std::fs;
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use steadfast_verifier::sweep::{FILE_NAME, Sweep};
use steadfast_verifier::verdict::Outcome;

use crate::support::{STEADFAST, expect, expect_exit, expect_refused, root, steadfast, temporary, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("sweep::mistakes_are_told_before_anything_starts", &[], mistakes),
        trial("sweep::each_value_is_a_judged_run", &[], grows),
    ]
}

fn mistakes() -> Result<(), Failed> {
    let file = "scenarios/quickstart.toml";
    for (args, fact) in [
        (vec![file, "--vary", "workload.rate"], "expected KEY=VALUE"),
        (vec![file, "--vary", "workload.rate=1000/s"], "two values or more"),
        (vec![file, "--vary", "workload.rate=1000/s,fast"], "fast"),
        (vec![file, "--vary", "linger.ms=0,-1"], "linger.ms"),
        (
            vec![file, "--vary", "cluster.nodes+workload.rate=1,3"],
            "1 parts for 2 keys",
        ),
        (
            vec!["scenarios/delivery/leader-kill.toml", "--vary", "linger.ms=0,5"],
            "orders faults",
        ),
    ] {
        expect_refused("sweep", &args, fact)?;
    }
    Ok(())
}

/// Two settings on the simulated broker: a property of the producer, and two keys of the file at once of which one value cannot
/// be run.
fn grows() -> Result<(), Failed> {
    let dir = temporary();
    let out = dir.path().join("swept");
    let output = Command::new(STEADFAST)
        .args(["sweep", "scenarios/quickstart.toml", "--broker", "simulated"])
        .args(["--set", "workload.rate=500/s", "--vary", "linger.ms=0,20"])
        .args([
            "--vary",
            "workload.rate+workload.record-size=300/s+1 KiB,400/s+2 KiB,900000/s+1 KiB",
        ])
        .args(["--warmup", "3s", "--measure", "2s", "--out"])
        .arg(&out)
        .current_dir(root())
        .output()?;
    expect_exit(&output, 0)?;
    let sweep: Sweep = serde_json::from_slice(&fs::read(out.join(FILE_NAME))?)?;
    let told = || format!("{sweep:?}");
    let [linger, load] = &sweep.series[..] else {
        return Err(told().into());
    };
    let p50 = |nth: usize| {
        linger
            .points
            .get(nth)
            .and_then(|point| Some(point.figures?.ack.p50))
    };
    expect(
        linger.key == "linger.ms" && p50(1) > Some(5_000_000) && p50(0) < p50(1),
        told,
    )?;
    let [small, large, refused] = &load.points[..] else {
        return Err(told().into());
    };
    for (point, records) in [(small, 600), (large, 800)] {
        let count = point.figures.map_or(0, |figures| figures.ack.count);
        expect(point.delivery == Outcome::Pass && count == records, told)?;
        let folder = out.join(&point.folder);
        expect(
            folder.join("report.html").is_file() && !folder.join("log").exists(),
            told,
        )?;
    }
    // Beyond the knee: a point that says why, and the others stand.
    let why = refused.note.as_deref().unwrap_or_default();
    expect(refused.figures.is_none() && why.contains("steady state"), told)?;
    for name in ["sweep.html", "sweep.md"] {
        let page = fs::read_to_string(out.join(name))?;
        expect(
            page.contains("linger.ms") && page.contains("4 of 5 values measured"),
            || page,
        )?;
    }
    // Drawn again from the folder alone, by itself and on a page with others.
    fs::remove_file(out.join("sweep.html"))?;
    let folder = out.display().to_string();
    expect_exit(&steadfast(&["report", &folder]), 0)?;
    expect(out.join("sweep.html").is_file(), || "not drawn again".to_owned())?;
    let page = dir.path().join("page.md");
    expect_exit(
        &steadfast(&["report", &folder, "--page", &page.display().to_string()]),
        0,
    )?;
    expect(
        fs::read_to_string(&page)?.contains("workload.record-size")
            && dir.path().join("page-3.svg").is_file(),
        || "no page".to_owned(),
    )
}
