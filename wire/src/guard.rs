//! Walks a response (or, for who plays a broker, a request) before kafka-protocol decodes it.
//!
//! kafka-protocol 0.18 allocates what a count on the wire asks for: eight hostile bytes can demand gigabytes, and a
//! failed allocation aborts the process (its pull requests #152, #161, #200). So every count is compared with the
//! bytes that are left (an element takes one at least), the elements are walked, and the bytes must end where the
//! response ends. What passes here decodes within about three times its size plus [`MAX_STRUCTS`] structs.
//!
//! Field layouts: shapes.rs. Encodings: KIP-482 (compact lengths, tagged fields).

use bytes::Bytes;
use kafka_protocol::messages::ResponseHeader;
use kafka_protocol::protocol::{Decodable, HeaderVersion, Request};

use crate::request_shapes::REQUEST_SHAPES;
use crate::shapes::{Field, Kind, SHAPES, Shape};

/// Structs in one response at most: at 200 bytes each they decode into 50 MB.
pub const MAX_STRUCTS: usize = 1 << 18;
/// Tagged fields behind one struct at most; Kafka defines four or fewer.
pub const MAX_TAGGED_FIELDS: u64 = 64;
/// API key of ApiVersions, whose response header is always the old one.
const API_VERSIONS: i16 = 18;
/// UNSUPPORTED_VERSION.
const UNSUPPORTED_VERSION: i16 = 35;

/// Why bytes are not decoded. The peer talks nonsense: close the connection; requests in flight on it are UNKNOWN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// Not in the table of shapes.
    #[error("no known shape for API {api_key} version {version}")]
    UnknownShape {
        /// API key.
        api_key: i16,
        /// Version.
        version: i16,
    },
    /// Bytes that do not have this shape.
    #[error("message of API {api_key} version {version} is malformed at byte {offset}: {what}")]
    Malformed {
        /// API key.
        api_key: i16,
        /// Version.
        version: i16,
        /// Where in the body.
        offset: usize,
        /// What does not fit.
        what: &'static str,
    },
}

/// Checks the body of a response (what follows the response header) before it is decoded.
pub fn check_response(api_key: i16, version: i16, body: &[u8]) -> Result<(), GuardError> {
    check(SHAPES, api_key, version, body, Behind::Nothing)
}

/// Checks the body of a request (what follows the request header) before it is decoded. Bytes behind it are nobody's:
/// Kafka's brokers take such a request.
pub fn check_request(api_key: i16, version: i16, body: &[u8]) -> Result<(), GuardError> {
    check(REQUEST_SHAPES, api_key, version, body, Behind::Anything)
}

/// What may stand behind the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behind {
    Nothing,
    Anything,
}

fn check(
    shapes: &'static [Shape],
    api_key: i16,
    version: i16,
    body: &[u8],
    behind: Behind,
) -> Result<(), GuardError> {
    let shape = shapes.iter().find(|shape| shape.api_key == api_key);
    let shape = shape
        .filter(|shape| (0..=shape.newest).contains(&version))
        .ok_or(GuardError::UnknownShape { api_key, version })?;
    let mut walk = Walk {
        rest: body,
        version,
        flexible: version >= shape.flexible,
        structs: 0,
    };
    walk.fields(shape.fields)
        .and_then(|()| match behind {
            Behind::Nothing => walk.end(),
            Behind::Anything => Ok(()),
        })
        .map_err(|what| GuardError::Malformed {
            api_key,
            version,
            offset: body.len() - walk.rest.len(),
            what,
        })
}

/// Checks and decodes a whole response frame (without its length prefix): correlation id and response.
///
/// A broker that does not know the version of an ApiVersions request answers with version 0 of the response
/// (KIP-511); that is understood here.
pub fn decode<R: Request>(version: i16, frame: Bytes) -> Result<(i32, R::Response), GuardError> {
    let malformed = |offset: usize, what| GuardError::Malformed {
        api_key: R::KEY,
        version,
        offset,
        what,
    };
    let mut walk = Walk {
        rest: &frame,
        version,
        flexible: true,
        structs: 0,
    };
    let header_version = R::Response::header_version(version);
    let skipped = walk.skip(4).and_then(|()| {
        if header_version > 0 {
            walk.tagged(&[])
        } else {
            Ok(())
        }
    });
    let body_at = frame.len() - walk.rest.len();
    skipped.map_err(|what| malformed(body_at, what))?;

    let error_code = walk.rest.first_chunk::<2>().map(|code| i16::from_be_bytes(*code));
    let old = R::KEY == API_VERSIONS && error_code == Some(UNSUPPORTED_VERSION);
    let version = if old { 0 } else { version };
    check_response(R::KEY, version, walk.rest)?;

    let mut body = frame;
    let header = ResponseHeader::decode(&mut body, header_version).map_err(|_| malformed(0, "no header"))?;
    // What the guard lets through and the decoder refuses: a null where none may be, or text that is not UTF-8.
    let response = R::Response::decode(&mut body, version)
        .map_err(|_| malformed(body_at, "a field with an illegal value"))?;
    Ok((header.correlation_id, response))
}

/// The bytes not walked yet.
struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
    structs: usize,
}

type Step<T> = Result<T, &'static str>;
const CUT: &str = "cut short";

impl Walk<'_> {
    fn fields(&mut self, fields: &'static [Field]) -> Step<()> {
        self.structs += 1;
        if self.structs > MAX_STRUCTS {
            return Err("more structs than are allowed");
        }
        for field in fields {
            match field {
                Field::Every(kind) => self.kind(kind)?,
                Field::Since(first, kind) if self.version >= *first => self.kind(kind)?,
                Field::Between(first, last, kind) if (*first..=*last).contains(&self.version) => {
                    self.kind(kind)?;
                }
                Field::Since(..) | Field::Between(..) | Field::Tagged(..) => {}
            }
        }
        if self.flexible {
            self.tagged(fields)
        } else {
            Ok(())
        }
    }

    fn kind(&mut self, kind: &'static Kind) -> Step<()> {
        match kind {
            Kind::I8 => self.skip(1),
            Kind::I16 => self.skip(2),
            Kind::I32 => self.skip(4),
            Kind::I64 | Kind::F64 => self.skip(8),
            Kind::Uuid => self.skip(16),
            Kind::String if !self.flexible => {
                let length = self.take::<2>().map(i16::from_be_bytes)?;
                self.sized(length.into())
            }
            Kind::String | Kind::Bytes => {
                let length = self.length()?;
                self.sized(length)
            }
            Kind::Array(element) => {
                let count = self.length()?;
                if count > self.rest.len() as i64 {
                    return Err("a count beyond the bytes that are left");
                }
                (0..count).try_for_each(|_| self.kind(element))
            }
            Kind::Struct(fields) => self.fields(fields),
        }
    }

    /// The tagged fields behind a struct: known ones are walked and must take exactly the size they claim.
    fn tagged(&mut self, fields: &'static [Field]) -> Step<()> {
        let count = self.varint()?;
        if count > MAX_TAGGED_FIELDS {
            return Err("more tagged fields than are allowed");
        }
        for _ in 0..count {
            let tag = self.varint()?;
            let size = self.varint()? as usize;
            let after = self.rest.len().checked_sub(size).ok_or(CUT)?;
            let known = fields.iter().find_map(|field| match field {
                Field::Tagged(number, first, kind) if u64::from(*number) == tag && self.version >= *first => {
                    Some(kind)
                }
                _ => None,
            });
            match known {
                Some(kind) => self.kind(kind)?,
                None => self.skip(size)?,
            }
            if self.rest.len() != after {
                return Err("a tagged field of another size than it says");
            }
        }
        Ok(())
    }

    /// A length or count that may be null (-1).
    fn length(&mut self) -> Step<i64> {
        if self.flexible {
            Ok(self.varint()? as i64 - 1)
        } else {
            self.take::<4>().map(|bytes| i32::from_be_bytes(bytes).into())
        }
        .and_then(|length| {
            if length < -1 {
                Err("a negative length")
            } else {
                Ok(length)
            }
        })
    }

    fn sized(&mut self, length: i64) -> Step<()> {
        if length < -1 {
            Err("a negative length")
        } else {
            self.skip(length.max(0) as usize)
        }
    }

    /// An unsigned 32-bit varint in five bytes at most.
    fn varint(&mut self) -> Step<u64> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.take::<1>()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return if value > u64::from(u32::MAX) {
                    Err("a varint beyond 32 bits")
                } else {
                    Ok(value)
                };
            }
        }
        Err("a varint without an end")
    }

    fn take<const N: usize>(&mut self) -> Step<[u8; N]> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(CUT)?;
        self.rest = tail;
        Ok(*head)
    }

    fn skip(&mut self, count: usize) -> Step<()> {
        self.rest = self.rest.get(count..).ok_or(CUT)?;
        Ok(())
    }

    fn end(&self) -> Step<()> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err("bytes behind the end")
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod request_tests;
