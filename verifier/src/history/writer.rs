//! Appends to a history. Shell: owns the file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{Ordering, compiler_fence};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::entry::{self, Completed, Copied, Header, MAX_RECORDS_PER_ENTRY, TransactionEnded, Withheld};
use super::map::Window;
use super::{MAGIC, MAX_BODY_BYTES, end_word};
use crate::frame::{self, HEADER_BYTES, PREAMBLE_BYTES};

/// How much the file grows at a time.
const CHUNK_BYTES: usize = 16 << 20;
/// Windows begin at multiples of this: the largest page size of the supported machines (aarch64 has 64 KiB pages).
const MAX_PAGE_BYTES: u64 = 64 << 10;
/// Longest history: the end word counts units of 8 bytes in 32 bits.
const MAX_FILE_BYTES: u64 = (u32::MAX as u64) * 8;
/// Sequence numbers count modulo this (kafka-contract A2).
const SEQUENCE_MODULUS: i64 = 1 << 31;

/// The writing end of a history; see the module's page for what it promises.
#[derive(Debug)]
pub struct Writer {
    file: File,
    window: Window,
    /// Where the window begins in the file.
    window_offset: u64,
    /// Where the next frame goes, counted from the window's begin.
    position: usize,
    /// Number of the next frame.
    number: u64,
    body: Vec<u8>,
}

impl Writer {
    /// Makes the file, which must not be there yet, and writes the header. The folder must exist.
    pub fn create(path: &Path, header: &Header) -> io::Result<Writer> {
        let body = [&[0_u8], serde_json::to_vec(header)?.as_slice()].concat();
        if body.len() > MAX_BODY_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the workload is too long for a history",
            ));
        }
        let mut start = Vec::with_capacity(PREAMBLE_BYTES + frame::frame_bytes(body.len()));
        start.extend_from_slice(&MAGIC);
        start.extend_from_slice(&[0; 8]);
        frame::put_frame(&mut start, 0, &body);

        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)?;
        file.write_all(&start)?;
        allocate(&file, 0, CHUNK_BYTES)?;
        let mut window = Window::open(&file, 0, CHUNK_BYTES)?;
        window.fault_in_behind(start.len());
        Ok(Writer {
            file,
            window,
            window_offset: 0,
            position: start.len(),
            number: 1,
            body,
        })
    }

    /// Records that a run of records, `first_index` and those after it, is about to be given to the client; called
    /// **before** the client gets them. `intended_ns`: when each was due. A run of none writes nothing.
    ///
    /// An error (disk full) leaves the file readable; what was asked for is not in it, so the records must not be
    /// handed over.
    pub fn handed_over(&mut self, first_index: u64, intended_ns: &[u64], handover_ns: u64) -> io::Result<()> {
        let mut first = first_index;
        for run in intended_ns.chunks(MAX_RECORDS_PER_ENTRY) {
            entry::encode_handed_over(&mut self.body, first, run, handover_ns);
            self.append()?;
            first += run.len() as u64;
        }
        Ok(())
    }

    /// Records the outcome of one batch.
    pub fn completed(&mut self, completed: &Completed<'_>) -> io::Result<()> {
        let (mut base_offset, mut base_sequence) = (completed.base_offset, completed.base_sequence);
        for indexes in completed.indexes.chunks(MAX_RECORDS_PER_ENTRY) {
            let part = Completed {
                indexes,
                base_offset,
                base_sequence,
                ..*completed
            };
            entry::encode_completed(&mut self.body, &part);
            self.append()?;
            // Unknown ones stay unknown.
            if base_offset >= 0 {
                base_offset = base_offset.saturating_add(indexes.len() as i64);
            }
            if base_sequence >= 0 {
                base_sequence = ((i64::from(base_sequence) + indexes.len() as i64) % SEQUENCE_MODULUS) as i32;
            }
        }
        Ok(())
    }

    /// Records that these were due and are given up before the client got them. A count of 0 writes nothing.
    pub fn withheld(&mut self, withheld: &Withheld) -> io::Result<()> {
        if withheld.count == 0 {
            return Ok(());
        }
        entry::encode_withheld(&mut self.body, withheld);
        self.append()
    }

    /// Records how a transaction ended; an unknown end may be told again once it is known.
    pub fn transaction_ended(&mut self, ended: &TransactionEnded) -> io::Result<()> {
        entry::encode_transaction_ended(&mut self.body, ended);
        self.append()
    }

    /// Records where a run of records comes from, **before** they are handed over. A run of none writes nothing.
    pub fn copied(&mut self, copied: &Copied<'_>) -> io::Result<()> {
        let mut first_index = copied.first_index;
        for offsets in copied.offsets.chunks(MAX_RECORDS_PER_ENTRY) {
            let part = Copied {
                first_index,
                offsets,
                ..*copied
            };
            entry::encode_copied(&mut self.body, &part);
            self.append()?;
            first_index += offsets.len() as u64;
        }
        Ok(())
    }

    /// Bytes of the history so far.
    pub fn length(&self) -> u64 {
        self.window_offset + self.position as u64
    }

    /// Writes the end entry and cuts the file to its size.
    pub fn finish(mut self) -> io::Result<()> {
        entry::encode_end(&mut self.body, self.number);
        self.append()?;
        let length = self.length();
        let Writer { file, window, .. } = self;
        drop(window);
        file.set_len(length)?;
        file.write_all_at(&end_word(length), MAGIC.len() as u64)
    }

    /// Stores the frame of `self.body`: body and checksum first, the length, which makes it count, last. A kill
    /// falls between two instructions, and both see the same memory, so the compiler's order is all that matters.
    fn append(&mut self) -> io::Result<()> {
        let size = frame::frame_bytes(self.body.len());
        if self.position + size > self.window.len() {
            self.grow(size)?;
        }
        let crc = frame::checksum(self.number, &self.body);
        let frame = &mut self.window.bytes()[self.position..self.position + size];
        frame[HEADER_BYTES..HEADER_BYTES + self.body.len()].copy_from_slice(&self.body);
        frame[4..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
        compiler_fence(Ordering::SeqCst);
        frame[..4].copy_from_slice(&(self.body.len() as u32).to_le_bytes());
        compiler_fence(Ordering::SeqCst);
        self.position += size;
        self.number += 1;
        self.window.fault_in_behind(self.position);
        Ok(())
    }

    /// Moves the window on, so that it has room for a frame of `size` bytes.
    fn grow(&mut self, size: usize) -> io::Result<()> {
        let next = self.length();
        let offset = next - next % MAX_PAGE_BYTES;
        let length = ((next - offset) as usize + size).max(CHUNK_BYTES);
        if offset + length as u64 > MAX_FILE_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "a history holds 32 GiB at most",
            ));
        }
        allocate(&self.file, offset, length)?;
        self.window = Window::open(&self.file, offset, length)?;
        self.window_offset = offset;
        self.position = (next - offset) as usize;
        self.window.fault_in_behind(self.position);
        Ok(())
    }
}

/// Allocates these bytes on disk; new ones are zero. A file system that cannot gets zeros written instead.
fn allocate(file: &File, offset: u64, length: usize) -> io::Result<()> {
    match fallocate(file, FallocateFlags::empty(), offset, length as u64) {
        Err(Errno::OPNOTSUPP) => {}
        done => return Ok(done?),
    }
    let zeros = vec![0; CHUNK_BYTES];
    let end = offset + length as u64;
    let mut at = file.metadata()?.len().max(offset);
    while at < end {
        let count = zeros.len().min((end - at) as usize);
        file.write_all_at(&zeros[..count], at)?;
        at += count as u64;
    }
    Ok(())
}
