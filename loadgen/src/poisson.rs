//! Pure: the due times of a Poisson process, exponential gaps drawn from (seed, worker, record index).

use crate::random::{Random, Stream};

/// A cursor over the due times of a Poisson schedule, as offsets from its start.
#[derive(Debug, Clone)]
pub(crate) struct Poisson {
    random: Random,
    index: u64,
    first_index: u64,
    mean_gap_ns: f64,
    length_ns: u64,
    offset_ns: u64,
    /// What of the gaps so far is less than a nanosecond: kept, so that rounding does not add up.
    fraction: f64,
}

impl Poisson {
    /// A process of `rate` records a second from offset 0 up to `length_ns`. `rate` is above 0.
    pub(crate) fn new(seed: u64, worker: u16, first_index: u64, rate: f64, length_ns: u64) -> Poisson {
        let mut poisson = Poisson {
            random: Random::new(seed, worker, Stream::Gap),
            index: first_index,
            first_index,
            mean_gap_ns: 1e9 / rate,
            length_ns,
            offset_ns: 0,
            fraction: 0.0,
        };
        poisson.step();
        poisson
    }

    /// When the record under the cursor is due; none past the end.
    pub(crate) fn offset_ns(&self) -> Option<u64> {
        (self.offset_ns < self.length_ns).then_some(self.offset_ns)
    }

    /// Moves to the next record.
    pub(crate) fn advance(&mut self) {
        self.index += 1;
        self.step();
    }

    /// How many records the cursor has passed.
    pub(crate) fn passed(&self) -> u64 {
        self.index - self.first_index
    }

    fn step(&mut self) {
        let gap = self.fraction - self.random.unit_at(self.index).ln() * self.mean_gap_ns;
        self.fraction = gap.fract();
        // A float beyond the range of u64 saturates.
        self.offset_ns = self.offset_ns.saturating_add(gap as u64);
    }
}
