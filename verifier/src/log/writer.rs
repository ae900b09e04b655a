//! Writes the compact log of one partition. Shell: owns the file.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::block::{self, Before};
use super::{BLOCK_BYTES, LogBatch, MAGIC, MAX_RECORDS_PER_BATCH, path};
use crate::frame;
use crate::varint::{put, put_signed};

/// Longest topic name that Kafka allows.
const MAX_TOPIC_BYTES: usize = 249;

/// The writing end of a compact log.
#[derive(Debug)]
pub struct Writer {
    file: BufWriter<std::fs::File>,
    /// Number of the next frame.
    number: u64,
    block: Vec<u8>,
    frame: Vec<u8>,
    before: Before,
    batches: u64,
    records: u64,
}

impl Writer {
    /// Makes (or makes anew) the file of a partition in `dir`, which must exist.
    pub fn create(dir: &Path, topic: &str, partition: i32) -> io::Result<Writer> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if topic.is_empty() || topic.len() > MAX_TOPIC_BYTES || !topic.bytes().all(legal) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "no name that Kafka allows for a topic",
            ));
        }
        let mut header = vec![0];
        put(&mut header, topic.len() as u64);
        header.extend_from_slice(topic.as_bytes());
        put_signed(&mut header, partition.into());
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path(dir, topic, partition))?;
        let mut file = BufWriter::new(file);
        file.write_all(&MAGIC)?;
        file.write_all(&[0; 8])?;
        let mut writer = Writer {
            file,
            number: 0,
            block: header,
            frame: Vec::new(),
            before: Before::default(),
            batches: 0,
            records: 0,
        };
        writer.write_frame()?;
        Ok(writer)
    }

    /// Appends a batch of [`MAX_RECORDS_PER_BATCH`] records at most.
    pub fn batch(&mut self, batch: &LogBatch) -> io::Result<()> {
        if batch.records.len() > MAX_RECORDS_PER_BATCH {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a batch longer than the compact log takes",
            ));
        }
        if self.block.is_empty() {
            self.block.push(1);
        }
        block::encode(&mut self.block, &mut self.before, batch);
        self.batches += 1;
        self.records += batch.records.len() as u64;
        if self.block.len() >= BLOCK_BYTES {
            self.write_frame()
        } else {
            Ok(())
        }
    }

    /// Writes the footer; without it the file is of no use.
    pub fn finish(mut self, end_offset: i64) -> io::Result<()> {
        if !self.block.is_empty() {
            self.write_frame()?;
        }
        self.block.push(2);
        put(&mut self.block, self.batches);
        put(&mut self.block, self.records);
        put_signed(&mut self.block, end_offset);
        self.write_frame()?;
        self.file.flush()
    }

    /// Writes `self.block` as a frame and begins a new block.
    fn write_frame(&mut self) -> io::Result<()> {
        self.frame.clear();
        frame::put_frame(&mut self.frame, self.number, &self.block);
        self.file.write_all(&self.frame)?;
        self.number += 1;
        self.block.clear();
        self.before = Before::default();
        Ok(())
    }
}
