//! Produce requests (API 0, v3 to v13) as glue around batches that stay where they are.
//!
//! ```text
//!   glue   │size header body topic partition length│          │partition length│          │tags│
//!   batches                                         │ batch 0  │                │ batch 1  │
//!   writev  ───────────────────────────────────────────────────────────────────────────────────►
//! ```
//!
//! [`Frame::encode`] writes only the glue; [`Frame::slices`] gives the slices for one `writev`, from any byte on, so
//! that a short write goes on where it stopped. No batch is copied, and a `Frame` used again allocates nothing.
//!
//! Versions: v3 brought magic 2 (KIP-98), v7 zstd (KIP-110), v9 the flexible encoding (KIP-482), v10 leader hints
//! in the answer (KIP-951), v12 transactions without AddPartitionsToTxn (KIP-890), v13 topic ids (KIP-516).
//! `acks` is -1 for the producer: it waits for every in-sync replica.

use std::io::IoSlice;

use thiserror::Error;

use crate::varint::{put_unsigned_varint, unsigned_varint_size};

/// Kafka's number for Produce.
pub const API_KEY: i16 = 0;
/// Lowest version encoded here: the first that carries magic 2.
pub const MIN_VERSION: i16 = 3;
/// Highest version encoded here.
pub const MAX_VERSION: i16 = 13;
/// First version with the flexible encoding (KIP-482).
pub const FIRST_FLEXIBLE_VERSION: i16 = 9;
/// First version that names topics by id instead of name (KIP-516).
pub const FIRST_TOPIC_ID_VERSION: i16 = 13;

/// A topic's id (KIP-516), 16 bytes as on the wire; all zero where the broker gave none.
pub type TopicId = [u8; 16];

/// What a request says once.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// The version agreed with this broker, [`MIN_VERSION`] to [`MAX_VERSION`].
    pub version: i16,
    /// Comes back in the answer.
    pub correlation_id: i32,
    /// `client.id`.
    pub client_id: &'a str,
    /// `transactional.id`, if the batches belong to a transaction.
    pub transactional_id: Option<&'a str>,
    /// -1: every in-sync replica has it before the answer (A4).
    pub acks: i16,
    /// How long the broker may wait for its replicas: `request.timeout.ms`.
    pub timeout_ms: i32,
}

/// One batch's place in a request.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// Topic name; goes out up to v12.
    pub topic: &'a str,
    /// Topic id; goes out from v13 on.
    pub topic_id: TopicId,
    /// Partition. No two parts of a request may name the same one (A4; the broker answers 87, M16).
    pub partition: i32,
    /// Length of the batch in bytes.
    pub batch_bytes: usize,
}

/// The request cannot be encoded; nothing was written. Give up: the same input fails again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Not a version that this file knows.
    #[error("Produce v{0} is not known here (v{MIN_VERSION} to v{MAX_VERSION} are)")]
    Version(i16),
    /// A request without a batch.
    #[error("a Produce request needs at least one batch")]
    Empty,
    /// A name is longer than the wire's 16-bit length.
    #[error("a name of {0} bytes does not fit the protocol's 16-bit length")]
    NameTooLong(usize),
    /// The whole frame passes the protocol's 31-bit size.
    #[error("the request passes the 2 GiB that a frame can carry")]
    TooLarge,
}

/// The glue of one request. Make one per request in flight and use it again.
#[derive(Debug, Default)]
pub struct Frame {
    glue: Vec<u8>,
    /// `cuts[i]`: batch i stands before this byte of the glue.
    cuts: Vec<usize>,
    total_bytes: usize,
}

impl Frame {
    /// Encodes the glue for `parts`, in the order in which their batches will be given to [`slices`](Self::slices).
    /// Parts of one topic must stand side by side (they share one topic entry).
    pub fn encode<'a>(
        &mut self,
        head: &Head<'_>,
        parts: impl Iterator<Item = Part<'a>> + Clone,
    ) -> Result<(), FrameError> {
        self.glue.clear();
        self.cuts.clear();
        self.total_bytes = 0;
        if !(MIN_VERSION..=MAX_VERSION).contains(&head.version) {
            return Err(FrameError::Version(head.version));
        }
        let mut out = Out {
            glue: &mut self.glue,
            flexible: head.version >= FIRST_FLEXIBLE_VERSION,
        };
        out.int32(0); // the frame's size, filled in below
        out.request_header(head)?;
        match head.transactional_id {
            Some(id) => out.string(id)?,
            None => out.null_string(),
        }
        out.int16(head.acks);
        out.int32(head.timeout_ms);

        out.array_length(topics(parts.clone()));
        let mut batch_bytes = 0_usize;
        let mut rest = parts;
        let mut previous: Option<Part<'a>> = None;
        while let Some(part) = rest.next() {
            if previous.is_none_or(|previous| !same_topic(&previous, &part)) {
                if previous.is_some() {
                    out.no_tags(); // of the topic before
                }
                if head.version >= FIRST_TOPIC_ID_VERSION {
                    out.glue.extend_from_slice(&part.topic_id);
                } else {
                    out.string(part.topic)?;
                }
                let more = rest.clone().take_while(|next| same_topic(&part, next)).count();
                out.array_length(1 + more);
            }
            out.int32(part.partition);
            out.bytes_length(part.batch_bytes)?;
            self.cuts.push(out.glue.len());
            batch_bytes = batch_bytes.saturating_add(part.batch_bytes);
            out.no_tags(); // of the partition; stands after the batch
            previous = Some(part);
        }
        if previous.is_none() {
            return Err(FrameError::Empty);
        }
        out.no_tags(); // of the last topic
        out.no_tags(); // of the request

        self.total_bytes = self.glue.len().saturating_add(batch_bytes);
        let size = i32::try_from(self.total_bytes - 4).map_err(|_| FrameError::TooLarge)?;
        self.glue[..4].copy_from_slice(&size.to_be_bytes());
        Ok(())
    }

    /// Bytes on the wire, glue and batches and the size field.
    #[inline]
    #[must_use]
    pub fn total_bytes(&self) -> usize {
        self.total_bytes
    }

    /// Batches in the request.
    #[inline]
    #[must_use]
    pub fn batches(&self) -> usize {
        self.cuts.len()
    }

    /// Fills `out` with what is to be written from byte `from` of the frame on and returns how many slices that
    /// took: 0 = all is written. `batch(i)` gives the bytes of the i-th part. If `out` is too short for all, write
    /// these and ask again. Two slices per batch and one more are always enough.
    pub fn slices<'a>(
        &'a self,
        from: usize,
        batch: impl Fn(usize) -> &'a [u8],
        out: &mut [IoSlice<'a>],
    ) -> usize {
        let mut skip = from;
        let mut filled = 0;
        let mut glue_from = 0;
        for index in 0..=self.cuts.len() {
            let glue_to = self.cuts.get(index).copied().unwrap_or(self.glue.len());
            let glue = &self.glue[glue_from..glue_to];
            glue_from = glue_to;
            let payload = if index < self.cuts.len() {
                batch(index)
            } else {
                &[]
            };
            for piece in [glue, payload] {
                if skip >= piece.len() {
                    skip -= piece.len();
                } else if let Some(slot) = out.get_mut(filled) {
                    *slot = IoSlice::new(&piece[skip..]);
                    skip = 0;
                    filled += 1;
                } else {
                    return filled;
                }
            }
        }
        filled
    }
}

/// Runs of equal topics in `parts`.
fn topics<'a>(parts: impl Iterator<Item = Part<'a>>) -> usize {
    let mut count = 0;
    let mut previous: Option<Part<'a>> = None;
    for part in parts {
        count += usize::from(previous.is_none_or(|previous| !same_topic(&previous, &part)));
        previous = Some(part);
    }
    count
}

#[inline]
fn same_topic(a: &Part<'_>, b: &Part<'_>) -> bool {
    a.topic_id == b.topic_id && a.topic == b.topic
}

/// Kafka's primitive types in the old and in the flexible encoding.
struct Out<'a> {
    glue: &'a mut Vec<u8>,
    flexible: bool,
}

impl Out<'_> {
    /// Request header v1, or v2 for flexible requests, whose client id keeps the old encoding (KIP-482).
    fn request_header(&mut self, head: &Head<'_>) -> Result<(), FrameError> {
        self.int16(API_KEY);
        self.int16(head.version);
        self.int32(head.correlation_id);
        self.int16(string_length(head.client_id)?);
        self.glue.extend_from_slice(head.client_id.as_bytes());
        self.no_tags();
        Ok(())
    }

    fn int16(&mut self, value: i16) {
        self.glue.extend_from_slice(&value.to_be_bytes());
    }

    fn int32(&mut self, value: i32) {
        self.glue.extend_from_slice(&value.to_be_bytes());
    }

    fn string(&mut self, text: &str) -> Result<(), FrameError> {
        let length = string_length(text)?;
        if self.flexible {
            put_unsigned_varint(self.glue, length as u32 + 1);
        } else {
            self.int16(length);
        }
        self.glue.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn null_string(&mut self) {
        if self.flexible {
            put_unsigned_varint(self.glue, 0);
        } else {
            self.int16(-1);
        }
    }

    /// Lengths of arrays here are bounded by memory: each element is a batch that exists.
    fn array_length(&mut self, length: usize) {
        if self.flexible {
            put_unsigned_varint(self.glue, length as u32 + 1);
        } else {
            self.int32(length as i32);
        }
    }

    fn bytes_length(&mut self, length: usize) -> Result<(), FrameError> {
        let length = i32::try_from(length).map_err(|_| FrameError::TooLarge)?;
        if self.flexible {
            put_unsigned_varint(self.glue, length as u32 + 1);
        } else {
            self.int32(length);
        }
        Ok(())
    }

    /// The empty list of tagged fields that ends each structure of the flexible encoding.
    fn no_tags(&mut self) {
        if self.flexible {
            self.glue.push(0);
        }
    }
}

fn string_length(text: &str) -> Result<i16, FrameError> {
    i16::try_from(text.len()).map_err(|_| FrameError::NameTooLong(text.len()))
}

/// An upper bound in bytes for what one more batch of `topic` adds to a request beside its own bytes: for keeping
/// a request under `max.request.size` before it is encoded.
#[must_use]
pub fn overhead_bound(topic: &str) -> usize {
    // Partition, longest length field, tags; the topic as if it were new: name or id, array length, tags.
    (4 + 5 + 1) + (unsigned_varint_size(u32::from(u16::MAX)) + topic.len().max(16) + 5 + 1)
}

#[cfg(test)]
mod tests;
