//! Producers side by side: `comparison.html` and `comparison.md` of one comparison, and one page of Markdown about several.
//!
//! ```text
//! comparison.json ─▶ Tables (plain texts) ─┬▶ comparison.html   league table, overlaid curves, blocks, cells
//!                                          ├▶ comparison.md     the same without the picture
//!                                          └▶ page()            several of them, each picture an .svg beside the page
//! ```

mod page; // several comparisons on one page of Markdown
mod tables; // every text that is shown
mod text; // Markdown of one comparison

use std::fs::File;
use std::io::Read;
use std::path::Path;

use askama::Template;
use steadfast_verifier::comparison::{Comparison, FILE_NAME, SCHEMA};

use crate::folder::{MAX_DOCUMENT_BYTES, ReportError};
use crate::html::STYLE;
use crate::text::Limits;
use crate::view::{Figure, overlaid};

pub use page::page;
use tables::Tables;
use text::Form;

/// The page of a comparison, in its folder.
pub const PAGE: &str = "comparison.html";
/// The same as Markdown.
const TEXT: &str = "comparison.md";

#[derive(Template)]
#[template(path = "comparison.html")]
struct Html<'a> {
    style: &'static str,
    tables: &'a Tables,
    figures: &'a [Figure],
}

/// Draws both files into the folder of a comparison, from its `comparison.json` alone.
///
/// # Errors
/// A document that is missing, too large or not of this version, or a folder that cannot be written to.
pub fn comparison(dir: &Path) -> Result<(), ReportError> {
    let comparison = read(dir)?;
    let tables = Tables::of(&comparison);
    let html = Html {
        style: STYLE,
        tables: &tables,
        figures: &figure(&comparison).into_iter().collect::<Vec<_>>(),
    };
    let html = html
        .render()
        .map_err(|error| ReportError::Draw(error.to_string()))?;
    crate::replace(&dir.join(PAGE), html.as_bytes())?;
    crate::replace(
        &dir.join(TEXT),
        text::render(&tables, Form::Markdown(2)).as_bytes(),
    )
}

/// The same for a terminal.
///
/// # Errors
/// As [`comparison`].
pub fn comparison_text(dir: &Path) -> Result<String, ReportError> {
    Ok(text::render(&Tables::of(&read(dir)?), Form::Terminal))
}

/// The curves over each other; none without a latency.
fn figure(comparison: &Comparison) -> Option<Figure> {
    let heading = format!(
        "Ack latency by percentile, {}",
        Limits::USUAL.short(&comparison.scenario)
    );
    let note = "Counted from the moment each record was due; all blocks that count, together.";
    overlaid(heading, note, &comparison.curves)
}

fn read(dir: &Path) -> Result<Comparison, ReportError> {
    let path = dir.join(FILE_NAME);
    let unreadable = |source| ReportError::Unreadable {
        path: path.clone(),
        source,
    };
    let mut bytes = Vec::new();
    let file = File::open(&path).map_err(unreadable)?;
    file.take(MAX_DOCUMENT_BYTES)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let damaged = |reason| ReportError::NoComparison {
        path: path.clone(),
        reason,
    };
    let comparison: Comparison =
        serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    if comparison.schema == SCHEMA {
        Ok(comparison)
    } else {
        Err(damaged(format!(
            "schema {:?}, this version reads {SCHEMA:?}",
            comparison.schema
        )))
    }
}

#[cfg(test)]
mod tests;
