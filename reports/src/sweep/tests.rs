//! Pages of a sweep: what they tell, and that strings of strangers do no harm.

use std::fs;

use steadfast_verifier::comparison::Figures;
use steadfast_verifier::sweep::{FILE_NAME, Point, SCHEMA, Series, Sweep};
use steadfast_verifier::verdict::Outcome;

use super::{PAGE, TEXT, section, sweep, sweep_text};
use crate::fixture;

fn point(value: &str, p50_us: u64) -> Point {
    let mut figures = Figures {
        rate: 1000.0,
        client_us: 4.5,
        broker_us: 20.0,
        client_rss: 20 << 20,
        ..Figures::default()
    };
    figures.ack.count = 1000;
    figures.ack.p50 = p50_us * 1000;
    figures.ack.p99 = p50_us * 3000;
    figures.ack.p99_9 = p50_us * 9000;
    Point {
        value: value.into(),
        folder: "workload.rate/1".into(),
        offered: Some(1000.0),
        figures: Some(figures),
        cores: (1.2, 2),
        delivery: Outcome::Pass,
        note: None,
    }
}

fn grown() -> Sweep {
    let beyond = Point {
        figures: None,
        delivery: Outcome::Inconclusive,
        note: Some("steady state not reached: 12 records/s".into()),
        ..point("9000/s", 0)
    };
    let full = Point {
        cores: (1.96, 2),
        ..point("2000/s", 900)
    };
    Sweep {
        schema: SCHEMA.into(),
        scenario: "latency/steady".into(),
        title: "a title with <b>markup</b> and | bars".into(),
        seed: 7,
        subject: "steadfast".into(),
        series: vec![Series {
            key: "workload.rate".into(),
            points: vec![point("1000/s", 300), full, beyond],
        }],
        environment: fixture::pass().environment,
    }
}

fn drawn(sweep_of: &Sweep) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(FILE_NAME), serde_json::to_vec(sweep_of).unwrap()).unwrap();
    sweep(dir.path()).unwrap();
    dir
}

/// `STEADFAST_LOOK=/tmp/look cargo test -p steadfast-reports a_sweep` leaves the page there to be looked at.
#[test]
fn a_sweep_tells_figures_and_what_bends_the_line() {
    let dir = drawn(&grown());
    let html = fs::read_to_string(dir.path().join(PAGE)).unwrap();
    let text = fs::read_to_string(dir.path().join(TEXT)).unwrap();
    for page in [&html, &text, &sweep_text(dir.path()).unwrap()] {
        for told in [
            "300 µs",
            "2.7 ms",
            "1.96 of 2",
            "2.0 of 2 cores used",
            "not measured; steady state not reached",
            "2 of 3 values measured",
        ] {
            assert!(page.contains(told), "{told} is missing in {page}");
        }
    }
    assert_eq!(html.matches("<svg").count(), 2, "latency and CPU");
    let (_, figures) = section(dir.path()).unwrap();
    assert_eq!(figures.len(), 2);
    if let Some(look) = std::env::var_os("STEADFAST_LOOK") {
        fs::write(std::path::Path::new(&look).join(PAGE), html).unwrap();
    }
}

#[test]
fn strings_of_strangers_stay_text() {
    let mut hostile = grown();
    hostile.series[0].key = "<script>alert(1)</script>".into();
    hostile.series[0].points[0].value = "\"><img src=x>".into();
    hostile.series[0].points[0].note = Some("| a\n| b".into());
    let dir = drawn(&hostile);
    let html = fs::read_to_string(dir.path().join(PAGE)).unwrap();
    assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("<b>markup"));
    let text = fs::read_to_string(dir.path().join(TEXT)).unwrap();
    assert!(text.contains("\\| bars"), "{text}");
}

#[test]
fn without_a_schedule_there_is_no_latency() {
    let mut unlimited = grown();
    for point in &mut unlimited.series[0].points {
        point.offered = None;
    }
    let dir = drawn(&unlimited);
    let html = fs::read_to_string(dir.path().join(PAGE)).unwrap();
    assert_eq!(html.matches("<svg").count(), 1);
    assert!(!html.contains("300 µs"));
}

#[test]
fn a_foreign_document_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(
        sweep(dir.path())
            .unwrap_err()
            .to_string()
            .contains("steadfast sweep")
    );
    let mut foreign = grown();
    foreign.schema = "steadfast/sweep/9".into();
    fs::write(dir.path().join(FILE_NAME), serde_json::to_vec(&foreign).unwrap()).unwrap();
    assert!(
        sweep(dir.path())
            .unwrap_err()
            .to_string()
            .contains("steadfast/sweep/9")
    );
}
