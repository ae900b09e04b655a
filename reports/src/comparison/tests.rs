//! A comparison made up, drawn and read again.

use std::path::PathBuf;

use steadfast_verifier::comparison::{
    Block, Cell, Comparison, Figures, GoalVerdict, Metric, Ratio, SCHEMA, Standing,
};
use steadfast_verifier::measurements::Curve;
use steadfast_verifier::verdict::{Outcome, Percentiles};

use super::*;
use crate::fixture;

const HOSTILE: &str = "</title><script>alert(1)</script>|\n# x";

fn figures(p50_us: u64) -> Figures {
    Figures {
        ack: Percentiles {
            p50: p50_us * 1_000,
            p90: p50_us * 2_000,
            p99: p50_us * 3_000,
            p99_9: p50_us * 9_000,
            p99_99: p50_us * 20_000,
            max: p50_us * 30_000,
            count: 1_500_000,
        },
        lag_p99_ns: 120_000,
        rate: 25_000.0,
        client_us: 9.4,
        broker_us: 28.1,
        client_rss: 30 << 20,
    }
}

fn curve(name: &str, p50_us: u64) -> Curve {
    Curve {
        phase: name.into(),
        metric: "ack_latency".into(),
        points: vec![
            (0.0, 90_000),
            (50.0, p50_us * 1_000),
            (99.0, p50_us * 3_000),
            (100.0, p50_us * 30_000),
        ],
        count: 1_500_000,
    }
}

fn sample() -> Comparison {
    let cell = |block, position, subject: &str, p50| Cell {
        block,
        position,
        subject: subject.into(),
        folder: format!("block-{block}/{position}-{subject}"),
        figures: Some(figures(p50)),
        delivery: Outcome::Pass,
        note: None,
        steal: Some(0.001),
        waited: Some(0.03),
    };
    Comparison {
        schema: SCHEMA.into(),
        scenario: "latency/steady-25k".into(),
        title: "25,000 records a second".into(),
        seed: 7,
        under_test: "steadfast".into(),
        control: "floor".into(),
        verdict: Outcome::Fail,
        reason: "3 of 4 blocks count, 1 of 2 goals met".into(),
        subjects: [
            ("floor", 200),
            ("steadfast", 290),
            ("librdkafka:linger.ms=1", 1_100),
        ]
        .map(|(name, p50)| Standing {
            subject: name.into(),
            median: Some(figures(p50)),
            delivery: Outcome::Pass,
            note: None,
        })
        .to_vec(),
        blocks: vec![Block {
            number: 1,
            order: vec![
                "floor".into(),
                "steadfast".into(),
                "steadfast".into(),
                "floor".into(),
            ],
            drift: Some(0.125),
            steal: Some(0.001),
            dropped: Some("the two cells of floor differ by 12.5 % in p(50), more than 10.0 %".into()),
        }],
        cells: vec![
            cell(0, 1, "steadfast", 300),
            cell(1, 1, "floor", 200),
            cell(1, 2, "steadfast", 290),
        ],
        ratios: vec![Ratio {
            to: "floor".into(),
            metric: Metric::P99,
            blocks: vec![1.4, 1.5, 1.3],
            median: 1.4,
            interval: Some((1.3, 1.5)),
            geometric_mean: 1.4,
        }],
        goals: vec![
            GoalVerdict {
                goal: "p(99)<=1.3*floor".into(),
                observed: Some(1.4),
                interval: Some((1.3, 1.5)),
                limit: 1.3,
                verdict: Outcome::Fail,
            },
            GoalVerdict {
                goal: "rate>=0.5*floor".into(),
                observed: None,
                interval: None,
                limit: 0.5,
                verdict: Outcome::Inconclusive,
            },
        ],
        curves: vec![
            curve("floor", 200),
            curve("steadfast", 290),
            curve("librdkafka:linger.ms=1", 1_100),
        ],
        environment: fixture::pass().environment,
    }
}

fn drawn(comparison: &Comparison) -> (tempfile::TempDir, String, String) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join(FILE_NAME),
        serde_json::to_vec(comparison).unwrap(),
    )
    .unwrap();
    super::comparison(dir.path()).unwrap();
    let read = |name| std::fs::read_to_string(dir.path().join(name)).unwrap();
    let (html, text) = (read(PAGE), read(TEXT));
    // As for reports: leave them to be looked at.
    if let Some(kept) = std::env::var_os("STEADFAST_LOOK").map(PathBuf::from) {
        std::fs::create_dir_all(&kept).unwrap();
        std::fs::write(kept.join(PAGE), &html).unwrap();
    }
    (dir, html, text)
}

#[test]
fn both_pages_tell_medians_ratios_goals_and_what_was_dropped() {
    let (_dir, html, text) = drawn(&sample());
    for fact in [
        "FAIL",
        "25,000/s",
        "290 µs",
        "1.1 ms",
        "librdkafka:linger.ms=1",
        "1.4 (1.3 to 1.5)",
        "p(99.9)",
        "differ by 12.5 %",
        "not measured",
        "30 MiB",
    ] {
        let escaped = fact.replace('<', "&#60;");
        let known = fact == "p(99.9)" || html.contains(fact) || html.contains(&escaped);
        assert!(known, "{fact} is missing on the page");
        let plain = text.replace('\\', "");
        assert!(
            fact == "p(99.9)" || plain.contains(fact),
            "{fact} is missing in the text:\n{text}"
        );
    }
    assert_eq!(html.matches("<svg").count(), 1);
    assert!(html.contains("class=\"line g\"") && html.contains("class=\"line c\""));
}

#[test]
fn every_row_of_the_text_has_as_many_cells_as_its_head() {
    let (_dir, _, text) = drawn(&sample());
    let mut head = 0;
    for line in text.lines() {
        let cells = line.replace("\\|", "").matches('|').count();
        assert!(head == 0 || cells == 0 || cells == head, "{line}");
        head = cells;
    }
}

#[test]
fn strings_of_strangers_are_shown_and_never_run() {
    let mut hostile = sample();
    hostile.subjects[2].subject = HOSTILE.into();
    hostile.curves[2].phase = HOSTILE.into();
    hostile.cells[1].note = Some(HOSTILE.into());
    hostile.environment.cpu = HOSTILE.into();
    hostile.title = HOSTILE.into();
    hostile.blocks[0].order[0] = HOSTILE.into();
    let (_dir, html, text) = drawn(&hostile);
    let (_dir, tame, _) = drawn(&sample());
    let titles = |page: &str| page.matches("</title>").count();
    assert!(!html.contains("<script"));
    assert_eq!(titles(&html), titles(&tame));
    assert!(!text.contains("\n# x"));
}

#[test]
fn without_latencies_there_is_no_picture_and_no_empty_column() {
    let mut unlimited = sample();
    unlimited.curves.clear();
    for cell in &mut unlimited.cells {
        cell.figures.as_mut().unwrap().ack = Percentiles::default();
    }
    let (_dir, html, text) = drawn(&unlimited);
    assert!(!html.contains("<svg") && !text.contains("p99.9"), "{text}");
}

#[test]
fn several_go_on_one_page_with_their_pictures_beside_it() {
    let (first, _, _) = drawn(&sample());
    let (second, _, _) = drawn(&sample());
    let out = tempfile::tempdir().unwrap();
    let target = out.path().join("performance.md");
    crate::page(&[first.path().into(), second.path().into()], &target).unwrap();
    let text = std::fs::read_to_string(&target).unwrap();
    assert_eq!(text.matches("\n## ").count(), 2);
    assert!(text.contains("](performance-1.svg)") && text.contains("](performance-2.svg)"));
    let svg = std::fs::read_to_string(out.path().join("performance-2.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("xmlns=") && svg.contains("<style>"));
}

#[test]
fn what_is_no_comparison_is_refused_with_the_way_to_one() {
    let dir = tempfile::tempdir().unwrap();
    let told = super::comparison(dir.path()).unwrap_err().to_string();
    assert!(told.contains("steadfast compare"), "{told}");
    let mut foreign = sample();
    foreign.schema = "steadfast/comparison/9".into();
    std::fs::write(dir.path().join(FILE_NAME), serde_json::to_vec(&foreign).unwrap()).unwrap();
    let told = super::comparison(dir.path()).unwrap_err().to_string();
    assert!(told.contains("comparison/9"), "{told}");
}
