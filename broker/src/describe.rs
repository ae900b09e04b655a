//! DescribeProducers, DescribeTransactions, ListTransactions: what an operator, or a judge, looks at (KIP-664).

use kafka_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use kafka_protocol::messages::list_transactions_response::TransactionState as Listed;
use kafka_protocol::messages::{
    DescribeProducersRequest, DescribeProducersResponse, DescribeTransactionsRequest,
    DescribeTransactionsResponse, ListTransactionsRequest, ListTransactionsResponse, TopicName,
    TransactionalId,
};
use kafka_protocol::protocol::StrBytes;

use std::collections::BTreeMap;

use crate::code;
use crate::connection::At;
use crate::coordinator::transaction::{State, Transaction};
use crate::coordinator::{GROUP, TRANSACTION};
use crate::model::Model;
use crate::store::Store;

/// Name of the internal topic that a transaction holds when it commits a group's offsets.
const OFFSETS_TOPIC: &str = "__consumer_offsets";

impl<S: Store> Model<S> {
    pub(crate) fn describe_producers(
        &mut self,
        at: &At,
        request: DescribeProducersRequest,
    ) -> DescribeProducersResponse {
        let mut topics = Vec::new();
        for topic in request.topics {
            let mut partitions = Vec::new();
            for index in topic.partition_indexes {
                let found = match self.topics.partition(&topic.name, index) {
                    Some(partition) => self.leading(at.node, partition, -1),
                    None => Err(code::UNKNOWN_TOPIC_OR_PARTITION),
                };
                let response = PartitionResponse::default()
                    .with_partition_index(index)
                    .with_error_message(None);
                partitions.push(match found {
                    Ok(replica) => response.with_active_producers(
                        replica
                            .producers
                            .iter()
                            .map(|(id, producer)| {
                                ProducerState::default()
                                    .with_producer_id(id.into())
                                    .with_producer_epoch(producer.epoch.into())
                                    .with_last_sequence(producer.last_sequence())
                                    .with_last_timestamp(producer.last_timestamp)
                                    .with_coordinator_epoch(producer.coordinator_epoch)
                                    .with_current_txn_start_offset(producer.transaction_start.unwrap_or(-1))
                            })
                            .collect(),
                    ),
                    Err(code) => response.with_error_code(code),
                });
            }
            topics.push(
                TopicResponse::default()
                    .with_name(topic.name)
                    .with_partitions(partitions),
            );
        }
        DescribeProducersResponse::default().with_topics(topics)
    }

    pub(crate) fn describe_transactions(
        &mut self,
        at: &At,
        request: DescribeTransactionsRequest,
    ) -> DescribeTransactionsResponse {
        let mut states = Vec::new();
        for id in request.transactional_ids {
            let code = match self.coordinates(at.node, TRANSACTION, &id) {
                Ok(()) if self.transactions.contains_key(id.as_str()) => code::NONE,
                Ok(()) => code::TRANSACTIONAL_ID_NOT_FOUND,
                Err(code) => code,
            };
            let found = self.transactions.get(id.as_str()).filter(|_| code == code::NONE);
            let state = TransactionState::default()
                .with_transactional_id(id.clone())
                .with_error_code(code);
            states.push(match found {
                Some(found) => state
                    .with_transaction_state(StrBytes::from_static_str(found.state.name()))
                    .with_transaction_timeout_ms(found.timeout_ms)
                    .with_transaction_start_time_ms(found.started_ms)
                    .with_producer_id(found.producer_id.into())
                    .with_producer_epoch(found.epoch)
                    .with_topics(self.participants_by_topic(found)),
                None => state,
            });
        }
        DescribeTransactionsResponse::default().with_transaction_states(states)
    }

    fn participants_by_topic(&self, transaction: &Transaction) -> Vec<TopicData> {
        let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for partition in &transaction.partitions {
            let found = &self.partitions[*partition];
            by_topic
                .entry(&self.topics.all[found.topic].name)
                .or_default()
                .push(found.index);
        }
        for group in &transaction.groups {
            by_topic
                .entry(OFFSETS_TOPIC)
                .or_default()
                .push(self.seats.number(GROUP, group) as i32);
        }
        let topic = |(name, partitions): (&str, Vec<i32>)| {
            TopicData::default()
                .with_topic(TopicName(StrBytes::from_string(name.to_owned())))
                .with_partitions(partitions)
        };
        by_topic.into_iter().map(topic).collect()
    }

    pub(crate) fn list_transactions(
        &mut self,
        at: &At,
        request: &ListTransactionsRequest,
    ) -> ListTransactionsResponse {
        let unknown = request
            .state_filters
            .iter()
            .filter(|name| State::parse(name).is_none())
            .cloned()
            .collect();
        let wants = |transaction: &&Transaction| {
            let states = &request.state_filters;
            let producers = &request.producer_id_filters;
            let long = self.now.wall_ms - transaction.started_ms > request.duration_filter;
            (states.is_empty()
                || states
                    .iter()
                    .any(|name| name.as_str() == transaction.state.name()))
                && (producers.is_empty() || producers.iter().any(|id| id.0 == transaction.producer_id))
                && (request.duration_filter < 0 || (transaction.state == State::Ongoing && long))
        };
        let mine = self
            .transactions
            .values()
            .filter(|transaction| self.coordinates(at.node, TRANSACTION, &transaction.id).is_ok());
        let listed = mine.filter(wants).map(|transaction| {
            Listed::default()
                .with_transactional_id(TransactionalId(StrBytes::from_string(transaction.id.clone())))
                .with_producer_id(transaction.producer_id.into())
                .with_transaction_state(StrBytes::from_static_str(transaction.state.name()))
        });
        ListTransactionsResponse::default()
            .with_transaction_states(listed.collect())
            .with_unknown_state_filters(unknown)
    }
}
