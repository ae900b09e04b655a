//! `steadfast diff BEFORE AFTER`: the figures of two runs of one scenario, and whether the second is worse.

use std::fmt::Write as _;
use std::path::Path;

use steadfast_reports::Folder;
use steadfast_verifier::comparison::difference::{self, Difference, Run};
use steadfast_verifier::verdict::Outcome;

use crate::cli::DiffArgs;
use crate::exit::Exit;
use crate::out;
use crate::runner::folder;
use crate::runner::summary::{figure, word};

/// 99 when a figure or a claim is worse, 5 when a run does not vouch for itself, 2 when they cannot be compared.
pub(crate) fn run(args: &DiffArgs) -> Exit {
    if !(args.tolerance.is_finite() && args.tolerance >= 0.0) {
        eprintln!(
            "error: --tolerance {}: give a share of 0 or more, such as 0.1",
            args.tolerance
        );
        return Exit::Usage;
    }
    let (before, after) = match (read(&args.before), read(&args.after)) {
        (Ok(before), Ok(after)) => (before, after),
        (Err(why), _) | (_, Err(why)) => {
            eprintln!("error: {why}");
            return Exit::ToolError;
        }
    };
    let found = match difference::difference(run_of(&before), run_of(&after), args.tolerance) {
        Ok(found) => found,
        Err(why) => {
            eprintln!("error: {why}");
            return Exit::Usage;
        }
    };
    if args.json {
        match serde_json::to_string_pretty(&found) {
            Ok(text) => out::line(format_args!("{text}")),
            Err(error) => eprintln!("error: {error}"),
        }
    } else {
        out::text(&text(&found, args.tolerance));
    }
    match found.verdict {
        Outcome::Pass => Exit::Pass,
        Outcome::Inconclusive => Exit::Inconclusive,
        Outcome::Fail => Exit::Threshold,
    }
}

fn read(directory: &Path) -> Result<Folder, String> {
    match folder::no_run(directory) {
        Some(why) => Err(why),
        None => Folder::read(directory).map_err(|error| error.to_string()),
    }
}

fn run_of(folder: &Folder) -> Run<'_> {
    Run {
        verdict: &folder.verdict,
        measurements: &folder.measurements,
    }
}

fn text(found: &Difference, tolerance: f64) -> String {
    let mut text = format!("{}  {}\n", word(found.verdict), found.scenario);
    for row in &found.rows {
        let interval = row.interval.map_or_else(
            || "not judged: seconds do not tell".to_owned(),
            |(low, high)| format!("95 % {low:.2} to {high:.2}"),
        );
        let (before, after) = match row.unit.as_str() {
            "us" => (format!("{:.2} µs", row.before), format!("{:.2} µs", row.after)),
            unit => (figure(row.before, unit), figure(row.after, unit)),
        };
        let worse = if row.worse { "WORSE" } else { "" };
        let _ = writeln!(
            text,
            "  {worse:<6} {:<24} {before:>12} → {after:>12}   x {:.2}  ({interval})",
            row.figure, row.ratio
        );
    }
    for note in &found.notes {
        let _ = writeln!(text, "  {note}");
    }
    let _ = writeln!(
        text,
        "  worse = even the favourable end of the interval is beyond {:.0} %; two runs on a shared machine show little, \
         `steadfast compare` more",
        tolerance * 100.0
    );
    text
}
