//! Markers: the control batches that end transactions.

use bytes::{BufMut, BytesMut};

use super::{CONTROL, CRC_COVERS_FROM, HEADER_BYTES, LOG_OVERHEAD, TRANSACTIONAL};

/// A control batch that ends a transaction on one partition (KIP-98): key = version, type; value = version, coordinator
/// epoch.
pub(crate) struct Marker {
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) commit: bool,
    pub(crate) coordinator_epoch: i32,
    pub(crate) timestamp: i64,
}

impl Marker {
    pub(crate) fn encode(&self) -> BytesMut {
        let mut bytes = BytesMut::with_capacity(78);
        bytes.put_i64(0);
        bytes.put_i32((HEADER_BYTES - LOG_OVERHEAD + 17) as i32);
        bytes.put_i32(0);
        bytes.put_u8(2);
        bytes.put_u32(0);
        bytes.put_i16(TRANSACTIONAL | CONTROL);
        bytes.put_i32(0);
        bytes.put_i64(self.timestamp);
        bytes.put_i64(self.timestamp);
        bytes.put_i64(self.producer_id);
        bytes.put_i16(self.producer_epoch);
        bytes.put_i32(-1);
        bytes.put_i32(1);
        // One record of 16 bytes; lengths are zigzag varints.
        bytes.put_slice(&[32, 0, 0, 0, 8]);
        bytes.put_i16(0);
        bytes.put_i16(i16::from(self.commit));
        bytes.put_u8(12);
        bytes.put_i16(0);
        bytes.put_i32(self.coordinator_epoch);
        bytes.put_u8(0);
        let crc = crc32c::crc32c(&bytes[CRC_COVERS_FROM..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        bytes
    }
}

/// Whether a control batch commits; its bytes begin with the header.
pub(crate) fn commits(batch: &[u8]) -> bool {
    batch.get(HEADER_BYTES + 7..HEADER_BYTES + 9) == Some(&[0, 1])
}
