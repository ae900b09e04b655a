//! The loop: one epoll, every socket, the model between them.
//!
//! ```text
//! advance(now) ─▶ actions ─▶ who waited to be served ─▶ listeners follow their nodes ─▶ sleep ─▶ events ─▶ ...
//! ```
//!
//! Sleeps until a socket, an order or the model's next timer. An answer is written where it is made, in the middle of
//! whatever the loop is doing: latency is one read, one pass of the model, one write of the log, one send.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use super::clock;
use super::control::Control;
use super::error::FrontError;
use super::facts::{self, Facts};
use super::files::Files;
use super::folder::Folder;
use super::listener::Listener;
use super::socket::{Ended, Socket};
use super::{Options, Ports};
use crate::fact::Fact;
use crate::model::{Action, ConnectionId, Endpoint, Model};
use crate::store::LogId;

/// Events taken from the kernel at a time.
const EVENTS: usize = 64;
/// Bytes read at a time, by one buffer for all connections.
const READ_BYTES: usize = 256 * 1024;
/// Reads of one connection before others have their turn.
const READS_PER_TURN: usize = 8;
/// Bound: bytes held for frames that are not whole, all connections together. Who goes beyond is closed.
const HELD_MOST_BYTES: usize = 512 << 20;
/// When no more files can be opened: how long until a connection that waits is tried again.
const ACCEPT_AGAIN_NS: u64 = 100_000_000;
/// What a process may need beside connections: logs, facts, listeners.
const FILES_BESIDE: u64 = 1_024;

/// What an event is about: the kind above, a number below.
const KIND_SHIFT: u32 = 60;
const SOCKET: u64 = 0;
const LISTENER: u64 = 1;
const CONTROL: u64 = 2;
const ORDERER: u64 = 3;
const STOP: u64 = 4;

/// Everything of a running broker.
pub(super) struct Server {
    folder: Folder,
    model: Model<Files>,
    facts: Facts,
    epoll: OwnedFd,
    listeners: Vec<Listener>,
    sockets: BTreeMap<u64, Socket>,
    /// Connections with more to serve, as soon as the model wants it.
    waiting: BTreeSet<u64>,
    /// Some of them can be served now.
    hurry: bool,
    /// A connection could not be accepted for want of files.
    accept_again: bool,
    control: Control,
    stop: OwnedFd,
    next: u64,
    held: usize,
    held_most_bytes: usize,
    most_frame_bytes: usize,
    scratch: Vec<u8>,
}

impl Server {
    /// Opens the folder, binds every port, and brings back what the folder remembers.
    pub(super) fn open(options: Options, stop: OwnedFd) -> Result<Server, FrontError> {
        let Options {
            data,
            mut settings,
            ports,
        } = options;
        let now = clock::now();
        let salt = now.mono_ns
            ^ (now.wall_ms as u64).rotate_left(32)
            ^ u64::from(std::process::id()).rotate_left(48);
        let folder = Folder::open(&data, settings.nodes, salt)?;
        let remembered = facts::read(&folder.path)?;
        let files = Files::open(&folder.path)?;
        let mut listeners = Vec::new();
        let mut endpoints = Vec::new();
        for (node, ports) in (1..).zip(&ports) {
            let client = Listener::bind(node, 0, ports.client)?;
            let admin = Listener::bind(node, 1, ports.admin)?;
            let advertised = [ports.advertised.unwrap_or(client.port), admin.port];
            for (listener, port) in (0..).zip(advertised) {
                endpoints.push(Endpoint {
                    node,
                    listener,
                    host: "127.0.0.1".into(),
                    port,
                });
            }
            listeners.extend([client, admin]);
        }
        settings.cluster_id = Some(folder.cluster_id.clone());
        more_files(settings.max_connections as u64 + FILES_BESIDE);
        let most_frame_bytes = settings.socket_request_max_bytes;
        let mut model = Model::new(settings, endpoints, files, salt, now);
        let damaged = |source| FrontError::Damaged {
            path: folder.path.clone(),
            source,
        };
        model.recall(remembered, now).map_err(damaged)?;
        let true_now = model.facts();
        model.store().keep_only(&logs_of(&true_now));
        let facts = Facts::write_anew(&folder.path, &true_now)?;
        let control = Control::open(&folder.path)?;
        let epoll =
            epoll::create(epoll::CreateFlags::CLOEXEC).map_err(FrontError::io("create an epoll instance"))?;
        Ok(Server {
            folder,
            model,
            facts,
            epoll,
            listeners,
            sockets: BTreeMap::new(),
            waiting: BTreeSet::new(),
            hurry: false,
            accept_again: false,
            control,
            stop,
            next: 0,
            held: 0,
            held_most_bytes: HELD_MOST_BYTES,
            most_frame_bytes,
            scratch: vec![0; READ_BYTES],
        })
    }

    /// Serves until told to stop; then brings everything to the disk.
    pub(super) fn run(mut self, ready: &mut dyn FnMut(&[Ports])) -> Result<(), FrontError> {
        for (number, listener) in self.listeners.iter().enumerate() {
            watch(&self.epoll, listener, LISTENER, number as u64)?;
        }
        watch(&self.epoll, &self.control.listener, CONTROL, 0)?;
        watch(&self.epoll, &self.stop, STOP, 0)?;
        ready(&self.ports());
        loop {
            self.model.advance(clock::now());
            self.carry_out()?;
            self.serve_waiting()?;
            self.follow_nodes()?;
            for token in self.sleep()? {
                let number = token & ((1 << KIND_SHIFT) - 1);
                match token >> KIND_SHIFT {
                    SOCKET => self.socket_ready(number)?,
                    LISTENER => self.accept(number as usize)?,
                    CONTROL => self.accept_orderers()?,
                    ORDERER => {
                        self.control.readable(number, &mut self.model, clock::now());
                        self.carry_out()?;
                    }
                    _ => return self.close(),
                }
            }
        }
    }

    fn ports(&self) -> Vec<Ports> {
        let pairs = self.listeners.chunks_exact(2);
        pairs
            .map(|pair| Ports {
                client: pair[0].port,
                admin: pair[1].port,
                advertised: None,
            })
            .collect()
    }

    fn close(mut self) -> Result<(), FrontError> {
        self.carry_out()?;
        self.model.store().sync()?;
        self.facts.sync()
    }

    /// Does what the model wants done: facts before the answers that follow them, deletions after all facts.
    fn carry_out(&mut self) -> Result<(), FrontError> {
        loop {
            let mut lost = Vec::new();
            while let Some(action) = self.model.next_action() {
                match action {
                    Action::Remember(fact) => self.facts.push(&fact)?,
                    Action::Close { connection } => self.forget(connection.0),
                    Action::Answer { connection, frame } => {
                        if self.facts.waits() {
                            self.facts.write()?;
                        }
                        let sent = self
                            .sockets
                            .get_mut(&connection.0)
                            .map(|socket| socket.send(frame));
                        if let Some(Err(Ended)) = sent {
                            lost.push(connection.0);
                        }
                    }
                }
            }
            if lost.is_empty() {
                break;
            }
            lost.into_iter().for_each(|number| self.lose(number));
        }
        if self.facts.waits() {
            self.facts.write()?;
        }
        if self.facts.is_long() {
            self.facts.renew(&self.model.facts())?;
        }
        self.model.store().delete_later();
        Ok(())
    }

    fn serve_waiting(&mut self) -> Result<(), FrontError> {
        self.hurry = false;
        for number in std::mem::take(&mut self.waiting) {
            self.serve(number)?;
        }
        Ok(())
    }

    /// Serves a connection until it has nothing more, or the model wants nothing more of it, or others have their turn.
    fn serve(&mut self, number: u64) -> Result<(), FrontError> {
        let connection = ConnectionId(number);
        for _ in 0..READS_PER_TURN {
            loop {
                let Some(socket) = self.sockets.get_mut(&number) else {
                    return Ok(());
                };
                if !socket.has_frame(self.most_frame_bytes) {
                    break;
                }
                if socket.is_answering() || !self.model.reads(connection) {
                    self.waiting.insert(number);
                    return Ok(());
                }
                match socket.next_frame(self.most_frame_bytes) {
                    Ok(Some(frame)) => {
                        self.model.received(connection, frame, clock::now());
                        self.carry_out()?;
                    }
                    Ok(None) => break,
                    Err(Ended) => {
                        self.lose(number);
                        return self.carry_out();
                    }
                }
            }
            let Some(socket) = self.sockets.get_mut(&number).filter(|socket| socket.readable) else {
                return Ok(());
            };
            let before = socket.held();
            socket.shrink(READ_BYTES);
            let read = socket.read(&mut self.scratch);
            self.held = self.held + socket.held() - before;
            if read.is_err() || self.held > self.held_most_bytes {
                self.lose(number);
                return self.carry_out();
            }
        }
        self.waiting.insert(number);
        self.hurry = true;
        Ok(())
    }

    fn socket_ready(&mut self, number: u64) -> Result<(), FrontError> {
        let Some(socket) = self.sockets.get_mut(&number) else {
            return Ok(());
        };
        socket.readable = true;
        if socket.flush().is_err() {
            self.lose(number);
            return self.carry_out();
        }
        self.serve(number)
    }

    fn accept(&mut self, number: usize) -> Result<(), FrontError> {
        let Some(listener) = self.listeners.get(number) else {
            return Ok(());
        };
        let (node, which) = (listener.node, listener.number);
        loop {
            let socket = match self.listeners[number].accept() {
                Ok(Some(socket)) => socket,
                Ok(None) => return Ok(()),
                Err(_) => {
                    self.accept_again = true;
                    return Ok(());
                }
            };
            self.next += 1;
            watch(&self.epoll, &socket, SOCKET, self.next)?;
            self.sockets.insert(self.next, Socket::new(socket));
            self.model
                .opened(ConnectionId(self.next), node, which, clock::now());
            self.carry_out()?;
        }
    }

    fn accept_orderers(&mut self) -> Result<(), FrontError> {
        loop {
            self.next += 1;
            match self.control.accept(self.next) {
                Ok(Some(stream)) => watch(&self.epoll, stream, ORDERER, self.next)?,
                Ok(None) => return Ok(()),
                Err(_) => {
                    self.accept_again = true;
                    return Ok(());
                }
            }
        }
    }

    /// Listens where a node is up, and nowhere else.
    fn follow_nodes(&mut self) -> Result<(), FrontError> {
        for listener in &mut self.listeners {
            let port = listener.port;
            let told = listener.set(self.model.accepts(listener.node));
            told.map_err(FrontError::io(format!("listen on 127.0.0.1:{port} again")))?;
        }
        if std::mem::take(&mut self.accept_again) {
            for number in 0..self.listeners.len() {
                self.accept(number)?;
            }
            self.accept_orderers()?;
        }
        Ok(())
    }

    /// Asleep until something happens or is due; answers what happened.
    fn sleep(&mut self) -> Result<Vec<u64>, FrontError> {
        const NANOS: u64 = 1_000_000_000;
        let now_ns = clock::now().mono_ns;
        let timer = self.model.wakeup_ns().map(|at| at.saturating_sub(now_ns));
        let again = self.accept_again.then_some(ACCEPT_AGAIN_NS);
        let hurry = self.hurry.then_some(0);
        let timeout = timer
            .into_iter()
            .chain(again)
            .chain(hurry)
            .min()
            .map(|ns| Timespec {
                tv_sec: (ns / NANOS) as _,
                tv_nsec: (ns % NANOS) as _,
            });
        let mut buffer = [MaybeUninit::<epoll::Event>::uninit(); EVENTS];
        match epoll::wait(&self.epoll, &mut buffer, timeout.as_ref()) {
            Ok((events, _)) => Ok(events.iter().map(|event| event.data.u64()).collect()),
            Err(Errno::INTR) => Ok(Vec::new()),
            Err(error) => Err(FrontError::io("wait for sockets")(error)),
        }
    }

    /// The connection broke, or must not go on.
    fn lose(&mut self, number: u64) {
        self.forget(number);
        self.model.closed(ConnectionId(number), clock::now());
    }

    fn forget(&mut self, number: u64) {
        if let Some(socket) = self.sockets.remove(&number) {
            self.held -= socket.held();
        }
        self.waiting.remove(&number);
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Server")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// Tells epoll to tell, once for each change, what happens to a descriptor.
fn watch(epoll: &OwnedFd, what: impl AsFd, kind: u64, number: u64) -> Result<(), FrontError> {
    let data = epoll::EventData::new_u64(kind << KIND_SHIFT | number);
    let room = if kind == SOCKET {
        epoll::EventFlags::OUT
    } else {
        epoll::EventFlags::empty()
    };
    let flags = epoll::EventFlags::IN | epoll::EventFlags::ET | room;
    epoll::add(epoll, what, data, flags).map_err(FrontError::io("watch a socket"))
}

/// Every log that a partition has.
fn logs_of(facts: &[Fact]) -> Vec<LogId> {
    let topics = facts.iter().filter_map(|fact| match fact {
        Fact::Topic { partitions, .. } => Some(partitions),
        _ => None,
    });
    topics.flatten().map(|(log, _)| *log).collect()
}

/// As many open files as the connections may need, where the system lets us have them.
fn more_files(wanted: u64) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(limit.maximum.map_or(wanted, |most| most.min(wanted)));
        // With fewer, connections that find no room wait to be accepted.
        let _refused: io::Result<()> = setrlimit(Resource::Nofile, limit).map_err(Into::into);
    }
}

#[cfg(test)]
mod tests;
