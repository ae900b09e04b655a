//! The record stamp: 16 bytes at the start of every value, so that the log alone can be judged.
//!
//! ```text
//! value  0        8          12         16
//!        ├────────┼──────────┼──────────┼───────────────┤
//!        │ id u64 │ seq u32  │ crc u32  │ rest of value │   all little-endian
//!        └────────┴──────────┴──────────┴───────────────┘
//! id  = worker (upper 16 bits) and index (lower 48 bits); an index is never used twice:
//!       its upper 8 bits say how many times the worker was started before
//! seq = position of the record among those of its key (first is 0); keyless: the low half of the index
//! crc = CRC-32C (Castagnoli, RFC 3720 B.4) over, each prefixed by its length as i32:
//!       topic, key (-1 and no bytes = no key), rest of value, then key and value of each header, in order
//! ```
//!
//! CRC-32C of the broker's own batch cannot stand in for it: that one covers neither topic nor partition, and a
//! codec, a proxy or a client that mixes up records computes it afresh over the wrong bytes.
//!
//! The text form, for lines of files and rows of databases, is `worker:index/sequence/crc`, the last in eight hex
//! digits: `3:17/17/0badc0de`.

use std::fmt;
use std::str::FromStr;

/// Bytes of the stamp; no value is shorter.
pub const STAMP_BYTES: usize = 16;

/// Bits of a record id that hold the index.
const INDEX_BITS: u32 = 48;

/// Largest index: 2^48 - 1, about 350 years at 25,000 records/s.
pub const MAX_INDEX: u64 = (1 << INDEX_BITS) - 1;

/// An incarnation of a worker has two to the power of this many indexes to itself: 500 days at 25,000 records/s.
const INCARNATION_BITS: u32 = 40;

/// Who a record is: worker and index. Displayed as `3:17`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub u64);

impl RecordId {
    /// The id of record `index` of `worker`. Only the lower 48 bits of the index count.
    pub fn new(worker: u16, index: u64) -> RecordId {
        RecordId(u64::from(worker) << INDEX_BITS | (index & MAX_INDEX))
    }

    /// Which worker made the record.
    pub fn worker(self) -> u16 {
        (self.0 >> INDEX_BITS) as u16
    }

    /// Which of the worker's records it is.
    pub fn index(self) -> u64 {
        self.0 & MAX_INDEX
    }

    /// Which incarnation of its worker made it: the upper 8 bits of the index.
    pub fn incarnation(self) -> u32 {
        (self.index() >> INCARNATION_BITS) as u32
    }
}

/// The first index of an incarnation.
pub fn first_index(incarnation: u32) -> u64 {
    u64::from(incarnation) << INCARNATION_BITS
}

/// What the first 16 bytes of a value say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Who the record is.
    pub id: RecordId,
    /// Position among the records of its key.
    pub sequence: u32,
    /// CRC-32C over everything else that the record carries.
    pub crc: u32,
}

/// Fills `value[..16]`. The rest of the value must stand there already: the checksum covers it.
///
/// # Panics
/// When the value is shorter than [`STAMP_BYTES`].
pub fn write(
    value: &mut [u8],
    id: RecordId,
    sequence: u32,
    topic: &str,
    key: Option<&[u8]>,
    headers: &[(&[u8], &[u8])],
) {
    let (stamp, rest) = value.split_at_mut(STAMP_BYTES);
    let crc = checksum(topic, key, rest, headers);
    stamp[..8].copy_from_slice(&id.0.to_le_bytes());
    stamp[8..12].copy_from_slice(&sequence.to_le_bytes());
    stamp[12..].copy_from_slice(&crc.to_le_bytes());
}

/// The stamp of a value, none when the value is too short to hold one. Says nothing about whether it is intact.
pub fn read(value: &[u8]) -> Option<Stamp> {
    let stamp = value.first_chunk::<STAMP_BYTES>()?;
    let [a, b, c, d, e, f, g, h, s0, s1, s2, s3, c0, c1, c2, c3] = *stamp;
    Some(Stamp {
        id: RecordId(u64::from_le_bytes([a, b, c, d, e, f, g, h])),
        sequence: u32::from_le_bytes([s0, s1, s2, s3]),
        crc: u32::from_le_bytes([c0, c1, c2, c3]),
    })
}

/// Whether a record still carries what its stamp was made over. False for a value too short to hold a stamp.
pub fn intact(value: &[u8], topic: &str, key: Option<&[u8]>, headers: &[(&[u8], &[u8])]) -> bool {
    read(value).is_some_and(|stamp| stamp.crc == checksum(topic, key, &value[STAMP_BYTES..], headers))
}

/// The checksum after the topic: the same for all records of a topic, so a reader computes it once.
pub(crate) fn topic_checksum(topic: &str) -> u32 {
    piece(0, Some(topic.as_bytes()))
}

fn checksum(topic: &str, key: Option<&[u8]>, rest: &[u8], headers: &[(&[u8], &[u8])]) -> u32 {
    let crc = piece(piece(topic_checksum(topic), key), Some(rest));
    headers.iter().fold(crc, |crc, (name, value)| {
        piece(piece(crc, Some(name)), Some(value))
    })
}

/// Goes on with one length-prefixed piece; null, which a stamp knows for keys only, is length -1.
pub(crate) fn piece(crc: u32, bytes: Option<&[u8]>) -> u32 {
    let Some(bytes) = bytes else {
        return crc32c::crc32c_append(crc, &(-1_i32).to_le_bytes());
    };
    let crc = crc32c::crc32c_append(crc, &(bytes.len() as i32).to_le_bytes());
    if bytes.is_empty() {
        crc
    } else {
        crc32c::crc32c_append(crc, bytes)
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.worker(), self.index())
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{:08x}", self.id, self.sequence, self.crc)
    }
}

/// A text that is no record id or stamp.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a {expected}")]
pub struct NotAStamp {
    /// What the text should have looked like.
    expected: &'static str,
}

impl FromStr for RecordId {
    type Err = NotAStamp;

    fn from_str(text: &str) -> Result<RecordId, NotAStamp> {
        let parse = || {
            let (worker, index) = text.split_once(':')?;
            let index = index.parse().ok().filter(|&index| index <= MAX_INDEX)?;
            Some(RecordId::new(worker.parse().ok()?, index))
        };
        parse().ok_or(NotAStamp {
            expected: "record id (worker:index, as 3:17)",
        })
    }
}

impl FromStr for Stamp {
    type Err = NotAStamp;

    fn from_str(text: &str) -> Result<Stamp, NotAStamp> {
        let parse = || {
            let mut parts = text.split('/');
            let id = parts.next()?.parse().ok()?;
            let sequence = parts.next()?.parse().ok()?;
            let crc = parts.next().filter(|crc| crc.len() == 8)?;
            let stamp = Stamp {
                id,
                sequence,
                crc: u32::from_str_radix(crc, 16).ok()?,
            };
            parts.next().is_none().then_some(stamp)
        };
        parse().ok_or(NotAStamp {
            expected: "stamp (worker:index/sequence/crc, as 3:17/17/0badc0de)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stamped(rest: &[u8], id: RecordId, key: Option<&[u8]>, headers: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut value = vec![0; STAMP_BYTES];
        value.extend_from_slice(rest);
        write(&mut value, id, id.index() as u32, "orders", key, headers);
        value
    }

    /// The layout is a public format: these bytes may not change under the same magic.
    #[test]
    fn layout_is_as_documented() {
        let value = stamped(b"rest", RecordId::new(3, 17), Some(b"k"), &[(b"h", b"v")]);
        let mut covered = Vec::new();
        for piece in [b"orders".as_slice(), b"k", b"rest", b"h", b"v"] {
            covered.extend_from_slice(&(piece.len() as i32).to_le_bytes());
            covered.extend_from_slice(piece);
        }
        let mut expected = (3_u64 << 48 | 17).to_le_bytes().to_vec();
        expected.extend_from_slice(&17_u32.to_le_bytes());
        expected.extend_from_slice(&crc32c::crc32c(&covered).to_le_bytes());
        expected.extend_from_slice(b"rest");
        assert_eq!(value, expected);
    }

    #[test]
    fn no_key_differs_from_an_empty_key() {
        let value = stamped(b"", RecordId::new(0, 0), None, &[]);
        assert!(intact(&value, "orders", None, &[]));
        assert!(!intact(&value, "orders", Some(b""), &[]));
    }

    #[test]
    fn order_of_headers_counts_and_so_does_the_topic() {
        let value = stamped(b"x", RecordId::new(1, 2), None, &[(b"a", b"1"), (b"b", b"2")]);
        assert!(!intact(&value, "orders", None, &[(b"b", b"2"), (b"a", b"1")]));
        assert!(!intact(&value, "order", None, &[(b"a", b"1"), (b"b", b"2")]));
    }

    #[test]
    fn a_short_value_holds_no_stamp() {
        assert_eq!(read(&[0; STAMP_BYTES - 1]), None);
        assert!(!intact(&[0; STAMP_BYTES - 1], "orders", None, &[]));
    }

    #[test]
    fn refuses_other_texts() {
        for text in [
            "",
            "3",
            "3:",
            "65536:1",
            "1:281474976710656",
            "3:17/1",
            "3:17/1/1",
            "3:17/1/00000001/",
        ] {
            assert!(text.parse::<Stamp>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_flipped_bit_outside_id_and_sequence_shows(
            rest in proptest::collection::vec(any::<u8>(), 1..64),
            key in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..8)),
            id: u64,
            at: prop::sample::Index,
            bit in 0..8_u32,
        ) {
            let mut value = stamped(&rest, RecordId(id), key.as_deref(), &[(b"h", b"v")]);
            prop_assert!(intact(&value, "orders", key.as_deref(), &[(b"h", b"v")]));
            let at = 12 + at.index(value.len() - 12);
            value[at] ^= 1 << bit;
            prop_assert!(!intact(&value, "orders", key.as_deref(), &[(b"h", b"v")]));
        }

        #[test]
        fn text_round_trip(id: u64, sequence: u32, crc: u32) {
            let stamp = Stamp { id: RecordId(id), sequence, crc };
            prop_assert_eq!(stamp.to_string().parse::<Stamp>(), Ok(stamp));
        }
    }
}
