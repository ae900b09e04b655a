//! Which faults come when: a list that a seed draws, that a world carries out, and that shrinking shortens.

use std::fmt;

use super::class::Class;
use super::design::Design;
use super::random::Random;
use super::{MS, SECOND, companions};

const STREAM: u64 = 2;

/// One fault: from `at_ns` after the begin of the load on, for `for_ns`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fault {
    pub(crate) at_ns: u64,
    pub(crate) for_ns: u64,
    pub(crate) kind: Kind,
}

/// What happens. Clients are counted from 0, nodes from 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// Connections between a client and a node break, each stream at a byte that chance chooses.
    Cut { client: u16, node: i32 },
    /// What the client sends does not arrive, until it does.
    HoldRequests { client: u16, node: i32 },
    /// What the node sends does not arrive, until it does.
    HoldAnswers { client: u16, node: i32 },
    /// Neither does.
    Silence { client: u16, node: i32 },
    /// The node takes no new connections of the client.
    Refuse { client: u16, node: i32 },
    /// SIGKILL.
    KillHard { node: i32 },
    /// SIGTERM.
    KillClean { node: i32 },
    /// The plug: unsynced tails are lost. Left out where acknowledged records could be lost with them.
    PowerLoss { node: i32 },
    /// SIGSTOP.
    Pause { node: i32 },
    /// Nothing passes between two nodes.
    Split { a: i32, b: i32 },
    /// Nothing passes between a node and the others.
    Isolate { node: i32 },
    /// Another leader, by a clean election.
    Elect { partition: i32, node: i32 },
    /// Coordinator of a client's transactional id moves.
    MoveCoordinator { client: u16 },
    /// Every request of a node takes longer.
    SlowNode { node: i32, by_ns: u64 },
    /// A client's quota.
    Quota { client: u16, bytes_per_second: u64 },
    /// The n-th request of an API waits before it takes effect.
    HoldRequest { api_key: i16, nth: u32 },
    /// The n-th request took effect, and its answer waits.
    HoldAnswer { api_key: i16, nth: u32 },
    /// The n-th request took effect; it is never answered, nor anything behind it.
    DropAnswer { api_key: i16, nth: u32 },
    /// The connection closes before the n-th request takes effect, or after.
    Disconnect { api_key: i16, nth: u32, after: bool },
    /// The n-th request is answered with an error: mostly one that allows to try again.
    Error {
        api_key: i16,
        nth: u32,
        code: i16,
        after: bool,
    },
    /// A client is killed and started again.
    Crash { client: u16 },
    /// A client does nothing: no read, no write.
    Freeze { client: u16 },
    /// The wall clock of everybody steps; ms.
    ClockStep { by_ms: i64 },
    /// The topic is deleted, and made again at the end.
    Recreate,
    /// The topic gets one partition more.
    Grow,
    /// Another leader, whether or not it has all that was acknowledged.
    ElectUnclean { partition: i32, node: i32 },
    /// max.message.bytes of the topic, lowered while batches of more are on their way.
    TopicLimit { bytes: u64 },
    /// One answer never comes, although those behind it do.
    SkipAnswer { client: u16, node: i32 },
}

impl Kind {
    /// Its name in counts.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Cut { .. } => "cut",
            Kind::HoldRequests { .. } => "hold-requests",
            Kind::HoldAnswers { .. } => "hold-answers",
            Kind::Silence { .. } => "silence",
            Kind::Refuse { .. } => "refuse",
            Kind::KillHard { .. } => "kill-hard",
            Kind::KillClean { .. } => "kill-clean",
            Kind::PowerLoss { .. } => "power-loss",
            Kind::Pause { .. } => "pause",
            Kind::Split { .. } => "split",
            Kind::Isolate { .. } => "isolate",
            Kind::Elect { .. } => "elect",
            Kind::MoveCoordinator { .. } => "move-coordinator",
            Kind::SlowNode { .. } => "slow-node",
            Kind::Quota { .. } => "quota",
            Kind::HoldRequest { .. } => "hold-request",
            Kind::HoldAnswer { .. } => "hold-answer",
            Kind::DropAnswer { .. } => "drop-answer",
            Kind::Disconnect { .. } => "disconnect",
            Kind::Error { .. } => "error",
            Kind::Crash { .. } => "client-crash",
            Kind::Freeze { .. } => "client-freeze",
            Kind::ClockStep { .. } => "clock-step",
            Kind::Recreate => "recreate-topic",
            Kind::Grow => "grow-topic",
            Kind::ElectUnclean { .. } => "elect-unclean",
            Kind::TopicLimit { .. } => "topic-limit",
            Kind::SkipAnswer { .. } => "skip-answer",
        }
    }
}

/// How many kinds every class of worlds has.
const KINDS: usize = 25;

/// Kafka's numbers of the APIs that a producer uses, the usual one often.
const API_KEYS: [i16; 12] = [0, 0, 0, 0, 0, 3, 10, 18, 22, 24, 26, 26];
/// Kafka's number of EndTxn.
pub(super) const END_TXN: i16 = 26;
/// Codes that say "not written", or "not done": may be answered before the effect only.
const REFUSALS: [i16; 6] = [3, 5, 6, 19, 74, 56];
/// TOPIC_AUTHORIZATION_FAILED: not written, and not to be tried again. A partition with a batch in doubt stops at it.
pub(crate) const FOR_GOOD: i16 = 29;
/// MESSAGE_TOO_LARGE: a batch of several records is split, and one record ends like [`FOR_GOOD`].
pub(crate) const TOO_LARGE: i16 = 10;
/// A record of these worlds fits into so much, by itself in a batch.
const ONE_RECORD_BYTES: u64 = 130;
/// Codes after which nobody knows.
const DOUBTS: [i16; 7] = [3, 6, 7, 13, 20, 56, -1];
/// Codes of coordinators.
const COORDINATOR: [i16; 4] = [14, 15, 16, 51];

/// Faults of one seed, each after the one before it or together with it.
pub(crate) fn draw(design: &Design, seed: u64) -> Vec<Fault> {
    let mut random = Random::new(seed, STREAM);
    // Swarm: each seed leaves some kinds out.
    let enabled: Vec<bool> = (0..KINDS).map(|_| random.percent(65)).collect();
    let kinds: Vec<usize> = (0..KINDS).filter(|&kind| enabled[kind]).collect();
    let kinds = if kinds.is_empty() {
        (0..KINDS).collect()
    } else {
        kinds
    };
    let longest_ms = random.pick(&[500, 3_000, 10_000, 20_000]);
    let end_ns = design.seconds * SECOND;
    let mut plan = Vec::new();
    let mut at_ns = 0;
    loop {
        at_ns += random.between(1, 2 * design.fault_every_ms.max(1) * MS);
        if at_ns >= end_ns {
            break;
        }
        let for_ns = random.between(1, random.clone().pick(&[50, 500, longest_ms])) * MS;
        let kind = draw_kind(design, random.pick(&kinds), &mut random);
        let for_ns = match kind {
            // Held for longer than its sender waits, it takes effect when nobody expects it any more.
            Kind::HoldRequest { .. } if random.percent(50) => random.between(1_000, 12_000) * MS,
            _ => for_ns,
        };
        plan.push(Fault { at_ns, for_ns, kind });
        // Where one fault alone proves little, its companions come with it.
        companions::draw(design.clients, &mut plan, &mut random);
    }
    plan.extend(Class::draw(design, seed).extras(design, seed));
    plan
}

fn draw_kind(design: &Design, kind: usize, random: &mut Random) -> Kind {
    let client = random.below(design.clients.into()) as u16;
    let node = random.between(1, design.nodes as u64) as i32;
    let other = 1 + (node + random.below(design.nodes.max(2) as u64 - 1) as i32) % design.nodes;
    let api_key = random.pick(&API_KEYS);
    let nth = random.between(1, 4) as u32;
    let after = random.percent(60);
    match kind {
        0 => Kind::Cut { client, node },
        1 => Kind::HoldRequests { client, node },
        2 => Kind::HoldAnswers { client, node },
        3 => Kind::Silence { client, node },
        4 => Kind::Refuse { client, node },
        5 => Kind::KillHard { node },
        6 => Kind::KillClean { node },
        7 => Kind::PowerLoss { node },
        8 => Kind::Pause { node },
        9 => Kind::Split { a: node, b: other },
        10 => Kind::Isolate { node },
        11 => Kind::Elect {
            partition: random.below(design.partitions as u64) as i32,
            node,
        },
        12 => Kind::MoveCoordinator { client },
        13 => Kind::SlowNode {
            node,
            by_ns: random.between(1, 300) * MS,
        },
        14 => Kind::Quota {
            client,
            bytes_per_second: random.between(1_000, 20_000),
        },
        15 => Kind::HoldRequest {
            api_key: random.pick(&[0, 0, END_TXN, END_TXN, api_key]),
            nth,
        },
        16 => Kind::HoldAnswer { api_key, nth },
        17 => Kind::DropAnswer { api_key, nth },
        18 => Kind::Disconnect { api_key, nth, after },
        19 => draw_error(api_key, nth, after, random),
        20 => Kind::Crash { client },
        21 => Kind::Freeze { client },
        22 => Kind::ClockStep {
            by_ms: random.between(0, 1_200_000) as i64 - 600_000,
        },
        23 => Kind::TopicLimit {
            bytes: random.between(ONE_RECORD_BYTES, 400),
        },
        _ => Kind::SkipAnswer { client, node },
    }
}

/// A code that a broker may really give there.
fn draw_error(api_key: i16, nth: u32, after: bool, random: &mut Random) -> Kind {
    let (code, after) = match api_key {
        0 if random.percent(25) => (random.pick(&[FOR_GOOD, FOR_GOOD, TOO_LARGE]), false),
        0 if after => (random.pick(&DOUBTS), true),
        0 => (random.pick(&REFUSALS), false),
        22 | 24 | 26 => (random.pick(&COORDINATOR), false),
        10 => (15, false),
        3 => (5, false),
        _ => (-1, false),
    };
    Kind::Error {
        api_key,
        nth,
        code,
        after,
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = |ns: u64| ns as f64 / SECOND as f64;
        write!(f, "{:7.3} s {} {}", s(self.at_ns), self.kind.name(), self.kind)?;
        match self.kind {
            Kind::Cut { .. }
            | Kind::Elect { .. }
            | Kind::ElectUnclean { .. }
            | Kind::MoveCoordinator { .. }
            | Kind::ClockStep { .. }
            | Kind::Grow => Ok(()),
            _ => write!(f, " for {:.3} s", s(self.for_ns)),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Kind::Cut { client, node }
            | Kind::HoldRequests { client, node }
            | Kind::HoldAnswers { client, node }
            | Kind::Silence { client, node }
            | Kind::Refuse { client, node } => write!(f, "client {client} node {node}"),
            Kind::KillHard { node }
            | Kind::KillClean { node }
            | Kind::PowerLoss { node }
            | Kind::Pause { node }
            | Kind::Isolate { node } => write!(f, "node {node}"),
            Kind::Split { a, b } => write!(f, "nodes {a} and {b}"),
            Kind::Recreate | Kind::Grow => Ok(()),
            Kind::Elect { partition, node } | Kind::ElectUnclean { partition, node } => {
                write!(f, "node {node} for partition {partition}")
            }
            Kind::MoveCoordinator { client } | Kind::Crash { client } | Kind::Freeze { client } => {
                write!(f, "client {client}")
            }
            Kind::SlowNode { node, by_ns } => write!(f, "node {node} by {} ms", by_ns / MS),
            Kind::Quota {
                client,
                bytes_per_second,
            } => write!(f, "client {client} to {bytes_per_second} bytes/s"),
            Kind::HoldRequest { api_key, nth }
            | Kind::HoldAnswer { api_key, nth }
            | Kind::DropAnswer { api_key, nth } => write!(f, "API {api_key}, request {nth}"),
            Kind::Disconnect { api_key, nth, after } => {
                write!(f, "API {api_key}, request {nth}, {}", effect(after))
            }
            Kind::Error {
                api_key,
                nth,
                code,
                after,
            } => {
                write!(f, "{code} API {api_key}, request {nth}, {}", effect(after))
            }
            Kind::ClockStep { by_ms } => write!(f, "by {by_ms} ms"),
            Kind::TopicLimit { bytes } => write!(f, "to {bytes} bytes"),
            Kind::SkipAnswer { client, node } => write!(f, "client {client} node {node}"),
        }
    }
}

fn effect(after: bool) -> &'static str {
    if after {
        "after its effect"
    } else {
        "before its effect"
    }
}
