//! `steadfast report DIR`: draws the report again, from the folder alone.

use std::path::Path;

use crate::exit::Exit;
use crate::out;
use crate::runner::folder;

/// Draws report.html, junit.xml and summary.md.
pub(crate) fn run(directory: &Path) -> Exit {
    if let Some(why) = folder::no_run(directory) {
        eprintln!("error: {why}");
        return Exit::ToolError;
    }
    match steadfast_reports::write_all(directory) {
        Ok(()) => {
            out::line(format_args!("{}", directory.join("report.html").display()));
            Exit::Pass
        }
        Err(error) => {
            eprintln!("error: {error}");
            Exit::ToolError
        }
    }
}
