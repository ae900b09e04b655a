//! Batches and their bytes within a block. Pure.

use super::{LogBatch, LogRecord, MAX_RECORDS_PER_BATCH, Marker};
use crate::stamp::RecordId;
use crate::varint::{Cursor, put, put_signed};

const CONTROL: u8 = 1;
const TRANSACTIONAL: u8 = 2;
const COMMIT: u8 = 4;
const ABORT: u8 = 8;
const OTHER_LEADER: u8 = 16;

const HAS_ID: u8 = 1;
const HAS_KEY: u8 = 2;
const INTACT: u8 = 4;
const OTHER_OFFSET: u8 = 8;
const OTHER_WORKER: u8 = 16;
const OTHER_SEQUENCE: u8 = 32;
const OTHER_TIMESTAMP: u8 = 64;

/// What the next batch and record of a block are compared with.
#[derive(Debug)]
pub(crate) struct Before {
    offset_after: i64,
    leader_epoch: i32,
    worker: u16,
    index: u64,
    timestamp_ms: i64,
}

impl Default for Before {
    fn default() -> Before {
        Before {
            offset_after: 0,
            // Not known: a file from before it was written down says nothing else.
            leader_epoch: -1,
            worker: 0,
            index: 0,
            timestamp_ms: 0,
        }
    }
}

pub(super) fn encode(block: &mut Vec<u8>, before: &mut Before, batch: &LogBatch) {
    let control = if batch.control { CONTROL } else { 0 };
    let marker = match batch.marker {
        Some(Marker { commit: true, .. }) => COMMIT,
        Some(Marker { commit: false, .. }) => ABORT,
        None => 0,
    };
    let transactional = if batch.transactional { TRANSACTIONAL } else { 0 };
    let other_leader = batch.leader_epoch != before.leader_epoch;
    block.push(control | marker | transactional | if other_leader { OTHER_LEADER } else { 0 });
    put_signed(block, batch.base_offset.wrapping_sub(before.offset_after));
    put_signed(block, batch.producer_id);
    put_signed(block, batch.producer_epoch.into());
    put_signed(block, batch.base_sequence.into());
    if other_leader {
        put_signed(
            block,
            i64::from(batch.leader_epoch) - i64::from(before.leader_epoch),
        );
        before.leader_epoch = batch.leader_epoch;
    }
    if let Some(marker) = batch.marker {
        put_signed(block, marker.coordinator_epoch.into());
    }
    put(block, batch.records.len() as u64);
    before.offset_after = batch.base_offset;
    for record in &batch.records {
        encode_record(block, before, record);
    }
}

/// The next batch of a block, into `batch`, whose buffer is reused. None when the block is malformed.
pub(super) fn decode(block: &mut Cursor<'_>, before: &mut Before, batch: &mut LogBatch) -> Option<()> {
    let flags = block.byte()?;
    if flags & !(CONTROL | TRANSACTIONAL | COMMIT | ABORT | OTHER_LEADER) != 0
        || flags & (COMMIT | ABORT) == COMMIT | ABORT
    {
        return None;
    }
    batch.control = flags & CONTROL != 0;
    batch.transactional = flags & TRANSACTIONAL != 0;
    batch.base_offset = before.offset_after.wrapping_add(block.signed()?);
    batch.producer_id = block.signed()?;
    batch.producer_epoch = block.narrow()?;
    batch.base_sequence = block.narrow()?;
    if flags & OTHER_LEADER != 0 {
        let epoch = i64::from(before.leader_epoch).checked_add(block.signed()?)?;
        before.leader_epoch = i32::try_from(epoch).ok()?;
    }
    batch.leader_epoch = before.leader_epoch;
    batch.marker = match flags & (COMMIT | ABORT) {
        0 => None,
        kind => Some(Marker {
            commit: kind == COMMIT,
            coordinator_epoch: block.narrow()?,
        }),
    };
    let count = block.count()?;
    if count > MAX_RECORDS_PER_BATCH {
        return None;
    }
    before.offset_after = batch.base_offset;
    batch.records.clear();
    for _ in 0..count {
        batch.records.push(decode_record(block, before)?);
    }
    Some(())
}

pub(crate) fn encode_record(block: &mut Vec<u8>, before: &mut Before, record: &LogRecord) {
    let worker = record.id.map_or(before.worker, RecordId::worker);
    let index = record.id.map_or(0, RecordId::index);
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    let flags = flag(record.id.is_some(), HAS_ID)
        | flag(record.key.is_some(), HAS_KEY)
        | flag(record.intact, INTACT)
        | flag(record.offset != before.offset_after, OTHER_OFFSET)
        | flag(worker != before.worker, OTHER_WORKER)
        | flag(record.sequence != index as u32, OTHER_SEQUENCE)
        | flag(record.timestamp_ms != before.timestamp_ms, OTHER_TIMESTAMP);
    block.push(flags);
    if flags & OTHER_OFFSET != 0 {
        put_signed(block, record.offset.wrapping_sub(before.offset_after));
    }
    if flags & HAS_ID != 0 {
        if flags & OTHER_WORKER != 0 {
            put(block, worker.into());
        }
        put_signed(block, index.wrapping_sub(before.index) as i64);
        before.index = index;
    }
    if flags & OTHER_SEQUENCE != 0 {
        put(block, record.sequence.into());
    }
    if let Some(key) = record.key {
        block.extend_from_slice(&key.to_le_bytes());
    }
    if flags & OTHER_TIMESTAMP != 0 {
        put_signed(block, record.timestamp_ms.wrapping_sub(before.timestamp_ms));
    }
    before.worker = worker;
    before.offset_after = record.offset.wrapping_add(1);
    before.timestamp_ms = record.timestamp_ms;
}

pub(crate) fn decode_record(block: &mut Cursor<'_>, before: &mut Before) -> Option<LogRecord> {
    let flags = block.byte()?;
    if flags & 0x80 != 0 {
        return None;
    }
    let jump = if flags & OTHER_OFFSET != 0 {
        block.signed()?
    } else {
        0
    };
    let offset = before.offset_after.wrapping_add(jump);
    let mut id = None;
    if flags & HAS_ID != 0 {
        if flags & OTHER_WORKER != 0 {
            before.worker = u16::try_from(block.unsigned()?).ok()?;
        }
        before.index = before.index.wrapping_add(block.signed()? as u64);
        id = Some(RecordId::new(before.worker, before.index));
    }
    let sequence = if flags & OTHER_SEQUENCE != 0 {
        u32::try_from(block.unsigned()?).ok()?
    } else {
        id.map_or(0, |id| id.index() as u32)
    };
    let mut key = None;
    if flags & HAS_KEY != 0 {
        key = Some(u64::from_le_bytes(block.take(8)?.try_into().ok()?));
    }
    if flags & OTHER_TIMESTAMP != 0 {
        before.timestamp_ms = before.timestamp_ms.wrapping_add(block.signed()?);
    }
    before.offset_after = offset.wrapping_add(1);
    Some(LogRecord {
        offset,
        id,
        sequence,
        key,
        intact: flags & INTACT != 0,
        timestamp_ms: before.timestamp_ms,
    })
}
