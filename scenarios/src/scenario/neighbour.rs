//! `[neighbour]`: another tenant of the same cluster, with a client id and a topic of its own, that writes from the begin of
//! warm-up to the end of the load. It is there for what it does to the judged load: its own records are not judged.

use steadfast_producer::config::ProducerConfig;
use steadfast_verifier::workload::{Executor, Keys, PartitionChoice, SOURCE_WORKER, Workload};

use crate::scenario::cluster::ClusterWish;
use crate::scenario::diagnostics::Problem;
use crate::scenario::notes::Notes;
use crate::scenario::producer::Settings;
use crate::scenario::reader::Table;
use crate::scenario::workload::{Load, find_topic, size_fits};

/// Its `client.id`, which a quota may name.
pub(crate) const CLIENT_ID: &str = "steadfast-neighbour";

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Neighbour {
    /// The topic that it writes to.
    pub topic: String,
    partitions: u32,
    /// Records per second.
    pub rate: f64,
    /// Bytes of each value.
    pub record_size: u32,
}

impl Neighbour {
    /// The order to its worker, made of that to the judged one. Where its history goes is still to be said.
    pub(crate) fn order(&self, judged: &Workload) -> Workload {
        let mut producer = judged.producer.clone();
        producer.retain(|name, _| !name.starts_with("transaction"));
        producer.insert("client.id".to_owned(), CLIENT_ID.to_owned());
        Workload {
            worker: SOURCE_WORKER,
            incarnation: 0,
            first_index: 0,
            topic: self.topic.clone(),
            partitions: self.partitions,
            partition: PartitionChoice::RoundRobin,
            executor: Executor::ConstantArrivalRate { rate: self.rate },
            record_size: self.record_size,
            keys: Keys::None,
            headers: Vec::new(),
            transaction: None,
            copy: None,
            producer,
            ..judged.clone()
        }
    }

    /// Records that it writes beside the judged load.
    pub(crate) fn records(&self, judged: &Workload) -> f64 {
        self.rate * (judged.warmup_ns.saturating_add(judged.duration_ns)) as f64 / 1e9
    }
}

/// Reads `[neighbour]`.
pub(crate) fn read(
    table: &Table<'_>,
    cluster: Option<&ClusterWish>,
    load: Option<&Load>,
    producer: Option<&Settings>,
    notes: &Notes<'_>,
) -> Option<Neighbour> {
    let named = table.text("topic");
    let rate = table.rate("rate");
    let size = table.size("record-size").filter(|size| size_fits(size, notes));
    let topic = match (&named, cluster) {
        (Some(named), Some(cluster)) => find_topic(named, &cluster.topics, notes),
        _ => None,
    };
    if let Some(rate) = rate.as_ref().filter(|rate| *rate.get_ref() == 0.0) {
        notes.push(Problem::at(
            rate.span(),
            "`rate` is zero",
            "nothing would be sent",
        ));
    }
    if let Some(load) = load {
        let judged = &load.workload;
        let taken = |topic: &String| {
            *topic == judged.topic || judged.copy.as_ref().is_some_and(|copy| copy.topic == *topic)
        };
        if let (Some(named), Some((topic, _))) = (&named, &topic)
            && taken(topic)
        {
            let problem = Problem::at(
                named.span(),
                "a neighbour in a topic that is judged",
                "expected a topic of its own",
            );
            notes.push(problem.note(&format!(
                "add one to [cluster], such as `topics.neighbour = {{ partitions = 6 }}`; judged is `{}`",
                judged.topic
            )));
        }
        if load.duration.is_none() {
            let problem = Problem::at(
                table.span.clone(),
                "a neighbour of an `unlimited` load",
                "it writes as long as the load lasts, and nobody knows how long that is",
            );
            notes.push(problem.note("use `constant-arrival-rate`, whose length is known"));
        }
    }
    if producer.is_some_and(|producer| producer.client_id == CLIENT_ID) {
        let problem = Problem::at(
            table.span.clone(),
            "a neighbour of the same client id",
            &format!("it calls itself {CLIENT_ID}, as the producer does"),
        );
        let usual = ProducerConfig::CLIENT_ID;
        notes.push(problem.note(&format!(
            "leave `client.id` out of [producer], which makes it {usual}, or choose another"
        )));
    }
    let (topic, partitions) = topic?;
    Some(Neighbour {
        topic,
        partitions,
        rate: rate?.into_inner(),
        record_size: u32::try_from(size?.into_inner()).ok()?,
    })
}
