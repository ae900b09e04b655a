//! `steadfast heal`: ends what a killed run left behind.

use crate::exit::Exit;
use crate::out;

/// Reads every journal whose runner is gone and ends what it started, by pid and start time.
pub(crate) fn run() -> Exit {
    match steadfast_chaos::heal::heal() {
        Ok(healed) => {
            if healed.steps.is_empty() {
                out::line(format_args!("nothing to heal"));
            }
            for step in &healed.steps {
                out::line(format_args!("{step}"));
            }
            if healed.failed() {
                Exit::ToolError
            } else {
                Exit::Pass
            }
        }
        Err(error) => {
            eprintln!("error: {error}");
            Exit::ToolError
        }
    }
}
