//! Variable-length integers of our own files: LEB128, seven bits a byte, low bits first; signed ones zigzag first,
//! so that small numbers of either sign are short.

/// Appends an unsigned number: 1 to 10 bytes.
pub(crate) fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Appends a signed number: 1 to 10 bytes.
pub(crate) fn put_signed(bytes: &mut Vec<u8>, value: i64) {
    put(bytes, (value << 1 ^ value >> 63) as u64);
}

/// Takes numbers and bytes off the front of a slice; none means that it is cut or malformed.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes }
    }

    /// What is not taken yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// Bytes not taken yet.
    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.bytes.split_at_checked(count)?;
        self.bytes = tail;
        Some(head)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (&first, tail) = self.bytes.split_first()?;
        self.bytes = tail;
        Some(first)
    }

    #[inline]
    pub(crate) fn unsigned(&mut self) -> Option<u64> {
        // Most numbers are small: one byte, one comparison.
        match self.bytes {
            [first, tail @ ..] if *first < 0x80 => {
                self.bytes = tail;
                Some(u64::from(*first))
            }
            _ => self.long(),
        }
    }

    fn long(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            // The tenth byte holds one bit only.
            if shift == 63 && byte > 1 {
                return None;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn signed(&mut self) -> Option<i64> {
        let value = self.unsigned()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A signed number that must fit the narrower type.
    pub(crate) fn narrow<T: TryFrom<i64>>(&mut self) -> Option<T> {
        T::try_from(self.signed()?).ok()
    }

    /// How many items follow: never more than there are bytes, since each takes one at least.
    pub(crate) fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.unsigned()?).ok()?;
        (count <= self.bytes.len()).then_some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_numbers_without_an_end_and_beyond_64_bits() {
        assert_eq!(Cursor::new(&[0x80; 12]).unsigned(), None);
        assert_eq!(Cursor::new(&[0x80, 0x80]).unsigned(), None);
        let mut beyond = [0xff_u8; 10];
        beyond[9] = 2;
        assert_eq!(Cursor::new(&beyond).unsigned(), None);
    }

    proptest! {
        #[test]
        fn round_trip(unsigned: u64, signed: i64) {
            let mut bytes = Vec::new();
            put(&mut bytes, unsigned);
            put_signed(&mut bytes, signed);
            let mut cursor = Cursor::new(&bytes);
            prop_assert_eq!(cursor.unsigned(), Some(unsigned));
            prop_assert_eq!(cursor.signed(), Some(signed));
            prop_assert_eq!(cursor.remaining(), 0);
        }
    }
}
