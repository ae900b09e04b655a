//! What differs from seed to seed beside the faults: timeouts, batches, delays, versions. Each seed draws its own
//! (swarm testing, Groce et al. 2012): a mix of everything everywhere would rarely reach the corners.

use std::collections::BTreeMap;

use steadfast_broker::Settings;

use super::MS;
use super::class::Class;
use super::design::{Design, Writers};
use super::random::Random;

/// The name of this stream of chance.
const STREAM: u64 = 1;
const RIVALS_STREAM: u64 = 5;
const HOT_STREAM: u64 = 6;

/// One seed's knobs.
#[derive(Debug, Clone)]
pub(crate) struct Swarm {
    /// What kind of world it is.
    pub(crate) class: Class,
    /// The cluster.
    pub(crate) settings: Settings,
    /// One way through the network, at least.
    pub(crate) latency_ns: u64,
    /// And at most so much more.
    pub(crate) jitter_ns: u64,
    /// The key chooses the partition; else the client does, and keys are spread over partitions.
    pub(crate) by_key: bool,
    /// Percent of the records that go to partition 0, where the client chooses: batches queue up there.
    pub(crate) hot: u64,
    /// Records of a burst at most.
    pub(crate) burst_max: u64,
    /// By client.
    pub(crate) clients: Vec<Knobs>,
    /// How often readers ask.
    pub(crate) reader_every_ns: u64,
    /// All clients use one transactional id: whoever asks for it last has it, and nobody else ever again.
    pub(crate) rivals: bool,
}

/// One client's knobs.
#[derive(Debug, Clone)]
pub(crate) struct Knobs {
    /// Producer properties; `transactional.id` says what it is.
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) transactional_id: Option<String>,
    /// It copies what the others write.
    pub(crate) copies: bool,
    /// transaction.timeout.ms.
    pub(crate) transaction_timeout_ns: u64,
}

impl Swarm {
    /// What this seed draws.
    pub(crate) fn draw(design: &Design, seed: u64) -> Swarm {
        let mut random = Random::new(seed, STREAM);
        let class = Class::draw(design, seed);
        let mut settings = Settings {
            nodes: design.nodes,
            transaction_version: random.pick(&[1, 2, 2]),
            default_replication_factor: design.replication_factor,
            min_insync_replicas: design.min_insync_replicas,
            session_timeout_ms: random.between(1_500, 6_000) as i64,
            replica_lag_time_max_ms: random.between(2_000, 10_000) as i64,
            transaction_abort_interval_ms: random.between(1_000, 5_000) as i64,
            replication_delay_ns: random.pick(&[MS / 4, MS / 2, 3 * MS, 20 * MS]),
            metadata_delay_ns: random.pick(&[MS, 5 * MS, 100 * MS, 500 * MS]),
            marker_delay_ns: random.pick(&[MS / 2, MS, 10 * MS, 100 * MS]),
            coordinator_load_ns: random.pick(&[5 * MS, 20 * MS, 300 * MS]),
            restart_delay_ns: random.between(50, 1_500) * MS,
            unclean_leader_election: class == Class::Unclean,
            writeback_ns: random.pick(&[500, 5_000, 15_000]) * MS,
            ..Settings::default()
        };
        for (name, value) in &design.cluster {
            // A file with a property that the model does not take was refused before.
            let taken = settings.set(name, value);
            debug_assert!(taken.is_ok(), "{taken:?}");
        }
        let mut swarm = Swarm {
            class,
            settings,
            latency_ns: random.between(50, 500) * 1_000,
            jitter_ns: random.pick(&[100_000, MS, 10 * MS]),
            by_key: design.records.by_key().unwrap_or(random.percent(50)),
            hot: Random::new(seed, HOT_STREAM).pick(&[0, 0, 80]),
            burst_max: random.pick(&[1, 4, 8, 30]),
            clients: (0..design.clients)
                .map(|client| Knobs::draw(design, class, client, &mut random))
                .collect(),
            reader_every_ns: random.pick(&[100, 300, 1_000, 3_000]) * MS,
            rivals: false,
        };
        if class == Class::Plain {
            swarm.make_rivals(seed);
        }
        swarm
    }

    /// Some worlds whose clients all use transactions let them use the same id.
    fn make_rivals(&mut self, seed: u64) {
        let transactional = self.clients.iter().all(|knobs| knobs.transactional_id.is_some());
        let drawn = Random::new(seed, RIVALS_STREAM).percent(40);
        self.rivals = transactional && drawn && self.clients.len() > 1;
        if self.rivals {
            for knobs in &mut self.clients {
                let id = "job".to_owned();
                knobs.properties.insert("transactional.id".to_owned(), id.clone());
                knobs.transactional_id = Some(id);
            }
        }
    }
}

impl Knobs {
    fn draw(design: &Design, class: Class, client: u16, random: &mut Random) -> Knobs {
        let copies = class == Class::Copy && client + 1 == design.clients;
        let transactional = match class.writers(design) {
            _ if copies => true,
            Writers::Mixed => random.percent(50),
            Writers::Idempotent => false,
            Writers::Transactional => true,
        };
        let request_ms = random.between(1_000, 5_000);
        let linger_ms = random.pick(&[0, 0, 5, 50]);
        let delivery_ms = random.pick(&[request_ms + linger_ms, 10_000, 30_000, 120_000]);
        let transaction_ms = random.between(request_ms + 1_000, 15_000);
        let servers: Vec<String> = (1..=design.nodes)
            .map(|node| format!("{}:{}", host(node), port(node)))
            .collect();
        let mut properties: BTreeMap<String, String> = [
            ("bootstrap.servers", servers.join(",")),
            ("client.id", format!("client-{client}")),
            ("linger.ms", linger_ms.to_string()),
            ("batch.size", random.pick(&[200, 1_000, 16_384]).to_string()),
            ("buffer.memory", random.pick(&[65_536, 1_048_576]).to_string()),
            (
                "max.in.flight.requests.per.connection",
                random.between(1, 5).to_string(),
            ),
            ("request.timeout.ms", request_ms.to_string()),
            (
                "delivery.timeout.ms",
                delivery_ms.max(request_ms + linger_ms).to_string(),
            ),
            (
                "socket.connection.setup.timeout.ms",
                random.between(500, 3_000).to_string(),
            ),
            ("metadata.max.age.ms", random.pick(&[5_000, 300_000]).to_string()),
            (
                "retries",
                random.pick(&[3, i32::MAX, i32::MAX, i32::MAX]).to_string(),
            ),
            (
                "compression.type",
                random.pick(&["none", "none", "none", "lz4"]).to_owned(),
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let transactional_id = transactional.then(|| format!("job-{client}"));
        if let Some(id) = &transactional_id {
            properties.insert("transactional.id".to_owned(), id.clone());
            properties.insert("transaction.timeout.ms".to_owned(), transaction_ms.to_string());
        }
        if design.whole_producer {
            let own = [
                "bootstrap.servers",
                "client.id",
                "transactional.id",
                "transaction.timeout.ms",
            ];
            properties.retain(|name, _| own.contains(&name.as_str()));
        }
        properties.extend(design.producer.clone());
        Knobs {
            copies,
            properties,
            transactional_id,
            transaction_timeout_ns: transaction_ms * MS,
        }
    }
}

/// Where a node is told to listen.
pub(crate) fn host(node: i32) -> String {
    format!("node-{node}")
}

/// The port that names the node.
pub(crate) fn port(node: i32) -> u16 {
    9_000 + node as u16
}

/// The node that a port names.
pub(crate) fn node_of(port: u16) -> i32 {
    i32::from(port) - 9_000
}
