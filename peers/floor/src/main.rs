//! A subject (docs/subject.md) without a Kafka client: what is left of the latency and of the CPU when nothing is done but
//! the sending. One thread, a blocking socket to each leader, one request in flight on each.
//!
//! ```text
//! sleep until due ─▶ all that is due, each record to its partition's batch ─▶ one request to each leader
//!      ▲                                                                            │
//!      └───── history ◀─ every partition's error code looked at ◀─ the answers ◀────┘
//! ```
//! It keeps the grid of our own producer's load generator: hand-overs are [`HANDOVER_GAP_NS`] or a coarse `linger.ms`
//! apart, and while an answer is out, nothing leaves. As many records go into a request as fit 1 MB.
//!
//! **What it does not do**: no producer id, so a broker cannot know a batch again, and nothing is sent again: a batch that
//! fails is told as not written or unknown, by the meaning of its error code. After a failure all connections are made anew.
//!
//! **Encoded beforehand**: see `request.rs` and `batch.rs`. Left for each record are the bytes that differ: its value with
//! the stamp (the generator's work in every subject), its offset's and its lengths' varints, and its share of the CRC.

mod batch; // records of one partition, encoded where they are sent from
mod cluster; // who leads what, and a link to each
mod link; // one socket: a request out, its answer in
mod request; // the bytes in front of the batches

use std::process::ExitCode;

use peer_harness::Failure;
use peer_harness::clock::{monotonic_ns, sleep_until, wall_ms};
use peer_harness::run::{Ending, Run, outcome};
use peer_harness::settings::Settings;
use steadfast_loadgen::generator::{GeneratedRecord, Generator, Material};
use steadfast_loadgen::waking::{COARSE_LINGER_NS, HANDOVER_GAP_NS, WAKE_GAP_NS, Waking};
use steadfast_producer::partitioner::partition_for_key;
use steadfast_producer::reaction::{Written, classify};
use steadfast_verifier::history::{Completed, Outcome};
use steadfast_verifier::workload::{PartitionChoice, Workload};

use batch::Batch;
use cluster::Cluster;
use link::Answered;
use request::Request;

/// Records of one request, bytes: less than the topic's default limit of a batch, if all go to one partition.
const REQUEST_BYTES: usize = 1_000_000;
/// How long it waits before it looks for the leaders again.
const LOOK_GAP_NS: u64 = 100_000_000;

fn main() -> ExitCode {
    peer_harness::main(|workload| {
        let Settings { config, asked } = Settings::of(workload)?;
        let used = ["linger.ms", "request.timeout.ms"];
        let missing: Vec<&str> = asked
            .keys()
            .copied()
            .filter(|name| !used.contains(name))
            .collect();
        Settings::without("the floor", &missing);
        let gap_ns = if config.linger_ns >= COARSE_LINGER_NS {
            config.linger_ns
        } else {
            HANDOVER_GAP_NS
        };
        let material = Material::new(workload)?;
        let generator = Generator::new(workload, &material)?;
        Floor {
            workload,
            request: Request::new(&workload.topic, &config),
            run: Run::begin(workload, Waking::new(WAKE_GAP_NS, gap_ns))?,
            batches: (0..workload.partitions as i32).map(Batch::new).collect(),
            record_bytes: generator.max_record_bytes(),
            generator,
            cluster: None,
            look_again_ns: 0,
            turn: 0,
            answers: Vec::new(),
        }
        .work()
    })
}

struct Floor<'a> {
    workload: &'a Workload,
    request: Request,
    run: Run<'a>,
    generator: Generator<'a>,
    /// No record is longer in a batch.
    record_bytes: usize,
    /// By partition; empty between two requests.
    batches: Vec<Batch>,
    /// None after a failure.
    cluster: Option<Cluster>,
    look_again_ns: u64,
    /// The partition of records that may choose, one a request.
    turn: i32,
    /// Scratch space.
    answers: Vec<Answered>,
}

impl Floor<'_> {
    fn work(mut self) -> Result<(), Failure> {
        if let Err(failure) = self.ready() {
            return self.run.end(Err(failure), &Ending::unready());
        }
        let mut result = self.run.announce();
        let mut now_ns = monotonic_ns();
        while result.is_ok() {
            now_ns = monotonic_ns();
            let last = self.run.stopping();
            if self.run.load.woke(now_ns) || last {
                result = self.exchange(now_ns);
            }
            if last {
                self.run.load.stop();
            }
            result = result.and_then(|()| self.run.tell(now_ns));
            if result.is_err() || self.run.is_over(now_ns) {
                break;
            }
            let connected = self.cluster.is_some();
            let wake_ns = self.run.load.next_wake(connected, false);
            sleep_until(if connected {
                wake_ns
            } else {
                wake_ns.min(self.look_again_ns)
            });
        }
        let ending = Ending {
            held: 0,
            had_room: self.cluster.is_some(),
            at_ns: now_ns,
        };
        self.run.end(result, &ending)
    }

    /// Waits for leaders of all partitions.
    fn ready(&mut self) -> Result<(), Failure> {
        let bound_ns = self.run.ready_bound_ns();
        loop {
            match Cluster::find(self.workload, &self.request) {
                Ok(cluster) => {
                    self.cluster = Some(cluster);
                    return Ok(());
                }
                Err(why) if monotonic_ns() >= bound_ns => {
                    return Err(Failure::NotReady {
                        servers: self.workload.bootstrap_servers.join(","),
                        reason: why,
                    });
                }
                Err(_) => sleep_until(monotonic_ns() + LOOK_GAP_NS),
            }
        }
    }

    /// One round: hands over what is due, sends it, waits for the answers, books them.
    fn exchange(&mut self, now_ns: u64) -> Result<(), Failure> {
        if self.cluster.is_none() && now_ns >= self.look_again_ns {
            match Cluster::find(self.workload, &self.request) {
                Ok(cluster) => self.cluster = Some(cluster),
                // What it could not do the first time was said when it failed.
                Err(_) => self.look_again_ns = monotonic_ns() + LOOK_GAP_NS,
            }
        }
        let Some(mut cluster) = self.cluster.take() else {
            return Ok(());
        };
        if !self.fill(now_ns)? {
            self.cluster = Some(cluster);
            return Ok(());
        }
        let timestamp_ms = wall_ms();
        for batch in self.batches.iter_mut().filter(|batch| !batch.is_empty()) {
            batch.seal(timestamp_ms);
        }
        cluster.exchange(&self.batches, &mut self.answers);
        if self.book()? {
            self.cluster = Some(cluster);
        } else {
            self.look_again_ns = monotonic_ns() + LOOK_GAP_NS;
        }
        Ok(())
    }

    /// Puts what is due into batches, as much as fits a request. False when nothing is due.
    fn fill(&mut self, now_ns: u64) -> Result<bool, Failure> {
        let room = (REQUEST_BYTES / self.record_bytes).max(1);
        let mut taken = 0;
        while taken < room {
            let count = self.run.hand_over(now_ns, room - taken)?;
            if count == 0 {
                break;
            }
            for _ in 0..count {
                let record = self.generator.advance();
                let partition = choose(self.workload, &record, self.turn);
                self.batches[partition as usize].append(&record);
            }
            taken += count;
        }
        if taken > 0 {
            self.turn = (self.turn + 1) % self.batches.len() as i32;
        }
        Ok(taken > 0)
    }

    /// Writes down what became of the batches, and empties them. False when anything failed.
    fn book(&mut self) -> Result<bool, Failure> {
        let mut good = true;
        for answered in self.answers.drain(..) {
            let Some(batch) = self.batches.get(answered.partition as usize) else {
                continue;
            };
            let code = answered.error_code;
            let written = match classify(code).written {
                Written::Yes => Outcome::Acked,
                Written::No => Outcome::NotWritten,
                Written::Unknown => Outcome::Unknown,
            };
            if code != 0 {
                good = false;
                eprintln!("partition {}: {}", answered.partition, classify(code).name);
            }
            self.run.completed(&Completed {
                base_offset: answered.base_offset,
                error_code: code,
                broker: answered.node,
                correlation_id: answered.correlation_id,
                ..outcome(batch.indexes(), answered.partition, written, answered.at_ns)
            })?;
        }
        self.batches.iter_mut().for_each(Batch::clear);
        Ok(good)
    }
}

/// The partition of a record. One that may choose goes where all of its request go.
fn choose(workload: &Workload, record: &GeneratedRecord<'_>, turn: i32) -> i32 {
    match (record.partition, record.key) {
        (Some(partition), _) => partition,
        (None, Some(key)) if workload.partition == PartitionChoice::ByKey => {
            partition_for_key(key, workload.partitions as i32)
        }
        _ => turn,
    }
}
