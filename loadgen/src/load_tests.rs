//! A whole load in virtual time: a clock that is a number, a producer that is a queue of promised acknowledgements.

use std::collections::VecDeque;

use steadfast_verifier::workload::{Executor, Keys, PartitionChoice, Workload};

use super::*;
use crate::waking::{HANDOVER_GAP_NS, WAKE_GAP_NS};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
const START: u64 = 10 * SECOND;

fn workload(executor: Executor) -> Workload {
    Workload {
        seed: 1,
        worker: 0,
        incarnation: 0,
        first_index: 0,
        bootstrap_servers: vec![],
        topic: "orders".into(),
        partitions: 6,
        partition: PartitionChoice::RoundRobin,
        executor,
        start_ns: START,
        warmup_ns: SECOND,
        duration_ns: SECOND,
        drain_ns: 2 * SECOND,
        record_size: 100,
        keys: Keys::None,
        headers: vec![],
        transaction: None,
        copy: None,
        producer: Default::default(),
        history: "h".into(),
    }
}

/// A record's index, when it was due, when it was handed over.
type Handed = (u64, u64, u64);

/// A producer that acknowledges each run after `service_ns`, holds at most `buffer` records, and is cut off from its
/// broker for one stretch of time.
struct Producer {
    service_ns: u64,
    buffer: usize,
    outage: std::ops::Range<u64>,
    held: usize,
    promised: VecDeque<(u64, Vec<u64>)>,
}

struct Run {
    handed: Vec<Handed>,
    wakes_with_nothing: u64,
    wakes: u64,
    ended_ns: u64,
    withheld: Withheld,
    last: Progress,
}

fn run(load: &mut Load, mut producer: Producer, stop_at: Option<u64>) -> Run {
    let (mut now, mut wakes, mut wakes_with_nothing, mut handed) = (START - SECOND, 0, 0, Vec::new());
    loop {
        wakes += 1;
        assert!(wakes < 1_000_000, "busy loop at {now}");
        let mut useful = load.progress_due(now);
        while producer.promised.front().is_some_and(|(at, _)| *at <= now) {
            let (at, indexes) = producer.promised.pop_front().unwrap();
            producer.held -= indexes.len();
            load.completed(&indexes, Outcome::Acked, at);
            useful = true;
        }
        if stop_at.is_some_and(|at| now >= at) {
            load.stop();
        }
        if load.woke(now)
            && let Some((first, intended)) = load.take(now, producer.buffer - producer.held)
        {
            useful = true;
            handed.extend(
                intended
                    .iter()
                    .zip(first..)
                    .map(|(&due, index)| (index, due, now)),
            );
            let indexes: Vec<u64> = (first..).take(intended.len()).collect();
            producer.held += indexes.len();
            let sent = if producer.outage.contains(&now) {
                producer.outage.end
            } else {
                now
            };
            producer.promised.push_back((sent + producer.service_ns, indexes));
        }
        wakes_with_nothing += u64::from(!useful);
        if load.is_over(now, producer.held as u64) {
            let withheld = load.give_up(now, producer.held < producer.buffer);
            let last = load.progress(now, 0);
            return Run {
                handed,
                wakes_with_nothing,
                wakes,
                ended_ns: now,
                withheld,
                last,
            };
        }
        let wake = load
            .next_wake(producer.held < producer.buffer, producer.held > 0)
            .max(now);
        let ack = producer.promised.front().map_or(u64::MAX, |(at, _)| *at);
        now = wake.min(ack);
    }
}

fn producer(service_ns: u64, buffer: usize) -> Producer {
    Producer {
        service_ns,
        buffer,
        outage: 0..0,
        held: 0,
        promised: VecDeque::new(),
    }
}

fn load(executor: Executor) -> Load {
    Load::new(&workload(executor), Waking::new(WAKE_GAP_NS, HANDOVER_GAP_NS)).unwrap()
}

fn assert_complete(handed: &[Handed], rate: u64) {
    assert_eq!(handed.len() as u64, 2 * rate);
    for (i, &(index, due, at)) in handed.iter().enumerate() {
        assert_eq!((index, due), (i as u64, START + i as u64 * SECOND / rate));
        assert!(at >= due, "record {i} went out before it was due");
    }
}

#[test]
fn every_record_goes_out_within_the_gap_of_its_own_due_time() {
    let mut load = load(Executor::ConstantArrivalRate { rate: 25_000.0 });
    let run = run(&mut load, producer(130_000, 100_000), None);
    assert_complete(&run.handed, 25_000);
    // Answers come after 130 µs: what comes due meanwhile waits for the gap, and never for the patience.
    assert!(
        run.handed
            .iter()
            .all(|&(_, due, at)| at - due <= HANDOVER_GAP_NS + WAKE_GAP_NS)
    );
    assert_eq!(run.wakes_with_nothing, 0);
    assert!(run.wakes < 2 * 2 * SECOND / WAKE_GAP_NS, "{} wakes", run.wakes);
    assert_eq!(
        (run.last.acked, run.last.debt, run.withheld.count),
        (50_000, 0, 0)
    );
    assert!(
        (130_000..=130_000 + HANDOVER_GAP_NS + WAKE_GAP_NS).contains(&run.last.p99_ns),
        "{}",
        run.last.p99_ns
    );
    assert!(
        run.ended_ns < START + 2 * SECOND + MS,
        "it ends with the last outcome"
    );
}

#[test]
fn at_a_low_rate_it_sleeps_from_record_to_record() {
    let mut load = load(Executor::ConstantArrivalRate { rate: 100.0 });
    let run = run(&mut load, producer(MS, 1000), None);
    assert_complete(&run.handed, 100);
    assert!(run.handed.iter().all(|&(_, due, at)| at == due));
    // One wake a record, one an acknowledgement, and a few progress lines before the start.
    assert!(run.wakes <= 2 * 200 + 4, "{} wakes", run.wakes);
    assert_eq!(run.wakes_with_nothing, 0);
}

#[test]
fn no_room_is_debt_paid_later_under_the_original_due_time() {
    let mut load = load(Executor::ConstantArrivalRate { rate: 10_000.0 });
    let outage = START + SECOND..START + SECOND + 600 * MS;
    let run = run(
        &mut load,
        Producer {
            outage: outage.clone(),
            ..producer(100_000, 500)
        },
        None,
    );
    assert_complete(&run.handed, 10_000);
    let late = run
        .handed
        .iter()
        .filter(|&&(_, due, at)| at - due > 100 * MS)
        .count();
    assert!(late > 4_000, "only {late} records waited for room");
    assert!(
        run.handed
            .iter()
            .all(|&(_, due, at)| at - due <= outage.end - outage.start + 100 * MS)
    );
    // The stall is in the percentile: nothing was omitted.
    assert!(run.last.p99_ns > 500 * MS, "{}", run.last.p99_ns);
    assert_eq!(run.withheld.count, 0);
}

#[test]
fn what_is_still_due_when_the_wait_is_over_is_written_down() {
    let mut load = load(Executor::ConstantArrivalRate { rate: 10_000.0 });
    let forever = START + SECOND..u64::MAX / 2;
    let run = run(
        &mut load,
        Producer {
            outage: forever,
            ..producer(100_000, 500)
        },
        None,
    );
    assert_eq!(run.ended_ns, START + 4 * SECOND, "end of load and drain_ns");
    let sent = run.handed.len() as u64;
    assert_eq!(run.last.sent, sent);
    assert_eq!(run.withheld.first_index, sent);
    assert_eq!(run.withheld.count, 20_000 - sent);
    assert_eq!(run.withheld.first_due_ns, START + sent * 100_000);
    assert_eq!(run.withheld.last_due_ns, START + 19_999 * 100_000);
    assert!(!run.withheld.had_room);
}

#[test]
fn a_worker_that_is_stopped_leaves_only_what_was_due() {
    let mut load = load(Executor::ConstantArrivalRate { rate: 1000.0 });
    let run = run(&mut load, producer(100_000, 500), Some(START + 1500 * MS));
    assert_eq!(run.handed.len(), 1500);
    assert!(run.withheld.count <= 1 && run.withheld.had_room);
}

#[test]
fn unlimited_fills_the_room_there_is_and_ends_after_its_records() {
    let mut load = load(Executor::Unlimited { records: 100_000 });
    let run = run(&mut load, producer(MS, 5_500), None);
    assert_eq!(run.handed.len(), 100_000);
    assert!(run.handed.iter().all(|&(_, due, at)| due == at));
    assert_eq!((run.last.acked, run.last.p99_ns, run.last.debt), (100_000, 0, 0));
    // 5,500 records a millisecond is all that the buffer allows.
    assert!(run.ended_ns <= START + 30 * MS, "{}", run.ended_ns - START);
}

#[test]
fn unlimited_keeps_no_linger_grid() {
    let waking = Waking::new(WAKE_GAP_NS, 5 * MS);
    let mut load = Load::new(&workload(Executor::Unlimited { records: 100_000 }), waking).unwrap();
    let run = run(&mut load, producer(MS, 5_500), None);
    // A grid of 5 ms would allow one run of 1,000 records each 5 ms: half a second, most of it busy waiting.
    assert!(run.ended_ns <= START + 30 * MS, "{}", run.ended_ns - START);
}

#[test]
fn unlimited_against_a_dead_broker_ends() {
    let mut load = load(Executor::Unlimited { records: 100_000 });
    let dead = Producer {
        outage: 0..u64::MAX / 2,
        ..producer(MS, 5_500)
    };
    let run = run(&mut load, dead, None);
    assert_eq!(run.handed.len(), 5_500);
    assert!(
        run.ended_ns <= START + 3 * SECOND,
        "drain_ns after the last hand-over"
    );
    assert_eq!((run.withheld.first_index, run.withheld.count), (5_500, 94_500));
}
