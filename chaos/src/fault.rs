//! The words for what goes wrong: small values, no behaviour. [`crate::nemesis`] does them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

pub use steadfast_wire::admin::Quota;

use crate::toxic::Toxic;
use crate::wire_proxy::WireFault;

/// A fault with its place in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFault {
    /// Names the phases `fault:<name>` and `heal:<name>`; unique in a scenario.
    pub name: String,
    /// Begin, counted from the end of warm-up.
    pub at: Duration,
    /// What it waits for from `at` on; none = nothing.
    pub when: Option<Trigger>,
    /// How long it lasts; none = it ends when its action is done.
    pub hold: Option<Duration>,
    /// What is done.
    pub action: Action,
    /// To whom.
    pub target: Target,
}

/// What a fault waits for, instead of a time alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// Another fault of frames has struck so many.
    Frames {
        /// Its name.
        fault: String,
        /// How many.
        frames: u32,
    },
    /// So many records are acknowledged, warm-up and all. The client says so about once a second.
    Acknowledged(u64),
}

/// What is done to a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// SIGKILL; started again after `hold`.
    Kill,
    /// SIGTERM (controlled shutdown: leaders are handed over first), away for `hold`, started again.
    Term,
    /// SIGSTOP; SIGCONT after `hold`.
    Pause,
    /// As [`Action::Term`], but it may come back at once.
    Restart,
    /// No byte of its small disk is free for `hold`.
    FillDisk,
    /// Its wall clock jumps for `hold`, and then back.
    StepClock {
        /// By so many seconds; back when negative.
        ahead: i64,
    },
    /// Silence both ways between client and broker for `hold` (Toxiproxy's `timeout` toxic of 0).
    Partition,
    /// The proxy is closed for `hold`: connections end, new ones are refused.
    Down,
    /// A toxic in the link for `hold`.
    Toxic(Toxic),
    /// Single requests or answers in the link are struck for `hold`.
    Wire(WireFault),
    /// Each partition's preferred replica becomes its leader again.
    Elect,
    /// Each replica of a topic moves on to the next broker; of the same set, the preferred leader does.
    Reassign,
    /// A topic gets more partitions.
    Grow {
        /// How many it has then.
        partitions: u32,
    },
    /// Settings of a topic or broker for `hold`, under Kafka's names; then as they were.
    Set {
        /// Names and values.
        settings: BTreeMap<String, String>,
    },
    /// Quotas of a client id for `hold`; then as they were.
    Quota {
        /// Each with its value.
        quotas: BTreeMap<Quota, u64>,
    },
}

/// What an action is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The processes of nodes.
    Process,
    /// Links between clients and brokers.
    Link,
    /// Requests and answers in such links.
    Frames,
    /// A topic, by Kafka's own administration.
    Topic,
    /// A topic or brokers, by Kafka's own administration.
    Settings,
    /// A client, by Kafka's own administration.
    ClientId,
}

/// Whom a fault meets. The meaning is looked up when the fault begins, and recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The broker that leads this partition at that moment.
    Leader {
        /// Topic.
        topic: String,
        /// Partition.
        partition: u32,
    },
    /// A broker in sync with this partition that does not lead it.
    Follower {
        /// Topic.
        topic: String,
        /// Partition.
        partition: u32,
    },
    /// The node that leads the quorum of controllers.
    Controller,
    /// The broker that coordinates the transactions of this transactional id.
    Coordinator(String),
    /// This broker, counted from 1.
    Broker(u32),
    /// Some broker that is up; the scenario's seed says which.
    Random,
    /// Fewer than half of the brokers, as many as that can be, all at once; the scenario's seed says which.
    Minority,
    /// All brokers at once.
    All,
    /// Each broker after the other, the next one only when the last is back in every ISR: a rolling restart.
    EveryBroker,
    /// The client itself, where it can be started again: a copy job.
    Client,
    /// The connections of the client to these brokers.
    Link(Box<Target>),
    /// The connections between a broker and another one, or each other one, whoever opened them. The upstream of a toxic
    /// leads away from the first.
    Between {
        /// The broker, or fewer than half of them.
        broker: Box<Target>,
        /// None: all that are not the first.
        other: Option<Box<Target>>,
    },
    /// A topic.
    Topic(String),
    /// All clients of this `client.id`.
    ClientId(String),
}

impl Action {
    /// The word of `faults.jsonl`: of a toxic its type.
    pub fn word(&self) -> &'static str {
        match self {
            Action::Kill => "kill",
            Action::Term => "term",
            Action::Pause => "pause",
            Action::Restart => "restart",
            Action::FillDisk => "fill-disk",
            Action::StepClock { .. } => "step-clock",
            Action::Partition => "partition",
            Action::Down => "down",
            Action::Toxic(toxic) => toxic.kind.word(),
            Action::Wire(fault) => fault.deed.word(),
            Action::Elect => "elect",
            Action::Reassign => "reassign",
            Action::Grow { .. } => "grow",
            Action::Set { .. } => "set",
            Action::Quota { .. } => "quota",
        }
    }

    /// What it is done to.
    pub fn reach(&self) -> Reach {
        match self {
            Action::Kill
            | Action::Term
            | Action::Pause
            | Action::Restart
            | Action::FillDisk
            | Action::StepClock { .. } => Reach::Process,
            Action::Partition | Action::Down | Action::Toxic(_) => Reach::Link,
            Action::Wire(_) => Reach::Frames,
            Action::Elect | Action::Reassign | Action::Grow { .. } => Reach::Topic,
            Action::Set { .. } => Reach::Settings,
            Action::Quota { .. } => Reach::ClientId,
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trigger::Frames { fault, frames } => write!(out, "{fault} has struck {frames} frames"),
            Trigger::Acknowledged(records) => write!(out, "{records} records are acknowledged"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Leader { topic, partition } => write!(out, "leader({topic}-{partition})"),
            Target::Follower { topic, partition } => write!(out, "follower({topic}-{partition})"),
            Target::Controller => write!(out, "controller"),
            Target::Coordinator(id) => write!(out, "coordinator({id})"),
            Target::Broker(number) => write!(out, "broker-{number}"),
            Target::Random => write!(out, "random"),
            Target::Minority => write!(out, "minority"),
            Target::All => write!(out, "all"),
            Target::EveryBroker => write!(out, "every-broker"),
            Target::Client => write!(out, "client"),
            Target::Link(broker) => write!(out, "link(client, {broker})"),
            Target::Between { broker, other: None } => write!(out, "link({broker}, brokers)"),
            Target::Between {
                broker,
                other: Some(other),
            } => write!(out, "link({broker}, {other})"),
            Target::Topic(topic) => write!(out, "topic({topic})"),
            Target::ClientId(id) => write!(out, "client-id({id})"),
        }
    }
}

/// Pure: `count` of `among`, drawn by the scenario's seed and the fault's name, so that a run can be had again.
pub(crate) fn draw(seed: u64, name: &str, among: &[u32], count: usize) -> Vec<u32> {
    let mut dice = Dice::new(seed, name);
    let mut left = among.to_vec();
    let mut drawn = Vec::new();
    while drawn.len() < count && !left.is_empty() {
        let at = dice.below(left.len() as u64);
        drawn.push(left.swap_remove(at as usize));
    }
    drawn.sort_unstable();
    drawn
}

/// Numbers drawn by a seed, one sequence for each name. FNV-1a of the name, then
/// [splitmix64](https://prng.di.unimi.it/splitmix64.c).
#[derive(Debug, Clone)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// The same seed and name throw the same.
    pub fn new(seed: u64, name: &str) -> Dice {
        let state = name.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Dice { state }
    }

    /// Less than this; 0 of nothing. That the first of them come up more often by some in 2^64 is no matter here.
    pub fn below(&mut self, end: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).checked_rem(end).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_name_draw_the_same_and_others_do_not_always() {
        let among = [1, 2, 3, 4, 5];
        let of = |seed, name| draw(seed, name, &among, 2);
        assert_eq!(of(7, "kill"), of(7, "kill"));
        let seeds: std::collections::BTreeSet<_> = (0..50).map(|seed| of(seed, "kill")).collect();
        assert!(seeds.len() > 5, "of ten pairs, fifty seeds draw most: {seeds:?}");
        assert_ne!(
            (0..20).map(|seed| of(seed, "a")).collect::<Vec<_>>(),
            (0..20).map(|seed| of(seed, "b")).collect::<Vec<_>>(),
        );
        assert!((0..50).all(|seed| {
            let pair = of(seed, "kill");
            pair.len() == 2 && pair[0] < pair[1]
        }));
        assert_eq!(draw(1, "x", &[4], 3), [4]);
        assert_eq!(draw(1, "x", &[], 1), [] as [u32; 0]);
    }
}
