//! The workload's producer properties as krafka's builders take them. What was not asked for stays at krafka's default.

use std::time::Duration;

use krafka::producer::{Acks, ProducerBuilder};
use krafka::{Compression, Kafka, KafkaBuilder};
use peer_harness::Failure;
use peer_harness::settings::Settings as Asked;
use steadfast_producer::compression::Compression as Ours;
use steadfast_producer::config::ProducerConfig;
use steadfast_verifier::workload::{Keys, PartitionChoice, Workload};

/// krafka's own default; no request may have less time than that.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What was asked for, for the two builders.
pub(crate) struct Settings {
    servers: String,
    config: ProducerConfig,
    /// Kafka's names.
    asked: Vec<&'static str>,
}

impl Settings {
    /// Reads the properties. What krafka does not have is said once on standard error.
    pub(crate) fn translate(workload: &Workload) -> Result<Settings, Failure> {
        if workload.partition == PartitionChoice::Sticky && workload.keys != Keys::None {
            return Err(Failure::Refused(
                "krafka chooses by the key wherever there is one: leave the keys out, or set partition = \"by-key\"".to_owned(),
            ));
        }
        let Asked { config, asked } = Asked::of(workload)?;
        let (has, missing): (Vec<_>, Vec<_>) = asked.into_keys().partition(|name| KNOWN.contains(name));
        Asked::without("krafka", &missing);
        Ok(Settings {
            servers: workload.bootstrap_servers.join(","),
            config,
            asked: has,
        })
    }

    /// Connections.
    pub(crate) fn kafka(&self) -> KafkaBuilder {
        let Settings { config, servers, .. } = self;
        let mut kafka = Kafka::builder(servers.clone()).client_id(config.client_id.clone());
        for name in &self.asked {
            kafka = match *name {
                "request.timeout.ms" => {
                    let timeout = nanos(config.request_timeout_ns);
                    kafka
                        .request_timeout(timeout)
                        .connect_timeout(timeout.min(CONNECT_TIMEOUT))
                }
                "metadata.max.age.ms" => kafka.metadata_max_age(nanos(config.metadata_max_age_ns)),
                "metadata.max.idle.ms" => {
                    kafka.metadata_topic_cache_ttl(Some(nanos(config.metadata_max_idle_ns)))
                }
                "send.buffer.bytes" => kafka.socket_send_buffer(config.send_buffer_bytes),
                "receive.buffer.bytes" => kafka.socket_receive_buffer(config.receive_buffer_bytes),
                "connections.max.idle.ms" => {
                    kafka.connections_max_idle(config.connections_max_idle_ns.map(nanos))
                }
                _ => kafka,
            };
        }
        kafka
    }

    /// The producer.
    pub(crate) fn producer(&self, mut producer: ProducerBuilder) -> ProducerBuilder {
        let config = &self.config;
        producer = producer
            .idempotent(true)
            .acks(Acks::All)
            .buffer_memory(config.buffer_memory);
        for name in &self.asked {
            producer = match *name {
                "linger.ms" => producer.linger(nanos(config.linger_ns)),
                "batch.size" => producer.batch_size(config.batch_size),
                "delivery.timeout.ms" => producer.delivery_timeout(nanos(config.delivery_timeout_ns)),
                "retry.backoff.ms" => producer.retry_backoff(nanos(config.retry_backoff_ns)),
                "max.request.size" => producer.max_request_size(config.max_request_size),
                "max.block.ms" => producer.max_block(nanos(config.max_block_ns)),
                "compression.type" => producer.compression(compression(config.compression)),
                "compression.gzip.level" if config.compression == Ours::Gzip => level(producer, config),
                "compression.zstd.level" if config.compression == Ours::Zstd => level(producer, config),
                _ => producer,
            };
        }
        producer
    }
}

/// What one of the two builders takes. `max.in.flight.requests.per.connection` is not among it: krafka's engine fills five
/// requests a broker whatever is set, and those that a lower bound of the connection keeps waiting hold it up (measured
/// with 1: 1,121 of 25,000 records a second).
const KNOWN: [&str; 17] = [
    "batch.size",
    "buffer.memory",
    "compression.gzip.level",
    "compression.type",
    "compression.zstd.level",
    "connections.max.idle.ms",
    "delivery.timeout.ms",
    "enable.idempotence",
    "linger.ms",
    "max.block.ms",
    "max.request.size",
    "metadata.max.age.ms",
    "metadata.max.idle.ms",
    "receive.buffer.bytes",
    "request.timeout.ms",
    "retry.backoff.ms",
    "send.buffer.bytes",
];

fn level(producer: ProducerBuilder, config: &ProducerConfig) -> ProducerBuilder {
    producer.compression_level(Some(config.compression_level).filter(|&level| level != -1))
}

fn compression(ours: Ours) -> Compression {
    match ours {
        Ours::None => Compression::None,
        Ours::Gzip => Compression::Gzip,
        Ours::Snappy => Compression::Snappy,
        Ours::Lz4 => Compression::Lz4,
        Ours::Zstd => Compression::Zstd,
    }
}

fn nanos(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}
