//! Logs as files: a folder for each, and in it segments named by the position of their first byte.
//!
//! ```text
//! logs/7/00000000000000000000.log · logs/7/00000000000134217710.log      a batch lies whole in one segment
//! ```
//!
//! Batches go to the kernel at once (one system call each) and are never synced one by one. What a kill tears is the end
//! of the last segment; recalling finds it by length and CRC, and cuts it. Nothing is deleted before the facts that say so
//! are written: [`Files::delete_later`] does it then.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::BytesMut;
use rustix::io::pwritev;

use super::error::FrontError;
use crate::store::{LogId, Store, StoreError};

/// A segment takes no batch that would make it longer (log.segment.bytes, smaller so that deleting is finer).
const SEGMENT_BYTES: u64 = 128 << 20;
/// Files open at a time; one more closes them all, and those in use are opened again.
const MOST_OPEN: usize = 512;

/// All logs of a data folder.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    logs: BTreeMap<LogId, Log>,
    open: usize,
    later: Vec<Later>,
}

#[derive(Debug, Default)]
struct Log {
    /// In the order of their positions.
    segments: Vec<Segment>,
    end: u64,
}

#[derive(Debug)]
struct Segment {
    start: u64,
    file: Option<File>,
}

/// What is deleted once the facts say so.
#[derive(Debug)]
enum Later {
    Trim(LogId, u64),
    Remove(LogId),
}

impl Files {
    /// Finds the logs below `data`. Opens, reads and changes none.
    pub(super) fn open(data: &Path) -> Result<Files, FrontError> {
        let folder = data.join("logs");
        let mut files = Files {
            folder,
            logs: BTreeMap::new(),
            open: 0,
            later: Vec::new(),
        };
        let strange = |path: &Path| {
            let why = format!("it holds {}, which is no part of a log", path.display());
            FrontError::folder(
                data,
                why,
                "move that away if you know what it is, or choose another --data",
            )
        };
        for path in entries(&files.folder)? {
            let id = number(&path, "")
                .and_then(|id| u32::try_from(id).ok())
                .ok_or_else(|| strange(&path))?;
            let mut log = Log::default();
            for segment in entries(&path)? {
                let start = number(&segment, ".log").ok_or_else(|| strange(&segment))?;
                let found = fs::metadata(&segment);
                let found = found.map_err(FrontError::io(format!("look at {}", segment.display())))?;
                log.segments.push(Segment { start, file: None });
                log.end = log.end.max(start.saturating_add(found.len()));
            }
            log.segments.sort_by_key(|segment| segment.start);
            files.logs.insert(LogId(id), log);
        }
        Ok(files)
    }

    /// Removes logs that no fact names: their topic was deleted, or never got as far as an answer.
    pub(super) fn keep_only(&mut self, known: &[LogId]) {
        let stray: Vec<LogId> = self
            .logs
            .keys()
            .copied()
            .filter(|log| !known.contains(log))
            .collect();
        stray.into_iter().for_each(|log| self.remove_now(log));
    }

    /// The facts are written: what they say is gone may go.
    pub(super) fn delete_later(&mut self) {
        for later in std::mem::take(&mut self.later) {
            match later {
                Later::Trim(log, position) => self.trim_now(log, position),
                Later::Remove(log) => self.remove_now(log),
            }
        }
    }

    /// Brings everything to the disk.
    pub(super) fn sync(&mut self) -> Result<(), FrontError> {
        let ids: Vec<LogId> = self.logs.keys().copied().collect();
        for log in ids {
            let last = self.logs.get(&log).map_or(0, |found| found.segments.len());
            if let Some(last) = last.checked_sub(1) {
                let file = self.file(log, last).map_err(FrontError::io("open a log"))?;
                file.sync_all().map_err(FrontError::io("sync a log"))?;
            }
        }
        Ok(())
    }

    fn segment_path(&self, log: LogId, start: u64) -> PathBuf {
        self.folder
            .join(log.0.to_string())
            .join(format!("{start:020}.log"))
    }

    /// The file of a segment, opened when it is not.
    fn file(&mut self, log: LogId, segment: usize) -> io::Result<&File> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let found = self
            .logs
            .get(&log)
            .and_then(|found| found.segments.get(segment))
            .ok_or_else(missing)?;
        if found.file.is_none() {
            let path = self.segment_path(log, found.start);
            if self.open >= MOST_OPEN {
                for segment in self.logs.values_mut().flat_map(|log| &mut log.segments) {
                    segment.file = None;
                }
                self.open = 0;
            }
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?;
            self.open += 1;
            if let Some(found) = self
                .logs
                .get_mut(&log)
                .and_then(|found| found.segments.get_mut(segment))
            {
                found.file = Some(file);
            }
        }
        let found = self
            .logs
            .get(&log)
            .and_then(|found| found.segments.get(segment)?.file.as_ref());
        found.ok_or_else(missing)
    }

    /// The segment that takes a batch of this length at the end of a log, begun when there is none.
    fn last_segment(&mut self, log: LogId, length: u64) -> io::Result<usize> {
        if !self.logs.contains_key(&log) {
            fs::create_dir_all(self.folder.join(log.0.to_string()))?;
            self.logs.insert(log, Log::default());
        }
        let Some(found) = self.logs.get_mut(&log) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let room = |segment: &Segment| {
            found.end == segment.start || found.end - segment.start + length <= SEGMENT_BYTES
        };
        if !found.segments.last().is_some_and(room) {
            let start = found.end;
            found.segments.push(Segment { start, file: None });
        }
        Ok(found.segments.len() - 1)
    }

    fn trim_now(&mut self, log: LogId, position: u64) {
        while let Some(found) = self.logs.get(&log)
            && found.segments.get(1).is_some_and(|next| next.start <= position)
        {
            self.drop_segment(log, 0);
        }
    }

    fn remove_now(&mut self, log: LogId) {
        if self.logs.remove(&log).is_some() {
            // What stays behind is found as a stray at the next start.
            let _stays = fs::remove_dir_all(self.folder.join(log.0.to_string()));
        }
    }

    fn drop_segment(&mut self, log: LogId, segment: usize) {
        if let Some(found) = self.logs.get_mut(&log) {
            let start = found.segments.remove(segment).start;
            // A segment that stays behind holds what nobody asks for.
            let _stays = fs::remove_file(self.segment_path(log, start));
        }
    }
}

impl Store for Files {
    fn append(&mut self, log: LogId, head: &[u8], rest: &[u8]) -> Result<u64, StoreError> {
        let length = head.len() + rest.len();
        let written = (|| {
            let segment = self.last_segment(log, length as u64)?;
            let (start, end) = self
                .logs
                .get(&log)
                .map_or((0, 0), |found| (found.segments[segment].start, found.end));
            let file = self.file(log, segment)?;
            if let Err(error) = write_all(file, end - start, head, rest) {
                // What was written of it would be in the way of nothing, since the next batch overwrites it; still.
                let _stays = file.set_len(end - start);
                return Err(error);
            }
            Ok(end)
        })();
        let position = written.map_err(|error: io::Error| failed(log, &error))?;
        if let Some(found) = self.logs.get_mut(&log) {
            found.end = position + length as u64;
        }
        Ok(position)
    }

    fn read(
        &mut self,
        log: LogId,
        position: u64,
        length: usize,
        into: &mut BytesMut,
    ) -> Result<(), StoreError> {
        let begin = into.len();
        into.resize(begin + length, 0);
        let mut done = 0;
        while done < length {
            let at = position + done as u64;
            let segments = self.logs.get(&log).map_or(&[][..], |found| &found.segments);
            let behind = segments.partition_point(|segment| segment.start <= at);
            let next = segments.get(behind).map_or(u64::MAX, |next| next.start);
            let Some(segment) = behind.checked_sub(1) else {
                return Err(StoreError {
                    log,
                    reason: format!("nothing at {at}"),
                });
            };
            let start = segments[segment].start;
            let many = (next - at).min((length - done) as u64) as usize;
            let room = &mut into[begin + done..begin + done + many];
            let read = self
                .file(log, segment)
                .and_then(|file| file.read_exact_at(room, at - start));
            read.map_err(|error| failed(log, &error))?;
            done += many;
        }
        Ok(())
    }

    fn end(&self, log: LogId) -> u64 {
        self.logs.get(&log).map_or(0, |found| found.end)
    }

    fn truncate(&mut self, log: LogId, position: u64) -> Result<(), StoreError> {
        // The newest first: whatever a kill leaves of this has no hole.
        while let Some(found) = self.logs.get(&log)
            && found.segments.last().is_some_and(|last| last.start > position)
        {
            self.drop_segment(log, found.segments.len() - 1);
        }
        let last = self
            .logs
            .get(&log)
            .and_then(|found| Some((found.segments.len() - 1, found.segments.last()?.start)));
        if let Some((segment, start)) = last {
            let cut = self
                .file(log, segment)
                .and_then(|file| file.set_len(position - start));
            cut.map_err(|error| failed(log, &error))?;
        }
        if let Some(found) = self.logs.get_mut(&log) {
            found.end = position;
        }
        Ok(())
    }

    fn trim(&mut self, log: LogId, position: u64) {
        self.later.push(Later::Trim(log, position));
    }

    fn remove(&mut self, log: LogId) {
        self.later.push(Later::Remove(log));
    }
}

fn failed(log: LogId, error: &io::Error) -> StoreError {
    StoreError {
        log,
        reason: error.to_string(),
    }
}

/// Both pieces at an offset of the file, in one system call where the kernel takes them so.
fn write_all(file: &File, offset: u64, head: &[u8], rest: &[u8]) -> io::Result<()> {
    let length = head.len() + rest.len();
    let mut done = 0;
    while done < length {
        let pieces = [
            IoSlice::new(&head[done.min(head.len())..]),
            IoSlice::new(&rest[done.saturating_sub(head.len())..]),
        ];
        match pwritev(file, &pieces, offset + done as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => done += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, FrontError> {
    let io = |error| FrontError::io::<io::Error>(format!("read {}", folder.display()))(error);
    match fs::read_dir(folder) {
        Ok(list) => list
            .map(|entry| entry.map(|entry| entry.path()).map_err(io))
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(io(error)),
    }
}

/// `00042.log` → 42.
fn number(path: &Path, ending: &str) -> Option<u64> {
    let digits = path.file_name()?.to_str()?.strip_suffix(ending)?;
    digits
        .bytes()
        .all(|digit| digit.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests;
