//! The planted matrix: for every anomaly and cause that the judge can name, sound histories with that one fault planted, and
//! beside them sound ones of every shape, which raise nothing.
//!
//! ```text
//!   seed ─▶ shape, script, log, readers (script.rs, scene.rs, watch.rs) ─┬─▶ as they are (clean.rs)      must be silent
//!                                                                        └─▶ one row's fault in them     must be named,
//!   lost.rs doubled.rs order.rs integrity.rs transactions.rs liveness.rs                                 as often as it was
//!   harness.rs: whole run folders, for what only their files can show                                    planted, and alone
//!                                            ─▶ docs/planted.md
//! ```
//!
//! The page is compared letter by letter: the seeds are fixed. `STEADFAST_BLESS=1` writes it anew.

mod actor;
mod clean;
mod dice;
mod doubled;
mod harness;
mod integrity;
mod liveness;
mod lost;
mod order;
mod page;
mod plant;
mod scene;
mod script;
mod shapes;
mod transactions;
mod watch;

use std::collections::BTreeSet;
use std::io::Write;

use self::plant::{Found, Row};
use crate::judge::Anomaly;

/// Names of the reference list that no history is planted for, and why.
const NOT_PLANTED: [(&str, &str); 10] = [
    (
        "L5",
        "needs a ledger of what a source committed; files and databases as sources are still to come. For a copy job it is T6",
    ),
    (
        "D4",
        "needs callers with request ids; the gateway is still to come",
    ),
    (
        "D5",
        "needs sources that are read again after a restart; for a copy job it is D6",
    ),
    ("O6", "needs an audit trail as source"),
    (
        "T9",
        "needs clients that read and write in one transaction: without reads between writers there is no cycle to find",
    ),
    (
        "I6",
        "is no matter of one history but of witnesses beside it: planted in `judge/tests/oracle.rs`, and on a real log in `tests/oracle.rs`",
    ),
    ("S1", "needs the gateway"),
    ("S2", "needs the process pair"),
    ("S3 S4", "need the process pair"),
    ("H6", "speaks of two runs; the judge sees one"),
];

/// Anomalies that a broken client must provoke as well: a rule left out of the real producer, in docs/mutants.md.
const BROKEN_CLIENTS: [&str; 12] = [
    "L1", "L2", "D1", "D3", "O1", "I1", "I4", "T1", "T3", "T4", "V2", "V4",
];

fn rows() -> impl Iterator<Item = &'static Row> {
    let lists: [&'static [Row]; 6] = [
        &lost::ROWS,
        &doubled::ROWS,
        &order::ROWS,
        &transactions::ROWS,
        &integrity::ROWS,
        &liveness::ROWS,
    ];
    lists.into_iter().flatten()
}

/// Every id with a row.
fn planted() -> BTreeSet<&'static str> {
    let of_folders = harness::ROWS.iter().map(|row| row.id);
    rows().map(|row| row.id).chain(of_folders).collect()
}

#[test]
fn every_planted_anomaly_is_named_and_no_sound_history_raises_one() {
    let of_folders = harness::ROWS.iter().map(harness::FolderRow::play);
    let found: Vec<Found> = rows().map(Row::play).chain(of_folders).collect();
    let clean = clean::play();
    let page = page::page(&found, &clean);
    if std::env::var("STEADFAST_SUITE").as_deref() == Ok("all") {
        // Past the test harness, which keeps what a passing test prints.
        let _ = std::io::stdout().lock().write_all(page.as_bytes());
    }
    let mut wrong: Vec<String> = found.iter().flat_map(|row| row.wrong.clone()).collect();
    wrong.extend(clean.iter().flat_map(|shape| shape.wrong.clone()));
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    page::keep(&page);
}

#[test]
fn every_name_is_planted_or_told_why_not() {
    let planted = planted();
    let told: BTreeSet<&str> = NOT_PLANTED.iter().flat_map(|(ids, _)| ids.split(' ')).collect();
    let mut all: BTreeSet<String> = Anomaly::ALL.map(|anomaly| anomaly.id().to_owned()).into();
    let reference = [
        ("L", 6),
        ("D", 6),
        ("O", 7),
        ("T", 9),
        ("I", 6),
        ("S", 4),
        ("V", 7),
        ("H", 6),
    ];
    for (family, last) in reference {
        all.extend((1..=last).map(|number| format!("{family}{number}")));
    }
    // What else a verdict gives as the reason why it proves nothing.
    all.extend(["check", "simulated", "steady-state"].map(str::to_owned));
    for id in &all {
        let (planted, told) = (planted.contains(&**id), told.contains(&**id));
        assert!(planted || told, "{id} is neither planted nor told why not");
        assert!(!planted || !told, "{id} is planted, and told why not");
    }
    for id in planted.iter().chain(&told) {
        assert!(all.contains(*id), "nothing is known of {id}");
    }
    // The one that the judge can name and that is planted elsewhere.
    for anomaly in Anomaly::ALL.into_iter().filter(|anomaly| *anomaly != Anomaly::I6) {
        assert!(
            planted.contains(anomaly.id()),
            "the judge can name {}, and no history is planted for it",
            anomaly.id()
        );
    }
}

#[test]
fn the_big_ones_are_provoked_by_a_broken_client_too() {
    let mutants = std::fs::read_to_string(page::docs("mutants.md")).expect("docs/mutants.md");
    let rules = mutants.lines().filter(|line| line.starts_with("| `"));
    let found: BTreeSet<&str> = rules
        .filter_map(|line| line.split('|').nth(5))
        .flat_map(str::split_whitespace)
        .collect();
    for id in BROKEN_CLIENTS {
        assert!(found.contains(id), "no rule of docs/mutants.md is found by {id}");
    }
}
