//! What leaves: all ready partitions of one broker in one Produce request, one batch each (A4).

use std::cmp::Reverse;
use std::io::IoSlice;
use std::sync::Arc;

use super::link::{Asked, InFlight, InRequest, LinkId, RequestId};
use super::partition::{Context, MAX_UNACKED, Next};
use super::{Action, Frame, Sender};
use crate::error::Fatal;
use crate::produce_request::{self, FIRST_TOPIC_ID_VERSION, Head, Part, TopicId};
use crate::record_batch::SealedBatch;
use crate::rules::Rule;

/// Kafka's frame without any batch: header, client id (bounded by configuration), fixed fields.
const REQUEST_OVERHEAD: usize = 512;

/// A Produce request: the glue, and the batches that stand between.
#[derive(Debug, Default)]
pub struct ProduceFrame {
    glue: produce_request::Frame,
    pub(super) batches: Vec<Arc<SealedBatch>>,
}

impl ProduceFrame {
    /// Bytes on the wire, size field included.
    #[must_use]
    pub fn total_bytes(&self) -> usize {
        self.glue.total_bytes()
    }

    /// The slices to write from byte `from` on; returns how many of `out` are filled, 0 when all is written.
    pub fn slices<'a>(&'a self, from: usize, out: &mut [IoSlice<'a>]) -> usize {
        self.glue.slices(from, |i| self.batches[i].bytes(), out)
    }
}

impl Sender {
    /// Sends one request on this link if it has a free slot and something is due. True if it did.
    pub(super) fn drain(&mut self, index: usize, now_ns: u64) -> bool {
        let link = &mut self.links[index];
        let Some(versions) = link.versions() else {
            return false;
        };
        let slots = if self.rules.on(Rule::Window) {
            self.settings.max_in_flight
        } else {
            2 * MAX_UNACKED
        };
        let free = link.in_flight.len() < slots && link.throttled_until_ns <= now_ns;
        if !free || link.due_ns > now_ns || link.ready.is_empty() {
            return false;
        }
        let Some(version) = self.produce_version(versions.produce, now_ns) else {
            return false;
        };
        self.links[index].due_ns = u64::MAX;
        let mut frame = self.spare_frames.pop().unwrap_or_default();
        let mut request = self.spare_requests.pop().unwrap_or_default();
        let mut bytes = REQUEST_OVERHEAD;
        let mut left_over = false;
        let wall_ms = self.wall.ms(now_ns);
        let mut behind = Vec::new(); // stays empty: A4
        let known_as = self.links[index].upcoming();
        for _ in 0..self.links[index].ready.len() {
            let Some(number) = self.links[index].ready.pop_front() else {
                break;
            };
            let size = match self.partitions[number as usize].next(now_ns, wall_ms) {
                Next::Nothing => None,
                Next::NotBefore(at_ns) => {
                    self.timers.push(Reverse((at_ns, number)));
                    None
                }
                Next::TooOld => {
                    self.give_up_forgotten(number, now_ns, wall_ms);
                    None
                }
                _ if !self.transaction_lets_go(number) => None,
                // A14: what is UNKNOWN must be settled first; everything else waits for the new epoch.
                Next::Fresh if self.identity.is_none() || self.bump_wanted => None,
                Next::Again(_) if self.bump_wanted && !self.partitions[number as usize].has_unknown() => None,
                Next::Fresh => Some(self.partitions[number as usize].fresh_bytes()),
                Next::Again(i) => Some(self.partitions[number as usize].again_bytes(i)),
            };
            let Some(size) = size else {
                self.partitions[number as usize].queued = false;
                continue;
            };
            let size = size + self.request_overhead(number);
            if !request.is_empty() && bytes + size > self.settings.max_request_size {
                self.links[index].ready.push_back(number);
                left_over = true;
                continue;
            }
            bytes += size;
            self.partitions[number as usize].queued = false;
            if let Some(batch) = self.take_batch(number, known_as, now_ns, wall_ms) {
                let base_sequence = batch.base_sequence();
                let topic_id = self.topic_id_of(number);
                request.push(InRequest {
                    partition: number,
                    base_sequence,
                    topic_id,
                    answered: false,
                });
                let second = (!self.rules.on(Rule::OneBatch))
                    .then(|| self.take_second(number, known_as, now_ns, wall_ms))
                    .flatten();
                frame.batches.push(match second {
                    Some(second) => {
                        behind.push(InRequest {
                            partition: number,
                            base_sequence: second.base_sequence(),
                            topic_id,
                            answered: false,
                        });
                        Arc::new(batch.with_behind(&second))
                    }
                    None => batch,
                });
            }
        }
        request.append(&mut behind);
        if left_over {
            self.links[index].due_ns = now_ns;
        }
        if request.is_empty() {
            self.spare_requests.push(request);
            self.spare_frames.push(frame);
            return false;
        }
        // What did not go with this request waits for the next.
        for entry in &request {
            let partition = &self.partitions[entry.partition as usize];
            if partition.has_fresh() && !partition.is_retrying() {
                self.enqueue(entry.partition, now_ns);
            }
        }
        if version < FIRST_TOPIC_ID_VERSION {
            for entry in &request {
                let topic = self.partitions[entry.partition as usize].topic;
                self.topics[topic.index()].by_name = true;
            }
        }
        self.send_produce(index, version, request, frame, now_ns);
        true
    }

    fn request_overhead(&self, number: u32) -> usize {
        let topic = self.partitions[number as usize].topic;
        self.topics
            .get(topic.index())
            .map_or(0, |topic| produce_request::overhead_bound(&topic.name))
    }

    /// What a broker may have forgotten, or would, is not sent: its caller hears so.
    fn give_up_forgotten(&mut self, number: u32, now_ns: u64, wall_ms: i64) {
        let partition = &mut self.partitions[number as usize];
        // Not in the queue any more: what follows puts it there again.
        partition.queued = false;
        let attempts = partition.attempts();
        let mut cx = Context {
            outcomes: &mut self.outcomes,
            memory: &mut self.memory,
            now_ns,
        };
        partition.give_up_forgotten(wall_ms, &mut cx);
        self.after_event(number, attempts, now_ns);
    }

    /// The batch to send for a partition: an old one as it is, or a fresh one, which gets its numbers now (A2).
    fn take_batch(
        &mut self,
        number: u32,
        known_as: RequestId,
        now_ns: u64,
        wall_ms: i64,
    ) -> Option<Arc<SealedBatch>> {
        let partition = &mut self.partitions[number as usize];
        match partition.next(now_ns, wall_ms) {
            Next::Again(i) => {
                let batch = partition.again(i, known_as);
                self.metrics.record_retry_total += u64::from(batch.records());
                self.metrics.batch_retry_total += 1;
                Some(batch)
            }
            Next::Fresh => {
                let seal = partition.stamp(self.identity?);
                let fresh = partition.take_fresh()?;
                let sealed = Arc::new(fresh.builder.seal(&seal, &mut self.compressor));
                self.metrics
                    .sealed(&sealed, now_ns.saturating_sub(fresh.created_ns));
                partition.sent(
                    Arc::clone(&sealed),
                    fresh.tokens,
                    (fresh.created_ns, fresh.charged),
                    wall_ms,
                    known_as,
                );
                Some(sealed)
            }
            Next::Nothing | Next::NotBefore(_) | Next::TooOld => None,
        }
    }

    /// What A4 forbids: another batch of the same partition.
    fn take_second(
        &mut self,
        number: u32,
        known_as: RequestId,
        now_ns: u64,
        wall_ms: i64,
    ) -> Option<Arc<SealedBatch>> {
        let fresh = self.partitions[number as usize].next(now_ns, wall_ms) == Next::Fresh;
        fresh
            .then(|| self.take_batch(number, known_as, now_ns, wall_ms))
            .flatten()
    }

    fn send_produce(
        &mut self,
        index: usize,
        version: i16,
        mut request: Vec<InRequest>,
        mut frame: ProduceFrame,
        now_ns: u64,
    ) {
        self.group_by_topic(&mut request, &mut frame.batches);
        // Topic ids are all or nothing in a request: without one, the last version that names topics.
        let ids_known = request
            .iter()
            .all(|entry| self.topic_of(entry).id != TopicId::default());
        let version = if ids_known {
            version
        } else {
            version.min(produce_request::FIRST_TOPIC_ID_VERSION - 1)
        };
        let correlation = self.links[index].correlate();
        let head = Head {
            version,
            correlation_id: correlation,
            client_id: &self.settings.client_id,
            transactional_id: self.transactions.as_ref().map(|transactions| transactions.id()),
            acks: if self.rules.on(Rule::AllAcks) { -1 } else { 1 },
            timeout_ms: self.settings.request_timeout_ms,
        };
        let parts = request.iter().zip(&frame.batches).map(|(entry, batch)| {
            let topic = self.topic_of(entry);
            Part {
                topic: &topic.name,
                topic_id: topic.id,
                partition: self.partitions[entry.partition as usize].index,
                batch_bytes: batch.bytes().len(),
            }
        });
        let encoded = frame.glue.encode(&head, parts);
        self.metrics.request_total += 1;
        self.links[index].used_ns = now_ns;
        self.links[index].in_flight.push_back(InFlight {
            correlation,
            sent_ns: now_ns,
            asked: Asked::Produce(version, request),
        });
        match encoded {
            Ok(()) => {
                self.metrics.outgoing_byte_total += frame.total_bytes() as u64;
                let link = LinkId::from_index(index);
                self.actions.push_back(Action::Send {
                    link,
                    frame: Frame::Produce(frame),
                });
            }
            Err(error) => {
                // Lengths are checked long before: our own mistake, and nothing has left.
                self.fatal = Some(Fatal::System {
                    what: "cannot encode a Produce request",
                    reason: error.to_string(),
                });
            }
        }
    }

    fn topic_of(&self, entry: &InRequest) -> &super::Topic {
        &self.topics[self.partitions[entry.partition as usize].topic.index()]
    }

    /// Batches of one topic must stand side by side. Ready queues mostly are in that order already.
    fn group_by_topic(&self, request: &mut Vec<InRequest>, batches: &mut Vec<Arc<SealedBatch>>) {
        let topic = |entry: &InRequest| self.partitions[entry.partition as usize].topic;
        if request.is_sorted_by_key(topic) {
            return;
        }
        let mut pairs: Vec<_> = request.drain(..).zip(batches.drain(..)).collect();
        pairs.sort_by_key(|(entry, _)| topic(entry));
        for (entry, batch) in pairs {
            request.push(entry);
            batches.push(batch);
        }
    }
}
