//! Reads a history from its begin, entry by entry, in constant memory.

use std::path::Path;

use super::entry::{self, Entry, Header};
use super::{MAGIC, MAX_BODY_BYTES, end_word};
use crate::frame::{FormatError, Frames, Next};

/// The reading end of a history.
#[derive(Debug)]
pub struct Reader {
    frames: Frames,
    header: Header,
    /// The writer came to its end: every byte must then be in order.
    finished: bool,
    /// Opened while its writer may still be at work: behind the last frame anything may be.
    growing: bool,
    state: State,
    entries: u64,
    numbers: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
    Torn,
}

impl Reader {
    /// Opens a history and reads its header.
    pub fn open(path: &Path) -> Result<Reader, FormatError> {
        let (mut frames, word) = Frames::open(path, MAGIC, "a history of this version", MAX_BODY_BYTES)?;
        let finished = word != [0; 8];
        if finished && word != end_word(frames.size()) {
            return Err(frames.damaged("a length that is not the one it was finished with"));
        }
        if frames.next()? != Next::Frame {
            return Err(frames.damaged("no header"));
        }
        let header = match frames.body() {
            [0, json @ ..] => serde_json::from_slice(json).ok(),
            _ => None,
        };
        let header = header.ok_or_else(|| frames.damaged("no header"))?;
        Ok(Reader {
            frames,
            header,
            finished,
            growing: false,
            state: State::Reading,
            entries: 1,
            numbers: Vec::new(),
        })
    }

    /// Opens a history whose writer may still be at work. It is torn where nothing was committed yet, and the bytes
    /// behind that place are not looked at: frames may come to stand there while we look.
    pub fn open_growing(path: &Path) -> Result<Reader, FormatError> {
        let reader = Reader::open(path)?;
        Ok(Reader {
            growing: true,
            ..reader
        })
    }

    /// Whose history this is.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next entry; none after the end entry, or where the writer was cut off.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_>>, FormatError> {
        if self.state != State::Reading {
            return Ok(None);
        }
        let offset = self.frames.offset();
        if self.frames.next()? != Next::Frame {
            if self.finished {
                return Err(self.frames.damaged("no end entry in a finished history"));
            }
            if !self.growing {
                self.frames.check_torn_tail()?;
            }
            self.state = State::Torn;
            return Ok(None);
        }
        let damaged = |what| FormatError::Damaged {
            path: self.frames.path().to_owned(),
            offset,
            what,
        };
        let entry = entry::decode(self.frames.body(), self.entries, &mut self.numbers)
            .ok_or_else(|| damaged("an entry that makes no sense"))?;
        self.entries += 1;
        if entry == Entry::End {
            if self.finished && self.frames.offset() != self.frames.size() {
                return Err(damaged("bytes behind the end entry"));
            }
            self.state = State::Ended;
        }
        Ok(Some(entry))
    }

    /// True once [`Reader::next_entry`] has given none because the writer was cut off before its end entry.
    pub fn torn(&self) -> bool {
        self.state == State::Torn
    }
}
