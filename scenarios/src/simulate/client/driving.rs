//! The producer driven: its outcomes written down, its actions carried out, its end noticed.

use bytes::{Bytes, BytesMut};
use steadfast_producer::error::Fatal;
use steadfast_producer::record;
use steadfast_producer::sender::{Action, Frame, Sender};
use steadfast_producer::transaction::TransactionEvent;
use steadfast_verifier::history::{Completed, Outcome};

use super::{Client, OUR_OWN, OUT_OF_ORDER, PASSING};
use crate::simulate::MS;
use crate::simulate::network::{Item, Network, Toward};
use crate::simulate::swarm::node_of;
use crate::simulate::world::Schedule;

impl Client {
    /// Writes down outcomes and ends of transactions.
    pub(super) fn book(&mut self, now_ns: u64) {
        let Some(sender) = &mut self.sender else {
            return;
        };
        let mut given_up = None;
        while let Some(done) = sender.next_completion() {
            let hasty = self.patient
                && done.outcome == record::Outcome::NotWritten
                && PASSING.contains(&done.error_code);
            if self.may_lose && done.error_code == OUT_OF_ORDER {
                if !self.alarms.contains(&done.partition) {
                    self.alarms.push(done.partition);
                    self.counts.alarms += 1;
                }
            } else if done.transaction == 0 && (hasty || OUR_OWN.contains(&done.error_code)) {
                given_up = Some(done.error_code);
            }
            if done.transaction > 0 && done.outcome != record::Outcome::Acked {
                self.short = done.transaction;
            } else {
                self.wrote = done.transaction;
            }
            self.history.completed(&Completed {
                indexes: done.tokens,
                partition: done.partition,
                base_offset: done.base_offset,
                outcome: outcome(done.outcome),
                error_code: done.error_code,
                ack_ns: done.ack_ns,
                producer_id: done.producer_id,
                producer_epoch: done.producer_epoch,
                base_sequence: done.base_sequence,
                transaction: done.transaction,
                broker: done.broker,
                correlation_id: done.correlation_id,
            });
        }
        if let Some(code) = given_up {
            self.complain(&format!(
                "records ended with code {code}, which only a mistake of its own can bring"
            ));
        }
        let Some(sender) = &mut self.sender else {
            return;
        };
        let mut torn = None;
        let mut ended = Vec::new();
        if let Some(job) = &mut self.job {
            while let Some(event) = sender.next_transaction_event() {
                if let TransactionEvent::Committed { transaction } = event {
                    // Nothing is a commit of nothing: nobody was asked.
                    self.committed_ns = (self.wrote == transaction).then_some(job.begun_ns);
                    torn =
                        torn.or((transaction == self.short || sender.pending() > 0).then_some(transaction));
                }
                if let TransactionEvent::Initialized {
                    producer_id,
                    producer_epoch,
                } = event
                {
                    self.owner = (producer_id, producer_epoch);
                    self.owner_ns = now_ns;
                }
                ended.push(event);
                job.told(event, now_ns, &mut self.history, &mut self.counts);
            }
        }
        for event in ended {
            self.copy_told(event, now_ns);
        }
        if let Some(transaction) = torn {
            self.accuse(
                "T3",
                &format!("transaction {transaction} was committed without all of its records"),
            );
        }
    }

    pub(super) fn act(&mut self, now_ns: u64, network: &mut Network, schedule: &mut Schedule) {
        while let Some(action) = self.sender.as_mut().and_then(Sender::next_action) {
            match action {
                Action::Connect { link, port, .. } => {
                    let connection =
                        network.connect(self.number, Some(link), node_of(port), now_ns, schedule);
                    if let Some(old) = self.links.insert(link, connection) {
                        network.client_closed(old, now_ns, schedule);
                    }
                }
                Action::Close { link } => {
                    if let Some(connection) = self.links.remove(&link) {
                        network.client_closed(connection, now_ns, schedule);
                    }
                }
                Action::Send { link, frame } => {
                    let bytes = self.bytes(frame);
                    if let Some(&connection) = self.links.get(&link) {
                        network.push(connection, Toward::Node, Item::Frame(bytes), now_ns, schedule);
                    }
                }
            }
        }
    }

    fn bytes(&mut self, frame: Frame) -> Bytes {
        match frame {
            Frame::Plain(bytes) => bytes,
            Frame::Produce(frame) => {
                let mut bytes = BytesMut::with_capacity(frame.total_bytes());
                while bytes.len() < frame.total_bytes() {
                    let mut slices = [std::io::IoSlice::new(&[]); 16];
                    let count = frame.slices(bytes.len(), &mut slices);
                    for slice in &slices[..count] {
                        bytes.extend_from_slice(slice);
                    }
                }
                if let Some(sender) = &mut self.sender {
                    sender.recycle(frame);
                }
                bytes.freeze()
            }
        }
    }

    /// The producer can do no more. One that was fenced is started again by whoever watches over it.
    pub(super) fn stopped(
        &mut self,
        fatal: &Fatal,
        now_ns: u64,
        network: &mut Network,
        schedule: &mut Schedule,
    ) -> Option<u64> {
        match fatal {
            Fatal::Fenced { .. } => {
                self.counts.fenced += 1;
                if let Some(job) = &mut self.job {
                    job.note(false, true, now_ns);
                }
            }
            other => self.complain(&format!("it stopped: {other}")),
        }
        if let Some(sender) = &mut self.sender {
            sender.abandon(now_ns);
        }
        self.book(now_ns);
        for made in std::mem::take(&mut self.held) {
            self.refused(&made, now_ns, -1);
        }
        self.history.finish();
        self.end(now_ns, network, schedule);
        Some(self.random.between(1, 1_000) * MS)
    }
}

fn outcome(outcome: record::Outcome) -> Outcome {
    match outcome {
        record::Outcome::Acked => Outcome::Acked,
        record::Outcome::NotWritten => Outcome::NotWritten,
        record::Outcome::Unknown => Outcome::Unknown,
    }
}
