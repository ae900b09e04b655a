//! One world: events in order of time, and at the same time in the order in which they were made.
//!
//! ```text
//! ├─ a second of peace ─┼─ faults ───────────────┼─ healed: load for 3 s, then drained ─┼─ quiet ─┤ judged
//! 0                  FAULTS_NS                 heal_ns                          at most DRAIN_NS later
//! ```

mod arrivals; // at nodes, at clients
mod looks; // when it is over

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use bytes::Bytes;
use steadfast_broker::{Action, Endpoint, Fact, HookId, LogId, Memory, Model, Now, Order};

use super::class::Class;
use super::client::Client;
use super::copier::Copier;
use super::design::Design;
use super::network::{Item, Network, Toward};
use super::outcome::Outcome;
use super::plan::Fault;
use super::random::Random;
use super::reader::Reader;
use super::swarm::{Swarm, host, port};
use super::topics::Lives;
use super::trace::Trace;
use super::{GROUP, MS, SECOND, SOURCE, TOPIC};

const STREAM: u64 = 4;
/// The clock begins here: 0 stands for "never" in places.
const START_NS: u64 = SECOND;
/// Faults begin after this.
const FAULTS_NS: u64 = START_NS + SECOND;
/// The load goes on for so long after the heal.
pub(crate) const HEALTHY_LOAD_NS: u64 = 3 * SECOND;
/// After the heal all must have drained by then.
pub(crate) const DRAIN_NS: u64 = 60 * SECOND;
/// How often a healed world is looked at.
const LOOK_NS: u64 = 100 * MS;
/// Unix time at the begin, ms.
const WALL_MS: i64 = 1_700_000_000_000;
/// More events than any world needs.
const EVENTS_MAX: u64 = 20_000_000;
/// A client that was fenced by its rival comes back within so long.
const RIVAL_RETURNS_NS: u64 = 10 * SECOND;
/// A connection's end waits for what its node still works on at most so long.
const LATE_END_NS: u64 = 15 * SECOND;

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// Something may have come out of a stream.
    Arrive { connection: usize, toward: Toward },
    /// The end of a connection reaches a node that was busy with it.
    LateEnd { connection: usize },
    /// A connection is asked for once more.
    AskAgain { connection: usize },
    /// A fault of the plan begins.
    Begin { fault: usize },
    /// It ends.
    End { fault: usize },
    /// A client is started again.
    Start { client: u16 },
    /// A reader asks.
    Poll { reader: usize },
    /// A copier does.
    Consume { client: u16 },
    /// The topic is made again.
    Create,
    /// Everything is healed.
    Heal,
    /// Is all drained?
    Look,
}

/// What is to happen when.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    heap: BinaryHeap<Reverse<(u64, u64, Event)>>,
    made: u64,
}

impl Schedule {
    pub(crate) fn at(&mut self, at_ns: u64, event: Event) {
        self.made += 1;
        self.heap.push(Reverse((at_ns, self.made, event)));
    }

    fn next_ns(&self) -> u64 {
        self.heap.peek().map_or(u64::MAX, |Reverse((at_ns, ..))| *at_ns)
    }

    fn pop(&mut self, now_ns: u64) -> Option<Event> {
        let Reverse((at_ns, ..)) = self.heap.peek()?;
        if *at_ns > now_ns {
            return None;
        }
        self.heap.pop().map(|Reverse((_, _, event))| event)
    }
}

/// A world.
pub(crate) struct World<'a> {
    pub(crate) design: &'a Design,
    pub(crate) swarm: Swarm,
    pub(crate) plan: &'a [Fault],
    pub(crate) now_ns: u64,
    pub(crate) wall_offset_ms: i64,
    pub(crate) heal_ns: u64,
    pub(crate) healed: bool,
    /// When all was drained; 0 = not yet.
    pub(crate) drained_ns: u64,
    over: bool,
    pub(crate) model: Model<Memory>,
    pub(crate) network: Network,
    pub(crate) clients: Vec<Client>,
    pub(crate) readers: Vec<Reader>,
    pub(crate) schedule: Schedule,
    pub(crate) random: Random,
    /// By fault: whether it could be carried out, and the hook that it set.
    pub(crate) applied: Vec<bool>,
    pub(crate) hooks: BTreeMap<usize, HookId>,
    /// The node that lost power last, and when.
    pub(crate) suspect: Option<(i32, u64)>,
    /// Faults that keep nodes apart now.
    pub(crate) cuts: u32,
    /// The topic's lives.
    pub(crate) lives: Lives,
    /// In-sync replicas of each log as the controller decided last, where it may decide uncleanly.
    in_sync: BTreeMap<LogId, Vec<i32>>,
    /// Partitions that may have lost acknowledged records, since the cluster is configured so.
    pub(crate) doubtful: BTreeSet<i32>,
    /// Nodes whose machine is without power.
    pub(crate) dark: Vec<i32>,
    pub(crate) events: u64,
    /// Of every frame that arrived, and when.
    pub(crate) hash: u64,
    /// Client by client: something happened to it.
    touched: Vec<bool>,
    /// Only where somebody wants to read it.
    pub(crate) trace: Option<Trace>,
}

/// Lets one world happen. An error is a mistake in the design; a panic within is an outcome.
pub(crate) fn run(design: &Design, seed: u64, plan: &[Fault]) -> Result<Outcome, String> {
    let live = || {
        let mut world = World::new(design, seed, plan)?;
        world.live();
        Outcome::of(world)
    };
    // Nothing of the world outlives the closure.
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(live)) {
        Ok(outcome) => outcome,
        Err(payload) => Ok(Outcome::of_panic(Class::draw(design, seed).name(), &*payload)),
    }
}

/// The same, and what happened in it.
pub(crate) fn trace(design: &Design, seed: u64, plan: &[Fault]) -> Result<(Outcome, Vec<String>), String> {
    let mut world = World::new(design, seed, plan)?;
    world.trace = Some(Trace::default());
    world.live();
    let lines = world.trace.take().map(|trace| trace.lines).unwrap_or_default();
    Ok((Outcome::of(world)?, lines))
}

/// The topics of a world.
pub(crate) fn topics(class: Class) -> &'static [&'static str] {
    match class {
        Class::Plain | Class::Topics | Class::Unclean => &[TOPIC],
        Class::Copy => &[TOPIC, SOURCE],
    }
}

impl<'a> World<'a> {
    fn new(design: &'a Design, seed: u64, plan: &'a [Fault]) -> Result<World<'a>, String> {
        let swarm = Swarm::draw(design, seed);
        let heal_ns = FAULTS_NS + design.seconds * SECOND;
        let now = Now {
            mono_ns: START_NS,
            wall_ms: WALL_MS,
        };
        let endpoint = |node: i32| Endpoint {
            node,
            listener: 0,
            host: host(node),
            port: port(node),
        };
        let endpoints = (1..=design.nodes).map(endpoint).collect();
        let mut model = Model::new(swarm.settings.clone(), endpoints, Memory::default(), seed, now);
        for name in topics(swarm.class) {
            let topic = Order::CreateTopic {
                name: (*name).to_owned(),
                partitions: design.partitions,
                replication_factor: design.replication_factor,
                configs: design.topic.clone().into_iter().collect(),
            };
            model.order(topic, now).map_err(|error| error.to_string())?;
        }
        let load = (
            START_NS,
            heal_ns + HEALTHY_LOAD_NS,
            (design.rate / u64::from(design.clients.max(1))).max(1),
        );
        let clients = (0..design.clients).map(|number| Client::new(number, design, &swarm, seed, load));
        let mut clients = clients.collect::<Result<Vec<_>, _>>()?;
        if let Some(last) = clients.pop_if(|last| swarm.clients[last.number as usize].copies) {
            let reader = Reader::of_copier(last.number, design, &swarm);
            clients.push(last.copying(Copier::new(reader, design.partitions)));
        }
        #[cfg(steadfast_mutants)]
        let clients = clients
            .into_iter()
            .map(|client| client.breaking(design.without))
            .collect::<Vec<_>>();
        #[cfg(test)]
        let clients = clients
            .into_iter()
            .map(|client| client.with_flaw(design.flaw))
            .collect::<Vec<_>>();
        let mut schedule = Schedule::default();
        for client in 0..design.clients {
            schedule.at(START_NS, Event::Start { client });
        }
        let readers = Reader::all(design, &swarm);
        for reader in 0..readers.len() {
            schedule.at(START_NS, Event::Poll { reader });
        }
        for client in (0..design.clients).filter(|client| swarm.clients[*client as usize].copies) {
            schedule.at(START_NS, Event::Consume { client });
        }
        let on_the_network = design.clients + readers.len() as u16;
        for (fault, planned) in plan.iter().enumerate() {
            schedule.at(FAULTS_NS + planned.at_ns, Event::Begin { fault });
        }
        schedule.at(heal_ns, Event::Heal);
        let delays = (swarm.latency_ns, swarm.jitter_ns);
        Ok(World {
            design,
            network: Network::new(on_the_network, design.nodes, delays, seed),
            swarm,
            plan,
            now_ns: START_NS,
            wall_offset_ms: 0,
            heal_ns,
            healed: false,
            drained_ns: 0,
            over: false,
            model,
            touched: vec![false; clients.len()],
            clients,
            readers,
            schedule,
            random: Random::new(seed, STREAM),
            applied: vec![false; plan.len()],
            hooks: BTreeMap::new(),
            suspect: None,
            cuts: 0,
            lives: Lives::new(design.partitions),
            in_sync: BTreeMap::new(),
            doubtful: BTreeSet::new(),
            dark: Vec::new(),
            events: 0,
            hash: 0,
            trace: None,
        })
    }

    fn live(&mut self) {
        while !self.over && self.events < EVENTS_MAX {
            let clients = self.clients.iter().enumerate();
            let awake = clients.filter(|(number, _)| !self.network.frozen[*number]);
            let client_ns = awake
                .map(|(_, client)| client.wakeup_ns())
                .min()
                .unwrap_or(u64::MAX);
            let model_ns = self.model.wakeup_ns().unwrap_or(u64::MAX);
            let next_ns = self.schedule.next_ns().min(model_ns).min(client_ns);
            self.now_ns = self.now_ns.max(next_ns);
            self.events += 1;
            if let Some(event) = self.schedule.pop(self.now_ns) {
                self.happen(event);
            } else if model_ns <= self.now_ns {
                self.model.advance(self.now());
            } else {
                self.wake();
            }
            self.settle();
        }
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            mono_ns: self.now_ns,
            wall_ms: self.wall_ms(),
        }
    }

    pub(crate) fn wall_ms(&self) -> i64 {
        WALL_MS + (self.now_ns / MS) as i64 + self.wall_offset_ms
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive { connection, toward } => {
                while let Some(item) = self.network.arrived(connection, toward, self.now_ns) {
                    match toward {
                        Toward::Node => self.at_node(connection, item),
                        Toward::Client => self.at_client(connection, item),
                    }
                }
            }
            Event::LateEnd { connection } => self.node_loses(connection),
            Event::AskAgain { connection } => {
                self.network
                    .ask_again(connection, self.now_ns, &mut self.schedule);
            }
            Event::Begin { fault } => self.begin(fault),
            Event::End { fault } => self.end(fault),
            Event::Start { client } => {
                self.clients[client as usize].start(self.now_ns);
                self.touched[client as usize] = true;
            }
            Event::Poll { reader } => {
                let asks = &mut self.readers[reader];
                asks.poll(self.now_ns, &mut self.network, &mut self.schedule);
                let again_ns = self.now_ns + asks.every_ns;
                self.schedule.at(again_ns, Event::Poll { reader });
            }
            Event::Consume { client } => {
                let frozen = self.network.frozen[client as usize];
                let up = self.clients[client as usize].sender.is_some();
                if let Some(copier) = &mut self.clients[client as usize].copier {
                    if up && !frozen {
                        copier.poll(self.now_ns, &mut self.network, &mut self.schedule);
                    }
                    let again_ns = self.now_ns + copier.reader.every_ns;
                    self.schedule.at(again_ns, Event::Consume { client });
                }
            }
            Event::Create => self.create_topic(),
            Event::Heal => {
                self.heal();
                self.touched.fill(true);
                self.schedule.at(self.now_ns + LOOK_NS, Event::Look);
            }
            Event::Look => self.look(),
        }
    }

    /// Clients whose time has come.
    fn wake(&mut self) {
        for number in 0..self.clients.len() {
            if !self.network.frozen[number] && self.clients[number].wakeup_ns() <= self.now_ns {
                self.touched[number] = true;
            }
        }
    }

    /// Carries out what the model and the clients want, until nobody wants anything.
    fn settle(&mut self) {
        loop {
            while let Some(action) = self.model.next_action() {
                self.act(action);
            }
            let next =
                (0..self.clients.len()).find(|&number| self.touched[number] && !self.network.frozen[number]);
            let Some(number) = next else {
                return;
            };
            self.touched[number] = false;
            let wall_ms = self.wall_ms();
            let again_ns =
                self.clients[number].turn(self.now_ns, wall_ms, &mut self.network, &mut self.schedule);
            self.look_at_owners(number);
            let alive = |other: &Client| other.number as usize != number && other.sender.is_some();
            let has_rival = self.swarm.rivals && self.clients.iter().any(alive);
            // While there are faults somebody starts it again, some time; in the end one has to stay.
            self.clients[number].retired |= again_ns.is_some() && has_rival && self.healed;
            if let Some(again_ns) = again_ns {
                let rest_ns = if has_rival {
                    self.random.below(RIVAL_RETURNS_NS)
                } else {
                    0
                };
                let client = number as u16;
                self.schedule
                    .at(self.now_ns + again_ns + rest_ns, Event::Start { client });
            }
            if self.clients[number].asks_position() {
                self.tell_position(number);
            }
        }
    }

    /// A copier is told where its group stands.
    fn tell_position(&mut self, number: usize) {
        let position = |partition| self.model.group_offset(GROUP, SOURCE, partition).unwrap_or(0);
        let positions = (0..self.design.partitions).map(position).collect();
        if let Some(copier) = &mut self.clients[number].copier {
            copier.told(positions, self.now_ns);
        }
    }

    /// Of rivals only the one that was given the id last may commit what it began since.
    fn look_at_owners(&mut self, number: usize) {
        let Some(begun_ns) = self.clients[number].committed_ns.take() else {
            return;
        };
        let mine = self.clients[number].owner;
        let newer = |client: &Client| client.owner > mine && client.owner_ns < begun_ns;
        if self.swarm.rivals && self.clients.iter().any(newer) {
            let what = "it committed what it began after another had taken its id over";
            self.clients[number].accuse("S2", what);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Answer { connection, frame } => {
                let id = connection.0 as usize;
                let item = Item::Frame(frame);
                self.network
                    .push(id, Toward::Client, item, self.now_ns, &mut self.schedule);
            }
            Action::Close { connection } => {
                let id = connection.0 as usize;
                let silent = self.dark.contains(&self.network.connections[id].node);
                self.network
                    .node_closed(id, silent, self.now_ns, &mut self.schedule);
            }
            Action::Remember(Fact::Leader { log, leader, isr, .. }) if self.swarm.class == Class::Unclean => {
                self.elected(log, leader, isr);
            }
            Action::Remember(_) => {} // a whole cluster never dies here: nodes do
        }
    }

    /// A leader that was not in sync: what it lacks is lost, by configuration.
    fn elected(&mut self, log: LogId, leader: i32, isr: Vec<i32>) {
        let before = self.in_sync.insert(log, isr);
        if leader >= 0 && before.is_some_and(|before| !before.contains(&leader)) {
            let is_it = |partition: &i32| {
                let state = self.model.partition(TOPIC, *partition);
                state.is_some_and(|state| state.log == log)
            };
            let found = (0..self.lives.partitions).find(is_it);
            self.say(|| format!("unclean election of node {leader} for partition {found:?}"));
            self.doubtful.extend(found);
        }
    }

    pub(crate) fn say(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.line(self.now_ns, &what());
        }
    }

    /// Same seed, same bytes at the same times: the hash over all of them.
    fn note(&mut self, id: usize, toward: Toward, frame: &Bytes) {
        if let Some(trace) = &mut self.trace {
            let found = &self.network.connections[id];
            trace.frame(self.now_ns, (found.client, found.node, id), toward, frame);
        }
        let crc = u64::from(crc32c::crc32c(frame));
        let what = (crc << 32 | frame.len() as u64) ^ (id as u64).rotate_left(48) ^ toward as u64;
        self.hash = (self.hash ^ what ^ self.now_ns.rotate_left(17))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29);
    }
}
