//! Nodes, and the controller that watches them (KRaft). The controller itself is a quorum apart that never fails.
//!
//! ```text
//! kill -9 / pause / cut off ──▶ session timeout ──▶ fenced: leaderships move, out of the ISR
//! start / resume / mend     ──▶ unfenced: partitions without a leader get one ──▶ catches up ──▶ back in the ISR
//! every decision            ──▶ after a delay each node that reaches the controller knows it; until then it acts on
//!                               what it knew: a paused leader that goes on still believes that it leads
//! ```

mod lives; // nodes that stop, start, pause, and lose sight of each other

use std::collections::BTreeMap;

use crate::fact::Fact;
use crate::model::Model;
use crate::replica::View;
use crate::store::Store;
use crate::timer::Timer;

/// One node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: i32,
    state: State,
    pub(crate) paused: bool,
    pub(crate) slow_ns: u64,
    /// The controller does not count on it.
    pub(crate) fenced: bool,
    incarnation: u32,
    /// Counts how often it fell silent or spoke again: a session timer of an older silence means nothing.
    silence: u64,
    /// What it still believes of partitions about which the controller decided something newer.
    pub(crate) stale: BTreeMap<usize, View>,
    propagating: bool,
    /// Timers that were due while it was paused.
    pub(crate) frozen: Vec<Timer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Up,
    Starting,
    Down,
}

impl Node {
    pub(crate) fn new(id: i32) -> Node {
        Node {
            id,
            state: State::Up,
            paused: false,
            slow_ns: 0,
            fenced: false,
            incarnation: 0,
            silence: 0,
            stale: BTreeMap::new(),
            propagating: false,
            frozen: Vec::new(),
        }
    }

    /// Whether the kernel completes a connection to it: also while it is paused.
    pub(crate) fn accepts(&self) -> bool {
        self.state == State::Up
    }

    /// Whether it does anything.
    pub(crate) fn serves(&self) -> bool {
        self.state == State::Up && !self.paused
    }
}

impl<S: Store> Model<S> {
    pub(crate) fn node(&self, id: i32) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    pub(crate) fn node_mut(&mut self, id: i32) -> Option<&mut Node> {
        self.nodes.iter_mut().find(|node| node.id == id)
    }

    /// Whether one node gets an answer from another.
    pub(crate) fn linked(&self, from: i32, to: i32) -> bool {
        let serves = |id| self.node(id).is_some_and(Node::serves);
        serves(from) && serves(to) && !self.cuts.contains(&(from.min(to), from.max(to)))
    }

    /// Whether a node reaches the controller: one that is cut off from all others does not.
    pub(crate) fn in_touch(&self, id: i32) -> bool {
        let cut = |other: i32| self.cuts.contains(&(id.min(other), id.max(other)));
        let alone = self.nodes.len() > 1 && self.nodes.iter().all(|node| node.id == id || cut(node.id));
        self.node(id).is_some_and(Node::serves) && !alone
    }

    /// What a node knows of a partition.
    pub(crate) fn view(&self, node: i32, partition: usize) -> &View {
        let stale = self.node(node).and_then(|node| node.stale.get(&partition));
        stale.unwrap_or(&self.partitions[partition].decided)
    }

    /// The controller decides something about a partition.
    pub(crate) fn decide(&mut self, partition: usize, view: View) {
        let found = &mut self.partitions[partition];
        if found.decided == view {
            return;
        }
        let log = found.log;
        let before = std::mem::replace(&mut found.decided, view.clone());
        for node in &mut self.nodes {
            node.stale.entry(partition).or_insert_with(|| before.clone());
        }
        self.remember(Fact::Leader {
            log,
            leader: view.leader,
            epoch: view.epoch,
            isr: view.isr,
        });
        for id in 1..=self.settings.nodes {
            self.announce(id);
        }
    }

    /// A node that reaches the controller will soon know what it decided.
    fn announce(&mut self, id: i32) {
        if !self.in_touch(id) {
            return;
        }
        let delay_ns = self.settings.metadata_delay_ns;
        let jitter_ns = self.random.below(delay_ns / 2 + 1);
        let at = self.now.mono_ns.saturating_add(delay_ns / 2 + jitter_ns);
        if let Some(node) = self.node_mut(id).filter(|node| !node.propagating) {
            node.propagating = true;
            self.timers.set(at, Timer::Propagate { node: id });
        }
    }

    /// A node learns all that the controller decided.
    pub(crate) fn propagate(&mut self, id: i32) {
        let in_touch = self.in_touch(id);
        let Some(node) = self.node_mut(id) else {
            return;
        };
        node.propagating = false;
        if in_touch {
            let changed: Vec<usize> = std::mem::take(&mut node.stale).into_keys().collect();
            for partition in changed {
                self.apply(id, partition);
            }
        }
    }

    /// A node takes up the role that the controller gave it in one partition.
    pub(crate) fn apply(&mut self, id: i32, partition: usize) {
        let now_ns = self.now.mono_ns;
        if let Some(node) = self.node_mut(id) {
            node.stale.remove(&partition);
        }
        let found = &mut self.partitions[partition];
        let decided = found.decided.clone();
        let others: Vec<i32> = found.replicas.iter().map(|replica| replica.node).collect();
        let Some(replica) = found.replica_mut(id) else {
            return;
        };
        let led = replica.leads();
        let new_epoch = replica.view.epoch != decided.epoch;
        replica.view = decided;
        if replica.leads() && (new_epoch || !led) {
            replica.lead(&others, now_ns);
            self.cut_facts(id, partition);
        }
        if self.partitions[partition].commit(id) {
            self.high_watermark_moved(partition);
        }
        self.kick(partition);
        self.wake(partition);
    }

    /// A new leader's log is the partition's: what the file holds beside it is out.
    fn cut_facts(&mut self, id: i32, partition: usize) {
        for fact in self.cuts_of(id, partition) {
            self.remember(fact);
        }
    }

    /// Which bytes of the file are not in this node's log.
    pub(crate) fn cuts_of(&self, id: i32, partition: usize) -> Vec<Fact> {
        let found = &self.partitions[partition];
        let log = found.log;
        let Some(replica) = found.replica(id).filter(|replica| replica.runs.last().is_some()) else {
            return Vec::new();
        };
        let mut cuts = Vec::new();
        let mut at = None;
        for run in replica.runs.ranges() {
            let from = found.entries.get(run.start).position;
            cuts.extend(at.filter(|at| *at < from).map(|at| Fact::Cut {
                log,
                from: at,
                to: from,
            }));
            at = Some(found.entries.get(run.end - 1).end_position());
        }
        let end = self.store.end(log);
        cuts.extend(at.filter(|at| *at < end).map(|at| Fact::Cut {
            log,
            from: at,
            to: end,
        }));
        cuts
    }

    /// The controller stops counting on a node.
    fn fence(&mut self, id: i32) {
        if let Some(node) = self.node_mut(id) {
            node.fenced = true;
        }
        for partition in 0..self.partitions.len() {
            self.leave(id, partition);
        }
        self.move_seats(id);
    }

    /// The controller counts on a node again.
    fn unfence(&mut self, id: i32) {
        if let Some(node) = self.node_mut(id) {
            node.fenced = false;
        }
        for partition in 0..self.partitions.len() {
            self.elect_if_leaderless(partition);
        }
        self.fill_seats(id);
        self.announce(id);
        self.kick_all();
    }

    /// Takes a node out of a partition's ISR and leadership.
    fn leave(&mut self, id: i32, partition: usize) {
        let mut view = self.partitions[partition].decided.clone();
        if !view.isr.contains(&id) && view.leader != id {
            return;
        }
        if view.isr.len() > 1 {
            view.isr.retain(|node| *node != id);
        }
        if view.leader == id {
            view.epoch += 1;
            view.leader = -1;
            if let Some(next) = self.next_leader(partition, &view) {
                view.leader = next;
                if !view.isr.contains(&next) {
                    view.isr = vec![next];
                }
            }
        }
        self.decide(partition, view);
    }

    fn elect_if_leaderless(&mut self, partition: usize) {
        let mut view = self.partitions[partition].decided.clone();
        if view.leader != -1 || self.topics.is_deleted(self.partitions[partition].topic) {
            return;
        }
        if let Some(next) = self.next_leader(partition, &view) {
            view.epoch += 1;
            view.leader = next;
            if !view.isr.contains(&next) {
                view.isr = vec![next];
            }
            self.decide(partition, view);
        }
    }

    /// The first live replica of the ISR; where unclean elections are allowed, else any live one.
    fn next_leader(&self, partition: usize, view: &View) -> Option<i32> {
        let found = &self.partitions[partition];
        let live = |id: i32| self.node(id).is_some_and(|node| !node.fenced);
        let mut replicas = found
            .replicas
            .iter()
            .map(|replica| replica.node)
            .filter(|id| live(*id));
        let clean = replicas.clone().find(|id| view.isr.contains(id));
        clean.or_else(|| {
            let unclean = self.topics.flag(
                found.topic,
                "unclean.leader.election.enable",
                self.settings.unclean_leader_election,
            );
            if unclean { replicas.next() } else { None }
        })
    }

    /// Pages that were dirty at the last writeback are on disk now.
    pub(crate) fn write_back(&mut self) {
        for replica in self
            .partitions
            .iter_mut()
            .flat_map(|partition| &mut partition.replicas)
        {
            replica.durable = replica.dirty;
            replica.dirty = replica.end;
        }
    }
}
