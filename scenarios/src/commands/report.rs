//! `steadfast report DIR`: draws the report again, from the folder alone.

use std::path::Path;

use crate::exit::Exit;

/// Draws report.html, junit.xml and summary.md.
pub(crate) fn run(directory: &Path) -> Exit {
    match steadfast_reports::write_all(directory) {
        Ok(()) => {
            println!("{}", directory.join("report.html").display());
            Exit::Pass
        }
        Err(error) => {
            eprintln!("error: {error}");
            Exit::ToolError
        }
    }
}
