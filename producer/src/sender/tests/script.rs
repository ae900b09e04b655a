//! A scripted cluster in virtual time: it answers the core's frames by Kafka's rules and by a list of faults.
//!
//! It keeps what the contract says of a broker: one log per partition, the last five batches of each producer (one
//! after a restart, M5), any first sequence accepted where the producer is not known (M8), appends only in sequence.

mod produce; // what leaders do with batches
mod serve; // what is answered otherwise
mod wires; // connections

use std::collections::{BTreeMap, VecDeque};

use kafka_protocol::messages::InitProducerIdRequest;

pub(super) use self::produce::{Late, Seen};
use self::wires::Wire;
use super::coordinator::Coordinator;
pub(super) use super::fault::Fault;
use super::log::Log;
use super::tamper::Tamper;
use crate::record::Outcome;
use crate::sender::{Action, Frame, Sender};
use crate::transaction::TransactionEvent;

pub(super) const MS: u64 = 1_000_000;
/// Wall time at the begin of virtual time, ms since 1970.
pub(super) const START_MS: i64 = 1_700_000_000_000;
/// Where the bootstrap server listens; it reaches node 0.
pub(super) const BOOTSTRAP_PORT: u16 = 9500;

pub(super) struct Script {
    pub(super) now_ns: u64,
    pub(super) sender: Sender,
    pub(super) logs: Vec<Log>,
    pub(super) faults: VecDeque<Fault>,
    pub(super) outcomes: BTreeMap<u64, (Outcome, i64, i32, i16)>,
    pub(super) appended: BTreeMap<i32, Vec<u64>>,
    /// Produce requests that reached a broker.
    pub(super) requests: Vec<Seen>,
    /// Metadata says that the topic does not exist, as a broker does that is just starting.
    pub(super) topic_hidden: bool,
    /// So many of the next Metadata requests are never answered.
    pub(super) metadata_lost: u32,
    /// Answers ApiVersions v3 with UNSUPPORTED_VERSION, as brokers before 2.4 do.
    pub(super) old: bool,
    pub(super) newest_produce: i16,
    pub(super) topic_id: u128,
    /// Node n listens on this port + n.
    pub(super) first_port: i32,
    /// The epoch that comes with the next producer id; then 0 again, as Kafka gives it.
    pub(super) next_epoch: i16,
    /// Answers to be changed, and how often yet.
    pub(super) tampering: Vec<(Tamper, u32)>,
    /// What the core asked for, apart from Produce.
    pub(super) asked: Asked,
    pub(super) coordinator: Coordinator,
    /// Events of transactions, and the transaction of each completed record.
    pub(super) events: Vec<TransactionEvent>,
    pub(super) transaction_of: BTreeMap<u64, u64>,
    pub(super) nodes: i32,
    /// Not reachable until then.
    down_until: BTreeMap<i32, u64>,
    pub(super) wires: BTreeMap<u32, Wire>,
    pub(super) late: Vec<Late>,
    pub(super) next_pid: i64,
    busy_until: BTreeMap<u32, u64>,
    /// How often each batch reached a broker: partition, producer id, epoch, base sequence.
    sendings: BTreeMap<Batch, u32>,
    /// In which requests it was sent: node and correlation id.
    sent_in: BTreeMap<Batch, Vec<(i32, i32)>>,
    /// Node and correlation id that each completed record was told with.
    pub(super) known_as: BTreeMap<u64, (i32, i32)>,
}

/// Partition, producer id, epoch and base sequence of a batch.
type Batch = (usize, i64, i16, i32);

/// Control requests, as they came.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// How many topics each Metadata request asked for.
    pub(super) metadata: Vec<usize>,
    pub(super) identities: Vec<InitProducerIdRequest>,
}

impl Script {
    pub(super) fn new(sender: Sender, nodes: i32, partitions: usize) -> Script {
        let log = |p: usize| Log::new(p as i32 % nodes);
        Script {
            now_ns: 1_000 * MS,
            sender,
            logs: (0..partitions).map(log).collect(),
            faults: VecDeque::new(),
            outcomes: BTreeMap::new(),
            appended: BTreeMap::new(),
            requests: Vec::new(),
            newest_produce: 13,
            topic_hidden: false,
            metadata_lost: 0,
            old: false,
            topic_id: 7,
            first_port: 9000,
            next_epoch: 0,
            tampering: Vec::new(),
            asked: Asked::default(),
            coordinator: Coordinator::new(),
            events: Vec::new(),
            transaction_of: BTreeMap::new(),
            nodes,
            down_until: BTreeMap::new(),
            wires: BTreeMap::new(),
            late: Vec::new(),
            next_pid: 4000,
            busy_until: BTreeMap::new(),
            sendings: BTreeMap::new(),
            sent_in: BTreeMap::new(),
            known_as: BTreeMap::new(),
        }
    }

    /// Lets virtual time pass until then, with everything that happens meanwhile.
    pub(super) fn run_until(&mut self, until_ns: u64) {
        let mut same_instant = 0;
        loop {
            self.sender.advance(self.now_ns, self.wall_ms());
            while let Some(action) = self.sender.next_action() {
                self.act(action);
            }
            self.fetch();
            let next = [
                self.sender.wakeup_ns(),
                self.next_answer_ns(),
                self.late.iter().map(|late| late.at_ns).min(),
                self.coordinator.late.iter().map(|late| late.0).min(),
            ];
            let next_ns = next.into_iter().flatten().min().unwrap_or(u64::MAX);
            same_instant = if next_ns <= self.now_ns {
                same_instant + 1
            } else {
                0
            };
            assert!(
                same_instant < 1000,
                "the core spins: it wants to be woken now, again and again"
            );
            if next_ns > until_ns {
                self.now_ns = until_ns;
                self.coordinator.pass(until_ns, &mut self.logs);
                return;
            }
            self.now_ns = self.now_ns.max(next_ns);
            self.coordinator.pass(self.now_ns, &mut self.logs);
            self.work_late();
            self.deliver();
        }
    }

    /// Time since 1970, ms: what records are dated by.
    pub(super) fn wall_ms(&self) -> i64 {
        START_MS + (self.now_ns / MS) as i64
    }

    pub(super) fn run_for(&mut self, ns: u64) {
        self.run_until(self.now_ns + ns);
    }

    fn fetch(&mut self) {
        while let Some(done) = self.sender.next_completion() {
            let known_as = (done.broker, done.correlation_id);
            let batch = (
                done.partition as usize,
                done.producer_id,
                done.producer_epoch,
                done.base_sequence,
            );
            let sent_in = self.sent_in.get(&batch);
            assert!(
                done.outcome != Outcome::Acked || sent_in.is_some_and(|sent_in| sent_in.contains(&known_as)),
                "{known_as:?} is none of the requests that {batch:?} was sent in: {sent_in:?}"
            );
            assert_eq!(
                done.producer_id < 0,
                known_as == (-1, -1),
                "{batch:?}: {known_as:?}"
            );
            for (i, &token) in done.tokens.iter().enumerate() {
                let offset = if done.base_offset < 0 {
                    -1
                } else {
                    done.base_offset + i as i64
                };
                let entry = (done.outcome, offset, done.partition, done.error_code);
                let earlier = self.outcomes.insert(token, entry);
                assert_eq!(earlier, None, "record {token} got a second outcome: {entry:?}");
                self.transaction_of.insert(token, done.transaction);
                self.known_as.insert(token, known_as);
            }
        }
        while let Some(event) = self.sender.next_transaction_event() {
            self.events.push(event);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect { link, port, .. } => {
                let node = match port {
                    BOOTSTRAP_PORT => 0,
                    port => i32::from(port) - self.first_port,
                };
                if self.is_down(node) || !(0..self.nodes).contains(&node) {
                    self.sender.disconnected(link, "refused", self.now_ns);
                } else {
                    self.wires.insert(
                        link.index() as u32,
                        Wire {
                            node,
                            open: true,
                            answers: VecDeque::new(),
                        },
                    );
                    self.sender.connected(link, self.now_ns);
                }
            }
            Action::Close { link } => {
                self.wires.remove(&(link.index() as u32));
            }
            Action::Send { link, frame } => {
                let bytes = match frame {
                    Frame::Plain(bytes) => bytes,
                    Frame::Produce(frame) => {
                        let mut slices = [std::io::IoSlice::new(&[]); 64];
                        let count = frame.slices(0, &mut slices);
                        let bytes: Vec<u8> =
                            slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
                        assert_eq!(bytes.len(), frame.total_bytes());
                        self.sender.recycle(frame);
                        bytes.into()
                    }
                };
                let size = i32::from_be_bytes(bytes[..4].try_into().unwrap());
                assert_eq!(size as usize, bytes.len() - 4);
                if self
                    .wires
                    .get(&(link.index() as u32))
                    .is_some_and(|wire| wire.open)
                {
                    self.serve(link, bytes.slice(4..));
                }
            }
        }
    }

    /// The process ends and another one begins: its core, fresh, takes over. Gives back the old one.
    pub(super) fn replace_sender(&mut self, sender: Sender) -> Sender {
        self.wires.clear();
        std::mem::replace(&mut self.sender, sender)
    }
}
