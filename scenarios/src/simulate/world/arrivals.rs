//! What arrives: at a node, at a producer, at a reader.

use steadfast_broker::ConnectionId;

use super::{Event, LATE_END_NS, World};
use crate::simulate::network::{Item, Toward};

impl World<'_> {
    pub(super) fn at_node(&mut self, id: usize, item: Item) {
        let (client, node) = (
            self.network.connections[id].client,
            self.network.connections[id].node,
        );
        let connection = ConnectionId(id as u64);
        match item {
            Item::Open => {
                let dark = self.dark.contains(&node);
                let taken = self.model.accepts(node) && self.network.path(client, node).refused == 0;
                if taken {
                    self.network.connections[id].node_open = true;
                    self.model.opened(connection, node, 0, self.now());
                    self.network
                        .push(id, Toward::Client, Item::Open, self.now_ns, &mut self.schedule);
                } else if dark {
                    // Nobody says anything; TCP asks again until the client gives up.
                    let at_ns = self.now_ns + self.network.ask_again_ns(id);
                    self.schedule.at(at_ns, Event::AskAgain { connection: id });
                } else {
                    self.network
                        .close(id, Toward::Client, false, self.now_ns, &mut self.schedule);
                }
            }
            Item::Frame(frame) if self.network.connections[id].node_open => {
                self.note(id, Toward::Node, &frame);
                let request = frame.slice(4.min(frame.len())..);
                self.model.received(connection, request, self.now());
            }
            Item::Frame(_) => {
                let lives = self.model.accepts(node);
                self.network.stray(id, lives, self.now_ns, &mut self.schedule);
            }
            Item::End => {
                // A broker that is busy with the connection does not look at it, and serves what it has of it first.
                if self.network.connections[id].node_open
                    && (self.model.works_on(connection) || !self.model.reads(connection))
                    && self.random.percent(50)
                {
                    let at_ns = self.now_ns + self.random.below(LATE_END_NS);
                    self.schedule.at(at_ns, Event::LateEnd { connection: id });
                } else {
                    self.node_loses(id);
                }
            }
        }
    }

    pub(super) fn node_loses(&mut self, id: usize) {
        self.say(|| format!("node loses #{id}"));
        if std::mem::take(&mut self.network.connections[id].node_open) {
            self.model.closed(ConnectionId(id as u64), self.now());
        }
        // Nothing more comes from there either.
        if self.network.connections[id].client_open {
            self.network
                .close(id, Toward::Client, false, self.now_ns, &mut self.schedule);
        }
    }

    pub(super) fn at_client(&mut self, id: usize, item: Item) {
        let (client, node, link) = {
            let found = &self.network.connections[id];
            (found.client, found.node, found.link)
        };
        if !self.network.connections[id].client_open {
            return;
        }
        if let Item::Frame(frame) = &item {
            self.note(id, Toward::Client, frame);
        }
        if let Item::End = &item {
            self.say(|| format!("client {client} loses #{id}"));
        }
        let Some(link) = link else {
            match self.clients.get_mut(usize::from(client)) {
                Some(client) => {
                    if let Some(copier) = &mut client.copier {
                        copier.arrived(node, id, &item, self.now_ns);
                    }
                    self.touched[client.number as usize] = true;
                }
                None => {
                    let reader = &mut self.readers[usize::from(client) - self.clients.len()];
                    reader.arrived(node, id, &item, self.now_ns);
                }
            }
            if matches!(item, Item::End) {
                self.network.client_closed(id, self.now_ns, &mut self.schedule);
            }
            return;
        };
        let client = &mut self.clients[client as usize];
        match item {
            Item::Open => client.connected(link, id, self.now_ns),
            Item::Frame(frame) => client.received(link, id, &frame, self.now_ns),
            Item::End => {
                client.disconnected(link, id, self.now_ns);
                // The client's kernel closes its half too; what it wrote before may still arrive.
                self.network.client_closed(id, self.now_ns, &mut self.schedule);
            }
        }
        self.touched[client.number as usize] = true;
    }
}
