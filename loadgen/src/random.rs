//! Pure: random numbers that are a function of (seed, stream, index), so that record i is the same whoever asks for
//! it, in whatever order, in whichever incarnation. SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), not for secrets.

/// What a random number is for; numbers of different streams are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Stream {
    /// Bytes of the pool that values and header values are cut from.
    Pool = 1,
    /// Where in the pool record i begins.
    Offset = 2,
    /// Which key record i has.
    Key = 3,
    /// Gap before record i of a Poisson schedule.
    Gap = 4,
    /// Whether the transaction that begins with record i is aborted on purpose.
    Abort = 5,
}

/// One worker's random numbers of one stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Random {
    base: u64,
}

impl Random {
    pub(crate) fn new(seed: u64, worker: u16, stream: Stream) -> Random {
        Random {
            base: finish(finish(seed).wrapping_add((u64::from(worker) << 8) | stream as u64)),
        }
    }

    /// The number of index `i`, uniform over all 64 bits.
    #[inline]
    pub(crate) fn at(self, i: u64) -> u64 {
        finish(self.base.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// The number of index `i`, uniform in (0, 1].
    #[inline]
    pub(crate) fn unit_at(self, i: u64) -> f64 {
        ((self.at(i) >> 11) + 1) as f64 * (1.0 / (1u64 << 53) as f64)
    }
}

/// Maps 64 uniform bits to `0..n` without the bias (beyond 2^-64 n) or the cost of a division.
#[inline]
pub(crate) fn below(bits: u64, n: u64) -> u64 {
    ((u128::from(bits) * u128::from(n)) >> 64) as u64
}

#[inline]
fn finish(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_workers_and_seeds_differ() {
        let base = Random::new(1, 0, Stream::Key).at(0);
        assert_eq!(base, Random::new(1, 0, Stream::Key).at(0));
        assert_ne!(base, Random::new(1, 0, Stream::Gap).at(0));
        assert_ne!(base, Random::new(1, 1, Stream::Key).at(0));
        assert_ne!(base, Random::new(2, 0, Stream::Key).at(0));
    }

    #[test]
    fn units_and_ranges_are_even() {
        let random = Random::new(7, 3, Stream::Key);
        let mut counts = [0u32; 10];
        let mut sum = 0.0;
        for i in 0..100_000 {
            counts[below(random.at(i), 10) as usize] += 1;
            let unit = random.unit_at(i);
            assert!(unit > 0.0 && unit <= 1.0);
            sum += unit;
        }
        assert!(counts.iter().all(|&n| (9_500..10_500).contains(&n)), "{counts:?}");
        assert!((sum / 100_000.0 - 0.5).abs() < 0.01);
    }
}
