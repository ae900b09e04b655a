//! One partition on its way from fetched bytes to `log/`, or for a simulated world to memory.
//!
//! Three things may be wrong with what a broker gives, and they are not the same. *Damage* (a checksum that does not
//! fit, records that are none) is what the judge looks for: it is written down as records that are not intact, and
//! reading goes on. *Not readable by us* (format 0 or 1, an unknown codec, a batch beyond the cap) says nothing
//! about the log: the partition stays unsealed, with the reason. *Cut* is how answers end.

use std::io;
use std::path::Path;

use super::batch::{self, Batch, Next};
use super::decompress::{self, Failed};
use crate::log::{LogBatch, LogRecord, MAX_RECORDS_PER_BATCH, Writer, key_hash};
use crate::stamp;
use crate::varint::Cursor;

/// Sequence numbers count modulo this.
const SEQUENCE_MODULUS: i64 = 1 << 31;

/// Why a partition cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stuck {
    /// The disk under `log/`.
    #[error("cannot write the log: {0}")]
    Io(#[from] io::Error),
    /// This reader does not know how.
    #[error("at offset {offset}: {what}")]
    Unreadable { offset: i64, what: String },
}

/// Where batches are written down.
#[derive(Debug)]
enum Sink {
    File(Writer),
    Memory(Vec<LogBatch>),
}

/// Reads one partition; pure but for the file it may write.
#[derive(Debug)]
pub(super) struct PartitionLog {
    sink: Sink,
    /// Everything below is read.
    position: i64,
    records: u64,
    /// What does not fit its checksum can be fetched again.
    again: bool,
    /// The batch whose checksum did not fit and that is fetched again.
    suspect: Option<i64>,
    topic_checksum: u32,
    decompressed: Vec<u8>,
    out: LogBatch,
}

impl PartitionLog {
    pub(super) fn create(dir: &Path, topic: &str, partition: i32, from: i64) -> io::Result<PartitionLog> {
        let writer = Writer::create(dir, topic, partition)?;
        Ok(PartitionLog::new(Sink::File(writer), topic, (from, true)))
    }

    /// Bytes that come from memory come only once: damage gets no second chance.
    pub(super) fn in_memory(topic: &str) -> PartitionLog {
        PartitionLog::new(Sink::Memory(Vec::new()), topic, (0, false))
    }

    /// What a live reader gets, answer by answer.
    pub(super) fn live(topic: &str, from: i64) -> PartitionLog {
        PartitionLog::new(Sink::Memory(Vec::new()), topic, (from, true))
    }

    fn new(sink: Sink, topic: &str, (from, again): (i64, bool)) -> PartitionLog {
        PartitionLog {
            sink,
            position: from,
            records: 0,
            again,
            suspect: None,
            topic_checksum: stamp::topic_checksum(topic),
            decompressed: Vec::new(),
            out: LogBatch::default(),
        }
    }

    /// Everything below this offset is read.
    pub(super) fn position(&self) -> i64 {
        self.position
    }

    /// Records read, those of control batches included.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// Writes down all whole batches of an answer.
    pub(super) fn accept(&mut self, mut bytes: &[u8]) -> Result<(), Stuck> {
        loop {
            match batch::next(bytes) {
                Next::Cut => return Ok(()),
                Next::Lost(what) => return Err(self.unreadable(format!("no record batch: {what}"))),
                Next::Magic(magic) => {
                    return Err(self.unreadable(format!("record format {magic}; this reader knows format 2")));
                }
                Next::Batch(batch, rest) => {
                    bytes = rest;
                    // An answer may begin with batches before the offset asked for.
                    if batch.next_offset > self.position {
                        // Bytes may have suffered between the broker's disk and here: they get a second chance.
                        if !batch.intact && self.again && self.suspect != Some(batch.base_offset) {
                            self.suspect = Some(batch.base_offset);
                            return Ok(());
                        }
                        self.batch(&batch)?;
                        self.position = batch.next_offset;
                    }
                }
            }
        }
    }

    /// Ends the file. `end_offset`: what the partition's end was.
    pub(super) fn finish(self, end_offset: i64) -> io::Result<()> {
        match self.sink {
            Sink::File(writer) => writer.finish(end_offset),
            Sink::Memory(_) => Ok(()),
        }
    }

    /// What was read into memory.
    pub(super) fn into_batches(self) -> Vec<LogBatch> {
        match self.sink {
            Sink::File(_) => Vec::new(),
            Sink::Memory(batches) => batches,
        }
    }

    /// Takes what was read into memory since the last time.
    pub(super) fn take(&mut self) -> Vec<LogBatch> {
        match &mut self.sink {
            Sink::File(_) => Vec::new(),
            Sink::Memory(batches) => std::mem::take(batches),
        }
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<(), Stuck> {
        self.out.base_offset = batch.base_offset;
        self.out.producer_id = batch.producer_id;
        self.out.producer_epoch = batch.producer_epoch;
        self.out.base_sequence = batch.base_sequence;
        self.out.leader_epoch = batch.leader_epoch;
        self.out.control = batch.control();
        self.out.transactional = batch.transactional();
        self.out.marker = None;
        self.out.records.clear();
        let mut decompressed = std::mem::take(&mut self.decompressed);
        let written = self.records_of(batch, &mut decompressed);
        self.decompressed = decompressed;
        if !written? {
            // Records that are none: one stands for all that are missing from here to the end of the batch.
            let damage = LogRecord {
                offset: 0,
                id: None,
                sequence: 0,
                key: None,
                intact: false,
                timestamp_ms: batch.max_timestamp,
            };
            let offset = self
                .out
                .records
                .last()
                .map_or(self.out.base_offset, |last| last.offset + 1);
            if self.out.records.len() == MAX_RECORDS_PER_BATCH {
                self.write()?;
                self.go_on(offset);
            }
            self.out.records.push(LogRecord {
                offset: offset.min(batch.next_offset - 1),
                ..damage
            });
        }
        self.write()
    }

    /// Gathers the records of a batch; false when they are malformed somewhere.
    fn records_of(&mut self, batch: &Batch<'_>, decompressed: &mut Vec<u8>) -> Result<bool, Stuck> {
        let bytes = if batch.codec() == 0 {
            batch.records
        } else {
            match decompress::decompress(batch.codec(), batch.records, decompressed) {
                Ok(()) => decompressed,
                Err(Failed::Malformed) => return Ok(false),
                Err(_) if !batch.intact => return Ok(false),
                Err(Failed::UnknownCodec) => {
                    return Err(self.unreadable(format!("compression codec {}", batch.codec())));
                }
                Err(Failed::TooLarge) => {
                    let cap = decompress::MAX_DECOMPRESSED_BYTES >> 20;
                    return Err(self.unreadable(format!("a batch of more than {cap} MiB when decompressed")));
                }
            }
        };
        let mut records = Cursor::new(bytes);
        let mut least = batch.base_offset;
        for _ in 0..batch.count {
            let Some(record) = batch::record(&mut records, self.topic_checksum) else {
                return Ok(false);
            };
            let offset = batch.base_offset.saturating_add(record.offset_delta.into());
            if offset < least || offset >= batch.next_offset {
                return Ok(false);
            }
            least = offset + 1;
            if self.out.records.len() == MAX_RECORDS_PER_BATCH {
                self.write()?;
                self.go_on(offset);
            }
            if batch.control() && batch.intact {
                self.out.marker = self.out.marker.or_else(|| batch::marker(&record));
            }
            self.out.records.push(log_record(batch, offset, &record));
        }
        Ok(batch.count >= 0 && records.remaining() == 0)
    }

    /// Begins the next part of a batch that is longer than the compact log takes in one.
    fn go_on(&mut self, offset: i64) {
        self.out.base_offset = offset;
        if self.out.base_sequence >= 0 {
            let sequence = i64::from(self.out.base_sequence) + MAX_RECORDS_PER_BATCH as i64;
            self.out.base_sequence = (sequence % SEQUENCE_MODULUS) as i32;
        }
    }

    fn write(&mut self) -> Result<(), Stuck> {
        self.records += self.out.records.len() as u64;
        match &mut self.sink {
            Sink::File(writer) => {
                writer.batch(&self.out)?;
                self.out.records.clear();
            }
            Sink::Memory(batches) => {
                let records = std::mem::take(&mut self.out.records);
                batches.push(LogBatch {
                    records,
                    ..self.out.clone()
                });
            }
        }
        Ok(())
    }

    fn unreadable(&self, what: String) -> Stuck {
        Stuck::Unreadable {
            offset: self.position,
            what,
        }
    }
}

fn log_record(batch: &Batch<'_>, offset: i64, record: &batch::Record<'_>) -> LogRecord {
    let timestamp_ms = batch.timestamp(record.timestamp_delta);
    let key = record.key.map(key_hash);
    if batch.control() {
        return LogRecord {
            offset,
            id: None,
            sequence: 0,
            key: None,
            intact: batch.intact,
            timestamp_ms,
        };
    }
    match record.value.and_then(stamp::read) {
        Some(stamp) => LogRecord {
            offset,
            id: Some(stamp.id),
            sequence: stamp.sequence,
            key,
            intact: batch.intact && stamp.crc == record.checksum,
            timestamp_ms,
        },
        None => LogRecord {
            offset,
            id: None,
            sequence: 0,
            key,
            intact: false,
            timestamp_ms,
        },
    }
}

#[cfg(test)]
mod tests;
