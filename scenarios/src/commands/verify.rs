//! `steadfast verify DIR`: judges a run folder again, from the folder alone.

use std::path::Path;

use crate::exit::Exit;
use crate::out;
use crate::runner::display::Display;
use crate::runner::{folder, judging, summary};
use crate::scenario;

/// Judges, writes verdict and report anew, and ends with the verdict's own exit code.
pub(crate) fn run(directory: &Path, json: bool) -> Exit {
    if let Some(why) = folder::no_run(directory) {
        eprintln!("error: {why}");
        return Exit::ToolError;
    }
    let scenario = match scenario::of_run_folder(directory) {
        Ok(scenario) => scenario,
        Err(diagnostics) => {
            eprint!("{diagnostics}");
            return Exit::ToolError;
        }
    };
    let mut display = Display::new();
    let judged = judging::judge_folder(&scenario, directory, &mut display);
    display.done();
    match judged {
        Ok(done) => {
            if json {
                match serde_json::to_string_pretty(&done.verdict) {
                    Ok(text) => out::line(format_args!("{text}")),
                    Err(error) => eprintln!("error: {error}"),
                }
            } else {
                out::text(&summary::one(&done.verdict, directory));
            }
            Exit::from_code(done.verdict.exit_code)
        }
        Err(error) => {
            eprintln!("error: {error}");
            error.exit()
        }
    }
}
