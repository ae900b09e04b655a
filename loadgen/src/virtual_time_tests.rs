//! A record's whole way from the schedule to its outcome, by events alone: the real schedule, load and generator, the
//! real producer core, and a script that plays the broker. No socket, no thread, no runtime; the clock is a number
//! that jumps to the next thing that happens, so seconds of load take as long as computing them.
//!
//! ```text
//!  Schedule ─ Load ─ Generator ──append──▶ Sender ──Connect, Send, Close──▶ Broker (script) ──▶ logs
//!     ▲         ▲                            │ ▲                                │
//!     │         └────── completions ─────────┘ └── connected, received, disconnected
//!    now ◀───────────── the earliest of: next wake of the load, wakeup_ns of the core, next event of the script
//!
//!  START - 1 s    START                cut_ns                 back_ns                        end
//!     |-- connect --|-- append, ack ----|-- refused, retries ---|-- reconnect, resend, ack ---|- drain - close
//!                                       ▲ appended, not answered: resent, the log knows it again
//! ```
//!
//! `run.rs` is the worker's loop ([`crate::worker`]) without clock and sockets, `broker.rs` the script.

mod answers;
mod broker;
mod run;

use self::broker::SERVICE_NS;
use self::run::{Run, run};
use crate::waking::ANSWER_PATIENCE_NS;

const TOPIC: &str = "orders";
const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
const START: u64 = 10 * SECOND;
const PARTITIONS: u32 = 3;
const RATE: u64 = 10_000;
const RECORDS: u64 = RATE;
/// The Produce request whose answer is lost: about 0.3 s into the load, after warm-up.
const CUT_AFTER: u32 = 650;
const OUTAGE_NS: u64 = 200 * MS;

#[test]
fn a_lost_answer_costs_latency_and_nothing_else() {
    let run = run(1, "33554432", None);
    run.check();
    assert_eq!(run.records.len() as u64, RECORDS);
    assert_eq!(
        (run.last.sent, run.last.acked, run.last.debt),
        (RECORDS, RECORDS, 0)
    );
    assert_eq!(run.withheld.count, 0);

    let back_ns = run.broker.back_ns();
    let (mut before, mut within) = (0, 0);
    for (index, record) in &run.records {
        // The load does not wait for the cluster: records are handed over in time, outage or not.
        assert!(
            record.handed_ns - record.due_ns <= ANSWER_PATIENCE_NS,
            "record {index}: {record:?}"
        );
        if record.acked_ns <= run.cut_ns() {
            before += 1;
            assert!(
                record.acked_ns - record.due_ns <= 3 * SERVICE_NS,
                "record {index}: {record:?}"
            );
        } else if record.due_ns < back_ns {
            within += 1;
            assert!(
                record.acked_ns > back_ns,
                "record {index} was acked in the outage: {record:?}"
            );
        }
    }
    assert!(before > 1_000, "{before} records were acked before the cut");
    assert!(
        within as u64 >= OUTAGE_NS * RATE / SECOND,
        "the outage delayed {within} records"
    );
    // Counted from the due time, the outage is in the latency that the load shows.
    assert!(
        run.last.p99_ns >= OUTAGE_NS,
        "p99 of {} ns hides the outage",
        run.last.p99_ns
    );
}

#[test]
fn the_same_seed_gives_the_same_bytes_at_the_same_times() {
    let [first, again, other] = [7, 7, 8].map(|seed| run(seed, "33554432", None).broker.trace);
    assert!(first.len() > 1_000_000, "the trace holds every frame");
    assert!(first == again, "the same seed, another run");
    assert!(first != other, "the seed changes nothing: is it used?");
}

#[test]
fn a_full_buffer_delays_the_hand_over_and_keeps_the_due_times() {
    let run = run(1, "262144", None);
    run.check();
    assert_eq!(
        (run.last.acked, run.last.debt, run.withheld.count),
        (RECORDS, 0, 0)
    );
    let late_ns = run
        .records
        .values()
        .map(|record| record.handed_ns - record.due_ns)
        .max();
    assert!(late_ns > Some(10 * MS), "the buffer was never full: {late_ns:?}");
    assert!(
        run.last.p99_ns >= OUTAGE_NS,
        "p99 of {} ns hides the outage",
        run.last.p99_ns
    );
}

#[test]
fn stopped_in_the_outage_it_closes_with_an_outcome_for_all_it_took() {
    let stop_ns = START + 400 * MS;
    let run = run(1, "33554432", Some(stop_ns));
    run.check();
    assert!(
        (run.cut_ns()..run.broker.back_ns()).contains(&stop_ns),
        "{}",
        run.cut_ns()
    );
    assert!(
        run.pending_at_close > 500,
        "{} records waited",
        run.pending_at_close
    );
    assert_eq!(run.last.acked, run.last.sent);
    // No answer comes in the outage: what was due within the patience for it had not been handed over.
    let waiting = RATE * ANSWER_PATIENCE_NS / SECOND;
    assert!(
        (3_999 - waiting..=4_001).contains(&run.last.sent),
        "{}",
        run.last.sent
    );
}

impl Run {
    fn cut_ns(&self) -> u64 {
        self.broker.cut_ns.expect("the connection was never cut")
    }

    /// What holds in every run: each record due when the schedule says and acked, each once and in order in the log.
    fn check(&self) {
        assert!(self.cut_ns() > START);
        for (place, (&index, record)) in self.records.iter().enumerate() {
            assert_eq!(index, place as u64);
            assert_eq!(record.due_ns, START + index * SECOND / RATE);
            assert!(record.acked_ns > 0, "record {index} has no outcome");
            let log = &self.broker.logs[record.partition as usize].records;
            assert_eq!(
                log.get(record.offset as usize),
                Some(&index),
                "LOST: record {index}"
            );
        }
        for (partition, log) in (0u64..).zip(&self.broker.logs) {
            let mine = self.records.keys().copied();
            let expected: Vec<u64> = mine
                .filter(|index| index % u64::from(PARTITIONS) == partition)
                .collect();
            assert!(
                log.records == expected,
                "partition {partition}: lost, doubled or out of order"
            );
        }
        // The run was the one meant.
        assert!(self.broker.connects_refused > 0, "the outage was not noticed");
        assert!(self.broker.duplicates > 0, "nothing was resent that the log had");
        assert_eq!(self.broker.out_of_order, 0, "what was resent changed its number");
    }
}
