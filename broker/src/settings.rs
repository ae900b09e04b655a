//! What a cluster is configured with: Kafka's names and Kafka's 4.1 defaults, and the model's own delays beside them.

/// Milliseconds in a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Nanoseconds in a millisecond.
pub(crate) const MS: u64 = 1_000_000;

/// Settings of the whole cluster; every node has the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// cluster.id; none: chosen by the model's seed.
    pub cluster_id: Option<String>,
    /// Nodes, numbered from 1.
    pub nodes: i32,
    /// Finalized feature transaction.version: 1 (KIP-98) or 2 (KIP-890).
    pub transaction_version: i16,
    /// num.partitions.
    pub num_partitions: i32,
    /// default.replication.factor; never more than there are nodes.
    pub default_replication_factor: i16,
    /// min.insync.replicas.
    pub min_insync_replicas: i32,
    /// unclean.leader.election.enable.
    pub unclean_leader_election: bool,
    /// auto.create.topics.enable.
    pub auto_create_topics: bool,
    /// message.max.bytes: a whole batch.
    pub message_max_bytes: i32,
    /// log.segment.bytes: no batch may be larger.
    pub segment_bytes: i32,
    /// socket.request.max.bytes: a frame beyond it closes its connection.
    pub socket_request_max_bytes: usize,
    /// message.timestamp.after.max.ms: how far ahead of the broker's clock a record may be.
    pub timestamp_after_max_ms: i64,
    /// producer.id.expiration.ms: a partition forgets a producer whose newest record or marker is as old.
    pub producer_id_expiration_ms: i64,
    /// producer.id.expiration.check.interval.ms: how often it looks. A restart looks too.
    pub producer_id_check_interval_ms: i64,
    /// transactional.id.expiration.ms.
    pub transactional_id_expiration_ms: i64,
    /// transaction.max.timeout.ms: the most a producer may ask for.
    pub transaction_max_timeout_ms: i32,
    /// transaction.abort.timed.out.transaction.cleanup.interval.ms.
    pub transaction_abort_interval_ms: i64,
    /// offsets.retention.minutes, in milliseconds.
    pub offsets_retention_ms: i64,
    /// log.retention.ms; -1 keeps for ever.
    pub log_retention_ms: i64,
    /// log.retention.check.interval.ms; also how often transactional ids and offsets expire.
    pub retention_check_interval_ms: i64,
    /// broker.session.timeout.ms: a silent node loses its leaderships after it.
    pub session_timeout_ms: i64,
    /// replica.lag.time.max.ms: a follower that lags longer leaves the ISR.
    pub replica_lag_time_max_ms: i64,
    /// producer_byte_rate for every client id that has no quota of its own; none: no limit.
    pub producer_byte_rate: Option<u64>,
    /// quota.window.size.seconds × quota.window.num, in milliseconds.
    pub quota_window_ms: i64,

    /// The model's: from an append on the leader until a follower has it.
    pub replication_delay_ns: u64,
    /// The model's: from a decision of the controller until a node knows it.
    pub metadata_delay_ns: u64,
    /// The model's: from EndTxn's answer until the markers are in the partitions. M9 lives in it.
    pub marker_delay_ns: u64,
    /// The model's: a coordinator that moved reads its state so long, and answers 14.
    pub coordinator_load_ns: u64,
    /// The model's: from start to the first request served, and from clean stop to the end.
    pub restart_delay_ns: u64,
    /// The model's: a dirty page reaches the disk after one to two of these (the kernel's writeback).
    pub writeback_ns: u64,

    /// Bound: connections of the whole cluster. One more is closed at once.
    pub max_connections: usize,
    /// Bound: frames that wait on one connection while a request of it is served. See [`crate::Model::reads`].
    pub max_queued_frames: usize,
    /// Bound: partitions of the cluster, deleted ones included.
    pub max_partitions: usize,
    /// Bound: bytes of one Fetch answer, whatever the client asks for (fetch.max.bytes of the broker).
    pub fetch_max_bytes: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            cluster_id: None,
            nodes: 1,
            transaction_version: 2,
            num_partitions: 1,
            default_replication_factor: 1,
            min_insync_replicas: 1,
            unclean_leader_election: false,
            auto_create_topics: false,
            message_max_bytes: 1_048_588,
            segment_bytes: 1 << 30,
            socket_request_max_bytes: 100 * 1024 * 1024,
            timestamp_after_max_ms: 60 * 60 * 1000,
            producer_id_expiration_ms: DAY_MS,
            producer_id_check_interval_ms: 10 * 60 * 1000,
            transactional_id_expiration_ms: 7 * DAY_MS,
            transaction_max_timeout_ms: 15 * 60 * 1000,
            transaction_abort_interval_ms: 10_000,
            offsets_retention_ms: 7 * DAY_MS,
            log_retention_ms: 7 * DAY_MS,
            retention_check_interval_ms: 5 * 60 * 1000,
            session_timeout_ms: 9_000,
            replica_lag_time_max_ms: 30_000,
            producer_byte_rate: None,
            quota_window_ms: 11_000,
            replication_delay_ns: MS / 2,
            metadata_delay_ns: 5 * MS,
            marker_delay_ns: MS,
            coordinator_load_ns: 20 * MS,
            restart_delay_ns: 500 * MS,
            writeback_ns: 15_000 * MS,
            max_connections: 4_096,
            max_queued_frames: 64,
            max_partitions: 20_000,
            fetch_max_bytes: 55 * 1024 * 1024,
        }
    }
}
