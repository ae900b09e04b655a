//! One page of Markdown about several comparisons and sweeps, with pictures beside the page: what `docs/performance.md` is.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use steadfast_verifier::sweep;

use crate::folder::ReportError;
use crate::html::STYLE;
use crate::text::markdown;
use crate::view::Figure;

const HEAD: &str = "# Measured\n\nMade by `steadfast report --page` from the folders of `steadfast compare` and `steadfast sweep`; not \
     written by hand. Latency counts from the moment each record was due. `floor` is no client: a blocking socket with frames \
     encoded beforehand, one request in flight, on the same wake-up grid as ours. CPU is that of whole processes, the load \
     generator included.\n";

/// Writes `target`, and beside it `<stem>-<n>.svg` for each picture.
///
/// # Errors
/// As [`crate::comparison`] and [`crate::sweep`].
pub fn page(dirs: &[PathBuf], target: &Path) -> Result<(), ReportError> {
    let stem = target
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut out = HEAD.to_owned();
    let mut nth = 0;
    for dir in dirs {
        let (text, figures) = if dir.join(sweep::FILE_NAME).is_file() {
            crate::sweep::section(dir)?
        } else {
            crate::comparison::section(dir)?
        };
        let _ = write!(out, "\n{text}");
        for figure in figures {
            nth += 1;
            let name = format!("{stem}-{nth}.svg");
            crate::replace(&target.with_file_name(&name), alone(&figure).as_bytes())?;
            let _ = writeln!(out, "\n![{}]({name})", markdown(&figure.heading));
        }
    }
    crate::replace(target, out.as_bytes())
}

/// An `<svg>` element as a file of its own: with its name space and the colours of our pages.
fn alone(figure: &Figure) -> String {
    let style = format!(" xmlns=\"http://www.w3.org/2000/svg\"><style>{STYLE}</style>");
    let mut out = figure.svg.replacen('>', &style, 1);
    // Drawn on a page of any colour.
    if let Some(end) = out.find("</style>") {
        let paper = "<rect width=\"100%\" height=\"100%\" style=\"fill:var(--paper)\"/>";
        out.insert_str(end + "</style>".len(), paper);
    }
    out
}
