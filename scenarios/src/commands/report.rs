//! `steadfast report DIR`: draws the pages again, from the folder alone: of a run, of a comparison or a sweep, or of several
//! of these two on one page.

use std::path::{Path, PathBuf};

use steadfast_verifier::{comparison, sweep};

use crate::exit::Exit;
use crate::out;
use crate::runner::folder;

/// With `page`, one page of Markdown about all of them; else each folder's own pages.
pub(crate) fn run(directories: &[PathBuf], page: Option<&Path>) -> Exit {
    let drawn = match page {
        Some(page) => steadfast_reports::page(directories, page)
            .map(|()| page.to_owned())
            .map_err(|error| error.to_string()),
        None => directories
            .iter()
            .try_fold(PathBuf::new(), |_, directory| draw(directory)),
    };
    match drawn {
        Ok(path) => {
            out::line(format_args!("{}", path.display()));
            Exit::Pass
        }
        Err(why) => {
            eprintln!("error: {why}");
            Exit::ToolError
        }
    }
}

/// The page that was drawn.
fn draw(directory: &Path) -> Result<PathBuf, String> {
    if directory.join(sweep::FILE_NAME).is_file() {
        let drawn = steadfast_reports::sweep(directory);
        return drawn
            .map(|()| directory.join(steadfast_reports::SWEEP_PAGE))
            .map_err(|error| error.to_string());
    }
    if directory.join(comparison::FILE_NAME).is_file() {
        let drawn = steadfast_reports::comparison(directory);
        return drawn
            .map(|()| directory.join(steadfast_reports::COMPARISON_PAGE))
            .map_err(|error| error.to_string());
    }
    match folder::no_run(directory) {
        Some(why) => Err(why),
        None => steadfast_reports::write_all(directory)
            .map(|()| directory.join("report.html"))
            .map_err(|error| error.to_string()),
    }
}
