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
    /// The same record at two offsets of one partition.
    D1,
    /// The same record in two partitions.
    D2,
    /// A record in the log that was reported as not written.
    D3,
    /// A record behind a later one of the same worker and key (keyless: of the same worker and partition).
    O1,
    /// The same within one batch.
    O2,
    /// A record behind one that was sent only after it had been acknowledged.
    O3,
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
}

impl Anomaly {
    /// `L1`, `D2`, ...
    pub fn id(self) -> &'static str {
        match self {
            Anomaly::L1 => "L1",
            Anomaly::L2 => "L2",
            Anomaly::L3 => "L3",
            Anomaly::D1 => "D1",
            Anomaly::D2 => "D2",
            Anomaly::D3 => "D3",
            Anomaly::O1 => "O1",
            Anomaly::O2 => "O2",
            Anomaly::O3 => "O3",
            Anomaly::O7 => "O7",
            Anomaly::I1 => "I1",
            Anomaly::I2 => "I2",
            Anomaly::I3 => "I3",
            Anomaly::I4 => "I4",
        }
    }
}

/// Counts and examples.
#[derive(Debug, Default)]
pub(super) struct Findings {
    counts: BTreeMap<Anomaly, u64>,
    examples: Vec<(Anomaly, Example)>,
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
            let record = record.map(|id| id.to_string());
            self.examples.push((
                anomaly,
                Example {
                    id: anomaly.id().to_owned(),
                    record,
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
        examples.sort_by_key(|(anomaly, _)| *anomaly);
        examples.into_iter().map(|(_, example)| example).collect()
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
