//! Where records gather before they are sent, and the memory they take.
//!
//! ```text
//!   append ─► Gathering (encoding into a buffer of the pool) ─ sealed when drained ─► Sent ─ outcome ─► pool
//!                 │ tokens, 8 bytes a record                                            │ tokens ─► caller ─► pool
//! ```
//!
//! `buffer.memory` bounds the buffers that are out: each batch is charged the capacity it holds until its outcome
//! is known. A record that does not fit is not taken, and the caller keeps it: back-pressure, never loss.
//! Buffers come back only when the answer is in and nothing is left to write (A3).

use std::sync::Arc;

use crate::record_batch::{BatchBuilder, SealedBatch};

/// Spare token vectors kept for reuse.
const MAX_SPARE_TOKENS: usize = 1024;
/// Records a batch's token vector is first sized for.
const FIRST_TOKENS: usize = 64;

/// A batch that is not sealed: it has no producer id and no sequence yet (A2).
#[derive(Debug)]
pub(crate) struct Gathering {
    pub(crate) builder: BatchBuilder,
    pub(crate) tokens: Vec<u64>,
    /// When its first record was appended: linger and `delivery.timeout.ms` count from here.
    pub(crate) created_ns: u64,
    /// Bytes charged to `buffer.memory`.
    pub(crate) charged: usize,
}

/// `buffer.memory`: what is out, and what lies ready to be used again.
#[derive(Debug)]
pub(crate) struct Memory {
    limit: usize,
    used: usize,
    batch_size: usize,
    /// Buffers of at least `batch.size`; with those out never more than `limit`.
    free: Vec<Vec<u8>>,
    /// Buffers whose last bytes still wait for a socket.
    retired: Vec<Arc<SealedBatch>>,
    spare_tokens: Vec<Vec<u64>>,
}

impl Memory {
    pub(crate) fn new(limit: usize, batch_size: usize) -> Memory {
        Memory {
            limit,
            used: 0,
            batch_size,
            free: Vec::new(),
            retired: Vec::new(),
            spare_tokens: Vec::new(),
        }
    }

    /// Bytes of `buffer.memory` not charged to any batch.
    pub(crate) fn available(&self) -> usize {
        self.limit.saturating_sub(self.used)
    }

    /// A batch for at least one record that encodes to `first` bytes (header included); `None` when memory is out.
    pub(crate) fn open(&mut self, first: usize, now_ns: u64) -> Option<Gathering> {
        let charged = first.max(self.batch_size);
        if charged > self.available() {
            return None;
        }
        self.used += charged;
        let buffer = if first <= self.batch_size {
            self.free.pop()
        } else {
            None
        };
        let buffer = buffer.unwrap_or_else(|| Vec::with_capacity(charged));
        let tokens = self
            .spare_tokens
            .pop()
            .unwrap_or_else(|| Vec::with_capacity(FIRST_TOKENS));
        Some(Gathering {
            builder: BatchBuilder::new(buffer, self.batch_size),
            tokens,
            created_ns: now_ns,
            charged,
        })
    }

    /// Takes back what a batch was charged, and its buffer as soon as nobody else holds it.
    pub(crate) fn retire(&mut self, batch: Arc<SealedBatch>, charged: usize) {
        self.used = self.used.saturating_sub(charged);
        self.retired.push(batch);
        self.reclaim();
    }

    /// Takes back a batch that was never sealed.
    pub(crate) fn release(&mut self, buffer: Vec<u8>, charged: usize) {
        self.used = self.used.saturating_sub(charged);
        self.keep(buffer);
    }

    /// Takes back a token vector.
    pub(crate) fn spare(&mut self, mut tokens: Vec<u64>) {
        if self.spare_tokens.len() < MAX_SPARE_TOKENS && tokens.capacity() > 0 {
            tokens.clear();
            self.spare_tokens.push(tokens);
        }
    }

    /// Moves retired buffers that no frame holds any more to the free list.
    fn reclaim(&mut self) {
        let mut i = 0;
        while i < self.retired.len() {
            if Arc::strong_count(&self.retired[i]) == 1 {
                if let Ok(batch) = Arc::try_unwrap(self.retired.swap_remove(i)) {
                    self.keep(batch.into_buffer());
                }
            } else {
                i += 1;
            }
        }
    }

    fn keep(&mut self, buffer: Vec<u8>) {
        let pooled = self.free.len() * self.batch_size;
        // Oversized buffers (of one large record, or grown by a codec) are not worth keeping.
        let fits = buffer.capacity() >= self.batch_size && buffer.capacity() < 2 * self.batch_size;
        if fits && pooled + self.used + self.batch_size <= self.limit {
            self.free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compression::Compressor;
    use crate::record_batch::Seal;

    const STAMP: Seal = Seal {
        producer_id: 1,
        producer_epoch: 0,
        base_sequence: 0,
        transactional: false,
    };

    #[test]
    fn memory_out_is_bounded_and_comes_back() {
        let mut memory = Memory::new(2500, 1000);
        let mut first = memory.open(100, 0).expect("room");
        let second = memory.open(1400, 0).expect("a large record takes what it needs");
        assert_eq!(memory.available(), 100);
        assert!(
            memory.open(100, 0).is_none(),
            "a batch is charged batch.size at least"
        );
        memory.release(second.builder.into_buffer(), second.charged);
        first.builder.append(0, None, Some(b"v"), &[]).unwrap();
        let sealed = Arc::new(first.builder.seal(&STAMP, &mut Compressor::none()));
        memory.retire(sealed, first.charged);
        assert_eq!(memory.available(), 2500);
    }

    #[test]
    fn a_buffer_is_not_used_again_while_a_frame_holds_it() {
        let mut memory = Memory::new(10_000, 1000);
        let mut batch = memory.open(100, 0).expect("room");
        batch.builder.append(0, None, Some(b"v"), &[]).unwrap();
        let sealed = Arc::new(batch.builder.seal(&STAMP, &mut Compressor::none()));
        let frame = Arc::clone(&sealed);
        let place = sealed.bytes().as_ptr();
        memory.retire(sealed, batch.charged);
        let other = memory.open(100, 0).expect("room");
        assert!(memory.free.is_empty(), "A3: the frame still has to be written");
        assert_eq!(frame.bytes().as_ptr(), place);
        drop(frame);
        memory.release(other.builder.into_buffer(), other.charged);
        memory.reclaim();
        assert_eq!(memory.free.len(), 2);
    }
}
