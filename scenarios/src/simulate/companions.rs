//! Faults that come with another, where one alone proves little.
//!
//! ```text
//! client crash ─────────▶ the first batches of its next session refused, its metadata without the topic;
//!                         what its rival hears last
//! batch refused ────────▶ the one behind it in doubt: cut off, or held for longer than its sender waits
//! batch in doubt ───────▶ refused for good when it is sent again
//! client frozen ────────▶ of the batches that it sends then, one is refused for good, and the one behind it held
//! node slow, or silent ─▶ killed, with part of what was on its way
//! ```

use super::plan::{END_TXN, FOR_GOOD, Fault, Kind, TOO_LARGE};
use super::random::Random;
use super::{MS, SECOND};

/// A batch is sent again about so long after it failed.
const BACKOFF_NS: u64 = 75 * MS;
/// A client that comes back takes its transactional id over; so long before, an answer to another owner is lost.
const TAKEN_OVER_NS: u64 = 200 * MS;
/// So many requests in a row are refused for good, for one of them to be that batch.
const AGAIN: u32 = 4;

/// What comes with the last fault of the plan.
pub(super) fn draw(clients: u16, plan: &mut Vec<Fault>, random: &mut Random) {
    let Some(Fault { at_ns, for_ns, kind }) = plan.last().cloned() else {
        return;
    };
    let mut push = |after_ns: u64, for_ns: u64, kind: Kind| {
        let at_ns = at_ns + after_ns;
        plan.push(Fault { at_ns, for_ns, kind });
    };
    let refuse = |nth: u32, code: i16| Kind::Error {
        api_key: 0,
        nth,
        code,
        after: false,
    };
    match kind {
        Kind::Crash { .. } => {
            if random.percent(60) {
                let nth = random.between(1, 6) as u32;
                push(for_ns, SECOND, refuse(nth, random.pick(&[5, 6, 19, 56, 74])));
            }
            if random.percent(30) {
                let nth = random.between(2, 3) as u32;
                push(for_ns, SECOND, metadata_missing(nth));
            }
            if random.percent(30) {
                let after_ns = for_ns.saturating_sub(TAKEN_OVER_NS);
                push(
                    after_ns,
                    2 * SECOND,
                    Kind::DropAnswer {
                        api_key: END_TXN,
                        nth: 1,
                    },
                );
            }
        }
        Kind::Error {
            api_key: 0,
            nth,
            after: false,
            ..
        } if random.percent(60) => {
            let nth = nth + 1;
            if random.percent(50) {
                let after = random.percent(50);
                push(
                    0,
                    for_ns,
                    Kind::Disconnect {
                        api_key: 0,
                        nth,
                        after,
                    },
                );
            } else {
                let for_ns = random.between(2_000, 12_000) * MS;
                push(0, for_ns, Kind::HoldRequest { api_key: 0, nth });
            }
        }
        Kind::Error {
            api_key: 0,
            after: true,
            ..
        } if random.percent(50) => {
            let code = random.pick(&[FOR_GOOD, TOO_LARGE]);
            let first = random.between(1, 3) as u32;
            for nth in first..first + AGAIN {
                push(BACKOFF_NS, SECOND, refuse(nth, code));
            }
        }
        // A client that wakes up has many batches to send, one behind the other.
        Kind::Freeze { .. } if random.percent(40) => {
            let nth = random.between(1, 5) as u32;
            push(for_ns, 2 * SECOND, refuse(nth, FOR_GOOD));
            let nth = nth + 1;
            let held_ns = random.between(3_000, 12_000) * MS;
            push(for_ns, held_ns, Kind::HoldRequest { api_key: 0, nth });
        }
        // What is on its way to a node that is slow or seems silent, is partly in its log when it is killed.
        Kind::HoldAnswers { node, .. } if random.percent(40) => {
            let after_ns = random.between(20, 1_500) * MS;
            push(after_ns, random.between(50, 3_000) * MS, kill(node, random));
        }
        Kind::SlowNode { node, .. } if random.percent(40) => {
            let after_ns = random.between(20, 1_500) * MS;
            let client = random.below(clients.into()) as u16;
            push(0, after_ns + SECOND, Kind::HoldAnswers { client, node });
            push(after_ns, random.between(50, 3_000) * MS, kill(node, random));
        }
        _ => {}
    }
}

/// Topics have no leader, says one answer.
fn metadata_missing(nth: u32) -> Kind {
    Kind::Error {
        api_key: 3,
        nth,
        code: 5,
        after: false,
    }
}

fn kill(node: i32, random: &mut Random) -> Kind {
    if random.percent(50) {
        Kind::KillHard { node }
    } else {
        Kind::KillClean { node }
    }
}
