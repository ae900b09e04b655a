//! The requests of transactions, and the markers that end them.
//!
//! ```text
//! EndTxn ──▶ Prepare (answered NONE) ── marker delay ──▶ marker in every partition ──▶ all in-sync have it ──▶ Complete
//!                                     ▲
//!             a late batch of the same epoch still gets in here, and is part of the transaction (M9)
//! ```

use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    EndTxnRequest, EndTxnResponse, InitProducerIdRequest, InitProducerIdResponse,
};

use super::TRANSACTION;
use super::transaction::{End, Ended, MarkerAt, State, Transaction};
use crate::batch::Marker;
use crate::code;
use crate::connection::At;
use crate::fact::Fact;
use crate::model::Model;
use crate::settings::MS;
use crate::store::{LogId, Store};
use crate::timer::Timer;

/// Before markers that could not be written are tried again.
const MARKER_RETRY_NS: u64 = 20 * MS;
/// Operations that only brokers ask for in batches.
const BATCHED: i16 = 4;

impl<S: Store> Model<S> {
    pub(crate) fn init_producer_id(
        &mut self,
        at: &At,
        request: &InitProducerIdRequest,
    ) -> InitProducerIdResponse {
        let identity = match &request.transactional_id {
            None => Ok((self.fresh_producer_id(), 0)),
            Some(id) => self.init_transactional(at, &id.0.to_string(), request),
        };
        let response = InitProducerIdResponse::default();
        match identity {
            Ok((producer_id, epoch)) => response
                .with_producer_id(producer_id.into())
                .with_producer_epoch(epoch),
            Err(code) => response
                .with_error_code(fenced(code, at.version, 4))
                .with_producer_id((-1).into())
                .with_producer_epoch(-1),
        }
    }

    fn fresh_producer_id(&mut self) -> i64 {
        let id = self.next_producer_id;
        self.next_producer_id += 1;
        self.remember(Fact::ProducerIds {
            next: self.next_producer_id,
        });
        id
    }

    fn init_transactional(
        &mut self,
        at: &At,
        id: &str,
        request: &InitProducerIdRequest,
    ) -> Result<(i64, i16), i16> {
        let expected = match (request.producer_id.0, request.producer_epoch) {
            (-1, -1) => None,
            (producer_id, epoch) if producer_id >= 0 && epoch >= 0 => Some((producer_id, epoch)),
            _ => return Err(code::INVALID_REQUEST),
        };
        if id.is_empty() {
            return Err(code::INVALID_REQUEST);
        }
        self.coordinates(at.node, TRANSACTION, id)?;
        let timeout_ms = request.transaction_timeout_ms;
        if timeout_ms <= 0 || timeout_ms > self.settings.transaction_max_timeout_ms {
            return Err(code::INVALID_TRANSACTION_TIMEOUT);
        }
        let now_ms = self.now.wall_ms;
        if !self.transactions.contains_key(id) {
            let producer_id = self.fresh_producer_id();
            let new = Transaction::new(id.to_owned(), producer_id, timeout_ms, now_ms);
            self.transactions.insert(id.to_owned(), new);
        }
        let fresh = self.next_producer_id;
        let transaction = self.transactions.get_mut(id).ok_or(code::UNKNOWN_SERVER_ERROR)?;
        let aborting = transaction.init(expected, timeout_ms, fresh, now_ms)?;
        let identity = (transaction.producer_id, transaction.epoch);
        if identity.0 == fresh {
            self.fresh_producer_id();
        }
        self.remember_transaction(id);
        if aborting {
            self.markers_soon(id);
            return Err(code::CONCURRENT_TRANSACTIONS);
        }
        Ok(identity)
    }

    pub(crate) fn add_partitions_to_txn(
        &mut self,
        at: &At,
        request: AddPartitionsToTxnRequest,
    ) -> AddPartitionsToTxnResponse {
        if at.version < BATCHED {
            let id = request.v3_and_below_transactional_id.0.to_string();
            let producer = (
                request.v3_and_below_producer_id.0,
                request.v3_and_below_producer_epoch,
            );
            let topics = request.v3_and_below_topics;
            let results = self.add_or_verify(at, &id, producer, &topics, false);
            return AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results);
        }
        let mut results = Vec::new();
        for transaction in request.transactions {
            let id = transaction.transactional_id.0.to_string();
            let producer = (transaction.producer_id.0, transaction.producer_epoch);
            let by_topic =
                self.add_or_verify(at, &id, producer, &transaction.topics, transaction.verify_only);
            results.push(
                AddPartitionsToTxnResult::default()
                    .with_transactional_id(transaction.transactional_id)
                    .with_topic_results(by_topic),
            );
        }
        AddPartitionsToTxnResponse::default().with_results_by_transaction(results)
    }

    fn add_or_verify(
        &mut self,
        at: &At,
        id: &str,
        producer: (i64, i16),
        topics: &[AddPartitionsToTxnTopic],
        verify_only: bool,
    ) -> Vec<AddPartitionsToTxnTopicResult> {
        let mut wanted = Vec::new();
        let mut unknown = false;
        for topic in topics {
            for index in &topic.partitions {
                let found = self.topics.partition(&topic.name, *index);
                unknown |= found.is_none();
                wanted.push(found);
            }
        }
        let known: Vec<usize> = wanted.iter().copied().flatten().collect();
        let all = if unknown {
            // Nothing is added when one of them is not there (OPERATION_NOT_ATTEMPTED for the others).
            Err(55)
        } else if verify_only {
            self.coordinates(at.node, TRANSACTION, id)
        } else {
            self.add_to_transaction(at, id, producer, &known, None)
        };
        let mut wanted = wanted.into_iter();
        let mut results = Vec::new();
        for topic in topics {
            let mut partitions = Vec::new();
            for index in &topic.partitions {
                let found = wanted.next().flatten();
                let code = match (found, all) {
                    (None, _) => code::UNKNOWN_TOPIC_OR_PARTITION,
                    (_, Err(code)) => fenced(code, at.version, 2),
                    (Some(partition), Ok(())) if verify_only => match self.transactions.get(id) {
                        Some(transaction) => transaction
                            .verify(producer, partition)
                            .err()
                            .unwrap_or(code::NONE),
                        None => code::INVALID_PRODUCER_ID_MAPPING,
                    },
                    _ => code::NONE,
                };
                partitions.push(
                    AddPartitionsToTxnPartitionResult::default()
                        .with_partition_index(*index)
                        .with_partition_error_code(code),
                );
            }
            results.push(
                AddPartitionsToTxnTopicResult::default()
                    .with_name(topic.name.clone())
                    .with_results_by_partition(partitions),
            );
        }
        results
    }

    fn add_to_transaction(
        &mut self,
        at: &At,
        id: &str,
        producer: (i64, i16),
        partitions: &[usize],
        group: Option<&str>,
    ) -> Result<(), i16> {
        if id.is_empty() {
            return Err(code::INVALID_REQUEST);
        }
        self.coordinates(at.node, TRANSACTION, id)?;
        let now_ms = self.now.wall_ms;
        let transaction = self
            .transactions
            .get_mut(id)
            .ok_or(code::INVALID_PRODUCER_ID_MAPPING)?;
        if transaction.add(producer, partitions, group, now_ms)? {
            self.remember_transaction(id);
        }
        Ok(())
    }

    pub(crate) fn add_offsets_to_txn(
        &mut self,
        at: &At,
        request: &AddOffsetsToTxnRequest,
    ) -> AddOffsetsToTxnResponse {
        let id = request.transactional_id.0.to_string();
        let producer = (request.producer_id.0, request.producer_epoch);
        let group = request.group_id.0.to_string();
        let done = self.add_to_transaction(at, &id, producer, &[], Some(&group));
        let code = done.err().unwrap_or(code::NONE);
        AddOffsetsToTxnResponse::default().with_error_code(fenced(code, at.version, 2))
    }

    pub(crate) fn end_txn(&mut self, at: &At, request: &EndTxnRequest) -> EndTxnResponse {
        let id = request.transactional_id.0.to_string();
        let producer = (request.producer_id.0, request.producer_epoch);
        let commit = request.committed;
        let end = if at.version >= 5 {
            End::V2 { commit }
        } else {
            End::V1 { commit }
        };
        let done = self.end_transaction(at, &id, producer, end);
        let response = EndTxnResponse::default().with_error_code(fenced(
            done.err().unwrap_or(code::NONE),
            at.version,
            2,
        ));
        if at.version < 5 {
            return response;
        }
        let (producer_id, epoch) = done.unwrap_or((-1, -1));
        response
            .with_producer_id(producer_id.into())
            .with_producer_epoch(epoch)
    }

    fn end_transaction(
        &mut self,
        at: &At,
        id: &str,
        producer: (i64, i16),
        end: End,
    ) -> Result<(i64, i16), i16> {
        if id.is_empty() {
            return Err(code::INVALID_REQUEST);
        }
        self.coordinates(at.node, TRANSACTION, id)?;
        let now_ms = self.now.wall_ms;
        let fresh = self.next_producer_id;
        let transaction = self
            .transactions
            .get_mut(id)
            .ok_or(code::INVALID_PRODUCER_ID_MAPPING)?;
        let ended = transaction.end(producer, end, fresh, now_ms)?;
        let identity = transaction.next_identity();
        let rotates = transaction.next_producer_id == fresh;
        if ended == Ended::Now {
            if rotates {
                self.fresh_producer_id();
            }
            self.remember_transaction(id);
            self.markers_soon(id);
        }
        Ok(identity)
    }

    fn markers_soon(&mut self, id: &str) {
        let nothing = self
            .transactions
            .get(id)
            .is_some_and(|transaction| transaction.partitions.is_empty() && transaction.groups.is_empty());
        let delay_ns = if nothing { 0 } else { self.settings.marker_delay_ns };
        if delay_ns == 0 {
            self.write_markers(id);
        } else {
            let at = self.now.mono_ns.saturating_add(delay_ns);
            self.timers.set(at, Timer::Markers { id: id.to_owned() });
        }
    }

    /// Writes what markers can be written; when all are safe, the transaction is complete.
    pub(crate) fn write_markers(&mut self, id: &str) {
        let coordinator = self.coordinator(TRANSACTION, id);
        let serves = self.coordinates(coordinator, TRANSACTION, id).is_ok();
        let Some(mut transaction) = self
            .transactions
            .get(id)
            .cloned()
            .filter(|found| found.state.ending())
        else {
            return;
        };
        let mut again_ns = MARKER_RETRY_NS;
        if serves {
            let before = (transaction.partitions.len(), transaction.groups.len());
            self.settle_groups(coordinator, &mut transaction);
            let waits = self.mark_partitions(coordinator, &mut transaction);
            if waits {
                again_ns = self.settings.replication_delay_ns.clamp(MS / 10, MARKER_RETRY_NS);
            }
            let done = transaction.partitions.is_empty() && transaction.groups.is_empty();
            if done {
                transaction.complete(self.now.wall_ms);
            }
            let changed = before != (transaction.partitions.len(), transaction.groups.len()) || done;
            self.transactions.insert(id.to_owned(), transaction);
            if changed {
                self.remember_transaction(id);
            }
            if done {
                return;
            }
        }
        let at = self.now.mono_ns.saturating_add(again_ns);
        self.timers.set(at, Timer::Markers { id: id.to_owned() });
    }

    /// Answers whether some marker only waits for replicas.
    fn mark_partitions(&mut self, coordinator: i32, transaction: &mut Transaction) -> bool {
        let mut waits = false;
        for partition in transaction.partitions.clone() {
            if self.topics.is_deleted(self.partitions[partition].topic) {
                transaction.partitions.remove(&partition);
                continue;
            }
            let decided = self.partitions[partition].decided.clone();
            if !self.linked(coordinator, decided.leader) {
                continue;
            }
            let written = transaction
                .markers
                .get(&partition)
                .copied()
                .filter(|written| written.leader_epoch == decided.epoch);
            let written = written.or_else(|| self.mark(partition, transaction));
            let Some(written) = written else {
                continue;
            };
            let safe = self.partitions[partition]
                .replica(decided.leader)
                .is_some_and(|replica| replica.leads() && replica.high_watermark >= written.needs);
            if safe {
                transaction.markers.remove(&partition);
                transaction.partitions.remove(&partition);
            } else {
                transaction.markers.insert(partition, written);
                waits = true;
            }
        }
        waits
    }

    fn mark(&mut self, partition: usize, transaction: &Transaction) -> Option<MarkerAt> {
        let found = &self.partitions[partition];
        let (leader, leader_epoch) = (found.decided.leader, found.decided.epoch);
        let replica = found.replica(leader).filter(|replica| replica.leads())?;
        if replica.view.epoch != leader_epoch || replica.view.isr.len() < self.min_isr(partition) {
            return None;
        }
        let marker = Marker {
            producer_id: transaction.producer_id,
            producer_epoch: transaction.epoch,
            commit: transaction.state == State::PrepareCommit,
            coordinator_epoch: self.coordinator_epoch(&transaction.id),
            timestamp: self.now.wall_ms,
        };
        let appended = self.partitions[partition]
            .append_marker(leader, &marker, &mut self.store)
            .ok()?;
        let moved = self.partitions[partition].commit(leader);
        self.kick(partition);
        if moved {
            self.wake(partition);
        }
        Some(MarkerAt {
            leader_epoch,
            needs: appended.needs,
        })
    }

    /// Transactions that are open for longer than their owner asked for are aborted, and the owner fenced (B7).
    pub(crate) fn abort_timed_out(&mut self) {
        let now_ms = self.now.wall_ms;
        let over = self
            .transactions
            .values()
            .filter(|transaction| transaction.timed_out(now_ms));
        let over: Vec<String> = over.map(|transaction| transaction.id.clone()).collect();
        for id in over {
            let coordinator = self.coordinator(TRANSACTION, &id);
            if self.coordinates(coordinator, TRANSACTION, &id).is_err() {
                continue;
            }
            if let Some(transaction) = self.transactions.get_mut(&id) {
                transaction.fence(now_ms);
            }
            self.remember_transaction(&id);
            self.markers_soon(&id);
        }
    }

    pub(crate) fn remember_transaction(&mut self, id: &str) {
        if let Some(transaction) = self.transactions.get(id) {
            let fact = transaction.fact(|partition| LogId(partition as u32));
            self.remember(Fact::Transaction(fact));
        }
    }
}

/// Clients of older versions know PRODUCER_FENCED as INVALID_PRODUCER_EPOCH.
fn fenced(code: i16, version: i16, since: i16) -> i16 {
    if code == code::PRODUCER_FENCED && version < since {
        code::INVALID_PRODUCER_EPOCH
    } else {
        code
    }
}
