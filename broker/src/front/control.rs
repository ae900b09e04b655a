//! Orders from outside: a Unix socket in the data folder, one JSON a line, one line back for each.
//!
//! ```text
//! {"Order":{"Kill":{"node":2,"stop":"Hard"}}}                                                     ─▶ "Done"
//! {"Hook":{"node":null,"api_key":0,"nth":1,"when":"AfterEffect","what":"Disconnect"}}             ─▶ {"Hook":1}
//! {"Release":1}                                                                                   ─▶ "Done"
//! "State"                                  ─▶ {"State":[{"node":1,"accepts":true,"serves":true}]}
//! nonsense                                                                                        ─▶ {"Refused":"why"}
//! ```
//!
//! Who may write to the data folder may order; nobody else reaches the socket.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::FrontError;
use crate::hook::{Hook, HookId};
use crate::model::{Model, Now};
use crate::order::Order;
use crate::store::Store;

/// The socket's name in the data folder.
pub const CONTROL_SOCKET: &str = "control.sock";
/// No line is longer.
const LINE_MOST_BYTES: usize = 64 * 1024;
/// Who orders at a time; one more is closed at once.
const MOST_CONNECTIONS: usize = 16;

/// What may be asked of a running broker.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Ask {
    /// Do something to the cluster.
    Order(Order),
    /// Catch a request.
    Hook(Hook),
    /// Let go what a hook holds.
    Release(u64),
    /// How are the nodes?
    State,
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Reply {
    /// It is done; what takes time (an election, a start) is under way.
    Done,
    /// The hook's number.
    Hook(u64),
    /// All nodes.
    State(Vec<NodeState>),
    /// Nothing was changed, and why.
    Refused(String),
}

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NodeState {
    /// Which.
    pub node: i32,
    /// It takes connections; a paused one does.
    pub accepts: bool,
    /// It answers.
    pub serves: bool,
}

/// Asks the broker of a data folder; each step within `bound`.
pub fn ask(data: &Path, ask: &Ask, bound: Duration) -> io::Result<Reply> {
    let folder = File::open(data)?;
    let mut stream = UnixStream::connect(address(&folder))?;
    stream.set_read_timeout(Some(bound))?;
    stream.set_write_timeout(Some(bound))?;
    let mut line = serde_json::to_vec(ask)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream.take(LINE_MOST_BYTES as u64)).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}

/// A path to the socket that is short however long the folder's is: `sun_path` has room for 107 bytes.
fn address(folder: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{CONTROL_SOCKET}", folder.as_raw_fd()))
}

/// The broker's end.
#[derive(Debug)]
pub(super) struct Control {
    pub(super) listener: UnixListener,
    connections: Vec<(u64, Orderer)>,
    path: PathBuf,
}

#[derive(Debug)]
struct Orderer {
    stream: UnixStream,
    input: Vec<u8>,
}

impl Control {
    pub(super) fn open(data: &Path) -> Result<Control, FrontError> {
        let path = data.join(CONTROL_SOCKET);
        let io = || FrontError::io::<io::Error>(format!("make {}", path.display()));
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io()(error)),
            _ => {}
        }
        let listener = File::open(data)
            .and_then(|folder| UnixListener::bind(address(&folder)))
            .map_err(io())?;
        listener.set_nonblocking(true).map_err(io())?;
        Ok(Control {
            listener,
            connections: Vec::new(),
            path,
        })
    }

    /// The next who wants to order, under the number given; none when nobody waits.
    pub(super) fn accept(&mut self, number: u64) -> io::Result<Option<&UnixStream>> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            };
            if self.connections.len() < MOST_CONNECTIONS {
                stream.set_nonblocking(true)?;
                self.connections.push((
                    number,
                    Orderer {
                        stream,
                        input: Vec::new(),
                    },
                ));
                return Ok(self.connections.last().map(|(_, orderer)| &orderer.stream));
            }
        }
    }

    /// Someone wrote: every whole line is done and answered. Who does not take answers, or writes lines without end, goes.
    pub(super) fn readable<S: Store>(&mut self, number: u64, model: &mut Model<S>, now: Now) {
        let Some(at) = self.connections.iter().position(|(known, _)| *known == number) else {
            return;
        };
        if self.connections[at].1.serve(model, now).is_err() {
            self.connections.swap_remove(at);
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // The next start removes it too.
        let _stays = fs::remove_file(&self.path);
    }
}

impl Orderer {
    fn serve<S: Store>(&mut self, model: &mut Model<S>, now: Now) -> io::Result<()> {
        let mut bytes = [0; 4096];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.input.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            while let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.input.drain(..=end).collect();
                let reply = match serde_json::from_slice(&line) {
                    Ok(ask) => answer(model, ask, now),
                    Err(error) => Reply::Refused(format!("not understood: {error}")),
                };
                let mut line = serde_json::to_vec(&reply)?;
                line.push(b'\n');
                self.stream.write_all(&line)?;
            }
            if self.input.len() > LINE_MOST_BYTES {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }
}

fn answer<S: Store>(model: &mut Model<S>, ask: Ask, now: Now) -> Reply {
    match ask {
        Ask::Order(order) => match model.order(order, now) {
            Ok(()) => Reply::Done,
            Err(error) => Reply::Refused(error.to_string()),
        },
        Ask::Hook(hook) => Reply::Hook(model.hook(hook).0),
        Ask::Release(hook) => {
            model.release(HookId(hook), now);
            Reply::Done
        }
        Ask::State => {
            let state = |node| NodeState {
                node,
                accepts: model.accepts(node),
                serves: model.is_serving(node),
            };
            Reply::State(model.node_ids().map(state).collect())
        }
    }
}
