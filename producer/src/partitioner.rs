//! Which partition a record goes to.
//!
//! ```text
//!   partition given ──────────────────────────────► that one
//!   key (and not partitioner.ignore.keys) ────────► murmur2(key) mod partitions     same as every Java client
//!   neither ──────────────────────────────────────► StickyPartition: stay for batch.size bytes, then move on
//! ```
//!
//! Sources: Kafka `Utils.murmur2` and `BuiltInPartitioner`; KIP-480 (sticky), KIP-794 (uniform sticky: the switch
//! is counted in bytes handed over, so that a slow broker does not attract records). Nothing here owns a random
//! source: the number that decides a choice is passed in, so a run replays from its seed.

/// The partition of a key, exactly as Kafka's Java client chooses it: `toPositive(murmur2(key)) mod partitions`.
/// `partitions` is the topic's whole partition count, available or not; 0 gives 0.
#[inline]
#[must_use]
pub fn partition_for_key(key: &[u8], partitions: i32) -> i32 {
    (murmur2(key) & i32::MAX).checked_rem(partitions).unwrap_or(0)
}

/// Kafka's variant of the 32-bit murmur2 hash (seed 0x9747b28c, little-endian words).
#[must_use]
pub fn murmur2(data: &[u8]) -> i32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;

    let mut hash = SEED ^ data.len() as u32;
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (index, &byte) in tail.iter().enumerate() {
            hash ^= u32::from(byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    (hash ^ (hash >> 15)) as i32
}

/// The sticky choice for records without a key, one per topic (KIP-794).
///
/// Ask [`current`](Self::current); if it is `None`, [`choose`](Self::choose) with a number of yours; after each
/// record call [`appended`](Self::appended), which lets go of the partition once it has had its share of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StickyPartition {
    partition: Option<i32>,
    produced_bytes: u64,
    batch_bytes: u64,
}

impl StickyPartition {
    /// A state that has chosen nothing yet. `batch_bytes` is `batch.size`: the share of one partition.
    #[must_use]
    pub fn new(batch_bytes: usize) -> Self {
        Self {
            partition: None,
            produced_bytes: 0,
            batch_bytes: (batch_bytes as u64).max(1),
        }
    }

    /// The partition to use for the next record, if one is chosen.
    #[inline]
    #[must_use]
    pub fn current(&self) -> Option<i32> {
        self.partition
    }

    /// Chooses the next partition out of `candidates` (those whose leader is known; all of the topic if none is)
    /// by `number`, any number, ideally uniform.
    ///
    /// `queued` holds how many batches wait for each candidate and makes a longer queue less likely, as
    /// `partitioner.adaptive.partitioning.enable` asks; empty, of another length or all equal means uniform.
    /// No candidate at all chooses nothing.
    pub fn choose(&mut self, candidates: &[i32], queued: &[u32], number: u32) -> Option<i32> {
        self.produced_bytes = 0;
        self.partition = match candidates.len() {
            0 => None,
            count if queued.len() == count && queued.iter().any(|&depth| depth != queued[0]) => {
                weighted_index(queued, number).and_then(|index| candidates.get(index).copied())
            }
            count => Some(candidates[number as usize % count]),
        };
        self.partition
    }

    /// Counts `bytes` of a record handed to the current partition. Lets go of it when its share is used up and
    /// `batch_ended` (no half-filled batch is left behind), or at twice the share in any case. `true` = let go.
    #[inline]
    pub fn appended(&mut self, bytes: usize, batch_ended: bool) -> bool {
        self.produced_bytes += bytes as u64;
        let used_up = self.produced_bytes >= self.batch_bytes
            && (batch_ended || self.produced_bytes >= 2 * self.batch_bytes);
        if used_up {
            self.release();
        }
        used_up
    }

    /// Forgets the choice: the partition lost its leader, or the topic's partitions changed.
    #[inline]
    pub fn release(&mut self) {
        self.partition = None;
        self.produced_bytes = 0;
    }
}

/// An index chosen with weight `longest queue + 1 - own queue`, as `BuiltInPartitioner` does it.
fn weighted_index(queued: &[u32], number: u32) -> Option<usize> {
    let longest = u64::from(*queued.iter().max()?);
    let weight = |depth: u32| longest + 1 - u64::from(depth);
    let total: u64 = queued.iter().map(|&depth| weight(depth)).sum();
    let mut left = u64::from(number) % total;
    queued
        .iter()
        .position(|&depth| match left.checked_sub(weight(depth)) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_gives_kafkas_published_values() {
        // From Kafka's UtilsTest.testMurmur2.
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()), hash, "{key}");
        }
    }

    #[test]
    fn negative_hashes_still_give_a_partition_of_the_topic() {
        assert_eq!(partition_for_key(b"21", 6), (-973_932_308 & i32::MAX) % 6);
        assert_eq!(partition_for_key(b"21", 1), 0);
        assert_eq!(
            partition_for_key(b"21", 0),
            0,
            "a topic without partitions must not divide by zero"
        );
    }

    #[test]
    fn stays_for_one_share_of_bytes_then_lets_go_at_a_batch_end() {
        let mut sticky = StickyPartition::new(1000);
        assert_eq!(sticky.choose(&[4, 5, 6], &[], 7), Some(5));
        assert!(!sticky.appended(999, true));
        assert!(
            !sticky.appended(500, false),
            "a half-filled batch is worth staying for"
        );
        assert_eq!(sticky.current(), Some(5));
        assert!(sticky.appended(1, true));
        assert_eq!(sticky.current(), None);
        sticky.choose(&[4, 5, 6], &[], 0);
        assert!(!sticky.appended(1999, false));
        assert!(sticky.appended(1, false), "twice the share ends it anyway");
    }

    #[test]
    fn longer_queues_are_chosen_less_often_and_none_is_starved() {
        // Weights 1, 4, 3 of 8 (longest queue 3).
        let mut chosen = [0; 3];
        for number in 0..8000 {
            let partition = StickyPartition::new(1).choose(&[0, 1, 2], &[3, 0, 1], number);
            chosen[partition.unwrap() as usize] += 1;
        }
        assert_eq!(chosen, [1000, 4000, 3000]);
        assert_eq!(StickyPartition::new(1).choose(&[], &[], 3), None);
    }
}
