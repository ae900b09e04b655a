//! From a frame to an answer: hooks, dispatch, throttling, one request at a time on each connection.

use bytes::Bytes;

use crate::answer::Answer;
use crate::cluster::Node;
use crate::connection::{After, At, Current, Outcome, Wait};
use crate::hook::{HookId, What, When};
use crate::model::{Action, ConnectionId, Model};
use crate::request::{BadFrame, Header, Request};
use crate::settings::MS;
use crate::store::Store;
use crate::timer::Timer;

impl<S: Store> Model<S> {
    /// Serves frames until none may be served now.
    pub(crate) fn serve_ready(&mut self) {
        while let Some(connection) = self.ready.pop_front() {
            let Some(found) = self.connections.get_mut(&connection) else {
                continue;
            };
            let serves = self
                .nodes
                .iter()
                .any(|node| node.id == found.node && node.serves());
            if serves
                && found.ready()
                && let Some(frame) = found.queue.pop_front()
            {
                self.serve(connection, &frame);
                self.ready.push_back(connection);
            }
        }
    }

    fn serve(&mut self, connection: ConnectionId, frame: &Bytes) {
        let header = match Header::parse(frame) {
            Ok(header) => header,
            Err(BadFrame::ApiVersions { correlation_id }) => {
                let answer = Answer::from(self.unsupported_api_versions());
                match answer.encode(0, correlation_id) {
                    Some(frame) => self.actions.push_back(Action::Answer { connection, frame }),
                    None => self.close(connection),
                }
                return;
            }
            Err(BadFrame::Nonsense) => return self.close(connection),
        };
        let Ok(request) = Request::decode(&header, frame) else {
            return self.close(connection);
        };
        let Some(found) = self.connections.get_mut(&connection) else {
            return;
        };
        let node = found.node;
        found.current = Some(Current {
            header,
            bytes: frame.len(),
            after: None,
            wait: Wait::Serving,
            deadline: None,
        });
        let slow_ns = self.node(node).map_or(0, |node| node.slow_ns);
        if slow_ns > 0 {
            self.wait(connection, Wait::Slowed(Box::new(request)));
            self.timers.set(
                self.now.mono_ns.saturating_add(slow_ns),
                Timer::Slowed { connection },
            );
        } else {
            self.enter(connection, request);
        }
    }

    /// A request of a slow node is looked at.
    pub(crate) fn slowed(&mut self, connection: ConnectionId) {
        if self.postponed(connection, Timer::Slowed { connection }) {
            return;
        }
        let current = self
            .connections
            .get_mut(&connection)
            .and_then(|found| found.current.as_mut());
        if let Some(current) = current
            && matches!(current.wait, Wait::Slowed(_))
            && let Wait::Slowed(request) = std::mem::replace(&mut current.wait, Wait::Serving)
        {
            self.enter(connection, *request);
        }
    }

    /// Hooks for before the effect.
    fn enter(&mut self, connection: ConnectionId, request: Request) {
        let Some(found) = self.connections.get_mut(&connection) else {
            return;
        };
        let node = found.node;
        let Some(current) = found.current.as_mut() else {
            return;
        };
        let Some((id, hook)) = self.hooks.strike(node, current.header.api_key) else {
            return self.handle(connection, request);
        };
        match (hook.when, hook.what) {
            (When::BeforeEffect, What::Hold) => current.wait = Wait::Held(id, Box::new(request)),
            (When::BeforeEffect, What::Drop) => found.stuck = true,
            (When::BeforeEffect, What::Disconnect) => self.close(connection),
            (When::BeforeEffect, What::AnswerError(code)) => {
                let answer = crate::refuse::refuse(&request, current.header.version, code);
                self.finish(connection, answer);
            }
            (When::AfterEffect, What::AnswerError(code)) => {
                let answer = crate::refuse::refuse(&request, current.header.version, code);
                current.after = Some((id, After::Instead(Box::new(answer))));
                self.handle(connection, request);
            }
            (When::AfterEffect, what) => {
                current.after = Some((id, After::Do(what)));
                self.handle(connection, request);
            }
        }
    }

    fn handle(&mut self, connection: ConnectionId, request: Request) {
        let Some(found) = self.connections.get(&connection) else {
            return;
        };
        let Some(current) = found.current.as_ref() else {
            return;
        };
        let at = At {
            connection,
            node: found.node,
            listener: found.listener,
            version: current.header.version,
        };
        let outcome = match request {
            Request::Produce(request) => self.produce(&at, request),
            Request::Fetch(request) => self.fetch(&at, request),
            Request::ListOffsets(request) => self.list_offsets(&at, request).into(),
            Request::Metadata(request) => self.metadata(&at, request).into(),
            Request::OffsetCommit(request) => self.offset_commit(&at, request).into(),
            Request::OffsetFetch(request) => self.offset_fetch(&at, request).into(),
            Request::FindCoordinator(request) => self.find_coordinator(&at, &request).into(),
            Request::ApiVersions(request) => self.api_versions(&at, &request).into(),
            Request::CreateTopics(request) => self.create_topics(&at, request).into(),
            Request::DeleteTopics(request) => self.delete_topics(&at, request).into(),
            Request::InitProducerId(request) => self.init_producer_id(&at, &request).into(),
            Request::OffsetForLeaderEpoch(request) => self.offset_for_leader_epoch(&at, request).into(),
            Request::AddPartitionsToTxn(request) => self.add_partitions_to_txn(&at, request).into(),
            Request::AddOffsetsToTxn(request) => self.add_offsets_to_txn(&at, &request).into(),
            Request::EndTxn(request) => self.end_txn(&at, &request).into(),
            Request::TxnOffsetCommit(request) => self.txn_offset_commit(&at, request).into(),
            Request::DescribeConfigs(request) => self.describe_configs(&at, request).into(),
            Request::CreatePartitions(request) => self.create_partitions(request).into(),
            Request::ElectLeaders(request) => self.elect_leaders(&at, request).into(),
            Request::IncrementalAlterConfigs(request) => self.alter_configs(request).into(),
            Request::DescribeCluster(request) => self.describe_cluster(&at, &request).into(),
            Request::DescribeProducers(request) => self.describe_producers(&at, request).into(),
            Request::DescribeTransactions(request) => self.describe_transactions(&at, request).into(),
            Request::ListTransactions(request) => self.list_transactions(&at, &request).into(),
        };
        match outcome {
            Outcome::Answer(answer) => self.finish(connection, answer),
            Outcome::Later(wait, deadline) => {
                self.wait(connection, wait);
                if let Some(current) = self.current(connection) {
                    current.deadline = deadline;
                }
            }
            Outcome::Silent => self.silent(connection),
            Outcome::Unanswered => {
                if let Some(found) = self.connections.get_mut(&connection) {
                    found.stuck = true;
                }
            }
            Outcome::Close => self.close(connection),
        }
    }

    /// The request took effect and has an answer: quota, hooks for after the effect, bytes.
    pub(crate) fn finish(&mut self, connection: ConnectionId, mut answer: Answer) {
        let throttle_ms = self.throttle(connection, &mut answer);
        let Some(current) = self.current(connection) else {
            return;
        };
        let after = current.after.take();
        let version = current.header.version;
        let correlation_id = current.header.correlation_id;
        if let Some(deadline) = current.deadline.take() {
            self.timers.cancel(deadline);
        }
        if let Some((_, After::Instead(instead))) = &after {
            answer = (**instead).clone();
        }
        let Some(frame) = answer.encode(version, correlation_id) else {
            debug_assert!(false, "no encoding in version {version}: {answer:?}");
            return self.close(connection);
        };
        match after {
            Some((id, After::Do(What::Hold))) => {
                self.wait(connection, Wait::HeldAnswer(id, frame, throttle_ms));
            }
            Some((_, After::Do(What::Drop))) => {
                if let Some(found) = self.connections.get_mut(&connection) {
                    found.stuck = true;
                }
            }
            Some((_, After::Do(What::Disconnect))) => self.close(connection),
            _ => self.send(connection, frame, throttle_ms),
        }
    }

    /// acks=0: no answer, and the next request may come.
    fn silent(&mut self, connection: ConnectionId) {
        if let Some(current) = self.current(connection) {
            let what = current.after.take();
            match what {
                Some((_, After::Do(What::Disconnect))) => self.close(connection),
                _ => self.done(connection),
            }
        }
    }

    fn send(&mut self, connection: ConnectionId, frame: Bytes, throttle_ms: u64) {
        self.actions.push_back(Action::Answer { connection, frame });
        if throttle_ms > 0
            && let Some(found) = self.connections.get_mut(&connection)
        {
            found.muted = true;
            let at = self.now.mono_ns.saturating_add(throttle_ms * MS);
            self.timers.set(at, Timer::Unmute { connection });
        }
        self.done(connection);
    }

    fn done(&mut self, connection: ConnectionId) {
        if let Some(found) = self.connections.get_mut(&connection) {
            found.current = None;
            if found.ready() {
                self.ready.push_back(connection);
            }
        }
    }

    pub(crate) fn unmute(&mut self, connection: ConnectionId) {
        if let Some(found) = self.connections.get_mut(&connection) {
            found.muted = false;
            self.ready.push_back(connection);
        }
    }

    /// Lets go what a hook holds.
    pub(crate) fn let_go(&mut self, hook: HookId) {
        let holds = |wait: &Wait| match wait {
            Wait::Held(id, _) | Wait::HeldAnswer(id, ..) => *id == hook,
            _ => false,
        };
        let held = self.connections.iter_mut().find_map(|(id, found)| {
            let current = found.current.as_mut()?;
            holds(&current.wait).then(|| (*id, std::mem::replace(&mut current.wait, Wait::Serving)))
        });
        match held {
            Some((connection, Wait::Held(_, request))) => self.handle(connection, *request),
            Some((connection, Wait::HeldAnswer(_, frame, throttle_ms))) => {
                self.send(connection, frame, throttle_ms);
            }
            _ => {}
        }
    }

    /// The answer must be given now.
    pub(crate) fn deadline(&mut self, connection: ConnectionId) {
        if self.postponed(connection, Timer::Deadline { connection }) {
            return;
        }
        let Some(current) = self.current(connection) else {
            return;
        };
        match &current.wait {
            Wait::Produce(_) => self.produce_deadline(connection),
            Wait::Fetch(_) => self.fetch_deadline(connection),
            _ => {}
        }
    }

    /// Something happened in a partition: whoever waits for it looks again.
    pub(crate) fn wake(&mut self, partition: usize) {
        let waiting: Vec<ConnectionId> = self
            .waiting
            .range((partition, ConnectionId(0))..=(partition, ConnectionId(u64::MAX)))
            .map(|(_, connection)| *connection)
            .collect();
        for connection in waiting {
            let node = self.connections.get(&connection).map(|found| found.node);
            if !node.and_then(|node| self.node(node)).is_some_and(Node::serves) {
                continue;
            }
            match self.current(connection).map(|current| &current.wait) {
                Some(Wait::Produce(_)) => self.look_at_produce(connection),
                Some(Wait::Fetch(_)) => self.look_at_fetch(connection),
                _ => {}
            }
        }
    }

    /// A stopped process fires no timers: they fire when it goes on.
    fn postponed(&mut self, connection: ConnectionId, timer: Timer) -> bool {
        let Some(node) = self.connections.get(&connection).map(|found| found.node) else {
            return true;
        };
        let Some(node) = self.node_mut(node).filter(|node| node.paused) else {
            return false;
        };
        node.frozen.push(timer);
        true
    }

    pub(crate) fn wait(&mut self, connection: ConnectionId, wait: Wait) {
        if let Some(current) = self.current(connection) {
            current.wait = wait;
        }
    }

    pub(crate) fn current(&mut self, connection: ConnectionId) -> Option<&mut Current> {
        self.connections.get_mut(&connection)?.current.as_mut()
    }

    /// Closes a connection.
    pub(crate) fn close(&mut self, connection: ConnectionId) {
        if self.forget(connection) {
            self.actions.push_back(Action::Close { connection });
        }
    }

    pub(crate) fn forget(&mut self, connection: ConnectionId) -> bool {
        let Some(found) = self.connections.remove(&connection) else {
            return false;
        };
        if let Some(current) = found.current {
            if let Some(deadline) = current.deadline {
                self.timers.cancel(deadline);
            }
            let partitions = match &current.wait {
                Wait::Produce(delayed) => delayed.partitions(),
                Wait::Fetch(delayed) => delayed.partitions(),
                _ => Vec::new(),
            };
            for partition in partitions {
                self.waiting.remove(&(partition, connection));
            }
        }
        true
    }
}
