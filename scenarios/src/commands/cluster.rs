//! `steadfast cluster ...`: prepares what clusters need.

use steadfast_chaos::cluster::kafka::{self, Home};
use steadfast_chaos::journal::Journal;
use steadfast_chaos::process::Spawner;

use crate::cli::ClusterCommand;
use crate::exit::Exit;
use crate::out;
use crate::runner::RunError;

/// Does it, with progress on standard error; standard output names the directory with the jars.
pub(crate) fn run(command: &ClusterCommand) -> Exit {
    let done = match command {
        ClusterCommand::Fetch => fetch(),
    };
    match done {
        Ok(home) => {
            out::line(format_args!("{}", home.jars.display()));
            Exit::Pass
        }
        Err(error) => {
            eprintln!("error: {error}");
            error.exit()
        }
    }
}

fn fetch() -> Result<Home, RunError> {
    if let Some(home) = kafka::available("") {
        return Ok(home);
    }
    let tool = |error: std::io::Error| RunError::Tool(error.to_string());
    let spawner = Spawner::start(Journal::open().map_err(tool)?).map_err(tool)?;
    Ok(kafka::fetch("", &spawner, &mut |line| eprintln!("{line}"))?)
}
