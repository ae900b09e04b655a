//! Nodes that stop, start, pause and go on, lose sight of each other, or lose what was not on disk.

use super::State;
use crate::model::{Action, ConnectionId, Model, ms};
use crate::order::{OrderError, Stop};
use crate::store::Store;
use crate::timer::Timer;

impl<S: Store> Model<S> {
    /// SIGTERM, SIGKILL or the plug.
    pub(crate) fn kill(&mut self, id: i32, stop: Stop) -> Result<(), OrderError> {
        let node = self.node_mut(id).ok_or(OrderError::NoNode(id))?;
        if node.state == State::Down {
            return Err(OrderError::Node {
                node: id,
                why: "is down",
            });
        }
        if stop == Stop::Clean && node.paused {
            return Err(OrderError::Node {
                node: id,
                why: "is paused and cannot stop by itself",
            });
        }
        if stop == Stop::Clean {
            self.fence(id);
        }
        if let Some(node) = self.node_mut(id) {
            node.state = State::Down;
            node.paused = false;
            node.frozen.clear();
            node.incarnation += 1;
        }
        let mine = self.connections.iter().filter(|(_, found)| found.node == id);
        let mine: Vec<ConnectionId> = mine.map(|(connection, _)| *connection).collect();
        for connection in mine {
            self.forget(connection);
            self.actions.push_back(Action::Close { connection });
        }
        match stop {
            Stop::Clean => {}
            Stop::Hard => self.silent_now(id),
            Stop::PowerLoss => {
                self.lose_tails(id);
                self.silent_now(id);
            }
        }
        Ok(())
    }

    /// What was not on disk yet is lost, from a batch on that chance chooses.
    fn lose_tails(&mut self, id: i32) {
        for partition in 0..self.partitions.len() {
            let found = &mut self.partitions[partition];
            let Some(at) = found.replicas.iter().position(|replica| replica.node == id) else {
                continue;
            };
            let replica = &found.replicas[at];
            let unsynced: Vec<u64> = replica.runs.from(&found.entries, replica.durable).collect();
            let lost = self.random.below(unsynced.len() as u64 + 1) as usize;
            if lost == 0 {
                continue;
            }
            let kept = unsynced.len() - lost;
            let last = match kept.checked_sub(1) {
                Some(last) => Some(unsynced[last]),
                None => replica.runs.iter().rev().find(|number| *number < unsynced[0]),
            };
            found.replicas[at].truncate(&found.entries, last);
        }
    }

    /// Starts a stopped node.
    pub(crate) fn start(&mut self, id: i32) -> Result<(), OrderError> {
        let at = self.now.mono_ns.saturating_add(self.settings.restart_delay_ns);
        let node = self.node_mut(id).ok_or(OrderError::NoNode(id))?;
        if node.state != State::Down {
            return Err(OrderError::Node {
                node: id,
                why: "is not down",
            });
        }
        node.state = State::Starting;
        let incarnation = node.incarnation;
        self.timers.set(
            at,
            Timer::Started {
                node: id,
                incarnation,
            },
        );
        Ok(())
    }

    /// A node that starts has read its logs and registers with the controller.
    pub(crate) fn started(&mut self, id: i32, incarnation: u32) {
        let Some(node) = self.node_mut(id) else {
            return;
        };
        if node.state != State::Starting || node.incarnation != incarnation {
            return;
        }
        node.state = State::Up;
        node.silence += 1;
        // A new incarnation: the controller lets go of the old one first.
        let fenced = node.fenced;
        if !fenced {
            self.fence(id);
        }
        self.unfence(id);
        let (wall_ms, after_ms) = (self.now.wall_ms, self.settings.producer_id_expiration_ms);
        for partition in 0..self.partitions.len() {
            if let Some(replica) = self.partitions[partition].replica_mut(id) {
                replica.producers.restart(wall_ms, after_ms);
                replica.view.leader = -1;
                replica.fetching = false;
            }
            self.apply(id, partition);
        }
        self.kick_all();
    }

    /// SIGSTOP.
    pub(crate) fn pause(&mut self, id: i32) -> Result<(), OrderError> {
        let node = self.node_mut(id).ok_or(OrderError::NoNode(id))?;
        if !node.serves() {
            return Err(OrderError::Node {
                node: id,
                why: "is down or paused",
            });
        }
        node.paused = true;
        self.silent_now(id);
        Ok(())
    }

    /// SIGCONT: it goes on with what it knew.
    pub(crate) fn resume(&mut self, id: i32) -> Result<(), OrderError> {
        let now_ns = self.now.mono_ns;
        let node = self.node_mut(id).ok_or(OrderError::NoNode(id))?;
        if !node.paused {
            return Err(OrderError::Node {
                node: id,
                why: "is not paused",
            });
        }
        node.paused = false;
        let frozen = std::mem::take(&mut node.frozen);
        for timer in frozen {
            self.timers.set(now_ns, timer);
        }
        let mine = self.connections.iter().filter(|(_, found)| found.node == id);
        self.ready.extend(mine.map(|(connection, _)| *connection));
        self.heard_again(id);
        Ok(())
    }

    /// Cuts two nodes apart, or mends it.
    pub(crate) fn cut(&mut self, a: i32, b: i32, cut: bool) -> Result<(), OrderError> {
        for id in [a, b] {
            self.node(id).ok_or(OrderError::NoNode(id))?;
        }
        let pair = (a.min(b), a.max(b));
        if cut && a != b {
            self.cuts.insert(pair);
            for id in [a, b] {
                if !self.in_touch(id) {
                    self.silent_now(id);
                }
            }
        } else {
            self.cuts.remove(&pair);
            for id in [a, b] {
                if self.in_touch(id) {
                    self.heard_again(id);
                }
            }
        }
        Ok(())
    }

    /// The controller hears nothing of a node from now on.
    fn silent_now(&mut self, id: i32) {
        let at = self
            .now
            .mono_ns
            .saturating_add(ms(self.settings.session_timeout_ms));
        if let Some(node) = self.node_mut(id) {
            node.silence += 1;
            let silence = node.silence;
            self.timers.set(at, Timer::Session { node: id, silence });
        }
    }

    /// The controller hears of a node that was up all the time.
    fn heard_again(&mut self, id: i32) {
        let Some(node) = self.node_mut(id) else {
            return;
        };
        node.silence += 1;
        if node.fenced {
            self.unfence(id);
        } else {
            self.announce(id);
            self.kick_all();
        }
    }

    pub(crate) fn session_over(&mut self, id: i32, silence: u64) {
        let silent = self
            .node(id)
            .is_some_and(|node| node.silence == silence && !node.fenced);
        if silent && !self.in_touch(id) {
            self.fence(id);
        }
    }
}
