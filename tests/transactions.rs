//! Transactions and copy jobs as a user runs them, on our own broker and on Kafka; and the judge of them judged: what is
//! torn in a copy of a clean run folder, through the log format's own writer, is named with exit 10.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libtest_mimic::{Failed, Trial};
use steadfast_verifier::log::{self, LogBatch};
use steadfast_verifier::seal::{Positions, Seal};
use steadfast_verifier::verdict::{Outcome, Verdict};

use crate::main_job::copy;
use crate::support::{Need, expect, expect_exit, steadfast, temporary, trial, verdict};

pub(crate) fn trials() -> Vec<Trial> {
    let kafka = [Need::All, Need::Kafka];
    let cut_off = [Need::All, Need::Toxiproxy];
    vec![
        trial("transactions::stay_whole_with_some_aborted", &[], whole),
        trial("transactions::an_abort_that_can_be_read_is_T1", &[], || {
            torn(Run::Transactions, "T1", "torn", |logs| flip(logs, false, false))
        }),
        trial("transactions::a_half_commit_is_T3", &[], || {
            torn(Run::Transactions, "T3", "torn", |logs| flip(logs, true, false))
        }),
        trial("transactions::a_commit_that_never_was_is_T5", &[], || {
            torn(Run::Transactions, "T5", "torn", |logs| flip(logs, true, true))
        }),
        trial("transactions::an_old_epoch_is_T7", &[], || {
            torn(Run::Transactions, "T7", "torn", zombie)
        }),
        trial("transactions::one_that_stays_open_is_T8", &[], hanging),
        trial("transactions::a_rewrite_without_a_change_passes", &[], unchanged),
        trial("copy_job::killed_in_the_middle_it_copies_each_once", &[], copied),
        trial("copy_job::an_abort_that_can_be_read_is_D6", &[], || {
            torn(Run::Copy, "D6", "duplicated", |logs| flip(logs, false, false))
        }),
        trial("copy_job::a_missing_copy_is_T6", &[], || {
            torn(Run::Copy, "T6", "torn", leave_out)
        }),
        trial("copy_job::a_position_left_behind_is_T6", &[], position_behind),
        trial("copy_job::unknown_positions_prove_nothing", &[], no_positions),
        trial(
            "copy_job::one_that_did_not_finish_proves_nothing",
            &[],
            not_finished,
        ),
        trial("transactions::leader_kill_on_kafka", &kafka, || {
            catalogue("delivery/transactions", "kafka", 0).map(|_| ())
        }),
        trial("transactions::leader_kill_on_our_own", &[Need::All], || {
            // What survives a broker is not Kafka's there; that is said, and nothing else is wrong.
            let verdict = catalogue("delivery/transactions", "simulated", 5)?;
            outcome(&verdict, "torn", Outcome::Pass)
        }),
        trial(
            "copy_job::killed_and_cut_off_on_kafka",
            &[Need::All, Need::Kafka, Need::Toxiproxy],
            || catalogue("delivery/copy-job", "kafka", 0).map(|_| ()),
        ),
        trial("copy_job::killed_and_cut_off_on_our_own", &cut_off, || {
            catalogue("delivery/copy-job", "simulated", 0).map(|_| ())
        }),
        trial("copy_job::leader_kill_on_kafka", &kafka, || {
            catalogue("delivery/copy-job-leader-kill", "kafka", 0).map(|_| ())
        }),
    ]
}

const TRANSACTIONS: &str = r#"
title = "Some transactions are aborted, none is torn"
seed = 7
[cluster]
topics.payments = { partitions = 3 }
[producer]
transactional.id = "payments-1"
linger.ms = 2
[workload]
executor = "constant-arrival-rate"
rate = "500/s"
warmup = "2s"
duration = "6s"
keys = { distribution = "uniform", count = 100 }
[workload.transaction]
records = 40
abort-ratio = 0.2
[claims]
reordered-per-key = 0
torn = 0
"#;

const COPY: &str = r#"
title = "A job that is killed copies each record once"
seed = 7
[cluster]
topics.incoming = { partitions = 3 }
topics.outgoing = { partitions = 2 }
[producer]
transactional.id = "copy-1"
[workload]
through = "copy"
source = "incoming"
topic = "outgoing"
executor = "constant-arrival-rate"
rate = "500/s"
warmup = "6s"
duration = "8s"
keys = { distribution = "uniform", count = 100 }
headers = [{ name = "origin", size = "8 B" }]
[workload.transaction]
every = "30ms"
abort-ratio = 0.1
[[fault]]
name = "kill-job"
at = "2s"
for = "1s"
action = "kill"
target = "client"
[claims]
reordered-per-key = 0
torn = 0
"#;

#[derive(Clone, Copy)]
enum Run {
    Transactions,
    Copy,
}

type Made = OnceLock<Result<(tempfile::TempDir, PathBuf), String>>;

/// A clean run on our own broker, made once for all tests that look at it.
fn clean(run: Run) -> Result<PathBuf, Failed> {
    static TRANSACTIONS_RUN: Made = OnceLock::new();
    static COPY_RUN: Made = OnceLock::new();
    let (made, text) = match run {
        Run::Transactions => (&TRANSACTIONS_RUN, TRANSACTIONS),
        Run::Copy => (&COPY_RUN, COPY),
    };
    let run = made.get_or_init(|| {
        let dir = temporary();
        let (file, out) = (dir.path().join("job.toml"), dir.path().join("run"));
        fs::write(&file, text).map_err(|error| error.to_string())?;
        let (file, folder) = (file.to_string_lossy(), out.to_string_lossy());
        let output = steadfast(&["run", &file, "--broker", "simulated", "--out", &folder]);
        expect_exit(&output, 0).map_err(|e| e.message().unwrap_or("failed").to_owned())?;
        Ok((dir, out))
    });
    match run {
        Ok((_, out)) => Ok(out.clone()),
        Err(error) => Err(error.clone().into()),
    }
}

fn whole() -> Result<(), Failed> {
    let verdict = verdict(&clean(Run::Transactions)?)?;
    let torn = claim(&verdict, "torn")?;
    for id in ["T1", "T3", "T4", "T5", "T7", "T8"] {
        expect(torn.iter().any(|checked| checked == id), || {
            format!("{id} was not checked: {torn:?}")
        })?;
    }
    // 4,000 records were due, and as many count as answered: committed, or aborted as the workload asked.
    let records = &verdict.records;
    expect(
        records.intended == 4_000 && records.acked == 4_000 && records.read == 4_000,
        || format!("{records:?}"),
    )?;
    let latency = &verdict.latency_ns["steady"];
    let (ack, service) = (&latency.ack_latency, &latency.service_time);
    expect(ack.count == 3_000 && service.count == 3_000, || {
        format!("{} of 3000 records have a latency", ack.count)
    })?;
    // Forty records at 500/s take 80 ms, and none is there for readers before the commit.
    expect(ack.p50 > 20_000_000 && service.p50 < ack.p50 / 2, || {
        format!("ack latency {} ns, service time {} ns", ack.p50, service.p50)
    })?;
    let mut aborted = 0;
    for file in logs(&clean(Run::Transactions)?)? {
        let batches = read(&file)?.batches;
        aborted += batches
            .iter()
            .filter(|batch| batch.marker.is_some_and(|marker| !marker.commit))
            .count();
    }
    expect(aborted > 0, || "no transaction was aborted".into())
}

fn copied() -> Result<(), Failed> {
    let folder = clean(Run::Copy)?;
    let verdict = verdict(&folder)?;
    let (torn, duplicated) = (claim(&verdict, "torn")?, claim(&verdict, "duplicated")?);
    expect(
        torn.contains(&"T6".to_owned()) && duplicated.contains(&"D6".to_owned()),
        || format!("{torn:?} {duplicated:?}"),
    )?;
    let positions = Positions::read(&folder)?.ok_or("no positions.json")?;
    let total: i64 = positions.committed.values().sum();
    expect(total == 7_000, || format!("committed {positions:?}"))?;
    let killed = &verdict.faults[0];
    expect(
        killed.target == "client" && killed.evidence.contains_key("started_again"),
        || format!("{killed:?}"),
    )?;
    expect(folder.join("history/0-1.bin").exists(), || {
        "no second incarnation".into()
    })
}

/// Plants something into the logs of a clean run and wants it named, in a broken claim, with an example.
fn torn(run: Run, id: &str, claim: &str, plant: fn(&mut [Log]) -> bool) -> Result<(), Failed> {
    let folder = copy(&clean(run)?)?;
    let written_to = match run {
        Run::Transactions => "payments",
        Run::Copy => "outgoing",
    };
    let mut all: Vec<Log> = Vec::new();
    for file in logs(folder.path())? {
        let log = read(&file)?;
        if log.topic == written_to {
            all.push(log);
        }
    }
    expect(plant(&mut all), || "nothing to plant it into".into())?;
    for log in &all {
        write(folder.path(), log)?;
    }
    expect_named(folder.path(), id, claim)
}

fn expect_named(folder: &Path, id: &str, claim: &str) -> Result<(), Failed> {
    expect_exit(&verify(folder), 10)?;
    let verdict = verdict(folder)?;
    expect(verdict.anomalies.get(id).is_some_and(|n| *n >= 1), || {
        format!("{id} not named: {:?}", verdict.anomalies)
    })?;
    expect(verdict.examples.iter().any(|example| example.id == id), || {
        "no example for people".into()
    })?;
    outcome(&verdict, claim, Outcome::Fail)
}

/// One partition's log.
struct Log {
    topic: String,
    partition: i32,
    end_offset: i64,
    batches: Vec<LogBatch>,
}

/// Turns the markers of one transaction around: in one partition, or in `all`. A transaction to be torn is in several
/// partitions.
fn flip(logs: &mut [Log], commit: bool, all: bool) -> bool {
    let markers = |log: &Log| -> Vec<(i64, i16)> {
        let ends = log
            .batches
            .iter()
            .filter(|batch| batch.marker.is_some_and(|marker| marker.commit == commit));
        ends.map(|batch| (batch.producer_id, batch.producer_epoch))
            .collect()
    };
    let last = markers(&logs[logs.len() - 1]);
    let Some(&chosen) = markers(&logs[0]).iter().find(|end| !commit || last.contains(end)) else {
        return false;
    };
    for log in logs.iter_mut() {
        for batch in &mut log.batches {
            if (batch.producer_id, batch.producer_epoch) == chosen
                && let Some(marker) = &mut batch.marker
            {
                marker.commit = !commit;
            }
        }
        if !all {
            return true;
        }
    }
    true
}

/// The last batch of a partition turns out to be of the first epoch.
fn zombie(logs: &mut [Log]) -> bool {
    let data = logs[0].batches.iter_mut().filter(|batch| !batch.control);
    let Some(last) = data.last() else { return false };
    last.producer_epoch = 0;
    true
}

/// A committed record is gone from the target.
fn leave_out(logs: &mut [Log]) -> bool {
    let ends = logs[0]
        .batches
        .iter()
        .position(|batch| batch.marker.is_some_and(|marker| marker.commit));
    let Some(ends) = ends else { return false };
    let batch = logs[0].batches[..ends]
        .iter_mut()
        .rev()
        .find(|batch| !batch.control);
    batch.is_some_and(|batch| batch.records.pop().is_some())
}

fn hanging() -> Result<(), Failed> {
    let folder = copy(&clean(Run::Transactions)?)?;
    let mut seal = Seal::read(folder.path())?;
    let partition = &mut seal.partitions[0];
    partition.last_stable_offset = partition.end_offset - 1;
    partition.stable_stood_ns = 200_000_000_000;
    seal.write(folder.path())?;
    expect_named(folder.path(), "T8", "torn")
}

fn unchanged() -> Result<(), Failed> {
    for run in [Run::Transactions, Run::Copy] {
        let folder = copy(&clean(run)?)?;
        for file in logs(folder.path())? {
            write(folder.path(), &read(&file)?)?;
        }
        expect_exit(&verify(folder.path()), 0)?;
    }
    Ok(())
}

fn position_behind() -> Result<(), Failed> {
    let folder = copy(&clean(Run::Copy)?)?;
    change_positions(folder.path(), |position| *position -= 1)?;
    expect_named(folder.path(), "T6", "torn")
}

fn no_positions() -> Result<(), Failed> {
    let folder = copy(&clean(Run::Copy)?)?;
    fs::remove_file(folder.path().join("positions.json"))?;
    expect_exit(&verify(folder.path()), 5)
}

/// The last transaction never was: its records and their positions are as if the job had stopped before it.
fn not_finished() -> Result<(), Failed> {
    let folder = copy(&clean(Run::Copy)?)?;
    // One more record in the source, which nobody came to copy.
    for file in logs(folder.path())? {
        let mut log = read(&file)?;
        if log.topic == "incoming" {
            let last = log.batches.last_mut().ok_or("an empty source")?;
            let mut record = *last.records.last().ok_or("no record")?;
            record.offset += 1;
            last.records.push(record);
            write(folder.path(), &log)?;
            break;
        }
    }
    expect_exit(&verify(folder.path()), 5)?;
    let verdict = verdict(folder.path())?;
    expect(
        verdict
            .inconclusive
            .iter()
            .any(|cause| cause.reason.contains("end of its source")),
        || format!("{:?}", verdict.inconclusive),
    )
}

fn change_positions(folder: &Path, change: fn(&mut i64)) -> Result<(), Failed> {
    let mut positions = Positions::read(folder)?.ok_or("no positions.json")?;
    change(positions.committed.get_mut(&0).ok_or("no position")?);
    Ok(positions.write(folder)?)
}

/// The checked anomalies of a claim that passes.
fn claim(verdict: &Verdict, id: &str) -> Result<Vec<String>, Failed> {
    outcome(verdict, id, Outcome::Pass)?;
    let claim = verdict.claims.iter().find(|claim| claim.id == id);
    Ok(claim.map(|claim| claim.checked.clone()).unwrap_or_default())
}

fn outcome(verdict: &Verdict, id: &str, outcome: Outcome) -> Result<(), Failed> {
    let claim = verdict.claims.iter().find(|claim| claim.id == id);
    expect(claim.is_some_and(|claim| claim.verdict == outcome), || {
        format!("{id} is {claim:?}")
    })
}

fn catalogue(name: &str, kind: &str, exit: i32) -> Result<Verdict, Failed> {
    let dir = temporary();
    let out = dir.path().join("run");
    let file = format!("scenarios/{name}.toml");
    let output = steadfast(&["run", &file, "--broker", kind, "--out", &out.to_string_lossy()]);
    expect_exit(&output, exit)?;
    verdict(&out)
}

fn logs(folder: &Path) -> Result<Vec<PathBuf>, Failed> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder.join("log"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|file| file.extension().is_some_and(|extension| extension == "bin"))
        .collect();
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> Result<Log, Failed> {
    let mut reader = log::Reader::open(file)?;
    let (topic, partition) = (reader.topic().to_owned(), reader.partition());
    let mut batches = Vec::new();
    while let Some(batch) = reader.next_batch()? {
        batches.push(batch.clone());
    }
    let end_offset = reader.footer().ok_or("no footer")?.end_offset;
    Ok(Log {
        topic,
        partition,
        end_offset,
        batches,
    })
}

fn write(folder: &Path, log: &Log) -> Result<(), Failed> {
    let dir = folder.join("log");
    fs::remove_file(log::path(&dir, &log.topic, log.partition))?;
    let mut writer = log::Writer::create(&dir, &log.topic, log.partition)?;
    for batch in &log.batches {
        writer.batch(batch)?;
    }
    writer.finish(log.end_offset)?;
    Ok(())
}

fn verify(folder: &Path) -> std::process::Output {
    steadfast(&["verify", &folder.to_string_lossy()])
}
