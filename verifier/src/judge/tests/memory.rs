//! The same runs judged from memory: what the files' path finds, this one finds.

use super::fixture::{Run, S, Sent, completed};
use crate::history::Recorded;
use crate::judge::{Evidence, Found, examine};
use crate::workload::Keys;

impl Run {
    /// Judges the same run from memory.
    pub(crate) fn found(&self) -> Found {
        let mut workers: Vec<u16> = self.sent.iter().map(|sent| sent.id.worker()).collect();
        workers.push(self.workload.worker);
        workers.sort_unstable();
        workers.dedup();
        let histories: Vec<Recorded> = workers.iter().map(|&worker| self.recorded(worker)).collect();
        examine(&Evidence {
            topic: "orders",
            partitions: self.workload.partitions,
            keys_choose_partition: self.workload.keys != Keys::None,
            histories: &histories,
            logs: &self.logs,
            seal: self.seal.as_ref().unwrap(),
            reads: &[],
            copy: None,
            liveness: None,
            hanging_ns: 75 * S,
            calm_ns: 0,
        })
        .unwrap()
    }

    fn recorded(&self, worker: u16) -> Recorded {
        let mut sent: Vec<Sent> = self
            .sent
            .iter()
            .filter(|s| s.id.worker() == worker)
            .copied()
            .collect();
        sent.sort_by_key(|sent| sent.id.index());
        let mut recorded = Recorded::new(worker, self.workload.incarnation, self.workload.first_index);
        for sent in &sent {
            recorded.handed_over(sent.id.index(), &[sent.due_ns], sent.sent_ns);
        }
        if let Some(withheld) = self.withheld.get(&worker) {
            recorded.withheld(withheld);
        }
        for sent in &sent {
            if let Some(completed) = completed(sent, &[sent.id.index()]) {
                recorded.completed(&completed);
            }
        }
        if !self.torn.contains(&worker) {
            recorded.finish();
        }
        recorded
    }
}
