//! The `steadfast` command: one binary that is the runner and, by subcommand, each of its own children.

mod cli; // what a user types
mod commands; // one file a command
mod compare; // producers side by side
mod exit; // exit codes
mod out; // standard output
mod quiet; // scenarios that are measured for speed
mod runner; // a run, step by step
mod scenario; // the scenario language
mod simulate; // a world in virtual time, from a seed
mod sweep; // what it costs as a setting grows

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let exit = match cli.command {
        Command::Run(args) => commands::run::run(&args),
        Command::Plan(args) => commands::plan::run(&args),
        Command::List { directory, json } => commands::list::run(&directory, json),
        Command::Init { file } => commands::init::run(&file),
        Command::Verify(args) => commands::verify::run(&args),
        Command::Report { directories, page } => commands::report::run(&directories, page.as_deref()),
        Command::Compare(args) => commands::compare::run(&args),
        Command::Sweep(args) => commands::sweep::run(&args),
        Command::Diff(args) => commands::diff::run(&args),
        Command::Simulate(args) => commands::simulate::run(&args),
        Command::Cluster { command } => commands::cluster::run(&command),
        Command::Broker(args) => commands::broker::run(&args),
        Command::Schema { which } => commands::schema::run(which),
        Command::Doctor { json } => commands::doctor::run(json),
        Command::Heal => commands::heal::run(),
        Command::Explain { id } => commands::explain::run(id.as_deref()),
        Command::Worker { workload } => commands::worker::run(&workload),
        Command::Reader { order } => commands::reader::run(&order),
        Command::ExecChild { arguments } => return steadfast_chaos::process::shim(arguments.into_iter()),
    };
    exit.into()
}
