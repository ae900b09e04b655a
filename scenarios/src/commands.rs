//! One file a command: parses nothing, decides nothing that outlives it, and ends in an exit code.

pub(crate) mod run; // run scenarios and judge them
pub(crate) mod compare; // producers side by side
pub(crate) mod sweep; // what it costs as a setting grows
pub(crate) mod diff; // two run folders
pub(crate) mod plan; // what a run would do
pub(crate) mod list; // the catalogue
pub(crate) mod init; // a file to start from
pub(crate) mod verify; // judge again
pub(crate) mod verify_topic; // a topic, by its log alone
pub(crate) mod report; // draw again
pub(crate) mod simulate; // many worlds in virtual time
pub(crate) mod cluster; // jars
pub(crate) mod broker; // the simulated broker
pub(crate) mod schema; // for editors
pub(crate) mod doctor; // this machine
pub(crate) mod heal; // after SIGKILL
pub(crate) mod explain; // what an id means
pub(crate) mod worker; // the load generator process
pub(crate) mod reader; // a concurrent reader's process
