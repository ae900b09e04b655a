//! `steadfast reader`: one concurrent reader of a run, a process of its own. SIGTERM asks it to read on to the end and stop.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::SIGTERM;
use steadfast_chaos::clock;
use steadfast_verifier::reader::live::{self, LiveError};
use steadfast_verifier::reads::Order;

use crate::exit::Exit;
use crate::runner::files::no_room;

/// Reads the order and follows the topic.
pub(crate) fn run(file: &Path) -> Exit {
    let order = std::fs::read(file)
        .map_err(|e| e.to_string())
        .and_then(|bytes| serde_json::from_slice::<Order>(&bytes).map_err(|e| e.to_string()));
    let order = match order {
        Ok(order) => order,
        Err(error) => {
            eprintln!("error: cannot read the order {}: {error}", file.display());
            return Exit::Usage;
        }
    };
    let stop = Arc::new(AtomicBool::new(false));
    if let Err(error) = signal_hook::flag::register(SIGTERM, stop.clone()) {
        eprintln!("error: cannot listen for signals: {error}");
        return Exit::ToolError;
    }
    match live::follow(&order, clock::now_ns, &stop) {
        Ok(()) => Exit::Pass,
        Err(error) => {
            eprintln!("error: {error}");
            match error {
                // The runner tells by it what this machine lacks from what is our own fault.
                LiveError::Io(source) if no_room(&source) => Exit::Environment,
                LiveError::Io(_) | LiveError::Start { .. } | LiveError::Unreadable { .. } => Exit::ToolError,
            }
        }
    }
}
