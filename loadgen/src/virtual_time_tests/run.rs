//! The worker's loop ([`crate::worker`]) with a number for a clock and a script for sockets.

use std::collections::BTreeMap;

use steadfast_producer::config::ProducerConfig;
use steadfast_producer::record::{self, Record, TopicHandle};
use steadfast_producer::sender::Sender;
use steadfast_verifier::history::{Outcome, Withheld};
use steadfast_verifier::workload::{Executor, Keys, PartitionChoice, Progress, Workload};

use super::broker::Broker;
use super::{CUT_AFTER, MS, OUTAGE_NS, PARTITIONS, RATE, SECOND, START, TOPIC};
use crate::generator::{Generator, Material};
use crate::load::Load;
use crate::waking::{HANDOVER_GAP_NS, WAKE_GAP_NS, Waking};

/// More turns of the loop than any of these runs needs.
const MAX_TURNS: u32 = 200_000;

/// One record's times, ns.
#[derive(Debug, Default)]
pub(super) struct Times {
    pub(super) due_ns: u64,
    pub(super) handed_ns: u64,
    /// 0 = no outcome yet.
    pub(super) acked_ns: u64,
    pub(super) partition: i32,
    pub(super) offset: i64,
}

pub(super) struct Run {
    pub(super) records: BTreeMap<u64, Times>,
    pub(super) broker: Broker,
    pub(super) pending_at_close: u64,
    pub(super) last: Progress,
    pub(super) withheld: Withheld,
}

/// The worker's loop in virtual time, from connecting to closing.
pub(super) fn run(seed: u64, buffer_memory: &str, stop_ns: Option<u64>) -> Run {
    let workload = workload(seed, buffer_memory);
    let config = ProducerConfig::from_properties(&workload.producer).unwrap();
    let mut load = Load::new(&workload, Waking::new(WAKE_GAP_NS, HANDOVER_GAP_NS)).unwrap();
    let material = Material::new(&workload).unwrap();
    let mut generator = Generator::new(&workload, &material).unwrap();
    let mut sender = Sender::new(&config, seed).unwrap();
    let topic = sender.topic(TOPIC);
    let mut broker = Broker::new(PARTITIONS, CUT_AFTER, OUTAGE_NS);
    let mut records = BTreeMap::new();
    let mut now_ns = START - SECOND;

    for turn in 0.. {
        assert!(turn < MAX_TURNS, "busy loop at {now_ns}");
        assert!(
            now_ns < START || sender.is_ready(),
            "{}",
            sender.not_ready_reason()
        );
        book(&mut sender, &mut load, &mut records);
        load.progress_due(now_ns);
        if stop_ns.is_some_and(|stop_ns| now_ns >= stop_ns) {
            load.stop();
        }
        // As many records as are sure to fit, each perhaps into a batch of its own.
        let room = sender.free_bytes() / config.batch_size;
        if load.woke(now_ns)
            && let Some((first, due_ns)) = load.take(now_ns, room)
        {
            for (index, &due_ns) in (first..).zip(due_ns) {
                append(&mut sender, &mut generator, topic, index, now_ns);
                let times = Times {
                    due_ns,
                    handed_ns: now_ns,
                    ..Times::default()
                };
                assert!(
                    records.insert(index, times).is_none(),
                    "record {index} was due twice"
                );
            }
        }
        if load.is_over(now_ns, sender.pending()) {
            break;
        }
        let wake_ns = load.next_wake(sender.free_bytes() >= config.batch_size, sender.pending() > 0);
        now_ns = turn_until(&mut sender, &mut broker, now_ns, wake_ns);
    }

    // As the driver closes: everything leaves, outcomes are waited for, then nothing is owed any more.
    let pending_at_close = sender.pending();
    sender.set_flushing(true, now_ns);
    let deadline_ns = now_ns + 5 * SECOND;
    while sender.pending() > 0 && now_ns < deadline_ns {
        now_ns = turn_until(&mut sender, &mut broker, now_ns, deadline_ns);
        book(&mut sender, &mut load, &mut records);
    }
    sender.abandon(now_ns);
    book(&mut sender, &mut load, &mut records);
    assert_eq!(sender.pending(), 0);
    assert_eq!(sender.free_bytes(), config.buffer_memory, "memory leaks");
    Run {
        records,
        broker,
        pending_at_close,
        withheld: load.give_up(now_ns, true),
        last: load.progress(now_ns, 0),
    }
}

/// One turn of the driver: acts, sleeps until something happens or `until_ns`, reads. Returns the time then.
fn turn_until(sender: &mut Sender, broker: &mut Broker, now_ns: u64, until_ns: u64) -> u64 {
    sender.advance(now_ns, (now_ns / MS) as i64);
    assert!(sender.fatal().is_none(), "{:?}", sender.fatal());
    while let Some(action) = sender.next_action() {
        broker.act(action, sender, now_ns);
    }
    let events = [sender.wakeup_ns(), broker.next_ns()].into_iter().flatten();
    let now_ns = events.fold(until_ns, u64::min).max(now_ns);
    broker.deliver(sender, now_ns);
    now_ns
}

fn append(sender: &mut Sender, generator: &mut Generator<'_>, topic: TopicHandle, index: u64, now_ns: u64) {
    let made = generator.advance();
    assert_eq!(made.index, index);
    let record = Record {
        topic,
        partition: made.partition,
        key: made.key,
        value: Some(made.value),
        headers: made.headers,
        timestamp_ms: (now_ns / MS) as i64,
    };
    sender.append(&record, index, now_ns).unwrap();
}

/// Takes the outcomes: one a record, all acked.
fn book(sender: &mut Sender, load: &mut Load, records: &mut BTreeMap<u64, Times>) {
    while let Some(done) = sender.next_completion() {
        assert_eq!(
            (done.outcome, done.error_code),
            (record::Outcome::Acked, 0),
            "{done:?}"
        );
        load.completed(done.tokens, Outcome::Acked, done.ack_ns);
        for (offset, index) in (done.base_offset..).zip(done.tokens) {
            let record = records
                .get_mut(index)
                .expect("an outcome of a record handed over");
            assert_eq!(record.acked_ns, 0, "record {index} has two outcomes");
            (record.acked_ns, record.partition, record.offset) = (done.ack_ns, done.partition, offset);
        }
    }
}

fn workload(seed: u64, buffer_memory: &str) -> Workload {
    let producer = [
        ("bootstrap.servers", "boot:9092"),
        ("linger.ms", "0"),
        ("buffer.memory", buffer_memory),
    ];
    Workload {
        seed,
        worker: 0,
        incarnation: 0,
        first_index: 0,
        bootstrap_servers: vec![],
        topic: TOPIC.into(),
        partitions: PARTITIONS,
        partition: PartitionChoice::RoundRobin,
        executor: Executor::ConstantArrivalRate { rate: RATE as f64 },
        start_ns: START,
        warmup_ns: 200 * MS,
        duration_ns: 800 * MS,
        drain_ns: 5 * SECOND,
        record_size: 100,
        keys: Keys::None,
        headers: vec![],
        transaction: None,
        copy: None,
        producer: producer.map(|(name, value)| (name.into(), value.into())).into(),
        history: "h".into(),
    }
}
