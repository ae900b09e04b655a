//! Run folders with concurrent readers: what they accuse, when they saw it, and what their silence does not prove.

use super::fixture::{END, MS, Run, S, stands};
use super::limits::limit;
use crate::expectations::{Claim, ClaimId, Comparison, Metric, Statistic};
use crate::judge::{EXIT_DELIVERY, EXIT_INCONCLUSIVE, EXIT_PASS, EXIT_THRESHOLD};
use crate::log::LogRecord;
use crate::reads::{Header, Isolation, Poll, Recorded};
use crate::stamp::RecordId;
use crate::verdict::{Outcome, Verdict};

/// How long after its acknowledgement a reader gets a record.
const TO_READER: u64 = 3 * MS;

/// Answers of one reader, a record each, 5 ms after it was sent.
fn answers(run: &Run) -> Vec<(i32, u64, LogRecord)> {
    let place = |(i, sent)| {
        (
            (i % 2) as i32,
            stands(sent, i as i64 / 2),
            sent.sent_ns + 2 * MS + TO_READER,
        )
    };
    run.sent
        .iter()
        .enumerate()
        .map(place)
        .map(|(partition, record, at_ns)| (partition, at_ns, record))
        .collect()
}

/// A reader with these answers, which ended as it was asked to.
fn reader(name: &str, answers: &[(i32, u64, LogRecord)]) -> Recorded {
    let mut reader = begun(name, answers);
    reader.ended(END + S);
    reader
}

fn begun(name: &str, answers: &[(i32, u64, LogRecord)]) -> Recorded {
    let mut reader = Recorded::new(Header {
        reader: name.to_owned(),
        topic: "orders".into(),
        isolation: Isolation::ReadCommitted,
    });
    (0..2).for_each(|partition| reader.assigned(partition, 1, 0));
    for &(partition, at_ns, record) in answers {
        reader.poll(&Poll {
            partition,
            at_ns,
            next_offset: record.offset + 1,
            high_watermark: record.offset + 1,
            last_stable_offset: record.offset + 1,
            records: &[record],
        });
    }
    reader
}

/// Forty records, and two readers that saw all of them.
fn run() -> Run {
    let mut run = Run::clean(40);
    let all = answers(&run);
    run.reads = vec![reader("reader-0", &all), reader("reader-1", &all)];
    run.expectations.readers = 2;
    run.expectations.claims.push(Claim {
        id: ClaimId::ReorderedForReaders,
        limit: 0,
    });
    run
}

fn verdict(run: &Run) -> Verdict {
    run.judge().unwrap().verdict
}

fn outcome(verdict: &Verdict, claim: &str) -> Outcome {
    verdict.claims.iter().find(|c| c.id == claim).unwrap().verdict
}

fn without_7(all: &mut Vec<(i32, u64, LogRecord)>) {
    all.remove(7);
}

/// The run with another second reader.
fn planted(change: impl FnOnce(&mut Vec<(i32, u64, LogRecord)>)) -> Run {
    let mut run = run();
    let mut all = answers(&run);
    change(&mut all);
    run.reads[1] = reader("reader-1", &all);
    run
}

#[test]
fn readers_that_saw_everything_let_all_claims_pass() {
    let verdict = verdict(&run());
    assert_eq!(
        verdict.exit_code, EXIT_PASS,
        "{:?} {:?}",
        verdict.claims, verdict.inconclusive
    );
    let checked: Vec<_> = verdict
        .claims
        .iter()
        .flat_map(|claim| claim.checked.clone())
        .collect();
    for id in ["L6", "O4", "O5", "I1"] {
        assert!(checked.iter().any(|checked| checked == id), "{id}");
    }
    let told = &verdict.readers[1];
    assert_eq!(
        (
            told.reader.as_str(),
            told.answers,
            told.records,
            told.behind,
            told.ended
        ),
        ("reader-1", 40, 40, 0, true)
    );
}

#[test]
fn planted_anomalies_are_named() {
    let cases: [(&str, &str, Run); 5] = [
        ("O5", "reordered-for-readers", planted(without_7)),
        (
            "O5",
            "reordered-for-readers",
            planted(|all| all.insert(9, all[7])),
        ),
        (
            "L6",
            "lost",
            planted(|all| all[6].2.id = Some(RecordId::new(0, 2))),
        ),
        ("I1", "corrupted", planted(|all| all[6].2.sequence += 1)),
        ("I1", "corrupted", planted(|all| all[6].2.intact = false)),
    ];
    for (id, claim, run) in cases {
        let verdict = verdict(&run);
        assert_eq!(
            verdict.anomalies.get(id),
            Some(&1),
            "{id}: {:?}",
            verdict.anomalies
        );
        assert_eq!(
            (verdict.exit_code, outcome(&verdict, claim)),
            (EXIT_DELIVERY, Outcome::Fail),
            "{id}"
        );
    }
}

#[test]
fn o4_is_named_where_a_reader_saw_the_gap() {
    // Records 0 and 4, of one key, stand the wrong way round in the log, and both readers saw it so.
    let mut run = run();
    let (first, second) = (*run.sent(0), *run.sent(4));
    *run.at(0, 0) = stands(&second, 0);
    *run.at(0, 2) = stands(&first, 2);
    (run.sent(0).fate, run.sent(4).fate) = (second.fate, first.fate);
    let mut all = answers(&run);
    (all[0].2, all[4].2) = (stands(&second, 0), stands(&first, 2));
    run.reads = vec![reader("reader-0", &all), reader("reader-1", &all)];
    let verdict = verdict(&run);
    assert_eq!(
        (verdict.anomalies.get("O4"), verdict.anomalies.get("O1")),
        (Some(&2), Some(&1))
    );
}

#[test]
fn visible_latency_counts_every_reader_from_the_intended_time() {
    let p = |percentile, below| {
        limit(
            Metric::VisibleLatency,
            Statistic::Percentile(percentile),
            Comparison::Less,
            below,
        )
    };
    // Due 1 ms before it was sent, acknowledged after 2, at the reader after 3 more.
    let run = run().threshold(p(99.0, 7e6)).threshold(p(50.0, 5e6));
    let verdict = verdict(&run);
    let observed = verdict.thresholds[0].observed.unwrap();
    assert!((observed - 6e6).abs() < 12e3, "{observed}");
    assert_eq!(verdict.thresholds[0].verdict, Outcome::Pass);
    assert_eq!(verdict.thresholds[1].verdict, Outcome::Fail);
    assert_eq!(verdict.exit_code, EXIT_THRESHOLD);
    let all = verdict.latency_ns["all"].visible_latency.unwrap();
    assert_eq!(all.count, 2 * 39, "one of the forty was due in warm-up");
    let series = run.judge().unwrap().measurements.series;
    assert!(
        series[2]
            .visible_p99_ns
            .is_some_and(|ns| ns.abs_diff(6 * MS) < MS / 10)
    );
}

#[test]
fn a_record_that_a_reader_never_saw_has_no_latency() {
    let last = |percentile| {
        let run = planted(|all| all[..4].iter_mut().for_each(|answer| answer.1 += S));
        run.threshold(limit(
            Metric::VisibleLatency,
            Statistic::Percentile(percentile),
            Comparison::Less,
            7e6,
        ))
    };
    assert_eq!(verdict(&last(90.0)).thresholds[0].verdict, Outcome::Pass);
    assert_eq!(verdict(&last(99.0)).thresholds[0].verdict, Outcome::Fail);
    // Jumped over, it is O5, and the figure has no end.
    let mut jumped = planted(without_7);
    jumped = jumped.threshold(limit(
        Metric::VisibleLatency,
        Statistic::Max,
        Comparison::Less,
        1e12,
    ));
    let threshold = verdict(&jumped).thresholds[0].clone();
    assert_eq!((threshold.verdict, threshold.observed), (Outcome::Fail, None));
    assert!(threshold.reason.unwrap().contains("1 of 78 times"));
}

/// What rests on a reader that did not see everything is not shown; what it accuses of stands.
fn unseen(run: Run, why: &str) {
    let run = run.threshold(limit(
        Metric::VisibleLatency,
        Statistic::Percentile(99.0),
        Comparison::Less,
        7e6,
    ));
    let told = verdict(&run);
    assert_eq!(told.exit_code, EXIT_INCONCLUSIVE, "{why}: {:?}", told.claims);
    for claim in ["lost", "reordered-per-key", "reordered-for-readers", "corrupted"] {
        assert_eq!(outcome(&told, claim), Outcome::Inconclusive, "{why}: {claim}");
    }
    for claim in ["duplicated", "reordered-in-time"] {
        assert_eq!(outcome(&told, claim), Outcome::Pass, "{why}: {claim}");
    }
    assert_eq!(told.thresholds[0].verdict, Outcome::Inconclusive);
    let cause = told.inconclusive.iter().find(|cause| cause.id == "H5").unwrap();
    assert!(cause.reason.contains(why), "{}", cause.reason);
}

#[test]
fn a_reader_that_died_lagged_or_left_nothing_is_told_and_proves_nothing() {
    let all = answers(&run());
    let mut died = run();
    died.reads[1] = begun("reader-1", &all[..20]);
    unseen(died, "reader-1 died");
    let mut died_late = run();
    died_late.reads[1] = begun("reader-1", &all);
    unseen(died_late, "reader-1 died");
    let mut lagged = run();
    lagged.reads[1] = reader("reader-1", &all[..38]);
    unseen(lagged, "reader-1 lagged: 2 records behind");
    let mut nothing = run();
    nothing.reads.pop();
    unseen(nothing, "2 readers were ordered and 1 left a file");
    let mut no_reader = run();
    no_reader.reads.clear();
    unseen(no_reader, "2 readers were ordered and 0 left a file");

    let mut died_after_it_saw = planted(|all| all.insert(9, all[7]));
    let mut all = answers(&died_after_it_saw);
    all.insert(9, all[7]);
    died_after_it_saw.reads[1] = begun("reader-1", &all[..20]);
    let told = verdict(&died_after_it_saw);
    assert_eq!((told.exit_code, told.anomalies["O5"]), (EXIT_DELIVERY, 1));
}
