//! What a run showed, for people and for other tools. A pure function of the run folder: it can be drawn again
//! tomorrow, on another machine, without a broker.
//!
//! ```text
//! verdict.json ─────┐             ┌▶ html     report.html   one file, no network, readable without script
//! measurements.json ┼▶ view::Page ┤
//! environment.json ─┤             ├▶ summary  summary.md    a page of Markdown for a pull request
//! dossiers.json ────┘             └▶ junit    junit.xml     a test case per claim and threshold
//! several verdict.json ───────────▶ index     index.html    a line per run
//! comparison.json ───────▶ comparison  comparison.html, comparison.md ─┐
//! sweep.json ────────────▶ sweep       sweep.html, sweep.md ───────────┴▶ page  about several of them
//! ```
//!
//! Every string of the inputs is treated as hostile: `text` makes control characters visible and bounds lengths,
//! the templates and the chart writer escape the rest.

mod folder; // reads the documents of a run folder
mod text; // strings of strangers, made safe to show
mod number; // figures with their units
mod chart; // inline SVG: scales, axes, lines, bands
mod view; // what the page says, as plain values
mod html; // report.html
mod index; // index.html for several runs
mod grid; // tables of Markdown
mod machine; // where figures that are set side by side come from
mod comparison; // comparison.html and comparison.md: producers side by side
mod sweep; // sweep.html and sweep.md: what it costs as a setting grows
mod page; // several of these two on one page
mod summary; // summary.md
mod junit; // junit.xml

#[cfg(test)]
mod fixture; // three runs that look like real ones

use std::fs;
use std::path::{Path, PathBuf};

pub use comparison::{PAGE as COMPARISON_PAGE, comparison, comparison_text};
pub use folder::{Folder, MAX_DOCUMENT_BYTES, ReportError};
pub use html::MAX_PAGE_BYTES;
pub use index::index;
pub use page::page;
pub use sweep::{PAGE as SWEEP_PAGE, sweep, sweep_text};

/// Draws `report.html`, `junit.xml` and `summary.md` into `run_dir` from its `verdict.json`, `measurements.json`,
/// `environment.json` and, where there is one, `dossiers.json`. Files that exist are replaced, each in one step.
///
/// # Errors
/// A document that is missing, too large or not of this version, or a folder that cannot be written to.
pub fn write_all(run_dir: &Path) -> Result<(), ReportError> {
    let folder = Folder::read(run_dir)?;
    let page = html::render(&folder)?;
    replace(&run_dir.join("report.html"), page.as_bytes())?;
    replace(
        &run_dir.join("junit.xml"),
        junit::render(&folder.verdict)?.as_bytes(),
    )?;
    replace(&run_dir.join("summary.md"), summary::render(&folder).as_bytes())
}

/// Writes beside the target and renames, so that nobody ever opens half a report.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    let failed = |source| ReportError::Write {
        path: path.to_path_buf(),
        source,
    };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    fs::write(&beside, bytes).map_err(failed)?;
    fs::rename(&beside, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `STEADFAST_LOOK=/tmp/look cargo test -p steadfast-reports look_at` leaves the pages there to be looked at.
    #[test]
    fn a_run_folder_gets_its_reports_to_look_at() {
        let temporary = tempfile::tempdir().unwrap();
        let kept = std::env::var_os("STEADFAST_LOOK").map(PathBuf::from);
        let dir = kept.as_deref().unwrap_or(temporary.path());
        let runs = [
            ("pass", fixture::pass()),
            ("fail", fixture::fail()),
            ("open", fixture::inconclusive()),
            ("watched", fixture::watched()),
            ("campaign", fixture::campaign()),
        ];
        let dirs: Vec<PathBuf> = runs.iter().map(|(name, _)| dir.join(name)).collect();
        for (dir, (_, folder)) in dirs.iter().zip(&runs) {
            fixture::write(folder, dir);
            write_all(dir).unwrap();
            write_all(dir).unwrap();
            let mut names: Vec<_> = fs::read_dir(dir)
                .unwrap()
                .map(|file| file.unwrap().file_name())
                .collect();
            names.sort();
            let documents = [
                "dossiers.json",
                "environment.json",
                "junit.xml",
                "measurements.json",
                "report.html",
                "summary.md",
            ];
            assert_eq!(names[..6], documents);
            assert_eq!(names[6..], ["verdict.json"], "nothing half-written is left");
        }
        index(dir, &dirs).unwrap();
        assert!(dir.join("index.html").is_file());
    }
}
