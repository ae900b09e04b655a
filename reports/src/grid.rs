//! Tables as text: Markdown for a page under `docs/`, and the same without escapes for a terminal. Columns are padded, so that
//! both can be read as they are.

use std::fmt::Write as _;

use crate::text::markdown;

/// For whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// What Markdown would take for its own is escaped; headings of this level.
    Markdown(usize),
    /// Nothing is.
    Terminal,
}

/// The first row is the head; the first `words` columns are words and stand left, figures right.
pub(crate) fn table(out: &mut String, form: Form, words: usize, rows: &[Vec<String>]) {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| escaped(cell, form)).collect())
        .collect();
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for (nth, row) in rows.iter().enumerate() {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = if column < words {
                write!(out, "| {cell:<width$} ")
            } else {
                write!(out, "| {cell:>width$} ")
            };
        }
        out.push_str("|\n");
        if nth == 0 {
            for (column, width) in widths.iter().enumerate() {
                let _ = if column < words {
                    write!(out, "|{}", "-".repeat(width + 2))
                } else {
                    write!(out, "|{}:", "-".repeat(width + 1))
                };
            }
            out.push_str("|\n");
        }
    }
}

pub(crate) fn escaped(text: &str, form: Form) -> String {
    match form {
        Form::Markdown(_) => markdown(text),
        Form::Terminal => text.to_owned(),
    }
}
