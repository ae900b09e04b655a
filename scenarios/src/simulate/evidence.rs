//! What a world leaves behind, as the judge wants it: histories, the whole log by the judge's own eyes, the seal.

use std::collections::BTreeMap;

use steadfast_verifier::history::Recorded;
use steadfast_verifier::judge::{Evidence, Found, Liveness, TRANSACTION_SLACK_NS, examine};
use steadfast_verifier::log::LogBatch;
use steadfast_verifier::reader;
use steadfast_verifier::seal::{PartitionSeal, Seal};

use super::world::World;
use super::{SECOND, TOPIC};

/// While the healthy core stands, something must be acknowledged, by every partition, within this.
const PROGRESS_NS: u64 = 30 * SECOND;
/// After the heal all that was sent before it must have an outcome within this.
const RECOVERY_NS: u64 = 40 * SECOND;
/// And all that was due must be handed over within this.
const BACKLOG_NS: u64 = 45 * SECOND;

/// The whole log and its seal.
struct Logs {
    batches: BTreeMap<i32, Vec<LogBatch>>,
    seal: Seal,
}

/// Judges a world that is over. An error means that its evidence contradicts itself.
pub(crate) fn judge(world: &mut World<'_>) -> Result<Found, String> {
    let logs = read(world)?;
    let mut histories: Vec<Recorded> = Vec::new();
    let mut timeout_ns = 0;
    for client in &mut world.clients {
        histories.append(&mut client.before);
        histories.push(std::mem::take(&mut client.history));
        let knobs = &world.swarm.clients[client.number as usize];
        timeout_ns = timeout_ns.max(knobs.transaction_timeout_ns);
    }
    let reads: Vec<_> = std::mem::take(&mut world.readers)
        .into_iter()
        .map(|reader| reader.seen)
        .collect();
    let liveness = Liveness {
        run: SECOND..world.now_ns,
        healthy: std::iter::once(world.heal_ns..world.now_ns).collect(),
        gap_ns: None,
        progress_ns: Some(PROGRESS_NS),
        recovery_ns: Some(RECOVERY_NS),
        backlog_ns: Some(BACKLOG_NS),
    };
    let evidence = Evidence {
        topic: TOPIC,
        partitions: world.design.partitions as u32,
        keys_choose_partition: world.swarm.by_key,
        histories: &histories,
        logs: &logs.batches,
        seal: &logs.seal,
        reads: &reads,
        copy: None,
        liveness: Some(&liveness),
        hanging_ns: timeout_ns + TRANSACTION_SLACK_NS,
        calm_ns: world.heal_ns,
    };
    examine(&evidence).map_err(|error| error.to_string())
}

fn read(world: &mut World<'_>) -> Result<Logs, String> {
    let mut batches = BTreeMap::new();
    let mut partitions = Vec::new();
    let mut reason = None;
    for partition in 0..world.design.partitions {
        let state = world
            .model
            .partition(TOPIC, partition)
            .ok_or_else(|| format!("partition {partition} is gone"))?;
        let list: Vec<_> = world.model.batches(TOPIC, partition).collect();
        let mut bytes = Vec::new();
        for batch in list
            .iter()
            .filter(|batch| batch.last_offset < state.high_watermark)
        {
            let of_batch = world
                .model
                .read(state.log, batch)
                .map_err(|error| error.to_string())?;
            bytes.extend_from_slice(&of_batch);
        }
        let of_partition = reader::batches(TOPIC, &bytes)?;
        let open = state.open_transactions.len();
        let stable = state.last_stable_offset.min(state.high_watermark);
        if state.high_watermark < state.log_end || stable < state.high_watermark || open > 0 {
            reason.get_or_insert_with(|| {
                format!(
                    "partition {partition}: end {}, high watermark {}, last stable offset {stable}, {open} open transactions, \
                     leader {}, in sync {:?}",
                    state.log_end, state.high_watermark, state.leader, state.isr
                )
            });
        }
        partitions.push(PartitionSeal {
            topic: TOPIC.to_owned(),
            partition,
            end_offset: state.high_watermark,
            last_stable_offset: stable,
            open_transactions: open as u32,
            stable_stood_ns: if stable < state.high_watermark {
                world.now_ns - world.heal_ns
            } else {
                0
            },
            read_to: state.high_watermark,
        });
        batches.insert(partition, of_partition);
    }
    Ok(Logs {
        batches,
        seal: Seal {
            partitions,
            sealed: reason.is_none(),
            reason,
        },
    })
}
