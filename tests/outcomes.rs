//! A record that Kafka refuses for good gets that outcome and Kafka's own code; nothing waits for it, nothing is lost.

use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use steadfast_verifier::history::{Entry, Outcome, Reader};

use crate::running::{Running, expect_nothing_left};
use crate::support::{Need, expect, temporary, trial, verdict};

/// MESSAGE_TOO_LARGE.
const TOO_LARGE: i16 = 10;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial(
        "outcomes::a_record_too_large_is_not_written",
        &[Need::Kafka],
        too_large,
    )]
}

/// 2,000 bytes each into a topic that takes 1,000.
const SCENARIO: &str = r#"title = "records larger than their topic takes"
[cluster]
topics.records = { partitions = 2, max.message.bytes = 1000 }
[workload]
executor = "constant-arrival-rate"
rate = "100/s"
warmup = "0s"
duration = "4s"
record-size = "2000 B"
[claims]
lost = 0
"#;

fn too_large() -> Result<(), Failed> {
    let dir = temporary();
    let file = dir.path().join("too-large.toml");
    std::fs::write(&file, SCENARIO)?;
    let out = dir.path().join("run");
    let (file, text) = (file.to_string_lossy(), out.to_string_lossy());
    let run = Running::start(&[&file, "--broker", "kafka", "--out", &text])?;
    // Nothing was acknowledged, so nothing could be shown: no pass.
    let said = run.end_with(5, Duration::from_secs(90))?;
    let records = verdict(&out)?.records;
    expect(
        records.not_written == records.intended && records.intended > 300 && records.read == 0,
        || format!("{records:?}\n{said}"),
    )?;
    let mut history = Reader::open(&out.join("history/0-0.bin"))?;
    let mut refused = 0;
    while let Some(entry) = history.next_entry()? {
        if let Entry::Completed(completed) = entry {
            let told = completed.outcome == Outcome::NotWritten && completed.error_code == TOO_LARGE;
            expect(told, || format!("{completed:?}"))?;
            refused += completed.indexes.len() as u64;
        }
    }
    expect(refused == records.intended, || {
        format!("{refused} of {} have their outcome", records.intended)
    })?;
    expect_nothing_left(&out)
}
