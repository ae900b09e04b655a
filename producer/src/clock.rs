//! The one place of this crate that reads clocks; everything else takes `now_ns`.

#![expect(clippy::disallowed_methods, reason = "this is the clock module")]

use rustix::time::{ClockId, clock_gettime};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// CLOCK_MONOTONIC in nanoseconds: comparable between the processes of one host.
#[must_use]
pub fn monotonic_ns() -> u64 {
    read(ClockId::Monotonic)
}

/// Wall time in milliseconds since the epoch, for record timestamps and their age only: it steps.
#[must_use]
pub fn wall_ms() -> i64 {
    i64::try_from(read(ClockId::Realtime) / 1_000_000).unwrap_or(i64::MAX)
}

fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    u64::try_from(time.tv_sec).unwrap_or(0) * NANOS_PER_SECOND + u64::try_from(time.tv_nsec).unwrap_or(0)
}
