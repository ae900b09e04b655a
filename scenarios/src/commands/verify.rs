//! `steadfast verify DIR`: judges a run folder again, from the folder alone. A topic instead: `verify_topic.rs`.

use std::path::Path;

use super::verify_topic;
use crate::cli::VerifyArgs;
use crate::exit::Exit;
use crate::out;
use crate::runner::display::Display;
use crate::runner::{folder as run_folder, judging, summary};
use crate::scenario;

/// A folder, or a topic.
pub(crate) fn run(args: &VerifyArgs) -> Exit {
    match &args.directory {
        Some(directory) => folder(directory, args.json),
        None => verify_topic::run(&args.topic, args.json),
    }
}

/// Judges, writes verdict and report anew, and ends with the verdict's own exit code.
fn folder(directory: &Path, json: bool) -> Exit {
    if let Some(why) = run_folder::no_run(directory) {
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
                out::text(&summary::one(&done, directory));
            }
            Exit::from_code(done.verdict.exit_code)
        }
        Err(error) => {
            eprintln!("error: {error}");
            error.exit()
        }
    }
}
