//! One connection: frames in, one answer out at a time.
//!
//! Edge-triggered: the kernel tells once that there is something to read or room to write; `readable` keeps it in mind
//! until a read comes back short. While an answer is not out, nothing more is read: a client that does not take its
//! answers is answered no further. So a connection holds at most one answer and one frame that is not whole.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bytes::{Buf, Bytes};
use rustix::io::Errno;
use rustix::net::SendFlags;

const SIZE_BYTES: usize = 4;

/// A connection.
#[derive(Debug)]
pub(super) struct Socket {
    socket: OwnedFd,
    /// The kernel may have something to read.
    pub(super) readable: bool,
    /// Bytes read and not yet taken; `taken` of them are.
    input: Vec<u8>,
    taken: usize,
    /// What the kernel did not take of the answer.
    out: Bytes,
}

/// Why a connection ends.
#[derive(Debug)]
pub(super) struct Ended;

impl Socket {
    pub(super) fn new(socket: OwnedFd) -> Socket {
        Socket {
            socket,
            readable: true,
            input: Vec::new(),
            taken: 0,
            out: Bytes::new(),
        }
    }

    /// An answer is on its way.
    pub(super) fn is_answering(&self) -> bool {
        !self.out.is_empty()
    }

    /// Bytes held for frames that are not whole.
    pub(super) fn held(&self) -> usize {
        self.input.capacity()
    }

    /// Whether a whole frame, or one that must not be, waits.
    pub(super) fn has_frame(&self, most_bytes: usize) -> bool {
        match self.size() {
            Some(size) => size > most_bytes || self.input.len() - self.taken >= SIZE_BYTES + size,
            None => false,
        }
    }

    /// The next whole frame without its size field.
    pub(super) fn next_frame(&mut self, most_bytes: usize) -> Result<Option<Bytes>, Ended> {
        let Some(size) = self.size() else {
            return Ok(None);
        };
        if size > most_bytes {
            return Err(Ended);
        }
        let from = self.taken + SIZE_BYTES;
        let Some(frame) = self.input.get(from..from + size) else {
            return Ok(None);
        };
        let frame = Bytes::copy_from_slice(frame);
        self.taken = from + size;
        if self.taken == self.input.len() {
            self.input.clear();
            self.taken = 0;
        }
        Ok(Some(frame))
    }

    /// One read, over `scratch`. What comes is kept.
    pub(super) fn read(&mut self, scratch: &mut [u8]) -> Result<(), Ended> {
        loop {
            match rustix::io::read(&self.socket, &mut *scratch) {
                Ok(0) => return Err(Ended),
                Ok(count) => {
                    self.readable = count == scratch.len();
                    self.input.drain(..self.taken);
                    self.taken = 0;
                    self.input.extend_from_slice(&scratch[..count]);
                    return Ok(());
                }
                Err(Errno::AGAIN) => {
                    self.readable = false;
                    return Ok(());
                }
                Err(Errno::INTR) => {}
                Err(_) => return Err(Ended),
            }
        }
    }

    /// Gives room back that one large frame took.
    pub(super) fn shrink(&mut self, to: usize) {
        if self.input.is_empty() && self.input.capacity() > to {
            self.input = Vec::new();
        }
    }

    /// Begins to write an answer; the last one is out.
    pub(super) fn send(&mut self, frame: Bytes) -> Result<(), Ended> {
        if self.is_answering() {
            // The model serves one request at a time, so this cannot be; two answers must not mix.
            return Err(Ended);
        }
        self.out = frame;
        self.flush()
    }

    /// Writes what the kernel takes.
    pub(super) fn flush(&mut self) -> Result<(), Ended> {
        while !self.out.is_empty() {
            match rustix::net::send(&self.socket, &self.out, SendFlags::NOSIGNAL) {
                Ok(count) => self.out.advance(count),
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(_) => return Err(Ended),
            }
        }
        self.out = Bytes::new();
        Ok(())
    }

    /// The size field of the frame that comes next; a negative one is larger than any frame may be.
    fn size(&self) -> Option<usize> {
        let size = self.input[self.taken..].first_chunk::<SIZE_BYTES>()?;
        Some(usize::try_from(i32::from_be_bytes(*size)).unwrap_or(usize::MAX))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
