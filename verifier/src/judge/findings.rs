//! What the checks found: exact counts, and the first few of each kind as examples. Pure.

use std::collections::BTreeMap;

use crate::stamp::RecordId;
use crate::verdict::Example;

/// Examples kept of each anomaly.
const EXAMPLES_MAX: u64 = 10;

/// The anomalies that this version can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Anomaly {
    /// Lost: acknowledged, and provably not in the log.
    L1,
    /// Lost below the frontier: L1 with some later offset of the same partition read.
    L2,
    /// Unseen: acknowledged, but the log was not read as far. On a sealed log it is L1.
    L3,
    /// Handed over to a client that ended in order without telling an outcome, and not in the log.
    L4,
    /// Seen by a reader, and in the sealed log there is nothing there, or another record.
    L6,
    /// The same record at two offsets of one partition.
    D1,
    /// The same record in two partitions.
    D2,
    /// A record in the log that was reported as not written.
    D3,
    /// One source record with two copies that can be read.
    D6,
    /// A record behind a later one of the same worker and key (keyless: of the same worker and partition).
    O1,
    /// The same within one batch.
    O2,
    /// A record behind one that was sent only after it had been acknowledged.
    O3,
    /// A reader got a later record of a key (keyless: of a worker) first, and this one in a later answer.
    O4,
    /// A reader without a seek got an offset again, or jumped over a record that it should get.
    O5,
    /// Records of one key in two partitions.
    O7,
    /// One place of the log claimed for two records.
    I1,
    /// A record whose bytes are not those that were sent.
    I2,
    /// A record that nobody sent.
    I3,
    /// An acknowledgement with another place than the record has, or with none.
    I4,
    /// A leader epoch that went back along the log, or a reader's position that did without a seek.
    I5,
    /// Our own reader and one of Kafka's own tools disagree about what stands where.
    I6,
    /// A record of an aborted transaction that can be read, or was given to a reader at read_committed.
    T1,
    /// A record given to a reader at read_committed before its transaction could be committed.
    T2,
    /// A transaction of which some acknowledged records can be read, and some not.
    T3,
    /// A transaction reported as aborted, of which all acknowledged records can be read: every one of them is T1.
    T4,
    /// A transaction reported as committed, of which no acknowledged record can be read.
    T5,
    /// The committed position of a copy job and its copies disagree about a source record.
    T6,
    /// A record that can be read, written with an epoch older than one that its producer id had used before.
    T7,
    /// A last stable offset that stood still for longer than a transaction may last.
    T8,
    /// A stretch without an acknowledgement, longer than allowed, while records were due.
    V1,
    /// The same while the declared core stood.
    V2,
    /// Not recovered in time after everything was healed.
    V3,
    /// A partition or a reader that stood still while the declared core stood.
    V4,
    /// Records due before a heal that were handed over too late after it.
    V6,
}

impl Anomaly {
    /// All of them, in order.
    pub const ALL: [Anomaly; 34] = [
        Anomaly::L1,
        Anomaly::L2,
        Anomaly::L3,
        Anomaly::L4,
        Anomaly::L6,
        Anomaly::D1,
        Anomaly::D2,
        Anomaly::D3,
        Anomaly::D6,
        Anomaly::O1,
        Anomaly::O2,
        Anomaly::O3,
        Anomaly::O4,
        Anomaly::O5,
        Anomaly::O7,
        Anomaly::I1,
        Anomaly::I2,
        Anomaly::I3,
        Anomaly::I4,
        Anomaly::I5,
        Anomaly::I6,
        Anomaly::T1,
        Anomaly::T2,
        Anomaly::T3,
        Anomaly::T4,
        Anomaly::T5,
        Anomaly::T6,
        Anomaly::T7,
        Anomaly::T8,
        Anomaly::V1,
        Anomaly::V2,
        Anomaly::V3,
        Anomaly::V4,
        Anomaly::V6,
    ];

    /// `L1`, `D2`, ...
    pub fn id(self) -> &'static str {
        match self {
            Anomaly::L1 => "L1",
            Anomaly::L2 => "L2",
            Anomaly::L3 => "L3",
            Anomaly::L4 => "L4",
            Anomaly::L6 => "L6",
            Anomaly::D1 => "D1",
            Anomaly::D2 => "D2",
            Anomaly::D3 => "D3",
            Anomaly::D6 => "D6",
            Anomaly::O1 => "O1",
            Anomaly::O2 => "O2",
            Anomaly::O3 => "O3",
            Anomaly::O4 => "O4",
            Anomaly::O5 => "O5",
            Anomaly::O7 => "O7",
            Anomaly::I1 => "I1",
            Anomaly::I2 => "I2",
            Anomaly::I3 => "I3",
            Anomaly::I4 => "I4",
            Anomaly::I5 => "I5",
            Anomaly::I6 => "I6",
            Anomaly::T1 => "T1",
            Anomaly::T2 => "T2",
            Anomaly::T3 => "T3",
            Anomaly::T4 => "T4",
            Anomaly::T5 => "T5",
            Anomaly::T6 => "T6",
            Anomaly::T7 => "T7",
            Anomaly::T8 => "T8",
            Anomaly::V1 => "V1",
            Anomaly::V2 => "V2",
            Anomaly::V3 => "V3",
            Anomaly::V4 => "V4",
            Anomaly::V6 => "V6",
        }
    }
}

/// Counts and examples.
#[derive(Debug, Default)]
pub(super) struct Findings {
    counts: BTreeMap<Anomaly, u64>,
    examples: Vec<(Anomaly, Option<RecordId>, Example)>,
}

impl Findings {
    /// One more; `detail` is asked for only while examples are still kept.
    pub(super) fn add(
        &mut self,
        anomaly: Anomaly,
        record: Option<RecordId>,
        detail: impl FnOnce() -> String,
    ) {
        let count = self.counts.entry(anomaly).or_insert(0);
        *count += 1;
        if *count <= EXAMPLES_MAX {
            self.examples.push((
                anomaly,
                record,
                Example {
                    id: anomaly.id().to_owned(),
                    record: record.map(|id| id.to_string()),
                    detail: detail(),
                },
            ));
        }
    }

    /// How many were found.
    pub(super) fn count(&self, anomaly: Anomaly) -> u64 {
        self.counts.get(&anomaly).copied().unwrap_or(0)
    }

    /// All that were found, with their counts.
    pub(super) fn counts(&self) -> BTreeMap<Anomaly, u64> {
        self.counts.clone()
    }

    /// The examples, by anomaly.
    pub(super) fn examples(&self) -> Vec<Example> {
        let mut examples = self.examples.clone();
        examples.sort_by_key(|(anomaly, _, _)| *anomaly);
        examples.into_iter().map(|(_, _, example)| example).collect()
    }

    /// The records that the examples name, by anomaly, with what was found about each.
    pub(super) fn named(&self) -> Vec<(Anomaly, RecordId, String)> {
        let mut named: Vec<_> = self
            .examples
            .iter()
            .filter_map(|(anomaly, record, example)| Some((*anomaly, (*record)?, example.detail.clone())))
            .collect();
        named.sort_by_key(|&(anomaly, _, _)| anomaly);
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_exact_and_examples_few() {
        let mut findings = Findings::default();
        let mut told = 0;
        for i in 0..1_000 {
            findings.add(Anomaly::D1, Some(RecordId::new(3, i)), || {
                told += 1;
                "twice".into()
            });
        }
        findings.add(Anomaly::L1, None, || "gone".into());
        assert_eq!(
            (findings.count(Anomaly::D1), findings.count(Anomaly::O7), told),
            (1_000, 0, 10)
        );
        let examples = findings.examples();
        assert_eq!(examples.len(), 11);
        assert_eq!(
            (examples[0].id.as_str(), examples[1].record.as_deref()),
            ("L1", Some("3:0"))
        );
    }
}
