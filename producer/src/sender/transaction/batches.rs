//! What transactions change about batches: when one may leave, what its error codes mean, how all of them stop.

use super::enlist::SOON_NS;
use super::requests::PRODUCE_V2;
use super::{Protocol, Registered, Repair, Sender};
use crate::produce_response::PartitionResponse;
use crate::reaction::{Reaction, Written, classify};
use crate::rules::Rule;
use crate::sender::answers::NOT_LEADER;
use crate::sender::link::InRequest;
use crate::sender::partition::{Context, Verdict};

/// UNSUPPORTED_VERSION.
const UNSUPPORTED_VERSION: i16 = 35;
/// NOT_ENOUGH_REPLICAS.
const NOT_ENOUGH_REPLICAS: i16 = 19;
const OUT_OF_ORDER_SEQUENCE: i16 = 45;

impl Sender {
    /// The version for a Produce request to a broker that speaks up to `newest`; `None` = none goes to it.
    pub(in crate::sender) fn produce_version(&mut self, newest: i16, now_ns: u64) -> Option<i16> {
        let Some(transactions) = &self.transactions else {
            return Some(newest);
        };
        match transactions.protocol {
            Protocol::V1 => Some(newest.min(PRODUCE_V2 - 1)),
            Protocol::V2 if newest >= PRODUCE_V2 => Some(newest),
            Protocol::V2 => {
                // A broker older than the feature that the cluster has finalized: only another transaction helps.
                self.transaction_failed(UNSUPPORTED_VERSION, Repair::End, now_ns);
                None
            }
        }
    }

    /// Whether a batch of this partition may leave as far as transactions are concerned. Under version 1 the
    /// partition is enlisted first; whoever hears that it is comes here again.
    #[inline]
    pub(in crate::sender) fn transaction_lets_go(&mut self, number: u32) -> bool {
        let Some(transactions) = &mut self.transactions else {
            return true;
        };
        if !transactions.sends() {
            return false;
        }
        match transactions.protocol {
            Protocol::V2 => transactions.registered = Registered::Yes,
            Protocol::V1 if !self.rules.on(Rule::EnlistFirst) => transactions.registered = Registered::Yes,
            Protocol::V1 if self.partitions[number as usize].enlisted == transactions.number => {}
            Protocol::V1 => {
                transactions.enlisting.insert(number);
                return false;
            }
        }
        true
    }

    /// A batch was answered with an error code: contract section 4, column "transactional".
    pub(in crate::sender) fn transactional_batch_refused(
        &mut self,
        entry: InRequest,
        answer: &PartitionResponse<'_>,
        now_ns: u64,
    ) {
        let (number, sequence, code) = (entry.partition, entry.base_sequence, answer.error_code);
        self.metrics.batch_error_answers_total += 1;
        let meaning = classify(code);
        let plain = match meaning.written {
            Written::No => Verdict::Refused,
            Written::Yes | Written::Unknown => Verdict::Unknown,
        };
        let mut failure = None;
        let verdict = match meaning.transactional {
            Reaction::Done | Reaction::DoneWithoutOffset => Verdict::Written(-1),
            Reaction::Retry if code == NOT_ENOUGH_REPLICAS && !self.rules.on(Rule::ReplicasAwaited) => {
                failure = Some(Repair::End);
                plain
            }
            // B9: 19 may stand for a coordinator that moves or is busy; so may its own codes. Nothing was written.
            Reaction::Retry | Reaction::RefreshAndRetry | Reaction::FindCoordinator => plain,
            Reaction::RetrySoon if self.is_overdue(now_ns) || !self.rules.on(Rule::MarkersAwaited) => {
                failure = Some(Repair::End);
                plain
            }
            Reaction::RetrySoon => Verdict::NotYet,
            Reaction::Split => {
                if self.split_batch(number, sequence, now_ns) {
                    return;
                }
                Verdict::TooLarge
            }
            // A9: behind a refused head it only has to wait for the head.
            Reaction::Abort
                if code == OUT_OF_ORDER_SEQUENCE && !self.partitions[number as usize].is_head(sequence) =>
            {
                Verdict::OutOfOrder
            }
            // Also 47: the coordinator timed us out, or there is a newer owner. EndTxn(abort) tells which without harm:
            // version 2 takes it for a repetition or refuses it, version 1 refuses both. InitProducerId with the known
            // epoch (KIP-588) would tell too, but aborts a newer owner's open transaction first (measured on 4.1.0).
            Reaction::Abort => {
                failure = Some(Repair::End);
                plain
            }
            Reaction::AbortAndReinit => {
                failure = Some(Repair::EndThenInit);
                plain
            }
            Reaction::ReinitWithoutEnd => {
                failure = Some(Repair::InitOnly);
                plain
            }
            Reaction::StopClient | Reaction::Fatal => {
                self.transaction_fatal(code);
                plain // the data is kept; close gives its outcome
            }
            Reaction::RetryOnceThenStop
            | Reaction::RejectBatch
            | Reaction::RejectAndRecheck
            | Reaction::ResolveSequence
            | Reaction::StopPartition => {
                failure = Some(Repair::End);
                plain
            }
        };
        let refresh = meaning.transactional == Reaction::RefreshAndRetry;
        if refresh {
            self.control.want_metadata();
        }
        let hinted = NOT_LEADER.contains(&code) && self.follow_hint(number, answer);
        self.verdict(number, sequence, verdict, code, now_ns);
        if let Some(repair) = failure {
            self.transaction_failed(code, repair, now_ns);
        } else if hinted {
            self.partitions[number as usize].back_off_until(0);
            self.enqueue(number, now_ns);
        } else if verdict == Verdict::NotYet {
            self.partitions[number as usize].back_off_until(now_ns.saturating_add(SOON_NS));
        }
    }

    /// Nothing leaves any more: what was never sent ends NOT_WRITTEN, what was sent waits for its answer.
    pub(super) fn stop_batches(&mut self, code: i16, now_ns: u64) {
        let mut cx = Context {
            outcomes: &mut self.outcomes,
            memory: &mut self.memory,
            now_ns,
        };
        for partition in &mut self.partitions {
            partition.give_up_fresh(code, &mut cx);
        }
        for link in &mut self.links {
            link.ready.clear();
            link.due_ns = u64::MAX;
        }
        if let Some(transactions) = &mut self.transactions {
            transactions.enlisting.clear();
            transactions.offsets.clear();
        }
    }

    /// Nothing of the transaction is on the wire: the rest ends as what is known of it. False if something still is.
    pub(super) fn batches_stopped(&mut self, code: i16, now_ns: u64) -> bool {
        let waits = self.rules.on(Rule::WireEmptyBeforeAbort);
        if waits
            && !self
                .partitions
                .iter()
                .all(super::super::Partition::is_off_the_wire)
        {
            return false;
        }
        let mut cx = Context {
            outcomes: &mut self.outcomes,
            memory: &mut self.memory,
            now_ns,
        };
        for partition in &mut self.partitions {
            partition.end_transaction(code, &mut cx);
        }
        true
    }
}
