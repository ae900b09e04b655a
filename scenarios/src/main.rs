//! The `steadfast` command: one binary that is the runner and, by subcommand, each of its own children.

mod cli; // what a user types
mod commands; // one file per command
mod exit; // exit codes
mod scenario; // scenario files: grammar, frames, plan, schema

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::exit::Exit;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let exit = match &cli.command {
        Command::Plan(args) => commands::plan::run(args),
        Command::List { directory, json } => commands::list::run(directory, *json),
        Command::Init { file } => commands::init::run(file),
        Command::Schema { which } => commands::schema::run(*which),
        Command::Doctor { json } => commands::doctor::run(*json),
        // The lead joins the others here as they land.
        other => {
            eprintln!("not built yet: {other:?}");
            Exit::ToolError
        }
    };
    exit.into()
}
