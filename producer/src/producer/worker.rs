//! The producer's thread: commands in, turns, outcomes to tickets.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::not_written;
use super::queue::{Command, Queue, Queued};
use super::transactions::Calls;
use crate::clock::monotonic_ns;
use crate::driver::Driver;
use crate::error::{AppendError, Fatal};
use crate::record::{Outcome, Record, TopicHandle};
use crate::record_batch::Header;
use crate::ticket::{Delivered, DeliveryError, Slot};
use crate::transaction::{TransactionError, TransactionState};

/// REQUEST_TIMED_OUT: what `max.block.ms` ends with, as in the Java client.
const TIMED_OUT: i16 = 7;
/// MESSAGE_TOO_LARGE.
const TOO_LARGE: i16 = 10;
/// UNKNOWN_TOPIC_OR_PARTITION.
const UNKNOWN_PARTITION: i16 = 3;
/// What is too old for a broker to remember its producer by.
const UNKNOWN_PRODUCER_ID: i16 = 59;
/// INVALID_TXN_STATE: a record outside of a transaction.
const NO_TRANSACTION: i16 = 48;
/// TRANSACTION_ABORTABLE: a record that waited when its transaction was aborted.
const ABORTED: i16 = 120;
/// A flush has a ticket like a record, and nowhere to point to.
const FLUSHED: Result<Delivered, DeliveryError> = Ok(Delivered {
    partition: -1,
    offset: None,
});

pub(super) fn run(driver: Driver, queue: &Queue, max_block_ns: u64) {
    let mut worker = Worker {
        driver,
        queue,
        max_block_ns,
        commands: VecDeque::new(),
        topics: BTreeMap::new(),
        outstanding: Outstanding::default(),
        flushes: Vec::new(),
        calls: Calls::default(),
    };
    let ended = worker.work();
    worker.end(&ended);
}

struct Worker<'a> {
    driver: Driver,
    queue: &'a Queue,
    max_block_ns: u64,
    /// Fetched, and not yet carried out.
    commands: VecDeque<Command>,
    topics: BTreeMap<String, Topic>,
    outstanding: Outstanding,
    flushes: Vec<Flush>,
    calls: Calls,
}

struct Topic {
    handle: TopicHandle,
    /// Records (with their generation) that wait for the topic's partitions or for room: other topics go on.
    waiting: VecDeque<(u64, Box<Queued>)>,
}

/// A flush waits until no record of its generation or an earlier one is without an outcome.
struct Flush {
    generation: u64,
    slot: Arc<Slot>,
}

/// Records without an outcome: tickets of the appended ones by token, and how many there are in all per generation.
/// A flush ends a generation.
#[derive(Default)]
struct Outstanding {
    slots: Vec<Option<(u64, Arc<Slot>)>>,
    free: Vec<u64>,
    generation: u64,
    unsettled: BTreeMap<u64, u64>,
}

impl Outstanding {
    fn taken(&mut self) -> u64 {
        *self.unsettled.entry(self.generation).or_default() += 1;
        self.generation
    }

    fn next_token(&self) -> u64 {
        self.free.last().copied().unwrap_or(self.slots.len() as u64)
    }

    fn appended(&mut self, generation: u64, slot: Arc<Slot>) {
        match self.free.pop() {
            Some(token) => self.slots[token as usize] = Some((generation, slot)),
            None => self.slots.push(Some((generation, slot))),
        }
    }

    fn settle_token(&mut self, token: u64, outcome: Result<Delivered, DeliveryError>) {
        let entry = usize::try_from(token)
            .ok()
            .and_then(|token| self.slots.get_mut(token))
            .and_then(Option::take);
        if let Some((generation, slot)) = entry {
            self.free.push(token);
            self.settle(generation, &slot, outcome);
        }
    }

    fn settle(&mut self, generation: u64, slot: &Slot, outcome: Result<Delivered, DeliveryError>) {
        slot.settle(outcome);
        if let Some(count) = self.unsettled.get_mut(&generation) {
            *count -= 1;
            if *count == 0 {
                self.unsettled.remove(&generation);
            }
        }
    }

    fn is_settled(&self, generation: u64) -> bool {
        self.unsettled
            .first_key_value()
            .is_none_or(|(oldest, _)| *oldest > generation)
    }
}

impl Worker<'_> {
    /// Until a close (its deadline) or a fatal error.
    fn work(&mut self) -> Result<u64, Fatal> {
        self.driver.precise_timers();
        loop {
            self.driver.arm();
            self.queue.fetch(&mut self.commands, self.driver.metrics());
            let now_ns = monotonic_ns();
            let mut deadline_ns = None;
            while let Some(command) = self.commands.pop_front() {
                match command {
                    Command::Record(queued) => self.take(queued, now_ns),
                    Command::Flush(slot) => self.begin_flush(slot),
                    Command::Transaction(call, reply) => {
                        self.calls.called(call, reply, &mut self.driver);
                        self.hand_on_call();
                    }
                    Command::Close(at_ns) => deadline_ns = Some(at_ns),
                }
            }
            let give_up_ns = self.append_waiting(now_ns);
            self.hand_on_call();
            if let Some(deadline_ns) = deadline_ns {
                return Ok(deadline_ns);
            }
            let turned = self.driver.turn(give_up_ns);
            self.settle();
            turned?;
        }
    }

    fn take(&mut self, queued: Box<Queued>, now_ns: u64) {
        let topic = match self.topics.get_mut(&queued.record.topic) {
            Some(topic) => topic,
            None => {
                let handle = self.driver.topic(&queued.record.topic);
                self.topics.entry(queued.record.topic.clone()).or_insert(Topic {
                    handle,
                    waiting: VecDeque::new(),
                })
            }
        };
        topic.waiting.push_back((self.outstanding.taken(), queued));
        if topic.waiting.len() == 1 {
            // The usual case: nothing waits, the record goes straight in.
            append_some(
                &mut self.driver,
                topic,
                &mut self.outstanding,
                self.queue,
                now_ns,
                self.max_block_ns,
            );
        }
    }

    /// Tries again what waits. Returns when the first of them has waited for `max.block.ms`.
    fn append_waiting(&mut self, now_ns: u64) -> Option<u64> {
        let mut give_up_ns = None;
        for topic in self.topics.values_mut().filter(|topic| !topic.waiting.is_empty()) {
            append_some(
                &mut self.driver,
                topic,
                &mut self.outstanding,
                self.queue,
                now_ns,
                self.max_block_ns,
            );
            if let Some((_, first)) = topic.waiting.front() {
                let at_ns = first.taken_ns.saturating_add(self.max_block_ns);
                give_up_ns = Some(give_up_ns.map_or(at_ns, |earlier: u64| earlier.min(at_ns)));
            }
        }
        give_up_ns
    }

    /// A commit waits until what was sent before it is appended; an abort gives that up.
    fn hand_on_call(&mut self) {
        if self.calls.gives_up_waiting() {
            let (mut records, mut bytes) = (0, 0);
            for topic in self.topics.values_mut() {
                for (generation, queued) in topic.waiting.drain(..) {
                    (records, bytes) = (records + 1, bytes + queued.bytes);
                    let given_up = Err(not_written(ABORTED));
                    self.outstanding.settle(generation, &queued.slot, given_up);
                }
            }
            self.queue.left(records, bytes);
        }
        let waiting = self.topics.values().any(|topic| !topic.waiting.is_empty());
        self.calls.hand_on(waiting, &mut self.driver);
    }

    fn begin_flush(&mut self, slot: Arc<Slot>) {
        self.flushes.push(Flush {
            generation: self.outstanding.generation,
            slot,
        });
        self.outstanding.generation += 1;
        self.settle_flushes();
    }

    /// Outcomes to tickets.
    fn settle(&mut self) {
        while let Some(done) = self.driver.next_completion() {
            let code = done.error_code;
            for (i, &token) in done.tokens.iter().enumerate() {
                let outcome = match done.outcome {
                    Outcome::Acked => {
                        let offset = (done.base_offset >= 0).then(|| done.base_offset + i as i64);
                        Ok(Delivered {
                            partition: done.partition,
                            offset,
                        })
                    }
                    Outcome::NotWritten => Err(not_written(code)),
                    Outcome::Unknown => Err(DeliveryError::Unknown { code }),
                };
                self.outstanding.settle_token(token, outcome);
            }
        }
        while let Some(event) = self.driver.next_transaction_event() {
            self.calls.heard(event);
        }
        self.settle_flushes();
    }

    fn settle_flushes(&mut self) {
        if self.flushes.is_empty() {
            return;
        }
        self.flushes.retain(|flush| {
            let settled = self.outstanding.is_settled(flush.generation);
            if settled {
                flush.slot.settle(FLUSHED);
            }
            !settled
        });
        self.driver.set_flushing(!self.flushes.is_empty());
    }

    /// Everything gets its outcome, whatever ended the work.
    fn end(&mut self, ended: &Result<u64, Fatal>) {
        let mut fatal = ended.as_ref().err().cloned();
        if let Ok(deadline_ns) = *ended {
            // What waits for room or metadata still has until the deadline.
            while fatal.is_none() && monotonic_ns() < deadline_ns {
                let give_up_ns = self.append_waiting(monotonic_ns());
                if give_up_ns.is_none() && self.driver.pending() == 0 {
                    break;
                }
                self.driver.set_flushing(true);
                let until_ns = give_up_ns.map_or(deadline_ns, |at_ns| at_ns.min(deadline_ns));
                fatal = self.driver.turn(Some(until_ns)).err();
                self.settle();
            }
        }
        let closed = self.driver.close(monotonic_ns());
        fatal = fatal.or(closed.err());
        self.settle();
        self.calls.end(fatal.as_ref());
        self.queue.end(fatal);
        // Nothing new can come now; what came before is ended here.
        self.queue.fetch(&mut self.commands, self.driver.metrics());
        let waiting = self.topics.values_mut().flat_map(|topic| topic.waiting.drain(..));
        for (_, queued) in waiting {
            queued.slot.settle(Err(not_written(TIMED_OUT)));
        }
        for command in self.commands.drain(..) {
            match command {
                Command::Record(queued) => queued.slot.settle(Err(not_written(TIMED_OUT))),
                Command::Flush(slot) => slot.settle(FLUSHED),
                Command::Transaction(_, reply) => drop(reply.try_send(Err(TransactionError::Closed))),
                Command::Close(_) => {}
            }
        }
        for flush in self.flushes.drain(..) {
            flush.slot.settle(FLUSHED);
        }
    }
}

/// Appends what waits for a topic, in order, until the driver takes no more.
fn append_some(
    driver: &mut Driver,
    topic: &mut Topic,
    outstanding: &mut Outstanding,
    queue: &Queue,
    now_ns: u64,
    max_block_ns: u64,
) {
    let (mut records, mut bytes) = (0, 0);
    while let Some((_, first)) = topic.waiting.front() {
        let appended = append(driver, topic.handle, first, outstanding.next_token(), now_ns);
        let refused = match appended {
            Ok(()) => None,
            Err(error) if error.is_retriable() => {
                if now_ns < first.taken_ns.saturating_add(max_block_ns) {
                    break;
                }
                Some(TIMED_OUT)
            }
            Err(AppendError::TooLarge { .. }) => Some(TOO_LARGE),
            Err(AppendError::NoSuchPartition { .. }) => Some(UNKNOWN_PARTITION),
            Err(AppendError::TooOld { .. }) => Some(UNKNOWN_PRODUCER_ID),
            Err(AppendError::PartitionStopped { code } | AppendError::TransactionFailed { code }) => {
                Some(code)
            }
            Err(AppendError::NoTransaction) => Some(NO_TRANSACTION),
            Err(_) => Some(TIMED_OUT),
        };
        let Some((generation, taken)) = topic.waiting.pop_front() else {
            break;
        };
        records += 1;
        bytes += taken.bytes;
        if let Some(code) = refused
            && driver.transaction_state() == Some(TransactionState::InTransaction)
        {
            driver.fail_transaction(code);
        }
        match refused {
            None => outstanding.appended(generation, taken.slot),
            Some(code) => outstanding.settle(generation, &taken.slot, Err(not_written(code))),
        }
    }
    queue.left(records, bytes);
}

fn append(
    driver: &mut Driver,
    topic: TopicHandle,
    queued: &Queued,
    token: u64,
    now_ns: u64,
) -> Result<(), AppendError> {
    let record = &queued.record;
    let headers: Vec<Header<'_>> = record
        .headers
        .iter()
        .map(|(key, value)| Header {
            key,
            value: value.as_deref(),
        })
        .collect();
    let record = Record {
        topic,
        partition: record.partition,
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        headers: &headers,
        timestamp_ms: record.timestamp_ms.unwrap_or_default(),
    };
    driver.append(&record, token, now_ns)
}
