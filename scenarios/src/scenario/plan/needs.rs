//! How much memory and disk a run needs, about.

use steadfast_verifier::workload::{Executor, Keys};

use crate::scenario::Scenario;

/// What judging keeps for each record: the verifier's own bound.
const JUDGE_BYTES: f64 = 48.0;
/// More of it where readers are held against the log: where each record stands, and when it was due.
const JUDGE_READ_BYTES: f64 = 40.0;
/// What a reader writes of a record.
const READ_BYTES: f64 = 50.0;
/// Worker without its buffer, verifier without its tables.
const PROCESS_BYTES: u64 = 32 << 20;
/// Bytes of a record in the broker's log beside key, value and headers; a batch header shared by about four records.
pub(super) const LOG_OVERHEAD: f64 = 30.0;
/// The same where batches are full.
const LOG_OVERHEAD_FULL: f64 = 9.0;
/// A generated key.
const KEY_BYTES: f64 = 10.0;
/// History and compact log of a run folder, per record.
const FOLDER_BYTES: f64 = 16.0;

/// Bytes of memory of our own processes, and of disk for the brokers' logs and the run folder, for so many records.
pub(super) fn needs(scenario: &Scenario, records: f64) -> (u64, u64) {
    let workload = &scenario.template;
    let headers: u32 = workload
        .headers
        .iter()
        .map(|header| header.size + header.name.len() as u32 + 2)
        .sum();
    let key = if workload.keys == Keys::None {
        0.0
    } else {
        KEY_BYTES
    };
    let unlimited = matches!(workload.executor, Executor::Unlimited { .. });
    let overhead = if unlimited {
        LOG_OVERHEAD_FULL
    } else {
        LOG_OVERHEAD
    };
    let readers = scenario.readers.as_ref().map_or(0, |readers| readers.count);
    let judge_bytes = match readers {
        0 => JUDGE_BYTES,
        _ => JUDGE_BYTES + JUDGE_READ_BYTES,
    };
    let folder_bytes = FOLDER_BYTES + READ_BYTES * f64::from(readers);
    let beside = scenario.neighbour.as_ref().map_or(0.0, |neighbour| {
        let in_log = f64::from(neighbour.record_size) + LOG_OVERHEAD;
        neighbour.records(workload) * (in_log * copies(scenario, &neighbour.topic) + FOLDER_BYTES)
    });
    let workers = if scenario.neighbour.is_some() { 2 } else { 1 };
    let in_log = f64::from(workload.record_size) + f64::from(headers) + key + overhead;
    let memory = (scenario.producer.buffer_memory * workers).max((records * judge_bytes) as u64)
        + PROCESS_BYTES * (workers + u64::from(readers));
    // A copy job has its records twice, once in the source.
    let topics = if scenario.copy().is_some() { 2 } else { 1 };
    let disk = (records * (in_log * copies(scenario, &scenario.topic) + folder_bytes)) as u64 * topics;
    (memory, disk + beside as u64)
}

/// In how many logs a record of this topic is.
fn copies(scenario: &Scenario, topic: &str) -> f64 {
    let mut topics = scenario.cluster.topics.iter();
    let topic = topics.find(|known| known.name == topic);
    topic.map_or(1.0, |topic| f64::from(topic.replication_factor))
}
