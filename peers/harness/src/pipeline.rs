//! The loop of a client that takes records without waiting and calls back: one thread for generator, history and progress.
//!
//! ```text
//!     ┌───────────────────────── one wake ─────────────────────────┐
//!     │ outcomes that callbacks queued ─▶ history.completed        │          the client's threads
//!     │ due records ─▶ history.handed_over ─▶ client.try_send      │             └─▶ completions
//!     │ a line of progress on stdout, once a second                │
//!     └──────── sleep until the next is due, 100 µs at least ──────┘
//! ```
//! What finds no room stays held and is tried again in order: it is late, never dropped.

use std::sync::Arc;

use steadfast_loadgen::generator::{GeneratedRecord, Generator, Material};
use steadfast_loadgen::waking::{WAKE_GAP_NS, Waking};
use steadfast_verifier::history::Completed;
use steadfast_verifier::workload::Workload;

use crate::clock::{monotonic_ns, sleep_until};
use crate::completions::{Completion, Completions, batches};
use crate::failure::Failure;
use crate::run::{Ending, Run, outcome};

/// How long a record waits for room before it is tried again; where throughput is all that counts, not as long.
const ROOM_LOOK_NS: u64 = 1_000_000;
const UNLIMITED_ROOM_LOOK_NS: u64 = 200_000;
/// While outcomes are owed, the longest they wait for being booked.
const BOOK_GAP_NS: u64 = 10_000_000;
/// How long records in flight may take for their outcomes after SIGTERM.
const STOP_BOUND_NS: u64 = 5_000_000_000;

/// What a client did with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Its outcome will come to the [`Completions`].
    Taken,
    /// The client does not have it, for want of room or of knowledge where to send it to. Worth another try.
    NoRoom,
    /// The client does not have it and never will; Kafka's error code.
    Refused(i16),
}

/// A client under test.
pub trait Client {
    /// Gives it a record. Does not wait.
    fn try_send(&mut self, record: &GeneratedRecord<'_>) -> Sent;

    /// Ends it. What it still has is completed as far as it can say, and given up.
    fn close(self);
}

/// Does what `workload` orders with the client that `connect` makes. `connect` is told until when that may take.
pub fn drive<C: Client>(
    workload: &Workload,
    connect: impl FnOnce(Arc<Completions>, u64) -> Result<C, Failure>,
) -> Result<(), Failure> {
    let material = Material::new(workload)?;
    let generator = Generator::new(workload, &material)?;
    let run = Run::begin(workload, Waking::new(WAKE_GAP_NS, 0))?;
    let completions = Arc::new(Completions::default());
    match connect(Arc::clone(&completions), run.ready_bound_ns()) {
        Ok(client) => Pipeline {
            run,
            generator,
            client,
            booking: Booking {
                completions,
                taken: Vec::new(),
                indexes: Vec::new(),
            },
            held: 0,
            made: false,
        }
        .work(),
        Err(failure) => run.end(Err(failure), &Ending::unready()),
    }
}

struct Pipeline<'a, C> {
    run: Run<'a>,
    generator: Generator<'a>,
    client: C,
    booking: Booking,
    /// Records that the history has and the client has not.
    held: usize,
    /// The generator has made the first of them already.
    made: bool,
}

impl<C: Client> Pipeline<'_, C> {
    fn work(mut self) -> Result<(), Failure> {
        let mut result = self.run.announce();
        while result.is_ok() {
            let now_ns = monotonic_ns();
            result = self.wake(now_ns);
            if result.is_err() || self.run.is_over(now_ns) {
                break;
            }
            sleep_until(self.next_wake(now_ns));
        }
        self.end(result)
    }

    /// All that one wake does.
    fn wake(&mut self, now_ns: u64) -> Result<(), Failure> {
        self.booking.book(&mut self.run)?;
        let last = self.run.stopping();
        self.run.load.woke(now_ns);
        self.hand_over(now_ns)?;
        if last {
            self.run.load.stop();
        }
        self.run.tell(now_ns)
    }

    /// Gives the client what is held, then what is due.
    fn hand_over(&mut self, now_ns: u64) -> Result<(), Failure> {
        self.send(now_ns)?;
        if self.held > 0 {
            return Ok(());
        }
        self.held = self.run.hand_over(now_ns, usize::MAX)?;
        self.send(now_ns)
    }

    /// Gives the client the records held, until one finds no room.
    fn send(&mut self, now_ns: u64) -> Result<(), Failure> {
        while self.held > 0 {
            let record = if self.made {
                self.generator.current()
            } else {
                self.generator.advance()
            };
            self.made = true;
            let index = record.index;
            match self.client.try_send(&record) {
                Sent::Taken => {}
                Sent::NoRoom => return Ok(()),
                Sent::Refused(code) => self.run.refused(index, code, now_ns)?,
            }
            self.held -= 1;
            self.made = false;
        }
        Ok(())
    }

    fn next_wake(&self, now_ns: u64) -> u64 {
        // Outcomes come by themselves: none of them is a wake of this thread's.
        let wake_ns = self.run.load.next_wake(self.held == 0, false);
        let look_ns = match (self.held, self.run.load.owed()) {
            (0, 0) => u64::MAX,
            (0, _) => BOOK_GAP_NS,
            _ if self.run.load.is_unlimited() => UNLIMITED_ROOM_LOOK_NS,
            _ => ROOM_LOOK_NS,
        };
        wake_ns.min(now_ns.saturating_add(look_ns))
    }

    /// Ends the load in order, whatever ended it.
    fn end(mut self, mut result: Result<(), Failure>) -> Result<(), Failure> {
        let ended_ns = monotonic_ns();
        let bound_ns = ended_ns.saturating_add(STOP_BOUND_NS);
        while result.is_ok()
            && self.run.load.is_stopped()
            && self.run.load.owed() > self.held as u64
            && monotonic_ns() < bound_ns
        {
            sleep_until(monotonic_ns().saturating_add(BOOK_GAP_NS));
            result = self.booking.book(&mut self.run);
        }
        self.client.close();
        // What it said while it ended.
        let result = result.and_then(|()| self.booking.book(&mut self.run));
        let ending = Ending {
            held: self.held,
            had_room: self.held == 0,
            at_ns: ended_ns,
        };
        self.run.end(result, &ending)
    }
}

/// Outcomes on their way to the history.
struct Booking {
    completions: Arc<Completions>,
    /// Scratch space: completions taken, and the indexes of one batch.
    taken: Vec<Completion>,
    indexes: Vec<u64>,
}

impl Booking {
    /// Writes down what callbacks queued, batch by batch.
    fn book(&mut self, run: &mut Run<'_>) -> Result<(), Failure> {
        self.completions.take(&mut self.taken);
        for batch in batches(&self.taken) {
            let first = batch[0];
            self.indexes.clear();
            self.indexes.extend(batch.iter().map(|one| one.index));
            run.completed(&Completed {
                base_offset: first.offset,
                error_code: first.error_code,
                ..outcome(&self.indexes, first.partition, first.outcome, first.at_ns)
            })?;
        }
        Ok(())
    }
}
