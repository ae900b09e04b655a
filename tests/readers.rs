//! Concurrent readers: a real run watched by consumers; what is planted into their files through the format's own writer is
//! named; readers that die or lag prove nothing.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use steadfast_verifier::log::LogRecord;
use steadfast_verifier::reads::{Poll, Reader, Seen, Writer};
use steadfast_verifier::stamp::RecordId;
use steadfast_verifier::verdict::{Outcome, Verdict};

use crate::main_job::copy;
use crate::running::{Running, expect_nothing_left};
use crate::support::{Need, expect, expect_exit, processes_with, steadfast, temporary, trial, verdict};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("readers::watch_a_simulated_run", &[], || watched("simulated")),
        trial("readers::watch_a_run_of_kafka", &[Need::All, Need::Kafka], || {
            watched("kafka")
        }),
        trial("readers::one_record_left_out_is_O5", &[], || {
            planted("O5", "reordered-for-readers", |answers| {
                long_answer(answers).records.remove(1);
            })
        }),
        trial("readers::one_record_twice_is_O5", &[], || {
            planted("O5", "reordered-for-readers", |answers| {
                let answer = long_answer(answers);
                answer.records.push(answer.records[0]);
            })
        }),
        trial("readers::a_record_that_is_not_there_is_L6", &[], || {
            planted("L6", "lost", |answers| {
                long_answer(answers).records[0].id = Some(RecordId::new(9, 9));
            })
        }),
        trial("readers::another_content_is_I1", &[], || {
            planted("I1", "corrupted", |answers| {
                long_answer(answers).records[0].sequence ^= 1;
            })
        }),
        trial("readers::a_rewrite_without_a_change_passes", &[], || {
            let folder = copy(&run()?)?;
            rewrite(folder.path(), |_| ())?;
            expect_exit(&verify(folder.path()), 0)
        }),
        trial("readers::a_reader_that_died_proves_nothing", &[], died),
        trial("readers::a_reader_that_lagged_proves_nothing", &[], lagged),
        trial("readers::a_reader_that_left_no_file_proves_nothing", &[], no_file),
        trial("readers::a_damaged_file_is_exit_1", &[], damaged),
        trial(
            "readers::one_killed_under_load_is_told_and_the_run_goes_on",
            &[],
            killed_under_load,
        ),
    ]
}

/// The catalogue's scenario, shortened, on the simulated broker; its claims rest on no figure of Kafka's.
fn run() -> Result<PathBuf, Failed> {
    static RUN: OnceLock<Result<(tempfile::TempDir, PathBuf), String>> = OnceLock::new();
    let run = RUN.get_or_init(|| {
        let dir = temporary();
        let out = dir.path().join("run");
        let output = steadfast(&[&arguments("simulated", &out.to_string_lossy())[..], SHORT].concat());
        expect_exit(&output, 0).map_err(|e| e.message().unwrap_or("failed").to_owned())?;
        Ok((dir, out))
    });
    match run {
        Ok((_, out)) => Ok(out.clone()),
        Err(error) => Err(error.clone().into()),
    }
}

const SHORT: &[&str] = &["--set", "workload.warmup=2s", "--set", "workload.duration=6s"];

fn arguments<'a>(broker: &'a str, out: &'a str) -> [&'a str; 6] {
    [
        "run",
        "scenarios/ordering/readers.toml",
        "--broker",
        broker,
        "--out",
        out,
    ]
}

fn watched(broker: &str) -> Result<(), Failed> {
    let dir = temporary();
    let out = match broker {
        "simulated" => run()?,
        _ => {
            let out = dir.path().join("run");
            expect_exit(&steadfast(&arguments(broker, &out.to_string_lossy())), 0)?;
            out
        }
    };
    let verdict = verdict(&out)?;
    let text = format!("{verdict:?}");
    expect(
        verdict.verdict == Outcome::Pass && verdict.examples.is_empty(),
        || text.clone(),
    )?;
    for id in ["L6", "O4", "O5", "I1"] {
        expect(verdict.anomalies.get(id) == Some(&0), || {
            format!("{id} was not checked: {text}")
        })?;
    }
    expect(verdict.readers.len() == 2, || text.clone())?;
    for reader in &verdict.readers {
        expect(
            reader.ended && reader.behind == 0 && reader.records == verdict.records.read,
            || text.clone(),
        )?;
    }
    let seen = verdict.latency_ns["all"]
        .visible_latency
        .ok_or("no visible latency")?;
    let acked = verdict.latency_ns["all"].ack_latency;
    expect(seen.count == 2 * acked.count && seen.p50 > 0, || text.clone())?;
    let report = std::fs::read_to_string(out.join("report.html"))?;
    for words in [
        "reader-1",
        "read_committed",
        "visible latency",
        "Visible latency over time",
    ] {
        expect(report.contains(words), || format!("the report lacks {words:?}"))?;
    }
    Ok(())
}

/// One answer of a reader.
struct Answer {
    partition: i32,
    at_ns: u64,
    next_offset: i64,
    ends: (i64, i64),
    records: Vec<LogRecord>,
}

fn long_answer(answers: &mut [Answer]) -> &mut Answer {
    answers
        .iter_mut()
        .find(|answer| answer.records.len() > 2)
        .expect("an answer of three")
}

fn planted(id: &str, claim: &str, plant: fn(&mut Vec<Answer>)) -> Result<(), Failed> {
    let folder = copy(&run()?)?;
    rewrite(folder.path(), plant)?;
    expect_exit(&verify(folder.path()), 10)?;
    let verdict = verdict(folder.path())?;
    expect(verdict.anomalies.get(id).is_some_and(|count| *count >= 1), || {
        format!("{id} not named: {:?}", verdict.anomalies)
    })?;
    let broken = verdict.claims.iter().find(|found| found.id == claim);
    expect(broken.is_some_and(|found| found.verdict == Outcome::Fail), || {
        format!("{claim} stands: {:?}", verdict.claims)
    })
}

fn died() -> Result<(), Failed> {
    let folder = copy(&run()?)?;
    let file = file_of(folder.path());
    let bytes = std::fs::read(&file)?;
    std::fs::write(&file, &bytes[..bytes.len() / 2])?;
    unproven(folder.path(), "reader-0 died")
}

fn lagged() -> Result<(), Failed> {
    let folder = copy(&run()?)?;
    rewrite(folder.path(), |answers| {
        while answers.pop().is_some_and(|answer| answer.records.is_empty()) {}
    })?;
    unproven(folder.path(), "reader-0 lagged")
}

fn no_file() -> Result<(), Failed> {
    let folder = copy(&run()?)?;
    std::fs::remove_file(file_of(folder.path()))?;
    unproven(folder.path(), "2 readers were ordered and 1 left a file")
}

fn damaged() -> Result<(), Failed> {
    let folder = copy(&run()?)?;
    let file = file_of(folder.path());
    let mut bytes = std::fs::read(&file)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&file, &bytes)?;
    expect_exit(&verify(folder.path()), 1)
}

/// Exit 5, with the reason; what does not rest on readers passes.
fn unproven(folder: &Path, why: &str) -> Result<(), Failed> {
    expect_exit(&verify(folder), 5)?;
    expect_unproven(&verdict(folder)?, why)
}

fn expect_unproven(verdict: &Verdict, why: &str) -> Result<(), Failed> {
    let text = format!("{verdict:?}");
    let told = verdict
        .inconclusive
        .iter()
        .any(|cause| cause.reason.contains(why));
    expect(told, || format!("{why:?} is not told: {text}"))?;
    for claim in &verdict.claims {
        let wanted = match claim.id.as_str() {
            "duplicated" | "reordered-in-time" => Outcome::Pass,
            _ => Outcome::Inconclusive,
        };
        expect(claim.verdict == wanted, || format!("{}: {text}", claim.id))?;
    }
    Ok(())
}

fn killed_under_load() -> Result<(), Failed> {
    let dir = temporary();
    let out = dir.path().join("run");
    let mut run = Running::start(&[&arguments("simulated", &out.to_string_lossy())[1..], SHORT].concat())?;
    run.until("steady")?;
    let order = out.join("reader-0.json");
    let readers = processes_with(&order.to_string_lossy());
    expect(readers.len() == 1, || format!("{readers:?}"))?;
    std::process::Command::new("kill")
        .args(["-KILL", &readers[0].to_string()])
        .status()?;
    let said = run.end_with(5, Duration::from_secs(90))?;
    expect(said.contains("reader-0 died (signal 9"), || said.clone())?;
    let verdict = verdict(&out)?;
    expect_unproven(&verdict, "reader-0 died")?;
    let seen = &verdict.readers[0];
    expect(seen.records > 0 && !seen.ended, || {
        format!("nothing of what it saw was kept: {seen:?}")
    })?;
    expect_nothing_left(&out)
}

fn file_of(folder: &Path) -> PathBuf {
    folder.join("reads/reader-0.bin")
}

/// Writes the first reader's file anew, through the format's own writer.
fn rewrite(folder: &Path, change: fn(&mut Vec<Answer>)) -> Result<(), Failed> {
    let file = file_of(folder);
    let mut reader = Reader::open(&file)?;
    let header = reader.header().clone();
    let (mut assigned, mut answers, mut end) = (Vec::new(), Vec::new(), None);
    while let Some(seen) = reader.next_seen()? {
        match seen {
            Seen::Assigned {
                partition,
                at_ns,
                offset,
            } => assigned.push((partition, at_ns, offset)),
            Seen::Poll(poll) => answers.push(Answer {
                partition: poll.partition,
                at_ns: poll.at_ns,
                next_offset: poll.next_offset,
                ends: (poll.high_watermark, poll.last_stable_offset),
                records: poll.records.to_vec(),
            }),
            Seen::Ended { at_ns } => end = Some(at_ns),
        }
    }
    change(&mut answers);
    std::fs::remove_file(&file)?;
    let mut writer = Writer::create(&file, &header)?;
    for (partition, at_ns, offset) in assigned {
        writer.assigned(partition, at_ns, offset)?;
    }
    for answer in &answers {
        writer.poll(&Poll {
            partition: answer.partition,
            at_ns: answer.at_ns,
            next_offset: answer.next_offset,
            high_watermark: answer.ends.0,
            last_stable_offset: answer.ends.1,
            records: &answer.records,
        })?;
    }
    writer.finish(end.ok_or("the reader did not end in order")?)?;
    Ok(())
}

fn verify(folder: &Path) -> std::process::Output {
    steadfast(&["verify", &folder.to_string_lossy()])
}
