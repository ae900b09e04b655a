//! Connections: they are cut, they are refused while their broker is down, and answers take their time on them.

use std::collections::VecDeque;

use kafka_protocol::messages::ApiKey;

use super::produce::SERVICE_NS;
use super::{MS, Script};
use crate::sender::LinkId;

pub(in crate::sender::tests) struct Wire {
    pub(in crate::sender::tests) node: i32,
    pub(super) open: bool,
    /// (when, frame) in order; no frame = the connection breaks.
    pub(super) answers: VecDeque<(u64, Option<Vec<u8>>)>,
}

impl Script {
    pub(in crate::sender::tests) fn restart(&mut self, node: i32, ms: u64) {
        self.down_until.insert(node, self.now_ns + ms * MS);
        for log in self.logs.iter_mut().filter(|log| log.leader == node) {
            log.restart();
        }
        let links: Vec<u32> = self
            .wires
            .iter()
            .filter(|(_, wire)| wire.node == node)
            .map(|(link, _)| *link)
            .collect();
        for link in links {
            self.cut(LinkId(link));
        }
    }

    pub(in crate::sender::tests) fn is_down(&self, node: i32) -> bool {
        self.down_until
            .get(&node)
            .is_some_and(|until| *until > self.now_ns)
    }

    /// The connection breaks. The core hears of it when it next looks.
    pub(in crate::sender::tests) fn cut(&mut self, link: LinkId) {
        if let Some(wire) = self.wires.get_mut(&link.0) {
            wire.open = false;
            wire.answers.push_back((self.now_ns + SERVICE_NS, None));
        }
    }

    pub(in crate::sender::tests) fn answer(
        &mut self,
        link: LinkId,
        api: ApiKey,
        frame: Vec<u8>,
        service_ns: u64,
    ) {
        let mut frames = vec![frame];
        self.tamper(|tamper| tamper.frames(api, &mut frames));
        let busy = self.busy_until.entry(link.0).or_default();
        *busy = (*busy).max(self.now_ns) + service_ns;
        let at_ns = *busy;
        if let Some(wire) = self.wires.get_mut(&link.0) {
            wire.answers
                .extend(frames.into_iter().map(|frame| (at_ns, Some(frame))));
        }
    }

    pub(super) fn next_answer_ns(&self) -> Option<u64> {
        self.wires
            .values()
            .filter_map(|wire| wire.answers.front())
            .map(|(at_ns, _)| *at_ns)
            .min()
    }

    pub(super) fn deliver(&mut self) {
        let due = |wire: &Wire, now_ns| wire.answers.front().is_some_and(|(at_ns, _)| *at_ns <= now_ns);
        while let Some(link) = self
            .wires
            .iter()
            .find(|(_, wire)| due(wire, self.now_ns))
            .map(|(link, _)| *link)
        {
            let Some((_, frame)) = self
                .wires
                .get_mut(&link)
                .and_then(|wire| wire.answers.pop_front())
            else {
                break;
            };
            let Some(frame) = frame else {
                self.wires.remove(&link);
                self.sender.disconnected(LinkId(link), "cut", self.now_ns);
                continue;
            };
            self.sender.received(LinkId(link), &frame, self.now_ns);
            // Nonsense makes the core close at once, in which case nothing more comes from there.
            while let Some(action) = self.sender.next_action() {
                self.act(action);
            }
        }
    }
}
