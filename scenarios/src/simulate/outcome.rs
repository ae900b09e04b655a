//! What became of one world.

use std::collections::BTreeMap;

use steadfast_verifier::verdict::Records;

use super::SECOND;
use super::client::Counts;
use super::evidence;
use super::world::World;

/// What became of one world.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Outcome {
    /// How often which anomaly was found, by the judge or by a client's user.
    pub(crate) anomalies: BTreeMap<&'static str, u64>,
    /// The class of the world, and how often what was found that nobody can promise there.
    pub(crate) class: &'static str,
    pub(crate) void: BTreeMap<&'static str, u64>,
    /// In words: the first few of each.
    pub(crate) words: Vec<String>,
    pub(crate) records: Records,
    pub(crate) events: u64,
    pub(crate) virtual_ns: u64,
    /// From the heal until all was drained; none if it never was.
    pub(crate) drained_ns: Option<u64>,
    /// How often which kind of fault was carried out.
    pub(crate) faults: BTreeMap<&'static str, u64>,
    pub(crate) counts: Counts,
    /// Of all frames and what was found.
    pub(crate) hash: u64,
}

/// What was found is told in so many sentences, about; all of it is counted.
const WORDS_MAX: usize = 40;
/// An assertion failed.
const PANIC: &str = "panic";
/// A reader or a partition that cannot go on.
const STUCK: &str = "V4";
/// Absence of anomalies is not shown.
const DOUBT: &str = "H3";

impl Outcome {
    /// Of a world that is over.
    pub(crate) fn of(mut world: World<'_>) -> Result<Outcome, String> {
        let stuck = (!world.is_read()).then(|| "readers did not come to the end".to_owned());
        let broken = world
            .readers
            .iter_mut()
            .filter_map(|reader| reader.complaint.take());
        let of_readers: Vec<String> = broken.chain(stuck).collect();
        let found = evidence::judge(&mut world)?;
        let mut anomalies: BTreeMap<&'static str, u64> = found
            .anomalies
            .iter()
            .map(|(anomaly, count)| (anomaly.id(), *count))
            .collect();
        let class = world.swarm.class;
        let void: BTreeMap<&'static str, u64> = class
            .void()
            .iter()
            .filter_map(|id| anomalies.remove_entry(id))
            .collect();
        let mut words: Vec<String> = found
            .examples
            .iter()
            .filter(|example| anomalies.contains_key(example.id.as_str()))
            .map(|example| format!("{} {}", example.id, example.detail))
            .collect();
        let mut counts = Counts::default();
        for client in &world.clients {
            counts.add(&client.counts);
            for partition in client
                .alarms
                .iter()
                .filter(|partition| !world.doubtful.contains(partition))
            {
                *anomalies.entry(STUCK).or_default() += 1;
                words.push(format!(
                    "{STUCK} client {}: partition {partition} was stopped, and nothing was lost there",
                    client.number
                ));
            }
            for complaint in &client.complaints {
                *anomalies.entry(complaint.anomaly).or_default() += 1;
                if words.len() < WORDS_MAX {
                    words.push(format!("{} {}", complaint.anomaly, complaint.what));
                }
            }
        }
        for complaint in of_readers {
            *anomalies.entry(STUCK).or_default() += 1;
            words.push(format!("{STUCK} {complaint}"));
        }
        for doubt in &found.doubts {
            *anomalies.entry(DOUBT).or_default() += 1;
            words.push(format!("{DOUBT} {doubt}"));
        }
        let mut faults = BTreeMap::new();
        for (fault, applied) in world.plan.iter().zip(&world.applied) {
            *faults.entry(fault.kind.name()).or_default() += u64::from(*applied);
        }
        let judged = anomalies.iter().fold(world.hash, |hash, (id, count)| {
            let id = id.bytes().fold(0, |sum: u64, byte| sum << 8 | u64::from(byte));
            (hash ^ id ^ count.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        });
        let records = found.records;
        let hash = [records.sent, records.acked, records.not_written, records.read]
            .iter()
            .fold(judged, |hash, count| {
                (hash ^ count).wrapping_mul(0xd6e8_feb8_6659_fd93)
            });
        Ok(Outcome {
            class: class.name(),
            void,
            anomalies,
            words,
            records,
            events: world.events,
            virtual_ns: world.now_ns - SECOND,
            drained_ns: (world.drained_ns > 0).then(|| world.drained_ns - world.heal_ns),
            faults,
            counts,
            hash,
        })
    }

    /// Of a world in which something panicked: an assertion of the core or of the model.
    pub(crate) fn of_panic(class: &'static str, payload: &(dyn std::any::Any + Send)) -> Outcome {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or(payload.downcast_ref::<&str>().copied());
        Outcome {
            class,
            anomalies: BTreeMap::from([(PANIC, 1)]),
            words: vec![format!("{PANIC}: {}", text.unwrap_or("no words"))],
            ..Outcome::default()
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.anomalies.is_empty()
    }

    /// The anomaly that counts most: delivery, then liveness, then doubts.
    pub(crate) fn worst(&self) -> Option<&'static str> {
        let rank = |id: &&str| match id.as_bytes().first() {
            Some(b'H') => 2,
            Some(b'V') => 1,
            _ => 0,
        };
        self.anomalies.keys().copied().min_by_key(|id| rank(id))
    }

    /// `L1=3 V4=1`.
    pub(crate) fn names(&self) -> String {
        let name = |(id, count): (&&str, &u64)| format!("{id}={count}");
        self.anomalies.iter().map(name).collect::<Vec<_>>().join(" ")
    }
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Counts) {
        self.crashed += other.crashed;
        self.fenced += other.fenced;
        self.committed += other.committed;
        self.aborted += other.aborted;
        self.in_doubt += other.in_doubt;
        self.epoch_bumps += other.epoch_bumps;
        self.retried += other.retried;
        self.alarms += other.alarms;
    }
}
