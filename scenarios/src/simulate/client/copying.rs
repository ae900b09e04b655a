//! The producing half of a copier: records made from what was read, given up and read again with their transaction.

use steadfast_producer::transaction::TransactionEvent;
use steadfast_verifier::history::Copied;

use super::Client;
use super::records::HELD_MAX;

impl Client {
    /// Makes records from what was read. The history says of each what it was made from, before it is handed over.
    pub(super) fn copy(&mut self, now_ns: u64) {
        let Some(copier) = &mut self.copier else {
            return;
        };
        let inputs = copier.take(HELD_MAX);
        if let (true, Some(job)) = (copier.is_full(), &mut self.job) {
            job.end_now(now_ns);
        }
        for run in inputs.chunk_by(|a, b| a.partition == b.partition) {
            let offsets: Vec<u64> = run.iter().map(|input| input.offset as u64).collect();
            self.history.copied(&Copied {
                first_index: self.next_index,
                partition: run[0].partition,
                offsets: &offsets,
            });
            let intended_ns = vec![now_ns; run.len()];
            self.history.handed_over(self.next_index, &intended_ns, now_ns);
            for input in run {
                let made = self.make(Some(*input));
                self.held.push_back(made);
            }
        }
    }

    /// What became of a transaction decides where copying goes on.
    pub(super) fn copy_told(&mut self, event: TransactionEvent, now_ns: u64) {
        let Some(copier) = &mut self.copier else {
            return;
        };
        match event {
            TransactionEvent::Committed { .. } => copier.commit(),
            TransactionEvent::Aborted { .. } => copier.rewind(now_ns),
            TransactionEvent::Initialized { .. } | TransactionEvent::Unknown { .. } => {
                copier.lost = true;
                copier.inbox.clear();
            }
        }
        if !matches!(event, TransactionEvent::Committed { .. }) {
            for made in std::mem::take(&mut self.held) {
                self.refused(&made, now_ns, -1);
            }
        }
    }

    /// The group's position is wanted, and can be told: nothing of this id is undecided.
    pub(crate) fn asks_position(&self) -> bool {
        let idle = self.job.as_ref().is_some_and(super::Job::is_idle);
        self.copier.as_ref().is_some_and(|copier| copier.lost) && idle && self.sender.is_some()
    }
}
