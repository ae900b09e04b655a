//! What many cases do: short words over [`Player::ask`].

use std::time::Instant;

use super::batch::Batch;
use super::layout::Node;
use super::player::{Answer, BY_ITSELF_BOUND, Player};
use super::requests::{self, Producer, Topic};

/// CreateTopics, newest.
const CREATE: i16 = 7;
/// Where a Produce answer has its code.
pub(crate) const PRODUCED: &str = "responses.0.partitionResponses.0.errorCode";
/// COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR: a coordinator that comes up.
pub(crate) const COMING: &[i64] = &[14, 15, 16];
/// CONCURRENT_TRANSACTIONS as well: markers of the transaction before are being written.
pub(crate) const COMING_OR_CLOSING: &[i64] = &[14, 15, 16, 51];

/// The versions with which a client of one transaction protocol speaks (KIP-98, KIP-890).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Protocol {
    pub(crate) produce: i16,
    pub(crate) end: i16,
    pub(crate) offset_commit: i16,
}

/// Transaction version 1: partitions are added by a request of their own.
pub(crate) const TV1: Protocol = Protocol {
    produce: 11,
    end: 4,
    offset_commit: 4,
};
/// Transaction version 2: Produce adds them, EndTxn gives the next epoch.
pub(crate) const TV2: Protocol = Protocol {
    produce: 12,
    end: 5,
    offset_commit: 5,
};

impl Player<'_, '_> {
    /// Creates a topic of its own for the case, and waits for its leaders. Nothing of it is written down.
    pub(crate) fn topic(
        &mut self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Result<Topic, String> {
        let answer = self.quiet(CREATE, &requests::create_topic(name, partitions, configs))?;
        if answer.int("topics.0.errorCode") != Some(0) {
            return Err(format!("topic {name} was not created: {answer:?}"));
        }
        let Some(Node::Uuid(id)) = answer.node("topics.0.topicId") else {
            return Err(format!("topic {name} has no id: {answer:?}"));
        };
        let id = *id;
        let topic = Topic {
            name: name.to_owned(),
            id,
        };
        self.led(&topic, partitions)?;
        Ok(topic)
    }

    /// Waits, quietly, until the broker serves what it leads: it tells so in Metadata a moment before it does.
    pub(crate) fn led(&mut self, topic: &Topic, partitions: i32) -> Result<(), String> {
        for partition in 0..partitions {
            let request = requests::list_offsets(topic, partition, -1, false);
            self.until("a leader", 7, &request, |answer| {
                answer.int("topics.0.partitions.0.errorCode") == Some(0)
            })?;
        }
        Ok(())
    }

    /// InitProducerId v4 until the coordinator is there.
    pub(crate) fn init(&mut self, what: &str, transactional_id: Option<&str>) -> Result<Producer, String> {
        let request = requests::init(transactional_id, (-1, -1));
        let answer = self.settled(what, 4, &request, ("errorCode", COMING_OR_CLOSING))?;
        producer_of(&answer)
    }

    /// Produces one batch to partition 0 with version 9, and gives the code.
    pub(crate) fn send(&mut self, what: &str, topic: &Topic, batch: &Batch) -> Result<Option<i64>, String> {
        self.send_to(what, topic, 0, batch)
    }

    pub(crate) fn send_to(
        &mut self,
        what: &str,
        topic: &Topic,
        partition: i32,
        batch: &Batch,
    ) -> Result<Option<i64>, String> {
        let answer = self.ask(what, 9, &requests::produce(topic, partition, batch.bytes()))?;
        Ok(answer.int(PRODUCED))
    }

    /// Produces one transactional batch, past the closing of the transaction before.
    pub(crate) fn send_in(
        &mut self,
        what: &str,
        protocol: Protocol,
        (transactional_id, topic, partition): (&str, &Topic, i32),
        batch: Batch,
    ) -> Result<Answer, String> {
        let request = requests::produce(topic, partition, batch.transactional().bytes())
            .with_transactional_id(Some(super::requests::text(transactional_id).into()));
        self.settled(what, protocol.produce, &request, (PRODUCED, COMING_OR_CLOSING))
    }

    /// TV1 only: adds a partition to the transaction.
    pub(crate) fn add(
        &mut self,
        protocol: Protocol,
        transactional_id: &str,
        producer: Producer,
        topic: &Topic,
        partitions: &[i32],
    ) -> Result<(), String> {
        if protocol == TV1 {
            let request = requests::add_partitions(transactional_id, producer, topic, partitions);
            let path = "resultsByTopicV3AndBelow.0.resultsByPartition.0.partitionErrorCode";
            self.settled("into the transaction", 3, &request, (path, COMING_OR_CLOSING))?;
        }
        Ok(())
    }

    /// EndTxn; gives who the producer is afterwards.
    pub(crate) fn end(
        &mut self,
        what: &str,
        protocol: Protocol,
        transactional_id: &str,
        producer: Producer,
        commit: bool,
    ) -> Result<Producer, String> {
        let request = requests::end_txn(transactional_id, producer, commit);
        let answer = self.settled(what, protocol.end, &request, ("errorCode", COMING_OR_CLOSING))?;
        Ok(producer_of(&answer).unwrap_or(producer))
    }

    /// Waits, quietly, until no transaction is open on a partition.
    pub(crate) fn closed(&mut self, topic: &Topic, partition: i32) -> Result<(), String> {
        let path = "topics.0.partitions.0.activeProducers";
        self.until(
            "the end of the transaction",
            0,
            &requests::describe_producers(topic, &[partition]),
            |answer| match answer.node(path) {
                Some(Node::List(Some(producers))) => producers
                    .iter()
                    .all(|producer| producer.at("currentTxnStartOffset") == Some(&Node::Int(-1))),
                _ => false,
            },
        )?;
        // The marker is there; the last stable offset follows the high watermark over it.
        let offset = "topics.0.partitions.0.offset";
        let high = requests::list_offsets(topic, partition, -1, false);
        let stable = requests::list_offsets(topic, partition, -1, true);
        let deadline = Instant::now() + BY_ITSELF_BOUND;
        while self.quiet(7, &stable)?.int(offset) != self.quiet(7, &high)?.int(offset) {
            if Instant::now() > deadline {
                return Err("the last stable offset does not follow the high watermark".into());
            }
        }
        Ok(())
    }

    /// High watermark and last stable offset.
    pub(crate) fn ends(&mut self, what: &str, topic: &Topic, partition: i32) -> Result<(), String> {
        for (name, committed) in [("high watermark", false), ("last stable offset", true)] {
            let request = requests::list_offsets(topic, partition, -1, committed);
            self.ask(&format!("{what}: {name}"), 7, &request)?;
        }
        Ok(())
    }

    /// Everything that stands in a partition.
    pub(crate) fn log(
        &mut self,
        what: &str,
        topic: &Topic,
        partition: i32,
        committed: bool,
    ) -> Result<(), String> {
        self.ask(what, 12, &requests::fetch(topic, partition, 0, committed))?;
        Ok(())
    }
}

/// Producer id and epoch of an answer that has them.
pub(crate) fn producer_of(answer: &Answer) -> Result<Producer, String> {
    let pid = answer.int("producerId").filter(|pid| *pid >= 0);
    let epoch = answer
        .int("producerEpoch")
        .and_then(|epoch| i16::try_from(epoch).ok());
    pid.zip(epoch)
        .ok_or_else(|| format!("no producer id in {answer:?}"))
}
