//! The TCP front: the model behind sockets, its logs in files. One process, one thread, all nodes of the cluster.
//!
//! ```text
//! clients ─▶ sockets ─ frames ─▶ model ─ actions ─▶ facts, then answers ─▶ sockets
//!              ▲ read only while the model wants more      │
//! control.sock ┴ orders and hooks, one JSON a line         └ append, read ─▶ files
//! ```
//!
//! Every node has two listeners on loopback: 0 for clients, advertised as itself or as the proxy in front of it; 1 for
//! verifier and admin, never proxied. A node that is down listens on neither, and its ports stay its own.
//!
//! What survives. SIGKILL of this process at any moment: all that was answered is in the kernel's hands by then (batches
//! are written before their answer, facts before any answer that follows them), and a half-written end is cut off at the
//! next start. Like Kafka nothing is synced per batch: power loss takes what the kernel had not written back. SIGTERM
//! syncs everything, then ends.

mod clock; // the only one that reads clocks
mod control; // orders from outside
mod error;
mod facts; // the file of facts
mod files; // logs as files
mod folder; // the data folder as a whole
mod listener; // a node's ports
mod server; // the loop
mod socket; // one connection

use std::os::fd::OwnedFd;
use std::path::PathBuf;

pub use control::{Ask, CONTROL_SOCKET, NodeState, Reply, ask};
pub use error::FrontError;

use crate::settings::Settings;

/// What to serve, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data folder: made when missing, taken up when it is ours, refused when it is not.
    pub data: PathBuf,
    /// The cluster; `cluster_id` is the folder's.
    pub settings: Settings,
    /// One for each node.
    pub ports: Vec<Ports>,
}

/// A node's ports on 127.0.0.1; 0 lets the kernel choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// Listener of clients.
    pub client: u16,
    /// Listener of verifier and admin.
    pub admin: u16,
    /// What clients are told; none: `client`.
    pub advertised: Option<u16>,
}

/// Serves until `stop` becomes readable. `ready` is called once, with the ports in use.
pub fn run(options: Options, stop: OwnedFd, ready: &mut dyn FnMut(&[Ports])) -> Result<(), FrontError> {
    server::Server::open(options, stop)?.run(ready)
}
