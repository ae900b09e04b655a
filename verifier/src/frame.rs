//! Frames: how history and log files are cut into pieces that each prove themselves.
//!
//! ```text
//! file  = magic (8 bytes) · word (8 bytes, the format's own) · frame · frame · ...
//! frame = length u32 · crc u32 · body (length bytes) · zeros to the next multiple of 8   little-endian
//! crc   = CRC-32C over the frame's number in the file (u64, from 0), its length (u32) and its body
//! ```
//!
//! The number inside the checksum makes a frame left out, doubled or moved as visible as a flipped bit. A length of
//! 0 is no frame: in a preallocated file it marks the end of what was committed.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// Bytes before the first frame.
pub(crate) const PREAMBLE_BYTES: usize = 16;
/// Bytes of a frame before its body.
pub(crate) const HEADER_BYTES: usize = 8;
/// Frames begin at multiples of this.
const ALIGNMENT: usize = 8;
/// The buffer between file and frames.
const READ_BUFFER_BYTES: usize = 1 << 18;

/// Why a file of ours cannot be read. Nothing here is worth a retry: the file must be made again.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The operating system refused.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
    /// Another kind of file, or one of a version that this build does not know.
    #[error("{} is not {expected}", path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// What it should have been.
        expected: &'static str,
    },
    /// Bytes changed after they were written, or are missing from the middle.
    #[error("{} is damaged at byte {offset}: {what}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where the frame that does not fit begins.
        offset: u64,
        /// What does not fit.
        what: &'static str,
    },
    /// A file whose writer never finished it, of a format that is of no use unfinished.
    #[error("{} was never finished: its writer was cut off", path.display())]
    Unfinished {
        /// Which file.
        path: PathBuf,
    },
}

/// The checksum of frame `number` with this body.
pub(crate) fn checksum(number: u64, body: &[u8]) -> u32 {
    let mut head = [0; 12];
    head[..8].copy_from_slice(&number.to_le_bytes());
    head[8..].copy_from_slice(&(body.len() as u32).to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&head), body)
}

/// Bytes that a frame with a body of this length takes, padding included.
pub(crate) fn frame_bytes(body: usize) -> usize {
    HEADER_BYTES + body.next_multiple_of(ALIGNMENT)
}

/// Appends a whole frame.
pub(crate) fn put_frame(bytes: &mut Vec<u8>, number: u64, body: &[u8]) {
    let end = bytes.len() + frame_bytes(body.len());
    bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&checksum(number, body).to_le_bytes());
    bytes.extend_from_slice(body);
    bytes.resize(end, 0);
}

/// What stands where the next frame should begin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A frame; its body is in [`Frames::body`].
    Frame,
    /// The file ends here, exactly.
    EndOfFile,
    /// A length of 0, or fewer bytes than the frame needs.
    Gap,
}

/// Reads a file frame by frame, in order, with buffers reused.
#[derive(Debug)]
pub(crate) struct Frames {
    file: BufReader<File>,
    path: PathBuf,
    /// Bytes in the file when it was opened.
    size: u64,
    /// Where the next frame begins.
    offset: u64,
    /// Number of the next frame.
    number: u64,
    /// Longest body that the format writes.
    max_body: usize,
    body: Vec<u8>,
}

impl Frames {
    /// Opens a file, checks its magic and gives the format's own word behind it.
    pub(crate) fn open(
        path: &Path,
        magic: [u8; 8],
        expected: &'static str,
        max_body: usize,
    ) -> Result<(Frames, [u8; 8]), FormatError> {
        let io_error = |source| FormatError::Io {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(io_error)?;
        let size = file.metadata().map_err(io_error)?.len();
        let mut frames = Frames {
            file: BufReader::with_capacity(READ_BUFFER_BYTES, file),
            path: path.to_owned(),
            size,
            offset: PREAMBLE_BYTES as u64,
            number: 0,
            max_body,
            body: Vec::new(),
        };
        let mut preamble = [0; PREAMBLE_BYTES];
        if size < PREAMBLE_BYTES as u64 {
            return Err(FormatError::Foreign {
                path: path.to_owned(),
                expected,
            });
        }
        frames.file.read_exact(&mut preamble).map_err(io_error)?;
        let (found, word) = preamble.split_at(8);
        if found != magic {
            return Err(FormatError::Foreign {
                path: path.to_owned(),
                expected,
            });
        }
        let mut own = [0; 8];
        own.copy_from_slice(word);
        Ok((frames, own))
    }

    /// Goes to the next frame.
    pub(crate) fn next(&mut self) -> Result<Next, FormatError> {
        let left = self.size - self.offset;
        if left == 0 {
            return Ok(Next::EndOfFile);
        }
        if left < HEADER_BYTES as u64 {
            return Ok(Next::Gap);
        }
        let mut header = [0; HEADER_BYTES];
        self.read(|file, _| file.read_exact(&mut header))?;
        let [l0, l1, l2, l3, c0, c1, c2, c3] = header;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if length == 0 {
            return Ok(Next::Gap);
        }
        if length > self.max_body {
            return Err(self.damaged("a frame longer than this format writes"));
        }
        let padded = frame_bytes(length) - HEADER_BYTES;
        if left < (HEADER_BYTES + padded) as u64 {
            return Ok(Next::Gap);
        }
        self.body.resize(padded, 0);
        self.read(|file, body| file.read_exact(body))?;
        let (body, padding) = self.body.split_at(length);
        if checksum(self.number, body) != u32::from_le_bytes([c0, c1, c2, c3]) {
            return Err(self.damaged("a checksum that does not fit"));
        }
        if padding.iter().any(|&byte| byte != 0) {
            return Err(self.damaged("padding that is not zero"));
        }
        self.body.truncate(length);
        self.offset += (HEADER_BYTES + padded) as u64;
        self.number += 1;
        Ok(Next::Frame)
    }

    /// The body of the frame that [`Frames::next`] went to.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Where the next frame begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes in the file when it was opened.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Which file this is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The error for bytes at the next frame's place that do not fit.
    pub(crate) fn damaged(&self, what: &'static str) -> FormatError {
        FormatError::Damaged {
            path: self.path.clone(),
            offset: self.offset,
            what,
        }
    }

    /// After a [`Next::Gap`] where a writer may have been killed: the tail may hold one frame that was never
    /// committed, then nothing but zeros. A frame behind the gap that fits the file's numbering means that the gap
    /// was made later.
    pub(crate) fn check_torn_tail(&self) -> Result<(), FormatError> {
        use std::os::unix::fs::FileExt;
        let io_error = |source| FormatError::Io {
            path: self.path.clone(),
            source,
        };
        let mut near = vec![0; (2 * frame_bytes(self.max_body)).min((self.size - self.offset) as usize)];
        let file = self.file.get_ref();
        file.read_exact_at(&mut near, self.offset).map_err(io_error)?;
        if (ALIGNMENT..near.len())
            .step_by(ALIGNMENT)
            .any(|at| self.fits(&near[at..], self.number + 1))
        {
            return Err(self.damaged("a gap with frames behind it"));
        }
        let mut offset = self.offset + near.len() as u64;
        while offset < self.size {
            near.resize(READ_BUFFER_BYTES.min((self.size - offset) as usize), 0);
            file.read_exact_at(&mut near, offset).map_err(io_error)?;
            if near.iter().any(|&byte| byte != 0) {
                return Err(self.damaged("a gap with more behind it than one torn entry"));
            }
            offset += near.len() as u64;
        }
        Ok(())
    }

    fn fits(&self, bytes: &[u8], number: u64) -> bool {
        let Some(&[l0, l1, l2, l3, c0, c1, c2, c3]) = bytes.first_chunk::<HEADER_BYTES>() else {
            return false;
        };
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        length != 0
            && length <= self.max_body
            && bytes
                .get(HEADER_BYTES..HEADER_BYTES + length)
                .is_some_and(|body| checksum(number, body) == u32::from_le_bytes([c0, c1, c2, c3]))
    }

    fn read(
        &mut self,
        read: impl FnOnce(&mut BufReader<File>, &mut [u8]) -> io::Result<()>,
    ) -> Result<(), FormatError> {
        read(&mut self.file, &mut self.body).map_err(|source| FormatError::Io {
            path: self.path.clone(),
            source,
        })
    }
}
