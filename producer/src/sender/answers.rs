//! What comes back on a Produce request: each batch's code becomes a verdict for its partition.

use super::link::{Asked, InFlight, InRequest};
use super::partition::{Context, Partition, Verdict};
use super::{Sender, Topic};
use crate::batch_split::split;
use crate::error::{Fatal, error_name};
use crate::produce_response::{self, CurrentLeader, PartitionResponse, ProduceResponse, TopicRef};
use crate::reaction::{Reaction, classify};
use crate::rules::Rule;

/// Codes with which a broker may name the new leader (KIP-951).
pub(super) const NOT_LEADER: [i16; 2] = [6, 74];
/// Reported for a partition that the broker left out of its answer.
const UNKNOWN_SERVER_ERROR: i16 = -1;
const NANOS_PER_MS: u64 = 1_000_000;

impl Sender {
    /// Takes in the answer to a Produce request. An error means nonsense: the request is given back, to be lost with
    /// its connection.
    pub(super) fn produce_answered(
        &mut self,
        index: usize,
        mut asked: InFlight,
        frame: &[u8],
        now_ns: u64,
    ) -> Result<(), (InFlight, String)> {
        let Asked::Produce(version, request) = &mut asked.asked else {
            return Ok(());
        };
        let response = match produce_response::parse(*version, frame) {
            Ok(response) => response,
            Err(error) => return Err((asked, error.to_string())),
        };
        // All of it is understood before any of it is believed.
        for answer in &response.partitions {
            match self.entry_of(request, answer, false) {
                Some(i) => request[i].answered = true,
                None => {
                    let why = format!("partition {} was answered unasked or twice", answer.partition);
                    return Err((asked, why));
                }
            }
        }
        self.metrics.answered(now_ns.saturating_sub(asked.sent_ns));
        self.throttle(index, &response, now_ns);
        self.hurry = self.flushing || self.is_committing();
        let mut request = std::mem::take(request);
        for entry in request.iter().filter(|entry| !entry.answered) {
            let (number, sequence) = (entry.partition, entry.base_sequence);
            self.verdict(number, sequence, Verdict::Unknown, UNKNOWN_SERVER_ERROR, now_ns);
        }
        for answer in &response.partitions {
            if let Some(i) = self.entry_of(&request, answer, true) {
                request[i].answered = false; // taken
                let hint = answer
                    .current_leader
                    .filter(|_| NOT_LEADER.contains(&answer.error_code));
                if let Some(hint) = hint {
                    self.learn_endpoint(request[i].partition, hint, &response, now_ns);
                }
                self.batch_answered(request[i], answer, now_ns);
            }
        }
        request.clear();
        self.spare_requests.push(request);
        Ok(())
    }

    /// The batch that an answer is about, among those already answered or not.
    fn entry_of(
        &self,
        request: &[InRequest],
        answer: &PartitionResponse<'_>,
        answered: bool,
    ) -> Option<usize> {
        request.iter().position(|entry| {
            let partition = &self.partitions[entry.partition as usize];
            entry.answered == answered
                && partition.index == answer.partition
                && names(&self.topics[partition.topic.index()], answer.topic)
        })
    }

    /// Where the newer leader named in an answer can be reached (A19); nothing else is believed of addresses here.
    fn learn_endpoint(
        &mut self,
        number: u32,
        hint: CurrentLeader,
        response: &ProduceResponse<'_>,
        now_ns: u64,
    ) {
        if hint.leader_epoch <= self.partitions[number as usize].leader_epoch {
            return;
        }
        let mut endpoints = response.node_endpoints.iter();
        if let Some(endpoint) = endpoints.find(|endpoint| endpoint.node_id == hint.leader_id) {
            self.learn_node(endpoint.node_id, endpoint.host, endpoint.port, now_ns);
        }
    }

    /// A17: the broker has muted the connection; asking again earlier would only wait there.
    fn throttle(&mut self, index: usize, response: &ProduceResponse<'_>, now_ns: u64) {
        let throttle_ms = u64::try_from(response.throttle_time_ms).unwrap_or(0);
        if throttle_ms > 0 {
            if self.rules.on(Rule::Throttled) {
                self.links[index].throttled_until_ns = now_ns.saturating_add(throttle_ms * NANOS_PER_MS);
            }
            self.metrics.throttled(throttle_ms);
        }
    }

    fn batch_answered(&mut self, entry: InRequest, answer: &PartitionResponse<'_>, now_ns: u64) {
        let (number, sequence, code) = (entry.partition, entry.base_sequence, answer.error_code);
        if code != 0 && self.transactions.is_some() {
            return self.transactional_batch_refused(entry, answer, now_ns);
        }
        let reaction = classify(code).idempotent;
        let verdict = match reaction {
            Reaction::Done => Verdict::Written(offset_told(answer.base_offset)),
            Reaction::DoneWithoutOffset => Verdict::Written(-1),
            Reaction::Retry | Reaction::RetrySoon | Reaction::RefreshAndRetry => {
                match classify(code).written {
                    crate::reaction::Written::No => Verdict::Refused,
                    _ => Verdict::Unknown,
                }
            }
            Reaction::RetryOnceThenStop => Verdict::Corrupt,
            Reaction::Split => {
                if self.split_batch(number, sequence, now_ns) {
                    return;
                }
                Verdict::TooLarge
            }
            Reaction::RejectBatch | Reaction::RejectAndRecheck => Verdict::Rejected,
            Reaction::ResolveSequence => Verdict::OutOfOrder,
            Reaction::StopClient | Reaction::Fatal => {
                self.fatal = Some(Fatal::Refused {
                    code,
                    name: error_name(code),
                });
                Verdict::Refused // the data is kept; close gives its outcome
            }
            Reaction::StopPartition
            | Reaction::FindCoordinator
            | Reaction::Abort
            | Reaction::AbortAndReinit
            | Reaction::ReinitWithoutEnd => match classify(code).written {
                crate::reaction::Written::No => Verdict::StopNotWritten,
                _ => Verdict::Stop,
            },
        };
        if code != 0 {
            self.metrics.batch_error_answers_total += 1;
        }
        if matches!(reaction, Reaction::RefreshAndRetry | Reaction::RejectAndRecheck) {
            self.control.want_metadata();
        }
        let hinted = NOT_LEADER.contains(&code) && self.follow_hint(number, answer);
        self.verdict(number, sequence, verdict, code, now_ns);
        if hinted {
            // A19: once without backoff; the same leader epoch again is no newer hint and backs off.
            self.partitions[number as usize].back_off_until(0);
            self.enqueue(number, now_ns);
        }
    }

    /// Takes the leader named in the answer, if it is newer than the known one and its address is known (A19).
    pub(super) fn follow_hint(&mut self, number: u32, answer: &PartitionResponse<'_>) -> bool {
        let Some(hint) = answer.current_leader.filter(|_| self.rules.on(Rule::FollowHint)) else {
            return false;
        };
        let partition = &self.partitions[number as usize];
        let newer = hint.leader_epoch > partition.leader_epoch && self.nodes.contains_key(&hint.leader_id);
        newer && self.move_partition(number, hint.leader_id, hint.leader_epoch)
    }

    /// Gives the verdict to the partition, and arranges what follows from it.
    pub(super) fn verdict(&mut self, number: u32, sequence: i32, verdict: Verdict, code: i16, now_ns: u64) {
        let partition = &mut self.partitions[number as usize];
        let attempts = partition.attempts();
        let mut cx = Context {
            outcomes: &mut self.outcomes,
            memory: &mut self.memory,
            now_ns,
        };
        let went_on = partition.stopped().is_none();
        partition.answered(sequence, verdict, code, &mut cx);
        self.metrics.partitions_stopped_total += u64::from(went_on && partition.stopped().is_some());
        self.after_event(number, attempts, now_ns);
    }

    /// After a partition changed: backs off if it failed, wants an epoch if it needs one, queues what may be sent.
    pub(super) fn after_event(&mut self, number: u32, attempts_before: u32, now_ns: u64) {
        let partition = &mut self.partitions[number as usize];
        let attempts = partition.attempts();
        if attempts > attempts_before && self.rules.on(Rule::BackOff) {
            let wait_ns = self.settings.retry_backoff.wait_ns(attempts, &mut self.rng);
            partition.back_off_until(now_ns.saturating_add(wait_ns));
        }
        // With a transactional id the coordinator alone gives epochs, and the batch behind this has failed anyway.
        self.bump_wanted |= partition.needs_epoch() && self.transactions.is_none();
        self.enqueue(number, now_ns);
    }

    /// A12. False if it cannot be split.
    pub(super) fn split_batch(&mut self, number: u32, sequence: i32, now_ns: u64) -> bool {
        let partition = &mut self.partitions[number as usize];
        let topic_limit = self.topics[partition.topic.index()].max_message_bytes;
        let Some(batch) = partition.splittable(sequence) else {
            return false;
        };
        let Ok(mut pieces) = split(batch, topic_limit, &mut self.compressor) else {
            return false;
        };
        if !self.rules.on(Rule::SplitKeepsNumbers) {
            Partition::number_alike(&mut pieces);
        }
        let mut cx = Context {
            outcomes: &mut self.outcomes,
            memory: &mut self.memory,
            now_ns,
        };
        partition.replace(sequence, pieces, &mut cx);
        let attempts = partition.attempts();
        self.metrics.batch_split_total += 1;
        self.after_event(number, attempts, now_ns);
        true
    }
}

/// An offset that the records of a batch can have; any other is as good as not told (-1).
fn offset_told(base_offset: i64) -> i64 {
    const GREATEST: i64 = i64::MAX - i32::MAX as i64;
    if (0..=GREATEST).contains(&base_offset) {
        base_offset
    } else {
        -1
    }
}

fn names(topic: &Topic, named: TopicRef<'_>) -> bool {
    match named {
        TopicRef::Name(name) => topic.name == name,
        TopicRef::Id(id) => topic.id == id,
    }
}
