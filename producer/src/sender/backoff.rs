//! How long to wait before trying again (A18, KIP-580): `first × 2^n`, capped, with ±20 % jitter.
//!
//! The jitter comes from a seed, so a run with the same seed and events waits for the same spans.

/// Seeded numbers for jitter and for the sticky partitioner: SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// First and longest wait, nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    pub(crate) first_ns: u64,
    pub(crate) max_ns: u64,
}

impl Backoff {
    /// The wait before try number `attempt` (1 = the first repetition).
    pub(crate) fn wait_ns(self, attempt: u32, rng: &mut Rng) -> u64 {
        let doublings = attempt.saturating_sub(1).min(20);
        let plain = self.first_ns.saturating_mul(1 << doublings).min(self.max_ns);
        // 80 % to 120 % in steps of 0.1 %.
        plain / 1000 * (800 + rng.next() % 401)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_cap_within_a_fifth() {
        let backoff = Backoff {
            first_ns: 100_000_000,
            max_ns: 1_000_000_000,
        };
        let mut rng = Rng::new(1);
        for (attempt, plain) in [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1000), (60, 1000)] {
            for _ in 0..100 {
                let wait = backoff.wait_ns(attempt, &mut rng) / 1_000_000;
                assert!(
                    (plain * 8 / 10..=plain * 12 / 10).contains(&wait),
                    "attempt {attempt}: {wait} ms"
                );
            }
        }
    }

    #[test]
    fn the_same_seed_waits_the_same() {
        let backoff = Backoff {
            first_ns: 100,
            max_ns: 1_000_000,
        };
        let waits = |seed| {
            let mut rng = Rng::new(seed);
            (1..20)
                .map(|attempt| backoff.wait_ns(attempt, &mut rng))
                .collect::<Vec<_>>()
        };
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
    }
}
