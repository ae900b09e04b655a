//! The settings that the core looks at, in its own units: nanoseconds and bytes.

use super::backoff::Backoff;
use super::link::Address;
use crate::compression::Compression;
use crate::config::ProducerConfig;

const NANOS_PER_MS: u64 = 1_000_000;

#[derive(Debug)]
pub(super) struct Settings {
    pub(super) bootstrap: Vec<Address>,
    pub(super) client_id: String,
    pub(super) compression: Compression,
    pub(super) compression_level: i32,
    pub(super) buffer_memory: usize,
    pub(super) batch_size: usize,
    pub(super) max_request_size: usize,
    pub(super) max_in_flight: usize,
    pub(super) linger_ns: u64,
    pub(super) delivery_timeout_ns: u64,
    pub(super) request_timeout_ns: u64,
    pub(super) request_timeout_ms: i32,
    /// Doubles with each failure (KIP-601).
    pub(super) connection_setup_timeout: Backoff,
    pub(super) metadata_max_age_ns: u64,
    pub(super) retries: u32,
    /// `u64::MAX` = never.
    pub(super) connections_max_idle_ns: u64,
    pub(super) retry_backoff: Backoff,
    pub(super) reconnect_backoff: Backoff,
    pub(super) transactional_id: Option<String>,
    pub(super) transaction_timeout_ns: u64,
    pub(super) ignore_keys: bool,
    pub(super) adaptive_partitioning: bool,
}

impl Settings {
    pub(super) fn new(config: &ProducerConfig) -> Settings {
        let bootstrap = config.bootstrap_servers.iter();
        Settings {
            bootstrap: bootstrap
                .map(|at| Address {
                    host: at.host.clone(),
                    port: at.port,
                })
                .collect(),
            client_id: config.client_id.clone(),
            compression: config.compression,
            compression_level: config.compression_level,
            buffer_memory: config.buffer_memory,
            batch_size: config.batch_size,
            max_request_size: config.max_request_size,
            max_in_flight: config.max_in_flight,
            linger_ns: config.linger_ns,
            delivery_timeout_ns: config.delivery_timeout_ns,
            request_timeout_ns: config.request_timeout_ns,
            request_timeout_ms: i32::try_from(config.request_timeout_ns / NANOS_PER_MS).unwrap_or(i32::MAX),
            connection_setup_timeout: Backoff {
                first_ns: config.connection_setup_timeout_ns,
                max_ns: config.connection_setup_timeout_max_ns,
            },
            metadata_max_age_ns: config.metadata_max_age_ns,
            retries: config.retries,
            connections_max_idle_ns: config.connections_max_idle_ns.unwrap_or(u64::MAX),
            retry_backoff: Backoff {
                first_ns: config.retry_backoff_ns,
                max_ns: config.retry_backoff_max_ns,
            },
            reconnect_backoff: Backoff {
                first_ns: config.reconnect_backoff_ns,
                max_ns: config.reconnect_backoff_max_ns,
            },
            transactional_id: config.transactional_id.clone(),
            transaction_timeout_ns: config.transaction_timeout_ns,
            ignore_keys: config.partitioner_ignore_keys,
            adaptive_partitioning: config.partitioner_adaptive,
        }
    }
}
