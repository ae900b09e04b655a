//! Produce answers (API 0, v3 to v13), read by hand from bytes that may be nonsense.
//!
//! The whole answer is read before anything is believed: an answer that breaks off, counts what it cannot hold or
//! goes on after its end is an error, the connection is closed and its requests are UNKNOWN (A7, A16). A count is
//! compared with the bytes that are left before memory is asked for, so an answer of n bytes costs at most
//! [`MAX_GROWTH`] × n bytes of memory. Text is borrowed; a usual answer costs one allocation.
//!
//! Not judged here: whether the partitions are those that were asked for, and what an error code means
//! ([`reaction`](crate::reaction)).

use thiserror::Error;

use crate::produce_request::{
    FIRST_FLEXIBLE_VERSION, FIRST_TOPIC_ID_VERSION, MAX_VERSION, MIN_VERSION, TopicId,
};
use crate::varint::take_unsigned_varint;

/// No answer makes us use more memory than this many times its own length.
pub const MAX_GROWTH: usize = 16;

/// A Produce answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProduceResponse<'a> {
    /// How long the broker mutes this connection from now on, ms (KIP-219, A17); 0 = not.
    pub throttle_time_ms: i32,
    /// One entry per partition, in the broker's order, topics flattened.
    pub partitions: Vec<PartitionResponse<'a>>,
    /// Where the leaders named in `partitions` can be reached (v10+, KIP-951).
    pub node_endpoints: Vec<NodeEndpoint<'a>>,
}

/// What became of one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionResponse<'a> {
    /// Name up to v12, id from v13 on.
    pub topic: TopicRef<'a>,
    /// Partition.
    pub partition: i32,
    /// Kafka's error code; 0 = appended.
    pub error_code: i16,
    /// Offset of the batch's first record, -1 where the broker does not know it.
    pub base_offset: i64,
    /// Broker's append time, ms since 1970, if the topic keeps log append time; else -1.
    pub log_append_time_ms: i64,
    /// First offset still in the log (v5+); -1 before.
    pub log_start_offset: i64,
    /// Records that made the broker refuse the batch (v8+, KIP-467).
    pub record_errors: Vec<RecordError<'a>>,
    /// The broker's words about the error (v8+).
    pub error_message: Option<&'a str>,
    /// The partition's leader as this broker knows it (v10+, KIP-951); only sent with errors 6 and 74.
    pub current_leader: Option<CurrentLeader>,
}

/// How an answer names a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicRef<'a> {
    /// v3 to v12.
    Name(&'a str),
    /// v13 and later.
    Id(TopicId),
}

/// One record that made the broker refuse its batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordError<'a> {
    /// Place of the record in the batch, from 0.
    pub batch_index: i32,
    /// The broker's words.
    pub message: Option<&'a str>,
}

/// A leader hint. Worth following only if its epoch is newer than the known one (A19).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrentLeader {
    /// Node id, -1 where unknown.
    pub leader_id: i32,
    /// Leader epoch, -1 where unknown.
    pub leader_epoch: i32,
}

/// Where a node can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEndpoint<'a> {
    /// Node id.
    pub node_id: i32,
    /// Host name or address, as the broker says it: not checked.
    pub host: &'a str,
    /// Port, as the broker says it: not checked.
    pub port: i32,
    /// Rack, if it has one.
    pub rack: Option<&'a str>,
}

/// The bytes are no Produce answer. Close the connection; whether the batches were written is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ResponseError {
    /// Not a version that this file knows.
    #[error("Produce v{0} is not known here (v{MIN_VERSION} to v{MAX_VERSION} are)")]
    Version(i16),
    /// The answer ends inside `field`.
    #[error("the answer breaks off at byte {at}, inside {field}")]
    Short {
        /// Byte of the body.
        at: usize,
        /// What was being read.
        field: &'static str,
    },
    /// A length or count that the rest of the answer cannot hold, or null where null is not allowed.
    #[error("{field} at byte {at} claims {claimed}, and {left} bytes are left")]
    Count {
        /// Byte of the body.
        at: usize,
        /// What was being read.
        field: &'static str,
        /// The length or count as sent.
        claimed: i64,
        /// Bytes left in the answer.
        left: usize,
    },
    /// Text that is not UTF-8.
    #[error("{field} before byte {at} is not UTF-8")]
    NotText {
        /// Byte of the body.
        at: usize,
        /// What was being read.
        field: &'static str,
    },
    /// Bytes after the end of the answer or of a tagged field.
    #[error("{left} bytes too many after {field}")]
    Trailing {
        /// What should have been the last.
        field: &'static str,
        /// Bytes left over.
        left: usize,
    },
}

/// The correlation id that a frame (without its size field) starts with; `None` if it is shorter than that.
#[must_use]
pub fn correlation_id(frame: &[u8]) -> Option<i32> {
    frame.first_chunk::<4>().map(|bytes| i32::from_be_bytes(*bytes))
}

/// Reads a whole frame (without its size field) as the answer to a Produce request of `version`: response header
/// v0, or v1 from the flexible versions on, then the body. The correlation id is the caller's to compare, before.
pub fn parse(version: i16, frame: &[u8]) -> Result<ProduceResponse<'_>, ResponseError> {
    if !(MIN_VERSION..=MAX_VERSION).contains(&version) {
        return Err(ResponseError::Version(version));
    }
    let mut input = Input {
        rest: frame,
        whole: frame.len(),
        version,
        flexible: version >= FIRST_FLEXIBLE_VERSION,
    };
    input.int32("correlation id")?;
    input.tags("response header", |_, _| Ok(false))?;

    let mut partitions = Vec::new();
    let topics = input.count("topics", MIN_TOPIC_BYTES)?;
    for _ in 0..topics {
        input.topic(&mut partitions)?;
    }
    let throttle_time_ms = input.int32("throttle time")?;
    let mut node_endpoints = Vec::new();
    input.tags("response", |input, tag| {
        let known = tag == 0 && version >= FIRST_LEADER_HINT_VERSION;
        if known {
            node_endpoints = input.node_endpoints()?;
        }
        Ok(known)
    })?;
    input.end("the answer")?;
    Ok(ProduceResponse {
        throttle_time_ms,
        partitions,
        node_endpoints,
    })
}

const FIRST_LOG_START_VERSION: i16 = 5;
const FIRST_RECORD_ERRORS_VERSION: i16 = 8;
const FIRST_LEADER_HINT_VERSION: i16 = 10;

/// The least that one element takes on the wire, bytes: what a count is checked against.
const MIN_TOPIC_BYTES: usize = 3;
const MIN_PARTITION_BYTES: usize = 22;
const MIN_RECORD_ERROR_BYTES: usize = 6;
const MIN_ENDPOINT_BYTES: usize = 11;

// A vector that grows topic by topic may hold twice what is in it.
const _: () = assert!(2 * size_of::<PartitionResponse<'_>>() / MIN_PARTITION_BYTES < MAX_GROWTH);
const _: () = assert!(size_of::<RecordError<'_>>() / MIN_RECORD_ERROR_BYTES < MAX_GROWTH);
const _: () = assert!(size_of::<NodeEndpoint<'_>>() / MIN_ENDPOINT_BYTES < MAX_GROWTH);

/// The rest of an answer. Every read says what it was after, so that an error names the field.
struct Input<'a> {
    rest: &'a [u8],
    whole: usize,
    version: i16,
    flexible: bool,
}

impl<'a> Input<'a> {
    fn topic(&mut self, partitions: &mut Vec<PartitionResponse<'a>>) -> Result<(), ResponseError> {
        let topic = if self.version >= FIRST_TOPIC_ID_VERSION {
            TopicRef::Id(*self.take::<16>("topic id")?)
        } else {
            TopicRef::Name(self.string("topic name")?)
        };
        let count = self.count("partitions", MIN_PARTITION_BYTES)?;
        partitions.reserve(count);
        for _ in 0..count {
            let partition = self.partition(topic)?;
            partitions.push(partition);
        }
        self.tags("topic", |_, _| Ok(false))
    }

    fn partition(&mut self, topic: TopicRef<'a>) -> Result<PartitionResponse<'a>, ResponseError> {
        let mut response = PartitionResponse {
            topic,
            partition: self.int32("partition")?,
            error_code: self.int16("error code")?,
            base_offset: self.int64("base offset")?,
            log_append_time_ms: self.int64("log append time")?,
            log_start_offset: -1,
            record_errors: Vec::new(),
            error_message: None,
            current_leader: None,
        };
        if self.version >= FIRST_LOG_START_VERSION {
            response.log_start_offset = self.int64("log start offset")?;
        }
        if self.version >= FIRST_RECORD_ERRORS_VERSION {
            let count = self.count("record errors", MIN_RECORD_ERROR_BYTES)?;
            response.record_errors.reserve_exact(count);
            for _ in 0..count {
                let batch_index = self.int32("record error")?;
                let message = self.nullable_string("record error")?;
                self.tags("record error", |_, _| Ok(false))?;
                response.record_errors.push(RecordError { batch_index, message });
            }
            response.error_message = self.nullable_string("error message")?;
        }
        let version = self.version;
        self.tags("partition", |input, tag| {
            let known = tag == 0 && version >= FIRST_LEADER_HINT_VERSION;
            if known {
                let leader_id = input.int32("current leader")?;
                let leader_epoch = input.int32("current leader")?;
                input.tags("current leader", |_, _| Ok(false))?;
                response.current_leader = Some(CurrentLeader {
                    leader_id,
                    leader_epoch,
                });
            }
            Ok(known)
        })?;
        Ok(response)
    }

    fn node_endpoints(&mut self) -> Result<Vec<NodeEndpoint<'a>>, ResponseError> {
        let count = self.count("node endpoints", MIN_ENDPOINT_BYTES)?;
        let mut endpoints = Vec::with_capacity(count);
        for _ in 0..count {
            endpoints.push(NodeEndpoint {
                node_id: self.int32("node id")?,
                host: self.string("host")?,
                port: self.int32("port")?,
                rack: self.nullable_string("rack")?,
            });
            self.tags("node endpoint", |_, _| Ok(false))?;
        }
        Ok(endpoints)
    }

    /// The tagged fields at a structure's end (none before the flexible versions). `known` reads the ones it knows
    /// out of exactly their own bytes and says so; the others are stepped over, as KIP-482 asks.
    fn tags(
        &mut self,
        field: &'static str,
        mut known: impl FnMut(&mut Input<'a>, u32) -> Result<bool, ResponseError>,
    ) -> Result<(), ResponseError> {
        if !self.flexible {
            return Ok(());
        }
        let count = self.unsigned(field)?;
        for _ in 0..count {
            let tag = self.unsigned(field)?;
            let length = self.unsigned(field)? as usize;
            let Some((value, rest)) = self.rest.split_at_checked(length) else {
                return Err(self.count_error(field, length as i64));
            };
            let mut value = Input {
                rest: value,
                whole: self.at() + length,
                ..*self
            };
            if known(&mut value, tag)? {
                value.end(field)?;
            }
            self.rest = rest;
        }
        Ok(())
    }

    /// An array's length, never null, each element of which takes at least `least` bytes.
    fn count(&mut self, field: &'static str, least: usize) -> Result<usize, ResponseError> {
        let count = if self.flexible {
            i64::from(self.unsigned(field)?) - 1
        } else {
            i64::from(self.int32(field)?)
        };
        match usize::try_from(count) {
            Ok(count) if count <= self.rest.len() / least => Ok(count),
            _ => Err(self.count_error(field, count)),
        }
    }

    fn string(&mut self, field: &'static str) -> Result<&'a str, ResponseError> {
        self.nullable_string(field)?
            .ok_or_else(|| self.count_error(field, -1))
    }

    fn nullable_string(&mut self, field: &'static str) -> Result<Option<&'a str>, ResponseError> {
        let length = if self.flexible {
            i64::from(self.unsigned(field)?) - 1
        } else {
            i64::from(self.int16(field)?)
        };
        if length == -1 {
            return Ok(None);
        }
        let text = usize::try_from(length)
            .ok()
            .and_then(|length| self.rest.split_at_checked(length));
        let (text, rest) = text.ok_or_else(|| self.count_error(field, length))?;
        self.rest = rest;
        match std::str::from_utf8(text) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(ResponseError::NotText { at: self.at(), field }),
        }
    }

    fn int16(&mut self, field: &'static str) -> Result<i16, ResponseError> {
        self.take(field).map(|bytes| i16::from_be_bytes(*bytes))
    }

    fn int32(&mut self, field: &'static str) -> Result<i32, ResponseError> {
        self.take(field).map(|bytes| i32::from_be_bytes(*bytes))
    }

    fn int64(&mut self, field: &'static str) -> Result<i64, ResponseError> {
        self.take(field).map(|bytes| i64::from_be_bytes(*bytes))
    }

    fn unsigned(&mut self, field: &'static str) -> Result<u32, ResponseError> {
        let at = self.at();
        take_unsigned_varint(&mut self.rest).ok_or(ResponseError::Short { at, field })
    }

    fn take<const N: usize>(&mut self, field: &'static str) -> Result<&'a [u8; N], ResponseError> {
        let at = self.at();
        let (bytes, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(ResponseError::Short { at, field })?;
        self.rest = rest;
        Ok(bytes)
    }

    fn end(&self, field: &'static str) -> Result<(), ResponseError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(ResponseError::Trailing { field, left }),
        }
    }

    fn at(&self) -> usize {
        self.whole - self.rest.len()
    }

    fn count_error(&self, field: &'static str, claimed: i64) -> ResponseError {
        ResponseError::Count {
            at: self.at(),
            field,
            claimed,
            left: self.rest.len(),
        }
    }
}

#[cfg(test)]
mod tests;
