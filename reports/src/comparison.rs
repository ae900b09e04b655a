//! Producers side by side: `comparison.html` and `comparison.md` of one comparison, and one page of Markdown about several.
//!
//! ```text
//! comparison.json ─▶ Tables (plain texts) ─┬▶ comparison.html   league table, overlaid curves, blocks, cells
//!                                          ├▶ comparison.md     the same without the picture
//!                                          └▶ page.rs           several of them on one page
//! ```

mod tables; // every text that is shown
mod text; // Markdown of one comparison

use std::path::Path;

use askama::Template;
use steadfast_verifier::comparison::{Comparison, FILE_NAME, SCHEMA};

use crate::folder::{self, ReportError};
use crate::grid::Form;
use crate::html::STYLE;
use crate::text::Limits;
use crate::view::{Figure, overlaid};

use tables::Tables;

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

/// Its part of a page about several, and the pictures that go with it.
pub(crate) fn section(dir: &Path) -> Result<(String, Vec<Figure>), ReportError> {
    let comparison = read(dir)?;
    let text = text::render(&Tables::of(&comparison), Form::Markdown(2));
    Ok((text, figure(&comparison).into_iter().collect()))
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
    folder::of_several(dir, (FILE_NAME, SCHEMA), |comparison: &Comparison| {
        &comparison.schema
    })
}

#[cfg(test)]
mod tests;
