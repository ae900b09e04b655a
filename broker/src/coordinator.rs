//! Coordinators: which node keeps which transactional id and which group, and how it is asked.
//!
//! ```text
//! hash(id) mod 50 = seat ──▶ a node holds it; when that node is lost the next one takes it, reads it (14), and goes on
//! ```
//!
//! What a coordinator has written survives any node: in Kafka it is in a replicated log with acks=all. The seats stand
//! for the leaders of `__transaction_state` and `__consumer_offsets`.

pub(crate) mod offsets; // committed offsets of groups, and those that wait for a transaction
pub(crate) mod requests; // the requests of transactions
pub(crate) mod transaction; // one transactional id: a state machine

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;

use crate::batch::{Refused, refused};
use crate::code;
use crate::connection::At;
use crate::model::Model;
use crate::store::Store;

/// Key type of a group.
pub(crate) const GROUP: i8 = 0;
/// Key type of a transactional id.
pub(crate) const TRANSACTION: i8 = 1;
/// transaction.state.log.num.partitions and offsets.topic.num.partitions.
const SEATS: usize = 50;

/// Who coordinates what.
#[derive(Debug)]
pub(crate) struct Seats {
    /// Groups' first, then transactions'.
    all: Vec<Seat>,
}

#[derive(Debug, Clone, Copy)]
struct Seat {
    /// Node, or -1.
    node: i32,
    epoch: i32,
    /// When its new holder has read it.
    loaded_ns: u64,
}

impl Seats {
    pub(crate) fn new(nodes: i32) -> Seats {
        let seat = |at: usize| Seat {
            node: (at % SEATS) as i32 % nodes.max(1) + 1,
            epoch: 0,
            loaded_ns: 0,
        };
        Seats {
            all: (0..2 * SEATS).map(seat).collect(),
        }
    }

    /// Number of the seat among those of its type, as Kafka hashes it.
    pub(crate) fn number(&self, key_type: i8, key: &str) -> usize {
        let _ = key_type;
        let hash = key.encode_utf16().fold(0_i32, |hash, unit| {
            hash.wrapping_mul(31).wrapping_add(unit.into())
        });
        (hash & i32::MAX) as usize % SEATS
    }

    fn at(&self, key_type: i8, key: &str) -> usize {
        self.number(key_type, key) + if key_type == TRANSACTION { SEATS } else { 0 }
    }
}

/// What a client that writes to a transaction understands, by the version of its request (TransactionSupportedOperation).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Supports {
    /// Produce to 10: errors of old.
    Default,
    /// Produce 11: TRANSACTION_ABORTABLE.
    Abortable,
    /// Produce from 12, TxnOffsetCommit from 5: the write itself adds the partition (KIP-890).
    EpochBump,
}

impl Supports {
    pub(crate) fn of_produce(version: i16) -> Supports {
        match version {
            ..=10 => Supports::Default,
            11 => Supports::Abortable,
            _ => Supports::EpochBump,
        }
    }

    pub(crate) fn of_txn_offset_commit(version: i16) -> Supports {
        match version {
            ..=3 => Supports::Default,
            4 => Supports::Abortable,
            _ => Supports::EpochBump,
        }
    }

    /// What a client is told when the coordinator says no (AddPartitionsToTxnManager, ReplicaManager).
    pub(crate) fn translate(self, asked: i16) -> Refused {
        let unable = |why| refused(code::NOT_ENOUGH_REPLICAS, why).told();
        match asked {
            code::PRODUCER_FENCED => refused(
                code::INVALID_PRODUCER_EPOCH,
                "a newer epoch owns this transactional id",
            ),
            code::TRANSACTION_ABORTABLE if self == Supports::Default => refused(
                code::INVALID_TXN_STATE,
                "Partition was not added to the transaction",
            )
            .told(),
            code::CONCURRENT_TRANSACTIONS if self != Supports::EpochBump => unable(
                "Unable to verify the partition has been added to the transaction. Underlying error: \
                 CONCURRENT_TRANSACTIONS",
            ),
            code::NETWORK_EXCEPTION => unable(
                "Unable to verify the partition has been added to the transaction. Underlying error: NETWORK_EXCEPTION",
            ),
            code::COORDINATOR_LOAD_IN_PROGRESS => unable(
                "Unable to verify the partition has been added to the transaction. Underlying error: \
                 COORDINATOR_LOAD_IN_PROGRESS",
            ),
            code::COORDINATOR_NOT_AVAILABLE => unable(
                "Unable to verify the partition has been added to the transaction. Underlying error: \
                 COORDINATOR_NOT_AVAILABLE",
            ),
            code => refused(code, "the transaction's coordinator refused it"),
        }
    }
}

impl<S: Store> Model<S> {
    /// Whether this node may answer for a key now.
    pub(crate) fn coordinates(&self, node: i32, key_type: i8, key: &str) -> Result<(), i16> {
        let seat = self.seats.all[self.seats.at(key_type, key)];
        if seat.node != node {
            Err(code::NOT_COORDINATOR)
        } else if self.now.mono_ns < seat.loaded_ns {
            Err(code::COORDINATOR_LOAD_IN_PROGRESS)
        } else if !self.in_touch(node) {
            // Its writes would reach no other replica.
            Err(code::COORDINATOR_NOT_AVAILABLE)
        } else {
            Ok(())
        }
    }

    /// The coordinator's epoch of a transactional id, for its markers.
    pub(crate) fn coordinator_epoch(&self, id: &str) -> i32 {
        self.seats.all[self.seats.at(TRANSACTION, id)].epoch
    }

    /// The node that holds a key's seat.
    pub(crate) fn coordinator(&self, key_type: i8, key: &str) -> i32 {
        self.seats.all[self.seats.at(key_type, key)].node
    }

    /// A partition's leader asks the coordinator about a transaction; TV2 adds the partition by asking.
    pub(crate) fn ask_coordinator(
        &mut self,
        leader: i32,
        id: &str,
        producer: (i64, i16),
        partition: usize,
        supports: Supports,
    ) -> Result<(), i16> {
        let coordinator = self.coordinator(TRANSACTION, id);
        if !self.linked(leader, coordinator) {
            return Err(code::NETWORK_EXCEPTION);
        }
        self.coordinates(coordinator, TRANSACTION, id)?;
        let now_ms = self.now.wall_ms;
        let transaction = self
            .transactions
            .get_mut(id)
            .ok_or(code::INVALID_PRODUCER_ID_MAPPING)?;
        if supports == Supports::EpochBump {
            if transaction.add(producer, &[partition], None, now_ms)? {
                self.remember_transaction(id);
            }
            Ok(())
        } else {
            transaction.verify(producer, partition)
        }
    }

    pub(crate) fn find_coordinator(
        &mut self,
        at: &At,
        request: &FindCoordinatorRequest,
    ) -> FindCoordinatorResponse {
        let key_type = if at.version == 0 { GROUP } else { request.key_type };
        let find = |key: &StrBytes| -> Result<(i32, String, u16), (i16, &'static str)> {
            if !matches!(key_type, GROUP | TRANSACTION) {
                return Err((code::INVALID_REQUEST, code::MALFORMED));
            }
            let node = self.coordinator(key_type, key);
            match self.endpoint(node, at.listener) {
                Some(endpoint) => Ok((node, endpoint.host.clone(), endpoint.port)),
                None => Err((
                    code::COORDINATOR_NOT_AVAILABLE,
                    "The coordinator is not available.",
                )),
            }
        };
        if at.version < 4 {
            let response = FindCoordinatorResponse::default();
            return match find(&request.key) {
                Ok((node, host, port)) => response
                    .with_error_message((at.version >= 1).then(|| StrBytes::from_static_str("NONE")))
                    .with_node_id(BrokerId(node))
                    .with_host(StrBytes::from_string(host))
                    .with_port(port.into()),
                Err((code, why)) => response
                    .with_error_code(code)
                    .with_error_message((at.version >= 1).then(|| StrBytes::from_static_str(why)))
                    .with_node_id(BrokerId(-1))
                    .with_port(-1),
            };
        }
        let coordinators = request.coordinator_keys.iter().map(|key| {
            let found = Coordinator::default().with_key(key.clone());
            match find(key) {
                Ok((node, host, port)) => found
                    .with_node_id(BrokerId(node))
                    .with_host(StrBytes::from_string(host))
                    .with_port(port.into())
                    .with_error_message(Some(StrBytes::new())),
                Err((code, why)) => found
                    .with_error_code(code)
                    .with_error_message(Some(StrBytes::from_static_str(why)))
                    .with_node_id(BrokerId(-1))
                    .with_port(-1),
            }
        });
        FindCoordinatorResponse::default().with_coordinators(coordinators.collect())
    }

    /// A node is lost: others take its seats.
    pub(crate) fn move_seats(&mut self, node: i32) {
        for at in 0..self.seats.all.len() {
            if self.seats.all[at].node == node {
                self.hand_over(at);
            }
        }
    }

    /// A node is back: it takes the seats that nobody holds.
    pub(crate) fn fill_seats(&mut self, node: i32) {
        let loaded_ns = self.now.mono_ns.saturating_add(self.settings.coordinator_load_ns);
        for seat in self.seats.all.iter_mut().filter(|seat| seat.node == -1) {
            *seat = Seat {
                node,
                epoch: seat.epoch + 1,
                loaded_ns,
            };
        }
    }

    /// Moves the seat of a key to the next live node.
    pub(crate) fn move_seat(&mut self, key_type: i8, key: &str) {
        self.hand_over(self.seats.at(key_type, key));
    }

    fn hand_over(&mut self, at: usize) {
        let seat = self.seats.all[at];
        let count = self.settings.nodes;
        let live = |id: &i32| self.node(*id).is_some_and(|node| !node.fenced);
        let mut others = (1..=count).map(|step| (seat.node.max(1) - 1 + step).rem_euclid(count) + 1);
        let node = others.find(live).unwrap_or(-1);
        let loaded_ns = self.now.mono_ns.saturating_add(self.settings.coordinator_load_ns);
        self.seats.all[at] = Seat {
            node,
            epoch: seat.epoch + 1,
            loaded_ns,
        };
    }
}
