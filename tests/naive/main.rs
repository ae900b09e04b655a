//! A client as it is often written: what fails is sent again, and nothing tells the broker that it is the same. It is a
//! subject (docs/subject.md) that the judge must find guilty; a harness that passes everything proves nothing.
//!
//! ```text
//! due records ─▶ a batch per partition ─▶ up to five requests a broker ─▶ answers
//!                     ▲                                                     │ error, silence, a connection that ends
//!                     └──────────────── the same records again ◀────────────┘
//! ```
//! `NAIVE` in its environment says which mistake it makes:
//! - `retries`: no idempotence; what was not answered is sent again. Written twice: D1, D2; and out of order: O1.
//! - `renumbers`: idempotent, until something fails: then it asks for a new producer id and numbers from 0 again, so that
//!   the broker cannot know its batches.
//! - `forgets`: as `retries`, but what fails is counted as acknowledged, as clients do that never look at the result: L1.

#![expect(
    clippy::disallowed_methods,
    reason = "a subject has clocks and sockets of its own"
)]

mod connection; // one broker: requests out, answers in

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::io::Write;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use steadfast_loadgen::generator::{Generator, Material};
use steadfast_loadgen::schedule::Schedule;
use steadfast_verifier::history::{Completed, Header, Outcome, Writer};
use steadfast_verifier::workload::{Progress, Workload};
use steadfast_wire::admin;
use steadfast_wire::connection::Connection;
use steadfast_wire::kafka_protocol::messages::InitProducerIdRequest;
use steadfast_wire::kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

use connection::{Answer, Leader};

/// How long records wait for company.
const LINGER: Duration = Duration::from_millis(5);
/// Requests in flight to a broker.
const IN_FLIGHT: usize = 5;
/// Records of a batch.
const BATCH: usize = 400;
/// An answer that takes longer never comes: the client gives up hope, and sends again.
const REQUEST_TIMEOUT_NS: u64 = 2_000_000_000;
/// How long it waits before it looks for the leaders again.
const RETRY_BACKOFF_NS: u64 = 100_000_000;
/// A question about leaders or ids.
const ASK: Duration = Duration::from_secs(2);

type Failure = Box<dyn Error>;

/// Which mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    Retries,
    Renumbers,
    Forgets,
}

/// A producer id and epoch, and the next number of each partition.
#[derive(Debug, Clone, Default)]
struct Numbers {
    id: i64,
    epoch: i16,
    next: BTreeMap<i32, i32>,
}

/// Records of one partition on their way.
#[derive(Debug, Clone)]
struct Batch {
    partition: i32,
    indexes: Vec<u64>,
    records: Vec<Record>,
}

struct Naive {
    workload: Workload,
    mistake: Mistake,
    history: Writer,
    /// By partition.
    waiting: BTreeMap<i32, VecDeque<Batch>>,
    /// By node id.
    leaders: BTreeMap<i32, Leader>,
    /// Of each partition.
    leader_of: BTreeMap<i32, i32>,
    look_again_ns: u64,
    numbers: Numbers,
    sent: u64,
    done: u64,
}

fn main() -> Result<(), Failure> {
    let mistake = match std::env::var("NAIVE").as_deref() {
        Ok("renumbers") => Mistake::Renumbers,
        Ok("forgets") => Mistake::Forgets,
        Ok("retries") | Err(_) => Mistake::Retries,
        Ok(other) => return Err(format!("NAIVE={other}: give retries, renumbers or forgets").into()),
    };
    let mut args = std::env::args().skip(1);
    let (Some(flag), Some(file), None) = (args.next(), args.next(), args.next()) else {
        return Err("usage: naive --workload FILE".into());
    };
    if flag != "--workload" {
        return Err(format!("{flag}: give --workload FILE").into());
    }
    let workload: Workload = serde_json::from_slice(&std::fs::read(file)?)?;
    if workload.transaction.is_some() || workload.copy.is_some() {
        return Err("transactions and copies are beyond this client".into());
    }
    let header = Header {
        worker: workload.worker,
        incarnation: workload.incarnation,
        seed: workload.seed,
        workload: workload.clone(),
        started_ns: now_ns(),
        started_wall_ms: 0,
    };
    let history = Writer::create(&workload.history, &header)?;
    let mut naive = Naive {
        workload,
        mistake,
        history,
        waiting: BTreeMap::new(),
        leaders: BTreeMap::new(),
        leader_of: BTreeMap::new(),
        look_again_ns: 0,
        numbers: Numbers {
            id: -1,
            epoch: -1,
            next: BTreeMap::new(),
        },
        sent: 0,
        done: 0,
    };
    naive.renumber();
    naive.drive()?;
    naive.history.finish()?;
    Ok(())
}

impl Naive {
    /// From the first due record to the last answer, or until the drain is over.
    fn drive(&mut self) -> Result<(), Failure> {
        let workload = self.workload.clone();
        let material = Material::new(&workload)?;
        let mut generator = Generator::new(&workload, &material)?;
        let mut schedule = Schedule::new(&workload)?;
        let give_up_ns = schedule.end_ns().saturating_add(workload.drain_ns);
        let mut due = Vec::new();
        let mut tell_ns = 0;
        loop {
            let now = now_ns();
            let first = schedule.take_due(now, usize::MAX, &mut due);
            self.history.handed_over(first, &due, now)?;
            for _ in &due {
                self.take(&mut generator);
            }
            self.answers()?;
            self.silence();
            self.send();
            let over = schedule.next_due().is_none() && (self.done == self.sent || now > give_up_ns);
            if now >= tell_ns || over {
                tell_ns = now + 1_000_000_000;
                self.tell(over)?;
            }
            if over {
                return Ok(());
            }
            std::thread::sleep(LINGER);
        }
    }

    /// The next record, to the end of its partition's queue.
    fn take(&mut self, generator: &mut Generator<'_>) {
        let made = generator.advance();
        let hash = made.key.unwrap_or_default().iter().fold(0_u32, |hash, byte| {
            hash.wrapping_mul(31).wrapping_add(u32::from(*byte))
        });
        let partition = made.partition.unwrap_or((hash % self.workload.partitions) as i32);
        let queue = self.waiting.entry(partition).or_default();
        if queue.back().is_none_or(|batch| batch.indexes.len() >= BATCH) {
            queue.push_back(Batch {
                partition,
                indexes: Vec::new(),
                records: Vec::new(),
            });
        }
        if let Some(batch) = queue.back_mut() {
            batch.indexes.push(made.index);
            batch.records.push(record(made.key, made.value));
        }
        self.sent += 1;
    }

    /// Sends what waits to whoever leads, one batch a partition in each request.
    fn send(&mut self) {
        if self.leader_of.is_empty() || self.waiting.values().any(|queue| !queue.is_empty()) {
            self.look();
        }
        let nodes: Vec<i32> = self.leaders.keys().copied().collect();
        for node in nodes {
            while self
                .leaders
                .get(&node)
                .is_some_and(|leader| leader.in_flight() < IN_FLIGHT)
            {
                let mut batches = Vec::new();
                for (partition, queue) in &mut self.waiting {
                    if self.leader_of.get(partition) == Some(&node) {
                        batches.extend(queue.pop_front());
                    }
                }
                if batches.is_empty() {
                    break;
                }
                let encoded = batches
                    .iter()
                    .map(|batch| (batch.partition, encode(batch, &mut self.numbers)));
                let encoded: Vec<(i32, Bytes)> = encoded.collect();
                let topic = self.workload.topic.clone();
                let sent = self
                    .leaders
                    .get_mut(&node)
                    .is_some_and(|leader| leader.send(&topic, &encoded, batches.clone(), now_ns()));
                if !sent {
                    self.failed(batches);
                    self.lose(node);
                    break;
                }
            }
        }
    }

    fn answers(&mut self) -> Result<(), Failure> {
        let nodes: Vec<i32> = self.leaders.keys().copied().collect();
        for node in nodes {
            while let Some(answer) = self.leaders.get_mut(&node).and_then(Leader::answer) {
                match answer {
                    Answer::Ended => {
                        self.lose(node);
                        break;
                    }
                    Answer::Produced(batches, results) => {
                        for batch in batches {
                            match results.get(&batch.partition) {
                                Some((0, offset)) => self.acknowledged(&batch, *offset)?,
                                other => {
                                    // For whoever wonders why it goes on and on; stderr is logs/worker-0.log.
                                    eprintln!("partition {}: {other:?}", batch.partition);
                                    self.failed(vec![batch]);
                                }
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn acknowledged(&mut self, batch: &Batch, base_offset: i64) -> Result<(), Failure> {
        self.done += batch.indexes.len() as u64;
        self.history.completed(&Completed {
            indexes: &batch.indexes,
            partition: batch.partition,
            base_offset,
            outcome: Outcome::Acked,
            error_code: 0,
            ack_ns: now_ns(),
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            transaction: 0,
            broker: -1,
            correlation_id: -1,
        })?;
        Ok(())
    }

    /// The mistake.
    fn failed(&mut self, batches: Vec<Batch>) {
        self.look_again_ns = now_ns() + RETRY_BACKOFF_NS;
        self.leader_of.clear();
        for batch in batches {
            if self.mistake == Mistake::Forgets {
                // "Sent": nobody looks at the result. A full history is all that could go wrong here.
                let _written = self.acknowledged(&batch, -1);
            } else {
                self.waiting.entry(batch.partition).or_default().push_back(batch);
            }
        }
        if self.mistake == Mistake::Renumbers {
            self.renumber();
        }
    }

    /// Requests that nobody answers.
    fn silence(&mut self) {
        let now = now_ns();
        let silent = |leader: &Leader| {
            leader
                .oldest_ns()
                .is_some_and(|sent| now > sent + REQUEST_TIMEOUT_NS)
        };
        let nodes: Vec<i32> = self
            .leaders
            .iter()
            .filter(|(_, leader)| silent(leader))
            .map(|(node, _)| *node)
            .collect();
        for node in nodes {
            self.lose(node);
        }
    }

    fn lose(&mut self, node: i32) {
        if let Some(leader) = self.leaders.remove(&node) {
            eprintln!(
                "the connection to {node} is given up, {} requests unanswered",
                leader.in_flight()
            );
            self.failed(leader.unanswered());
        }
    }

    /// Asks anyone for the leaders, not too often.
    fn look(&mut self) {
        if !self.leader_of.is_empty() || now_ns() < self.look_again_ns {
            return;
        }
        self.look_again_ns = now_ns() + RETRY_BACKOFF_NS;
        let view = self.workload.bootstrap_servers.iter().find_map(|server| {
            let mut connection = Connection::connect(server, "naive", ASK).ok()?;
            admin::metadata(&mut connection, Some(&[&self.workload.topic])).ok()
        });
        let Some(view) = view else { return };
        for partition in view.topics.iter().flat_map(|topic| &topic.partitions) {
            let Some(broker) = view.broker(partition.leader) else {
                self.leader_of.clear();
                return;
            };
            if !self.leaders.contains_key(&broker.id) {
                let Some(leader) = Leader::connect(&broker.addr) else {
                    self.leader_of.clear();
                    return;
                };
                self.leaders.insert(broker.id, leader);
            }
            self.leader_of.insert(partition.partition, broker.id);
        }
    }

    /// A new producer id, if this client has one at all; every partition from 0 again.
    fn renumber(&mut self) {
        if self.mistake != Mistake::Renumbers {
            return;
        }
        let answer = self.workload.bootstrap_servers.iter().find_map(|server| {
            let mut connection = Connection::connect(server, "naive", ASK).ok()?;
            let request = InitProducerIdRequest::default()
                .with_transactional_id(None)
                .with_transaction_timeout_ms(60_000);
            connection
                .request(&request)
                .ok()
                .filter(|answer| answer.error_code == 0)
        });
        if let Some(answer) = answer {
            self.numbers = Numbers {
                id: answer.producer_id.0,
                epoch: answer.producer_epoch,
                next: BTreeMap::new(),
            };
        }
    }

    fn tell(&self, done: bool) -> Result<(), Failure> {
        let progress = Progress {
            at_ns: now_ns(),
            sent: self.sent,
            acked: self.done,
            not_written: 0,
            debt: 0,
            p99_ns: 0,
            generator_tid: std::process::id(),
            done,
            note: None,
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", serde_json::to_string(&progress)?)?;
        out.flush()?;
        Ok(())
    }
}

fn record(key: Option<&[u8]>, value: &[u8]) -> Record {
    Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence: -1,
        timestamp: 0,
        key: key.map(Bytes::copy_from_slice),
        value: Some(Bytes::copy_from_slice(value)),
        headers: Default::default(),
    }
}

/// Offsets count from 0 within a batch, and sequence numbers on from the last one.
fn encode(batch: &Batch, numbers: &mut Numbers) -> Bytes {
    let mut records = batch.records.clone();
    let first = numbers.next.get(&batch.partition).copied().unwrap_or(0);
    for (at, record) in records.iter_mut().enumerate() {
        record.offset = at as i64;
        record.producer_id = numbers.id;
        record.producer_epoch = numbers.epoch;
        // The encoder takes a jump for the begin of another batch, so it counts on from -1 too, which alone is written.
        record.sequence = if numbers.id < 0 { -1 } else { first } + at as i32;
    }
    if numbers.id >= 0 {
        numbers.next.insert(batch.partition, first + records.len() as i32);
    }
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    let mut bytes = BytesMut::new();
    RecordBatchEncoder::encode(&mut bytes, &records, &options).expect("plain records fit a batch");
    bytes.freeze()
}

fn now_ns() -> u64 {
    steadfast_chaos::clock::now_ns()
}
