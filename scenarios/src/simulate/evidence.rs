//! What a world leaves behind, as the judge wants it: histories, the whole log by the judge's own eyes, the seal.

use std::collections::{BTreeMap, BTreeSet};

use steadfast_broker::PartitionState;
use steadfast_verifier::history::Recorded;
use steadfast_verifier::judge::{Copy, Evidence, Found, Liveness, TRANSACTION_SLACK_NS, examine};
use steadfast_verifier::log::LogBatch;
use steadfast_verifier::reader;
use steadfast_verifier::seal::{PartitionSeal, Seal};

use super::class::Class;
use super::world::World;
use super::{GROUP, SECOND, SOURCE, TOPIC};

/// While the healthy core stands, something must be acknowledged, by every partition, within this.
const PROGRESS_NS: u64 = 30 * SECOND;
/// After the heal all that was sent before it must have an outcome within this.
const RECOVERY_NS: u64 = 40 * SECOND;
/// And all that was due must be handed over within this.
const BACKLOG_NS: u64 = 45 * SECOND;

/// Whole logs by topic, and the seal of all.
struct Logs {
    target: ByPartition,
    source: ByPartition,
    seal: Seal,
}

type ByPartition = BTreeMap<i32, Vec<LogBatch>>;

/// Judges a world that is over. An error means that its evidence contradicts itself.
pub(crate) fn judge(world: &mut World<'_>) -> Result<Found, String> {
    let logs = read(world)?;
    let copies = world.swarm.class == Class::Copy;
    let (mut of_target, mut of_source) = (Vec::new(), Vec::new());
    let mut reads_of_source = Vec::new();
    let mut timeout_ns = 0;
    for client in &mut world.clients {
        let all = client
            .before
            .drain(..)
            .chain(Some(std::mem::take(&mut client.history)));
        let all = all.map(|history| world.lives.as_judged(history));
        if client.writes == TOPIC {
            of_target.extend(all);
        } else {
            of_source.extend(all);
        }
        reads_of_source.extend(client.copier.take().map(|copier| copier.reader.seen));
        let knobs = &world.swarm.clients[client.number as usize];
        timeout_ns = timeout_ns.max(knobs.transaction_timeout_ns);
    }
    fill(&mut of_target);
    fill(&mut of_source);
    let reads: Vec<_> = std::mem::take(&mut world.readers)
        .into_iter()
        .map(|reader| reader.seen)
        .collect();
    let liveness = Liveness {
        run: SECOND..world.now_ns,
        healthy: std::iter::once(world.heal_ns..world.now_ns).collect(),
        gap_ns: None,
        progress_ns: Some(PROGRESS_NS * world.design.patience()),
        recovery_ns: Some(RECOVERY_NS * world.design.patience()),
        backlog_ns: Some(BACKLOG_NS * world.design.patience()),
    };
    let position = |partition| world.model.group_offset(GROUP, SOURCE, partition).unwrap_or(0);
    let committed = (0..world.design.partitions)
        .map(|partition| (partition, position(partition)))
        .collect();
    let target = Evidence {
        topic: TOPIC,
        partitions: world.lives.all() as u32,
        keys_choose_partition: world.swarm.by_key && !world.lives.changed,
        histories: &of_target,
        logs: &logs.target,
        seal: &logs.seal,
        reads: &reads,
        copy: copies.then_some(Copy {
            topic: SOURCE,
            logs: &logs.source,
            committed: &committed,
        }),
        liveness: Some(&liveness),
        hanging_ns: timeout_ns + TRANSACTION_SLACK_NS,
        calm_ns: world.heal_ns,
    };
    let mut found = examine(&target).map_err(|error| error.to_string())?;
    if copies {
        let source = Evidence {
            topic: SOURCE,
            partitions: world.design.partitions as u32,
            histories: &of_source,
            logs: &logs.source,
            reads: &reads_of_source,
            copy: None,
            ..target
        };
        add(&mut found, examine(&source).map_err(|error| error.to_string())?);
    }
    Ok(found)
}

/// The judge misses whoever is not there; workers of the other topic wrote nothing to this one.
fn fill(histories: &mut Vec<Recorded>) {
    let present: BTreeSet<u16> = histories.iter().map(|history| history.worker).collect();
    let all = 0..present.last().copied().unwrap_or(0);
    for worker in all.filter(|worker| !present.contains(worker)) {
        let mut nothing = Recorded::new(worker, 0, 0);
        nothing.finish();
        histories.push(nothing);
    }
}

/// Both topics' findings together.
fn add(found: &mut Found, more: Found) {
    for (anomaly, count) in more.anomalies {
        *found.anomalies.entry(anomaly).or_default() += count;
    }
    found.examples.extend(more.examples);
    found.doubts.extend(more.doubts);
    found.records.intended += more.records.intended;
    found.records.sent += more.records.sent;
    found.records.acked += more.records.acked;
    found.records.not_written += more.records.not_written;
    found.records.unknown += more.records.unknown;
    found.records.read += more.records.read;
}

fn read(world: &mut World<'_>) -> Result<Logs, String> {
    let mut target = std::mem::take(&mut world.lives.former);
    let mut source = BTreeMap::new();
    let mut seal = Seal {
        partitions: Vec::new(),
        sealed: world.lives.exists,
        reason: (!world.lives.exists).then(|| "the topic is not there".to_owned()),
    };
    for number in 0..world.lives.base {
        let of_partition = target.entry(number).or_default();
        let last = of_partition.last().and_then(|batch| batch.records.last());
        let end_offset = last.map_or(0, |last| last.offset + 1);
        seal.partitions.push(sealed(TOPIC, number, end_offset));
    }
    for partition in 0..world.lives.partitions {
        let number = world.lives.base + partition;
        target.insert(
            number,
            read_and_seal(world, (TOPIC, partition), number, &mut seal)?,
        );
    }
    if world.swarm.class == Class::Copy {
        for partition in 0..world.design.partitions {
            let of_partition = read_and_seal(world, (SOURCE, partition), partition, &mut seal)?;
            source.insert(partition, of_partition);
        }
    }
    Ok(Logs { target, source, seal })
}

fn sealed(topic: &str, partition: i32, end_offset: i64) -> PartitionSeal {
    PartitionSeal {
        topic: topic.to_owned(),
        partition,
        end_offset,
        last_stable_offset: end_offset,
        open_transactions: 0,
        stable_stood_ns: 0,
        read_to: end_offset,
    }
}

/// Reads a partition to its end, and seals it under this number, or says why not.
fn read_and_seal(
    world: &mut World<'_>,
    (topic, partition): (&str, i32),
    number: i32,
    seal: &mut Seal,
) -> Result<Vec<LogBatch>, String> {
    let (batches, state) = read_partition(world, topic, partition)?;
    let open = state.open_transactions.len();
    let stable = state.last_stable_offset.min(state.high_watermark);
    if state.high_watermark < state.log_end || stable < state.high_watermark || open > 0 {
        seal.sealed = false;
        seal.reason.get_or_insert_with(|| {
            format!(
                "{topic}-{partition}: end {}, high watermark {}, last stable offset {stable}, {open} open transactions, \
                 leader {}, in sync {:?}",
                state.log_end, state.high_watermark, state.leader, state.isr
            )
        });
    }
    seal.partitions.push(PartitionSeal {
        last_stable_offset: stable,
        open_transactions: open as u32,
        stable_stood_ns: if stable < state.high_watermark {
            world.now_ns - world.heal_ns
        } else {
            0
        },
        ..sealed(topic, number, state.high_watermark)
    });
    Ok(batches)
}

/// All that can be read of a partition now, by the judge's own eyes.
pub(crate) fn read_partition(
    world: &mut World<'_>,
    topic: &str,
    partition: i32,
) -> Result<(Vec<LogBatch>, PartitionState), String> {
    let state = world
        .model
        .partition(topic, partition)
        .ok_or_else(|| format!("partition {partition} is gone"))?;
    // A leader that was elected a moment ago knows less of the high watermark than the one before it told readers.
    let end = state.high_watermark.max(state.committed).min(state.log_end);
    let list: Vec<_> = world.model.batches(topic, partition).collect();
    let mut bytes = Vec::new();
    for batch in list.iter().filter(|batch| batch.last_offset < end) {
        let of_batch = world
            .model
            .read(state.log, batch)
            .map_err(|error| error.to_string())?;
        bytes.extend_from_slice(&of_batch);
    }
    Ok((reader::batches(topic, &bytes)?, state))
}
