//! The control connection: who leads what, who we are, what the topics promise. One request at a time.
//!
//! Metadata is asked for at the start, when an error says it is stale, and after `metadata.max.age.ms`; failures back
//! off (A18). When the connection fails, the next address is tried: known nodes first, then the bootstrap servers,
//! round and round, so a cluster that moved as a whole is found again (KIP-899).

use kafka_protocol::messages::InitProducerIdResponse;

use super::Sender;
use super::identity::Identity;
use super::link::{Address, Asked, State};
use super::partition::{Context, NO_NODE};
use super::requests;
use crate::error::{Fatal, error_name};
use crate::rules::Rule;

/// What InitProducerId answers while it may still succeed: coordinator moving or loading, time-outs, storage.
const RETRIABLE: [i16; 8] = [-1, 7, 13, 14, 15, 16, 51, 56];

#[derive(Debug)]
pub(super) struct Control {
    bootstrap: Vec<Address>,
    /// Which of known nodes and bootstrap servers is tried next.
    turn: usize,
    metadata_wanted: bool,
    /// The metadata is older than allowed from here on.
    metadata_due_ns: u64,
    /// Not before: backoff of failed or fruitless requests.
    not_before_ns: u64,
    fruitless: u32,
    pub(super) configs_wanted: bool,
    /// The last metadata was asked for because of its age: then the configurations are looked at again too.
    pub(super) periodic: bool,
    /// For people: why it is not going on.
    last_error: String,
}

impl Control {
    pub(super) fn new(bootstrap: &[Address]) -> Control {
        Control {
            bootstrap: bootstrap.to_vec(),
            turn: 0,
            metadata_wanted: false,
            metadata_due_ns: u64::MAX,
            not_before_ns: 0,
            fruitless: 0,
            configs_wanted: false,
            periodic: false,
            last_error: String::new(),
        }
    }

    /// Why it is not going on, for people.
    pub(super) fn note(&mut self, why: String) {
        self.last_error = why;
    }

    pub(super) fn want_metadata(&mut self) {
        self.metadata_wanted = true;
    }

    /// Metadata arrived: was it due by age?
    pub(super) fn note_age(&mut self, now_ns: u64) {
        self.periodic = now_ns >= self.metadata_due_ns;
    }

    pub(super) fn disconnected(&mut self, address: &Address, why: &str, idle: bool) {
        if !idle {
            self.last_error = format!("{address}: {why}");
            self.turn = self.turn.wrapping_add(1);
        }
    }

    fn wants_metadata(&self, now_ns: u64) -> bool {
        self.metadata_wanted || now_ns >= self.metadata_due_ns
    }
}

impl Sender {
    /// Asks the next control question, if there is one and the connection is free; connects if there is none.
    pub(super) fn step_control(&mut self, now_ns: u64) {
        let rested = self.control.not_before_ns <= now_ns;
        let metadata = rested && self.wants_metadata(now_ns);
        // With a transactional id, its coordinator gives it.
        let identity = rested && self.identity.is_none() && self.transactions.is_none();
        let configs = rested && self.control.configs_wanted;
        let search = self.search_due_ns() <= now_ns;
        let nothing = !(metadata || identity || configs || search);
        if nothing || !self.links[0].in_flight.is_empty() {
            return;
        }
        let versions = match self.links[0].state {
            State::Ready(versions) => versions,
            State::Idle if self.links[0].not_before_ns <= now_ns => return self.connect_control(now_ns),
            _ => return,
        };
        if metadata {
            let create = self.topics.iter().all(|topic| topic.partitions.is_empty());
            let request = requests::metadata(self.live_topics(), create);
            self.control.metadata_wanted = false;
            self.ask(
                0,
                Asked::Metadata(versions.metadata),
                now_ns,
                |version, correlation, client_id| requests::encode(&request, version, correlation, client_id),
            );
        } else if identity {
            self.ask(
                0,
                Asked::InitProducerId(versions.init_producer_id),
                now_ns,
                |version, correlation, client_id| {
                    requests::encode(&requests::init_producer_id(), version, correlation, client_id)
                },
            );
        } else if search {
            self.find_coordinator(now_ns);
        } else if let Some(version) = versions.describe_configs {
            let request = requests::describe_topics(self.live_topics());
            self.control.configs_wanted = false;
            self.ask(
                0,
                Asked::DescribeConfigs(version),
                now_ns,
                |version, correlation, client_id| requests::encode(&request, version, correlation, client_id),
            );
        } else {
            self.control.configs_wanted = false;
        }
    }

    /// Metadata is due, and of at least one topic. With none left to ask for, none is due until a record comes.
    fn wants_metadata(&mut self, now_ns: u64) -> bool {
        if !self.control.wants_metadata(now_ns) || self.topics.is_empty() {
            return false;
        }
        let any = self.forget_idle_topics(now_ns);
        if !any {
            self.control.metadata_wanted = false;
            self.control.metadata_due_ns = u64::MAX;
        }
        any
    }

    /// When `step_control` wants to be called again.
    pub(super) fn control_wakeup_ns(&self) -> u64 {
        let identity = self.identity.is_none() && self.transactions.is_none();
        let search_ns = self.search_due_ns();
        if self.fatal.is_some() || self.topics.is_empty() && !identity && search_ns == u64::MAX {
            return u64::MAX;
        }
        let metadata = self.control.metadata_wanted && !self.topics.is_empty();
        let wanted = identity || metadata || self.control.configs_wanted;
        let due = if wanted { 0 } else { self.control.metadata_due_ns };
        let due = due.max(self.control.not_before_ns).min(search_ns);
        let link = &self.links[0];
        match link.state {
            // Its own deadlines wake it, or its answer does.
            State::Connecting(_) | State::Handshaking => u64::MAX,
            _ if !link.in_flight.is_empty() => u64::MAX,
            State::Idle => due.max(link.not_before_ns),
            State::Ready(_) => due,
        }
    }

    /// A14: when the old epoch is settled everywhere, the next one begins on every partition at once.
    pub(super) fn step_epoch(&mut self, now_ns: u64) {
        let Some(identity) = self.identity.filter(|_| self.bump_wanted) else {
            return;
        };
        if !self.partitions.iter().all(super::Partition::may_leave_epoch) {
            return;
        }
        self.metrics.epoch_bump_total += 1;
        self.identity = match identity.bumped() {
            None if !self.rules.on(Rule::FreshIdAtLast) => Some(identity),
            next => next,
        };
        match self.identity {
            Some(identity) => self.enter_epoch(identity, now_ns),
            None => self.stop_unfenced(now_ns),
        }
    }

    /// The id is used up; InitProducerId gives a fresh one, and until it is entered nothing is sent. A fresh id keeps
    /// no late copy of the old one out: a partition that needs that can only stop.
    fn stop_unfenced(&mut self, now_ns: u64) {
        let mut cx = Context {
            outcomes: &mut self.outcomes,
            memory: &mut self.memory,
            now_ns,
        };
        for partition in &mut self.partitions {
            if let Some(code) = partition.needs_fence() {
                partition.stop(code, &mut cx);
                self.metrics.partitions_stopped_total += 1;
            }
        }
    }

    /// An error means nonsense: without an id, batches would not be recognised when they are sent again.
    pub(super) fn identity_answered(
        &mut self,
        response: &InitProducerIdResponse,
        now_ns: u64,
    ) -> Result<(), String> {
        match response.error_code {
            0 if response.producer_id.0 < 0 || response.producer_epoch < 0 => {
                let (id, epoch) = (response.producer_id.0, response.producer_epoch);
                return Err(format!("InitProducerId gave id {id}, epoch {epoch}"));
            }
            0 => {
                let identity = Identity {
                    id: response.producer_id.0,
                    epoch: response.producer_epoch,
                    transactional: false,
                };
                #[cfg(steadfast_mutants)]
                let identity = Identity {
                    epoch: identity.epoch.max(self.late.1),
                    ..identity
                };
                self.identity = Some(identity);
                self.enter_epoch(identity, now_ns);
                #[cfg(steadfast_mutants)]
                for partition in &mut self.partitions {
                    partition.begin_late(self.late.0);
                }
            }
            code if RETRIABLE.contains(&code) => {
                self.control.last_error = format!("InitProducerId: {}", error_name(code));
                self.back_off_control(now_ns);
            }
            code => {
                self.fatal = Some(Fatal::Refused {
                    code,
                    name: error_name(code),
                });
            }
        }
        Ok(())
    }

    /// Ready to send: topics, leaders, connections to them and a producer id are all there (a leader that cannot be
    /// reached counts as tried).
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let leaders_tried = self.partitions.iter().all(|partition| {
            let link = self
                .node_links
                .get(&partition.leader)
                .map(|&link| &self.links[link as usize]);
            partition.leader == NO_NODE
                || link.is_some_and(|link| matches!(link.state, State::Ready(_)) || link.failures > 0)
        });
        let led = |topic: &super::Topic| {
            let mut partitions = topic
                .partitions
                .iter()
                .map(|&number| &self.partitions[number as usize]);
            partitions.any(|partition| partition.leader != NO_NODE)
        };
        let identity = self.identity.is_some() || self.transactions.is_some();
        identity && leaders_tried && self.topics.iter().all(led)
    }

    /// What is missing to be ready, for people.
    #[must_use]
    pub fn not_ready_reason(&self) -> String {
        let topic = self.topics.iter().find(|topic| topic.partitions.is_empty());
        let missing = match topic {
            Some(topic) if topic.error != 0 => {
                format!(
                    "topic {} has no metadata ({})",
                    topic.name,
                    error_name(topic.error)
                )
            }
            Some(topic) => format!("topic {} has no metadata", topic.name),
            None if self.identity.is_none() && self.transactions.is_none() => "no producer id".to_owned(),
            None if self
                .partitions
                .iter()
                .any(|partition| partition.leader == NO_NODE) =>
            {
                "partitions without a leader".to_owned()
            }
            None => "no connection to the leaders".to_owned(),
        };
        if self.control.last_error.is_empty() {
            missing
        } else {
            format!("{missing}; last: {}", self.control.last_error)
        }
    }

    /// A topic that will not become available by waiting: its name, and the error.
    #[must_use]
    pub fn refused_topic(&self) -> Option<(&str, i16)> {
        /// INVALID_TOPIC_EXCEPTION, TOPIC_AUTHORIZATION_FAILED.
        const FINAL: [i16; 2] = [17, 29];
        let refused = self
            .topics
            .iter()
            .find(|topic| topic.partitions.is_empty() && FINAL.contains(&topic.error));
        refused.map(|topic| (topic.name.as_str(), topic.error))
    }

    pub(super) fn metadata_settled(&mut self, complete: bool, now_ns: u64) {
        self.control.metadata_due_ns = now_ns.saturating_add(self.settings.metadata_max_age_ns);
        if complete {
            self.control.fruitless = 0;
            // Errors may ask again soon, but not in a tight loop.
            self.control.not_before_ns = now_ns + self.settings.retry_backoff.wait_ns(1, &mut self.rng) / 4;
        } else {
            self.control.metadata_wanted = true;
            self.back_off_control(now_ns);
        }
    }

    fn back_off_control(&mut self, now_ns: u64) {
        self.control.fruitless = self.control.fruitless.saturating_add(1);
        let wait_ns = self
            .settings
            .retry_backoff
            .wait_ns(self.control.fruitless, &mut self.rng);
        self.control.not_before_ns = now_ns.saturating_add(wait_ns);
    }

    pub(super) fn enter_epoch(&mut self, identity: Identity, now_ns: u64) {
        self.bump_wanted = false;
        for partition in &mut self.partitions {
            partition.enter_epoch(identity);
        }
        self.enqueue_all(now_ns);
    }

    fn connect_control(&mut self, now_ns: u64) {
        let count = self.nodes.len() + self.control.bootstrap.len();
        let turn = self.control.turn.checked_rem(count).unwrap_or(0);
        let address = self
            .nodes
            .values()
            .chain(&self.control.bootstrap)
            .nth(turn)
            .cloned();
        if let Some(address) = address {
            self.links[0].address = address;
            self.connect(0, now_ns);
        }
    }
}
