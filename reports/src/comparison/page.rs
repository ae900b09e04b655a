//! One page of Markdown about several comparisons, each with its picture beside the page: what `docs/performance.md` is.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::tables::Tables;
use super::text::{self, Form};
use super::{figure, read};
use crate::folder::ReportError;
use crate::html::STYLE;
use crate::text::markdown;

/// Writes `target`, and beside it one `<stem>-<n>.svg` for each comparison that has latencies.
///
/// # Errors
/// As [`super::comparison`].
pub fn page(dirs: &[PathBuf], target: &Path) -> Result<(), ReportError> {
    let stem = target
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut out = String::from(
        "# Side by side\n\nMade by `steadfast report --page` from the folders of `steadfast compare`; not written by hand. \
         Latency counts from the moment each record was due. `floor` is no client: a blocking socket with frames encoded \
         beforehand, one request in flight, on the same wake-up grid as ours. CPU is that of whole processes, the load \
         generator included.\n",
    );
    for (nth, dir) in (1..).zip(dirs) {
        let comparison = read(dir)?;
        let _ = write!(
            out,
            "\n{}",
            text::render(&Tables::of(&comparison), Form::Markdown(2))
        );
        if let Some(figure) = figure(&comparison) {
            let name = format!("{stem}-{nth}.svg");
            crate::replace(&target.with_file_name(&name), alone(&figure.svg).as_bytes())?;
            let _ = writeln!(out, "\n![{}]({name})", markdown(&figure.heading));
        }
    }
    crate::replace(target, out.as_bytes())
}

/// An `<svg>` element as a file of its own: with its name space and the colours of our pages.
fn alone(svg: &str) -> String {
    let style = format!(" xmlns=\"http://www.w3.org/2000/svg\"><style>{STYLE}</style>");
    let mut out = svg.replacen('>', &style, 1);
    // Drawn on a page of any colour.
    if let Some(end) = out.find("</style>") {
        let paper = "<rect width=\"100%\" height=\"100%\" style=\"fill:var(--paper)\"/>";
        out.insert_str(end + "</style>".len(), paper);
    }
    out
}
