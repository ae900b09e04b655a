//! What a copy job can tell about itself while it runs: for people who watch, never evidence.

use steadfast_verifier::history::Outcome;
use steadfast_verifier::workload::{Progress, Workload};

use crate::live::Live;

/// See the module.
pub(super) struct Tally {
    live: Live,
    tid: u32,
    sent: u64,
    acked: u64,
    not_written: u64,
}

impl Tally {
    pub(super) fn new(workload: &Workload) -> Tally {
        let tid = rustix::thread::gettid().as_raw_nonzero().get();
        Tally {
            live: Live::new(workload.first_index, workload.start_ns + workload.warmup_ns),
            tid: tid.unsigned_abs(),
            sent: 0,
            acked: 0,
            not_written: 0,
        }
    }

    pub(super) fn handed_over(&mut self, intended_ns: &[u64]) {
        self.sent += intended_ns.len() as u64;
        self.live.handed_over(intended_ns);
    }

    pub(super) fn completed(&mut self, indexes: &[u64], outcome: Outcome, at_ns: u64) {
        let acked = outcome == Outcome::Acked;
        match outcome {
            Outcome::Acked => self.acked += indexes.len() as u64,
            Outcome::NotWritten => self.not_written += indexes.len() as u64,
            Outcome::Unknown => {}
        }
        self.live.completed(indexes, acked.then_some(at_ns));
    }

    pub(super) fn progress(&self, (at_ns, debt): (u64, u64), done: bool, note: Option<String>) -> Progress {
        Progress {
            at_ns,
            sent: self.sent,
            acked: self.acked,
            not_written: self.not_written,
            debt,
            p99_ns: self.live.p99_ns(),
            generator_tid: self.tid,
            done,
            note,
        }
    }
}
