//! `steadfast worker`: the load generator process of a run.

use std::path::Path;

use steadfast_verifier::workload::Workload;

use crate::exit::Exit;

/// Reads the workload and drives it to its end; progress goes to standard output.
pub(crate) fn run(file: &Path) -> Exit {
    let workload = std::fs::read(file)
        .map_err(|e| e.to_string())
        .and_then(|bytes| serde_json::from_slice::<Workload>(&bytes).map_err(|e| e.to_string()));
    let workload = match workload {
        Ok(workload) => workload,
        Err(error) => {
            eprintln!("error: cannot read the workload {}: {error}", file.display());
            return Exit::Usage;
        }
    };
    match steadfast_loadgen::worker::run(&workload, &mut std::io::stdout()) {
        Ok(()) => Exit::Pass,
        Err(error) => {
            eprintln!("error: {error}");
            // The runner tells by it what this machine lacks from what is our own fault.
            if error.is_environment() {
                Exit::Environment
            } else {
                Exit::ToolError
            }
        }
    }
}
