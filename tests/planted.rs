//! The judge judged: anomalies planted into a copy of a clean run, through the log format's own writer, are named;
//! raw damage is never judged.

use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};
use steadfast_verifier::log::{self, LogBatch};

use crate::main_job::{clean_run, copy};
use crate::support::{Need, expect, expect_exit, steadfast, trial, verdict};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("planted::a_record_left_out_is_L1", &[Need::Kafka], || {
            planted("L1", "lost", leave_out)
        }),
        trial("planted::a_record_written_twice_is_D1", &[Need::Kafka], || {
            planted("D1", "duplicated", write_twice)
        }),
        trial(
            "planted::two_records_of_one_key_exchanged_are_O1",
            &[Need::Kafka],
            || planted("O1", "reordered-per-key", exchange),
        ),
        trial(
            "planted::a_rewrite_without_a_change_passes",
            &[Need::Kafka],
            unchanged,
        ),
        trial(
            "planted::raw_damage_of_any_file_is_exit_1",
            &[Need::Kafka],
            raw_damage,
        ),
    ]
}

fn planted(id: &str, claim: &str, plant: fn(&mut [LogBatch])) -> Result<(), Failed> {
    let folder = copy(&clean_run()?)?;
    rewrite(folder.path(), plant)?;
    expect_exit(&verify(folder.path()), 10)?;
    let verdict = verdict(folder.path())?;
    expect(verdict.anomalies.get(id).is_some_and(|n| *n >= 1), || {
        format!("{id} not named: {:?}", verdict.anomalies)
    })?;
    let broken: Vec<&str> = verdict
        .claims
        .iter()
        .filter(|c| c.observed > c.limit)
        .map(|c| c.id.as_str())
        .collect();
    expect(broken.contains(&claim), || {
        format!("{claim} stands, broken are {broken:?}")
    })?;
    expect(verdict.examples.iter().any(|e| e.id == id), || {
        "no example for people".into()
    })
}

fn unchanged() -> Result<(), Failed> {
    let folder = copy(&clean_run()?)?;
    rewrite(folder.path(), |_| ())?;
    expect_exit(&verify(folder.path()), 0)
}

fn raw_damage() -> Result<(), Failed> {
    for pick in ["log", "history"] {
        let folder = copy(&clean_run()?)?;
        let file = first_file(&folder.path().join(pick))?;
        let mut bytes = std::fs::read(&file)?;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        std::fs::write(&file, &bytes)?;
        expect_exit(&verify(folder.path()), 1)?;
        bytes[middle] ^= 0x10;
        bytes.truncate(bytes.len() - 7);
        if pick == "log" {
            std::fs::write(&file, &bytes)?;
            expect_exit(&verify(folder.path()), 1)?;
        }
    }
    for name in ["seal.json", "environment.json"] {
        let folder = copy(&clean_run()?)?;
        std::fs::write(folder.path().join(name), "{")?;
        expect_exit(&verify(folder.path()), 1)?;
    }
    Ok(())
}

fn leave_out(batches: &mut [LogBatch]) {
    let batch = batches
        .iter_mut()
        .find(|b| b.records.len() > 1)
        .expect("a batch of two");
    batch.records.remove(1);
}

/// The copy goes to the end of the log, behind everything, so that nothing else looks out of place.
fn write_twice(batches: &mut [LogBatch]) {
    let last = batches.last_mut().expect("a batch");
    let mut record = *last.records.last().expect("a record");
    record.offset += 1;
    last.records.push(record);
}

/// Two records of one partition, in two batches, change places. Each keeps its own bytes; only the offsets change hands.
fn exchange(batches: &mut [LogBatch]) {
    let [first, second] = batches.get_disjoint_mut([0, 1]).expect("two batches");
    let (a, b) = (&mut first.records[0], &mut second.records[0]);
    std::mem::swap(a, b);
    std::mem::swap(&mut a.offset, &mut b.offset);
}

fn rewrite(folder: &Path, change: fn(&mut [LogBatch])) -> Result<(), Failed> {
    let file = first_file(&folder.join("log"))?;
    let mut reader = log::Reader::open(&file)?;
    let (topic, partition) = (reader.topic().to_owned(), reader.partition());
    let mut batches = Vec::new();
    while let Some(batch) = reader.next_batch()? {
        batches.push(batch.clone());
    }
    let end_offset = reader.footer().ok_or("no footer")?.end_offset;
    change(&mut batches);
    std::fs::remove_file(&file)?;
    let mut writer = log::Writer::create(&folder.join("log"), &topic, partition)?;
    for batch in &batches {
        writer.batch(batch)?;
    }
    writer.finish(end_offset)?;
    Ok(())
}

fn first_file(dir: &Path) -> Result<PathBuf, Failed> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)?
        .filter_map(|e| Some(e.ok()?.path()))
        .collect();
    files.sort();
    files
        .into_iter()
        .find(|f| f.extension().is_some_and(|x| x == "bin"))
        .ok_or_else(|| "no file".into())
}

fn verify(folder: &Path) -> std::process::Output {
    steadfast(&["verify", &folder.to_string_lossy()])
}
