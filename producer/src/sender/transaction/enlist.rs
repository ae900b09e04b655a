//! How partitions and groups come into a transaction, and the asking of all questions in their order.
//!
//! ```text
//!   version 1   first batch of a partition waits ─► AddPartitionsToTxn ─► it may leave
//!               offsets ─► AddOffsetsToTxn ─► TxnOffsetCommit
//!   version 2   both by themselves: Produce v12, TxnOffsetCommit v5
//! ```

use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, InitProducerIdRequest,
    TxnOffsetCommitRequest,
};

use super::coordinator::link_of;
use super::requests::{self, Meaning, Question};
use super::{MAX_OFFSETS, Offsets, Protocol, Registered, Repair, Sender, State, Transactions};
use crate::rules::Rule;
use crate::sender::events::decode;
use crate::sender::identity::Identity;
use crate::sender::link::{Asked, State as LinkState};
use crate::sender::partition::REQUEST_TIMED_OUT;
use crate::transaction::{GroupOffset, TransactionError};

/// How soon to ask again while markers of the last transaction are being written (B8); the Java client's figure.
pub(super) const SOON_NS: u64 = 20_000_000;
const NANOS_PER_MS: u64 = 1_000_000;

impl Transactions {
    pub(super) fn take_offsets(
        &mut self,
        group: &str,
        offsets: &[GroupOffset],
    ) -> Result<(), TransactionError> {
        let held: usize = self.offsets.iter().map(|offsets| offsets.positions.len()).sum();
        if held + offsets.len() > MAX_OFFSETS {
            return Err(TransactionError::TooManyOffsets(MAX_OFFSETS));
        }
        if offsets.is_empty() {
            return Ok(());
        }
        let on_its_way = matches!(self.asked, Some(Question::AddOffsets | Question::CommitOffsets));
        let appendable = self.offsets.len() > usize::from(on_its_way);
        let same_group = self
            .offsets
            .back_mut()
            .filter(|last| appendable && last.group == group);
        let place = match same_group {
            Some(last) => last,
            None => {
                self.offsets.push_back(Offsets {
                    group: group.to_owned(),
                    positions: Default::default(),
                    enlisted: false,
                });
                let Some(last) = self.offsets.back_mut() else {
                    return Ok(());
                };
                last
            }
        };
        for offset in offsets {
            let partition = (offset.topic.clone(), offset.partition);
            place.positions.insert(partition, offset.offset);
        }
        Ok(())
    }

    /// An answer that would have told whether the coordinator knows of the transaction did not come.
    fn perhaps_registered(&mut self, question: Question) {
        if matches!(question, Question::AddPartitions | Question::AddOffsets) {
            self.registered = self.registered.max(Registered::Maybe);
        }
    }

    /// The question to ask next, if any; it depends on the state alone, so the same is asked again until it is done.
    pub(super) fn next_question(&self) -> Option<Question> {
        if self.asked.is_some() || self.state == State::FatalError {
            return None;
        }
        if self.init.is_some() {
            return Some(Question::InitProducerId);
        }
        if self.ending.due {
            return Some(Question::EndTxn);
        }
        if !self.sends() {
            return None;
        }
        if !self.enlisting.is_empty() {
            return Some(Question::AddPartitions);
        }
        let offsets = self.offsets.front()?;
        if self.protocol == Protocol::V1 && !offsets.enlisted {
            Some(Question::AddOffsets)
        } else {
            Some(Question::CommitOffsets)
        }
    }
}

impl Sender {
    /// Asks the next question, if its coordinator is known, connected and free.
    pub(super) fn ask_next(&mut self, now_ns: u64) {
        self.aim_at_group();
        let Some(transactions) = &self.transactions else {
            return;
        };
        let Some(question) = transactions.next_question() else {
            return;
        };
        let index = link_of(question);
        let searched = self.search().is_some();
        let link = &mut self.links[index];
        let rested = transactions.retry_at_ns <= now_ns && link.throttled_until_ns <= now_ns;
        if searched || !rested || !link.in_flight.is_empty() {
            return;
        }
        let versions = match link.state {
            LinkState::Ready(versions) => versions,
            LinkState::Idle => {
                link.wanted = true;
                return;
            }
            LinkState::Connecting(_) | LinkState::Handshaking => return,
        };
        let version = match question {
            Question::InitProducerId => Some(versions.init_producer_id),
            _ => versions.transactions.of(question, transactions.protocol),
        };
        match version {
            Some(version) => self.ask_question(question, version, now_ns),
            None => {
                let address = link.address.to_string();
                self.lacks(question, &address);
            }
        }
    }

    fn ask_question(&mut self, question: Question, version: i16, now_ns: u64) {
        let index = link_of(question);
        let asked = Asked::Transaction(question, version);
        let Some(transactions) = &mut self.transactions else {
            return;
        };
        let id = transactions.id.clone();
        if question == Question::InitProducerId {
            let timeout_ms = i32::try_from(transactions.timeout_ns / NANOS_PER_MS).unwrap_or(i32::MAX);
            let known = transactions.init.as_ref().and_then(|init| init.known);
            if known.is_some() && version < requests::INIT_KNOWN {
                return self.cannot_go_on();
            }
            transactions.asked = Some(question);
            let request = requests::init_producer_id(&id, timeout_ms, known);
            return self.ask(index, asked, now_ns, requests::encoder(request));
        }
        let Some(identity) = self.identity else {
            return; // InitProducerId comes first, and its answer leads here again
        };
        transactions.asked = Some(question);
        match question {
            Question::AddPartitions => {
                transactions.asked_partitions = transactions.enlisting.iter().copied().collect();
                // Numbers follow the order in which topics became known, not the order of topics.
                let (topics, partitions) = (&self.topics, &self.partitions);
                let name = |number: &u32| {
                    let partition = &partitions[*number as usize];
                    (topics[partition.topic.index()].name.as_str(), partition.index)
                };
                transactions.asked_partitions.sort_by_key(|number| {
                    let partition = &partitions[*number as usize];
                    (partition.topic, partition.index)
                });
                let names = transactions.asked_partitions.iter().map(name);
                let request = requests::add_partitions(&id, identity, names);
                self.ask(index, asked, now_ns, requests::encoder(request));
            }
            Question::AddOffsets | Question::CommitOffsets => {
                if transactions.protocol == Protocol::V2 {
                    transactions.registered = Registered::Yes;
                }
                let Some(offsets) = transactions.offsets.front() else {
                    return;
                };
                if question == Question::AddOffsets {
                    let request = requests::add_offsets(&id, identity, &offsets.group);
                    self.ask(index, asked, now_ns, requests::encoder(request));
                } else {
                    let request = requests::commit_offsets(&id, identity, offsets);
                    self.ask(index, asked, now_ns, requests::encoder(request));
                }
            }
            _ => {
                let flips = transactions.ending.in_doubt && !self.rules.on(Rule::SameEnd);
                let commit = transactions.state == State::Committing && !flips;
                let request = requests::end_txn(&id, identity, commit);
                self.ask(index, asked, now_ns, requests::encoder(request));
            }
        }
    }

    /// Takes in the answer to a question. An error means nonsense.
    pub(in crate::sender) fn transaction_answered(
        &mut self,
        question: Question,
        version: i16,
        frame: &[u8],
        now_ns: u64,
    ) -> Result<(), String> {
        let throttle_ms = match question {
            Question::FindCoordinator | Question::FindGroup => {
                return self.coordinator_answered(question, version, frame, now_ns);
            }
            Question::InitProducerId => {
                let response = decode::<InitProducerIdRequest>(version, frame)?;
                let identity = Identity {
                    id: response.producer_id.0,
                    epoch: response.producer_epoch,
                    transactional: true,
                };
                self.heard(question);
                self.init_answered(response.error_code, identity, now_ns);
                response.throttle_time_ms
            }
            Question::AddPartitions => {
                let response = decode::<AddPartitionsToTxnRequest>(version, frame)?;
                let topics = response.results_by_topic_v3_and_below.iter();
                let codes = topics.flat_map(|topic| &topic.results_by_partition);
                let code = worst(question, codes.map(|partition| partition.partition_error_code));
                self.heard(question);
                self.partitions_answered(code, now_ns);
                response.throttle_time_ms
            }
            Question::AddOffsets => {
                let response = decode::<AddOffsetsToTxnRequest>(version, frame)?;
                self.heard(question);
                self.offsets_answered(question, response.error_code, now_ns);
                response.throttle_time_ms
            }
            Question::CommitOffsets => {
                let response = decode::<TxnOffsetCommitRequest>(version, frame)?;
                let codes = response.topics.iter().flat_map(|topic| &topic.partitions);
                let code = worst(question, codes.map(|partition| partition.error_code));
                self.heard(question);
                self.offsets_answered(question, code, now_ns);
                response.throttle_time_ms
            }
            Question::EndTxn => {
                let response = decode::<EndTxnRequest>(version, frame)?;
                let next = Identity {
                    id: response.producer_id.0,
                    epoch: response.producer_epoch,
                    transactional: true,
                };
                self.heard(question);
                self.end_answered(response.error_code, next, now_ns);
                response.throttle_time_ms
            }
        };
        // A17: the coordinator has muted the connection that long.
        let muted_ns = u64::try_from(throttle_ms).unwrap_or(0) * NANOS_PER_MS;
        self.links[link_of(question)].throttled_until_ns = now_ns.saturating_add(muted_ns);
        Ok(())
    }

    /// The connection that carried a question is gone before its answer came.
    pub(in crate::sender) fn question_lost(&mut self, question: Question, now_ns: u64) {
        if matches!(question, Question::FindCoordinator | Question::FindGroup) {
            return; // asked again on the next control connection
        }
        self.heard(question);
        if let Some(transactions) = &mut self.transactions {
            transactions.ending.in_doubt |= question == Question::EndTxn;
            transactions.perhaps_registered(question);
        }
        if question == Question::CommitOffsets {
            // Its bytes may still arrive, behind a newer position of this transaction or inside the next one. Only a
            // new epoch keeps them out, so the transaction ends here.
            self.transaction_failed(REQUEST_TIMED_OUT, Repair::End, now_ns);
        }
        self.back_off_question(now_ns);
    }

    fn heard(&mut self, question: Question) {
        if let Some(transactions) = &mut self.transactions {
            debug_assert_eq!(transactions.asked, Some(question));
            transactions.asked = None;
        }
    }

    fn partitions_answered(&mut self, code: i16, now_ns: u64) {
        let Some(transactions) = &mut self.transactions else {
            return;
        };
        let asked = std::mem::take(&mut transactions.asked_partitions);
        if code == 0 {
            transactions.registered = Registered::Yes;
            for number in &asked {
                transactions.enlisting.remove(number);
                self.partitions[*number as usize].enlisted = transactions.number;
            }
            self.coordinator_works(Question::AddPartitions);
            for number in asked {
                self.enqueue(number, now_ns);
            }
        } else {
            self.refused_question(Question::AddPartitions, code, now_ns);
        }
    }

    fn offsets_answered(&mut self, question: Question, code: i16, now_ns: u64) {
        if code != 0 {
            return self.refused_question(question, code, now_ns);
        }
        if let Some(transactions) = &mut self.transactions {
            transactions.registered = Registered::Yes;
            if question == Question::CommitOffsets {
                transactions.offsets.pop_front();
            } else if let Some(front) = transactions.offsets.front_mut() {
                front.enlisted = true;
            }
        }
        self.coordinator_works(question);
    }

    /// An error to anything but EndTxn and InitProducerId: later, elsewhere, or not in this transaction.
    fn refused_question(&mut self, question: Question, code: i16, now_ns: u64) {
        match requests::meaning(question, code) {
            Meaning::Done => {}
            // B8: the transaction's own time-out bounds it.
            Meaning::Soon if self.is_overdue(now_ns) => self.transaction_failed(code, Repair::End, now_ns),
            Meaning::Soon => self.ask_soon(now_ns),
            Meaning::Again => self.back_off_question(now_ns),
            Meaning::Elsewhere | Meaning::InDoubt => {
                if let Some(transactions) = &mut self.transactions {
                    transactions.perhaps_registered(question);
                }
                self.search_failed(question, now_ns);
                self.back_off_question(now_ns);
            }
            Meaning::Abort => self.transaction_failed(code, Repair::End, now_ns),
            Meaning::AbortAndInit => self.transaction_failed(code, Repair::EndThenInit, now_ns),
            Meaning::Forgotten => self.transaction_failed(code, Repair::InitOnly, now_ns),
            Meaning::Fatal => self.transaction_fatal(code),
        }
    }

    /// The open transaction has lasted longer than the coordinator lets it.
    pub(super) fn is_overdue(&self, now_ns: u64) -> bool {
        let transactions = self.transactions.as_ref();
        transactions.is_some_and(|t| now_ns >= t.begun_ns.saturating_add(t.timeout_ns))
    }

    pub(super) fn ask_soon(&mut self, now_ns: u64) {
        if let Some(transactions) = &mut self.transactions {
            transactions.retry_at_ns = now_ns.saturating_add(SOON_NS);
        }
    }

    /// A18, per coordinator.
    pub(super) fn back_off_question(&mut self, now_ns: u64) {
        if let Some(transactions) = &mut self.transactions {
            transactions.attempts = transactions.attempts.saturating_add(1);
            let attempts = transactions.attempts;
            let wait_ns = self.settings.retry_backoff.wait_ns(attempts, &mut self.rng);
            transactions.retry_at_ns = now_ns.saturating_add(wait_ns);
        }
    }
}

/// The code that decides over a whole answer: one that ends the transaction before one that only delays it. An
/// answer without any partition says nothing: UNKNOWN_SERVER_ERROR.
fn worst(question: Question, codes: impl Iterator<Item = i16>) -> i16 {
    let weight = |code: &i16| match requests::meaning(question, *code) {
        Meaning::Done => 0,
        Meaning::Soon => 1,
        Meaning::Again => 2,
        Meaning::InDoubt | Meaning::Elsewhere => 3,
        // OPERATION_NOT_ATTEMPTED only says that another partition was the reason.
        Meaning::Abort if *code == 55 => 4,
        Meaning::Abort => 5,
        Meaning::AbortAndInit | Meaning::Forgotten => 6,
        Meaning::Fatal => 7,
    };
    codes.max_by_key(weight).unwrap_or(-1)
}
