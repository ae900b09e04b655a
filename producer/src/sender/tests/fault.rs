//! What may happen to a Produce request on its way to a broker and back.

/// What happens to one Produce request. Codes apply to the partition `which` (modulo those in the request).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fault {
    None,
    /// Not written, this code.
    Refuse {
        which: usize,
        code: i16,
    },
    /// Written, but this code is answered.
    WriteThen {
        which: usize,
        code: i16,
    },
    /// The connection is cut before the broker has read the request.
    CutBefore,
    /// The connection is cut after the append, before the answer.
    CutAfter,
    /// The connection is cut, and the broker works on the request only later.
    Late {
        ms: u64,
    },
    /// Written, and never answered.
    Silent,
    /// Written, and answered so much later.
    Slow {
        ms: u64,
    },
    /// Written, then the broker dies and comes back after a while, remembering one batch per producer.
    Restart {
        ms: u64,
    },
    /// Another node leads from now on. What was not acked may be gone from its log.
    Move {
        lose_tail: bool,
    },
    Throttle {
        ms: i32,
    },
    Garbage,
}
