//! Clocks, and a sleep that ends when it should.

use std::num::NonZeroU64;

use rustix::thread::{ClockId, clock_nanosleep_absolute, set_current_timer_slack};
use rustix::time::Timespec;

pub use steadfast_producer::clock::{monotonic_ns, wall_ms};

const NANOS: u64 = 1_000_000_000;

/// The kernel's default lets timers be 50 µs late; those of the calling thread may be 1 ns late from now on.
pub fn precise_timers() {
    // Refused only by unusual sandboxes; timers are then up to 50 µs late, which costs latency and nothing else.
    let _ = set_current_timer_slack(Some(NonZeroU64::MIN));
}

/// Sleeps until `at_ns` (CLOCK_MONOTONIC); a signal ends it sooner.
pub fn sleep_until(at_ns: u64) {
    let at = Timespec {
        tv_sec: i64::try_from(at_ns / NANOS).unwrap_or(i64::MAX),
        // Below 10^9.
        tv_nsec: (at_ns % NANOS) as _,
    };
    // The only error that can be is the signal.
    let _ = clock_nanosleep_absolute(ClockId::Monotonic, &at);
}
