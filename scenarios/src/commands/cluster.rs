//! `steadfast cluster ...`: Kafka's jars, and a cluster that lives for itself.

mod keep; // a started cluster, its orders, and how another process finds it

use std::path::Path;

use steadfast_chaos::cluster::kafka;
use steadfast_chaos::journal::Journal;
use steadfast_chaos::process::Spawner;

use crate::cli::ClusterCommand;
use crate::exit::Exit;
use crate::out;
use crate::runner::RunError;

/// Does it, with progress on standard error; standard output names the directory with the jars, or the bootstrap servers.
pub(crate) fn run(command: &ClusterCommand) -> Exit {
    let done = match command {
        ClusterCommand::Fetch { version } => fetch(version),
        ClusterCommand::Start(args) => keep::start(args),
        ClusterCommand::Stop { folder } => stop(folder),
    };
    match done {
        Ok(()) => Exit::Pass,
        Err(error) => {
            eprintln!("error: {error}");
            error.exit()
        }
    }
}

fn fetch(version: &str) -> Result<(), RunError> {
    let home = match kafka::available(version) {
        Some(home) => home,
        None => kafka::fetch(version, &spawner()?, &mut |line| eprintln!("{line}"))?,
    };
    out::line(format_args!("{}", home.jars.display()));
    Ok(())
}

fn stop(folder: &Path) -> Result<(), RunError> {
    keep::stop(folder)?;
    out::line(format_args!("stopped"));
    Ok(())
}

fn spawner() -> Result<Spawner, RunError> {
    let tool = |error: std::io::Error| RunError::Tool(error.to_string());
    Spawner::start(Journal::open().map_err(tool)?).map_err(tool)
}
