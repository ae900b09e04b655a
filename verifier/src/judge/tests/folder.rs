//! The run folder: damage is an error and never a verdict; what is written can be read again.

use std::fs;
use std::path::Path;

use super::fixture::{Run, environment};
use crate::judge::{JudgeError, Judgement, judge};
use crate::measurements::Measurements;
use crate::verdict::Verdict;

fn judge_at(run: &Run, dir: &Path) -> Result<Judgement, JudgeError> {
    judge(dir, &run.expectations, &environment())
}

#[test]
fn damage_is_an_error() {
    let run = Run::clean(20);
    for name in ["history/0-0.bin", "log/orders-0.bin", "log/orders-1.bin"] {
        let dir = run.write();
        let path = dir.path().join(name);
        let bytes = fs::read(&path).unwrap();
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 0x10;
        fs::write(&path, &flipped).unwrap();
        assert!(
            matches!(judge_at(&run, dir.path()), Err(JudgeError::Format(_))),
            "{name} flipped"
        );
        fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
        assert!(
            matches!(judge_at(&run, dir.path()), Err(JudgeError::Format(_))),
            "{name} cut"
        );
    }
    for name in ["samples.jsonl", "faults.jsonl", "seal.json"] {
        let dir = run.write();
        fs::write(dir.path().join(name), "{\"kind\": \"plan\", \"start").unwrap();
        let error = judge_at(&run, dir.path()).unwrap_err();
        assert!(
            matches!(error, JudgeError::Json { .. } | JudgeError::Io { .. }),
            "{name}: {error}"
        );
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_missing_file_is_an_error() {
    let run = Run::clean(20);
    for name in ["history/0-0.bin", "log/orders-0.bin", "samples.jsonl"] {
        let dir = run.write();
        fs::remove_file(dir.path().join(name)).unwrap();
        assert!(
            matches!(judge_at(&run, dir.path()), Err(JudgeError::Missing { .. })),
            "{name}"
        );
    }
}

#[test]
fn files_that_contradict_each_other_are_an_error() {
    let run = Run::clean(20);
    let dir = run.write();
    fs::copy(
        dir.path().join("history/0-0.bin"),
        dir.path().join("history/copy.bin"),
    )
    .unwrap();
    assert!(matches!(
        judge_at(&run, dir.path()),
        Err(JudgeError::Contradiction { .. })
    ));
    let dir = run.write();
    fs::copy(
        dir.path().join("log/orders-0.bin"),
        dir.path().join("log/orders-1.bin"),
    )
    .unwrap();
    assert!(matches!(
        judge_at(&run, dir.path()),
        Err(JudgeError::Contradiction { .. })
    ));
}

#[test]
fn judging_again_gives_the_same_and_the_files_can_be_read() {
    let run = Run::clean(20);
    let dir = run.write();
    let judgement = judge_at(&run, dir.path()).unwrap();
    judgement.write(dir.path()).unwrap();
    assert_eq!(judge_at(&run, dir.path()).unwrap(), judgement);
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    let verdict: Verdict = serde_json::from_str(&read("verdict.json")).unwrap();
    assert_eq!(verdict, judgement.verdict);
    let measurements: Measurements = serde_json::from_str(&read("measurements.json")).unwrap();
    assert_eq!(measurements, judgement.measurements);
    assert!(measurements.curves.iter().all(|curve| curve.points.len() <= 200));
    assert!(
        read("latency.hlog").contains("Tag=steady,1.000,9.000,"),
        "{}",
        read("latency.hlog")
    );
}
