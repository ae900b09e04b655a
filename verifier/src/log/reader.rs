//! Reads the compact log of one partition, batch by batch, in constant memory.

use std::path::Path;

use super::block::{self, Before};
use super::{Footer, LogBatch, MAGIC, MAX_BODY_BYTES};
use crate::frame::{FormatError, Frames, Next};
use crate::varint::Cursor;

/// The reading end of a compact log.
#[derive(Debug)]
pub struct Reader {
    frames: Frames,
    topic: String,
    partition: i32,
    /// Bytes of the block at hand that are still to be read.
    left: usize,
    before: Before,
    batch: LogBatch,
    batches: u64,
    records: u64,
    footer: Option<Footer>,
}

impl Reader {
    /// Opens a file and reads its header.
    pub fn open(path: &Path) -> Result<Reader, FormatError> {
        let (mut frames, word) = Frames::open(path, MAGIC, "a log of this version", MAX_BODY_BYTES)?;
        if word != [0; 8] || frames.next()? != Next::Frame {
            return Err(frames.damaged("no header"));
        }
        let (topic, partition) = header(frames.body()).ok_or_else(|| frames.damaged("no header"))?;
        Ok(Reader {
            frames,
            topic,
            partition,
            left: 0,
            before: Before::default(),
            batch: LogBatch::default(),
            batches: 0,
            records: 0,
            footer: None,
        })
    }

    /// The topic read.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The partition read.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The counts at the end of the file; none before [`Reader::next_batch`] has come there.
    pub fn footer(&self) -> Option<Footer> {
        self.footer
    }

    /// The next batch; none behind the last one, when the footer was there, agreed, and was the end of the file.
    pub fn next_batch(&mut self) -> Result<Option<&LogBatch>, FormatError> {
        if self.footer.is_some() {
            return Ok(None);
        }
        if self.left == 0 && !self.next_block()? {
            return Ok(None);
        }
        let body = self.frames.body();
        let mut cursor = Cursor::new(&body[body.len() - self.left..]);
        block::decode(&mut cursor, &mut self.before, &mut self.batch)
            .ok_or_else(|| self.frames.damaged("a block that makes no sense"))?;
        self.left = cursor.remaining();
        self.batches += 1;
        self.records += self.batch.records.len() as u64;
        Ok(Some(&self.batch))
    }

    /// Goes to the next block; false when it was the footer.
    fn next_block(&mut self) -> Result<bool, FormatError> {
        match self.frames.next()? {
            Next::Frame => {}
            Next::EndOfFile => {
                return Err(FormatError::Unfinished {
                    path: self.frames.path().to_owned(),
                });
            }
            Next::Gap => return Err(self.frames.damaged("a piece that is cut or missing")),
        }
        match self.frames.body() {
            [1, batches @ ..] if !batches.is_empty() => {
                self.left = batches.len();
                self.before = Before::default();
                Ok(true)
            }
            [2, counts @ ..] => {
                let footer = footer(counts).ok_or_else(|| self.frames.damaged("no footer"))?;
                if footer.batches != self.batches || footer.records != self.records {
                    return Err(self.frames.damaged("counts that differ from what is there"));
                }
                if self.frames.offset() != self.frames.size() {
                    return Err(self.frames.damaged("bytes behind the footer"));
                }
                self.footer = Some(footer);
                Ok(false)
            }
            _ => Err(self.frames.damaged("a block that makes no sense")),
        }
    }
}

fn header(body: &[u8]) -> Option<(String, i32)> {
    let mut cursor = Cursor::new(body);
    let kind = cursor.byte()?;
    let length = cursor.count()?;
    let topic = std::str::from_utf8(cursor.take(length)?).ok()?.to_owned();
    let partition = cursor.narrow()?;
    (kind == 0 && cursor.remaining() == 0).then_some((topic, partition))
}

fn footer(counts: &[u8]) -> Option<Footer> {
    let mut cursor = Cursor::new(counts);
    let footer = Footer {
        batches: cursor.unsigned()?,
        records: cursor.unsigned()?,
        end_offset: cursor.signed()?,
    };
    (cursor.remaining() == 0).then_some(footer)
}
