//! A client: the producer's core that ships, and the application around it, as the worker process is.
//!
//! ```text
//! bursts ─▶ due ─▶ history: handed over ─▶ Sender ─▶ actions ─▶ network
//!                  history: completed  ◀── outcomes ◀── answers ◀──┘
//! ```
//!
//! A crash takes all of it but the history and what the kernel already has. The next incarnation goes on with the next
//! index. Without a transactional id nothing fences its predecessor, whose bytes may still come: so each incarnation has
//! keys of its own, for order is promised within one producer session only.

mod records; // what it writes
mod copying; // what it writes if it copies

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use steadfast_producer::config::ProducerConfig;
use steadfast_producer::error::Fatal;
use steadfast_producer::record::{self, TopicHandle};
use steadfast_producer::sender::{Action, Frame, LinkId, Sender};
use steadfast_producer::transaction::TransactionEvent;
use steadfast_verifier::history::{Completed, Outcome, Recorded};

use self::records::Made;
use super::class::Class;
use super::copier::Copier;
use super::design::{Design, Records};
use super::network::{Item, Network, Toward};
use super::random::Random;
use super::swarm::{Swarm, node_of};
use super::transactions::Job;
use super::world::HEALTHY_LOAD_NS;
use super::world::Schedule;
use super::{MS, SECOND, SOURCE, TOPIC};

/// Streams of chance are numbered from here on, one for each client.
const STREAM: u64 = 1_000;
/// OUT_OF_ORDER_SEQUENCE_NUMBER.
const OUT_OF_ORDER: i16 = 45;
/// That and INVALID_RECORD: where the cluster keeps what it acknowledged, no fault makes a record end so.
const OUR_OWN: [i16; 2] = [OUT_OF_ORDER, 87];
/// And those of [`late`].
#[cfg(steadfast_mutants)]
const LATE_STREAM: u64 = 2_000;
/// Codes that pass: with `retries` unbounded only the deadline ends a record, with a code of its own.
const PASSING: [i16; 4] = [5, 6, 19, 74];
/// More turns of a client at one instant mean that it never sleeps.
const TURNS_MAX: u32 = 10_000;

/// What a client did that its user would complain about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// The anomaly that it counts as.
    pub(crate) anomaly: &'static str,
    pub(crate) what: String,
}

/// Counts of one client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) crashed: u64,
    pub(crate) fenced: u64,
    pub(crate) committed: u64,
    pub(crate) aborted: u64,
    pub(crate) in_doubt: u64,
    pub(crate) epoch_bumps: u64,
    pub(crate) retried: u64,
    /// Partitions that a producer stopped, since acknowledged records are gone (A10).
    pub(crate) alarms: u64,
}

/// One client.
pub(crate) struct Client {
    pub(crate) number: u16,
    incarnation: u32,
    config: ProducerConfig,
    /// The topic that it writes to.
    pub(crate) writes: &'static str,
    /// What it reads, if it copies.
    pub(crate) copier: Option<Copier>,
    /// None: it is down.
    pub(crate) sender: Option<Sender>,
    topic: Option<TopicHandle>,
    links: BTreeMap<LinkId, usize>,
    pub(crate) history: Recorded,
    /// Histories of earlier incarnations.
    pub(crate) before: Vec<Recorded>,
    next_index: u64,
    records_max: u64,
    shape: Records,
    clients: u16,
    /// By key, the next number.
    sequences: Vec<u32>,
    by_key: bool,
    hot: u64,
    partitions: u64,
    /// The cluster may lose what it acknowledged: then the producer is to say so, and stop that partition.
    may_lose: bool,
    /// Partitions of which it said so.
    pub(crate) alarms: Vec<i32>,
    // The load.
    burst_max: u64,
    gap_ns: u64,
    next_burst_ns: u64,
    load_end_ns: u64,
    due: VecDeque<u64>,
    pub(crate) held: VecDeque<Made>,
    held_until_ns: u64,
    /// With transactional.id.
    pub(crate) job: Option<Job>,
    random: Random,
    pub(crate) complaints: Vec<Complaint>,
    pub(crate) counts: Counts,
    turns: (u64, u32),
    /// By transaction: some record of it did not end acknowledged.
    short: u64,
    /// The last one of which a record was acknowledged.
    wrote: u64,
    /// With which producer id and epoch it was given its transactional id, when it heard so, and when the last transaction
    /// that it committed was begun.
    pub(crate) owner: (i64, i16),
    pub(crate) owner_ns: u64,
    pub(crate) committed_ns: Option<u64>,
    /// Another has its transactional id: it does not come back.
    pub(crate) retired: bool,
    /// It never gives up before its time: `retries` is not bounded.
    patient: bool,
    #[cfg(steadfast_mutants)]
    without: Option<steadfast_producer::rules::Rule>,
    #[cfg(test)]
    pub(crate) flaw: Option<super::tests::Flaw>,
    #[cfg(test)]
    kept: Option<Made>,
    /// Number and epoch that a fresh producer id begins with.
    #[cfg(steadfast_mutants)]
    late: (i32, i16),
}

impl Client {
    /// Down, until [`Client::start`].
    pub(crate) fn new(
        number: u16,
        design: &Design,
        swarm: &Swarm,
        seed: u64,
        (start_ns, load_end_ns, rate): (u64, u64, u64),
    ) -> Result<Client, String> {
        let knobs = &swarm.clients[number as usize];
        let writes = match (swarm.class, knobs.copies) {
            (Class::Copy, false) => SOURCE,
            _ => TOPIC,
        };
        let config = ProducerConfig::from_properties(&knobs.properties).map_err(|errors| {
            let lines = errors
                .iter()
                .map(|error| format!("{}: {}; {}", error.key, error.reason, error.mend));
            lines.collect::<Vec<_>>().join(" · ")
        })?;
        let patient = knobs
            .properties
            .get("retries")
            .is_some_and(|retries| *retries == i32::MAX.to_string());
        Ok(Client {
            number,
            incarnation: 0,
            config,
            writes,
            copier: None,
            sender: None,
            topic: None,
            links: BTreeMap::new(),
            history: Recorded::new(number, 0, 0),
            before: Vec::new(),
            next_index: 0,
            records_max: design.records_max,
            shape: design.records,
            clients: design.clients,
            sequences: vec![0; design.records.keys as usize],
            by_key: swarm.by_key,
            hot: swarm.hot,
            partitions: design.partitions as u64,
            may_lose: swarm.class == Class::Unclean,
            alarms: Vec::new(),
            burst_max: swarm.burst_max,
            // Bursts of 1 to burst_max records, so that the mean rate is as asked for.
            gap_ns: SECOND * (swarm.burst_max + 1) / (2 * rate.max(1)),
            next_burst_ns: start_ns,
            load_end_ns,
            due: VecDeque::new(),
            held: VecDeque::new(),
            held_until_ns: 0,
            job: knobs.transactional_id.is_some().then(|| {
                Job::new(
                    knobs.transaction_timeout_ns,
                    patient,
                    load_end_ns - HEALTHY_LOAD_NS,
                )
            }),
            random: Random::new(seed, STREAM + u64::from(number)),
            complaints: Vec::new(),
            counts: Counts::default(),
            turns: (0, 0),
            short: 0,
            wrote: 0,
            owner: (-1, -1),
            owner_ns: 0,
            committed_ns: None,
            retired: false,
            patient,
            #[cfg(steadfast_mutants)]
            without: None,
            #[cfg(test)]
            flaw: None,
            #[cfg(test)]
            kept: None,
            #[cfg(steadfast_mutants)]
            late: late(seed, number),
        })
    }

    /// It makes no records of its own: it copies.
    pub(crate) fn copying(self, copier: Copier) -> Client {
        Client {
            copier: Some(copier),
            load_end_ns: 0,
            ..self
        }
    }

    /// Its user does this wrong.
    #[cfg(test)]
    pub(crate) fn with_flaw(self, flaw: Option<super::tests::Flaw>) -> Client {
        Client { flaw, ..self }
    }

    /// Its producer breaks this rule.
    #[cfg(steadfast_mutants)]
    pub(crate) fn breaking(self, without: Option<steadfast_producer::rules::Rule>) -> Client {
        Client { without, ..self }
    }

    /// The process starts, for the first time or again.
    pub(crate) fn start(&mut self, now_ns: u64) {
        if self.sender.is_some() || self.retired {
            return;
        }
        match Sender::new(&self.config, self.random.next()) {
            Ok(mut sender) => {
                #[cfg(steadfast_mutants)]
                if let Some(rule) = self.without {
                    sender.leave_out(rule);
                }
                #[cfg(steadfast_mutants)]
                sender.begin_late(self.late.0, self.late.1);
                self.topic = Some(sender.topic(self.writes));
                if let Some(job) = &mut self.job {
                    job.start(&mut sender, now_ns);
                }
                self.sender = Some(sender);
            }
            Err(fatal) => self.complain(&format!("cannot start: {fatal}")),
        }
    }

    /// Who it is in histories. Nothing fences a crashed client without a transactional id, so its order ends with it:
    /// where no key of its own can show that, each incarnation is a worker of its own.
    pub(super) fn worker(&self) -> u16 {
        if self.shape.keys == 0 && self.job.is_none() {
            self.number
                .wrapping_add(self.clients.wrapping_mul(self.incarnation as u16))
        } else {
            self.number
        }
    }

    /// SIGKILL. True if there was something to kill.
    pub(crate) fn crash(&mut self, now_ns: u64, network: &mut Network, schedule: &mut Schedule) -> bool {
        if self.sender.is_none() {
            return false;
        }
        self.counts.crashed += 1;
        self.end(now_ns, network, schedule);
        true
    }

    /// The process is gone; its history stays.
    fn end(&mut self, now_ns: u64, network: &mut Network, schedule: &mut Schedule) {
        if let Some(sender) = self.sender.take() {
            let metrics = sender.metrics();
            self.counts.epoch_bumps += metrics.epoch_bump_total;
            self.counts.retried += metrics.batch_retry_total;
        }
        for (_, connection) in std::mem::take(&mut self.links) {
            network.client_closed(connection, now_ns, schedule);
        }
        if let Some(copier) = &mut self.copier {
            copier.lose(now_ns, network, schedule);
        }
        self.held.clear();
        self.short = 0;
        self.wrote = 0;
        self.incarnation += 1;
        let next = Recorded::new(self.worker(), self.incarnation, self.next_index);
        self.before.push(std::mem::replace(&mut self.history, next));
        if self.job.is_none() {
            self.sequences.fill(0);
        }
    }

    /// A connection stands.
    pub(crate) fn connected(&mut self, link: LinkId, connection: usize, now_ns: u64) {
        if self.links.get(&link) == Some(&connection)
            && let Some(sender) = &mut self.sender
        {
            sender.connected(link, now_ns);
        }
    }

    /// A whole answer came; its size field is in it.
    pub(crate) fn received(&mut self, link: LinkId, connection: usize, frame: &[u8], now_ns: u64) {
        if self.links.get(&link) == Some(&connection)
            && let Some(sender) = &mut self.sender
        {
            sender.received(link, &frame[4..], now_ns);
        }
    }

    /// A connection is gone, or was refused. True if the client had it.
    pub(crate) fn disconnected(&mut self, link: LinkId, connection: usize, now_ns: u64) -> bool {
        if self.links.get(&link) != Some(&connection) {
            return false;
        }
        self.links.remove(&link);
        if let Some(sender) = &mut self.sender {
            sender.disconnected(link, "closed by the other end", now_ns);
        }
        true
    }

    /// Does all that may be done now. Answers after how long a producer that stopped is to be started again.
    pub(crate) fn turn(
        &mut self,
        now_ns: u64,
        wall_ms: i64,
        network: &mut Network,
        schedule: &mut Schedule,
    ) -> Option<u64> {
        self.turns = if self.turns.0 == now_ns {
            (now_ns, self.turns.1 + 1)
        } else {
            (now_ns, 1)
        };
        if self.turns.1 == TURNS_MAX {
            self.complain(&format!("{TURNS_MAX} turns at the same instant: it never sleeps"));
            self.end(now_ns, network, schedule);
            return Some(SECOND);
        }
        self.sender.as_ref()?;
        self.book(now_ns);
        self.fill(now_ns);
        self.hand_over(now_ns, wall_ms);
        if let Some(sender) = &mut self.sender {
            sender.advance(now_ns, wall_ms);
        }
        self.act(now_ns, network, schedule);
        self.book(now_ns);
        let fatal = self.sender.as_ref()?.fatal().cloned()?;
        self.stopped(&fatal, now_ns, network, schedule)
    }

    /// When the next turn is due at the latest.
    pub(crate) fn wakeup_ns(&self) -> u64 {
        let Some(sender) = &self.sender else {
            return u64::MAX;
        };
        let takes = self.job.as_ref().is_none_or(Job::takes_records);
        let full = self.next_index >= self.records_max;
        let burst_ns = if self.next_burst_ns < self.load_end_ns && !full {
            self.next_burst_ns
        } else {
            u64::MAX
        };
        let held_ns = if self.held.is_empty() || !takes {
            u64::MAX
        } else {
            self.held_until_ns
        };
        let input = self
            .copier
            .as_ref()
            .is_some_and(|copier| !copier.inbox.is_empty());
        let due_ns = if (self.due.is_empty() && !input) || !takes || !self.held.is_empty() || full {
            u64::MAX
        } else {
            0
        };
        let job_ns = self.job.as_ref().map_or(u64::MAX, |job| job.wakeup_ns(sender));
        sender
            .wakeup_ns()
            .unwrap_or(u64::MAX)
            .min(burst_ns)
            .min(held_ns)
            .min(due_ns)
            .min(job_ns)
    }

    /// All records have their outcome, all transactions their end, and none will come.
    pub(crate) fn is_done(&self, now_ns: u64) -> bool {
        if self.retired {
            return true;
        }
        let load_over = now_ns >= self.load_end_ns || self.next_index >= self.records_max;
        let settled =
            self.job.as_ref().is_none_or(Job::is_idle) && self.copier.as_ref().is_none_or(Copier::is_idle);
        let empty = self.held.is_empty() && (self.due.is_empty() || self.next_index >= self.records_max);
        let pending = self.sender.as_ref().map_or(u64::MAX, Sender::pending);
        load_over && settled && empty && pending == 0
    }

    /// The end of the world: what has no outcome is complained of, then given up.
    pub(crate) fn close(&mut self, now_ns: u64) {
        if !self.is_done(now_ns) {
            let why = self.sender.as_ref().map_or("it is down".to_owned(), |sender| {
                format!(
                    "{} records without an outcome, {} held, {} due, transaction {:?}, fatal {:?}, ready: {}",
                    sender.pending(),
                    self.held.len(),
                    self.due.len(),
                    sender.transaction_state(),
                    sender.fatal(),
                    sender.is_ready() || sender.not_ready_reason().is_empty(),
                )
            });
            self.complain(&format!("not drained: {why}"));
        }
        // The loser of two rivals may well fail to the end.
        if !self.retired && self.job.as_ref().is_some_and(Job::is_stuck) {
            self.accuse("V2", "after the heal transactions failed, and none was committed");
        }
        if let Some(sender) = &mut self.sender {
            sender.abandon(now_ns);
        }
        self.book(now_ns);
        for made in std::mem::take(&mut self.held) {
            self.refused(&made, now_ns, 7);
        }
        if let Some(sender) = &self.sender {
            let metrics = sender.metrics();
            self.counts.epoch_bumps += metrics.epoch_bump_total;
            self.counts.retried += metrics.batch_retry_total;
        }
        if self.sender.is_some() || self.retired {
            self.history.finish();
        }
    }

    pub(crate) fn complain(&mut self, what: &str) {
        self.accuse("V4", what);
    }

    pub(crate) fn accuse(&mut self, anomaly: &'static str, what: &str) {
        let what = format!("client {}: {what}", self.number);
        self.complaints.push(Complaint { anomaly, what });
    }

    // ---- The producer ----

    /// Writes down outcomes and ends of transactions.
    fn book(&mut self, now_ns: u64) {
        let Some(sender) = &mut self.sender else {
            return;
        };
        let mut given_up = None;
        while let Some(done) = sender.next_completion() {
            let hasty = self.patient
                && done.outcome == record::Outcome::NotWritten
                && PASSING.contains(&done.error_code);
            if self.may_lose && done.error_code == OUT_OF_ORDER {
                if !self.alarms.contains(&done.partition) {
                    self.alarms.push(done.partition);
                    self.counts.alarms += 1;
                }
            } else if done.transaction == 0 && (hasty || OUR_OWN.contains(&done.error_code)) {
                given_up = Some(done.error_code);
            }
            if done.transaction > 0 && done.outcome != record::Outcome::Acked {
                self.short = done.transaction;
            } else {
                self.wrote = done.transaction;
            }
            self.history.completed(&Completed {
                indexes: done.tokens,
                partition: done.partition,
                base_offset: done.base_offset,
                outcome: outcome(done.outcome),
                error_code: done.error_code,
                ack_ns: done.ack_ns,
                producer_id: done.producer_id,
                producer_epoch: done.producer_epoch,
                base_sequence: done.base_sequence,
                transaction: done.transaction,
            });
        }
        if let Some(code) = given_up {
            self.complain(&format!(
                "records ended with code {code}, which only a mistake of its own can bring"
            ));
        }
        let Some(sender) = &mut self.sender else {
            return;
        };
        let mut torn = None;
        let mut ended = Vec::new();
        if let Some(job) = &mut self.job {
            while let Some(event) = sender.next_transaction_event() {
                if let TransactionEvent::Committed { transaction } = event {
                    // Nothing is a commit of nothing: nobody was asked.
                    self.committed_ns = (self.wrote == transaction).then_some(job.begun_ns);
                    torn =
                        torn.or((transaction == self.short || sender.pending() > 0).then_some(transaction));
                }
                if let TransactionEvent::Initialized {
                    producer_id,
                    producer_epoch,
                } = event
                {
                    self.owner = (producer_id, producer_epoch);
                    self.owner_ns = now_ns;
                }
                ended.push(event);
                job.told(event, now_ns, &mut self.history, &mut self.counts);
            }
        }
        for event in ended {
            self.copy_told(event, now_ns);
        }
        if let Some(transaction) = torn {
            self.accuse(
                "T3",
                &format!("transaction {transaction} was committed without all of its records"),
            );
        }
    }

    fn act(&mut self, now_ns: u64, network: &mut Network, schedule: &mut Schedule) {
        while let Some(action) = self.sender.as_mut().and_then(Sender::next_action) {
            match action {
                Action::Connect { link, port, .. } => {
                    let connection =
                        network.connect(self.number, Some(link), node_of(port), now_ns, schedule);
                    if let Some(old) = self.links.insert(link, connection) {
                        network.client_closed(old, now_ns, schedule);
                    }
                }
                Action::Close { link } => {
                    if let Some(connection) = self.links.remove(&link) {
                        network.client_closed(connection, now_ns, schedule);
                    }
                }
                Action::Send { link, frame } => {
                    let bytes = self.bytes(frame);
                    if let Some(&connection) = self.links.get(&link) {
                        network.push(connection, Toward::Node, Item::Frame(bytes), now_ns, schedule);
                    }
                }
            }
        }
    }

    fn bytes(&mut self, frame: Frame) -> Bytes {
        match frame {
            Frame::Plain(bytes) => bytes,
            Frame::Produce(frame) => {
                let mut bytes = BytesMut::with_capacity(frame.total_bytes());
                while bytes.len() < frame.total_bytes() {
                    let mut slices = [std::io::IoSlice::new(&[]); 16];
                    let count = frame.slices(bytes.len(), &mut slices);
                    for slice in &slices[..count] {
                        bytes.extend_from_slice(slice);
                    }
                }
                if let Some(sender) = &mut self.sender {
                    sender.recycle(frame);
                }
                bytes.freeze()
            }
        }
    }

    /// The producer can do no more. One that was fenced is started again by whoever watches over it.
    fn stopped(
        &mut self,
        fatal: &Fatal,
        now_ns: u64,
        network: &mut Network,
        schedule: &mut Schedule,
    ) -> Option<u64> {
        match fatal {
            Fatal::Fenced { .. } => {
                self.counts.fenced += 1;
                if let Some(job) = &mut self.job {
                    job.note(false, true, now_ns);
                }
            }
            other => self.complain(&format!("it stopped: {other}")),
        }
        if let Some(sender) = &mut self.sender {
            sender.abandon(now_ns);
        }
        self.book(now_ns);
        for made in std::mem::take(&mut self.held) {
            self.refused(&made, now_ns, -1);
        }
        self.history.finish();
        self.end(now_ns, network, schedule);
        Some(self.random.between(1, 1_000) * MS)
    }
}

fn outcome(outcome: record::Outcome) -> Outcome {
    match outcome {
        record::Outcome::Acked => Outcome::Acked,
        record::Outcome::NotWritten => Outcome::NotWritten,
        record::Outcome::Unknown => Outcome::Unknown,
    }
}

/// In a build for mutants some clients begin near the last number, and near the last epoch.
#[cfg(steadfast_mutants)]
fn late(seed: u64, number: u16) -> (i32, i16) {
    let mut random = Random::new(seed, LATE_STREAM + u64::from(number));
    let sequence = i32::MAX - random.below(300) as i32;
    let epoch = random.pick(&[32_766, 32_767]);
    (
        if random.percent(20) { sequence } else { 0 },
        if random.percent(20) { epoch } else { 0 },
    )
}
