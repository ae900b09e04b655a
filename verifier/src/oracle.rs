//! `oracle.json`: what witnesses that share no code with us read of the same topic, asked for by `run --oracle`. Format, and
//! the reading of what Kafka's own tools print; pure.
//!
//! ```text
//! consumer   Kafka's own console consumer, over the wire        "Partition:2\tOffset:17" a record
//! segments   Kafka's own segment dump, on the leaders' files    "baseOffset: 17 lastOffset: 20 count: 4 ..." a batch
//! ```
//! It is written before the load with two witnesses that have not spoken: asked for and absent is not the same as not asked.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The file's name in the run folder.
pub const FILE_NAME: &str = "oracle.json";

/// Both witnesses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oracle {
    /// The topic they were asked about.
    pub topic: String,
    /// Kafka's own console consumer.
    pub consumer: Witness,
    /// Kafka's own segment dump.
    pub segments: Witness,
}

/// What one of them said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// Why it said nothing that counts.
    pub failed: Option<String>,
    /// By partition; one that it does not name is empty to it.
    pub partitions: BTreeMap<i32, Told>,
}

/// One partition as a witness has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Data records.
    pub records: u64,
    /// Their offsets, as runs from the first to before the second, in the order in which they were told. A run that begins
    /// below the end of the one before is told twice.
    pub offsets: Vec<(i64, i64)>,
    /// Base offsets of batches whose checksum does not fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invalid: Vec<i64>,
}

impl Told {
    /// Data records from offset `first` to before `end`.
    pub fn add(&mut self, records: u64, first: i64, end: i64) {
        self.records += records;
        match self.offsets.last_mut() {
            Some(last) if last.1 == first => last.1 = end,
            _ => self.offsets.push((first, end)),
        }
    }
}

impl Witness {
    /// One that says nothing, and why.
    pub fn silent(why: impl Into<String>) -> Witness {
        Witness {
            failed: Some(why.into()),
            partitions: BTreeMap::new(),
        }
    }
}

impl Oracle {
    /// Asked for, and not heard yet.
    pub fn asked(topic: &str) -> Oracle {
        let silent = || Witness::silent("the run ended before it was asked");
        Oracle {
            topic: topic.to_owned(),
            consumer: silent(),
            segments: silent(),
        }
    }

    /// Writes `oracle.json` into the run folder.
    pub fn write(&self, run_dir: &Path) -> io::Result<()> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        fs::write(run_dir.join(FILE_NAME), json)
    }
}

/// What the console consumer printed, with partitions and offsets and nothing else on standard output.
#[derive(Debug, Default)]
pub struct ConsumerLines(BTreeMap<i32, Told>);

impl ConsumerLines {
    /// Takes the next line. An error is a sentence.
    pub fn line(&mut self, line: &str) -> Result<(), String> {
        let field = |name: &str| {
            let mut fields = line.split('\t');
            fields.find_map(|field| field.strip_prefix(name)?.trim().parse::<i64>().ok())
        };
        let partition = field("Partition:").and_then(|partition| i32::try_from(partition).ok());
        let (Some(partition), Some(offset)) = (partition, field("Offset:")) else {
            return Err(format!("a line without partition and offset: {line:?}"));
        };
        self.0.entry(partition).or_default().add(1, offset, offset + 1);
        Ok(())
    }

    /// All of it. `said`: what it wrote on standard error, where it says how many records it has processed.
    pub fn finish(self, said: &str) -> Witness {
        let read: u64 = self.0.values().map(|told| told.records).sum();
        let count = |line: &str| {
            let count = line.split_once("Processed a total of ")?.1;
            count.split_ascii_whitespace().next()?.parse::<u64>().ok()
        };
        match said.lines().filter_map(count).next_back() {
            Some(total) if total == read => Witness {
                failed: None,
                partitions: self.0,
            },
            Some(total) => Witness::silent(format!(
                "it printed {read} records and says that they are {total}"
            )),
            None => Witness::silent("it does not say how many records it has read"),
        }
    }
}

/// What the segment dump printed, file after file.
#[derive(Debug, Default)]
pub struct DumpLines {
    /// The partition whose file it is at.
    partition: Option<i32>,
    partitions: BTreeMap<i32, Told>,
}

impl DumpLines {
    /// Takes the next line; of the others than a file's name and a batch nothing is needed. An error is a sentence.
    pub fn line(&mut self, topic: &str, line: &str) -> Result<(), String> {
        if let Some(path) = line.strip_prefix("Dumping ") {
            let folder = Path::new(path.trim()).parent().and_then(Path::file_name);
            let number = folder.and_then(|name| {
                name.to_str()?
                    .strip_prefix(topic)?
                    .strip_prefix('-')?
                    .parse()
                    .ok()
            });
            self.partition =
                Some(number.ok_or_else(|| format!("a file of no partition of {topic}: {path}"))?);
            return Ok(());
        }
        if !line.starts_with("baseOffset: ") {
            // A broken segment is told in free words; what is missing then shows.
            return Ok(());
        }
        let batch = Batch::of(line).ok_or_else(|| format!("a batch that cannot be understood: {line:?}"))?;
        let partition = self.partition.ok_or("a batch before the first file")?;
        let told = self.partitions.entry(partition).or_default();
        if !batch.valid {
            told.invalid.push(batch.base_offset);
        }
        if !batch.control && batch.count > 0 {
            // Only compaction leaves holes in a batch, and a topic that is judged this way has none.
            if batch.count as i64 != batch.last_offset + 1 - batch.base_offset {
                return Err(format!("a batch with holes, as compaction leaves them: {line:?}"));
            }
            told.add(batch.count, batch.base_offset, batch.last_offset + 1);
        }
        Ok(())
    }

    /// All of it.
    pub fn finish(self) -> Witness {
        Witness {
            failed: None,
            partitions: self.partitions,
        }
    }
}

struct Batch {
    base_offset: i64,
    last_offset: i64,
    count: u64,
    control: bool,
    valid: bool,
}

impl Batch {
    /// `name: value name: value ...`.
    fn of(line: &str) -> Option<Batch> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let value = |name: &str| {
            let at = words
                .iter()
                .position(|word| word.strip_suffix(':') == Some(name))?;
            words.get(at + 1).copied()
        };
        Some(Batch {
            base_offset: value("baseOffset")?.parse().ok()?,
            last_offset: value("lastOffset")?.parse().ok()?,
            count: value("count")?.parse().ok()?,
            control: value("isControl")?.parse().ok()?,
            valid: value("isvalid")?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_consumers_lines_are_counted_and_must_be_all() {
        let read = |said| {
            let mut lines = ConsumerLines::default();
            for line in [
                "Partition:0\tOffset:0",
                "Partition:1\tOffset:5",
                "Partition:0\tOffset:1",
                "Partition:0\tOffset:3",
            ] {
                lines.line(line).unwrap();
            }
            lines.finish(said)
        };
        let witness = read("WARN something\nProcessed a total of 4 messages\n");
        assert_eq!(witness.failed, None);
        assert_eq!(
            (witness.partitions[&0].records, &witness.partitions[&0].offsets),
            (3, &vec![(0, 2), (3, 4)])
        );
        assert_eq!(witness.partitions[&1].offsets, [(5, 6)]);
        for said in ["Processed a total of 5 messages", "Exception"] {
            assert!(read(said).failed.is_some(), "{said}");
        }
        assert!(ConsumerLines::default().line("payload").is_err());
    }

    #[test]
    fn the_dumps_batches_are_read_and_markers_left_out() {
        let batch = |base: i64, last: i64, control: bool, valid: bool| {
            format!(
                "baseOffset: {base} lastOffset: {last} count: {} baseSequence: 0 lastSequence: 1 producerId: 7 producerEpoch: 0 \
                 partitionLeaderEpoch: 0 isTransactional: true isControl: {control} deleteHorizonMs: OptionalLong.empty position: 0 \
                 CreateTime: 1700000000000 size: 99 magic: 2 compresscodec: none crc: 1 isvalid: {valid}",
                last - base + 1
            )
        };
        let mut dump = DumpLines::default();
        for line in [
            "Dumping /data/broker-1/my-topic-3/00000000000000000000.log".to_owned(),
            "Log starting offset: 0".to_owned(),
            batch(0, 4, false, true),
            batch(5, 5, true, true),
            batch(6, 9, false, false),
        ] {
            dump.line("my-topic", &line).unwrap();
        }
        let witness = dump.finish();
        let told = &witness.partitions[&3];
        assert_eq!(
            (told.records, &told.offsets, &told.invalid),
            (9, &vec![(0, 5), (6, 10)], &vec![6])
        );
        assert!(
            DumpLines::default().line("t", &batch(0, 0, false, true)).is_err(),
            "of which file?"
        );
        assert!(
            DumpLines::default()
                .line("t", "Dumping /data/other-0/0.log")
                .is_err()
        );
    }
}
