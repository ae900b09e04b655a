//! The workload's producer properties under librdkafka's names.
//!
//! What was not asked for stays at librdkafka's default, except for the bounds of its queue: bytes bound it as they bound
//! Kafka's own client, and the number of records does not.

use peer_harness::Failure;
use peer_harness::settings::Settings;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use steadfast_producer::compression::Compression;
use steadfast_verifier::workload::{Keys, PartitionChoice, Workload};

/// The longest that librdkafka waits for an answer, ms.
const LONGEST_SOCKET_TIMEOUT_MS: u64 = 300_000;
const NANOS_PER_MS: u64 = 1_000_000;

/// librdkafka's configuration for this workload. What it does not have is said once on standard error.
pub(crate) fn translate(workload: &Workload) -> Result<ClientConfig, Failure> {
    let Settings { config, asked } = Settings::of(workload)?;
    let mut ours = ClientConfig::new();
    ours.set_log_level(RDKafkaLogLevel::Warning)
        .set("bootstrap.servers", workload.bootstrap_servers.join(","))
        .set("client.id", &config.client_id)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set(
            "queue.buffering.max.kbytes",
            (config.buffer_memory / 1024).max(1).to_string(),
        )
        .set("queue.buffering.max.messages", "0")
        .set("partitioner", partitioner(workload));
    let mut missing = Vec::new();
    for (name, value) in &asked {
        match *name {
            "enable.idempotence" | "buffer.memory" => {}
            "linger.ms"
            | "batch.size"
            | "max.in.flight.requests.per.connection"
            | "delivery.timeout.ms"
            | "retries"
            | "retry.backoff.ms"
            | "retry.backoff.max.ms"
            | "reconnect.backoff.ms"
            | "reconnect.backoff.max.ms"
            | "socket.connection.setup.timeout.ms"
            | "compression.type" => {
                ours.set(*name, value);
            }
            // There the first bounds the broker's wait for its replicas alone, the second the client's for the answer.
            "request.timeout.ms" => {
                let wait = (config.request_timeout_ns / NANOS_PER_MS).min(LONGEST_SOCKET_TIMEOUT_MS);
                ours.set(*name, value).set("socket.timeout.ms", wait.to_string());
            }
            "max.request.size" => {
                ours.set("message.max.bytes", value);
            }
            "metadata.max.age.ms" => {
                ours.set("topic.metadata.refresh.interval.ms", value);
            }
            // The system's choice and "never" are 0 there.
            "send.buffer.bytes" => {
                ours.set("socket.send.buffer.bytes", at_least_0(value));
            }
            "receive.buffer.bytes" => {
                ours.set("socket.receive.buffer.bytes", at_least_0(value));
            }
            "connections.max.idle.ms" => {
                ours.set(*name, at_least_0(value));
            }
            "compression.gzip.level" if config.compression == Compression::Gzip => {
                ours.set("compression.level", value);
            }
            "compression.lz4.level" if config.compression == Compression::Lz4 => {
                ours.set("compression.level", value);
            }
            "compression.zstd.level" if config.compression == Compression::Zstd => {
                ours.set("compression.level", value);
            }
            other => missing.push(other),
        }
    }
    if workload.partition == PartitionChoice::Sticky && workload.keys != Keys::None {
        missing.push("a sticky choice for records with keys (each goes to a partition by chance)");
    }
    Settings::without("librdkafka", &missing);
    Ok(ours)
}

/// With a partition given this does not count.
fn partitioner(workload: &Workload) -> &'static str {
    if workload.partition == PartitionChoice::Sticky && workload.keys != Keys::None {
        "random"
    } else {
        // Kafka's own: murmur2 of the key; without one a choice by chance, which sticks for twice the linger.
        "murmur2_random"
    }
}

fn at_least_0(value: &str) -> &str {
    if value.starts_with('-') { "0" } else { value }
}
