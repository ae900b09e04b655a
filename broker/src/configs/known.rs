//! The properties that the model knows, of topics and of brokers: one table.

use crate::settings::Settings;

/// Types as DescribeConfigs numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Boolean = 1,
    String = 2,
    Int = 3,
    Long = 5,
    List = 7,
}

impl Type {
    /// As Kafka's messages call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Type::Boolean => "BOOLEAN",
            Type::String => "STRING",
            Type::Int => "INT",
            Type::Long => "LONG",
            Type::List => "LIST",
        }
    }
}

/// One property.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// Its name where it is set for one topic; none when only brokers have it.
    pub(crate) topic: Option<&'static str>,
    /// Its name where it is set for a broker: what topics without their own take.
    pub(crate) broker: &'static str,
    pub(crate) kind: Type,
    /// Kafka's default.
    pub(crate) default: &'static str,
    /// No smaller number is taken.
    pub(crate) least: Option<i64>,
    /// What else it may be.
    pub(crate) words: &'static [&'static str],
    /// A broker takes a change of it without a restart.
    pub(crate) dynamic: bool,
    /// As the cluster is configured; none: always Kafka's default.
    configured: fn(&Settings) -> Option<String>,
}

impl Known {
    /// What a broker has.
    pub(crate) fn of_broker(&self, settings: &Settings) -> String {
        (self.configured)(settings).unwrap_or_else(|| self.default.to_owned())
    }
}

/// The property of a topic with this name.
pub(crate) fn of_topic(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.topic == Some(name))
}

/// How properties are told with KIP-966: the controller sets this one for the whole cluster.
pub(crate) const SET_FOR_THE_CLUSTER: &str = "min.insync.replicas";

macro_rules! known {
    (@option _) => { None };
    (@option $some:tt) => { Some($some) };
    (@dynamic) => { true };
    (@fixed) => { false };
    ($($topic:tt $broker:literal $kind:ident $default:literal $least:tt $words:tt $dynamic:ident $configured:expr;)*) => {
        /// All of them.
        pub(crate) const KNOWN: &[Known] = &[$(Known {
            topic: known!(@option $topic),
            broker: $broker,
            kind: Type::$kind,
            default: $default,
            least: known!(@option $least),
            words: &$words,
            dynamic: known!(@$dynamic),
            configured: $configured,
        }),*];
    };
}

// Name of a topic's, of a broker's, type, default, least number, words, and what the cluster is configured with.
known! {
    "cleanup.policy" "log.cleanup.policy" List "delete" _ ["delete", "compact"] dynamic |_| None;
    "compression.type" "compression.type" String "producer" _
        ["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"] dynamic |_| None;
    "delete.retention.ms" "log.cleaner.delete.retention.ms" Long "86400000" 0 [] dynamic |_| None;
    "flush.messages" "log.flush.interval.messages" Long "9223372036854775807" 1 [] dynamic |_| None;
    "flush.ms" "log.flush.interval.ms" Long "9223372036854775807" 0 [] dynamic |_| None;
    "max.message.bytes" "message.max.bytes" Int "1048588" 0 [] dynamic |s| Some(s.message_max_bytes.to_string());
    "message.timestamp.after.max.ms" "log.message.timestamp.after.max.ms" Long "3600000" 0 [] dynamic
        |s| Some(s.timestamp_after_max_ms.to_string());
    "message.timestamp.before.max.ms" "log.message.timestamp.before.max.ms" Long "9223372036854775807" 0 [] dynamic
        |_| None;
    "message.timestamp.type" "log.message.timestamp.type" String "CreateTime" _
        ["CreateTime", "LogAppendTime"] dynamic |_| None;
    "min.insync.replicas" "min.insync.replicas" Int "1" 1 [] dynamic |s| Some(s.min_insync_replicas.to_string());
    "retention.bytes" "log.retention.bytes" Long "-1" _ [] dynamic |_| None;
    "retention.ms" "log.retention.ms" Long "604800000" (-1) [] dynamic |s| Some(s.log_retention_ms.to_string());
    "segment.bytes" "log.segment.bytes" Int "1073741824" 1_048_576 [] dynamic |s| Some(s.segment_bytes.to_string());
    "segment.ms" "log.roll.ms" Long "604800000" 1 [] dynamic |_| None;
    "unclean.leader.election.enable" "unclean.leader.election.enable" Boolean "false" _ [] dynamic
        |s| Some(s.unclean_leader_election.to_string());
    _ "auto.create.topics.enable" Boolean "true" _ [] fixed |s| Some(s.auto_create_topics.to_string());
    _ "broker.session.timeout.ms" Int "9000" _ [] fixed |s| Some(s.session_timeout_ms.to_string());
    _ "default.replication.factor" Int "1" _ [] fixed |s| Some(s.default_replication_factor.to_string());
    _ "num.partitions" Int "1" _ [] fixed |s| Some(s.num_partitions.to_string());
    _ "offsets.retention.minutes" Int "10080" _ [] fixed |s| Some((s.offsets_retention_ms / 60_000).to_string());
    _ "producer.id.expiration.ms" Int "86400000" _ [] dynamic |s| Some(s.producer_id_expiration_ms.to_string());
    _ "replica.lag.time.max.ms" Long "30000" _ [] fixed |s| Some(s.replica_lag_time_max_ms.to_string());
    _ "transaction.max.timeout.ms" Int "900000" _ [] fixed |s| Some(s.transaction_max_timeout_ms.to_string());
    _ "transactional.id.expiration.ms" Int "604800000" _ [] fixed |s| Some(s.transactional_id_expiration_ms.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_of_defaults_tells_kafkas_defaults() {
        for known in KNOWN {
            let told = known.of_broker(&Settings::default());
            // The model makes no topic that nobody asked for, unless it is told to.
            if known.broker != "auto.create.topics.enable" {
                assert_eq!(told, known.default, "{}", known.broker);
            }
        }
    }
}
