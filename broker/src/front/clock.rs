//! The one place of this crate that reads clocks; everything else takes [`Now`].

#![expect(clippy::disallowed_methods, reason = "this is the clock module")]

use rustix::time::{ClockId, clock_gettime};

use crate::model::Now;

/// Monotonic and wall time.
pub(super) fn now() -> Now {
    let mono = clock_gettime(ClockId::Monotonic);
    let wall = clock_gettime(ClockId::Realtime);
    Now {
        mono_ns: (mono.tv_sec as u64)
            .saturating_mul(1_000_000_000)
            .saturating_add(mono.tv_nsec as u64),
        wall_ms: wall
            .tv_sec
            .saturating_mul(1_000)
            .saturating_add(wall.tv_nsec / 1_000_000),
    }
}
