//! The `steadfast` command: one binary that is the runner and, by subcommand, each of its own children.

mod cli; // what a user types
mod exit; // exit codes
mod scenario; // scenario files: grammar, frames, plan, schema

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::exit::Exit;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // The lead joins the commands here as they land: mod commands; mod runner; mod scenario;
    eprintln!("not built yet: {:?}", cli.command);
    Exit::ToolError.into()
}
