//! Kafka's variable-length integers: zigzag inside record batches, plain (unsigned) in flexible requests.
//!
//! Seven bits a byte, lowest first, the top bit says "more follows". Zigzag maps 0, -1, 1, -2 … to 0, 1, 2, 3 …
//! so that small negative numbers stay short (Protocol Buffers encoding; Kafka `ByteUtils`, KIP-482 for the
//! unsigned form). Writing cannot fail; reading refuses what is cut off or longer than the type allows.

/// Longest encoding of a 32-bit number, in bytes.
pub const MAX_VARINT_BYTES: usize = 5;
/// Longest encoding of a 64-bit number, in bytes.
pub const MAX_VARLONG_BYTES: usize = 10;

/// Bytes that a zigzag `VARINT` takes: 1 to 5.
#[inline]
#[must_use]
pub fn varint_size(value: i32) -> usize {
    unsigned_varint_size(zigzag32(value))
}

/// Bytes that a zigzag `VARLONG` takes: 1 to 10.
#[inline]
#[must_use]
pub fn varlong_size(value: i64) -> usize {
    unsigned_size(zigzag64(value))
}

/// Bytes that an `UNSIGNED_VARINT` takes: 1 to 5.
#[inline]
#[must_use]
pub fn unsigned_varint_size(value: u32) -> usize {
    unsigned_size(u64::from(value))
}

/// Writes a zigzag `VARINT` at `at` and returns the place after it.
/// The caller's array must have [`MAX_VARINT_BYTES`] of room there.
#[inline]
pub fn write_varint(out: &mut [u8], at: usize, value: i32) -> usize {
    write_unsigned(out, at, u64::from(zigzag32(value)))
}

/// Writes a zigzag `VARLONG` at `at` and returns the place after it.
/// The caller's array must have [`MAX_VARLONG_BYTES`] of room there.
#[inline]
pub fn write_varlong(out: &mut [u8], at: usize, value: i64) -> usize {
    write_unsigned(out, at, zigzag64(value))
}

/// Appends a zigzag `VARINT`.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, value: i32) {
    put_unsigned_varint(out, zigzag32(value));
}

/// Appends an `UNSIGNED_VARINT`.
#[inline]
pub fn put_unsigned_varint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a zigzag `VARINT` off the front of `bytes`; `None` if it is cut off or longer than 32 bits.
#[inline]
#[must_use]
pub fn take_varint(bytes: &mut &[u8]) -> Option<i32> {
    let raw = take_unsigned_varint(bytes)?;
    Some((raw >> 1) as i32 ^ -((raw & 1) as i32))
}

/// Takes a zigzag `VARLONG` off the front of `bytes`; `None` if it is cut off or longer than 64 bits.
#[inline]
#[must_use]
pub fn take_varlong(bytes: &mut &[u8]) -> Option<i64> {
    let raw = take_unsigned(bytes, MAX_VARLONG_BYTES, 1)?;
    Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

/// Takes an `UNSIGNED_VARINT` off the front of `bytes`; `None` if it is cut off or longer than 32 bits.
#[inline]
#[must_use]
pub fn take_unsigned_varint(bytes: &mut &[u8]) -> Option<u32> {
    take_unsigned(bytes, MAX_VARINT_BYTES, 0x0f).map(|value| value as u32)
}

/// Reads up to `longest` bytes; the last possible one may hold no bit above `last_byte_max`.
#[inline]
fn take_unsigned(bytes: &mut &[u8], longest: usize, last_byte_max: u8) -> Option<u64> {
    let mut value = 0_u64;
    for (index, &byte) in bytes.iter().take(longest).enumerate() {
        if index + 1 == longest && byte > last_byte_max {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            *bytes = &bytes[index + 1..];
            return Some(value);
        }
    }
    None
}

/// Most numbers of a record take one byte.
#[inline]
fn unsigned_size(value: u64) -> usize {
    if value < 0x80 {
        return 1;
    }
    (64 - value.leading_zeros() as usize).div_ceil(7)
}

#[inline]
fn write_unsigned(out: &mut [u8], mut at: usize, mut value: u64) -> usize {
    while value >= 0x80 {
        out[at] = value as u8 | 0x80;
        value >>= 7;
        at += 1;
    }
    out[at] = value as u8;
    at + 1
}

#[inline]
fn zigzag32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

#[inline]
fn zigzag64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cut_off_and_overlong_numbers_are_refused() {
        assert_eq!(take_unsigned_varint(&mut &[0x80, 0x80][..]), None);
        assert_eq!(take_unsigned_varint(&mut &[0xff; 5][..]), None);
        assert_eq!(
            take_unsigned_varint(&mut &[0xff, 0xff, 0xff, 0xff, 0x1f][..]),
            None,
            "33 bits"
        );
        assert_eq!(
            take_unsigned_varint(&mut &[0xff, 0xff, 0xff, 0xff, 0x0f][..]),
            Some(u32::MAX)
        );
        assert_eq!(take_varlong(&mut &[0xff; 10][..]), None);
        assert_eq!(take_varint(&mut &[][..]), None);
    }

    #[test]
    fn numbers_are_written_as_kafka_writes_them() {
        // From Kafka's ByteUtilsTest.
        for (value, bytes) in [
            (0, &[0x00][..]),
            (-1, &[0x01]),
            (1, &[0x02]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
            (-65, &[0x81, 0x01]),
            (8191, &[0xfe, 0x7f]),
            (-8193, &[0x81, 0x80, 0x01]),
            (i32::MAX, &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i32::MIN, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ] {
            let mut written = Vec::new();
            put_varint(&mut written, value);
            assert_eq!(written, bytes, "{value}");
        }
        let mut longest = [0; MAX_VARLONG_BYTES];
        assert_eq!(write_varlong(&mut longest, 0, i64::MIN), MAX_VARLONG_BYTES);
        assert_eq!(
            longest,
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]
        );
    }

    proptest! {
        #[test]
        fn numbers_come_back_and_take_the_size_foretold(small: i32, long: i64, shift in 0..63_u32) {
            let (small, long) = (small >> (shift % 32), long >> shift);
            let mut out = [0; 32];
            let end = write_varint(&mut out, 0, small);
            prop_assert_eq!(end, varint_size(small));
            let end = write_varlong(&mut out, end, long);
            prop_assert_eq!(end, varint_size(small) + varlong_size(long));
            let mut rest = &out[..end];
            prop_assert_eq!(take_varint(&mut rest), Some(small));
            prop_assert_eq!(take_varlong(&mut rest), Some(long));
            prop_assert!(rest.is_empty());

            let mut appended = Vec::new();
            put_varint(&mut appended, small);
            put_unsigned_varint(&mut appended, small as u32);
            prop_assert_eq!(appended.len(), varint_size(small) + unsigned_varint_size(small as u32));
            let mut rest = &appended[..];
            prop_assert_eq!(take_varint(&mut rest), Some(small));
            prop_assert_eq!(take_unsigned_varint(&mut rest), Some(small as u32));
        }
    }
}
