//! After the heal: is all drained, settled, copied and read?

use super::{DRAIN_NS, Event, LOOK_NS, World, topics};
use crate::simulate::{SOURCE, TOPIC};

impl World<'_> {
    /// After the heal: is all drained, and is the cluster quiet?
    pub(super) fn look(&mut self) {
        let late = self.now_ns >= self.heal_ns + DRAIN_NS * self.design.patience();
        let done = self.clients.iter().all(|client| client.is_done(self.now_ns));
        if self.drained_ns == 0 && done {
            self.drained_ns = self.now_ns;
        }
        // Done once is not done for good: a copier gets new work for as long as its source becomes readable.
        let quiet =
            done && self.is_copied() && self.network.is_quiet() && self.is_settled() && self.is_read();
        if quiet || late {
            for client in &mut self.clients {
                client.close(self.now_ns);
            }
            self.over = true;
        } else {
            self.schedule.at(self.now_ns + LOOK_NS, Event::Look);
        }
    }

    /// Whoever copies has copied all.
    fn is_copied(&self) -> bool {
        let mut copiers = self.clients.iter().filter_map(|client| client.copier.as_ref());
        copiers.all(|copier| {
            copier.is_idle()
                && (0..self.design.partitions).all(|partition| {
                    self.model.partition(SOURCE, partition).is_some_and(|state| {
                        let ends = (state.high_watermark, state.last_stable_offset);
                        copier.reader.has(partition, ends.0, ends.1)
                    })
                })
        })
    }

    /// Every reader has got to the end.
    pub(crate) fn is_read(&self) -> bool {
        self.lives.exists
            && (0..self.lives.partitions).all(|partition| {
                self.model.partition(TOPIC, partition).is_some_and(|state| {
                    let ends = (state.high_watermark, state.last_stable_offset);
                    self.readers
                        .iter()
                        .all(|reader| reader.has(partition, ends.0, ends.1))
                })
            })
    }

    /// Every partition is led, fully replicated, and has no open transaction.
    fn is_settled(&self) -> bool {
        let settled = |(topic, partition): (&&str, i32)| {
            self.model.partition(topic, partition).is_some_and(|state| {
                state.leader >= 0
                    && state.isr.len() == state.replicas.len()
                    && state.log_end == state.high_watermark
                    && state.log_end == state.last_stable_offset
            })
        };
        let mut all = topics(self.swarm.class)
            .iter()
            .flat_map(|topic| (0..self.lives.partitions).map(move |partition| (topic, partition)));
        self.lives.exists && all.all(settled)
    }
}
