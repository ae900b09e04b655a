//! Producer settings: Kafka's names and Kafka's meanings, parsed once into a type that cannot be wrong.
//!
//! ```text
//!   properties as text ── names known? ── values in range? ── contradictions? ──► ProducerConfig
//!   + profile              nearest name     unit, bounds        both names            │
//!                          └───────── all errors at once, each with its mend ─┘       └─► differences()
//! ```
//!
//! [`PROPERTIES`] is the one list: names, ranges, Kafka's defaults, ours per [`Profile`] with the reason, docs.
//! Differences from Kafka: `acks` and `enable.idempotence` cannot be weakened, because this producer does not lose
//! records on request; `linger.ms` takes fractions. librdkafka's names are understood, with a note.

mod error;
mod names;
mod properties;
mod rules;
mod value;

use std::collections::BTreeMap;

pub use error::ConfigError;
pub use properties::{Kind, PROPERTIES, Profile, Property, Tuned};
pub use value::BootstrapServer;
pub(crate) use value::is_host;

use crate::compression::Compression;
use value::Values;

/// Every setting of a producer, in the units that the code works in: nanoseconds and bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct ProducerConfig {
    /// What the settings not given were taken from.
    pub profile: Profile,
    /// `bootstrap.servers`; empty if not given, which whoever connects refuses.
    pub bootstrap_servers: Vec<BootstrapServer>,
    /// `client.id`, never empty.
    pub client_id: String,
    /// `linger.ms`, nanoseconds.
    pub linger_ns: u64,
    /// `batch.size`, bytes, at least 1: a batch takes records up to this, a larger record travels alone.
    pub batch_size: usize,
    /// `buffer.memory`, bytes: all that waits or is in flight.
    pub buffer_memory: usize,
    /// `max.request.size`, bytes: the largest record and, a single batch excepted, the largest request.
    pub max_request_size: usize,
    /// `max.in.flight.requests.per.connection`, 1 to 5.
    pub max_in_flight: usize,
    /// `max.block.ms`, nanoseconds: how long a call may wait for buffer room or metadata.
    pub max_block_ns: u64,
    /// `delivery.timeout.ms`, nanoseconds; never below `linger_ns + request_timeout_ns`.
    pub delivery_timeout_ns: u64,
    /// `request.timeout.ms`, nanoseconds.
    pub request_timeout_ns: u64,
    /// `retries`, at least 1.
    pub retries: u32,
    /// `retry.backoff.ms`, nanoseconds: the first wait, doubled each time (KIP-580).
    pub retry_backoff_ns: u64,
    /// `retry.backoff.max.ms`, nanoseconds; never below `retry_backoff_ns`.
    pub retry_backoff_max_ns: u64,
    /// `reconnect.backoff.ms`, nanoseconds.
    pub reconnect_backoff_ns: u64,
    /// `reconnect.backoff.max.ms`, nanoseconds; never below `reconnect_backoff_ns`.
    pub reconnect_backoff_max_ns: u64,
    /// `socket.connection.setup.timeout.ms`, nanoseconds (KIP-601).
    pub connection_setup_timeout_ns: u64,
    /// `socket.connection.setup.timeout.max.ms`, nanoseconds; never below `connection_setup_timeout_ns`.
    pub connection_setup_timeout_max_ns: u64,
    /// `connections.max.idle.ms`, nanoseconds; `None` = for ever.
    pub connections_max_idle_ns: Option<u64>,
    /// `metadata.max.age.ms`, nanoseconds.
    pub metadata_max_age_ns: u64,
    /// `metadata.max.idle.ms`, nanoseconds: a topic not used for this long is forgotten.
    pub metadata_max_idle_ns: u64,
    /// `compression.type`.
    pub compression: Compression,
    /// `compression.<codec>.level` of the codec in use; -1 where it has none.
    pub compression_level: i32,
    /// `send.buffer.bytes`; `None` leaves it to the system.
    pub send_buffer_bytes: Option<usize>,
    /// `receive.buffer.bytes`; `None` leaves it to the system.
    pub receive_buffer_bytes: Option<usize>,
    /// `partitioner.ignore.keys`: a key does not choose the partition.
    pub partitioner_ignore_keys: bool,
    /// `partitioner.adaptive.partitioning.enable`: shorter queues get more keyless records.
    pub partitioner_adaptive: bool,
    /// `partitioner.availability.timeout.ms`, nanoseconds; `None` = never counted as unavailable.
    pub partitioner_availability_timeout_ns: Option<u64>,
    /// `transactional.id`; `None` = idempotent producing without transactions.
    pub transactional_id: Option<String>,
    /// `transaction.timeout.ms`, nanoseconds; with a transactional id above `request_timeout_ns`.
    pub transaction_timeout_ns: u64,
    /// What was understood but deserves a word: aliases, values without effect, values raised to fit.
    pub notes: Vec<String>,
    /// Every property's value as text, in the order of [`PROPERTIES`].
    values: Vec<String>,
}

/// A setting that is not at Kafka's default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Kafka's name of the property.
    pub name: &'static str,
    /// The value in force.
    pub value: String,
    /// Kafka's default.
    pub kafka_default: &'static str,
    /// Why it differs.
    pub reason: String,
}

impl ProducerConfig {
    /// `client.id` of one that is given none.
    pub const CLIENT_ID: &str = "steadfast-producer";

    /// The profile's settings with nothing given.
    #[must_use]
    pub fn defaults(profile: Profile) -> Self {
        Self::from_values(profile, &Values::defaults(profile), Vec::new())
    }

    /// Parses properties over Kafka's own defaults, or over those of the profile that the key `profile` names
    /// (`low-latency`, `throughput`, `kafka`). All errors at once.
    pub fn from_properties(properties: &BTreeMap<String, String>) -> Result<Self, Vec<ConfigError>> {
        let Some(name) = properties.get(Profile::KEY) else {
            return Self::with_profile(Profile::Kafka, properties);
        };
        let mut rest = properties.clone();
        rest.remove(Profile::KEY);
        match Profile::from_name(name) {
            Some(profile) => Self::with_profile(profile, &rest),
            None => {
                let mut errors = vec![error::profile(name)];
                errors.extend(
                    Self::with_profile(Profile::Kafka, &rest)
                        .err()
                        .unwrap_or_default(),
                );
                Err(errors)
            }
        }
    }

    /// Parses properties over a profile's defaults. All errors at once.
    pub fn with_profile(
        profile: Profile,
        properties: &BTreeMap<String, String>,
    ) -> Result<Self, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut notes = Vec::new();
        let given = names::resolve(properties, &mut notes, &mut errors);
        let mut values = Values::parse(profile, &given, &mut errors);
        rules::check(&given, &mut values, &mut notes, &mut errors);
        if errors.is_empty() {
            Ok(Self::from_values(profile, &values, notes))
        } else {
            Err(errors)
        }
    }

    /// Every value that differs from Kafka's default, with the reason.
    #[must_use]
    pub fn differences(&self) -> Vec<Difference> {
        let kafka = Values::defaults(Profile::Kafka).texts();
        let ours = Values::defaults(self.profile).texts();
        let mut differences = Vec::new();
        for (index, property) in PROPERTIES.iter().enumerate() {
            let value = &self.values[index];
            if *value == kafka[index] {
                continue;
            }
            let reason = match property.tuned(self.profile) {
                Some(tuned) if *value == ours[index] => {
                    format!("profile {}: {}", self.profile.name(), tuned.reason)
                }
                _ => "set by the user".to_owned(),
            };
            differences.push(Difference {
                name: property.name,
                value: value.clone(),
                kafka_default: property.kafka_default,
                reason,
            });
        }
        differences
    }

    /// Every property with the value in force, in the order of [`PROPERTIES`].
    pub fn values(&self) -> impl Iterator<Item = (&'static str, &str)> {
        PROPERTIES
            .iter()
            .zip(&self.values)
            .map(|(property, value)| (property.name, value.as_str()))
    }

    fn from_values(profile: Profile, values: &Values, notes: Vec<String>) -> Self {
        let compression = values.compression("compression.type");
        let positive = |value: i64| u64::try_from(value).ok().filter(|value| *value > 0);
        let buffer = |name| usize::try_from(values.number(name)).ok();
        Self {
            profile,
            bootstrap_servers: values.servers("bootstrap.servers"),
            client_id: match values.text("client.id") {
                "" => ProducerConfig::CLIENT_ID.to_owned(),
                id => id.to_owned(),
            },
            linger_ns: values.nanos("linger.ms"),
            batch_size: values.bytes("batch.size").max(1),
            buffer_memory: values.bytes("buffer.memory"),
            max_request_size: values.bytes("max.request.size"),
            max_in_flight: values.bytes("max.in.flight.requests.per.connection"),
            max_block_ns: values.nanos("max.block.ms"),
            delivery_timeout_ns: values.nanos("delivery.timeout.ms"),
            request_timeout_ns: values.nanos("request.timeout.ms"),
            retries: values.number("retries") as u32,
            retry_backoff_ns: values.nanos("retry.backoff.ms"),
            retry_backoff_max_ns: values.nanos("retry.backoff.max.ms"),
            reconnect_backoff_ns: values.nanos("reconnect.backoff.ms"),
            reconnect_backoff_max_ns: values.nanos("reconnect.backoff.max.ms"),
            connection_setup_timeout_ns: values.nanos("socket.connection.setup.timeout.ms"),
            connection_setup_timeout_max_ns: values.nanos("socket.connection.setup.timeout.max.ms"),
            connections_max_idle_ns: u64::try_from(values.number("connections.max.idle.ms"))
                .ok()
                .map(|_| values.nanos("connections.max.idle.ms")),
            metadata_max_age_ns: values.nanos("metadata.max.age.ms"),
            metadata_max_idle_ns: values.nanos("metadata.max.idle.ms"),
            compression,
            compression_level: match compression {
                Compression::Gzip => values.number("compression.gzip.level") as i32,
                Compression::Zstd => values.number("compression.zstd.level") as i32,
                Compression::None | Compression::Snappy | Compression::Lz4 => {
                    crate::compression::DEFAULT_LEVEL
                }
            },
            send_buffer_bytes: buffer("send.buffer.bytes"),
            receive_buffer_bytes: buffer("receive.buffer.bytes"),
            partitioner_ignore_keys: values.flag("partitioner.ignore.keys"),
            partitioner_adaptive: values.flag("partitioner.adaptive.partitioning.enable"),
            partitioner_availability_timeout_ns: positive(
                values.number("partitioner.availability.timeout.ms"),
            )
            .map(|_| values.nanos("partitioner.availability.timeout.ms")),
            transactional_id: match values.text("transactional.id") {
                "" => None,
                id => Some(id.to_owned()),
            },
            transaction_timeout_ns: values.nanos("transaction.timeout.ms"),
            notes,
            values: values.texts(),
        }
    }
}

#[cfg(test)]
mod tests;
