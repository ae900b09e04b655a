//! What a scenario costs as its settings grow: `sweep.html` and `sweep.md`.
//!
//! ```text
//! sweep.json ─▶ for each setting: a chart of latency, a chart of CPU, a table that tells what bends the line ─┬▶ sweep.html
//!                                                                                                             └▶ sweep.md
//! ```

mod charts; // a setting's values from left to right

use std::fmt::Write as _;
use std::path::Path;

use askama::Template;
use steadfast_verifier::sweep::{FILE_NAME, Point, SCHEMA, Series, Sweep};
use steadfast_verifier::verdict::Outcome;

use crate::folder::{self, ReportError};
use crate::grid::{self, Form};
use crate::html::STYLE;
use crate::text::{Limits, plural};
use crate::view::{Badge, Figure, badge};
use crate::{machine, number};

/// The page of a sweep, in its folder.
pub const PAGE: &str = "sweep.html";
/// The same as Markdown.
const TEXT: &str = "sweep.md";

const HEAD: [&str; 9] = [
    "p50",
    "p99",
    "p99.9",
    "rate",
    "client, µs/record",
    "broker, µs/record",
    "cores used",
    "client memory",
    "what bends the line here",
];

const NOTE: &str = "Each value is a run of its own on a cluster of its own, judged record by record. The axis has the values in the \
     order in which they were asked for, equally far apart. Latency counts from the moment each record was due; CPU is that of \
     whole processes, the load generator included.";

#[derive(Template)]
#[template(path = "sweep.html")]
struct Html<'a> {
    style: &'static str,
    badge: Badge,
    scenario: String,
    title: String,
    sentence: String,
    note: &'static str,
    head: &'a [&'static str],
    series: &'a [Shown],
    machine: Vec<(String, String)>,
    settings: Vec<[String; 4]>,
}

/// A setting as it is shown.
struct Shown {
    key: String,
    figures: Vec<Figure>,
    /// The value, then what [`HEAD`] names.
    rows: Vec<(String, Vec<String>)>,
}

/// Draws both files into the folder of a sweep, from its `sweep.json` alone.
///
/// # Errors
/// A document that is missing, too large or not of this version, or a folder that cannot be written to.
pub fn sweep(dir: &Path) -> Result<(), ReportError> {
    let sweep = read(dir)?;
    let limits = Limits::USUAL;
    let series: Vec<Shown> = (1..)
        .zip(&sweep.series)
        .map(|(nth, series)| shown(nth, series))
        .collect();
    let html = Html {
        style: STYLE,
        badge: badge(sweep.outcome()),
        scenario: limits.short(&sweep.scenario),
        title: limits.long(&sweep.title),
        sentence: sentence(&sweep),
        note: NOTE,
        head: &HEAD,
        series: &series,
        machine: machine::facts(&sweep.environment, sweep.seed),
        settings: machine::settings(&sweep.environment),
    };
    let html = html
        .render()
        .map_err(|error| ReportError::Draw(error.to_string()))?;
    crate::replace(&dir.join(PAGE), html.as_bytes())?;
    crate::replace(&dir.join(TEXT), text(&sweep, Form::Markdown(2)).as_bytes())
}

/// The same for a terminal.
///
/// # Errors
/// As [`sweep`].
pub fn sweep_text(dir: &Path) -> Result<String, ReportError> {
    Ok(text(&read(dir)?, Form::Terminal))
}

/// Its part of a page about several, and the pictures that go with it.
pub(crate) fn section(dir: &Path) -> Result<(String, Vec<Figure>), ReportError> {
    let sweep = read(dir)?;
    let figures = (1..)
        .zip(&sweep.series)
        .flat_map(|(nth, series)| charts::figures(nth, series));
    Ok((text(&sweep, Form::Markdown(2)), figures.collect()))
}

fn read(dir: &Path) -> Result<Sweep, ReportError> {
    folder::of_several(dir, (FILE_NAME, SCHEMA), |sweep: &Sweep| &sweep.schema)
}

fn shown(nth: usize, series: &Series) -> Shown {
    let limits = Limits::USUAL;
    let rows = series
        .points
        .iter()
        .map(|point| (limits.short(&point.value), cells(point)));
    Shown {
        key: limits.short(&series.key),
        figures: charts::figures(nth, series),
        rows: rows.collect(),
    }
}

fn text(sweep: &Sweep, form: Form) -> String {
    let limits = Limits::USUAL;
    let safe = |text: &str| grid::escaped(text, form);
    let mut out = String::new();
    let heads = match form {
        Form::Markdown(level) => "#".repeat(level) + " ",
        Form::Terminal => String::new(),
    };
    let (scenario, title) = (limits.short(&sweep.scenario), limits.long(&sweep.title));
    let badge = badge(sweep.outcome());
    let _ = writeln!(out, "{heads}{}, as it grows: {}\n", safe(&scenario), safe(&title));
    let _ = writeln!(out, "{} {}: {}\n", badge.sign, badge.word, safe(&sentence(sweep)));
    for series in &sweep.series {
        let head = std::iter::once(limits.short(&series.key)).chain(HEAD.map(str::to_owned));
        let mut rows = vec![head.collect::<Vec<_>>()];
        for point in &series.points {
            rows.push(
                std::iter::once(limits.short(&point.value))
                    .chain(cells(point))
                    .collect(),
            );
        }
        grid::table(&mut out, form, 1, &rows);
        out.push('\n');
    }
    let _ = writeln!(out, "{}\n", safe(NOTE));
    for (name, value) in machine::facts(&sweep.environment, sweep.seed) {
        let _ = writeln!(out, "- {}: {}", safe(&name), safe(&value));
    }
    out
}

fn sentence(sweep: &Sweep) -> String {
    let points = || sweep.series.iter().flat_map(|series| &series.points);
    let measured = points().filter(|point| point.figures.is_some()).count();
    format!(
        "{} of {}, {measured} of {} measured",
        plural(sweep.series.len() as u64, "setting"),
        Limits::USUAL.short(&sweep.subject),
        plural(points().count() as u64, "value"),
    )
}

/// What [`HEAD`] names.
fn cells(point: &Point) -> Vec<String> {
    let dash = || "–".to_owned();
    let figures = point.figures.as_ref();
    let latency = |ns: Option<u64>| {
        ns.filter(|_| point.offered.is_some())
            .map_or_else(dash, |ns| number::nanoseconds(ns as f64))
    };
    let (used, all) = point.cores;
    let mut cells = vec![
        latency(figures.map(|f| f.ack.p50)),
        latency(figures.map(|f| f.ack.p99)),
        latency(figures.map(|f| f.ack.p99_9)),
        figures.map_or_else(dash, |f| number::with_unit(f.rate, "per_s")),
        figures.map_or_else(dash, |f| number::plain(f.client_us, 3)),
        figures.map_or_else(dash, |f| number::plain(f.broker_us, 3)),
        figures.map_or_else(dash, |_| format!("{} of {all}", number::plain(used, 3))),
        figures.map_or_else(dash, |f| number::bytes(f.client_rss as f64)),
    ];
    let outcome = match (figures, point.delivery) {
        (None, _) => Some("not measured".to_owned()),
        (Some(_), Outcome::Pass) => None,
        (Some(_), open) => Some(badge(open).word.to_owned()),
    };
    let told = [outcome, point.strain(), point.note.clone()];
    let told: Vec<String> = told.into_iter().flatten().collect();
    cells.push(Limits::USUAL.long(&told.join("; ")));
    cells
}

#[cfg(test)]
mod tests;
