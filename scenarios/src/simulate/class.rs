//! Classes of worlds: most seeds get a plain one; some get a topic that changes, a cluster that may lose data, or a job
//! that copies.
//!
//! What a class cannot promise is void there, and counted as void: it is neither shown nor held against anybody. All
//! other claims stand.

use super::design::{Design, Writers};
use super::plan::{Fault, Kind};
use super::random::Random;
use super::{MS, SECOND};

/// Streams of chance: which class, and what it adds to the plan.
const STREAM: u64 = 7;
const STREAM_OF_EXTRAS: u64 = 8;

/// Kafka's numbers of APIs, and errors of coordinators.
const ADD_OFFSETS_TO_TXN: i16 = 25;
const END_TXN: i16 = 26;
const TXN_OFFSET_COMMIT: i16 = 28;
const COORDINATOR: [i16; 3] = [14, 15, 16];

/// What kind of world a seed gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Class {
    /// Nothing of the below.
    Plain,
    /// The topic is deleted and made again, and grows.
    Topics,
    /// Leaders may be elected that lack acknowledged records, and power is lost anywhere.
    Unclean,
    /// The last client copies, exactly once, what the others write.
    Copy,
}

impl Class {
    /// What this seed gets.
    pub(crate) fn draw(design: &Design, seed: u64) -> Class {
        let drawn = match Random::new(seed, STREAM).below(100) {
            0..70 => Class::Plain,
            70..80 => Class::Topics,
            80..90 => Class::Unclean,
            _ => Class::Copy,
        };
        match design.class.unwrap_or(drawn) {
            // An unclean election can take the marker of a transaction away, and what Kafka makes of that is no
            // outcome that a producer could be held to (KAFKA-9777 and its kin: transactions that hang).
            Class::Unclean if design.writers == Writers::Transactional => Class::Plain,
            Class::Copy if design.writers == Writers::Idempotent || design.clients < 2 => Class::Plain,
            class => class,
        }
    }

    /// Its name in counts.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Class::Plain => "plain",
            Class::Topics => "topics",
            Class::Unclean => "unclean",
            Class::Copy => "copy",
        }
    }

    /// Who writes in it.
    pub(crate) fn writers(self, design: &Design) -> Writers {
        match self {
            Class::Unclean => Writers::Idempotent,
            Class::Plain | Class::Topics | Class::Copy => design.writers,
        }
    }

    /// Claims that nobody can make there: an election that loses acknowledged records breaks them all by itself, since
    /// offsets are given twice.
    pub(crate) fn void(self) -> &'static [&'static str] {
        match self {
            Class::Plain | Class::Topics | Class::Copy => &[],
            Class::Unclean => &["L1", "L2", "L6", "I1", "I4"],
        }
    }

    /// Faults that only this class has.
    pub(crate) fn extras(self, design: &Design, seed: u64) -> Vec<Fault> {
        let mut random = Random::new(seed, STREAM_OF_EXTRAS);
        let count = match self {
            Class::Plain => 0,
            Class::Topics | Class::Unclean => random.between(1, 3),
            Class::Copy => random.between(2, 10),
        };
        let mut extras = Vec::new();
        for _ in 0..count {
            let at_ns = random.below(design.seconds * SECOND);
            let for_ns = random.between(1, random.clone().pick(&[50, 1_000, 8_000])) * MS;
            let kind = match self {
                Class::Unclean => {
                    extras.extend(left_behind(design, at_ns, &mut random));
                    continue;
                }
                Class::Copy => at_the_copier(design.clients - 1, &mut random),
                Class::Plain | Class::Topics if random.percent(60) => Kind::Recreate,
                Class::Plain | Class::Topics => Kind::Grow,
            };
            extras.push(Fault { at_ns, for_ns, kind });
        }
        extras
    }
}

/// A node that reaches the controller and not one of the leaders falls behind, until it is out of the ISR; then it is
/// made leader all the same.
fn left_behind(design: &Design, at_ns: u64, random: &mut Random) -> Vec<Fault> {
    let node = random.between(1, design.nodes as u64) as i32;
    let other = 1 + (node + random.below(design.nodes.max(2) as u64 - 1) as i32) % design.nodes;
    let behind_ns = random.between(1_000, 16_000) * MS;
    let split = Fault {
        at_ns,
        for_ns: behind_ns + SECOND,
        kind: Kind::Split { a: node, b: other },
    };
    let elected = (0..design.partitions).map(|partition| Fault {
        at_ns: at_ns + behind_ns,
        for_ns: MS,
        kind: Kind::ElectUnclean { partition, node },
    });
    std::iter::once(split).chain(elected).collect()
}

/// Faults where a copier's transaction and its position meet.
fn at_the_copier(client: u16, random: &mut Random) -> Kind {
    let api_key = random.pick(&[TXN_OFFSET_COMMIT, TXN_OFFSET_COMMIT, ADD_OFFSETS_TO_TXN, END_TXN]);
    let nth = random.between(1, 4) as u32;
    let after = random.percent(60);
    match random.below(6) {
        0 | 1 => Kind::Crash { client },
        2 => Kind::Freeze { client },
        3 => Kind::DropAnswer { api_key, nth },
        4 => Kind::Disconnect { api_key, nth, after },
        _ => Kind::Error {
            api_key,
            nth,
            code: random.pick(&COORDINATOR),
            after: false,
        },
    }
}
