//! Cells made up, and what their sum says.

use super::*;
use crate::judge::tests::fixture::environment;

fn plan(goals: &[&str]) -> Plan {
    Plan {
        scenario: "latency/test".into(),
        title: "Test".into(),
        seed: 1,
        subjects: vec!["floor".into(), "steadfast".into(), "java".into()],
        under_test: 1,
        control: 0,
        goals: goals.iter().map(|goal| goal.parse().unwrap()).collect(),
        scheduled: true,
    }
}

/// A cell of 1,000 records, all of this latency, 10 µs of client CPU each.
fn cell(block: u32, position: u32, subject: &str, latency_us: u64) -> Measured {
    let mut latency = latency::histogram();
    latency.record_n(latency_us * 1_000, 1_000).unwrap();
    Measured {
        cell: Cell {
            block,
            position,
            subject: subject.into(),
            folder: format!("block-{block}/{position}-{subject}"),
            figures: Some(Figures {
                ack: latency::percentiles(&latency),
                lag_p99_ns: 1,
                rate: 1_000.0,
                client_us: 10.0,
                broker_us: 20.0,
                client_rss: 1 << 20,
            }),
            delivery: Outcome::Pass,
            note: None,
            steal: Some(0.0),
            waited: Some(0.0),
        },
        latency,
    }
}

/// A block out and back: floor, steadfast, java, steadfast, floor.
fn block(number: u32, floor: u64, ours: u64, java: u64) -> Vec<Measured> {
    let turns = [
        ("floor", floor),
        ("steadfast", ours),
        ("java", java),
        ("steadfast", ours),
        ("floor", floor),
    ];
    (1..)
        .zip(turns)
        .map(|(at, (who, us))| cell(number, at, who, us))
        .collect()
}

fn ratio<'a>(sum: &'a Comparison, to: &str, metric: Metric) -> &'a Ratio {
    let found = sum
        .ratios
        .iter()
        .find(|ratio| ratio.to == to && ratio.metric == metric);
    found.unwrap_or_else(|| panic!("no ratio to {to}"))
}

#[test]
fn ratios_are_formed_within_blocks_and_survive_a_machine_that_slows_down() {
    // Everything takes ten times as long in the last block; ratios of medians over all cells would not be 2 and 0.5.
    let cells = [
        block(1, 100, 200, 400),
        block(2, 110, 220, 440),
        block(3, 1000, 2000, 4000),
    ]
    .concat();
    let sum = sum(
        &plan(&["p(99)<=2.1*floor", "p(50)<=0.4*java"]),
        &cells,
        environment(),
    );
    let close = |ratio: &Ratio, wanted: f64| (ratio.median - wanted).abs() < 0.01 && ratio.blocks.len() == 3;
    assert!(close(ratio(&sum, "floor", Metric::P99), 2.0));
    assert!(close(ratio(&sum, "java", Metric::P50), 0.5));
    assert!(close(ratio(&sum, "java", Metric::TotalCpu), 1.0));
    let (low, high) = ratio(&sum, "floor", Metric::P99).interval.unwrap();
    assert!(low > 1.98 && high < 2.02, "{low} {high}");
    assert_eq!(sum.goals[0].verdict, Outcome::Pass);
    assert_eq!(sum.goals[1].verdict, Outcome::Fail);
    assert_eq!(sum.verdict, Outcome::Fail);
    assert_eq!(sum.reason, "3 of 3 blocks count, 1 of 2 goals met");
}

#[test]
fn histograms_of_a_block_are_merged_and_not_their_percentiles_averaged() {
    let mut cells = [
        block(1, 100, 100, 400),
        block(2, 100, 100, 400),
        block(3, 100, 100, 400),
    ]
    .concat();
    // Half of the records of one cell took 900 µs: a quarter of the block's, so the median is 100 and not 500.
    let odd = cells
        .iter_mut()
        .find(|one| one.cell.subject == "steadfast")
        .unwrap();
    odd.latency.reset();
    odd.latency.record_n(100_000, 500).unwrap();
    odd.latency.record_n(900_000, 500).unwrap();
    let sum = sum(&plan(&[]), &cells, environment());
    assert!((ratio(&sum, "floor", Metric::P50).blocks[0] - 1.0).abs() < 0.01);
    assert!((ratio(&sum, "floor", Metric::P90).blocks[0] - 9.0).abs() < 0.05);
    assert_eq!(
        sum.curves.iter().map(|curve| curve.count).collect::<Vec<_>>(),
        [6000, 6000, 3000]
    );
    assert_eq!(sum.verdict, Outcome::Pass);
}

#[test]
fn blocks_that_drifted_lost_time_or_lack_a_cell_are_dropped_and_told() {
    let mut cells = [
        block(1, 100, 200, 400),
        block(2, 100, 200, 400),
        block(3, 100, 200, 400),
        block(4, 100, 200, 400),
        block(5, 100, 200, 400),
        block(6, 100, 200, 400),
    ]
    .concat();
    cells[4] = cell(1, 5, "floor", 115);
    cells[6].cell.steal = Some(0.006);
    cells[12].cell.figures = None;
    let last = cells.len() - 1;
    cells[last].cell.steal = None;
    cells.retain(|one| !(one.cell.block == 4 && one.cell.subject == "java"));
    let sum = sum(&plan(&["p(50)<=9*floor"]), &cells, environment());
    let why: Vec<&str> = sum
        .blocks
        .iter()
        .map(|block| block.dropped.as_deref().unwrap_or(""))
        .collect();
    assert_eq!(
        why,
        [
            "the two cells of floor differ by 15.0 % in p(50), more than 10.0 %",
            "the hypervisor took 0.6 % of a cell, more than 0.5 %",
            "java gave no figures",
            "java had no turn",
            "",
            "what the hypervisor took of a cell is unknown"
        ]
    );
    assert_eq!(sum.cells.len(), 29, "all are shown");
    assert_eq!(sum.verdict, Outcome::Inconclusive);
    assert_eq!(sum.goals[0].verdict, Outcome::Inconclusive);
    assert_eq!(
        sum.goals[0].observed.map(f64::round),
        Some(2.0),
        "shown all the same"
    );
    assert_eq!(sum.reason, "1 of 6 blocks count, fewer than 3");
}

#[test]
fn a_subject_that_broke_a_claim_stands_there_with_it_and_ours_fails_by_it() {
    let cells = || {
        [
            block(0, 1, 1, 1),
            block(1, 1, 1, 1),
            block(2, 1, 1, 1),
            block(3, 1, 1, 1),
        ]
        .concat()
    };
    let broken = |place: usize, outcome: Outcome| {
        let mut cells = cells();
        cells[place].cell.delivery = outcome;
        cells[place].cell.note = Some("duplicated 3".into());
        sum(&plan(&["p(50)<=9*floor"]), &cells, environment())
    };
    // Another's is a finding about the other.
    let theirs = broken(7, Outcome::Fail);
    assert_eq!(theirs.subjects[2].delivery, Outcome::Fail);
    assert_eq!(theirs.subjects[2].note.as_deref(), Some("duplicated 3"));
    assert_eq!(theirs.subjects[1].delivery, Outcome::Pass);
    assert_eq!(theirs.blocks.len(), 3, "the warm-up is no block");
    assert!(
        theirs.verdict == Outcome::Pass && !theirs.delivery_broken(),
        "{}",
        theirs.reason
    );
    // Ours outweighs every goal met.
    let ours = broken(6, Outcome::Fail);
    assert!(
        ours.verdict == Outcome::Fail && ours.delivery_broken(),
        "{}",
        ours.reason
    );
    assert!(ours.reason.contains("broke a delivery claim"));
    let open = broken(6, Outcome::Inconclusive);
    assert!(
        open.verdict == Outcome::Inconclusive && !open.delivery_broken(),
        "{}",
        open.reason
    );
}

#[test]
fn without_a_schedule_rates_are_compared_and_no_latency() {
    let mut cells = [block(1, 1, 1, 1), block(2, 1, 1, 1), block(3, 1, 1, 1)].concat();
    for one in &mut cells {
        one.latency.reset();
        let figures = one.cell.figures.as_mut().unwrap();
        figures.rate = if one.cell.subject == "java" { 1e6 } else { 2e6 };
    }
    let unlimited = Plan {
        scheduled: false,
        ..plan(&["rate>=1.5*java"])
    };
    let sum = sum(&unlimited, &cells, environment());
    assert_eq!(sum.verdict, Outcome::Pass, "{}", sum.reason);
    assert!(sum.ratios.iter().all(|ratio| ratio.metric >= Metric::ClientCpu));
    assert!(sum.curves.is_empty());
}
