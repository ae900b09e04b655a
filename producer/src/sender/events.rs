//! What happens to connections: made, lost, answered, timed out.

use kafka_protocol::messages::{
    ApiVersionsRequest, DescribeConfigsRequest, InitProducerIdRequest, MetadataRequest,
};
use kafka_protocol::protocol::Request;

use super::link::{Asked, InFlight, LinkId, State};
use super::partition::Context;
use super::requests::{self, Versions};
use super::{Action, Frame, Sender};
use crate::error::Fatal;
use crate::produce_response;
use crate::rules::Rule;

const UNSUPPORTED_VERSION: i16 = 35;

impl Sender {
    /// The shell made the connection.
    pub fn connected(&mut self, link: LinkId, now_ns: u64) {
        let index = link.index();
        if matches!(self.links[index].state, State::Connecting(_)) {
            self.links[index].state = State::Handshaking;
            self.links[index].used_ns = now_ns;
            self.metrics.connection_creation_total += 1;
            self.ask(
                index,
                Asked::ApiVersions(requests::API_VERSIONS),
                now_ns,
                |version, correlation, client_id| {
                    requests::encode(&requests::api_versions(), version, correlation, client_id)
                },
            );
        }
    }

    /// The connection is gone, or was never made. `why` is for people.
    pub fn disconnected(&mut self, link: LinkId, why: &str, now_ns: u64) {
        let index = link.index();
        if self.links[index].state == State::Idle {
            return;
        }
        let link = &mut self.links[index];
        let idle = matches!(link.state, State::Ready(_)) && link.in_flight.is_empty();
        link.state = State::Idle;
        link.throttled_until_ns = 0;
        link.wanted = false;
        if idle {
            // Brokers close what is idle (connections.max.idle.ms): connect again when there is something to say.
            link.not_before_ns = now_ns;
        } else {
            link.failures = link.failures.saturating_add(1);
            let failures = link.failures;
            link.not_before_ns = now_ns + self.settings.reconnect_backoff.wait_ns(failures, &mut self.rng);
        }
        for lost in std::mem::take(&mut self.links[index].in_flight) {
            self.request_lost(lost, now_ns);
        }
        self.coordinator_disconnected(index, idle, now_ns);
        if index == 0 {
            self.control.disconnected(&self.links[0].address, why, idle);
        } else if !idle {
            self.control.want_metadata();
        }
    }

    /// One whole response frame arrived, without its size field.
    pub fn received(&mut self, link: LinkId, frame: &[u8], now_ns: u64) {
        let index = link.index();
        if self.links[index].state == State::Idle {
            return; // bytes of a connection that was given up
        }
        self.metrics.incoming_byte_total += frame.len() as u64 + 4;
        let expected = self.links[index].in_flight.front().map(|first| first.correlation);
        let told = produce_response::correlation_id(frame);
        let other = told != expected && self.rules.on(Rule::AnswersInOrder);
        if expected.is_none() || other {
            // A16: answers come in order, or we can no longer tell what they answer.
            self.break_link(index, "the broker answered something that was not asked", now_ns);
            return;
        }
        let Some(asked) = self.links[index].in_flight.pop_front() else {
            return;
        };
        let outcome = match asked.asked {
            Asked::Produce(..) => self.produce_answered(index, asked, frame, now_ns),
            Asked::ApiVersions(version) => self
                .handshake(index, version, frame, now_ns)
                .map_err(|why| (asked, why)),
            Asked::Metadata(_) | Asked::InitProducerId(_) | Asked::DescribeConfigs(_) => self
                .control_answered(&asked.asked, frame, now_ns)
                .map_err(|why| (asked, why)),
            Asked::Transaction(question, version) => self
                .transaction_answered(question, version, frame, now_ns)
                .map_err(|why| (asked, why)),
        };
        if let Err((asked, why)) = outcome {
            // Back in its place, to be lost with the others.
            self.links[index].in_flight.push_front(asked);
            self.break_link(index, &why, now_ns);
        }
    }

    /// Connects what should be connected and breaks what took too long.
    pub(super) fn check_links(&mut self, now_ns: u64) {
        for index in 0..self.links.len() {
            let link = &self.links[index];
            let overdue =
                |first: &InFlight| now_ns >= first.sent_ns.saturating_add(self.settings.request_timeout_ns);
            if link.in_flight.front().is_some_and(overdue) {
                self.break_link(index, "no answer within request.timeout.ms", now_ns);
            } else if matches!(link.state, State::Connecting(until_ns) if now_ns >= until_ns) {
                self.break_link(
                    index,
                    "no connection within socket.connection.setup.timeout.ms",
                    now_ns,
                );
            }
            let link = &self.links[index];
            if link
                .idle_ns(self.settings.connections_max_idle_ns)
                .is_some_and(|at_ns| now_ns >= at_ns)
            {
                self.actions.push_back(Action::Close {
                    link: LinkId::from_index(index),
                });
                self.disconnected(LinkId::from_index(index), "idle", now_ns);
            }
            let link = &self.links[index];
            if index > 0 && link.state == State::Idle && link.needed() && link.not_before_ns <= now_ns {
                self.connect(index, now_ns);
            }
        }
    }

    pub(super) fn connect(&mut self, index: usize, now_ns: u64) {
        let node = self.links[index].node;
        if let Some(address) = node.and_then(|node| self.nodes.get(&node)) {
            self.links[index].address = address.clone();
        }
        let attempt = self.links[index].failures.saturating_add(1);
        let patience_ns = self
            .settings
            .connection_setup_timeout
            .wait_ns(attempt, &mut self.rng);
        let link = &mut self.links[index];
        link.state = State::Connecting(now_ns.saturating_add(patience_ns));
        let (host, port) = (link.address.host.clone(), link.address.port);
        self.actions.push_back(Action::Connect {
            link: LinkId::from_index(index),
            host,
            port,
        });
    }

    /// Closes a connection that cannot be trusted any more.
    pub(super) fn break_link(&mut self, index: usize, why: &str, now_ns: u64) {
        self.actions.push_back(Action::Close {
            link: LinkId::from_index(index),
        });
        // Never taken for an idle close, even if nothing was in flight.
        if matches!(self.links[index].state, State::Ready(_)) {
            self.links[index].state = State::Handshaking;
        }
        self.disconnected(LinkId::from_index(index), why, now_ns);
    }

    /// Sends a request that is not Produce.
    pub(super) fn ask(
        &mut self,
        index: usize,
        asked: Asked,
        now_ns: u64,
        encode: impl FnOnce(i16, i32, &str) -> Option<bytes::Bytes>,
    ) {
        let correlation = self.links[index].correlate();
        let (api, version) = match asked {
            Asked::ApiVersions(version) => ("ApiVersions", version),
            Asked::Metadata(version) => ("Metadata", version),
            Asked::InitProducerId(version) => ("InitProducerId", version),
            Asked::DescribeConfigs(version) => ("DescribeConfigs", version),
            Asked::Produce(version, _) => ("Produce", version),
            Asked::Transaction(question, version) => (question.api(), version),
        };
        match encode(version, correlation, &self.settings.client_id) {
            Some(frame) => {
                self.links[index].used_ns = now_ns;
                self.metrics.request_total += 1;
                self.metrics.outgoing_byte_total += frame.len() as u64;
                self.links[index].in_flight.push_back(InFlight {
                    correlation,
                    sent_ns: now_ns,
                    asked,
                });
                self.actions.push_back(Action::Send {
                    link: LinkId::from_index(index),
                    frame: Frame::Plain(frame),
                });
            }
            None => {
                let reason =
                    format!("version {version}: a name is too long, or the request is our own mistake");
                self.fatal = Some(Fatal::System { what: api, reason });
            }
        }
    }

    fn handshake(&mut self, index: usize, version: i16, frame: &[u8], now_ns: u64) -> Result<(), String> {
        let response = decode::<ApiVersionsRequest>(version, frame)?;
        match response.error_code {
            0 => {
                let address = self.links[index].address.to_string();
                match Versions::agree(&response, &address) {
                    Ok(versions) => {
                        self.transaction_versions(index, versions.transactions);
                        self.links[index].state = State::Ready(versions);
                        self.links[index].failures = 0;
                    }
                    Err(fatal) => self.fatal = Some(fatal),
                }
                Ok(())
            }
            UNSUPPORTED_VERSION if version > 0 => {
                self.ask(
                    index,
                    Asked::ApiVersions(0),
                    now_ns,
                    |version, correlation, client_id| {
                        requests::encode(&ApiVersionsRequest::default(), version, correlation, client_id)
                    },
                );
                Ok(())
            }
            code => Err(format!("ApiVersions failed with error {code}")),
        }
    }

    fn control_answered(&mut self, asked: &Asked, frame: &[u8], now_ns: u64) -> Result<(), String> {
        match *asked {
            Asked::Metadata(version) => {
                let response = decode::<MetadataRequest>(version, frame)?;
                self.metadata_answered(&response, now_ns);
            }
            Asked::InitProducerId(version) => {
                let response = decode::<InitProducerIdRequest>(version, frame)?;
                self.identity_answered(&response, now_ns)?;
            }
            Asked::DescribeConfigs(version) => {
                let response = decode::<DescribeConfigsRequest>(version, frame)?;
                self.configs_answered(&response);
            }
            Asked::ApiVersions(_) | Asked::Produce(..) | Asked::Transaction(..) => {}
        }
        Ok(())
    }

    fn request_lost(&mut self, lost: InFlight, now_ns: u64) {
        let late = now_ns >= lost.sent_ns.saturating_add(self.settings.request_timeout_ns);
        let mut request = match lost.asked {
            Asked::Produce(_, request) => request,
            Asked::Transaction(question, _) => return self.question_lost(question, now_ns),
            // Asked again: nobody else remembers that it was wanted.
            Asked::Metadata(_) => return self.control.want_metadata(),
            Asked::DescribeConfigs(_) => return self.control.configs_wanted = true,
            Asked::ApiVersions(_) | Asked::InitProducerId(_) => return,
        };
        for entry in &request {
            let partition = &mut self.partitions[entry.partition as usize];
            let attempts = partition.attempts();
            let mut cx = Context {
                outcomes: &mut self.outcomes,
                memory: &mut self.memory,
                now_ns,
            };
            let rule = if late {
                Rule::LateIsUnknown
            } else {
                Rule::LostIsUnknown
            };
            partition.lost(entry.base_sequence, rule, &mut cx);
            self.after_event(entry.partition, attempts, now_ns);
        }
        request.clear();
        self.spare_requests.push(request);
    }
}

pub(super) fn decode<R: Request>(version: i16, frame: &[u8]) -> Result<R::Response, String> {
    let decoded = steadfast_wire::guard::decode::<R>(version, bytes::Bytes::copy_from_slice(frame));
    decoded
        .map(|(_, response)| response)
        .map_err(|error| error.to_string())
}
