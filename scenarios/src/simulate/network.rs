//! The network: byte streams between clients and nodes. In order within a stream, and in nothing else.
//!
//! ```text
//! client ══ requests ══▶ node        each stream: items that are due at a time, never overtaking
//!        ◀══ answers ═══             held: due, and they wait       cut: a prefix of bytes arrives, then the end
//! ```
//!
//! What a process has written is in the kernel's hands: it may arrive after the process is gone. That is where late
//! requests come from.

use std::collections::VecDeque;

use bytes::Bytes;
use steadfast_producer::sender::LinkId;

use super::SECOND;
use super::random::Random;
use super::world::{Event, Schedule};

const STREAM: u64 = 3;
const STREAM_OF_READERS: u64 = 6;
/// TCP doubles its patience so often at most: 64 s, above any client's.
const ASK_DOUBLINGS: u32 = 6;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Toward {
    Node = 0,
    Client = 1,
}

/// What arrives.
#[derive(Debug)]
pub(crate) enum Item {
    /// Toward the node: a connection is asked for. Toward the client: it stands.
    Open,
    /// One frame, size field included.
    Frame(Bytes),
    /// The end.
    End,
}

/// One stream.
#[derive(Debug, Default)]
struct Pipe {
    items: VecDeque<(u64, Item)>,
    last_ns: u64,
    /// Its end is in it, or has arrived: nothing is taken any more.
    ended: bool,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: u16,
    /// None: it is a reader's.
    pub(crate) link: Option<LinkId>,
    pub(crate) node: i32,
    /// The client knows it as its link's connection.
    pub(crate) client_open: bool,
    /// The node has it.
    pub(crate) node_open: bool,
    /// The node's machine lost power: nothing answers, not even with a reset.
    silent: bool,
    /// How often it was asked for.
    asked: u32,
    pipes: [Pipe; 2],
}

/// What lies between one client and one node.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Path {
    /// By direction, how many faults hold it.
    pub(crate) held: [u32; 2],
    /// How many refuse new connections.
    pub(crate) refused: u32,
    /// So many answers to come are left out.
    pub(crate) skipped: u32,
}

/// All streams.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) connections: Vec<Connection>,
    nodes: usize,
    paths: Vec<Path>,
    /// Clients that do nothing: what comes for them waits.
    pub(crate) frozen: Vec<bool>,
    latency_ns: u64,
    jitter_ns: u64,
    /// Of producers and of readers: a world without readers is the same one otherwise.
    random: [Random; 2],
}

impl Network {
    /// `clients`: producers and readers.
    pub(crate) fn new(clients: u16, nodes: i32, (latency_ns, jitter_ns): (u64, u64), seed: u64) -> Network {
        Network {
            connections: Vec::new(),
            nodes: nodes as usize,
            paths: vec![Path::default(); clients as usize * nodes as usize],
            frozen: vec![false; clients as usize],
            latency_ns,
            jitter_ns,
            random: [STREAM, STREAM_OF_READERS].map(|stream| Random::new(seed, stream)),
        }
    }

    pub(crate) fn path(&mut self, client: u16, node: i32) -> &mut Path {
        &mut self.paths[client as usize * self.nodes + node as usize - 1]
    }

    /// A client asks for a connection; its number.
    pub(crate) fn connect(
        &mut self,
        client: u16,
        link: Option<LinkId>,
        node: i32,
        now_ns: u64,
        schedule: &mut Schedule,
    ) -> usize {
        let id = self.connections.len();
        self.connections.push(Connection {
            client,
            link,
            node,
            client_open: true,
            node_open: false,
            silent: false,
            asked: 0,
            pipes: [Pipe::default(), Pipe::default()],
        });
        self.push(id, Toward::Node, Item::Open, now_ns, schedule);
        id
    }

    /// After how long TCP asks again for a connection that nobody answered: a second, and twice as long each time (RFC 6298).
    pub(crate) fn ask_again_ns(&mut self, id: usize) -> u64 {
        let asked = &mut self.connections[id].asked;
        *asked += 1;
        SECOND << (*asked - 1).min(ASK_DOUBLINGS)
    }

    /// Asks again, unless the client has given up.
    pub(crate) fn ask_again(&mut self, id: usize, now_ns: u64, schedule: &mut Schedule) {
        if self.connections[id].client_open {
            self.push(id, Toward::Node, Item::Open, now_ns, schedule);
        }
    }

    /// Puts something into a stream. What ended takes nothing.
    pub(crate) fn push(
        &mut self,
        id: usize,
        toward: Toward,
        item: Item,
        now_ns: u64,
        schedule: &mut Schedule,
    ) {
        let found = &self.connections[id];
        let path = &mut self.paths[found.client as usize * self.nodes + found.node as usize - 1];
        if toward == Toward::Client && path.skipped > 0 && matches!(item, Item::Frame(_)) {
            path.skipped -= 1;
            return;
        }
        let jitter_ns = self.jitter_ns;
        let delay_ns = self.latency_ns + self.random(id).below(jitter_ns + 1);
        let pipe = &mut self.connections[id].pipes[toward as usize];
        if pipe.ended {
            return;
        }
        pipe.ended = matches!(item, Item::End);
        pipe.last_ns = pipe.last_ns.max(now_ns + delay_ns);
        let at_ns = pipe.last_ns;
        pipe.items.push_back((at_ns, item));
        schedule.at(
            at_ns,
            Event::Arrive {
                connection: id,
                toward,
            },
        );
    }

    /// The next item that has arrived by now, unless something holds it.
    pub(crate) fn arrived(&mut self, id: usize, toward: Toward, now_ns: u64) -> Option<Item> {
        let found = &mut self.connections[id];
        let path = &self.paths[found.client as usize * self.nodes + found.node as usize - 1];
        let frozen = toward == Toward::Client && self.frozen[found.client as usize];
        if path.held[toward as usize] > 0 || frozen {
            return None;
        }
        let (_, item) = found.pipes[toward as usize]
            .items
            .pop_front_if(|(at_ns, _)| *at_ns <= now_ns)?;
        Some(item)
    }

    /// What was held may arrive.
    pub(crate) fn released(&mut self, client: u16, now_ns: u64, schedule: &mut Schedule) {
        for (id, found) in self.connections.iter().enumerate() {
            if found.client != client {
                continue;
            }
            for toward in [Toward::Node, Toward::Client] {
                if !found.pipes[toward as usize].items.is_empty() {
                    schedule.at(
                        now_ns,
                        Event::Arrive {
                            connection: id,
                            toward,
                        },
                    );
                }
            }
        }
    }

    /// One end closes: all it wrote arrives, or as much as chance lets through.
    pub(crate) fn close(
        &mut self,
        id: usize,
        toward: Toward,
        reset: bool,
        now_ns: u64,
        schedule: &mut Schedule,
    ) {
        if reset {
            self.tear(id, toward);
        }
        self.push(id, toward, Item::End, now_ns, schedule);
    }

    /// Breaks every connection between a client and a node.
    pub(crate) fn cut(&mut self, client: u16, node: i32, now_ns: u64, schedule: &mut Schedule) -> bool {
        let mut any = false;
        for id in 0..self.connections.len() {
            let found = &self.connections[id];
            if found.client != client || found.node != node || !(found.client_open || found.node_open) {
                continue;
            }
            any = true;
            for toward in [Toward::Node, Toward::Client] {
                self.close(id, toward, true, now_ns, schedule);
            }
        }
        any
    }

    /// The node closed it, or is gone. A machine without power does not even say so.
    pub(crate) fn node_closed(&mut self, id: usize, silent: bool, now_ns: u64, schedule: &mut Schedule) {
        self.connections[id].node_open = false;
        if silent {
            self.connections[id].silent = true;
        } else {
            let reset = self.random(id).percent(50);
            self.close(id, Toward::Client, reset, now_ns, schedule);
        }
    }

    /// The client closed it, or is gone.
    pub(crate) fn client_closed(&mut self, id: usize, now_ns: u64, schedule: &mut Schedule) {
        self.connections[id].client_open = false;
        let reset = self.random(id).percent(30);
        self.close(id, Toward::Node, reset, now_ns, schedule);
    }

    /// A frame came for a connection that the node does not have: a live machine answers with a reset.
    pub(crate) fn stray(&mut self, id: usize, node_lives: bool, now_ns: u64, schedule: &mut Schedule) {
        if node_lives || !self.connections[id].silent {
            self.close(id, Toward::Client, false, now_ns, schedule);
        }
    }

    /// Whether no producer has anything under way toward any node.
    pub(crate) fn is_quiet(&self) -> bool {
        let toward_node =
            |found: &Connection| found.link.is_none() || found.pipes[Toward::Node as usize].items.is_empty();
        self.connections.iter().all(toward_node)
    }

    fn random(&mut self, id: usize) -> &mut Random {
        &mut self.random[usize::from(self.connections[id].link.is_none())]
    }

    /// Of the bytes under way only a prefix arrives, and of that only whole frames are of use.
    fn tear(&mut self, id: usize, toward: Toward) {
        let random = &mut self.random[usize::from(self.connections[id].link.is_none())];
        let pipe = &mut self.connections[id].pipes[toward as usize];
        let size = |item: &Item| match item {
            Item::Frame(bytes) => bytes.len() as u64,
            Item::Open | Item::End => 0,
        };
        if pipe.ended {
            return;
        }
        let all: u64 = pipe.items.iter().map(|(_, item)| size(item)).sum();
        let mut room = random.below(all + 1);
        let whole = pipe.items.iter().take_while(|(_, item)| {
            let fits = size(item) <= room;
            room = room.saturating_sub(size(item));
            fits
        });
        let kept = whole.count();
        pipe.items.truncate(kept);
    }
}
