//! `docs/planted.md`: the matrix for people, and the check that it is not stale.

use std::fmt::Write;
use std::path::PathBuf;

use super::clean::Silence;
use super::plant::Found;
use super::{BROKEN_CLIENTS, NOT_PLANTED};

const HEAD: &str = "# Planted anomalies

A judge that passes everything proves nothing. So for every anomaly and cause that it can name, that one fault is planted in
sound histories of different shapes, positions and seeds, and must be found each time, as often as it was planted; beside it
only what follows from it may be named. And nothing may be found in histories in which nothing is planted.
`verifier/src/judge/tests/matrix.rs` plays all of it in every `cargo test`, `tests/run --all` prints this page, and it fails
when the page is stale (`STEADFAST_BLESS=1` writes it anew). `steadfast explain ID` says what a name means.

";

/// The whole page.
pub(super) fn page(found: &[Found], clean: &[Silence]) -> String {
    let mut page = String::from(HEAD);
    let (hits, of): (usize, usize) = found
        .iter()
        .fold((0, 0), |(hits, of), row| (hits + row.found, of + row.of));
    let alarms: u64 = clean.iter().map(|shape| shape.alarms).sum();
    let histories: u64 = clean.iter().map(|shape| shape.histories).sum();
    let _ = writeln!(
        page,
        "**Found {hits}/{of}, false alarms {alarms}/{histories}.**\n"
    );
    page.push_str("| name | planted | found | named beside it |\n|---|---|---|---|\n");
    for row in found {
        let beside: Vec<&str> = row.beside.iter().map(String::as_str).collect();
        let beside = if beside.is_empty() {
            "-".to_owned()
        } else {
            beside.join(" ")
        };
        let _ = writeln!(
            page,
            "| {} | {} | {}/{} | {beside} |",
            row.id, row.planted, row.found, row.of
        );
    }
    page.push_str("\n## Sound histories\n\n| shape | false alarms |\n|---|---|\n");
    for shape in clean {
        let _ = writeln!(page, "| {} | {}/{} |", shape.shape, shape.alarms, shape.histories);
    }
    let _ = writeln!(
        page,
        "\n## Broken clients\n\n{} are provoked by the real producer too, with one of its rules left out: \
         [mutants.md](mutants.md).\n\n## Not planted, because\n\n| name | reason |\n|---|---|",
        BROKEN_CLIENTS.join(", ")
    );
    for (ids, reason) in NOT_PLANTED {
        let _ = writeln!(page, "| {ids} | {reason} |");
    }
    page
}

/// Writes the page if asked to; else it must be what is written.
pub(super) fn keep(page: &str) {
    let path = docs("planted.md");
    if std::env::var("STEADFAST_BLESS").as_deref() == Ok("1") {
        std::fs::write(&path, page).expect("docs/planted.md can be written");
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let stale = page
        .lines()
        .filter(|&line| !written.lines().any(|there| there == line));
    let stale: Vec<&str> = stale.collect();
    assert!(
        written == page,
        "docs/planted.md is stale; STEADFAST_BLESS=1 writes it anew. It lacks:\n{}",
        stale.join("\n")
    );
}

/// A page of the documentation.
pub(super) fn docs(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "docs", name].iter().collect()
}
