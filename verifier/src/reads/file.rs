//! Observations as a file. Shell: owns it.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::{Header, MAX_RECORDS_PER_POLL, Poll, Seen};
use crate::frame::{self, FormatError, Frames, Next};
use crate::log::LogRecord;
use crate::log::block::{self, Before};
use crate::varint::{Cursor, put, put_signed};

/// Names the format and its version.
const MAGIC: [u8; 8] = *b"STFREAD1";
/// Longest body of a frame: records of 50 bytes (see log.rs) and the fields before them.
const MAX_BODY_BYTES: usize = 64 + MAX_RECORDS_PER_POLL * 50;

const HEADER: u8 = 0;
const ASSIGNED: u8 = 1;
const POLL: u8 = 2;
const ENDED: u8 = 3;

/// The writing end.
#[derive(Debug)]
pub struct Writer {
    file: BufWriter<std::fs::File>,
    /// Number of the next frame.
    number: u64,
    body: Vec<u8>,
    frame: Vec<u8>,
}

impl Writer {
    /// Makes the file, which must not be there yet. The folder must exist.
    pub fn create(path: &Path, header: &Header) -> io::Result<Writer> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        let mut file = BufWriter::new(file);
        file.write_all(&MAGIC)?;
        file.write_all(&[0; 8])?;
        let mut writer = Writer {
            file,
            number: 0,
            body: vec![HEADER],
            frame: Vec::new(),
        };
        writer.body.extend_from_slice(&serde_json::to_vec(header)?);
        writer.append()?;
        Ok(writer)
    }

    /// The reader reads this partition from here on: assigned to it, or sought.
    pub fn assigned(&mut self, partition: i32, at_ns: u64, offset: i64) -> io::Result<()> {
        self.body.clear();
        self.body.push(ASSIGNED);
        put_signed(&mut self.body, partition.into());
        put(&mut self.body, at_ns);
        put_signed(&mut self.body, offset);
        self.append()
    }

    /// What one answer held of one partition.
    pub fn poll(&mut self, poll: &Poll<'_>) -> io::Result<()> {
        let mut parts = poll.records.chunks(MAX_RECORDS_PER_POLL).peekable();
        if parts.peek().is_none() {
            return self.part(poll);
        }
        while let Some(records) = parts.next() {
            let next_offset = match (parts.peek(), records.last()) {
                (Some(_), Some(last)) => last.offset.saturating_add(1),
                _ => poll.next_offset,
            };
            self.part(&Poll {
                records,
                next_offset,
                ..*poll
            })?;
        }
        Ok(())
    }

    /// The last entry: the reader ends as it was asked to.
    pub fn finish(mut self, at_ns: u64) -> io::Result<()> {
        self.body.clear();
        self.body.push(ENDED);
        put(&mut self.body, at_ns);
        self.append()?;
        self.flush()
    }

    /// Hands everything to the operating system; what is not flushed is lost when the reader is killed.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    fn part(&mut self, poll: &Poll<'_>) -> io::Result<()> {
        self.body.clear();
        self.body.push(POLL);
        put_signed(&mut self.body, poll.partition.into());
        put(&mut self.body, poll.at_ns);
        put_signed(&mut self.body, poll.next_offset);
        put_signed(&mut self.body, poll.high_watermark);
        put_signed(&mut self.body, poll.last_stable_offset);
        put(&mut self.body, poll.records.len() as u64);
        let mut before = Before::default();
        for record in poll.records {
            block::encode_record(&mut self.body, &mut before, record);
        }
        self.append()
    }

    fn append(&mut self) -> io::Result<()> {
        self.frame.clear();
        frame::put_frame(&mut self.frame, self.number, &self.body);
        self.number += 1;
        self.file.write_all(&self.frame)
    }
}

/// The reading end.
#[derive(Debug)]
pub struct Reader {
    frames: Frames,
    header: Header,
    records: Vec<LogRecord>,
}

impl Reader {
    /// Opens a file and reads its header.
    pub fn open(path: &Path) -> Result<Reader, FormatError> {
        let (mut frames, word) =
            Frames::open(path, MAGIC, "a reader's file of this version", MAX_BODY_BYTES)?;
        if word != [0; 8] || frames.next()? != Next::Frame {
            return Err(frames.damaged("no header"));
        }
        let header = match frames.body() {
            [HEADER, json @ ..] => serde_json::from_slice(json).ok(),
            _ => None,
        };
        let header = header.ok_or_else(|| frames.damaged("no header"))?;
        Ok(Reader {
            frames,
            header,
            records: Vec::new(),
        })
    }

    /// Whose observations these are.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next observation; none at the end, or where the writer was cut off.
    pub fn next_seen(&mut self) -> Result<Option<Seen<'_>>, FormatError> {
        if self.frames.next()? != Next::Frame {
            return Ok(None);
        }
        let seen = decode(self.frames.body(), &mut self.records);
        seen.map(Some)
            .ok_or_else(|| self.frames.damaged("an observation that makes no sense"))
    }
}

fn decode<'a>(body: &[u8], records: &'a mut Vec<LogRecord>) -> Option<Seen<'a>> {
    let mut cursor = Cursor::new(body);
    records.clear();
    let seen = match cursor.byte()? {
        ASSIGNED => Seen::Assigned {
            partition: cursor.narrow()?,
            at_ns: cursor.unsigned()?,
            offset: cursor.signed()?,
        },
        ENDED => Seen::Ended {
            at_ns: cursor.unsigned()?,
        },
        POLL => {
            let (partition, at_ns) = (cursor.narrow()?, cursor.unsigned()?);
            let (next_offset, high_watermark) = (cursor.signed()?, cursor.signed()?);
            let last_stable_offset = cursor.signed()?;
            let count = cursor.count().filter(|&count| count <= MAX_RECORDS_PER_POLL)?;
            let mut before = Before::default();
            for _ in 0..count {
                records.push(block::decode_record(&mut cursor, &mut before)?);
            }
            Seen::Poll(Poll {
                partition,
                at_ns,
                next_offset,
                high_watermark,
                last_stable_offset,
                records,
            })
        }
        _ => return None,
    };
    (cursor.remaining() == 0).then_some(seen)
}
