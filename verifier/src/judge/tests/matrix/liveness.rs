//! Planted: stretches without an answer, slow recoveries, debts that are not paid in time.

use super::dice::Dice;
use super::plant::{Plant, Row};
use super::scene::{BACKLOG_NS, GAP_NS, PROGRESS_NS, RECOVERY_NS, Scene};
use super::script::{Told, Written};
use super::shapes;
use super::watch::{Answer, Reader};
use crate::judge::tests::fixture::MS;
use crate::reads::Isolation;

pub(super) const ROWS: [Row; 7] = [
    Row {
        id: "V1",
        planted: "an outage longer than the gap allowed",
        beside: &[],
        shape: shapes::live,
        plant: Plant::Shape(|shape, dice| {
            shape.outage_ns = Some(GAP_NS + dice.us(10_000, 60_000));
            1
        }),
    },
    Row {
        id: "V2",
        planted: "nothing is acknowledged for a while though nothing is broken",
        beside: &["V4"],
        shape: shapes::live,
        plant: Plant::Script(|scene, dice| stall(scene, dice, false)),
    },
    Row {
        id: "V3",
        planted: "a batch sent before the heal is answered too long after it",
        beside: &[],
        shape: shapes::live,
        plant: Plant::Script(answered_late),
    },
    Row {
        id: "V4",
        planted: "one partition stands still though nothing is broken",
        beside: &[],
        shape: shapes::live,
        plant: Plant::Script(|scene, dice| stall(scene, dice, true)),
    },
    Row {
        id: "V4",
        planted: "a batch in the log is never answered",
        beside: &[],
        shape: shapes::live,
        plant: Plant::Script(never_answered),
    },
    Row {
        id: "V4",
        planted: "a reader stands still below the end though nothing is broken",
        beside: &[],
        shape: shapes::live,
        plant: Plant::Reads(reader_stands),
    },
    Row {
        id: "V6",
        planted: "a worker hands over what was due before the heal too long after it",
        beside: &[],
        shape: shapes::live,
        plant: Plant::Script(debt),
    },
];

/// Healthy times: before the outage and after it.
fn healed_ns(scene: &Scene) -> Option<u64> {
    scene.outage.as_ref().map(|outage| outage.end)
}

/// What would be written within a stretch is written behind it, in the same order, and answered as fast.
fn stall(scene: &mut Scene, dice: &mut Dice, one_partition: bool) -> Option<u64> {
    let from_ns = healed_ns(scene)? + dice.us(20_000, 40_000);
    let until_ns = from_ns + shapes::stall_ns(dice);
    if scene.end_ns < until_ns + 20 * MS {
        return None;
    }
    let partition = dice.between(0, scene.shape.partitions as u64 - 1) as i32;
    let mut stopped: Vec<usize> = (0..scene.appends.len()).collect();
    stopped.retain(|&append| {
        let of = &scene.appends[append];
        (from_ns..until_ns).contains(&of.at_ns) && (!one_partition || of.partition == partition)
    });
    stopped.sort_by_key(|&append| scene.appends[append].at_ns);
    // The first one to wait must wait for long enough, whatever was drawn.
    let first_ns = scene.appends[*stopped.first()?].at_ns;
    if until_ns - first_ns < PROGRESS_NS + 5 * MS {
        return None;
    }
    for (append, at_ns) in stopped.into_iter().zip(until_ns..) {
        let later_ns = at_ns - scene.appends[append].at_ns;
        scene.appends[append].at_ns = at_ns;
        if let Written::Batch(batch) = scene.appends[append].what {
            delay(scene, batch, later_ns);
        }
    }
    Some(1)
}

fn delay(scene: &mut Scene, batch: usize, later_ns: u64) {
    if let Told::Acked { at_ns } | Told::NotWritten { at_ns } | Told::Unknown { at_ns } =
        &mut scene.batches[batch].told
    {
        *at_ns += later_ns;
    }
}

fn answered_late(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    let healed_ns = healed_ns(scene)?;
    let mut batches = scene.promised();
    batches.retain(|&batch| scene.batches[batch].handover_ns < healed_ns);
    let batch = dice.pick(&batches)?;
    scene.batches[batch].told = Told::Acked {
        at_ns: healed_ns + RECOVERY_NS + dice.us(1_000, 10_000),
    };
    // From before the outage on it waits in that healthy time too; that is V4's.
    let outage = scene.outage.clone()?;
    let handover_ns = scene.batches[batch].handover_ns;
    (outage.start.saturating_sub(handover_ns) < PROGRESS_NS).then_some(1)
}

fn never_answered(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    let healed_ns = healed_ns(scene)?;
    let until_ns = scene.end_ns.checked_sub(PROGRESS_NS + 5 * MS)?;
    let mut batches = scene.promised();
    batches.retain(|&batch| (healed_ns..until_ns).contains(&scene.batches[batch].handover_ns));
    let batch = dice.pick(&batches)?;
    scene.batches[batch].told = Told::Nothing;
    Some(1)
}

fn reader_stands(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    let from_ns = healed_ns(scene)? + dice.us(1_000, 20_000);
    let until_ns = from_ns + PROGRESS_NS + dice.us(1_000, 9_000);
    let partition = dice.between(0, scene.shape.partitions as u64 - 1) as i32;
    let high_watermark = scene.highest(partition) + 1;
    if until_ns > scene.end_ns || high_watermark < 1 {
        return None;
    }
    let seen = |at_ns| Answer {
        partition,
        at_ns,
        sought: Some(0).filter(|_| at_ns == from_ns),
        next_offset: 0,
        high_watermark,
        last_stable_offset: high_watermark,
        records: Vec::new(),
    };
    scene.readers.push(Reader {
        isolation: Isolation::ReadCommitted,
        name: "stuck".into(),
        answers: vec![seen(from_ns), seen(until_ns)],
    });
    Some(1)
}

/// The worker was blocked: it hands over what it should have before the heal, and all that came after, only then.
fn debt(scene: &mut Scene, dice: &mut Dice) -> Option<u64> {
    let healed_ns = healed_ns(scene)?;
    let worker = dice.between(0, u64::from(scene.shape.workers) - 1) as u16;
    let paid_ns = healed_ns + BACKLOG_NS + dice.us(1_000, 5_000);
    let from_ns = healed_ns.checked_sub(dice.us(4_000, 9_000))?;
    let mut late = false;
    // In the order in which it sends: so each partition of it stays in order.
    let mut last_ns = vec![0; scene.shape.partitions as usize];
    for batch in 0..scene.batches.len() {
        let of = &mut scene.batches[batch];
        if of.worker != worker || of.handover_ns < from_ns {
            continue;
        }
        late |= of.items.iter().any(|item| item.due_ns < healed_ns);
        of.handover_ns = of.handover_ns.max(paid_ns);
        let (partition, sent_ns) = (of.partition as usize, of.handover_ns);
        let append = scene
            .appends
            .iter_mut()
            .find(|append| matches!(append.what, Written::Batch(of) if of == batch));
        let later_ns = match append {
            Some(append) => {
                let was_ns = append.at_ns;
                append.at_ns = was_ns.max(sent_ns + MS).max(last_ns[partition] + 1_000);
                last_ns[partition] = append.at_ns;
                append.at_ns - was_ns
            }
            None => paid_ns - from_ns,
        };
        delay(scene, batch, later_ns);
    }
    late.then_some(1)
}
