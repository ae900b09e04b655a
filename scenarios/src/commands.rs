//! One file per command.

pub(crate) mod doctor; // what is missing on this machine
pub(crate) mod init; // a commented scenario
pub(crate) mod list; // the catalogue
pub(crate) mod plan; // what a run would do
pub(crate) mod schema; // for editors
