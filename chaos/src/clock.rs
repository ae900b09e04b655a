//! The one clock of a run, and waits with a bound: CLOCK_MONOTONIC nanoseconds, comparable between all processes of a host.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the clock module of the chaos shell"
)]

use std::time::Duration;

/// Now, in CLOCK_MONOTONIC nanoseconds.
pub fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// Sleeps; the callers loop under a deadline of their own.
pub fn sleep(span: Duration) {
    std::thread::sleep(span);
}

/// A moment after which a wait gives up.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    at_ns: u64,
    /// How long the wait was meant to be, for messages.
    pub span: Duration,
}

impl Deadline {
    /// `span` from now.
    pub fn after(span: Duration) -> Deadline {
        let span_ns = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Deadline {
            at_ns: now_ns().saturating_add(span_ns),
            span,
        }
    }

    /// Time left; zero when it has passed.
    pub fn left(self) -> Duration {
        Duration::from_nanos(self.at_ns.saturating_sub(now_ns()))
    }

    /// True when it has passed.
    pub fn passed(self) -> bool {
        self.left().is_zero()
    }
}
