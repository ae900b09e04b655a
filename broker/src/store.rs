//! Where the bytes of batches are kept. The model keeps an index; the bytes lie here.
//!
//! ```text
//! log (one per partition, append-only): batch · batch · batch ...      position = byte offset, never reused
//! replica of the partition            : runs of that log                    they share the bytes
//! ```
//!
//! Two implement it: [`Memory`] here, and files in the TCP front.

use std::collections::BTreeMap;

use bytes::BytesMut;

/// One partition's log. Never used twice: a topic that is deleted and made again gets others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct LogId(pub u32);

/// Why a store did not do it. The partition answers KAFKA_STORAGE_ERROR; whether the bytes are there is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("log {log:?}: {reason}")]
pub struct StoreError {
    /// Which log.
    pub log: LogId,
    /// The reason in words.
    pub reason: String,
}

/// Keeps the bytes of logs.
pub trait Store {
    /// Appends one batch, given in two pieces; answers the position of its first byte.
    fn append(&mut self, log: LogId, head: &[u8], rest: &[u8]) -> Result<u64, StoreError>;
    /// Appends `length` bytes from `position` on to `into`.
    fn read(
        &mut self,
        log: LogId,
        position: u64,
        length: usize,
        into: &mut BytesMut,
    ) -> Result<(), StoreError>;
    /// The position behind the last byte.
    fn end(&self, log: LogId) -> u64;
    /// Cuts everything from `position` on: a torn tail found while recalling.
    fn truncate(&mut self, log: LogId, position: u64) -> Result<(), StoreError>;
    /// Nothing before `position` is read any more; may be a hint only.
    fn trim(&mut self, log: LogId, position: u64);
    /// The log is gone.
    fn remove(&mut self, log: LogId);
}

/// Logs in memory: for simulation and tests.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    logs: BTreeMap<LogId, MemoryLog>,
}

#[derive(Debug, Clone, Default)]
struct MemoryLog {
    /// Bytes trimmed away before `bytes`.
    start: u64,
    bytes: Vec<u8>,
}

impl Store for Memory {
    fn append(&mut self, log: LogId, head: &[u8], rest: &[u8]) -> Result<u64, StoreError> {
        let found = self.logs.entry(log).or_default();
        let position = found.start + found.bytes.len() as u64;
        found.bytes.extend_from_slice(head);
        found.bytes.extend_from_slice(rest);
        Ok(position)
    }

    fn read(
        &mut self,
        log: LogId,
        position: u64,
        length: usize,
        into: &mut BytesMut,
    ) -> Result<(), StoreError> {
        let bytes = self.logs.get(&log).and_then(|found| {
            let from = usize::try_from(position.checked_sub(found.start)?).ok()?;
            found.bytes.get(from..from.checked_add(length)?)
        });
        let bytes = bytes.ok_or_else(|| StoreError {
            log,
            reason: format!("no {length} bytes at {position}"),
        })?;
        into.extend_from_slice(bytes);
        Ok(())
    }

    fn end(&self, log: LogId) -> u64 {
        self.logs
            .get(&log)
            .map_or(0, |found| found.start + found.bytes.len() as u64)
    }

    fn truncate(&mut self, log: LogId, position: u64) -> Result<(), StoreError> {
        if let Some(found) = self.logs.get_mut(&log) {
            found
                .bytes
                .truncate(position.saturating_sub(found.start) as usize);
        }
        Ok(())
    }

    fn trim(&mut self, log: LogId, position: u64) {
        if let Some(found) = self.logs.get_mut(&log) {
            let count = (position.saturating_sub(found.start) as usize).min(found.bytes.len());
            found.bytes.drain(..count);
            found.start += count as u64;
        }
    }

    fn remove(&mut self, log: LogId) {
        self.logs.remove(&log);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_survive_a_trim() {
        let (mut store, log) = (Memory::default(), LogId(1));
        assert_eq!(store.append(log, b"ab", b"cd"), Ok(0));
        assert_eq!(store.append(log, b"ef", b"gh"), Ok(4));
        store.trim(log, 4);
        let mut into = BytesMut::new();
        assert!(store.read(log, 3, 2, &mut into).is_err());
        store.read(log, 4, 4, &mut into).expect("is there");
        assert_eq!(&into[..], b"efgh");
        assert_eq!(store.end(log), 8);
        store.truncate(log, 6).expect("cut");
        assert_eq!(store.append(log, b"x", b""), Ok(6));
    }
}
