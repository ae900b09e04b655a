//! `steadfast init [FILE]`: a commented scenario to start from.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::exit::Exit;
use crate::out;

/// What is written; a test holds it against the grammar.
pub(crate) const TEMPLATE: &str = include_str!("init/scenario.toml");

/// Writes the file. One that is there already is never touched.
pub(crate) fn run(file: &Path) -> Exit {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file)
        .and_then(|mut to| to.write_all(TEMPLATE.as_bytes()));
    match written {
        Ok(()) => {
            let name = file.display();
            out::line(format_args!(
                "wrote {name}\nlook at what it would do: steadfast plan {name}\nrun it:                   steadfast run {name}"
            ));
            Exit::Pass
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            eprintln!(
                "error: {} is there already and is not overwritten; name another file",
                file.display()
            );
            Exit::Usage
        }
        Err(error) => {
            eprintln!("error: cannot write {}: {error}", file.display());
            Exit::ToolError
        }
    }
}
